"""Orders at KuCoin: whole contracts, by our id."""

from __future__ import annotations

import pytest

from keeper.venue.base import LookupFailed, NotFound, Rejected, RetryLater
from tests.support.desk import D, Told
from tests.support.kucoin import MARKET, KucoinDesk, error
from tests.venue.helpers import marketable, opened, report_of
from tests.venue.order_stories import Place, covers, lost, over, rests, sent_once

PLACE = Place(KucoinDesk, "BTC/USDT:USDT", MARKET, "1500", "1500")


async def test_an_order_is_sent_once_and_found() -> None:
    request, sent = await sent_once(PLACE)
    assert (request.method, request.path) == ("POST", "/api/v1/orders")
    asked = request.params
    assert (asked["clientOid"], asked["side"], asked["timeInForce"]) == ("kp" + sent.client_id, "sell", "IOC")
    assert (asked["size"], D(asked["price"])) == (1500, sent.price)
    assert "reduceOnly" not in asked


async def test_a_cover_only_reduces() -> None:
    assert (await covers(PLACE)).params["reduceOnly"] is True


async def test_a_resting_order_is_seen_and_taken_back() -> None:
    assert (await rests(PLACE, refused=False)).params["postOnly"] is True


LOSSES = {
    "lost": None,
    "503": Told(503, {}),
    **{code: error(code) for code in ("500000", "987654")},
    "no order in it": Told(200, {"code": "200000", "data": {}}),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_an_answer_that_is_lost_leaves_one_order(loss: str) -> None:
    await lost(PLACE, LOSSES[loss])


async def test_a_refusal_is_a_refusal_and_a_limit_is_waited_out() -> None:
    async with KucoinDesk() as desk, opened(over(desk)) as venue:
        desk.answer(error("330008", "margin"))
        assert isinstance(await venue.trader.submit(await marketable(venue, PLACE.symbol, "1")), Rejected)
        desk.answer(error("429000", "Too Many Requests", 429))
        assert isinstance(await venue.trader.submit(await marketable(venue, PLACE.symbol, "1", 2)), RetryLater)
        assert desk.orders == []


async def test_a_search_that_failed_is_no_evidence() -> None:
    async with KucoinDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, PLACE.symbol, "100")
        for told in (Told(503, {}), error("500000"), Told(200, "?"), Told(200, {"code": "200000", "data": None})):
            desk.answer(told, path="/byClientOid")
            assert isinstance(await venue.trader.lookup(sent.instrument, "a" * 28, None), LookupFailed), told
        assert isinstance(await venue.trader.lookup(sent.instrument, "a" * 28, None), NotFound)


async def test_the_margin_mode_of_the_contract_goes_with_the_order() -> None:
    async with KucoinDesk(margin_mode="CROSS") as desk, opened(over(desk)) as venue:
        await venue.observer.facts([venue.observer.instrument(PLACE.symbol)])
        await report_of(venue, await marketable(venue, PLACE.symbol, "100"))
        assert desk.sent()[0].params["marginMode"] == "CROSS"
