"""Hyperliquid: our id in executions, refusals in words, a flat contract that is not listed, and nothing unasked."""

from __future__ import annotations

from typing import Any

import pytest

from keeper.core.model import AccountId
from keeper.venue.base import (
    POST_ONLY_REFUSED,
    Ambiguous,
    BadReadingError,
    NotFound,
    Rejected,
    RetryLater,
    Submission,
    VenueError,
)
from keeper.venue.ccxt_venue import CcxtVenue
from tests.support.desk import D, Told
from tests.support.hyperliquid import MARKET, POST_ONLY, HyperliquidDesk, failed, refused
from tests.venue.helpers import LIVE, marketable, opened, raw, venue_of
from tests.venue.order_stories import LATER_MS, Place, covers, failed_searches, lost, over, rests, sent_once

PLACE = Place(HyperliquidDesk, "BTC/USDC:USDC", MARKET, "1.5", "1.5")


async def test_an_order_is_sent_once_and_found() -> None:
    request, sent = await sent_once(PLACE, accepted=False)
    (asked,) = request.params["action"]["orders"]
    assert (asked["c"], asked["t"], asked["s"]) == (f"0x{sent.client_id}0000", {"limit": {"tif": "Ioc"}}, "1.5")
    assert (asked["b"], asked["r"], D(asked["p"])) == (False, False, sent.price)


async def test_a_cover_only_reduces() -> None:
    assert (await covers(PLACE)).params["action"]["orders"][0]["r"] is True


async def test_a_resting_order_is_seen_and_taken_back() -> None:
    assert (await rests(PLACE)).params["action"]["orders"][0]["t"] == {"limit": {"tif": "Alo"}}


LOSSES = {
    "lost": None,
    "503": Told(503, {}),
    "no order in it": Told(200, {"status": "ok", "response": {"type": "order", "data": {"statuses": []}}}),
    "nonce": failed("Invalid nonce: duplicate nonce 1"),
    "words that nobody knows": refused("Something is not as it should be. asset=0"),
    "words in the middle": refused("Perhaps: Insufficient margin to place order. asset=0"),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_an_answer_that_is_lost_leaves_one_order(loss: str) -> None:
    await lost(PLACE, LOSSES[loss])


async def test_a_search_that_failed_is_no_evidence() -> None:
    await failed_searches(PLACE, "/info")


async def test_an_execution_carries_our_id_where_the_order_is_not_shown() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        sent = await marketable(venue, PLACE.symbol, "1.5")
        desk.lose_answers()
        assert isinstance(await venue.trader.submit(sent), Ambiguous)
        desk.blind = True
        assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), NotFound)
        (fill,) = await venue.trader.fills(sent.instrument, desk.orders[0].at_ms - LATER_MS)
        assert (fill.client_id, fill.contracts) == (sent.client_id, D("1.5"))


