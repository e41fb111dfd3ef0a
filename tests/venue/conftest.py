"""An independent venue to ask, and a keeper's venue that is connected to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeper.venue.ccxt_venue import CcxtVenue
from tests.support.bybit_v5 import BybitV5
from tests.venue.helpers import opened, stand_in_venue


@pytest.fixture
async def stand_in() -> AsyncIterator[BybitV5]:
    async with BybitV5({"BTC": "5", "ETH": "-0.5", "USDT": "100000"}) as venue:
        yield venue


@pytest.fixture
async def venue(stand_in: BybitV5) -> AsyncIterator[CcxtVenue]:
    async with opened(stand_in_venue(stand_in)) as made:
        yield made
