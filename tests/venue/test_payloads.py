"""One look at venues as the client's own source documents their answers: sizes, signs, wallets, units."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from keeper.config import Config, parse_config
from keeper.core.model import HedgeCycle, Kind
from keeper.look import look_once
from keeper.venue.ccxt_venue import CcxtVenue
from tests.venue.helpers import DRY_RUN, opened, raw, venue_of

D = Decimal
Routes = Mapping[str, Any]
READS_BY_POST = frozenset({"/sapi/v1/asset/get-funding-asset"})


@dataclass(frozen=True)
class Told:
    """An answer as it stands: status, text and kind of content."""

    status: int
    text: str
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def serving(routes: Routes) -> AsyncIterator[tuple[str, list[str]]]:
    """An address that answers these paths, and the list of what else it was asked and of every method used.

    A route may be a value, a function of the query, or a whole response of its own.
    """
    strange: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path not in routes or (request.method != "GET" and request.path not in READS_BY_POST):
            strange.append(f"{request.method} {request.path}")
            return web.json_response({"code": 404, "msg": "not found"}, status=404)
        found = routes[request.path]
        found = found(request.query) if callable(found) else found
        if isinstance(found, Told):
            return web.Response(
                status=found.status, text=found.text, content_type=found.kind, headers=dict(found.headers)
            )
        return web.json_response(found)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", strange
    finally:
        await runner.cleanup()


def moved(tree: Any, url: str) -> Any:
    """The client's own tree of addresses with the host replaced and the paths kept."""
    if isinstance(tree, Mapping):
        return {key: moved(value, url) for key, value in tree.items()}
    path = str(tree).split("://", 1)[-1].partition("/")[2]
    return f"{url}/{path}" if path else url


def config_over(exchange: str, url: str, folder: Path, hedge: str, more: str = "", key: str = "planted-key") -> Config:
    """The configuration of a hedge on a venue whose every address is at ``url``; or a table of addresses."""
    text = f"""mode = "dry-run"
[venues.main]
exchange = "{exchange}"
[venues.main.ccxt.urls]
api = {url if url.startswith("{") else f'"{url}"'}
[[hedges]]
name = "it"
{hedge}
{more}"""
    keys = {"KEEPER_VENUES__MAIN__API_KEY": key, "KEEPER_VENUES__MAIN__API_SECRET": "planted-secret"}
    keys["KEEPER_VENUES__MAIN__PASSWORD"] = "planted-pass"
    return parse_config(text, "keeper.toml", folder / "keeper.toml", keys)


async def seen(exchange: str, routes: Routes, folder: Path, hedge: str) -> HedgeCycle:
    """What one look over these payloads makes of a hedge; the venue is asked nothing but questions."""
    async with serving(routes) as (url, strange):
        (cycle,) = (await look_once(config_over(exchange, url, folder, hedge))).hedges
        assert [each for each in strange if not each.startswith("GET")] == []
        return cycle


@asynccontextmanager
async def venue_over(exchange: str, routes: Routes) -> AsyncIterator[CcxtVenue]:
    async with serving(routes) as (url, _):
        bare = venue_of(exchange, {}, DRY_RUN)
        urls = moved(raw(bare).urls["api"], url)
        await bare.close()
        async with opened(venue_of(exchange, {"urls": {"api": urls}}, DRY_RUN)) as venue:
            yield venue


def near(value: Decimal | None, wanted: str) -> bool:
    return value is not None and abs(value - D(wanted)) < D("0.000001")


# BingX


def _bingx_position(symbol: str, side: str, amount: str, **more: Any) -> dict[str, Any]:
    return {
        "positionId": more.pop("id", "1792480725958881280"), "symbol": symbol, "currency": "USDT",
        "positionAmt": amount, "availableAmt": amount, "positionSide": side, "isolated": False, "avgPrice": "83.53",
        "initialMargin": "1.3922", "margin": "0.3528", "leverage": 6, "unrealizedProfit": "-1.0393",
        "realisedProfit": "-0.2119", "liquidationPrice": 0, "pnlRatio": "-0.7465", "maxMarginReduction": "0.0000",
        "riskRate": "0.0008", "markPrice": "73.14", "onlyOnePosition": True,
        "positionValue": f"{abs(D(amount)) * D('73.14')}",
        "updateTime": 1721088016688, **more,
    }  # fmt: skip


