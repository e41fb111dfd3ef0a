"""How a hedge's orders are worked: the styles, their settings, and what a style remembers from turn to turn.

Nothing here knows a market or a position: amounts are plain decimals, in the units that each docstring names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

POST_ONLY = "PO"
"""The time in force of an order that rests and never takes; the venue layer knows each venue's own word for it."""

ZERO, ONE = Decimal(0), Decimal(1)
BPS = Decimal(10_000)
_DIGITS = 2**32


class Style(StrEnum):
    """How orders are sent: taking at once, resting at the touch, or in slices over a time."""

    MARKET = "market"
    PASSIVE = "passive"
    TWAP = "twap"


@dataclass(frozen=True, slots=True)
class Execution:
    """One hedge's settings. Times are seconds, ratios are shares of the exposure.

    A resting order is taken back when the touch has left it by more than ``leash_bps`` basis points of its price.
    Beyond ``escalate_after_seconds`` since a passive programme began, or once the drift ratio passes
    ``escalate_drift`` (None: twice the band's ``act``), what is left is taken. A time-weighted programme spreads what
    there is to do over ``over_seconds``, in ``slices`` parts that are sent as ``slice_style`` says; each is due at a
    moment drawn from the first ``jitter`` of its own interval.
    """

    style: Style = Style.MARKET
    leash_bps: Decimal = Decimal(5)
    escalate_after_seconds: Decimal = Decimal(120)
    escalate_drift: Decimal | None = None
    over_seconds: Decimal = Decimal(3600)
    slices: int = 12
    slice_style: Style = Style.MARKET
    jitter: Decimal = Decimal("0.5")

    @property
    def leash_ratio(self) -> Decimal:
        """The leash as a fraction of the price."""
        return self.leash_bps / BPS

    @property
    def rests(self) -> bool:
        """Whether orders of this style wait in the book until they have to be taken."""
        return self.style is Style.PASSIVE or (self.style is Style.TWAP and self.slice_style is Style.PASSIVE)

    @property
    def deadline_seconds(self) -> Decimal:
        """From the beginning of a programme, when all that is left of it is taken."""
        if self.style is Style.PASSIVE:
            return self.escalate_after_seconds
        return self.over_seconds * self.slices / self._intervals

    @property
    def _intervals(self) -> int:
        """Resting slices leave the last interval to take what is left; taken ones are through before it ends."""
        return self.slices + 1 if self.slice_style is Style.PASSIVE else self.slices


AT_ONCE = Execution()
"""What a hedge does that says nothing of it."""


@dataclass(frozen=True, slots=True)
class Programme:
    """Work on one drift: what there was to do, signed base units as a drift, and since when (milliseconds).

    ``start_ratio`` is the drift ratio that it began with, None where there was none. ``seed`` is what the jitter is
    drawn from: the journal's tag, the run and the cycle of its first look, so that a replay draws the same.
    """

    begun_ms: int
    total_base: Decimal
    start_ratio: Decimal | None
    seed: str


@dataclass(frozen=True, slots=True)
class Resting:
    """A resting order as last seen, in contracts: ``filled`` is positive, positions are signed.

    ``position`` is what the fills so far imply, changes by others added; ``shown`` is the last reading of it.
    """

    client_id: str
    filled: Decimal
    position: Decimal
    shown: Decimal


def due_seconds(execution: Execution, seed: str, number: int) -> Decimal:
    """When slice ``number`` (from 0) of a programme is due, seconds after its beginning."""
    interval = execution.over_seconds / execution._intervals  # noqa: SLF001  the same module's
    return interval * (number + execution.jitter * _drawn(seed, number))


def slices_due(execution: Execution, programme: Programme, elapsed_seconds: Decimal) -> int:
    """How many slices are due; all of them once the deadline has come."""
    if elapsed_seconds >= execution.deadline_seconds:
        return execution.slices
    return sum(due_seconds(execution, programme.seed, each) <= elapsed_seconds for each in range(execution.slices))


def open_base(execution: Execution, programme: Programme, elapsed_seconds: Decimal) -> Decimal:
    """How much of a time-weighted programme may still be open, signed base units as its drift."""
    left = execution.slices - slices_due(execution, programme, elapsed_seconds)
    return programme.total_base * left / execution.slices


def _drawn(seed: str, number: int) -> Decimal:
    """A number in [0, 1) that depends on the seed and the slice alone."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return Decimal(int.from_bytes(digest[:4], "big")) / _DIGITS
