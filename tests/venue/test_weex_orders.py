"""Orders at WEEX: by its sides, looked for in its lists, because it is asked for one order by its own number alone."""

from __future__ import annotations

import pytest

from keeper.core.model import ZERO
from keeper.venue.base import OrderReport, OrderState, Rejected, RetryLater
from tests.support.desk import D, Told
from tests.support.weex import MARKET, ROOT, WeexDesk, error
from tests.venue.helpers import marketable, opened
from tests.venue.order_stories import NONSENSE, Place, covers, failed_searches, lost, over, sent_once

PLACE = Place(WeexDesk, "BTC/USDT:USDT", MARKET, "1500", "1.5")


async def test_an_order_is_sent_once_and_found() -> None:
    request, sent = await sent_once(PLACE)
    assert (request.method, request.path) == ("POST", f"{ROOT}/order")
    asked = request.params
    assert (asked["newClientOrderId"], asked["side"], asked["timeInForce"]) == ("kp" + sent.client_id, "SELL", "IOC")
    assert (D(asked["quantity"]), D(asked["price"])) == (D("1.5"), sent.price)


async def test_a_cover_closes_the_short_side() -> None:
    asked = (await covers(PLACE)).params
    assert (asked["side"], asked["positionSide"], asked["reduceOnly"]) == ("BUY", "SHORT", True)


LOSSES = {
    "lost": None,
    "503": Told(503, {}),
    **{str(code): error(code) for code in (-1000, -1054)},
    "no order in it": Told(200, {"symbol": MARKET}),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_an_answer_that_is_lost_leaves_one_order(loss: str) -> None:
    await lost(PLACE, LOSSES[loss])


async def test_a_refusal_is_a_refusal_and_a_limit_is_waited_out() -> None:
    async with WeexDesk() as desk, opened(over(desk)) as venue:
        desk.answer(error(-3007, "Maximum contract order quantity exceeded."))
        assert isinstance(await venue.trader.submit(await marketable(venue, PLACE.symbol, "100")), Rejected)
        desk.answer(Told(429, {}))
        assert isinstance(await venue.trader.submit(await marketable(venue, PLACE.symbol, "100", 2)), RetryLater)
        assert desk.orders == []


async def test_an_order_that_has_filled_in_part_so_far_is_open_still() -> None:
    async with WeexDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, PLACE.symbol, "1500")
        order = desk.place("kp" + sent.client_id, MARKET, "sell", "1.5", "90000", ioc=False)
        order.state, order.filled = "partial", D("0.5")
        found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
        assert isinstance(found, OrderReport)
        assert (found.state, found.filled) == (OrderState.OPEN, D(500))


async def test_an_order_is_taken_back_twice() -> None:
    async with WeexDesk() as desk, opened(over(desk)) as venue:
        desk.place("kp" + "b" * 28, MARKET, "sell", "1.5", "90000", ioc=False)
        (working,) = (await venue.observer.positions()).working
        assert (working.client_id, working.contracts, working.filled) == ("b" * 28, D(1500), ZERO)
        await venue.trader.cancel(working)
        await venue.trader.cancel(working)
        assert desk.orders[0].state == "cancelled"


async def test_a_search_that_failed_is_no_evidence() -> None:
    nonsense = tuple(told for told in NONSENSE if told.body != [])  # which here is a list without orders
    await failed_searches(PLACE, "/openOrders", "/order/history", nonsense=nonsense)
