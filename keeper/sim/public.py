"""The exchange's public side: what is listed, what it costs, and what everybody may see of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from keeper.sim.events import MarketChanged
from keeper.sim.rooms import Rooms
from keeper.sim.seams import Question, Reading
from keeper.sim.types import (
    ZERO,
    ExchangeOptions,
    Filters,
    FundingRecord,
    Kline,
    Market,
    MarketKey,
    MarketKind,
    MarketStatus,
    OpenInterest,
    OrderBook,
    Premium,
    PublicTrade,
    Ticker,
)

SHOWN_AFTER_DELIVERY_MS = 3_600_000
"""For so long a delivered contract is still listed."""


class PublicFace(Rooms):
    """Markets, prices and public data."""

    # --- markets ------------------------------------------------------------------------------------------------------

    def markets(self, kind: MarketKind | None = None) -> tuple[Market, ...]:
        """All markets, whatever their status, in the order in which they were added."""
        found = tuple(each for each in self._state.markets.values() if kind in (None, each.kind))
        return self._answer(Reading.MARKETS, None, found, Question(kind))

    def market(self, key: MarketKey) -> Market:
        """One market. Raises UNKNOWN_SYMBOL."""
        return self._state.market(key)

    def add_market(self, market: Market) -> None:
        """List a market, dated ones too; its base needs a price (``set_price``) before it can be traded."""
        self._state.add_market(market)
        self._funding.schedule(market)
        self._state.publish(MarketChanged(self._state.now, market.key, market.status))

    def set_status(self, key: MarketKey, status: MarketStatus) -> None:
        """Open, halt or delist a market; resting orders stay, and may fill when it opens again."""
        self._state.set_status(key, status)
        if key in self._state.tapes:
            self._matcher.rematch(self._state.market(key))

    def set_filters(self, key: MarketKey, filters: Filters) -> None:
        """Replace a market's filters (use ``dataclasses.replace`` on the present ones); resting orders stay."""
        self._state.replace_market(replace(self._state.market(key), filters=filters))

    def update_market(self, market: Market) -> None:
        """Replace a listed market whole: fees, precision, leverage cap, funding interval, expiry."""
        regridded = self._state.market(market.key).funding_interval_hours != market.funding_interval_hours
        self._state.replace_market(market)
        if regridded:
            self._funding.schedule(market)

    # --- prices -------------------------------------------------------------------------------------------------------

    def set_options(self, options: ExchangeOptions) -> None:
        """Change spread, depth and refill at run time; what accounts have set themselves stays."""
        self._state.options = options
        self._quotes.rebuild_all()

    def set_price(self, asset: str, price: Decimal) -> None:
        """Set a base asset's index price (quote units > 0): moves its markets, fills resting orders, liquidates."""
        self._quotes.set_index(asset, price)
        self._liquidate()

    def list_quarters(self, like: MarketKey, yearly: Decimal = ZERO) -> tuple[MarketKey, ...]:
        """List the current and the next quarter of a perpetual, and a new one whenever one expires.

        ``yearly`` is the basis at which each is listed, a fraction of the index a year; it shrinks with the time left.
        """
        self._calendar.follow(self._state.contract(like), yearly)
        before = set(self._state.markets)
        self.advance()
        return tuple(key for key in self._state.markets if key not in before)

    def set_basis(self, key: MarketKey, ratio: Decimal) -> None:
        """Set a contract's mark to index × (1 + ratio); a dated one's shrinks from there to zero at its expiry."""
        self._quotes.set_basis(self._state.contract(key), ratio)
        self._liquidate()

    def set_funding_rate(self, key: MarketKey, rate: Decimal) -> None:
        """Set the rate of the coming settlements, a fraction of notional; > 0: longs pay shorts."""
        self._funding.set_rate(self._state.market(key), rate)

    def set_funding_interval(self, key: MarketKey, hours: int) -> None:
        """Change the settlement interval (1, 2, 4 or 8 hours); the next settlement moves to the new grid."""
        self._funding.set_interval(self._state.market(key), hours)

    def apply_funding(self, key: MarketKey) -> FundingRecord:
        """Settle funding now, outside the timetable."""
        record = self._funding.settle(self._state.market(key), self._state.now)
        self._liquidate()
        return record

    def advance(self) -> None:
        """Do what has fallen due by the clock: funding, book refill, expiry."""
        self._state.interceptor.on_advance()
        self._funding.settle_due()
        self._quotes.refill()
        self._quotes.converge()
        for market in tuple(self._state.markets.values()):
            if market.expiry_ms is not None and market.expiry_ms <= self._state.now:
                self._end(market, self._state.now - market.expiry_ms)
        for coming in self._calendar.due(self._state.now):
            self.add_market(coming.market)
            self.set_basis(coming.market.key, coming.basis_ratio)
        self._liquidate()

    def _end(self, market: Market, passed_ms: int) -> None:
        """The end of a dated contract, as long after its expiry: no more trade, delivery, gone from the lists."""
        delivery_ms = self._state.options.delivery_ms
        if market.status is MarketStatus.DELIVERED:
            if passed_ms >= delivery_ms + SHOWN_AFTER_DELIVERY_MS:
                self._state.set_status(market.key, MarketStatus.DELISTED)
        elif market.status is not MarketStatus.DELISTED and self._state.has_price(market):
            if passed_ms >= delivery_ms:
                self._forced.deliver(market)
            elif market.status is not MarketStatus.SETTLING:
                self._forced.stop_trading(market)

    def index_price(self, asset: str) -> Decimal:
        """The asset's index price in quote units (stable coins: 1). Raises UNKNOWN_SYMBOL."""
        return self._state.index(asset)

    def mark_price(self, key: MarketKey) -> Decimal:
        """A contract's mark price; for spot the index price of the pair."""
        return self._state.mark(self._state.market(key))

    # --- public data --------------------------------------------------------------------------------------------------

    def book(self, key: MarketKey, depth: int = 20) -> OrderBook:
        """The book with all accounts' resting orders in it, at most ``depth`` levels a side."""
        shown = self._quotes.book(self._state.market(key), depth)
        return self._answer(Reading.BOOK, None, shown, Question(market=key, detail=depth))

    def ticker(self, key: MarketKey) -> Ticker:
        """24-hour statistics."""
        return self._answer(Reading.TICKER, None, self._quotes.ticker(self._state.market(key)), Question(market=key))

    def klines(
        self,
        key: MarketKey,
        interval_ms: int,
        *,
        limit: int = 500,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> tuple[Kline, ...]:
        """Bars, oldest first, the running one last; from ``start_ms`` on if given, else the last before ``end_ms``.

        Before the exchange was made the history is synthetic and reaches back as far as asked.
        """
        tape = self._quotes.tape(self._state.market(key))
        bars = tape.klines(self._state.now, interval_ms, limit, start_ms, end_ms)
        return self._answer(Reading.KLINES, None, bars)

    def premium(self, key: MarketKey) -> Premium:
        """Mark, index, funding rate and next settlement of a contract. Raises BAD_PARAMETER for spot."""
        return self._answer(
            Reading.PREMIUM, None, self._funding.premium(self._state.contract(key)), Question(market=key)
        )

    def public_trades(self, key: MarketKey, limit: int = 500) -> tuple[PublicTrade, ...]:
        """The tape's last prints, oldest first."""
        prints = tuple(self._quotes.tape(self._state.market(key)).prints)[-limit:]
        return self._answer(Reading.TRADES, None, prints)

    def funding_history(
        self, key: MarketKey, *, limit: int = 100, start_ms: int | None = None, end_ms: int | None = None
    ) -> tuple[FundingRecord, ...]:
        """Settlements, oldest first: from ``start_ms`` on if given, else the last; begins with a synthetic past."""
        records = self._funding.history(self._state.contract(key), limit, start_ms, end_ms)
        return self._answer(Reading.FUNDING_HISTORY, None, records)

    def open_interest(self, key: MarketKey) -> OpenInterest:
        """Open positions of the whole market."""
        return self._answer(Reading.OPEN_INTEREST, None, self._quotes.open_interest(self._state.contract(key)))

    def open_interest_history(self, key: MarketKey, interval_ms: int, limit: int = 30) -> tuple[OpenInterest, ...]:
        """Synthetic figures on the interval's grid, oldest first, ending with the present one."""
        rows = self._quotes.open_interest_history(self._state.contract(key), interval_ms, limit)
        return self._answer(Reading.OPEN_INTEREST, None, rows)

    def set_open_interest(self, key: MarketKey, quantity: Decimal) -> None:
        """Set what the rest of the market holds, order units; our accounts' positions come on top."""
        self._state.open_interest[self._state.contract(key).key] = quantity