REFUSALS = {
    "insufficient_margin": refused("Insufficient margin to place order. asset=0"),
    "below_minimum": refused("Order must have minimum value of $10. asset=0"),
    "reduce_only": refused("Reduce only order would increase position. asset=0"),
    "no_deposit": failed("Must deposit before performing actions. User: 0x0"),
    "unknown_wallet": failed("User or API Wallet 0x0 does not exist."),
    POST_ONLY_REFUSED: refused(POST_ONLY),
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_is_a_refusal(code: str) -> None:
    outcome = await _answered(REFUSALS[code])
    assert isinstance(outcome, Rejected)
    assert outcome.code == code


@pytest.mark.parametrize(
    "told",
    [
        Told(429, None),
        failed("Too many cumulative requests sent (37986 > 10436) for cumulative volume traded $437.92."),
    ],
)
async def test_a_limit_is_waited_out(told: Told) -> None:
    assert isinstance(await _answered(told), RetryLater)


async def _answered(told: Told) -> Submission:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        desk.answer(told)
        outcome = await venue.trader.submit(await marketable(venue, PLACE.symbol, "1.5"))
        assert desk.orders == []
        return outcome


async def test_a_contract_without_a_row_is_flat() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        instrument = venue.observer.instrument(PLACE.symbol)
        assert (await venue.observer.position(instrument)).contracts == 0
        desk.positions[MARKET] = D("-1.5")
        assert (await venue.observer.position(instrument)).contracts == D("-1.5")


NOT_WHOLE: dict[str, dict[str, Any]] = {
    "no list": {"assetPositions": None},
    "null": {"assetPositions": "null"},
    "a row that is none": {"assetPositions": [None]},
    "a row without a coin": {"assetPositions": [{"type": "oneWay", "position": {"szi": "-1.5"}}]},
    "a coin that nobody lists": {"assetPositions": [{"type": "oneWay", "position": {"coin": "XYZ", "szi": "-1.5"}}]},
}


@pytest.mark.parametrize("what", NOT_WHOLE)
async def test_a_list_that_is_not_whole_shows_nothing_to_be_flat(what: str) -> None:
    async with HyperliquidDesk(account_told=NOT_WHOLE[what]) as desk, opened(over(desk)) as venue:
        with pytest.raises(BadReadingError):
            await venue.observer.position(venue.observer.instrument(PLACE.symbol))


async def test_another_answer_shows_nothing_to_be_flat() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        for told in (Told(200, []), Told(200, {}), Told(500, {}), Told(429, None)):
            desk.answer(told, path="/info")
            with pytest.raises(VenueError):
                await venue.observer.position(venue.observer.instrument(PLACE.symbol))


async def test_nothing_is_sent_that_nobody_asked_for() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        await venue.trader.submit(await marketable(venue, PLACE.symbol, "1.5"))
        (action,) = desk.actions()
        assert (action["type"], "builder" in action) == ("order", False)


@pytest.mark.parametrize("exchange", ["aster", "grvt", "pacifica", "binance"])
async def test_other_clients_keep_their_own_beginnings(exchange: str) -> None:
    venue = venue_of(exchange, policy=LIVE)
    of_ccxt = next(kind for kind in type(raw(venue)).__mro__ if kind.__module__.startswith("ccxt."))
    own = getattr(of_ccxt, "initialize_client", None)
    assert getattr(type(raw(venue)), "initialize_client", None) is own
    await venue.close()


async def test_a_look_asks_for_no_lists_of_other_exchanges() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        await _look(venue)
        assert "perpDexs" not in desk.questions()
        assert "userAbstraction" not in desk.questions()
        assert len(desk.questions()) <= 12


async def _look(venue: CcxtVenue) -> None:
    instrument = venue.observer.instrument(PLACE.symbol)
    assert (await venue.observer.wallet("")).account == AccountId("main", "")
    await venue.observer.positions()
    mark = (await venue.observer.marks([instrument]))[instrument.id]
    assert (mark.bid, mark.ask) == (D(59990), D(60010))
    assert await venue.observer.asset_prices(["BTC"], "USDC") == {"BTC": D(60000)}


@pytest.mark.parametrize("kind", ["cross", "isolated"])
async def test_a_leverage_leaves_the_margin_mode_as_the_position_shows_it(kind: str) -> None:
    async with HyperliquidDesk(leverage={"type": kind, "value": 20}) as desk, opened(over(desk)) as venue:
        desk.positions[MARKET] = D("-1.5")
        instrument = venue.observer.instrument(PLACE.symbol)
        await venue.observer.facts([instrument])
        await venue.trader.set_leverage(instrument.id, D(5))
        assert desk.leverage == {"type": kind, "value": 5}


async def test_a_leverage_is_not_written_where_no_margin_mode_is_stated_or_shown() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        instrument = venue.observer.instrument(PLACE.symbol)
        desk.positions[MARKET] = D("-1.5")
        await venue.observer.facts([instrument])
        desk.positions.clear()
        await venue.observer.facts([instrument])
        with pytest.raises(VenueError, match="state margin_mode too"):
            await venue.trader.set_leverage(instrument.id, D(5))
        assert desk.actions() == []


async def test_a_margin_mode_is_written_with_the_leverage_that_is_shown() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        desk.positions[MARKET] = D("-1.5")
        instrument = venue.observer.instrument(PLACE.symbol)
        await venue.observer.facts([instrument])
        await venue.trader.set_margin_mode(instrument.id, "isolated")
        assert desk.leverage == {"type": "isolated", "value": 20}
        await venue.trader.set_leverage(instrument.id, D(5))
        assert desk.leverage == {"type": "isolated", "value": 5}


async def test_both_are_written_at_once_where_none_is_shown() -> None:
    async with HyperliquidDesk() as desk, opened(over(desk)) as venue:
        instrument = venue.observer.instrument(PLACE.symbol)
        await venue.observer.facts([instrument])
        with pytest.raises(VenueError, match="state leverage too"):
            await venue.trader.set_margin_mode(instrument.id, "isolated")
        assert desk.actions() == []
        await venue.trader.set_margin_mode(instrument.id, "isolated", leverage=D(5))
        assert [each["type"] for each in desk.actions()] == ["updateLeverage"]
        assert desk.leverage == {"type": "isolated", "value": 5}
