"""A small stand-in for BingX's two books: linear in coins, coin-margined in contracts of ten dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.support.desk import CENT, CLOCK, ZERO, Desk, Order, Params, Route, Told

LINEAR, INVERSE = "BTC-USDT", "BTC-USD"
SWAP, COIN = "/openApi/swap/v2", "/openApi/cswap/v1"


def data(value: Any) -> dict[str, Any]:
    return {"code": 0, "msg": "", "data": value}


def error(code: int, message: str = "no") -> Told:
    """An error as the venue writes it: HTTP 200, and a code."""
    return Told(200, {"code": code, "msg": message, "data": {}})


@dataclass
class BingxDesk(Desk):
    """An account in one-way mode."""

    create: tuple[str, ...] = ("/trade/order",)
    step: Decimal = CENT
    exchange: str = "bingx"

    def routes(self) -> Mapping[str, Route]:
        return {
            f"GET {SWAP}/quote/contracts": lambda _: data([_LINEAR]),
            f"GET {COIN}/market/contracts": lambda _: data([_INVERSE]),
            "GET /openApi/spot/v1/common/symbols": lambda _: data({"symbols": [_SPOT]}),
            "GET /openApi/spot/v1/account/balance": lambda _: data({"balances": self._wallet()}),
            "GET /openApi/swap/v1/positionSide/dual": lambda _: data({"dualSidePosition": "false"}),
            f"GET {SWAP}/server/time": lambda _: data({"serverTime": CLOCK.now_ms()}),
            f"GET {SWAP}/user/positions": lambda _: data(self._held(LINEAR)),
            f"GET {COIN}/user/positions": lambda _: data(self._held(INVERSE)),
            f"GET {SWAP}/quote/premiumIndex": lambda _: data([self._mark(LINEAR)]),
            f"GET {COIN}/market/premiumIndex": lambda _: data([self._mark(INVERSE)]),
            f"GET {SWAP}/quote/ticker": lambda _: data([self._ticker(LINEAR)]),
            f"GET {COIN}/market/ticker": lambda _: data([self._ticker(INVERSE)]),
            **self._orders(SWAP, "order", "order", "allOrders"),
            **self._orders(COIN, "orderDetail", "cancelOrder", "orderHistory"),
        }

    def _orders(self, root: str, one: str, cancel: str, closed: str) -> dict[str, Route]:
        return {
            f"POST {root}/trade/order": lambda asked: self._new(asked, flat=root == COIN),
            f"GET {root}/trade/{one}": self._one,
            f"GET {root}/trade/openOrders": lambda asked: self._list(asked, closed=False),
            f"GET {root}/trade/{closed}": lambda asked: self._list(asked, closed=True),
            f"DELETE {root}/trade/{cancel}": self._cancel,
        }

    def _wallet(self) -> list[dict[str, Any]]:
        return [{"asset": coin, "free": str(amount), "locked": "0"} for coin, amount in self.coins.items()]

    def _held(self, symbol: str) -> list[dict[str, Any]]:
        size = self.positions.get(symbol, ZERO)
        if not size:
            return []
        side = "SHORT" if size < 0 else "LONG"
        return [
            {
                "positionId": "1", "symbol": symbol, "currency": "USDT", "positionAmt": str(abs(size)),
                "positionSide": side, "isolated": False, "avgPrice": str(self.bid), "leverage": 6,
                "unrealizedProfit": "0", "liquidationPrice": 0, "markPrice": str(self.bid), "updateTime": 0,
            }
        ]  # fmt: skip

    def _mark(self, symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, "markPrice": str(self.bid), "indexPrice": str(self.bid), "lastFundingRate": "0.0001"}

    def _ticker(self, symbol: str) -> dict[str, Any]:
        now = str(CLOCK.now_ms())
        return {"symbol": symbol, "bidPrice": str(self.bid), "askPrice": str(self.ask), "closeTime": now}

    def _new(self, asked: Params, *, flat: bool) -> Any:
        assert (asked["positionSide"], asked["type"]) == ("BOTH", "LIMIT")
        if self.found(client_id=asked["clientOrderID"]):
            return error(101481, "clientOrderID is not unique")
        side, tif = asked["side"].lower(), asked["timeInForce"]
        if tif == "PostOnly" and side == "sell" and Decimal(asked["price"]) <= self.bid:
            return error(101215, "The Maker (Post Only) order ensures that the user always acts as a maker")
        order = self.place(
            asked["clientOrderID"], asked["symbol"], side, asked["quantity"], asked["price"], ioc=tif == "IOC",
            reduce_only=asked.get("reduceOnly") == "true",
        )  # fmt: skip
        told = {"symbol": order.symbol, "orderId": int(order.number), "side": asked["side"], "positionSide": "BOTH"}
        told |= {"type": "LIMIT", "clientOrderID": order.client_id, "workingType": "MARK_PRICE"}
        return {**data({}), **told} if flat else data({"order": told})

    def _one(self, asked: Params) -> Any:
        if asked.get("orderId") == "":
            return error(109400, "Invalid parameters, err:orderId: strconv.ParseInt: parsing")
        found = self.found(symbol=asked["symbol"], client_id=asked["clientOrderId"])
        return data({"order": _row(found[0])}) if found else error(80016, "order does not exist")

    def _list(self, asked: Params, *, closed: bool) -> Any:
        wanted = {"symbol": asked["symbol"]} if "symbol" in asked else {}
        rows = [each for each in self.found(**wanted) if (each.state != "open") is closed]
        if "startTime" in asked:
            rows = [each for each in rows if int(asked["startTime"]) <= each.at_ms <= int(asked["endTime"])]
        assert not closed or int(asked["limit"]) <= 1000
        return data({"orders": [_row(each) for each in rows]})

    def _cancel(self, asked: Params) -> Any:
        for order in self.found(number=asked["orderId"]):
            if order.state != "open":
                return error(80018, "order is already filled")
            order.state = "cancelled"
            return data({"order": _row(order)})
        return error(80016, "order does not exist")


_LINEAR = {
    "contractId": "100", "symbol": LINEAR, "size": "0.0001", "quantityPrecision": "2", "pricePrecision": "1",
    "tradeMinQuantity": "0.01", "tradeMinUSDT": "2", "currency": "USDT", "asset": "BTC", "status": "1",
    "apiStateOpen": "true", "apiStateClose": "true",
}  # fmt: skip
_INVERSE = {
    "symbol": INVERSE, "pricePrecision": 1, "minTickSize": "10", "minTradeValue": "10", "minQty": "1.00000000",
    "status": 1, "timeOnline": 1713175200000,
}  # fmt: skip
_SPOT = {
    "symbol": LINEAR, "minQty": 0.01, "minNotional": 5, "status": 1, "tickSize": 0.01, "stepSize": 0.01,
    "apiStateSell": True, "apiStateBuy": True, "timeOnline": 0,
}  # fmt: skip
STATES = {"open": "NEW", "filled": "FILLED", "cancelled": "CANCELLED"}


def _row(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol, "orderId": int(order.number), "side": order.side.upper(), "positionSide": "BOTH",
        "type": "LIMIT", "origQty": str(order.amount), "price": str(order.price), "executedQty": str(order.filled),
        "avgPrice": str(order.average), "cumQuote": "", "stopPrice": "", "profit": "", "commission": "-0.01",
        "status": STATES[order.state], "time": order.at_ms, "updateTime": order.at_ms,
        "clientOrderId": order.client_id, "leverage": "", "reduceOnly": order.reduce_only, "takeProfit": "",
        "stopLoss": "", "workingType": "MARK_PRICE",
    }  # fmt: skip
