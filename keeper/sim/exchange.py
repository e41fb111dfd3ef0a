"""The simulated exchange's face: accounts, orders, prices, funding and what can be asked about them.

It speaks no wire protocol: callers pass and receive the frozen types of :mod:`keeper.sim.types`, refusals are
:class:`keeper.sim.errors.SimError`. All state changes happen inside a call; time is the injected clock's, and things
that fall due by time (funding, book refill, expiry) happen when :meth:`Exchange.advance` is called, which the host
does regularly and which :meth:`Exchange.place_order` does by itself. Same seed and same calls give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from keeper.clock import Clock
from keeper.sim.events import Subscriber
from keeper.sim.seams import Interceptor
from keeper.sim.types import (
    ExchangeOptions,
    Fill,
    Filters,
    FundingRecord,
    FuturesAccount,
    Income,
    IncomeKind,
    Kline,
    MarginMode,
    Market,
    MarketKey,
    MarketKind,
    MarketStatus,
    Movement,
    MovementKind,
    OpenInterest,
    Order,
    OrderBook,
    OrderRequest,
    OrderResult,
    Permissions,
    Position,
    PositionSide,
    Premium,
    PublicTrade,
    SpotBalance,
    SymbolSettings,
    Ticker,
    Truth,
    WalletKind,
)


class Exchange:
    """A whole exchange in memory. Every method that names an account raises UNKNOWN_ACCOUNT for a key it lacks."""

    def __init__(
        self,
        clock: Clock,
        seed: int = 0,
        markets: Sequence[Market] | None = None,
        options: ExchangeOptions | None = None,
    ) -> None:
        raise NotImplementedError

    # --- events and seams -----------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` synchronously with every event from now on; returns the way to stop it."""
        raise NotImplementedError

    def intercept(self, interceptor: Interceptor | None) -> None:
        """Put an interceptor at the choke points; None restores faithful answers."""
        raise NotImplementedError

    # --- accounts and money -----------------------------------------------------------------------------------------

    def add_account(self, api_key: str, secret: str, permissions: Permissions | None = None) -> None:
        """Open an account with empty wallets."""
        raise NotImplementedError

    def account_keys(self) -> tuple[str, ...]:
        """All API keys, in the order in which they were added."""
        raise NotImplementedError

    def secret(self, api_key: str) -> str:
        """The key's secret, for checking signatures."""
        raise NotImplementedError

    def user_id(self, api_key: str) -> int:
        """The account's number."""
        raise NotImplementedError

    def permissions(self, api_key: str) -> Permissions:
        """What the key may do."""
        raise NotImplementedError

    def set_permissions(self, api_key: str, permissions: Permissions) -> None:
        """Change what the key may do."""
        raise NotImplementedError

    def deposit(self, api_key: str, asset: str, amount: Decimal, wallet: WalletKind = WalletKind.SPOT) -> Movement:
        """Book money from outside into a wallet, amount > 0 in asset units."""
        raise NotImplementedError

    def withdraw(self, api_key: str, asset: str, amount: Decimal, wallet: WalletKind = WalletKind.SPOT) -> Movement:
        """Take money out, as the account's owner does by hand: the key's permission is not asked.

        Raises INSUFFICIENT_BALANCE.
        """
        raise NotImplementedError

    def transfer(self, api_key: str, asset: str, amount: Decimal, source: WalletKind, target: WalletKind) -> Movement:
        """Move money between the account's wallets. Raises INSUFFICIENT_BALANCE, BAD_PARAMETER."""
        raise NotImplementedError

    def movements(self, api_key: str, kind: MovementKind | None = None) -> tuple[Movement, ...]:
        """Deposits, withdrawals and transfers, oldest first."""
        raise NotImplementedError

    # --- markets ----------------------------------------------------------------------------------------------------

    def markets(self, kind: MarketKind | None = None) -> tuple[Market, ...]:
        """All markets, whatever their status, in the order in which they were added."""
        raise NotImplementedError

    def market(self, key: MarketKey) -> Market:
        """One market. Raises UNKNOWN_SYMBOL."""
        raise NotImplementedError

    def add_market(self, market: Market) -> None:
        """List a market, dated ones too; its base needs a price (``set_price``) before it can be traded."""
        raise NotImplementedError

    def set_status(self, key: MarketKey, status: MarketStatus) -> None:
        """Open, halt or delist a market; resting orders stay."""
        raise NotImplementedError

    def set_filters(self, key: MarketKey, filters: Filters) -> None:
        """Replace a market's filters (use ``dataclasses.replace`` on the present ones); resting orders stay."""
        raise NotImplementedError

    def update_market(self, market: Market) -> None:
        """Replace a listed market whole: fees, precision, leverage cap, funding interval, expiry."""
        raise NotImplementedError

    # --- prices -----------------------------------------------------------------------------------------------------

    def set_price(self, asset: str, price: Decimal) -> None:
        """Set a base asset's index price (quote units > 0): moves its markets, fills resting orders, liquidates."""
        raise NotImplementedError

    def set_basis(self, key: MarketKey, ratio: Decimal) -> None:
        """Set a contract's mark to index × (1 + ratio)."""
        raise NotImplementedError

    def set_funding_rate(self, key: MarketKey, rate: Decimal) -> None:
        """Set the rate of the coming settlements, a fraction of notional; > 0: longs pay shorts."""
        raise NotImplementedError

    def set_funding_interval(self, key: MarketKey, hours: int) -> None:
        """Change the settlement interval (1, 2, 4 or 8 hours); the next settlement moves to the new grid."""
        raise NotImplementedError

    def apply_funding(self, key: MarketKey) -> FundingRecord:
        """Settle funding now, outside the timetable."""
        raise NotImplementedError

    def advance(self) -> None:
        """Do what has fallen due by the clock: funding, book refill, expiry."""
        raise NotImplementedError

    def index_price(self, asset: str) -> Decimal:
        """The asset's index price in quote units (stable coins: 1). Raises UNKNOWN_SYMBOL."""
        raise NotImplementedError

    def mark_price(self, key: MarketKey) -> Decimal:
        """A contract's mark price; for spot the index price of the pair."""
        raise NotImplementedError

    # --- public data ------------------------------------------------------------------------------------------------

    def book(self, key: MarketKey, depth: int = 20) -> OrderBook:
        """The book with all accounts' resting orders in it, at most ``depth`` levels a side."""
        raise NotImplementedError

    def ticker(self, key: MarketKey) -> Ticker:
        """24-hour statistics."""
        raise NotImplementedError

    def klines(
        self,
        key: MarketKey,
        interval_ms: int,
        *,
        limit: int = 500,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> tuple[Kline, ...]:
        """Bars, oldest first, the running one last; from ``start_ms`` on if given, else the last ones before ``end_ms``.

        Before the exchange was made the history is synthetic and reaches back as far as asked.
        """
        raise NotImplementedError

    def premium(self, key: MarketKey) -> Premium:
        """Mark, index, funding rate and next settlement of a contract. Raises BAD_PARAMETER for spot."""
        raise NotImplementedError

    def public_trades(self, key: MarketKey, limit: int = 500) -> tuple[PublicTrade, ...]:
        """The tape's last prints, oldest first."""
        raise NotImplementedError

    def funding_history(
        self, key: MarketKey, *, limit: int = 100, start_ms: int | None = None, end_ms: int | None = None
    ) -> tuple[FundingRecord, ...]:
        """Settlements, oldest first: from ``start_ms`` on if given, else the last ones; starts with a synthetic past."""
        raise NotImplementedError

    def open_interest(self, key: MarketKey) -> OpenInterest:
        """Open positions of the whole market."""
        raise NotImplementedError

    def open_interest_history(self, key: MarketKey, interval_ms: int, limit: int = 30) -> tuple[OpenInterest, ...]:
        """Synthetic figures on the interval's grid, oldest first, ending with the present one."""
        raise NotImplementedError

    def set_open_interest(self, key: MarketKey, quantity: Decimal) -> None:
        """Set what the rest of the market holds, order units; our accounts' positions come on top."""
        raise NotImplementedError

    # --- orders -----------------------------------------------------------------------------------------------------

    def check_order(self, api_key: str, request: OrderRequest) -> None:
        """Validate a request as :meth:`place_order` would, placing nothing (Binance's ``order/test``)."""
        raise NotImplementedError

    def place_order(self, api_key: str, request: OrderRequest) -> OrderResult:
        """Accept and match an order; anything refused raises SimError and leaves no trace.

        Afterwards the order is FILLED, resting (NEW, PARTIALLY_FILLED) or EXPIRED (IOC and market remainders,
        reduce-only quantity beyond the position, unfillable spot FOK).
        """
        raise NotImplementedError

    def cancel_order(
        self, api_key: str, key: MarketKey, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order:
        """Cancel an open order. Raises CANCEL_REJECTED when there is none such, or it is closed already."""
        raise NotImplementedError

    def cancel_all(self, api_key: str, key: MarketKey) -> tuple[Order, ...]:
        """Cancel all open orders of a market; none is no error here."""
        raise NotImplementedError

    def order(
        self, api_key: str, key: MarketKey, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order:
        """One order, open or closed; by client id the most recent one. Raises UNKNOWN_ORDER."""
        raise NotImplementedError

    def open_orders(
        self, api_key: str, kind: MarketKind | None = None, key: MarketKey | None = None
    ) -> tuple[Order, ...]:
        """Open orders, oldest first, of one market or one product or all."""
        raise NotImplementedError

    def orders(self, api_key: str, key: MarketKey) -> tuple[Order, ...]:
        """All orders of a market, oldest first; the caller pages."""
        raise NotImplementedError

    def fills(self, api_key: str, kind: MarketKind | None = None, key: MarketKey | None = None) -> tuple[Fill, ...]:
        """The account's executions, oldest first; the caller pages."""
        raise NotImplementedError

    # --- futures settings -------------------------------------------------------------------------------------------

    def position_mode(self, api_key: str, kind: MarketKind) -> bool:
        """True when the product is in hedge (dual) mode."""
        raise NotImplementedError

    def set_position_mode(self, api_key: str, kind: MarketKind, dual_side: bool) -> None:
        """Switch one-way and hedge mode. Raises POSITION_MODE_UNCHANGED, _HAS_ORDERS, _HAS_POSITION."""
        raise NotImplementedError

    def settings(self, api_key: str, key: MarketKey) -> SymbolSettings:
        """Leverage and margin mode of a contract."""
        raise NotImplementedError

    def set_leverage(self, api_key: str, key: MarketKey, leverage: int) -> SymbolSettings:
        """Set leverage. Raises BAD_LEVERAGE, INSUFFICIENT_MARGIN, LEVERAGE_REDUCTION_REFUSED."""
        raise NotImplementedError

    def set_margin_mode(self, api_key: str, key: MarketKey, mode: MarginMode) -> SymbolSettings:
        """Set cross or isolated. Raises MARGIN_MODE_UNCHANGED, _HAS_ORDERS, _HAS_POSITION."""
        raise NotImplementedError

    def adjust_isolated_margin(
        self, api_key: str, key: MarketKey, amount: Decimal, side: PositionSide = PositionSide.BOTH
    ) -> Position:
        """Move ``amount`` (settle units, signed: > 0 adds) into an isolated position. Raises INSUFFICIENT_BALANCE."""
        raise NotImplementedError

    # --- account readings -------------------------------------------------------------------------------------------

    def spot_balances(self, api_key: str) -> tuple[SpotBalance, ...]:
        """The spot wallet: every asset that was ever held."""
        raise NotImplementedError

    def funding_wallet(self, api_key: str) -> tuple[SpotBalance, ...]:
        """The funding wallet: every asset that was ever held; nothing there is locked."""
        raise NotImplementedError

    def futures_account(self, api_key: str, kind: MarketKind) -> FuturesAccount:
        """A futures wallet with balances and positions, flat ones included."""
        raise NotImplementedError

    def positions(
        self, api_key: str, kind: MarketKind, key: MarketKey | None = None, *, include_flat: bool = True
    ) -> tuple[Position, ...]:
        """Positions: one row a contract in one-way mode; LONG and SHORT rows in hedge mode."""
        raise NotImplementedError

    def income(
        self, api_key: str, kind: MarketKind, *, key: MarketKey | None = None, income: IncomeKind | None = None
    ) -> tuple[Income, ...]:
        """The product's wallet changes, oldest first; the caller pages."""
        raise NotImplementedError

    # --- things that happen to an account, and the truth ---------------------------------------------------------------

    def foreign_trade(
        self, api_key: str, key: MarketKey, quantity: Decimal, side: PositionSide = PositionSide.BOTH
    ) -> OrderResult:
        """Trade ``quantity`` (signed: > 0 buys, order units) at mid, as somebody with another key would."""
        raise NotImplementedError

    def auto_deleverage(
        self, api_key: str, key: MarketKey, quantity: Decimal | None = None, side: PositionSide = PositionSide.BOTH
    ) -> OrderResult:
        """Close ``quantity`` (absolute; None: all) of a position at mark against a bankrupt counterparty."""
        raise NotImplementedError

    def truth(self, api_key: str) -> Truth:
        """What is really so; no interceptor sees this."""
        raise NotImplementedError

    def true_prices(self) -> Mapping[str, Decimal]:
        """Index price by base asset; no interceptor sees this."""
        raise NotImplementedError
