"""What a look is measured by and becomes: when a reading is doubted, what stands in the way, what is remembered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from decimal import Decimal

from keeper.core.margins import AccountMargin
from keeper.core.model import (
    AccountId,
    Base,
    Contracts,
    Gap,
    InstrumentId,
    Mark,
    Position,
    Reason,
    Snapshot,
    WorkingOrder,
)
from keeper.core.orders import plain
from keeper.journal.base import Remembered
from keeper.venue.base import EmptyReadingError


@dataclass(frozen=True, slots=True)
class Doubt:
    """When a reading is doubted. Ratios are shares of the last accepted reading, times are milliseconds."""

    confirm_jump_ratio: Decimal = Decimal("0.2")
    unexplained_zero_ms: int = 600_000
    stale_price_ms: int = 30_000
    max_clock_offset_ms: int = 2_500
    clock_check_every_seconds: float = 30.0
    wallet_lag_ms: int = 30_000

    def jumped(self, value: Decimal, before: Decimal | None) -> bool:
        """Whether a reading is beyond what is taken at its word."""
        if before is None or before == value:
            return False
        return value == 0 or abs(value - before) > self.confirm_jump_ratio * abs(before)


@dataclass(frozen=True, slots=True)
class Standing:
    """Facts that a look does not read anew: what stops every order, and what stops new shorts. (source, reason)."""

    blocks: tuple[tuple[str, Reason], ...] = ()
    sell_blocks: tuple[tuple[str, Reason], ...] = ()


@dataclass(slots=True)
class Gathered:
    """What is being gathered; becomes a :class:`Snapshot`."""

    holdings: dict[tuple[AccountId, str], Base] = field(default_factory=dict)
    positions: dict[InstrumentId, Position] = field(default_factory=dict)
    working: list[WorkingOrder] = field(default_factory=list)
    marks: dict[InstrumentId, Mark] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    blocks: list[tuple[str, Reason]] = field(default_factory=list)
    foreign: dict[InstrumentId, Contracts] = field(default_factory=dict)
    stated_at_ms: dict[tuple[AccountId, str], int] = field(default_factory=dict)
    margins: list[AccountMargin] = field(default_factory=list)


NOT_REMEMBERED = (EmptyReadingError.code, "unconfirmed_position")
"""Codes of gaps at a position that is shown as it was read, once, and may not be what the next one is judged by."""
UNEXPLAINED_ZERO = "unexplained_zero"
"""The code of a gap at a wallet: a first reading of zero or less that is not explained is shown, and not remembered."""


def said(contracts: Contracts | None) -> str:
    """A position for people, also where it is not known."""
    return "not known" if contracts is None else plain(contracts)


def accepted(snapshot: Snapshot, remembered: Remembered, unfinished: Collection[InstrumentId] = ()) -> Remembered:
    """The last accepted readings with this look's laid over them; a gap leaves what was known, and so does a change of
    a position that is ``unfinished``.
    """
    doubted = {gap.source for gap in snapshot.gaps if gap.code in NOT_REMEMBERED}
    unexplained = {gap.source for gap in snapshot.gaps if gap.code == UNEXPLAINED_ZERO}
    return replace(
        remembered,
        holdings={
            **remembered.holdings,
            **{
                key: coins
                for key, coins in snapshot.holdings.items()
                if coins > 0 or str(key[0]) not in unexplained or key in remembered.holdings
            },
        },
        positions={
            **remembered.positions,
            **{
                ident: position.contracts
                for ident, position in snapshot.positions.items()
                if str(ident) not in doubted and ident not in unfinished
            },
        },
        taken_at_ms=snapshot.taken_at_ms,
    )
