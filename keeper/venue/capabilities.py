"""What differs from venue to venue: the one table, and the only place outside the simulator that knows a venue's name.

Everything here was read in the client's source or in the venue's own answers. A venue that is not in the table gets
:data:`GENERIC`: unified calls only, no coin-margined contracts, nothing assumed that could not be asked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from keeper.venue.base import BadReadingError

Row = Mapping[str, Any]
Path = tuple[str | int, ...]
NOTHING: Mapping[str, Any] = {}


def near(wrong: str, names: Iterable[str]) -> str:
    """A clause that names what may have been meant, or nothing."""
    close = difflib.get_close_matches(wrong, list(names), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else ""


def decimal_of(value: Any, name: str) -> Decimal:
    """A finite number from the venue's own text; raises :class:`BadReadingError` naming the field."""
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadReadingError(f"{name} is {value!r}, not a number")
    text = repr(value) if isinstance(value, float) else str(value).strip()
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text):
        raise BadReadingError(f"{name} is {value!r}, not a number")
    number = Decimal(text)
    if abs(number) > Decimal("1e20"):
        raise BadReadingError(f"{name} is {value!r}, which is absurd")
    return number


def stated(row: Row, name: str) -> bool:
    """Whether a field is there and not blank; venues write "" for "does not apply"."""
    return row.get(name) not in (None, "")


