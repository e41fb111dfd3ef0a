"""Rows as venues really write them: shown in more than one list, one of them spoilt, a side beside a bare size, an
entry price under an older name or none at all, an account that is said to be of a kind that it no longer is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeper.core.model import Hold
from tests.venue.test_other_ways import _classic
from tests.venue.test_payloads import (
    D,
    _bingx_position,
    _mexc_position,
    _weex_position,
    bingx,
    mexc,
    near,
    seen,
    venue_over,
    weex,
)
from tests.venue.test_told import COIN, INVERSE, LINEAR, SHORT, hedge
from tests.venue.venues_told import binance, binance_position, bybit, bybit_position

BYBIT_COIN = bybit_position("BTCUSD", "Sell", "65000", "65000", positionValue="1.0")


def _listed(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": {"list": list(rows), "nextPageCursor": ""}, "time": 1672738134824}


async def test_a_position_that_several_lists_show_is_one_position(tmp_path: Path) -> None:
    """A list that does not heed the coin of settlement shows the same rows for USDT and for USDC."""
    short = bybit_position("BTCUSDT", "Sell", "2.5", "64000")
    routes = bybit([], [])
    routes["/v5/position/list"] = _listed(short, BYBIT_COIN, short)
    linear = await seen("bybit", routes, tmp_path, hedge(LINEAR))
    assert near(linear.exposure.futures_base, "-2.5"), linear.exposure.blockers
    inverse = await seen("bybit", routes, tmp_path, hedge(INVERSE))
    assert near(inverse.exposure.futures_base, "-1"), inverse.exposure.blockers
    assert near(inverse.exposure.exposure_base, "5")


SPOILT: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "binance": (
        binance([SHORT, binance_position("ETHUSDT", None)], []), LINEAR, "BTC", "-2.5",
    ),
    "binance, a side against its sign": (
        binance([binance_position("ETHUSDT", "-3", "3200", "LONG"), SHORT], []), LINEAR, "BTC", "-2.5",
    ),
    "bybit": (
        bybit([bybit_position("BTCUSDT", "Sell", "2.5", "64000")], [bybit_position("BTCUSD", "", " ")]),
        LINEAR, "BTC", "-2.5",
    ),
    "bingx": (
        bingx([_bingx_position("LTC-USDT", "SHORT", "2.5")], [_bingx_position("SOL-USD", "", "3")]),
        "LTC/USDT:USDT", "LTC", "-2.5",
    ),
    "mexc": (
        mexc([_mexc_position("BTC_USD", 3, 600, 60000), _mexc_position("BTC_USDT", 2, 25000, 60000)]),
        LINEAR, "BTC", "-2.5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
async def test_a_row_that_cannot_be_understood_hides_its_own_contract_alone(tmp_path: Path, case: str) -> None:
    routes, symbol, asset, futures = SPOILT[case]
    cycle = await seen(case.partition(",")[0], routes, tmp_path, hedge(symbol, asset=asset))
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers
    assert "bad_reading" in {reason.code for reason in cycle.exposure.blockers}
    assert isinstance(cycle.decision, Hold)


async def test_a_spoilt_row_of_the_contract_itself_is_no_figure(tmp_path: Path) -> None:
    halves = [_weex_position("ETHUSDT", "SHORT", "2", "4160", id=1), _weex_position("ETHUSDT", "LONG", "-1", "1", id=2)]
    cycle = await seen("weex", weex(halves), tmp_path, hedge("ETH/USDT:USDT", asset="ETH"))
    assert cycle.exposure.futures_base is None
    assert near(cycle.exposure.exposure_base, "3"), cycle.exposure.blockers


async def test_a_short_of_binance_is_one_with_and_without_a_minus(tmp_path: Path) -> None:
    rows = [
        binance_position("BTCUSDT", "0.005", "65000", "LONG"),
        binance_position("BTCUSDT", "2.505", "65000", "SHORT"),
    ]
    cycle = await seen("binance", binance(rows, []), tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.futures_base, "-2.5"), cycle.exposure.blockers
    bare = {key: value for key, value in SHORT.items() if key != "positionSide"}
    cycle = await seen("binance", binance([bare], []), tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.futures_base, "-2.5"), cycle.exposure.blockers


PROFIT = 65000 * (1 / D(65000) - 1 / D(66000))
"""Coins that 65,000 dollars short lose when the price goes from 65,000 to 66,000."""
SHORTS = {
    "an older name": {"avgPrice": "", "entryPrice": "66000"},
    "profit alone": {"avgPrice": "0", "unrealisedPnl": f"{PROFIT:.18f}"},
}


@pytest.mark.parametrize("case", SHORTS)
async def test_the_entry_of_a_coin_margined_position_is_told_in_several_ways(tmp_path: Path, case: str) -> None:
    cycle = await seen("bybit", bybit([], [BYBIT_COIN | SHORTS[case]]), tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.futures_base, "-1"), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, f"{5 + PROFIT:f}"), cycle.exposure.blockers


async def test_a_binance_position_without_an_entry_price_is_known_by_its_profit(tmp_path: Path) -> None:
    row = COIN | {"entryPrice": "0.0", "unRealizedProfit": f"{PROFIT:.18f}", "markPrice": "65000.0"}
    cycle = await seen("binance", binance([], [row]), tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.exposure_base, f"{D('6.5') + PROFIT:f}"), cycle.exposure.blockers


@pytest.mark.parametrize("status", [1, 3, 4])
async def test_a_kind_of_account_that_has_none_of_its_wallets_is_not_believed(tmp_path: Path, status: int) -> None:
    """The account says "first unified" or "classic", and all it has is the one wallet of today's unified account."""
    routes = _classic(status, {"UNIFIED": "5"}, [bybit_position("BTCUSDT", "Sell", "2.5", "64000")], [BYBIT_COIN])
    for symbol, futures in ((LINEAR, "-2.5"), (INVERSE, "-1")):
        cycle = await seen("bybit", routes, tmp_path, hedge(symbol))
        assert near(cycle.exposure.exposure_base, "5"), cycle.exposure.blockers
        assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


