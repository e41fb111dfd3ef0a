"""A target on its way: a pure function of the course and the time, that never goes back and ends exactly."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.courses import Course, Pace, share_at, target_at
from keeper.core.hedge import decide, recall, remember
from keeper.core.model import Halt, HedgeMemory, Hold
from keeper.core.steering import TargetError, Verb, Wish, redirected, steered, steering_notes, target_in_force
from keeper.core.targets import Ground, Target, TargetKind
from tests.core.build import D, hedge, linear, look, snapshot

HOUR = 3_600_000
VALUES = st.decimals("0", "1000000", places=6)
TIMES = st.integers(-10 * HOUR, 100 * HOUR)
PACES = st.builds(Pace, st.integers(0, 48 * HOUR), st.none() | st.integers(1, 50))
COURSES = st.builds(
    Course,
    st.builds(Target, st.just(TargetKind.QUANTITY), VALUES),
    st.builds(Target, st.just(TargetKind.QUANTITY), VALUES),
    st.just(0),
    PACES,
)


def ratio(value: str) -> Target:
    return Target.ratio(D(value))


def at(course: Course, now_ms: int) -> Target:
    return target_at(course, share_at(course, now_ms))


@given(COURSES, TIMES, TIMES)
def test_it_only_ever_comes_nearer_to_its_goal(course: Course, one: int, other: int) -> None:
    early, late = sorted((one, other))
    values = [course.start.value, at(course, early).value, at(course, late).value, course.goal.value]
    assert values in (sorted(values), sorted(values, reverse=True))


@given(COURSES, st.integers(0, 10 * HOUR))
def test_it_ends_exactly_and_on_time(course: Course, later: int) -> None:
    assert at(course, course.ends_ms + later) == course.goal
    if course.is_gradual:
        assert at(course, course.began_ms) == course.start
        assert at(course, course.began_ms - later) == course.start


@given(COURSES, st.lists(TIMES, max_size=6), TIMES)
def test_a_clock_that_is_set_back_takes_nothing_back(course: Course, seen: list[int], now: int) -> None:
    walked = course
    for moment in seen:
        walked = replace(walked, reached=share_at(walked, moment))
    assert share_at(walked, now) == max([share_at(course, moment) for moment in seen] + [share_at(course, now)])


def test_steps_are_equal_and_the_last_one_is_at_the_end() -> None:
    course = Course(ratio("0"), ratio("1"), 0, Pace(8 * HOUR, 4))
    found = [at(course, hour * HOUR).value for hour in range(10)]
    assert found == [D(part) / 4 for part in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)]


def judged(of_ratio: str, price: str, contracts: str, memory: HedgeMemory, now_ms: int) -> HedgeMemory:
    """One look of five coins: steered, assessed, remembered."""
    of = hedge(linear(), of_ratio)
    seen = snapshot(of, price, {"BTC": "5"}, contracts)
    told, memory = steered(of, memory, seen, {of.instrument.id}, (), now_ms)
    exposure, memory = look(told, seen, memory)
    return remember(exposure, Hold(()), memory)


def test_a_second_wish_starts_from_where_the_target_is() -> None:
    of = hedge(linear(), "0.6")
    memory = redirected(of, HedgeMemory(), Wish(Verb.SET, TargetKind.RATIO, D("0.2"), Pace(4 * HOUR)), None, 0)
    assert target_in_force(of, memory, HOUR) == ratio("0.5")
    memory = redirected(of, memory, Wish(Verb.SET, TargetKind.RATIO, D("0.9"), Pace(4 * HOUR)), None, HOUR)
    assert memory.course is not None
    assert (memory.course.start, memory.course.goal) == (ratio("0.5"), ratio("0.9"))
    assert target_in_force(of, memory, HOUR) == ratio("0.5")
    assert target_in_force(of, memory, 3 * HOUR) == ratio("0.7")


@pytest.mark.parametrize(
    ("wish", "goal"),
    [
        (Wish(Verb.SET, TargetKind.RATIO, D("0.1")), ratio("0.1")),
        (Wish(Verb.ADD, None, D("-0.4")), ratio("0.1")),
        (Wish(Verb.SCALE, None, D("0.2")), ratio("0.1")),
        (Wish(Verb.SET, TargetKind.NOTIONAL, D(100)), Target(TargetKind.NOTIONAL, D(100))),
    ],
)
def test_three_verbs(wish: Wish, goal: Target) -> None:
    of = hedge(linear(), "0.5")
    assert target_in_force(of, redirected(of, HedgeMemory(), wish, None, 0), 0) == goal


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (Wish(Verb.SET, TargetKind.RATIO, D("1.1")), "outside of min_ratio 0 and max_ratio 1"),
        (Wish(Verb.ADD, None, D("-0.6")), "less than nothing"),
        (Wish(Verb.SCALE, None, D(3)), "outside of min_ratio"),
        (Wish(Verb.SET, TargetKind.QUANTITY, D(-1)), "below nothing"),
        (Wish(Verb.SET, None, D(1)), "say which"),
        (Wish(Verb.SET, TargetKind.QUANTITY, D(1), Pace(HOUR)), "leave out --over"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words(wish: Wish, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        redirected(hedge(linear(), "0.5"), HedgeMemory(), wish, None, 0)


def test_one_kind_is_moved_to_another_from_what_it_comes_to_there() -> None:
    of = hedge(linear(), "0.5")
    ground = Ground(D(5), D(1), D(60000))
    for kind, start in ((TargetKind.QUANTITY, "2.5"), (TargetKind.NOTIONAL, "150000"), (TargetKind.RATIO, "0.5")):
        memory = redirected(of, HedgeMemory(), Wish(Verb.SET, kind, D("0.9"), Pace(HOUR)), ground, 0)
        assert memory.course is not None
        assert memory.course.start == Target(kind, D(start))


def test_what_the_operator_said_stands_until_it_is_given_back() -> None:
    memory = judged("0.6", "100", "-3", HedgeMemory(), 0)
    memory = redirected(hedge(linear(), "0.6"), memory, Wish(Verb.SET, TargetKind.RATIO, D("0.3")), None, 1)
    memory = judged("0.6", "100", "-1.5", memory, 2)
    assert memory.target == ratio("0.3")
    memory = judged("0.9", "100", "-1.5", memory, 3)  # the file has changed meanwhile
    assert memory.target == ratio("0.3")
    (note,) = steering_notes(memory)
    assert note.code == "target_set"
    assert "ratio 0.3 was set by the operator; the configuration's ratio 0.9" in note.text
    memory = redirected(hedge(linear(), "0.9"), memory, Wish(Verb.CONFIG), None, 4)
    memory = judged("0.9", "100", "-1.5", memory, 5)
    assert (memory.target, memory.course, memory.established) == (ratio("0.9"), None, False)


def test_given_back_over_a_time_it_follows_the_file_afterwards() -> None:
    memory = redirected(hedge(linear(), "0.6"), HedgeMemory(), Wish(Verb.SET, TargetKind.RATIO, D("0.2")), None, 0)
    memory = redirected(hedge(linear(), "0.6"), memory, Wish(Verb.CONFIG, pace=Pace(4 * HOUR)), None, 0)
    memory = judged("0.6", "100", "-1", memory, 2 * HOUR)
    assert memory.target == ratio("0.4")
    memory = judged("0.5", "100", "-1", memory, 3 * HOUR)
    assert memory.target == ratio("0.5")  # no transition is configured: a new target of the file is jumped to


def test_a_new_target_of_the_file_is_moved_to_where_it_says_how() -> None:
    def seen(of_ratio: str, memory: HedgeMemory, now_ms: int) -> HedgeMemory:
        of = replace(hedge(linear(), of_ratio), transition=Pace(4 * HOUR, 4))
        shown = snapshot(of, "100", {"BTC": "5"}, "-3")
        told, memory = steered(of, memory, shown, {of.instrument.id}, (), now_ms)
        return look(told, shown, memory)[1]

    memory = seen("0.6", HedgeMemory(), 0)
    assert (memory.target, memory.course) == (ratio("0.6"), None)
    memory = seen("0.2", memory, HOUR)
    assert memory.target == ratio("0.6")
    memory = seen("0.2", memory, 3 * HOUR)
    assert memory.target == ratio("0.4")
    memory = seen("0.8", memory, 4 * HOUR)  # and another one meanwhile: from where it is, which is 0.3 by then
    assert memory.target == ratio("0.3")
    assert seen("0.8", memory, 8 * HOUR).target == ratio("0.8")


def test_small_steps_leave_the_halt_armed() -> None:
    """Half the hedge vanishes in the middle of a transition: that is no less odd than without one."""
    memory = judged("0.9", "100", "-4.5", HedgeMemory(), 0)
    wish = Wish(Verb.SET, TargetKind.RATIO, D("0.8"), Pace(10 * HOUR))
    memory = redirected(hedge(linear(), "0.9"), memory, wish, None, 0)
    for hour in range(1, 6):
        memory = judged("0.9", "100", str(-4.5 + hour * 0.05), memory, hour * HOUR)
        assert memory.established
    of = hedge(linear(), "0.85")
    exposure, _ = look(of, snapshot(of, "100", {"BTC": "5"}, "-1"))
    assert exposure.drift_ratio is not None
    assert exposure.drift_ratio > of.band.halt
    memory = recall(exposure, memory)
    assert memory.established
    assert isinstance(decide(exposure, memory), Halt)


def test_a_long_wait_in_a_transition_opens_the_build_up_instead_of_halting() -> None:
    """Nothing could be sent for hours: what is missing then is the way that was not gone."""
    memory = judged("0", "100", "0", HedgeMemory(), 0)
    assert memory.established
    wish = Wish(Verb.SET, TargetKind.RATIO, D(1), Pace(10 * HOUR))
    memory = redirected(hedge(linear(), "0"), memory, wish, None, 0)
    shown = {}
    for hour in range(1, 7):
        memory = judged("0", "100", "0", memory, hour * HOUR)
        shown[hour] = memory.established
    assert shown[4]  # at most halt - act behind: a halt would still mean something else
    assert not shown[5]
    memory = judged("0", "100", "-3", memory, 6 * HOUR)
    assert memory.established


@given(st.lists(st.tuples(st.integers(1, 5 * HOUR), st.booleans()), max_size=8), VALUES, VALUES)
def test_a_restart_on_the_way_changes_nothing(stops: list[tuple[int, bool]], one: Decimal, other: Decimal) -> None:
    """What is kept between looks is all there is: looks left out, or of another process, end at the same target."""
    of = hedge(linear(), target=Target(TargetKind.QUANTITY, one))
    wish = Wish(Verb.SET, TargetKind.QUANTITY, other, Pace(9 * HOUR, 7))
    begun = redirected(of, HedgeMemory(), wish, None, 0)
    shown = snapshot(of, "100", {"BTC": "5"})
    memory, now = begun, 0
    for passed, looks in stops:
        now += passed
        if looks:
            _, memory = steered(of, memory, shown, {of.instrument.id}, (), now)
    assert target_in_force(of, memory, now) == target_in_force(of, begun, now)
