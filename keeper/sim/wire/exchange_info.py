"""``exchangeInfo`` of the three products: every market with its filters, in each product's own spelling."""

from __future__ import annotations

from collections.abc import Iterable

from keeper.sim.calendar import quarter_ends
from keeper.sim.types import Market, MarketKind, MarketStatus
from keeper.sim.wire.text import Json, plain

PERPETUAL_DELIVERY_MS = 4_133_404_800_000

_RATE_LIMITS: list[Json] = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 60_000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 3_000},
]


def spot_info(markets: Iterable[Market], now_ms: int) -> Json:
    """``GET /api/v3/exchangeInfo``."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": _RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": [_spot_symbol(market) for market in markets],
    }


def linear_info(markets: Iterable[Market], now_ms: int) -> Json:
    """``GET /fapi/v1/exchangeInfo``."""
    listed = list(markets)
    settles = sorted({market.settle for market in listed})
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": _RATE_LIMITS,
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in settles],
        "symbols": [_contract(market, now_ms) | {"status": _status(market)} for market in listed],
    }


def inverse_info(markets: Iterable[Market], now_ms: int) -> Json:
    """``GET /dapi/v1/exchangeInfo``."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": _RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": [
            _contract(market, now_ms)
            | {
                "contractStatus": _status(market),
                "equalQtyPrecision": 4,
            }
            for market in markets
        ],
    }


def contract_type(market: Market, now_ms: int) -> str:
    """Binance's name for the kind of contract: perpetual, or which quarter it expires in."""
    if market.expiry_ms is None:
        return "PERPETUAL"
    return "CURRENT_QUARTER" if market.expiry_ms <= quarter_ends(now_ms)[0] else "NEXT_QUARTER"


def _status(market: Market) -> str:
    if market.status in (MarketStatus.BREAK, MarketStatus.HALT):
        return "PENDING_TRADING"
    if market.status is MarketStatus.SETTLING and market.expiry_ms is not None:
        return "DELIVERING"
    return str(market.status.value)


def _spot_symbol(market: Market) -> dict[str, Json]:
    filters = market.filters
    return {
        "symbol": market.symbol,
        "status": market.status.value,
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            *_common_filters(market),
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": plain(filters.band_up),
                "bidMultiplierDown": plain(filters.band_down),
                "askMultiplierUp": plain(filters.band_up),
                "askMultiplierDown": plain(filters.band_down),
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": plain(filters.min_notional),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": filters.max_open_orders},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _contract(market: Market, now_ms: int) -> dict[str, Json]:
    filters = market.filters
    symbol_filters: list[Json] = [
        *_common_filters(market),
        {"filterType": "MAX_NUM_ORDERS", "limit": filters.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": plain(filters.band_up),
            "multiplierDown": plain(filters.band_down),
            "multiplierDecimal": "4" if market.kind is MarketKind.LINEAR else 4,
        },
    ]
    if market.kind is MarketKind.LINEAR:
        symbol_filters.append({"filterType": "MIN_NOTIONAL", "notional": plain(filters.min_notional)})
    sized: dict[str, Json] = {} if market.contract_size == 1 else {"contractSize": int(market.contract_size)}
    return sized | {
        "symbol": market.symbol,
        "pair": market.pair,
        "contractType": contract_type(market, now_ms),
        "deliveryDate": market.expiry_ms or PERPETUAL_DELIVERY_MS,
        "onboardDate": market.onboard_ms,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "marginAsset": market.settle,
        "pricePrecision": market.price_precision,
        "quantityPrecision": market.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "INDEX" if market.is_index else "COIN",
        "underlyingSubType": ["Index"] if market.is_index else ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": plain(filters.market_take_bound),
        "maxMoveOrderLimit": 10_000,
        "filters": symbol_filters,
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _common_filters(market: Market) -> list[Json]:
    filters = market.filters
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": plain(filters.min_price),
            "maxPrice": plain(filters.max_price),
            "tickSize": plain(filters.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": plain(filters.min_qty),
            "maxQty": plain(filters.max_qty),
            "stepSize": plain(filters.step),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": plain(filters.market_min_qty),
            "maxQty": plain(filters.market_max_qty),
            "stepSize": plain(filters.market_step),
        },
    ]
