"""Orders over real sockets, against a stand-in for OKX's v5 protocol: sent once, found again, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from keeper.clock import ManualClock, SystemClock
from keeper.core.model import ZERO, Contracts, InstrumentId, PlannedOrder, Side, WorkingOrder
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    CredentialsRefusedError,
    HostRefusedError,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    RateLimitedError,
    Rejected,
    RetryLater,
    UnreachableError,
    VenueError,
)
from keeper.venue.ccxt_venue import CcxtVenue, Credentials
from tests.support.okx_v5 import OkxV5
from tests.support.okx_v5.venue import CANCEL, FILLS, LOOKUP, PENDING, POSITIONS
from tests.venue.helpers import API_SECRET, asked, marketable, okx_venue, opened, order, raw, report_of

LINEAR, INVERSE, DATED = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USD:BTC-361226"
SWAP = "BTC-USDT-SWAP"
ORDER = "/api/v5/trade/order"
D = Decimal


@pytest.fixture
async def okx() -> AsyncIterator[OkxV5]:
    async with OkxV5({"BTC": "5", "USDT": "100000"}) as running:
        yield running
        assert running.unknown_paths == []


@pytest.fixture
async def venue(okx: OkxV5) -> AsyncIterator[CcxtVenue]:
    async with opened(okx_venue(okx)) as made:
        yield made


def posted(okx: OkxV5) -> list[dict[str, Any]]:
    """Every request that could have made an order."""
    return [request.params for request in okx.requests if (request.method, request.path) == ("POST", ORDER)]


# Sending


async def test_an_order_is_sent_once_in_the_venues_own_terms(okx: OkxV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "150.5")  # contracts of a hundredth of a coin
    assert sent.amount_base == D("1.505")
    okx.requests.clear()
    outcome = await venue.trader.submit(sent)
    assert [(request.method, request.path) for request in okx.requests] == [("POST", ORDER)]
    assert isinstance(outcome, Accepted)
    assert outcome.report is None  # this venue answers with ids alone
    assert posted(okx) == [
        {
            "instId": SWAP, "side": "sell", "ordType": "ioc", "sz": "150.5", "px": "59939.9",
            "tdMode": "cross", "clOrdId": "kp" + sent.client_id,
        }
    ]  # fmt: skip
    assert okx.position(LINEAR) == D("-150.5")
    found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport)
    assert (found.state, found.filled, found.client_id) == (OrderState.FILLED, D("150.5"), sent.client_id)
    assert found.venue_order_id == outcome.venue_order_id
    assert found.average_price == okx.market(LINEAR).bid


@pytest.mark.parametrize("symbol", [LINEAR, INVERSE, DATED])
async def test_sell_and_cover(okx: OkxV5, venue: CcxtVenue, symbol: str) -> None:
    name = {DATED: "BTC-USD-361226"}.get(symbol, symbol)
    assert (await report_of(venue, await marketable(venue, symbol, "200"))).state is OrderState.FILLED
    assert okx.position(name) == -200
    cover = await marketable(venue, symbol, "200", 2, side=Side.BUY, cover=True)
    assert (await report_of(venue, cover)).filled == 200
    assert posted(okx)[-1]["reduceOnly"] is True
    assert okx.position(name) == 0
    refusal = await venue.trader.submit(await marketable(venue, symbol, "200", 3, side=Side.BUY, cover=True))
    assert isinstance(refusal, Rejected)
    assert refusal.code == "51169"
    fills = await venue.trader.fills(cover.instrument, okx.exchange.now_ms() - 60_000)
    assert [fill.side for fill in fills] == [Side.SELL, Side.BUY]
    assert [fill.client_id for fill in fills] == [f"{1:028x}", cover.client_id]
    assert all(fill.contracts == 200 for fill in fills)
    assert {fill.fee_asset for fill in fills} == {"USDT" if symbol == LINEAR else "BTC"}


async def test_a_position_that_was_closed_shows_an_explicit_zero(okx: OkxV5, venue: CcxtVenue) -> None:
    instrument = venue.observer.instrument(LINEAR)
    with pytest.raises(VenueError, match="no evidence of zero"):
        await venue.observer.position(instrument)  # never traded: the venue shows no row
    await venue.trader.submit(await marketable(venue, LINEAR, "100"))
    assert (await venue.observer.position(instrument)).contracts == -100
    await venue.trader.submit(await marketable(venue, LINEAR, "100", 2, side=Side.BUY, cover=True))
    assert (await venue.observer.position(instrument)).contracts == 0
    assert (await venue.observer.positions()).positions == ()


async def test_a_limit_away_from_the_book_ends_with_nothing(venue: CcxtVenue) -> None:
    report = await report_of(venue, order(venue.observer.instrument(LINEAR), "100", D(70000)))
    assert (report.state, report.filled, report.average_price) == (OrderState.NONE, ZERO, None)


async def test_a_thin_book_leaves_a_part(okx: OkxV5, venue: CcxtVenue) -> None:
    okx.market(LINEAR).depth = D(80)
    report = await report_of(venue, await marketable(venue, LINEAR, "100"))
    assert (report.state, report.filled, report.contracts) == (OrderState.PARTIAL, D(80), D(100))
    assert okx.position(LINEAR) == -80


async def test_a_post_only_order_rests_or_goes_away(okx: OkxV5, venue: CcxtVenue) -> None:
    market = okx.market(LINEAR)
    rests = passive(order(venue.observer.instrument(LINEAR), "100", market.ask))
    assert isinstance(await venue.trader.submit(rests), Accepted)
    assert posted(okx)[-1]["ordType"] == "post_only"
    found = await venue.trader.lookup(rests.instrument, rests.client_id, None)
    assert isinstance(found, OrderReport)
    assert found.state is OrderState.OPEN
    crosses = passive(order(venue.observer.instrument(LINEAR), "100", market.bid, 2))
    assert (await report_of(venue, crosses)).state is OrderState.NONE  # taken in, and cancelled at once
    assert okx.position(LINEAR) == 0


def passive(made: PlannedOrder) -> PlannedOrder:
    """The same order, as one that may only rest."""
    return PlannedOrder(
        **{name: getattr(made, name) for name in PlannedOrder.__dataclass_fields__ if name != "time_in_force"},
        time_in_force="PO",
    )


@pytest.mark.parametrize(("contracts", "price"), [("1.005", "60000"), ("1", "60000.05"), ("0.001", "60000")])
async def test_what_the_client_would_round_is_not_sent(
    okx: OkxV5, venue: CcxtVenue, contracts: str, price: str
) -> None:
    outcome = await venue.trader.submit(order(venue.observer.instrument(LINEAR), contracts, D(price)))
    assert isinstance(outcome, Rejected)
    assert posted(okx) == []


@pytest.mark.parametrize("mode", [None, "cross", "isolated"])
async def test_the_margin_mode_goes_with_the_order_and_with_its_leverage(
    okx: OkxV5, venue: CcxtVenue, mode: str | None
) -> None:
    ident, told = InstrumentId("main", LINEAR), mode or "cross"
    if mode is not None:
        await venue.trader.set_margin_mode(ident, mode)
    await venue.trader.set_leverage(ident, D(3))
    await venue.trader.set_leverage(ident, D(3))
    assert okx.exchange.leverages == {(SWAP, told): 3}
    await venue.trader.submit(await marketable(venue, LINEAR, "100"))
    assert posted(okx)[0]["tdMode"] == told
    facts = await venue.observer.facts([venue.observer.instrument(LINEAR)])
    assert (facts.settings[ident].margin_mode, facts.settings[ident].leverage) == (told, D(3))


async def test_an_order_of_the_next_run_goes_to_the_position_that_is_there(okx: OkxV5, venue: CcxtVenue) -> None:
    await venue.trader.set_margin_mode(InstrumentId("main", LINEAR), "isolated")
    await venue.trader.submit(await marketable(venue, LINEAR, "100"))
    async with opened(okx_venue(okx)) as again:  # it finds what it wants, and has nothing to set
        await again.observer.facts([again.observer.instrument(LINEAR)])
        await again.trader.submit(await marketable(again, LINEAR, "100", 2, side=Side.BUY, cover=True))
    assert [params["tdMode"] for params in posted(okx)] == ["isolated", "isolated"]
    assert okx.position(LINEAR) == 0


async def test_a_leverage_that_was_not_set_is_not_called_set(okx: OkxV5, venue: CcxtVenue) -> None:
    client: Any = venue.connection.client
    await client.create_order(LINEAR, "limit", "sell", "100", "70000", {"clientOrderId": "somebodyelse"})
    with pytest.raises(VenueError, match="59107"):
        await venue.trader.set_leverage(InstrumentId("main", LINEAR), D(3))
    assert okx.exchange.leverages == {}


# What an answer means


async def test_a_refusal_is_a_refusal(okx: OkxV5, venue: CcxtVenue) -> None:
    outcome = await venue.trader.submit(await marketable(venue, LINEAR, "9000"))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "51008"  # margin for a tenth of 90 coins is not there
    okx.exchange.position_mode = "long_short_mode"
    outcome = await venue.trader.submit(await marketable(venue, LINEAR, "1", 2))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "51000"
    okx.exchange.account_level = "1"
    okx.exchange.position_mode = "net_mode"
    outcome = await venue.trader.submit(await marketable(venue, LINEAR, "1", 3))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "51010"
    assert okx.accepted_orders == []


CODES: dict[int, tuple[int, type]] = {
    50001: (503, Ambiguous),
    50004: (400, Ambiguous),
    50005: (410, Ambiguous),
    50011: (429, RetryLater),
    50013: (429, Ambiguous),
    50026: (500, Ambiguous),
    50061: (200, RetryLater),
    51008: (200, Rejected),
    51011: (200, Ambiguous),
    51010: (200, Rejected),
    51016: (200, Ambiguous),
    51020: (200, Rejected),
    51054: (200, Ambiguous),
    51119: (200, Rejected),
    51121: (200, Rejected),
    51131: (200, Rejected),
    51169: (200, Rejected),
    59999: (200, Rejected),
    77777: (200, Ambiguous),
}


@pytest.mark.parametrize("code", sorted(CODES))
async def test_only_a_plain_refusal_is_one(okx: OkxV5, venue: CcxtVenue, code: int) -> None:
    status, fate = CODES[code]
    sent = await marketable(venue, LINEAR, "100")
    okx.code(code, status, accepted=fate is Ambiguous)
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, fate), outcome
    assert len(posted(okx)) == 1
    if fate is Rejected:
        assert isinstance(outcome, Rejected)
        assert outcome.code == str(code)
    if fate is RetryLater:
        assert venue.back_off_seconds() > 0
    else:
        found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
        assert isinstance(found, OrderReport if fate is Ambiguous else NotFound)


AMBIGUOUS: dict[str, Callable[[OkxV5], object]] = {
    "dropped": lambda s: s.drop(),
    "dropped before": lambda s: s.drop(accepted=False),
    "502": lambda s: s.http_error(502),
    "503": lambda s: s.http_error(503),
    "504": lambda s: s.http_error(504, accepted=False),
    "late": lambda s: s.delay(3.0),
}


@pytest.mark.parametrize("fault", sorted(AMBIGUOUS))
async def test_what_is_not_a_plain_answer_is_ambiguous_and_is_looked_up(okx: OkxV5, fault: str) -> None:
    async with opened(okx_venue(okx, seconds=0.8)) as venue:
        sent = await marketable(venue, LINEAR, "100")
        AMBIGUOUS[fault](okx)
        outcome = await venue.trader.submit(sent)
        assert isinstance(outcome, Ambiguous), outcome
        assert len(posted(okx)) == 1  # nothing sends a second time
        okx.clear_faults()
        found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
        assert isinstance(found, OrderReport if okx.accepted_orders else NotFound)


async def test_a_client_id_that_is_taken_means_look_it_up(okx: OkxV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "100")
    await venue.trader.submit(sent)
    assert isinstance(await venue.trader.submit(sent), Ambiguous)
    assert len(okx.accepted_orders) == 1


@pytest.mark.parametrize(
    ("credentials", "rights"),
    [(("loopback-okx-key", API_SECRET, "loopback-okx-passphrase"), "read_only,trade"), (None, "read_only")],
)
async def test_a_key_that_may_not_trade_is_refused(
    okx: OkxV5, credentials: tuple[str, str, str] | None, rights: str
) -> None:
    okx.exchange.rights = rights
    more = {} if credentials is None else {"credentials": Credentials(*credentials)}
    async with opened(okx_venue(okx, **more)) as venue:
        assert isinstance(await venue.trader.submit(await marketable(venue, LINEAR, "100")), Rejected)
        if credentials is not None:
            with pytest.raises(CredentialsRefusedError):
                await venue.observer.positions()
        else:
            facts = await venue.observer.facts([venue.observer.instrument(LINEAR)])
            assert (facts.one_way, facts.can_trade, facts.can_withdraw) == (True, False, False)


async def test_the_demo_is_told_by_its_header(okx: OkxV5) -> None:
    async with OkxV5({"USDT": "100000"}, demo=True) as demo:
        header = {"headers": {"x-simulated-trading": "1"}}
        async with opened(okx_venue(demo, options=header)) as venue:
            assert (await report_of(venue, await marketable(venue, LINEAR, "100"))).filled == 100
        async with opened(okx_venue(demo)) as venue:
            outcome = await venue.trader.submit(await marketable(venue, LINEAR, "100", 2))
            assert isinstance(outcome, Rejected)
            assert outcome.code == "50101"
    with pytest.raises(HostRefusedError):
        raw(venue).sign("asset/withdrawal", "private", "POST", {})


# Finding out


async def test_a_lookup_goes_by_either_id_and_knows_its_own(okx: OkxV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "100")
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, Accepted)
    found = await venue.trader.lookup(sent.instrument, sent.client_id, outcome.venue_order_id)
    assert isinstance(found, OrderReport)
    assert isinstance(await venue.trader.lookup(sent.instrument, "a" * 28, None), NotFound)
    okx.edit(LOOKUP, lambda row: row.update(clOrdId="kp" + "c" * 28))
    assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), LookupFailed)


async def test_an_order_is_not_found_and_then_found(okx: OkxV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "100")
    okx.lose_lookups(1)
    await venue.trader.submit(sent)
    assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), NotFound)
    assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), OrderReport)


async def test_a_fill_that_is_shown_late_leaves_the_order_open_until_then(okx: OkxV5, venue: CcxtVenue) -> None:
    okx.late_fills(0.6)
    sent = await marketable(venue, LINEAR, "100")
    await venue.trader.submit(sent)
    early = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(early, OrderReport)
    assert (early.state, early.filled) == (OrderState.OPEN, ZERO)
    assert (await venue.observer.positions()).positions == ()
    await okx.exchange.clock.sleep(0.7)
    later = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(later, OrderReport)
    assert later.state is OrderState.FILLED
    (held,) = (await venue.observer.positions()).positions
    assert held.contracts == -100


async def test_a_search_that_failed_is_no_evidence(okx: OkxV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "100")
    await venue.trader.submit(sent)
    faults: tuple[Callable[[], object], ...] = (
        lambda: okx.http_error(503, LOOKUP),
        lambda: okx.drop(LOOKUP, times=2),
        lambda: okx.code(50001, 503, LOOKUP),
        lambda: okx.code(50004, 400, LOOKUP),
        lambda: okx.without_rows(LOOKUP, 1),
        lambda: okx.edit(LOOKUP, lambda row: row.update(state="Foo")),
        lambda: okx.edit(LOOKUP, lambda row: row.update(accFillSz="101")),
        lambda: okx.rate_limit(LOOKUP),
    )
    for arm in faults:
        okx.clear_faults()
        arm()
        assert isinstance(await venue.trader.lookup(sent.instrument, sent.client_id, None), LookupFailed)


async def test_fills_are_paged_to_the_end_though_all_are_of_one_moment(okx: OkxV5, venue: CcxtVenue) -> None:
    start = okx.exchange.now_ms()
    okx.exchange.clock = ManualClock(start)
    for _ in range(230):
        okx.foreign_trade(LINEAR, "-0.01")
    okx.exchange.clock = SystemClock()
    fills = await venue.trader.fills(InstrumentId("main", LINEAR), start)
    assert len(fills) == len({fill.trade_id for fill in fills}) == 230
    assert await venue.trader.fills(InstrumentId("main", LINEAR), okx.exchange.now_ms() + 1000) == ()
    okx.code(404, 404, FILLS)
    assert len(await venue.trader.fills(InstrumentId("main", LINEAR), start)) == 230  # those of the last three days
    okx.code(50001, 503, FILLS)
    with pytest.raises(UnreachableError):
        await venue.trader.fills(InstrumentId("main", LINEAR), start)


async def test_a_working_order_is_seen_and_taken_back_twice(okx: OkxV5, venue: CcxtVenue) -> None:
    client: Any = venue.connection.client
    await client.create_order(LINEAR, "limit", "sell", "100", "70000", {"clientOrderId": "kp" + "b" * 28})
    await client.create_order(INVERSE, "limit", "buy", "10", "50000", {"clientOrderId": "somebodyelse"})
    working = {each.client_id: each for each in (await venue.observer.positions()).working}
    assert set(working) == {"b" * 28, "somebodyelse"}
    ours = working["b" * 28]
    assert (ours.side, ours.contracts, ours.filled, ours.reduce_only) == (Side.SELL, D(100), ZERO, False)
    await venue.trader.cancel(ours)
    await venue.trader.cancel(ours)  # gone already is success
    gone = WorkingOrder(ours.instrument, "77", None, Side.SELL, Contracts(D(1)), Contracts(ZERO), False)
    await venue.trader.cancel(gone)
    assert [each.client_id for each in (await venue.observer.positions()).working] == ["somebodyelse"]
    okx.http_error(503, CANCEL)
    with pytest.raises(UnreachableError):
        await venue.trader.cancel(working["somebodyelse"])


async def test_open_orders_are_read_to_the_last_page(okx: OkxV5, venue: CcxtVenue) -> None:
    client: Any = venue.connection.client
    for number in range(120):
        await client.create_order(LINEAR, "limit", "sell", "0.01", "61000", {"clientOrderId": f"other{number}"})
    assert len((await venue.observer.positions()).working) == 120
    okx.rate_limit(PENDING)
    assert isinstance((await venue.observer.positions()).faults[0], RateLimitedError)


async def test_a_position_list_that_fails_is_no_flat_account(okx: OkxV5, venue: CcxtVenue) -> None:
    okx.foreign_trade(LINEAR, "-100")
    okx.code(50001, 503, POSITIONS)
    with pytest.raises(UnreachableError):
        await venue.observer.positions()
    okx.without_rows(POSITIONS, 1)
    with pytest.raises(VenueError, match="no evidence of zero"):
        await venue.observer.position(venue.observer.instrument(LINEAR))
    assert asked(okx, "/account/positions") == 2
