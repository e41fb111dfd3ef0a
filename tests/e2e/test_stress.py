"""``keeper stress`` of a live portfolio: one look through the real client, and what comes out is the worked table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from keeper.commands.stress import _show, of_look
from keeper.look import look_once
from keeper.sim.types import WalletKind
from keeper.wiring import open_house
from tests.e2e.grounds import D, Ground, OwnGround, config_of, hedge_toml, other_ground, own_ground
from tests.e2e.test_golden import settle

MOVES = [Fraction(-1, 10), Fraction(1, 2)]


@pytest_asyncio.fixture(params=["own", "other"])
async def ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    async with own_ground() if request.param == "own" else other_ground() as made:
        yield made


async def stressed(ground: Ground, folder: Path, hedges: str) -> Any:
    before = ground.orders()
    found = of_look(await look_once(config_of(ground, folder, hedges)), MOVES)
    assert ground.orders() == before
    return found


async def test_a_hedge_of_one_half(ground: Ground, tmp_path: Path) -> None:
    hedges = hedge_toml(ratio="0.5")
    unhedged = await stressed(ground, tmp_path, hedges)
    assert unhedged["hedges"][0]["moves"][0]["futures_pnl"] == "0"
    assert not any(tmp_path.iterdir()), "a look writes no file"  # noqa: ASYNC240
    async with open_house(config_of(ground, tmp_path, hedges), live=False) as house:
        await settle(house.desk)
        found = await stressed(ground, tmp_path, hedges)
    [hedge] = found["hedges"]
    assert (hedge["asset"], hedge["instrument"], hedge["reasons"]) == ("BTC", "main:BTC/USDT:USDT", [])
    seen, value = hedge["moves"][0], D(hedge["value"])
    assert D(seen["spot_pnl"]) == -value / 10
    assert D(seen["futures_pnl"]) == value / 20
    assert D(seen["net_pnl"]) == -value / 20
    assert seen["hedge_ratio"] == "0.5"
    assert found["total"]["moves"][0]["net_pnl"] == seen["net_pnl"]


async def test_a_full_coin_margined_hedge_is_worth_the_same(tmp_path: Path) -> None:
    async with own_ground({}) as ground:
        assert isinstance(ground, OwnGround)
        ground.deposit("BTC", "5", WalletKind.COINM)
        hedges = hedge_toml("BTC/USD:BTC", spot="[]")
        async with open_house(config_of(ground, tmp_path, hedges), live=False) as house:
            await settle(house.desk)
            ground.price("BTC", "52000")
            found = await stressed(ground, tmp_path, hedges)
    [hedge] = found["hedges"]
    for seen in hedge["moves"]:
        # Whole contracts of 100 USD: less than one of them stays open.
        assert abs(D(seen["net_pnl"])) <= D(100) * abs(D(seen["move"]))
        assert abs(D(seen["hedge_ratio"]) - 1) < D("0.001")


async def test_what_cannot_be_seen_is_null_for_its_hedge_and_for_the_total(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with own_ground() as ground:
        gone = 'holdings_file = [{ path = "./cold.csv", max_age_seconds = 3600 }]'
        hedges = hedge_toml() + hedge_toml("ETH/USDT:USDT", "0.5", "eth", "ETH", more=gone)
        found = await stressed(ground, tmp_path, hedges)
    btc, eth = found["hedges"]
    assert btc["value"] is not None
    assert eth["value"] is None
    assert {reason["code"] for reason in eth["reasons"]}
    assert found["total"]["moves"][0]["net_pnl"] is None
    _show({"source": "live", "mode": "testnet", "taken_at": "now", **found})
    page = capsys.readouterr().out
    shown = page[page.index("eth: ") : page.index("Money is")]
    assert "value ? · ratio ?" in shown
    assert " - " not in shown, "what is not known is not what there is none of"
