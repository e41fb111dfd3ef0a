"""Cross hedges and baskets through the public commands and over sockets: golden number 9 and the basket anchor."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from keeper.core.model import Hold
from keeper.look import check_connect, look_once
from keeper.report import plan_document
from keeper.wiring import open_house
from tests.e2e.grounds import D, Ground, config_of, other_ground, own_ground
from tests.e2e.test_golden import settle

CROSS = """
[[hedges]]
name = "sol"
asset = "SOL"
spot = ["main"]
instrument = "main:BTC/USDT:USDT"
ratio = "1"
beta = "1.2"
"""
BASKET = """
[[hedges]]
name = "all"
assets = ["SOL", "ETH", "BTC"]
spot = ["main"]
instrument = "main:BTC/USDT:USDT"
ratio = "0.6"
beta = { SOL = "1.3", ETH = "1.1" }
"""


@pytest_asyncio.fixture(params=[own_ground, other_ground])
async def ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    async with request.param({"SOL": "2000", "ETH": "100", "BTC": "4"}) as made:
        yield made


async def planned(ground: Ground, folder: Path, hedge: str) -> dict[str, Any]:
    look = await look_once(config_of(ground, folder, hedge))
    document = plan_document("testnet", look.taken_at_ms, look.hedges)
    assert json.loads(json.dumps(document)) == document
    found: dict[str, Any] = document["hedges"][0]
    return found


def near(figure: str | None, wanted: str) -> bool:
    return figure is not None and abs(Decimal(figure) - Decimal(wanted)) < Decimal("0.000001")


def prices(ground: Ground, **found: str) -> None:
    for asset, price in found.items():
        ground.price(asset, price)


async def test_golden_number_nine(ground: Ground, tmp_path: Path) -> None:
    prices(ground, SOL="200", BTC="65000")
    ground.sell("SOL", "1000")
    seen = await planned(ground, tmp_path, CROSS)
    assert near(seen["target_base"], "-3.692307")
    assert (seen["exposure_base"], seen["beta"]) == ("1000", "1.2")
    assert [order["contracts"] for order in seen["orders"]] == ["3.692"]
    [told] = seen["betas"]
    assert (told["asset"], told["method"], told["beta"], told["refused"]) == ("SOL", "stated", "1.2", None)
    async with open_house(config_of(ground, tmp_path, CROSS), live=False) as house:
        await settle(house.desk)
        assert ground.contracts("BTC/USDT:USDT") == D("-3.692")
        sent = ground.orders()
        assert isinstance((await settle(house.desk)).hedges[0].decision, Hold)
        assert ground.orders() == sent


async def test_the_basket(ground: Ground, tmp_path: Path) -> None:
    prices(ground, SOL="150", ETH="3500", BTC="65000")
    seen = await planned(ground, tmp_path, BASKET)
    assert near(seen["target_base"], "-9.553846")
    assert sum(Decimal(order["contracts"]) for order in seen["orders"]) == D("9.553")
    assert round(Decimal(seen["residual_base"]) * 65_000) == 55
    assert [(told["asset"], told["beta"]) for told in seen["betas"]] == [("SOL", "1.3"), ("ETH", "1.1")]
    async with open_house(config_of(ground, tmp_path, BASKET), live=False) as house:
        await settle(house.desk)
        assert ground.contracts("BTC/USDT:USDT") == D("-9.553")
    prices(ground, SOL="180")
    moved = await planned(ground, tmp_path, BASKET)
    assert near(moved["target_base"], "-10.273846")


async def test_an_estimate_without_candles_hedges_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hedge = CROSS.replace('"1.2"', '{ method = "ols" }')
    async with other_ground({"SOL": "1000"}) as ground:
        monkeypatch.setattr("keeper.venue.observer.CcxtObserver.candles", _down)
        seen = await planned(ground, tmp_path, hedge)
        assert (seen["decision"], seen["exposure_base"], seen["target_base"]) == ("hold", "1000", None)
        assert seen["reasons"][0]["code"] == "beta_refused"
        assert "the venue is away" in seen["betas"][0]["refused"]
        findings = {each.subject: each for each in await check_connect(config_of(ground, tmp_path, hedge))}
        assert findings["sol.beta.SOL"].ok is False
        assert ground.orders() == 0


async def _down(*_: object) -> object:
    from keeper.venue.base import UnreachableError

    raise UnreachableError("the venue is away")
