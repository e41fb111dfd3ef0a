"""Readings over real sockets, against a stand-in for OKX's v5 protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from keeper.core.model import ZERO
from keeper.venue.base import BadReadingError, UnreachableError, VenueError
from keeper.venue.ccxt_venue import CcxtVenue
from tests.support.okx_v5 import OkxV5
from tests.support.okx_v5.venue import BALANCE, POSITIONS
from tests.support.okx_v5.wire import Json
from tests.venue.helpers import asked, okx_venue, opened

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
MARKS, TICKERS, TICKER = "/public/mark-price", "/market/tickers", "/market/ticker"
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


async def test_coins_are_counted_without_the_profit_that_is_open(okx: OkxV5, venue: CcxtVenue) -> None:
    okx.foreign_trade(INVERSE, "-1000")
    cash = okx.cash("BTC")
    okx.set_price("BTC", 50_000)
    assert okx.exchange.equity("BTC") > cash
    assert abs((await venue.observer.wallet("")).totals["BTC"] - cash) < D("1e-12")
    (held,) = (await venue.observer.positions()).positions
    assert (held.instrument.id.symbol, held.contracts, held.entry_price) == (INVERSE, D(-1000), D(60_000))


@pytest.mark.parametrize(
    "change",
    [lambda account: account.update(details=[]), lambda account: account.pop("details")],
    ids=["no coins", "no list"],
)
async def test_an_account_without_a_coin_is_no_account_without_coins(
    okx: OkxV5, venue: CcxtVenue, change: Callable[[Json], object]
) -> None:
    okx.edit(BALANCE, change)
    with pytest.raises(BadReadingError):
        await venue.observer.wallet("")


async def test_a_position_that_does_not_say_its_kind_is_a_position(okx: OkxV5, venue: CcxtVenue) -> None:
    okx.foreign_trade(LINEAR, "-100")
    okx.edit(POSITIONS, lambda row: row.pop("instType"))
    (held,) = (await venue.observer.positions()).positions
    assert held.contracts == -100
    margins = {margin.asset: margin for margin in await venue.observer.margins()}
    assert [each.instrument.symbol for each in margins["USDT"].positions] == [LINEAR]
    okx.clear_faults()
    okx.edit(POSITIONS, lambda row: row.update(instType="MARGIN"))
    assert (await venue.observer.positions()).positions == ()  # somebody else's affair


async def test_a_position_in_a_market_that_nobody_lists_is_a_fault(okx: OkxV5, venue: CcxtVenue) -> None:
    okx.foreign_trade(LINEAR, "-100")
    okx.edit(POSITIONS, lambda row: row.update(instId="BTC-EUR-SWAP", instType=""))
    assert "no market explains" in str((await venue.observer.positions()).faults[0])


# Prices


async def test_two_lists_make_the_prices_of_every_contract(okx: OkxV5, venue: CcxtVenue) -> None:
    instruments = [venue.observer.instrument(symbol) for symbol in (LINEAR, "ETH/USDT:USDT", INVERSE)]
    okx.requests.clear()
    marks = await venue.observer.marks(instruments)
    assert [marks[each.id].mark for each in instruments] == [60_000, 3_000, 60_000]
    assert len(okx.requests) == 2


@pytest.mark.parametrize(("code", "status"), [(404, 404), (50014, 400), (51000, 200)])
async def test_prices_are_asked_for_one_by_one_where_there_is_no_list(
    okx: OkxV5, venue: CcxtVenue, code: int, status: int
) -> None:
    instruments = [venue.observer.instrument(symbol) for symbol in (LINEAR, INVERSE)]
    for path in (MARKS, TICKERS):
        okx.code(code, status, path, where=lambda params: "instId" not in params, times=None)
    marks = await venue.observer.marks(instruments)
    for instrument in instruments:
        mark, market = marks[instrument.id], okx.market(instrument.id.symbol)
        assert (mark.mark, mark.bid, mark.ask, mark.fault) == (market.mark, market.bid, market.ask, None)
    assert (asked(okx, MARKS), asked(okx, TICKER)) == (3, 2)


async def test_an_outage_of_a_list_is_an_outage(okx: OkxV5, venue: CcxtVenue) -> None:
    instrument = venue.observer.instrument(LINEAR)
    for path in (MARKS, TICKERS):
        okx.code(50001, 503, path, times=None)
    with pytest.raises(UnreachableError):
        await venue.observer.marks([instrument])
    assert asked(okx, TICKER) == 0
    okx.clear_faults()
    okx.code(404, 404, MARKS, times=None)
    okx.code(404, 404, TICKER, times=None)
    mark = (await venue.observer.marks([instrument]))[instrument.id]
    assert mark.fault is not None  # what is made up of other prices is for looking at alone


# Funding


async def test_funding_is_read_from_the_bills(okx: OkxV5, venue: CcxtVenue) -> None:
    start = okx.exchange.now_ms()
    okx.foreign_trade(INVERSE, "-1000")
    okx.settle_funding(INVERSE)
    okx.settle_funding(INVERSE)
    entries = await venue.observer.funding(venue.observer.instrument(INVERSE), start)
    received = D(1000 * 100) / 60_000 * D("0.0001")
    assert [entry.asset for entry in entries] == ["BTC", "BTC"]
    assert abs(sum((entry.amount for entry in entries), ZERO) - 2 * received) < D("1e-8")


async def test_funding_of_one_contract_is_read_beyond_a_page_of_many(okx: OkxV5, venue: CcxtVenue) -> None:
    start = okx.exchange.now_ms()
    for symbol in (LINEAR, "ETH/USDT:USDT"):
        okx.foreign_trade(symbol, "-100")
    before = okx.cash("USDT")
    okx.settle_funding(LINEAR)
    received = okx.cash("USDT") - before
    for _ in range(230):
        okx.settle_funding("ETH/USDT:USDT")
    (entry,) = await venue.observer.funding(venue.observer.instrument(LINEAR), start)
    assert (entry.amount, entry.asset) == (received, "USDT")
    assert len(await venue.observer.funding(venue.observer.instrument("ETH/USDT:USDT"), start)) == 230
    okx.code(50001, 503, "/account/bills-archive")
    with pytest.raises(UnreachableError):
        await venue.observer.funding(venue.observer.instrument(LINEAR), start)


async def test_what_was_sold_in_many_parts_has_left(okx: OkxV5, venue: CcxtVenue) -> None:
    start = okx.exchange.now_ms()
    for _ in range(250):
        okx.foreign_trade("BTC/USDT", "-0.02")
    account = (await venue.observer.wallet("")).account
    assert await venue.observer.outflow(account, "BTC", start) == 5
    assert await venue.observer.outflow(account, "ETH", start) == 0


async def test_the_clock_and_the_account_are_told(okx: OkxV5, venue: CcxtVenue) -> None:
    okx.server.told_skew_ms = 40_000
    assert 39_000 < await venue.observer.clock_offset_ms() < 41_000
    okx.exchange.position_mode = "long_short_mode"
    okx.exchange.rights = "read_only,trade,withdraw"
    facts = await venue.observer.facts([venue.observer.instrument(LINEAR)])
    assert (facts.one_way, facts.can_trade, facts.can_withdraw) == (False, True, True)
    okx.skew_clock(60_000)
    with pytest.raises(VenueError) as failure:
        await venue.observer.positions()
    assert failure.value.code == "clock_refused"
