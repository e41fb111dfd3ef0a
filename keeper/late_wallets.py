"""Wallets that have yet to show what others' trade in a coin-margined short brought or took.

A short that somebody deleveraged, liquidated or bought back by hand has realised its profit or loss. Beside a wallet
that reads as before, a loss still counts as coins that are owned, and shorted again they would be too many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from keeper.clock import Clock
from keeper.core.coins import same_coins
from keeper.core.instruments import Leg
from keeper.core.model import (
    NO_CONTRACTS,
    AccountId,
    Base,
    Contracts,
    Hedge,
    InstrumentId,
    Mark,
    Position,
    Reason,
    Snapshot,
)
from keeper.core.orders import plain
from keeper.journal.base import Remembered

UNCHANGED_LOOKS = 2
"""So often at least a wallet may read as before while it is waited for, however far apart the looks are."""


@dataclass(slots=True)
class _Awaited:
    """What a wallet read before, the coins that the trade brought (None: not known), and since when it is awaited."""

    before: Base
    brings: Decimal | None
    since: float
    looks: int = 0

    def is_shown(self, value: Base) -> bool:
        """Whether the wallet has moved, and by no less than half of what is expected: funding and fees move it too."""
        if self.brings is None:
            return not same_coins(value, self.before)
        moved = value - self.before
        return moved * self.brings > 0 and abs(moved) >= abs(self.brings) / 2


class LateWallets:
    """Remembers the wallets that are waited for, from one look to the next."""

    def __init__(self, hedges: Callable[[], Sequence[Hedge]], clock: Clock, patience_ms: int) -> None:
        """``patience_ms``: so long a wallet is waited for; after that it has nothing to show."""
        self._hedges = hedges
        self._clock = clock
        self._patience = patience_ms / 1000
        self._awaited: dict[tuple[AccountId, str], _Awaited] = {}
        self._beside: dict[InstrumentId, Base] = {}
        """What the wallet read in the last look that knew a position and found it unchanged."""
        self._noted: frozenset[InstrumentId] = frozenset()

    def look(self, seen: Snapshot, remembered: Remembered) -> Snapshot:
        """The snapshot with what stops new shorts; to be called once in each look, with all that it has read."""
        self._noted = frozenset()
        self._note(seen, remembered)
        self._noted = frozenset(seen.foreign)
        for key, awaited in list(self._awaited.items()):
            value = seen.holdings.get(key)
            if value is None:
                continue  # what is not read holds the hedge by itself
            awaited.looks += 1
            waited = self._clock.monotonic() - awaited.since
            if awaited.is_shown(value) or (awaited.looks > UNCHANGED_LOOKS and waited >= self._patience):
                del self._awaited[key]
        return replace(seen, sell_blocks=(*seen.sell_blocks, *self._blocks(seen.holdings, self._awaited)))

    def look_again(self, seen: Snapshot, remembered: Remembered) -> Snapshot:
        """The same snapshot once it tells what others did while an order of ours rested."""
        fresh = self._note(seen, remembered)
        fresh = {key for key in fresh if key in seen.holdings and not self._awaited[key].is_shown(seen.holdings[key])}
        return replace(seen, sell_blocks=(*seen.sell_blocks, *self._blocks(seen.holdings, fresh))) if fresh else seen

    def open_changes(self, foreign: Mapping[InstrumentId, Contracts]) -> frozenset[InstrumentId]:
        """Contracts whose change is not done with: not remembered yet, so that the next keeper sees it anew."""
        return frozenset(
            leg.instrument.id
            for leg, key in self._margined()
            if key in self._awaited and foreign.get(leg.instrument.id, NO_CONTRACTS) > 0
        )

    def _note(self, seen: Snapshot, remembered: Remembered) -> set[tuple[AccountId, str]]:
        """Begin to wait for the wallets behind what others made smaller in this look; which ones are new."""
        fresh: set[tuple[AccountId, str]] = set()
        for leg, key in self._margined():
            at = leg.instrument.id
            if at in self._noted:
                continue
            smaller, now = seen.foreign.get(at, NO_CONTRACTS), seen.holdings.get(key)
            before = self._beside.get(at, remembered.holdings.get(key))
            if smaller == 0 and at in seen.positions and now is not None:
                self._beside[at] = now
            if smaller <= 0 or before is None or key in self._awaited:
                continue
            brings = _brings(smaller, seen.positions.get(at), seen.marks.get(at))
            self._awaited[key] = _Awaited(before, brings, self._clock.monotonic())
            fresh.add(key)
        return fresh

    def _margined(self) -> Iterator[tuple[Leg, tuple[AccountId, str]]]:
        for leg in (leg for hedge in self._hedges() for leg in hedge.legs):
            if leg.collateral is not None:
                yield leg, (leg.collateral, leg.instrument.settle)

    @staticmethod
    def _blocks(
        holdings: Mapping[tuple[AccountId, str], Base], keys: Collection[tuple[AccountId, str]]
    ) -> Iterator[tuple[str, Reason]]:
        for account, coin in keys:
            if (account, coin) in holdings:
                shown = plain(holdings[account, coin])
                text = f"others made a short smaller that {account} margins, and its {coin} reads {shown}"
                text += "; shorted again once it shows what that brought or took"
                yield str(account), Reason("wallet_lags", text)


def _brings(smaller: Contracts, position: Position | None, mark: Mark | None) -> Decimal | None:
    """Coins that closing so many contracts at about the mark brought (negative: took), or None where none can be told:
    the whole position went, or its price is not known.
    """
    if position is None or mark is None or position.entry_price is None or position.contracts == 0:
        return None
    instrument = position.instrument
    brought = instrument.delta(smaller, mark.mark) - instrument.delta(smaller, position.entry_price)
    return brought or None