def _bingx_mark(symbol: str, mark: str) -> dict[str, Any]:
    return {"symbol": symbol, "markPrice": mark, "indexPrice": mark, "lastFundingRate": "0.0001", "nextFundingTime": 0}


def _bingx_ticker(symbol: str, price: str) -> dict[str, Any]:
    return {"symbol": symbol, "lastPrice": price, "bidPrice": price, "askPrice": price, "closeTime": "1720647284976"}


def bingx(linear: list[Any], inverse: list[Any]) -> dict[str, Any]:
    def data(value: Any) -> dict[str, Any]:
        return {"code": 0, "msg": "", "data": value}

    linear_market = {
        "contractId": "100", "symbol": "LTC-USDT", "size": "0.0001", "quantityPrecision": "1", "pricePrecision": "2",
        "tradeMinQuantity": "0.1", "tradeMinUSDT": "2", "currency": "USDT", "asset": "LTC", "status": "1",
        "apiStateOpen": "true", "apiStateClose": "true",
    }  # fmt: skip
    inverse_market = {
        "symbol": "SOL-USD", "pricePrecision": 3, "minTickSize": "10", "minTradeValue": "10", "minQty": "1.00000000",
        "status": 1, "timeOnline": 1713175200000,
    }  # fmt: skip
    spot_market = {
        "symbol": "LTC-USDT", "minQty": 0.01, "minNotional": 5, "status": 1, "tickSize": 0.01, "stepSize": 0.01,
        "apiStateSell": True, "apiStateBuy": True, "timeOnline": 0,
    }  # fmt: skip
    wallet = [{"asset": "LTC", "free": "1.5", "locked": "0.5"}, {"asset": "SOL", "free": "2", "locked": "0"}]
    coins = {
        "asset": "SOL", "balance": "0.35707951", "equity": "0.35791051", "unrealizedProfit": "0.00083099",
        "availableMargin": "0.35160653", "usedMargin": "0.00630397", "freezedMargin": "0",
    }  # fmt: skip
    return {
        "/openApi/swap/v2/quote/contracts": data([linear_market]),
        "/openApi/cswap/v1/market/contracts": data([inverse_market]),
        "/openApi/spot/v1/common/symbols": data({"symbols": [spot_market]}),
        "/openApi/swap/v2/server/time": data({"serverTime": 1721088016688}),
        "/openApi/spot/v1/account/balance": data({"balances": wallet}),
        "/openApi/cswap/v1/user/balance": data([coins]),
        "/openApi/swap/v2/user/positions": data(linear),
        "/openApi/cswap/v1/user/positions": data(inverse),
        "/openApi/swap/v2/trade/openOrders": data({"orders": []}),
        "/openApi/cswap/v1/trade/openOrders": data({"orders": []}),
        "/openApi/swap/v2/quote/ticker": data([_bingx_ticker("LTC-USDT", "73.15")]),
        "/openApi/cswap/v1/market/ticker": data([_bingx_ticker("SOL-USD", "158.4")]),
        "/openApi/swap/v2/quote/premiumIndex": data([_bingx_mark("LTC-USDT", "73.14")]),
        "/openApi/cswap/v1/market/premiumIndex": data([_bingx_mark("SOL-USD", "158.402")]),
        "/openApi/swap/v1/positionSide/dual": data({"dualSidePosition": "false"}),
    }


