"""What an account's margin comes to, pure: what is owed, what is free, where it ends.

A unified account is one pool in USD; elsewhere each wallet margins the contracts that settle in its coins, each coin
for itself. No discount is taken from collateral, and maintenance is one rate for every size: a venue that is stricter
liquidates earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from keeper.core.model import ONE, ZERO, AccountId, Instrument, Kind
from keeper.venue.further import AccountMargin, PositionMargin
from keeper.venue.paper.account import Held
from keeper.venue.paper.sums import profit, value

UNIFIED = "USD"


@dataclass(frozen=True, slots=True)
class Stake:
    """Something that needs margin: a position, or the part of an order that would enlarge one."""

    instrument: Instrument
    contracts: Decimal
    mark: Decimal
    leverage: Decimal
    worth: Decimal = ONE
    """What one unit of the settle currency is in the pool's asset."""

    @property
    def size(self) -> Decimal:
        """Its absolute value in the pool's asset."""
        return abs(value(self.instrument, self.contracts, self.mark)) * self.worth

    @property
    def initial(self) -> Decimal:
        """The margin that has to be there to open it."""
        return self.size / self.leverage


@dataclass(slots=True)
class Pool:
    """Coins that margin the same contracts; money in units of ``asset``."""

    wallet: str
    asset: str
    equity: Decimal = ZERO
    positions: list[tuple[Held, Stake]] = field(default_factory=list)
    resting: list[Stake] = field(default_factory=list)

    @property
    def available(self) -> Decimal:
        """What could margin something more."""
        used = sum((stake.initial for _, stake in self.positions), ZERO)
        return self.equity - used - sum((stake.initial for stake in self.resting), ZERO)

    def add(self, held: Held, stake: Stake) -> None:
        """Count a position, with what it has earned and not been paid yet."""
        self.positions.append((held, stake))
        self.equity += profit(held.instrument, held.contracts, held.entry, stake.mark) * stake.worth

    def told(self, venue: str, rate: Decimal) -> AccountMargin:
        """The pool as the loop reads a margin account; maintenance is ``rate`` of every position's value."""
        owed = sum((stake.size * rate for _, stake in self.positions), ZERO)
        rows = tuple(
            PositionMargin(held.instrument.id, stake.size * rate, self._end(stake, rate, owed - stake.size * rate))
            for held, stake in self.positions
        )
        free = max(ZERO, self.available)
        return AccountMargin(AccountId(venue, self.wallet), self.asset, self.equity, owed, free, rows)

    def _end(self, stake: Stake, rate: Decimal, others: Decimal) -> Decimal | None:
        """The price at which equity is down to maintenance while everything else stays; None where there is none.

        Linear: E + n·s·(P - M) = μ·|n|·s·P + others; inverse short of N: E - N·(1/M - 1/P) = μ·N/P + others. In a
        unified account the coins move as well, and no single price says it.
        """
        if self.asset == UNIFIED:
            return None
        size = abs(stake.contracts) * stake.instrument.contract_size
        short = stake.contracts < 0
        if stake.instrument.kind is Kind.INVERSE:
            below = size / stake.mark + others - self.equity if short else self.equity - others + size / stake.mark
            above = size * (ONE - rate if short else ONE + rate)
        elif short:
            above, below = self.equity + size * stake.mark - others, size * (ONE + rate)
        else:
            above, below = size * stake.mark + others - self.equity, size * (ONE - rate)
        return above / below if above > 0 and below > 0 else None


def pools(
    wallets: Mapping[str, Mapping[str, Decimal]], carried: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Pool]:
    """A pool for each (wallet, settle currency) that carries contracts, with its coins."""
    found: dict[tuple[str, str], Pool] = {}
    for wallet, asset in carried:
        found.setdefault((wallet, asset), Pool(wallet, asset, wallets.get(wallet, {}).get(asset, ZERO)))
    return found


def unified(coins: Mapping[str, Decimal], prices: Mapping[str, Decimal]) -> Pool:
    """One pool of all coins of an account, at their prices in USD; those that have none do not count."""
    worth = sum((amount * prices[asset] for asset, amount in coins.items() if asset in prices), ZERO)
    return Pool("", UNIFIED, worth)
