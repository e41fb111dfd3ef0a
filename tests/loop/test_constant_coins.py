"""A number of coins on coin-margined contracts: what is left open never changes, whatever is traded, and where.

With a quantity q the short is q plus the coins that it has earned, so that E + D = E₀ - q at every price, before and
after a roll, over several contracts, and at every partial fill but for what is still to be done.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.core.execution import Execution, Style
from keeper.core.model import HedgeCycle
from keeper.core.targets import Target, TargetKind
from keeper.rolling import begin_roll
from keeper.sim.types import ExchangeOptions, WalletKind
from tests.loop.house import KEY, D
from tests.loop.legs_house import COIN, COIN_PERP, FAR, NEAR, LegsHouse

STEP = D("0.004")
"""Two contracts of 100 at the lowest price here."""


async def built(house: LegsHouse, *names: str, shares: tuple[str, ...] | None = None, coins: str = "3") -> None:
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.carry(*names, spot=(), shares=shares)
    house.hedges[0] = replace(house.hedges[0], target=Target(TargetKind.QUANTITY, D(coins)))
    await house.open()


def left_open(cycle: HedgeCycle) -> Decimal:
    """Coins that are not hedged, without what is still to be done."""
    seen = cycle.exposure
    assert seen.equity_base is not None
    assert seen.futures_base is not None
    assert seen.drift_base is not None
    return seen.equity_base + seen.futures_base - seen.drift_base


async def test_across_a_roll_at_a_profit_and_on(tmp_path: Path) -> None:
    house = LegsHouse(tmp_path, coins={})
    await house.venue.open()
    await built(house, house.symbol(NEAR))
    await house.turn(3)
    assert house.held(NEAR) == D(-1950)
    house.exchange.set_price("BTC", D(52_000))
    assert left_open(await house.one()) == pytest.approx(D(2), abs=STEP)
    assert house.desk is not None
    await begin_roll(house.desk, "btc", house.venue.instrument(house.symbol(FAR)))
    for step in range(200):
        cycle = await house.one()
        assert left_open(cycle) == pytest.approx(D(2), abs=STEP), "conserved in every step"
        house.exchange.set_price("BTC", D(52_000) + 150 * (step % 5))
        if cycle.memory.roll is None:
            break
    assert house.held(NEAR) == 0
    count = len(house.orders)
    for price in (40_000, 65_000, 90_000):
        house.exchange.set_price("BTC", D(price))
        cycle = await house.one()
        assert left_open(cycle) == pytest.approx(D(2), abs=STEP)
        assert cycle.exposure.drift_ratio is not None
        assert abs(cycle.exposure.drift_ratio) < D("0.05")
    assert len(house.orders) == count, "and no price asks for a trade"
    await house.close()


async def test_over_two_contracts_and_a_crash(tmp_path: Path) -> None:
    house = LegsHouse(tmp_path, coins={})
    await house.venue.open()
    await built(house, COIN, house.symbol(NEAR), shares=("0.5", "0.5"))
    await house.turn(4)
    assert (house.held(COIN_PERP), house.held(NEAR)) == (D(-975), D(-975))
    for price in (58_000, 74_000, 50_000):
        house.exchange.set_price("BTC", D(price))
        assert left_open(await house.one()) == pytest.approx(D(2), abs=STEP)
        await house.crash()
        await house.open()
    house.exchange.deposit(KEY, "BTC", D(2), WalletKind.COINM)
    await house.turn(4)
    assert left_open(await house.one()) == pytest.approx(D(4), abs=STEP), "more coins, and as many of them protected"
    await house.close()


async def test_while_passive_orders_fill_in_parts_at_moving_prices(tmp_path: Path) -> None:
    house = LegsHouse(tmp_path, coins={})
    spread = ExchangeOptions(half_spread_bps=D(2), first_level_notional=D(65_000), level_gap_bps=D(2))
    house.exchange.set_options(replace(spread, flow_notional=D(20_000)))
    await house.venue.open()
    await built(house, COIN, house.symbol(NEAR), shares=("0.5", "0.5"))
    assert house.desk is not None
    passive = Execution(Style.PASSIVE, escalate_after_seconds=D(3000))
    await house.crash()
    house.hedges[0] = replace(house.hedges[0], execution=passive, max_slippage=D("0.005"))
    await house.open()
    seen = set()
    for step in range(60):
        cycle = await house.one()
        seen.add(cycle.exposure.futures_base)
        if cycle.exposure.drift_base is not None and not cycle.memory.expected and cycle.memory.resting is None:
            assert left_open(cycle) == pytest.approx(D(2), abs=STEP)
        house.exchange.set_price("BTC", D(65_000) + 40 * (step % 7))
    assert len(seen) > 5
    cycle = await house.one()
    assert left_open(cycle) == pytest.approx(D(2), abs=STEP)
    assert cycle.exposure.drift_ratio is not None
    assert abs(cycle.exposure.drift_ratio) <= D("0.05")
    await house.close()
