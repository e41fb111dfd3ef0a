"""Before an order leaves, the visible book; after it was filled, what it cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest_asyncio

from keeper.core.model import Contracts, Hold, Instrument, OutcomeState, Rebalance
from keeper.core.quotes import Book, Level
from keeper.journal.reader import JournalReader
from keeper.sim.types import ExchangeOptions
from keeper.venue.base import UnreachableError
from tests.loop.house import KEY, D, House, linear_key

THIN = ExchangeOptions(first_level_notional=D(65_000), levels=3, half_spread_bps=D(3), level_gap_bps=D(3))
"""One coin at 3 bps from the mid, a quarter more at 6, and half as much again at 9."""


class Reader:
    """Reads the simulated book, counts how often, and can be made to fail."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.reads = 0
        self.fails = False
        self.is_empty = False

    async def book(self, instrument: Instrument, levels: int = 50) -> Book:
        self.reads += 1
        if self.fails:
            raise UnreachableError("no answer")
        if self.is_empty:
            return Book(instrument.id, (), (), None)
        shown = self.house.exchange.book(linear_key("BTCUSDT"), levels)

        def side(rows: tuple[object, ...]) -> tuple[Level, ...]:
            return tuple(Level(row.price, Contracts(row.quantity)) for row in rows)  # type: ignore[attr-defined]

        return Book(instrument.id, side(shown.bids), side(shown.asks), shown.time_ms)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.close()


async def opened(house: House, slippage: str = "0.001") -> Reader:
    await house.hedge()
    house.hedges[0] = replace(house.hedges[0], max_slippage=D(slippage))
    desk = await house.open()
    reader = Reader(house)
    desk.books = {"main": reader}
    return reader


async def test_an_order_is_cut_to_what_the_book_takes_under_the_cap_and_the_rest_follows(house: House) -> None:
    house.exchange.set_options(THIN)
    await opened(house, "0.0004")
    cycle = await house.one()
    assert isinstance(cycle.decision, Rebalance)
    assert "clipped_to_book" in [reason.code for reason in cycle.reasons]
    (outcome,) = cycle.outcomes
    assert cycle.plan is not None
    order = cycle.plan.orders[0]
    assert outcome.state is OutcomeState.FILLED, "what was sent is what the book had"
    assert D("1.49") < order.contracts < D("1.51"), "1 at 3 bps and half a coin at 6 are 4 bps on average"
    assert order.expected_slippage is not None
    assert D("0.00039") < order.expected_slippage <= D("0.0004")
    assert cycle.plan.residual_base == D(5) - order.contracts
    for _ in range(8):
        house.exchange.advance()  # what was taken grows back
        await house.turn()
    assert house.position() == D(-5)


async def test_a_book_whose_spread_is_above_the_cap_is_no_place_to_sell(house: House) -> None:
    house.exchange.set_options(ExchangeOptions(half_spread_bps=D(20)))
    await opened(house)
    cycle = await house.one()
    assert isinstance(cycle.decision, Hold)
    (reason,) = cycle.decision.reasons
    assert reason.code == "book_too_thin"
    assert "max_slippage is 0.001" in reason.text
    assert house.orders == ()


async def test_a_cover_is_made_whatever_the_spread(house: House) -> None:
    reader = await opened(house)
    await house.turn(2)
    house.exchange.set_options(ExchangeOptions(half_spread_bps=D(20)))
    house.sell_spot("BTC", "2")
    cycle = await house.one()
    assert isinstance(cycle.decision, Rebalance)
    assert house.position() == D(-3)
    assert reader.reads == 2


async def test_the_book_is_read_only_when_an_order_is_due(house: House) -> None:
    reader = await opened(house)
    await house.turn(10)
    assert house.position() == D(-5)
    assert reader.reads == 1


async def test_without_a_book_the_limit_price_still_caps(house: House) -> None:
    reader = await opened(house)
    reader.fails = True
    cycle = await house.one()
    assert "book_unread" in [reason.code for reason in cycle.reasons]
    assert house.position() == D(-5)
    assert cycle.plan is not None
    assert cycle.plan.orders[0].expected_slippage is None


async def test_a_book_without_any_row_beside_a_ticker_with_both_touches_is_no_book(house: House) -> None:
    reader = await opened(house)
    reader.is_empty = True
    cycle = await house.one()
    assert "book_unread" in [reason.code for reason in cycle.reasons]
    assert house.position() == D(-5)


async def test_what_an_order_cost_is_in_the_journal(house: House, tmp_path: Path) -> None:
    house.exchange.set_options(THIN)
    await opened(house, "0.0004")
    await house.turn(2)
    house.sell_spot("BTC", "5")
    house.clock.advance(2)
    house.exchange.advance()
    await house.turn(2)
    await house.close()
    async with await JournalReader.open(f"sqlite:///{tmp_path / 'keeper.db'}") as reader:
        orders = await reader.orders(50)
        (costs,) = await reader.costs("btc")
    first = orders[0].cost
    assert first.style == "market"
    assert first.arrival_mid == D(65_000)
    assert first.slippage is not None
    assert first.expected_slippage is not None
    assert abs(first.slippage - first.expected_slippage) < D("0.000001"), "the book was there when the order came"
    fees = sum((fill.commission for fill in house.exchange.truth(KEY).fills), Decimal(0))
    assert costs.fees == {"USDT": fees}
    assert costs.fees_complete
    assert costs.orders == costs.measured == len([each for each in orders if each.intent.outcome.filled])
    assert costs.mean_slippage is not None
    assert D(0) < costs.mean_slippage < D("0.0007")
    assert first.seconds is not None
