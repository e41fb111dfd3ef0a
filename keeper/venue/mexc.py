"""MEXC: one wallet for contracts of every kind, sides that open or close, orders by an outside id."""

from __future__ import annotations

from dataclasses import replace

from keeper.venue.recipes import (
    Capability,
    Codes,
    Cursor,
    Fields,
    Lookups,
    Product,
    RateHistory,
    Read,
    TransferCall,
    WalletRead,
    equity_less,
    is_contract,
    signed_sum,
)

_MEXC_FIELDS = Fields(
    size="holdVol",
    side="positionType",
    sides={"1": 1, "2": -1},
    entry="holdAvgPrice",
    entry_else=("openAvgPrice",),
    liquidation="liquidatePrice",
    slot=("positionId", "positionType"),
    leverage="leverage",
    margin_mode="openType",
    margin_modes={"1": "isolated", "2": "cross"},
)
_MEXC_MARK = {
    "mark": "fairPrice",
    "bid": "bid1",
    "ask": "ask1",
    "index": "indexPrice",
    "funding_rate": "fundingRate",
    "at_ms": "timestamp",
}


_MEXC_OPEN, _MEXC_CLOSED = (
    Read(
        f"contractPrivateGetOrderList{name}Orders",
        rows=("data",),
        cursor=Cursor("page_num", first=1),
        limit=100,
        limit_param="page_size",
        blank_is_empty=True,
    )
    for name in ("Open", "History")
)
_MEXC_CONTRACTS = WalletRead(
    (Read("contractPrivateGetAccountAssets", rows=("data",)),),
    "currency",
    # ``cashBalance`` is what may be withdrawn: the margin of positions is missing from it
    equity_less("equity", "unrealized"),
)
"""One wallet margins contracts of every kind; what settles contracts in money is told apart from the coins."""


def _is_money(code: str) -> bool:
    return code.startswith("USD")


MEXC = Capability(
    markets_in_parts=True,
    credit_seconds=8.0,  # the venue counts over ten seconds, and the list of contracts alone is worth five of them
    transfers=TransferCall(
        "spotPrivatePostCapitalTransfer",
        ("spot", "private"),
        "capital/transfer",
        {"": "SPOT", "linear": "FUTURES", "inverse": "FUTURES"},
        lambda asset, amount, source, target: {
            "fromAccountType": source,
            "toAccountType": target,
            "asset": asset,
            "amount": amount,
        },
        ((0, "tranId"), ("tranId",)),
    ),
    candles_a_page=500,
    rates=RateHistory(
        read=Read(
            "contractPublicGetFundingRateHistory",
            {},
            ("data", "resultList"),
            Cursor("page_num", first=1),
            1000,
            "page_size",
        ),
        at="settleTime",
    ),
    wallets={
        "": WalletRead((Read("spotPrivateGetAccount", rows=("balances",)),), "asset", signed_sum(("free", "locked"))),
        "linear": replace(_MEXC_CONTRACTS, holds=_is_money),
        "inverse": replace(_MEXC_CONTRACTS, holds=lambda code: not _is_money(code)),
    },
    collateral="inverse",
    products=(
        Product(
            covers=is_contract,
            positions=(Read("contractPrivateGetPositionOpenPositions", rows=("data",)),),
            orders=(_MEXC_OPEN,),
            position=Read("contractPrivateGetPositionOpenPositions", rows=("data",)),
            fields=_MEXC_FIELDS,
            marks=((Read("contractPublicGetTicker", rows=("data",)), _MEXC_MARK),),
            mark_alone=(Read("contractPublicGetFairPriceSymbol", rows=("data",), single=True), "fairPrice"),
        ),
    ),
    order_sides={
        "1": "buy",
        "2": "buy",
        "3": "sell",
        "4": "sell",
    },  # open long, close short, open short, close long
    client_id_fields=("clientOrderId", "externalOid"),
    order_states={"state": {"5": "rejected"}},
    ioc_type=3,
    lookups=Lookups(
        reads=(
            (
                Read(
                    "contractPrivateGetOrderExternalSymbolExternalOid",
                    rows=("data",),
                    single=True,
                    blank_is_empty=True,
                    otherwise=_MEXC_OPEN,
                ),
                "external_oid",
            ),
            (_MEXC_OPEN, ""),
            (_MEXC_CLOSED, ""),
        )
    ),
    fill_orders=((_MEXC_CLOSED, "start_time", "end_time"),),  # the client takes the sides of executions for others
    fills_window_ms=89 * 86_400_000,
    codes=Codes(
        where=(("code",), ("data", 0, "errorCode")),
        ambiguous=frozenset({"500", "501", "503", "504", "506", "603", "604", "801", "9999"}),
        retry_later=frozenset({"429", "510"}),
        not_found=frozenset({"2040", "2041"}),
        rejected=r"600|602|100[1-4]|20(0\d|1\d|2\d|3[0-68])|600[125]",
        limits=frozenset({"429", "510"}),
    ),
    demo="none",
)
