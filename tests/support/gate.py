"""A small stand-in for Gate's USDT contracts: signed sizes in contracts, our id in a text that begins with t-."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.desk import CLOCK, Desk, Order, Params, Route, Told, retold

MARKET = "BTC_USDT"
ROOT = "/api/v4/futures/usdt"
ENDS = {"filled": "filled", "cancelled": "ioc"}


def error(label: str, status: int = 400) -> Told:
    """An error as the venue writes it."""
    return Told(status, {"label": label, "message": "no"})


@dataclass
class GateDesk(Desk):
    """An account in one-way mode."""

    create: tuple[str, ...] = ("/futures/usdt/orders",)
    exchange: str = "gate"

    def routes(self) -> Mapping[str, Route]:
        numbers = [name for each in self.shown for name in (each.number, each.client_id)]
        missing = [each.path for each in self.asked if f"{ROOT}/orders/" in each.path]
        return {
            "GET /api/v4/account/detail": lambda _: {"user_id": 1, "ip_whitelist": [], "key": {"mode": 1}},
            "GET /api/v4/spot/accounts": lambda _: self._wallet(),
            "GET /api/v4/spot/time": lambda _: {"server_time": CLOCK.now_ms()},
            "GET /api/v4/spot/currency_pairs": lambda _: [],
            "GET /api/v4/margin/currency_pairs": lambda _: [],
            f"GET {ROOT}/contracts": lambda _: [_CONTRACT],
            "GET /api/v4/futures/btc/contracts": lambda _: [],
            "GET /api/v4/delivery/usdt/contracts": lambda _: [],
            "GET /api/v4/delivery/btc/contracts": lambda _: [],
            f"GET {ROOT}/tickers": lambda _: [self._ticker()],
            f"GET {ROOT}/accounts": lambda _: self._account(),
            f"GET {ROOT}/positions": lambda _: [self._held()],
            "GET /api/v4/futures/btc/positions": lambda _: [],
            f"GET {ROOT}/positions/{MARKET}": lambda _: self._held(),
            f"GET {ROOT}/orders": lambda _: [_row(each) for each in self.found(state="open")],
            "GET /api/v4/futures/btc/orders": lambda _: [],
            f"POST {ROOT}/orders": self._new,
            f"GET {ROOT}/my_trades_timerange": self._trades,
            **{f"GET {path}": lambda _: error("ORDER_NOT_FOUND") for path in missing},
            **{f"DELETE {path}": lambda _: error("ORDER_NOT_FOUND") for path in missing},
            **{f"GET {ROOT}/orders/{name}": self._one(name) for name in numbers},
            **{f"DELETE {ROOT}/orders/{each.number}": self._cancel(each) for each in self.shown},
        }

    def _wallet(self) -> list[dict[str, Any]]:
        return [{"currency": coin, "available": str(amount), "locked": "0"} for coin, amount in self.coins.items()]

    def _account(self) -> dict[str, Any]:
        row = {
            "order_margin": "0", "point": "0", "bonus": "0", "unrealised_pnl": "0", "total": str(self.margin),
            "available": str(self.margin / 2), "in_dual_mode": False, "currency": "USDT", "position_margin": "0",
            "user": "1",
        }  # fmt: skip
        return retold(row, self.account_told)

    def _ticker(self) -> dict[str, Any]:
        return {
            "contract": MARKET, "last": str(self.bid), "mark_price": str(self.bid), "index_price": str(self.bid),
            "funding_rate": "0.0001", "highest_bid": str(self.bid), "lowest_ask": str(self.ask),
        }  # fmt: skip

    def _held(self) -> dict[str, Any]:
        size = int(self.positions.get(MARKET, 0))
        row = {
            "user": 1, "contract": MARKET, "size": size, "leverage": "0", "mode": "single",
            "entry_price": str(self.bid),
            "mark_price": str(self.bid), "value": str(abs(size) * self.bid / 10000), "margin": "10",
            "liq_price": "75000", "unrealised_pnl": "0", "maintenance_rate": "0.004",
        }  # fmt: skip
        return retold(row, self.position_told)

    def _new(self, asked: Params) -> Any:
        text, size = asked["text"], int(asked["size"])
        if not text.startswith("t-") or len(text) > 30:
            return error("INVALID_PARAM_VALUE")
        side, rests = ("sell" if size < 0 else "buy"), asked["tif"] == "poc"
        if rests and size < 0 and float(asked["price"]) <= self.bid:
            return error("ORDER_POC_IMMEDIATE")
        order = self.place(
            text, asked["contract"], side, abs(size), asked["price"], ioc=asked["tif"] == "ioc",
            reduce_only=asked.get("reduce_only") is True,
        )  # fmt: skip
        return _row(order)

    def _one(self, name: str) -> Route:
        order = next(each for each in self.shown if name in (each.number, each.client_id))
        named = name == order.client_id and self.forgets and order.state != "open"
        return lambda _: error("ORDER_NOT_FOUND") if named else _row(order)

    def _cancel(self, order: Order) -> Route:
        def cancel(_: Params) -> Any:
            if order.state != "open":
                return error("ORDER_FINISHED")
            order.state = "cancelled"
            return _row(order)

        return cancel

    def _trades(self, asked: Params) -> Any:
        rows = [each for each in self.shown if each.filled and each.at_ms // 1000 >= int(asked["from"])]
        return [
            {
                "trade_id": str(int(each.number) + 1), "create_time": each.at_ms / 1000, "contract": MARKET,
                "order_id": each.number, "size": str(-each.filled if each.side == "sell" else each.filled),
                "price": str(each.average), "text": each.client_id, "fee": "0.01", "point_fee": "0", "role": "taker",
            }
            for each in rows
        ]  # fmt: skip


_CONTRACT = {
    "name": MARKET, "type": "direct", "quanto_multiplier": "0.0001", "ref_discount_rate": "0",
    "order_price_deviate": "0.5", "maintenance_rate": "0.005", "mark_type": "index", "last_price": "60000",
    "mark_price": "60000", "index_price": "60000", "funding_rate_indicative": "0.0002", "mark_price_round": "0.01",
    "funding_offset": 0, "in_delisting": False, "risk_limit_base": "1000000", "interest_rate": "0.0003",
    "order_price_round": "0.1", "order_size_min": 1, "ref_rebate_rate": "0.2", "funding_interval": 28800,
    "risk_limit_step": "1000000", "leverage_min": "1", "leverage_max": "100", "risk_limit_max": "8000000",
    "maker_fee_rate": "-0.00025", "taker_fee_rate": "0.00075", "funding_rate": "0.002053", "order_size_max": 1000000,
    "funding_next_apply": 1610035200, "config_change_time": 1593158867, "trade_size": 1, "position_size": 1,
    "orders_limit": 50, "trade_id": 1, "orderbook_id": 1, "funding_cap_ratio": "0.75", "create_time": 1600000000,
}  # fmt: skip


def _row(order: Order) -> dict[str, Any]:
    signed = -order.amount if order.side == "sell" else order.amount
    left = -(order.amount - order.filled) if order.side == "sell" else order.amount - order.filled
    row = {
        "id": int(order.number), "user": 1, "contract": order.symbol, "create_time": order.at_ms / 1000,
        "size": int(signed), "iceberg": 0, "left": int(left), "price": str(order.price),
        "fill_price": str(order.average),
        "tif": "ioc", "text": order.client_id, "is_reduce_only": order.reduce_only, "is_close": False, "is_liq": False,
        "tkfr": "0.0005", "mkfr": "0.0002", "refu": 0, "status": "open",
    }  # fmt: skip
    if order.state != "open":
        row |= {"status": "finished", "finish_as": ENDS[order.state], "finish_time": CLOCK.now_ms() / 1000}
    return row
