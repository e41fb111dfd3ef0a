"""A small stand-in for Deribit: JSON-RPC by GET, orders found by their label, sizes in USD or in coins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.support.desk import CENT, CLOCK, ZERO, D, Desk, Order, Params, Route, Told

ROOT = "/api/v2"
PERPETUAL, LINEAR = "BTC-PERPETUAL", "BTC_USDC-PERPETUAL"
SETTLES = {PERPETUAL: "BTC", LINEAR: "USDC"}


def result(value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": value, "usIn": 0, "usOut": 1, "usDiff": 1, "testnet": True}


def error(code: int, message: str = "no", status: int = 400) -> Told:
    """An error as the venue writes it."""
    return Told(status, {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "testnet": True})


def _instrument(name: str, size: float, least: float, **more: Any) -> dict[str, Any]:
    return {
        "kind": "future", "instrument_name": name, "max_leverage": 50, "maker_commission": 0.0,
        "taker_commission": 0.0005, "expiration_timestamp": 32503708800000, "creation_timestamp": 1534167754000,
        "is_active": True, "tick_size": 0.5, "contract_size": size, "min_trade_amount": least,
        "settlement_currency": SETTLES[name], "settlement_period": "perpetual", "base_currency": "BTC",
        "tick_size_steps": [], **more,
    }  # fmt: skip


INSTRUMENTS = [
    _instrument(PERPETUAL, 10.0, 10.0, counter_currency="USD", quote_currency="USD", instrument_type="reversed"),
    _instrument(LINEAR, 0.001, 0.01, counter_currency="USDC", quote_currency="USDC", instrument_type="linear"),
]


@dataclass
class DeribitDesk(Desk):
    """An account with coins, a coin-margined perpetual in USD and a linear one in coins."""

    create: tuple[str, ...] = ("/private/sell", "/private/buy")
    method: str = "GET"
    exchange: str = "deribit"
    step: Decimal = CENT
    coins: dict[str, Decimal] = field(default_factory=lambda: {"BTC": D(5), "USDC": D(1_000_000)})
    missing: frozenset[str] = frozenset()
    """Methods that this server does not have."""

    @property
    def mark(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def routes(self) -> Mapping[str, Route]:
        answers: dict[str, Route] = {
            "public/get_instruments": lambda _: result(INSTRUMENTS),
            "public/get_time": lambda _: result(CLOCK.now_ms()),
            "public/ticker": self._ticker,
            "private/get_account_summaries": self._summaries,
            "private/get_positions": lambda _: result([self._position(name) for name in SETTLES]),
            "private/get_position": lambda asked: result(self._position(asked["instrument_name"])),
            "private/get_open_orders": lambda _: result([_row(each) for each in self.found(state="open")]),
            "private/get_open_orders_by_instrument": lambda asked: result(
                [_row(each) for each in self.found(state="open", symbol=asked["instrument_name"])]
            ),
            "private/get_order_state_by_label": lambda asked: result(
                [
                    _row(each)
                    for each in self.found(client_id=asked["label"])
                    if asked["currency"] == SETTLES[each.symbol]
                ]
            ),
            "private/get_order_history_by_instrument": self._history,
            "private/get_user_trades_by_instrument_and_time": self._trades,
            "private/get_transaction_log": lambda _: result({"logs": [], "continuation": None}),
            "private/sell": lambda asked: self._new(asked, "sell"),
            "private/buy": lambda asked: self._new(asked, "buy"),
            "private/cancel": self._cancel,
        }
        return {f"GET {ROOT}/{name}": route for name, route in answers.items() if name not in self.missing}

    def _ticker(self, asked: Params) -> Any:
        return result(
            {
                "timestamp": CLOCK.now_ms(), "state": "open", "index_price": float(self.mark),
                "instrument_name": asked["instrument_name"], "last_price": float(self.mark),
                "mark_price": float(self.mark), "best_ask_price": float(self.ask), "best_bid_price": float(self.bid),
                "best_ask_amount": 186520.0, "best_bid_amount": 117660.0, "current_funding": 0.0, "funding_8h": 1e-05,
            }
        )  # fmt: skip

    def _open_pnl(self, name: str) -> Decimal:
        """In what it settles in; every position was opened at the bid."""
        held = self.positions.get(name, ZERO)
        return held * (1 / self.bid - 1 / self.mark) if name == PERPETUAL else held * (self.mark - self.bid)

    def _position(self, name: str) -> dict[str, Any]:
        held, profit = self.positions.get(name, ZERO), float(round(self._open_pnl(name), 9))
        return {
            "average_price": float(self.bid) if held else 0, "delta": 0,
            "direction": "zero" if not held else "sell" if held < 0 else "buy", "estimated_liquidation_price": 0,
            "floating_profit_loss": profit, "index_price": float(self.mark), "initial_margin": 0.05,
            "instrument_name": name, "kind": "future", "leverage": 50, "maintenance_margin": 0.02,
            "mark_price": float(self.mark), "size": float(held), "total_profit_loss": profit,
            "size_currency": float(round(held / self.mark, 9)) if name == PERPETUAL else float(held),
        }  # fmt: skip

    def _summaries(self, _: Params) -> Any:
        rows = []
        for coin, amount in self.coins.items():
            equity = float(amount + sum(self._open_pnl(name) for name, settle in SETTLES.items() if settle == coin))
            rows.append(
                {
                    "currency": coin, "balance": float(amount), "equity": equity, "margin_balance": equity,
                    "maintenance_margin": 0.02, "initial_margin": 0.05, "available_funds": equity,
                    "available_withdrawal_funds": equity, "cross_collateral_enabled": False, "session_upl": 0.0,
                }
            )  # fmt: skip
        return result({"id": 10, "type": "main", "summaries": rows})

    def _history(self, asked: Params) -> Any:
        remembered = self.forgets and asked.get("historical") != "true"
        orders = [] if remembered else [each for each in reversed(self.shown) if each.state != "open"]
        wanted = [_row(each) for each in orders if each.symbol == asked["instrument_name"]]
        if asked.get("include_unfilled") != "true":
            wanted = [row for row in wanted if row["filled_amount"]]
        return result(wanted[: int(asked.get("count", 20))])

    def _trades(self, asked: Params) -> Any:
        if "end_timestamp" not in asked or "until" in asked:
            return error(-32602, "Invalid params")
        began, ended = int(asked["start_timestamp"]), int(asked["end_timestamp"])
        rows = [_trade(each) for each in self.shown if each.filled and each.symbol == asked["instrument_name"]]
        if self.forgets and asked.get("historical") != "true":
            rows = []
        return result({"trades": [row for row in rows if began <= row["timestamp"] <= ended], "has_more": False})

    def _new(self, asked: Params, side: str) -> Any:
        name = asked["instrument_name"]
        assert asked["type"] == "limit"
        least = D(str(next(row["min_trade_amount"] for row in INSTRUMENTS if row["instrument_name"] == name)))
        if D(asked["amount"]) % least:
            return error(10021, "invalid_amount")
        if asked.get("reject_post_only") == "true" and D(asked["price"]) <= self.bid:
            return error(11054, "post_only_reject")
        ioc, reduce_only = asked.get("time_in_force") == "immediate_or_cancel", asked.get("reduce_only") == "true"
        order = self.place(
            asked["label"], name, side, asked["amount"], asked["price"], ioc=ioc, reduce_only=reduce_only
        )
        return result({"trades": [_trade(order)] if order.filled else [], "order": _row(order)})

    def _cancel(self, asked: Params) -> Any:
        for order in self.shown:
            if order.number == asked["order_id"]:
                if order.state != "open":
                    return error(11044, "not_open_order")
                order.state = "cancelled"
                return result(_row(order))
        return error(10004, "order_not_found")


def _row(order: Order) -> dict[str, Any]:
    return {
        "time_in_force": "immediate_or_cancel", "reduce_only": order.reduce_only, "price": float(order.price),
        "post_only": False, "order_type": "limit", "order_state": order.state, "order_id": order.number,
        "max_show": float(order.amount), "last_update_timestamp": order.at_ms, "label": order.client_id,
        "is_liquidation": False, "is_rebalance": False, "instrument_name": order.symbol, "direction": order.side,
        "filled_amount": float(order.filled), "creation_timestamp": order.at_ms, "replaced": False, "api": True,
        "average_price": float(order.average), "amount": float(order.amount),
    }  # fmt: skip


def _trade(order: Order) -> dict[str, Any]:
    return {
        "trade_seq": int(order.number), "trade_id": f"T{order.number}", "timestamp": order.at_ms, "tick_direction": 1,
        "state": order.state, "reduce_only": order.reduce_only, "price": float(order.average), "post_only": False,
        "order_type": "limit", "order_id": order.number, "matching_id": None, "liquidity": "T", "fee": 0.0001,
        "label": order.client_id, "instrument_name": order.symbol, "index_price": 60000.0, "direction": order.side,
        "fee_currency": SETTLES[order.symbol], "amount": float(order.filled), "mark_price": 60000.0,
    }  # fmt: skip
