"""The messages of the public streams, field by field."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from keeper.sim.events import PositionForced
from keeper.sim.types import BookLevel, Kline, Market, MarketKind, OrderBook, Premium, PublicTrade, Ticker
from keeper.sim.wire.text import Json, at_step, fixed8, plain


def price(market: Market, value: Decimal) -> str:
    """A price as the product spells it: spot with eight decimals, contracts at their tick."""
    return fixed8(value) if market.kind is MarketKind.SPOT else at_step(value, market.filters.tick)


def quantity(market: Market, value: Decimal) -> str:
    """A quantity as the product spells it."""
    return fixed8(value) if market.kind is MarketKind.SPOT else at_step(value, market.filters.step)


def _pair(market: Market) -> dict[str, Json]:
    return {"ps": market.pair} if market.kind is MarketKind.INVERSE else {}


def best_prices(market: Market, book: OrderBook, now_ms: int) -> Json:
    """``bookTicker``; spot's has neither an event name nor a time."""
    nothing = BookLevel(Decimal(0), Decimal(0))
    bid = book.bids[0] if book.bids else nothing
    ask = book.asks[0] if book.asks else nothing
    row: dict[str, Json] = {
        "u": book.update_id,
        "s": market.symbol,
        "b": price(market, bid.price),
        "B": quantity(market, bid.quantity),
        "a": price(market, ask.price),
        "A": quantity(market, ask.quantity),
    }
    if market.kind is MarketKind.SPOT:
        return row
    named: dict[str, Json] = {"e": "bookTicker", "T": book.time_ms, "E": now_ms}
    return named | row | _pair(market)


def depth_change(market: Market, before: OrderBook, after: OrderBook, now_ms: int) -> Json:
    """``depthUpdate``: what is different between two books; a level that is gone has quantity zero."""
    row: dict[str, Json] = {
        "e": "depthUpdate",
        "E": now_ms,
        "s": market.symbol,
        "U": before.update_id + 1,
        "u": after.update_id,
        "b": _changed(market, before.bids, after.bids),
        "a": _changed(market, before.asks, after.asks),
    }
    if market.kind is MarketKind.SPOT:
        return row
    return row | {"T": after.time_ms, "pu": before.update_id} | _pair(market)


def partial_depth(market: Market, book: OrderBook, now_ms: int) -> Json:
    """``depth<levels>``: the best levels, whole."""
    bids = [_level(market, level) for level in book.bids]
    asks = [_level(market, level) for level in book.asks]
    if market.kind is MarketKind.SPOT:
        return {"lastUpdateId": book.update_id, "bids": list(bids), "asks": list(asks)}
    row: dict[str, Json] = {
        "e": "depthUpdate",
        "E": now_ms,
        "T": book.time_ms,
        "s": market.symbol,
        "U": book.update_id,
        "u": book.update_id,
        "pu": book.update_id - 1,
        "b": list(bids),
        "a": list(asks),
    }
    return row | _pair(market)


def _level(market: Market, level: BookLevel) -> Json:
    return [price(market, level.price), quantity(market, level.quantity)]


def _changed(market: Market, before: Iterable[BookLevel], after: Iterable[BookLevel]) -> Json:
    old, new = dict(before), dict(after)
    gone = [BookLevel(at, Decimal(0)) for at in old if at not in new]
    fresh = [BookLevel(at, size) for at, size in new.items() if old.get(at) != size]
    return [_level(market, level) for level in gone + fresh]


def trade(market: Market, printed: PublicTrade) -> Json:
    """``trade``."""
    row: dict[str, Json] = {
        "e": "trade",
        "E": printed.time_ms,
        "s": market.symbol,
        "t": printed.trade_id,
        "p": price(market, printed.price),
        "q": quantity(market, printed.quantity),
        "T": printed.time_ms,
        "m": printed.buyer_is_maker,
    }
    extra: dict[str, Json] = {"M": True} if market.kind is MarketKind.SPOT else {"X": "MARKET"}
    return row | extra


def aggregate_trade(market: Market, printed: PublicTrade) -> Json:
    """``aggTrade``: each print is its own aggregate."""
    row: dict[str, Json] = {
        "e": "aggTrade",
        "E": printed.time_ms,
        "s": market.symbol,
        "a": printed.trade_id,
        "p": price(market, printed.price),
        "q": quantity(market, printed.quantity),
        "f": printed.trade_id,
        "l": printed.trade_id,
        "T": printed.time_ms,
        "m": printed.buyer_is_maker,
    }
    extra: dict[str, Json] = {"M": True} if market.kind is MarketKind.SPOT else {}
    return row | extra


