"""The venues that are mostly read through the client's unified calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from keeper.venue.figures import Row, signed_sum
from keeper.venue.lesser_margins import BITGET_MARGINS, GATE_MARGINS, kucoin_margins
from keeper.venue.recipes import (
    Capability,
    Codes,
    Cursor,
    Fields,
    Lookups,
    MarginRead,
    Product,
    RateHistory,
    Read,
    TransferCall,
    WalletRead,
    is_contract,
    is_inverse,
    is_linear,
)

_BITGET_FIELDS = Fields(
    size="total",
    side="holdSide",
    sides={"long": 1, "short": -1},
    entry="openPriceAvg",
    index="posMode",
    hedge_texts=frozenset({"hedge_mode"}),
    slot=("holdSide",),
    leverage="leverage",
    margin_mode="marginMode",
    margin_modes={"crossed": "cross", "isolated": "isolated"},
)
_BITGET_MARK = {
    "mark": "markPrice",
    "bid": "bidPr",
    "ask": "askPr",
    "index": "indexPrice",
    "funding_rate": "fundingRate",
    "at_ms": "ts",
}


def _bitget_product(kind: str, covers: Callable[[Row], bool]) -> Product:
    """Read raw, because the client asks for one margin coin and would miss the others."""
    of = {"productType": kind}
    cursor = Cursor("idLessThan", ("data", "endId"))
    return Product(
        covers=covers,
        positions=(Read("privateMixGetV2MixPositionAllPosition", of, ("data",)),),
        orders=(
            Read(
                "privateMixGetV2MixOrderOrdersPending", of, ("data", "entrustedList"), cursor, 100, blank_is_empty=True
            ),
        ),
        position=Read("privateMixGetV2MixPositionSinglePosition", of, ("data",)),
        fields=_BITGET_FIELDS,
        marks=((Read("publicMixGetV2MixMarketTickers", of, ("data",)), _BITGET_MARK),),
    )


_BINGX_FIELDS = Fields(
    size="positionAmt",
    side="positionSide",
    sides={"LONG": 1, "SHORT": -1, "BOTH": 0},
    signed_side=True,
    entry="avgPrice",
    entry_else=("entryPrice",),
    pnl="unrealizedProfit",
    notional="positionValue",
    slot=("positionId", "positionSide", "isolated"),
    leverage="leverage",
    margin_mode="isolated",
    margin_modes={"true": "isolated", "false": "cross"},
)
_BINGX_MARK = {"mark": "markPrice", "index": "indexPrice", "funding_rate": "lastFundingRate"}
_BINGX_TICKER = {"bid": "bidPrice", "ask": "askPrice", "at_ms": "closeTime"}


def _bingx_product(section: str, group: str, covers: Callable[[Row], bool]) -> Product:
    """Both books are read, each by its own address: the client's list shows the linear one alone."""
    positions = Read(f"{section}PrivateGetUserPositions", {}, ("data",), blank_is_empty=True, about=covers)
    linear = section == "swapV2"
    return Product(
        covers=covers,
        positions=(positions,),
        orders=(
            Read(f"{section}PrivateGetTradeOpenOrders", {}, ("data", "orders"), blank_is_empty=True, about=covers),
        ),
        position=Read(f"{section}PrivateGetUserPositions", {}, ("data",), blank_is_empty=True),
        fields=_BINGX_FIELDS,
        marks=(
            (Read(f"{section}PublicGet{group}PremiumIndex", {}, ("data",)), _BINGX_MARK),
            (Read(f"{section}PublicGet{group}Ticker", {}, ("data",)), _BINGX_TICKER),
        ),
        mode=Read("swapV1PrivateGetPositionSideDual", {}, ("data",), single=True) if linear else None,
        mode_field="dualSidePosition",
        one_way_text="false",
    )


def _bingx_orders(method: str, covers: Callable[[Row], bool], **more: Any) -> Read:
    return Read(method, rows=("data", "orders"), blank_is_empty=True, about=covers, **more)


