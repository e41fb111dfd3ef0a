"""One account for everything: coins that are spot and collateral at once, through the whole loop, over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.config import parse_config
from keeper.core.model import HedgeCycle, Hold, Side
from keeper.cycle import turn
from keeper.look import look_once
from keeper.wiring import open_house
from tests.e2e.grounds import (
    D,
    OtherGround,
    config_of,
    config_text,
    environment,
    hedge_toml,
    other_ground,
    own_ground,
    venue_toml,
)
from tests.e2e.test_golden import settle
from tests.support.bybit_v5 import DEFAULT_INSTRUMENTS, BybitV5, Instrument

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
DUST = D("0.000001")


async def plan(ground: OtherGround, folder: Path, hedges: str) -> HedgeCycle:
    return (await look_once(config_of(ground, folder, hedges))).hedges[0]


def contracts(cycle: HedgeCycle) -> Decimal:
    """Contracts of the planned orders, sells positive."""
    orders = cycle.plan.orders if cycle.plan is not None else ()
    return sum((each.contracts if each.side is Side.SELL else -each.contracts for each in orders), D(0))


def near(value: Decimal | None, wanted: str) -> bool:
    return value is not None and abs(value - D(wanted)) < DUST


@asynccontextmanager
async def account(
    coins: Mapping[str, str], price: int, **positions: tuple[str, str, int]
) -> AsyncIterator[OtherGround]:
    """An account as it stands: coins, and positions by any name as (symbol, size, entry)."""
    async with other_ground(coins) as ground:
        ground.price("BTC", str(price))
        for symbol, size, entry in positions.values():
            ground.venue.set_position(symbol, size, entry)
        yield ground


@pytest.mark.parametrize(
    ("price", "exposure", "delta", "sold"),
    [(50_000, "3.8", "-3.0", 40_000), (60_000, "3.5", "-2.7", 48_000), (75_000, "3.2", "-2.4", 60_000)],
)
async def test_a_mixed_account(tmp_path: Path, price: int, exposure: str, delta: str, sold: int) -> None:
    more = 'holdings = { ledger = "0.5" }\nunlisted = "count"'
    held = {"linear": (LINEAR, "-1.2", 60_000), "inverse": (INVERSE, "-90000", 60_000)}
    async with account({"BTC": "3"}, price, **held) as ground:
        hedge = hedge_toml(INVERSE, more=more)
        seen = await plan(ground, tmp_path, hedge)
        assert near(seen.exposure.exposure_base, exposure)
        assert near(seen.exposure.futures_base, delta)
        assert abs(contracts(seen) - sold) <= 1
        async with open_house(config_of(ground, tmp_path, hedge), live=False) as house:
            await settle(house.desk)
            # The taker fee is paid in the coin: so much less is left to be short of.
            fee = D(sold) * D("0.00055")
            assert 0 <= 90_000 + sold + ground.contracts(INVERSE) <= fee + 2
            assert ground.contracts(LINEAR) == D("-1.2")
            sent = ground.orders()
            for other in (price * 0.9, price * 1.2):
                ground.price("BTC", str(int(other)))
                assert isinstance((await turn(house.desk)).hedges[0].decision, Hold)
            assert ground.orders() == sent


@pytest.mark.parametrize(("price", "coins", "sold"), [(50_000, "3.3", 40_000), (75_000, "2.7", 60_000)])
async def test_a_mixed_account_whose_profits_were_booked_is_the_same(
    tmp_path: Path, price: int, coins: str, sold: int
) -> None:
    """Closed and opened again at the mark: 90,000 · (1/P - 1/60,000) BTC went into the wallet, dollars beside it."""
    more = 'holdings = { ledger = "0.5" }\nunlisted = "count"'
    held = {"linear": (LINEAR, "-1.2", price), "inverse": (INVERSE, "-90000", price)}
    async with account({"BTC": coins}, price, **held) as ground:
        seen = await plan(ground, tmp_path, hedge_toml(INVERSE, more=more))
        assert near(seen.exposure.net_delta_base, "0.8")
        assert abs(contracts(seen) - sold) <= 1


async def test_a_borrowed_coin_counts_negative(tmp_path: Path) -> None:
    async with account({"BTC": "-0.5"}, 60_000) as ground:
        hedge = hedge_toml(more='holdings = { ledger = "2" }')
        assert near((await plan(ground, tmp_path, hedge)).exposure.exposure_base, "1.5")
        async with open_house(config_of(ground, tmp_path, hedge), live=False) as house:
            await settle(house.desk)
            assert ground.contracts(LINEAR) == D("-1.5")
            ground.deposit("BTC", "-1.5")  # borrowed, and taken away
            await settle(house.desk)
            assert ground.contracts(LINEAR) == 0, "nothing is left to protect"


def usdc_contract() -> Instrument:
    model = next(each for each in DEFAULT_INSTRUMENTS if each.key == "linear:BTCUSDT")
    changes = {"symbol": "BTCPERP", "quote": "USDC", "settle": "USDC"}
    return Instrument(**{name: getattr(model, name) for name in Instrument.__slots__} | changes)


async def test_a_contract_margined_in_another_dollar(tmp_path: Path) -> None:
    listed = (*DEFAULT_INSTRUMENTS, usdc_contract())
    async with BybitV5({"BTC": "2", "USDC": "500000"}, instruments=listed) as venue:
        ground = OtherGround(venue)
        async with open_house(config_of(ground, tmp_path, hedge_toml("BTC/USDC:USDC")), live=False) as house:
            await settle(house.desk)
            assert venue.position("linear:BTCPERP") == -2
            venue.set_position(LINEAR, "-1")
            held = (await turn(house.desk)).hedges[0]
            assert [reason.code for reason in held.exposure.blockers] == ["unlisted_position"]


@pytest.mark.parametrize(("price", "short"), [(52_000, 260_000), (65_000, 325_000), (75_000, 375_000)])
async def test_a_stated_quantity_is_protected_whatever_the_collateral_does(
    tmp_path: Path, price: int, short: int
) -> None:
    held = {"inverse": (INVERSE, "-325000", 65_000)}
    more = 'holdings = { ledger = "5" }\nexposure = "spot"'
    async with account({"BTC": "6"}, price, **held) as ground:
        hedge = hedge_toml(INVERSE, more=more, spot="[]")
        assert contracts(await plan(ground, tmp_path, hedge)) == short - 325_000
        async with open_house(config_of(ground, tmp_path, hedge), live=False) as house:
            await settle(house.desk)
            assert ground.contracts(INVERSE) == -short


@pytest.mark.parametrize(
    ("price", "sold"), [(5_000, -1_500), (6_000, -1_000), (8_000, 0), (10_000, 1_000), (9_950, 975), (5_050, -1_475)]
)
async def test_a_part_of_a_coin_margined_hedge_is_a_constant_proportion(tmp_path: Path, price: int, sold: int) -> None:
    band = 'band = { warn = "0.001", act = "0.001", halt = "0.9" }'
    async with account({"BTC": "2"}, price, inverse=(INVERSE, "-8000", 8_000)) as ground:
        assert abs(contracts(await plan(ground, tmp_path, hedge_toml(INVERSE, "0.5", more=band))) - sold) <= 1


async def test_a_part_of_a_coin_margined_hedge_after_a_way_down_and_back(tmp_path: Path) -> None:
    async with account({"BTC": "2.1125"}, 8_000, inverse=(INVERSE, "-6500", 8_000)) as ground:
        seen = await plan(ground, tmp_path, hedge_toml(INVERSE, "0.5"))
        assert near(seen.exposure.exposure_base, "2.1125")
        assert near(seen.exposure.hedge_ratio, "0.384615")
        assert contracts(seen) == 1_950


async def test_funding_in_coins_is_hedged_as_it_comes(tmp_path: Path) -> None:
    band = 'band = { warn = "0.000001", act = "0.000001", halt = "0.9" }'
    async with account({"BTC": "5"}, 65_000, inverse=(INVERSE, "-325000", 65_000)) as ground:
        venue = ground.venue
        async with open_house(config_of(ground, tmp_path, hedge_toml(INVERSE, more=band)), live=False) as house:
            await settle(house.desk)
            assert ground.orders() == 0
            venue.set_funding(INVERSE, "0.0001")
            for event in range(1, 5):
                venue.settle_funding(INVERSE)
                await settle(house.desk)
                due = venue.equity("BTC") * 65_000
                assert due - 2 < -ground.contracts(INVERSE) <= due
                assert near(venue.equity("BTC"), f"{5 + event * 0.0005:.4f}")
        assert 325_128 <= -ground.contracts(INVERSE) <= 325_130, "four events are 130 USD: one contract of 100 is due"


async def test_several_hedges_on_one_account(tmp_path: Path) -> None:
    hedges = (
        hedge_toml(INVERSE, "1")
        + hedge_toml("ETH/USDT:USDT", "0.5", "eth", "ETH")
        + hedge_toml("SOL/USDT:USDT", "0.25", "sol", "SOL")
    )
    async with (
        other_ground({"BTC": "3", "ETH": "40", "SOL": "1000"}) as ground,
        open_house(config_of(ground, tmp_path, hedges), live=False) as house,
    ):
        await settle(house.desk)
        assert D(-195_000) <= ground.contracts(INVERSE) < D(-194_800)
        assert ground.contracts("ETH/USDT:USDT") == -20
        assert ground.contracts("SOL/USDT:USDT") == -250
        ground.sell("ETH", "40")
        ground.price("SOL", "200")
        await settle(house.desk)
        assert ground.contracts("ETH/USDT:USDT") == 0
        assert ground.contracts("SOL/USDT:USDT") == -250


async def test_coins_on_one_venue_and_contracts_on_another(tmp_path: Path) -> None:
    async with other_ground({"BTC": "3"}) as bank, own_ground({}) as futures:
        hedge = hedge_toml(LINEAR, spot='["bank"]')
        text = config_text(futures, tmp_path, hedge, tail=venue_toml(bank, "bank"))
        secrets = {**environment(futures), **environment(bank, "bank")}
        config = parse_config(text, "keeper.toml", tmp_path / "keeper.toml", secrets)
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert futures.contracts(LINEAR) == -3
            bank.sell("BTC", "3")
            await settle(house.desk)
            assert futures.contracts(LINEAR) == 0
            bank.deposit("BTC", "1")
            await settle(house.desk)
            bank.venue.empty_wallet(times=None)
            await turn(house.desk)
            assert futures.contracts(LINEAR) == -1
        assert bank.orders() == 0
        assert {method for method, _ in bank.requests()} == {"GET"}
