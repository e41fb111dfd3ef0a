"""Private endpoints that trade, and the looking up of orders and executions."""

from __future__ import annotations

from tests.support.bybit_v5.answers_account import window
from tests.support.bybit_v5.exchange import Exchange
from tests.support.bybit_v5.orders import OPEN, Execution, Order
from tests.support.bybit_v5.rows import execution_row, order_row
from tests.support.bybit_v5.wire import Json, Refusal, page, word


def create_order(exchange: Exchange, params: Json) -> Json:
    """Acceptance only: what became of the order has to be asked."""
    _may_trade(exchange)
    order = exchange.create(params)
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def cancel_order(exchange: Exchange, params: Json) -> Json:
    _may_trade(exchange)
    order = exchange.cancel(params)
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def cancel_all(exchange: Exchange, params: Json) -> Json:
    _may_trade(exchange)
    gone = exchange.cancel_all(params)
    return {"list": [{"orderId": o.order_id, "orderLinkId": o.link_id} for o in gone], "success": "1"}


def disconnect_protection(_exchange: Exchange, _params: Json) -> Json:
    return {}


def _may_trade(exchange: Exchange) -> None:
    if exchange.read_only:
        raise Refusal(10005, "Permission denied, please check your API key permissions.")


def realtime(exchange: Exchange, params: Json) -> Json:
    """Open orders; asked for by id also one of the last 500 closed, while the venue's memory lasts."""
    category = _category(params)
    symbol, base, settle = word(params, "symbol"), word(params, "baseCoin"), word(params, "settleCoin")
    if category == "linear" and not (symbol or base or settle):
        raise Refusal(10001, "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin")
    if symbol:
        exchange.market(category, symbol)
    by_id = bool(word(params, "orderId") or word(params, "orderLinkId"))
    closed_too = by_id or word(params, "openOnly") == "1"
    rows = []
    for order in _chosen(exchange, params, category):
        unit = order.instrument
        if (base and unit.base != base) or (settle and unit.settle != settle):
            continue
        remembered = closed_too and order.order_id in exchange.recent_closed
        if order.open or remembered or _looks_open(order):
            row = order_row(order, exchange.read_order(order))
            if closed_too or row["orderStatus"] in OPEN:
                rows.append(row)
    return _listed(category, rows, params)


def history(exchange: Exchange, params: Json) -> Json:
    """Orders in a final state, newest first, a week by default."""
    category = _category(params)
    since, until = window(exchange, params)
    by_id = bool(word(params, "orderId") or word(params, "orderLinkId"))
    status = word(params, "orderStatus")
    rows = []
    for order in _chosen(exchange, params, category):
        if not by_id and not since <= order.created_ms <= until:
            continue
        if order.open:
            continue
        row = order_row(order, exchange.read_order(order))
        if row["orderStatus"] not in OPEN and (not status or row["orderStatus"] == status):
            rows.append(row)
    return _listed(category, rows, params)


def executions(exchange: Exchange, params: Json) -> Json:
    """Fills and funding, newest first; an execution of an order that is shown late is late too."""
    category, kind = _category(params), word(params, "execType")
    since, until = window(exchange, params)
    symbol, base = word(params, "symbol"), word(params, "baseCoin")
    order_id, link_id = word(params, "orderId"), word(params, "orderLinkId")
    rows = []
    for execution in reversed(exchange.executions):
        unit = execution.instrument
        if unit.category != category or (symbol and unit.symbol != symbol) or (base and unit.base != base):
            continue
        if (kind and execution.kind != kind) or not since <= execution.at_ms <= until:
            continue
        if _named(execution, order_id, link_id) and not _hidden(execution):
            rows.append(execution)
    shown, cursor = page(rows, params, lambda execution: execution.exec_id, 50, 100)
    return {"category": category, "list": [execution_row(e) for e in shown], "nextPageCursor": cursor}


def _named(execution: Execution, order_id: str, link_id: str) -> bool:
    if order_id:
        return execution.order_id == order_id
    return not link_id or (execution.order is not None and execution.order.link_id == link_id)


def _hidden(execution: Execution) -> bool:
    order = execution.order
    return order is not None and order.lag is not None and order.lag.order_reads > 0


def _looks_open(order: Order) -> bool:
    return order.lag is not None and order.lag.order_reads > 0


def _category(params: Json) -> str:
    category = word(params, "category")
    if category not in {"linear", "inverse", "spot", "option"}:
        raise Refusal(10001, "params error: category invalid")
    return category


def _chosen(exchange: Exchange, params: Json, category: str) -> list[Order]:
    """Newest first, narrowed by category, symbol and id (the venue's id wins over the client's)."""
    symbol, order_id, link_id = word(params, "symbol"), word(params, "orderId"), word(params, "orderLinkId")
    found = []
    for order in reversed(exchange.orders):
        unit = order.instrument
        if unit.category != category or (symbol and unit.symbol != symbol):
            continue
        named = order.order_id == order_id if order_id else not link_id or order.link_id == link_id
        if named:
            found.append(order)
    return found


def _listed(category: str, rows: list[Json], params: Json) -> Json:
    shown, cursor = page(rows, params, lambda row: str(row["orderId"]), 20, 50)
    return {"category": category, "list": shown, "nextPageCursor": cursor}


PRIVATE_ORDER = {
    ("POST", "/v5/order/create"): create_order,
    ("POST", "/v5/order/cancel"): cancel_order,
    ("POST", "/v5/order/cancel-all"): cancel_all,
    ("POST", "/v5/order/disconnected-cancel-all"): disconnect_protection,
    ("GET", "/v5/order/realtime"): realtime,
    ("GET", "/v5/order/history"): history,
    ("GET", "/v5/execution/list"): executions,
}
