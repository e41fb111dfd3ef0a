"""A resting order that nobody can be asked after, or that is gone while the position has moved: a person ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.core.execution import Execution, Style
from keeper.core.model import Contracts, Hold, Instrument, InstrumentId, OutcomeState, Position, WorkingOrder
from keeper.sim.local import LocalVenue
from keeper.sim.types import ExchangeOptions
from keeper.venue.base import Lookup, LookupFailed, NotFound, OrderReport, PositionBook, UnknownSymbolError
from tests.loop.house import KEY, D
from tests.loop.legs_house import MAIN_PERP, OTHER_PERP, PERP, LegsHouse
from tests.loop.test_doubt import resume
from tests.loop.test_legs import codes

BOOK = ExchangeOptions(half_spread_bps=D(2), first_level_notional=D(65_000), level_gap_bps=D(2))
PASSIVE = Execution(Style.PASSIVE, leash_bps=D(50), escalate_after_seconds=D(600))


class Delisting(LocalVenue):
    """An exchange that lists the perpetual no longer, or has forgotten every order on it."""

    def __init__(self, inner: LocalVenue) -> None:
        self.__dict__.update(inner.__dict__)
        self.gone = False
        self.forgets = False
        self.tells_a_part = False

    def _refuse(self, symbol: str) -> None:
        if self.gone and symbol == PERP:
            raise UnknownSymbolError(f"{self.name} has no {symbol}")

    def instrument(self, symbol: str) -> Instrument:
        self._refuse(symbol)
        return super().instrument(symbol)

    async def position(self, instrument: Instrument) -> Position:
        self._refuse(instrument.id.symbol)
        return await super().position(instrument)

    async def positions(self) -> PositionBook:
        book = await super().positions()
        if not self.gone:
            return book
        held = tuple(each for each in book.positions if each.instrument.id.symbol != PERP)
        return replace(book, positions=held, working=())

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        if self.gone:
            return LookupFailed("no such contract", unlisted=True)
        if self.forgets:
            return NotFound("no such order")
        found = await super().lookup(instrument, client_id, venue_order_id)
        if self.tells_a_part and isinstance(found, OrderReport):
            return replace(found, filled=Contracts(D("0.2")))
        return found

    async def cancel(self, order: WorkingOrder) -> None:
        self._refuse(order.instrument.symbol)
        await super().cancel(order)


class DelistingHouse(LegsHouse):
    line: Delisting

    async def rested(self) -> None:
        """Two legs are built, and for the coin that came in since, an order rests on the first of them."""
        for exchange in (self.exchange, self.other):
            exchange.set_options(BOOK)
        await self.carry(PERP, f"other:{PERP}", shares=("0.6", "0.4"))
        self.line = Delisting(self.venue)
        self.wraps = lambda name, venue: self.line if name == "main" else venue
        desk = await self.open()
        await self.turn(6)
        assert (self.held(MAIN_PERP), self.held(OTHER_PERP, self.other)) == (D(-3), D(-2))
        self.hedges[0] = replace(self.hedges[0], execution=PASSIVE, max_slippage=D("0.005"))
        desk.hedges = desk.observatory.hedges = tuple(self.hedges)
        self.exchange.deposit(KEY, "BTC", D(1))
        await self.turn(2)
        (intent,) = desk.unresolved.values()
        assert intent.outcome.state is OutcomeState.WORKING
        assert intent.order.instrument.venue == "main"

    async def asked(self, text: str, turns: int = 3) -> None:
        """The hedge holds because of the order and says so; nothing is tried that cannot succeed."""
        for _ in range(turns):
            record = await self.one()
            assert isinstance(record.decision, Hold)
            (said,) = [each.text for each in record.decision.reasons if each.code == "unresolved_order"]
            assert text in said
            assert "resume the hedge: keeper resume" in said
            assert "order_withdrawn" not in codes(record)
            assert record.outcomes == ()


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[DelistingHouse]:
    made = DelistingHouse(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("way", ["as it is", "after a restart", "with a part that no position showed"])
async def test_an_order_that_rested_when_its_contract_was_delisted_is_asked_about_and_ended_by_a_person(
    house: DelistingHouse, way: str
) -> None:
    await house.rested()
    house.line.tells_a_part = way == "with a part that no position showed"
    await house.turn()
    house.exchange.liquidate(KEY, MAIN_PERP)
    house.line.gone = True
    await house.asked("not listed any more")
    if way == "after a restart":
        await house.crash()
        await house.open()
        await house.asked("not listed any more")
    house.sell_spot("BTC", "5")
    await house.asked("not listed any more")
    assert house.held(OTHER_PERP, house.other) == D(-2)
    await resume(house)
    assert "order_resolved" in codes(await house.one())
    await house.turn(2)
    assert house.held(OTHER_PERP, house.other) == D(-1), "one coin is left: the other leg covers"
    assert house.desk is not None
    assert await house.desk.journal.unresolved() == ()
    *_, ended = await house.desk.journal.intents_since(0)
    states = {each.outcome.state for each in await house.desk.journal.intents_since(0) if each.order.rests}
    assert states == {OutcomeState.PARTIAL if house.line.tells_a_part else OutcomeState.NONE}, "it was there once"
    assert ended.order.instrument.venue == "other"


async def test_an_order_that_rested_and_is_denied_beside_a_position_that_moved_is_asked_about_too(
    house: DelistingHouse,
) -> None:
    await house.rested()
    house.exchange.cancel_order(KEY, MAIN_PERP, order_id=house.orders[-1].order_id)
    house.exchange.foreign_trade(KEY, MAIN_PERP, D("0.1"))
    house.line.forgets = True
    await house.turn(4)
    await house.asked("not found, but the position went from -3")
    await resume(house)
    assert "order_resolved" in codes(await house.one())
    house.line.forgets = False
    await house.turn(2)
    assert house.desk is not None
    assert house.desk.memories["btc"].halted is None


async def test_an_order_that_rested_and_is_denied_for_long_enough_has_ended(house: DelistingHouse) -> None:
    """The venue took it back, and shows ended orders no more: it is not told of as resting for ever."""
    await house.rested()
    house.exchange.cancel_order(KEY, MAIN_PERP, order_id=house.orders[-1].order_id)
    house.line.forgets = True
    sent = len(house.orders)
    await house.turn()
    assert len(house.orders) == sent, "one denial proves nothing"
    await house.turn(10)
    assert len(house.orders) == sent, "nor do many within the time in which all may be late"
    await house.turn(2)
    assert house.desk is not None
    assert await house.desk.journal.unresolved() == ()
    house.line.forgets = False
    await house.turn()
    assert len(house.orders) == sent + 1, "placed again"
