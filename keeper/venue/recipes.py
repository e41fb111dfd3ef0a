"""The forms in which a venue is described: readings, wallets, products, codes. What each venue fills in is apart.

The defaults are the careful ones: what is not said is not assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from keeper.venue.figures import Row, Total
from keeper.venue.stakes import Reckoned, Stake

Path = tuple[str | int | tuple[str, str], ...]
"""Where something is in an answer: names, places in lists, and (field, text) for the row that says so."""
NOTHING: Mapping[str, Any] = {}


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
    about: Callable[[Row], bool] | None = None
    """Markets that this listing is about; where the venue has none of them, it is not asked."""
    otherwise: Read | None = None
    """Another question to the same effect, where a venue does not answer this one; of prices, one a market."""


@dataclass(frozen=True, slots=True)
class WalletRead:
    """A wallet: a list of rows, the field that names the coin, and what the coin's total is."""

    reads: tuple[Read, ...]
    asset: str
    total: Total
    once: bool = True
    """A coin has one row: a second one is a fault of the answer, and adding it up would count the coins twice."""
    slot: tuple[str, ...] = ()
    """Fields that tell one row of a coin from another, where a coin may have several."""
    parts: tuple[str, ...] = ()
    """The coins of a row, where it is a pair of them."""
    holds: Callable[[str], bool] = lambda _: True
    """The coins that are this wallet's, where one wallet of the venue is told apart by coins into several."""
    open_pnl: tuple[Read, str, str] | None = None
    """Positions (read, field of the market's id, field of the profit) whose open profit the total contains: it is taken
    off, because whoever values a position adds it.
    """


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of a position row. ``size`` is signed where ``side`` is None; else the side's text gives the sign, and one
    that counts 0 leaves the size its own ("" stands for a side that is not there).

    ``notional`` is in quote money where ``notional_in_base`` is false for the contract's kind. ``scaled`` says that
    size is in the order's unit (USD or coins) and one contract is ``contractSize`` of it.
    """

    symbol: str = "symbol"
    size: str = "contracts"
    side: str | None = None
    sides: Mapping[str, int] = field(default_factory=dict)
    entry: str = "entryPrice"
    entry_else: tuple[str, ...] = ()
    """What other questions, or older answers, call the entry price."""
    pnl: str | None = None
    """Coin PnL since the entry, which tells the entry of a coin-margined position where no price does."""
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
    slot: tuple[str, ...] = ()
    """Further fields that tell one position from another of the same contract and side."""
    signed_side: bool = False
    """A short's size may be written negative beside a side that says so as well."""
    leverage: str | None = None
    margin_mode: str | None = None
    margin_modes: Mapping[str, str] = field(default_factory=dict)
    maintenance: str | None = None
    """The maintenance margin of the position."""
    isolated: str | None = None
    """Margin of its own, where no field names the mode: above zero is isolated."""
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
    marks: tuple[tuple[Read, Mapping[str, str]], ...] = ()
    mark_alone: tuple[Read, str] | None = None
    """The price of one contract by itself, where the list of prices fails and positions do not tell it."""
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
    named: Mapping[str, str] = field(default_factory=dict)
    """Where a venue has texts for codes: how each begins, and what we call it. A text that is not here is no code."""
    rejected: str = r"(?!)"
    """Pattern of codes by which an order was refused and does not exist."""
    ambiguous: frozenset[str] = frozenset()
    retry_later: frozenset[str] = frozenset()
    duplicate: frozenset[str] = frozenset()
    would_cross: frozenset[str] = frozenset()
    """A post-only order that would have met the other side of the book, and does not exist."""
    not_found: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    clock: frozenset[str] = frozenset()
    credentials: frozenset[str] = frozenset()
    permission: frozenset[str] = frozenset()
    """The key is good, and may not do this."""
    limits: frozenset[str] = frozenset()
    """Codes of "too many requests"; ``limit_statuses`` are the HTTP statuses that say so, by which nothing was done."""
    limit_statuses: frozenset[int] = frozenset({418, 429})


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
    counts: Callable[[Row], bool] = lambda _: True
    """Whether a row can take a whole holding away: funding, fees and interest cannot."""


@dataclass(frozen=True, slots=True)
class MarginRead:
    """The margin of one account: rows, and the names of their figures. The venue liquidates where maintenance reaches
    equity.
    """

    wallet: str
    read: Read
    equity: str
    maintenance: str | None
    """None: the venue shows it beside positions alone, as ``risk``, or not at all."""
    available: tuple[str, ...] = ()
    """What may be taken out: the first of these that is stated."""
    asset: str | None = None
    """The field that names the asset; None: the row is the whole account, in USD."""
    risk: str | None = None
    """Maintenance over equity of the account, shown beside its positions: the highest counts."""
    covers: Callable[[Row], bool] = lambda _: True
    """Markets whose positions this account margins."""
    when: Callable[[Row], bool] = lambda _: True
    """Whether a row is an account's margin at all."""
    reckon: Callable[[Row, Sequence[Stake]], Reckoned] | None = None
    """Works out what is not stated, from the account's row and the positions on it."""
    wallet_of: Callable[[str], str] | None = None
    """The wallet by the asset of a row, where one list has the rows of several."""
    held_only: bool = False
    """Asked only while a position is held that it margins: an account that was never used may not be there."""


