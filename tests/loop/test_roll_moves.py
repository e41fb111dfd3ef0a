"""A hedge that moves from one contract to another: inside the band at every moment, whatever stops the keeper."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.alerts.rules import Severity, alerts_for
from keeper.core.limits import Limits
from keeper.core.model import CycleRecord, InstrumentId, PlannedOrder, Quote, Roll
from keeper.cycle import turn
from keeper.daemon import Daemon, Rhythm
from keeper.journal.base import Remembered
from keeper.rolling import begin_roll
from keeper.sim.local import LocalVenue
from keeper.sim.names import MarketKey
from keeper.sim.types import MarketStatus, WalletKind
from keeper.venue.base import Ambiguous, Lookup, LookupFailed, Submission
from tests.loop.house import KEY, D
from tests.loop.legs_house import COIN_PERP, FAR, MAIN_PERP, NEAR, NEAR_LINEAR, PERP, LegsHouse
from tests.loop.test_faults import CrashError

TURNS = 200


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[LegsHouse]:
    house = LegsHouse(tmp_path)
    yield house
    await house.close()


def true_drift(house: LegsHouse, *keys: MarketKey) -> Decimal:
    """What is open of five coins, by the exchange's own truth."""
    return 5 + sum((house.held(key) for key in keys), D(0))


async def built(house: LegsHouse, carrier: MarketKey | str, to: MarketKey | str) -> Roll:
    """A full hedge in one contract, and a roll to another one begun."""
    await house.venue.open()
    names = [key if isinstance(key, str) else house.symbol(key) for key in (carrier, to)]
    await house.carry(names[0])
    desk = await house.open()
    await house.turn(3)
    return await begin_roll(desk, "btc", house.venue.instrument(names[1]))


async def test_a_roll_is_known_again_after_a_crash(house: LegsHouse) -> None:
    roll = await built(house, PERP, NEAR_LINEAR)
    await house.crash()
    desk = await house.open()
    assert desk.memories["btc"].roll == roll
    assert [instrument.id for instrument in desk.hedges[0].instruments] == [roll.source, roll.target]
    assert desk.observatory.hedges == tuple(desk.hedges), "what is rolled to is read too"


async def test_it_moves_in_steps_and_the_target_carries_on(house: LegsHouse) -> None:
    roll = await built(house, PERP, NEAR_LINEAR)
    for _ in range(TURNS):
        record = await house.one()
        drift = true_drift(house, MAIN_PERP, NEAR_LINEAR)
        assert 0 <= drift <= D("0.25"), "act is 5 % of five coins"
        assert record.exposure.drift_ratio is not None
        if record.memory.roll is None:
            break
    assert (house.held(MAIN_PERP), house.held(NEAR_LINEAR)) == (D(0), D(-5))
    assert len(house.orders) <= 1 + 2 * 23, "a slice is nine tenths of the band: twenty-three, covered and sold"
    assert record.memory.carrier == roll.target
    assert (await house.one()).exposure.hedge.instrument.id == roll.target
    house.sell_spot("BTC", "1")
    await house.turn(3)
    assert house.held(NEAR_LINEAR) == D(-4), "covers are made on the new contract"
    await house.crash()
    await house.open()
    house.exchange.deposit(KEY, "BTC", D(2))
    await house.turn(4)
    assert (house.held(MAIN_PERP), house.held(NEAR_LINEAR)) == (D(0), D(-6)), "and it is the carrier after a restart"


@pytest.mark.parametrize(("fee", "contracts"), [("0", -3298), ("0.00055", -3295)])
async def test_a_coin_margined_roll_at_a_profit_comes_out_as_the_page_has_it(
    tmp_path: Path, fee: str, contracts: int
) -> None:
    """hedging.md, Roll of a coin-margined short: 325,000 USD from 65,000 at 52,000 into a contract at 52,780."""
    house = LegsHouse(tmp_path, coins={})
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.venue.open()
    await house.carry(house.symbol(NEAR), spot=())
    desk = await house.open()
    await house.turn(3)
    assert house.held(NEAR) == -3250
    house.exchange.set_price("BTC", D(52_000))
    house.exchange.set_basis(FAR, D("0.015"))
    house.set_fee(fee, NEAR, FAR)
    await begin_roll(desk, "btc", house.venue.instrument(house.symbol(FAR)))
    for _ in range(TURNS):
        record = await house.one()
        assert record.exposure.drift_ratio is not None
        assert -D("0.0005") <= record.exposure.drift_ratio <= D("0.05")
        if record.memory.roll is None:
            break
    assert (house.held(NEAR), house.held(FAR)) == (D(0), D(contracts))
    await house.close()


