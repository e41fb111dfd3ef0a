"""The fault menu on the exchange's core: when faults strike, and what they do to orders."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.fault_kinds import FaultKind, Site, Trigger, draw_probabilities
from keeper.sim.faults import FaultMenu
from keeper.sim.troubles import (
    Garble,
    MaintenanceError,
    RateLimitedFaultError,
    ReplyLostError,
    ServerTroubleError,
    TroubleError,
)
from keeper.sim.types import OrderStatus, TimeInForce
from tests.sim.house import BTC_PERP, BTC_SPOT, KEY, D, House, build, refused


def held(house: House) -> Decimal:
    return house.exchange.truth(KEY).positions.get(BTC_PERP, Decimal(0))


def struck(act: Callable[[], object]) -> bool:
    try:
        act()
    except (TroubleError, SimError):
        return True
    return False


# --- when -----------------------------------------------------------------------------------------------------------


def test_by_count_after_some_have_passed(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.REPLY_LOST_AFTER, Trigger.count(2, skip=1))
    assert [struck(lambda: house.sell(BTC_PERP, "0.1")) for _ in range(5)] == [False, True, True, False, False]
    assert menu.fired == {FaultKind.REPLY_LOST_AFTER: 2}
    assert held(house) == D("-0.5")


def test_by_the_number_of_the_event(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.OVERLOADED, Trigger.schedule(at_event=[4, 2]))
    assert [struck(lambda: house.sell(BTC_PERP, "0.1")) for _ in range(6)] == [False, True, False, True, False, False]
    assert menu.armed()[0].spent


def test_by_the_time_of_the_exchange(house: House, menu: FaultMenu) -> None:
    now = house.clock.now_ms()
    menu.arm(FaultKind.OVERLOADED, Trigger.schedule(at_ms=[now + 5_000, now + 1_500]))
    seen = []
    for _ in range(8):
        seen.append(struck(lambda: house.sell(BTC_PERP, "0.1")))
        house.clock.advance(1)
    assert seen == [False, False, True, False, False, True, False, False]


def test_by_chance_and_only_between_two_times(house: House, menu: FaultMenu) -> None:
    now = house.clock.now_ms()
    menu.arm(FaultKind.OVERLOADED, Trigger(probability=Fraction(1, 4)))
    hits = sum(struck(lambda: house.sell(BTC_PERP, "0.1", time_in_force=TimeInForce.GTC)) for _ in range(400))
    assert 70 < hits < 130
    menu.clear()
    menu.arm(FaultKind.OVERLOADED, Trigger(from_ms=now + 1_000, until_ms=now + 2_000))
    seen = []
    for _ in range(4):
        seen.append(struck(lambda: house.sell(BTC_PERP, "0.1")))
        house.clock.advance(0.6)
    assert seen == [False, False, True, True]


def test_other_markets_are_left_alone(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.REPLY_LOST_BEFORE, Trigger.count(1, market=BTC_PERP))
    house.sell(BTC_SPOT, "0.1")
    with pytest.raises(ReplyLostError):
        house.sell(BTC_PERP, "0.1")


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Trigger(times=0),
        lambda: Trigger(skip=-1),
        lambda: Trigger(probability=Fraction(3, 2)),
        lambda: Trigger(probability=Fraction(1, 2), at_ms=(1,)),
    ],
)
def test_triggers_that_mean_nothing(mistake: Callable[[], Trigger]) -> None:
    with pytest.raises(ValueError, match=r"times|skip|probability|one of"):
        mistake()


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (FaultKind.MAINTENANCE, {"for_m": 1}),
        (FaultKind.MAINTENANCE, {"for_ms": "1.5"}),
        (FaultKind.MAINTENANCE, {"for_ms": "NaN"}),
        (FaultKind.REPLY_LOST_AFTER, {"after": True}),
        (FaultKind.FILLS_DELAYED, {"exact": "yes"}),
        (FaultKind.EMPTY, {"reading": 7}),
        (FaultKind.EMPTY, {"reading": "fills"}),
        (FaultKind.STEP_CHANGE, {"factor": 1}),
        (FaultKind.FUNDING_INTERVAL_CHANGE, {"hours": 3}),
        (FaultKind.DELISTED, {"status": "TRADING"}),
    ],
)
def test_parameters_that_mean_nothing(menu: FaultMenu, kind: FaultKind, parameters: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=kind.value):
        menu.arm(kind, None, **parameters)
    assert not menu.armed()


def test_disarming(house: House, menu: FaultMenu) -> None:
    number = menu.arm(FaultKind.OVERLOADED, Trigger())
    assert struck(lambda: house.sell(BTC_PERP, "0.1"))
    assert menu.disarm(number)
    assert not menu.disarm(number)
    assert not struck(lambda: house.sell(BTC_PERP, "0.1"))


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_a_swarm_run_draws_its_probabilities_first() -> None:
    kinds = list(FaultKind)
    runs = [draw_probabilities(Random(seed), kinds) for seed in range(200)]
    assert runs[3] == draw_probabilities(Random(3), kinds)
    assert len({tuple(run) for run in runs}) > 190
    for kind in kinds:
        drawn = [run[kind] for run in runs if kind in run]
        assert all(0 < each <= Fraction(1, 4) for each in drawn)
        if kind is not FaultKind.EXPIRED:
            assert 50 < len(drawn) < 150, kind
            assert max(drawn) >= 5 * min(drawn)


_Run = tuple[list[tuple[int, str]], list[str], dict[str, int]]


def story(seed: int, moves: list[int]) -> _Run:
    """A few orders and looks under a drawn swarm: what struck, what was seen, what was counted."""
    house = build(usdm="1000000", btc="5", coinm="1", seed=3)
    menu = FaultMenu(house.exchange, seed)
    house.exchange.intercept(menu)
    menu.draw(Random(seed))
    for kind in FaultKind:
        if kind.site in (Site.TICK, Site.REQUEST) and kind is not FaultKind.HOST_CLOCK_STEP:
            menu.arm(kind, Trigger(probability=Fraction(1, 20)))
    seen: list[str] = []
    acts: list[Callable[[], object]] = [
        lambda: house.sell(BTC_PERP, "0.1"),
        lambda: house.buy(BTC_PERP, "0.1", "60000"),
        lambda: house.exchange.cancel_all(KEY, BTC_PERP),
        lambda: house.exchange.positions(KEY, BTC_PERP.kind),
        lambda: house.exchange.spot_balances(KEY),
        lambda: house.exchange.fills(KEY, BTC_PERP.kind),
        lambda: house.exchange.futures_account(KEY, BTC_PERP.kind),
        lambda: house.exchange.door.arrive(KEY),
    ]
    for move in moves:
        house.clock.advance(0.7)
        house.exchange.advance()
        try:
            seen.append(repr(acts[move % len(acts)]()))
        except (TroubleError, SimError) as trouble:
            seen.append(repr(trouble))
        seen.append(str(house.exchange.door.garble()))
    fired = {kind.value: count for kind, count in menu.fired.items()}
    return [(each.at_ms, each.kind.value) for each in menu.strikes], seen, fired


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), moves=st.lists(st.integers(0, 7), min_size=1, max_size=40))
def test_the_same_seed_and_the_same_calls_strike_the_same(seed: int, moves: list[int]) -> None:
    assert story(seed, moves) == story(seed, moves)


def test_another_seed_strikes_otherwise() -> None:
    moves = list(range(8)) * 12
    assert len({tuple(story(seed, moves)[0]) for seed in range(5)}) == 5


def test_one_fault_does_not_change_when_another_strikes(house: House, menu: FaultMenu) -> None:
    def run(*others: FaultKind) -> list[int]:
        again = build(usdm="1000000", btc="5")
        each_menu = FaultMenu(again.exchange, seed=5)
        again.exchange.intercept(each_menu)
        each_menu.arm(FaultKind.REPLY_LOST_AFTER, Trigger.chance(1, 3))
        for other in others:
            each_menu.arm(other, Trigger.chance(1, 2))
        return [n for n in range(60) if struck(lambda: again.sell(BTC_PERP, "0.001"))]

    assert run() == run(FaultKind.STALE, FaultKind.FILLS_DELAYED, FaultKind.NOT_FOUND_THEN_FOUND)


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "trouble", "is_in"),
    [
        (FaultKind.REPLY_LOST_BEFORE, (ReplyLostError, None, None), False),
        (FaultKind.REPLY_LOST_AFTER, (ReplyLostError, None, None), True),
        (FaultKind.UNKNOWN_503_BEFORE, (ServerTroubleError, 503, -1000), False),
        (FaultKind.UNKNOWN_503_AFTER, (ServerTroubleError, 503, -1000), True),
        (FaultKind.TIMEOUT_1007_AFTER, (ServerTroubleError, 408, -1007), True),
        (FaultKind.GATEWAY_504_AFTER, (ServerTroubleError, 504, None), True),
        (FaultKind.OVERLOADED, (ServerTroubleError, 503, -1008), False),
    ],
)
def test_answers_lost_before_and_after(
    house: House, menu: FaultMenu, kind: FaultKind, trouble: tuple[type[Exception], int, int], is_in: bool
) -> None:
    menu.arm(kind)
    with pytest.raises(trouble[0]) as caught:
        house.sell(BTC_PERP, "1", client_order_id="lost")
    assert (getattr(caught.value, "status", None), getattr(caught.value, "code", None)) == trouble[1:]
    assert getattr(caught.value, "after", None) is is_in
    assert held(house) == (D(-1) if is_in else 0)
    assert menu.fired == {kind: 1}
    if is_in:
        assert house.exchange.order(KEY, BTC_PERP, client_order_id="lost").status is OrderStatus.FILLED


def test_an_answer_that_cannot_be_read(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.ANSWER_MALFORMED)
    assert house.sell(BTC_PERP, "1").order.status is OrderStatus.FILLED
    assert house.exchange.door.garble() in (Garble.NOT_JSON, Garble.CUT_SHORT)
    assert house.exchange.door.garble() is None


def test_refusals_that_are_not_deserved(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.MIN_NOTIONAL_REFUSAL)
    menu.arm(FaultKind.PRICE_BAND_REFUSAL)
    with refused(ErrorKind.BELOW_MIN_NOTIONAL):
        house.sell(BTC_PERP, "1")
    with refused(ErrorKind.PRICE_BELOW_BAND):
        house.sell(BTC_PERP, "1")
    assert not house.exchange.truth(KEY).accepted_orders


def test_a_part_fills_and_the_rest_expires(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.PARTIAL_FILL, ratio="0.3")
    done = house.sell(BTC_PERP, "1", "64000", time_in_force=TimeInForce.IOC).order
    assert (done.status, done.executed_quantity) == (OrderStatus.EXPIRED, D("0.3"))
    assert house.sell(BTC_PERP, "1").order.status is OrderStatus.FILLED


def test_an_order_arrives_late(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.LATE_ORDER, min_delay_ms=3_000, max_delay_ms=3_000)
    with pytest.raises(ReplyLostError):
        house.sell(BTC_PERP, "1", client_order_id="late")
    house.clock.advance(2.9)
    house.exchange.advance()
    with refused(ErrorKind.UNKNOWN_ORDER):
        house.exchange.order(KEY, BTC_PERP, client_order_id="late")
    house.clock.advance(0.2)
    house.exchange.advance()
    assert house.exchange.order(KEY, BTC_PERP, client_order_id="late").status is OrderStatus.FILLED
    assert (menu.late_accepted, menu.late_refused) == (1, 0)


def test_an_order_that_arrives_after_its_window_is_refused(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.LATE_ORDER, min_delay_ms=5_001, max_delay_ms=5_001)
    with pytest.raises(ReplyLostError):
        house.sell(BTC_PERP, "1")
    house.clock.advance(60)
    house.exchange.advance()
    assert not house.exchange.truth(KEY).accepted_orders
    assert (menu.late_accepted, menu.late_refused) == (0, 1)


def test_healing_brings_in_what_is_under_way(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.LATE_ORDER, min_delay_ms=4_000, max_delay_ms=4_000)
    with pytest.raises(ReplyLostError):
        house.sell(BTC_PERP, "1")
    menu.heal()
    assert held(house) == D(-1)


# --- cancels ----------------------------------------------------------------------------------------------------------


def resting(house: House) -> int:
    return house.sell(BTC_PERP, "1", "66000").order.order_id


def test_an_order_fills_before_its_cancel(house: House, menu: FaultMenu) -> None:
    number = resting(house)
    menu.arm(FaultKind.CANCEL_FILL_RACE)
    with refused(ErrorKind.CANCEL_REJECTED):
        house.exchange.cancel_order(KEY, BTC_PERP, order_id=number)
    done = house.exchange.order(KEY, BTC_PERP, order_id=number)
    assert (done.status, done.average_price, held(house)) == (OrderStatus.FILLED, D(66000), D(-1))


@pytest.mark.parametrize("kind", [FaultKind.CANCEL_LOST_BEFORE, FaultKind.CANCEL_LOST_AFTER])
def test_a_cancel_whose_answer_is_lost(house: House, menu: FaultMenu, kind: FaultKind) -> None:
    number = resting(house)
    menu.arm(kind)
    with pytest.raises(ReplyLostError):
        house.exchange.cancel_order(KEY, BTC_PERP, order_id=number)
    gone = kind is FaultKind.CANCEL_LOST_AFTER
    assert house.exchange.order(KEY, BTC_PERP, order_id=number).is_open is not gone
    assert menu.fired == {kind: 1}


# --- the whole venue --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.RATE_LIMITED, 429), (FaultKind.BANNED, 418)])
def test_a_limit_holds_until_its_time(house: House, menu: FaultMenu, kind: FaultKind, status: int) -> None:
    menu.arm(kind, retry_after_seconds=10)
    door = house.exchange.door
    for wait in (10, 6, 2):
        with pytest.raises(RateLimitedFaultError) as caught:
            door.arrive(KEY)
        assert (caught.value.status, caught.value.retry_after_seconds) == (status, wait)
        house.clock.advance(4)
    door.arrive(KEY)
    assert menu.fired == {kind: 1}


def test_maintenance_ends_by_itself_or_by_healing(house: House, menu: FaultMenu) -> None:
    door = house.exchange.door
    menu.arm(FaultKind.MAINTENANCE, Trigger.count(2), for_ms=5_000)
    with pytest.raises(MaintenanceError):
        door.arrive(None)
    house.clock.advance(5)
    with pytest.raises(MaintenanceError):
        door.arrive(KEY)
    menu.heal()
    door.arrive(KEY)
