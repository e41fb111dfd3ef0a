"""What every venue's orders are held to, told once: each takes a desk that speaks the venue's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from keeper.core.model import PlannedOrder, Side
from keeper.venue.base import (
    POST_ONLY_REFUSED,
    Accepted,
    Ambiguous,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    Rejected,
)
from keeper.venue.ccxt_venue import CcxtVenue, Credentials
from tests.support.desk import CLOCK, Asked, D, Desk, Told
from tests.venue.helpers import marketable, opened, order, report_of, venue_of

LATER_MS = 60_000


@dataclass(frozen=True)
class Place:
    """A contract at a venue: our symbol, the venue's, and so many contracts as the venue counts them."""

    desk: Callable[[], Any]
    symbol: str
    market: str
    contracts: str
    amount: str


def over(desk: Any, **more: Any) -> CcxtVenue:
    """A venue that leads to the desk, and nowhere else."""
    more = ({"credentials": Credentials(*desk.keys)} if desk.keys else {}) | more
    return venue_of(desk.exchange, {"urls": {"api": desk.url}, "rateLimit": 1}, **more)


async def sent_once(place: Place, *, accepted: bool = True) -> tuple[Asked, PlannedOrder]:
    """One order is one request; its end, its fill and the position tell the same, by our id. One that meets nobody is
    accepted, or is looked up.
    """
    async with place.desk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, place.symbol, place.contracts)
        report = await report_of(venue, sent)
        wanted = (OrderState.FILLED, sent.contracts, sent.client_id)
        assert (report.state, report.filled, report.client_id) == wanted
        found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
        assert isinstance(found, OrderReport)
        assert (found.venue_order_id, found.filled) == (desk.orders[0].number, sent.contracts)
        (fill,) = await venue.trader.fills(sent.instrument, desk.orders[0].at_ms - LATER_MS)
        assert (fill.contracts, fill.side, fill.venue_order_id) == (sent.contracts, Side.SELL, desk.orders[0].number)
        (position,) = (await venue.observer.positions()).positions
        assert position.contracts == -sent.contracts
        (request,) = desk.sent()
        gone = order(venue.observer.instrument(place.symbol), place.contracts, D(70000), 2)
        assert isinstance(await venue.trader.submit(gone), Accepted if accepted else Ambiguous)
        ended = await venue.trader.lookup(gone.instrument, gone.client_id, None)
        assert isinstance(ended, OrderReport)
        assert (ended.state, ended.filled) == (OrderState.NONE, D(0))
        return request, sent


async def covers(place: Place) -> Asked:
    """A buy that covers closes what there is and opens nothing."""
    async with place.desk() as desk, opened(over(desk)) as venue:
        await report_of(venue, await marketable(venue, place.symbol, place.contracts))
        twice = str(D(place.contracts) * 2)
        report = await report_of(venue, await marketable(venue, place.symbol, twice, 2, side=Side.BUY, cover=True))
        assert (report.state, report.filled) == (OrderState.PARTIAL, D(place.contracts))
        assert desk.positions[place.market] == 0
        fills = await venue.trader.fills(venue.observer.instrument(place.symbol).id, desk.orders[0].at_ms - LATER_MS)
        assert sorted(fill.side for fill in fills) == [Side.BUY, Side.SELL]
        last: Asked = desk.sent()[-1]
        return last


async def rests(place: Place, *, refused: bool = True) -> Asked:
    """A post-only order is refused where it would trade (or ends at once), rests where it would not, is taken back."""
    async with place.desk() as desk, opened(over(desk)) as venue:
        instrument = venue.observer.instrument(place.symbol)
        crossing = replace(order(instrument, place.contracts, D(59000)), time_in_force="PO")
        if refused:
            outcome = await venue.trader.submit(crossing)
            assert isinstance(outcome, Rejected)
            assert outcome.code == POST_ONLY_REFUSED
        else:
            assert (await report_of(venue, crossing)).state is OrderState.NONE
        asked = replace(order(instrument, place.contracts, D(61000), 2), time_in_force="PO")
        assert isinstance(await venue.trader.submit(asked), Accepted)
        found = await venue.trader.lookup(instrument.id, asked.client_id, None)
        assert isinstance(found, OrderReport)
        assert found.state is OrderState.OPEN
        (working,) = (await venue.observer.positions()).working
        assert (working.client_id, working.side, working.contracts) == (asked.client_id, Side.SELL, asked.contracts)
        await venue.trader.cancel(working)
        await venue.trader.cancel(working)
        assert (await venue.observer.positions()).working == ()
        last: Asked = desk.sent()[-1]
        return last


async def lost(place: Place, told: Told | None) -> None:
    """An order whose answer says nothing is looked up: there is one if it was taken in, and none if it was not."""
    for accepted in (True, False):
        desk: Desk = place.desk()
        async with desk, opened(over(desk)) as venue:
            sent = await marketable(venue, place.symbol, place.contracts)
            if told is not None:
                desk.answer(told, accepted=accepted)
            elif accepted:
                desk.lose_answers()
            else:
                desk.lose_orders()
            outcome = await venue.trader.submit(sent)
            assert isinstance(outcome, Ambiguous), outcome
            assert len(desk.sent()) == 1
            found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
            assert isinstance(found, OrderReport if accepted else NotFound), found
            fills = await venue.trader.fills(sent.instrument, CLOCK.now_ms() - LATER_MS)
            assert [fill.contracts for fill in fills] == ([sent.contracts] if accepted else [])


NONSENSE = (Told(503, {}), Told(200, {"code": 0, "success": True, "data": {}}), Told(200, []), Told(200, "?"))


async def failed_searches(place: Place, *paths: str, nonsense: tuple[Told, ...] = NONSENSE) -> None:
    """A search that failed is no evidence."""
    async with place.desk() as desk, opened(over(desk)) as venue:
        instrument = venue.observer.instrument(place.symbol).id
        for path in paths:
            for told in nonsense:
                desk.heal()
                desk.answer(told, path=path, times=None)
                assert isinstance(await venue.trader.lookup(instrument, "a" * 28, None), LookupFailed), (path, told)
        desk.heal()
        assert isinstance(await venue.trader.lookup(instrument, "a" * 28, None), NotFound)
