"""Views that lag behind the truth, and answers that lie: the truth stays, and each fault is seen where it should be."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.sim.errors import ErrorKind
from keeper.sim.fault_kinds import FaultKind, Trigger
from keeper.sim.faults import FaultMenu
from keeper.sim.seams import Reading
from keeper.sim.troubles import Garble, ReplyLostError, ServerTroubleError
from keeper.sim.types import MarketKind, Order, OrderStatus, Position, WalletKind
from tests.sim.house import BTC_PERP, KEY, D, House, refused

LINEAR = MarketKind.LINEAR


def asked(house: House) -> Order:
    return house.exchange.order(KEY, BTC_PERP, client_order_id="mine")


def row(house: House) -> Position:
    return house.position(BTC_PERP)


def in_account(house: House) -> Decimal:
    rows = house.exchange.futures_account(KEY, LINEAR).positions
    return next(each.quantity for each in rows if each.market == BTC_PERP)


# --- not found, then found --------------------------------------------------------------------------------------------


def test_an_order_is_denied_for_some_lookups(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.NOT_FOUND_THEN_FOUND, readings=2, exact=True)
    house.sell(BTC_PERP, "1", client_order_id="mine")
    for _ in range(2):
        with refused(ErrorKind.UNKNOWN_ORDER):
            asked(house)
    assert asked(house).status is OrderStatus.FILLED
    assert row(house).quantity == D(-1)  # the position was never hidden


def test_an_order_is_denied_for_a_time(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.NOT_FOUND_THEN_FOUND, readings=1000, for_ms=3_000, exact=True)
    house.sell(BTC_PERP, "1", "66000", client_order_id="mine")
    assert house.exchange.open_orders(KEY, LINEAR) == ()
    assert house.exchange.orders(KEY, BTC_PERP) == ()
    with refused(ErrorKind.UNKNOWN_ORDER):
        asked(house)
    house.clock.advance(3)
    assert asked(house).is_open
    assert len(house.exchange.open_orders(KEY, LINEAR)) == 1


# --- answers that tell something else ---------------------------------------------------------------------------------


def test_an_order_s_answer_contradicts_what_is_so(house: House, menu: FaultMenu) -> None:
    """Only the answer lies, and never by telling that more has filled: whoever asks again is told the truth."""
    menu.arm(FaultKind.ANSWER_CONTRADICTS, Trigger())
    ways: set[str] = set()
    for number in range(40):
        told = house.sell(BTC_PERP, "0.5", client_order_id=f"mine-{number}").order
        so = house.exchange.order(KEY, BTC_PERP, client_order_id=f"mine-{number}")
        assert (so.status, so.executed_quantity) == (OrderStatus.FILLED, D("0.5"))
        assert told != so
        assert told.executed_quantity <= so.executed_quantity
        if told.executed_quantity == so.executed_quantity:
            assert told.average_price < so.average_price * D("0.95"), "no fill is that far beyond a sell's limit"
        ways.add(f"{told.status.value} {told.executed_quantity}")
    assert {"FILLED 0", "EXPIRED 0", "FILLED 0.25", "EXPIRED 0.25", "FILLED 0.5"} <= ways
    assert menu.fired[FaultKind.ANSWER_CONTRADICTS] == 40


def test_a_resting_order_s_answer_says_that_it_has_ended(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.ANSWER_CONTRADICTS, Trigger())
    for number in range(20):
        told = house.sell(BTC_PERP, "1", "90000", client_order_id=f"mine-{number}").order
        assert house.exchange.order(KEY, BTC_PERP, client_order_id=f"mine-{number}").is_open
        assert told.status in (OrderStatus.NEW, OrderStatus.EXPIRED)
    assert 0 < menu.fired[FaultKind.ANSWER_CONTRADICTS] < 20, "where nothing has filled there is less to contradict"


# --- fills that show, and then do not ---------------------------------------------------------------------------------


def test_a_position_goes_back_once_it_has_shown(house: House, menu: FaultMenu) -> None:
    house.sell(BTC_PERP, "1")
    menu.arm(FaultKind.POSITION_GOES_BACK, readings=1000, for_ms=5_000, after_ms=2_000, exact=True)
    house.sell(BTC_PERP, "2", client_order_id="mine")
    assert (row(house).quantity, in_account(house)) == (D(-3), D(-3)), "it shows at first"
    house.clock.advance(2)
    assert (row(house).quantity, in_account(house)) == (D(-1), D(-1))
    assert asked(house).executed_quantity == 2, "the order's own view stays right"
    assert house.exchange.truth(KEY).positions == {BTC_PERP: D(-3)}
    house.clock.advance(5)
    assert (row(house).quantity, in_account(house)) == (D(-3), D(-3))


def test_a_position_goes_back_for_some_looks(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.POSITION_GOES_BACK, readings=2, for_ms=60_000, after_ms=0, exact=True, views="positions")
    house.sell(BTC_PERP, "2")
    assert [row(house).quantity for _ in range(3)] == [0, 0, D(-2)]
    assert in_account(house) == D(-2), "other views are not among those named"


# --- fills that show late ---------------------------------------------------------------------------------------------


def test_every_view_lags_and_catches_up(house: House, menu: FaultMenu) -> None:
    house.sell(BTC_PERP, "1")
    wallet = house.exchange.futures_account(KEY, LINEAR).balances[0].wallet_balance
    menu.arm(FaultKind.FILLS_DELAYED, readings=1000, for_ms=5_000, exact=True)
    result = house.sell(BTC_PERP, "2", client_order_id="mine")
    assert (result.order.status, result.fills) == (OrderStatus.NEW, ())
    assert house.exchange.truth(KEY).positions == {BTC_PERP: D(-3)}
    house.price(66_000)
    assert asked(house).executed_quantity == 0
    assert [each.status for each in house.exchange.orders(KEY, BTC_PERP)] == [OrderStatus.FILLED, OrderStatus.NEW]
    assert [each.client_order_id for each in house.exchange.open_orders(KEY, LINEAR)] == ["mine"]
    assert house.exchange.open_orders(KEY, MarketKind.INVERSE) == ()
    assert len(house.exchange.fills(KEY, LINEAR)) == 1
    seen = row(house)
    assert (seen.quantity, seen.notional, seen.mark_price) == (D(-1), D(-66_000), D(66_000))
    assert seen.unrealised_pnl == D(-1_000)
    account = house.exchange.futures_account(KEY, LINEAR)
    assert (in_account(house), account.balances[0].wallet_balance) == (D(-1), wallet)
    assert account.balances[0].margin_balance == wallet - 1_000
    house.clock.advance(5)
    assert asked(house).status is OrderStatus.FILLED
    assert house.exchange.open_orders(KEY, LINEAR) == ()
    assert len(house.exchange.fills(KEY, LINEAR)) == 2
    assert row(house).quantity == in_account(house) == D(-3)


def test_money_that_is_moved_ends_the_lag_of_the_wallets_alone(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FILLS_DELAYED, readings=1000, for_ms=60_000, exact=True)
    house.sell(BTC_PERP, "1")
    assert (row(house).quantity, in_account(house)) == (D(0), D(0))
    house.exchange.transfer(KEY, "USDT", D(10), WalletKind.USDM, WalletKind.SPOT)
    assert (row(house).quantity, in_account(house)) == (D(0), D(-1))
    assert house.spot("USDT").total == D(100_010)


def test_views_lag_apart(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FILLS_DELAYED, readings=2, exact=True, views="positions,fills")
    assert house.sell(BTC_PERP, "1", client_order_id="mine").order.status is OrderStatus.FILLED
    assert asked(house).status is OrderStatus.FILLED
    assert in_account(house) == D(-1)
    assert [row(house).quantity for _ in range(3)] == [D(0), D(0), D(-1)]
    assert [len(house.exchange.fills(KEY, LINEAR)) for _ in range(3)] == [0, 0, 1]


def test_a_view_shows_a_past_state_not_a_mixture(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FILLS_DELAYED, readings=1, exact=True, views="positions")
    menu.arm(FaultKind.FILLS_DELAYED, Trigger.count(1, skip=1), readings=1, exact=True, views="positions")
    house.sell(BTC_PERP, "1")
    house.sell(BTC_PERP, "2")
    assert [row(house).quantity for _ in range(3)] == [D(0), D(-1), D(-3)]


def test_healing_lets_views_catch_up(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FILLS_DELAYED, exact=True)
    menu.arm(FaultKind.NOT_FOUND_THEN_FOUND, exact=True)
    house.sell(BTC_PERP, "1", client_order_id="mine")
    menu.heal()
    assert asked(house).status is OrderStatus.FILLED
    assert row(house).quantity == in_account(house) == D(-1)


# --- answers that lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reading", ["spot_balances", "futures_account", "positions"])
def test_empty(house: House, menu: FaultMenu, reading: str) -> None:
    house.sell(BTC_PERP, "1")
    menu.arm(FaultKind.EMPTY, Trigger.count(1), reading=reading)
    told = {
        "spot_balances": house.exchange.spot_balances(KEY),
        "futures_account": house.exchange.futures_account(KEY, LINEAR).balances,
        "positions": house.exchange.positions(KEY, LINEAR),
    }
    assert [name for name, rows in told.items() if not rows] == [reading]
    assert house.exchange.positions(KEY, LINEAR)


def test_truncated(house: House, menu: FaultMenu) -> None:
    whole = house.exchange.spot_balances(KEY)
    menu.arm(FaultKind.TRUNCATED, reading="spot_balances")
    assert house.exchange.spot_balances(KEY) == whole[:-1]
    assert house.exchange.spot_balances(KEY) == whole


def test_stale(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.STALE, Trigger.chance(1, 2), reading="positions")
    seen = []
    for _ in range(12):
        house.sell(BTC_PERP, "1")
        seen.append(-row(house).quantity)
        house.clock.advance(2)
        house.exchange.advance()
    late = [(shown, true) for true, shown in enumerate(seen, start=1) if shown != true]
    assert late
    assert all(0 < shown < true for shown, true in late)
    assert menu.fired[FaultKind.STALE] == len(late)


def test_stale_prices_carry_their_old_time(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.STALE, Trigger.chance(1, 2), reading="premium")
    shown = []
    for step in range(12):
        house.price(65_000 + step)
        shown.append((house.exchange.premium(BTC_PERP), house.clock.now_ms()))
        house.clock.advance(10)
    late = [premium for premium, at_ms in shown if premium.time_ms < at_ms]
    assert len(late) == menu.fired[FaultKind.STALE] > 0


def test_wrong_sign(house: House, menu: FaultMenu) -> None:
    house.sell(BTC_PERP, "1")
    menu.arm(FaultKind.WRONG_SIGN, reading="positions")
    seen = row(house)
    assert (seen.quantity, seen.notional) == (D(1), D(65_000))
    assert row(house).quantity == D(-1)


def test_zeroed(house: House, menu: FaultMenu) -> None:
    house.sell(BTC_PERP, "1")
    menu.arm(FaultKind.ZEROED, reading="spot_balances", name="BTC")
    menu.arm(FaultKind.ZEROED, reading="positions")
    assert [house.spot("BTC").total, house.spot("BTC").total] == [D(0), D(5)]
    assert [row(house).quantity, row(house).quantity] == [D(0), D(-1)]


def test_a_fault_without_effect_does_not_count(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.WRONG_SIGN, reading="positions")
    assert row(house).quantity == 0
    assert not menu.fired
    house.sell(BTC_PERP, "1")
    assert row(house).quantity == 1


def test_fills_told_twice_and_out_of_order(house: House, menu: FaultMenu) -> None:
    for _ in range(4):
        house.sell(BTC_PERP, "1")
        house.clock.advance(1)
    true = house.exchange.fills(KEY, LINEAR)
    menu.arm(FaultKind.FILLS_DUPLICATED)
    twice = house.exchange.fills(KEY, LINEAR)
    assert (len(twice), tuple(dict.fromkeys(twice))) == (5, true)
    menu.arm(FaultKind.FILLS_REORDERED)
    mixed = house.exchange.fills(KEY, LINEAR)
    assert mixed != true
    assert tuple(sorted(mixed, key=lambda fill: fill.trade_id)) == true


def test_no_answer_and_a_bad_one(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.READ_LOST, reading="positions")
    with pytest.raises(ReplyLostError):
        row(house)
    menu.arm(FaultKind.READ_503)
    with pytest.raises(ServerTroubleError):
        house.exchange.ticker(BTC_PERP)
    door = house.exchange.door
    for kind, expected in ((FaultKind.NONE_FILLED, [Garble.NULLS]), (FaultKind.READ_MALFORMED, list(Garble)[:2])):
        menu.arm(kind, reading="positions")
        row(house)
        assert door.garble() in expected
        assert door.garble() is None


def test_who_must_see_what_is_so_steps_aside(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.EMPTY, Trigger())
    assert house.exchange.spot_balances(KEY) == ()
    with menu.aside():
        assert house.spot("BTC").total == 5
    assert house.exchange.truth(KEY).spot["BTC"] == 5


def test_every_reading_can_be_lost(menu: FaultMenu) -> None:
    for reading in Reading:
        if reading not in (Reading.PLACED, Reading.CANCELLED, Reading.TRANSFERRED):
            menu.arm(FaultKind.READ_LOST, reading=reading.value)
