"""What a venue shows of a market beside its mark: books, candles, settled funding rates, what is listed, fees.

Histories are asked for span by span, each span no longer than one page can hold: whichever end of a full page a venue
keeps, nothing of it is lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from keeper.core.model import Contracts, Instrument
from keeper.core.quotes import Book, Candle, Fees, FundingRate, Level
from keeper.venue.base import BadReadingError, UnknownSymbolError, VenueError
from keeper.venue.connection import Connection
from keeper.venue.figures import Row, decimal_of
from keeper.venue.further import NotOfferedError
from keeper.venue.parsing import positive, rows_at

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
SPANS_MAX = 200
CLOSED_AFTER_MS = 5_000
"""Our clock may run ahead of the venue's: a candle counts as closed a little later than it should be."""


class Charts:
    """Reads of one venue's market data over a shared connection."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self.name = connection.name

    # Books

    async def book(self, instrument: Instrument, levels: int = 50) -> Book:
        """The visible book, best level first, sizes in contracts."""
        symbol = instrument.id.symbol
        self._offered("fetchOrderBook")
        depths = self._at.capability.book_depths
        asked = next((depth for depth in depths if depth >= levels), depths[-1]) if depths else levels
        async with self._at.deadline():
            answer = await self._at.unified("fetch_order_book", symbol, asked)
            unit = self._at.unit(symbol)
            bids = _levels(answer.get("bids"), unit, f"{instrument.id} bids")[:levels]
            asks = _levels(answer.get("asks"), unit, f"{instrument.id} asks")[:levels]
            _check_order(instrument, bids, asks)
            stamp = answer.get("timestamp")
            return Book(instrument.id, bids, asks, int(decimal_of(stamp, "book time")) if stamp is not None else None)

    # Histories

    async def candles(self, symbol: str, timeframe: str, since_ms: int, until_ms: int) -> tuple[Candle, ...]:
        """Closed candles that open in [since, until), oldest first; of no more than a day each."""
        step = self._step(timeframe)
        market = self._at.market(symbol)
        now = self._at.clock.now_ms()
        end = min(until_ms, now)
        rows_a_page, until = self._at.capability.candles_a_page, self._at.capability.candle_until
        extra = self._at.capability.candle_params(market)
        if extra is None:
            raise NotOfferedError(f"{self.name}: candles of {symbol} cannot be asked for by time")
        found: dict[int, Candle] = {}
        for start, stop in _spans(since_ms, end, max(1, rows_a_page - 1) * step, f"{self.name} {symbol} candles"):
            params = {**extra, until: stop - 1} if until else dict(extra)
            async with self._at.deadline():
                answer = await self._at.unified("fetch_ohlcv", symbol, timeframe, start, rows_a_page, params)
                for candle in _candles(answer, f"{self.name} {symbol}"):
                    if since_ms <= candle.open_ms < end and candle.open_ms + step + CLOSED_AFTER_MS <= now:
                        found[candle.open_ms] = candle
        return tuple(found[at] for at in sorted(found))

    def _step(self, timeframe: str) -> int:
        self._offered("fetchOHLCV")
        client: Any = self._at.client
        if timeframe not in (client.timeframes or {}):
            raise NotOfferedError(f"{self.name}: no candles of {timeframe}; there are {', '.join(client.timeframes)}")
        step = int(client.parse_timeframe(timeframe)) * 1000
        if step > DAY_MS:
            raise NotOfferedError(f"{self.name}: candles longer than a day begin on other days from venue to venue")
        return step

    async def funding_rates(self, instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
        """Settled rates since then, oldest first (positive: longs pay shorts); a dated contract has none."""
        if instrument.expires_at_ms is not None:
            return ()
        market = self._at.market(instrument.id.symbol)
        history = self._at.capability.rates
        if history.never(market):
            raise NotOfferedError(f"{instrument.id}: this venue does not show the past funding rates of such contracts")
        now = self._at.clock.now_ms()
        found: dict[int, FundingRate] = {}
        if history.read is not None and history.start is None:
            rows = await self._raw_rates(market, {})
            found.update({rate.at_ms: rate for rate in rows})
        else:
            width = history.rows_a_page * HOUR_MS
            for start, stop in _spans(since_ms, now + 1, width, f"{instrument.id} funding rates"):
                rows = await self._rates(instrument, market, start, stop)
                found.update({rate.at_ms: rate for rate in rows})
        return tuple(found[at] for at in sorted(found) if since_ms <= at <= now)

    async def _rates(self, instrument: Instrument, market: Row, start: int, stop: int) -> list[FundingRate]:
        history = self._at.capability.rates
        if history.start is not None:
            return await self._raw_rates(market, {history.start: start, history.end: stop - 1})
        self._offered("fetchFundingRateHistory")
        symbol = instrument.id.symbol
        params = {history.end: stop - 1} if history.end else {}
        async with self._at.deadline():
            answer = await self._at.unified("fetch_funding_rate_history", symbol, start, history.rows_a_page, params)
            rows = rows_at(answer, (), f"{instrument.id} funding rates")
            return [_rate(row, "timestamp", "fundingRate", str(instrument.id)) for row in rows]

    async def _raw_rates(self, market: Row, span: Mapping[str, Any]) -> list[FundingRate]:
        history = self._at.capability.rates
        assert history.read is not None  # noqa: S101 - asked only where there is one
        keys = self._at.keys(market, self._at.capability.product_of(market))
        async with self._at.deadline():
            rows = await self._at.rows(history.read, {**keys, **span})
            return [_rate(row, history.at, history.rate, f"{self.name}:{market['symbol']}") for row in rows]

    # Listings and fees

    def listed(self, base: str) -> Sequence[Instrument]:
        """Every future and perpetual on ``base`` that trades now and can hedge, as loaded by the last ``open()``.

        Quanto contracts, and coin-margined ones where the collateral is not known, are left out.
        """
        now = self._at.clock.now_ms()
        found = []
        for symbol, market in self._at.markets().items():
            if market.get("base") != base or not market.get("contract") or market.get("option"):
                continue
            if market.get("active") is False:
                continue
            try:
                instrument = self._at.instrument(symbol)
            except (UnknownSymbolError, BadReadingError):
                continue  # it cannot carry a hedge; naming it in the configuration says why
            if instrument.expires_at_ms is None or instrument.expires_at_ms > now:
                found.append(instrument)
        return tuple(sorted(found, key=lambda each: (each.expires_at_ms or 0, each.id.symbol)))

    def price_band(self, instrument: Instrument) -> tuple[Decimal, Decimal] | None:
        """The lowest price of a sell and the highest of a buy, as shares of the mark; None where it is not told."""
        return self._at.capability.price_band(self._at.market(instrument.id.symbol))

    async def fees(self, instrument: Instrument) -> Fees | None:
        """What the account pays; else what the list of markets says; None where neither says anything."""
        symbol = instrument.id.symbol
        if self._at.client.has.get("fetchTradingFee") is True:
            try:
                async with self._at.deadline():
                    answer = await self._at.unified("fetch_trading_fee", symbol)
                    own = _fees(answer, str(instrument.id), of_account=True)
            except VenueError:
                own = None  # the key may not ask, or the venue does not say: what is listed is the next best
            if own is not None:
                return own
        return _fees(self._at.market(symbol), str(instrument.id), of_account=False)

    def _offered(self, name: str) -> None:
        if self._at.client.has.get(name) is not True:
            raise NotOfferedError(f"{self.name}: the client has no {name} for this venue")


def _spans(since_ms: int, until_ms: int, width_ms: int, what: str) -> list[tuple[int, int]]:
    """[since, until) in spans of at most ``width_ms``; raises where that would be too many to ask for."""
    if until_ms <= since_ms:
        return []
    if until_ms - since_ms > SPANS_MAX * width_ms:
        raise NotOfferedError(f"{what}: {(until_ms - since_ms) // DAY_MS} days are more than {SPANS_MAX} pages hold")
    return [(start, min(start + width_ms, until_ms)) for start in range(since_ms, until_ms, width_ms)]


def _levels(side: Any, unit: Decimal, what: str) -> tuple[Level, ...]:
    if not isinstance(side, list):
        raise BadReadingError(f"{what} are not a list")
    found = []
    for row in side:
        if not isinstance(row, list) or len(row) < 2:
            raise BadReadingError(f"{what}: a level is {row!r:.40}")
        level = {"price": row[0], "size": row[1]}
        size = decimal_of(row[1], f"{what} size")
        if size == 0:
            continue  # some venues list a level that has just emptied
        found.append(Level(positive(level, "price", what), Contracts(positive(level, "size", what) / unit)))
    return tuple(found)


def _check_order(instrument: Instrument, bids: Sequence[Level], asks: Sequence[Level]) -> None:
    down = all(upper.price > lower.price for upper, lower in itertools.pairwise(bids))
    up = all(lower.price < upper.price for lower, upper in itertools.pairwise(asks))
    if not (down and up):
        raise BadReadingError(f"{instrument.id}: the levels of the book are out of order")
    if bids and asks and bids[0].price >= asks[0].price:
        raise BadReadingError(f"{instrument.id}: bid {bids[0].price} is not below ask {asks[0].price}")


def _candles(answer: Any, what: str) -> list[Candle]:
    if not isinstance(answer, list):
        raise BadReadingError(f"{what}: the candles are not a list")
    found = []
    for row in answer:
        if not isinstance(row, list) or len(row) < 5:
            raise BadReadingError(f"{what}: a candle is {row!r:.40}")
        found.append(Candle(int(decimal_of(row[0], f"{what} candle time")), positive({"close": row[4]}, "close", what)))
    return found


def _rate(row: Row, at: str, rate: str, what: str) -> FundingRate:
    return FundingRate(
        int(decimal_of(row.get(at), f"{what} funding time")), decimal_of(row.get(rate), f"{what} funding rate")
    )


def _fees(row: Any, what: str, *, of_account: bool) -> Fees | None:
    if not isinstance(row, Mapping) or row.get("maker") is None or row.get("taker") is None:
        return None
    maker, taker = (decimal_of(row[name], f"{what} {name} fee") for name in ("maker", "taker"))
    return Fees(maker, taker, of_account)
