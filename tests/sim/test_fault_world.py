"""What the world does by itself, and that healing puts the rules back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import StreamDisturbance, StreamsDisturbed
from keeper.sim.fault_kinds import STREAM_FAULTS, FaultKind, Trigger
from keeper.sim.faults import FaultMenu
from keeper.sim.troubles import TroubleError
from keeper.sim.types import Market, MarketKind, MarketStatus, Origin, linear
from tests.sim.house import BTC_PERP, KEY, D, House, Side, build, refused


@pytest.fixture
def house() -> House:
    return build(usdm="1000000", btc="5", usdt="100000", coinm="3")


def pass_time(house: House, seconds: float = 1) -> None:
    house.clock.advance(seconds)
    house.exchange.advance()


def held(house: House) -> Decimal:
    return house.exchange.truth(KEY).positions.get(BTC_PERP, Decimal(0))


def test_somebody_else_trades(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FOREIGN_TRADE, Trigger.count(1, market=BTC_PERP), quantity="0.7")
    pass_time(house)
    assert held(house) == D("0.7")
    assert house.exchange.truth(KEY).other_orders[0].origin is Origin.FOREIGN
    assert (menu.strikes[-1].account, menu.strikes[-1].market) == (KEY, BTC_PERP)


def test_a_drawn_trade_stays_within_its_worth(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FOREIGN_TRADE, Trigger.count(20, market=BTC_PERP), max_notional=10_000)
    before = D(0)
    for _ in range(20):
        pass_time(house)
        assert 0 <= abs(held(house) - before) * 65_000 <= 10_000
        before = held(house)
    assert menu.fired[FaultKind.FOREIGN_TRADE] > 15


@pytest.mark.parametrize(
    ("kind", "left", "origin"),
    [(FaultKind.ADL, D(-1), Origin.ADL), (FaultKind.LIQUIDATION, D(0), Origin.LIQUIDATION)],
)
def test_the_exchange_closes_a_position(
    house: House, menu: FaultMenu, kind: FaultKind, left: Decimal, origin: Origin
) -> None:
    menu.arm(kind)
    pass_time(house)
    assert not menu.fired  # nothing to close yet: the fault waits
    house.sell(BTC_PERP, "2")
    pass_time(house)
    assert held(house) == left
    assert house.exchange.truth(KEY).other_orders[-1].origin is origin


def test_the_position_mode_flips_and_comes_back(house: House, menu: FaultMenu) -> None:
    house.sell(BTC_PERP, "2")
    menu.arm(FaultKind.POSITION_MODE_FLIP, Trigger.count(1, market=BTC_PERP), for_ms=10_000)
    pass_time(house)
    assert house.exchange.position_mode(KEY, MarketKind.LINEAR)
    assert held(house) == 0
    with refused(ErrorKind.POSITION_SIDE_MISMATCH):
        house.sell(BTC_PERP, "1")
    pass_time(house, 10)
    assert not house.exchange.position_mode(KEY, MarketKind.LINEAR)
    house.sell(BTC_PERP, "1")


def test_without_flattening_a_position_keeps_its_mode(house: House, menu: FaultMenu) -> None:
    house.sell(BTC_PERP, "2")
    menu.arm(FaultKind.POSITION_MODE_FLIP, Trigger.count(1, market=BTC_PERP), flatten=False)
    pass_time(house)
    assert not house.exchange.position_mode(KEY, MarketKind.LINEAR)
    assert not menu.fired


@pytest.mark.parametrize(
    ("kind", "error", "quantity", "price"),
    [
        (FaultKind.STEP_CHANGE, ErrorKind.BAD_STEP, "1.001", "65000"),
        (FaultKind.TICK_CHANGE, ErrorKind.BAD_TICK, "1", "65000.1"),
        (FaultKind.MINIMUM_CHANGE, ErrorKind.BELOW_MIN_NOTIONAL, "0.010", "65000"),
    ],
)
def test_filters_change_and_healing_restores_them(
    house: House, menu: FaultMenu, kind: FaultKind, error: ErrorKind, quantity: str, price: str
) -> None:
    before = house.exchange.market(BTC_PERP)
    house.sell(BTC_PERP, quantity, price)
    menu.arm(kind, Trigger.count(1, market=BTC_PERP))
    pass_time(house)
    assert house.exchange.market(BTC_PERP) != before
    with refused(error):
        house.sell(BTC_PERP, quantity, price)
    menu.heal()
    assert house.exchange.market(BTC_PERP) == before
    house.sell(BTC_PERP, quantity, price)


def test_precision_follows_the_step(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.STEP_CHANGE, Trigger.count(1, market=BTC_PERP), factor=10)
    pass_time(house)
    assert house.exchange.market(BTC_PERP).quantity_precision == 2


def test_the_funding_interval_changes(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FUNDING_INTERVAL_CHANGE, Trigger.count(1, market=BTC_PERP), hours=1, for_ms=7_200_000)
    pass_time(house)
    assert house.exchange.premium(BTC_PERP).funding_interval_hours == 1
    pass_time(house, 7_200)
    assert house.exchange.premium(BTC_PERP).funding_interval_hours == 8


def test_a_market_closes_and_opens_again(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.DELISTED, Trigger.count(1, market=BTC_PERP), status="HALT", for_ms=0)
    pass_time(house)
    with refused(ErrorKind.MARKET_CLOSED):
        house.sell(BTC_PERP, "1")
    menu.heal()
    house.sell(BTC_PERP, "1")


def dated(house: House) -> Market:
    perpetual = house.exchange.market(BTC_PERP)
    market = replace(perpetual, symbol="BTCUSDT_261225", expiry_ms=house.clock.now_ms() + 10**9)
    house.exchange.add_market(market)
    return market


def test_a_dated_contract_expires(house: House, menu: FaultMenu) -> None:
    market = dated(house)
    house.sell(market.key, "1")
    menu.arm(FaultKind.EXPIRED, Trigger.count(1, market=market.key))
    pass_time(house)
    assert house.exchange.market(market.key).status is MarketStatus.DELIVERED
    assert not house.exchange.truth(KEY).positions
    menu.heal()
    assert house.exchange.market(market.key).status is MarketStatus.DELIVERED


def test_a_perpetual_never_expires(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.EXPIRED)
    pass_time(house)
    assert not menu.fired


def test_the_venues_clock_steps_and_is_put_right(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.VENUE_CLOCK_STEP, step_ms=-3_000, for_ms=30_000)
    pass_time(house)
    door = house.exchange.door
    assert door.server_time_ms() == house.clock.now_ms() - 3_000
    assert house.exchange.premium(BTC_PERP).time_ms == door.server_time_ms()
    pass_time(house, 30)
    assert door.clock_skew_ms == 0


def test_a_harness_is_told_when_the_next_thing_happens(house: House, menu: FaultMenu) -> None:
    assert menu.next_due_ms() is None
    now = house.clock.now_ms()
    menu.arm(FaultKind.VENUE_CLOCK_STEP, step_ms=-3_000, for_ms=30_000)
    house.exchange.advance()
    assert menu.next_due_ms() == now + 30_000
    menu.arm(FaultKind.LATE_ORDER, min_delay_ms=500, max_delay_ms=500)
    with pytest.raises(TroubleError):
        house.sell(BTC_PERP, "1")
    assert menu.next_due_ms() == now + 500
    pass_time(house)
    assert (menu.next_due_ms(), held(house)) == (now + 30_000, D(-1))
    menu.heal()
    assert menu.next_due_ms() is None


def test_the_hosts_clock_is_the_harnesss_to_step(house: House, menu: FaultMenu) -> None:
    menu.arm(FaultKind.HOST_CLOCK_STEP, step_ms=2_500)
    pass_time(house)
    assert not menu.fired
    steps: list[int] = []
    menu.on_host_step = steps.append
    pass_time(house)
    assert (steps, menu.fired[FaultKind.HOST_CLOCK_STEP]) == ([2_500], 1)


def test_streams_are_told_to_misbehave_and_to_stop(house: House, menu: FaultMenu) -> None:
    for kind in STREAM_FAULTS:
        menu.arm(kind)
    pass_time(house)
    menu.heal()
    told = [event.disturbance for event in house.events if isinstance(event, StreamsDisturbed)]
    assert told == [
        StreamDisturbance.SILENCE,
        StreamDisturbance.CUT,
        StreamDisturbance.END_KEYS,
        StreamDisturbance.REPLAY,
        StreamDisturbance.SPEAK,
    ]


@pytest.mark.parametrize("seed", range(6))
def test_healing_leaves_a_venue_that_works(seed: int) -> None:
    house = build(usdm="10000000", btc="5", usdt="100000", coinm="30", seed=seed)
    menu = FaultMenu(house.exchange, seed)
    house.exchange.intercept(menu)
    before = house.exchange.markets()
    rng = Random(seed)
    for kind in FaultKind:
        menu.arm(kind, Trigger.chance(1, 4))
    for _ in range(60):
        pass_time(house, rng.random() * 3)
        try:
            house.put(BTC_PERP, rng.choice((Side.BUY, Side.SELL)), "0.05")
        except (SimError, TroubleError):
            continue
    assert len(menu.fired) > 15
    menu.arm(FaultKind.BANNED)
    with pytest.raises(TroubleError):
        house.exchange.door.arrive(KEY)
    menu.heal()
    assert house.exchange.markets() == before
    assert not house.exchange.position_mode(KEY, MarketKind.LINEAR)
    assert house.exchange.door.clock_skew_ms == 0
    house.exchange.door.arrive(KEY)
    assert house.sell(linear("BTCUSDT"), "0.05").fills
    assert house.position(BTC_PERP).quantity == held(house)
