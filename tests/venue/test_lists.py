"""A list of markets that a venue does not give: what can be seen without it is shown, and what is missing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeper.config import Config
from keeper.core.model import Hold
from keeper.errors import UnsafeError, VenueStartError
from keeper.look import look_once
from keeper.venue.base import UnreadMarketError
from keeper.wiring import open_house
from tests.venue.helpers import DRY_RUN, opened, venue_of
from tests.venue.test_payloads import (
    Told,
    _bingx_position,
    _mexc_position,
    _weex_position,
    bingx,
    config_over,
    mexc,
    near,
    seen,
    serving,
    weex,
)
from tests.venue.test_told import LINEAR, SHORT, hedge
from tests.venue.venues_told import binance, bybit, bybit_position

NO = Told(404, '{"code": 404, "msg": "not found"}')
PAGE = Told(502, "<html>bad gateway</html>", "text/html")
EMPTY = Told(200, "{}")
PATIENCE = "[loop]\nstart_patience_seconds = 0"


def account(exchange: str) -> tuple[dict[str, Any], str, str, str, str]:
    """Routes, the contract that is held, its coin, what is owned and what is held of it."""
    match exchange:
        case "binance":
            return binance([SHORT], []), LINEAR, "BTC", "5", "-2.5"
        case "bybit":
            return bybit([bybit_position("BTCUSDT", "Sell", "2.5", "64000")], []), LINEAR, "BTC", "5", "-2.5"
        case "bingx":
            return bingx([_bingx_position("LTC-USDT", "SHORT", "1.5")], []), "LTC/USDT:USDT", "LTC", "2", "-1.5"
        case "weex":
            held = [_weex_position("ETHUSDT", "SHORT", "2", "4160")]
            return weex(held), "ETH/USDT:USDT", "ETH", "3", "-2"
        case _:
            return mexc([_mexc_position("BTC_USDT", 2, 15000, 60000)]), LINEAR, "BTC", "2", "-1.5"


def refused(routes: dict[str, Any], path: str, query: dict[str, str], told: Told) -> dict[str, Any]:
    """The routes without one list: the same address may give other lists, told apart by a parameter."""
    whole = routes[path]
    if not query:
        return {**routes, path: told}
    return {**routes, path: lambda asked: told if query.items() <= dict(asked).items() else whole(asked)}


OTHER_LISTS = [
    ("binance", "/dapi/v1/exchangeInfo", {}),
    ("binance", "/api/v3/exchangeInfo", {}),
    ("bybit", "/v5/market/instruments-info", {"category": "spot"}),
    ("bybit", "/v5/market/instruments-info", {"category": "inverse"}),
    ("bingx", "/openApi/cswap/v1/market/contracts", {}),
    ("bingx", "/openApi/spot/v1/common/symbols", {}),
    ("weex", "/api/v3/exchangeInfo", {}),
    ("mexc", "/api/v3/exchangeInfo", {}),
]
OWN_LISTS = [
    ("binance", "/fapi/v1/exchangeInfo", {}),
    ("bybit", "/v5/market/instruments-info", {"category": "linear"}),
    ("bingx", "/openApi/swap/v2/quote/contracts", {}),
    ("weex", "/capi/v3/market/exchangeInfo", {}),
    ("mexc", "/api/v1/contract/detail", {}),
]


@pytest.mark.parametrize("told", [NO, PAGE, EMPTY], ids=["404", "502", "empty"])
@pytest.mark.parametrize(("exchange", "path", "query"), OTHER_LISTS)
async def test_another_list_is_missing(
    tmp_path: Path, exchange: str, path: str, query: dict[str, str], told: Told
) -> None:
    routes, symbol, asset, owned, held = account(exchange)
    cycle = await seen(exchange, refused(routes, path, query, told), tmp_path, hedge(symbol, asset=asset))
    assert near(cycle.exposure.exposure_base, owned), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, held), cycle.exposure.blockers
    assert "market_unread" in {reason.code for reason in cycle.exposure.blockers}
    assert isinstance(cycle.decision, Hold)


@pytest.mark.parametrize(("exchange", "path", "query"), OWN_LISTS)
async def test_the_list_of_the_contract_itself_is_missing(
    tmp_path: Path, exchange: str, path: str, query: dict[str, str]
) -> None:
    routes, symbol, asset, owned, _ = account(exchange)
    cycle = await seen(exchange, refused(routes, path, query, NO), tmp_path, hedge(symbol, asset=asset))
    assert near(cycle.exposure.spot_base, owned), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, owned), "a linear contract makes no profit in coins"
    assert cycle.exposure.futures_base is None
    assert "market_unread" in {reason.code for reason in cycle.exposure.blockers}
    assert isinstance(cycle.decision, Hold)


async def test_a_keeper_that_runs_waits_for_the_list_of_its_contract(tmp_path: Path) -> None:
    routes, symbol, asset, _, _ = account("binance")
    async with serving(refused(routes, "/fapi/v1/exchangeInfo", {}, NO)) as (url, _):
        config: Config = config_over("binance", url, tmp_path, hedge(symbol, asset=asset), PATIENCE)
        with pytest.raises(VenueStartError, match="no list of markets that could be read"):
            async with open_house(config, live=False):
                pass


PARTS = {
    "binance": {
        "public": "/api/v3",
        "private": "/api/v3",
        "fapiPublic": "/fapi/v1",
        "fapiPrivate": "/fapi/v1",
        "fapiPrivateV2": "/fapi/v2",
        "fapiPrivateV3": "/fapi/v3",
    },
    "bingx": {"spot": "/openApi", "swap": "/openApi"},
}


@pytest.mark.parametrize("exchange", PARTS)
async def test_addresses_of_some_parts_show_these_parts(tmp_path: Path, exchange: str) -> None:
    routes, symbol, asset, owned, held = account(exchange)
    async with serving(routes) as (url, _):
        table = ", ".join(f'{name} = "{url}{path}"' for name, path in PARTS[exchange].items())
        config = config_over(exchange, f"{{ {table} }}", tmp_path, hedge(symbol, asset=asset))
        (cycle,) = (await look_once(config)).hedges
        assert near(cycle.exposure.exposure_base, owned), cycle.exposure.blockers
        assert near(cycle.exposure.futures_base, held), cycle.exposure.blockers
        assert "market_unread" in {reason.code for reason in cycle.exposure.blockers}
        table = table.replace("fapiPublic", "eapiPublic").replace("swap", "contract")
        with pytest.raises(UnsafeError, match="not an allowed host"):
            await look_once(config_over(exchange, f"{{ {table} }}", tmp_path, hedge(symbol, asset=asset)))


async def test_nothing_at_all_is_no_look(tmp_path: Path) -> None:
    routes, symbol, asset, _, _ = account("bingx")
    silent = dict.fromkeys(routes, NO)
    async with serving(silent) as (url, _):
        with pytest.raises(VenueStartError):
            await look_once(config_over("bingx", url, tmp_path, hedge(symbol, asset=asset)))


async def test_a_list_that_comes_later_is_taken_and_one_that_goes_is_missed() -> None:
    routes, _, _, _, _ = account("binance")
    told = {**routes, "/dapi/v1/exchangeInfo": NO}
    async with serving(told) as (url, _), opened(venue_of("binance", {"urls": {"api": url}}, DRY_RUN)) as venue:
        with pytest.raises(UnreadMarketError):
            venue.observer.instrument("BTC/USD:BTC")
        assert [fault.code for fault in (await venue.observer.positions()).faults] == ["market_unread"]
        told["/dapi/v1/exchangeInfo"] = routes["/dapi/v1/exchangeInfo"]
        await venue.open()
        assert venue.observer.instrument("BTC/USD:BTC").contract_size == 100
        assert (await venue.observer.positions()).faults == ()
        told["/dapi/v1/exchangeInfo"] = NO
        with pytest.raises(Exception, match="not found"):
            await venue.open()
        assert venue.observer.instrument("BTC/USD:BTC").contract_size == 100


async def test_a_ban_that_ends_a_start_is_known_to_the_next_one(tmp_path: Path) -> None:
    """Asked again at every restart of a supervisor, the venue would make it longer."""
    routes, symbol, asset, _, _ = account("binance")
    asked: list[str] = []

    def banned(_: Any) -> Told:
        asked.append("exchangeInfo")
        return Told(418, '{"code": -1003, "msg": "Way too many requests; IP banned."}', headers={"Retry-After": "900"})

    async with serving({**routes, "/fapi/v1/exchangeInfo": banned}) as (url, _):
        config: Config = config_over("binance", url, tmp_path, hedge(symbol, asset=asset), PATIENCE)
        with pytest.raises(VenueStartError, match="banned"):
            async with open_house(config, live=False):
                pass
        before = len(asked)
        with pytest.raises(VenueStartError, match=r"asked us to wait; (900|899) s are left"):
            async with open_house(config, live=False):
                pass
        assert len(asked) == before


async def test_one_key_is_one_key_under_every_id_that_leads_to_its_account(tmp_path: Path) -> None:
    """A second keeper with a journal of its own, at the same account by another name of the client for the venue."""
    routes, symbol, asset, _, _ = account("binance")
    async with serving(routes) as (url, _):
        first = config_over("binance", url, tmp_path, hedge(symbol, asset=asset), PATIENCE)
        more = f'{PATIENCE}\n[journal]\nurl = "sqlite:///second.db"'
        second = config_over("binanceusdm", url, tmp_path, hedge(symbol, asset=asset), more)
        async with open_house(first, live=False):
            with pytest.raises(UnsafeError, match="holds this API key of binance"):
                async with open_house(second, live=False):
                    pass
