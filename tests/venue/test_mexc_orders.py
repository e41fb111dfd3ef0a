"""Orders at MEXC: sides that open or close, an id from outside, states and sides that the client does not know."""

from __future__ import annotations

import pytest

from keeper.venue.base import Ambiguous, OrderReport, OrderState, Rejected, RetryLater
from tests.support.desk import D, Told
from tests.support.mexc import INVERSE, IOC, LINEAR, POST_ONLY, PRIVATE, MexcDesk, error
from tests.venue.helpers import marketable, opened
from tests.venue.order_stories import Place, covers, failed_searches, lost, over, rests, sent_once

PLACES = {
    "linear": Place(MexcDesk, "BTC/USDT:USDT", LINEAR, "15000", "15000"),
    "coin-margined": Place(MexcDesk, "BTC/USD:BTC", INVERSE, "600", "600"),
}
BOTH = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


@BOTH
async def test_an_order_is_sent_once_and_found(place: Place) -> None:
    request, sent = await sent_once(place)
    assert (request.method, request.path) == ("POST", f"{PRIVATE}/order/create")
    asked = request.params
    assert (asked["externalOid"], asked["side"], asked["type"]) == ("kp" + sent.client_id, 3, IOC)
    assert (D(str(asked["vol"])), D(str(asked["price"]))) == (D(place.amount), sent.price)


@BOTH
async def test_a_cover_closes(place: Place) -> None:
    assert (await covers(place)).params["side"] == 2


@BOTH
async def test_a_resting_order_is_seen_and_taken_back(place: Place) -> None:
    assert (await rests(place, refused=False)).params["type"] == POST_ONLY


LOSSES = {
    "lost": None,
    "503": Told(503, {}),
    **{str(code): error(code) for code in (500, 501, 504, 603, 604, 801, 9999, 987654)},
    "no order in it": Told(200, {"success": True, "code": 0, "data": {}}),
}


@BOTH
@pytest.mark.parametrize("loss", LOSSES)
async def test_an_answer_that_is_lost_leaves_one_order(place: Place, loss: str) -> None:
    await lost(place, LOSSES[loss])


@pytest.mark.parametrize("code", [2005, 2015, 2028, 2003, 600, 602, 6001, 513])
async def test_a_refusal_is_a_refusal(code: int) -> None:
    async with MexcDesk() as desk, opened(over(desk)) as venue:
        desk.answer(error(code))
        outcome = await venue.trader.submit(await marketable(venue, "BTC/USDT:USDT", "100"))
        assert isinstance(outcome, Rejected), outcome


@pytest.mark.parametrize("told", [error(510), Told(429, {"code": 429})])
async def test_a_limit_is_waited_out_and_an_id_that_is_taken_is_looked_up(told: Told) -> None:
    async with MexcDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, "BTC/USDT:USDT", "100")
        await venue.trader.submit(sent)
        assert isinstance(await venue.trader.submit(sent), Ambiguous)
        assert len(desk.orders) == 1
        desk.answer(told)
        assert isinstance(await venue.trader.submit(await marketable(venue, "BTC/USDT:USDT", "100", 2)), RetryLater)


async def test_an_order_that_became_invalid_is_one_that_did_nothing() -> None:
    async with MexcDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, "BTC/USDT:USDT", "100")
        desk.place("kp" + sent.client_id, LINEAR, "sell", "100", "90000", ioc=True).state = "rejected"
        found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
        assert isinstance(found, OrderReport)
        assert found.state is OrderState.NONE


async def test_a_search_that_failed_is_no_evidence() -> None:
    await failed_searches(PLACES["linear"], "/list/open_orders", "/list/history_orders")
