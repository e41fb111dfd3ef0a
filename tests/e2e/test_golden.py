"""The golden numbers through the loop, over sockets, on both venues: positions equal the table, then it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.core.model import CycleRecord, Hold
from keeper.cycle import Desk, turn
from keeper.look import look_once
from keeper.sim.types import WalletKind
from keeper.wiring import open_house
from tests.e2e.grounds import D, Ground, OwnGround, config_of, hedge_toml, other_ground, own_ground


@pytest_asyncio.fixture(params=["own", "other"])
async def ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    async with own_ground() if request.param == "own" else other_ground() as made:
        yield made


async def settle(desk: Desk) -> CycleRecord:
    """Turns until one holds; a bound, because a hedge that never holds is the bug that this looks for."""
    for _ in range(8):
        record = await turn(desk)
        if all(isinstance(hedge.decision, Hold) for hedge in record.hedges):
            return record
    raise AssertionError([hedge.decision for hedge in record.hedges])


async def test_the_linear_table(ground: Ground, tmp_path: Path) -> None:
    config = config_of(ground, tmp_path, hedge_toml())
    async with open_house(config, live=False) as house:
        await settle(house.desk)
        assert ground.contracts("BTC/USDT:USDT") == D(-5)
        for price in ("58500", "71500", "65000"):
            ground.price("BTC", price)
            await settle(house.desk)
            assert ground.contracts("BTC/USDT:USDT") == D(-5)
        ground.sell("BTC", "2")
        await settle(house.desk)
        assert ground.contracts("BTC/USDT:USDT") == D(-3)
        ground.deposit("BTC", "7")
        await settle(house.desk)
        assert ground.contracts("BTC/USDT:USDT") == D(-10)
        sent = ground.orders()
        await turn(house.desk)
        await turn(house.desk)
        assert ground.orders() == sent


@pytest.mark.parametrize(("exchange_id", "symbol"), [("binanceusdm", "BTC/USDT:USDT"), ("binancecoinm", "BTC/USD:BTC")])
async def test_the_client_s_other_ids_of_one_venue(tmp_path: Path, exchange_id: str, symbol: str) -> None:
    """Under them the client loads contracts of one kind alone; spot wallet, orders and lookups are the same."""
    async with own_ground() as ground:
        ground.exchange_id = exchange_id
        ground.deposit("BTC", "5", WalletKind.COINM)  # margin: counted, where the contract is margined in it
        async with open_house(config_of(ground, tmp_path, hedge_toml(symbol)), live=False) as house:
            assert (await settle(house.desk)).hedges[0].exposure.spot_base == 5
            shorts = ground.contracts(symbol)
            ground.sell("BTC", "2")
            await settle(house.desk)
        if exchange_id == "binanceusdm":
            assert (shorts, ground.contracts(symbol)) == (D(-5), D(-3))
        else:
            assert shorts < ground.contracts(symbol) < 0


@pytest.mark.parametrize(("ratio", "contracts"), [("0.5", "-2.5"), ("0.6", "-3"), ("1", "-5"), ("0", "0")])
async def test_partial_hedges(ground: Ground, tmp_path: Path, ratio: str, contracts: str) -> None:
    async with open_house(config_of(ground, tmp_path, hedge_toml(ratio=ratio)), live=False) as house:
        await settle(house.desk)
    assert ground.contracts("BTC/USDT:USDT") == D(contracts)


async def test_an_inverse_hedge_at_one_never_trades_for_a_price(ground: Ground, tmp_path: Path) -> None:
    if isinstance(ground, OwnGround):
        ground.exchange.withdraw(*ground.credentials[:1], "BTC", D(5))
        ground.deposit("BTC", "5", WalletKind.COINM)
        size = D(100)
    else:
        size = D(1)
    spot = "[]" if isinstance(ground, OwnGround) else '["main"]'
    async with open_house(config_of(ground, tmp_path, hedge_toml("BTC/USD:BTC", spot=spot)), live=False) as house:
        await settle(house.desk)
        short = ground.contracts("BTC/USD:BTC") * size
        assert D(-325000) <= short < D(-324600), "the fee was paid in coin, so a little less than 325,000 is right"
        sent = ground.orders()
        for price in ("52000", "58000", "75000", "100000", "130000", "65000"):
            ground.price("BTC", price)
            record = await turn(house.desk)
            assert isinstance(record.hedges[0].decision, Hold), record.hedges[0].decision
        assert ground.orders() == sent


@pytest.mark.parametrize("made", [own_ground, other_ground])
async def test_two_assets_at_once(tmp_path: Path, made: Callable[..., AbstractAsyncContextManager[Ground]]) -> None:
    async with made({"BTC": "3", "ETH": "40"}) as ground:
        hedges = hedge_toml(ratio="0.6") + hedge_toml("ETH/USDT:USDT", "0.6", "eth", "ETH")
        async with open_house(config_of(ground, tmp_path, hedges), live=False) as house:
            await settle(house.desk)
        assert ground.contracts("BTC/USDT:USDT") == D("-1.8")
        assert ground.contracts("ETH/USDT:USDT") == D("-24")


async def test_reads_do_not_grow_with_assets(ground: Ground, tmp_path: Path) -> None:
    counts = []
    for number, hedges in enumerate((hedge_toml(), hedge_toml() + hedge_toml("ETH/USDT:USDT", "0.5", "eth", "ETH"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with open_house(config_of(ground, folder, hedges), live=False) as house:
            await settle(house.desk)
            before = len(ground.requests())
            await turn(house.desk)
            counts.append(len(ground.requests()) - before)
    assert counts[0] == counts[1]


async def test_plan_sends_and_writes_nothing(ground: Ground, tmp_path: Path) -> None:
    look = await look_once(config_of(ground, tmp_path, hedge_toml(ratio="0.6")))
    planned = look.hedges[0].plan
    assert planned is not None
    assert [order.contracts for order in planned.orders] == [D(3)]
    assert {method for method, _ in ground.requests()} == {"GET"}
    assert not any(tmp_path.iterdir()), "a plan writes no file"  # noqa: ASYNC240
