"""What a fill, a fee or a payment changes: the only room that moves money and positions.

Every futures wallet change is booked as income, so that the sum of an account's income is its wallet balance.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from keeper.sim.account import Account, HeldPosition
from keeper.sim.events import (
    ExecutionType,
    FuturesAccountUpdated,
    OrderUpdated,
    SpotAccountUpdated,
    UpdateReason,
    WalletChange,
)
from keeper.sim.margin import MONEY, booked, step_position, value
from keeper.sim.state import State
from keeper.sim.types import (
    ZERO,
    Fill,
    Income,
    IncomeKind,
    MarginMode,
    Market,
    MarketKey,
    MarketKind,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionSide,
    Side,
)
from keeper.sim.valuation import Valuation

_FREE_OF_CHARGE = frozenset({Origin.ADL, Origin.SETTLEMENT})


class Settlement:
    """Books executions and payments, and tells the subscribers."""

    def __init__(self, state: State, valuation: Valuation) -> None:
        self._state = state
        self._valuation = valuation

    # --- spot locks -------------------------------------------------------------------------------------------------

    def lock(self, account: Account, order: Order) -> None:
        """Set aside what a spot limit order may spend. Raises INSUFFICIENT_BALANCE."""
        asset, amount = _stake(self._state.market(order.market), order, order.remaining)
        account.spot.lock(asset, amount)

    def _unlock(self, account: Account, order: Order, quantity: Decimal) -> None:
        asset, amount = _stake(self._state.market(order.market), order, quantity)
        account.spot.lock(asset, -amount)

    # --- executions -------------------------------------------------------------------------------------------------

    def fill(self, account: Account, order: Order, price: Decimal, quantity: Decimal, *, maker: bool) -> Fill:
        """Execute part of an order at ``price``; the order's new state is in the account's log afterwards."""
        market = self._state.market(order.market)
        if market.kind is MarketKind.SPOT:
            return self._fill_spot(account, order, market, price, quantity, maker)
        return self._fill_contract(account, order, market, price, quantity, maker)

    def close_order(self, account: Account, order: Order, status: OrderStatus) -> Order:
        """Cancel or expire what is left of an order, giving back what it had locked."""
        if order.market.kind is MarketKind.SPOT and order.type is OrderType.LIMIT:
            self._unlock(account, order, order.remaining)
        closed = replace(order, status=status, updated_ms=self._state.now)
        account.orders.put(closed)
        execution = ExecutionType.CANCELED if status is OrderStatus.CANCELED else ExecutionType.EXPIRED
        self._state.publish(OrderUpdated(self._state.now, account.api_key, closed, execution))
        if order.market.kind is MarketKind.SPOT and order.type is OrderType.LIMIT:
            self.tell_spot(account, _stake(self._state.market(order.market), order, ZERO)[0])
        return closed

    def _fill_spot(
        self, account: Account, order: Order, market: Market, price: Decimal, quantity: Decimal, maker: bool
    ) -> Fill:
        cost = quantity * price
        rate = market.maker_fee if maker else market.taker_fee
        got, gave = (quantity, cost) if order.side is Side.BUY else (cost, quantity)
        fee = (got * rate).quantize(MONEY, rounding=ROUND_DOWN)
        received, spent = (market.base, market.quote) if order.side is Side.BUY else (market.quote, market.base)
        if order.type is OrderType.LIMIT:
            self._unlock(account, order, quantity)
        account.spot.add(spent, -gave)
        account.spot.add(received, got - fee)
        fill = self._record(account, order, market, price, quantity, (fee, received), ZERO, maker)
        self._publish_fill(account, order, fill)
        self.tell_spot(account, market.base, market.quote)
        return fill

    def _fill_contract(
        self, account: Account, order: Order, market: Market, price: Decimal, quantity: Decimal, maker: bool
    ) -> Fill:
        wallet = account.futures[market.kind]
        held = wallet.position(market.key, order.position_side)
        settings = self._valuation.settings(account, market)
        step = step_position(market, held.quantity, held.entry, quantity * order.side.sign, price)
        if settings.margin_mode is MarginMode.ISOLATED:
            kept = held.isolated_wallet
            if held.quantity:
                kept -= booked(kept * step.closed / abs(held.quantity))
            held.isolated_wallet = kept + booked(abs(value(market, step.opened, price)) / settings.leverage)
        held.quantity, held.entry, held.updated_ms = step.quantity, step.entry, self._state.now
        worth = abs(value(market, quantity, price))
        rate = ZERO if order.origin in _FREE_OF_CHARGE else market.maker_fee if maker else market.taker_fee
        fee = booked(worth * rate)
        fill = self._record(account, order, market, price, quantity, (fee, market.settle), step.realised, maker)
        if step.realised:
            kind = IncomeKind.REALIZED_PNL
            if order.origin is Origin.SETTLEMENT:
                kind = IncomeKind.DELIVERED_SETTELMENT
            self.book_income(account, market, kind, step.realised, fill.trade_id)
        if fee:
            self.book_income(account, market, IncomeKind.COMMISSION, -fee, fill.trade_id)
        self.tell_futures(account, market, UpdateReason.ORDER, ZERO, order.position_side)
        self._publish_fill(account, order, fill)
        return fill

    def _record(
        self,
        account: Account,
        order: Order,
        market: Market,
        price: Decimal,
        quantity: Decimal,
        fee: tuple[Decimal, str],
        realised: Decimal,
        maker: bool,
    ) -> Fill:
        """Write the fill and the order's new state into the account's log."""
        now = self._state.now
        worth = value(market, quantity, price)
        executed = order.executed_quantity + quantity
        executed_value = order.executed_value + worth
        done = executed >= order.quantity
        after = replace(
            order,
            executed_quantity=executed,
            executed_value=executed_value,
            average_price=_average(market, executed, executed_value),
            status=OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED,
            updated_ms=now,
        )
        account.orders.put(after)
        fill = Fill(
            trade_id=self._state.next_trade_id(),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            account=account.api_key,
            market=order.market,
            side=order.side,
            position_side=order.position_side,
            price=price,
            quantity=quantity,
            quote_quantity=booked(worth),
            commission=fee[0],
            commission_asset=fee[1],
            realised_pnl=realised,
            maker=maker,
            time_ms=now,
        )
        account.fills.append(fill)
        return fill

    def _publish_fill(self, account: Account, order: Order, fill: Fill) -> None:
        forced = order.origin in (Origin.LIQUIDATION, Origin.ADL)
        execution = ExecutionType.CALCULATED if forced else ExecutionType.TRADE
        after = account.orders.get(order.order_id)
        self._state.publish(OrderUpdated(self._state.now, account.api_key, after, execution, fill))
        self._state.print_trade(
            self._state.market(order.market),
            fill.price,
            fill.quantity,
            trade_id=fill.trade_id,
            buyer_is_maker=(order.side is Side.BUY) == fill.maker,
        )

    # --- money ------------------------------------------------------------------------------------------------------

    def book_income(
        self, account: Account, market: Market, kind: IncomeKind, amount: Decimal, trade_id: int | None = None
    ) -> None:
        """Change a futures wallet by ``amount`` (settle currency, > 0 received) on account of a market."""
        self.book_wallet(account, market.key, market.settle, kind, amount, trade_id)

    def book_wallet(
        self,
        account: Account,
        key: MarketKey,
        asset: str,
        kind: IncomeKind,
        amount: Decimal,
        trade_id: int | None = None,
    ) -> None:
        """Change a futures wallet; ``key.symbol`` is empty for transfers."""
        wallet = account.futures[key.kind]
        wallet.balances[asset] = wallet.balances.get(asset, ZERO) + amount
        wallet.updated_ms = self._state.now
        account.income.append(
            Income(self._state.next_tran_id(), kind, key.kind, key.symbol, asset, amount, trade_id, self._state.now)
        )

    # --- telling ----------------------------------------------------------------------------------------------------

    def tell_spot(self, account: Account, *assets: str) -> None:
        """Publish the present spot balances of some assets."""
        balances = tuple(account.spot.balance(asset) for asset in assets)
        self._state.publish(SpotAccountUpdated(self._state.now, account.api_key, balances))

    def tell_futures(
        self, account: Account, market: Market, reason: UpdateReason, change: Decimal, *sides: PositionSide
    ) -> None:
        """Publish a futures wallet's settle asset and the named positions of a market."""
        positions = tuple(self._valuation.position(account, market, side) for side in sides)
        balance = self.wallet_change(account, market.kind, market.settle, change)
        self._state.publish(
            FuturesAccountUpdated(self._state.now, account.api_key, market.kind, reason, (balance,), positions)
        )

    def wallet_change(self, account: Account, kind: MarketKind, asset: str, change: Decimal) -> WalletChange:
        """A futures wallet's asset as subscribers are told it."""
        wallet = account.futures[kind].balances.get(asset, ZERO)
        return WalletChange(asset, wallet, self._valuation.backing(account, kind, asset).wallet, change)

    def held(self, account: Account, market: Market, side: PositionSide) -> HeldPosition:
        """The position as held."""
        return account.futures[market.kind].position(market.key, side)


def _stake(market: Market, order: Order, quantity: Decimal) -> tuple[str, Decimal]:
    """What a spot limit order sets aside for ``quantity``."""
    if order.side is Side.BUY:
        return market.quote, order.price * quantity
    return market.base, quantity


def _average(market: Market, quantity: Decimal, worth: Decimal) -> Decimal:
    if market.kind is MarketKind.INVERSE:
        return booked(quantity * market.contract_size / worth)
    return booked(worth / (quantity * market.contract_size))
