"""Contracts other than one perpetual, through the configuration and over sockets: split, index, tailed, quanto."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from keeper.chores import Chores
from keeper.commands.roll import rolls_document
from keeper.core.model import Hold
from keeper.cycle import turn
from keeper.errors import ConfigError
from keeper.look import look_once
from keeper.report import plan_document, render_plan
from keeper.rolling import begin_roll
from keeper.sim.defaults import index_market, inverse_market, linear_market, spot_market
from keeper.sim.types import MarketStatus, WalletKind, inverse, linear
from keeper.wiring import open_house
from tests.e2e.grounds import KEY, D, OwnGround, config_of, own_ground
from tests.e2e.test_golden import settle

INDEX = linear("TOP10USDT")
QUARTER_MS = 1_806_048_000_000
"""26 March 2027, 08:00 UTC."""


def hedge(name: str, keys: str, *, asset: str = "BTC", spot: str = '["main"]') -> str:
    return f'\n[[hedges]]\nname = "{name}"\nasset = "{asset}"\nspot = {spot}\n{keys}\n'


def held(ground: OwnGround, symbol: str) -> Decimal:
    return sum((n for key, n in ground.exchange.truth(ground.credentials[0]).positions.items() if key.symbol == symbol),
               D(0))  # fmt: skip


async def test_a_hedge_split_over_a_linear_and_a_coin_margined_contract(tmp_path: Path) -> None:
    keys = (
        'instruments = [{ instrument = "main:BTC/USDT:USDT", share = "0.5" },'
        ' { instrument = "main:BTC/USD:BTC", share = "0.5" }]\nratio = "1"'
    )
    async with own_ground() as ground:
        ground.deposit("BTC", "1", WalletKind.COINM)
        config = config_of(ground, tmp_path, hedge("btc", keys))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert held(ground, "BTCUSDT") == pytest.approx(D(-3), abs=D("0.05"))
            assert held(ground, "BTCUSD_PERP") == pytest.approx(D(-1950), abs=10)
            ground.sell("BTC", "2")
            await settle(house.desk)
        look = await look_once(config)
        (shown,) = plan_document("testnet", look.taken_at_ms, look.hedges)["hedges"]
        assert shown["instrument"] == "main:BTC/USDT:USDT"
        assert [leg["instrument"] for leg in shown["legs"]] == ["main:BTC/USDT:USDT", "main:BTC/USD:BTC"]
        assert sum(D(leg["futures_base"]) for leg in shown["legs"]) == D(shown["futures_base"])
        assert abs(D(shown["drift_ratio"])) < D("0.05")


async def test_an_index_future_hedges_a_portfolio_as_the_page_has_it(tmp_path: Path) -> None:
    """hedging.md, golden numbers 6 and 7: 100 per point, an index at 2,000, a portfolio of 500,000 and of 1,000,000."""
    async with own_ground() as ground:
        exchange = ground.exchange
        exchange.add_market(spot_market("FUND", "0.01", ("0.001", "90000", "20000")))
        exchange.add_market(index_market("TOP10"))
        exchange.set_price("FUND", D(1_000))
        exchange.set_price("TOP10", D(2_000))

        async def contracts(coins: str, ratio: str, beta: str, folder: str) -> Decimal:
            keys = f'holdings = {{ book = "{coins}" }}\nbeta = "{beta}"\ninstrument = "main:TOP10/USDT:USDT"\n'
            (tmp_path / folder).mkdir()
            if (before := held(ground, "TOP10USDT")) != 0:
                exchange.foreign_trade(KEY, INDEX, -before)
            config = config_of(ground, tmp_path / folder, hedge("fund", f'{keys}ratio = "{ratio}"', asset="FUND"))
            async with open_house(config, live=False) as house:
                await settle(house.desk)
            return held(ground, "TOP10USDT")

        assert await contracts("500", "0.5", "1", "six") == D("-1.25")
        assert await contracts("1000", "0.2", "1", "seven") == D(-1), "200,000 short"
        assert await contracts("1000", "0.5", "1", "raised") == D("-2.5"), "500,000 short"
        assert await contracts("1000", "1", "0.5", "by-beta") == D("-2.5"), "the same at a beta of 0.5"
        before = _equity(ground)
        exchange.set_price("TOP10", D(1_500))
        exchange.set_price("FUND", D(875))
        assert round(_equity(ground) - before, 6) == 125_000, "what the portfolio loses"


def _equity(ground: OwnGround) -> Decimal:
    account = ground.exchange.futures_account(ground.credentials[0], linear("").kind)
    return sum((row.wallet_balance + row.unrealised_pnl for row in account.balances if row.asset == "USDT"), D(0))


async def test_a_contract_that_counts_a_thousand_coins_as_one(tmp_path: Path) -> None:
    async with own_ground() as ground:
        exchange = ground.exchange
        exchange.add_market(spot_market("PEPE", "0.0000001", ("1", "9000000000", "900000000")))
        exchange.add_market(linear_market("1000PEPE", "0.0000001", ("1", "50000000", "30000000"), "5"))
        exchange.set_price("PEPE", D("0.00001"))
        exchange.set_price("1000PEPE", D("0.01"))
        ground.deposit("PEPE", "5000000")
        keys = 'instrument = "main:1000PEPE/USDT:USDT"\nratio = "1"'
        config = config_of(ground, tmp_path, hedge("pepe", keys, asset="PEPE"))
        with pytest.raises(ConfigError, match=r'1000PEPE counts many PEPE as one.*state beta = "1"'):
            await look_once(config)
        config = config_of(ground, tmp_path, hedge("pepe", f'{keys}\nbeta = "1"', asset="PEPE"))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
        assert held(ground, "1000PEPEUSDT") == -5_000


async def test_a_quanto_contract_is_refused_with_its_reason(tmp_path: Path) -> None:
    async with own_ground() as ground:
        quanto = inverse_market("BTC", "0.1", "100", suffix="_QUANTO")
        ground.exchange.add_market(replace(quanto, settle="ETH"))
        config = config_of(ground, tmp_path, hedge("btc", 'instrument = "main:BTC/USD:ETH"\nratio = "1"'))
        with pytest.raises(ConfigError, match=r"hedges\[0\]\.instrument .*quanto contracts cannot be hedged with"):
            await look_once(config)
        with pytest.raises(ConfigError, match="settles in ETH"):
            async with open_house(config, live=False):
                pass
        assert ground.orders() == 0


async def test_what_legs_cannot_have_in_common_is_refused(tmp_path: Path) -> None:
    async with own_ground() as ground:
        ground.exchange.add_market(inverse_market("BTC", "0.1", "100", suffix="_270326", expiry_ms=QUARTER_MS))
        faults = {
            'instruments = ["main:BTC/USDT:USDT", "main:ETH/USDT:USDT"]': r"instruments\[1\].*on ETH and .* on BTC",
            'instrument = "main:BTC/USDT:USDT"\ntailing = true': "tailing.*does not expire",
            'instrument = "main:BTC/USD:BTC-270326"\ntailing = true': "tailing.*coin-margined",
            'instruments = ["main:BTC/USDT:USDT", "main:BTC/USDT:USDT-270327"]': "",
            'instruments = ["main:BTC/USDT:USDT", "main:BTC/USDX:USDX"]': r"instruments\[1\].*has no",
        }
        for keys, words in faults.items():
            config = config_of(ground, tmp_path, hedge("btc", f'{keys}\nratio = "1"'))
            if words:
                with pytest.raises(ConfigError, match=words):
                    await look_once(config)
            else:  # one that is not listed any more is left out while another can carry the hedge
                assert (await look_once(config)).hedges[0].exposure.hedge.instruments[0].id.symbol == "BTC/USDT:USDT"


async def test_a_rolled_hedge_starts_again_though_its_first_contract_is_gone(tmp_path: Path) -> None:
    async with own_ground() as ground:
        exchange = ground.exchange
        near = linear_market("BTC", "0.1", ("0.001", "1000", "120"), "5", suffix="_270326", expiry_ms=QUARTER_MS)
        exchange.add_market(near)
        keys = 'instrument = "main:BTC/USDT:USDT-270326"\nratio = "0.02"\nband = { warn = "0.001", act = "0.001" }'
        config = config_of(ground, tmp_path, hedge("btc", keys))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert held(ground, "BTCUSDT_270326") == D("-0.1")
            perpetual = house.venues.observers["main"].instrument("BTC/USDT:USDT")
            await begin_roll(house.desk, "btc", perpetual)
            for _ in range(300):
                record = await turn(house.desk)
                if record.hedges[0].memory.roll is None:
                    break
            assert (held(ground, "BTCUSDT_270326"), held(ground, "BTCUSDT")) == (D(0), D("-0.1"))
        exchange.set_status(near.key, MarketStatus.DELISTED)
        async with open_house(config, live=False) as house:
            record = await turn(house.desk)
            (leg,) = record.hedges[0].exposure.legs
            assert (leg.id.symbol, record.hedges[0].exposure.futures_base) == ("BTC/USDT:USDT", D("-0.1"))
            assert isinstance(record.hedges[0].decision, Hold)


async def test_a_share_that_was_rolled_is_known_though_its_first_contract_is_gone(tmp_path: Path) -> None:
    async with own_ground() as ground:
        exchange = ground.exchange
        near = linear_market("BTC", "0.1", ("0.001", "1000", "120"), "5", suffix="_270326", expiry_ms=QUARTER_MS)
        exchange.add_market(near)
        ground.deposit("BTC", "1", WalletKind.COINM)
        keys = (
            'instruments = [{ instrument = "main:BTC/USDT:USDT-270326", share = "0.75" },'
            ' { instrument = "main:BTC/USD:BTC", share = "0.25" }]\nratio = "0.1"\n'
            'band = { warn = "0.01", act = "0.01" }'
        )
        config = config_of(ground, tmp_path, hedge("btc", keys))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert held(ground, "BTCUSDT_270326") == pytest.approx(D("-0.45"), abs=D("0.01"))
            shown = await rolls_document(config, ["btc"], None)
            assert [each["instrument"] for each in shown["hedges"]] == ["main:BTC/USDT:USDT-270326", "main:BTC/USD:BTC"]
            assert D(shown["hedges"][0]["held_base"]) == -held(ground, "BTCUSDT_270326")
            perpetual = house.venues.observers["main"].instrument("BTC/USDT:USDT")
            await begin_roll(house.desk, "btc", perpetual)
            for _ in range(300):
                record = await turn(house.desk)
                if record.hedges[0].memory.roll is None:
                    break
            await settle(house.desk)
        exchange.set_status(near.key, MarketStatus.DELISTED)
        async with open_house(config, live=False) as house:
            record = await turn(house.desk)
            legs = {leg.id.symbol: leg.leg.share for leg in record.hedges[0].exposure.legs}
            assert legs == {"BTC/USDT:USDT": D("0.75"), "BTC/USD:BTC": D("0.25")}
            assert isinstance(record.hedges[0].decision, Hold)
        assert held(ground, "BTCUSDT_270326") == 0
        assert held(ground, "BTCUSDT") == pytest.approx(D("-0.45"), abs=D("0.02"))


async def test_funding_of_a_perpetual_beside_a_contract_that_expires_is_booked(tmp_path: Path) -> None:
    async with own_ground() as ground:
        exchange = ground.exchange
        near = linear_market("BTC", "0.1", ("0.001", "1000", "120"), "5", suffix="_270326", expiry_ms=QUARTER_MS)
        exchange.add_market(near)
        ground.deposit("BTC", "1", WalletKind.COINM)
        shares = (("BTC/USDT:USDT-270326", "0.2"), ("BTC/USDT:USDT", "0.4"), ("BTC/USD:BTC", "0.4"))
        legs = ", ".join(f'{{ instrument = "main:{symbol}", share = "{share}" }}' for symbol, share in shares)
        config = config_of(ground, tmp_path, hedge("btc", f'instruments = [{legs}]\nratio = "1"'))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert held(ground, "BTCUSDT_270326") < 0
            for key in (linear("BTCUSDT"), inverse("BTCUSD_PERP")):
                exchange.set_funding_rate(key, D("0.0005"))
                exchange.apply_funding(key)
            await Chores(house.venues.observers, {}, list, house.clock)(house.desk)
            total = await house.desk.journal.funding_total()
        assert {(ident.symbol, asset) for ident, asset in total} == {("BTC/USDT:USDT", "USDT"), ("BTC/USD:BTC", "BTC")}
        assert all(amount > 0 for amount in total.values()), "shorts are paid at a rate above zero"


async def test_a_plan_of_several_contracts_tells_what_its_orders_leave_to_the_others(tmp_path: Path) -> None:
    shares = (("BTC/USDT:USDT", "0.7"), ("BTC/USDT:USDT-270326", "0.3"))
    legs = ", ".join(f'{{ instrument = "main:{symbol}", share = "{share}" }}' for symbol, share in shares)
    async with own_ground({"BTC": "3"}) as ground:
        near = linear_market("BTC", "0.1", ("0.001", "1000", "120"), "5", suffix="_270326", expiry_ms=QUARTER_MS)
        ground.exchange.add_market(near)
        config = config_of(ground, tmp_path, hedge("btc", f'instruments = [{legs}]\nratio = "1"'))
        look = await look_once(config)
        document = plan_document("testnet", look.taken_at_ms, look.hedges)
        (shown,) = document["hedges"]
        assert (shown["drift_base"], shown["residual_base"]) == ("3", "0.9")
        assert [(each["instrument"], each["amount_base"]) for each in shown["orders"]] == [
            ("main:BTC/USDT:USDT", "2.1"),
        ]  # fmt: skip
        console = Console(width=200, record=True)
        console.print(render_plan(document))
        text = console.export_text()
        assert "sell 2.1 contracts of main:BTC/USDT:USDT (2.1 BTC, 136500 USDT)" in text
        assert "left over: 0.9 BTC, no order covers it yet" in text
        async with open_house(config, live=False) as house:
            (first,) = (await turn(house.desk)).hedges
            assert first.plan is not None
            assert first.plan.residual_base == D("0.9"), "the same in a turn, with the visible book looked at"
            await settle(house.desk)
        assert held(ground, "BTCUSDT") + held(ground, "BTCUSDT_270326") == pytest.approx(D(-3), abs=D("0.05"))
        ground.exchange.withdraw(KEY, "BTC", D(2))
        (shown,) = plan_document("testnet", 0, (await look_once(config)).hedges)["hedges"]
        (cover,) = shown["orders"]
        assert cover["side"] == "buy"
        assert D(shown["residual_base"]) == D(shown["drift_base"]) + D(cover["amount_base"]) < 0
