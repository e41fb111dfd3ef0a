"""Venues where an order whose answer is lost could never be found again: looked at, and never traded on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.config import parse_config
from keeper.errors import UnsafeError
from keeper.look import check_connect
from keeper.venue import capabilities
from keeper.venue.base import HostRefusedError
from keeper.venue.capabilities import capability_of
from keeper.venue.findable import unresolvable
from keeper.venue.recipes import Capability, Lookups
from tests.support.gate import GateDesk
from tests.venue.helpers import LIVE, opened, raw, venue_of

WHOLE = {"fetchOpenOrders": True, "fetchClosedOrders": True, "fetchMyTrades": True}


@pytest.mark.parametrize(
    ("exchange", "why"),
    [
        ("mudrex", "no id of ours"),
        ("hibachi", "no id of ours"),
        ("krakenfutures", "as cancelled"),
        ("gemini", "open and closed orders cannot be listed"),
        ("btse", "open and closed orders cannot be listed"),
        ("dydx", "executions cannot be listed"),
        *((name, "") for name in ("binance", "bybit", "okx", "deribit", "bingx", "mexc", "weex", "gate", "bitget")),
        *((name, "") for name in ("kucoin", "kucoinfutures", "hyperliquid", "htx", "phemex")),
    ],
)
async def test_where_an_order_could_never_be_found_again(exchange: str, why: str) -> None:
    venue = venue_of(exchange, policy=LIVE)
    lost = unresolvable(capability_of(exchange), raw(venue).has)
    assert why in lost if lost is not None else not why, lost
    await venue.close()


CONFIG = """
mode = "{mode}"
[venues.main]
exchange = "gate"
[venues.main.ccxt]
rateLimit = 1
urls = {{ api = "{url}" }}
[[hedges]]
name = "btc"
asset = "BTC"
spot = ["main"]
instrument = "main:BTC/USDT:USDT"
ratio = "1"
"""
KEYS = {"KEEPER_VENUES__MAIN__API_KEY": "test-key-0123", "KEEPER_VENUES__MAIN__API_SECRET": "test-secret-0123"}


async def test_no_contract_of_such_a_venue_carries_a_hedge_in_a_mode_that_trades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(capabilities.TABLE, "gate", replace(capability_of("gate"), no_orders="so it is"))
    async with GateDesk() as desk:
        for mode in ("testnet", "dry-run"):
            config = parse_config(CONFIG.format(mode=mode, url=desk.url), "keeper.toml", tmp_path / "keeper.toml", KEYS)
            if mode == "testnet":
                with pytest.raises(UnsafeError, match="no orders are sent to gate: so it is"):
                    await check_connect(config)
            else:
                assert [finding for finding in await check_connect(config) if finding.ok is False] == []
        venue = venue_of("gate", {"urls": {"api": desk.url}, "rateLimit": 1})
        async with opened(venue):
            assert (await venue.observer.wallet("")).totals["BTC"] == 5  # what it holds is hedged elsewhere
            with pytest.raises(HostRefusedError, match="so it is"):
                venue.observer.instrument("BTC/USDT:USDT")


def test_what_makes_an_order_findable() -> None:
    assert unresolvable(Capability(), WHOLE) is None
    assert unresolvable(Capability(), {**WHOLE, "fetchClosedOrders": "emulated"}) is not None
    assert unresolvable(Capability(), {**WHOLE, "fetchClosedOrders": False, "fetchCanceledOrders": True}) is None
    assert unresolvable(Capability(), {**WHOLE, "fetchOpenOrders": False}) is not None
    by_id = Capability(lookups=Lookups(unified="clientOid"))
    assert unresolvable(by_id, {"fetchMyTrades": True}) is None
    assert unresolvable(by_id, {}) == "executions cannot be listed"
    assert unresolvable(capability_of("mudrex"), WHOLE) == "orders carry no id of ours"
