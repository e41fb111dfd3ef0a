"""The spot account over HTTP: balances, orders, fills."""

from __future__ import annotations

from keeper.sim.exchange import Exchange
from keeper.sim.types import Fill, Market, MarketKey, MarketKind, Order, OrderResult
from keeper.sim.wire import errors
from keeper.sim.wire.order_params import order_type, spot_order, time_in_force
from keeper.sim.wire.paging import page
from keeper.sim.wire.request import Call, Routes, order, signed
from keeper.sim.wire.text import Json, fixed8, plain


class Spot:
    """``/api/v3``: what needs a key."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> Routes:
        """The routes."""
        return {
            ("GET", "/api/v3/account"): signed(self.account, 20),
            ("GET", "/api/v3/account/commission"): signed(self.commission, 20),
            ("POST", "/api/v3/order"): order(self.place),
            ("POST", "/api/v3/order/test"): order(self.check),
            ("GET", "/api/v3/order"): signed(self.query, 4),
            ("DELETE", "/api/v3/order"): signed(self.cancel),
            ("GET", "/api/v3/openOrders"): signed(self.open_orders, 6),
            ("DELETE", "/api/v3/openOrders"): signed(self.cancel_all),
            ("GET", "/api/v3/allOrders"): signed(self.all_orders, 20),
            ("GET", "/api/v3/myTrades"): signed(self.fills, 20),
        }

    def account(self, call: Call) -> Json:
        """Balances and permissions; ``omitZeroBalances`` leaves out what is empty."""
        permissions = self._exchange.permissions(call.api_key)
        omit = call.flag("omitZeroBalances")
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": "0.00100000",
                "taker": "0.00100000",
                "buyer": "0.00000000",
                "seller": "0.00000000",
            },
            "canTrade": permissions.spot_trading,
            "canWithdraw": permissions.withdrawals,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._updated_ms(call.api_key),
            "accountType": "SPOT",
            "balances": [
                {"asset": row.asset, "free": fixed8(row.free), "locked": fixed8(row.locked)}
                for row in self._exchange.spot_balances(call.api_key)
                if row.total or not omit
            ],
            "permissions": ["SPOT"],
            "uid": self._exchange.user_id(call.api_key),
        }

    def commission(self, call: Call) -> Json:
        """Fees of one symbol, as fractions of notional."""
        market = self._market(call)
        rates: dict[str, Json] = {
            "maker": fixed8(market.maker_fee),
            "taker": fixed8(market.taker_fee),
            "buyer": "0.00000000",
            "seller": "0.00000000",
        }
        nothing: dict[str, Json] = dict.fromkeys(rates, "0.00000000")
        return {
            "symbol": market.symbol,
            "standardCommission": rates,
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": "1.00000000",
            },
        }

    def place(self, call: Call) -> Json:
        """Place an order; ``newOrderRespType`` says how much of what became of it is told."""
        market = self._market(call)
        result = self._exchange.place_order(call.api_key, spot_order(call, market))
        told = call.optional("newOrderRespType") or "FULL"
        if told == "ACK":
            return _acknowledgement(result.order)
        return self._placed(result, fills=told == "FULL")

    def check(self, call: Call) -> Json:
        """Validate an order and place nothing."""
        self._exchange.check_order(call.api_key, spot_order(call, self._market(call)))
        return {}

    def query(self, call: Call) -> Json:
        """One order, open or closed."""
        order_id, client_id = _named(call)
        found = self._exchange.order(call.api_key, self._market(call).key, order_id=order_id, client_order_id=client_id)
        return order_row(found)

    def cancel(self, call: Call) -> Json:
        """Cancel one order."""
        order_id, client_id = _named(call)
        done = self._exchange.cancel_order(
            call.api_key, self._market(call).key, order_id=order_id, client_order_id=client_id
        )
        return self._cancelled(done, call)

    def cancel_all(self, call: Call) -> Json:
        """Cancel all open orders of a symbol; none is an error here, unlike on futures."""
        done = self._exchange.cancel_all(call.api_key, self._market(call).key)
        if not done:
            raise errors.nothing_to_cancel()
        return [self._cancelled(each, call) for each in done]

    def open_orders(self, call: Call) -> Json:
        """Open orders of one symbol or of all."""
        key = self._market(call).key if call.optional("symbol") is not None else None
        return [order_row(each) for each in self._exchange.open_orders(call.api_key, MarketKind.SPOT, key)]

    def all_orders(self, call: Call) -> Json:
        """Orders in any state."""
        found = page(
            call,
            self._exchange.orders(call.api_key, self._market(call).key),
            lambda each: each.created_ms,
            lambda each: each.order_id,
            id_name="orderId",
        )
        return [order_row(each) for each in found]

    def fills(self, call: Call) -> Json:
        """The account's executions on a symbol."""
        market = self._market(call)
        asked_order = call.optional_integer("orderId")
        rows = [
            fill
            for fill in self._exchange.fills(call.api_key, MarketKind.SPOT, market.key)
            if asked_order in (None, fill.order_id)
        ]
        found = page(call, rows, lambda fill: fill.time_ms, lambda fill: fill.trade_id)
        return [_fill_row(fill) for fill in found]

    # --- shared -----------------------------------------------------------------------------------------------------

    def _market(self, call: Call) -> Market:
        return self._exchange.market(MarketKey(MarketKind.SPOT, call.text("symbol")))

    def _updated_ms(self, api_key: str) -> int:
        fills = self._exchange.fills(api_key, MarketKind.SPOT)
        moves = self._exchange.movements(api_key)
        return max([fill.time_ms for fill in fills[-1:]] + [move.time_ms for move in moves[-1:]], default=0)

    def _placed(self, result: OrderResult, *, fills: bool) -> Json:
        row = _event_row(result.order) | {"workingTime": result.order.created_ms}
        if fills:
            row["fills"] = [
                {
                    "price": fixed8(fill.price),
                    "qty": fixed8(fill.quantity),
                    "commission": fixed8(fill.commission),
                    "commissionAsset": fill.commission_asset,
                    "tradeId": fill.trade_id,
                }
                for fill in result.fills
            ]
        return row

    def _cancelled(self, done: Order, call: Call) -> Json:
        row = _event_row(done)
        row["origClientOrderId"] = done.client_order_id
        row["clientOrderId"] = call.optional("newClientOrderId") or f"cancel-{done.order_id}"
        return row


