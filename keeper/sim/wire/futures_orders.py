"""Orders, fills and income of one futures product."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from keeper.sim.errors import SimError
from keeper.sim.exchange import Exchange
from keeper.sim.types import Fill, Income, IncomeKind, Market, MarketKey, MarketKind, Order, Origin
from keeper.sim.wire import errors
from keeper.sim.wire.order_params import futures_order
from keeper.sim.wire.paging import page
from keeper.sim.wire.refusals import refused
from keeper.sim.wire.request import Call, Routes, order, signed
from keeper.sim.wire.text import Json, at_lot, at_step, fixed8, plain

BATCH_MAX = 5


class FuturesOrders:
    """``/fapi/v1`` or ``/dapi/v1``: what a key does with orders, and what came of it."""

    def __init__(self, exchange: Exchange, kind: MarketKind) -> None:
        self._exchange = exchange
        self._kind = kind

    def routes(self) -> Routes:
        """The routes, under the product's prefix."""
        prefix = "/fapi/v1" if self._kind is MarketKind.LINEAR else "/dapi/v1"
        return {
            ("POST", f"{prefix}/order"): order(self.place),
            ("POST", f"{prefix}/order/test"): order(self.check),
            ("GET", f"{prefix}/order"): signed(self.query),
            ("DELETE", f"{prefix}/order"): signed(self.cancel),
            ("POST", f"{prefix}/batchOrders"): order(self.place_batch),
            ("DELETE", f"{prefix}/batchOrders"): signed(self.cancel_batch),
            ("DELETE", f"{prefix}/allOpenOrders"): signed(self.cancel_all),
            ("GET", f"{prefix}/openOrder"): signed(self.query_open),
            ("GET", f"{prefix}/openOrders"): signed(self.open_orders),
            ("GET", f"{prefix}/allOrders"): signed(self.all_orders, 5),
            ("GET", f"{prefix}/userTrades"): signed(self.fills, 5),
            ("GET", f"{prefix}/forceOrders"): signed(self.forced, 20),
            ("GET", f"{prefix}/income"): signed(self.income, 30),
        }

    # --- orders -----------------------------------------------------------------------------------------------------

    def place(self, call: Call) -> Json:
        """Place an order; ``newOrderRespType`` says whether the answer tells what became of it."""
        market = self._market(call)
        result = self._exchange.place_order(call.api_key, futures_order(call, market))
        return self._placed(result.order, market, call)

    def check(self, call: Call) -> Json:
        """Validate an order and place nothing."""
        market = self._market(call)
        self._exchange.check_order(call.api_key, futures_order(call, market))
        return {}

    def place_batch(self, call: Call) -> Json:
        """Place up to five orders; each is answered for itself."""
        answers: list[Json] = []
        for fields in _objects(call, "batchOrders"):
            one = Call(call.method, call.path, fields, call.api_key)
            answers.append(self._each(self.place, one))
        return answers

    def query(self, call: Call) -> Json:
        """One order, open or closed."""
        market = self._market(call)
        return order_row(self._find(call, market), market)

    def query_open(self, call: Call) -> Json:
        """One order, if it is still open."""
        market = self._market(call)
        found = self._find(call, market)
        if not found.is_open:
            raise errors.no_such_order()
        return order_row(found, market)

    def cancel(self, call: Call) -> Json:
        """Cancel one order."""
        market = self._market(call)
        order_id, client_id = _named(call)
        done = self._exchange.cancel_order(call.api_key, market.key, order_id=order_id, client_order_id=client_id)
        return order_row(done, market)

    def cancel_batch(self, call: Call) -> Json:
        """Cancel several orders; each is answered for itself."""
        lowered = {name.lower(): value for name, value in call.params.items()}
        names = {"orderidlist": "orderId", "origclientorderidlist": "origClientOrderId"}
        answers: list[Json] = []
        for list_name, name in names.items():
            for value in Call(call.method, call.path, lowered).names(list_name) or []:
                one = Call(call.method, call.path, {"symbol": call.text("symbol"), name: value}, call.api_key)
                answers.append(self._each(self.cancel, one))
        return answers

    def cancel_all(self, call: Call) -> Json:
        """Cancel all open orders of a symbol."""
        self._exchange.cancel_all(call.api_key, self._market(call).key)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_orders(self, call: Call) -> Json:
        """Open orders of one symbol or of the product."""
        key = self._market(call).key if call.optional("symbol") is not None else None
        found = self._exchange.open_orders(call.api_key, self._kind, key)
        return [order_row(each, self._exchange.market(each.market)) for each in found]

    def all_orders(self, call: Call) -> Json:
        """Orders in any state."""
        market = self._market(call)
        found = page(
            call,
            self._exchange.orders(call.api_key, market.key),
            lambda each: each.created_ms,
            lambda each: each.order_id,
            id_name="orderId",
        )
        return [order_row(each, market) for each in found]

    # --- what came of them ------------------------------------------------------------------------------------------

    def fills(self, call: Call) -> Json:
        """The account's executions."""
        key = self._market(call).key if call.optional("symbol") is not None else None
        asked_order = call.optional_integer("orderId")
        rows = [
            fill for fill in self._exchange.fills(call.api_key, self._kind, key) if asked_order in (None, fill.order_id)
        ]
        found = page(call, rows, lambda fill: fill.time_ms, lambda fill: fill.trade_id)
        return [fill_row(fill, self._exchange.market(fill.market)) for fill in found]

    def forced(self, call: Call) -> Json:
        """Orders by which the exchange closed a position: liquidation and ADL."""
        wanted = {"LIQUIDATION": {Origin.LIQUIDATION}, "ADL": {Origin.ADL}}.get(
            call.optional("autoCloseType") or "", {Origin.LIQUIDATION, Origin.ADL}
        )
        if call.optional("symbol") is not None:
            markets = [self._market(call)]
        else:
            markets = list(self._exchange.markets(self._kind))
        rows = [
            (each, market)
            for market in markets
            for each in self._exchange.orders(call.api_key, market.key)
            if each.origin in wanted
        ]
        found = page(call, rows, lambda row: row[0].created_ms, default=50)
        return [order_row(each, market) for each, market in found]

    def income(self, call: Call) -> Json:
        """Changes of the wallet: funding, PnL, commission, transfers."""
        key = self._market(call).key if call.optional("symbol") is not None else None
        named = call.optional("incomeType")
        kind = next((each for each in IncomeKind if each.value == named), None)
        if named is not None and kind is None:
            return []
        rows = self._exchange.income(call.api_key, self._kind, key=key, income=kind)
        found = page(call, rows, lambda row: row.time_ms, default=100)
        return [_income_row(row) for row in found]

    # --- shared -----------------------------------------------------------------------------------------------------

    def _market(self, call: Call) -> Market:
        return self._exchange.market(MarketKey(self._kind, call.text("symbol")))

    def _find(self, call: Call, market: Market) -> Order:
        order_id, client_id = _named(call)
        return self._exchange.order(call.api_key, market.key, order_id=order_id, client_order_id=client_id)

    def _placed(self, placed: Order, market: Market, call: Call) -> Json:
        row = order_row(placed, market)
        del row["time"]
        row["cumQty"] = row["executedQty"]
        if (call.optional("newOrderRespType") or "ACK") == "ACK":
            nothing = at_step(placed.quantity * 0, market.filters.step)
            cumulated = "cumQuote" if self._kind is MarketKind.LINEAR else "cumBase"
            row |= {"status": "NEW", "executedQty": nothing, "cumQty": nothing, "avgPrice": "0.00", cumulated: "0"}
        return row

    def _each(self, handler: Callable[[Call], Json], call: Call) -> Json:
        try:
            return handler(call)
        except errors.WireError as refusal:
            return {"code": refusal.code, "msg": refusal.message}
        except SimError as refusal:
            spelled = refused(refusal, self._kind)
            return {"code": spelled.code, "msg": spelled.message}


