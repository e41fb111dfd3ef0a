"""A setting that is stated, could not be set, and is not shown: no short is opened on whatever it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import cast

from keeper.chores import SETTINGS, Chores
from keeper.core.model import Instrument, InstrumentId
from keeper.preflight import MISMATCH, Wanted, preflight
from keeper.sim.local import LocalVenue
from keeper.venue.base import AccountFacts, Observer, SymbolSettings, VenueError
from tests.loop.house import D, House


class Sealed(LocalVenue):
    """A venue that shows no settings of a flat contract, and that leaves them as they are."""

    def __init__(self, venue: LocalVenue) -> None:
        self.__dict__.update(venue.__dict__)
        self.refuses = True
        self.shows: SymbolSettings = SymbolSettings()

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        return replace(await super().facts(instruments), settings={each.id: self.shows for each in instruments})

    async def set_leverage(self, instrument: InstrumentId, leverage: Decimal) -> None:
        if self.refuses:
            raise VenueError(f"{instrument}: not now")
        await super().set_leverage(instrument, leverage)


async def test_what_could_not_be_set_stops_new_shorts_until_it_is_shown_to_be_right(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.hedge()
    line = Sealed(house.venue)
    house.wrap = lambda venue: (cast("Observer", line), venue)
    desk = await house.open()
    wanted = {house.hedges[0].instrument.id: Wanted(leverage=D(5))}
    chores = Chores({"main": line}, wanted, list, house.clock)
    try:
        begun = await preflight(house.hedges, wanted, {"main": line}, {"main": line})
        desk.observatory.standing = begun.standing
        held = await house.turn(2)
        assert [reason.code for reason in held.hedges[0].exposure.sell_blockers] == [MISMATCH]
        assert house.position() == 0
        chores.ask_for(SETTINGS)
        await chores(desk)
        await house.turn(2)
        assert house.position() == 0, "and what is read again later says nothing of it either"
        line.shows = SymbolSettings(leverage=D(5))
        chores.ask_for(SETTINGS)
        await chores(desk)
        await house.turn(2)
        assert house.position() == D(-5)
    finally:
        await house.close()


async def test_what_could_be_set_and_is_not_shown_stops_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.hedge()
    line = Sealed(house.venue)
    line.refuses = False
    wanted = {house.hedges[0].instrument.id: Wanted(leverage=D(5))}
    begun = await preflight(house.hedges, wanted, {"main": line}, {"main": line})
    assert begun.standing.sell_blocks == ()
