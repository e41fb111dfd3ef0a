"""Paper trading through the real client, over sockets: the simulated exchanges are the live venue, left untouched."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.config import Config, parse_config
from keeper.core.model import Hold, Side
from keeper.cycle import turn
from keeper.errors import ConfigError, UnsafeError
from keeper.journal.reader import JournalReader
from keeper.look import check_connect, look_once
from keeper.papering import KIND
from keeper.sim.types import linear
from keeper.wiring import House, open_house
from tests.cli.support import keeper
from tests.e2e.grounds import (
    KEY,
    D,
    Ground,
    OtherGround,
    OwnGround,
    config_text,
    environment,
    hedge_toml,
    other_ground,
    own_ground,
)
from tests.e2e.test_golden import settle

PAPER = 'mode = "paper"'
BEGINS = 'balances = { BTC = "5", USDT = "500000" }'
TAKER = {"binance": D("0.0005"), "bybit": D("0.0006")}
"""What the exchanges' lists of markets say."""


@pytest_asyncio.fixture(params=["own", "other"])
async def ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    async with own_ground({}) if request.param == "own" else other_ground({}) as made:
        yield made


def paper_config(ground: Ground, folder: Path, hedges: str = "", paper: str = BEGINS, **more: str) -> Config:
    table = f"[venues.main.paper]\n{paper}\n"
    text = config_text(ground, folder, (hedges or hedge_toml()) + table, head=PAPER, **more)
    return parse_config(text, "keeper.toml", folder / "keeper.toml", {})


def private(ground: Ground) -> list[tuple[str, str]]:
    """Requests that were not for public data: signed ones, and whatever is no mere read."""
    if isinstance(ground, OwnGround):
        entries = ground.server.requests
        return [(each.method, each.path) for each in entries if each.method != "GET" or "timestamp" in each.params]
    assert isinstance(ground, OtherGround)
    return [(each.method, each.path) for each in ground.venue.requests if each.method != "GET" or each.signed]


def stated(folder: Path, coins: str) -> str:
    """A hedge on the paper wallet's coins and those of a file, which a story may change."""
    state(folder, coins)
    return hedge_toml(more='holdings_file = { path = "cold.json" }')


def state(folder: Path, coins: str) -> None:
    draft = folder / "cold.draft"
    draft.write_text(json.dumps({"BTC": coins}))
    draft.replace(folder / "cold.json")


async def settled(house: House, contracts: int) -> None:
    """Turns until the position is right, and one more, which holds."""
    for _ in range(10):
        record = await turn(house.desk)
        if await short(house) == contracts and isinstance(record.hedges[0].decision, Hold):
            return
    raise AssertionError((await short(house), record.hedges[0].reasons))


async def short(house: House) -> Decimal:
    venue = house.venues.papers["main"]
    return (await venue.position(venue.instrument("BTC/USDT:USDT"))).contracts


async def test_a_hedge_is_opened_enlarged_and_covered_and_the_venue_is_asked_for_public_data_alone(
    ground: Ground, tmp_path: Path
) -> None:
    config = paper_config(ground, tmp_path, stated(tmp_path, "1"))
    async with open_house(config, live=False) as house:
        await settled(house, -6)
        state(tmp_path, "2")
        await settled(house, -7)
        state(tmp_path, "1")
        await settled(house, -6)
    async with open_house(config, live=False) as house:
        await settle(house.desk)
        assert await short(house) == -6, "the account outlives the keeper"
    async with await JournalReader.open(config.journal_url) as reader:
        orders = await reader.orders(100)
        fees = sum((fill.fee or D(0) for fill in await reader.fills(100)), D(0))
        summary = await reader.summary()
    assert [side for side, _ in groupby(row.intent.order.side for row in orders)] == [Side.SELL, Side.BUY]
    assert summary.last_mode == "paper"
    worth = sum((row.intent.outcome.filled * (row.intent.outcome.average_price or D(0)) for row in orders), D(0))
    assert fees == pytest.approx(worth * TAKER[ground.exchange_id])
    assert ground.contracts("BTC/USDT:USDT") == 0
    assert ground.orders() == 0
    assert ground.requests()
    assert not private(ground)


async def test_a_plan_shows_what_the_account_would_begin_with_and_writes_nothing(
    ground: Ground, tmp_path: Path
) -> None:
    config = paper_config(ground, tmp_path)
    look = await look_once(config)
    assert look.hedges[0].exposure.spot_base == 5
    assert look.hedges[0].plan is not None
    assert sum(order.contracts for order in look.hedges[0].plan.orders) == 5
    assert not any(tmp_path.iterdir()), "a plan writes no file"  # noqa: ASYNC240
    async with open_house(config, live=False) as house:
        await settle(house.desk)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".lock"}  # noqa: ASYNC240
    look = await look_once(config)
    assert look.hedges[0].exposure.futures_base == -5
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".lock"}  # noqa: ASYNC240
    assert after == before


async def test_a_check_reads_the_margin_of_the_account_as_it_would_begin_and_speaks_of_no_key(
    ground: Ground, tmp_path: Path
) -> None:
    config = paper_config(ground, tmp_path)
    findings = await check_connect(config)
    texts = [finding.text for finding in findings]
    assert "paper: no key is used, nothing is sent" in texts
    assert not [text for text in texts if "the key" in text]
    [rally] = [each.text for each in findings if each.subject == "hedges.btc: main:BTC/USDT:USDT"]
    if ground.exchange_id == "binance":
        # 5 coins short at about 65,000 and 500,000 behind them: (500,000 + 5·65,000) / (5·1.005)
        assert abs(float(rally.split("at about ")[1].split(":")[0]) - 164_200) < 1000
    else:
        assert "no rally short of 10 times the price liquidates it" in rally, "the coins margin their own short there"
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


