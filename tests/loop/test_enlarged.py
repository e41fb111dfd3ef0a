"""The owner makes an order of ours larger in the venue's app, and more is filled than it had: a person says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.core.execution import Execution, Style
from keeper.core.model import Contracts, Hold, Instrument, InstrumentId, OutcomeState, Position, WorkingOrder
from keeper.journal.base import JournalError
from keeper.sim.local import LocalVenue
from keeper.sim.types import ExchangeOptions
from keeper.venue.base import Fill, Lookup, NotFound, Observer, OrderReport, OrderState, PositionBook, Trader
from tests.loop.house import KEY, D, House, SimSide, linear_key
from tests.loop.test_doubt import code, resume

BTC = linear_key("BTCUSDT")
BOOK = ExchangeOptions(half_spread_bps=D(2), first_level_notional=D(65_000), level_gap_bps=D(2))
PASSIVE = Execution(Style.PASSIVE, leash_bps=D(50), escalate_after_seconds=D(600))


class Enlarged(LocalVenue):
    """The exchange, which tells of one contract more than our order had; it may forget orders, or lag behind."""

    def __init__(self, inner: LocalVenue) -> None:
        self.__dict__.update(inner.__dict__)
        self.enlarged = ""
        self.is_open = False
        self.forgets = False
        self.flat = False
        self.cancelled: list[str | None] = []

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        found = await super().lookup(instrument, client_id, venue_order_id)
        if client_id != self.enlarged or not isinstance(found, OrderReport):
            return found
        if self.forgets:
            return NotFound("no such order")
        state = OrderState.OPEN if self.is_open else found.state
        return replace(found, contracts=Contracts(D(5)), filled=Contracts(found.filled + 1), state=state)

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        found = await super().fills(instrument, since_ms)
        return tuple(
            replace(fill, contracts=Contracts(fill.contracts + 1)) if fill.client_id == self.enlarged else fill
            for fill in found
        )

    async def cancel(self, order: WorkingOrder) -> None:
        self.cancelled.append(order.client_id)
        self.is_open = False

    async def positions(self) -> PositionBook:
        read = await super().positions()
        return replace(read, positions=()) if self.flat else read

    async def position(self, instrument: Instrument) -> Position:
        read = await super().position(instrument)
        return replace(read, contracts=Contracts(D(0))) if self.flat else read


class EnlargedHouse(House):
    line: Enlarged

    async def rested(self) -> None:
        """Sell three contracts of five coins by an order that rests."""
        self.exchange.set_options(BOOK)
        await self.hedge(ratio="0.6")
        self.hedges[0] = replace(self.hedges[0], execution=PASSIVE, max_slippage=D("0.005"))
        self.line = Enlarged(self.venue)

        def wrap(_: LocalVenue) -> tuple[Observer, Trader]:
            return self.line, self.line

        self.wrap = wrap
        await self.open()
        await self.turn()
        assert len(self.orders) == 1

    def enlarge(self) -> None:
        """In the app three become five, of which four fill."""
        self.line.enlarged = self.orders[0].client_order_id or ""
        self.exchange.fill_resting(KEY, BTC)
        self.exchange.foreign_trade(KEY, BTC, D(-1))

    async def asked(self, turns: int = 3) -> None:
        """The hedge holds, and says what to do."""
        for _ in range(turns):
            decision = (await self.one()).decision
            assert code(decision) == "unresolved_order"
            assert isinstance(decision, Hold)
            assert "4 contracts filled of an order over 3" in decision.reasons[0].text
            assert "look at the account, then resume the hedge: keeper resume" in decision.reasons[0].text


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[EnlargedHouse]:
    made = EnlargedHouse(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("way", ["as it is", "forgotten by the venue", "after a restart"])
async def test_it_is_asked_of_a_person_who_ends_it_and_what_is_there_is_hedged_anew(
    house: EnlargedHouse, way: str
) -> None:
    await house.rested()
    house.enlarge()
    house.line.forgets = way == "forgotten by the venue"
    await house.asked()
    if way == "after a restart":
        await house.crash()
        await house.open()
        await house.asked()
    house.sell_spot("BTC", "3")
    await house.asked()
    assert house.position() == D(-4), "over-hedged, and nobody may cover beside an order in question"
    await resume(house)
    assert code((await house.one()).decision) == "order_resolved"
    await house.turn()
    assert house.position() == D("-1.2"), "sixty hundredths of two coins, from the position that is read"
    record = await house.one()
    assert code(record.decision) == "within_band"
    assert (record.memory.expected, record.memory.halted) == ({}, None), "nothing is waited for that never shows"
    assert house.desk is not None
    ended, *_ = await house.desk.journal.intents_since(0)
    assert (ended.outcome.state, ended.outcome.filled) == (OutcomeState.FILLED, D(3))
    assert await house.desk.journal.unresolved() == ()


async def test_nothing_is_shorted_twice_while_the_position_does_not_show_what_was_filled(house: EnlargedHouse) -> None:
    await house.rested()
    house.enlarge()
    house.line.flat = True
    await house.asked(1)
    await resume(house)
    await house.turn(4)
    assert len(house.orders) == 1
    house.line.flat = False
    await house.turn(4)
    assert house.position() == D(-3), "the fourth contract is bought back"
    assert [order.side for order in house.orders] == [SimSide.SELL, SimSide.BUY]


async def test_what_the_person_bought_back_is_not_waited_for(house: EnlargedHouse) -> None:
    await house.rested()
    house.enlarge()
    await house.asked()
    house.exchange.foreign_trade(KEY, BTC, D(4))
    await resume(house)
    await house.turn(8)
    (order,) = [each for each in house.orders if each.is_open]
    assert (order.side, order.quantity) == (SimSide.SELL, D(3)), "hedged anew, once"
    assert house.desk is not None
    assert house.desk.memories["btc"].halted is None


async def test_what_is_open_of_it_is_taken_back_before_it_ends(house: EnlargedHouse) -> None:
    await house.rested()
    await house.turn(2)
    house.line.is_open = True
    house.enlarge()
    await house.asked()
    assert house.line.cancelled == [], "nobody has looked yet"
    await resume(house)
    assert code((await house.one()).decision) == "unresolved_order"
    assert house.line.cancelled == [house.orders[0].client_order_id]
    assert code((await house.one()).decision) == "order_resolved"


async def test_a_resume_from_before_the_question_is_no_answer_to_it(house: EnlargedHouse) -> None:
    await house.rested()
    await resume(house)
    await house.turn()
    house.enlarge()
    await house.asked()


async def test_a_crash_right_after_its_end_leaves_nothing_to_wait_for(
    house: EnlargedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.rested()
    house.enlarge()
    await house.asked()
    await resume(house)
    assert house.desk is not None

    async def dies(*_: object) -> None:
        raise JournalError("the process is gone")

    monkeypatch.setattr(house.desk.journal, "cycle", dies)
    with pytest.raises(JournalError):
        await house.turn()
    monkeypatch.undo()
    await house.crash()
    await house.open()
    await house.turn(2)
    assert house.position() == D(-3)
    assert house.desk.memories["btc"].expected == {}
