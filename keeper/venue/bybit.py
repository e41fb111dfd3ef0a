"""Bybit: one unified account, read raw where the client's own calls would guess.

The client's unified balance invents a coin for an answer that it does not understand, its positions invent a size for
one that is blank, and its lists end at twenty rows; so the venue's own rows are read, each to the last page.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from keeper.venue.figures import Row, decimal_of, signed_sum, stated
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
    is_inverse,
    is_linear,
)


def _bybit_total(row: Row) -> Decimal:
    """Wallet less what is owed.

    A debt shows as a negative walletBalance, or (spot margin) beside a walletBalance that does not hold it:
    ``equity = walletBalance - spotBorrow + unrealised``. Equity tells which, unless its own value in USD contradicts
    it; without it, the sign does.
    """
    wallet = decimal_of(row.get("walletBalance"), "walletBalance")
    names = [name for name in ("spotBorrow", "borrowAmount") if stated(row, name)]
    owed = decimal_of(row[names[0]], names[0]) if names else Decimal(0)
    if owed == 0:
        return wallet
    if stated(row, "equity") and stated(row, "unrealisedPnl") and not _is_contradicted(row):
        net = decimal_of(row["equity"], "equity") - decimal_of(row["unrealisedPnl"], "unrealisedPnl")
        return min(wallet - owed, wallet, key=lambda total: abs(total - net))
    return wallet - owed if wallet >= 0 else wallet


def _is_contradicted(row: Row) -> bool:
    """Whether the equity leaves out a debt that its value in USD shows."""
    worth = decimal_of(row["usdValue"], "usdValue") if stated(row, "usdValue") else Decimal(0)
    return worth < 0 <= decimal_of(row["equity"], "equity")


_BYBIT_FIELDS = Fields(
    size="size",
    maintenance="positionMM",
    margin_mode="tradeMode",
    margin_modes={"1": "isolated"},
    side="side",
    sides={"Buy": 1, "Sell": -1},
    entry="avgPrice",
    entry_else=("entryPrice",),
    pnl="unrealisedPnl",
    liquidation="liqPrice",
    notional="positionValue",
    notional_inverse="positionValue",
    index="positionIdx",
    hedge_texts=frozenset({"1", "2"}),
    leverage="leverage",
)
_BYBIT_MARK = {
    "mark": "markPrice",
    "bid": "bid1Price",
    "ask": "ask1Price",
    "index": "indexPrice",
    "funding_rate": "fundingRate",
    "at_ms": "@time",
}
_BYBIT_LIST: Path = ("result", "list")


def _bybit_wallet(kind: str) -> WalletRead:
    """The wallet of one kind of account; an answer that names another kind is another wallet."""
    read = Read(
        "privateGetV5AccountWalletBalance", {"accountType": kind}, (*_BYBIT_LIST, ("accountType", kind), "coin")
    )
    return WalletRead((read,), "coin", _bybit_total)


def _about(covers: Callable[[Row], bool], coin: str | None) -> Callable[[Row], bool]:
    return lambda market: covers(market) and coin in (None, market.get("settle"))


def _bybit_product(category: str, covers: Callable[[Row], bool], settles: tuple[str | None, ...]) -> Product:
    """Linear listings have to name the coin of settlement; inverse ones come whole."""
    cursor = Cursor("cursor", ("result", "nextPageCursor"))
    base = {"category": category}
    scopes = [({} if coin is None else {"settleCoin": coin}, _about(covers, coin)) for coin in settles]
    return Product(
        covers=covers,
        positions=tuple(
            Read("privateGetV5PositionList", {**base, **scope}, _BYBIT_LIST, cursor, 200, about=about)
            for scope, about in scopes
        ),
        orders=tuple(
            Read(
                "privateGetV5OrderRealtime",
                {**base, **scope, "openOnly": 0, "orderFilter": "Order"},
                _BYBIT_LIST,
                cursor,
                50,
                about=about,
            )
            for scope, about in scopes
        ),
        position=Read("privateGetV5PositionList", base, _BYBIT_LIST),
        fields=_BYBIT_FIELDS,
        marks=((Read("publicGetV5MarketTickers", base, _BYBIT_LIST), _BYBIT_MARK),),
    )


def _category(market: Row) -> Mapping[str, Any]:
    return {"category": "spot" if market.get("spot") else "linear" if market.get("linear") else "inverse"}


def _bybit_may(row: Row, group: str, right: str) -> bool | None:
    permissions = row.get("permissions")
    rights = permissions.get(group) if isinstance(permissions, Mapping) else None
    return right in rights if isinstance(rights, list) else None


def _bybit_trade(row: Row) -> bool | None:
    """Either group lets a unified account trade contracts; a group that is not there says nothing."""
    if str(row.get("readOnly")).lower() in ("1", "true"):
        return False
    said = {_bybit_may(row, "ContractTrade", "Order"), _bybit_may(row, "Derivatives", "DerivativesTrade")} - {None}
    return any(said) if said else None


def _bybit_left(row: Row) -> bool:
    """A transfer, a withdrawal, a conversion, or a trade on the spot market."""
    kind = str(row.get("type"))
    if any(word in kind for word in ("TRANSFER", "WITHDRAW", "CONVERT", "REPAY")):
        return True
    return kind == "TRADE" and str(row.get("category") or "spot") == "spot"


def _bybit_transfer(asset: str, amount: str, source: str, target: str) -> Mapping[str, Any]:
    """Bybit wants an id of our own for each: a second request under the same one moves nothing."""
    return {
        "transferId": str(uuid.uuid4()),
        "coin": asset,
        "amount": amount,
        "fromAccountType": source,
        "toAccountType": target,
    }


_UNIFIED = Capability(
    markets_in_parts=True,
    margins=(
        (
            MarginRead(
                "",
                Read(
                    "privateGetV5AccountWalletBalance",
                    {"accountType": "UNIFIED"},
                    ("result", "list", ("accountType", "UNIFIED")),
                    single=True,
                ),
                equity="totalMarginBalance",
                maintenance="totalMaintenanceMargin",
                available=("totalAvailableBalance",),
                # blank where every position is isolated: the account as a whole has no margin then
                when=lambda row: stated(row, "totalMarginBalance") and stated(row, "totalMaintenanceMargin"),
            ),
        ),
    ),
    transfers=TransferCall(
        "privatePostV5AssetTransferInterTransfer",
        ("private",),
        "v5/asset/transfer/inter-transfer",
        {"": "UNIFIED", "funding": "FUND"},
        _bybit_transfer,
        (("result", "transferId"),),
        ("result", "status"),
        frozenset({"FAILED"}),
    ),
    candles_a_page=1000,
    rates=RateHistory(200),
    funding_sign=-1,
    funding_window_ms=4 * 86_400_000,  # a page of 100 holds four days of hourly payments, and a span is a week at most
    options={
        "fetchMarkets": {"types": ["spot", "linear", "inverse"]},
        "defaultType": "swap",
        "recvWindow": 5000,
        "enableUnifiedMargin": False,  # said here, so that the client does not ask before its first order
        "enableUnifiedAccount": True,
        "unifiedMarginStatus": 6,
    },
    wallets={
        "": _bybit_wallet("UNIFIED"),
        "funding": WalletRead(
            (
                Read(
                    "privateGetV5AssetTransferQueryAccountCoinsBalance", {"accountType": "FUND"}, ("result", "balance")
                ),
            ),
            "coin",
            signed_sum(("walletBalance",)),
        ),
        "earn": WalletRead(
            (Read("privateGetV5EarnPosition", {"category": "FlexibleSaving"}, _BYBIT_LIST),),
            "coin",
            signed_sum(("amount",)),
            slot=("productId",),
        ),
    },
    collateral="",
    products=(
        _bybit_product("linear", is_linear, ("USDT", "USDC")),
        _bybit_product("inverse", is_inverse, (None,)),
    ),
    inverse_contract_size=Decimal(1),
    min_notional_on_covers=False,
    order_params={"positionIdx": 0},
    order_figures={"amount": "qty", "filled": "cumExecQty"},
    client_id_fields=("clientOrderId", "orderLinkId"),
    lookups=Lookups(
        reads=(
            (Read("privateGetV5OrderRealtime", rows=_BYBIT_LIST), "orderLinkId"),
            (Read("privateGetV5OrderHistory", rows=_BYBIT_LIST), "orderLinkId"),
        )
    ),
    fills_window_ms=7 * 86_400_000 - 1,
    fill_rows=(
        Read(
            "privateGetV5ExecutionList",
            rows=_BYBIT_LIST,
            cursor=Cursor("cursor", ("result", "nextPageCursor")),
            limit=100,
        ),
        "execType",
        frozenset({"Trade", "AdlTrade", "BustTrade", "Delivery", "BlockTrade", "MovePosition"}),
    ),
    outflows=(
        Outflow(
            Read("privateGetV5AccountTransactionLog", {"accountType": "UNIFIED", "limit": 50}, _BYBIT_LIST),
            "currency",
            "startTime",
            "change",
            "transactionTime",
            "type",
            counts=_bybit_left,
        ),
    ),
    spot_params={"type": "spot"},
    permissions=Read("privateGetV5UserQueryApi", rows=("result",), single=True),
    can_withdraw=lambda row: _bybit_may(row, "Wallet", "Withdraw"),
    can_trade=_bybit_trade,
    account_margin_mode=(
        Read("privateGetV5AccountInfo", rows=("result",), single=True),
        "marginMode",
        {"REGULAR_MARGIN": "cross", "ISOLATED_MARGIN": "isolated", "PORTFOLIO_MARGIN": "portfolio"},
    ),
    codes=Codes(
        # the client has no class of their own for these, or calls them a refusal, and the order may be in all the same
        ambiguous=frozenset(
            {
                *("5004", "10000", "10016", "10019", "10429", "110063", "110066", "110071", "110073"),
                *("170001", "170007", "170031", "170032", "170035", "170146", "170147", "170149", "170150"),
                *("170195", "170196", "170227", "170234"),
            }
        ),
        retry_later=frozenset({"10006", "10018", "20003"}),
        duplicate=frozenset({"10014", "110030", "110072", "170141"}),
        not_found=frozenset({"110001", "170213", "20001"}),
        unchanged=frozenset({"110043", "110025", "110026", "110036", "3400045", "30084", "34036"}),
        clock=frozenset({"10002"}),
        credentials=frozenset({"10003", "10004", "10007", "10009", "10010", "33004"}),
        permission=frozenset({"10005", "10020", "10028"}),
        rejected=r"1000[1-57-9]|10010|10017|1002[04789]|100028|33004"
        r"|1100[0-6]\d|110070|11009[2-4]|1701[0-5]\d|17019\d|1702\d\d|17037[12]",
        limits=frozenset({"10006", "10018"}),
        limit_statuses=frozenset({403, 418, 429}),  # 403: "access too frequent", an address that asks too much
    ),
    params_by_product=_category,
)
_APART = _bybit_wallet("CONTRACT")
_FIRST_UNIFIED = replace(
    _UNIFIED, wallets={**_UNIFIED.wallets, "contract": _APART}, collateral="contract", proof=_APART.reads[0]
)
"""The first form of the unified account: coin-margined contracts have a wallet of their own."""
_SPOT = _bybit_wallet("SPOT")
_CLASSIC = replace(
    _UNIFIED,
    wallets={**_UNIFIED.wallets, "": _SPOT, "contract": _APART},
    collateral="contract",
    proof=_SPOT.reads[0],
    margins=(),
    transfers=None,
    outflows=(),
)
"""Split wallets: spot, and one for contracts of every kind."""

BYBIT = replace(
    _UNIFIED,
    account_kinds=(
        Read("privateGetV5AccountInfo", rows=("result",), single=True),
        "unifiedMarginStatus",
        {"1": _CLASSIC, "3": _FIRST_UNIFIED, "4": _FIRST_UNIFIED},
    ),
)
