"""Somebody books the profit of a coin-margined hedge: the keeper sees the same portfolio, and does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.core.model import Hold
from keeper.sim.types import WalletKind
from keeper.sim.types import inverse as coin_key
from tests.loop.house import KEY, D, House


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
