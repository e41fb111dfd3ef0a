"""One of two venues is down: whoever looks sees the other one whole, and what of the first is not known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from keeper.commands.roll import rolls_document
from keeper.commands.stress import of_look
from keeper.config import Config, parse_config
from keeper.core.model import InstrumentId, Kind
from keeper.errors import VenueStartError
from keeper.look import Look, look_once
from keeper.report import hedge_json
from keeper.venue.away import by_its_name
from keeper.wiring import open_house
from tests.e2e.grounds import OwnGround, config_text, environment, hedge_toml, own_ground
from tests.e2e.test_contracts import hedge

NOBODY = "http://127.0.0.1:1"
DOWN = f'[venues.other]\nexchange = "bybit"\n[venues.other.ccxt]\nurls = {{ api = "{NOBODY}" }}\n'


def config_with_one_down(ground: OwnGround, folder: Path, hedges: str) -> Config:
    text = config_text(ground, folder, hedges, tail=DOWN)
    keys = {f"KEEPER_VENUES__OTHER__API_{each}": "planted-0123456789" for each in ("KEY", "SECRET")}
    return parse_config(text, "keeper.toml", folder / "keeper.toml", {**environment(ground), **keys})


def codes(look: Look, place: int) -> set[str]:
    return {reason["code"] for reason in hedge_json(look.hedges[place])["reasons"]}


async def test_the_venue_that_answers_is_planned_for_and_the_other_is_a_gap(tmp_path: Path) -> None:
    hedges = (
        hedge_toml(ratio="0.6")
        + hedge_toml("ETH/USDT:USDT", "0.5", "eth", "ETH", venue="other")
        + hedge_toml("SOL/USD:SOL", "0.5", "sol", "SOL", venue="other")
    )
    async with own_ground({"BTC": "5", "ETH": "10", "SOL": "100"}) as ground:
        look = await look_once(config_with_one_down(ground, tmp_path, hedges))
        assert ground.orders() == 0
    btc, eth, sol = (hedge_json(each) for each in look.hedges)
    assert (btc["decision"], btc["drift_base"], btc["orders"][0]["contracts"]) == ("rebalance", "3", "3")
    assert "unreachable" not in codes(look, 0)
    assert "check_failed" not in codes(look, 0)
    assert (eth["decision"], eth["spot_base"], eth["futures_base"], eth["orders"]) == ("hold", "10", None, [])
    assert "unreachable" in codes(look, 1)
    assert sol["collateral_base"] is None, "coins that may margin it were not read: that is not none"
    stress = of_look(look, [Fraction(1, 10)])
    assert [each["value"] is None for each in stress["hedges"]] == [False, True, True]
    assert stress["total"]["value"] is None


async def test_a_hedge_split_over_both_is_shown_with_what_one_of_them_holds(tmp_path: Path) -> None:
    keys = 'instruments = ["main:BTC/USDT:USDT", "other:BTC/USDT:USDT"]\nratio = "0.5"'
    async with own_ground() as ground:
        look = await look_once(config_with_one_down(ground, tmp_path, hedge("btc", keys)))
    shown = hedge_json(look.hedges[0])
    assert (shown["spot_base"], shown["futures_base"], shown["decision"]) == ("5", None, "hold")
    assert [leg["contracts"] for leg in shown["legs"]] == ["0", None]


async def test_a_comparison_of_contracts_and_a_start_need_every_venue(tmp_path: Path) -> None:
    hedges = hedge_toml(ratio="0.6") + hedge_toml("ETH/USDT:USDT", "0.5", "eth", "ETH", venue="other")
    async with own_ground({"BTC": "5", "ETH": "10"}) as ground:
        config = config_with_one_down(ground, tmp_path, hedges)
        with pytest.raises(VenueStartError, match=r"venues\.other: the venue cannot be used"):
            await rolls_document(config, ["btc"], None)
        with pytest.raises(VenueStartError, match=r"venues\.other: the venue cannot be used"):
            async with open_house(config, live=False):
                pass


def test_what_the_name_of_a_contract_says() -> None:
    dated = by_its_name(InstrumentId("main", "BTC/USD:BTC-270326"))
    assert dated is not None
    assert (dated.kind, dated.settle, dated.expires_at_ms) == (Kind.INVERSE, "BTC", 1_806_048_000_000)
    assert by_its_name(InstrumentId("main", "BTCUSDT")) is None
