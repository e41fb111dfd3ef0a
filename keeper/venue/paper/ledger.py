"""The margin of a paper account at the venue's present prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from keeper.core.model import ONE, Instrument
from keeper.venue.base import BadReadingError, UnknownSymbolError
from keeper.venue.further import AccountMargin
from keeper.venue.paper.account import Account
from keeper.venue.paper.margin import Pool, Stake, pools, unified
from keeper.venue.paper.market import Market
from keeper.venue.paper.terms import Premises, Terms

DOLLAR = "USDT"
"""What a unified account is reckoned in; dollar-like coins stand for each other there."""


class Ledger:
    """Values one account."""

    def __init__(self, account: Account, market: Market, terms: Terms, premises: Premises, name: str) -> None:
        self._account = account
        self._market = market
        self._terms = terms
        self._premises = premises
        self._name = name

    def leverage(self, symbol: str) -> Decimal:
        """The leverage of a contract: as it was set, else as the configuration assumes it."""
        return self._account.leverage(symbol) or self._terms.leverage

    async def margins(self) -> tuple[AccountMargin, ...]:
        """Every pool that carries a position, or has money for a contract that a hedge names.

        Raises :class:`~keeper.venue.base.VenueError` without prices.
        """
        found, _, _ = await self._valued(None)
        if not self._premises.unified:
            found = {**pools(self._account.wallets(), self._named()), **found}
        rate = self._terms.maintenance_ratio
        return tuple(pool.told(self._name, rate) for pool in found.values() if pool.positions or pool.equity > 0)

    def _named(self) -> Iterator[tuple[str, str]]:
        """Where the contracts that hedges name are margined; what is listed no more is nothing to prepare for."""
        for symbol in self._terms.named:
            try:
                yield self._key(self._market.source.instrument(symbol))
            except UnknownSymbolError:
                continue

    async def pool_of(self, instrument: Instrument) -> tuple[Pool, Mapping[str, Decimal], Decimal]:
        """The pool that carries ``instrument``, the marks, and what one unit of its settle currency is there."""
        found, marks, worths = await self._valued(instrument)
        key = self._key(instrument)
        return found[key], marks, worths[instrument.settle]

    def _key(self, instrument: Instrument) -> tuple[str, str]:
        return ("", "") if self._premises.unified else (self._account.margin_wallet(instrument), instrument.settle)

    async def _valued(
        self, more: Instrument | None
    ) -> tuple[dict[tuple[str, str], Pool], Mapping[str, Decimal], Mapping[str, Decimal]]:
        held = self._account.positions()
        resting = [order for order in self._account.open_orders() if not order.reduce_only]
        known = {each.instrument.id.symbol: each.instrument for each in held}
        known |= {order.symbol: self._market.source.instrument(order.symbol) for order in resting}
        if more is not None:
            known[more.id.symbol] = more
        marks = await self._market.marks_of(known.values())
        settles = {each.settle for each in known.values()}
        worths = dict.fromkeys(settles, ONE)
        if self._premises.unified:
            coins = self._account.wallet("")
            worths = dict(await self._market.source.asset_prices(sorted(settles | coins.keys()), DOLLAR))
            unpriced = sorted(settles - worths.keys())
            if unpriced:
                raise BadReadingError(f"{self._name}: {unpriced[0]} has no price, so its margin is not known")
            found = {("", ""): unified(coins, worths)}
        else:
            found = pools(self._account.wallets(), map(self._key, known.values()))
        for each in held:
            stake = self._stake(each.instrument, each.contracts, marks, worths)
            found[self._key(each.instrument)].add(each, stake)
        for order in resting:
            instrument = known[order.symbol]
            found[self._key(instrument)].resting.append(self._stake(instrument, order.remaining, marks, worths))
        return found, marks, worths

    def _stake(
        self, instrument: Instrument, contracts: Decimal, marks: Mapping[str, Decimal], worths: Mapping[str, Decimal]
    ) -> Stake:
        symbol = instrument.id.symbol
        return Stake(instrument, contracts, marks[symbol], self.leverage(symbol), worths[instrument.settle])
