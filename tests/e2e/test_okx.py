"""A venue that counts in parts of a coin, and has no row for a contract that was never traded: the whole loop."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from keeper.core.model import Hold, OutcomeState
from keeper.cycle import turn
from keeper.look import check_connect, look_once
from keeper.wiring import open_house
from tests.e2e.grounds import D, config_of, hedge_toml, okx_ground
from tests.e2e.test_golden import settle
from tests.support.okx_v5.venue import POSITIONS

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
ONCE = '[limits]\nmax_order_notional = "1000000"\n'


async def test_one_look_at_a_contract_that_was_never_traded_says_what_would_be_done(tmp_path: Path) -> None:
    async with okx_ground() as ground:
        config = config_of(ground, tmp_path, hedge_toml(), tail=ONCE)
        seen = (await look_once(config)).hedges[0]
        assert seen.plan is not None
        (order,) = seen.plan.orders
        assert (order.contracts, order.amount_base) == (D(500), D(5))
        assert not [finding.text for finding in await check_connect(config) if not finding.ok]
        assert {method for method, _ in ground.requests()} == {"GET"}


async def test_one_look_at_positions_that_could_not_be_read_takes_nothing_for_flat(tmp_path: Path) -> None:
    async with okx_ground() as ground:
        ground.venue.foreign_trade(LINEAR, "-500")
        ground.venue.edit(POSITIONS, lambda row: row.update(pos=""))
        seen = (await look_once(config_of(ground, tmp_path, hedge_toml()))).hedges[0]
        assert isinstance(seen.decision, Hold)
        assert seen.plan is None or not seen.plan.orders


@pytest.mark.parametrize(("symbol", "contracts"), [(LINEAR, "-500"), (INVERSE, "-3250")])
async def test_a_hedge_is_built_follows_its_coins_and_is_covered(tmp_path: Path, symbol: str, contracts: str) -> None:
    async with okx_ground() as ground:
        async with open_house(config_of(ground, tmp_path, hedge_toml(symbol), tail=ONCE), live=False) as house:
            assert isinstance((await turn(house.desk)).hedges[0].decision, Hold)
            await settle(house.desk)
            assert abs(ground.venue.position(symbol) - D(contracts)) <= 2  # coin-margined: the fee is paid in coins
            ground.price("BTC", "80000")
            await settle(house.desk)
            sent = ground.orders()
            assert isinstance((await turn(house.desk)).hedges[0].decision, Hold)
            assert ground.orders() == sent
            ground.sell("BTC", "5")
            await settle(house.desk)
            assert abs(ground.venue.position(symbol)) * _size(symbol) < D("0.05")
        ids = [order.client_id for order in ground.venue.accepted_orders]
        assert len(ids) == len(set(ids)) <= 3
        assert ground.venue.unknown_paths == []


async def test_it_rests_is_moved_and_fills_as_maker(tmp_path: Path) -> None:
    passive = 'execution = { style = "passive" }\nmax_slippage = "0.01"'
    async with okx_ground() as ground:
        config = config_of(ground, tmp_path, hedge_toml(more=passive), tail=ONCE)
        async with open_house(config, live=False) as house:
            await turn(house.desk)
            placed = (await turn(house.desk)).hedges[0]
            assert placed.outcomes[0].state is OutcomeState.WORKING
            (order,) = ground.venue.accepted_orders
            assert (order.kind, order.price, order.state) == ("post_only", D("65000.1"), "live")
            kept = (await turn(house.desk)).hedges[0]
            assert isinstance(kept.decision, Hold)
            assert kept.decision.reasons[0].code == "order_resting"
            ground.price("BTC", "64800")
            await turn(house.desk)
            await turn(house.desk)
            first, second = ground.venue.accepted_orders
            assert (first.state, first.cancel_source, second.state) == ("canceled", "1", "live")
            ground.price("BTC", "65200")
            await settle(house.desk)
            assert ground.contracts(LINEAR) == -5
        assert all(fill.maker for fill in ground.venue.exchange.fills)
        assert ground.venue.unknown_paths == []


async def test_a_post_only_order_that_the_book_has_come_to_is_tried_at_the_new_touch(tmp_path: Path) -> None:
    """This venue takes such an order in and cancels it at once, where others refuse it."""
    passive = 'execution = { style = "passive" }\nmax_slippage = "0.01"'
    async with okx_ground() as ground:
        config = config_of(ground, tmp_path, hedge_toml(more=passive), tail=ONCE)
        async with open_house(config, live=False) as house:
            await turn(house.desk)
            ground.venue.exchange.before_order = lambda: ground.price("BTC", "65100")
            await turn(house.desk)
            (order,) = ground.venue.accepted_orders
            assert (order.state, order.cancel_source, order.filled) == ("canceled", "31", D(0))
            await turn(house.desk)
            assert [each.state for each in ground.venue.accepted_orders] == ["canceled", "live"]
            ground.price("BTC", "65300")
            await settle(house.desk)
            assert ground.contracts(LINEAR) == -5


def _size(symbol: str) -> Decimal:
    return D("0.01") if symbol == LINEAR else D(100) / 80_000
