"""A hedge that is built in slices over a time: drawn from a seed, resumed after a restart, ended by its deadline."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.core.execution import Execution, Programme, Style, due_seconds, open_base, slices_due
from keeper.core.model import Hold
from keeper.sim.types import ExchangeOptions, TimeInForce
from tests.loop.house import KEY, D, House

TWAP = Execution(Style.TWAP, over_seconds=D(600), slices=6)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.close()


async def opened(house: House, execution: Execution = TWAP) -> None:
    await house.hedge()
    house.hedges[0] = replace(house.hedges[0], execution=execution)
    await house.open()


async def until(house: House, seconds: int) -> None:
    """Turns until so long after the beginning of the story."""
    end = house.began_ms + seconds * 1000  # type: ignore[attr-defined]
    while house.clock.now_ms() < end:
        house.exchange.advance()
        await house.turn()


async def test_it_is_built_in_slices_and_through_before_its_deadline(house: House) -> None:
    house.began_ms = house.clock.now_ms()  # type: ignore[attr-defined]
    await opened(house)
    await until(house, 100)
    early = house.position()
    assert D("-1") < early <= 0, "one slice of six, at a moment drawn from the first half of its interval"
    await until(house, 350)
    assert D("-3.4") <= house.position() <= D("-2.4")
    await until(house, 620)
    assert house.position() == D(-5)
    assert len(house.orders) == 6
    assert max(order.quantity for order in house.orders) < D("0.85")
    cycle = await house.one()
    assert isinstance(cycle.decision, Hold)
    assert cycle.decision.reasons[0].code == "within_band"
    assert cycle.memory.programme is None


async def test_while_it_waits_it_says_for_what(house: House) -> None:
    house.began_ms = house.clock.now_ms()  # type: ignore[attr-defined]
    await opened(house, replace(TWAP, slices=5, jitter=D(1), over_seconds=D(6000)))
    await until(house, 1200)
    cycle = await house.one()
    assert isinstance(cycle.decision, Hold)
    assert cycle.decision.reasons[0].code == "waiting_for_slice"
    assert "slice 1 of 5 is through; the next is due in" in cycle.decision.reasons[0].text


@pytest.mark.parametrize(("jitter", "due"), [("1", r"in \d\d+ s"), ("0.0003", "now")])
async def test_before_its_first_slice_it_says_when_that_is_due(house: House, jitter: str, due: str) -> None:
    await opened(house, replace(TWAP, jitter=D(jitter), over_seconds=D(6000)))
    decision = (await house.one()).decision
    assert isinstance(decision, Hold)
    assert re.fullmatch(f"no slice of 6 is through yet; the first is due {due}", decision.reasons[0].text)


async def test_a_restart_goes_on_where_it_was(house: House) -> None:
    house.began_ms = house.clock.now_ms()  # type: ignore[attr-defined]
    await opened(house)
    await until(house, 300)
    position, memory = house.position(), house.desk.memories["btc"] if house.desk else None
    await house.crash()
    await house.open()
    await house.turn()
    assert house.desk is not None
    assert memory is not None
    assert memory.programme is not None
    assert house.desk.memories["btc"].programme == memory.programme
    assert house.position() - position >= D("-0.85")
    await until(house, 620)
    assert house.position() == D(-5)


async def test_coins_that_are_sold_are_covered_at_once(house: House) -> None:
    house.began_ms = house.clock.now_ms()  # type: ignore[attr-defined]
    await opened(house)
    await until(house, 620)
    house.sell_spot("BTC", "2")
    await house.turn(2)
    assert house.position() == D(-3)


async def test_a_drift_that_grows_past_its_bound_goes_at_once(house: House) -> None:
    house.began_ms = house.clock.now_ms()  # type: ignore[attr-defined]
    await opened(house, replace(TWAP, escalate_drift=D("0.2")))
    await until(house, 620)
    house.exchange.deposit(KEY, "BTC", D("0.6"))
    await house.turn(3)
    assert house.position() > D("-5.6"), "0.11 of the exposure is worked over the time"
    house.exchange.deposit(KEY, "BTC", D("2"))
    await house.turn(3)
    assert house.position() == D("-7.6"), "a third of it is not"


async def test_slices_that_rest_are_taken_at_the_end(house: House) -> None:
    house.exchange.set_options(ExchangeOptions(half_spread_bps=D(2)))
    house.began_ms = house.clock.now_ms()  # type: ignore[attr-defined]
    await opened(house, replace(TWAP, slice_style=Style.PASSIVE))
    await until(house, 400)
    assert house.position() == 0, "nothing has traded at the touch"
    assert {order.time_in_force for order in house.orders} == {TimeInForce.GTX}
    assert sum(order.is_open for order in house.orders) == 1
    await until(house, 600)
    assert house.position() == D(-5)
    assert not any(order.is_open for order in house.orders)


seeds = st.text("0123456789abcdef/", min_size=1, max_size=20)
styles = st.builds(
    Execution,
    style=st.just(Style.TWAP),
    over_seconds=st.decimals(min_value=1, max_value=100_000, places=1),
    slices=st.integers(min_value=1, max_value=40),
    slice_style=st.sampled_from([Style.MARKET, Style.PASSIVE]),
    jitter=st.decimals(min_value=0, max_value=1, places=2),
)


@settings(deadline=None)
@given(styles, seeds, st.decimals(min_value=-100, max_value=100, places=3))
def test_what_may_be_open_only_shrinks_and_is_nothing_by_the_deadline(
    execution: Execution, seed: str, total: Decimal
) -> None:
    programme = Programme(0, total, None, seed)
    moments = [execution.over_seconds * each / 12 for each in range(13)]
    left = [abs(open_base(execution, programme, moment)) for moment in moments]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    assert slices_due(execution, programme, execution.deadline_seconds) == execution.slices
    due = [due_seconds(execution, seed, each) for each in range(execution.slices)]
    assert due == sorted(due)
    assert due[-1] <= execution.deadline_seconds <= execution.over_seconds


@settings(deadline=None)
@given(styles, seeds)
def test_the_same_seed_draws_the_same_moments(execution: Execution, seed: str) -> None:
    first = [due_seconds(execution, seed, each) for each in range(execution.slices)]
    assert first == [due_seconds(execution, seed, each) for each in range(execution.slices)]
