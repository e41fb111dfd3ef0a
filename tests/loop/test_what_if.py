"""What ``keeper stress`` foretells of a live account is what the exchange's own books say once the price has moved."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from keeper.core.margin_duty import with_margin
from keeper.core.model import CycleRecord, HedgeMemory
from keeper.core.portfolio import line_of, pools_of
from keeper.core.stress import Step, step
from keeper.sim.types import MarginMode, MarketKind, WalletKind, linear
from tests.loop.house import KEY, D, House


def foretold(record: CycleRecord, move: Fraction, place: int = 0) -> Step:
    seen = [with_margin(cycle.exposure, record.snapshot, None, HedgeMemory())[0] for cycle in record.hedges]
    line = line_of(seen[place], record.snapshot)
    assert line is not None
    return step([line], pools_of(seen, record.snapshot), move)


def books(house: House, kind: MarketKind, asset: str) -> Decimal:
    """Maintenance over equity, by the exchange."""
    [row] = [each for each in house.exchange.futures_account(KEY, kind).balances if each.asset == asset]
    return row.maintenance_margin / row.margin_balance


def agrees(told: Fraction | None, true: Decimal) -> bool:
    return told is not None and abs(Decimal(float(told)) - true) < D("0.0001")


async def built(house: House) -> CycleRecord:
    desk = await house.open()
    desk.observatory.reads_margins = True
    return await house.turn(4)


@pytest.mark.parametrize("percent", [-30, -10, 5, 9])
async def test_a_linear_account_of_two_hedges(tmp_path: Path, percent: int) -> None:
    house = House(tmp_path, coins={"BTC": "2", "ETH": "20"})
    house.exchange.withdraw(KEY, "USDT", D(5_000_000) - D(30_000), WalletKind.USDM)
    await house.hedge()
    await house.hedge("ETH/USDT:USDT", "0.5", name="eth")
    record = await built(house)
    assert house.position() == -2
    told = foretold(record, Fraction(percent, 100))
    marks = {asset: house.exchange.index_price(asset) for asset in ("BTC", "ETH")}
    for asset, price in marks.items():
        house.exchange.set_price(asset, price * (100 + percent) / 100)
    true = books(house, MarketKind.LINEAR, "USDT")
    assert told.liquidated is (true >= 1)
    assert agrees(told.margin_ratio, true)
    assert foretold(record, Fraction(percent, 100), 1).margin_ratio == told.margin_ratio, "one account"
    await house.close()


@pytest.mark.parametrize("percent", [-40, 20, 80])
async def test_a_coin_margined_account(tmp_path: Path, percent: int) -> None:
    house = House(tmp_path, coins={"BTC": "1"})
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC")
    record = await built(house)
    told = foretold(record, Fraction(percent, 100))
    now = foretold(record, Fraction(0))
    assert agrees(now.margin_ratio, books(house, MarketKind.INVERSE, "BTC"))
    house.exchange.set_price("BTC", house.exchange.index_price("BTC") * (100 + percent) / 100)
    assert agrees(told.margin_ratio, books(house, MarketKind.INVERSE, "BTC"))
    [row] = [each for each in house.exchange.futures_account(KEY, MarketKind.INVERSE).positions if each.quantity]
    assert row.liquidation_price is not None
    assert told.distance is not None
    assert abs(Decimal(float(told.distance)) - (row.liquidation_price / row.mark_price - 1)) < D("0.001")
    assert abs(told.net_pnl) < 200, "whole contracts of a hundred dollars"
    await house.close()


async def test_of_an_isolated_position_the_price_alone_is_told(tmp_path: Path) -> None:
    house = House(tmp_path, coins={"BTC": "1"})
    house.exchange.set_margin_mode(KEY, linear("BTCUSDT"), MarginMode.ISOLATED)
    await house.hedge()
    record = await built(house)
    now = foretold(record, Fraction(0))
    assert (now.margin_ratio, now.liquidated) == (None, False)
    assert now.distance is not None
    assert 0 < now.distance < Fraction(1, 10)
    assert foretold(record, Fraction(1, 10)).liquidated is True
    await house.close()


async def test_without_a_reading_of_the_margin_there_is_none(tmp_path: Path) -> None:
    house = House(tmp_path, coins={"BTC": "1"})
    await house.hedge()
    await house.open()
    told = foretold(await house.turn(3), Fraction(1, 10))
    assert (told.margin_ratio, told.distance, told.liquidated) == (None, None, None)
    assert told.net_pnl == 0
    await house.close()
