"""Somebody books the profit of a coin-margined hedge: the keeper sees the same portfolio, and does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from keeper.core.model import Hold
from keeper.sim.local import LocalVenue
from keeper.sim.types import WalletKind
from keeper.sim.types import inverse as coin_key
from keeper.venue.base import Observer, PositionBook, Wallet
from tests.loop.house import KEY, D, House, SimSide


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path, coins={})
    made.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await made.hedge("BTC/USD:BTC", spot=())
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("price", [52_000, 75_000, 130_000])
async def test_booking_a_profit_or_a_loss_places_no_order(house: House, price: int) -> None:
    await house.turn(3)
    house.exchange.set_price("BTC", D(price))
    before = await house.one()
    sent, short = len(house.orders), house.position("BTCUSD_PERP")
    house.exchange.foreign_trade(KEY, coin_key("BTCUSD_PERP"), -short)
    house.exchange.foreign_trade(KEY, coin_key("BTCUSD_PERP"), short)
    after = await house.one()
    assert house.position("BTCUSD_PERP") == short
    assert len(house.orders) == sent
    assert isinstance(after.decision, Hold)
    assert [reason.code for reason in after.decision.reasons] == ["within_band"]
    for name in ("exposure_base", "futures_base", "net_delta_base"):
        one, other = getattr(before.exposure, name), getattr(after.exposure, name)
        assert abs(one - other) < D("0.01"), (name, one, other)
    wallets = [cycle.exposure.holdings_base for cycle in (before, after)]
    assert wallets[0] is not None
    assert wallets[1] is not None
    assert abs(wallets[0] - wallets[1]) > D("0.5"), "the wallet itself has changed by the profit"
    await house.turn(3)
    assert len(house.orders) == sent


class Interrupted:
    """The venue, with something that happens between its answer about positions and the one about a wallet."""

    def __init__(self, venue: LocalVenue) -> None:
        self._venue = venue
        self._answered = asyncio.Event()
        self.then: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def positions(self) -> PositionBook:
        book = await self._venue.positions()
        if self.then is not None:
            self.then()
            self.then = None
        self._answered.set()
        return book

    async def wallet(self, wallet: str) -> Wallet:
        if self.then is not None:
            self._answered.clear()
            await self._answered.wait()
        return await self._venue.wallet(wallet)


@pytest.mark.parametrize("price", [45_000, 90_000])
async def test_what_is_settled_between_two_readings_of_a_look_is_not_counted_twice(tmp_path: Path, price: int) -> None:
    """We are deleveraged when the position has been read and its wallet has not: the wallet already has the profit or
    the loss that the position, as it was read, would count as open."""
    house = House(tmp_path, coins={})
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    line = Interrupted(house.venue)
    house.wrap = lambda venue: (cast("Observer", line), venue)
    await house.hedge("BTC/USD:BTC", spot=())
    await house.open()
    try:
        await house.turn(3)
        house.exchange.set_price("BTC", D(price))
        await house.turn()
        sent, short = len(house.orders), house.position("BTCUSD_PERP")
        line.then = lambda: house.exchange.auto_deleverage(KEY, coin_key("BTCUSD_PERP"), D(800))
        during = await house.one()
        assert house.position("BTCUSD_PERP") == short + 800
        assert len(house.orders) == sent
        assert isinstance(during.decision, Hold)
        assert [reason.code for reason in during.decision.reasons] == ["unconfirmed_reading"]
        await house.turn(4)
        assert D(0) <= house.position("BTCUSD_PERP") - short < D(10), "short again of what was taken away, no more"
        assert all(order.side is SimSide.SELL for order in house.orders[sent:]), "and nothing was bought back"
    finally:
        await house.close()
