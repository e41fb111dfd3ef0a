"""What ``keeper plan`` and ``keeper check --connect`` tell of the margin at venues that do not state it whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import keeper
from tests.e2e.grounds import D, hedge_toml
from tests.support.bitget import MARKET as BITGET_MARKET
from tests.support.bitget import BitgetDesk
from tests.support.desk import BID
from tests.support.gate import MARKET as GATE_MARKET
from tests.support.gate import GateDesk
from tests.support.kucoin import MARKET as KUCOIN_MARKET
from tests.support.kucoin import KucoinDesk
from tests.support.mexc import LINEAR as MEXC_LINEAR
from tests.support.mexc import MexcDesk
from tests.support.weex import MARKET as WEEX_MARKET
from tests.support.weex import WeexDesk

ENV = {f"KEEPER_VENUES__MAIN__{name}": "test-key-0123456789" for name in ("API_KEY", "API_SECRET", "PASSWORD")}


@dataclass(frozen=True)
class Told:
    """A short of five coins at 59,990, and the share of its value that the venue wants behind it."""

    desk: Callable[..., Any]
    market: str
    contracts: str
    rate: str
    wallet: str = "main.linear"


VENUES = (
    Told(MexcDesk, MEXC_LINEAR, "-50000", "0.0046"),
    Told(WeexDesk, WEEX_MARKET, "-5", "0.005"),
    Told(BitgetDesk, BITGET_MARKET, "-5", "0.004"),
    Told(GateDesk, GATE_MARKET, "-50000", "0.00475"),
    Told(partial(KucoinDesk, margin_mode="CROSS"), KUCOIN_MARKET, "-5000", "0.004"),
)
EACH = pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.desk().exchange)


def written(desk: Any, folder: Path) -> str:
    file = folder / "keeper.toml"
    file.write_text(
        f"""
mode = "testnet"
[journal]
url = "sqlite:///{folder / "keeper.db"}"
[venues.main]
exchange = "{desk.exchange}"
[venues.main.ccxt]
rateLimit = 1
urls = {{ api = "{desk.url}" }}
{hedge_toml()}
"""
    )
    return str(file)


@EACH
async def test_plan_and_check_tell_the_margin(venue: Told, tmp_path: Path) -> None:
    async with venue.desk(positions={venue.market: D(venue.contracts)}, margin=D(100_000)) as desk:
        file = written(desk, tmp_path)
        planned = await asyncio.to_thread(keeper, "plan", "--json", "-c", file, environ=ENV)
        checked = await asyncio.to_thread(keeper, "check", "--connect", "-c", file, environ=ENV)
    assert planned.exit_code == 0, planned.output
    margin = json.loads(planned.stdout)["hedges"][0]["margin"]
    needed = 5 * desk.bid * D(venue.rate)
    assert (margin["account"], margin["asset"], margin["level"]) == (venue.wallet, "USDT", "fine")
    assert D(margin["equity"]) == 100_000
    assert float(margin["maintenance"]) == pytest.approx(float(needed))
    assert float(margin["ratio"]) == pytest.approx(float(needed / 100_000))
    assert D(margin["liquidation_price"]) > desk.bid
    (rally,) = [line for line in checked.stdout.splitlines() if "a rally of" in line]
    assert "100000 USDT in main.linear has to bear the loss" in rally.replace(",", "")
    assert not desk.sent()


@EACH
async def test_a_threshold_stops_new_shorts(venue: Told, tmp_path: Path) -> None:
    """A short is there already that needs three quarters of what is behind it."""
    async with venue.desk(
        positions={venue.market: D(venue.contracts)}, margin=5 * BID * D(venue.rate) * D("1.3")
    ) as desk:
        desk.coins["BTC"] = D(6)
        planned = await asyncio.to_thread(keeper, "plan", "--json", "-c", written(desk, tmp_path), environ=ENV)
    hedge = json.loads(planned.stdout)["hedges"][0]
    assert "margin_block" in [reason["code"] for reason in hedge["reasons"]], hedge
    assert hedge["orders"] == []
