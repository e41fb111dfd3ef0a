"""What a venue does not tell of one hedge, or does not let this key ask, hides nothing of another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keeper.core.model import HedgeCycle
from keeper.errors import VenueStartError
from keeper.look import look_once
from tests.venue.test_lists import NO
from tests.venue.test_other_ways import coin_margined
from tests.venue.test_payloads import Told, _mexc_position, config_over, near, seen, serving
from tests.venue.test_told import COIN, INVERSE, LINEAR, SHORT, hedge
from tests.venue.venues_told import binance

MAY_NOT = Told(401, json.dumps({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}))


async def both(exchange: str, routes: dict[str, Any], folder: Path, first: str, second: str) -> list[HedgeCycle]:
    """Two hedges at one venue in one look."""
    async with serving(routes) as (url, _):
        more = f'[[hedges]]\nname = "other"\n{second}\n'
        return list((await look_once(config_over(exchange, url, folder, first, more))).hedges)


@pytest.mark.parametrize(("path", "rows"), [("/api/v3/account", "balances"), ("/dapi/v1/account", "assets")])
async def test_a_coin_that_cannot_be_read_hides_no_other(tmp_path: Path, path: str, rows: str) -> None:
    routes = binance([SHORT], [COIN])
    account = json.loads(json.dumps(routes[path]))
    spoilt = next(row for row in account[rows] if row["asset"] == "BTC")
    spoilt["free" if rows == "balances" else "walletBalance"] = None
    routes[path] = account
    ether = hedge("ETH/USD:ETH", asset="ETH")
    coin, other = await both("binance", routes, tmp_path, hedge(INVERSE), ether)
    assert coin.exposure.exposure_base is None
    assert near(other.exposure.exposure_base, "12"), other.exposure.blockers
    assert near(coin.exposure.futures_base, "-1")
    # the wallet said something that makes no sense, so that nobody trades on the rest of it
    for cycle in (coin, other):
        assert "bad_reading" in {reason.code for reason in cycle.exposure.blockers}
        assert cycle.plan is None or not cycle.plan.orders


async def test_a_price_that_is_told_of_one_contract_alone_is_used(tmp_path: Path) -> None:
    routes, owned = coin_margined("mexc")
    short = [_mexc_position("BTC_USD", 2, 650, 65000), _mexc_position("BTC_USDT", 2, 15000, 65000)]
    routes["/api/v1/private/position/open_positions"] = {"success": True, "code": 0, "data": short}
    routes["/api/v1/contract/ticker"] = NO  # and the fair price of the linear contract is not told either
    halves = [hedge(symbol).replace('ratio = "1"', 'ratio = "0.5"') for symbol in (INVERSE, LINEAR)]
    coin, linear = await both("mexc", routes, tmp_path, *halves)
    assert near(coin.exposure.futures_base, "-1"), coin.exposure.blockers
    assert near(coin.exposure.exposure_base, owned), coin.exposure.blockers
    assert near(linear.exposure.futures_base, "-1.5"), linear.exposure.blockers


async def test_a_key_that_may_not_ask_for_positions_still_shows_coins(tmp_path: Path) -> None:
    routes = binance([SHORT], [COIN])
    for path in [path for path in routes if path.startswith("/fapi/") and ("osition" in path or "Orders" in path)]:
        routes[path] = MAY_NOT
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR))
    assert cycle.exposure.futures_base is None
    assert near(cycle.exposure.spot_base, "5"), cycle.exposure.blockers
    assert "credentials_refused" in {reason.code for reason in cycle.exposure.blockers}
    for path in routes:
        if "exchangeInfo" not in path and "premiumIndex" not in path and "ticker" not in path:
            routes[path] = MAY_NOT
    with pytest.raises(VenueStartError, match="refuses the credentials"):
        await seen("binance", routes, tmp_path, hedge(LINEAR))