class Counting(Daemon):
    """Counts how often it waits for the next poll."""

    polls = 0

    async def _pause_between(self) -> None:
        self.polls += 1


async def test_profits_of_its_own_covers_make_a_roll_wait_for_no_poll(house: LegsHouse) -> None:
    """Each cover books its profit into the margin wallet, where it looks like coins that came from another wallet."""
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    roll = await built(house, COIN_PERP, NEAR)
    house.exchange.set_price("BTC", D(52_000))
    assert house.desk is not None

    class Ending:
        def on_turn(self, record: CycleRecord) -> None:
            if record.hedges[0].memory.roll is None or daemon.turns > TURNS:
                daemon.stop()

        def on_failure(self, text: str) -> None:
            raise AssertionError(text)

    daemon = Counting(house.desk, house.clock, Rhythm(), (Ending(),))
    await daemon.run()
    assert (house.held(COIN_PERP), house.desk.memories["btc"].carrier) == (D(0), roll.target)
    assert daemon.polls <= 2, "it would have been one for each of twenty-three slices"


async def test_slices_keep_to_the_largest_order(house: LegsHouse) -> None:
    house.limits = Limits(Quote(D(4_000)))
    await house.venue.open()
    await house.carry(PERP, ratio="0.05")
    desk = await house.open()
    await house.turn(8)
    await begin_roll(desk, "btc", house.venue.instrument(house.symbol(NEAR_LINEAR)))
    for _ in range(TURNS):
        record = await house.one()
        for key in (MAIN_PERP, NEAR_LINEAR):
            assert house.held(key) <= 0
        if record.memory.roll is None:
            break
    assert max(order.quantity * 65_000 for order in house.orders) <= 4_000
    assert house.held(MAIN_PERP) == 0
    assert house.held(NEAR_LINEAR) == pytest.approx(D("-0.25"), abs=D("0.01"))


async def test_a_limit_that_stops_the_roll_is_told(house: LegsHouse) -> None:
    house.limits = Limits(Quote(D(1_000_000)), max_orders_per_hour=10)
    await built(house, PERP, NEAR_LINEAR)
    record = await house.turn(40)
    assert 0 <= true_drift(house, MAIN_PERP, NEAR_LINEAR) <= D("0.25")
    told = {alert.key: alert for alert in alerts_for(None, record)}
    assert told["btc/roll"].severity is Severity.CRITICAL
    assert "max_orders_per_hour" in told["btc/roll"].text
    house.clock.advance(3_600)
    await house.turn(4)
    assert house.held(NEAR_LINEAR) < D("-0.9"), "it goes on by itself"


class Dying(LocalVenue):
    """Dies at a named point of the ``nth`` order after the roll has begun, or loses the answer there."""

    point = ""
    nth = 0

    async def submit(self, order: PlannedOrder) -> Submission:
        self.nth -= 1
        if self.nth == 0 and self.point == "before the send":
            raise CrashError
        answer = await super().submit(order)
        if self.nth == 0 and self.point == "after the send":
            raise CrashError
        if self.nth == 0 and self.point == "answer lost":
            return Ambiguous("connection reset")
        return answer


