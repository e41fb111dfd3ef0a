"""A short that others close whole, at a venue that lists no flat contract: missing rows are believed after a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest_asyncio

from keeper.core.model import Hold, Instrument, Position
from keeper.sim.local import LocalVenue
from keeper.venue.base import NoRowError, Observer, PositionBook
from tests.loop.house import KEY, D, House, linear_key
from tests.loop.test_doubt import code, resume

ZERO_SECONDS = 600


class Rowless(LocalVenue):
    """A venue without rows for what is flat; it may leave out what is not as well."""

    def __init__(self, venue: LocalVenue) -> None:
        self.__dict__.update(venue.__dict__)
        self.hides = False

    async def positions(self) -> PositionBook:
        read = await super().positions()
        shown = tuple(each for each in read.positions if each.contracts and not self.hides)
        return replace(read, positions=shown)

    async def position(self, instrument: Instrument) -> Position:
        read = await super().position(instrument)
        if read.contracts == 0 or self.hides:
            raise NoRowError(f"{instrument.id}: no row")
        return read


class RowlessHouse(House):
    line: Rowless


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[RowlessHouse]:
    made = RowlessHouse(tmp_path)
    await made.hedge()
    made.line = Rowless(made.venue)
    made.wrap = lambda venue: (cast("Observer", made.line), venue)
    await made.open()
    await made.turn(4)
    assert made.position() == D(-5)
    yield made
    await made.close()


async def test_what_others_closed_whole_halts_after_a_while_and_is_hedged_again_once_resumed(
    house: RowlessHouse,
) -> None:
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(5))
    for _ in range(ZERO_SECONDS // 5):
        held = await house.one()
        assert isinstance(held.decision, Hold)
        assert code(held.decision) == "empty_reading"
    halted = await house.one()
    assert halted.memory.halted is not None
    assert "changed by 5" in halted.memory.halted
    await house.turn(3)
    assert house.position() == D(0), "nothing is opened before a person has looked"
    await resume(house)
    await house.turn(3)
    assert house.position() == D(-5)


async def test_a_short_that_is_shown_again_was_never_gone(house: RowlessHouse) -> None:
    sent = len(house.orders)
    house.line.hides = True
    await house.turn(ZERO_SECONDS // 5 - 10)
    house.line.hides = False
    await house.turn(2)
    house.line.hides = True
    await house.turn(20)
    house.line.hides = False
    seen = await house.turn(2)
    assert len(house.orders) == sent
    assert seen.hedges[0].memory.halted is None
    assert house.position() == D(-5)
