"""Public endpoints: /v5/market/*."""

from __future__ import annotations

from tests.support.bybit_v5.exchange import Exchange
from tests.support.bybit_v5.market import Market
from tests.support.bybit_v5.wire import Json, Refusal, number, page, text, word

MINUTE_MS = 60_000
INTERVALS_MS = {
    **{str(m): m * MINUTE_MS for m in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)},
    "D": 1440 * MINUTE_MS,
    "W": 7 * 1440 * MINUTE_MS,
    "M": 30 * 1440 * MINUTE_MS,
}
OPEN_INTEREST_MS = {"5min": 5, "15min": 15, "30min": 30, "1h": 60, "4h": 240, "1d": 1440}


def _category(params: Json) -> str:
    category = word(params, "category")
    if category not in {"linear", "inverse", "spot", "option"}:
        raise Refusal(10001, "params error: category invalid")
    return category


def _market(exchange: Exchange, params: Json) -> Market:
    market = exchange.markets.get(f"{_category(params)}:{word(params, 'symbol')}")
    if market is None:
        raise Refusal(10001, "Not supported symbols")
    return market


def _bounded(params: Json, default: int, most: int) -> int:
    asked = number(params, "limit")
    return default if asked is None else max(1, min(int(asked), most))


def server_time(exchange: Exchange, _params: Json) -> Json:
    now = exchange.now_ms()
    return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}


def instruments_info(exchange: Exchange, params: Json) -> Json:
    category, symbol, base = _category(params), word(params, "symbol"), word(params, "baseCoin")
    status = word(params, "status")
    chosen = [
        market.instrument
        for market in exchange.markets.values()
        if market.instrument.category == category
        and (not symbol or market.instrument.symbol == symbol)
        and (not base or market.instrument.base == base)
        and (market.instrument.status == status if status else market.instrument.status != "PreLaunch")
    ]
    if category == "spot":  # spot has no pages
        return {"category": category, "list": [unit.info() for unit in chosen]}
    most = exchange.instrument_page
    rows, cursor = page(chosen, params, lambda unit: unit.symbol, min(500, most), most)
    last = not rows or rows[-1] is chosen[-1]
    return {"category": category, "list": [unit.info() for unit in rows], "nextPageCursor": "" if last else cursor}


def tickers(exchange: Exchange, params: Json) -> Json:
    category, symbol = _category(params), word(params, "symbol")
    if symbol:
        found = [_market(exchange, params)]
    else:
        found = [market for market in exchange.markets.values() if market.instrument.category == category]
    return {"category": category, "list": [market.ticker(exchange.now_ms()) for market in found]}


def orderbook(exchange: Exchange, params: Json) -> Json:
    market = _market(exchange, params)
    limit = _bounded(params, 25, 1000)
    now = exchange.now_ms()
    bids = [[text(level.price), text(level.qty)] for level in market.depth("Sell")][:limit]
    asks = [[text(level.price), text(level.qty)] for level in market.depth("Buy")][:limit]
    return {"s": market.instrument.symbol, "b": bids, "a": asks, "ts": now, "u": now, "seq": now, "cts": now}


def _candles(exchange: Exchange, params: Json, extra: list[str]) -> Json:
    market = _market(exchange, params)
    length = INTERVALS_MS.get(word(params, "interval"))
    if length is None:
        raise Refusal(10001, "params error: interval invalid")
    limit = _bounded(params, 200, 1000)
    start, end = number(params, "start"), number(params, "end")
    newest = min(int(end) if end is not None else exchange.now_ms(), exchange.now_ms()) // length * length
    oldest = int(start) // length * length if start is not None else newest - (limit - 1) * length
    given = exchange.candles.get((market.instrument.key, word(params, "interval")), {})
    rows: list[list[str]] = []
    moment = newest
    while moment >= oldest and len(rows) < limit:
        rows.append([str(moment), *given.get(moment, market.candle(moment, length)), *extra])
        moment -= length
    return {"category": market.instrument.category, "symbol": market.instrument.symbol, "list": rows}