def signed_sum(plus: tuple[str, ...], minus: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Total:
    """A wallet's total: all of ``plus`` must be there; ``minus`` and ``optional`` (added) may be blank."""

    def total(row: Row) -> Decimal:
        value = sum((decimal_of(row.get(name), name) for name in plus), Decimal(0))
        value += sum((decimal_of(row[name], name) for name in optional if stated(row, name)), Decimal(0))
        return value - sum((decimal_of(row[name], name) for name in minus if stated(row, name)), Decimal(0))

    return total


Total = Callable[[Row], Decimal]


def _bybit_total(row: Row) -> Decimal:
    """Wallet less what is owed: ``equity = walletBalance - spotBorrow + unrealised``; a debt of the derivatives side
    shows as a negative walletBalance already.
    """
    wallet = decimal_of(row.get("walletBalance"), "walletBalance")
    if stated(row, "spotBorrow"):
        return wallet - decimal_of(row["spotBorrow"], "spotBorrow")
    if wallet >= 0 and stated(row, "borrowAmount"):
        return wallet - decimal_of(row["borrowAmount"], "borrowAmount")
    return wallet


def _okx_total(row: Row) -> Decimal:
    """Equity less unrealised PnL, which is the cash net of debt with isolated margin included; ``upl`` is blank where
    derivatives do not exist, and the cash is then all there is.
    """
    if stated(row, "eq") and stated(row, "upl"):
        return decimal_of(row["eq"], "eq") - decimal_of(row["upl"], "upl")
    cash = decimal_of(row.get("cashBal"), "cashBal")
    owed = decimal_of(row["liab"], "liab") if stated(row, "liab") and cash >= 0 else Decimal(0)
    return cash - abs(owed)


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


@dataclass(frozen=True, slots=True)
class Cursor:
    """How a list goes on: the parameter to send back, and where its value is (in the answer, or in the last row)."""

    param: str
    path: Path = ()
    last_row: str | None = None
    first: int | None = None
    """Where pages are numbered: the number of the first one."""


@dataclass(frozen=True, slots=True)
class Read:
    """One request: an implicit method of the client, its parameters, where the rows are, how the list goes on."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    rows: Path = ()
    cursor: Cursor | None = None
    limit: int | None = None
    limit_param: str = "limit"
    single: bool = False
    """The answer is one row, not a list."""
    blank_is_empty: bool = False
    """The venue writes null for an empty list here."""


@dataclass(frozen=True, slots=True)
class WalletRead:
    """A wallet: a list of rows, the field that names the coin, and what the coin's total is."""

    reads: tuple[Read, ...]
    asset: str
    total: Total


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of a position row. ``size`` is signed where ``side`` is None; else the side's text gives the sign.

    ``notional`` is in quote money where ``notional_in_base`` is false for the contract's kind. ``scaled`` says that
    size is in the order's unit (USD or coins) and one contract is ``contractSize`` of it.
    """

    symbol: str = "symbol"
    size: str = "contracts"
    side: str | None = None
    sides: Mapping[str, int] = field(default_factory=dict)
    entry: str = "entryPrice"
    mark: str = "markPrice"
    liquidation: str = "liquidationPrice"
    notional: str | None = None
    notional_inverse: str | None = None
    notional_inverse_in_base: bool = True
    open_pnl: str | None = None
    """Coin PnL that the wallet does not hold yet, where the entry price does not tell it (daily settlement)."""
    index: str | None = None
    hedge_texts: frozenset[str] = frozenset()
    """Texts of ``index`` that only an account in hedge mode shows."""
    leverage: str | None = None
    margin_mode: str | None = None
    margin_modes: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None
    kinds: frozenset[str] = frozenset()
    """Texts of ``kind`` that are futures; other rows (margin, options) are somebody else's affair."""


@dataclass(frozen=True, slots=True)
class Product:
    """One book of contracts: its positions, its working orders, one position by symbol, its prices, its mode."""

    covers: Callable[[Row], bool]
    """Whether a market (the client's own dict) belongs to this product."""
    positions: tuple[Read, ...]
    orders: tuple[Read, ...]
    position: Read
    fields: Fields
    position_fields: Fields | None = None
    marks: tuple[tuple[Read, Mapping[str, str]], ...] = ()
    marks_by_symbol: str | None = None
    """The parameter that takes the market's id where prices are read one by one."""
    symbol_param: str = "symbol"
    mode: Read | None = None
    mode_field: str = ""
    one_way_text: str = ""


@dataclass(frozen=True, slots=True)
class Codes:
    """Venue codes whose meaning the client's exception classes do not carry, or carry wrongly."""

    where: tuple[Path, ...] = (("code",), ("retCode",), ("ret_code",), ("error", "code"), ("label",), ("err_code",))
    fine: frozenset[str] = frozenset({"0", "00000", "200000", "200", ""})
    rejected: str = r"(?!)"
    """Pattern of codes by which an order was refused and does not exist."""
    ambiguous: frozenset[str] = frozenset()
    retry_later: frozenset[str] = frozenset()
    duplicate: frozenset[str] = frozenset()
    not_found: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    clock: frozenset[str] = frozenset()
    credentials: frozenset[str] = frozenset()
    limits: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lookups:
    """How an order is found by client id: raw reads in turn, or the client's unified call."""

    reads: tuple[tuple[Read, str], ...] = ()
    """(read, parameter of the client id); the market's id goes in under ``symbol_param``."""
    unified: str | None = None
    """The parameter of ``fetch_order`` that takes the client id; None: go through open and closed orders."""


@dataclass(frozen=True, slots=True)
class Outflow:
    """A ledger: rows with a signed change of one asset."""

    read: Read
    asset_param: str | None
    since_param: str | None
    change: str
    at: str
    kind: str
    wallets: frozenset[str] = frozenset({""})
    sign: int = 0
    """-1: every row is an outflow, whatever its sign."""
    until_param: str | None = None
    asset_field: str | None = None


@dataclass(frozen=True, slots=True)
class Capability:
    """Everything that keeper has to know of one venue. The defaults are the careful ones."""

    options: Mapping[str, Any] = field(default_factory=dict)
    skip_currencies: bool = True
    wallets: Mapping[str, WalletRead] = field(default_factory=dict)
    unified_wallets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Wallets read through the client's unified balance, and its parameters."""
    collateral: str | None = None
    """The wallet that margins coin-margined contracts; None: not known, so such contracts are refused."""
    products: tuple[Product, ...] = ()
    book_params: tuple[Mapping[str, Any], ...] = (NOTHING,)
    """Without ``products``: the parameters of each unified read of positions and orders."""
    amount_is_size: bool = False
    """The client's ``amount`` and ``contracts`` are in USD or coins, and a contract is ``contractSize`` of them."""
    inverse_contract_size: Decimal | None = None
    min_notional_on_covers: bool = True
    order_params: Mapping[str, Any] = field(default_factory=dict)
    client_id_param: str = "clientOrderId"
    client_id_fields: tuple[str, ...] = ("clientOrderId",)
    client_id_template: str = "kp{}"
    lookups: Lookups = field(default_factory=Lookups)
    fills_window_ms: int | None = None
    fills_limit: int = 100
    fill_rows: tuple[Read, str, frozenset[str]] | None = None
    """Raw executions: the read, the field that names the kind, the kinds that change a position."""
    outflows: tuple[Outflow, ...] = ()
    spot_params: Mapping[str, Any] = field(default_factory=dict)
    permissions: Read | None = None
    can_withdraw: Callable[[Row], bool | None] = lambda _: None
    can_trade: Callable[[Row], bool | None] = lambda _: None
    always_one_way: bool = False
    margin_mode_in_order: bool = False
    """Cross or isolated is said with each order and is no setting."""
    account_margin_mode: tuple[Read, str, Mapping[str, str]] | None = None
    harmless: frozenset[str] = frozenset()
    """Non-GET endpoints that change nothing."""
    get_changes: str = r"(?!)"
    """Pattern of GET endpoints that do change something."""
    demo: str = "sandbox"
    """"sandbox", "demo_trading" or "none"."""
    demo_headers: Mapping[str, str] = field(default_factory=dict)
    demo_path: str | None = None
    codes: Codes = field(default_factory=Codes)
    params_by_product: Callable[[Row], Mapping[str, Any]] = lambda _: NOTHING
    """Extra parameters that a market's raw reads need (a category, a currency)."""

    def is_harmless(self, method: str, path: str, sections: list[str]) -> bool:
        """Whether a request only reads."""
        if method == "GET":
            return re.search(self.get_changes, "/".join([*sections, path])) is None
        return path in self.harmless or re.fullmatch(GENERIC_READS, path) is not None

    def product_of(self, market: Row) -> Product | None:
        """The product that a market belongs to."""
        return next((product for product in self.products if product.covers(market)), None)

    def encode(self, client_id: str) -> str:
        """A canonical client id in the venue's grammar."""
        return self.client_id_template.format(client_id)

    def decode(self, text: str | None) -> str | None:
        """The canonical client id, or the text itself when it is not one of ours."""
        if not text:
            return None
        before, after = self.client_id_template.split("{}")
        found = re.fullmatch(f"{re.escape(before)}([0-9a-f]{{28}}){re.escape(after)}", text)
        return found.group(1) if found else text


GENERIC_READS = (
    r"info|auth/r/.*|listenKey|userDataStream|user/auth/userDataStream|bullet-(private|public)|account/listenKey"
    r"|Balance|BalanceEx|TradeBalance|OpenOrders|ClosedOrders|QueryOrders|TradesHistory|QueryTrades|OpenPositions|Ledgers"
    r"|GetWebSocketsToken|([a-z0-9-]+/)*v\d/swap_(cross_)?(account|position)_info"
    r"|([a-z0-9-]+/)*v\d/swap_(cross_)?(openorders|order_info|matchresults|hisorders)"
)
"""Non-GET endpoints of any venue that are known to be reads or to open a stream."""


def _linear(market: Row) -> bool:
    return bool(market.get("linear")) and not market.get("option")


def _inverse(market: Row) -> bool:
    return bool(market.get("inverse")) and not market.get("option")


def _contract(market: Row) -> bool:
    return bool(market.get("contract")) and not market.get("option")


_BINANCE_FIELDS = Fields(
    size="positionAmt",
    notional="notional",
    notional_inverse="notionalValue",
    index="positionSide",
    hedge_texts=frozenset({"LONG", "SHORT"}),
    leverage="leverage",
    margin_mode="marginType",
    margin_modes={"cross": "cross", "cross margin": "cross", "isolated": "isolated"},
)
_BINANCE_MARK = {"mark": "markPrice", "index": "indexPrice", "funding_rate": "lastFundingRate", "at_ms": "time"}
_BINANCE_BOOK = {"bid": "bidPrice", "ask": "askPrice"}


def _binance_product(covers: Callable[[Row], bool], prefix: str, position: str, listing: str) -> Product:
    return Product(
        covers=covers,
        positions=(Read(listing),),
        orders=(Read(f"{prefix}PrivateGetOpenOrders"),),
        position=Read(position),
        fields=_BINANCE_FIELDS,
        marks=(
            (Read(f"{prefix}PublicGetPremiumIndex"), _BINANCE_MARK),
            (Read(f"{prefix}PublicGetTickerBookTicker"), _BINANCE_BOOK),
        ),
        mode=Read(f"{prefix}PrivateGetPositionSideDual", single=True),
        mode_field="dualSidePosition",
        one_way_text="false",
    )


BINANCE = Capability(
    options={
        "fetchMarkets": {"types": ["spot", "linear", "inverse"]},
        "fetchMargins": False,
        "warnOnFetchOpenOrdersWithoutSymbol": False,
        "defaultType": "spot",
        "recvWindow": 5000,
    },
    wallets={
        "": WalletRead((Read("privateGetAccount", rows=("balances",)),), "asset", signed_sum(("free", "locked"))),
        "funding": WalletRead(
            (Read("sapiPostAssetGetFundingAsset"),), "asset", signed_sum(("free", "locked"), optional=("freeze",))
        ),
        "earn": WalletRead(
            (
                Read(
                    "sapiGetSimpleEarnFlexiblePosition",
                    rows=("rows",),
                    cursor=Cursor("current", first=1),
                    limit=100,
                    limit_param="size",
                ),
                Read(
                    "sapiGetSimpleEarnLockedPosition",
                    rows=("rows",),
                    cursor=Cursor("current", first=1),
                    limit=100,
                    limit_param="size",
                ),
            ),
            "asset",
            lambda row: decimal_of(row.get("totalAmount", row.get("amount")), "totalAmount"),
        ),
        "margin": WalletRead(
            (Read("sapiGetMarginAccount", rows=("userAssets",)),),
            "asset",
            signed_sum(("free", "locked"), minus=("borrowed", "interest")),
        ),
        "linear": WalletRead(
            (Read("fapiPrivateV3GetAccount", rows=("assets",)),), "asset", signed_sum(("walletBalance",))
        ),
        "inverse": WalletRead(
            (Read("dapiPrivateGetAccount", rows=("assets",)),), "asset", signed_sum(("walletBalance",))
        ),
    },
    collateral="inverse",
    products=(
        _binance_product(_linear, "fapi", "fapiPrivateV2GetPositionRisk", "fapiPrivateV3GetPositionRisk"),
        _binance_product(_inverse, "dapi", "dapiPrivateGetPositionRisk", "dapiPrivateGetPositionRisk"),
    ),
    min_notional_on_covers=False,
    lookups=Lookups(unified="origClientOrderId"),
    fills_window_ms=7 * 86_400_000 - 1,
    fills_limit=1000,
    outflows=(
        Outflow(
            Read("sapiGetCapitalWithdrawHistory"), "coin", "startTime", "amount", "applyTime", "withdrawal", sign=-1
        ),
        Outflow(
            Read("dapiPrivateGetIncome", {"incomeType": "TRANSFER"}),
            None,
            "startTime",
            "income",
            "time",
            "transfer",
            wallets=frozenset({"inverse"}),
            asset_field="asset",
        ),
    ),
    permissions=Read("sapiGetAccountApiRestrictions", single=True),
    can_withdraw=lambda row: _flag(row, "enableWithdrawals"),
    can_trade=lambda row: _flag(row, "enableFutures"),
    harmless=frozenset(
        {"asset/get-funding-asset", "asset/getUserAsset", "userDataStream", "listenKey", "userListenToken"}
    ),
    demo="demo_trading",
    codes=Codes(
        ambiguous=frozenset({"-1000", "-1001", "-1006", "-1007", "-1016", "-1034"}),
        retry_later=frozenset({"-1003", "-1008", "-1015"}),
        duplicate=frozenset({"-4111", "-4116"}),
        not_found=frozenset({"-2013"}),
        unchanged=frozenset({"-4046", "-4059"}),
        clock=frozenset({"-1021"}),
        credentials=frozenset({"-1002", "-1022", "-2008", "-2014", "-2015"}),
        rejected=r"-(11\d\d|1010|1013|1014|1020|1021|1022|2010|2014|2015|2018|2019|202\d|40\d\d|41\d\d|42\d\d|44\d\d|50\d\d)",
        limits=frozenset({"-1003"}),
    ),
)


def _flag(row: Row, name: str) -> bool | None:
    value = row.get(name)
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())


