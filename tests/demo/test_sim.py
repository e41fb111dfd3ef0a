"""``keeper sim`` as a process: what it prints is all that a keeper needs, and a signal ends it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from statistics import correlation
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.clock import ManualClock
from keeper.commands.sim import credentials, sim
from keeper.config import Config, parse_config
from keeper.core.model import Rebalance
from keeper.demo.drift import FUNDING_MS, STEP_SECONDS, steps, wander
from keeper.demo.setting import HEDGES, INDEX, fund, open_exchange
from keeper.errors import ConfigError
from keeper.look import look_once
from keeper.sim.events import FundingSettled
from keeper.sim.exchange import Exchange
from keeper.sim.types import MarketKind, linear

ROOT = Path(__file__).resolve().parents[2]
START = "import sys; from keeper.commands.sim import sim; sim(0, 0, 5, {speed}, {as_json})"


@contextmanager
def served(*, as_json: bool, speed: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own; it must end well when it is told to."""
    code = START.format(speed=speed, as_json=as_json)
    process = subprocess.Popen(  # noqa: S603  our own interpreter
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.communicate()


def read_json(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            break
    document: dict[str, Any] = json.loads(text)
    return document


def config_of(text: str, environment: Mapping[str, str], tmp_path: Path) -> Config:
    return parse_config(text, "printed", tmp_path / "keeper.toml", environment)


async def test_a_keeper_can_trade_on_what_was_printed(tmp_path: Path) -> None:
    with served(as_json=True) as process:
        document = read_json(process)
        config = config_of(document["config"], document["environment"], tmp_path)
        look = await look_once(config)
        async with aiohttp.ClientSession() as session:
            price = {"asset": "BTC", "price": "70000"}
            async with session.post(document["control_url"] + "/price", json=price) as answer:
                assert await answer.json() == price
        again = await look_once(config)
    assert {cycle.exposure.hedge.name: cycle.exposure.target_base for cycle in look.hedges} == {
        "btc": Decimal(-5),
        "eth": Decimal(-24),
        "btc-coin": Decimal(-2),
    }
    assert all(isinstance(cycle.decision, Rebalance) for cycle in look.hedges)
    dated = [word.strip(",") for word in document["config"].split() if word.startswith("BTC/USD:BTC-")]
    assert len(dated) == 2
    assert all(symbol in document["config"] for symbol in ("TOP10/USDT:USDT", "main.earn"))
    mark = again.hedges[0].exposure.mark
    assert mark is not None
    assert mark.mark == 70_000


def test_the_text_holds_the_configuration_the_credentials_and_the_controls(tmp_path: Path) -> None:
    with served(as_json=False, speed=1.0) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "/funding" in line:
                break
    exports = [line.removeprefix("export ").partition("=")[::2] for line in lines if line.startswith("export ")]
    second = next(index for index, line in enumerate(lines) if line.startswith("# ---- 2."))
    config = config_of("\n".join(lines[:second]), dict(exports), tmp_path)
    assert [hedge.name for hedge in config.hedges] == [hedge.name for hedge in HEDGES]
    assert config.venues["main"].api_key.get_secret_value() == credentials(5)[0]
    curls = [line for line in lines if line.startswith("curl ")]
    assert any("/deposit" in line and "-d '{" in line for line in curls)
    assert any(line.endswith("/state") for line in curls)


def test_a_port_that_is_taken_is_named() -> None:
    with served(as_json=True) as process:
        port = int(read_json(process)["exchange_url"].rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"--port {port}"):
            sim(port, None, 1, 0.0)


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ConfigError, match="--speed"):
        sim(0, 0, 1, speed)


@given(st.integers(), st.integers(1, 10_000_000))
def test_prices_wander_the_same_way_for_the_same_seed_and_never_vanish(seed: int, step_ms: int) -> None:
    start = {"BTC": Decimal(65_000), "XYZ": Decimal("0.5")}
    factors = list(islice(steps(start, seed, step_ms), 20))
    assert factors == list(islice(steps(start, seed, step_ms), 20))
    assert all(set(each) == set(start) and min(each.values()) > 0 for each in factors)


def test_coins_move_together_as_much_as_coins_do_and_an_index_with_them() -> None:
    """The same holds for the candles of the time before, so that a beta can be estimated and means something."""
    exchange = open_exchange(ManualClock(), 1)
    moves = list(islice(steps(exchange.true_prices(), 3, 3_600_000), 2_000))
    lived = {asset: [float(each[asset]) - 1 for each in moves] for asset in ("BTC", "ETH", INDEX)}
    past: dict[str, list[float]] = {}
    for asset in lived:
        bars = exchange.klines(linear(f"{asset}USDT"), 86_400_000, limit=400)
        past[asset] = [float(right.close / left.close) - 1 for left, right in pairwise(bars[:-1])]
    for returns in (lived, past):
        assert 0.6 < correlation(returns["BTC"], returns["ETH"]) < 0.85
        assert 0.6 < correlation(returns["BTC"], returns[INDEX]) < 0.85


async def test_market_time_runs_fast_and_a_price_set_by_hand_is_where_it_wanders_on() -> None:
    clock = ManualClock()
    exchange = open_exchange(clock, 1)
    fund(exchange, "key", "secret")
    settled: list[FundingSettled] = []
    exchange.subscribe(lambda event: settled.append(event) if isinstance(event, FundingSettled) else None)
    walking = asyncio.create_task(wander(exchange, clock, 1, speed=3600.0))
    exchange.set_price("BTC", Decimal(1_000_000))
    for _ in range(int(FUNDING_MS / (STEP_SECONDS * 1000 * 3600.0)) + 1):
        await clock.sleep(0)
        clock.advance(STEP_SECONDS)
        await clock.sleep(0)
    walking.cancel()
    await asyncio.gather(walking, return_exceptions=True)
    assert Decimal(900_000) < exchange.index_price("BTC") < Decimal(1_100_000)
    assert exchange.index_price("BTC") != 1_000_000
    assert {event.record.market for event in settled} == {
        market.key
        for kind in (MarketKind.LINEAR, MarketKind.INVERSE)
        for market in exchange.markets(kind)
        if market.expiry_ms is None
    }


async def test_at_no_speed_prices_stand_still() -> None:
    exchange = Exchange(ManualClock(), 1)
    before = dict(exchange.true_prices())
    await wander(exchange, ManualClock(), 1, speed=0)
    assert exchange.true_prices() == before
