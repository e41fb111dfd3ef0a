"""A question that a venue does not have, asked in another way; accounts of another kind; prices from wherever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeper.core.model import Hold
from keeper.look import look_once
from tests.venue.test_lists import EMPTY, NO, account
from tests.venue.test_payloads import D, Told, _mexc_position, config_over, mexc, near, seen, serving, venue_over
from tests.venue.test_told import COIN, INVERSE, LINEAR, SHORT, hedge
from tests.venue.venues_told import binance, bybit, bybit_position

V3_POSITION = {
    "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-2.500", "unrealizedProfit": "0",
    "notional": "-162500", "isolatedMargin": "0", "isolatedWallet": "0", "initialMargin": "0", "maintMargin": "0",
    "updateTime": 0,
}  # fmt: skip
V2_COIN = {
    "symbol": "BTCUSD_PERP", "positionSide": "BOTH", "positionAmt": "-650", "entryPrice": "65000.0", "leverage": "20",
    "unrealizedProfit": "0", "isolated": False, "maxQty": "250", "notionalValue": "-1.0", "updateTime": 0,
}  # fmt: skip


@pytest.mark.parametrize("lost", [1, 2])
async def test_positions_of_binance_in_older_words(tmp_path: Path, lost: int) -> None:
    routes = binance([SHORT], [COIN])
    routes["/fapi/v3/account"] = {"assets": [], "positions": [V3_POSITION]}
    for path in ("/fapi/v3/positionRisk", "/fapi/v2/positionRisk")[:lost]:
        del routes[path]
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.exposure_base, "5")
    assert near(cycle.exposure.futures_base, "-2.5"), cycle.exposure.blockers


async def test_coin_margined_positions_and_wallet_of_binance_in_other_words(tmp_path: Path) -> None:
    routes = binance([], [])
    del routes["/dapi/v1/positionRisk"]
    routes["/dapi/v1/account"] |= {"positions": [V2_COIN]}
    cycle = await seen("binance", routes, tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.futures_base, "-1"), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, "6.5")
    routes = binance([], [COIN])
    del routes["/dapi/v1/account"]
    routes["/dapi/v1/balance"] = [
        {
            "accountAlias": "SgsR",
            "asset": "BTC",
            "balance": "1.5",
            "withdrawAvailable": "1.4",
            "crossWalletBalance": "1",
        }
    ]
    cycle = await seen("binance", routes, tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.exposure_base, "6.5"), cycle.exposure.blockers


def _classic(status: int, kinds: dict[str, str], linear: list[Any], inverse: list[Any]) -> dict[str, Any]:
    routes = bybit(linear, inverse)
    routes["/v5/account/info"] = {
        "retCode": 0,
        "result": {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": status},
    }

    def wallet(query: Any) -> Any:
        kind = query["accountType"]
        if kind not in kinds:
            return {"retCode": 10001, "retMsg": "accountType only support CONTRACT, SPOT.", "result": {}}
        coin = {
            "coin": "BTC", "equity": "", "usdValue": "", "walletBalance": kinds[kind], "free": "0", "locked": "0",
            "borrowAmount": "", "unrealisedPnl": "", "cumRealisedPnl": "",
        }  # fmt: skip
        account = {"accountType": kind, "totalEquity": "", "totalMarginBalance": "", "coin": [coin]}
        return {"retCode": 0, "retMsg": "OK", "result": {"list": [account]}}

    routes["/v5/account/wallet-balance"] = wallet
    return routes


async def test_a_classic_account_of_bybit_has_split_wallets(tmp_path: Path) -> None:
    short = bybit_position("BTCUSD", "Sell", "65000", "65000", positionValue="1.0")
    own = bybit_position("BTCUSDT", "Sell", "2", "64000")
    routes = _classic(1, {"SPOT": "4", "CONTRACT": "1.5"}, [own], [short])
    linear = await seen("bybit", routes, tmp_path, hedge(LINEAR))
    assert near(linear.exposure.exposure_base, "4"), linear.exposure.blockers
    assert near(linear.exposure.futures_base, "-2")
    inverse = await seen("bybit", routes, tmp_path, hedge(INVERSE))
    assert near(inverse.exposure.spot_base, "4"), inverse.exposure.blockers
    assert near(inverse.exposure.collateral_base, "1.5")
    assert near(inverse.exposure.exposure_base, "5.5")
    assert near(inverse.exposure.futures_base, "-1")
    spot = await seen("bybit", routes, tmp_path, hedge(INVERSE) + '\nexposure = "spot"')
    assert near(spot.exposure.exposure_base, "4"), spot.exposure.blockers


async def test_the_first_unified_account_keeps_coin_margined_contracts_apart(tmp_path: Path) -> None:
    short = bybit_position("BTCUSD", "Sell", "65000", "65000", positionValue="1.0")
    routes = _classic(3, {"UNIFIED": "4", "CONTRACT": "1.5"}, [], [short])
    cycle = await seen("bybit", routes, tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.exposure_base, "5.5"), cycle.exposure.blockers


@pytest.mark.parametrize("lost", [Told(503, "{}"), Told(200, "<html>", "text/html")])
async def test_a_kind_of_account_that_was_not_told_holds_and_is_asked_again(tmp_path: Path, lost: Told) -> None:
    short = bybit_position("BTCUSD", "Sell", "65000", "65000", positionValue="1.0")
    routes = _classic(3, {"UNIFIED": "4", "CONTRACT": "1.5"}, [], [short])
    told = routes["/v5/account/info"]
    cycle = await seen("bybit", {**routes, "/v5/account/info": lost}, tmp_path, hedge(INVERSE))
    assert cycle.plan is None
    assert isinstance(cycle.decision, Hold)
    answers = [lost, lost, told]
    routes["/v5/account/info"] = lambda _: answers.pop(0) if len(answers) > 1 else told
    async with venue_over("bybit", routes) as venue:
        assert len((await venue.observer.positions()).faults) == 1
        assert len((await venue.observer.positions()).faults) == 1, "what was read beside it was of the other kind"
        assert (await venue.observer.positions()).faults == ()
        assert (await venue.observer.wallet("contract")).totals["BTC"] == D("1.5")
        answers[:] = [lost, lost]
        await venue.observer.open()
        assert (await venue.observer.positions()).faults == (), "it was told before"


PRICES = {
    "binance": ["/dapi/v1/premiumIndex", "/dapi/v1/ticker/bookTicker", "/dapi/v1/ticker/24hr"],
    "bybit": ["/v5/market/tickers"],
    "mexc": ["/api/v1/contract/ticker"],
}


def coin_margined(exchange: str) -> tuple[dict[str, Any], str]:
    if exchange == "binance":
        return binance([], [COIN]), "6.5"
    if exchange == "bybit":
        return bybit([], [bybit_position("BTCUSD", "Sell", "65000", "65000", positionValue="1.0")]), "5"
    routes = mexc([_mexc_position("BTC_USD", 2, 650, 65000)])
    fair = {"success": True, "code": 0, "data": {"symbol": "BTC_USD", "fairPrice": 65000, "timestamp": 1609991676000}}
    return {**routes, "/api/v1/contract/fair_price/BTC_USD": fair}, "3"


@pytest.mark.parametrize("told", [NO, EMPTY], ids=["404", "empty"])
@pytest.mark.parametrize("exchange", PRICES)
async def test_a_coin_margined_hedge_is_seen_by_any_one_price(tmp_path: Path, exchange: str, told: Any) -> None:
    routes, owned = coin_margined(exchange)
    for lost in range(len(PRICES[exchange])):
        routes[PRICES[exchange][lost]] = told
        cycle = await seen(exchange, routes, tmp_path, hedge(INVERSE))
        assert near(cycle.exposure.futures_base, "-1"), (lost, cycle.exposure.blockers)
        assert near(cycle.exposure.exposure_base, owned), (lost, cycle.exposure.blockers)
        assert any(reason.code in ("no_price", "stale_price") for reason in cycle.exposure.blockers)
        assert cycle.plan is None or not cycle.plan.orders


@pytest.mark.parametrize("exchange", ["binance", "bybit", "bingx", "weex", "mexc"])
async def test_a_linear_hedge_is_seen_without_any_price(tmp_path: Path, exchange: str) -> None:
    routes, symbol, asset, owned, held = account(exchange)
    words = ("ticker", "premiumIndex", "fair_price", "index_price")
    for path in [path for path in routes if any(word in path for word in words)]:
        routes[path] = NO
    cycle = await seen(exchange, routes, tmp_path, hedge(symbol, asset=asset))
    assert near(cycle.exposure.exposure_base, owned), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, held), cycle.exposure.blockers
    assert cycle.plan is None or not cycle.plan.orders


BLANK: dict[str, tuple[str, Any]] = {
    "binance": ("/api/v3/account", {"balances": [{"asset": "BTC", "free": 4.5, "locked": "0.50"}, {"asset": "X"}]}),
    "bingx": (
        "/openApi/spot/v1/account/balance",
        {
            "code": "0",
            "data": {"balances": [{"asset": "LTC", "free": 1.5, "locked": "0.5"}, {"asset": "X", "free": ""}]},
        },
    ),
    "mexc": (
        "/api/v3/account",
        {"balances": [{"asset": "BTC", "free": 1.5, "locked": 0.5}, {"asset": "X", "free": None}]},
    ),
    "weex": (
        "/api/v3/account/",
        {"balances": [{"asset": "ETH", "free": 3, "locked": "0"}, {"asset": "X", "free": ""}]},
    ),
}


@pytest.mark.parametrize("exchange", BLANK)
async def test_a_coin_that_is_not_told_is_the_fault_of_those_who_count_it(tmp_path: Path, exchange: str) -> None:
    routes, symbol, asset, owned, _ = account(exchange)
    path, told = BLANK[exchange]
    routes[path] = told
    cycle = await seen(exchange, routes, tmp_path, hedge(symbol, asset=asset))
    assert near(cycle.exposure.exposure_base, owned), cycle.exposure.blockers
    mine = hedge(symbol, asset=asset).replace(f'asset = "{asset}"', f'assets = ["{asset}", "X"]\nbeta = {{ X = "1" }}')
    cycle = await seen(exchange, routes, tmp_path, mine)
    assert cycle.exposure.exposure_base is None
    assert any("X" in reason.text and "not a number" in reason.text for reason in cycle.exposure.blockers)


async def test_an_empty_side_wallet_holds_nothing_and_an_empty_main_one_is_not_believed(tmp_path: Path) -> None:
    routes = binance([SHORT], [])
    routes["/sapi/v1/asset/get-funding-asset"] = []
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR, '"main", "main.funding"'))
    assert near(cycle.exposure.exposure_base, "5"), cycle.exposure.blockers
    routes["/api/v3/account"] = {"balances": []}
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR, '"main", "main.funding"'))
    assert cycle.exposure.exposure_base is None
    assert "empty_reading" in {reason.code for reason in cycle.exposure.blockers}


PORTFOLIO = "[venues.main.ccxt.options]\nportfolioMargin = true"


def _portfolio() -> dict[str, Any]:
    """Coins of one account in three wallets, one of them borrowed upon; positions at an address of their own."""
    routes = {path: told for path, told in binance([], []).items() if path not in ("/dapi/v1/account",)}
    for path in ("/fapi/v3/positionRisk", "/fapi/v2/positionRisk", "/dapi/v1/positionRisk"):
        routes[path] = Told(400, '{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}')
    coin = {
        "asset": "BTC", "totalWalletBalance": "3.7", "crossMarginAsset": "2.2", "crossMarginBorrowed": "0.2",
        "crossMarginFree": "2.0", "crossMarginInterest": "0.001", "crossMarginLocked": "0.2", "umWalletBalance": "0",
        "umUnrealizedPNL": "0", "cmWalletBalance": "1.5", "cmUnrealizedPNL": "0.0", "updateTime": 0,
        "negativeBalance": "0",
    }  # fmt: skip
    names = ("symbol", "positionAmt", "entryPrice", "markPrice", "unRealizedProfit", "leverage", "positionSide")
    linear, inverse = ({name: row[name] for name in names if name in row} for row in (SHORT, COIN))
    return {
        **routes,
        "/papi/v1/balance": [coin],
        "/papi/v1/account": {
            "uniMMR": "99", "accountEquity": "240000", "actualEquity": "240000", "accountInitialMargin": "0",
            "accountMaintMargin": "1000", "accountStatus": "NORMAL", "virtualMaxWithdrawAmount": "100000",
        },
        "/papi/v1/um/positionRisk": [linear | {"notional": "-162500"}],
        "/papi/v1/cm/positionRisk": [inverse | {"notionalValue": "-1.0", "maxQty": "15"}],
        "/papi/v1/um/openOrders": [],
        "/papi/v1/cm/openOrders": [],
        "/papi/v1/um/positionSide/dual": {"dualSidePosition": False},
        "/papi/v1/cm/positionSide/dual": {"dualSidePosition": False},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "spot", "owned", "futures"),
    [
        (LINEAR, '"main"', "3.499", "-2.5"),
        (LINEAR, '"main", "main.spot"', "8.499", "-2.5"),
        (INVERSE, '"main"', "3.499", "-1"),
    ],
)
async def test_portfolio_margin_is_one_account(
    tmp_path: Path, symbol: str, spot: str, owned: str, futures: str
) -> None:
    async with serving(_portfolio()) as (url, strange):
        config = config_over("binance", url, tmp_path, hedge(symbol, spot), PORTFOLIO)
        (cycle,) = (await look_once(config)).hedges
    assert near(cycle.exposure.exposure_base, owned), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers
    assert {reason.code for reason in cycle.exposure.blockers} == {"clock_offset"}
    (leg,) = cycle.exposure.legs
    assert leg.margin is not None
    assert leg.margin.account.equity == 240000
    assert leg.margin.account.maintenance == 1000
    assert strange == []


async def test_isolated_margin_is_a_wallet_of_pairs(tmp_path: Path) -> None:
    def coin(asset: str, free: str, borrowed: str = "0") -> dict[str, str]:
        return {"asset": asset, "free": free, "locked": "0.1", "borrowed": borrowed, "interest": "0", "netAsset": "0"}

    routes = binance([SHORT], [])
    routes["/sapi/v1/margin/isolated/account"] = {
        "assets": [
            {"symbol": "BTCUSDT", "baseAsset": coin("BTC", "1.4"), "quoteAsset": coin("USDT", "10")},
            {"symbol": "ETHBTC", "baseAsset": coin("ETH", "0"), "quoteAsset": coin("BTC", "0.2", "0.1")},
        ]
    }
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR, '"main", "main.isolated"'))
    assert near(cycle.exposure.exposure_base, "6.7"), cycle.exposure.blockers
    routes["/sapi/v1/margin/isolated/account"] = {"assets": []}
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR, '"main", "main.isolated"'))
    assert near(cycle.exposure.exposure_base, "5"), cycle.exposure.blockers
    routes["/sapi/v1/margin/isolated/account"] = {"assets": [{"symbol": "BTCUSDT", "baseAsset": coin("BTC", "1")}]}
    cycle = await seen("binance", routes, tmp_path, hedge(LINEAR, '"main", "main.isolated"'))
    assert cycle.exposure.exposure_base is None


@pytest.mark.parametrize(
    ("symbol", "spot", "owned"),
    [
        (INVERSE, '"main"', "3"),
        (INVERSE, '"main", "main.linear"', "3"),
        (INVERSE, '"main", "main.linear", "main.inverse"', "3"),
        (LINEAR, '"main", "main.linear"', "2"),
        (LINEAR, '"main", "main.inverse"', "3"),
    ],
)
async def test_one_wallet_of_two_names_is_counted_once(tmp_path: Path, symbol: str, spot: str, owned: str) -> None:
    cycle = await seen("mexc", mexc([]), tmp_path, hedge(symbol, spot))
    assert near(cycle.exposure.exposure_base, owned), cycle.exposure.blockers
