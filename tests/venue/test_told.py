"""One look at Binance and Bybit as their own pages describe them, whole and with parts of the answers missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.venue.helpers import DRY_RUN, opened, venue_of
from tests.venue.test_payloads import (
    Told,
    _bingx_position,
    _mexc_position,
    _weex_position,
    bingx,
    mexc,
    near,
    seen,
    serving,
    weex,
)
from tests.venue.venues_told import binance, binance_position, bybit, bybit_position

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
ALL_OF_BINANCE = '"main", "main.funding", "main.margin"'
HTML = Told(404, "<html>nothing here</html>", "text/html")


def hedge(symbol: str, spot: str = '"main"', asset: str = "BTC") -> str:
    return f'asset = "{asset}"\nspot = [{spot}]\ninstrument = "main:{symbol}"\nratio = "1"\nunlisted = "ignore"'


SHORT = binance_position("BTCUSDT", "-2.500", "65000")
COIN = binance_position("BTCUSD_PERP", "-650", "65000", notionalValue="-1.0", marginAsset="BTC")
FLAT = [binance_position("ETHUSDT", "0.000"), binance_position("BTCUSDT", 0.0, "0.0", "LONG")]


@pytest.mark.parametrize(
    ("rows", "futures"),
    [
        ([SHORT], "-2.5"),
        ([*FLAT, SHORT], "-2.5"),
        ([binance_position("BTCUSDT", -2.5, "65000", "SHORT"), *FLAT], "-2.5"),
        (
            [
                binance_position("BTCUSDT", "1.000", "60000", "LONG"),
                binance_position("BTCUSDT", "-3.5", "65000", "SHORT"),
            ],
            "-2.5",
        ),
        ([binance_position("BTCUSDT", "0.000")], "0"),
        ([], "0"),
    ],
)
async def test_binance_wallets_and_both_sides(tmp_path: Path, rows: list[Any], futures: str) -> None:
    cycle = await seen("binance", binance(rows, [COIN]), tmp_path, hedge(LINEAR, ALL_OF_BINANCE))
    # free and locked; funding with what is frozen; margin net of what is borrowed and its interest
    assert near(cycle.exposure.exposure_base, "7.149"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


async def test_binance_coin_margined_contracts_are_a_hundred_dollars(tmp_path: Path) -> None:
    cycle = await seen("binance", binance([SHORT], [COIN]), tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.futures_base, "-1"), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, "6.5")
    ether = binance_position("ETHUSD_PERP", -960, "3200", mark="3200", notionalValue=-3)
    cycle = await seen("binance", binance([], [ether]), tmp_path, hedge("ETH/USD:ETH", asset="ETH"))
    assert near(cycle.exposure.futures_base, "-3"), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, "12")


@pytest.mark.parametrize(
    ("rows", "futures"),
    [
        ([bybit_position("BTCUSDT", "Sell", "1.5", "64000")], "-1.5"),
        (
            [
                bybit_position("BTCUSDT", "Buy", "0.5", "64000", 1),
                bybit_position("BTCUSDT", "Sell", 2, "64000", 2),
            ],
            "-1.5",
        ),
        ([bybit_position("BTCUSDT", "", "0", "0", 1), bybit_position("BTCUSDT", "Sell", "1.5", "64000", 2)], "-1.5"),
        ([bybit_position("BTCUSDT", "", "0")], "0"),
    ],
)
async def test_bybit_sides_and_slots(tmp_path: Path, rows: list[Any], futures: str) -> None:
    coin = bybit_position("BTCUSD", "Sell", "65000", "65000", positionValue="1.0")
    cycle = await seen("bybit", bybit(rows, [coin]), tmp_path, hedge(LINEAR, '"main", "main.funding"'))
    assert near(cycle.exposure.exposure_base, "6.25"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


async def test_bybit_coin_margined_contracts_are_dollars(tmp_path: Path) -> None:
    coin = bybit_position("BTCUSD", "Sell", "65000", "65000", positionValue="1.0")
    cycle = await seen("bybit", bybit([], [coin]), tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.futures_base, "-1"), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, "5")


# Parts that are missing


def held(exchange: str) -> dict[str, Any]:
    if exchange == "binance":
        return binance([SHORT, *FLAT], [])
    if exchange == "bybit":
        return bybit([bybit_position("BTCUSDT", "Sell", "2.5", "64000")], [])
    if exchange == "weex":
        return weex([_weex_position("ETHUSDT", "SHORT", "2.5", "5200")])
    if exchange == "mexc":
        return mexc([_mexc_position("BTC_USDT", 2, 25000, 60000)])
    return bingx([_bingx_position("LTC-USDT", "SHORT", "2.5")], [])


@pytest.mark.parametrize(
    ("exchange", "path"),
    [
        ("binance", "/fapi/v2/positionRisk"),
        ("binance", "/fapi/v3/positionRisk"),
        ("binance", "/dapi/v1/positionRisk"),
        ("binance", "/fapi/v1/openOrders"),
        ("binance", "/fapi/v1/premiumIndex"),
        ("binance", "/fapi/v1/ticker/bookTicker"),
        ("binance", "/fapi/v1/positionSide/dual"),
        ("binance", "/sapi/v1/account/apiRestrictions"),
        ("binance", "/api/v3/time"),
        ("bybit", "/v5/order/realtime"),
        ("bybit", "/v5/market/tickers"),
        ("bybit", "/v5/user/query-api"),
        ("bybit", "/v5/account/info"),
        ("bingx", "/openApi/cswap/v1/user/positions"),
        ("bingx", "/openApi/swap/v2/quote/premiumIndex"),
        ("bingx", "/openApi/swap/v1/positionSide/dual"),
        ("bingx", "/openApi/swap/v2/quote/ticker"),
        ("bingx", "/openApi/swap/v2/trade/openOrders"),
        ("bingx", "/openApi/cswap/v1/trade/openOrders"),
        ("bingx", "/openApi/cswap/v1/user/balance"),
        ("weex", "/capi/v3/openOrders"),
        ("weex", "/capi/v3/market/premiumIndex"),
        ("weex", "/capi/v3/market/ticker/bookTicker"),
        ("mexc", "/api/v1/private/order/list/open_orders"),
        ("mexc", "/api/v1/private/account/assets"),
        ("mexc", "/api/v1/private/position/position_mode"),
        ("mexc", "/api/v1/contract/ticker"),
    ],
)
async def test_a_part_that_is_missing_hides_no_figure_of_another(tmp_path: Path, exchange: str, path: str) -> None:
    symbol, asset, owned = {
        "binance": (LINEAR, "BTC", "5"),
        "bybit": (LINEAR, "BTC", "5"),
        "bingx": ("LTC/USDT:USDT", "LTC", "2"),
        "weex": ("ETH/USDT:USDT", "ETH", "3"),
        "mexc": (LINEAR, "BTC", "2"),
    }[exchange]
    for told in (HTML, Told(200, "{}"), None):
        routes = {key: value for key, value in held(exchange).items() if key != path}
        if told is not None:
            routes[path] = told
        cycle = await seen(exchange, routes, tmp_path, hedge(symbol, asset=asset))
        assert near(cycle.exposure.exposure_base, owned), (told, cycle.exposure.blockers)
        assert near(cycle.exposure.futures_base, "-2.5"), (told, cycle.exposure.blockers)
        assert cycle.exposure.blockers
        assert cycle.plan is None or not cycle.plan.orders


async def test_a_row_whose_own_value_disagrees_is_shown_with_a_reason(tmp_path: Path) -> None:
    strange = binance_position("BTCUSDT", "-2.500", "65000", notional="-16250.0")
    cycle = await seen("binance", binance([strange], []), tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.futures_base, "-2.5")
    assert any("disagree" in reason.text for reason in cycle.exposure.blockers)


async def test_a_position_that_no_market_explains_holds_and_hides_nothing(tmp_path: Path) -> None:
    other = binance_position("NEWCOINUSDT", "-1", "2")
    cycle = await seen("binance", binance([SHORT, other], []), tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.futures_base, "-2.5")
    assert any("NEWCOINUSDT" in reason.text for reason in cycle.exposure.blockers)


def _at(path: str, *names: str) -> Any:
    return lambda address: dict.fromkeys(names, f"{address}{path}")


TABLES: dict[str, tuple[dict[str, Any], Any]] = {
    "binance": (
        binance([], []),
        lambda u: {
            **_at("/api/v3", "public", "private")(u),
            **_at("/sapi/v1", "sapi")(u),
            **_at("/fapi/v1", "fapiPublic", "fapiPrivate")(u),
            **_at("/fapi/v2", "fapiPrivateV2")(u),
            **_at("/fapi/v3", "fapiPrivateV3")(u),
            **_at("/dapi/v1", "dapiPublic", "dapiPrivate")(u),
        },
    ),
    "bybit": (bybit([], []), _at("", "public", "private")),
    "bingx": (bingx([], []), _at("/openApi", "spot", "swap", "cswap", "fund", "api")),
    "mexc": (
        mexc([]),
        lambda u: {
            "spot": {"public": u, "private": u},
            "contract": {"public": f"{u}/api/v1/contract", "private": f"{u}/api/v1/private"},
        },
    ),
    "weex": (weex([]), _at("", "public", "private", "contract", "contractPrivate")),
}


@pytest.mark.parametrize("exchange", TABLES)
@pytest.mark.parametrize("whole", [True, False], ids=["one address", "the table of the reference"])
async def test_addresses_alone_lead_a_venue_elsewhere(exchange: str, whole: bool) -> None:
    routes, table = TABLES[exchange]
    async with serving(routes) as (address, strange):
        urls = address if whole else table(address)
        async with opened(venue_of(exchange, {"urls": {"api": urls}}, DRY_RUN)) as venue:
            assert venue.hosts == {address.removeprefix("http://")}
            assert (await venue.observer.wallet("")).totals
            assert (await venue.observer.positions()).faults == ()
        assert strange == []
