"""The loop on the simulated exchange: opened, enlarged, covered, and then held."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from keeper.core.model import AccountId, ExposureMode, Halt, Hold, OutcomeState, Quote, Rebalance
from keeper.sim.types import WalletKind
from tests.loop.house import KEY, D, House, linear_key


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.close()


async def test_a_full_fill_is_followed_by_a_hold(house: House) -> None:
    await house.hedge(ratio="0.6")
    await house.open()
    first = await house.one()
    assert isinstance(first.decision, Rebalance)
    assert first.outcomes[0].state is OutcomeState.FILLED
    assert house.position() == D(-3)
    second = await house.one()
    assert isinstance(second.decision, Hold)
    assert second.decision.reasons[0].code == "within_band"
    assert len(house.orders) == 1


async def test_deposits_sales_and_prices_are_followed(house: House) -> None:
    await house.hedge()
    await house.open()
    await house.turn(2)
    assert house.position() == D(-5)
    house.exchange.deposit(KEY, "BTC", D(3))
    await house.turn(2)
    assert house.position() == D(-8)
    house.sell_spot("BTC", "2")
    await house.turn(2)
    assert house.position() == D(-6)
    assert house.orders[-1].reduce_only
    for price in (52_000, 75_000, 130_000):
        house.exchange.set_price("BTC", D(price))
        await house.turn(2)
        assert house.position() == D(-6), "a linear hedge does not move with the price"
    assert len(house.orders) == 3


async def test_a_coin_margined_hedge_at_one_trades_once_and_never_for_a_price(house: House) -> None:
    house.exchange.withdraw(KEY, "BTC", D(5))
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC", spot=())
    await house.open()
    await house.turn(2)
    opened = len(house.orders)
    assert house.position("BTCUSD_PERP") in (D(-3250), D(-3248), D(-3249))  # the fee is paid in coin
    for price in (52_000, 75_000, 100_000, 130_000, 65_000):
        house.exchange.set_price("BTC", D(price))
        record = await house.one()
        assert isinstance(record.decision, Hold), record.decision
    assert len(house.orders) == opened


async def test_counting_spot_alone_enlarges_when_the_price_rises(house: House) -> None:
    house.exchange.deposit(KEY, "BTC", D(2), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC", exposure=ExposureMode.SPOT)
    await house.open()
    await house.turn(2)
    assert house.position("BTCUSD_PERP") == D(-3250)
    house.exchange.set_price("BTC", D(75_000))
    await house.turn(3)
    assert house.position("BTCUSD_PERP") == D(-3750)
    house.exchange.set_price("BTC", D(52_000))
    await house.turn(3)
    assert house.position("BTCUSD_PERP") == D(-2600)


async def test_a_large_hedge_is_built_in_slices_each_from_a_fresh_look(house: House) -> None:
    house.limits = type(house.limits)(Quote(D(100_000)))
    await house.hedge()
    await house.open()
    first = await house.one()
    assert first.plan is not None
    assert [order.contracts for order in first.plan.orders] == [D("1.538"), D("1.538"), D("1.538"), D("0.386")]
    await house.turn(5)
    assert house.position() == D(-5)
    assert all(order.executed_value <= 100_000 for order in house.orders)


async def test_a_short_that_is_there_already_is_adopted(house: House) -> None:
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-5))
    await house.hedge()
    await house.open()
    await house.turn(3)
    assert house.position() == D(-5)
    assert house.orders == ()


async def test_several_hedges_at_once(tmp_path: Path) -> None:
    house = House(tmp_path, coins={"BTC": "3", "ETH": "40"})
    await house.hedge(ratio="0.6")
    await house.hedge("ETH/USDT:USDT", "0.6", name="eth")
    await house.open()
    await house.turn(2)
    assert (house.position(), house.position("ETHUSDT")) == (D("-1.8"), D(-24))
    await house.close()


async def test_the_cap_is_for_the_whole_keeper(tmp_path: Path) -> None:
    house = House(tmp_path, coins={"BTC": "3", "ETH": "40"})
    house.limits = type(house.limits)(Quote(D(1_000_000)), Quote(D(200_000)))
    await house.hedge()
    await house.hedge("ETH/USDT:USDT", name="eth")
    await house.open()
    await house.turn(3)
    short = -house.position() * 65_000 - house.position("ETHUSDT") * 3_500
    assert D(190_000) < short <= D(200_000)
    await house.close()


async def test_an_established_hedge_that_loses_its_short_halts_and_stays_halted_over_a_restart(house: House) -> None:
    await house.hedge()
    await house.open()
    await house.turn(2)
    house.exchange.auto_deleverage(KEY, linear_key("BTCUSDT"), D(3))
    record = await house.one()
    assert isinstance(record.decision, Halt)
    await house.crash()
    await house.open()
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[0].code == "halted"
    assert house.position() == D(-2)
    house.sell_spot("BTC", "4")
    await house.turn(2)
    assert house.position() == D(-1), "a halted hedge still covers"


async def test_a_collateral_wallet_of_its_own_is_counted(house: House) -> None:
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC", spot=(AccountId("main"),))
    await house.open()
    record = await house.one()
    assert (record.exposure.spot_base, record.exposure.collateral_base) == (D(5), D(1))