_BINGX_CLOSED = (
    _bingx_orders("swapV2PrivateGetTradeAllOrders", is_linear, limit=1000),
    _bingx_orders("cswapV1PrivateGetTradeOrderHistory", is_inverse, limit=1000),
)
_BINGX_OPEN = (
    _bingx_orders("swapV2PrivateGetTradeOpenOrders", is_linear),
    _bingx_orders("cswapV1PrivateGetTradeOpenOrders", is_inverse),
)
_BINGX_LOOKUPS = (
    # the client asks with a blank number beside our id; where there is no such order, the lists have to say so
    *(
        (Read(method, rows=("data", "order"), single=True, about=listed.about, otherwise=listed), "clientOrderId")
        for method, listed in zip(
            ("swapV2PrivateGetTradeOrder", "cswapV1PrivateGetTradeOrderDetail"), _BINGX_OPEN, strict=True
        )
    ),
    *((read, "") for read in _BINGX_CLOSED),
)

_KUCOIN_POSITIONS = Read("futuresPrivateGetPositions", rows=("data",))
_KUCOIN_PRICES = Product(
    covers=is_contract,
    positions=(_KUCOIN_POSITIONS,),
    orders=(),
    position=_KUCOIN_POSITIONS,
    fields=Fields(
        size="currentQty",
        entry="avgEntryPrice",
        margin_mode="crossMode",
        margin_modes={"true": "cross", "false": "isolated"},
    ),
    marks=(
        (
            Read("futuresPublicGetContractsActive", rows=("data",)),
            {"mark": "markPrice", "index": "indexPrice", "funding_rate": "fundingFeeRate"},
        ),
        (Read("futuresPublicGetAllTickers", rows=("data",)), {"bid": "bestBidPrice", "ask": "bestAskPrice"}),
    ),
)
"""The client's tickers of contracts have no book in them."""
_GATE_POSITIONS = tuple(Read("privateFuturesGetSettlePositions", {"settle": settle}) for settle in ("usdt", "btc"))
_GATE_PRICES = Product(
    covers=lambda market: bool(market.get("swap")),
    positions=_GATE_POSITIONS,
    orders=(),
    position=_GATE_POSITIONS[0],
    fields=Fields(
        symbol="contract", entry="entry_price", mark="mark_price", liquidation="liq_price", size="size",
        isolated="leverage",
    ),
)  # fmt: skip
"""A leverage of zero is cross; prices are read through the client."""
_KUCOIN = Capability(
    book_depths=(20, 100),
    candles_a_page=200,
    candle_until="",
    unified_wallets={"": {"type": "swap"}},
    whole_amounts=True,
    margin_mode_with_orders=True,
    position_from_list=True,
    flat_is_told=True,
    prices=_KUCOIN_PRICES,
    margins=kucoin_margins(""),
    lookups=Lookups(unified="clientOid"),
    codes=Codes(not_found=frozenset({"100001", "100004"}), limits=frozenset({"429000", "200002"})),
    demo="none",
)

_HYPERLIQUID_REFUSALS = {
    "Insufficient margin to place order": "insufficient_margin",
    "Insufficient spot balance": "insufficient_balance",
    "Order must have minimum value of": "below_minimum",
    "Price must be divisible by tick size": "price_step",
    "Order has invalid price": "price_step",
    "Order has invalid size": "size_step",
    "Order has zero size": "size_step",
    "Order price cannot be more than": "price_too_far",
    "Reduce only order would increase position": "reduce_only",
    "Must deposit before performing actions": "no_deposit",
    "User or API Wallet ": "unknown_wallet",
}
"""How the texts begin by which an order was refused and does not exist. One that met nobody is no refusal: it is there,
and its end is looked up.
"""
_HYPERLIQUID_CODES = Codes(
    where=(("response", "data", "statuses", 0, "error"), ("response",)),
    named={
        **_HYPERLIQUID_REFUSALS,
        "Post only order would have immediately matched": "would_cross",
        "Order was never placed, already canceled, or filled": "not_there",
        "Too many cumulative requests sent": "too_many_requests",
    },
    rejected="|".join(sorted({*_HYPERLIQUID_REFUSALS.values()})),
    would_cross=frozenset({"would_cross"}),
    not_found=frozenset({"not_there"}),
    retry_later=frozenset({"too_many_requests"}),
    limits=frozenset({"too_many_requests"}),
    credentials=frozenset({"unknown_wallet"}),
)

