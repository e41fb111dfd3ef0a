"""The table ``execution`` of a hedge: how its orders are worked."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from keeper.config.section import Section
from keeper.config.values import number, one_of, whole
from keeper.core.execution import Execution, Style

_SECONDS = BeforeValidator(number(at_least="1", at_most="604800", unit="seconds"))
_OF_STYLE = {
    Style.MARKET: frozenset[str](),
    Style.PASSIVE: frozenset({"leash_bps", "escalate_after_seconds", "escalate_drift"}),
    Style.TWAP: frozenset({"over_seconds", "slices", "slice_style", "jitter", "escalate_drift"}),
}


class ExecutionConfig(Section):
    """The style, and the settings that belong to it; one that belongs to another style is refused, not ignored."""

    style: Annotated[Style, BeforeValidator(one_of(*Style))] = Style.MARKET
    leash_bps: Annotated[Decimal, BeforeValidator(number(at_least="0", at_most="1000", unit="basis points"))] = Decimal(
        5
    )
    escalate_after_seconds: Annotated[Decimal, _SECONDS] = Decimal(120)
    escalate_drift: Annotated[Decimal, BeforeValidator(number(above="0"))] | None = None
    over_seconds: Annotated[Decimal, _SECONDS] = Decimal(3600)
    slices: Annotated[int, BeforeValidator(whole(at_least=1, at_most=1000, unit="slices"))] = 12
    slice_style: Annotated[
        Literal[Style.MARKET, Style.PASSIVE], BeforeValidator(one_of(Style.MARKET, Style.PASSIVE))
    ] = Style.MARKET
    jitter: Annotated[Decimal, BeforeValidator(number(at_least="0", at_most="1"))] = Decimal("0.5")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        stray = sorted(self.model_fields_set - set(self.in_use))
        if stray:
            known = ", ".join(self.in_use[1:]) or "no settings"
            raise ValueError(
                f'gives {", ".join(stray)}, which style = "{self.style.value}" does not use (it has {known}); '
                "leave it out, or choose the style that it belongs to"
            )
        return self

    @property
    def in_use(self) -> tuple[str, ...]:
        """The settings that the style uses, itself first."""
        used = _OF_STYLE[self.style] | {"style"}
        if self.style is Style.TWAP and self.slice_style is Style.PASSIVE:
            used |= {"leash_bps"}
        return tuple(name for name in type(self).model_fields if name in used)

    def to_core(self) -> Execution:
        """The settings as the core knows them."""
        return Execution(
            self.style,
            self.leash_bps,
            self.escalate_after_seconds,
            self.escalate_drift,
            self.over_seconds,
            self.slices,
            self.slice_style,
            self.jitter,
        )
