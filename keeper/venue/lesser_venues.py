"""Deribit, and the venues that are read through the client's unified calls."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from keeper.venue.recipes import (
    Capability,
    Codes,
    Fields,
    Lookups,
    Outflow,
    Product,
    Read,
    Row,
    WalletRead,
    decimal_of,
    is_contract,
    signed_sum,
    stated,
)


def _deribit_total(row: Row) -> Decimal:
    """``equity = balance + session PnL, realised and not + options``; ``balance`` moves at the daily settlement only.

    What is left when the unrealised session PnL and the options are taken off is the wallet; a position's own session
    PnL is added by whoever values the position (see ``entry_from_pnl``).
    """
    names = ("equity", "futures_session_upl", "options_value")
    if all(stated(row, name) for name in names):
        equity, open_pnl, options = (decimal_of(row[name], name) for name in names)
        return equity - open_pnl - options
    return decimal_of(row.get("balance"), "balance")


_DERIBIT_FIELDS = Fields(
    symbol="instrument_name",
    size="size",
    entry="average_price",
    mark="mark_price",
    liquidation="estimated_liquidation_price",
    notional_inverse="size_currency",
    open_pnl="floating_profit_loss",
    leverage="leverage",
    kind="kind",
    kinds=frozenset({"future"}),
)
_DERIBIT_MARK = {
    "mark": "mark_price",
    "bid": "best_bid_price",
    "ask": "best_ask_price",
    "index": "index_price",
    "funding_rate": "funding_8h",
    "at_ms": "timestamp",
}

DERIBIT = Capability(
    wallets={
        "": WalletRead(
            (Read("privateGetGetAccountSummaries", rows=("result", "summaries")),), "currency", _deribit_total
        ),
    },
    collateral="",
    products=(
        Product(
            covers=is_contract,
            positions=(Read("privateGetGetPositions", {}, ("result",)),),
            orders=(Read("privateGetGetOpenOrders", {}, ("result",)),),
            position=Read("privateGetGetPosition", {}, ("result",), single=True),
            fields=_DERIBIT_FIELDS,
            marks=((Read("publicGetTicker", {}, ("result",), single=True), _DERIBIT_MARK),),
            marks_by_symbol="instrument_name",
            symbol_param="instrument_name",
        ),
    ),
    amount_is_size=True,
    client_id_param="label",
    client_id_fields=("label", "clientOrderId"),
    lookups=Lookups(
        reads=(
            (Read("privateGetGetOrderStateByLabel", rows=("result",)), "label"),
            (
                Read("privateGetGetOrderHistoryByInstrument", {"count": 100, "include_unfilled": True}, ("result",)),
                "",
            ),
        )
    ),
    outflows=(
        Outflow(
            Read("privateGetGetTransactionLog", {"count": 100}, ("result", "logs")),
            "currency",
            "start_timestamp",
            "change",
            "timestamp",
            "type",
            until_param="end_timestamp",
        ),
    ),
    always_one_way=True,
    get_changes=r"^private/(?!(get|list)_)",
    codes=Codes(
        ambiguous=frozenset({"11094", "-32603"}),
        retry_later=frozenset({"10028", "10040", "10041", "10047", "11051", "13028"}),
        not_found=frozenset({"10004", "11044"}),
        credentials=frozenset({"13004", "13009", "13010", "13021", "13780"}),
        rejected=r"1\d{4}|-32602|-32600|-32601",
        limits=frozenset({"10028"}),
    ),
    params_by_product=lambda market: {"currency": market.get("settle") or market.get("base")},
)

_SWAP_SIDES = ({"type": "swap", "subType": "linear"}, {"type": "swap", "subType": "inverse"})

OTHERS: Mapping[str, Capability] = {
    "bingx": Capability(
        unified_wallets={"": {"type": "spot"}, "funding": {"type": "funding"}},
        wallets={
            "inverse": WalletRead(
                (Read("cswapV1PrivateGetUserBalance", rows=("data",)),), "asset", signed_sum(("balance",))
            ),
        },
        collateral="inverse",
        book_params=_SWAP_SIDES,
        lookups=Lookups(unified="clientOrderId"),
        harmless=frozenset({"user/auth/userDataStream"}),
    ),
    "weex": Capability(
        unified_wallets={"": {"type": "spot"}}, book_params=({"type": "swap"},), demo_path="capi/v3/sim/"
    ),
    "mexc": Capability(
        unified_wallets={"": {"type": "spot"}},
        wallets={
            "inverse": WalletRead(
                (Read("contractPrivateGetAccountAssets", rows=("data",)),), "currency", signed_sum(("cashBalance",))
            ),
        },
        collateral="inverse",
        book_params=({"type": "swap"},),
        client_id_param="externalOid",
        client_id_fields=("clientOrderId", "externalOid"),
        demo="none",
    ),
    "gate": Capability(
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
        book_params=({"type": "swap", "settle": "usdt"}, {"type": "swap", "settle": "btc"}),
        client_id_param="text",
        client_id_fields=("clientOrderId", "text"),
        client_id_template="t-{}",
        lookups=Lookups(unified="clientOrderId"),
    ),
    "kucoin": Capability(
        options={"fetchMarkets": {"types": ["spot", "swap", "future"], "fetchTickersFees": False}},
        unified_wallets={"": {"type": "spot"}, "funding": {"type": "main"}, "margin": {"type": "margin"}},
        lookups=Lookups(unified="clientOid"),
        demo="none",
    ),
    "kucoinfutures": Capability(
        lookups=Lookups(unified="clientOid"), demo="none", unified_wallets={"": {"type": "swap"}}
    ),
    "bitget": Capability(
        options={"fetchMarkets": {"types": ["spot", "swap"]}},
        unified_wallets={"": {"type": "spot"}, "funding": {"type": "funding"}},
        wallets={
            "inverse": WalletRead(
                (Read("privateMixGetV2MixAccountAccounts", {"productType": "COIN-FUTURES"}, ("data",)),),
                "marginCoin",
                signed_sum(("accountEquity",), minus=("unrealizedPL",)),
            ),
        },
        collateral="inverse",
        book_params=tuple(
            {"type": "swap", "productType": kind} for kind in ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES")
        ),
        order_params={"oneWayMode": True},
        lookups=Lookups(unified="clientOid"),
        demo_headers={"PAPTRADING": "1"},
    ),
    "hyperliquid": Capability(
        unified_wallets={"": {"type": "spot"}},
        client_id_template="0x{}0000",
        lookups=Lookups(unified="clientOrderId"),
        always_one_way=True,
        harmless=frozenset({"info"}),
    ),
}