def day_ticker(market: Market, ticker: Ticker, now_ms: int) -> Json:
    """``24hrTicker``."""
    row: dict[str, Json] = {
        "e": "24hrTicker",
        "E": now_ms,
        "s": market.symbol,
        "p": price(market, ticker.change),
        "P": f"{ticker.change_ratio * 100:.3f}",
        "w": fixed8(ticker.weighted_average),
        "c": price(market, ticker.last),
        "Q": quantity(market, ticker.last_quantity),
        "o": price(market, ticker.open),
        "h": price(market, ticker.high),
        "l": price(market, ticker.low),
        "v": quantity(market, ticker.volume),
        "q": fixed8(ticker.quote_volume),
        "O": ticker.open_ms,
        "C": ticker.close_ms,
        "F": ticker.first_trade_id,
        "L": ticker.last_trade_id,
        "n": ticker.trades,
    }
    if market.kind is not MarketKind.SPOT:
        return row | _pair(market)
    return row | {
        "x": price(market, ticker.open),
        "b": price(market, ticker.bid.price),
        "B": quantity(market, ticker.bid.quantity),
        "a": price(market, ticker.ask.price),
        "A": quantity(market, ticker.ask.quantity),
    }


def mini_ticker(market: Market, ticker: Ticker, now_ms: int) -> Json:
    """``24hrMiniTicker``."""
    row: dict[str, Json] = {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": market.symbol,
        "c": price(market, ticker.last),
        "o": price(market, ticker.open),
        "h": price(market, ticker.high),
        "l": price(market, ticker.low),
        "v": quantity(market, ticker.volume),
        "q": fixed8(ticker.quote_volume),
    }
    return row | _pair(market)


def mark_price(market: Market, premium: Premium) -> Json:
    """``markPriceUpdate``: mark, index, and the coming funding."""
    return {
        "e": "markPriceUpdate",
        "E": premium.time_ms,
        "s": market.symbol,
        "p": fixed8(premium.mark_price),
        "i": fixed8(premium.index_price),
        "P": fixed8(premium.index_price),
        "r": "" if premium.funding_rate is None else fixed8(premium.funding_rate),
        "T": premium.next_funding_ms or 0,
    }


_BAR_EVENTS = {"kline": "kline", "markPriceKline": "markPrice_kline", "indexPriceKline": "indexPrice_kline"}


def bar(market: Market, channel: str, interval: str, shown: Kline, now_ms: int, *, closed: bool) -> Json:
    """``kline``; the kinds of mark and index prices have no volume."""
    volume = shown.volume if channel == "kline" else Decimal(0)
    value = shown.quote_volume if channel == "kline" else Decimal(0)
    inner: dict[str, Json] = {
        "t": shown.open_ms,
        "T": shown.close_ms,
        "s": market.symbol,
        "i": interval,
        "f": 0,
        "L": shown.trades,
        "o": price(market, shown.open),
        "c": price(market, shown.close),
        "h": price(market, shown.high),
        "l": price(market, shown.low),
        "v": plain(volume),
        "n": shown.trades,
        "x": closed,
        "q": plain(value),
        "V": plain(volume / 2),
        "Q": plain(value / 2),
        "B": "0",
    }
    row: dict[str, Json] = {"e": _BAR_EVENTS.get(channel, "kline"), "E": now_ms, "s": market.symbol, "k": inner}
    return row | _pair(market)


def forced_order(market: Market, event: PositionForced) -> Json:
    """``forceOrder``: the exchange closed somebody's position."""
    size = quantity(market, abs(event.quantity))
    inner: dict[str, Json] = {
        "s": market.symbol,
        "S": "BUY" if event.quantity > 0 else "SELL",
        "o": "LIMIT",
        "f": "IOC",
        "q": size,
        "p": price(market, event.price),
        "ap": price(market, event.price),
        "X": "FILLED",
        "l": size,
        "z": size,
        "T": event.time_ms,
    }
    return {"e": "forceOrder", "E": event.time_ms, "o": inner | _pair(market)}
