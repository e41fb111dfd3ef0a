"""What the client of this venue gets wrong, one trap a test: each fails without the defence that it names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from keeper.core.model import ZERO, InstrumentId, Side
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    BadReadingError,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    Rejected,
    VenueError,
)
from keeper.venue.bybit import BYBIT
from keeper.venue.ccxt_venue import CcxtVenue
from tests.support.bybit_v5 import DEFAULT_INSTRUMENTS, BybitV5, Fault, Kind
from tests.venue.helpers import asked, marketable, opened, raw, report_of, stand_in_venue

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
CREATE, REALTIME, HISTORY = "/v5/order/create", "/v5/order/realtime", "/v5/order/history"
POSITIONS, WALLET, INSTRUMENTS = "/v5/position/list", "/v5/account/wallet-balance", "/v5/market/instruments-info"
HOUR_MS = 3_600_000
D = Decimal


def editing(stand_in: BybitV5, path: str, edit: Callable[[dict[str, Any]], None], **where: str) -> None:
    """From now on every answer of this path (to these parameters) is changed in place."""

    def meant(params: dict[str, Any]) -> bool:
        return all(params.get(name) == value for name, value in where.items())

    stand_in.arm(Fault(path, Kind.EDIT, None, edit=edit, where=meant))


# The account


@pytest.mark.parametrize("path", ["/v5/user/query-api", "/v5/account/info"])
async def test_the_client_is_never_left_to_find_out_what_kind_of_account_it_is(stand_in: BybitV5, path: str) -> None:
    stand_in.malformed(path, times=None)
    async with opened(stand_in_venue(stand_in)) as venue:
        with suppress(BadReadingError):
            await venue.observer.facts([venue.observer.instrument(LINEAR)])
        before = len(stand_in.requests)
        assert isinstance(await venue.trader.submit(await marketable(venue, LINEAR, "1")), Accepted)
        assert isinstance(await venue.trader.submit(await marketable(venue, INVERSE, "100", 2)), Accepted)
        await raw(venue).fetch_balance()
        later = stand_in.requests[before:]
    assert not [request.path for request in later if request.path in ("/v5/user/query-api", "/v5/account/info")]
    wallet = [request.params for request in later if request.path == WALLET]
    assert [params["accountType"] for params in wallet] == ["UNIFIED"]


async def test_of_what_kind_an_account_is_is_asked_again_within_a_wait(stand_in: BybitV5) -> None:
    """Covers go on while the venue asks us to wait, and stand on the positions of the right kind of account."""
    stand_in.malformed("/v5/account/info")
    async with opened(stand_in_venue(stand_in)) as venue:
        venue.started()
        venue.connection.budget.back_off(300)
        assert (await venue.observer.positions()).faults, "not known yet; it is asked for with this look"
        assert venue.back_off_seconds() > 200
        assert (await venue.observer.positions()).faults == ()


async def test_another_account_in_the_answer_is_not_ours(stand_in: BybitV5, venue: CcxtVenue) -> None:
    def with_another(result: dict[str, Any]) -> None:
        result["list"].insert(0, {**result["list"][0], "accountType": "CONTRACT", "coin": []})

    editing(stand_in, WALLET, with_another)
    assert (await venue.observer.wallet("")).totals["BTC"] == 5
    stand_in.clear_faults()
    editing(stand_in, WALLET, lambda result: result["list"][0].update(accountType="CONTRACT"))
    with pytest.raises(BadReadingError, match="UNIFIED"):
        await venue.observer.wallet("")


async def test_a_coin_that_comes_twice_is_not_counted_twice(stand_in: BybitV5, venue: CcxtVenue) -> None:
    editing(stand_in, WALLET, lambda result: result["list"][0]["coin"].extend(result["list"][0]["coin"][:]))
    with pytest.raises(BadReadingError, match="more than one row"):
        await venue.observer.wallet("")


@pytest.mark.parametrize(
    ("row", "may_trade", "may_withdraw"),
    [
        ({"readOnly": 0, "permissions": {}}, None, None),
        ({"readOnly": 0}, None, None),
        ({"readOnly": 0, "permissions": {"ContractTrade": [], "Derivatives": ["DerivativesTrade"]}}, True, None),
        ({"readOnly": "0", "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []}}, True, False),
        ({"readOnly": False, "permissions": {"ContractTrade": [], "Wallet": ["Withdraw"]}}, False, True),
        ({"readOnly": 1, "permissions": {"ContractTrade": ["Order"]}}, False, None),
        ({"readOnly": 0, "permissions": {"ContractTrade": 7, "Wallet": None}}, None, None),
    ],
)
def test_rights_that_are_not_said_are_not_known(
    row: dict[str, Any], may_trade: bool | None, may_withdraw: bool | None
) -> None:
    assert (BYBIT.can_trade(row), BYBIT.can_withdraw(row)) == (may_trade, may_withdraw)


# Markets


@pytest.mark.parametrize("category", ["linear", "inverse", "spot"])
async def test_a_reload_that_loses_a_kind_of_market_is_no_reload(
    stand_in: BybitV5, venue: CcxtVenue, category: str
) -> None:
    editing(stand_in, INSTRUMENTS, lambda result: result.update(list=[], nextPageCursor=""), category=category)
    with pytest.raises(BadReadingError, match=f"most of the {category} markets"):
        await venue.open()
    assert venue.observer.instrument(LINEAR).contract_size == 1
    assert isinstance(await venue.trader.submit(await marketable(venue, LINEAR, "1")), Accepted)
    stand_in.clear_faults()
    await venue.open()


async def test_listings_of_contracts_that_the_venue_does_not_have_are_not_asked_for(stand_in: BybitV5) -> None:
    bare = tuple(each for each in DEFAULT_INSTRUMENTS if not each.inverse)
    async with BybitV5({"BTC": "5"}, instruments=bare) as poor, opened(stand_in_venue(poor)) as venue:
        poor.requests.clear()
        await venue.observer.positions()
        assert {(request.params["category"], request.params["settleCoin"]) for request in poor.requests} == {
            ("linear", "USDT")
        }


# Positions and open orders


async def test_a_position_without_a_size_is_not_made_up_from_its_value(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.set_position(LINEAR, -2)
    stand_in.misread_positions("size", "", times=None)
    book = await venue.observer.positions()
    assert book.positions == ()
    assert LINEAR in book.unread
    with pytest.raises(BadReadingError, match="size"):
        await venue.observer.position(venue.observer.instrument(LINEAR))


async def test_rows_of_one_position_that_contradict_each_other_are_no_reading(
    stand_in: BybitV5, venue: CcxtVenue
) -> None:
    stand_in.set_position(LINEAR, -2)

    def doubled(result: dict[str, Any]) -> None:
        result["list"] += [{**row, "side": "Buy"} for row in result["list"]]

    editing(stand_in, POSITIONS, doubled)
    book = await venue.observer.positions()
    assert book.positions == ()
    assert "contradict" in str(book.faults[0])
    with pytest.raises(BadReadingError, match="contradict"):
        await venue.observer.position(venue.observer.instrument(LINEAR))
    stand_in.clear_faults()
    editing(stand_in, POSITIONS, lambda result: result["list"].extend(result["list"][:]))
    assert (await venue.observer.position(venue.observer.instrument(LINEAR))).contracts == -2


async def test_open_orders_are_read_to_the_empty_page(stand_in: BybitV5, venue: CcxtVenue) -> None:
    client = raw(venue)
    for number in range(120):
        await client.create_order(LINEAR, "limit", "sell", "0.01", "61000", {"clientOrderId": f"other-{number}"})
    await client.create_order(INVERSE, "limit", "buy", "100", "59000", {"clientOrderId": "coin"})
    working = (await venue.observer.positions()).working
    assert len(working) == 121
    assert sum((order.contracts for order in working), ZERO) == D("101.2")


# Orders


async def test_a_cover_that_was_cut_at_acceptance_is_filled(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.set_position(LINEAR, -1)
    report = await report_of(venue, await marketable(venue, LINEAR, "1.5", side=Side.BUY, cover=True))
    assert (report.state, report.contracts, report.filled) == (OrderState.FILLED, D(1), D(1))
    assert stand_in.position(LINEAR) == 0


async def test_a_thin_book_leaves_a_part(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.set_book(LINEAR, level_usd=60_000, levels=1)
    report = await report_of(venue, await marketable(venue, LINEAR, "3"))
    assert report.state is OrderState.PARTIAL
    assert ZERO < report.filled < 3
    assert report.filled == -stand_in.position(LINEAR)
    assert report.average_price is not None
    assert 59_000 < report.average_price < 60_100
    stand_in.forget_closed_orders()
    again = await venue.trader.lookup(InstrumentId("main", LINEAR), f"{1:028x}", None)
    assert isinstance(again, OrderReport)
    assert again.filled == report.filled


async def test_a_lookup_that_shows_other_orders_has_found_nothing(stand_in: BybitV5, venue: CcxtVenue) -> None:
    await venue.trader.submit(await marketable(venue, LINEAR, "1"))

    def another(result: dict[str, Any]) -> None:
        for row in result["list"]:
            row["orderLinkId"] = "somebody-else"

    editing(stand_in, REALTIME, another)
    editing(stand_in, HISTORY, another)
    assert isinstance(await venue.trader.lookup(InstrumentId("main", LINEAR), f"{1:028x}", None), NotFound)


@pytest.mark.parametrize(
    "values", [{"cumExecQty": "9"}, {"orderStatus": "Foo"}, {"qty": ""}, {"cumExecQty": ""}, {"cumExecQty": "abc"}]
)
async def test_a_lookup_that_makes_no_sense_is_no_evidence(
    stand_in: BybitV5, venue: CcxtVenue, values: dict[str, str]
) -> None:
    await venue.trader.submit(await marketable(venue, LINEAR, "1"))

    def senseless(result: dict[str, Any]) -> None:
        for row in result["list"]:
            row.update(values)

    editing(stand_in, REALTIME, senseless)
    assert isinstance(await venue.trader.lookup(InstrumentId("main", LINEAR), f"{1:028x}", None), LookupFailed)


CODES = {
    5004: Ambiguous,
    10014: Ambiguous,
    110030: Ambiguous,
    110063: Ambiguous,
    110066: Ambiguous,
    110999: Ambiguous,
    170146: Ambiguous,
    10001: Rejected,
    110007: Rejected,
    110094: Rejected,
}


@pytest.mark.parametrize("code", sorted(CODES))
async def test_only_a_plain_refusal_is_one(stand_in: BybitV5, venue: CcxtVenue, code: int) -> None:
    sent = await marketable(venue, LINEAR, "1")
    stand_in.ret_code(code, accepted=CODES[code] is Ambiguous)
    assert isinstance(await venue.trader.submit(sent), CODES[code])
    assert asked(stand_in, CREATE) == 1


# Funding


async def test_funding_is_read_over_weeks_and_beyond_a_page(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.set_position(INVERSE, -60000)
    hours = 24 * 10
    stand_in.skew_clock(-hours * HOUR_MS)
    start, before = stand_in.exchange.now_ms(), stand_in.wallet("BTC")
    stand_in.set_funding(INVERSE, "0.0001")
    for hour in range(hours):
        stand_in.skew_clock(-(hours - 1 - hour) * HOUR_MS)
        stand_in.settle_funding(INVERSE)
    entries = await venue.observer.funding(venue.observer.instrument(INVERSE), start)
    assert len(entries) == hours
    assert sum((entry.amount for entry in entries), ZERO) == stand_in.wallet("BTC") - before
    assert [entry.at_ms for entry in entries] == sorted(entry.at_ms for entry in entries)


async def test_a_reading_that_fails_is_never_a_shorter_list(stand_in: BybitV5, venue: CcxtVenue) -> None:
    start = stand_in.exchange.now_ms()
    stand_in.set_position(LINEAR, -1)
    stand_in.settle_funding(LINEAR)
    for path, reading in (
        ("/v5/execution/list", lambda: venue.observer.funding(venue.observer.instrument(LINEAR), start)),
        ("/v5/execution/list", lambda: venue.trader.fills(InstrumentId("main", LINEAR), start)),
    ):
        stand_in.clear_faults()
        stand_in.ret_code(10016, path)
        with pytest.raises(VenueError):
            await reading()
    stand_in.clear_faults()
    stand_in.ret_code(10016, REALTIME)
    book = await venue.observer.positions()
    assert book.faults  # the positions are shown, and nobody trades beside orders that could not be read
    assert [position.contracts for position in book.positions] == [-1]
