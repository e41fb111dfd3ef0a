"""Targets in the loop: what is aimed at, and what is done about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.core.model import HedgeCycle, Hold, Rebalance
from keeper.core.targets import Target, TargetKind
from keeper.journal.base import JournalError
from keeper.sim.types import WalletKind
from tests.loop.house import D, House


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path, coins={"BTC": "5"})


async def test_coins_to_protect_stay_so_many_whatever_is_held_beside_them(house: House) -> None:
    await house.hedge(target=Target(TargetKind.QUANTITY, D("2.5")))
    await house.open()
    await house.turn(3)
    assert house.position() == D("-2.5")
    house.exchange.deposit("key", "BTC", D(3))
    record = await house.turn(3)
    assert house.position() == D("-2.5")
    assert isinstance(record.hedges[0].decision, Hold)
    house.sell_spot("BTC", "6")
    await house.turn(4)
    held = await house.one()
    assert house.position() == D(-2)
    assert "target_bounded" in [reason.code for reason in held.reasons]
    await house.close()


async def test_money_kept_short_is_bought_back_as_the_price_rises(house: House) -> None:
    await house.hedge(target=Target(TargetKind.NOTIONAL, D(130_000)))
    house.exchange.set_price("BTC", D(65000))
    await house.open()
    await house.turn(3)
    before = house.position()
    assert abs(before + 2) < D("0.01")
    house.exchange.set_price("BTC", D(90000))
    bought = await house.one()
    assert isinstance(bought.decision, Rebalance)
    await house.turn()
    assert abs(house.position() + D(130_000) / 90_000) < D("0.01")
    assert bought.memory.target == Target(TargetKind.NOTIONAL, D(130_000))
    await house.close()


COINM = "BTC/USD:BTC"


async def coin_margined(tmp_path: Path, target: Target, *, coins: str = "2", price: str = "8000") -> House:
    house = House(tmp_path, coins={"BTC": "1"})
    house.exchange.set_price("BTC", D(price))
    house.exchange.deposit("key", "BTC", D(coins), WalletKind.COINM)
    await house.hedge(COINM, spot=(), target=target)
    await house.open()
    return house


async def settled(house: House, times: int = 4) -> HedgeCycle:
    return (await house.turn(times)).hedges[0]


async def test_constant_coins_on_a_coin_margined_contract_are_not_traded_by_price_moves(tmp_path: Path) -> None:
    house = await coin_margined(tmp_path, Target(TargetKind.QUANTITY, D(1)))
    await settled(house)
    assert house.position("BTCUSD_PERP") == -80
    built = len(house.orders)
    for price, ratio in (("5000", "0.615"), ("8000", "0.5"), ("10000", "0.444"), ("6000", "0.57"), ("16000", "0.333")):
        house.exchange.set_price("BTC", D(price))
        record = await settled(house, 3)
        assert isinstance(record.decision, Hold), record.decision
        assert record.exposure.net_delta_base is not None
        assert abs(record.exposure.net_delta_base - 1) < D("0.005")  # fees and the spread of the build-up
        assert record.exposure.hedge_ratio is not None
        assert abs(record.exposure.hedge_ratio - D(ratio)) < D("0.005")
    assert len(house.orders) == built
    await house.close()


async def test_a_crash_keeps_the_coins_that_were_earned(tmp_path: Path) -> None:
    """The ledger is in the journal: without it a start at 5,000 would buy 0.6 coins back."""
    house = await coin_margined(tmp_path, Target(TargetKind.QUANTITY, D(1)))
    await settled(house)
    house.exchange.set_price("BTC", D(5000))
    await settled(house, 1)
    await house.crash()
    await house.open()
    record = await settled(house, 3)
    assert isinstance(record.decision, Hold)
    assert house.position("BTCUSD_PERP") == -80
    assert record.memory.coins is not None
    assert abs(record.memory.coins.gain_base - D("0.6")) < D("0.005")
    await house.close()


async def test_a_fill_between_two_lives_is_booked_at_its_own_price(tmp_path: Path) -> None:
    """Killed after the fill and before the turn was written: the next life books it from the intent, once."""
    house = await coin_margined(tmp_path, Target(TargetKind.QUANTITY, D(1)))
    desk = house.desk
    assert desk is not None
    written = desk.journal.cycle

    async def killed(*_: object) -> None:
        raise JournalError("the process is gone")

    desk.journal.cycle = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(JournalError):
        await house.turn()
    desk.journal.cycle = written  # type: ignore[method-assign]
    assert house.position("BTCUSD_PERP") == -80
    await house.crash()
    house.exchange.set_price("BTC", D(5000))
    await house.open()
    record = await settled(house, 3)
    assert isinstance(record.decision, Hold), record.decision
    assert record.memory.coins is not None
    assert abs(record.memory.coins.sold_base + 1) < D("0.005")
    assert house.position("BTCUSD_PERP") == -80
    await house.close()
