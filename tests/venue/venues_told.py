"""What Binance and Bybit answer to the questions of one look, in the words of their own documentation.

Written from the venues' published examples and the client's own comments, not from keeper's table: split wallets and a
unified account, several wallets, both sides of hedge mode, zero rows for markets that are flat, numbers as text and as
numbers, signed sizes, contracts worth 100 and 10 dollars, and coin-margined books that show only when asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Query = Mapping[str, str]


# Binance: split wallets; the two futures products have addresses of their own


def _filters(tick: str, step: str, least: str) -> list[dict[str, Any]]:
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
        {"filterType": "LOT_SIZE", "stepSize": step, "maxQty": "1000", "minQty": step},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": step, "maxQty": "120", "minQty": step},
        {"filterType": "MIN_NOTIONAL", "notional": least, "minNotional": least},
    ]


def _binance_spot(base: str) -> dict[str, Any]:
    return {
        "symbol": f"{base}USDT", "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": "USDT",
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True, "filters": _filters("0.01000000", "0.00001000", "5.00000000"),
        "permissions": [], "permissionSets": [["SPOT", "MARGIN"]],
    }  # fmt: skip


def _binance_linear(base: str) -> dict[str, Any]:
    return {
        "symbol": f"{base}USDT", "pair": f"{base}USDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000, "status": "TRADING", "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000", "baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT",
        "pricePrecision": 2, "quantityPrecision": 3, "baseAssetPrecision": 8, "quotePrecision": 8,
        "underlyingType": "COIN", "triggerProtect": "0.0500", "filters": _filters("0.10", "0.001", "100"),
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }  # fmt: skip


def _binance_inverse(base: str, size: int) -> dict[str, Any]:
    return {
        "filters": _filters("0.1", "1", "0"), "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"], "liquidationFee": "0.010000", "marketTakeBound": "0.30",
        "symbol": f"{base}USD_PERP", "pair": f"{base}USD", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 1596006000000, "contractStatus": "TRADING", "contractSize": size, "quoteAsset": "USD",
        "baseAsset": base, "marginAsset": base, "pricePrecision": 1, "quantityPrecision": 0, "baseAssetPrecision": 8,
        "quotePrecision": 8, "equalQtyPrecision": 4, "maintMarginPercent": "2.5000",
    }  # fmt: skip


def binance_position(symbol: str, amount: Any, entry: Any = "0.0", side: str = "BOTH", **more: Any) -> dict[str, Any]:
    """A row of either product, as documented."""
    return {
        "symbol": symbol, "positionSide": side, "positionAmt": amount, "entryPrice": entry, "breakEvenPrice": entry,
        "markPrice": more.pop("mark", "65000.00000000"), "unRealizedProfit": "0.00000000", "liquidationPrice": "0",
        "isolatedMargin": "0.00000000", "marginAsset": "USDT", "isolatedWallet": "0", "initialMargin": "0",
        "maintMargin": "0", "positionInitialMargin": "0", "openOrderInitialMargin": "0", "adl": 2, "bidNotional": "0",
        "askNotional": "0", "updateTime": 1720736417660, **more,
    }  # fmt: skip


def binance(linear: list[Any], inverse: list[Any]) -> dict[str, Any]:
    """The answers of an account with spot, funding, margin and both futures wallets."""

    def by_name(rows: list[Any]) -> Any:
        return lambda query: [row for row in rows if query.get("symbol") in (None, row["symbol"])]

    def marks(names: Mapping[str, str]) -> Any:
        return [
            {
                "symbol": name, "pair": name, "markPrice": price, "indexPrice": price, "estimatedSettlePrice": price,
                "lastFundingRate": "0.00010000", "interestRate": "0.0001", "nextFundingTime": 1597392000000,
                "time": 1597370495002,
            }
            for name, price in names.items()
        ]  # fmt: skip

    def books(names: Mapping[str, str]) -> Any:
        return [
            {"symbol": name, "bidPrice": price, "bidQty": "16", "askPrice": price, "askQty": "8", "time": 1597370495002}
            for name, price in names.items()
        ]

    usd = {"BTCUSDT": "65000.00000000", "ETHUSDT": "3200.00000000"}
    coin = {"BTCUSD_PERP": "65000.0", "ETHUSD_PERP": "3200.0"}
    coins = [
        {
            "asset": asset, "walletBalance": balance, "unrealizedProfit": "0.00000000", "marginBalance": balance,
            "maintMargin": "0", "initialMargin": "0", "availableBalance": balance, "maxWithdrawAmount": balance,
            "crossWalletBalance": balance, "crossUnPnl": "0",
        }
        for asset, balance in (("BTC", "1.50000000"), ("ETH", "0.00000000"))
    ]  # fmt: skip
    return {
        "/api/v3/exchangeInfo": {"timezone": "UTC", "symbols": [_binance_spot(base) for base in ("BTC", "ETH")]},
        "/fapi/v1/exchangeInfo": {"timezone": "UTC", "symbols": [_binance_linear(base) for base in ("BTC", "ETH")]},
        "/dapi/v1/exchangeInfo": {
            "timezone": "UTC",
            "symbols": [_binance_inverse("BTC", 100), _binance_inverse("ETH", 10)],
        },
        "/api/v3/account": {
            "makerCommission": 15, "canTrade": True, "canWithdraw": True, "accountType": "SPOT",
            "balances": [
                {"asset": "BTC", "free": "4.50000000", "locked": "0.50000000"},
                {"asset": "LTC", "free": "0.00000000", "locked": "0.00000000"},
                {"asset": "ETH", "free": "12.00000000", "locked": "0.00000000"},
            ],
        },
        "/sapi/v1/asset/get-funding-asset": [
            {"asset": "BTC", "free": "1.0", "locked": "0", "freeze": "0.25", "withdrawing": "0", "btcValuation": "1.25"}
        ],
        "/sapi/v1/margin/account": {
            "userAssets": [
                {"asset": "BTC", "borrowed": "0.2", "free": "1.1", "interest": "0.001", "locked": "0.0"}
            ]
        },
        "/dapi/v1/account": {"assets": coins, "positions": [], "canTrade": True},
        "/fapi/v3/positionRisk": by_name(linear),
        "/fapi/v2/positionRisk": by_name(linear),
        "/dapi/v1/positionRisk": by_name(inverse),
        "/fapi/v1/openOrders": [],
        "/dapi/v1/openOrders": [],
        "/fapi/v1/premiumIndex": marks(usd),
        "/dapi/v1/premiumIndex": marks(coin),
        "/fapi/v1/ticker/bookTicker": books(usd),
        "/dapi/v1/ticker/bookTicker": books(coin),
        "/fapi/v1/ticker/24hr": [{"symbol": name, "lastPrice": price, "closeTime": 1} for name, price in usd.items()],
        "/dapi/v1/ticker/24hr": [{"symbol": name, "lastPrice": price, "closeTime": 1} for name, price in coin.items()],
        "/api/v3/time": {"serverTime": 1499827319559},
        "/fapi/v1/time": {"serverTime": 1499827319559},
        "/dapi/v1/time": {"serverTime": 1499827319559},
        "/fapi/v1/positionSide/dual": {"dualSidePosition": False},
        "/dapi/v1/positionSide/dual": {"dualSidePosition": False},
        "/sapi/v1/account/apiRestrictions": {"ipRestrict": False, "enableWithdrawals": False, "enableFutures": True},
    }  # fmt: skip


# Bybit: one unified account; its positions have to be asked for by category and coin of settlement


def bybit_position(symbol: str, side: str, size: Any, entry: Any = "0", index: int = 0, **more: Any) -> dict[str, Any]:
    """A row as documented; a flat one has no side."""
    return {
        "positionIdx": index, "riskId": 1, "riskLimitValue": "150", "symbol": symbol, "side": side, "size": size,
        "avgPrice": entry, "positionValue": "", "tradeMode": 0, "positionStatus": "Normal", "autoAddMargin": 0,
        "adlRankIndicator": 2, "leverage": "10", "positionBalance": "0", "markPrice": "65000", "liqPrice": "",
        "bustPrice": "", "positionMM": "", "positionIM": "", "tpslMode": "Full", "takeProfit": "", "stopLoss": "",
        "trailingStop": "0.00", "unrealisedPnl": "", "cumRealisedPnl": "0", "seq": 4688002127, "isReduceOnly": False,
        "createdTime": "1676538056258", "updatedTime": "1697673600012", **more,
    }  # fmt: skip


def _result(rows: list[Any], **more: Any) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": {"list": rows, **more}, "retExtInfo": {}, "time": 1672738134824}


def _contract(symbol: str, base: str, quote: str, settle: str, kind: str, step: str) -> dict[str, Any]:
    return {
        "symbol": symbol, "contractType": kind, "status": "Trading", "baseCoin": base, "quoteCoin": quote,
        "settleCoin": settle, "launchTime": "1585526400000", "deliveryTime": "0", "deliveryFeeRate": "",
        "priceScale": "2", "fundingInterval": 480, "unifiedMarginTrade": True, "copyTrading": "none",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000", "minOrderQty": step, "qtyStep": step, "minNotionalValue": "5",
            "maxMktOrderQty": "500.000",
        },
    }  # fmt: skip


def _coin(name: str, wallet: str, **more: Any) -> dict[str, Any]:
    return {
        "coin": name, "equity": wallet, "usdValue": "0", "walletBalance": wallet, "free": "", "locked": "0",
        "borrowAmount": "0.000000000000000000", "availableToBorrow": "", "availableToWithdraw": "",
        "accruedInterest": "0", "totalOrderIM": "0", "totalPositionIM": "0", "totalPositionMM": "0",
        "unrealisedPnl": "0", "cumRealisedPnl": "0", "bonus": "0", "marginCollateral": True,
        "collateralSwitch": True, **more,
    }  # fmt: skip


_LISTED = {
    "spot": [
        {
            "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "innovation": "0", "status": "Trading",
            "marginTrading": "both", "priceFilter": {"tickSize": "0.01"},
            "lotSizeFilter": {
                "basePrecision": "0.000001", "quotePrecision": "0.00000001", "minOrderQty": "0.000048",
                "maxOrderQty": "71.73956243", "minOrderAmt": "1", "maxOrderAmt": "2000000",
            },
        }
    ],
    "linear": [
        _contract("BTCUSDT", "BTC", "USDT", "USDT", "LinearPerpetual", "0.001"),
        _contract("BTCPERP", "BTC", "USDC", "USDC", "LinearPerpetual", "0.001"),
    ],
    "inverse": [_contract("BTCUSD", "BTC", "USD", "BTC", "InversePerpetual", "1")],
}  # fmt: skip


def bybit(linear: list[Any], inverse: list[Any]) -> dict[str, Any]:
    """The answers of a unified account whose coins margin everything."""

    held = {"linear": linear, "inverse": inverse}

    def positions(query: Query) -> Any:
        rows = held[query["category"]]
        if "symbol" in query:
            return _result([row for row in rows if row["symbol"] == query["symbol"]], nextPageCursor="")
        if query["category"] == "linear" and "settleCoin" not in query:
            return {"retCode": 10001, "retMsg": "params error: symbol or settleCoin is needed", "result": {}}
        coin = query.get("settleCoin", "")
        mine = [row for row in rows if row["size"] not in ("0", "", 0)]  # flat rows show only when asked for by name
        return _result(
            [row for row in mine if coin != "USDC" or row["symbol"].endswith("PERP")]
            if coin != "USDT"
            else [row for row in mine if row["symbol"].endswith("USDT")],
            nextPageCursor="",
        )

    def tickers(query: Query) -> Any:
        names = [row["symbol"] for row in _LISTED[query["category"]]]
        return _result(
            [
                {
                    "symbol": name, "lastPrice": "65000", "indexPrice": "65000", "markPrice": "65000",
                    "fundingRate": "0.0001", "bid1Price": "64999.9", "ask1Price": "65000.1", "bid1Size": "1",
                    "ask1Size": "1",
                }
                for name in names
            ]
        )  # fmt: skip

    account = {
        "accountType": "UNIFIED", "totalEquity": "325000", "totalMarginBalance": "325000",
        "totalMaintenanceMargin": "0", "totalAvailableBalance": "325000", "accountMMRate": "0",
        "coin": [
            _coin("BTC", "5"),
            _coin("ETH", "2", spotBorrow="0.5", borrowAmount="0.5", equity="1.5"),
            _coin("USDC", "0"),
        ],
    }  # fmt: skip
    funding = {
        "retCode": 0, "retMsg": "success", "retExtInfo": {}, "time": 1675865290069,
        "result": {
            "memberId": "533285", "accountType": "FUND",
            "balance": [{"coin": "BTC", "transferBalance": "1.25", "walletBalance": "1.25", "bonus": ""}],
        },
    }  # fmt: skip
    return {
        "/v5/market/instruments-info": lambda query: _result(
            _LISTED[query["category"]] if query.get("status") in (None, "Trading") else [],
            category=query["category"],
            nextPageCursor="",
        ),
        "/v5/account/wallet-balance": _result([account]),
        "/v5/asset/transfer/query-account-coins-balance": funding,
        "/v5/position/list": positions,
        "/v5/order/realtime": _result([], nextPageCursor=""),
        "/v5/market/tickers": tickers,
        "/v5/market/time": {
            "retCode": 0, "retMsg": "OK", "time": 1688639403423,
            "result": {"timeSecond": "1688639403", "timeNano": "1688639403423213947"},
        },
        "/v5/account/info": {"retCode": 0, "result": {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 6}},
        "/v5/user/query-api": {
            "retCode": 0,
            "result": {"readOnly": 0, "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []}},
        },
    }  # fmt: skip
