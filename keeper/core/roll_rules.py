"""What a hedge's owner wants of its rolls: when, over which time costs are compared, and what is too dear."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

CANDIDATE_WORDS = ("perpetual", "next", "second")
"""How candidates are named without their symbols: the perpetual, and the first and second expiry after the present."""


class WhenTooDear(StrEnum):
    """What to do when every candidate costs more than the limit."""

    ALERT = "alert"
    """Keep the present contract while it can be kept, and tell; at the last moment the cheapest is taken anyway."""
    LOWER_RATIO = "lower_ratio"
    """Hedge less, and take the cheapest."""
    PERPETUAL = "perpetual"
    """Take the perpetual, whatever it costs."""


class Fallback(StrEnum):
    """Where a hedge goes at the last moment when nothing could be compared."""

    PERPETUAL = "perpetual"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class RollRules:
    """How one hedge rolls. Days are of 24 hours; costs are simple fractions of the notional a year.

    A roll is due ``window_days`` before expiry, and happens ``latest_days`` before it whatever has to be decided
    without. ``candidates`` are words (``CANDIDATE_WORDS``) or ids of contracts on the same venue; empty is every
    expiry that is listed, and the perpetual. ``taker_fee`` wins over what the venue's market data says.
    """

    window_days: Decimal = Decimal(7)
    latest_days: Decimal = Decimal(1)
    horizon_days: Decimal = Decimal(90)
    funding_days: Decimal = Decimal(30)
    candidates: tuple[str, ...] = ()
    max_cost_annual: Decimal = Decimal("0.15")
    when_too_dear: WhenTooDear = WhenTooDear.ALERT
    lower_ratio_to: Decimal | None = None
    fallback: Fallback = Fallback.PERPETUAL
    taker_fee: Decimal | None = None