async def test_a_wallet_that_was_never_used_has_a_row_without_a_coin() -> None:
    routes = bingx([], [])
    row = {"userId": "116", "asset": "", "balance": "0.0000", "equity": "0", "unrealizedProfit": "0"}
    routes["/openApi/swap/v3/user/balance"] = {"code": 0, "msg": "", "data": [row, row | {"asset": "USDT"}]}
    async with venue_over("bingx", routes) as venue:
        assert (await venue.observer.wallet("linear")).totals == {"USDT": 0}


async def test_a_debt_under_a_short_is_shown_and_held_upon(tmp_path: Path) -> None:
    routes = binance([SHORT], [])
    routes["/sapi/v1/margin/account"] = {
        "userAssets": [{"asset": "BTC", "borrowed": "1.2", "free": "0.1", "interest": "0.001", "locked": "0"}]
    }
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR, '"main", "main.margin"'))
    assert near(cycle.exposure.exposure_base, "3.899"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, "-2.5")
    assert "unexplained_zero" in {reason.code for reason in cycle.exposure.blockers}
    assert isinstance(cycle.decision, Hold)


async def test_a_wallet_that_owns_nothing_under_a_short_is_shown_and_held_upon(tmp_path: Path) -> None:
    routes = binance([SHORT], [])
    routes["/api/v3/account"] = {"balances": [{"asset": "BTC", "free": "0.00000000", "locked": "0.00000000"}]}
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR))
    assert cycle.exposure.exposure_base == 0, cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, "-2.5")
    assert isinstance(cycle.decision, Hold)


async def test_a_coin_that_comes_twice_is_the_fault_of_those_who_count_it(tmp_path: Path) -> None:
    routes = binance([SHORT], [])
    twice = {"asset": "LTC", "free": "1", "locked": "0"}
    routes["/api/v3/account"] = {"balances": [twice, {"asset": "BTC", "free": "4.5", "locked": "0.5"}, twice]}
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.exposure_base, "5"), cycle.exposure.blockers
    mine = hedge(LINEAR).replace('asset = "BTC"', 'assets = ["BTC", "LTC"]\nbeta = { LTC = "1" }')
    cycle = await seen("binance", routes, tmp_path, mine)
    assert cycle.exposure.exposure_base is None
    assert any("LTC: it has more than one row" in reason.text for reason in cycle.exposure.blockers)
