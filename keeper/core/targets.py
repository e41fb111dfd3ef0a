"""What a hedge aims at: a share of what is held, a number of coins, or an amount of quote money.

The three say how much is to be short, S, in coins of the hedging contract, with W = Σ βᵢ·Eᵢ·Pᵢ / P_hedge:

======== ============================ =====================================================================
kind     value                        S
======== ============================ =====================================================================
ratio    a share of the exposure      value·W: constant proportion
quantity coins of the one asset       (value + G)·β·P/P_hedge: constant coins; G is the coin profit of a
                                      coin-margined hedge since the target was set, zero for any other
notional quote money kept short       value / P_hedge
======== ============================ =====================================================================

S is then kept within hard bounds on S/W, and is zero where W is not positive. The target delta is T = -S.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

_ZERO = Decimal(0)
_ONE = Decimal(1)


class TargetKind(StrEnum):
    """What the value of a target counts."""

    RATIO = "ratio"
    QUANTITY = "quantity"
    NOTIONAL = "notional"


@dataclass(frozen=True, slots=True)
class Target:
    """What a hedge aims at; ``value`` is not negative: a share, coins of the one asset, or quote money."""

    kind: TargetKind
    value: Decimal

    @classmethod
    def ratio(cls, value: Decimal) -> Target:
        """A share of the exposure: 1 is all of it."""
        return cls(TargetKind.RATIO, value)

    def __str__(self) -> str:
        """As people say it; the unit goes without saying for none but the ratio."""
        # No arithmetic: that would round to the context's 28 digits.
        text = format(self.value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return f"{self.kind.value} {text}"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a target is measured on. None is not known.

    ``weighted_base`` is W, ``per_coin`` is β·P/P_hedge of the one asset (None for a basket), ``price`` is the hedging
    contract's mark, ``gain_base`` is G in coins of the asset.
    """

    weighted_base: Decimal
    per_coin: Decimal | None
    price: Decimal
    gain_base: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class Aim:
    """A target on its ground. ``short_base`` is S, not negative; ``ratio`` is S/W, None where W is not positive.

    ``bounded`` says in words which bound has moved it, and is None where none has.
    """

    short_base: Decimal
    ratio: Decimal | None
    bounded: str | None = None


def unbounded(target: Target, ground: Ground) -> Decimal | None:
    """S before bounds, in coins of the hedging contract; None where what it needs is not known."""
    if target.kind is TargetKind.RATIO:
        return target.value * ground.weighted_base
    if target.kind is TargetKind.NOTIONAL:
        return target.value / ground.price
    return None if ground.per_coin is None else (target.value + ground.gain_base) * ground.per_coin


def aim(target: Target, ground: Ground, min_ratio: Decimal = _ZERO, max_ratio: Decimal = _ONE) -> Aim | None:
    """How much is to be short now, within the bounds; None where what it needs is not known."""
    wanted = unbounded(target, ground)
    if wanted is None:
        return None
    held = ground.weighted_base
    if held <= 0:
        return Aim(_ZERO, None)
    least, most = min_ratio * held, max_ratio * held
    if wanted > most:
        return Aim(most, max_ratio, f"{target} is more than {_share(max_ratio)} of the exposure, which is the most")
    if wanted < least:
        return Aim(least, min_ratio, f"{target} is less than {_share(min_ratio)} of the exposure, which is the least")
    # A ratio is its own implied ratio: no product has to be divided again.
    return Aim(wanted, target.value if target.kind is TargetKind.RATIO else wanted / held)


def _share(ratio: Decimal) -> str:
    return "all" if ratio == _ONE else f"the share {ratio.normalize():f}"
