"""Several contracts behind one hedge: failover, shares, restarts, expiry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.alerts.rules import Severity, alerts_for
from keeper.core.limits import Limits
from keeper.core.model import HedgeCycle, Hold, OutcomeState, PlannedOrder, Quote, Rebalance
from keeper.sim.local import LocalVenue
from keeper.sim.types import MarketStatus, WalletKind
from keeper.venue.base import Ambiguous, PositionBook, Submission, UnreachableError
from tests.loop.house import KEY, D
from tests.loop.legs_house import COIN, COIN_PERP, MAIN_PERP, NEAR, NEAR_LINEAR, OTHER_PERP, PERP, LegsHouse
from tests.loop.test_doubt import resume
from tests.loop.test_faults import Flaky


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[LegsHouse]:
    house = LegsHouse(tmp_path)
    yield house
    await house.close()


def codes(cycle: HedgeCycle) -> set[str]:
    own = cycle.decision.reasons if isinstance(cycle.decision, Hold | Rebalance) else (cycle.decision.reason,)
    return {reason.code for reason in (*own, *cycle.reasons)}


async def test_a_halted_market_hands_over_and_gets_the_next_orders_when_it_is_back(house: LegsHouse) -> None:
    await house.carry(PERP, f"other:{PERP}")
    await house.open()
    house.exchange.set_status(MAIN_PERP, MarketStatus.HALT)
    record = await house.one()
    assert (await house.one()).outcomes[0].state is OutcomeState.REJECTED, "once may be an accident of the moment"
    assert house.held(OTHER_PERP, house.other) == 0
    await house.turn(5)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D(0), D(-5))
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.exposure.futures_base == -5

    house.exchange.set_status(MAIN_PERP, MarketStatus.TRADING)
    await house.turn(6)
    house.exchange.deposit(KEY, "BTC", D(2))
    await house.turn(20)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D(-2), D(-5)), "new shorts go to the first"
    house.sell_spot("BTC", "6")
    await house.turn(4)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D(-1), D(0)), "covers come from the last"


async def test_what_cannot_be_read_holds_the_whole_hedge(house: LegsHouse) -> None:
    class Deaf(LocalVenue):
        async def positions(self) -> PositionBook:
            raise UnreachableError("no answer")

    await house.carry(PERP, f"other:{PERP}")
    house.wraps = lambda name, venue: _as(Deaf, venue) if name == "other" else venue
    await house.open()
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.exposure.futures_base is None
    assert house.orders == ()


def _as(kind: type[LocalVenue], venue: LocalVenue) -> LocalVenue:
    made = kind(venue.name, venue.exchange, KEY, venue._clock)
    made.__dict__.update(venue.__dict__)
    return made


async def test_a_split_hedge_is_built_and_changed_by_share_and_survives_a_crash(house: LegsHouse) -> None:
    await house.carry(PERP, f"other:{PERP}", shares=("0.7", "0.3"))
    await house.open()
    await house.turn()
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D("-3.5"), D(0)), "the furthest goes first"
    await house.crash()
    await house.open()
    await house.turn(3)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D("-3.5"), D("-1.5"))
    house.sell_spot("BTC", "2")
    await house.turn(4)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D("-2.1"), D("-0.9"))


async def test_a_halted_leg_leaves_its_share_to_the_other_and_takes_it_back_inside_the_band(house: LegsHouse) -> None:
    await house.carry(PERP, f"other:{PERP}", shares=("0.5", "0.5"))
    await house.open()
    house.exchange.set_status(MAIN_PERP, MarketStatus.HALT)
    await house.turn(12)
    assert house.held(MAIN_PERP) == 0
    assert house.held(OTHER_PERP, house.other) == pytest.approx(D(-5), abs=D("0.25")), "one slice may wait, in the band"
    house.exchange.set_status(MAIN_PERP, MarketStatus.TRADING)
    for _ in range(160):
        record = await house.one()
        assert record.exposure.drift_ratio is not None
        assert 0 <= record.exposure.drift_ratio <= D("0.05")
    assert house.held(MAIN_PERP) == pytest.approx(D("-2.5"), abs=D("0.25"))
    assert house.held(MAIN_PERP) + house.held(OTHER_PERP, house.other) == pytest.approx(D(-5), abs=D("0.25"))
    count = len(house.orders)
    await house.turn(20)
    assert len(house.orders) == count, "then it rests"


async def test_the_cap_on_shorts_counts_every_leg(house: LegsHouse) -> None:
    house.limits = Limits(Quote(D(1_000_000)), Quote(D(260_000)))
    await house.carry(PERP, f"other:{PERP}", shares=("0.5", "0.5"))
    await house.open()
    await house.turn(8)
    assert house.held(MAIN_PERP) + house.held(OTHER_PERP, house.other) == D(-4)


async def test_coin_margined_and_linear_legs_add_up(house: LegsHouse) -> None:
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    await house.carry(COIN, PERP, shares=("0.5", "0.5"))
    await house.open()
    await house.turn(4)
    assert house.held(MAIN_PERP) == D(-3)
    assert house.held(COIN_PERP) == D(-1950), "three coins at 65,000 in contracts of 100"
    for price in (58_000, 61_000, 72_000, 65_000):
        house.exchange.set_price("BTC", D(price))
        record = await house.one()
        assert record.exposure.drift_ratio is not None
        assert abs(record.exposure.drift_ratio) < D("0.001")


async def test_a_change_on_the_second_leg_is_foreign_and_a_large_one_halts(house: LegsHouse) -> None:
    await house.carry(PERP, f"other:{PERP}", shares=("0.5", "0.5"))
    await house.open()
    await house.turn(4)
    house.other.foreign_trade(KEY, OTHER_PERP, D("0.4"))
    record = await house.one()
    assert "foreign_change" in codes(record)
    assert house.held(OTHER_PERP, house.other) == D("-2.1"), "not shorted again on one look"
    await house.turn(3)
    assert house.held(OTHER_PERP, house.other) == D("-2.5")
    house.other.foreign_trade(KEY, OTHER_PERP, D("2"))
    record = await house.one()
    assert record.memory.halted is not None


# -- expiry ----------------------------------------------------------------------------------------------------------


async def expire(house: LegsHouse) -> None:
    left = house.expiry_ms - house.clock.now_ms()
    house.clock.advance(left / 1000 + 60)
    house.exchange.advance()


async def test_an_expired_contract_hands_over_to_the_next_leg(house: LegsHouse) -> None:
    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR), PERP)
    await house.open()
    await house.turn(3)
    assert house.held(NEAR_LINEAR) == -5
    await expire(house)
    assert house.held(NEAR_LINEAR) == 0
    record = await house.one()
    assert "foreign_change" in codes(record)
    assert record.memory.halted is None
    await house.turn(3)
    assert (house.held(NEAR_LINEAR), house.held(MAIN_PERP)) == (D(0), D(-5))


async def test_a_contract_that_was_delisted_while_no_keeper_ran_does_not_hold_the_others(house: LegsHouse) -> None:
    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR), PERP, shares=("0.4", "0.6"))
    await house.open()
    await house.turn(4)
    assert (house.held(NEAR_LINEAR), house.held(MAIN_PERP)) == (D(-2), D(-3))
    await house.crash()
    await expire(house)
    house.exchange.set_status(NEAR_LINEAR, MarketStatus.DELISTED)
    house.hedges.clear()
    await house.carry(PERP)  # what is left of the configuration's contracts
    await house.open()
    record = await house.turn(3)
    assert not [gap for gap in record.snapshot.gaps if gap.code == "unknown_symbol"]
    assert house.held(MAIN_PERP) == D(-5)


async def test_a_lost_order_on_a_contract_that_is_listed_no_longer_is_ended_by_a_person(house: LegsHouse) -> None:
    lines: dict[str, Flaky] = {}

    def flaky(name: str, venue: LocalVenue) -> LocalVenue:
        return lines.setdefault(name, Flaky(venue))

    house.wraps = flaky
    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR))
    await house.open()
    lines["main"].lose_before = 1
    await house.turn()
    await house.crash()
    await expire(house)
    house.exchange.set_status(NEAR_LINEAR, MarketStatus.DELISTED)
    house.hedges.clear()
    lines.clear()
    await house.carry(PERP)  # what is left of the configuration's contracts
    desk = await house.open()
    await house.turn(20)
    (asked,) = desk.unresolved.values()
    assert "not listed any more" in asked.outcome.text
    assert "resume the hedge" in asked.outcome.text
    assert house.held(MAIN_PERP) == D(-5), "it holds nothing but itself"
    await resume(house)
    await house.turn()
    assert await desk.journal.unresolved() == ()
    lost, *_ = await desk.journal.intents_since(0)
    assert lost.outcome.state is OutcomeState.ABSENT


async def test_without_another_leg_it_holds_and_pages(house: LegsHouse) -> None:
    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR))
    await house.open()
    await house.turn(3)
    await expire(house)
    record = await house.turn(2)
    assert isinstance(record.hedges[0].decision, Hold)
    assert record.hedges[0].exposure.futures_base == 0
    told = {alert.key: alert for alert in alerts_for(None, record)}
    assert told["btc/blocked"].severity is Severity.CRITICAL
    assert "expired" in told["btc/blocked"].title
    assert house.held(MAIN_PERP) == 0


async def test_a_contract_in_its_last_hour_is_not_opened(house: LegsHouse) -> None:
    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR))
    await house.open()
    house.clock.advance((house.expiry_ms - house.clock.now_ms()) / 1000 - 1800)
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert "expiring" in codes(record)
    assert house.orders == ()


# -- dated contracts, at their own mark ------------------------------------------------------------------------------


async def test_a_neutral_dated_inverse_is_sized_at_the_futures_price(tmp_path: Path) -> None:
    """hedging.md, Dated: 304,500 USD at F = 60,900 for 5 BTC; the price path that follows places no order."""
    house = LegsHouse(tmp_path, coins={})
    house.exchange.set_price("BTC", D(60_000))
    house.exchange.set_basis(NEAR, D("0.015"))
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.venue.open()
    await house.carry(house.symbol(NEAR), spot=())
    await house.open()
    await house.turn(3)
    assert house.held(NEAR) == D(-3045)
    await no_order_from_minus_20_to_plus_100_percent(house, 60_000)
    await house.close()


async def test_a_perpetual_inverse_at_full_hedge_places_no_order_on_any_price(tmp_path: Path) -> None:
    house = LegsHouse(tmp_path, coins={})
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.carry(COIN, spot=())
    await house.open()
    await house.turn(3)
    assert house.held(COIN_PERP) == D(-3250)
    await no_order_from_minus_20_to_plus_100_percent(house, 65_000)
    await house.close()


async def no_order_from_minus_20_to_plus_100_percent(house: LegsHouse, start: int) -> None:
    count = len(house.orders)
    assert count == 1
    path = [*range(100, 79, -2), *range(80, 201, 4), *range(200, 99, -10)]
    for percent in path:
        house.exchange.set_price("BTC", D(start) * percent / 100)
        record = await house.one()
        assert isinstance(record.decision, Hold), percent
        assert record.exposure.drift_ratio is not None
        assert abs(record.exposure.drift_ratio) < D("0.0001")
    assert len(house.orders) == count


async def test_tailing_hedges_the_spot_value(tmp_path: Path) -> None:
    """theory.md, Dated futures: S = 60,000 and F = 60,900 give 0.985222 contracts' coins for each coin."""
    house = LegsHouse(tmp_path)
    house.exchange.set_price("BTC", D(60_000))
    house.exchange.set_basis(NEAR_LINEAR, D("0.015"))
    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR), tailing=True)
    await house.open()
    record = await house.turn(3)
    assert house.held(NEAR_LINEAR) == D("-4.926")
    target = record.hedges[0].exposure.target_base
    assert target is not None
    assert round(target / 5, 6) == D("-0.985222")
    house.exchange.set_basis(NEAR_LINEAR, D("0"))
    await house.close()


