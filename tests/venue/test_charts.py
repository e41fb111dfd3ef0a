"""Books, candles, funding rates, listings and fees through the real client, against venues that are served here."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from keeper.clock import SystemClock
from keeper.core.model import Kind
from keeper.core.quotes import FundingRate
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import MarketKey, MarketKind, WalletKind
from keeper.venue.base import BadReadingError
from keeper.venue.ccxt_venue import CcxtVenue, Credentials
from keeper.venue.further import NotOfferedError
from tests.support.bybit_v5 import BybitV5
from tests.venue.helpers import opened, raw, venue_of
from tests.venue.test_payloads import bingx, mexc, venue_over, weex

D = Decimal
HOUR, DAY = 3_600_000, 86_400_000
KEY, SECRET = "sim-key-of-the-test", "sim-secret-of-the-test"


@pytest.fixture
async def exchange() -> Exchange:
    made = Exchange(SystemClock(), seed=7)
    made.add_account(KEY, SECRET)
    made.deposit(KEY, "USDT", D(100_000), WalletKind.USDM)
    return made


@pytest.fixture
async def simulated(exchange: Exchange) -> AsyncIterator[CcxtVenue]:
    async with SimServer(exchange, clock=SystemClock(), tick_seconds=5) as server:
        made = venue_of("binance", {"urls": {"api": server.urls}}, credentials=Credentials(KEY, SECRET))
        async with opened(made) as venue:
            yield venue


@contextmanager
def pages_of(venue: CcxtVenue, **changes: Any) -> Iterator[None]:
    """The venue with other page sizes in its row of the table, so that a short history has many pages."""
    before = venue.connection.capability
    venue.connection.capability = dataclasses.replace(before, **changes)
    yield
    venue.connection.capability = before


# Books


async def test_a_book_is_the_venues_own_in_contracts(exchange: Exchange, simulated: CcxtVenue) -> None:
    for symbol, key in (
        ("BTC/USDT:USDT", MarketKey(MarketKind.LINEAR, "BTCUSDT")),
        ("BTC/USD:BTC", MarketKey(MarketKind.INVERSE, "BTCUSD_PERP")),
    ):
        instrument = simulated.observer.instrument(symbol)
        book = await simulated.observer.book(instrument, 5)
        wanted = exchange.book(key, 5)
        assert [(level.price, level.contracts) for level in book.bids] == [tuple(each) for each in wanted.bids]
        assert [(level.price, level.contracts) for level in book.asks] == [tuple(each) for each in wanted.asks]
        assert book.mid is not None
        assert book.bids[0].price < book.mid < book.asks[0].price
        assert book.at_ms is not None
        assert len(book.bids) == 5


async def test_a_depth_that_the_venue_does_not_have_is_the_next_deeper_one_cut(simulated: CcxtVenue) -> None:
    instrument = simulated.observer.instrument("BTC/USDT:USDT")
    asked: list[int] = []
    client = raw(simulated)
    plain = client.fetch_order_book

    async def noting(symbol: str, limit: int, *more: Any) -> Any:
        asked.append(limit)
        return await plain(symbol, limit, *more)

    client.fetch_order_book = noting
    assert len((await simulated.observer.book(instrument, 7)).bids) == 7
    assert asked == [10]


async def test_sizes_of_a_book_on_a_venue_that_counts_dollars(stand_in: BybitV5, venue: CcxtVenue) -> None:
    inverse = venue.observer.instrument("BTC/USD:BTC")
    book = await venue.observer.book(inverse)
    market = stand_in.exchange.market("inverse", "BTCUSD")
    assert book.bids[0] == dataclasses.replace(book.bids[0], price=next(market.depth("Sell")).price)
    assert inverse.notional(book.bids[0].contracts, book.bids[0].price) == book.bids[0].contracts


def deribit_book(query: Mapping[str, str]) -> Any:
    assert query["depth"] == "50"
    return {
        "result": {"bids": [[7814.0, 351820.0], [7813.5, 0]], "asks": [[7814.5, 11880.0]], "timestamp": 1583781354740}
    }


def deribit(**more: Any) -> dict[str, Any]:
    row = {
        "instrument_name": "BTC-PERPETUAL", "kind": "future", "settlement_period": "perpetual", "base_currency": "BTC",
        "quote_currency": "USD", "settlement_currency": "BTC", "counter_currency": "USD", "instrument_type": "reversed",
        "contract_size": 10.0, "min_trade_amount": 10.0, "tick_size": 0.5, "is_active": True,
        "expiration_timestamp": 32503708800000, "creation_timestamp": 1534242287000, "maker_commission": 0.0,
        "taker_commission": 0.0005, "price_index": "btc_usd",
    }  # fmt: skip
    return {"/api/v2/public/get_instruments": {"result": [row]}} | more


async def test_a_book_in_dollars_is_counted_in_contracts_of_ten() -> None:
    async with venue_over("deribit", deribit(**{"/api/v2/public/get_order_book": deribit_book})) as venue:
        instrument = venue.observer.instrument("BTC/USD:BTC")
        book = await venue.observer.book(instrument)
        assert [(level.price, level.contracts) for level in book.bids] == [(D(7814), D(35182))]
        assert book.asks[0].contracts == D(1188)
        assert instrument.notional(book.bids[0].contracts, D(7814)) == D(351820)


async def test_a_book_that_is_crossed_is_no_book() -> None:
    def crossed(_: Any) -> Any:
        return {"result": {"bids": [[7815, 10]], "asks": [[7814.5, 10]], "timestamp": 1}}

    async with venue_over("deribit", deribit(**{"/api/v2/public/get_order_book": crossed})) as venue:
        with pytest.raises(BadReadingError, match="not below"):
            await venue.observer.book(venue.observer.instrument("BTC/USD:BTC"))


# Candles


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"])
async def test_candles_are_whole_closed_and_paged(simulated: CcxtVenue, symbol: str) -> None:
    now = simulated.connection.clock.now_ms()
    since = now - 50 * HOUR
    with pages_of(simulated, candles_a_page=8):
        candles = await simulated.observer.candles(symbol, "1h", since, now)
    first = -(-since // HOUR) * HOUR
    closed = [at for at in range(first, now, HOUR) if at + HOUR + 5_000 <= now]
    assert [candle.open_ms for candle in candles] == closed
    assert len({candle.close for candle in candles}) > 10
    again = await simulated.observer.candles(symbol, "1h", since, now)
    assert again == candles
    middle = await simulated.observer.candles(symbol, "1h", candles[10].open_ms, candles[20].open_ms)
    assert middle == candles[10:20]


async def test_candles_of_a_venue_that_keeps_the_newest_of_a_page(venue: CcxtVenue) -> None:
    now = venue.connection.clock.now_ms()
    with pages_of(venue, candles_a_page=5):
        for symbol in ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"):
            candles = await venue.observer.candles(symbol, "4h", now - 10 * DAY, now)
            steps = {later.open_ms - sooner.open_ms for sooner, later in itertools.pairwise(candles)}
            assert steps == {4 * HOUR}
            assert len(candles) in (59, 60)


async def test_what_no_venue_can_show_is_said_and_not_shown_as_none(simulated: CcxtVenue) -> None:
    for frame, wrong in (("7m", "no candles of 7m"), ("1w", "longer than a day")):
        with pytest.raises(NotOfferedError, match=wrong):
            await simulated.observer.candles("BTC/USDT", frame, 0, DAY)
    with pytest.raises(NotOfferedError, match="pages"):
        await simulated.observer.candles("BTC/USDT", "1m", 0, simulated.connection.clock.now_ms())
    async with venue_over("weex", weex([])) as venue:
        with pytest.raises(NotOfferedError, match="by time"):
            await venue.observer.candles("ETH/USDT", "1h", 0, DAY)


# Funding rates


async def test_funding_rates_are_paged_to_the_end(exchange: Exchange, simulated: CcxtVenue) -> None:
    now = simulated.connection.clock.now_ms()
    instrument = simulated.observer.instrument("BTC/USDT:USDT")
    history = dataclasses.replace(simulated.connection.capability.rates, rows_a_page=30)
    with pages_of(simulated, rates=history):
        rates = await simulated.observer.funding_rates(instrument, now - 20 * DAY)
    key = MarketKey(MarketKind.LINEAR, "BTCUSDT")
    wanted = exchange.funding_history(key, limit=1000, start_ms=now - 20 * DAY)
    assert [(rate.at_ms, rate.rate) for rate in rates] == [(each.time_ms, each.rate) for each in wanted]
    assert len(rates) == 60


async def test_funding_rates_of_bybit(stand_in: BybitV5, venue: CcxtVenue) -> None:
    now = venue.connection.clock.now_ms()
    rates = await venue.observer.funding_rates(venue.observer.instrument("BTC/USD:BTC"), now - 30 * DAY)
    market = stand_in.exchange.market("inverse", "BTCUSD")
    wanted = [each for each in market.funding_history(now, 1000) if each[0] >= now - 30 * DAY]
    assert [(rate.at_ms, rate.rate) for rate in rates] == sorted(wanted)


async def test_an_hourly_rate_is_the_hours_own() -> None:
    now = SystemClock().now_ms()

    def history(query: Mapping[str, str]) -> Any:
        start, end = int(query["start_timestamp"]), int(query["end_timestamp"])
        rows = [
            {"timestamp": at, "index_price": 8222.87, "interest_8h": -0.0008, "interest_1h": -0.0001}
            for at in (now - 3 * HOUR, now - 2 * HOUR, now - 40 * DAY)
        ]
        return {"result": [row for row in rows if start <= row["timestamp"] <= end]}

    routes = deribit(**{"/api/v2/public/get_funding_rate_history": history})
    async with venue_over("deribit", routes) as venue:
        rates = await venue.observer.funding_rates(venue.observer.instrument("BTC/USD:BTC"), now - 50 * DAY)
        assert [rate.at_ms for rate in rates] == [now - 40 * DAY, now - 3 * HOUR, now - 2 * HOUR]
        assert {rate.rate for rate in rates} == {D("-0.0001")}


async def test_a_history_that_has_pages_by_number_is_read_to_its_end() -> None:
    now = SystemClock().now_ms() // HOUR * HOUR

    def history(query: Mapping[str, str]) -> Any:
        size, page = int(query["page_size"]), int(query["page_num"])
        rows = [{"symbol": "BTC_USDT", "fundingRate": 0.0001 * n, "settleTime": now - n * 8 * HOUR} for n in range(25)]
        return {"success": True, "code": 0, "data": {"resultList": rows[(page - 1) * size : page * size]}}

    routes = mexc([]) | {"/api/v1/contract/funding_rate/history": history}
    async with venue_over("mexc", routes) as venue:
        before = venue.connection.capability.rates
        assert before.read is not None
        shorter = dataclasses.replace(before, read=dataclasses.replace(before.read, limit=10))
        with pages_of(venue, rates=shorter):
            rates = await venue.observer.funding_rates(venue.observer.instrument("BTC/USDT:USDT"), now - 22 * 8 * HOUR)
        assert len(rates) == 23
        assert rates[-2] == FundingRate(now - 8 * HOUR, D("0.0001"))


async def test_rates_that_a_venue_does_not_show() -> None:
    async with venue_over("bingx", bingx([], [])) as venue:
        with pytest.raises(NotOfferedError, match="does not show"):
            await venue.observer.funding_rates(venue.observer.instrument("SOL/USD:SOL"), 0)


# Listings and fees


async def test_what_is_listed_is_what_can_hedge(simulated: CcxtVenue) -> None:
    listed = simulated.observer.listed("BTC")
    assert {(each.kind, each.expires_at_ms is None) for each in listed} >= {(Kind.LINEAR, True), (Kind.INVERSE, True)}
    assert all(each.base == "BTC" for each in listed)
    assert simulated.observer.listed("NOPE") == ()
    markets = raw(simulated).markets
    dated = dict(markets["BTC/USDT:USDT"]) | {"symbol": "BTC/USDT:USDT-301227", "future": True, "swap": False}
    markets["BTC/USDT:USDT-301227"] = dated | {"expiry": simulated.connection.clock.now_ms() + 30 * DAY}
    markets["BTC/USDT:USDT-201225"] = dated | {"symbol": "BTC/USDT:USDT-201225", "expiry": 1_608_883_200_000}
    markets["BTC/USDT:ETH"] = dated | {"symbol": "BTC/USDT:ETH", "settle": "ETH", "linear": False, "quanto": True}
    markets["BTC/USDC:USDC"] = dict(markets["BTC/USDT:USDT"]) | {"symbol": "BTC/USDC:USDC", "active": False}
    added = {each.id.symbol for each in simulated.observer.listed("BTC")} - {each.id.symbol for each in listed}
    assert added == {"BTC/USDT:USDT-301227"}
    assert simulated.observer.listed("BTC")[-1].expires_at_ms is not None


async def test_fees_of_the_account_and_else_of_the_list(stand_in: BybitV5, venue: CcxtVenue) -> None:
    fees = await venue.observer.fees(venue.observer.instrument("BTC/USDT:USDT"))
    assert fees is not None
    assert fees.of_account
    assert D(0) < fees.maker < fees.taker < D("0.01")
    async with venue_over("weex", weex([])) as other:
        listed = await other.observer.fees(other.observer.instrument("ETH/USDT:USDT"))
        assert listed is not None
        assert (listed.maker, listed.taker, listed.of_account) == (D("0.0002"), D("0.0008"), False)
