"""One look at Bitget as its own pages describe its classic account: a spot wallet and three books of contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.venue.test_payloads import near, seen
from tests.venue.test_told import LINEAR, hedge


def _said(data: Any) -> dict[str, Any]:
    return {"code": "00000", "msg": "success", "requestTime": 1700625127294, "data": data}


def _contract(base: str, quote: str, margin: str) -> dict[str, Any]:
    return {
        "symbol": f"{base}{quote}", "baseCoin": base, "quoteCoin": quote, "makerFeeRate": "0.0002",
        "takerFeeRate": "0.0006", "supportMarginCoins": [margin], "minTradeNum": "0.001", "priceEndStep": "1",
        "volumePlace": "3", "pricePlace": "1", "sizeMultiplier": "0.001", "symbolType": "perpetual",
        "minTradeUSDT": "5", "symbolStatus": "normal", "offTime": "-1", "limitOpenTime": "-1", "deliveryTime": "",
        "launchTime": "", "fundInterval": "8", "minLever": "1", "maxLever": "125",
    }  # fmt: skip


def _position(symbol: str, side: str, total: str, mode: str = "one_way_mode") -> dict[str, Any]:
    coin = symbol.endswith("USD")
    return {
        "marginCoin": "BTC" if coin else "USDT", "symbol": symbol, "holdSide": side, "openDelegateSize": "0",
        "marginSize": "3.73", "available": total, "locked": "0", "total": total, "leverage": "20",
        "achievedProfits": "0", "openPriceAvg": "60000", "marginMode": "crossed", "posMode": mode,
        "unrealizedPL": "-0.02" if coin else "-2500", "liquidationPrice": "0", "keepMarginRate": "0.004",
        "markPrice": "65000", "marginRatio": "0.0295", "cTime": "1700807507275", "uTime": "1700807507275",
    }  # fmt: skip


def bitget(linear: list[Any], inverse: list[Any]) -> dict[str, Any]:
    kinds = {
        "USDT-FUTURES": (_contract("BTC", "USDT", "USDT"), linear),
        "COIN-FUTURES": (_contract("BTC", "USD", "BTC"), inverse),
    }

    def price(symbol: str) -> dict[str, Any]:
        names = ("lastPr", "askPr", "bidPr", "high24h", "low24h", "indexPrice", "markPrice", "open24h")
        return {"symbol": symbol, "ts": "1700807507275", "fundingRate": "0.0001", **dict.fromkeys(names, "65000")}

    def contracts(query: Any) -> Any:
        return _said([kinds[kind][0] for kind in kinds if kind == query.get("productType")])

    def positions(query: Any) -> Any:
        rows = kinds.get(query["productType"], (None, []))[1]
        return _said([row for row in rows if query.get("symbol") in (None, row["symbol"])])

    def tickers(query: Any) -> Any:
        return _said([price(kinds[kind][0]["symbol"]) for kind in kinds if kind == query["productType"]])

    spot = {
        "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "minTradeAmount": "0", "status": "online",
        "maxTradeAmount": "10000000000", "pricePrecision": "2", "quantityPrecision": "6", "quotePrecision": "6",
        "takerFeeRate": "0.002", "makerFeeRate": "0.002", "minTradeUSDT": "5",
    }  # fmt: skip
    coins = {"coin": "BTC", "available": "1.25", "limitAvailable": "0", "frozen": "0.20", "locked": "0.05", "uTime": ""}
    return {
        "/api/v2/spot/public/symbols": _said([spot]),
        "/api/v2/mix/market/contracts": contracts,
        "/api/v2/margin/currencies": _said([]),
        "/api/v2/spot/account/assets": _said([coins]),
        "/api/v2/mix/position/all-position": positions,
        "/api/v2/mix/position/single-position": positions,
        "/api/v2/mix/market/tickers": tickers,
        "/api/v2/spot/market/tickers": _said([price("BTCUSDT")]),
        "/api/v2/mix/order/orders-pending": _said({"entrustedList": None, "endId": None}),
    }


@pytest.mark.parametrize(
    ("rows", "futures"),
    [
        ([], "0"),
        ([_position("BTCUSDT", "short", "0.5")], "-0.5"),
        (
            [_position("BTCUSDT", side, size, "hedge_mode") for side, size in (("short", "0.7"), ("long", "0.2"))],
            "-0.5",
        ),
    ],
)
async def test_coins_and_both_sides(tmp_path: Path, rows: list[Any], futures: str) -> None:
    cycle = await seen("bitget", bitget(rows, []), tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.exposure_base, "1.5"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


@pytest.mark.parametrize("counted", [True, False])
async def test_what_a_coin_margined_position_is_worth_is_not_made_up(tmp_path: Path, counted: bool) -> None:
    """Its size is in coins, and the client says that one contract is one dollar."""
    routes = bitget([_position("BTCUSDT", "short", "0.5")], [_position("BTCUSD", "short", "0.3")])
    config = hedge(LINEAR).replace('"ignore"', '"count"' if counted else '"ignore"')
    cycle = await seen("bitget", routes, tmp_path, config)
    assert near(cycle.exposure.spot_base, "1.5"), cycle.exposure.blockers
    if not counted:
        assert near(cycle.exposure.futures_base, "-0.5")
        return
    assert (cycle.exposure.futures_base, cycle.exposure.exposure_base) == (None, None)
    assert "missing_reading" in {reason.code for reason in cycle.exposure.blockers}
    assert cycle.plan is None or not cycle.plan.orders
