"""Orders at Gate: our id in a text that begins with t-, which the venue forgets a minute after the order has ended."""

from __future__ import annotations

import pytest

from keeper.venue.base import NotFound, Rejected, RetryLater
from tests.support.desk import D, Told
from tests.support.gate import MARKET, ROOT, GateDesk, error
from tests.venue.helpers import marketable, opened
from tests.venue.order_stories import LATER_MS, Place, covers, lost, over, rests, sent_once

PLACE = Place(GateDesk, "BTC/USDT:USDT", MARKET, "15000", "15000")


async def test_an_order_is_sent_once_and_found() -> None:
    request, sent = await sent_once(PLACE)
    assert (request.method, request.path) == ("POST", f"{ROOT}/orders")
    asked = request.params
    assert (asked["text"], asked["tif"], int(asked["size"])) == ("t-" + sent.client_id, "ioc", -15000)
    assert D(asked["price"]) == sent.price
    assert "reduce_only" not in asked


async def test_a_cover_only_reduces() -> None:
    assert (await covers(PLACE)).params["reduce_only"] is True


async def test_a_resting_order_is_seen_and_taken_back() -> None:
    assert (await rests(PLACE)).params["tif"] == "poc"


LOSSES = {
    "lost": None,
    "503": Told(503, {}),
    **{label: error(label) for label in ("INTERNAL", "SERVER_ERROR", "TOO_BUSY")},
    "500": error("WHATEVER", 500),
    "no order in it": Told(200, {}),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_an_answer_that_is_lost_leaves_one_order(loss: str) -> None:
    await lost(PLACE, LOSSES[loss])


async def test_a_refusal_is_a_refusal_and_a_limit_is_waited_out() -> None:
    async with GateDesk() as desk, opened(over(desk)) as venue:
        desk.answer(error("INSUFFICIENT_AVAILABLE"))
        assert isinstance(await venue.trader.submit(await marketable(venue, PLACE.symbol, "100")), Rejected)
        desk.answer(error("TOO_MANY_REQUESTS", 429))
        assert isinstance(await venue.trader.submit(await marketable(venue, PLACE.symbol, "100", 2)), RetryLater)
        assert desk.orders == []


async def test_what_an_order_filled_is_told_when_the_order_is_not_shown_any_more() -> None:
    async with GateDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, PLACE.symbol, "100")
        desk.lose_answers()
        await venue.trader.submit(sent)
        desk.forgets = True
        assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), NotFound)
        (fill,) = await venue.trader.fills(sent.instrument, desk.orders[0].at_ms - LATER_MS)
        assert (fill.client_id, fill.contracts) == (sent.client_id, D(100))


@pytest.mark.parametrize(
    "told",
    [
        Told(200, {"user_id": 1, "tier": 0, "key": {"mode": 1}}), Told(200, {}), Told(404, {}),
        Told(403, {"label": "FORBIDDEN"}),
    ],
)  # fmt: skip
async def test_what_the_client_asks_about_the_account_is_no_list_of_markets(told: Told) -> None:
    async with GateDesk() as desk:
        desk.answer(told, path="/account/detail", times=None)
        async with opened(over(desk)) as venue:
            assert venue.observer.instrument(PLACE.symbol).contract_size > 0


async def test_both_sides_of_a_position_are_one_position_by_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with GateDesk() as desk:
        desk.positions[MARKET] = D(-19000)
        short = desk._held() | {"mode": "dual_short"}
        rows = [{**short, "mode": "dual_long", "size": 4000}, short]
        routes = desk.routes
        monkeypatch.setattr(desk, "routes", lambda: {**routes(), f"GET {ROOT}/positions": lambda _: rows})
        async with opened(over(desk)) as venue:
            instrument = venue.observer.instrument(PLACE.symbol)
            (position,) = (await venue.observer.positions()).positions
            assert (position.contracts, (await venue.observer.position(instrument)).contracts) == (D(-15000), D(-15000))
