"""A small stand-in for WEEX's contracts: sizes in coins, a long and a short side of each, orders in lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.support.desk import CENT, CLOCK, Desk, Order, Params, Route, Told

MARKET = "BTCUSDT"
ROOT = "/capi/v3"
RATE = Decimal("0.005")
STATES = {"open": "NEW", "filled": "FILLED", "cancelled": "CANCELED", "partial": "PARTIAL_FILL"}


def error(code: int, message: str = "no") -> Told:
    """An error as the venue writes it."""
    return Told(400, {"code": code, "msg": message})


@dataclass
class WeexDesk(Desk):
    """An account in combined mode."""

    create: tuple[str, ...] = (f"{ROOT}/order",)
    step: Decimal = CENT
    exchange: str = "weex"

    def routes(self) -> Mapping[str, Route]:
        return {
            "GET /api/v3/exchangeInfo": lambda _: {"symbols": [_SPOT]},
            "GET /api/v3/account/": lambda _: self._wallet(),
            "GET /api/v3/account": lambda _: self._wallet(),
            "GET /api/v3/time": lambda _: {"serverTime": CLOCK.now_ms()},
            f"GET {ROOT}/market/time": lambda _: {"serverTime": CLOCK.now_ms()},
            f"GET {ROOT}/account/symbolConfig": lambda _: [_CONFIG],
            f"GET {ROOT}/market/exchangeInfo": lambda _: {"symbols": [_CONTRACT]},
            f"GET {ROOT}/market/premiumIndex": lambda _: [self._price()],
            f"GET {ROOT}/market/ticker/bookTicker": lambda _: [self._price()],
            f"GET {ROOT}/account/balance": lambda _: [self._account()],
            f"GET {ROOT}/account/position/allPosition": lambda _: self._held(),
            f"POST {ROOT}/order": self._new,
            f"DELETE {ROOT}/order": self._cancel,
            f"GET {ROOT}/openOrders": lambda asked: self._list(asked, closed=False),
            f"GET {ROOT}/order/history": lambda asked: self._list(asked, closed=True),
            f"GET {ROOT}/userTrades": self._trades,
        }

    def _wallet(self) -> dict[str, Any]:
        rows = [{"asset": coin, "free": str(amount), "locked": "0"} for coin, amount in self.coins.items()]
        return {"balances": rows, "canWithdraw": False}

    def _account(self) -> dict[str, Any]:
        margin = str(self.margin)
        return {"asset": "USDT", "balance": margin, "availableBalance": margin, "frozen": "0", "unrealizePnl": "0"}

    def _end(self, size: Decimal) -> str:
        """Where a short is liquidated at a rate of maintenance of 0.005; a long never is."""
        left = self.margin + size * self.bid * RATE
        return str((self.bid + left / (-size * (1 + RATE))).quantize(CENT)) if size < 0 else "0"

    def _price(self) -> dict[str, Any]:
        bid, ask, now = str(self.bid), str(self.ask), CLOCK.now_ms()
        return {
            "symbol": MARKET, "lastPrice": bid, "markPrice": bid, "indexPrice": bid, "lastFundingRate": "0.0001",
            "bidPrice": bid, "bidQty": "1", "askPrice": ask, "askQty": "1", "time": now, "closeTime": now,
        }  # fmt: skip

    def _held(self) -> list[dict[str, Any]]:
        return [
            {
                "id": 737191855967437160, "asset": "USDT", "symbol": name, "side": "SHORT" if size < 0 else "LONG",
                "marginType": "CROSSED", "separatedMode": "COMBINED", "leverage": "20.00", "size": str(abs(size)),
                "openValue": str(abs(size) * self.bid), "unrealizePnl": "0", "liquidatePrice": self._end(size),
                "createdTime": 1, "updatedTime": 1,
            }
            for name, size in self.positions.items()
            if size
        ]  # fmt: skip

    def _new(self, asked: Params) -> Any:
        side, closes = asked["side"].lower(), asked.get("reduceOnly") is True
        assert asked["positionSide"] == "SHORT"
        if self.found(client_id=asked["newClientOrderId"]):
            return error(-1142, "duplicate clientOrderId")
        ioc = asked["timeInForce"] == "IOC"
        order = self.place(
            asked["newClientOrderId"], asked["symbol"], side, asked["quantity"], asked["price"], ioc=ioc,
            reduce_only=closes or side == "buy",
        )  # fmt: skip
        return {"symbol": MARKET, "orderId": int(order.number), "clientOrderId": order.client_id, "transactTime": 1}

    def _list(self, asked: Params, *, closed: bool) -> Any:
        wanted = {"symbol": asked["symbol"]} if "symbol" in asked else {}
        return [_row(each) for each in self.found(**wanted) if (each.state not in ("open", "partial")) is closed]

    def _trades(self, asked: Params) -> Any:
        return [
            {
                "id": int(each.number) + 1, "orderId": int(each.number), "symbol": MARKET, "buyer": each.side == "buy",
                "commission": "0.001", "commissionAsset": "USDT", "maker": False, "price": str(each.average),
                "qty": str(each.filled), "quoteQty": "1", "realizedPnl": "0", "side": each.side.upper(),
                "positionSide": "SHORT", "time": each.at_ms,
            }
            for each in self.shown
            if each.filled and each.at_ms >= int(asked["startTime"])
        ]  # fmt: skip

    def _cancel(self, asked: Params) -> Any:
        for order in self.found(number=str(asked["orderId"])):
            if order.state == "open":
                order.state = "cancelled"
                return {"orderId": int(order.number), "success": True}
        return error(-3200, "Order does not exist")


_CONFIG = {"symbol": MARKET, "marginType": "CROSSED", "separatedType": "COMBINED", "crossLeverage": "20"}
_CONTRACT = {
    "symbol": MARKET, "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": "1",
    "quantityPrecision": "2", "baseAssetPrecision": "2", "quotePrecision": "8", "contractVal": "0.001",
    "delivery": ["00:00:00"], "forwardContractFlag": True, "minLeverage": "1", "maxLeverage": "400",
    "makerFeeRate": "0.0002", "takerFeeRate": "0.0008", "minOrderSize": "0.01", "maxOrderSize": "1000000",
}  # fmt: skip
_SPOT = {
    "symbol": MARKET, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "tickSize": "0.01",
    "stepSize": "0.00001", "minTradeAmount": "0.0001", "maxTradeAmount": "99999", "enableTrade": True,
}  # fmt: skip


def _row(order: Order) -> dict[str, Any]:
    return {
        "avgPrice": str(order.average), "clientOrderId": order.client_id, "cumQuote": "0",
        "executedQty": str(order.filled), "orderId": int(order.number), "origQty": str(order.amount),
        "price": str(order.price), "reduceOnly": order.reduce_only, "side": order.side.upper(),
        "positionSide": "SHORT", "status": STATES[order.state], "stopPrice": "0", "symbol": order.symbol,
        "time": order.at_ms, "timeInForce": "IOC", "type": "LIMIT", "updateTime": order.at_ms,
        "workingType": "CONTRACT_PRICE",
    }  # fmt: skip
