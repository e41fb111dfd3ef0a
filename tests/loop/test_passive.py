"""Orders that rest: placed at the touch, moved with it, taken back, and taken over by a keeper that starts again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from keeper.core.execution import Execution, Style
from keeper.core.model import Hold, OutcomeState, Rebalance, WorkingOrder
from keeper.core.targets import Target
from keeper.journal.reader import JournalReader
from keeper.sim.local import LocalVenue
from keeper.sim.types import ExchangeOptions, OrderStatus, TimeInForce
from keeper.standing import take_back_all
from keeper.venue.base import Lookup, NotFound, UnreachableError
from tests.loop.house import KEY, D, House, linear_key

BTC = linear_key("BTCUSDT")
PASSIVE = Execution(Style.PASSIVE, leash_bps=D(5), escalate_after_seconds=D(60))
BOOK = ExchangeOptions(half_spread_bps=D(2), first_level_notional=D(65_000), level_gap_bps=D(2))


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    made.exchange.set_options(BOOK)
    yield made
    await made.close()


async def opened(house: House, execution: Execution = PASSIVE, ratio: str = "1") -> None:
    await house.hedge(ratio=ratio)
    house.hedges[0] = replace(house.hedges[0], execution=execution, max_slippage=D("0.005"))
    await house.open()


def resting(house: House) -> list[Decimal]:
    return [order.price for order in house.orders if order.is_open]


def move(house: House, bps: str) -> None:
    house.exchange.set_price("BTC", house.exchange.index_price("BTC") * (1 + D(bps) / 10_000))


async def test_it_rests_at_the_touch_and_is_left_there(house: House) -> None:
    await opened(house)
    first = await house.one()
    assert isinstance(first.decision, Rebalance)
    assert first.outcomes[0].state is OutcomeState.WORKING
    (order,) = house.orders
    assert order.time_in_force is TimeInForce.GTX
    assert order.price == D("65013.0"), "the ask: half a spread above the mid"
    for _ in range(5):
        cycle = await house.one()
        assert isinstance(cycle.decision, Hold)
        assert cycle.decision.reasons[0].code == "order_resting"
    assert len(house.orders) == 1
    assert house.position() == 0


async def test_it_fills_as_maker_for_better_than_the_mid_and_then_holds(house: House) -> None:
    await opened(house)
    await house.turn()
    move(house, "20")
    await house.turn(3)
    assert house.position() == D(-5)
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[0].code == "within_band"
    fills = house.exchange.truth(KEY).fills
    assert all(fill.maker for fill in fills)
    assert min(fill.price for fill in fills) >= D(65_013)
    assert house.desk is not None
    assert not house.desk.unresolved
    assert house.desk.memories["btc"].resting is None


async def test_part_fills_while_it_rests_are_followed_and_nothing_is_sent_twice(house: House) -> None:
    house.exchange.set_options(replace(BOOK, flow_notional=D(65_000)))
    await opened(house)
    await house.turn()
    positions = []
    for step in range(8):
        move(house, "0.5" if step % 2 == 0 else "-0.5")
        cycle = await house.one()
        assert not [reason for reason in cycle.reasons if reason.code == "foreign_change"]
        positions.append(house.position())
    assert len(house.orders) == 1, "one order, filled in parts"
    assert positions == sorted(positions, reverse=True)
    assert len(set(positions)) > 3
    assert positions[-1] >= D(-5)


async def test_the_touch_moves_away_and_the_order_follows_only_when_it_has_ended(house: House) -> None:
    await opened(house)
    await house.turn()
    move(house, "-20")
    withdrawn = await house.one()
    assert [order.status for order in house.orders] == [OrderStatus.CANCELED]
    assert "order_withdrawn" in [reason.code for reason in withdrawn.reasons]
    assert withdrawn.outcomes[0].state is OutcomeState.NONE
    again = await house.one()
    assert isinstance(again.decision, Rebalance)
    assert len(house.orders) == 2
    assert resting(house) == [house.exchange.book(BTC, 1).asks[0].price]
    assert resting(house)[0] < D(65_013)


async def test_within_the_leash_it_stays(house: House) -> None:
    await opened(house)
    await house.turn()
    move(house, "-4")
    await house.turn(2)
    assert len(house.orders) == 1


async def test_after_its_time_what_is_left_is_taken(house: House) -> None:
    await opened(house)
    await house.turn()
    await house.turn(11)
    assert resting(house)
    await house.turn(8)
    assert house.position() == D(-5), "sixty seconds are over"
    assert house.orders[-1].time_in_force is TimeInForce.IOC
    assert not resting(house)


async def test_a_drift_that_grows_past_its_bound_is_taken_at_once(house: House) -> None:
    await opened(house, ratio="0.5")
    await house.turn()
    move(house, "20")
    await house.turn(3)
    assert house.position() == D("-2.5")
    house.exchange.deposit(KEY, "BTC", D("0.5"))
    await house.turn(2)
    assert house.orders[-1].time_in_force is TimeInForce.IOC or not resting(house)


async def test_coins_sold_while_it_rests_take_it_back_at_once(house: House) -> None:
    await opened(house)
    await house.turn()
    house.sell_spot("BTC", "2")
    await house.turn()
    assert not resting(house), "five rested, and three are owned"
    await house.turn()
    assert [order.quantity for order in house.orders if order.is_open] == [D(3)]


async def test_a_short_of_coins_that_are_gone_is_covered_by_taking(house: House) -> None:
    await opened(house)
    await house.turn()
    move(house, "20")
    await house.turn(3)
    house.sell_spot("BTC", "2")
    await house.turn(2)
    assert house.position() == D(-3)
    assert house.orders[-1].reduce_only
    assert house.orders[-1].time_in_force is TimeInForce.IOC


async def test_a_lower_target_is_covered_by_resting(house: House) -> None:
    await opened(house)
    await house.turn()
    move(house, "20")
    await house.turn(3)
    await house.close()
    house.exchange.advance()
    house.hedges[0] = replace(house.hedges[0], target=Target.ratio(D("0.5")))
    await house.open()
    await house.turn()
    (order,) = [each for each in house.orders if each.is_open]
    assert order.reduce_only
    assert order.price == house.exchange.book(BTC, 1).bids[0].price
    move(house, "-20")
    await house.turn(3)
    assert house.position() == D("-2.5")


async def test_post_only_refused_is_tried_again_at_the_new_touch_without_a_wait(house: House) -> None:
    class Slow(LocalVenue):
        async def submit(self, order):  # type: ignore[no-untyped-def]
            if not house.orders and not self.moved:
                self.moved = True
                move(house, "10")
            return await super().submit(order)

        moved = False

    house.venue = Slow("main", house.exchange, KEY, house.clock)
    await opened(house)
    first = await house.one()
    assert first.outcomes[0].state is OutcomeState.NONE
    assert house.orders == ()
    second = await house.one()
    assert second.outcomes[0].state is OutcomeState.WORKING
    assert resting(house) == [house.exchange.book(BTC, 1).asks[0].price]


@pytest.mark.parametrize("how", ["pause", "kill", "flatten"])
async def test_whoever_stops_the_hedge_stops_the_order(house: House, how: str) -> None:
    from keeper.core.model import Reason
    from keeper.doubt import Standing

    await opened(house)
    await house.turn()
    assert house.desk is not None
    if how == "kill":
        block = ("*", Reason("kill_file", "the kill file exists"))
        house.desk.observatory.brakes = lambda: Standing((block,))
    else:
        memory = house.desk.memories["btc"]
        house.desk.memories["btc"] = replace(memory, paused=how == "pause", flattened=how == "flatten")
    await house.turn()
    assert not resting(house)
    await house.turn(3)
    assert not resting(house)
    assert house.position() == 0


async def test_a_reading_that_fails_takes_it_back(house: House) -> None:
    class Blind(LocalVenue):
        blind = False

        async def wallet(self, wallet):  # type: ignore[no-untyped-def]
            if self.blind:
                raise UnreachableError("no answer")
            return await super().wallet(wallet)

    house.venue = venue = Blind("main", house.exchange, KEY, house.clock)
    await opened(house)
    await house.turn()
    venue.blind = True
    await house.turn()
    assert not resting(house), "nobody would place it now"


async def test_somebody_else_s_buying_is_seen_while_it_rests(house: House) -> None:
    await opened(house, ratio="0.5")
    await house.turn()
    move(house, "20")
    await house.turn(3)
    assert house.position() == D("-2.5")
    house.exchange.deposit(KEY, "BTC", D("1.2"))
    await house.turn()
    assert resting(house)
    house.exchange.foreign_trade(KEY, BTC, D("0.3"))
    cycle = await house.one()
    assert "foreign_change" in [reason.code for reason in cycle.reasons]
    assert cycle.exposure.foreign_contracts == D("0.3")
    assert not resting(house)
    for _ in range(20):
        move(house, "20")
        record = await house.one()
    assert record.memory.halted is None
    assert house.position() == D("-3.1")


async def test_a_keeper_that_dies_with_an_order_resting_takes_it_over(house: House) -> None:
    await opened(house)
    await house.turn()
    await house.crash()
    move(house, "1")
    await house.open()
    assert house.desk is not None
    assert len(house.desk.unresolved) == 1
    cycle = await house.one()
    assert isinstance(cycle.decision, Hold)
    assert cycle.decision.reasons[0].code == "order_resting"
    assert len(house.orders) == 1, "adopted: nothing else was sent"


@pytest.mark.parametrize("filled", ["all", "part"])
async def test_what_filled_while_the_keeper_was_dead_is_not_sent_again(house: House, filled: str) -> None:
    if filled == "part":
        house.exchange.set_options(replace(BOOK, flow_notional=D(65_000)))
    await opened(house)
    await house.turn()
    await house.crash()
    for bps in ("20",) if filled == "all" else ("0.5", "0.5"):
        move(house, bps)
    assert house.position() < 0
    await house.open()
    await house.turn(4)
    assert len(house.orders) == 1
    assert house.desk is not None
    assert house.desk.memories["btc"].halted is None


async def test_a_market_keeper_takes_back_what_a_passive_one_left(house: House) -> None:
    await opened(house)
    await house.turn()
    await house.crash()
    house.hedges[0] = replace(house.hedges[0], execution=Execution())
    await house.open()
    await house.turn()
    assert not resting(house)
    await house.turn(2)
    assert house.position() == D(-5)


async def test_a_stopping_keeper_takes_back_what_rests_and_says_so(house: House) -> None:
    await opened(house)
    await house.turn()
    assert house.desk is not None
    (said,) = await take_back_all(house.desk)
    assert "BTC/USDT:USDT: none" in said
    assert not resting(house)
    assert not house.desk.unresolved


async def test_a_cancel_that_meets_a_fill_places_nothing_before_the_position_shows_it(house: House) -> None:
    """The order fills at the very moment of its cancellation, which the venue answers with "no such order"."""

    class Racing(LocalVenue):
        async def cancel(self, order: WorkingOrder) -> None:  # noqa: ARG002
            house.exchange.fill_resting(KEY, BTC)
            raise UnreachableError("the answer was lost")

    house.venue = Racing("main", house.exchange, KEY, house.clock)
    await opened(house)
    await house.turn()
    move(house, "-20")
    cycle = await house.one()
    assert cycle.outcomes[0].state is OutcomeState.FILLED
    await house.turn(3)
    assert house.position() == D(-5)
    assert len(house.orders) == 1


async def test_a_cancel_without_an_answer_is_asked_again_and_nothing_replaces_it_meanwhile(house: House) -> None:
    class Deaf(LocalVenue):
        deaf = True

        async def cancel(self, order: WorkingOrder) -> None:
            if self.deaf:
                raise UnreachableError("no answer")
            await super().cancel(order)

    house.venue = venue = Deaf("main", house.exchange, KEY, house.clock)
    await opened(house)
    await house.turn()
    move(house, "-20")
    await house.turn(3)
    assert [order.is_open for order in house.orders] == [True]
    venue.deaf = False
    await house.turn(2)
    assert [order.is_open for order in house.orders] == [False, True]


async def test_a_resting_order_that_the_venue_denies_for_a_moment_is_not_placed_again(house: House) -> None:
    class Forgetful(LocalVenue):
        denies: int = 0

        async def lookup(self, instrument, client_id, venue_order_id) -> Lookup:  # type: ignore[no-untyped-def]
            if self.denies > 0:
                self.denies -= 1
                return NotFound("no such order")
            return await super().lookup(instrument, client_id, venue_order_id)

    house.venue = venue = Forgetful("main", house.exchange, KEY, house.clock)
    await opened(house)
    await house.turn()
    venue.denies = 2
    await house.turn(4)
    assert [order.is_open for order in house.orders] == [True]


async def test_the_record_says_how_it_was_worked_and_that_it_cost_less_than_nothing(
    house: House, tmp_path: Path
) -> None:
    await opened(house)
    await house.turn()
    move(house, "20")
    await house.turn(3)
    await house.close()
    async with await JournalReader.open(f"sqlite:///{tmp_path / 'keeper.db'}") as reader:
        (order,) = await reader.orders(5)
        (costs,) = await reader.costs()
    assert order.cost.style == "passive"
    assert order.intent.outcome.state is OutcomeState.FILLED
    assert order.cost.slippage is not None
    assert order.cost.slippage <= D("-0.0002"), "half of the spread was earned, not paid"
    assert costs.mean_slippage == order.cost.slippage
    assert order.cost.fees_complete


@pytest.mark.parametrize("seed", range(6))
async def test_on_a_moving_market_it_pays_less_than_half_of_the_spread_and_is_through_by_its_deadline(
    house: House, tmp_path: Path, seed: int
) -> None:
    """A seeded walk of the price, others who trade against the touch: paid against the mid of each decision."""
    source = Random(seed)
    house.exchange.set_options(replace(BOOK, flow_notional=D(40_000)))
    await opened(house, replace(PASSIVE, escalate_after_seconds=D(300)))
    began_ms = house.clock.now_ms()
    while house.clock.now_ms() - began_ms < 320_000:
        move(house, str(round(source.gauss(0, 1.5), 2)))
        record = await house.one()
        drift = record.exposure.drift_ratio
    assert drift is not None
    assert abs(drift) <= D("0.05"), "five minutes, and a few turns to take what was left"
    assert not resting(house)
    await house.close()
    async with await JournalReader.open(f"sqlite:///{tmp_path / 'keeper.db'}") as reader:
        (costs,) = await reader.costs()
        orders = await reader.orders(100)
    assert costs.mean_slippage is not None
    assert costs.mean_slippage < D("0.0002"), "two basis points: half of the spread"
    made = [order for order in orders if order.intent.order.rests and order.intent.outcome.filled]
    assert made
    assert all(order.cost.slippage is not None and order.cost.slippage < 0 for order in made)
