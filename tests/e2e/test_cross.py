"""Cross hedges and baskets through the public commands and over sockets: golden number 9 and the basket anchor."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from keeper.clock import SystemClock
from keeper.commands.stress import of_look
from keeper.core.model import Hold
from keeper.look import check_connect, look_once
from keeper.report import plan_document
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import WalletKind
from keeper.wiring import open_house
from tests.e2e.grounds import KEY, SECRET, D, Ground, OwnGround, config_of, other_ground, own_ground
from tests.e2e.test_golden import settle

HOUR_MS = 3_600_000
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


class PastClock(SystemClock):
    """A clock that lives through some hours before now, as fast as it is told to."""

    def __init__(self, hours: int) -> None:
        self.behind_ms = hours * HOUR_MS

    def now_ms(self) -> int:
        return super().now_ms() - self.behind_ms


async def test_an_estimate_from_the_candles_of_the_venue_itself(tmp_path: Path) -> None:
    """Prices that moved together for a week, served as candles, fetched by the client, estimated, hedged on."""
    hours, random = 150, Random(5)
    clock = PastClock(hours)
    exchange = Exchange(clock, seed=3)
    exchange.add_account(KEY, SECRET)
    exchange.deposit(KEY, "USDT", D(5_000_000), WalletKind.USDM)
    exchange.deposit(KEY, "SOL", D(1000))
    prices = {"BTC": 60_000.0, "SOL": 150.0}
    while clock.behind_ms > 0:
        move = random.gauss(0, 0.01)
        prices["BTC"] *= 1 + move
        prices["SOL"] *= 1 + 1.3 * move + random.gauss(0, 0.002)
        for asset, price in prices.items():
            exchange.set_price(asset, D(str(round(price, 2))))
        clock.behind_ms -= HOUR_MS
    hedge = CROSS.replace('"1.2"', '{ method = "ols", lookback = 140, min_sample = 100 }')
    async with SimServer(exchange, clock=clock) as server:
        ground = OwnGround(server)
        config = config_of(ground, tmp_path, hedge)
        seen = await planned(ground, tmp_path, hedge)
        [told] = seen["betas"]
        assert told["refused"] is None
        assert abs(Decimal(told["beta"]) - D("1.3")) < D("0.06")
        assert Decimal(told["r2"]) > D("0.9")
        assert D("0.9") < Decimal(told["effectiveness_out_of_sample"]) < 1
        findings = {each.subject: each for each in await check_connect(config)}
        assert findings["sol.beta.SOL"].ok
        assert "(ols), standard error 0.0" in findings["sol.beta.SOL"].text
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            [event] = await house.desk.journal.events("beta", "sol")
            assert told["beta"] in event.detail
        worth = 1000 * exchange.index_price("SOL") * Decimal(told["beta"]) / exchange.index_price("BTC")
        assert abs(worth + ground.contracts("BTC/USDT:USDT")) < D("0.02")
        asked = len([path for _, path in ground.requests() if "klines" in path])
        again = await planned(ground, tmp_path, hedge)
        assert again["betas"][0]["beta"] == told["beta"]
        assert len([path for _, path in ground.requests() if "klines" in path]) == asked, "the journal knows it"


async def _down(*_: object) -> object:
    from keeper.venue.base import UnreachableError

    raise UnreachableError("the venue is away")


async def test_the_beta_of_a_whole_basket_is_told_wherever_it_is_looked_at(ground: Ground, tmp_path: Path) -> None:
    prices(ground, SOL="150", ETH="3000", BTC="60000")
    seen = await planned(ground, tmp_path, BASKET)
    # 300,000 of SOL at 1.3, 300,000 of ETH at 1.1, 240,000 of BTC at 1
    assert near(seen["portfolio_beta"], "1.142857142")
    config = config_of(ground, tmp_path, BASKET)
    look = await look_once(config)
    [stressed] = of_look(look, [Fraction(0)])["hedges"]
    assert stressed["portfolio_beta"] == seen["portfolio_beta"]
    told = [finding.text for finding in await check_connect(config) if finding.subject == "hedges.all"]
    assert "the portfolio moves 1.1429 times as far as its contract" in told
    one = await planned(ground, tmp_path, CROSS)
    assert "portfolio_beta" not in one, "one coin's beta is its own"
