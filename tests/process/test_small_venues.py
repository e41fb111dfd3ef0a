"""The closest peer's faults on the venues that have small stand-ins: whole keepers, each on one account with one story.

The right short is 5 coins and, after a deposit, 6. In no row is it deeper than that, and no intent makes two orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keeper.venue.capabilities import capability_of
from tests.e2e.grounds import KEY, SECRET, hedge_toml
from tests.process.keepers import FAST, Keeper, free_port, holds, keeping, write_config
from tests.support.bingx import LINEAR as BINGX_LINEAR
from tests.support.bingx import BingxDesk
from tests.support.bitget import MARKET as BITGET_MARKET
from tests.support.bitget import BitgetDesk
from tests.support.deribit import LINEAR as DERIBIT_LINEAR
from tests.support.deribit import DeribitDesk
from tests.support.desk import D, Told
from tests.support.gate import MARKET as GATE_MARKET
from tests.support.gate import GateDesk
from tests.support.kucoin import MARKET as KUCOIN_MARKET
from tests.support.kucoin import KucoinDesk
from tests.support.mexc import LINEAR as MEXC_LINEAR
from tests.support.mexc import MexcDesk
from tests.support.weex import MARKET as WEEX_MARKET
from tests.support.weex import WeexDesk

ENV = {
    "KEEPER_VENUES__MAIN__API_KEY": KEY,
    "KEEPER_VENUES__MAIN__API_SECRET": SECRET,
    "KEEPER_VENUES__MAIN__PASSWORD": "test-pass-0123456789",
}
AT_ONCE = 3


@dataclass(frozen=True)
class Venue:
    desk: Callable[[], Any]
    symbol: str
    market: str
    a_coin: int = 1
    """What a coin is in the venue's own count."""


VENUES = (
    Venue(DeribitDesk, "BTC/USDC:USDC", DERIBIT_LINEAR),
    Venue(BingxDesk, "BTC/USDT:USDT", BINGX_LINEAR),
    Venue(MexcDesk, "BTC/USDT:USDT", MEXC_LINEAR, 10_000),
    Venue(WeexDesk, "BTC/USDT:USDT", WEEX_MARKET),
    Venue(GateDesk, "BTC/USDT:USDT", GATE_MARKET, 10_000),
    Venue(BitgetDesk, "BTC/USDT:USDT", BITGET_MARKET),
    Venue(KucoinDesk, "BTC/USDT:USDT", KUCOIN_MARKET, 1_000),
)


def configured(desk: Any, venue: Venue, folder: Path) -> Path:
    return write_config(
        folder,
        f"""
mode = "testnet"
[loop]
poll_seconds = 0.2
start_patience_seconds = 1
read_timeout_seconds = 2
order_timeout_seconds = 1
[journal]
url = "sqlite:///{folder / "keeper.db"}"
[api]
bind = "127.0.0.1:{free_port()}"
{FAST}
[limits]
max_order_notional = "120000"
[venues.main]
exchange = "{desk.exchange}"
[venues.main.ccxt]
rateLimit = 1
urls = {{ api = "{desk.url}" }}
{hedge_toml(venue.symbol)}
""",
    )


async def in_order(keeper: Keeper, desk: Any, venue: Venue, coins: int) -> None:
    """The short is right and was never deeper, turns that begin now hold, and each order is one intent of ours."""
    wanted = D(-coins * venue.a_coin)
    await keeper.until(lambda: desk.positions.get(venue.market) == wanted, f"a short of {coins}")
    before = (await keeper.turns(1))["cycles"]
    await keeper.until_state(lambda state: state["cycles"] > before + 1 and holds(state), "a hold")
    assert (desk.positions[venue.market], desk.worst) == (wanted, wanted)
    ids = [capability_of(desk.exchange).decode(order.client_id) for order in desk.orders]
    assert len(set(ids)) == len(ids), "one intent, two orders"
    rows = await keeper.orders()
    assert set(ids) <= {row.intent.client_id for row in rows}
    assert not [row for row in rows if row.intent.outcome.state.value == "unknown"]


async def story(venue: Venue, folder: Path) -> None:
    desk = venue.desk()
    async with desk, keeping(configured(desk, venue, folder), ENV) as keeper:
        desk.answer(Told(503, {}), accepted=True, times=3)  # three orders, each answered with an error
        await in_order(keeper, desk, venue, 5)
        assert len(desk.orders) == 3
        desk.lose_answers(None)
        desk.blind = True
        desk.coins["BTC"] = D(6)
        await keeper.until_reason("unresolved_order")
        await keeper.turns(6)
        assert len(desk.orders) == 4, "nothing more is sent while one order is unknown"
        desk.heal()
        await in_order(keeper, desk, venue, 6)
        desk.coins["BTC"] = D(0)
        await keeper.until_reason("unexplained_zero")
        await keeper.turns(3)
        desk.coins["BTC"] = D(6)
        await in_order(keeper, desk, venue, 6)
        await keeper.kill()
        await keeper.start()
        await in_order(keeper, desk, venue, 6)
        assert len(desk.orders) == 4
        assert [order.side for order in desk.orders] == ["sell"] * 4


async def test_the_closest_peer_s_faults_on_other_venues(tmp_path: Path) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(venue: Venue) -> None:
        folder = tmp_path / venue.desk().exchange
        folder.mkdir()
        async with places:
            try:
                await story(venue, folder)
            except AssertionError as error:
                error.add_note(f"at {folder.name}")
                raise

    async with asyncio.TaskGroup() as group:
        for venue in VENUES:
            group.create_task(one(venue))