def _named(call: Call) -> tuple[int | None, str | None]:
    order_id, client_id = call.optional_integer("orderId"), call.optional("origClientOrderId")
    if order_id is None and client_id is None:
        raise errors.ambiguous()
    return order_id, client_id if order_id is None else None


def _acknowledgement(placed: Order) -> Json:
    return {
        "symbol": placed.market.symbol,
        "orderId": placed.order_id,
        "orderListId": -1,
        "clientOrderId": placed.client_order_id,
        "transactTime": placed.updated_ms,
    }


def _event_row(each: Order) -> dict[str, Json]:
    return {
        "symbol": each.market.symbol,
        "orderId": each.order_id,
        "orderListId": -1,
        "clientOrderId": each.client_order_id,
        "transactTime": each.updated_ms,
        "price": fixed8(each.price),
        "origQty": fixed8(each.quantity),
        "executedQty": fixed8(each.executed_quantity),
        "origQuoteOrderQty": fixed8(each.quote_quantity),
        "cummulativeQuoteQty": fixed8(each.executed_value),
        "status": each.status.value,
        "timeInForce": time_in_force(MarketKind.SPOT, each.time_in_force),
        "type": order_type(MarketKind.SPOT, each.type, each.time_in_force),
        "side": each.side.value,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def order_row(each: Order) -> dict[str, Json]:
    """An order as queries show it."""
    row = _event_row(each)
    del row["transactTime"]
    return row | {
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": each.created_ms,
        "updateTime": each.updated_ms,
        "isWorking": True,
        "workingTime": each.created_ms,
    }


def _fill_row(fill: Fill) -> Json:
    return {
        "symbol": fill.market.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": fixed8(fill.price),
        "qty": fixed8(fill.quantity),
        "quoteQty": plain(fill.quote_quantity),
        "commission": fixed8(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "isBuyer": fill.side.value == "BUY",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
