"""A list of markets that makes no sense is no fault of the file: it is waited out, as an outage is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keeper.core.model import Hold
from keeper.errors import ConfigError, VenueStartError
from keeper.look import look_once
from keeper.venue.listing import doubt
from keeper.wiring import open_house
from tests.venue.test_lists import PATIENCE, account
from tests.venue.test_payloads import config_over, serving
from tests.venue.test_told import LINEAR, hedge

COIN = "BTC/USD:BTC"
LISTS = {COIN: "/dapi/v1/exchangeInfo", LINEAR: "/fapi/v1/exchangeInfo"}
STRANGE = "Zq8LmT0vR3xKcP5nB7yWdF2hJ6sG9aEuMi1oQtXz"
Change = Callable[[dict[str, Any]], Any]


def rows(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    return lambda told: {**told, "symbols": [{**row, **change(row)} for row in told["symbols"]]}


def renamed(*names: str) -> Change:
    return rows(lambda _: dict.fromkeys(names, STRANGE))


NO_SENSE: dict[str, Change] = {
    "a list around it": lambda told: [told],
    "an empty list": lambda told: {**told, "symbols": []},
    "rows of nothing": lambda told: {**told, "symbols": [{}, {}]},
    "every name another": renamed("symbol", "pair", "baseAsset", "quoteAsset", "marginAsset"),
    "no coin known": renamed("baseAsset"),
    "no quote known": renamed("quoteAsset"),
    "other coins than its name says": rows(lambda row: {"baseAsset": "ABC"} if row["baseAsset"] == "BTC" else {}),
    "an expiry that its name does not have": rows(lambda _: {"contractType": "CURRENT_QUARTER", "deliveryDate": 1}),
}


@pytest.mark.parametrize("symbol", LISTS)
@pytest.mark.parametrize("why", NO_SENSE)
async def test_a_contract_that_a_senseless_list_leaves_out(tmp_path: Path, symbol: str, why: str) -> None:
    routes, _, _, _, _ = account("binance")
    path = LISTS[symbol]
    async with serving({**routes, path: NO_SENSE[why](routes[path])}) as (url, _):
        config = config_over("binance", url, tmp_path, hedge(symbol), PATIENCE)
        try:
            (cycle,) = (await look_once(config)).hedges
        except VenueStartError:
            pass
        else:
            assert "market_unread" in {reason.code for reason in cycle.exposure.blockers}
            assert isinstance(cycle.decision, Hold)
            assert cycle.exposure.futures_base is None
        with pytest.raises(VenueStartError):
            async with open_house(config, live=False):
                pass


@pytest.mark.parametrize("figure", [0, "0", None, "x", -100, "1e999"])
async def test_a_row_that_makes_no_sense(tmp_path: Path, figure: Any) -> None:
    routes, _, _, _, _ = account("binance")
    told = rows(lambda _: {"contractSize": figure})(routes[LISTS[COIN]])
    async with serving({**routes, LISTS[COIN]: told}) as (url, _):
        config = config_over("binance", url, tmp_path, hedge(COIN), PATIENCE)
        with pytest.raises(VenueStartError, match=r"hedges\[0\]\.instrument .*contractSize"):
            await look_once(config)
        with pytest.raises(VenueStartError, match=r"venues\.main: the venue cannot be used: .*contractSize"):
            async with open_house(config, live=False):
                pass


async def test_nonsense_that_passes_is_waited_out(tmp_path: Path) -> None:
    routes, _, _, _, _ = account("binance")
    path, asked = LISTS[COIN], list[str]()

    def told(_: Any) -> Any:
        asked.append(path)
        return [routes[path]] if len(asked) == 1 else routes[path]

    async with serving({**routes, path: told}) as (url, _):
        patient = "[loop]\nstart_patience_seconds = 10"
        async with open_house(config_over("binance", url, tmp_path, hedge(COIN), patient), live=False) as house:
            assert len(asked) == 2
            assert str(house.desk.hedges[0].instrument.id) == f"main:{COIN}"


@pytest.mark.parametrize("symbol", ["BTC/USD:USD", "BTC/USTD:USTD", "BCT/USD:BCT", "DOGE/USDT:USDT", "BTCUSDT"])
async def test_a_mistake_in_a_name_is_one_of_the_file(tmp_path: Path, symbol: str) -> None:
    routes, _, _, _, _ = account("binance")
    async with serving(routes) as (url, _):
        config = config_over("binance", url, tmp_path, hedge(symbol), PATIENCE)
        with pytest.raises(ConfigError, match="has no contract"):
            await look_once(config)
        with pytest.raises(ConfigError, match="has no contract"):
            async with open_house(config, live=False):
                pass


def test_a_kind_that_a_venue_does_not_have_is_not_there() -> None:
    """Every list that was asked for has markets in it, and none is coin-margined."""
    coins = {"base": "BTC", "quote": "USDT", "settle": "USDT"}
    listed = {LINEAR: {"id": "BTCUSDT", "contract": True, "linear": True, **coins}}
    assert doubt(COIN, listed, None) is None
    assert doubt(COIN, listed, "/contracts") == "/contracts lists no market at all"
    assert doubt("ETH/USDT:USDT", listed, "/contracts") is None


async def test_a_mistake_of_the_file_is_told_with_the_nonsense_of_a_venue(tmp_path: Path) -> None:
    routes, _, _, _, _ = account("binance")
    told = rows(lambda _: {"contractSize": 0})(routes[LISTS[COIN]])
    more = f'{PATIENCE}\n[[hedges]]\nname = "other"\n{hedge("ETH/USTD:USTD", asset="ETH")}'
    async with serving({**routes, LISTS[COIN]: told}) as (url, _):
        with pytest.raises(ConfigError, match="contractSize") as caught:
            await look_once(config_over("binance", url, tmp_path, hedge(COIN), more))
        assert "hedges[1].instrument" in str(caught.value)