OTHERS: Mapping[str, Capability] = {
    "krakenfutures": Capability(
        # an order that was placed and had not filled at once is in the client's list of cancelled ones, filled or not
        no_orders="the client tells what filled later as cancelled",
        unified_wallets={"": {}},
        funding_sign=1,
        candles_a_page=1000,
        candle_until="",
        rates=RateHistory(1_000_000, end=""),
    ),
    "bingx": Capability(
        flat_has_no_row=True,
        markets_in_parts=True,
        margins=(
            (
                MarginRead(
                    "linear",
                    Read("swapV3PrivateGetUserBalance", rows=("data",)),
                    equity="equity",
                    maintenance=None,
                    available=("availableMargin",),
                    asset="asset",
                    risk="riskRate",
                    covers=is_linear,
                ),
            ),
            (
                MarginRead(
                    "inverse",
                    Read("cswapV1PrivateGetUserBalance", rows=("data",)),
                    equity="equity",
                    maintenance=None,
                    available=("availableMargin",),
                    asset="asset",
                    risk="riskRate",
                    covers=is_inverse,
                ),
            ),
        ),
        transfers=TransferCall(
            "apiAssetV1PrivatePostTransfer",
            ("apiAsset", "v1", "private"),
            "transfer",
            {"": "spot", "funding": "fund", "linear": "USDTMPerp", "inverse": "coinMPerp"},
            lambda asset, amount, source, target: {
                "fromAccount": source,
                "toAccount": target,
                "asset": asset,
                "amount": amount,
            },
            (("data", "transferId"), ("data", "tranId"), ("tranId",)),
        ),
        book_depths=(5, 10, 20, 50, 100, 500, 1000),
        candles_a_page=1000,
        rates=RateHistory(1000, never=is_inverse),
        wallets={
            "": WalletRead(
                (Read("spotV1PrivateGetAccountBalance", rows=("data", "balances")),),
                "asset",
                signed_sum(("free", "locked")),
            ),
            "funding": WalletRead(
                (Read("fundV1PrivateGetAccountBalance", rows=("data", "assets")),),
                "asset",
                signed_sum(("free", "locked")),
            ),
            "linear": WalletRead(
                (Read("swapV3PrivateGetUserBalance", rows=("data",)),), "asset", signed_sum(("balance",))
            ),
            "inverse": WalletRead(
                (Read("cswapV1PrivateGetUserBalance", rows=("data",)),), "asset", signed_sum(("balance",))
            ),
        },
        collateral="inverse",
        products=(
            _bingx_product("swapV2", "Quote", is_linear),
            _bingx_product("cswapV1", "Market", is_inverse),
        ),
        lookups=Lookups(reads=_BINGX_LOOKUPS),
        fill_orders=tuple((read, "startTime", "endTime") for read in _BINGX_CLOSED),
        fills_window_ms=7 * 86_400_000 - 1,
        harmless=frozenset({"user/auth/userDataStream"}),
        codes=Codes(
            # 80012 and 80001 are refusals, and what it says when something of its own was out of reach, in one
            ambiguous=frozenset(
                {"500", "503", "504", "80001", "80012", "100410", "100440", "100500", "100503", "101500"}
                | {"109500", "110500"}
            ),
            duplicate=frozenset({"101481", "109201"}),
            would_cross=frozenset({"101215"}),
            not_found=frozenset({"80016", "80018", "109421"}),  # the last but one: filled, so nothing to cancel
            limits=frozenset({"100410"}),
            retry_later=frozenset({"429"}),
        ),
    ),
    "gate": Capability(
        markets_in_parts=True,
        no_rows=[],
        candles_a_page=1000,
        rates=RateHistory(1000),
        options={"fetchMarkets": {"types": ["spot", "swap", "future"]}},
        unified_wallets={"": {"type": "spot"}},
        wallets={
            "inverse": WalletRead(
                (Read("privateFuturesGetSettleAccounts", {"settle": "btc"}, single=True),),
                "currency",
                signed_sum(("total",)),
            ),
        },
        collateral="inverse",
        prices=_GATE_PRICES,
        margins=GATE_MARGINS,
        asked_aside=("/account/detail",),
        position_from_list=True,
        params_by_product=lambda market: {"settle": market["settleId"]},  # the client asks for those in USDT alone
        two_sided=lambda row: str((row.get("info") or {}).get("mode")).startswith("dual"),
        position_params=({"type": "swap", "settle": "usdt"}, {"type": "swap", "settle": "btc"}),
        working_params=({"type": "swap", "settle": "usdt"}, {"type": "swap", "settle": "btc"}),
        client_id_fields=("clientOrderId", "text"),
        client_id_template="t-{}",
        client_id_bare=True,
        funding_sign=1,
        lookups=Lookups(unified="clientOrderId"),
        codes=Codes(
            would_cross=frozenset({"POC_FILL_IMMEDIATELY", "ORDER_POC_IMMEDIATE"}),
            not_found=frozenset({"ORDER_NOT_FOUND", "ORDER_FINISHED"}),
        ),
    ),
    "kucoin": replace(
        _KUCOIN,
        markets_in_parts=True,
        options={"fetchMarkets": {"types": ["spot", "swap", "future"], "fetchTickersFees": False}},
        unified_wallets={"": {"type": "spot"}, "funding": {"type": "main"}, "margin": {"type": "margin"}},
        margins=kucoin_margins("linear"),
    ),
    "kucoinfutures": _KUCOIN,
    "bitget": Capability(
        flat_has_no_row=True,
        markets_in_parts=True,
        candles_a_page=200,
        rates=RateHistory(
            read=Read(
                "publicMixGetV2MixMarketHistoryFundRate", {}, ("data",), Cursor("pageNo", first=1), 100, "pageSize"
            ),
            at="fundingTime",
        ),
        # the kind of account is not left to be guessed from one question that failed; the other kind is not read here
        options={"fetchMarkets": {"types": ["spot", "swap"]}, "uta": False},
        unified_wallets={"": {"type": "spot"}},
        # coin-margined positions are seen, and refused: their size is in coins, which the client does not say
        inverse_worth_unknown=True,
        products=(
            _bitget_product("USDT-FUTURES", lambda market: is_linear(market) and market.get("settle") == "USDT"),
            _bitget_product("USDC-FUTURES", lambda market: is_linear(market) and market.get("settle") == "USDC"),
            _bitget_product("COIN-FUTURES", is_inverse),
        ),
        margins=BITGET_MARGINS,
        lookups=Lookups(unified="clientOid"),
        codes=Codes(
            ambiguous=frozenset({"40015", "40200", "40604", "40725", "45001", "50008"}),
            duplicate=frozenset({"40786"}),
            not_found=frozenset({"22001", "25204", "40109", "40768", "43001"}),
        ),
        funding_sign=1,
        params_by_product=lambda market: {"marginCoin": market.get("settleId") or market.get("settle")},
        margin_mode_with_orders=True,
        demo_headers={"PAPTRADING": "1"},
    ),
    "hyperliquid": Capability(
        candles_a_page=1000,
        # without these every price would reload the lists of ten more exchanges, and each balance ask for the account
        options={"fetchMarkets": {"types": ["spot", "swap"]}, "enableUnifiedMargin": False, "builderFee": False},
        spot_params={"type": "spot"},
        unasked=frozenset({"initialize_client"}),
        rates=RateHistory(500),
        unified_wallets={"": {"type": "spot"}, "linear": {"type": "swap"}},
        working_params=({},),
        client_id_template="0x{}0000",
        client_id_fields=("clientOrderId", "cloid"),  # the client leaves ours where it is in an execution
        whole_list=("assetPositions",),
        in_whole_list=lambda market: not (market.get("info") or {}).get("hip3"),
        lookups=Lookups(unified="clientOrderId"),
        codes=_HYPERLIQUID_CODES,
        mode_with_leverage=True,
        always_one_way=True,
        harmless=frozenset({"info"}),
        funding_sign=1,
    ),
}
