"""The endpoints: from the venue's truth, as far as it is shown yet, to rows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.support.okx_v5.exchange import LEVERAGE, MAINTENANCE, Exchange, Fill, Holding, Market, Order
from tests.support.okx_v5.wire import ZERO, Json, Refusal, Rows, needed, number, text, word

Answer = Callable[[Exchange, Json], Rows]
PAGE = 100
LEVERAGE_MOST = Decimal(100)


# Public


def told_time(exchange: Exchange, _params: Json) -> Rows:
    return [{"ts": str(exchange.now_ms())}]


def _of_kind(exchange: Exchange, params: Json) -> list[Market]:
    kind, ident = needed(params, "instType"), word(params, "instId")
    if kind not in ("SPOT", "SWAP", "FUTURES", "MARGIN", "OPTION"):
        raise Refusal("51000", "Parameter instType error")
    units = [market for market in exchange.markets.values() if market.instrument.kind == kind]
    return [market for market in units if not ident or market.instrument.id == ident]


def instruments(exchange: Exchange, params: Json) -> Rows:
    return [market.instrument.info() for market in _of_kind(exchange, params)]


def marks(exchange: Exchange, params: Json) -> Rows:
    return [
        {
            "instId": m.instrument.id,
            "instType": m.instrument.kind,
            "markPx": text(m.mark),
            "ts": str(exchange.now_ms()),
        }
        for m in _of_kind(exchange, params)
    ]


def tickers(exchange: Exchange, params: Json) -> Rows:
    return [_ticker(exchange, market) for market in _of_kind(exchange, params)]


def ticker(exchange: Exchange, params: Json) -> Rows:
    return [_ticker(exchange, exchange.market(needed(params, "instId")))]


def _ticker(exchange: Exchange, market: Market) -> Json:
    last = text(market.mark)
    same = dict.fromkeys(("last", "open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), last)
    return {
        "instType": market.instrument.kind,
        "instId": market.instrument.id,
        **same,
        "lastSz": "1",
        "askPx": text(market.ask),
        "askSz": text(market.depth or Decimal(100_000)),
        "bidPx": text(market.bid),
        "bidSz": text(market.depth or Decimal(100_000)),
        "volCcy24h": "11820",
        "vol24h": "1182071",
        "ts": str(exchange.now_ms()),
    }


def book(exchange: Exchange, params: Json) -> Rows:
    market = exchange.market(needed(params, "instId"))
    size = text(market.depth or Decimal(100_000))
    sides = {name: [[text(price), size, "0", "1"]] for name, price in (("asks", market.ask), ("bids", market.bid))}
    return [{**sides, "ts": str(exchange.now_ms()), "seqId": 1}]


def funding_rate(exchange: Exchange, params: Json) -> Rows:
    market = exchange.market(needed(params, "instId"))
    due = (exchange.now_ms() // 28_800_000 + 1) * 28_800_000
    return [
        {
            "instId": market.instrument.id,
            "instType": "SWAP",
            "fundingRate": text(market.funding_rate),
            "fundingTime": str(due),
            "nextFundingRate": "",
            "nextFundingTime": str(due + 28_800_000),
            "ts": str(exchange.now_ms()),
        }
    ]


def nothing(_exchange: Exchange, _params: Json) -> Rows:
    """Listings of what never happens here."""
    return []


# The account


def account_config(exchange: Exchange, _params: Json) -> Rows:
    return [
        {
            "acctLv": exchange.account_level,
            "acctStpMode": "cancel_maker",
            "autoLoan": False,
            "ctIsoMode": "automatic",
            "greeksType": "PA",
            "ip": "",
            "kycLv": "3",
            "label": "loopback",
            "level": "Lv1",
            "mainUid": "44705892343619584",
            "mgnIsoMode": "automatic",
            "perm": exchange.rights,
            "posMode": exchange.position_mode,
            "roleType": "0",
            "type": "0",
            "uid": "44705892343619584",
        }
    ]


def balance(exchange: Exchange, params: Json) -> Rows:
    """Coins that are there; in this mode every coin is an account of its own, so sums over all are blank."""
    named = [coin for coin in word(params, "ccy").split(",") if coin]
    coins = [coin for coin, cash in sorted(exchange.cash.items()) if cash or exchange.equity(coin)]
    details = [_coin(exchange, coin) for coin in coins if not named or coin in named]
    blank = dict.fromkeys(("adjEq", "availEq", "borrowFroz", "imr", "mgnRatio", "mmr", "notionalUsd", "ordFroz"), "")
    return [{**blank, "details": details, "isoEq": "0", "totalEq": "0", "uTime": str(exchange.now_ms()), "upl": ""}]


def _coin(exchange: Exchange, coin: str) -> Json:
    cash, equity, margin = exchange.cash.get(coin, ZERO), exchange.equity(coin), exchange.margin(coin)
    free = text(max(ZERO, equity - margin))
    zeros = ("borrowFroz", "crossLiab", "fixedBal", "interest", "isoEq", "isoLiab", "isoUpl", "liab", "maxLoan")
    return {
        **dict.fromkeys(zeros, "0"),
        "availBal": free,
        "availEq": free,
        "cashBal": text(cash),
        "ccy": coin,
        "disEq": "0",
        "eq": text(equity),
        "eqUsd": "0",
        "frozenBal": text(margin),
        "imr": text(margin),
        "mgnRatio": "",
        "mmr": text(margin * MAINTENANCE * 10),
        "ordFrozen": "0",
        "uTime": str(exchange.now_ms()),
        "upl": text(equity - cash),
        "uplLiab": "0",
    }


def positions(exchange: Exchange, params: Json) -> Rows:
    """What is open; asked for by name, also what was closed, at zero. What was never traded has no row."""
    kind, named = word(params, "instType"), [each for each in word(params, "instId").split(",") if each]
    rows = []
    for ident, held in exchange.holdings.items():
        market = exchange.markets[ident]
        shown = held.size - sum(
            (f.order.sign * f.size for f in _unseen(exchange) if f.order.instrument.id == ident), ZERO
        )
        if (named and ident not in named) or (kind and market.instrument.kind != kind):
            continue
        if shown or named:
            rows.append(_position(exchange, market, held, shown))
    return rows


def _unseen(exchange: Exchange) -> list[Fill]:
    return [fill for fill in exchange.fills if fill.shown_ms > exchange.now_ms()]


def _position(exchange: Exchange, market: Market, held: Holding, size: Decimal) -> Json:
    unit, mark = market.instrument, market.mark
    worth = abs(unit.worth(size, mark))
    figures = {
        "availPos": "",
        "avgPx": text(held.entry.quantize(Decimal("1e-12"))),
        "imr": text(worth / held.leverage),
        "last": text(mark),
        "liqPx": "",
        "markPx": text(mark),
        "mgnRatio": "140.4",
        "mmr": text(worth * MAINTENANCE),
        "notionalUsd": text(abs(unit.dollars(size, mark))),
        "upl": text(exchange.open_profit(unit.id)),
        "uplRatio": "0",
    }
    return {
        "adl": "1" if size else "",
        "cTime": str(held.at_ms),
        "ccy": unit.settle,
        **(figures if size else dict.fromkeys(figures, "")),
        "instId": unit.id,
        "instType": unit.kind,
        "interest": "0",
        "lever": text(held.leverage),
        "liab": "",
        "liabCcy": "",
        "margin": "",
        "mgnMode": held.mode,
        "optVal": "",
        "pos": text(size),
        "posCcy": "",
        "posId": "339552508062380036",
        "posSide": "net",
        "tradeId": "98617799" if size else "",
        "uTime": str(held.at_ms),
    }


def leverage_info(exchange: Exchange, params: Json) -> Rows:
    ident, mode = exchange.market(needed(params, "instId")).instrument.id, needed(params, "mgnMode")
    lever = exchange.leverages.get((ident, mode), LEVERAGE)
    return [{"instId": ident, "mgnMode": mode, "posSide": "net", "lever": text(lever)}]


def set_leverage(exchange: Exchange, params: Json) -> Rows:
    """Cross and isolated have one each; while orders rest in a mode, its leverage stays what it is."""
    ident, mode = exchange.market(needed(params, "instId")).instrument.id, needed(params, "mgnMode")
    lever = number(params, "lever")
    if lever is None or not 0 < lever <= LEVERAGE_MOST:
        raise Refusal("59102", "Leverage exceeds the maximum limit. Please lower the leverage.")
    resting = [o for o in exchange.orders if o.state in ("live", "partially_filled")]
    if any(o.instrument.id == ident and o.mode == mode for o in resting):
        raise Refusal("59107", "You have pending orders under the service, please modify the leverage after canceling.")
    exchange.leverages[ident, mode] = lever
    held = exchange.holdings.get(ident)
    if held is not None and held.mode == mode:
        held.leverage = lever
    return [{"instId": ident, "mgnMode": mode, "posSide": "", "lever": text(lever)}]


def funding_wallet(exchange: Exchange, _params: Json) -> Rows:
    held = sorted(exchange.funding_cash.items())
    return [{"ccy": c, "bal": text(v), "availBal": text(v), "frozenBal": "0"} for c, v in held if v]


def bills(exchange: Exchange, params: Json) -> Rows:
    rows = [
        row
        for row in exchange.bills
        if all(not word(params, name) or row[name] == word(params, name) for name in ("ccy", "type", "instType"))
    ]
    return _page(rows, params, "billId")


# Orders


def place(exchange: Exchange, params: Json) -> Rows:
    order = exchange.place(params)
    return [_done(exchange, order, "Order placed")]


def _done(exchange: Exchange, order: Order, said: str) -> Json:
    names = {"clOrdId": order.client_id, "ordId": order.id, "tag": ""}
    return {**names, "ts": str(exchange.now_ms()), "sCode": "0", "sMsg": said}


def _found(exchange: Exchange, params: Json) -> Order | None:
    ident, client_id = word(params, "ordId"), word(params, "clOrdId")
    if not (ident or client_id):
        raise Refusal("51003", "Either client order ID or order ID is required.")
    unit = exchange.market(needed(params, "instId")).instrument
    for order in reversed(exchange.orders):
        if order.instrument is unit and (order.id == ident if ident else order.client_id == client_id):
            return order
    return None


def one_order(exchange: Exchange, params: Json) -> Rows:
    order = _found(exchange, params)
    if order is None:
        raise Refusal("51603", "Order does not exist")
    return [order_row(exchange, order)]


def cancel(exchange: Exchange, params: Json) -> Rows:
    order = _found(exchange, params)
    asked = {name: word(params, name) for name in ("clOrdId", "ordId")}
    if order is None or order.state not in ("live", "partially_filled"):
        text_ = "Order cancellation failed as the order has been filled, canceled or does not exist."
        raise Refusal("51400", text_, item=asked)
    exchange.end(order, "1")
    return [_done(exchange, order, "")]


def pending(exchange: Exchange, params: Json) -> Rows:
    return _page(_orders(exchange, params, frozenset({"live", "partially_filled"})), params, "ordId")


def history(exchange: Exchange, params: Json) -> Rows:
    return _page(_orders(exchange, params, frozenset({"filled", "canceled"})), params, "ordId")


def _orders(exchange: Exchange, params: Json, states: frozenset[str]) -> Rows:
    rows = [order_row(exchange, order) for order in exchange.orders]
    names = ("instId", "instType", "ordType", "state")
    return [
        row
        for row in rows
        if row["state"] in states and all(not word(params, name) or row[name] == word(params, name) for name in names)
    ]


def order_row(exchange: Exchange, order: Order) -> Json:
    """An order as it is shown now."""
    seen = [fill for fill in order.fills if fill.shown_ms <= exchange.now_ms()]
    filled = sum((fill.size for fill in seen), ZERO)
    value = sum((fill.size * fill.price for fill in seen), ZERO)
    behind = len(seen) < len(order.fills)
    last = seen[-1] if seen else None
    blank = ("algoId", "attachAlgoClOrdId", "ccy", "cancelSourceReason", "category", "pxType", "pxUsd", "pxVol", "tag")
    return {
        **dict.fromkeys(blank, ""),
        "accFillSz": text(filled),
        "attachAlgoOrds": [],
        "avgPx": text(value / filled) if filled else "",
        "cTime": str(order.at_ms),
        "cancelSource": order.cancel_source,
        "clOrdId": order.client_id,
        "fee": text(-sum((fill.fee for fill in seen), ZERO)),
        "feeCcy": last.fee_coin if last else order.instrument.settle,
        "fillPx": text(last.price) if last else "",
        "fillSz": text(last.size) if last else "0",
        "fillTime": str(last.at_ms) if last else "",
        "instId": order.instrument.id,
        "instType": order.instrument.kind,
        "isTpLimit": "false",
        "lever": "10" if order.instrument.contract else "",
        "ordId": order.id,
        "ordType": order.kind,
        "pnl": "0",
        "posSide": "net" if order.instrument.contract else "",
        "px": text(order.price) if order.price is not None else "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": "USDT",
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side,
        "slTriggerPx": "",
        "slOrdPx": "",
        "source": "",
        "state": ("partially_filled" if filled else "live") if behind else order.state,
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": text(order.size),
        "tdMode": order.mode,
        "tgtCcy": "",
        "tpTriggerPx": "",
        "tpOrdPx": "",
        "tradeId": str(last.id) if last else "",
        "uTime": str(order.updated_ms),
    }


def fills(exchange: Exchange, params: Json) -> Rows:
    needed(params, "instType")
    names = ("instId", "instType", "ordId")
    rows = [_fill_row(fill) for fill in exchange.fills if fill.shown_ms <= exchange.now_ms()]
    kept = [row for row in rows if all(not word(params, name) or row[name] == word(params, name) for name in names)]
    return _page(kept, params, "billId")


def _fill_row(fill: Fill) -> Json:
    unit = fill.order.instrument
    return {
        "billId": str(fill.id),
        "clOrdId": fill.order.client_id,
        "execType": "M" if fill.maker else "T",
        "fee": text(-fill.fee),
        "feeCcy": fill.fee_coin,
        "fillPx": text(fill.price),
        "fillSz": text(fill.size),
        "fillTime": str(fill.at_ms),
        "instId": unit.id,
        "instType": unit.kind,
        "ordId": fill.order.id,
        "posSide": "net",
        "side": fill.order.side,
        "subType": "",
        "tag": "",
        "tradeId": str(fill.id),
        "ts": str(fill.at_ms),
    }


def _page(rows: Rows, params: Json, name: str) -> Rows:
    """Newest first, a hundred at most: older than ``after``, newer than ``before``, between ``begin`` and ``end``."""
    after, before, begin, end = (number(params, each) for each in ("after", "before", "begin", "end"))
    limit = number(params, "limit") or PAGE
    if limit > PAGE:
        raise Refusal("51000", "Parameter limit error")
    kept = [
        row
        for row in rows
        if (after is None or int(row[name]) < after)
        and (before is None or int(row[name]) > before)
        and (begin is None or _moment(row) >= begin)
        and (end is None or _moment(row) <= end)
    ]
    return sorted(kept, key=lambda row: -int(row[name]))[: int(limit)]


def _moment(row: Json) -> int:
    return int(row["ts"] if "ts" in row else row["cTime"])


PUBLIC: dict[tuple[str, str], Answer] = {
    ("GET", "/api/v5/public/time"): told_time,
    ("GET", "/api/v5/public/instruments"): instruments,
    ("GET", "/api/v5/public/mark-price"): marks,
    ("GET", "/api/v5/public/funding-rate"): funding_rate,
    ("GET", "/api/v5/public/funding-rate-history"): nothing,
    ("GET", "/api/v5/market/tickers"): tickers,
    ("GET", "/api/v5/market/ticker"): ticker,
    ("GET", "/api/v5/market/books"): book,
    ("GET", "/api/v5/system/status"): nothing,
}
PRIVATE: dict[tuple[str, str], Answer] = {
    ("GET", "/api/v5/account/config"): account_config,
    ("GET", "/api/v5/account/balance"): balance,
    ("GET", "/api/v5/account/positions"): positions,
    ("GET", "/api/v5/account/leverage-info"): leverage_info,
    ("POST", "/api/v5/account/set-leverage"): set_leverage,
    ("GET", "/api/v5/account/bills"): bills,
    ("GET", "/api/v5/account/bills-archive"): bills,
    ("GET", "/api/v5/asset/balances"): funding_wallet,
    ("GET", "/api/v5/asset/bills"): nothing,
    ("POST", "/api/v5/trade/order"): place,
    ("GET", "/api/v5/trade/order"): one_order,
    ("POST", "/api/v5/trade/cancel-order"): cancel,
    ("GET", "/api/v5/trade/orders-pending"): pending,
    ("GET", "/api/v5/trade/orders-history"): history,
    ("GET", "/api/v5/trade/fills"): fills,
    ("GET", "/api/v5/trade/fills-history"): fills,
}