@pytest.mark.parametrize(
    ("rows", "futures"),
    [
        ([("LONG", "0.1")], "0.1"),
        ([("SHORT", "0.7")], "-0.7"),
        ([("SHORT", "-0.7")], "-0.7"),
        ([("LONG", "0.1"), ("SHORT", "0.7")], "-0.6"),
        ([], "0"),
    ],
)
async def test_bingx_linear_sizes_are_coins(tmp_path: Path, rows: list[tuple[str, str]], futures: str) -> None:
    held = [_bingx_position("LTC-USDT", side, amount, id=str(n)) for n, (side, amount) in enumerate(rows)]
    hedge = 'asset = "LTC"\nspot = ["main"]\ninstrument = "main:LTC/USDT:USDT"\nratio = "1"'
    cycle = await seen("bingx", bingx(held, []), tmp_path, hedge)
    assert near(cycle.exposure.exposure_base, "2"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


async def test_bingx_inverse_contracts_are_dollars(tmp_path: Path) -> None:
    short = _bingx_position("SOL-USD", "SHORT", "3", avgPrice="158.63", markPrice="158.402", positionValue=None)
    hedge = 'asset = "SOL"\nspot = ["main"]\ninstrument = "main:SOL/USD:SOL"\nratio = "1"'
    cycle = await seen("bingx", bingx([], [short]), tmp_path, hedge)
    profit = -30 * (1 / D("158.63") - 1 / D("158.402"))
    assert near(cycle.exposure.futures_base, f"{-30 / D('158.402'):f}"), cycle.exposure.blockers
    assert near(cycle.exposure.exposure_base, f"{D('2.35707951') + profit:f}")


# WEEX


def _weex_position(symbol: str, side: str, size: str, value: str, **more: Any) -> dict[str, Any]:
    return {
        "id": 737191855967437160, "asset": "USDT", "symbol": symbol, "side": side, "marginType": "CROSSED",
        "separatedMode": "COMBINED", "separatedOpenOrderId": 0, "leverage": "20.00", "size": size, "openValue": value,
        "openFee": "0.02237520", "fundingFee": "0", "marginSize": "100", "isolatedMargin": "0",
        "isAutoAppendIsolatedMargin": False, "cumOpenSize": size, "cumOpenValue": value, "createdTime": 1775760234825,
        "updatedTime": 1775763170789, "unrealizePnl": "0.00600", "liquidatePrice": "0", **more,
    }  # fmt: skip


def weex(positions: list[Any]) -> dict[str, Any]:
    contract = {
        "symbol": "ETHUSDT", "baseAsset": "ETH", "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": "2",
        "quantityPrecision": "3", "baseAssetPrecision": "2", "quotePrecision": "8", "contractVal": "0.001",
        "delivery": ["00:00:00"], "forwardContractFlag": True, "minLeverage": "1", "maxLeverage": "400",
        "makerFeeRate": "0.0002", "takerFeeRate": "0.0008", "minOrderSize": "0.001", "maxOrderSize": "1000000",
    }  # fmt: skip
    spot = {
        "symbol": "ETHUSDT", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "USDT", "tickSize": "0.01",
        "stepSize": "0.00001", "minTradeAmount": "0.0001", "maxTradeAmount": "99999", "enableTrade": True,
    }  # fmt: skip
    ticker = {
        "symbol": "ETHUSDT", "lastPrice": "2081.9", "markPrice": "2081.8", "indexPrice": "2082.75",
        "closeTime": 1775601317093,
    }  # fmt: skip
    book = {"symbol": "ETHUSDT", "bidPrice": "2081.7", "bidQty": "1", "askPrice": "2081.9", "askQty": "1"}
    account = {"balances": [{"asset": "ETH", "free": "2.5", "locked": "0.5"}], "canWithdraw": True}
    return {
        "/api/v3/exchangeInfo": {"symbols": [spot]},
        "/capi/v3/market/exchangeInfo": {"symbols": [contract]},
        "/api/v3/time": {"serverTime": 1775601317093},
        "/capi/v3/market/time": {"serverTime": 1775601317093},
        "/api/v3/account/": account,
        "/api/v3/account": account,
        "/capi/v3/account/position/allPosition": positions,
        "/capi/v3/openOrders": [],
        "/capi/v3/market/ticker/24hr": [ticker],
        "/capi/v3/market/ticker/bookTicker": [book],
        "/capi/v3/market/premiumIndex": [ticker | {"lastFundingRate": "0.0001"}],
    }


@pytest.mark.parametrize(
    ("rows", "futures"),
    [
        ([("SHORT", "2", "4160")], "-2"),
        ([("LONG", "0.25", "520"), ("SHORT", "2", "4160")], "-1.75"),
        ([], "0"),
    ],
)
async def test_weex_sizes_are_coins_whatever_the_contract_value(
    tmp_path: Path, rows: list[tuple[str, str, str]], futures: str
) -> None:
    held = [_weex_position("ETHUSDT", side, size, value, id=n) for n, (side, size, value) in enumerate(rows)]
    hedge = 'asset = "ETH"\nspot = ["main"]\ninstrument = "main:ETH/USDT:USDT"\nratio = "1"'
    cycle = await seen("weex", weex(held), tmp_path, hedge)
    assert near(cycle.exposure.exposure_base, "3"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


@pytest.mark.parametrize("wrapped", [lambda rows: {"data": rows}, lambda rows: {"data": {"list": rows}}])
async def test_positions_that_the_client_does_not_find_are_not_none(
    tmp_path: Path, wrapped: Callable[[list[Any]], Any]
) -> None:
    hedge = 'asset = "ETH"\nspot = ["main"]\ninstrument = "main:ETH/USDT:USDT"\nratio = "1"'
    for rows, futures in (([_weex_position("ETHUSDT", "SHORT", "2", "4160")], None), ([], "0")):
        answers = weex([]) | {"/capi/v3/account/position/allPosition": {"code": "200", **wrapped(rows)}}
        cycle = await seen("weex", answers, tmp_path, hedge)
        if futures is None:
            assert cycle.exposure.futures_base is None
            assert cycle.plan is None
        else:
            assert near(cycle.exposure.futures_base, futures)


# MEXC


def _mexc_position(symbol: str, kind: int, size: Any, price: Any, **more: Any) -> dict[str, Any]:
    return {
        "positionId": 1394650, "symbol": symbol, "positionType": kind, "openType": 1, "state": 1, "holdVol": size,
        "frozenVol": 0, "closeVol": 0, "holdAvgPrice": price, "openAvgPrice": price, "closeAvgPrice": 0,
        "liquidatePrice": 1211.2, "oim": 0.1290338, "im": 0.1290338, "holdFee": 0, "realised": -0.0073,
        "leverage": 100, "createTime": 1609991676000, "updateTime": 1609991676000, "autoAddIm": False, **more,
    }  # fmt: skip


def mexc(positions: list[Any], orders: list[Any] | None = None) -> dict[str, Any]:
    def market(base: str, quote: str, settle: str, size: float) -> dict[str, Any]:
        return {
            "symbol": f"{base}_{quote}", "positionOpenType": 3, "baseCoin": base, "quoteCoin": quote,
            "settleCoin": settle, "contractSize": size, "minLeverage": 1, "maxLeverage": 125, "priceUnit": 0.5,
            "volUnit": 1, "minVol": 1, "maxVol": 1000000, "state": 0,
        }  # fmt: skip

    def ticker(symbol: str, price: float) -> dict[str, Any]:
        return {
            "symbol": symbol, "lastPrice": price, "bid1": price - 0.5, "ask1": price + 0.5, "indexPrice": price,
            "fairPrice": price, "fundingRate": 0.0001,
        }  # fmt: skip

    def data(value: Any) -> dict[str, Any]:
        return {"success": True, "code": 0, "data": value}

    spot = {
        "symbol": "BTCUSDT", "status": "1", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
        "quotePrecision": 2, "quoteAssetPrecision": 2, "baseSizePrecision": "0.000001", "isSpotTradingAllowed": True,
        "permissions": ["SPOT"], "filters": [], "quoteAmountPrecision": "1", "maxQuoteAmount": "4000000",
    }  # fmt: skip
    coins = {
        "currency": "BTC", "positionMargin": 0.1, "availableBalance": 0.9, "cashBalance": 0.9, "frozenBalance": 0,
        "equity": 1.01, "unrealized": 0.01, "bonus": 0,
    }  # fmt: skip
    return {
        "/api/v3/exchangeInfo": {"symbols": [spot]},
        "/api/v1/contract/detail": data([market("BTC", "USDT", "USDT", 0.0001), market("BTC", "USD", "BTC", 100)]),
        "/api/v3/time": {"serverTime": 1609991676000},
        "/api/v1/contract/ping": data(1609991676000),
        "/api/v3/account": {"balances": [{"asset": "BTC", "free": "1.5", "locked": "0.5"}], "canWithdraw": True},
        "/api/v1/private/account/assets": data([coins]),
        "/api/v1/private/position/open_positions": lambda query: data(
            [row for row in positions if query.get("symbol") in (None, row["symbol"])]
        ),
        "/api/v1/private/order/list/open_orders": data(orders or []),
        "/api/v1/private/position/position_mode": data(2),
        "/api/v1/contract/ticker": data([ticker("BTC_USDT", 60000), ticker("BTC_USD", 60000)]),
    }


@pytest.mark.parametrize(
    ("rows", "futures"),
    [
        ([(2, 15000)], "-1.5"),
        ([(1, 2500), (2, "15000")], "-1.25"),
        ([(2, 15000), (2, 5000)], "-2"),
        ([], "0"),
    ],
)
async def test_mexc_linear_sizes_are_contracts(tmp_path: Path, rows: list[tuple[int, Any]], futures: str) -> None:
    held = [_mexc_position("BTC_USDT", kind, size, 60000, positionId=n) for n, (kind, size) in enumerate(rows)]
    hedge = 'asset = "BTC"\nspot = ["main"]\ninstrument = "main:BTC/USDT:USDT"\nratio = "1"'
    cycle = await seen("mexc", mexc(held), tmp_path, hedge)
    assert near(cycle.exposure.exposure_base, "2"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


async def test_mexc_inverse_collateral_holds_the_margin(tmp_path: Path) -> None:
    held = [_mexc_position("BTC_USD", 2, 600, 60600)]
    hedge = 'asset = "BTC"\nspot = ["main"]\ninstrument = "main:BTC/USD:BTC"\nratio = "1"'
    cycle = await seen("mexc", mexc(held), tmp_path, hedge)
    assert near(cycle.exposure.futures_base, "-1"), cycle.exposure.blockers
    profit = -D(60000) * (1 / D(60600) - 1 / D(60000))
    assert near(cycle.exposure.exposure_base, f"{D(2) + D('1.00') + profit:f}")


async def test_mexc_orders_that_close_a_short_are_buys() -> None:
    order = {
        "orderId": "264995729269765120", "symbol": "BTC_USDT", "positionId": "0", "price": "50000", "vol": "20",
        "leverage": "20", "side": "2", "category": "1", "orderType": "1", "dealAvgPrice": "0", "dealVol": "5",
        "orderMargin": "2.2528", "takerFee": "0", "makerFee": "0", "profit": "0", "feeCurrency": "USDT",
        "openType": "1", "state": "2", "externalOid": "kp" + "a" * 28, "errorCode": "0", "usedMargin": "0",
        "createTime": "1648850305236", "updateTime": "1648850305245", "positionMode": "1",
    }  # fmt: skip
    async with venue_over("mexc", mexc([], [order])) as venue:
        (working,) = (await venue.observer.positions()).working
        assert (working.side.value, working.contracts, working.filled) == ("buy", D(20), D(5))
        assert working.client_id == "a" * 28
        facts = await venue.observer.facts([venue.observer.instrument("BTC/USDT:USDT")])
        assert facts.one_way is True
        assert venue.observer.instrument("BTC/USD:BTC").kind is Kind.INVERSE
