"""OKX: one account for everything, contracts of a part of a coin, refusals inside an answer that is otherwise good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from keeper.venue.figures import Row, decimal_of, less_profit, signed_sum, stated
from keeper.venue.recipes import (
    Capability,
    Codes,
    Cursor,
    Fields,
    Lookups,
    MarginRead,
    Outflow,
    Path,
    Product,
    RateHistory,
    Read,
    TransferCall,
    WalletRead,
    is_contract,
)


def _okx_total(row: Row) -> Decimal:
    """Equity less unrealised PnL, which is the cash net of debt with isolated margin included; ``upl`` is blank where
    derivatives do not exist, and the cash is then all there is.
    """
    if stated(row, "eq") and stated(row, "upl"):
        return less_profit(decimal_of(row["eq"], "eq"), decimal_of(row["upl"], "upl"))
    cash = decimal_of(row.get("cashBal"), "cashBal")
    owed = decimal_of(row["liab"], "liab") if stated(row, "liab") and cash >= 0 else Decimal(0)
    return cash - abs(owed)


_OKX_DATA: Path = ("data",)
_OKX_FIELDS = Fields(
    symbol="instId",
    size="pos",
    maintenance="mmr",
    side="posSide",
    sides={"long": 1, "short": -1, "net": 0},
    entry="avgPx",
    mark="markPx",
    pnl="upl",
    liquidation="liqPx",
    notional="notionalUsd",
    notional_inverse="notionalUsd",
    notional_inverse_in_base=False,
    index="posSide",
    hedge_texts=frozenset({"long", "short"}),
    leverage="lever",
    margin_mode="mgnMode",
    margin_modes={"cross": "cross", "isolated": "isolated"},
    kind="instType",
    kinds=frozenset({"SWAP", "FUTURES"}),
)


def _okx_marks(kind: str) -> tuple[tuple[Read, Mapping[str, str]], ...]:
    marks = Read(
        "publicGetPublicMarkPrice",
        {"instType": kind},
        _OKX_DATA,
        otherwise=Read("publicGetPublicMarkPrice", rows=_OKX_DATA),
    )
    books = Read(
        "publicGetMarketTickers", {"instType": kind}, _OKX_DATA, otherwise=Read("publicGetMarketTicker", rows=_OKX_DATA)
    )
    return (marks, {"mark": "markPx", "at_ms": "ts"}), (books, {"bid": "bidPx", "ask": "askPx"})


def _okx_product(covers: Callable[[Row], bool], kind: str, *, lists: bool) -> Product:
    orders = Read("privateGetTradeOrdersPending", {}, _OKX_DATA, Cursor("after", last_row="ordId"), 100)
    return Product(
        covers=covers,
        positions=(Read("privateGetAccountPositions", {}, _OKX_DATA),) if lists else (),
        orders=(orders,) if lists else (),
        position=Read("privateGetAccountPositions", {}, _OKX_DATA),
        fields=_OKX_FIELDS,
        marks=_okx_marks(kind),
        symbol_param="instId",
        mode=Read("privateGetAccountConfig", rows=_OKX_DATA),
        mode_field="posMode",
        one_way_text="net_mode",
    )


def _okx_paid(row: Row) -> Decimal:
    """The change of the balance; of a position with margin of its own, the change of that."""
    change = decimal_of(row.get("balChg"), "balChg")
    return change or decimal_of(row.get("posBalChg") or "0", "posBalChg")


def _okx_left(row: Row) -> bool:
    """A transfer, a conversion, or a trade on the spot market."""
    kind = str(row.get("type"))
    return kind in ("1", "30") or (kind == "2" and str(row.get("instType")) in ("SPOT", "MARGIN"))


OKX = Capability(
    markets_in_parts=True,
    margins=(
        (
            # accounts of several currencies and portfolio margin are one account in USD; others are one per currency
            MarginRead(
                "",
                Read("privateGetAccountBalance", rows=_OKX_DATA),
                equity="adjEq",
                maintenance="mmr",
                available=("availEq",),
                when=lambda row: stated(row, "adjEq") and stated(row, "mmr"),
            ),
            MarginRead(
                "",
                Read("privateGetAccountBalance", rows=("data", 0, "details")),
                equity="eq",
                maintenance="mmr",
                available=("availEq", "availBal"),
                asset="ccy",
                when=lambda row: stated(row, "mmr"),
            ),
        ),
    ),
    transfers=TransferCall(
        "privatePostAssetTransfer",
        ("private",),
        "asset/transfer",
        {"": "18", "funding": "6"},
        lambda asset, amount, source, target: {
            "type": "0",
            "ccy": asset,
            "amt": amount,
            "from": source,
            "to": target,
        },
        (("data", 0, "transId"),),
    ),
    funding_sign=1,
    funding_read=(
        Read("privateGetAccountBillsArchive", {"type": "8"}, _OKX_DATA, Cursor("after", last_row="billId"), 100),
        "begin",
        _okx_paid,
    ),
    rates=RateHistory(end="after"),
    options={
        "fetchMarkets": {"types": ["spot", "swap", "future"]},
        "defaultType": "swap",
        "createOrder": "privatePostTradeOrder",
    },
    wallets={
        "": WalletRead((Read("privateGetAccountBalance", rows=("data", 0, "details")),), "ccy", _okx_total),
        "funding": WalletRead((Read("privateGetAssetBalances", rows=_OKX_DATA),), "ccy", signed_sum(("bal",))),
        "earn": WalletRead((Read("privateGetFinanceSavingsBalance", rows=_OKX_DATA),), "ccy", signed_sum(("amt",))),
    },
    collateral="",
    products=(
        _okx_product(lambda m: is_contract(m) and bool(m.get("swap")), "SWAP", lists=True),
        _okx_product(lambda m: is_contract(m) and bool(m.get("future")), "FUTURES", lists=False),
    ),
    client_id_fields=("clientOrderId", "clOrdId"),
    lookups=Lookups(unified="clOrdId"),
    # by bill and not by time: an order that sweeps the book makes more fills in one millisecond than a page holds
    fill_rows=(
        Read(
            "privateGetTradeFillsHistory",
            {},
            _OKX_DATA,
            Cursor("after", last_row="billId"),
            100,
            otherwise=Read("privateGetTradeFills", {}, _OKX_DATA, Cursor("after", last_row="billId"), 100),
        ),
        "instType",
        frozenset({"SWAP", "FUTURES"}),
    ),
    fill_span=("begin", "end"),
    params_by_product=lambda market: {"instType": "SWAP" if market.get("swap") else "FUTURES"},
    outflows=(
        Outflow(
            Read("privateGetAccountBills", {}, _OKX_DATA, Cursor("after", last_row="billId"), 100),
            "ccy",
            "begin",
            "balChg",
            "ts",
            "type",
            counts=_okx_left,
        ),
        Outflow(
            Read("privateGetAssetBills", {"limit": 100}, _OKX_DATA),
            "ccy",
            None,
            "balChg",
            "ts",
            "type",
            wallets=frozenset({"funding"}),
        ),
    ),
    spot_params={"type": "spot"},
    margin_mode_in_order=True,
    permissions=Read("privateGetAccountConfig", rows=_OKX_DATA),
    can_withdraw=lambda row: "withdraw" in str(row["perm"]).split(",") if stated(row, "perm") else None,
    can_trade=lambda row: "trade" in str(row["perm"]).split(",") if stated(row, "perm") else None,
    demo_headers={"x-simulated-trading": "1"},
    codes=Codes(
        where=(("data", 0, "sCode"), ("code",)),
        # "unavailable" and "busy" (50001, 50013) do not say when: the order may have been taken in before
        ambiguous=frozenset(
            {"1", "2", "50000", "50001", "50004", "50005", "50012", "50013", "50026", "51054", "51149", "51731"}
        ),
        retry_later=frozenset({"50011", "50040", "50061", "51113"}),
        duplicate=frozenset({"51011", "51016"}),
        not_found=frozenset({"51603"}),
        clock=frozenset({"50102", "50112"}),
        credentials=frozenset(
            {
                "50100",
                "50101",
                "50103",
                "50104",
                "50105",
                "50106",
                "50107",
                "50110",
                "50111",
                "50113",
                "50114",
                "50119",
                "50120",
            }
        ),
        rejected=r"50002|5001[4-9]|5002[0-5]|5003\d|501\d\d|51\d{3}|54\d{3}|59\d{3}",
        limits=frozenset({"50011", "50061"}),
    ),
)
