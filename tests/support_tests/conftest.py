"""A venue with a little of everything, and the real client on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bybit_v5 import BybitV5
from tests.support.bybit_v5.client import Client, client_of


@pytest.fixture
async def venue() -> AsyncIterator[BybitV5]:
    async with BybitV5({"BTC": "5", "USDT": "100000"}) as running:
        yield running
        assert running.unknown_paths == []


@pytest.fixture
async def client(venue: BybitV5) -> AsyncIterator[Client]:
    async with client_of(venue) as connected:
        await connected.load_markets()
        yield connected