def kline(exchange: Exchange, params: Json) -> Json:
    return _candles(exchange, params, ["100", "6000000"])


def price_kline(exchange: Exchange, params: Json) -> Json:
    return _candles(exchange, params, [])


def funding_history(exchange: Exchange, params: Json) -> Json:
    market = _market(exchange, params)
    unit = market.instrument
    if not unit.contract:
        raise Refusal(10001, "params error: category invalid")
    start, end = number(params, "startTime"), number(params, "endTime")
    if start is not None and end is None:
        raise Refusal(10001, "params error: endTime is required with startTime")
    until = int(end) if end is not None else exchange.now_ms()
    since = int(start) if start is not None else 0
    limit = _bounded(params, 200, 200)
    rows = [(at, rate) for at, rate in market.funding_history(exchange.now_ms(), 1000) if since <= at <= until]
    return {
        "category": unit.category,
        "list": [
            {"symbol": unit.symbol, "fundingRate": text(rate), "fundingRateTimestamp": str(at)}
            for at, rate in rows[:limit]
        ],
    }


def open_interest(exchange: Exchange, params: Json) -> Json:
    market = _market(exchange, params)
    minutes = OPEN_INTEREST_MS.get(word(params, "intervalTime"))
    if minutes is None:
        raise Refusal(10001, "params error: intervalTime invalid")
    length = minutes * MINUTE_MS
    newest = exchange.now_ms() // length * length
    interest = market.ticker(exchange.now_ms())["openInterest"]
    rows = [{"openInterest": interest, "timestamp": str(newest - n * length)} for n in range(_bounded(params, 50, 200))]
    unit = market.instrument
    return {"symbol": unit.symbol, "category": unit.category, "list": rows, "nextPageCursor": ""}


def recent_trade(exchange: Exchange, params: Json) -> Json:
    market = _market(exchange, params)
    now = exchange.now_ms()
    row = {
        "execId": f"public-{now}",
        "symbol": market.instrument.symbol,
        "price": text(market.last),
        "size": text(market.instrument.min_qty),
        "side": "Buy",
        "time": str(now),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(now),
    }
    return {"category": market.instrument.category, "list": [row]}


def risk_limit(exchange: Exchange, params: Json) -> Json:
    category, symbol = _category(params), word(params, "symbol")
    rows = [
        {
            "id": 1,
            "symbol": unit.symbol,
            "riskLimitValue": "2000000",
            "maintenanceMargin": text(unit.maintenance_rate),
            "initialMargin": text(1 / unit.max_leverage),
            "isLowestRisk": 1,
            "maxLeverage": text(unit.max_leverage),
            "mmDeduction": "",
        }
        for unit in (market.instrument for market in exchange.markets.values())
        if unit.category == category and (not symbol or unit.symbol == symbol)
    ]
    return {"category": category, "list": rows, "nextPageCursor": ""}


def system_status(_exchange: Exchange, _params: Json) -> Json:
    return {"list": []}


PUBLIC = {
    ("GET", "/v5/market/time"): server_time,
    ("GET", "/v5/market/instruments-info"): instruments_info,
    ("GET", "/v5/market/tickers"): tickers,
    ("GET", "/v5/market/orderbook"): orderbook,
    ("GET", "/v5/market/kline"): kline,
    ("GET", "/v5/market/mark-price-kline"): price_kline,
    ("GET", "/v5/market/index-price-kline"): price_kline,
    ("GET", "/v5/market/funding/history"): funding_history,
    ("GET", "/v5/market/open-interest"): open_interest,
    ("GET", "/v5/market/recent-trade"): recent_trade,
    ("GET", "/v5/market/risk-limit"): risk_limit,
    ("GET", "/v5/system/status"): system_status,
}
