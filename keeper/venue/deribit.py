"""Deribit: asked, and told, everything by GET; sizes in USD or coins, orders named by a label."""

from __future__ import annotations

from dataclasses import replace

from keeper.venue.figures import Row, flag, signed_sum
from keeper.venue.recipes import (
    Capability,
    Codes,
    Fields,
    Lookups,
    MarginRead,
    Outflow,
    Product,
    RateHistory,
    Read,
    WalletRead,
    is_contract,
)

_DERIBIT_FIELDS = Fields(
    symbol="instrument_name",
    size="size",
    maintenance="maintenance_margin",
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


def _deribit_left(row: Row) -> bool:
    """A transfer, a withdrawal, or a trade on the spot market (whose names have no date and no PERPETUAL)."""
    kind = str(row.get("type"))
    return kind in ("transfer", "withdrawal", "swap") or (
        kind == "trade" and "-" not in str(row.get("instrument_name"))
    )


_DERIBIT_SUMMARIES = Read("privateGetGetAccountSummaries", rows=("result", "summaries"))

_DERIBIT_CLOSED = Read("privateGetGetOrderHistoryByInstrument", {"count": 1000, "include_unfilled": True}, ("result",))

DERIBIT = Capability(
    margins=(
        (
            MarginRead(
                "",
                _DERIBIT_SUMMARIES,
                equity="total_margin_balance_usd",
                maintenance="total_maintenance_margin_usd",
                when=lambda row: flag(row, "cross_collateral_enabled") is True,
            ),
            MarginRead(
                "",
                _DERIBIT_SUMMARIES,
                equity="margin_balance",
                maintenance="maintenance_margin",
                available=("available_withdrawal_funds",),
                asset="currency",
            ),
        ),
    ),
    book_depths=(1, 5, 10, 20, 50, 100, 1000),
    candles_a_page=1000,
    rates=RateHistory(
        720,
        # every hour is settled by itself; the client shows what eight of them would make
        Read("publicGetGetFundingRateHistory", {}, ("result",)),
        "start_timestamp",
        "end_timestamp",
        rate="interest_1h",
    ),
    wallets={
        "": WalletRead(
            (Read("privateGetGetAccountSummaries", rows=("result", "summaries")),),
            "currency",
            # ``balance`` moves at the daily settlement only; equity has today's profit, realised and not
            signed_sum(("equity",)),
            open_pnl=(Read("privateGetGetPositions", {}, ("result",)), "instrument_name", "floating_profit_loss"),
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
            (
                Read(
                    "privateGetGetOrderStateByLabel",
                    rows=("result",),
                    otherwise=Read("privateGetGetOpenOrdersByInstrument", rows=("result",)),
                ),
                "label",
            ),
            (_DERIBIT_CLOSED, ""),
            # what closed more than half an hour ago is kept apart
            (replace(_DERIBIT_CLOSED, params={**_DERIBIT_CLOSED.params, "historical": True}), ""),
        )
    ),
    fills_end="end_timestamp",
    fills_asked=({}, {"historical": True}),  # recent is what is younger than a day
    outflows=(
        Outflow(
            Read("privateGetGetTransactionLog", {"count": 100}, ("result", "logs")),
            "currency",
            "start_timestamp",
            "change",
            "timestamp",
            "type",
            until_param="end_timestamp",
            counts=_deribit_left,
        ),
    ),
    always_one_way=True,
    get_changes=r"^private/(?!(get|list)_)",
    codes=Codes(
        # failures without a reason, and answers that were too slow: the order may be in
        ambiguous=frozenset({"10001", "11031", "11094", "13008", "13028", "13888", "-32603"}),
        retry_later=frozenset({"10028", "10040", "10041", "10047", "10066", "11051"}),
        not_found=frozenset({"10004", "11044"}),
        would_cross=frozenset({"11054"}),
        credentials=frozenset({"13004", "13009", "13010", "13021", "13780"}),
        rejected=r"1\d{4}|-32602|-32600|-32601",
        limits=frozenset({"10028"}),
    ),
    params_by_product=lambda market: {"currency": market.get("settle") or market.get("base")},
)