_BYBIT_FIELDS = Fields(
    size="size",
    side="side",
    sides={"Buy": 1, "Sell": -1},
    entry="avgPrice",
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


def _bybit_product(category: str, covers: Callable[[Row], bool], scopes: tuple[Mapping[str, str], ...]) -> Product:
    cursor = Cursor("cursor", ("result", "nextPageCursor"))
    base = {"category": category}
    return Product(
        covers=covers,
        positions=tuple(
            Read("privateGetV5PositionList", {**base, **scope}, _BYBIT_LIST, cursor, 200) for scope in scopes
        ),
        orders=tuple(
            Read(
                "privateGetV5OrderRealtime",
                {**base, **scope, "openOnly": 0, "orderFilter": "Order"},
                _BYBIT_LIST,
                cursor,
                50,
            )
            for scope in scopes
        ),
        position=Read("privateGetV5PositionList", base, _BYBIT_LIST),
        fields=_BYBIT_FIELDS,
        marks=((Read("publicGetV5MarketTickers", base, _BYBIT_LIST), _BYBIT_MARK),),
    )


def _category(market: Row) -> Mapping[str, Any]:
    return {"category": "spot" if market.get("spot") else "linear" if market.get("linear") else "inverse"}


def _bybit_withdraw(row: Row) -> bool | None:
    permissions = row.get("permissions")
    if not isinstance(permissions, Mapping):
        return None
    return "Withdraw" in (permissions.get("Wallet") or ())


def _bybit_trade(row: Row) -> bool | None:
    permissions = row.get("permissions")
    if not isinstance(permissions, Mapping):
        return None
    return str(row.get("readOnly", "0")) == "0" and "Order" in (permissions.get("ContractTrade") or ())


BYBIT = Capability(
    options={"fetchMarkets": {"types": ["spot", "linear", "inverse"]}, "defaultType": "swap", "recvWindow": 5000},
    wallets={
        "": WalletRead(
            (Read("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"}, ("result", "list", 0, "coin")),),
            "coin",
            _bybit_total,
        ),
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
        ),
    },
    collateral="",
    products=(
        _bybit_product("linear", _linear, ({"settleCoin": "USDT"}, {"settleCoin": "USDC"})),
        _bybit_product("inverse", _inverse, (NOTHING,)),
    ),
    inverse_contract_size=Decimal(1),
    order_params={"positionIdx": 0},
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
        ),
    ),
    spot_params={"type": "spot"},
    permissions=Read("privateGetV5UserQueryApi", rows=("result",), single=True),
    can_withdraw=_bybit_withdraw,
    can_trade=_bybit_trade,
    account_margin_mode=(
        Read("privateGetV5AccountInfo", rows=("result",), single=True),
        "marginMode",
        {"REGULAR_MARGIN": "cross", "ISOLATED_MARGIN": "isolated", "PORTFOLIO_MARGIN": "portfolio"},
    ),
    codes=Codes(
        ambiguous=frozenset({"10000", "10016", "10019", "10429", "170007", "170032"}),
        retry_later=frozenset({"10006", "10018", "20003"}),
        duplicate=frozenset({"110072", "170141"}),
        not_found=frozenset({"110001", "170213", "20001"}),
        unchanged=frozenset({"110043", "110025", "110026", "110036", "3400045", "30084", "34036"}),
        clock=frozenset({"10002"}),
        credentials=frozenset({"10003", "10004", "10005", "10007", "10009", "10010", "33004"}),
        rejected=r"10001|10002|10003|10004|10005|10007|10008|10009|10010|10014|10017|10024|10027|10028|10029"
        r"|110\d{3}|170\d{3}|34\d{5}|181\d{3}|182\d{3}|33004",
        limits=frozenset({"10006", "10018"}),
    ),
    params_by_product=_category,
)

