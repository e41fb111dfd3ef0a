"""A market that halts, on the wire: the hedge's other contract takes over, and gives way when the first is back."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.core.model import Hold
from keeper.cycle import turn
from keeper.judging import Pace
from keeper.sim.types import MarketStatus, WalletKind, linear
from keeper.wiring import House, open_house
from tests.e2e.grounds import D, config_of, own_ground
from tests.e2e.test_contracts import hedge, held
from tests.e2e.test_golden import settle

FIRST = linear("BTCUSDT")


async def until(house: House, ground: object, symbol: str, at_most: str) -> None:
    """Turns until the true position is no higher than that."""
    for _ in range(60):
        await turn(house.desk)
        if held(ground, symbol) <= D(at_most):  # type: ignore[arg-type]
            return
        await house.clock.sleep(0.1)
    raise AssertionError(f"{symbol} stayed at {held(ground, symbol)}")  # type: ignore[arg-type]


async def test_a_halted_market_hands_over_and_gets_the_next_orders_when_it_is_back(tmp_path: Path) -> None:
    keys = 'instruments = ["main:BTC/USDT:USDT", "main:BTC/USD:BTC"]\nratio = "0.5"'
    async with own_ground() as ground:
        ground.deposit("BTC", "1", WalletKind.COINM)
        config = config_of(ground, tmp_path, hedge("btc", keys))
        async with open_house(config, live=False) as house:
            house.desk.pace = Pace(rejected_ms=200, rejected_max_ms=400)
            await settle(house.desk)
            assert held(ground, "BTCUSDT") == -3
            ground.exchange.set_status(FIRST, MarketStatus.HALT)
            ground.deposit("BTC", "2")
            await until(house, ground, "BTCUSD_PERP", "-600")
            await settle(house.desk)
            record = await turn(house.desk)
            exposure = record.hedges[0].exposure
            assert held(ground, "BTCUSDT") == -3, "what it carries stays and counts"
            assert held(ground, "BTCUSD_PERP") == pytest.approx(D(-650), abs=5)
            assert exposure.futures_base == pytest.approx(D(-4), abs=D("0.02"))
            assert isinstance(record.hedges[0].decision, Hold)
        sent = ground.orders()
        async with open_house(config, live=False) as house:
            record = await turn(house.desk)
            assert ground.orders() == sent, "a keeper that starts while it is halted sees both, and holds"
            assert record.hedges[0].exposure.futures_base == pytest.approx(D(-4), abs=D("0.02"))
            ground.exchange.set_status(FIRST, MarketStatus.TRADING)
            await house.venues.observers["main"].open()
            ground.deposit("BTC", "2")
            await until(house, ground, "BTCUSDT", "-3.9")
            await settle(house.desk)
        assert held(ground, "BTCUSDT") == pytest.approx(D(-4), abs=D("0.02"))
        assert held(ground, "BTCUSD_PERP") == pytest.approx(D(-650), abs=5)
