"""A venue that tells of more contracts filled than the order had is not believed, and asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.core.model import Contracts, InstrumentId, PlannedOrder
from keeper.journal.reader import JournalReader
from keeper.sim.local import LocalVenue
from keeper.venue.base import Accepted, Fill, Lookup, NotFound, Observer, OrderReport, Submission, Trader
from tests.loop.house import KEY, D, House


class Boastful(LocalVenue):
    """The exchange, which multiplies what was filled wherever it is told to."""

    def __init__(self, inner: LocalVenue) -> None:
        self.__dict__.update(inner.__dict__)
        self.boasts: set[str] = set()

    def _more(self, report: OrderReport) -> OrderReport:
        return replace(report, contracts=Contracts(report.contracts * 1000), filled=Contracts(report.filled * 1000))

    async def submit(self, order: PlannedOrder) -> Submission:
        answer = await super().submit(order)
        if "answer" in self.boasts and isinstance(answer, Accepted) and answer.report is not None:
            return replace(answer, report=self._more(answer.report))
        return Accepted(None) if self.boasts else answer

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        found = await super().lookup(instrument, client_id, venue_order_id)
        if "denied" in self.boasts:
            return NotFound("no such order")
        return self._more(found) if "lookup" in self.boasts and isinstance(found, OrderReport) else found

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        found = await super().fills(instrument, since_ms)
        if "fills" in self.boasts:
            return tuple(replace(fill, contracts=Contracts(fill.contracts * 1000)) for fill in found)
        return found


class BoastfulHouse(House):
    line: Boastful

    async def start(self) -> None:
        await self.hedge()
        self.line = Boastful(self.venue)

        def wrap(_: LocalVenue) -> tuple[Observer, Trader]:
            return self.line, self.line

        self.wrap = wrap
        await self.open()


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[BoastfulHouse]:
    made = BoastfulHouse(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize("boasts", [{"answer"}, {"lookup"}, {"answer", "lookup"}, {"denied", "fills"}, {"fills"}])
async def test_more_than_the_order_is_not_believed_and_trading_goes_on(
    house: BoastfulHouse, boasts: set[str], tmp_path: Path
) -> None:
    await house.start()
    house.line.boasts = boasts
    for _ in range(4):
        await house.turn()
        assert house.position() in (D(0), D(-5))
    assert len(house.orders) == 1, "while an order is unknown nothing else is sent"
    house.line.boasts = set()
    await house.turn(3)
    house.exchange.deposit(KEY, "BTC", D(1))
    await house.turn(3)
    assert house.position() == D(-6), "no halt, and nothing that was boasted of is waited for"
    await house.close()
    async with await JournalReader.open(f"sqlite:///{tmp_path / 'keeper.db'}") as reader:
        fills = await reader.fills(50)
    assert max(fill.contracts for fill in fills) <= D(5)
