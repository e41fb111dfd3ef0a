"""A small stand-in for Hyperliquid: two addresses, no row for a flat contract, refusals in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.support.desk import CLOCK, Asked, Desk, Order, Params, Route, Told, retold

MARKET = "BTC"
ENDS = {"open": "open", "filled": "filled", "cancelled": "canceled", "rejected": "rejected"}
POST_ONLY = "Post only order would have immediately matched, bbo was 59990@60010. asset=0"
GONE = "Order was never placed, already canceled, or filled. asset=0"


def refused(text: str) -> Told:
    """An order that was refused, as the venue writes it: a success with an error inside."""
    return Told(200, _statuses("order", {"error": text}))


def failed(text: str) -> Told:
    """A request that was refused whole."""
    return Told(200, {"status": "err", "response": text})


@dataclass
class HyperliquidDesk(Desk):
    """An account with one perpetual; ``BTC`` is held as ``UBTC`` there."""

    create: tuple[str, ...] = ("/exchange",)
    step: Decimal = Decimal("0.00001")
    exchange: str = "hyperliquid"
    keys: tuple[str, ...] = ("0x" + "ab" * 20, "0x" + "1f" * 32)
    leverage: Params = field(default_factory=lambda: {"type": "cross", "value": 20})

    def routes(self) -> Mapping[str, Route]:
        return {"POST /info": lambda asked: self._told()[asked["type"]](asked), "POST /exchange": self._exchange}

    def questions(self) -> list[str]:
        """What was asked, in turn."""
        return [each.params["type"] for each in self.asked if each.path == "/info"]

    def actions(self) -> list[Params]:
        """What the account was told to do, in turn."""
        return [each.params["action"] for each in self.asked if each.path == "/exchange"]

    def sent(self) -> list[Asked]:
        return [each for each in super().sent() if each.params["action"]["type"] == "order"]

    def _told(self) -> Mapping[str, Route]:
        return {
            "exchangeStatus": lambda _: {"specialStatuses": None, "time": CLOCK.now_ms()},
            "perpDexs": lambda _: [None],
            "metaAndAssetCtxs": lambda _: [{"universe": [_CONTRACT], "collateralToken": 0}, [self._prices()]],
            "spotMetaAndAssetCtxs": lambda _: [_SPOT, [self._prices() | {"coin": "@142"}]],
            "spotClearinghouseState": lambda _: self._wallet(),
            "clearinghouseState": lambda _: self._account(),
            "frontendOpenOrders": lambda _: [_row(each) for each in self.found(state="open")],
            "orderStatus": lambda asked: self._one(asked["oid"]),
            "userFillsByTime": self._fills,
        }

    def _wallet(self) -> Params:
        names = {"BTC": "UBTC", "USDT": "USDC"}
        held = [(names[coin], str(amount)) for coin, amount in self.coins.items()]
        return {"balances": [{"coin": coin, "token": 0, "total": total, "hold": "0.0"} for coin, total in held]}

    def _prices(self) -> Params:
        bid, ask = str(self.bid), str(self.ask)
        return {
            "funding": "0.0000125", "openInterest": "1000.0", "prevDayPx": bid, "dayNtlVlm": "1.0", "premium": "0.0",
            "oraclePx": bid, "markPx": bid, "midPx": bid, "impactPxs": [bid, ask], "dayBaseVlm": "1.0",
        }  # fmt: skip

    def _account(self) -> Params:
        size = self.positions.get(MARKET, Decimal(0))
        position = {
            "coin": MARKET, "szi": str(size), "leverage": self.leverage, "entryPx": str(self.bid),
            "positionValue": str(abs(size) * self.bid), "unrealizedPnl": "0.0", "returnOnEquity": "0.0",
            "liquidationPx": "75000.0", "marginUsed": "10.0", "maxLeverage": 40,
            "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
        }  # fmt: skip
        rows = [{"type": "oneWay", "position": retold(position, self.position_told)}] if size else []
        worth = str(self.margin)
        sums = {"accountValue": worth, "totalNtlPos": "0.0", "totalRawUsd": worth, "totalMarginUsed": "0.0"}
        account = {
            "marginSummary": sums, "crossMarginSummary": sums, "crossMaintenanceMarginUsed": "0.0",
            "withdrawable": worth, "assetPositions": rows, "time": CLOCK.now_ms(),
        }  # fmt: skip
        return retold(account, self.account_told)

    def _one(self, name: Any) -> Params:
        order = next((each for each in self.shown if str(name) in (each.number, each.client_id)), None)
        if order is None:
            return {"status": "unknownOid"}
        told = {"order": _row(order), "status": ENDS[order.state], "statusTimestamp": CLOCK.now_ms()}
        return {"status": "order", "order": told}

    def _fills(self, asked: Params) -> list[Params]:
        return [
            {
                "coin": MARKET, "px": str(each.average), "sz": str(each.filled), "side": _side(each),
                "time": each.at_ms,
                "startPosition": "0.0", "dir": "Open Short", "closedPnl": "0.0", "hash": "0x0", "oid": int(each.number),
                "crossed": True, "fee": "0.01", "feeToken": "USDC", "tid": int(each.number) + 1,
                "cloid": each.client_id,
            }
            for each in self.orders
            if each.filled and each.at_ms >= asked["startTime"]
        ]  # fmt: skip

    def _exchange(self, asked: Params) -> Any:
        action = asked["action"]
        if action["type"] == "order":
            return _statuses("order", self._new(action["orders"][0]))
        if action["type"] == "cancel":
            number = str(action["cancels"][0]["o"])
            order = next((each for each in self.orders if each.number == number and each.state == "open"), None)
            if order is None:
                return _statuses("cancel", {"error": GONE})
            order.state = "cancelled"
            return _statuses("cancel", "success")
        if action["type"] == "updateLeverage":
            self.leverage = {"type": "cross" if action["isCross"] else "isolated", "value": action["leverage"]}
        return {"status": "ok", "response": {"type": "default"}}

    def _new(self, asked: Params) -> Params:
        rests, ioc = (asked["t"]["limit"]["tif"] == tif for tif in ("Alo", "Ioc"))
        side, price = ("buy" if asked["b"] else "sell"), Decimal(asked["p"])
        if rests and (price >= self.ask if asked["b"] else price <= self.bid):
            return {"error": POST_ONLY}
        order = self.place(asked["c"], MARKET, side, asked["s"], asked["p"], ioc=ioc, reduce_only=asked["r"])
        number = int(order.number)
        if order.filled:
            return {"filled": {"totalSz": str(order.filled), "avgPx": str(order.average), "oid": number}}
        if ioc:
            return {"error": "Order could not immediately match against any resting orders. asset=0"}
        return {"resting": {"oid": number}}


_CONTRACT = {"szDecimals": 5, "name": MARKET, "maxLeverage": 40}
_SPOT = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "isCanonical": True},
        {"name": "UBTC", "szDecimals": 5, "weiDecimals": 10, "index": 1, "fullName": "Unit Bitcoin"},
    ],
    "universe": [{"name": "@142", "tokens": [1, 0], "index": 0, "isCanonical": False}],
}


def _statuses(kind: str, status: Any) -> Params:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": [status]}}}


def _side(order: Order) -> str:
    return "A" if order.side == "sell" else "B"


def _row(order: Order) -> Params:
    return {
        "coin": order.symbol, "side": _side(order), "limitPx": str(order.price), "sz": str(order.amount - order.filled),
        "oid": int(order.number), "timestamp": order.at_ms, "triggerCondition": "N/A", "isTrigger": False,
        "triggerPx": "0.0", "children": [], "isPositionTpsl": False, "reduceOnly": order.reduce_only,
        "orderType": "Limit", "origSz": str(order.amount), "tif": "Ioc", "cloid": order.client_id,
    }  # fmt: skip
