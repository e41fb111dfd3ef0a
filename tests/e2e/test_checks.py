"""What ``keeper check --connect`` tells of hedges that are not what the configuration alone says, over sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keeper.config import Config
from keeper.core.model import HedgeMemory
from keeper.cycle import turn
from keeper.look import check_connect
from keeper.preflight import Finding
from keeper.rollover import Rollover
from keeper.sim.types import WalletKind
from keeper.venue.base import UnreachableError
from keeper.wiring import open_house
from tests.cli.support import keeper
from tests.e2e.grounds import KEY, D, config_of, config_text, environment, hedge_toml, other_ground, own_ground
from tests.e2e.test_golden import settle
from tests.e2e.test_rolls import PERPETUAL, WIDE

FILE = 'holdings_file = [{ path = "./cold.csv", max_age_seconds = 3600 }]'
BASKET = """
[[hedges]]
name = "all"
assets = ["BTC", "SOL"]
spot = ["main"]
instrument = "main:BTC/USDT:USDT"
ratio = "1"
beta = { SOL = { method = "ols" } }
"""


async def told(config: Config, subject: str) -> list[Finding]:
    return [finding for finding in await check_connect(config) if finding.subject == subject]


async def test_a_rally_is_not_reckoned_with_less_than_will_be_short(tmp_path: Path) -> None:
    """One of two hedges on one account counts a file, and that is not there: neither can be told its price."""
    (tmp_path / "cold.csv").write_text("asset,amount\nBTC,20\n")
    two = hedge_toml(more=FILE) + hedge_toml("ETH/USDT:USDT", name="eth", asset="ETH")
    btc, eth = "hedges.btc: main:BTC/USDT:USDT", "hedges.eth: main:ETH/USDT:USDT"
    async with own_ground({"BTC": "5", "ETH": "10"}) as ground:
        config = config_of(ground, tmp_path, two)
        for subject in (btc, eth):
            [finding] = await told(config, subject)
            assert "at about " in finding.text
        (tmp_path / "cold.csv").unlink()
        for subject in (btc, eth):
            [finding] = await told(config, subject)
            assert finding.ok is None
            assert finding.text == (
                "a rally can liquidate it; what hedges.btc will be short is not known (see above), "
                "so at which price is not told"
            )


async def test_a_basket_without_a_beta_is_not_said_to_be_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeper.venue.observer.CcxtObserver.candles", _down)
    async with own_ground({"BTC": "5", "SOL": "1000"}) as ground:
        [finding] = await told(config_of(ground, tmp_path, BASKET), "hedges.all: main:BTC/USDT:USDT")
    assert finding.ok is None
    assert "what hedges.all will be short is not known" in finding.text


async def test_a_rolled_hedge_is_judged_by_the_contract_that_carries_it(tmp_path: Path) -> None:
    async with own_ground() as ground:
        ground.exchange.withdraw(KEY, "USDT", D(4_700_000), WalletKind.USDM)
        near, _ = ground.exchange.list_quarters(PERPETUAL, D("-0.05"))
        day = datetime.fromtimestamp((ground.exchange.market(near).expiry_ms or 0) / 1000, UTC).strftime("%y%m%d")
        dated, perpetual = f"BTC/USDT:USDT-{day}", "BTC/USDT:USDT"
        config = config_of(ground, tmp_path, hedge_toml(dated, more=WIDE))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            await Rollover(house.venues.markets)(house.desk)
            while house.desk.memories["btc"].roll is not None:
                await turn(house.desk)
        findings = await check_connect(config)
        account = ground.exchange.futures_account(KEY, PERPETUAL.kind)
        [row] = [each for each in account.positions if each.quantity]
    said = [each.text for each in findings if each.subject == "hedges.btc"]
    assert said == [f"rolled to main:{perpetual}; the file still names main:{dated}"]
    [rally] = [each.text for each in findings if each.subject == f"hedges.btc: main:{perpetual}"]
    assert row.market == PERPETUAL
    assert abs(float(rally.split("at about ")[1].split(":")[0]) - float(row.liquidation_price or 0)) < 20


async def test_what_would_hold_every_order_is_no_readiness(tmp_path: Path) -> None:
    """A short in a contract that no hedge names: check fails as plan holds, and ends as the reference says."""
    async with own_ground({"BTC": "5"}) as ground:
        environ = environment(ground)
        config = config_of(ground, tmp_path, hedge_toml())
        async with open_house(config, live=False) as house:
            await settle(house.desk)
        folder = tmp_path / "other"
        folder.mkdir()
        file = folder / "keeper.toml"
        file.write_text(config_text(ground, folder, hedge_toml("BTC/USD:BTC")))
        done = await asyncio.to_thread(keeper, "check", "--connect", "-c", str(file), environ=environ)
        planned = await asyncio.to_thread(keeper, "plan", "-c", str(file), environ=environ)
    assert done.exit_code == 4, done.output
    assert "  fail hedges.btc: every order waits: main:BTC/USDT:USDT holds -5" in done.stdout
    assert 'that no hedge names; set unlisted = "count" or "ignore"\n' in done.stdout
    assert "Not ready: 1 of these" in done.stdout
    assert "unlisted_position" in planned.stdout


async def test_a_price_that_is_late_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeper.venue.observer.CcxtObserver.marks", _down)
    async with own_ground({"BTC": "5"}) as ground:
        [finding] = await told(config_of(ground, tmp_path, hedge_toml()), "hedges.btc")
    assert finding.ok is None
    assert "every order waits" in finding.text
    assert "the venue is away" in finding.text


async def test_a_limit_that_is_reached_is_told_though_covers_go_on(tmp_path: Path) -> None:
    async with own_ground({"BTC": "5"}) as ground:
        limits = '[limits]\nmax_short_notional = "130000"\n'
        [finding] = await told(config_of(ground, tmp_path, hedge_toml(), tail=limits), "hedges.btc")
        assert finding.ok is None
        assert finding.text == "new shorts are limited: sells are cut to 2 contracts by max_short_notional 130000"
        assert await told(config_of(ground, tmp_path, hedge_toml()), "hedges.btc") == []


async def test_margin_that_holds_new_shorts_is_told(tmp_path: Path) -> None:
    async with own_ground({"BTC": "5"}) as ground:
        async with open_house(config_of(ground, tmp_path, hedge_toml()), live=False) as house:
            await settle(house.desk)
        margin = '[margin]\nwarn = "0.0001"\nblock = "0.0002"\n'
        environ = environment(ground)
        file = tmp_path / "keeper.toml"
        file.write_text(config_text(ground, tmp_path, hedge_toml(), tail=margin))
        done = await asyncio.to_thread(keeper, "check", "--connect", "-c", str(file), environ=environ)
    assert done.exit_code == 0, done.output
    assert (
        "  warn hedges.btc: new shorts wait: main:BTC/USDT:USDT: main.linear (USDT): maintenance is 0." in done.stdout
    )
    assert "Ready: " in done.stdout, "covers go on, and a hedge that stands needs no more"


async def test_a_contract_that_the_venue_has_closed_is_told(tmp_path: Path) -> None:
    async with other_ground({"BTC": "5"}) as ground:
        subject, config = "main:BTC/USDT:USDT", config_of(ground, tmp_path, hedge_toml())
        assert not [each for each in await told(config, subject) if "not list it as open" in each.text]
        market = ground.venue.exchange.market("linear", "BTCUSDT")
        market.instrument = replace(market.instrument, status="PreLaunch")
        [finding] = [each for each in await told(config, subject) if "not list it as open" in each.text]
    assert finding.ok is None


async def test_a_hedge_that_was_paused_is_told(tmp_path: Path) -> None:
    async with own_ground({"BTC": "5"}) as ground:
        config = config_of(ground, tmp_path, hedge_toml())
        async with open_house(config, live=False) as house:
            await house.desk.journal.memory("btc", HedgeMemory(paused=True))
        [finding] = await told(config, "hedges.btc")
    assert (finding.ok, finding.text) == (None, "paused by the operator; resume it to trade again")


async def _down(*_: object) -> None:
    raise UnreachableError("the venue is away")
