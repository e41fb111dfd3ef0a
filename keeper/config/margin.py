"""What the configuration says of margin: where it warns, stops new shorts, or buys back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from keeper.config.section import Section
from keeper.config.values import number
from keeper.core.margins import MarginPolicy, Thresholds

_SHARE = "(a share of the equity: 0.7 is 70 %)"
_DISTANCE = "(a share of the price: 0.1 is 10 %)"


def _or_off(read: Callable[[object], Decimal]) -> Callable[[object], Decimal | None]:
    """A reader that also takes "off", for a threshold that is never reached."""

    def read_or_off(value: object) -> Decimal | None:
        if value is None or value == "off":
            return None
        try:
            return read(value)
        except ValueError as error:
            raise ValueError(f'{error}; or write "off"') from None

    return read_or_off


Ratio = Annotated[Decimal | None, BeforeValidator(_or_off(number(above="0", at_most="1", unit=_SHARE)))]
Distance = Annotated[Decimal | None, BeforeValidator(_or_off(number(above="0", below="1", unit=_DISTANCE)))]


class DistanceConfig(Section):
    """Shares of the price that are left to liquidation, reached from above."""

    warn: Distance = None
    block: Distance = None
    reduce: Distance = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        given = [each for each in (self.warn, self.block, self.reduce) if each is not None]
        if given != sorted(given, reverse=True) or (self.reduce is not None and self.reduce == self.block):
            raise ValueError(
                "must satisfy warn >= block > reduce: liquidation comes nearer; write it as in "
                '{ warn = "0.2", block = "0.1", reduce = "0.05" }'
            )
        if self.reduce is not None and None in (self.warn, self.block):
            raise ValueError(
                "gives reduce without warn or block: it buys back until block and sells again from warn; add both"
            )
        return self


class MarginConfig(Section):
    """Thresholds on maintenance margin over equity (1 is liquidation), reached from below, and on the distance."""

    warn: Ratio = Decimal("0.5")
    block: Ratio = Decimal("0.7")
    reduce: Ratio = None
    min_liquidation_distance: DistanceConfig = DistanceConfig()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        given = [each for each in (self.warn, self.block, self.reduce) if each is not None]
        if given != sorted(given) or (self.reduce is not None and self.reduce == self.block):
            told = ", ".join(f"{name} {getattr(self, name)}" for name in ("warn", "block", "reduce"))
            raise ValueError(f"must satisfy warn <= block < reduce, and is {told.replace('None', 'off')}")
        if self.reduce is not None and None in (self.warn, self.block):
            raise ValueError(
                "gives reduce without warn or block: it buys back until block and sells again from warn; add both"
            )
        return self

    def to_core(self) -> MarginPolicy | None:
        """The thresholds as the core knows them; None where all of them are off.

        While a margin cannot be read there are no new shorts where somebody has asked for more than a warning.
        """
        distance = self.min_liquidation_distance
        asked = {"block", "reduce"} & self.model_fields_set and (self.block or self.reduce)
        far = distance.block or distance.reduce
        policy = MarginPolicy(
            Thresholds(self.warn, self.block, self.reduce),
            Thresholds(distance.warn, distance.block, distance.reduce),
            required=bool(asked or far),
        )
        nothing = Thresholds()
        return None if policy.ratio == nothing and policy.distance == nothing else policy
