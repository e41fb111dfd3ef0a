"""Public prices over HTTP, for all three products: time, books, tickers, trades, klines."""

from __future__ import annotations

from decimal import Decimal

from keeper.clock import Clock
from keeper.sim.exchange import Exchange
from keeper.sim.types import Kline, Market, MarketKey, MarketKind, MarketStatus, PublicTrade, Ticker
from keeper.sim.wire import errors, exchange_info
from keeper.sim.wire.request import Call, Routes, keyed, public
from keeper.sim.wire.text import Json, at_step, fixed8, plain

MINUTE_MS = 60_000
INTERVALS_MS = {
    "1s": 1_000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": 1_440 * MINUTE_MS,
    "3d": 4_320 * MINUTE_MS,
    "1w": 10_080 * MINUTE_MS,
}
DEPTH_MAX = 1_000


def interval_ms(name: str) -> int:
    """The length of a bar; refuses names that are not Binance's with -1120."""
    found = INTERVALS_MS.get(name)
    if found is None:
        raise errors.invalid_interval()
    return found


class MarketData:
    """One product's public data."""

    def __init__(self, exchange: Exchange, clock: Clock, kind: MarketKind) -> None:
        self._exchange = exchange
        self._clock = clock
        self._kind = kind

    def routes(self) -> Routes:
        """The routes, under the product's prefix."""
        prefix = {MarketKind.SPOT: "/api/v3", MarketKind.LINEAR: "/fapi/v1", MarketKind.INVERSE: "/dapi/v1"}[self._kind]
        routes: Routes = {
            ("GET", f"{prefix}/ping"): public(lambda _: {}),
            ("GET", f"{prefix}/time"): public(lambda _: {"serverTime": self._clock.now_ms()}),
            ("GET", f"{prefix}/exchangeInfo"): public(self.exchange_info, 20),
            ("GET", f"{prefix}/depth"): public(self.depth, 5),
            ("GET", f"{prefix}/trades"): public(self.trades, 25),
            ("GET", f"{prefix}/historicalTrades"): keyed(self.trades, 25),
            ("GET", f"{prefix}/aggTrades"): public(self.aggregate_trades, 4),
            ("GET", f"{prefix}/klines"): public(self.klines, 2),
            ("GET", f"{prefix}/ticker/24hr"): public(self.day_ticker, 2),
            ("GET", f"{prefix}/ticker/price"): public(self.last_price, 2),
            ("GET", f"{prefix}/ticker/bookTicker"): public(self.best_prices, 2),
        }
        if self._kind is MarketKind.SPOT:
            routes["GET", f"{prefix}/ticker"] = public(self.day_ticker, 4)
            routes["GET", f"{prefix}/avgPrice"] = public(self.average_price, 2)
        if self._kind is MarketKind.LINEAR:
            routes["GET", "/fapi/v2/ticker/price"] = public(self.last_price, 2)
        return routes

    # --- which markets ----------------------------------------------------------------------------------------------

    def listed(self) -> list[Market]:
        """The product's markets, delisted ones left out."""
        return [market for market in self._exchange.markets(self._kind) if market.status is not MarketStatus.DELISTED]

    def market(self, call: Call) -> Market:
        """The market that ``symbol`` names; refuses with -1121."""
        return self._exchange.market(MarketKey(self._kind, call.text("symbol")))

    def _asked(self, call: Call) -> tuple[list[Market], bool]:
        """The markets asked about, and whether the answer is one object rather than a list."""
        symbols = call.names("symbols") if self._kind is MarketKind.SPOT else None
        if symbols is not None:
            return [self._exchange.market(MarketKey(self._kind, symbol)) for symbol in symbols], False
        if call.optional("symbol") is not None:
            return [self.market(call)], self._kind is not MarketKind.INVERSE
        pair = call.optional("pair")
        return [market for market in self.listed() if pair in (None, market.pair)], False

    # --- handlers ---------------------------------------------------------------------------------------------------

    def exchange_info(self, call: Call) -> Json:
        """All markets with their filters."""
        now_ms = self._clock.now_ms()
        if self._kind is MarketKind.LINEAR:
            return exchange_info.linear_info(self.listed(), now_ms)
        if self._kind is MarketKind.INVERSE:
            return exchange_info.inverse_info(self.listed(), now_ms)
        return exchange_info.spot_info(self._asked(call)[0], now_ms)

    def depth(self, call: Call) -> Json:
        """The order book with the number of its last change, from which the diff stream continues."""
        market = self.market(call)
        default = 100 if self._kind is MarketKind.SPOT else 500
        book = self._exchange.book(market.key, call.limit(default, DEPTH_MAX))
        body: dict[str, Json] = {
            "lastUpdateId": book.update_id,
            "bids": [[self.price(market, price), self.quantity(market, size)] for price, size in book.bids],
            "asks": [[self.price(market, price), self.quantity(market, size)] for price, size in book.asks],
        }
        if self._kind is not MarketKind.SPOT:
            body |= {"E": self._clock.now_ms(), "T": book.time_ms}
        if self._kind is MarketKind.INVERSE:
            body |= {"symbol": market.symbol, "pair": market.pair}
        return body

    def trades(self, call: Call) -> Json:
        """The last prints."""
        market = self.market(call)
        return [self._trade(market, trade) for trade in self._exchange.public_trades(market.key, call.limit(500))]

    def aggregate_trades(self, call: Call) -> Json:
        """The last prints, each an aggregate of itself."""
        market = self.market(call)
        best_match: dict[str, Json] = {"M": True} if self._kind is MarketKind.SPOT else {}
        rows: list[Json] = []
        for trade in self._exchange.public_trades(market.key, call.limit(500)):
            row: dict[str, Json] = {
                "a": trade.trade_id,
                "p": self.price(market, trade.price),
                "q": self.quantity(market, trade.quantity),
                "f": trade.trade_id,
                "l": trade.trade_id,
                "T": trade.time_ms,
                "m": trade.buyer_is_maker,
            }
            rows.append(row | best_match)
        return rows

    def klines(self, call: Call) -> Json:
        """Bars, oldest first."""
        market = self.market(call)
        bars = self._exchange.klines(
            market.key,
            interval_ms(call.text("interval")),
            limit=call.limit(500, 1_500),
            start_ms=call.optional_integer("startTime"),
            end_ms=call.optional_integer("endTime"),
        )
        return [self._bar(market, bar) for bar in bars]

    def day_ticker(self, call: Call) -> Json:
        """24-hour statistics of one market or of all."""
        markets, single = self._asked(call)
        rows = [self._day_row(market, self._exchange.ticker(market.key)) for market in markets]
        return rows[0] if single else list(rows)

    def last_price(self, call: Call) -> Json:
        """The last traded price of one market or of all."""
        markets, single = self._asked(call)
        rows: list[Json] = []
        for market in markets:
            ticker = self._exchange.ticker(market.key)
            row: dict[str, Json] = {"symbol": market.symbol, "price": self.price(market, ticker.last)}
            if self._kind is MarketKind.INVERSE:
                row["ps"] = market.pair
            if self._kind is not MarketKind.SPOT:
                row["time"] = self._clock.now_ms()
            rows.append(row)
        return rows[0] if single else rows

    def best_prices(self, call: Call) -> Json:
        """The best bid and ask of one market or of all."""
        markets, single = self._asked(call)
        rows: list[Json] = []
        for market in markets:
            book = self._exchange.book(market.key, 1)
            bid = book.bids[0] if book.bids else None
            ask = book.asks[0] if book.asks else None
            row: dict[str, Json] = {
                "symbol": market.symbol,
                "bidPrice": self.price(market, bid.price if bid else Decimal(0)),
                "bidQty": self.quantity(market, bid.quantity if bid else Decimal(0)),
                "askPrice": self.price(market, ask.price if ask else Decimal(0)),
                "askQty": self.quantity(market, ask.quantity if ask else Decimal(0)),
            }
            if self._kind is MarketKind.INVERSE:
                row["pair"] = market.pair
            if self._kind is not MarketKind.SPOT:
                row |= {"time": self._clock.now_ms(), "lastUpdateId": book.update_id}
            rows.append(row)
        return rows[0] if single else rows

    def average_price(self, call: Call) -> Json:
        """Spot's five-minute average; here the last price."""
        market = self.market(call)
        return {
            "mins": 5,
            "price": fixed8(self._exchange.ticker(market.key).weighted_average),
            "closeTime": self._clock.now_ms(),
        }

    # --- spelling ---------------------------------------------------------------------------------------------------

    def price(self, market: Market, value: Decimal) -> str:
        """A price as this product spells it."""
        return fixed8(value) if self._kind is MarketKind.SPOT else at_step(value, market.filters.tick)

    def quantity(self, market: Market, value: Decimal) -> str:
        """A quantity as this product spells it."""
        return fixed8(value) if self._kind is MarketKind.SPOT else at_step(value, market.filters.step)

    def _trade(self, market: Market, trade: PublicTrade) -> Json:
        other = "baseQty" if self._kind is MarketKind.INVERSE else "quoteQty"
        row: dict[str, Json] = {
            "id": trade.trade_id,
            "price": self.price(market, trade.price),
            "qty": self.quantity(market, trade.quantity),
            other: fixed8(trade.quote_quantity),
            "time": trade.time_ms,
            "isBuyerMaker": trade.buyer_is_maker,
        }
        return row | {"isBestMatch": True} if self._kind is MarketKind.SPOT else row

    def _bar(self, market: Market, bar: Kline) -> Json:
        return [
            bar.open_ms,
            self.price(market, bar.open),
            self.price(market, bar.high),
            self.price(market, bar.low),
            self.price(market, bar.close),
            fixed8(bar.volume) if self._kind is MarketKind.SPOT else plain(bar.volume),
            bar.close_ms,
            fixed8(bar.quote_volume),
            bar.trades,
            fixed8(bar.volume / 2),
            fixed8(bar.quote_volume / 2),
            "0",
        ]

    def _day_row(self, market: Market, ticker: Ticker) -> dict[str, Json]:
        row: dict[str, Json] = {
            "symbol": market.symbol,
            "priceChange": self.price(market, ticker.change),
            "priceChangePercent": f"{ticker.change_ratio * 100:.3f}",
            "weightedAvgPrice": fixed8(ticker.weighted_average),
            "lastPrice": self.price(market, ticker.last),
            "lastQty": self.quantity(market, ticker.last_quantity),
            "openPrice": self.price(market, ticker.open),
            "highPrice": self.price(market, ticker.high),
            "lowPrice": self.price(market, ticker.low),
            "volume": fixed8(ticker.volume) if self._kind is MarketKind.SPOT else plain(ticker.volume),
            "openTime": ticker.open_ms,
            "closeTime": ticker.close_ms,
            "firstId": ticker.first_trade_id,
            "lastId": ticker.last_trade_id,
            "count": ticker.trades,
        }
        if self._kind is MarketKind.INVERSE:
            return row | {"pair": market.pair, "baseVolume": fixed8(ticker.quote_volume)}
        row["quoteVolume"] = fixed8(ticker.quote_volume)
        if self._kind is MarketKind.SPOT:
            row |= {
                "prevClosePrice": self.price(market, ticker.open),
                "bidPrice": self.price(market, ticker.bid.price),
                "bidQty": self.quantity(market, ticker.bid.quantity),
                "askPrice": self.price(market, ticker.ask.price),
                "askQty": self.quantity(market, ticker.ask.quantity),
            }
        return row
