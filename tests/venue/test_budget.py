"""The pace of one venue: never above its rate for long, credit for idle time, orders first, silence when told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.clock import ManualClock
from keeper.venue.base import RateLimitedError
from keeper.venue.budget import CREDIT_SECONDS, RESERVE_SHARE, Budget, Start, Urgency, urgency

RATE = 10.0  # cost units a second


async def settle() -> None:
    clock = ManualClock()
    for _ in range(3):
        await clock.sleep(0)


async def ask(budget: Budget, level: Urgency, cost: float, clock: ManualClock, log: list[tuple[float, float]]) -> None:
    with urgency(level):
        await budget.take(cost)
    log.append((clock.monotonic(), cost))


calls = st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 5), st.sampled_from(list(Urgency))), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(calls)
def test_what_was_granted_never_exceeds_the_rate_by_more_than_the_credit(
    asked: list[tuple[float, float, Urgency]],
) -> None:
    async def story() -> list[tuple[float, float]]:
        clock = ManualClock()
        log: list[tuple[float, float]] = []
        tasks: list[asyncio.Task[None]] = []
        budget = Budget("main", clock, 1 / RATE)
        for pause, cost, level in asked:
            clock.advance(pause)
            tasks.append(asyncio.create_task(ask(budget, level, cost, clock, log)))
            await settle()
        for _ in range(400):
            clock.advance(0.25)
            await settle()
        await asyncio.gather(*tasks)
        return log

    log = asyncio.run(story())
    assert len(log) == len(asked)
    for start in range(len(log)):
        granted = 0.0
        for moment, cost in log[start:]:
            granted += cost
            most = RATE * (CREDIT_SECONDS + moment - log[start][0] + 0.25) + 2 * 5
            assert granted <= most


async def test_an_order_does_not_wait_behind_polls() -> None:
    clock = ManualClock()
    budget = Budget("main", clock, 1 / RATE)
    log: list[tuple[float, float]] = []
    polls = [asyncio.create_task(ask(budget, Urgency.READ, 30, clock, log)) for _ in range(5)]
    await settle()
    await asyncio.wait_for(ask(budget, Urgency.ORDER, 1, clock, log), 1)  # the clock stands still: waiting is for ever
    assert log == [(0.0, 30), (0.0, 1)]
    for poll in polls:
        poll.cancel()
    await asyncio.gather(*polls, return_exceptions=True)


async def test_idle_time_is_credit_up_to_a_bound() -> None:
    clock = ManualClock()
    budget = Budget("main", clock, 1 / RATE)
    depth = RATE * (1 - RESERVE_SHARE) * CREDIT_SECONDS
    await budget.take(depth)
    clock.advance(3600)
    await budget.take(depth)
    log: list[tuple[float, float]] = []
    late = asyncio.create_task(ask(budget, Urgency.READ, 7.5, clock, log))
    await settle()
    clock.advance(0.5)
    await settle()
    clock.advance(0.5)
    await late
    assert log == [(3601.0, 7.5)]


async def test_groups_are_counted_apart() -> None:
    budget = Budget("main", ManualClock(), 1 / RATE, rates={"fapi": 100.0})
    await budget.take(300, "fapiPrivateV3")
    await budget.take(30, "private")


async def test_a_ban_stops_reads_and_new_shorts_but_not_positions_covers_and_lookups() -> None:
    clock = ManualClock()
    budget = Budget("main", clock, 1 / RATE, limit_codes=frozenset({"10006"}))
    budget.learn(429, {"retry-after": "30"}, None)
    for level in (Urgency.READ, Urgency.ORDER):
        with urgency(level), pytest.raises(RateLimitedError) as caught:
            await budget.take(1)
        assert caught.value.retry_after_seconds == pytest.approx(30)
    for level in (Urgency.POSITION, Urgency.LOOKUP, Urgency.COVER):
        with urgency(level):
            await budget.take(1)
    budget.learn(418, {"retry-after": "5"}, None)
    assert budget.back_off_seconds() == pytest.approx(30)
    clock.advance(31)
    await budget.take(1)


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (200, {}, {"retCode": 0}, 0),
        (200, {"x-bapi-limit-reset-timestamp": "1763640002500"}, {"retCode": 10006}, 2.5),
        (429, {}, None, 10),
        (418, {"retry-after": "600"}, {"code": -1003}, 600),
        (429, {"retry-after": "nonsense"}, None, 10),
        (429, {"retry-after": "inf"}, None, 10),
        (429, {"retry-after": "Thu, 20 Nov 2025 12:10:00 GMT"}, None, 600),
        (418, {"retry-after": "Fri, 21 Nov 2025 12:10:00 GMT", "date": "Fri, 21 Nov 2025 12:00:00 GMT"}, None, 600),
        (418, {"retry-after": "Thu, 20 Nov 2025 11:00:00 GMT"}, None, 0),
        (418, {"retry-after": "Thu, 20 Nov 99999 11:00:00 GMT"}, None, 10),
        (None, {}, None, 0),
    ],
)
def test_how_long_is_read_from_the_answer(
    status: int | None, headers: dict[str, str], body: object, seconds: float
) -> None:
    budget = Budget("main", ManualClock(), 0.1, limit_codes=frozenset({"10006"}))
    budget.learn(status, headers, body)
    assert budget.back_off_seconds() == pytest.approx(seconds)


async def test_a_wait_from_before_a_restart_lets_the_start_read_and_no_more() -> None:
    budget = Budget("main", ManualClock(), 1 / RATE)
    budget.resume(30)
    await budget.take(1)
    with urgency(Urgency.ORDER), pytest.raises(RateLimitedError):
        await budget.take(1)
    budget.started()
    with pytest.raises(RateLimitedError):
        await budget.take(1)


async def test_a_start_that_is_told_to_wait_asks_no_more_nor_does_the_one_after_it() -> None:
    budget = Budget("main", ManualClock(), 1 / RATE)
    budget.resume(30)
    budget.learn(418, {"retry-after": "60"}, None)
    with pytest.raises(RateLimitedError):
        await budget.take(1)
    assert budget.start is Start.REFUSED
    following = Budget("main", ManualClock(), 1 / RATE)
    following.resume(60, asks_to_start=False)
    with pytest.raises(RateLimitedError):
        await following.take(1)
