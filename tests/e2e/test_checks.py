"""What ``keeper check --connect`` tells of hedges that are not what the configuration alone says, over sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.config import Config
from keeper.look import check_connect
from keeper.preflight import Finding
from keeper.venue.base import UnreachableError
from tests.e2e.grounds import config_of, hedge_toml, own_ground

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


async def _down(*_: object) -> None:
    raise UnreachableError("the venue is away")
