"""A look every five seconds at the venues' public limits: nothing waits, however long it goes on."""

from __future__ import annotations

import asyncio

import pytest

from keeper.clock import ManualClock, SystemClock
from keeper.core.model import Instrument
from keeper.venue.ccxt_venue import CcxtVenue, Credentials
from tests.e2e.grounds import OtherGround, OwnGround, other_ground, own_ground
from tests.venue.helpers import marketable, opened, venue_of

LOOKS, POLL_SECONDS, CLOCK_EVERY = 60, 5, 6
ALL_THREE = ("BTC/USDT:USDT", "BTC/USD:BTC", "ETH/USDT:USDT")


async def look(venue: CcxtVenue, instruments: list[Instrument], number: int) -> None:
    observer = venue.observer
    wallets = ("", "inverse") if "inverse" in venue.connection.capability.wallets else ("",)
    await asyncio.gather(
        *(observer.wallet(name) for name in wallets),
        observer.positions(),
        observer.marks(instruments),
        *([observer.clock_offset_ms()] if number % CLOCK_EVERY == 0 else []),
    )


@pytest.mark.parametrize(("ground_of", "most"), [(other_ground, 12), (own_ground, 14)], ids=["bybit", "binance"])
async def test_a_poll_of_five_seconds_never_waits(ground_of: object, most: int) -> None:
    assert callable(ground_of)
    async with ground_of({"BTC": "5", "USDT": "1000000"}) as ground:
        assert isinstance(ground, OwnGround | OtherGround)
        if isinstance(ground, OtherGround):
            ground.venue.set_position("BTC/USDT:USDT", "-1")
            ground.venue.set_position("BTC/USD:BTC", "-1000")
        clock = ManualClock(SystemClock().now_ms())
        keys = Credentials(*ground.credentials)
        made = venue_of(ground.exchange_id, {"urls": {"api": ground.urls}}, credentials=keys, clock=clock)
        async with opened(made) as venue:
            instruments = [venue.observer.instrument(symbol) for symbol in ALL_THREE]
            clock.advance(POLL_SECONDS)
            for number in range(LOOKS):
                before = len(ground.requests())
                async with asyncio.timeout(5):  # a wait on the manual clock would never end
                    await look(venue, instruments, number)
                assert len(ground.requests()) - before <= most
                clock.advance(POLL_SECONDS)
            async with asyncio.timeout(5):
                await look(venue, instruments, 0)
                await venue.trader.submit(await marketable(venue, "BTC/USDT:USDT", "1"))