_OKX_DATA: Path = ("data",)
_OKX_FIELDS = Fields(
    symbol="instId",
    size="pos",
    side="posSide",
    sides={"long": 1, "short": -1, "net": 0},
    entry="avgPx",
    mark="markPx",
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
    return (
        (Read("publicGetPublicMarkPrice", {"instType": kind}, _OKX_DATA), {"mark": "markPx", "at_ms": "ts"}),
        (Read("publicGetMarketTickers", {"instType": kind}, _OKX_DATA), {"bid": "bidPx", "ask": "askPx"}),
    )


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
        mode=Read("privateGetAccountConfig", rows=("data", 0), single=True),
        mode_field="posMode",
        one_way_text="net_mode",
    )


OKX = Capability(
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
        _okx_product(lambda m: _contract(m) and bool(m.get("swap")), "SWAP", lists=True),
        _okx_product(lambda m: _contract(m) and bool(m.get("future")), "FUTURES", lists=False),
    ),
    client_id_fields=("clientOrderId", "clOrdId"),
    lookups=Lookups(unified="clOrdId"),
    outflows=(
        Outflow(Read("privateGetAccountBills", {"limit": 100}, _OKX_DATA), "ccy", "begin", "balChg", "ts", "type"),
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
    permissions=Read("privateGetAccountConfig", rows=("data", 0), single=True),
    can_withdraw=lambda row: "withdraw" in str(row["perm"]).split(",") if stated(row, "perm") else None,
    can_trade=lambda row: "trade" in str(row["perm"]).split(",") if stated(row, "perm") else None,
    demo_headers={"x-simulated-trading": "1"},
    codes=Codes(
        where=(("data", 0, "sCode"), ("code",)),
        ambiguous=frozenset({"1", "2", "50000", "50004", "50005", "50012", "50026", "51149", "51731"}),
        retry_later=frozenset({"50001", "50011", "50013", "50040", "50061", "51113"}),
        duplicate=frozenset({"51016"}),
        not_found=frozenset({"51603"}),
        unchanged=frozenset({"59107"}),
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
            covers=_contract,
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

GENERIC = Capability(unified_wallets={"": {"type": "spot"}})

_OTHERS: Mapping[str, Capability] = {
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

TABLE: Mapping[str, Capability] = {
    "binance": BINANCE,
    "bybit": BYBIT,
    "okx": OKX,
    "myokx": OKX,
    "okxus": OKX,
    "deribit": DERIBIT,
    **_OTHERS,
}


def capability_of(exchange_id: str) -> Capability:
    """What is known of a venue; :data:`GENERIC` when it is not in the table."""
    return TABLE.get(exchange_id, GENERIC)
