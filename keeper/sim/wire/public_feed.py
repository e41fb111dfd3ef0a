"""What the public streams carry: best prices, depth, trades, tickers, mark prices, klines.

Streams that show a state (a ticker, a mark price) send it at once to whoever subscribes and then on the second; best
prices and depth follow the book. Many changes within one turn of the event loop are told once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from keeper.clock import Clock
from keeper.sim.events import BookChanged, Event, PositionForced, PriceChanged, TradePrinted
from keeper.sim.exchange import Exchange
from keeper.sim.types import Market, MarketKey, MarketKind, MarketStatus, OrderBook
from keeper.sim.wire import payloads
from keeper.sim.wire.market_data import INTERVALS_MS
from keeper.sim.wire.streams import Connection, StreamHub
from keeper.sim.wire.text import Json

DEPTH = 1_000
SLOW_MARK_SECONDS = 3


@dataclass(frozen=True)
class _Stream:
    """A stream's name taken apart: ``btcusdt@kline_1m`` is (market, ``kline``, ``1m``)."""

    name: str
    market: Market | None
    channel: str
    detail: str


_Bar: TypeAlias = tuple[int, str]


class PublicFeed:
    """Feeds a hub from an exchange."""

    def __init__(self, exchange: Exchange, clock: Clock, hub: StreamHub) -> None:
        self._exchange = exchange
        self._clock = clock
        self._hub = hub
        self._dirty: dict[MarketKey, None] = {}
        self._flush: asyncio.Handle | None = None
        self._books: dict[MarketKey, OrderBook] = {}
        self._bars: dict[tuple[MarketKind, str], int] = {}
        self._ticks = 0
        hub.on_subscribed = self.greet

    def stop(self) -> None:
        """Drop what has not been told yet."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    # --- names ------------------------------------------------------------------------------------------------------

    def _parse(self, kind: MarketKind, name: str) -> _Stream | None:
        """Take a stream's name apart; a name that means nothing is subscribed and stays silent, as on the venue."""
        if name.startswith("!"):
            channel, _, detail = name[1:].partition("@")
            return _Stream(name, None, channel, detail)
        symbol, _, rest = name.partition("@")
        channel, _, detail = rest.partition("@")
        if "_" in channel:
            channel, _, detail = channel.partition("_")
        if channel.startswith("depth") and channel != "depth":
            channel, detail = "depth", channel.removeprefix("depth")
        elif channel == "depth":
            detail = ""
        for market in self._exchange.markets(kind):
            if market.symbol.lower() == symbol or (channel == "indexPriceKline" and market.pair.lower() == symbol):
                return _Stream(name, market, channel, detail)
        return None

    def _wanted(self, kind: MarketKind) -> list[_Stream]:
        parsed = (self._parse(kind, name) for name in self._hub.wanted(kind))
        return [stream for stream in parsed if stream is not None]

    def _markets(self, kind: MarketKind) -> list[Market]:
        return [market for market in self._exchange.markets(kind) if market.status is not MarketStatus.DELISTED]

    # --- states -----------------------------------------------------------------------------------------------------

    def greet(self, connection: Connection, names: list[str]) -> None:
        """Tell a new listener how things stand."""
        for name in names:
            stream = self._parse(connection.kind, name)
            if stream is None:
                continue
            if stream.channel == "depth" and stream.market is not None:
                key = stream.market.key
                self._books.setdefault(key, self._exchange.book(key, DEPTH))
            for body in self._state(connection.kind, stream):
                connection.publish(name, body)

    def _state(self, kind: MarketKind, stream: _Stream) -> list[Json]:
        """The messages that show a stream's present state; none for streams of happenings."""
        if stream.market is None:
            return self._state_of_all(kind, stream)
        market = stream.market
        if stream.channel == "bookTicker":
            return [payloads.best_prices(market, self._exchange.book(market.key, 1), self._clock.now_ms())]
        if stream.channel == "ticker":
            return [payloads.day_ticker(market, self._exchange.ticker(market.key), self._clock.now_ms())]
        if stream.channel == "miniTicker":
            return [payloads.mini_ticker(market, self._exchange.ticker(market.key), self._clock.now_ms())]
        if stream.channel == "markPrice" and kind is not MarketKind.SPOT:
            return [payloads.mark_price(market, self._exchange.premium(market.key))]
        if stream.channel.lower().endswith("kline"):
            return self._bars_of(kind, stream, market)
        if stream.channel == "depth" and stream.detail:
            book = self._exchange.book(market.key, int(stream.detail))
            return [payloads.partial_depth(market, book, self._clock.now_ms())]
        return []

    def _state_of_all(self, kind: MarketKind, stream: _Stream) -> list[Json]:
        now_ms = self._clock.now_ms()
        markets = self._markets(kind)
        if stream.channel == "bookTicker":
            return [payloads.best_prices(market, self._exchange.book(market.key, 1), now_ms) for market in markets]
        if stream.channel == "ticker":
            return [[payloads.day_ticker(market, self._exchange.ticker(market.key), now_ms) for market in markets]]
        if stream.channel == "miniTicker":
            return [[payloads.mini_ticker(market, self._exchange.ticker(market.key), now_ms) for market in markets]]
        if stream.channel == "markPrice" and kind is not MarketKind.SPOT:
            return [[payloads.mark_price(market, self._exchange.premium(market.key)) for market in markets]]
        return []

    def _bars_of(self, kind: MarketKind, stream: _Stream, market: Market) -> list[Json]:
        length_ms = INTERVALS_MS.get(stream.detail)
        if length_ms is None:
            return []
        bars = self._exchange.klines(market.key, length_ms, limit=2)
        if not bars:
            return []
        now_ms = self._clock.now_ms()
        shown = [bars[-1]]
        before = self._bars.get((kind, stream.name))
        if before is not None and len(bars) > 1 and before == bars[-2].open_ms:
            shown.insert(0, bars[-2])
        self._bars[kind, stream.name] = bars[-1].open_ms
        return [
            payloads.bar(market, stream.channel, stream.detail, bar, now_ms, closed=bar is not bars[-1])
            for bar in shown
        ]

    def tick(self) -> None:
        """A second has passed: show the states that are told by the clock."""
        self._ticks += 1
        for kind in MarketKind:
            for stream in self._wanted(kind):
                slow = stream.channel == "markPrice" and not stream.detail.endswith("1s")
                if slow and self._ticks % SLOW_MARK_SECONDS:
                    continue
                if stream.channel == "bookTicker" and stream.market is not None:
                    continue
                for body in self._state(kind, stream):
                    self._hub.publish(kind, stream.name, body)

    # --- happenings -------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take in what has just happened on the exchange."""
        if isinstance(event, BookChanged | PriceChanged):
            self._dirty[event.market] = None
            if self._flush is None:
                self._flush = asyncio.get_running_loop().call_soon(self.flush)
        elif isinstance(event, TradePrinted):
            key = event.trade.market
            market = self._exchange.market(key)
            name = market.symbol.lower()
            self._hub.publish(key.kind, f"{name}@trade", payloads.trade(market, event.trade))
            self._hub.publish(key.kind, f"{name}@aggTrade", payloads.aggregate_trade(market, event.trade))
        elif isinstance(event, PositionForced):
            market = self._exchange.market(event.market)
            body = payloads.forced_order(market, event)
            self._hub.publish(market.kind, f"{market.symbol.lower()}@forceOrder", body)
            self._hub.publish(market.kind, "!forceOrder@arr", body)

    def flush(self) -> None:
        """Tell the changes of the books that were noted since the last time."""
        self.stop()
        dirty, self._dirty = self._dirty, {}
        for kind in MarketKind:
            keys = [key for key in dirty if key.kind is kind]
            streams = self._wanted(kind) if keys else []
            for key in keys:
                self._tell_book(self._exchange.market(key), streams)

    def _tell_book(self, market: Market, streams: list[_Stream]) -> None:
        now_ms = self._clock.now_ms()
        own = [stream for stream in streams if stream.market is not None and stream.market.key == market.key]
        if any(stream.channel == "bookTicker" for stream in own) or any(
            stream.name == "!bookTicker" for stream in streams
        ):
            body = payloads.best_prices(market, self._exchange.book(market.key, 1), now_ms)
            self._hub.publish(market.kind, f"{market.symbol.lower()}@bookTicker", body)
            self._hub.publish(market.kind, "!bookTicker", body)
        diffs = [stream for stream in own if stream.channel == "depth" and not stream.detail]
        if not diffs:
            self._books.pop(market.key, None)
            return
        book = self._exchange.book(market.key, DEPTH)
        before = self._books.get(market.key, book)
        self._books[market.key] = book
        if book.update_id > before.update_id:
            for stream in diffs:
                self._hub.publish(market.kind, stream.name, payloads.depth_change(market, before, book, now_ms))
