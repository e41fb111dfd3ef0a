"""Orders at Bitget: by our id, in one-way mode, and codes beside a plain 400 that are no refusals."""

from __future__ import annotations

import pytest

from keeper.venue.base import Ambiguous, LookupFailed, NotFound, Rejected, RetryLater
from tests.support.bitget import MARKET, MIX, BitgetDesk, error
from tests.support.desk import D, Told
from tests.venue.helpers import marketable, opened, report_of
from tests.venue.order_stories import Place, covers, lost, over, rests, sent_once

PLACE = Place(BitgetDesk, "BTC/USDT:USDT", MARKET, "1.5", "1.5")


async def test_an_order_is_sent_once_and_found() -> None:
    request, sent = await sent_once(PLACE)
    assert (request.method, request.path) == ("POST", f"{MIX}/order/place-order")
    asked = request.params
    assert (asked["clientOid"], asked["side"], asked["force"]) == ("kp" + sent.client_id, "sell", "IOC")
    assert (D(asked["size"]), D(asked["price"])) == (D("1.5"), sent.price)
    assert "reduceOnly" not in asked


async def test_a_cover_only_reduces() -> None:
    assert (await covers(PLACE)).params["reduceOnly"] == "YES"


async def test_a_resting_order_is_seen_and_taken_back() -> None:
    assert (await rests(PLACE, refused=False)).params["force"] == "post_only"


LOSSES = {
    "lost": None,
    "503": Told(503, {}),
    **{str(code): error(code) for code in (40015, 40200, 40604, 40725, 45001, 50008, 40786)},
    "no order in it": Told(200, {"code": "00000", "msg": "success", "data": {}}),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_an_answer_that_is_lost_leaves_one_order(loss: str) -> None:
    await lost(PLACE, LOSSES[loss])


async def test_a_refusal_is_a_refusal_and_a_limit_is_waited_out() -> None:
    async with BitgetDesk() as desk, opened(over(desk)) as venue:
        for number, code in enumerate((40762, 45110, 40017), 1):
            desk.answer(error(code))
            outcome = await venue.trader.submit(await marketable(venue, PLACE.symbol, "1", number))
            assert isinstance(outcome, Rejected), outcome
        desk.answer(error(429, 429))
        assert isinstance(await venue.trader.submit(await marketable(venue, PLACE.symbol, "1", 9)), RetryLater)
        assert desk.orders == []


async def test_an_id_that_is_taken_is_looked_up_and_a_search_that_failed_is_no_evidence() -> None:
    async with BitgetDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, PLACE.symbol, "1")
        await venue.trader.submit(sent)
        assert isinstance(await venue.trader.submit(sent), Ambiguous)
        assert len(desk.orders) == 1
        for told in (Told(503, {}), error(40015), error(429, 429), Told(200, "?")):
            desk.answer(told, path="/order/detail")
            assert isinstance(await venue.trader.lookup(sent.instrument, "a" * 28, None), LookupFailed), told
        assert isinstance(await venue.trader.lookup(sent.instrument, "a" * 28, None), NotFound)


async def test_the_margin_mode_that_was_set_or_is_there_goes_with_each_order() -> None:
    async with BitgetDesk() as desk:
        async with opened(over(desk)) as venue:
            instrument = venue.observer.instrument(PLACE.symbol)
            await venue.trader.set_margin_mode(instrument.id, "isolated")
            await report_of(venue, await marketable(venue, PLACE.symbol, "1"))
        async with opened(over(desk)) as venue:  # another run, that has nothing to set
            facts = await venue.observer.facts([instrument])
            assert facts.settings[instrument.id].margin_mode == "isolated"
            await report_of(venue, await marketable(venue, PLACE.symbol, "1", 2))
        assert [request.params["marginMode"] for request in desk.sent()] == ["isolated", "isolated"]


async def test_both_sides_of_a_position_are_one_position(monkeypatch: pytest.MonkeyPatch) -> None:
    async with BitgetDesk() as desk:
        desk.positions[MARKET] = D("-1.9")
        [short] = desk._held()
        short |= {"posMode": "hedge_mode"}
        monkeypatch.setattr(desk, "_held", lambda: [{**short, "holdSide": "long", "total": "0.4"}, short])
        async with opened(over(desk)) as venue:
            instrument = venue.observer.instrument(PLACE.symbol)
            (position,) = (await venue.observer.positions()).positions
            assert (position.contracts, (await venue.observer.position(instrument)).contracts) == (D("-1.5"), D("-1.5"))
            assert (await venue.observer.facts([instrument])).one_way is False
