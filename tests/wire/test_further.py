"""Books, candles, listings, funding rates and fees say the same in process and behind the real client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from keeper.core.model import Instrument
from keeper.core.quotes import Fees
from keeper.sim.local import LocalVenue
from keeper.sim.types import inverse, linear
from keeper.venue.ccxt_venue import Credentials, VenuePolicy, make_venue
from keeper.venue.observer import CcxtObserver
from tests.wire.conftest import KEY, SECRET, Venue

D = Decimal
HOUR_MS = 3_600_000
CONTRACTS = ("BTC/USDT:USDT", "BTC/USD:BTC")


@dataclass
class Both:
    """One exchange, asked in both ways."""

    local: LocalVenue
    real: CcxtObserver
    venue: Venue

    def contracts(self) -> list[tuple[Instrument, Instrument]]:
        dated = [each.id.symbol for each in self.local.listed("BTC") if each.expires_at_ms]
        return [(self.local.instrument(symbol), self.real.instrument(symbol)) for symbol in (*CONTRACTS, *dated)]


@pytest.fixture
async def both(venue: Venue) -> AsyncIterator[Both]:
    for key in (linear("BTCUSDT"), inverse("BTCUSD_PERP")):
        venue.exchange.list_quarters(key, D("0.08"))
    local = LocalVenue("main", venue.exchange, KEY, venue.server.clock)
    await local.open()
    urls: dict[str, Any] = {"urls": {"api": venue.server.urls}}
    policy, credentials = VenuePolicy(True, "testnet"), Credentials(KEY, SECRET)
    made = make_venue("main", "binance", policy, credentials, urls, venue.server.clock, 5.0, 5.0)
    await made.open()
    yield Both(local, made.observer, venue)
    await made.close()


async def test_the_same_contracts_are_listed_with_the_same_rules(both: Both) -> None:
    listed = list(both.local.listed("BTC"))
    assert [each.id for each in listed] == [each.id for each in both.real.listed("BTC")]
    assert len(listed) == 6
    for ours, theirs in both.contracts():
        assert (ours.kind, ours.contract_size, ours.tick) == (theirs.kind, theirs.contract_size, theirs.tick)
        assert (ours.step_contracts, ours.min_notional) == (theirs.step_contracts, theirs.min_notional)
        assert (ours.expires_at_ms, ours.settle) == (theirs.expires_at_ms, theirs.settle)


async def test_books_are_the_same(both: Both) -> None:
    for ours, theirs in both.contracts():
        book, read = await both.local.book(ours, 5), await both.real.book(theirs, 5)
        assert (book.bids, book.asks) == (read.bids, read.asks)
        assert len(book.bids) == 5


async def test_candles_are_the_same(both: Both) -> None:
    now_ms = both.venue.server.clock.now_ms()
    until_ms = now_ms - HOUR_MS
    for symbol in (*CONTRACTS, "BTC/USDT", both.contracts()[-1][0].id.symbol):
        for timeframe, back in (("1m", 30), ("1h", 1_200), ("1d", 24 * 40)):
            span = (symbol, timeframe, until_ms - back * HOUR_MS, until_ms)
            bars = await both.local.candles(*span)
            assert bars == await both.real.candles(*span)
            assert len(bars) in ({"1m": 1_800, "1h": 1_200, "1d": 40}[timeframe] + extra for extra in (-1, 0, 1))


async def test_funding_rates_are_the_same(both: Both) -> None:
    since_ms = both.venue.server.clock.now_ms() - 60 * 24 * HOUR_MS
    for ours, theirs in both.contracts():
        rates = await both.local.funding_rates(ours, since_ms)
        assert rates == await both.real.funding_rates(theirs, since_ms)
        assert len(rates) == (180 if ours.expires_at_ms is None else 0)


async def test_fees_are_the_same(both: Both) -> None:
    for ours, theirs in both.contracts():
        fees = await both.local.fees(ours)
        read = await both.real.fees(theirs)
        assert fees == Fees(D("0.0002"), D("0.0005"), of_account=True)
        assert read is not None
        assert fees is not None
        assert (fees.maker, fees.taker) == (read.maker, read.taker)
