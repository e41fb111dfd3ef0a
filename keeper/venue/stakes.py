"""A margin that no field of a venue states whole: what it is worked out from, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from keeper.core.model import ZERO, Contracts, Instrument, Kind
from keeper.venue.base import BadReadingError


@dataclass(frozen=True, slots=True)
class Stake:
    """A position whose margin is worked out. ``contracts`` are signed (short < 0), prices are quote money; ``info`` is
    the venue's own row of the contract, ``row`` that of the position.
    """

    instrument: Instrument
    info: Mapping[str, Any]
    row: Mapping[str, Any]
    contracts: Decimal
    entry: Decimal | None
    mark: Decimal | None
    isolated: bool

    @property
    def price(self) -> Decimal:
        """The mark; raises :class:`BadReadingError` where none is told."""
        if self.mark is None:
            raise BadReadingError(f"{self.instrument.id}: no mark is told, so its margin is not known")
        return self.mark

    @property
    def value(self) -> Decimal:
        """Worth at the mark in units of what the contract settles in, not negative."""
        notional = abs(Decimal(self.instrument.notional(Contracts(self.contracts), self.price)))
        return notional / self.price if self.instrument.kind is Kind.INVERSE else notional

    @property
    def profit(self) -> Decimal:
        """Open profit at the mark in the same units; raises :class:`BadReadingError` where the entry is not told."""
        if self.entry is None:
            raise BadReadingError(f"{self.instrument.id}: no entry price is told, so its profit is not known")
        if self.instrument.kind is Kind.INVERSE:
            return Decimal(self.instrument.coin_pnl(Contracts(self.contracts), self.entry, self.price))
        return self.contracts * self.instrument.contract_size * (self.price - self.entry)


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What cross positions have and need, in the account's asset, and what each stake needs (None: not known)."""

    equity: Decimal
    maintenance: Decimal
    needs: tuple[Decimal | None, ...]


def summed(equity: Decimal, stakes: Iterable[Stake], needs: Iterable[Decimal], at_least: Decimal = ZERO) -> Reckoned:
    """The account whose maintenance is what its cross positions need, or ``at_least``, where the venue says more."""
    each = tuple(needs)
    total = sum((need for stake, need in zip(stakes, each, strict=True) if not stake.isolated), ZERO)
    return Reckoned(equity, max(total, at_least), each)
