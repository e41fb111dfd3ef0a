"""What a resting order explains of the position, and what its end has to show."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.core.execution import Resting
from keeper.core.model import (
    Base,
    Contracts,
    HedgeMemory,
    InstrumentId,
    Intent,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Quote,
    Side,
)
from keeper.core.resting import after_end, followed, position_after, span

D = Decimal


def order(side: Side = Side.SELL, contracts: str = "5") -> PlannedOrder:
    size = D(contracts)
    return PlannedOrder(
        "c0ffee", "btc", InstrumentId("main", "BTC/USDT:USDT"), side, Contracts(size), Base(size), Quote(size * 100),
        D(100), reduce_only=side is Side.BUY, time_in_force="PO",
    )  # fmt: skip


def intent(filled: str, state: OutcomeState, before: str = "0", side: Side = Side.SELL) -> Intent:
    outcome = Outcome("c0ffee", state, Contracts(D(filled)))
    return Intent(order(side), Contracts(D(before)), 1, 1, 0, outcome)


def known(filled: str, position: str, shown: str) -> Resting:
    return Resting("c0ffee", D(filled), D(position), D(shown))


@pytest.mark.parametrize(
    ("side", "reading", "filled", "foreign"),
    [
        (Side.SELL, "-1", "1", "0"),  # as the fills say
        (Side.SELL, "0", "1", "0"),  # the position lags
        (Side.SELL, "-2", "1", "0"),  # the order's own answer lags: it could have done that
        (Side.SELL, "0.5", "0", "0.5"),  # bought, and we sell
        (Side.SELL, "-6", "0", "-1"),  # further than the order could go
        (Side.BUY, "1", "1", "0"),
        (Side.BUY, "-0.5", "0", "-0.5"),
        (Side.BUY, "5.5", "5", "0.5"),
    ],
)
def test_what_the_order_cannot_have_done_is_somebody_else_s(
    side: Side, reading: str, filled: str, foreign: str
) -> None:
    now, change = followed(known("0", "0", "0"), order(side), Contracts(D(filled)), Contracts(D(reading)))
    assert change == D(foreign)
    assert now.shown == D(reading)
    sign = -1 if side is Side.SELL else 1
    assert now.position == sign * D(filled) + D(foreign)


def test_a_position_that_could_not_be_read_changes_nothing_but_the_fills() -> None:
    now, change = followed(known("1", "-1", "-1"), order(), Contracts(D(3)), None)
    assert (now, change) == (known("3", "-3", "-1"), D(0))


def test_the_end_is_expected_of_the_last_reading() -> None:
    """Two had filled when the order was asked after, and the position showed one; four in the end."""
    memory = HedgeMemory(resting=known("2", "-2", "-1"))
    after = after_end(memory, intent("4", OutcomeState.PARTIAL), intent("4", OutcomeState.PARTIAL).outcome, 7)
    assert after.resting is None
    assert (dict(after.expected), after.expected_since_ms) == ({order().instrument: D(-4)}, 7)


def test_an_end_that_shows_already_is_not_waited_for() -> None:
    """Where the position stood before is known all the same: an old answer would have it there."""
    memory = HedgeMemory(resting=known("4", "-4", "-4"))
    after = after_end(memory, intent("4", OutcomeState.PARTIAL), intent("4", OutcomeState.PARTIAL).outcome, 7)
    assert (after.expected, after.resting, after.filled_ms) == ({}, None, 7)
    assert after.formerly == {order().instrument: (D(0),)}


def test_an_order_that_was_never_seen_to_rest_counts_from_where_it_was_sent() -> None:
    ended = intent("4", OutcomeState.PARTIAL, before="-1")
    assert position_after(HedgeMemory(), ended, ended.outcome) == D(-5)
    assert dict(after_end(HedgeMemory(), ended, ended.outcome, 7).expected) == {order().instrument: D(-5)}


sides = st.sampled_from(list(Side))
steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-2, 2)), max_size=8)


@settings(deadline=None)
@given(sides, steps)
def test_whatever_happens_the_end_implies_every_fill_and_every_change_that_was_told(
    side: Side, story: list[tuple[int, int, int]]
) -> None:
    """Fills before and after each reading of the position; changes by others that go against the order's side."""
    sign = -1 if side is Side.SELL else 1
    size, filled, others = 60, 0, 0
    state = known("0", "0", "0")
    told = D(0)
    for before_reading, after_reading, change in story:
        if change * sign < 0 and before_reading == 0 and state.position == state.shown:
            others += change  # seen at once: nothing of ours moved the other way meanwhile
        filled = min(size, filled + before_reading)
        reading = sign * filled + others
        filled = min(size, filled + after_reading)
        state, foreign = followed(state, order(side, str(size)), Contracts(D(filled)), Contracts(D(reading)))
        told += foreign
    assert told == others
    outcome = Outcome("c0ffee", OutcomeState.PARTIAL, Contracts(D(filled)))
    ended = Intent(order(side, str(size)), Contracts(D(0)), 1, 1, 0, outcome)
    assert position_after(HedgeMemory(resting=state), ended, outcome) == sign * filled + others
    low, high = span(ended, state)
    assert low <= sign * filled + others <= high
