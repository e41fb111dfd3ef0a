"""A venue that answers with what it was sent: no reading, and no error about one, repeats a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeper.api.token import ensure_token
from keeper.clock import SystemClock
from keeper.look import look_once
from keeper.venue.base import UnreadMarketError
from keeper.wiring import open_venues
from tests.venue.test_payloads import Told, config_over, serving
from tests.venue.test_told import LINEAR, hedge
from tests.venue.venues_told import binance, binance_position

LONG = "CANARYkeyOfSixtyFourCharactersAsSomeVenuesGiveThem0123456789abcd"
SHORT = "CANARY/k+y1=2"


def in_every_text(tree: Any, key: str) -> Any:
    """The same answer, with the key in the place of every figure in it."""
    if isinstance(tree, dict):
        return {name: in_every_text(value, key) for name, value in tree.items()}
    if isinstance(tree, list):
        return [in_every_text(value, key) for value in tree]
    return key if isinstance(tree, str) and tree[:1] in "-0123456789" else tree


@pytest.mark.parametrize("key", [LONG, SHORT])
@pytest.mark.parametrize(
    "path",
    ["/api/v3/account", "/fapi/v3/account", "/fapi/v3/positionRisk", "/fapi/v1/premiumIndex"],
)
async def test_figures_that_are_keys(tmp_path: Path, path: str, key: str) -> None:
    routes = binance([binance_position("BTCUSDT", key, key, side=key)], [])
    found = routes.get(path)
    routes[path] = (lambda query: in_every_text(found(query), key)) if callable(found) else in_every_text(found, key)
    async with serving(routes) as (url, _):
        look = await look_once(config_over("binance", url, tmp_path, hedge(LINEAR), key=key))
    assert look.hedges[0].exposure.blockers
    assert "CANARY" not in repr(look)


@pytest.mark.parametrize("key", [LONG, SHORT])
async def test_refusals_that_repeat_the_request(tmp_path: Path, key: str) -> None:
    routes = binance([], [])
    for path in ("/api/v3/account", "/fapi/v3/positionRisk"):
        routes[path] = lambda query: Told(400, f'{{"code": -1100, "msg": "X-MBX-APIKEY={key} and {dict(query)}"}}')
    async with serving(routes) as (url, _):
        look = await look_once(config_over("binance", url, tmp_path, hedge(LINEAR), key=key))
    assert look.hedges[0].exposure.blockers
    assert "CANARY" not in repr(look)


def routes_that_say(*texts: str) -> Any:
    """Binance, with a text in the place of a size, of a balance and of a side, and as a coin's name."""
    first, last = texts[0], texts[-1]
    position = binance_position("BTCUSDT", first, last, side=first)
    balances = [
        {"asset": "BTC", "free": first, "locked": last},
        *({"asset": text.upper(), "free": "1", "locked": "0"} for text in texts if not text.isalpha()),
    ]
    return {
        **binance([], []),
        "/fapi/v3/positionRisk": [position],
        "/api/v3/account": {"balances": balances},
        "/fapi/v1/premiumIndex": [{"symbol": "BTCUSDT", "markPrice": first}],
    }


@pytest.mark.parametrize(
    ("more", "texts"),
    [
        ('[venues.main.ccxt]\nwsProxy = "http://CANARY01:CANARYp2@127.0.0.1:9"\n', ("CANARYp2", "CANARY01")),
        ('[venues.main.ccxt]\nwsProxy = "http://usr:CANARY@127.0.0.1:9"\n', ("CANARY",)),
        ('[venues.main.ccxt]\nheaders = { "X-Gate-Auth" = "Bearer CANARYgate1" }\n', ("CANARYgate1",)),
        ('[venues.main.ccxt]\noptions = { gate = { accessKey = "CANARYgate1" } }\n', ("CANARYgate1",)),
    ],
)
async def test_short_secrets_and_those_of_other_tables(tmp_path: Path, more: str, texts: tuple[str, ...]) -> None:
    """What is read of the rest stays, and what could not be read is told without repeating it."""
    async with serving(routes_that_say(*texts)) as (url, _):
        look = await look_once(config_over("binance", url, tmp_path, hedge(LINEAR), more))
    assert "<hidden>" in repr(look)
    assert "canary" not in repr(look).lower()


@pytest.mark.parametrize("path", ["/fapi/v1/premiumIndex", "/fapi/v1/exchangeInfo"])
async def test_a_short_secret_in_the_place_of_a_row(tmp_path: Path, path: str) -> None:
    """Prices that another list stood in for, and a market that makes no sense, are told beside what was read."""
    routes = binance([], [])
    if path.endswith("exchangeInfo"):
        (market, *_) = routes[path]["symbols"]
        routes[path] = {"symbols": [{**market, "quoteAsset": "CANARY" + "\t", "baseAsset": "BTC"}]}
    else:
        routes[path] = ["CANARY"]
    more = '[venues.main.ccxt]\nwsProxy = "http://usr:CANARY@127.0.0.1:9"\n'
    async with serving(routes) as (url, _):
        config = config_over("binance", url, tmp_path, hedge(LINEAR), more)
        look = await look_once(config)
        if path.endswith("exchangeInfo"):
            async with open_venues(config, SystemClock(), patience_seconds=1, to_look=True) as venues:
                with pytest.raises(UnreadMarketError, match="calls a coin '<hidden>"):
                    venues.observers["main"].instrument(LINEAR)
    assert "<hidden>" in repr(look)
    assert "CANARY" not in repr(look)


async def test_the_token_that_another_keeper_made(tmp_path: Path) -> None:
    """A command that only looks finds it beside the journal of the keeper that runs."""
    token = ensure_token(tmp_path / "keeper.token")
    async with serving(routes_that_say(token)) as (url, _):
        look = await look_once(config_over("binance", url, tmp_path, hedge(LINEAR)))
    assert "<hidden>" in repr(look)
    assert token.lower() not in repr(look).lower()


async def test_what_became_a_secret_after_the_start(tmp_path: Path) -> None:
    """At a first start the token of the API is made when the venues are open already."""
    token = "CANARYtokenOfTheInterface"
    async with serving(routes_that_say(token)) as (url, _):
        config = config_over("binance", url, tmp_path, hedge(LINEAR))
        async with open_venues(config, SystemClock(), patience_seconds=1, to_look=True) as venues:
            venues.hide(token)
            book = await venues.observers["main"].positions()
    assert book.faults
    assert "CANARY" not in repr(book)


@pytest.mark.parametrize("way", ["a figure", "a refusal", "a coin's name"])
async def test_secrets_that_are_not_the_venues_own(tmp_path: Path, way: str) -> None:
    """An alert channel's token and password: whoever repeats them, they are masked where the answer comes in."""
    token, password = "CANARYtokenOfAChannel", "CANARYpasswordOfIt"
    routes = binance([], [])
    if way == "a figure":
        routes["/fapi/v3/positionRisk"] = [binance_position("BTCUSDT", token, password, side=token)]
    elif way == "a refusal":
        routes["/fapi/v3/positionRisk"] = lambda _: Told(407, f"Proxy refused {token} and {password.upper()}")
    else:
        routes["/api/v3/account"] = {"balances": [{"asset": token.upper(), "free": "1", "locked": "0"}]}
    async with serving(routes) as (url, _):
        more = f'[alerts]\nurls = ["json://u:{password}@127.0.0.1/{token}"]\n'
        look = await look_once(config_over("binance", url, tmp_path, hedge(LINEAR), more))
    assert "CANARY" not in repr(look)