async def test_untailed_as_many_coins_as_are_held(tmp_path: Path) -> None:
    house = LegsHouse(tmp_path)
    house.exchange.set_basis(NEAR_LINEAR, D("0.015"))
    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR))
    await house.open()
    await house.turn(3)
    assert house.held(NEAR_LINEAR) == D(-5)
    await house.close()


async def test_a_fill_on_one_leg_that_the_venue_does_not_show_yet_stops_the_other_too(house: LegsHouse) -> None:
    class Late(LocalVenue):
        stale: PositionBook | None = None

        async def positions(self) -> PositionBook:
            return self.stale or await super().positions()

    await house.carry(PERP, f"other:{PERP}", shares=("0.7", "0.3"))
    lines: dict[str, Late] = {}

    def wrap(name: str, venue: LocalVenue) -> LocalVenue:
        lines[name] = Late(venue.name, venue.exchange, KEY, house.clock)
        lines[name].__dict__.update(venue.__dict__)
        return lines[name]

    house.wraps = wrap
    await house.open()
    lines["main"].stale = await lines["main"].positions()
    await house.turn()
    assert house.held(MAIN_PERP) == D("-3.5")
    record = await house.turn(2)
    assert isinstance(record.hedges[0].decision, Hold)
    assert house.held(OTHER_PERP, house.other) == 0
    await house.crash()
    await house.open()
    lines["main"].stale = None
    await house.turn(3)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D("-3.5"), D("-1.5"))


