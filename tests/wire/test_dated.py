"""Dated contracts and an index future behind the real client: listed, priced, traded, delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from keeper.clock import SystemClock
from keeper.core.model import AccountId, Contracts, Kind
from keeper.sim.calendar import YEAR_MS, day_of, quarter_ends
from keeper.sim.defaults import default_markets, index_market
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import ExchangeOptions, MarketKey, WalletKind, inverse, linear
from keeper.venue.ccxt_venue import Credentials, VenuePolicy, make_venue
from tests.wire.conftest import KEY, SECRET, Venue

D = Decimal
DAY_MS = 86_400_000


class OffsetClock(SystemClock):
    """A clock that can be put forward by days; it runs on from there."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    clock = OffsetClock()
    prices = {"BTC": D(60_000), "ETH": D(3_500), "SOL": D(150), "TOP10": D(2_000)}
    options = ExchangeOptions(delivery_ms=60_000, initial_prices=prices)
    exchange = Exchange(clock, 7, (*default_markets(), index_market("TOP10")), options)
    for key in (linear("BTCUSDT"), inverse("BTCUSD_PERP")):
        exchange.list_quarters(key, D("0.08"))
    exchange.add_account(KEY, SECRET)
    exchange.deposit(KEY, "USDT", D(1_000_000), WalletKind.USDM)
    exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    async with SimServer(exchange, clock=clock, tick_seconds=0.2) as server:
        served = Venue(exchange, server)
        yield served
        for client in served.clients:
            await client.close()


def dated(venue: Venue) -> dict[str, tuple[MarketKey, int]]:
    """The dated contracts by the client's symbols."""
    ends = quarter_ends(venue.server.clock.now_ms())
    days = {end: day_of(end) for end in ends}
    return {f"BTC/USDT:USDT-{text}": (linear(f"BTCUSDT_{text}"), end) for end, text in days.items()} | {
        f"BTC/USD:BTC-{text}": (inverse(f"BTCUSD_{text}"), end) for end, text in days.items()
    }


async def put_forward(venue: Venue, client: Any, to_ms: int) -> None:
    """Let the days pass, and tell the client, which signs by its own clock."""
    clock = venue.server.clock
    assert isinstance(clock, OffsetClock)
    clock.ahead_ms += to_ms - clock.now_ms()
    venue.server.tick()
    await client.load_time_difference()


async def test_the_client_knows_them_as_futures_that_expire(venue: Venue, client: Any) -> None:
    for symbol, (key, end) in dated(venue).items():
        market = client.market(symbol)
        assert (market["id"], market["type"], market["expiry"], market["active"]) == (key.symbol, "future", end, True)
        assert market["future"]
        assert not market["swap"]
        assert market["contractSize"] == (100 if market["inverse"] else 1)
    kinds = {row["info"]["contractType"] for row in client.markets.values() if row["future"]}
    assert kinds == {"CURRENT_QUARTER", "NEXT_QUARTER"}


async def test_they_are_priced_at_their_basis_and_pay_no_funding(venue: Venue, client: Any) -> None:
    for symbol, (key, end) in dated(venue).items():
        mark = venue.exchange.mark_price(key)
        left = Decimal(end - venue.server.clock.now_ms()) / YEAR_MS
        assert mark == pytest.approx(60_000 * (1 + D("0.08") * left), abs=D("0.1"))
        book = await client.fetch_order_book(symbol, 5)
        assert book["bids"][0][0] == pytest.approx(float(mark), abs=5)
        bars = await client.fetch_ohlcv(symbol, "1d", limit=10)
        assert bars[-1][4] == pytest.approx(float(mark), abs=5)
        if client.market(symbol)["linear"]:
            row = await client.fapiPublicGetPremiumIndex({"symbol": key.symbol})
        else:
            (row,) = await client.dapiPublicGetPremiumIndex({"symbol": key.symbol})
        assert (row["lastFundingRate"], row["nextFundingTime"]) == ("", 0)
        assert D(row["indexPrice"]) == 60_000


