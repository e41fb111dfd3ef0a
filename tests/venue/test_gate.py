"""One look at Gate as its own pages describe it: two books of perpetuals, each asked for by the coin of settlement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.venue.test_lists import NO
from tests.venue.test_payloads import near, seen
from tests.venue.test_told import INVERSE, LINEAR, hedge

ROOT = "/api/v4"


def _contract(name: str, multiplier: str, kind: str) -> dict[str, Any]:
    return {
        "name": name, "type": kind, "quanto_multiplier": multiplier, "order_price_deviate": "0.5",
        "maintenance_rate": "0.005", "mark_type": "index", "last_price": "65000", "mark_price": "65000",
        "index_price": "65000", "in_delisting": False, "order_price_round": "0.1", "order_size_min": 1,
        "order_size_max": 1000000, "leverage_min": "1", "leverage_max": "100", "maker_fee_rate": "-0.00025",
        "taker_fee_rate": "0.00075", "funding_rate": "0.0001", "funding_interval": 28800, "status": "trading",
    }  # fmt: skip


def _position(contract: str, size: int, mode: str = "single") -> dict[str, Any]:
    return {
        "value": "1", "leverage": "0", "mode": mode, "contract": contract, "entry_price": "60000",
        "mark_price": "65000", "realised_pnl": "0", "close_order": None, "size": size, "cross_leverage_limit": "0",
        "pending_orders": 0, "maintenance_rate": "0.004", "unrealised_pnl": "0", "user": 5691076, "margin": "0.003",
        "liq_price": "0", "open_time": 1684796048, "update_time": 1684796048,
    }  # fmt: skip


def _ticker(contract: str) -> dict[str, Any]:
    names = ("last", "mark_price", "index_price", "highest_bid", "lowest_ask", "low_24h", "high_24h")
    return {"contract": contract, "funding_rate": "0.0001", "volume_24h": "1", **dict.fromkeys(names, "65000")}


def gate(linear: list[Any], inverse: list[Any]) -> dict[str, Any]:
    pair = {
        "id": "BTC_USDT", "base": "BTC", "quote": "USDT", "fee": "0.2", "min_base_amount": "0.0001",
        "min_quote_amount": "3", "amount_precision": 6, "precision": 1, "trade_status": "tradable", "type": "normal",
    }  # fmt: skip
    account = {
        "currency": "BTC", "total": "2", "unrealised_pnl": "-0.0256", "available": "1.9", "position_margin": "0.1",
        "order_margin": "0", "point": "0", "bonus": "0", "in_dual_mode": False, "history": {}, "user": "6333333",
    }  # fmt: skip
    routes: dict[str, Any] = {
        "/margin/currency_pairs": [],
        "/spot/currency_pairs": [pair],
        "/futures/usdt/contracts": [_contract("BTC_USDT", "0.0001", "direct")],
        "/futures/btc/contracts": [_contract("BTC_USD", "0", "inverse")],
        "/delivery/usdt/contracts": [],
        "/delivery/btc/contracts": [],
        "/spot/accounts": [{"currency": "BTC", "available": "1.25", "locked": "0.25", "update_id": 98}],
        "/futures/btc/accounts": account,
        "/futures/usdt/positions": linear,
        "/futures/btc/positions": inverse,
        "/futures/usdt/orders": [],
        "/futures/btc/orders": [],
        "/futures/usdt/tickers": [_ticker("BTC_USDT")],
        "/futures/btc/tickers": [_ticker("BTC_USD")],
        "/spot/tickers": [{"currency_pair": "BTC_USDT", "last": "65000"}],
    }
    return {ROOT + path: answer for path, answer in routes.items()}


async def test_a_coin_margined_position_is_found_by_name_too(tmp_path: Path) -> None:
    """The client asks for the book that settles in USDT unless it is told of the other one."""
    cycle = await seen("gate", gate([], [_position("BTC_USD", -20000)]), tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.spot_base, "1.5"), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, "3.474359")
    assert near(cycle.exposure.futures_base, "-0.307692")
    assert "unconfirmed_position" not in {reason.code for reason in cycle.exposure.blockers}


@pytest.mark.parametrize("symbol", [LINEAR, INVERSE])
async def test_both_sides_of_an_account_are_added_and_told_of(tmp_path: Path, symbol: str) -> None:
    linear = [_position("BTC_USDT", 2000, "dual_long"), _position("BTC_USDT", -7000, "dual_short")]
    inverse = [_position("BTC_USD", 5000, "dual_long"), _position("BTC_USD", -25000, "dual_short")]
    cycle = await seen("gate", gate(linear, inverse), tmp_path, hedge(symbol))
    assert near(cycle.exposure.futures_base, "-0.5" if symbol == LINEAR else "-0.307692")
    assert "position_mode" in {reason.code for reason in cycle.exposure.blockers}
    assert cycle.plan is None or not cycle.plan.orders


async def test_a_list_of_contracts_that_is_missing_hides_no_other(tmp_path: Path) -> None:
    routes = gate([_position("BTC_USDT", -5000)], [])
    for path in ("/delivery/usdt/contracts", "/margin/currency_pairs", "/account/detail"):
        routes[ROOT + path] = NO
    cycle = await seen("gate", routes, tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.spot_base, "1.5"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, "-0.5"), cycle.exposure.blockers
    unread = [reason.text for reason in cycle.exposure.blockers if reason.code == "market_unread"]
    assert len(unread) == 2
    assert not any("account/detail" in text for text in unread)
