"""A small stand-in for MEXC's contracts: sizes in contracts, sides that say open or close, orders by an outside id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.desk import CLOCK, D, Desk, Order, Params, Route, Told

LINEAR, INVERSE = "BTC_USDT", "BTC_USD"
PRIVATE, PUBLIC = "/api/v1/private", "/api/v1/contract"
SIDES = {1: ("buy", False), 2: ("buy", True), 3: ("sell", False), 4: ("sell", True)}
POST_ONLY, IOC = 2, 3
STATES = {"open": 2, "filled": 3, "cancelled": 4, "rejected": 5}


def data(value: Any) -> dict[str, Any]:
    return {"success": True, "code": 0, "data": value}


def error(code: int, message: str = "no") -> Told:
    """An error as the venue writes it: HTTP 200, and a code."""
    return Told(200, {"success": False, "code": code, "message": message})


@dataclass
class MexcDesk(Desk):
    """An account in one-way mode."""

    create: tuple[str, ...] = ("/private/order/create",)
    exchange: str = "mexc"

    def routes(self) -> Mapping[str, Route]:
        ids = {f"GET {PRIVATE}/order/external/{each.symbol}/{each.client_id}": each for each in self.shown}
        wanted = [each.path for each in self.asked if "/order/external/" in each.path]
        return {
            "GET /api/v3/exchangeInfo": lambda _: {"symbols": [_SPOT]},
            "GET /api/v3/account": lambda _: {"balances": self._wallet(), "canWithdraw": False},
            "GET /api/v3/time": lambda _: {"serverTime": CLOCK.now_ms()},
            f"GET {PUBLIC}/ping": lambda _: data(CLOCK.now_ms()),
            f"GET {PUBLIC}/detail": lambda _: data([_market("USDT", "USDT", 0.0001), _market("USD", "BTC", 100)]),
            f"GET {PUBLIC}/ticker": lambda _: data([self._ticker(name) for name in (LINEAR, INVERSE)]),
            f"GET {PRIVATE}/account/assets": lambda _: data([self._account()]),
            f"GET {PRIVATE}/position/open_positions": lambda _: data([self._held(name) for name in self.positions]),
            f"GET {PRIVATE}/position/position_mode": lambda _: data(2),
            f"POST {PRIVATE}/order/create": self._new,
            f"POST {PRIVATE}/order/cancel": self._cancel,
            f"GET {PRIVATE}/order/list/open_orders": lambda asked: self._list(asked, closed=False),
            f"GET {PRIVATE}/order/list/history_orders": lambda asked: self._list(asked, closed=True),
            **{f"GET {path}": lambda _: error(2040, "order not exist") for path in wanted},
            **{path: lambda _, order=order: data(_row(order)) for path, order in ids.items()},  # type: ignore[misc]
        }

    def _wallet(self) -> list[dict[str, Any]]:
        return [{"asset": coin, "free": str(amount), "locked": "0"} for coin, amount in self.coins.items()]

    def _account(self) -> dict[str, Any]:
        return {
            "currency": "USDT", "positionMargin": 0, "availableBalance": float(self.margin),
            "cashBalance": float(self.margin), "frozenBalance": 0, "equity": float(self.margin), "unrealized": 0,
            "bonus": 0,
        }  # fmt: skip

    def _ticker(self, symbol: str) -> dict[str, Any]:
        return {
            "symbol": symbol, "lastPrice": float(self.bid), "bid1": float(self.bid), "ask1": float(self.ask),
            "indexPrice": float(self.bid), "fairPrice": float(self.bid), "fundingRate": 0.0001,
            "timestamp": CLOCK.now_ms(),
        }  # fmt: skip

    def _held(self, symbol: str) -> dict[str, Any]:
        size = self.positions[symbol]
        return {
            "positionId": 1, "symbol": symbol, "positionType": 2 if size < 0 else 1, "openType": 2, "state": 1,
            "holdVol": float(abs(size)), "holdAvgPrice": float(self.bid), "liquidatePrice": 75000, "leverage": 10,
        }  # fmt: skip

    def _new(self, asked: Params) -> Any:
        side, closes = SIDES[asked["side"]]
        assert asked["openType"] == 2
        if len(asked["externalOid"]) > 32:
            return error(2030, "External order ID is too long")
        if self.found(client_id=asked["externalOid"]):
            return error(603, "Repeated requests")
        rests = asked["type"] == POST_ONLY
        order = self.place(
            asked["externalOid"], asked["symbol"], side, D(str(asked["vol"])), asked["price"],
            ioc=asked["type"] == IOC, reduce_only=closes, post_only=rests,
        )  # fmt: skip
        return data({"orderId": order.number, "ts": order.at_ms})

    def _list(self, asked: Params, *, closed: bool) -> Any:
        wanted = {"symbol": asked["symbol"]} if "symbol" in asked else {}
        rows = [each for each in self.found(**wanted) if (each.state != "open") is closed]
        if "start_time" in asked:
            rows = [each for each in rows if int(asked["start_time"]) <= each.at_ms <= int(asked["end_time"])]
        size, page = int(asked.get("page_size", 20)), int(asked.get("page_num", 1))
        assert size <= 100
        return data([_row(each) for each in rows[(page - 1) * size : page * size]])

    def _cancel(self, asked: Params) -> Any:
        (number,) = asked["body"]
        told = {"orderId": number, "errorCode": 2040, "errorMsg": "order not exist"}
        for order in self.found(number=number):
            told |= {"errorCode": 2041, "errorMsg": "order state cannot be cancelled"}
            if order.state == "open":
                order.state = "cancelled"
                told |= {"errorCode": 0, "errorMsg": "success"}
        return data([told])


def _market(quote: str, settle: str, size: float) -> dict[str, Any]:
    return {
        "symbol": f"BTC_{quote}", "positionOpenType": 3, "baseCoin": "BTC", "quoteCoin": quote, "settleCoin": settle,
        "contractSize": size, "minLeverage": 1, "maxLeverage": 125, "priceUnit": 0.5, "volUnit": 1, "minVol": 1,
        "maxVol": 1000000, "state": 0, "takerFeeRate": 0.0006, "maintenanceMarginRate": 0.004, "riskBaseVol": 100000,
        "riskIncrVol": 200000, "riskIncrMmr": 0.004, "riskLevelLimit": 5,
    }  # fmt: skip


_SPOT = {
    "symbol": "BTCUSDT", "status": "1", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
    "quotePrecision": 2, "quoteAssetPrecision": 2, "baseSizePrecision": "0.000001", "isSpotTradingAllowed": True,
    "permissions": ["SPOT"], "filters": [], "quoteAmountPrecision": "1", "maxQuoteAmount": "4000000",
}  # fmt: skip


def _row(order: Order) -> dict[str, Any]:
    sides = {told: number for number, told in SIDES.items()}
    return {
        "orderId": order.number, "symbol": order.symbol, "positionId": 0, "price": float(order.price),
        "vol": float(order.amount), "leverage": 10, "side": sides[order.side, order.reduce_only], "category": 1,
        "orderType": 3, "dealAvgPrice": float(order.average), "dealVol": float(order.filled), "orderMargin": 0,
        "takerFee": 0.01, "makerFee": 0, "profit": 0, "feeCurrency": "USDT", "openType": 2,
        "state": STATES[order.state], "externalOid": order.client_id, "errorCode": 0, "usedMargin": 0,
        "createTime": order.at_ms, "updateTime": order.at_ms, "positionMode": 2,
    }  # fmt: skip