async def test_a_position_is_held_and_delivered(venue: Venue, client: Any) -> None:
    found = sorted(dated(venue).items(), key=lambda each: each[1][1])
    coin, (key, end) = next(each for each in found if each[0].startswith("BTC/USD:"))
    order = await client.create_order(coin, "limit", "sell", 3000, 59_900, {"timeInForce": "IOC"})
    assert (await client.fetch_order(order["id"], coin))["filled"] == 3000
    (held,) = [row for row in await client.fetch_positions([coin], {"subType": "inverse"}) if row["contracts"]]
    assert (held["contracts"], held["side"]) == (3000, "short")
    entry = D(str(held["entryPrice"]))
    await put_forward(venue, client, end)
    with pytest.raises(ccxt.ExchangeError):
        await client.create_order(coin, "limit", "buy", 1, 60_000, {"timeInForce": "IOC"})
    assert not (await client.load_markets(True))[coin]["active"]
    assert client.market(coin)["info"]["contractStatus"] == "DELIVERING"
    await put_forward(venue, client, end + 60_000)
    assert [row for row in await client.fetch_positions([coin], {"subType": "inverse"}) if row["contracts"]] == []
    (row,) = await client.dapiPrivateGetIncome({"incomeType": "DELIVERED_SETTELMENT"})
    assert (row["symbol"], row["asset"]) == (key.symbol, "BTC")
    assert D(row["income"]) == pytest.approx(300_000 * (1 / D(60_000) - 1 / entry), abs=D("0.00000001"))
    await client.load_markets(True)
    assert client.market(coin)["info"]["contractStatus"] == "DELIVERED"
    coming = f"BTC/USD:BTC-{day_of(quarter_ends(end)[1])}"
    assert client.market(coming)["active"]
    await put_forward(venue, client, end + 3_660_000)
    assert coin not in await client.load_markets(True)


async def test_what_expires_has_no_funding_rate(venue: Venue, client: Any) -> None:
    rates = await client.fetch_funding_rates()
    assert rates["BTC/USDT:USDT"]["fundingRate"] == 0.0001
    assert {rates[symbol]["fundingRate"] for symbol in dated(venue) if symbol in rates} == {None}
    assert not set(dated(venue)) & set(await client.fetch_funding_intervals())
    coin = next(symbol for symbol in dated(venue) if symbol.startswith("BTC/USD:"))
    assert await client.dapiPublicGetFundingRate({"symbol": dated(venue)[coin][0].symbol}) == []


async def test_keeper_sees_instruments_that_expire_and_one_of_many_units(venue: Venue) -> None:
    policy, credentials = VenuePolicy(True, "testnet"), Credentials(KEY, SECRET)
    urls: dict[str, Any] = {"urls": {"api": venue.server.urls}}
    made = make_venue("main", "binance", policy, credentials, urls, venue.server.clock, 5.0, 5.0)
    await made.open()
    try:
        for symbol, (_, end) in dated(venue).items():
            instrument = made.observer.instrument(symbol)
            assert instrument.expires_at_ms == end
            assert instrument.kind is (Kind.INVERSE if "USD:BTC" in symbol else Kind.LINEAR)
        top = made.observer.instrument("TOP10/USDT:USDT")
        assert (top.contract_size, top.step_contracts, top.base) == (D(100), D("0.01"), "TOP10")
        venue.exchange.foreign_trade(KEY, linear("TOP10USDT"), D("-1.25"))
        coin = next(symbol for symbol in dated(venue) if "USD:BTC" in symbol)
        venue.exchange.foreign_trade(KEY, dated(venue)[coin][0], D(-300))
        book = await made.observer.positions()
        held = {each.instrument.id.symbol: each.contracts for each in book.positions}
        assert held == {"TOP10/USDT:USDT": D("-1.25"), coin: D(-300)}
        marks = await made.observer.marks([top, made.observer.instrument(coin)])
        assert marks[top.id].mark == 2_000
        assert top.notional(Contracts(held["TOP10/USDT:USDT"]), D(2_000)) == -250_000
        assert made.observer.collateral(made.observer.instrument(coin)) == (AccountId("main", "inverse"), False)
    finally:
        await made.close()


async def test_an_index_future_is_one_contract_of_so_many_a_point(venue: Venue, client: Any) -> None:
    market = client.market("TOP10/USDT:USDT")
    assert (market["contractSize"], market["linear"], market["swap"]) == (100, True, True)
    order = await client.create_order("TOP10/USDT:USDT", "limit", "sell", 1.25, 1_990, {"timeInForce": "IOC"})
    assert order["filled"] == 1.25
    assert order["cost"] == pytest.approx(250_000, rel=1e-3)
    (held,) = [row for row in await client.fetch_positions(["TOP10/USDT:USDT"]) if row["contracts"]]
    assert (held["contracts"], held["contractSize"]) == (1.25, 100)
    assert abs(held["notional"]) == 250_000
