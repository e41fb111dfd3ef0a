"""One look at KuCoin as its own pages describe it: sizes with a sign, and both sides of one contract in hedge mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.venue.test_lists import NO
from tests.venue.test_payloads import near, seen
from tests.venue.test_told import LINEAR, hedge


def _said(data: Any) -> dict[str, Any]:
    return {"code": "200000", "data": data}


def _position(size: int, side: str = "BOTH") -> dict[str, Any]:
    return {
        "id": f"615ba79f83a3410001cde32{side}", "symbol": "XBTUSDTM", "autoDeposit": False, "crossMode": True,
        "marginMode": "CROSS", "positionSide": side, "realLeverage": 18.61, "currentQty": size, "isOpen": size != 0,
        "openingTimestamp": 1638563515618, "currentTimestamp": 1638576872774, "markPrice": 65000, "posCost": 83.6,
        "posInit": 3.6, "posMargin": 3.7, "unrealisedPnl": 0.85, "avgEntryPrice": 60000, "liquidationPrice": 0,
        "settleCurrency": "USDT", "isInverse": False,
    }  # fmt: skip


def kucoin(rows: list[Any], *, hedged: bool = False) -> dict[str, Any]:
    contract = {
        "symbol": "XBTUSDTM", "rootSymbol": "USDT", "type": "FFWCSX", "baseCurrency": "XBT", "quoteCurrency": "USDT",
        "settleCurrency": "USDT", "expireDate": None, "maxOrderQty": 1000000, "maxPrice": 1000000.0, "lotSize": 1,
        "tickSize": 0.1, "multiplier": 0.001, "makerFeeRate": 0.0002, "takerFeeRate": 0.0006, "isQuanto": False,
        "isInverse": False, "status": "Open", "fundingFeeRate": 0.0001, "markPrice": 65000, "indexPrice": 65000,
        "lastTradePrice": 65000, "nextFundingRateTime": 25481884, "maxLeverage": 100,
    }  # fmt: skip
    pair = {
        "symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT", "market": "USDS", "enableTrading": True,
        "baseMinSize": "0.00001", "quoteMinSize": "0.1", "baseMaxSize": "10000", "quoteMaxSize": "99999999",
        "baseIncrement": "0.00000001", "quoteIncrement": "0.000001", "priceIncrement": "0.1", "minFunds": "0.1",
    }  # fmt: skip
    coins = {"id": "1", "currency": "BTC", "type": "trade", "balance": "1.5", "available": "1.25", "holds": "0.25"}
    return {
        "/api/v2/symbols": _said([pair]),
        "/api/v3/margin/symbols": _said({"timestamp": 1719393213421, "items": []}),
        "/api/v1/isolated/symbols": _said([]),
        "/api/v1/hf/accounts/opened": _said(False),
        "/api/v1/contracts/active": _said([contract]),
        "/api/ua/v1/account/mode": _said({"selfAccountMode": "CLASSIC"}),
        "/api/v1/accounts": _said([coins]),
        "/api/v1/positions": _said(rows),
        "/api/v1/position": _said(rows[0] if rows else _position(0)),
        "/api/v2/position": _said(rows),
        "/api/v2/position/getPositionMode": _said({"positionMode": int(hedged)}),
        "/api/v1/orders": _said({"currentPage": 1, "pageSize": 50, "totalNum": 0, "totalPage": 0, "items": []}),
        "/api/v1/allTickers": _said([{"symbol": "XBTUSDTM", "bestBidPrice": "65000", "bestAskPrice": "65000.1"}]),
    }


@pytest.mark.parametrize(("rows", "futures"), [([_position(-500)], "-0.5"), ([], "0")])
async def test_coins_and_contracts(tmp_path: Path, rows: list[Any], futures: str) -> None:
    cycle = await seen("kucoin", kucoin(rows), tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.spot_base, "1.5"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers


async def test_both_sides_are_added_though_a_question_by_name_shows_one(tmp_path: Path) -> None:
    rows = [_position(200, "LONG"), _position(-700, "SHORT")]
    cycle = await seen("kucoin", kucoin(rows, hedged=True), tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.futures_base, "-0.5"), cycle.exposure.blockers
    assert "position_mode" in {reason.code for reason in cycle.exposure.blockers}


async def test_a_list_of_margin_markets_that_is_missing_hides_nothing(tmp_path: Path) -> None:
    routes = kucoin([_position(-500)])
    for path in ("/api/v3/margin/symbols", "/api/v1/isolated/symbols", "/api/v1/hf/accounts/opened"):
        routes[path] = NO
    cycle = await seen("kucoin", routes, tmp_path, hedge(LINEAR))
    assert near(cycle.exposure.spot_base, "1.5"), cycle.exposure.blockers
    assert near(cycle.exposure.futures_base, "-0.5"), cycle.exposure.blockers
    assert "market_unread" in {reason.code for reason in cycle.exposure.blockers}