async def test_a_threshold_of_the_margin_lets_a_first_short_be_opened_on_paper(ground: Ground, tmp_path: Path) -> None:
    config = paper_config(ground, tmp_path, tail='[margin]\nblock = "0.8"\n')
    async with open_house(config, live=False) as house:
        assert "paper: no key is used, nothing is sent" in [each.text for each in house.checked.findings]
        await settled(house, -5)


async def test_figures_that_come_after_the_beginning_are_told_to_change_nothing(ground: Ground, tmp_path: Path) -> None:
    config = paper_config(ground, tmp_path)
    async with open_house(config, live=False) as house:
        await settle(house.desk)
    says = "the account began with BTC 5, USDT 500000; the file's figures of today do not change it"
    file = tmp_path / "keeper.toml"
    for paper, changed in (
        (BEGINS, False),
        (BEGINS.replace('"5"', '"5.0"'), False),
        (BEGINS.replace("5", "7", 1), True),
    ):
        table = f"[venues.main.paper]\n{paper}\n"
        file.write_text(config_text(ground, tmp_path, hedge_toml() + table, head=PAPER))
        done = await asyncio.to_thread(keeper, "check", "-c", str(file))
        assert (f"  warn venues.main.paper: {says}\n" in done.stdout) is changed, done.output
        planned = await asyncio.to_thread(keeper, "plan", "-c", str(file))
        assert planned.exit_code == 0
        assert (says in planned.stderr) is changed, planned.output
    (tmp_path / "keeper.main.paper.db").rename(tmp_path / "aside.db")
    done = await asyncio.to_thread(keeper, "check", "-c", str(file))
    assert done.exit_code == 0
    assert "the account began" not in done.stdout


async def test_an_account_that_begins_like_the_real_one_and_then_goes_its_own_way(tmp_path: Path) -> None:
    async with own_ground({"BTC": "5"}) as ground:
        ground.exchange.foreign_trade(KEY, linear("BTCUSDT"), D(-2))
        table = '[venues.main.paper]\nseed = "account"\n'
        text = config_text(ground, tmp_path, hedge_toml() + table, head=PAPER)
        with pytest.raises(ConfigError, match="API_KEY"):
            parse_config(text, "keeper.toml", tmp_path / "keeper.toml", {})
        config = parse_config(text, "keeper.toml", tmp_path / "keeper.toml", environment(ground))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert await short(house) == -5
            (begun,) = await house.desk.journal.events(KIND, "main")
            assert D(json.loads(begun.detail)["positions"]["BTC/USDT:USDT"]["contracts"]) == -2
            ground.sell("BTC", "5")
            ground.exchange.foreign_trade(KEY, linear("BTCUSDT"), D(2))
            await settle(house.desk)
            assert await short(house) == -5, "what happens to the real account is not its business"
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert await short(house) == -5
            assert len(await house.desk.journal.events(KIND, "main", 10)) == 1
        assert not [path for method, path in private(ground) if method != "GET" and "getAsset" not in path]
        assert ground.orders() == 0


@pytest.mark.parametrize(("first", "then"), [("paper", "testnet"), ("testnet", "paper")])
async def test_a_journal_is_of_paper_or_it_is_not(tmp_path: Path, first: str, then: str) -> None:
    async with own_ground() as ground:
        text = config_text(ground, tmp_path, f"{hedge_toml()}[venues.main.paper]\n{BEGINS}\n", head=f'mode = "{first}"')
        path = tmp_path / "keeper.toml"
        async with open_house(parse_config(text, "keeper.toml", path, environment(ground)), live=False) as house:
            await turn(house.desk)
        other = parse_config(
            text.replace(f'mode = "{first}"', f'mode = "{then}"'), "keeper.toml", path, environment(ground)
        )
        with pytest.raises(UnsafeError, match="do not share one"):
            async with open_house(other, live=False):
                pass
        with pytest.raises(UnsafeError, match="do not share one"):
            await look_once(other)


@pytest.mark.parametrize(
    ("paper", "says"),
    [
        ('balances = { BTC = "5" }', 'begins with none for it; add it, as in balances = { USDT = "100000" }'),
        ('balances = { BTC = "5" }\nwallets = { linaer = { USDT = "1" } }', "did you mean linear"),
    ],
)
async def test_what_an_account_lacks_is_said_before_anything_begins(tmp_path: Path, paper: str, says: str) -> None:
    async with own_ground() as ground:
        with pytest.raises(ConfigError, match=re.escape(says)):
            await look_once(paper_config(ground, tmp_path, paper=paper))


async def test_a_unified_account_margins_with_all_its_coins(tmp_path: Path) -> None:
    async with other_ground({}) as ground:
        config = paper_config(ground, tmp_path, paper='balances = { BTC = "5" }\nleverage = "5"')
        async with open_house(config, live=False) as house:
            await settled(house, -5)
            (margin,) = await house.venues.papers["main"].margins()
            assert margin.asset == "USD"
            assert margin.equity == pytest.approx(5 * 65_000, rel=D("0.01"))
            assert margin.maintenance == pytest.approx(5 * 650, rel=D("0.01"))
            wallet = await house.venues.papers["main"].wallet("")
            assert wallet.totals["USDT"] < 0, "the fees are owed, as such an account owes them"
            record = await turn(house.desk)
            assert record.snapshot.margins == (margin,)