def _named(call: Call) -> tuple[int | None, str | None]:
    order_id, client_id = call.optional_integer("orderId"), call.optional("origClientOrderId")
    if order_id is None and client_id is None:
        raise errors.ambiguous()
    return order_id, client_id if order_id is None else None


def _objects(call: Call, name: str) -> list[Mapping[str, str]]:
    try:
        value = json.loads(call.text(name))
    except json.JSONDecodeError:
        raise errors.invalid_data(name) from None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise errors.invalid_data(name)
    if len(value) > BATCH_MAX:
        raise errors.WireError(-4082, "Invalid number of batch orders.")
    return [{str(key): _plain(field) for key, field in item.items()} for item in value]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def order_row(each: Order, market: Market) -> dict[str, Json]:
    """An order as both futures products show it; COIN-M adds the pair and counts value in coins."""
    tick, step = market.filters.tick, market.filters.step
    row: dict[str, Json] = {
        "orderId": each.order_id,
        "symbol": market.symbol,
        "status": each.status.value,
        "clientOrderId": each.client_order_id,
        "price": at_step(each.price, tick),
        "avgPrice": plain(round(each.average_price, 8)) if each.average_price else "0.00",
        "origQty": at_lot(each.quantity, step),
        "executedQty": at_lot(each.executed_quantity, step),
        "timeInForce": each.time_in_force.value,
        "type": each.type.value,
        "reduceOnly": each.reduce_only,
        "closePosition": False,
        "side": each.side.value,
        "positionSide": each.position_side.value,
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": each.type.value,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": each.created_ms,
        "updateTime": each.updated_ms,
    }
    if market.kind is MarketKind.INVERSE:
        return row | {"pair": market.pair, "cumBase": fixed8(each.executed_value)}
    return row | {"cumQuote": fixed8(each.executed_value)}


def fill_row(fill: Fill, market: Market) -> dict[str, Json]:
    """An execution as ``userTrades`` shows it."""
    row: dict[str, Json] = {
        "symbol": market.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side.value,
        "price": plain(fill.price),
        "qty": at_lot(fill.quantity, market.filters.step),
        "realizedPnl": fixed8(fill.realised_pnl),
        "commission": fixed8(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "positionSide": fill.position_side.value,
        "buyer": fill.side.value == "BUY",
        "maker": fill.maker,
    }
    if market.kind is MarketKind.INVERSE:
        return row | {"pair": market.pair, "marginAsset": market.settle, "baseQty": fixed8(fill.quote_quantity)}
    return row | {"quoteQty": fixed8(fill.quote_quantity)}


def _income_row(row: Income) -> Json:
    return {
        "symbol": row.symbol,
        "incomeType": row.kind.value,
        "income": fixed8(row.amount),
        "asset": row.asset,
        "time": row.time_ms,
        "info": row.kind.value if row.trade_id is None else str(row.trade_id),
        "tranId": row.tran_id,
        "tradeId": "" if row.trade_id is None else str(row.trade_id),
    }
