"""Contracts, and the wallets and venues that they belong to: units, ids, conversions, legs and rolls.

Signs and units are those of :mod:`keeper.core.model`, which has all of these names too.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NewType

Base = NewType("Base", Decimal)
"""A quantity of coins (base units), signed."""
Contracts = NewType("Contracts", Decimal)
"""A number of contracts, signed where it is a position and positive where it is an order's size."""
Quote = NewType("Quote", Decimal)
"""An amount of quote money."""

ZERO = Decimal(0)
ONE = Decimal(1)
NO_BASE = Base(ZERO)
NO_CONTRACTS = Contracts(ZERO)
NO_QUOTE = Quote(ZERO)


class Kind(StrEnum):
    """What one contract is worth: see the table in :class:`Instrument`."""

    LINEAR = "linear"
    INVERSE = "inverse"
    INDEX = "index"


@dataclass(frozen=True, slots=True, order=True)
class AccountId:
    """A wallet: the venue's name in the config, and the wallet's name ("" is its spot wallet or unified account)."""

    venue: str
    wallet: str = ""

    def __str__(self) -> str:
        return f"{self.venue}.{self.wallet}" if self.wallet else self.venue


@dataclass(frozen=True, slots=True, order=True)
class InstrumentId:
    """A contract: the venue's name in the config, and the unified symbol."""

    venue: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One futures contract and its conversions.

    ====== ========================= ====================== ===========================
    kind   ``contract_size``         delta of n contracts   notional of n contracts
    ====== ========================= ====================== ===========================
    linear base units a contract     n·size                 n·size·mark
    inverse quote units a contract   n·size/mark            n·size
    index  quote a point             n·size·index/price     n·size·index
    ====== ========================= ====================== ===========================
    """

    id: InstrumentId
    base: str
    quote: str
    settle: str
    kind: Kind
    contract_size: Decimal
    step_contracts: Contracts
    tick: Decimal
    min_contracts: Contracts = NO_CONTRACTS
    max_contracts: Contracts | None = None
    min_notional: Quote = NO_QUOTE
    min_notional_on_covers: bool = True
    expires_at_ms: int | None = None

    def notional(self, contracts: Contracts, mark: Decimal) -> Quote:
        """Quote value of ``contracts`` at ``mark`` (for an index contract the index level), with their sign."""
        if self.kind is Kind.INVERSE:
            return Quote(contracts * self.contract_size)
        return Quote(contracts * self.contract_size * mark)

    def delta(self, contracts: Contracts, mark: Decimal) -> Base:
        """Base units that ``contracts`` stand for at ``mark``, with their sign."""
        if self.kind is Kind.LINEAR:
            return Base(contracts * self.contract_size)
        return Base(self.notional(contracts, mark) / mark)

    def contracts_for(self, delta: Base, mark: Decimal) -> Contracts:
        """The inverse of :meth:`delta`; not rounded to the step."""
        if self.kind is Kind.LINEAR:
            return Contracts(delta / self.contract_size)
        if self.kind is Kind.INVERSE:
            return Contracts(delta * mark / self.contract_size)
        return Contracts(delta / self.contract_size)

    def coin_pnl(self, contracts: Contracts, entry: Decimal, mark: Decimal) -> Base:
        """Unrealised PnL in coins, n·size·(1/entry - 1/mark); zero unless the contract is coin-margined."""
        if self.kind is not Kind.INVERSE or contracts == 0:
            return Base(ZERO)
        return Base(contracts * self.contract_size * (ONE / entry - ONE / mark))


@dataclass(frozen=True, slots=True)
class Position:
    """A position as the venue states it: signed contracts (short < 0)."""

    instrument: Instrument
    contracts: Contracts
    entry_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    over_entries: Decimal | None = None
    """Of a long and a short of one coin-margined contract that no single entry price stands for: the sum of contracts
    over entry price, with signs. Their profit stays where they cancel out.
    """

    def coin_pnl(self, mark: Decimal) -> Base | None:
        """Unrealised PnL in coins at ``mark``; None where no entry price was told."""
        of = self.instrument
        if of.kind is Kind.INVERSE and self.over_entries is not None:
            return Base(of.contract_size * (self.over_entries - self.contracts / mark))
        if of.kind is not Kind.INVERSE or self.contracts == 0:
            return Base(ZERO)
        return of.coin_pnl(self.contracts, self.entry_price, mark) if self.entry_price else None


@dataclass(frozen=True, slots=True)
class Mark:
    """Prices in quote per base unit, the venue's own stamp where there is one; with a ``fault`` they are only shown."""

    mark: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    index: Decimal | None = None
    funding_rate: Decimal | None = None
    at_ms: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One contract that may carry a hedge.

    ``share`` is its part of the target, or None where the legs stand in order of preference. ``collateral`` is the
    wallet that margins the contract in its own coin, or None; ``collateral_is_spot`` says that this wallet is a unified
    account whose balance is spot as well.
    """

    instrument: Instrument
    share: Decimal | None = None
    collateral: AccountId | None = None
    collateral_is_spot: bool = False


@dataclass(frozen=True, slots=True)
class Roll:
    """A short on its way from ``source`` to ``target``, begun at ``since_ms`` (wall time). Both count meanwhile."""

    source: InstrumentId
    target: InstrumentId
    since_ms: int