@dataclass(frozen=True, slots=True)
class TransferCall:
    """How coins are moved between the user's own wallets: one request, and what the wallets are called there."""

    method: str
    sections: tuple[str, ...]
    path: str
    names: Mapping[str, str]
    request: Callable[[str, str, str, str], Mapping[str, Any]]
    """The parameters for asset, amount, source and target."""
    ident: tuple[Path, ...]
    """Where the venue's own id of the transfer may be."""
    status: Path = ()
    failed: frozenset[str] = frozenset()
    """Texts of ``status`` that say that nothing was moved."""


@dataclass(frozen=True, slots=True)
class RateHistory:
    """How settled funding rates are read: through the client's unified call, or raw where ``read`` is given.

    ``end`` is the parameter of a span's end (ms); a unified call without one is asked from its start alone.
    A raw reading without ``start`` is read whole.
    """

    rows_a_page: int = 100
    read: Read | None = None
    start: str | None = None
    end: str = "until"
    at: str = "timestamp"
    rate: str = "fundingRate"
    never: Callable[[Row], bool] = lambda _: False
    """Contracts whose past rates the venue does not show."""


@dataclass(frozen=True, slots=True)
class Capability:
    """Everything that keeper has to know of one venue. The defaults are the careful ones."""

    options: Mapping[str, Any] = field(default_factory=dict)
    skip_currencies: bool = True
    markets_in_parts: bool = False
    """The client loads its markets from several lists, and takes one without rows for a kind that is not offered."""
    no_rows: Any = field(default_factory=lambda: {"symbols": [], "data": [], "result": []})
    """What such a list looks like."""
    wallets: Mapping[str, WalletRead] = field(default_factory=dict)
    unified_wallets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Wallets read through the client's unified balance, and its parameters."""
    collateral: str | None = None
    """The wallet that margins coin-margined contracts; None: not known, so such contracts are refused."""
    products: tuple[Product, ...] = ()
    prices: Product | None = None
    """How prices, and positions for their margin, are read where positions else are read through the client."""
    position_params: tuple[Mapping[str, Any], ...] = (NOTHING,)
    """Without ``products``: the parameters of each unified read of positions."""
    working_params: tuple[Mapping[str, Any], ...] = ({"type": "swap"},)
    """The same for working orders."""
    amount_is_size: bool = False
    """The client's ``amount`` and ``contracts`` are in USD or coins, and a contract is ``contractSize`` of them."""
    inverse_size_told_as: str | None = None
    """What the venue calls the size of a coin-margined contract, where the client makes one up for a blank."""
    inverse_contract_size: Decimal | None = None
    inverse_worth_unknown: bool = False
    """What a coin-margined position is worth is not known: its size is in coins, or in what nobody says. Such contracts
    have no price here, so that a position in one is seen, and makes a sum that counts it unknown.
    """
    min_notional_on_covers: bool = True
    order_params: Mapping[str, Any] = field(default_factory=dict)
    order_figures: Mapping[str, str] = field(default_factory=dict)
    """The raw fields of the client's ``amount`` and ``filled``, where the client reckons them from others if blank."""
    order_sides: Mapping[str, str] = field(default_factory=dict)
    """The raw sides of orders, where the client takes one for the other."""
    order_states: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Raw states of orders, by the name of their field, that the client does not know or takes for another."""
    asked_aside: tuple[str, ...] = ()
    """Ends of paths that the client asks about the account while it loads the markets, and does without."""
    position_from_list: bool = False
    """One position is looked up in the list of all: the client's own call shows one side of it only."""
    flat_is_told: bool = False
    """That call is asked where the list shows no row: it shows an explicit zero."""
    flat_has_no_row: bool = False
    """No question has an explicit zero for an answer: a contract that is flat has no row anywhere. Missing rows are
    believed after a while, where one answer alone is not.
    """
    whole_list: Path = ()
    """Where the client's list of positions is the whole account: the place of that list in the venue's answer. A
    contract without a row in it is flat; the venue has no other way to say so.
    """
    in_whole_list: Callable[[Row], bool] = lambda _: True
    """Whether that list is about a market."""
    unasked: frozenset[str] = frozenset()
    """Methods by which the client would send something of its own before it does what it was asked: left out."""
    ioc_type: str | int = "limit"
    """The client's order type of a limit order that does not rest, where the time in force alone does not say so."""
    no_orders: str = ""
    """Why an order whose answer was lost could never be found again, where that cannot be seen from the client."""
    whole_amounts: bool = False
    """The client compares the amount of an order with a number, and trips over a text; it is a whole one everywhere."""
    client_id_param: str = "clientOrderId"
    client_id_fields: tuple[str, ...] = ("clientOrderId",)
    client_id_template: str = "kp{}"
    client_id_bare: bool = False
    """The client takes our id alone, and adds to it by itself what the venue wants around it."""
    lookups: Lookups = field(default_factory=Lookups)
    fills_window_ms: int = 10 * 365 * 86_400_000
    fills_limit: int = 100
    fills_end: str = ""
    """The parameter of a span's end, where the venue wants one with every reading of fills."""
    fills_asked: tuple[Mapping[str, Any], ...] = (NOTHING,)
    """The further parameters of each reading of fills: a venue may show what is old apart from what is recent."""
    fill_orders: tuple[tuple[Read, str, str], ...] = ()
    """Where executions have no ids, or cannot be listed: closed orders (read, parameters of the span's start and end),
    each of which is one execution of all that it filled.
    """
    fill_rows: tuple[Read, str, frozenset[str]] | None = None
    """Raw executions: the read, the field that names the kind, the kinds that change a position."""
    fill_span: tuple[str, str] = ("startTime", "endTime")
    """The parameters of a raw reading's span, in milliseconds."""
    funding_sign: int = 0
    """+1 where the client's funding history is what was received, -1 where it is what was paid; 0 where that is not
    known, and nothing is booked then."""
    funding_read: tuple[Read, str, Callable[[Row], Decimal]] | None = None
    """Payments raw: the read, the parameter of its start, what a row (with ``billId`` and ``ts``) paid."""
    funding_window_ms: int | None = None
    """How far one reading of funding goes, where the venue answers for a span and shows its newest rows alone."""
    outflows: tuple[Outflow, ...] = ()
    book_depths: tuple[int, ...] = ()
    """The depths of a book that may be asked for, ascending; empty: any."""
    candles_a_page: int = 100
    """Candles that the venue gives at once, spot and contracts alike: the smaller number."""
    candle_until: str = "until"
    """The parameter of the last millisecond of a page of candles; blank where the client reckons it by itself."""
    candle_params: Callable[[Row], Mapping[str, Any] | None] = lambda _: NOTHING
    """Further parameters for a market's candles; None where the venue gives its newest ones alone."""
    rates: RateHistory = field(default_factory=RateHistory)
    margins: tuple[tuple[MarginRead, ...], ...] = ()
    """One group an account: the first reading of a group that has rows tells its margin."""
    transfers: TransferCall | None = None
    price_band: Callable[[Row], tuple[Decimal, Decimal] | None] = lambda _: None
    """The lowest and the highest price of an order as shares of the mark, by a market's row."""
    post_only: bool = True
    """Whether an order can be told to rest or go away."""
    spot_params: Mapping[str, Any] = field(default_factory=dict)
    permissions: Read | None = None
    can_withdraw: Callable[[Row], bool | None] = lambda _: None
    can_trade: Callable[[Row], bool | None] = lambda _: None
    always_one_way: bool = False
    two_sided: Callable[[Row], bool] = lambda _: False
    """Whether one of the client's positions shows an account in hedge mode."""
    pace: Mapping[str, float] = field(default_factory=dict)
    """Cost per second of the sections that the venue counts apart, by the beginning of their name."""
    credit_seconds: float = 4.0
    """How much idle time counts as credit: a good part of the venue's own window."""
    margin_mode_with_orders: bool = False
    """Cross or isolated is a setting of the contract, and is told with each order as well."""
    margin_mode_in_order: bool = False
    """Cross or isolated is said with each order and is no setting."""
    mode_with_leverage: bool = False
    """Cross or isolated and the leverage are one setting: who writes one of them writes the other."""
    account_kinds: tuple[Read, str, Mapping[str, Capability]] | None = None
    """How the venue says what kind of account this is (read, field), and the kinds that are described apart."""
    proof: Read | None = None
    """A question that only this kind of account is answered: without an answer it is of the usual kind."""
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


def is_linear(market: Row) -> bool:
    """Whether a market is a future or perpetual margined in quote money."""
    return bool(market.get("linear")) and not market.get("option")


def is_inverse(market: Row) -> bool:
    """Whether a market is a future or perpetual margined in its own coin."""
    return bool(market.get("inverse")) and not market.get("option")


def is_contract(market: Row) -> bool:
    """Whether a market is a future or perpetual of any kind."""
    return bool(market.get("contract")) and not market.get("option")
