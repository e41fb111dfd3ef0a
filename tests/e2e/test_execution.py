"""Orders that rest, through the real client and over sockets: placed, shown, followed, taken back, filled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from keeper.core.model import Hold, OutcomeState
from keeper.cycle import turn
from keeper.journal.reader import JournalReader
from keeper.sim.types import ExchangeOptions, OrderStatus, TimeInForce
from keeper.standing import take_back_all
from keeper.wiring import open_house
from tests.e2e.grounds import KEY, D, OwnGround, config_of, hedge_toml, own_ground

PASSIVE = 'execution = { style = "passive" }\nmax_slippage = "0.01"'


@pytest_asyncio.fixture
async def ground() -> AsyncIterator[OwnGround]:
    async with own_ground() as made:
        made.exchange.set_options(ExchangeOptions(half_spread_bps=D(2), level_gap_bps=D(2)))
        yield made


async def test_it_rests_is_moved_and_fills_as_maker(ground: OwnGround, tmp_path: Path) -> None:
    config = config_of(ground, tmp_path, hedge_toml(more=PASSIVE))
    async with open_house(config, live=False) as house:
        placed = (await turn(house.desk)).hedges[0]
        assert placed.outcomes[0].state is OutcomeState.WORKING
        [order] = ground.exchange.truth(KEY).accepted_orders
        assert (order.time_in_force, order.price, order.is_open) == (TimeInForce.GTX, D("65013.0"), True)
        kept = (await turn(house.desk)).hedges[0]
        assert isinstance(kept.decision, Hold)
        assert kept.decision.reasons[0].code == "order_resting"
        ground.price("BTC", "64800")
        moved = (await turn(house.desk)).hedges[0]
        assert "order_withdrawn" in [reason.code for reason in moved.reasons]
        await turn(house.desk)
        first, second = ground.exchange.truth(KEY).accepted_orders
        assert (first.status, second.status) == (OrderStatus.CANCELED, OrderStatus.NEW)
        assert second.price < first.price
        for price in ("65100", "65200"):
            ground.price("BTC", price)
            for _ in range(3):
                last = (await turn(house.desk)).hedges[0]
        assert ground.contracts("BTC/USDT:USDT") == D(-5)
        assert isinstance(last.decision, Hold)
        assert last.decision.reasons[0].code == "within_band"
        assert all(fill.maker for fill in ground.exchange.truth(KEY).fills)
    async with await JournalReader.open(config.journal_url) as reader:
        [costs] = await reader.costs()
    assert costs.mean_slippage is not None
    assert costs.mean_slippage < 0, "the spread was earned"
    assert costs.fees_complete


async def test_the_next_keeper_takes_over_what_the_last_one_left_and_a_stop_takes_it_back(
    ground: OwnGround, tmp_path: Path
) -> None:
    config = config_of(ground, tmp_path, hedge_toml(more=PASSIVE))
    async with open_house(config, live=False) as house:
        await turn(house.desk)
    async with open_house(config, live=False) as house:
        kept = (await turn(house.desk)).hedges[0]
        assert isinstance(kept.decision, Hold)
        assert kept.decision.reasons[0].code == "order_resting"
        assert ground.orders() == 1
        [said] = await take_back_all(house.desk)
    assert ": none (" in said
    assert not any(order.is_open for order in ground.exchange.truth(KEY).accepted_orders)


async def test_a_slice_is_walked_through_the_book_over_the_wire(ground: OwnGround, tmp_path: Path) -> None:
    ground.exchange.set_options(ExchangeOptions(half_spread_bps=D(20)))
    async with open_house(config_of(ground, tmp_path, hedge_toml()), live=False) as house:
        held = (await turn(house.desk)).hedges[0]
        assert isinstance(held.decision, Hold)
        assert held.decision.reasons[0].code == "book_too_thin"
        assert ground.orders() == 0
        ground.exchange.set_options(ExchangeOptions())
        sold = (await turn(house.desk)).hedges[0]
        assert sold.plan is not None
        assert sold.plan.orders[0].expected_slippage is not None
        assert ground.contracts("BTC/USDT:USDT") == -sold.plan.orders[0].contracts
