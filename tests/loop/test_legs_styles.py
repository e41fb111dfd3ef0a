"""Execution styles of a hedge over several contracts: each leg's orders are worked as the hedge says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.core.execution import Execution, Style
from keeper.core.model import Hold, OutcomeState
from keeper.rolling import begin_roll
from keeper.sim.types import ExchangeOptions, MarketStatus, Order, TimeInForce, WalletKind
from tests.loop.house import KEY, D
from tests.loop.legs_house import COIN, COIN_PERP, MAIN_PERP, NEAR_LINEAR, OTHER_PERP, PERP, LegsHouse
from tests.loop.test_legs import codes

PASSIVE = Execution(Style.PASSIVE, leash_bps=D(5), escalate_after_seconds=D(600))
BOOK = ExchangeOptions(half_spread_bps=D(2), first_level_notional=D(65_000), level_gap_bps=D(2))


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[LegsHouse]:
    made = LegsHouse(tmp_path)
    for exchange in (made.exchange, made.other):
        exchange.set_options(BOOK)
    yield made
    await made.close()


async def opened(house: LegsHouse, *names: str, execution: Execution = PASSIVE, shares: tuple[str, ...] | None) -> None:
    await house.carry(*names, shares=shares)
    house.hedges[0] = replace(house.hedges[0], execution=execution, max_slippage=D("0.005"))
    await house.open()


def move(house: LegsHouse, bps: str) -> None:
    for exchange in (house.exchange, house.other):
        exchange.set_price("BTC", exchange.index_price("BTC") * (1 + D(bps) / 10_000))


def others(house: LegsHouse) -> tuple[Order, ...]:
    return house.other.truth(KEY).accepted_orders


def open_at(orders: tuple[Order, ...]) -> list[Decimal]:
    return [order.quantity for order in orders if order.is_open]


def both(house: LegsHouse) -> tuple[Decimal, Decimal]:
    return house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)


async def test_by_preference_it_rests_on_the_first(house: LegsHouse) -> None:
    await opened(house, PERP, f"other:{PERP}", shares=None)
    first = await house.one()
    assert first.outcomes[0].state is OutcomeState.WORKING
    (order,) = house.orders
    assert order.time_in_force is TimeInForce.GTX
    for _ in range(5):
        cycle = await house.one()
        assert isinstance(cycle.decision, Hold)
        assert cycle.decision.reasons[0].code == "order_resting"
    move(house, "20")
    await house.turn(3)
    assert both(house) == (D(-5), D(0))
    assert all(fill.maker for fill in house.exchange.truth(KEY).fills)


async def test_by_share_each_leg_gets_its_order_and_keeps_it_while_it_fills(house: LegsHouse) -> None:
    for exchange in (house.exchange, house.other):
        exchange.set_options(replace(BOOK, flow_notional=D(32_000)))
    await opened(house, PERP, f"other:{PERP}", shares=("0.6", "0.4"))
    seen = set()
    for step in range(40):
        await house.one()
        assert len(open_at(house.orders)) + len(open_at(others(house))) <= 1, "one order a hedge"
        seen.add(both(house))
        move(house, "0.5" if step % 2 == 0 else "-0.5")
    assert both(house) == (D(-3), D(-2))
    assert (len(house.orders), len(others(house))) == (1, 1), "filled in parts, and never taken back for the other leg"
    assert len(seen) > 5
    fills = (*house.exchange.truth(KEY).fills, *house.other.truth(KEY).fills)
    assert all(fill.maker for fill in fills)


async def test_what_rests_on_the_second_goes_back_to_the_first_when_that_trades_again(house: LegsHouse) -> None:
    await opened(house, PERP, f"other:{PERP}", shares=None)
    house.exchange.set_status(MAIN_PERP, MarketStatus.HALT)
    await house.turn(8)
    assert open_at(others(house)) == [D(5)], "the other market carries on, in the same style"
    house.exchange.set_status(MAIN_PERP, MarketStatus.TRADING)
    record = await house.one()
    for _ in range(80):
        if not open_at(others(house)):
            break
        record = await house.one()
    assert "order_withdrawn" in codes(record), "it would be placed on the first now"
    await house.turn(2)
    assert (open_at(house.orders), open_at(others(house))) == ([D(5)], [])


async def test_a_market_that_halts_under_a_resting_order_hands_over(house: LegsHouse) -> None:
    await opened(house, PERP, f"other:{PERP}", shares=None)
    await house.turn(2)
    assert open_at(house.orders) == [D(5)]
    house.exchange.set_status(MAIN_PERP, MarketStatus.HALT)
    house.sell_spot("BTC", "1")
    await house.turn(12)
    assert (open_at(house.orders), open_at(others(house))) == ([], [D(4)]), "five would be too many"
    move(house, "20")
    await house.turn(3)
    assert both(house) == (D(0), D(-4))


async def test_a_crash_takes_up_what_rests_on_the_second_leg(house: LegsHouse) -> None:
    await opened(house, PERP, f"other:{PERP}", shares=("0.5", "0.5"))
    await house.turn()
    move(house, "20")
    await house.turn(3)
    assert open_at(others(house)) == [D("2.5")]
    await house.crash()
    await house.open()
    await house.turn(2)
    assert (len(house.orders), len(others(house))) == (1, 1), "nothing is sent again"
    move(house, "20")
    await house.turn(3)
    assert both(house) == (D("-2.5"), D("-2.5"))


async def test_coins_gone_are_covered_by_taking_on_every_leg(house: LegsHouse) -> None:
    await opened(house, PERP, f"other:{PERP}", shares=("0.5", "0.5"))
    for _ in range(3):
        await house.turn(2)
        move(house, "20")
    await house.turn(2)
    assert both(house) == (D("-2.5"), D("-2.5"))
    house.sell_spot("BTC", "2")
    await house.turn(4)
    assert both(house) == (D("-1.5"), D("-1.5"))
    assert all(orders[-1].time_in_force is TimeInForce.IOC for orders in (house.orders, others(house)))


async def test_a_twap_is_spread_over_the_legs(house: LegsHouse) -> None:
    twap = Execution(Style.TWAP, over_seconds=D(600), slices=6)
    await opened(house, PERP, f"other:{PERP}", execution=twap, shares=("0.5", "0.5"))
    began, steps = house.clock.now_ms(), []
    while house.clock.now_ms() < began + 620_000:
        await house.turn()
        steps.append(sum(both(house)))
    assert both(house) == pytest.approx((D("-2.5"), D("-2.5")), abs=D("0.002"))
    assert len(set(steps)) == 7, "six slices"
    assert max(order.quantity for order in (*house.orders, *others(house))) < D("0.85")


async def test_coin_margined_and_linear_legs_rest_alike(house: LegsHouse) -> None:
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    await opened(house, PERP, COIN, shares=("0.5", "0.5"))
    for _ in range(4):
        await house.turn(2)
        move(house, "20")
    await house.turn(3)
    assert house.held(MAIN_PERP) == pytest.approx(D(-3), abs=D("0.02"))
    worth = house.held(COIN_PERP) * 100 / house.exchange.index_price("BTC")
    assert worth == pytest.approx(D(-3), abs=D("0.02"))
    assert all(fill.maker for fill in house.exchange.truth(KEY).fills)


async def test_a_roll_takes_whatever_the_style(house: LegsHouse) -> None:
    await house.venue.open()
    await opened(house, PERP, shares=None)
    await house.turn(2)
    move(house, "20")
    await house.turn(3)
    assert house.held(MAIN_PERP) == -5
    count = len(house.orders)
    assert house.desk is not None
    await begin_roll(house.desk, "btc", house.venue.instrument(house.symbol(NEAR_LINEAR)))
    for _ in range(200):
        record = await house.one()
        assert 0 <= 5 + house.held(MAIN_PERP) + house.held(NEAR_LINEAR) <= D("0.25")
        if record.memory.roll is None:
            break
    assert house.held(NEAR_LINEAR) == -5
    assert {order.time_in_force for order in house.orders[count:]} == {TimeInForce.IOC}
    house.exchange.deposit(KEY, "BTC", D(2))
    await house.turn(3)
    assert house.orders[-1].time_in_force is TimeInForce.GTX, "and works its orders again when the roll is over"
    assert house.orders[-1].market == NEAR_LINEAR
