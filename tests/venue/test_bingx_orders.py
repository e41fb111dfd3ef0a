"""Orders at BingX: found by our id, among the open ones, or among the closed ones, which tell what was filled."""

from __future__ import annotations

import pytest

from keeper.core.model import Side
from keeper.venue.base import Ambiguous, NotFound, OrderReport, Rejected, RetryLater
from tests.support.bingx import COIN, INVERSE, LINEAR, SWAP, BingxDesk, error
from tests.support.desk import D, Told
from tests.venue.helpers import marketable, opened
from tests.venue.order_stories import Place, covers, failed_searches, lost, over, rests, sent_once

PLACES = {
    "linear": Place(BingxDesk, "BTC/USDT:USDT", LINEAR, "1.5", "1.5"),
    "coin-margined": Place(BingxDesk, "BTC/USD:BTC", INVERSE, "3000", "3000"),
}
BOTH = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


@BOTH
async def test_an_order_is_sent_once_and_found(place: Place) -> None:
    request, sent = await sent_once(place)
    assert (request.method, request.path) == ("POST", f"{SWAP if place.market == LINEAR else COIN}/trade/order")
    asked = request.params
    assert (asked["clientOrderID"], asked["side"], asked["timeInForce"]) == ("kp" + sent.client_id, "SELL", "IOC")
    assert (D(asked["quantity"]), D(asked["price"])) == (D(place.amount), sent.price)
    assert "reduceOnly" not in asked


@BOTH
async def test_a_cover_only_reduces(place: Place) -> None:
    request = await covers(place)
    assert request.params["reduceOnly"] == "true"


@BOTH
async def test_a_resting_order_is_seen_and_taken_back(place: Place) -> None:
    request = await rests(place)
    assert request.params["timeInForce"] == "PostOnly"


LOSSES = {
    "lost": None,
    "503": Told(503, {}),
    **{str(code): error(code) for code in (80001, 80012, 100410, 100500, 101500, 109500, 110500, 987654)},
    "no order in it": Told(200, {"code": 0, "msg": "", "data": {}}),
}


@BOTH
@pytest.mark.parametrize("loss", LOSSES)
async def test_an_answer_that_is_lost_leaves_one_order(place: Place, loss: str) -> None:
    await lost(place, LOSSES[loss])


@BOTH
@pytest.mark.parametrize("code", [101204, 101400, 101205, 100421, 101215])
async def test_a_refusal_is_a_refusal(place: Place, code: int) -> None:
    async with BingxDesk() as desk, opened(over(desk)) as venue:
        desk.answer(error(code))
        outcome = await venue.trader.submit(await marketable(venue, place.symbol, place.contracts))
        assert isinstance(outcome, Rejected), outcome


async def test_an_id_that_is_taken_is_looked_up_and_a_limit_is_waited_out() -> None:
    async with BingxDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, "BTC/USDT:USDT", "1.5")
        await venue.trader.submit(sent)
        assert isinstance(await venue.trader.submit(sent), Ambiguous)
        assert len(desk.orders) == 1
        desk.answer(Told(429, {"code": 429, "msg": "Too Many Requests"}))
        assert isinstance(await venue.trader.submit(await marketable(venue, "BTC/USDT:USDT", "1", 2)), RetryLater)


async def test_an_order_that_its_own_page_does_not_have_is_found_in_the_lists() -> None:
    async with BingxDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, "BTC/USDT:USDT", "1.5")
        await venue.trader.submit(sent)
        for told in (error(80001, "order not exist"), error(109421), Told(404, {})):
            desk.answer(told, path=f"{SWAP}/trade/order")
            found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
            assert isinstance(found, OrderReport)
        assert isinstance(await venue.trader.lookup(sent.instrument, "a" * 28, None), NotFound)
        (fill,) = await venue.trader.fills(sent.instrument, desk.orders[0].at_ms - 60_000)
        assert (fill.client_id, fill.side, fill.contracts) == (sent.client_id, Side.SELL, D("1.5"))


async def test_a_search_that_failed_is_no_evidence() -> None:
    await failed_searches(PLACES["linear"], f"{SWAP}/trade/openOrders", f"{SWAP}/trade/allOrders")
    await failed_searches(PLACES["coin-margined"], f"{COIN}/trade/openOrders", f"{COIN}/trade/orderHistory")
