"""Where the stories take place: a house on a flaky line, a served exchange, and a stand-in of another venue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from keeper.clock import SystemClock
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import WalletKind
from keeper.venue.ccxt_venue import CcxtVenue, Credentials
from tests.loop.house import House
from tests.loop.test_faults import FlakyHouse
from tests.support.bybit_v5 import BybitV5
from tests.venue.helpers import opened, venue_of

D = Decimal
KEY, SECRET = "mutant-key-90c1", "mutant-secret-77ab"


@asynccontextmanager
async def flaky(folder: Path) -> AsyncIterator[FlakyHouse]:
    """A whole keeper on a line that loses what it is told to lose."""
    house = FlakyHouse(folder)
    try:
        await house.start()
        yield house
    finally:
        await house.close()


@asynccontextmanager
async def housed(folder: Path) -> AsyncIterator[House]:
    """A whole keeper on a faithful line."""
    house = House(folder)
    try:
        await house.hedge()
        await house.open()
        yield house
    finally:
        await house.close()


@asynccontextmanager
async def served() -> AsyncIterator[tuple[SimServer, CcxtVenue]]:
    """The simulated exchange over sockets, and the real client on it."""
    clock = SystemClock()
    exchange = Exchange(clock, seed=7)
    exchange.add_account(KEY, SECRET)
    exchange.deposit(KEY, "USDT", D(100_000), WalletKind.USDM)
    async with SimServer(exchange, clock=clock, tick_seconds=0.5) as server:
        options = {"urls": {"api": server.urls}}
        made = venue_of("binance", options, credentials=Credentials(KEY, SECRET))
        async with opened(made) as venue:
            yield server, venue


@asynccontextmanager
async def stood_in() -> AsyncIterator[tuple[BybitV5, CcxtVenue]]:
    """A stand-in of another venue over sockets, and the real client on it."""
    async with BybitV5({"BTC": "5", "USDT": "100000"}) as stand_in:
        config = stand_in.ccxt_config()
        made = venue_of("bybit", {"urls": config["urls"]}, credentials=Credentials(config["apiKey"], config["secret"]))
        async with opened(made) as venue:
            yield stand_in, venue
