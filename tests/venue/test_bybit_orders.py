"""Orders over real sockets, against a stand-in for Bybit's v5 protocol: sent once, found again, taken back."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from keeper.core.model import ZERO, Contracts, InstrumentId, Side, WorkingOrder
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    Rejected,
    RetryLater,
    UnreachableError,
)
from keeper.venue.ccxt_venue import CcxtVenue
from tests.support.bybit_v5 import BybitV5
from tests.venue.helpers import asked, marketable, opened, order, report_of, stand_in_venue

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
CREATE = "/v5/order/create"
D = Decimal


async def test_an_order_is_sent_once_in_the_venues_own_terms(stand_in: BybitV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "1.5")
    stand_in.requests.clear()
    outcome = await venue.trader.submit(sent)
    assert [request.path for request in stand_in.requests] == [CREATE]  # one order, one request
    assert isinstance(outcome, Accepted)
    assert outcome.report is None  # this venue answers with ids alone
    (accepted,) = stand_in.accepted_orders
    body = next(request.params for request in stand_in.requests if request.path == CREATE)
    assert (body["qty"], body["timeInForce"], body["orderLinkId"]) == ("1.5", "IOC", "kp" + sent.client_id)
    assert str(body["positionIdx"]) == "0"
    assert D(body["price"]) == sent.price
    found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport)
    assert (found.state, found.filled, found.client_id) == (OrderState.FILLED, D("1.5"), sent.client_id)
    assert found.venue_order_id == outcome.venue_order_id
    assert accepted.link_id == "kp" + sent.client_id


@pytest.mark.parametrize("symbol", [LINEAR, INVERSE])
async def test_sell_and_cover(stand_in: BybitV5, venue: CcxtVenue, symbol: str) -> None:
    size = "1.5" if symbol == LINEAR else "30000"
    assert (await report_of(venue, await marketable(venue, symbol, size))).state is OrderState.FILLED
    assert stand_in.position(symbol) == -D(size)
    cover = await marketable(venue, symbol, size, 2, side=Side.BUY, cover=True)
    assert (await report_of(venue, cover)).filled == D(size)
    assert stand_in.position(symbol) == 0
    refusal = await venue.trader.submit(await marketable(venue, symbol, size, 3, side=Side.BUY, cover=True))
    assert isinstance(refusal, Rejected)
    assert refusal.code == "110017"
    fills = await venue.trader.fills(cover.instrument, stand_in.exchange.now_ms() - 60_000)
    assert [fill.side for fill in fills] == [Side.SELL, Side.BUY]
    assert [fill.client_id for fill in fills] == [f"{1:028x}", cover.client_id]
    assert all(fill.contracts == D(size) for fill in fills)


async def test_a_limit_away_from_the_book_ends_with_nothing(venue: CcxtVenue) -> None:
    instrument = venue.observer.instrument(LINEAR)
    report = await report_of(venue, order(instrument, "1", D(70000)))
    assert (report.state, report.filled) == (OrderState.NONE, ZERO)


@pytest.mark.parametrize(("contracts", "price"), [("1.0005", "60000"), ("1", "60000.05"), ("0.0001", "60000")])
async def test_what_the_client_would_round_is_not_sent(
    stand_in: BybitV5, venue: CcxtVenue, contracts: str, price: str
) -> None:
    outcome = await venue.trader.submit(order(venue.observer.instrument(LINEAR), contracts, D(price)))
    assert isinstance(outcome, Rejected)
    assert asked(stand_in, CREATE) == 0


async def test_the_client_leaves_our_decimal_context_alone(venue: CcxtVenue) -> None:
    decimal.getcontext().traps[decimal.Underflow] = False
    before = (decimal.getcontext().rounding, dict(decimal.getcontext().traps))
    await venue.trader.submit(await marketable(venue, LINEAR, "1"))
    venue.connection.client.amount_to_precision(LINEAR, "1.2345")
    assert (decimal.getcontext().rounding, dict(decimal.getcontext().traps)) == before


async def test_a_refusal_is_a_refusal(stand_in: BybitV5, venue: CcxtVenue) -> None:
    outcome = await venue.trader.submit(await marketable(venue, LINEAR, "900"))
    assert isinstance(outcome, Rejected)
    assert outcome.code.startswith("110")
    assert stand_in.accepted_orders == []


AMBIGUOUS: dict[str, Callable[[BybitV5], object]] = {
    "dropped": lambda s: s.drop(),
    "dropped before": lambda s: s.drop(accepted=False),
    "503": lambda s: s.http_error(503),
    "504": lambda s: s.http_error(504, accepted=False),
    "10000": lambda s: s.ret_code(10000),
    "10016": lambda s: s.ret_code(10016, accepted=False),
    "malformed": lambda s: s.malformed(),
    "truncated": lambda s: s.truncated(),
    "unknown code": lambda s: s.ret_code(987654),
    "late": lambda s: s.delay(3.0),
}


@pytest.mark.parametrize("fault", sorted(AMBIGUOUS))
async def test_what_is_not_a_plain_answer_is_ambiguous_and_is_looked_up(stand_in: BybitV5, fault: str) -> None:
    async with opened(stand_in_venue(stand_in, seconds=0.8)) as venue:
        sent = await marketable(venue, LINEAR, "1")
        AMBIGUOUS[fault](stand_in)
        outcome = await venue.trader.submit(sent)
        assert isinstance(outcome, Ambiguous), outcome
        assert asked(stand_in, CREATE) == 1  # nothing sends a second time
        stand_in.clear_faults()
        found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
        if stand_in.accepted_orders:
            assert isinstance(found, OrderReport)
            assert found.filled == 1
        else:
            assert isinstance(found, NotFound)


async def test_a_client_id_that_is_taken_means_look_it_up(stand_in: BybitV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "1")
    await venue.trader.submit(sent)
    assert isinstance(await venue.trader.submit(sent), Ambiguous)
    assert len(stand_in.accepted_orders) == 1


@pytest.mark.parametrize("kind", ["10006", "429", "403"])
async def test_a_limit_on_orders_proves_that_nothing_was_taken_in(
    stand_in: BybitV5, venue: CcxtVenue, kind: Any
) -> None:
    sent = await marketable(venue, LINEAR, "1")
    stand_in.rate_limit(kind, CREATE)
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, RetryLater)
    assert venue.back_off_seconds() > 0
    assert stand_in.accepted_orders == []


async def test_an_order_is_found_after_the_venue_forgot_its_recent_ones(stand_in: BybitV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "1")
    await venue.trader.submit(sent)
    stand_in.forget_closed_orders()
    assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), OrderReport)


async def test_a_search_that_failed_is_no_evidence(stand_in: BybitV5, venue: CcxtVenue) -> None:
    instrument = InstrumentId("main", LINEAR)
    faults: tuple[Callable[[], object], ...] = (
        lambda: stand_in.http_error(503, "/v5/order/realtime"),
        lambda: stand_in.malformed("/v5/order/history"),
        lambda: stand_in.drop("/v5/order/history", times=2),
        lambda: stand_in.ret_code(10016, "/v5/order/realtime"),
    )
    for arm in faults:
        stand_in.clear_faults()
        arm()
        assert isinstance(await venue.trader.lookup(instrument, "a" * 28, None), LookupFailed)
    stand_in.clear_faults()
    assert isinstance(await venue.trader.lookup(instrument, "a" * 28, None), NotFound)


async def test_fills_are_paged_to_the_end(stand_in: BybitV5, venue: CcxtVenue) -> None:
    start = stand_in.exchange.now_ms()
    for _ in range(130):
        stand_in.foreign_trade(LINEAR, "-0.01")
    fills = await venue.trader.fills(InstrumentId("main", LINEAR), start)
    assert len(fills) == len({fill.trade_id for fill in fills}) == 130
    assert [fill.at_ms for fill in fills] == sorted(fill.at_ms for fill in fills)
    assert await venue.trader.fills(InstrumentId("main", LINEAR), stand_in.exchange.now_ms() + 1000) == ()


async def test_a_deleveraging_is_a_fill(stand_in: BybitV5, venue: CcxtVenue) -> None:
    start = stand_in.exchange.now_ms()
    stand_in.set_position(LINEAR, -2)
    stand_in.deleverage(LINEAR, "0.5")
    (fill,) = await venue.trader.fills(InstrumentId("main", LINEAR), start)
    assert (fill.contracts, fill.side) == (D("0.5"), Side.BUY)


async def test_a_working_order_is_seen_and_taken_back_twice(stand_in: BybitV5, venue: CcxtVenue) -> None:
    client: Any = venue.connection.client
    await client.create_order(LINEAR, "limit", "sell", "1", "70000", {"clientOrderId": "kp" + "b" * 28})
    await client.create_order(INVERSE, "limit", "buy", "100", "50000", {"clientOrderId": "somebody-else"})
    working = {each.client_id: each for each in (await venue.observer.positions()).working}
    assert set(working) == {"b" * 28, "somebody-else"}
    ours = working["b" * 28]
    assert (ours.side, ours.contracts, ours.filled, ours.reduce_only) == (Side.SELL, D(1), ZERO, False)
    await venue.trader.cancel(ours)
    await venue.trader.cancel(ours)  # gone already is success
    gone = WorkingOrder(ours.instrument, "no-such-id", None, Side.SELL, Contracts(D(1)), Contracts(ZERO), False)
    await venue.trader.cancel(gone)
    assert [each.client_id for each in (await venue.observer.positions()).working] == ["somebody-else"]
    stand_in.http_error(503, "/v5/order/cancel")
    with pytest.raises(UnreachableError):
        await venue.trader.cancel(working["somebody-else"])