async def test_an_order_that_was_lost_before_its_contract_was_settled_is_known_to_be_absent(house: LegsHouse) -> None:
    """The settlement has moved the position, which is no sign of the order, and no operator has to say so."""

    class Lossy(LocalVenue):
        loses = False

        async def submit(self, order: PlannedOrder) -> Submission:
            return Ambiguous("closed without an answer") if self.loses else await super().submit(order)

    lines: dict[str, Lossy] = {}

    def wrap(name: str, venue: LocalVenue) -> LocalVenue:
        lines[name] = Lossy(venue.name, venue.exchange, KEY, house.clock)
        lines[name].__dict__.update(venue.__dict__)
        return lines[name]

    await house.venue.open()
    await house.carry(house.symbol(NEAR_LINEAR), PERP)
    house.wraps = wrap
    desk = await house.open()
    await house.turn(3)
    assert house.held(NEAR_LINEAR) == -5
    lines["main"].loses = True
    house.exchange.deposit(KEY, "BTC", D(1))
    await house.turn()
    assert len(desk.unresolved) == 1
    lines["main"].loses = False
    await expire(house)
    await house.turn(6)
    assert (house.held(NEAR_LINEAR), house.held(MAIN_PERP)) == (D(0), D(-6))
    assert desk.unresolved == {}
    assert not await desk.journal.unresolved()