@pytest.mark.parametrize("nth", [1, 2, 5])
@pytest.mark.parametrize(
    "point", ["before the send", "after the send", "answer lost", "before the cycle is written", "between turns"]
)
async def test_a_roll_with_a_crash_in_its_middle_stays_inside_the_band_and_ends(
    house: LegsHouse, monkeypatch: pytest.MonkeyPatch, point: str, nth: int
) -> None:
    lines: list[Dying] = []

    def wrap(name: str, venue: LocalVenue) -> LocalVenue:
        line = Dying(venue.name, venue.exchange, KEY, house.clock)
        line.__dict__.update(venue.__dict__)
        if name == "main":
            lines.append(line)
        return line

    house.wraps = wrap
    await built(house, PERP, NEAR_LINEAR)
    lines[-1].point, lines[-1].nth = point, nth
    done = False
    for _ in range(TURNS):
        try:
            await self_or_death(house, lines[-1], monkeypatch)
        except CrashError:
            monkeypatch.undo()
            await house.crash()
            await house.open()
        assert 0 <= true_drift(house, MAIN_PERP, NEAR_LINEAR) <= D("0.25")
        assert house.desk is not None
        if house.desk.memories["btc"].roll is None:
            done = True
            break
    assert done
    assert (house.held(MAIN_PERP), house.held(NEAR_LINEAR)) == (D(0), D(-5))


async def self_or_death(house: LegsHouse, line: Dying, monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn; at the points that are not the venue's it is the journal, or nothing at all, that dies."""
    assert house.desk is not None
    if line.point == "before the cycle is written" and line.nth == 1:

        async def die(_record: CycleRecord, _remembered: Remembered) -> None:
            raise CrashError

        monkeypatch.setattr(house.desk.journal, "cycle", die)
    house.clock.advance(5)
    await turn(house.desk)
    if line.point == "between turns" and line.nth <= 0:
        line.point = ""
        raise CrashError


async def test_a_target_that_stops_trading_stops_the_roll_and_pages(house: LegsHouse) -> None:
    await built(house, PERP, NEAR_LINEAR)
    await house.turn(9)
    house.exchange.set_status(NEAR_LINEAR, MarketStatus.HALT)
    record = await house.turn(30)
    held = (house.held(MAIN_PERP), house.held(NEAR_LINEAR))
    assert held[0] < 0
    assert held[1] < 0
    assert 0 <= true_drift(house, MAIN_PERP, NEAR_LINEAR) <= D("0.25")
    told = {alert.key: alert for alert in alerts_for(None, record)}
    assert told["btc/roll"].severity is Severity.CRITICAL
    await house.turn(30)
    assert house.held(MAIN_PERP) == held[0], "nothing more of the old contract is covered"
    house.exchange.set_status(NEAR_LINEAR, MarketStatus.TRADING)
    await house.turn(TURNS)
    assert (house.held(MAIN_PERP), house.held(NEAR_LINEAR)) == (D(0), D(-5))


async def test_an_order_of_unknown_fate_stops_both_legs(house: LegsHouse) -> None:
    class Mute(LocalVenue):
        mute = False

        async def submit(self, order: PlannedOrder) -> Submission:
            answer = await super().submit(order)
            return Ambiguous("connection reset") if self.mute else answer

        async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
            if self.mute:
                return LookupFailed("no answer")
            return await super().lookup(instrument, client_id, venue_order_id)

    lines: list[Mute] = []

    def wrap(name: str, venue: LocalVenue) -> LocalVenue:
        line = Mute(venue.name, venue.exchange, KEY, house.clock)
        line.__dict__.update(venue.__dict__)
        if name == "main":
            lines.append(line)
        return line

    house.wraps = wrap
    await built(house, PERP, NEAR_LINEAR)
    lines[-1].mute = True
    count = len(house.orders)
    await house.turn(6)
    assert len(house.orders) == count + 1
    lines[-1].mute = False
    await house.turn(TURNS)
    assert (house.held(MAIN_PERP), house.held(NEAR_LINEAR)) == (D(0), D(-5))


async def test_a_source_that_expires_in_the_middle_leaves_its_rest_to_the_target(tmp_path: Path) -> None:
    house = LegsHouse(tmp_path, days=1)
    await built(house, NEAR_LINEAR, PERP)
    await house.turn(20)
    assert house.held(NEAR_LINEAR) < 0
    house.clock.advance(86_400)
    house.exchange.advance()
    assert house.held(NEAR_LINEAR) == 0
    await house.turn(4)
    assert house.held(MAIN_PERP) == -5
    assert house.desk is not None
    assert house.desk.memories["btc"].roll is None
    await house.close()
