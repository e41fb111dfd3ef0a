"""The simulated exchange's face: accounts, orders, prices, funding and what can be asked about them.

It speaks no wire protocol: callers pass and receive the frozen types of :mod:`keeper.sim.types`, refusals are
:class:`keeper.sim.errors.SimError`. All state changes happen inside a call; time is the injected clock's, and things
that fall due by time (funding, book refill, expiry) happen when :meth:`Exchange.advance` is called, which the host
does regularly and which :meth:`Exchange.place_order` does by itself. Same seed and same calls give the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.public import PublicFace
from keeper.sim.seams import Question, Reading
from keeper.sim.truth import truth_of
from keeper.sim.types import (
    Fill,
    FuturesAccount,
    Income,
    IncomeKind,
    MarginMode,
    MarketKey,
    MarketKind,
    Movement,
    MovementKind,
    Order,
    OrderRequest,
    OrderResult,
    Permissions,
    Position,
    PositionSide,
    SpotBalance,
    SymbolSettings,
    Truth,
    WalletKind,
)


class Exchange(PublicFace):
    """A whole exchange in memory. Every method that names an account raises UNKNOWN_ACCOUNT for a key it lacks.

    ``clock`` is always right; what the venue says the time is, and how transports come in, is the ``door``'s.
    """

    # --- accounts and money -------------------------------------------------------------------------------------------

    def add_account(self, api_key: str, secret: str, permissions: Permissions | None = None) -> None:
        """Open an account with empty wallets."""
        self._state.add_account(api_key, secret, permissions or Permissions())

    def account_keys(self) -> tuple[str, ...]:
        """All API keys, in the order in which they were added."""
        return tuple(self._state.accounts)

    def secret(self, api_key: str) -> str:
        """The key's secret, for checking signatures."""
        return self._state.account(api_key).secret

    def user_id(self, api_key: str) -> int:
        """The account's number."""
        return self._state.account(api_key).user_id

    def permissions(self, api_key: str) -> Permissions:
        """What the key may do."""
        return self._state.account(api_key).permissions

    def set_permissions(self, api_key: str, permissions: Permissions) -> None:
        """Change what the key may do."""
        self._state.account(api_key).permissions = permissions

    def deposit(self, api_key: str, asset: str, amount: Decimal, wallet: WalletKind = WalletKind.SPOT) -> Movement:
        """Book money from outside into a wallet, amount > 0 in asset units."""
        return self._treasury.deposit(self._state.account(api_key), asset, amount, wallet)

    def withdraw(self, api_key: str, asset: str, amount: Decimal, wallet: WalletKind = WalletKind.SPOT) -> Movement:
        """Take money out, as the account's owner does by hand: the key's permission is not asked.

        Raises INSUFFICIENT_BALANCE.
        """
        movement = self._treasury.withdraw(self._state.account(api_key), asset, amount, wallet)
        self._liquidate()
        return movement

    def transfer(self, api_key: str, asset: str, amount: Decimal, source: WalletKind, target: WalletKind) -> Movement:
        """Move money between the account's wallets, as its owner does by hand.

        Raises INSUFFICIENT_BALANCE, BAD_PARAMETER.
        """
        return self._treasury.transfer(self._state.account(api_key), asset, amount, source, target)

    def ask_transfer(
        self, api_key: str, asset: str, amount: Decimal, source: WalletKind, target: WalletKind
    ) -> Movement:
        """The same as the key's holder asks for it. Raises PERMISSION_DENIED as well."""
        account = self._state.account(api_key)
        if not account.permissions.transfers:
            raise SimError(ErrorKind.PERMISSION_DENIED, "this key may not transfer")
        self._state.interceptor.before_transfer(api_key)
        moved = self._treasury.transfer(account, asset, amount, source, target)
        return self._answer(Reading.TRANSFERRED, api_key, moved)

    def movements(self, api_key: str, kind: MovementKind | None = None) -> tuple[Movement, ...]:
        """Deposits, withdrawals and transfers, oldest first."""
        found = (each for each in self._reader(api_key).movements if kind in (None, each.kind))
        return self._answer(Reading.MOVEMENTS, api_key, tuple(found))

    # --- orders -------------------------------------------------------------------------------------------------------

    def check_order(self, api_key: str, request: OrderRequest) -> None:
        """Check a request against the market's filters, placing nothing (Binance's ``order/test``: funds apart)."""
        self._matcher.check(self._trader(api_key, request.market), request)

    def place_order(self, api_key: str, request: OrderRequest) -> OrderResult:
        """Accept and match an order; anything refused raises SimError and leaves no trace.

        Afterwards the order is FILLED, resting (NEW, PARTIALLY_FILLED) or EXPIRED (IOC and market remainders,
        reduce-only quantity beyond the position, unfillable spot FOK).
        """
        account = self._trader(api_key, request.market)
        interceptor = self._state.interceptor
        interceptor.before_order(api_key, request)
        self.advance()
        result = self._matcher.place(account, request, interceptor.liquidity(api_key, request))
        self._liquidate()
        interceptor.after_order(api_key, result)
        return self._answer(Reading.PLACED, api_key, result)

    def cancel_order(
        self, api_key: str, key: MarketKey, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order:
        """Cancel an open order. Raises CANCEL_REJECTED when there is none such, or it is closed already."""
        account = self._trader(api_key, key)
        self._state.interceptor.before_cancel(api_key, key)
        self._state.market(key)
        order = account.orders.find(key, order_id, client_order_id)
        if order is None or not order.is_open:
            raise SimError(ErrorKind.CANCEL_REJECTED, "no such order is open")
        return self._answer(Reading.CANCELLED, api_key, self._matcher.cancel(account, order))

    def cancel_all(self, api_key: str, key: MarketKey) -> tuple[Order, ...]:
        """Cancel all open orders of a market; none is no error here."""
        account = self._trader(api_key, key)
        self._state.interceptor.before_cancel(api_key, key)
        self._state.market(key)
        cancelled = tuple(self._matcher.cancel(account, order) for order in account.orders.opened(key))
        return self._answer(Reading.CANCELLED, api_key, cancelled)

    def order(
        self, api_key: str, key: MarketKey, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order:
        """One order, open or closed; by client id the most recent one. Raises UNKNOWN_ORDER."""
        account = self._reader(api_key)
        self._state.market(key)
        order = account.orders.find(key, order_id, client_order_id)
        if order is None:
            raise SimError(ErrorKind.UNKNOWN_ORDER, "no such order")
        return self._answer(Reading.ORDER, api_key, order)

    def open_orders(
        self, api_key: str, kind: MarketKind | None = None, key: MarketKey | None = None
    ) -> tuple[Order, ...]:
        """Open orders, oldest first, of one market or one product or all."""
        log = self._reader(api_key).orders
        if key is not None:
            self._state.market(key)
        found = log.all_open(kind) if key is None else log.opened(key)
        return self._answer(Reading.OPEN_ORDERS, api_key, found, Question(kind, key))

    def orders(self, api_key: str, key: MarketKey) -> tuple[Order, ...]:
        """All orders of a market, oldest first; the caller pages."""
        account = self._reader(api_key)
        self._state.market(key)
        return self._answer(Reading.ORDERS, api_key, account.orders.of_market(key), Question(market=key))

    def fills(
        self, api_key: str, kind: MarketKind | None = None, key: MarketKey | None = None, since_ms: int = 0
    ) -> tuple[Fill, ...]:
        """The account's executions from ``since_ms`` on, oldest first; the caller pages."""
        log = self._reader(api_key).fills_since(since_ms)
        found = (each for each in log if kind in (None, each.market.kind) and key in (None, each.market))
        return self._answer(Reading.FILLS, api_key, tuple(found), Question(kind, key))

    # --- futures settings ---------------------------------------------------------------------------------------------

    def position_mode(self, api_key: str, kind: MarketKind) -> bool:
        """True when the product is in hedge (dual) mode."""
        return self._answer(Reading.POSITION_MODE, api_key, self._reader(api_key).futures[kind].dual_side)

    def set_position_mode(self, api_key: str, kind: MarketKind, dual_side: bool) -> None:
        """Switch one-way and hedge mode. Raises POSITION_MODE_UNCHANGED, _HAS_ORDERS, _HAS_POSITION."""
        self._desk.set_position_mode(self._futures_user(api_key), kind, dual_side)

    def settings(self, api_key: str, key: MarketKey) -> SymbolSettings:
        """Leverage and margin mode of a contract."""
        known = self._valuation.symbol_settings(self._reader(api_key), self._state.contract(key))
        return self._answer(Reading.SETTINGS, api_key, known)

    def set_leverage(self, api_key: str, key: MarketKey, leverage: int) -> SymbolSettings:
        """Set leverage. Raises BAD_LEVERAGE, INSUFFICIENT_MARGIN, LEVERAGE_REDUCTION_REFUSED."""
        return self._desk.set_leverage(self._futures_user(api_key), self._state.contract(key), leverage)

    def set_margin_mode(self, api_key: str, key: MarketKey, mode: MarginMode) -> SymbolSettings:
        """Set cross or isolated. Raises MARGIN_MODE_UNCHANGED, _HAS_ORDERS, _HAS_POSITION."""
        return self._desk.set_margin_mode(self._futures_user(api_key), self._state.contract(key), mode)

    def adjust_isolated_margin(
        self, api_key: str, key: MarketKey, amount: Decimal, side: PositionSide = PositionSide.BOTH
    ) -> Position:
        """Move ``amount`` (settle units, signed: > 0 adds) into an isolated position. Raises INSUFFICIENT_BALANCE."""
        return self._desk.adjust_isolated_margin(self._futures_user(api_key), self._state.contract(key), amount, side)

    # --- account readings ---------------------------------------------------------------------------------------------

    def spot_balances(self, api_key: str) -> tuple[SpotBalance, ...]:
        """The spot wallet: every asset that was ever held."""
        return self._answer(Reading.SPOT_BALANCES, api_key, self._reader(api_key).spot.balances())

    def funding_wallet(self, api_key: str) -> tuple[SpotBalance, ...]:
        """The funding wallet: every asset that was ever held; nothing there is locked."""
        return self._answer(Reading.FUNDING_WALLET, api_key, self._reader(api_key).funding.balances())

    def earn_wallet(self, api_key: str) -> tuple[SpotBalance, ...]:
        """What is lent out at call: every asset that ever was."""
        return self._answer(Reading.EARN_WALLET, api_key, self._reader(api_key).earn.balances())

    def futures_account(self, api_key: str, kind: MarketKind) -> FuturesAccount:
        """A futures wallet with balances and positions, flat ones included."""
        view = self._valuation.futures_account(self._reader(api_key), kind)
        return self._answer(Reading.FUTURES_ACCOUNT, api_key, view, Question(kind))

    def positions(
        self, api_key: str, kind: MarketKind, key: MarketKey | None = None, *, include_flat: bool = True
    ) -> tuple[Position, ...]:
        """Positions: one row a contract in one-way mode; LONG and SHORT rows in hedge mode."""
        if key is not None:
            self._state.contract(key)
        rows = self._valuation.positions(self._reader(api_key), kind, key, include_flat=include_flat)
        return self._answer(Reading.POSITIONS, api_key, rows, Question(kind, key, include_flat))

    def income(
        self, api_key: str, kind: MarketKind, *, key: MarketKey | None = None, income: IncomeKind | None = None
    ) -> tuple[Income, ...]:
        """The product's wallet changes, oldest first; the caller pages."""
        found = (
            each
            for each in self._reader(api_key).income
            if each.product is kind and income in (None, each.kind) and (key is None or each.symbol == key.symbol)
        )
        return self._answer(Reading.INCOME, api_key, tuple(found))

    # --- what happens to an account, and the truth --------------------------------------------------------------------

    def foreign_trade(
        self, api_key: str, key: MarketKey, quantity: Decimal, side: PositionSide = PositionSide.BOTH
    ) -> OrderResult:
        """Trade ``quantity`` (signed: > 0 buys, order units) at mid, as somebody with another key would."""
        account = self._state.account(api_key)
        result = self._forced.foreign_trade(account, self._state.market(key), quantity, side)
        self._liquidate()
        return result

    def auto_deleverage(
        self, api_key: str, key: MarketKey, quantity: Decimal | None = None, side: PositionSide = PositionSide.BOTH
    ) -> OrderResult:
        """Close ``quantity`` (absolute; None: all) of a position at mark against a bankrupt counterparty."""
        return self._forced.auto_deleverage(self._state.account(api_key), self._state.contract(key), quantity, side)

    def liquidate(self, api_key: str, key: MarketKey) -> None:
        """Close a contract's positions at mark and end its orders, as a liquidation does; none is no error."""
        self._forced.liquidate(self._state.account(api_key), self._state.contract(key))

    def fill_resting(self, api_key: str, key: MarketKey) -> tuple[Fill, ...]:
        """Fill all resting orders of a market at their own prices, as if somebody had just met them."""
        return self._forced.fill_resting(self._state.account(api_key), self._state.market(key))

    def truth(self, api_key: str) -> Truth:
        """What is really so; no interceptor sees this."""
        return truth_of(self._state.account(api_key))

    def true_prices(self) -> Mapping[str, Decimal]:
        """Index price by base asset; no interceptor sees this."""
        return self._state.indices()
