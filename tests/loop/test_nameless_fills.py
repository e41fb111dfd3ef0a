"""A venue whose executions name no client id: one of them speaks for an order that nobody finds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest_asyncio

from keeper.core.model import Contracts, Hold, Instrument, InstrumentId, PlannedOrder, Position
from keeper.sim.local import LocalVenue
from keeper.venue.base import Ambiguous, Fill, Lookup, NotFound, Observer, PositionBook, Submission, Trader
from tests.loop.house import KEY, D, House
from tests.loop.test_doubt import resume


class Nameless(LocalVenue):
    """Loses the answers to orders, denies them, names nobody in its executions, and shows the position late."""

    def __init__(self, venue: LocalVenue) -> None:
        self.__dict__.update(venue.__dict__)
        self.loses = True
        self.is_late = True
        self.lost_before = False

    async def submit(self, order: PlannedOrder) -> Submission:
        answer = await super().submit(order) if not self.lost_before else Ambiguous("no answer")
        return Ambiguous("no answer") if self.loses else answer

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        return NotFound(f"no order {client_id} ({venue_order_id}) of {instrument}")

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        return tuple(replace(fill, client_id=None) for fill in await super().fills(instrument, since_ms))

    async def positions(self) -> PositionBook:
        read = await super().positions()
        return replace(read, positions=()) if self.is_late else read

    async def position(self, instrument: Instrument) -> Position:
        read = await super().position(instrument)
        return replace(read, contracts=Contracts(D(0))) if self.is_late else read


class NamelessHouse(House):
    line: Nameless


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[NamelessHouse]:
    made = NamelessHouse(tmp_path)
    await made.hedge()
    made.line = Nameless(made.venue)
    made.wrap = lambda _: (cast("Observer", made.line), cast("Trader", made.line))
    await made.open()
    yield made
    await made.close()


async def test_an_execution_that_names_nobody_keeps_a_lost_order_from_being_sent_again(house: NamelessHouse) -> None:
    for _ in range(20):
        held = await house.one()
        assert house.position() == D(-5)
    assert isinstance(held.decision, Hold)
    assert "names no order of ours" in held.decision.reasons[0].text
    house.line.is_late = False
    await house.turn(3)
    await resume(house)
    await house.turn(3)
    assert house.position() == D(-5)
    assert house.desk is not None
    assert not house.desk.unresolved


async def test_an_order_that_was_lost_on_its_way_is_sent_again(house: NamelessHouse) -> None:
    house.line.lost_before = True
    await house.turn()
    house.line.lost_before = house.line.loses = house.line.is_late = False
    await house.turn(15)
    assert house.position() == D(-5)


async def test_executions_of_orders_that_are_known_speak_for_no_other_one(house: NamelessHouse) -> None:
    house.line.loses = house.line.is_late = False
    await house.turn(2)
    assert house.position() == D(-5)
    house.exchange.deposit(KEY, "BTC", D(1))
    house.line.loses = house.line.lost_before = True
    await house.turn(2)
    assert house.desk is not None
    assert len(house.desk.unresolved) == 1
    house.line.loses = house.line.lost_before = False
    await house.turn(15)
    assert house.position() == D(-6)
