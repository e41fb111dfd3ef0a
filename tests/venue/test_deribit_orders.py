"""Orders at Deribit: asked for by GET, named by a label, counted in USD or in coins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from keeper.core.model import Instrument, InstrumentId, PlannedOrder, Side
from keeper.venue.base import (
    POST_ONLY_REFUSED,
    Accepted,
    Ambiguous,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    Rejected,
    RetryLater,
)
from keeper.venue.ccxt_venue import CcxtVenue
from tests.support.deribit import PERPETUAL, DeribitDesk, error
from tests.support.desk import Told
from tests.venue.helpers import marketable, opened, order, report_of, venue_of

D = Decimal
COIN = InstrumentId("main", "BTC/USD:BTC")
LATER_MS = 60_000


@pytest.fixture
async def desk() -> AsyncIterator[DeribitDesk]:
    async with DeribitDesk() as made:
        yield made


@pytest.fixture
async def venue(desk: DeribitDesk) -> AsyncIterator[CcxtVenue]:
    async with opened(over(desk)) as made:
        yield made
        assert desk.strange == []


def over(desk: DeribitDesk, **more: Any) -> CcxtVenue:
    return venue_of("deribit", {"urls": {"api": desk.url}, "rateLimit": 1}, **more)


def resting(instrument: Instrument, price: str, number: int = 1) -> PlannedOrder:
    return replace(order(instrument, "30", D(price), number), time_in_force="PO")


@pytest.mark.parametrize(
    ("symbol", "contracts", "amount"), [("BTC/USD:BTC", "300", "3000"), ("BTC/USDC:USDC", "1500", "1.5")]
)
async def test_an_order_is_sent_once_in_the_venues_own_terms(
    desk: DeribitDesk, venue: CcxtVenue, symbol: str, contracts: str, amount: str
) -> None:
    sent = await marketable(venue, symbol, contracts)
    report = await report_of(venue, sent)
    assert (report.state, report.filled, report.client_id) == (OrderState.FILLED, D(contracts), sent.client_id)
    (request,) = desk.sent()
    assert (request.method, request.path) == ("GET", "/api/v2/private/sell")
    assert request.params["label"] == "kp" + sent.client_id
    assert D(request.params["amount"]) == D(amount)
    assert D(request.params["price"]) == sent.price
    assert request.params["time_in_force"] == "immediate_or_cancel"
    assert set(request.params) == {"instrument_name", "amount", "type", "price", "time_in_force", "label"}
    found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport)
    assert (found.venue_order_id, found.filled) == (report.venue_order_id, D(contracts))
    (fill,) = await venue.trader.fills(sent.instrument, desk.orders[0].at_ms - LATER_MS)
    assert (fill.client_id, fill.contracts, fill.side) == (sent.client_id, D(contracts), Side.SELL)
    (position,) = (await venue.observer.positions()).positions
    assert position.contracts == -D(contracts)


async def test_a_cover_only_reduces(desk: DeribitDesk, venue: CcxtVenue) -> None:
    await report_of(venue, await marketable(venue, "BTC/USD:BTC", "30"))
    report = await report_of(venue, await marketable(venue, "BTC/USD:BTC", "50", 2, side=Side.BUY, cover=True))
    assert (report.state, report.filled) == (OrderState.PARTIAL, D(30))
    assert desk.sent()[-1].params["reduce_only"] == "true"
    assert desk.positions[PERPETUAL] == 0


async def test_what_does_not_fill_does_not_rest(desk: DeribitDesk, venue: CcxtVenue) -> None:
    report = await report_of(venue, order(venue.observer.instrument("BTC/USD:BTC"), "30", D(70000)))
    assert (report.state, report.filled) == (OrderState.NONE, D(0))
    assert isinstance(await venue.trader.lookup(COIN, f"{1:028x}", None), OrderReport)


LOSSES: dict[str, Callable[[DeribitDesk], None]] = {
    "lost": lambda desk: desk.lose_answers(),
    "never arrived": lambda desk: desk.lose_orders(),
    "503": lambda desk: desk.answer(Told(503, {}), accepted=True),
    "504 before": lambda desk: desk.answer(Told(504, {})),
    **{
        f"{code}": lambda desk, code=code: desk.answer(error(code), accepted=True)  # type: ignore[misc]
        for code in (10001, 11031, 11094, 13008, 13028, 13888, -32603)
    },
    "no order in it": lambda desk: desk.answer(Told(200, {"jsonrpc": "2.0", "result": {}}), accepted=True),
    "not JSON": lambda desk: desk.answer(Told(200, "?"), accepted=True),
}


@pytest.mark.parametrize("loss", sorted(LOSSES))
async def test_an_answer_that_is_lost_leaves_one_order(desk: DeribitDesk, venue: CcxtVenue, loss: str) -> None:
    sent = await marketable(venue, "BTC/USD:BTC", "30")
    LOSSES[loss](desk)
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, Ambiguous), outcome
    assert len(desk.sent()) == 1  # an order by GET is an order: nobody asks a second time
    found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport if desk.orders else NotFound), found


async def test_an_order_is_not_sent_after_a_redirect(desk: DeribitDesk, venue: CcxtVenue) -> None:
    sent = await marketable(venue, "BTC/USD:BTC", "30")
    again = Told(302, {}, {"Location": f"{desk.url}/api/v2/private/sell"})
    desk.answer(again, accepted=True)
    assert isinstance(await venue.trader.submit(sent), Ambiguous)
    assert len(desk.sent()) == len(desk.orders) == 1


@pytest.mark.parametrize("code", [10009, 10021, 10041, 11030, 10043, 10012])
async def test_a_refusal_is_a_refusal(desk: DeribitDesk, venue: CcxtVenue, code: int) -> None:
    desk.answer(error(code))
    outcome = await venue.trader.submit(await marketable(venue, "BTC/USD:BTC", "30"))
    assert isinstance(outcome, RetryLater if code == 10041 else Rejected), outcome
    assert desk.orders == []


async def test_a_post_only_order_that_would_trade_is_refused_by_name(desk: DeribitDesk, venue: CcxtVenue) -> None:
    instrument = venue.observer.instrument("BTC/USD:BTC")
    first = resting(instrument, "59000")
    outcome = await venue.trader.submit(first)
    assert isinstance(outcome, Rejected)
    assert outcome.code == POST_ONLY_REFUSED
    outcome = await venue.trader.submit(resting(instrument, "61000", 2))
    assert isinstance(outcome, Accepted)
    (working,) = (await venue.observer.positions()).working
    assert (working.client_id, working.contracts, working.side) == (f"{2:028x}", D(30), Side.SELL)
    await venue.trader.cancel(working)
    await venue.trader.cancel(working)
    assert desk.orders[0].state == "cancelled"


@pytest.mark.parametrize("limit", [error(10028, "too_many_requests", 429), error(10047), error(10066)])
async def test_a_limit_proves_that_nothing_was_taken_in(desk: DeribitDesk, venue: CcxtVenue, limit: Told) -> None:
    desk.answer(limit)
    outcome = await venue.trader.submit(await marketable(venue, "BTC/USD:BTC", "30"))
    assert isinstance(outcome, RetryLater), outcome
    assert desk.orders == []


async def test_an_order_is_found_when_the_venue_shows_recent_ones_no_more(desk: DeribitDesk, venue: CcxtVenue) -> None:
    sent = await marketable(venue, "BTC/USD:BTC", "30")
    desk.lose_answers()
    await venue.trader.submit(sent)
    desk.forgets = True
    found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport), found
    (fill,) = await venue.trader.fills(sent.instrument, desk.orders[0].at_ms - LATER_MS)
    assert fill.client_id == sent.client_id


async def test_a_search_that_failed_is_no_evidence(desk: DeribitDesk, venue: CcxtVenue) -> None:
    for path in ("/get_order_state_by_label", "/get_order_history_by_instrument"):
        for told in (Told(503, {}), error(10028, "too_many_requests", 429), Told(200, {"result": None})):
            desk.heal()
            desk.answer(told, path=path, times=None)
            assert isinstance(await venue.trader.lookup(COIN, "a" * 28, None), LookupFailed)
    desk.heal()
    assert isinstance(await venue.trader.lookup(COIN, "a" * 28, None), NotFound)


async def test_where_labels_cannot_be_asked_for_the_lists_are_gone_through() -> None:
    missing = frozenset({"private/get_order_state_by_label"})
    async with DeribitDesk(missing=missing) as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, "BTC/USD:BTC", "30")
        desk.lose_answers()
        assert isinstance(await venue.trader.submit(sent), Ambiguous)
        assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), OrderReport)
        assert isinstance(await venue.trader.lookup(sent.instrument, "b" * 28, None), NotFound)
        rests = resting(venue.observer.instrument("BTC/USD:BTC"), "61000", 2)
        assert isinstance(await venue.trader.submit(rests), Accepted)
        found = await venue.trader.lookup(rests.instrument, rests.client_id, None)
        assert isinstance(found, OrderReport)
        assert found.state is OrderState.OPEN
