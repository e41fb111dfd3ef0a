"""One exchange, one server, and real clients that are closed when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
import pytest

from keeper.clock import Clock, SystemClock
from keeper.sim.control import ControlServer
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import WalletKind

KEY, SECRET = "test-key", "test-secret"
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "wire" / "binance"

LINEAR, INVERSE, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"


@dataclass
class Venue:
    """An exchange that is being served, with one funded account."""

    exchange: Exchange
    server: SimServer
    clients: list[Any] = field(default_factory=list)

    def client(self, **changes: Any) -> Any:
        """A ``ccxt.pro.binance`` with the URLs changed, and no throttle so that the tests are quick."""
        settings = {
            "apiKey": KEY,
            "secret": SECRET,
            "enableRateLimit": False,
            "urls": {"api": self.server.urls},
            "options": {"fetchOpenOrders": {"warnWithoutSymbol": False}},
        }
        made = ccxt.pro.binance(settings | changes)
        made.timeout_on_exit = 10  # milliseconds; it would wait a quarter of a second after each test
        self.clients.append(made)
        return made


def funded(clock: Clock) -> Exchange:
    """An exchange with one account that has money in every wallet."""
    exchange = Exchange(clock, seed=7)
    exchange.add_account(KEY, SECRET)
    for asset, amount, wallet in (
        ("USDT", "100000", WalletKind.SPOT),
        ("BTC", "5", WalletKind.SPOT),
        ("USDT", "100000", WalletKind.USDM),
        ("BTC", "2", WalletKind.COINM),
        ("ETH", "3", WalletKind.FUNDING),
    ):
        exchange.deposit(KEY, asset, Decimal(amount), wallet)
    return exchange


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    clock = SystemClock()
    exchange = funded(clock)
    async with SimServer(exchange, clock=clock, tick_seconds=0.2) as server:
        served = Venue(exchange, server)
        yield served
        for client in served.clients:
            await client.close()


@pytest.fixture
async def client(venue: Venue) -> Any:
    made = venue.client()
    await made.load_markets()
    return made


@dataclass
class Control:
    """The control API, asked over HTTP."""

    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with self.session.request(method, path, json=body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def state(self) -> Any:
        return await self.ask("GET", "/state")


@pytest.fixture
async def control(venue: Venue) -> AsyncIterator[Control]:
    async with (
        ControlServer(venue.exchange, KEY, clock=venue.server.clock) as server,
        aiohttp.ClientSession(server.base_url) as session,
    ):
        yield Control(session)
