"""A venue whose views are late, or contradict each other: what was sold is not sold again because one denies it.

One part of a venue takes orders, others show them, and each may be behind. Right is a short of 5 throughout.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.core.execution import AT_ONCE, Execution, Style
from keeper.core.model import (
    Contracts,
    Decision,
    Halt,
    Hold,
    Instrument,
    InstrumentId,
    OutcomeState,
    PlannedOrder,
    Position,
)
from keeper.sim.local import LocalVenue
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    Fill,
    Lookup,
    NotFound,
    Observer,
    OrderState,
    PositionBook,
    Submission,
    Trader,
)
from tests.loop.house import KEY, D, House, linear_key

BTC = linear_key("BTCUSDT")


class LateVenue(LocalVenue):
    """Takes orders at once; until ``shows_from`` each view answers as it did when ``freeze`` was called."""

    def __init__(self, inner: LocalVenue) -> None:
        self.__dict__.update(inner.__dict__)
        self.shows_from = 0.0
        self.late_seconds = 0.0
        self.loses = False
        self.is_lost_before = False
        self.swallows = False
        self.says: OrderState | None = None
        self.amount: Contracts | None = None
        self.only_positions = False
        self._book: PositionBook | None = None

    @property
    def _is_late(self) -> bool:
        return self._clock.monotonic() < self.shows_from

    async def freeze(self, seconds: float) -> None:
        """From now on, and for so long, the positions are those of now."""
        self._book = await super().positions()
        self.shows_from = self._clock.monotonic() + seconds

    async def submit(self, order: PlannedOrder) -> Submission:
        if self.is_lost_before:
            self.is_lost_before = False
            return Ambiguous("connection reset")
        if self.swallows:
            return Accepted("4711")
        if self.late_seconds:
            await self.freeze(self.late_seconds)
        answer = await super().submit(order)
        assert isinstance(answer, Accepted)
        assert answer.report is not None
        if self.says is not None:
            filled = Contracts(D(0)) if self.says is OrderState.NONE else answer.report.filled
            told = replace(answer.report, state=self.says, filled=filled)
            return replace(answer, report=told)
        if self.amount is not None:
            return replace(answer, report=replace(answer.report, contracts=self.amount, filled=self.amount))
        if self.loses:
            return Ambiguous("connection reset")
        return replace(answer, report=None) if self.late_seconds else answer

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        if self._is_late and not self.only_positions:
            return NotFound("not found, for now")
        return await super().lookup(instrument, client_id, venue_order_id)

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        return () if self._is_late and not self.only_positions else await super().fills(instrument, since_ms)

    async def positions(self) -> PositionBook:
        if self._is_late and self._book is not None:
            return self._book
        return await super().positions()

    async def position(self, instrument: Instrument) -> Position:
        if self._is_late and self._book is not None:
            rows = [row for row in self._book.positions if row.instrument.id == instrument.id]
            return rows[0] if rows else Position(instrument, Contracts(D(0)))
        return await super().position(instrument)


class LateHouse(House):
    line: LateVenue

    async def start(self, execution: Execution = AT_ONCE) -> None:
        await self.hedge()
        self.hedges[0] = replace(self.hedges[0], execution=execution)
        self.line = LateVenue(self.venue)

        def wrap(_: LocalVenue) -> tuple[Observer, Trader]:
            return self.line, self.line

        self.wrap = wrap
        await self.open()

    async def watched(self, seconds: float) -> Decimal:
        """Turns for so long, and the largest short after any of them."""
        peak, until = D(0), self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            await self.turn()
            peak = max(peak, -self.position())
        return peak

    async def decided(self) -> Decision:
        return (await self.one()).decision


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[LateHouse]:
    made = LateHouse(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("seconds", [12, 29, 45, 70, 170])
async def test_an_order_that_was_acknowledged_is_waited_for_however_late_everything_is(
    house: LateHouse, seconds: int
) -> None:
    await house.start()
    house.line.late_seconds = seconds
    assert await house.watched(seconds + 30) == D(5)
    assert len(house.orders) == 1
    assert house.desk is not None
    assert await house.desk.journal.unresolved() == ()
    assert house.desk.memories["btc"].halted is None


@pytest.mark.parametrize("seconds", [12, 29, 45, 59])
async def test_an_order_whose_answer_was_lost_is_not_absent_while_the_position_may_be_late(
    house: LateHouse, seconds: int
) -> None:
    """Answer, order, executions and position, all of them: the row in which the peer ends 54 times over-hedged."""
    await house.start()
    house.line.loses, house.line.late_seconds = True, seconds
    assert await house.watched(seconds + 30) == D(5)
    assert len(house.orders) == 1


async def test_an_order_that_never_arrived_is_absent_after_twice_the_time_that_a_position_may_be_late(
    house: LateHouse,
) -> None:
    await house.start()
    house.line.is_lost_before = True
    assert await house.watched(60) == D(0)
    assert await house.watched(25) == D(5)
    assert len(house.orders) == 1
    assert house.desk is not None
    first, *_ = await house.desk.journal.intents_since(0)
    assert first.outcome.state is OutcomeState.ABSENT


async def test_an_order_with_a_number_that_is_nowhere_ends_after_three_minutes(house: LateHouse) -> None:
    await house.start()
    house.line.swallows = True
    assert await house.watched(10) == D(0)
    house.line.swallows = False
    assert await house.watched(165) == D(0)
    assert await house.watched(40) == D(5)
    assert house.desk is not None
    first, *_ = await house.desk.journal.intents_since(0)
    assert first.outcome.state is OutcomeState.NONE


async def test_a_person_ends_the_wait_for_an_order_with_a_number_that_is_nowhere(house: LateHouse) -> None:
    await house.start()
    house.line.swallows = True
    assert await house.watched(10) == D(0)
    house.line.swallows = False
    assert await house.watched(90) == D(0)
    await house.told("resume")
    assert await house.watched(15) == D(5)


async def test_an_answer_that_denies_a_fill_is_looked_up_before_anything_is_sent_again(house: LateHouse) -> None:
    """The order is filled, the answer says that nothing of it is, and the position is late by six seconds."""
    await house.start()
    house.line.says, house.line.only_positions, house.line.late_seconds = OrderState.NONE, True, 6
    assert await house.watched(30) == D(5)
    assert len(house.orders) == 1
    assert house.desk is not None
    (intent,) = await house.desk.journal.intents_since(0)
    assert (intent.outcome.state, intent.outcome.filled) == (OutcomeState.FILLED, D(5))


async def test_an_answer_about_another_amount_is_looked_up(house: LateHouse) -> None:
    await house.start()
    house.line.amount = Contracts(D("0.005"))
    assert await house.watched(40) == D(5)
    assert house.desk is not None
    (intent,) = await house.desk.journal.intents_since(0)
    assert intent.outcome.filled == D(5)
    assert house.desk.memories["btc"].halted is None


async def test_a_short_on_top_of_a_fill_that_was_waited_for_is_bought_back(house: LateHouse) -> None:
    """Somebody sells three while our five are on their way: it halts, and what is over-hedged goes even then."""
    await house.start()
    await house.turn()
    house.exchange.foreign_trade(KEY, BTC, D(-3))
    while not isinstance(decision := await house.decided(), Halt):
        assert isinstance(decision, Hold)
    assert decision.reason.code == "fill_not_shown"
    await house.turn(3)
    assert house.position() == D(-5)


async def test_what_covers_have_bought_back_counts_together(house: LateHouse) -> None:
    """Two covers of a halted hedge, of which the position shows neither, are not bought a third time."""
    await house.start()
    await house.turn(2)
    house.line.only_positions = True
    await house.line.freeze(10_000)
    house.sell_spot("BTC", "1")
    await house.turn(8)
    assert abs(house.position() + 4) < D("0.05")
    house.sell_spot("BTC", "1")
    await house.turn(8)
    assert abs(house.position() + 3) < D("0.05")
    await house.turn(20)
    assert abs(house.position() + 3) < D("0.05")


@pytest.mark.parametrize("seconds", [6, 12])
async def test_a_position_of_before_our_fill_in_several_looks_is_not_somebody_elses_trade(
    house: LateHouse, seconds: int
) -> None:
    await house.start()
    await house.turn(2)
    await house.line.freeze(0)
    house.exchange.deposit(KEY, "BTC", D(1))
    await house.turn(3)
    assert house.position() == D(-6)
    assert (await house.one()).exposure.drift_base == 0, "the fill has shown"
    house.line.shows_from = house.clock.monotonic() + seconds
    assert await house.watched(60) == D(6)
    assert len(house.orders) == 2


async def test_the_same_change_for_real_is_traded_back_once_our_fill_is_old(house: LateHouse) -> None:
    await house.start()
    await house.turn(2)
    house.exchange.deposit(KEY, "BTC", D(1))
    await house.turn(3)
    house.exchange.foreign_trade(KEY, BTC, D(1))
    decision = await house.decided()
    assert isinstance(decision, Hold)
    decision = await house.decided()
    assert isinstance(decision, Hold)
    assert decision.reasons[0].code == "unsettled"
    await house.watched(40)
    assert house.position() == D(-6)


async def test_a_position_of_before_an_order_that_rested_is_no_other_trade_either(house: LateHouse) -> None:
    """The last look before its end had shown what filled, so that nothing is left to be waited for."""
    await house.start(Execution(Style.PASSIVE, escalate_drift=D(9)))
    await house.line.freeze(0)
    await house.turn(2)
    house.exchange.fill_resting(KEY, BTC)
    await house.turn(3)
    assert house.position() == D(-5)
    house.line.shows_from = house.clock.monotonic() + 13
    assert await house.watched(60) == D(5)
    assert len(house.orders) == 1
