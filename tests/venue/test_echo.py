"""A venue that answers with what it was sent: no reading, and no error about one, repeats a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeper.look import look_once
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
