"""The keys of a hedge that say how much it is to be short, and what they may not say together."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from keeper.config.section import Section
from keeper.config.values import SeveralError, duration, number, whole
from keeper.core.courses import Pace
from keeper.core.orders import plain
from keeper.core.targets import Target, TargetKind

_KINDS = ", ".join(kind.value for kind in TargetKind)


class TransitionConfig(Section):
    """How a new target of the file is moved to: ``over`` in seconds, evenly, or in ``steps`` of equal size."""

    over: Annotated[float, BeforeValidator(duration)]
    steps: Annotated[int, BeforeValidator(whole(at_least=1, at_most=1000, unit="steps"))] | None = None

    def to_core(self) -> Pace:
        """The pace as the core knows it."""
        return Pace(round(self.over * 1000), self.steps)


Ratio = Annotated[Decimal, BeforeValidator(number(at_least="0", at_most="1"))]
Coins = Annotated[Decimal, BeforeValidator(number(at_least="0", unit="(coins)"))]
Notional = Annotated[Decimal, BeforeValidator(number(at_least="0", unit="(quote money)"))]


def one_target(given: Mapping[str, Decimal | None], assets: tuple[str, ...], least: Decimal, most: Decimal) -> Target:
    """The one target that a hedge states; raises :class:`ValueError` where it states none, several, or nonsense."""
    stated = {kind: value for kind, value in given.items() if value is not None}
    if not stated:
        text = f'is missing: say how much to hedge, with one of {_KINDS}, such as ratio = "0.5"'
        raise SeveralError([(("ratio",), text)])
    if len(stated) > 1:
        both = " and ".join(stated)
        raise SeveralError([((list(stated)[-1],), f"is given beside another target ({both}); keep one of them")])
    if least > most:
        raise SeveralError([(("min_ratio",), f"is {plain(least)}, and max_ratio is {plain(most)}; lower it")])
    ((kind, value),) = stated.items()
    if kind == TargetKind.QUANTITY and len(assets) > 1:
        text = "counts coins of one asset, and this hedge has several; use ratio or notional for a basket"
        raise SeveralError([((kind,), text)])
    if kind == TargetKind.RATIO and not least <= value <= most:
        text = f"is {plain(value)}, outside of min_ratio {plain(least)} and max_ratio {plain(most)}; change one of them"
        raise SeveralError([((kind,), text)])
    return Target(TargetKind(kind), value)
