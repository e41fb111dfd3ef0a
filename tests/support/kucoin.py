"""A small stand-in for KuCoin's USDT contracts: sizes in contracts, orders by our id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.desk import CLOCK, ZERO, Desk, Order, Params, Route, Told, retold

MARKET = "XBTUSDTM"


def data(value: Any) -> dict[str, Any]:
    return {"code": "200000", "data": value}


def error(code: str, message: str = "no", status: int = 200) -> Told:
    """An error as the venue writes it."""
    return Told(status, {"code": code, "msg": message})


@dataclass
class KucoinDesk(Desk):
    """An account in one-way mode."""

    create: tuple[str, ...] = ("/api/v1/orders",)
    exchange: str = "kucoin"
    margin_mode: str = "ISOLATED"

    def routes(self) -> Mapping[str, Route]:
        numbers = [each.number for each in self.orders]
        return {
            "GET /api/v2/symbols": lambda _: data([]),
            "GET /api/v3/margin/symbols": lambda _: data({"items": []}),
            "GET /api/v1/isolated/symbols": lambda _: data([]),
            "GET /api/v1/hf/accounts/opened": lambda _: data(True),
            "GET /api/ua/v1/account/mode": lambda _: data({"selfAccountMode": "CLASSIC"}),
            "GET /api/v1/timestamp": lambda _: data(CLOCK.now_ms()),
            "GET /api/v1/accounts": lambda asked: data(self._wallet(asked.get("type", "trade_hf"))),
            "GET /api/v1/account-overview": lambda asked: data(self._account(asked["currency"])),
            "GET /api/v1/contracts/active": lambda _: data([self._contract()]),
            "GET /api/v1/allTickers": lambda _: data([self._ticker()]),
            "GET /api/v1/positions": lambda _: data([self._held()] if self.positions.get(MARKET) else []),
            "GET /api/v1/position": lambda _: data(self._held()),
            "GET /api/v2/position": lambda _: data([self._held()]),
            "GET /api/v2/position/getPositionMode": lambda _: data({"positionMode": 0}),
            "GET /api/v1/orders": lambda _: data(self._page([_row(each) for each in self.found(state="open")])),
            "GET /api/v1/orders/byClientOid": self._one,
            "GET /api/v1/fills": self._fills,
            "POST /api/v1/orders": self._new,
            **{f"DELETE /api/v1/orders/{number}": self._cancel(number) for number in numbers},
        }

    def _wallet(self, kind: str) -> list[dict[str, Any]]:
        return [
            {
                "id": coin,
                "currency": coin,
                "type": kind,
                "balance": str(amount),
                "available": str(amount),
                "holds": "0",
            }
            for coin, amount in self.coins.items()
        ]

    def _account(self, currency: str) -> dict[str, Any]:
        assert currency == "USDT"
        margin = float(self.margin)
        row = {
            "accountEquity": margin, "unrealisedPNL": 0, "marginBalance": margin, "positionMargin": 0,
            "orderMargin": 0, "frozenFunds": 0, "availableBalance": margin / 2, "currency": currency,
        }  # fmt: skip
        return retold(row, self.account_told)

    @staticmethod
    def _page(rows: list[Any]) -> dict[str, Any]:
        return {"currentPage": 1, "pageSize": 50, "totalNum": len(rows), "totalPage": 1, "items": rows}

    def _contract(self) -> dict[str, Any]:
        return {
            "symbol": MARKET, "rootSymbol": "USDT", "type": "FFWCSX", "firstOpenDate": 1585555200000,
            "expireDate": None, "baseCurrency": "XBT", "quoteCurrency": "USDT", "settleCurrency": "USDT",
            "maxOrderQty": 1000000, "maxPrice": 1000000.0, "lotSize": 1, "tickSize": 0.1, "indexPriceTickSize": 0.01,
            "multiplier": 0.001, "isInverse": False, "isQuanto": True, "status": "Open", "fundingFeeRate": 0.0001,
            "makerFeeRate": 0.0002, "takerFeeRate": 0.0006, "markPrice": float(self.bid), "maxLeverage": 100,
            "indexPrice": float(self.bid), "lastTradePrice": float(self.bid), "nextFundingRateTime": 25481884,
        }  # fmt: skip

    def _ticker(self) -> dict[str, Any]:
        return {
            "sequence": 1, "symbol": MARKET, "side": "sell", "size": 1, "tradeId": "1", "price": str(self.bid),
            "bestBidPrice": str(self.bid), "bestBidSize": 100, "bestAskPrice": str(self.ask), "bestAskSize": 100,
            "ts": CLOCK.now_ms() * 1_000_000,
        }  # fmt: skip

    def _held(self) -> dict[str, Any]:
        size = self.positions.get(MARKET, ZERO)
        row = {
            "id": "1", "symbol": MARKET, "autoDeposit": False, "maintMarginReq": 0.004, "realLeverage": 1.0,
            "crossMode": self.margin_mode == "CROSS", "currentQty": int(size), "currentCost": 0.0,
            "isOpen": bool(size), "isInverse": False,
            "markPrice": float(self.bid), "markValue": float(size * self.bid / 1000), "settleCurrency": "USDT",
            "avgEntryPrice": float(self.bid), "liquidationPrice": 75000.0, "unrealisedPnl": 0.0,
            "marginMode": self.margin_mode,
            "positionSide": "BOTH", "leverage": 10.0, "maintMargin": 1.0, "posMargin": 1.0,
        }  # fmt: skip
        return retold(row, self.position_told)

    def _new(self, asked: Params) -> Any:
        assert isinstance(asked["size"], int)
        if asked.get("marginMode", "ISOLATED") != self.margin_mode:
            return error("330005", "The order's margin mode does not match the selected one")
        if self.found(client_id=asked["clientOid"]):
            return error("400100", "clientOid duplicated")
        order = self.place(
            asked["clientOid"], asked["symbol"], asked["side"], asked["size"], asked["price"],
            ioc=asked.get("timeInForce") == "IOC", reduce_only=asked.get("reduceOnly") is True,
            post_only=asked.get("postOnly") is True,
        )  # fmt: skip
        return data({"orderId": order.number, "clientOid": order.client_id})

    def _one(self, asked: Params) -> Any:
        found = self.found(client_id=asked["clientOid"])
        return data(_row(found[0])) if found else error("100001", "error.getOrder.orderNotExist")

    def _fills(self, asked: Params) -> Any:
        rows = [each for each in self.shown if each.filled and each.at_ms >= int(asked["startAt"])]
        return data(self._page([_fill(each) for each in rows]))

    def _cancel(self, number: str) -> Route:
        def cancel(_: Params) -> Any:
            for order in self.found(number=number, state="open"):
                order.state = "cancelled"
                return data({"cancelledOrderIds": [order.number]})
            return error("100004", "The order cannot be canceled.")

        return cancel


def _row(order: Order) -> dict[str, Any]:
    return {
        "id": order.number, "symbol": order.symbol, "type": "limit", "side": order.side, "price": str(order.price),
        "size": int(order.amount), "value": "1", "dealValue": "1", "dealSize": int(order.filled), "stp": "",
        "filledSize": int(order.filled), "filledValue": str(order.filled * order.average / 1000),
        "avgDealPrice": str(order.average), "reduceOnly": order.reduce_only, "clientOid": order.client_id,
        "isActive": order.state == "open", "cancelExist": order.state == "cancelled", "postOnly": False,
        "createdAt": order.at_ms, "updatedAt": order.at_ms, "timeInForce": "IOC", "settleCurrency": "USDT",
        "status": "open" if order.state == "open" else "done", "leverage": "10", "marginMode": "CROSS",
    }  # fmt: skip


def _fill(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol, "tradeId": f"T{order.number}", "orderId": order.number, "side": order.side,
        "liquidity": "taker", "price": str(order.average), "size": int(order.filled), "value": "1",
        "feeRate": "0.0006", "fixFee": "0", "feeCurrency": "USDT", "stop": "", "fee": "0.01", "orderType": "limit",
        "tradeType": "trade", "createdAt": order.at_ms, "settleCurrency": "USDT",
        "tradeTime": order.at_ms * 1_000_000,
    }  # fmt: skip
