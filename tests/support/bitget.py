"""A small stand-in for Bitget's USDT contracts: sizes in coins, one-way mode, orders by our id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.support.desk import CENT, CLOCK, ZERO, Desk, Order, Params, Route, Told, retold

MARKET = "BTCUSDT"
MIX = "/api/v2/mix"
STATES = {"open": "live", "filled": "filled", "cancelled": "canceled"}


def data(value: Any) -> dict[str, Any]:
    return {"code": "00000", "msg": "success", "requestTime": CLOCK.now_ms(), "data": value}


def error(code: int, status: int = 400) -> Told:
    """An error as the venue writes it."""
    return Told(status, {"code": str(code), "msg": "no", "requestTime": 0, "data": None})


@dataclass
class BitgetDesk(Desk):
    """An account in one-way mode."""

    create: tuple[str, ...] = (f"{MIX}/order/place-order",)
    step: Decimal = CENT
    exchange: str = "bitget"
    margin_mode: str = "crossed"

    def routes(self) -> Mapping[str, Route]:
        return {
            "GET /api/v2/spot/public/symbols": lambda _: data([_SPOT]),
            "GET /api/v2/margin/currencies": lambda _: data([]),
            "GET /api/v2/public/time": lambda _: data({"serverTime": str(CLOCK.now_ms())}),
            "GET /api/v2/spot/account/assets": lambda _: data(self._assets()),
            f"GET {MIX}/market/contracts": self._contracts,
            f"GET {MIX}/market/tickers": lambda asked: data([self._ticker()] if _is_usdt(asked) else []),
            f"GET {MIX}/account/accounts": lambda asked: data([self._account()] if _is_usdt(asked) else []),
            f"GET {MIX}/position/all-position": lambda asked: data(self._held() if _is_usdt(asked) else []),
            f"GET {MIX}/position/single-position": lambda _: data(self._held()),
            f"GET {MIX}/order/orders-pending": self._pending,
            f"GET {MIX}/order/detail": self._one,
            f"GET {MIX}/order/fills": self._fills,
            f"POST {MIX}/order/place-order": self._new,
            f"POST {MIX}/order/cancel-order": self._cancel,
            f"POST {MIX}/account/set-margin-mode": self._set_margin_mode,
        }

    def _set_margin_mode(self, asked: Params) -> Any:
        self.margin_mode = asked["marginMode"]
        return data({"symbol": MARKET, "marginCoin": "USDT", "marginMode": self.margin_mode})

    def _contracts(self, asked: Params) -> Any:
        return data([_CONTRACT] if _is_usdt(asked) else [])

    def _assets(self) -> list[dict[str, Any]]:
        return [
            {"coin": coin, "available": str(amount), "frozen": "0", "locked": "0", "limitAvailable": "0", "uTime": "0"}
            for coin, amount in self.coins.items()
        ]

    def _account(self) -> dict[str, Any]:
        row = {
            "marginCoin": "USDT", "locked": "0", "available": str(self.margin), "crossedMaxAvailable": "0",
            "isolatedMaxAvailable": "0", "maxTransferOut": str(self.margin / 2), "accountEquity": str(self.margin),
            "usdtEquity": str(self.margin), "btcEquity": "0", "crossedRiskRate": "0", "unrealizedPL": "0",
            "coupon": "0", "crossedUnrealizedPL": None, "isolatedUnrealizedPL": None,
        }  # fmt: skip
        return retold(row, self.account_told)

    def _ticker(self) -> dict[str, Any]:
        return {
            "symbol": MARKET, "lastPr": str(self.bid), "askPr": str(self.ask), "bidPr": str(self.bid),
            "markPrice": str(self.bid), "indexPrice": str(self.bid), "fundingRate": "0.0001",
            "ts": str(CLOCK.now_ms()),
        }  # fmt: skip

    def _held(self) -> list[dict[str, Any]]:
        size = self.positions.get(MARKET, ZERO)
        if not size:
            return []
        row = {
            "symbol": MARKET, "marginCoin": "USDT", "holdSide": "short" if size < 0 else "long", "marginSize": "1000",
            "total": str(abs(size)), "available": str(abs(size)), "locked": "0", "leverage": "20",
            "openPriceAvg": str(self.bid), "marginMode": self.margin_mode, "posMode": "one_way_mode",
            "unrealizedPL": "0", "liquidationPrice": "75000", "markPrice": str(self.bid), "keepMarginRate": "0.004",
        }  # fmt: skip
        return [retold(row, self.position_told)]

    def _new(self, asked: Params) -> Any:
        wanted = (asked["marginCoin"], asked["productType"], asked["orderType"])
        assert wanted == ("USDT", "USDT-FUTURES", "limit")
        if asked["marginMode"] != self.margin_mode:
            return error(45117)
        if self.found(client_id=asked["clientOid"]):
            return error(40786)
        order = self.place(
            asked["clientOid"], asked["symbol"], asked["side"], asked["size"], asked["price"],
            ioc=asked["force"].lower() == "ioc", reduce_only=asked.get("reduceOnly") == "YES",
            post_only=asked["force"] == "post_only",
        )  # fmt: skip
        return data({"clientOid": order.client_id, "orderId": order.number})

    def _one(self, asked: Params) -> Any:
        found = self.found(client_id=asked["clientOid"], symbol=asked["symbol"])
        return data(_row(found[0])) if found else error(40109)

    def _pending(self, asked: Params) -> Any:
        rows = [_row(each) for each in self.found(state="open")] if _is_usdt(asked) else []
        return data({"entrustedList": rows or None, "endId": None})

    def _fills(self, asked: Params) -> Any:
        rows = [each for each in self.shown if each.filled and each.at_ms >= int(asked["startTime"])]
        return data({"fillList": [_fill(each) for each in rows], "endId": None})

    def _cancel(self, asked: Params) -> Any:
        for order in self.found(number=asked["orderId"], state="open"):
            order.state = "cancelled"
            return data({"orderId": order.number, "clientOid": order.client_id})
        return error(22001)


def _is_usdt(asked: Params) -> bool:
    return bool(asked["productType"] == "USDT-FUTURES")


_CONTRACT = {
    "symbol": MARKET, "baseCoin": "BTC", "quoteCoin": "USDT", "buyLimitPriceRatio": "0.05",
    "sellLimitPriceRatio": "0.05", "feeRateUpRatio": "0.005", "makerFeeRate": "0.0002", "takerFeeRate": "0.0006",
    "openCostUpRatio": "0.01", "supportMarginCoins": ["USDT"], "minTradeNum": "0.01", "priceEndStep": "1",
    "volumePlace": "2", "pricePlace": "1", "sizeMultiplier": "0.01", "symbolType": "perpetual", "minTradeUSDT": "5",
    "maxSymbolOrderNum": "200", "maxProductOrderNum": "400", "maxPositionNum": "150", "symbolStatus": "normal",
    "offTime": "-1", "limitOpenTime": "-1", "deliveryTime": "", "launchTime": "", "fundInterval": "8", "minLever": "1",
    "maxLever": "125", "posLimit": "0.05", "maintainTime": "",
}  # fmt: skip
_SPOT = {
    "symbol": MARKET, "baseCoin": "BTC", "quoteCoin": "USDT", "minTradeAmount": "0", "maxTradeAmount": "10000000000",
    "takerFeeRate": "0.002", "makerFeeRate": "0.002", "pricePrecision": "2", "quantityPrecision": "6",
    "quotePrecision": "8", "status": "online", "minTradeUSDT": "1", "buyLimitPriceRatio": "0.05",
}  # fmt: skip


def _row(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol, "size": str(order.amount), "orderId": order.number, "clientOid": order.client_id,
        "baseVolume": str(order.filled), "fee": "-0.01", "price": str(order.price),
        "priceAvg": str(order.average) if order.filled else "", "state": STATES[order.state],
        "status": STATES[order.state], "side": order.side, "force": "ioc", "totalProfits": "0", "posSide": "net",
        "marginCoin": "USDT", "quoteVolume": "0", "leverage": "20", "marginMode": "crossed",
        "reduceOnly": "YES" if order.reduce_only else "NO", "enterPointSource": "API", "tradeSide": "sell_single",
        "posMode": "one_way_mode", "orderType": "limit", "orderSource": "normal", "cTime": str(order.at_ms),
        "uTime": str(order.at_ms),
    }  # fmt: skip


def _fill(order: Order) -> dict[str, Any]:
    return {
        "tradeId": f"T{order.number}", "symbol": MARKET, "orderId": order.number, "price": str(order.average),
        "baseVolume": str(order.filled), "feeDetail": [{"deduction": "no", "feeCoin": "USDT", "totalFee": "-0.01"}],
        "side": order.side, "quoteVolume": "1", "profit": "0", "enterPointSource": "api", "tradeSide": "sell_single",
        "posMode": "one_way_mode", "tradeScope": "taker", "cTime": str(order.at_ms),
    }  # fmt: skip
