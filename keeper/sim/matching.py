"""The life of an order: accepted or refused, matched against the synthetic book, resting, filled later, ended.

Orders meet the synthetic liquidity only, never each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from keeper.sim.account import Account
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import ExecutionType, OrderUpdated
from keeper.sim.filters import check_request, is_closing
from keeper.sim.margin import floor_to, pnl, quote_value, value
from keeper.sim.settlement import Settlement
from keeper.sim.state import State
from keeper.sim.types import (
    ONE,
    ZERO,
    Fill,
    Market,
    MarketKind,
    MarketStatus,
    Order,
    OrderRequest,
    OrderResult,
    OrderStatus,
    OrderType,
    Origin,
    Side,
    TimeInForce,
)
from keeper.sim.valuation import Extra, Valuation


@dataclass(frozen=True, slots=True)
class _Take:
    """What the book would give an order at once."""

    quantity: Decimal
    cost: Decimal  # Σ price · quantity

    @property
    def average(self) -> Decimal | None:
        return self.cost / self.quantity if self.quantity else None


class Matcher:
    """Accepts, matches and ends orders."""

    def __init__(self, state: State, valuation: Valuation, settlement: Settlement) -> None:
        self._state = state
        self._valuation = valuation
        self._settlement = settlement

    # --- acceptance -------------------------------------------------------------------------------------------------

    def check(self, account: Account, request: OrderRequest) -> Market:
        """Raise SimError when the request is malformed for its market; funds are not looked at."""
        market = self._state.market(request.market)
        if market.key not in self._state.tapes:
            raise SimError(ErrorKind.MARKET_CLOSED, f"{market.symbol} has no price yet")
        dual_side = market.kind is not MarketKind.SPOT and account.futures[market.kind].dual_side
        check_request(market, request, self._state.mark(market), dual_side)
        return market

    def place(self, account: Account, request: OrderRequest, most: Decimal | None = None) -> OrderResult:
        """Accept and match, or raise SimError with nothing changed; at once at most ``most`` order units fill."""
        market = self.check(account, request)
        self._check_client_id(account, request)
        order = self._draft(account, market, request)
        self._check_room(account, market, order)
        self._check_reduces(account, market, order)
        self._check_time_in_force(market, order)
        self._check_funds(account, market, order)
        account.orders.put(order)
        self._state.publish(OrderUpdated(self._state.now, account.api_key, order, ExecutionType.NEW))
        fills = self._match(account, market, order, most=most)
        self._finish(account, market, order.order_id)
        self.prune(account, market)
        self._state.book_changed(market.key)
        return OrderResult(account.orders.get(order.order_id), fills)

    def cancel(self, account: Account, order: Order, status: OrderStatus = OrderStatus.CANCELED) -> Order:
        """End an open order."""
        closed = self._settlement.close_order(account, order, status)
        self._state.books[order.market].touch()
        self._state.book_changed(order.market)
        return closed

    def _check_client_id(self, account: Account, request: OrderRequest) -> None:
        client_id = request.client_order_id
        known = account.orders.find(request.market, None, client_id)
        if known is not None and known.is_open:
            raise SimError(ErrorKind.DUPLICATE_CLIENT_ID, f"an open order has the client order id {client_id}")

    def _draft(self, account: Account, market: Market, request: OrderRequest) -> Order:
        quantity = request.quantity
        if quantity is None:
            quantity = self._quantity_for(market, request.side, request.quote_quantity or ZERO)
        now = self._state.now
        return Order(
            order_id=self._state.next_order_id(),
            client_order_id=request.client_order_id or self._state.make_client_id(),
            account=account.api_key,
            market=request.market,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            position_side=request.position_side,
            reduce_only=request.reduce_only,
            price=request.price or ZERO,
            quantity=quantity,
            executed_quantity=ZERO,
            executed_value=ZERO,
            average_price=ZERO,
            status=OrderStatus.NEW,
            origin=Origin.API,
            created_ms=now,
            updated_ms=now,
            quote_quantity=request.quote_quantity or ZERO,
        )

    def _quantity_for(self, market: Market, side: Side, quote: Decimal) -> Decimal:
        """How much a quote amount buys or sells down the book, in whole steps."""
        quantity, left = ZERO, quote
        for level in self._state.books[market.key].levels(side.opposite):
            part = min(level.quantity, left / level.price)
            quantity += part
            left -= part * level.price
        quantity = floor_to(quantity, market.filters.step)
        if quantity <= 0:
            raise SimError(ErrorKind.BELOW_MIN_QTY, f"{quote} {market.quote} buys less than one step")
        return quantity

    def _check_room(self, account: Account, market: Market, order: Order) -> None:
        most = market.filters.max_open_orders
        if order.type is OrderType.LIMIT and len(account.orders.opened(market.key)) >= most:
            raise SimError(ErrorKind.TOO_MANY_ORDERS, f"{most} orders are open on {market.symbol} already")

    def _check_reduces(self, account: Account, market: Market, order: Order) -> None:
        if market.kind is MarketKind.SPOT or not is_closing(order):
            return
        closeable = self._closeable(account, market, order)
        # hedge mode refuses what one-way mode cuts at the position
        if closeable <= 0 or (not order.reduce_only and order.quantity > closeable):
            raise SimError(
                ErrorKind.REDUCE_ONLY_REJECTED,
                f"{order.side.value} {order.quantity} on {market.symbol} would not only reduce: {closeable} can close",
                limit=closeable,
            )

    def _check_time_in_force(self, market: Market, order: Order) -> None:
        crosses = self._takeable(market, order).quantity > 0
        if order.time_in_force is TimeInForce.GTX and crosses:
            raise SimError(ErrorKind.POST_ONLY_WOULD_TAKE, f"{order.side.value} at {order.price} would match at once")
        if order.time_in_force is TimeInForce.FOK and market.kind is not MarketKind.SPOT:
            got = self._takeable(market, order).quantity
            if got < order.quantity:
                raise SimError(ErrorKind.FOK_WOULD_NOT_FILL, f"only {got} of {order.quantity} is there", limit=got)

    def _check_funds(self, account: Account, market: Market, order: Order) -> None:
        """Refuse what the account cannot pay for; a spot limit order's stake is locked here."""
        if market.kind is not MarketKind.SPOT:
            self._check_margin(account, market, order)
        elif order.type is OrderType.LIMIT:
            self._settlement.lock(account, order)
        else:
            buying = order.side is Side.BUY
            asset = market.quote if buying else market.base
            needed = self._takeable(market, order).cost if buying else order.quantity
            free = account.spot.free(asset)
            if needed > free:
                raise SimError(ErrorKind.INSUFFICIENT_BALANCE, f"{needed} {asset} needed, {free} free", limit=free)

    def _check_margin(self, account: Account, market: Market, order: Order) -> None:
        if order.reduce_only:
            return
        mark = self._state.mark(market)
        price = order.price or self._takeable(market, order).average or mark
        extra = Extra(market.key, order.side, order.position_side, abs(value(market, order.quantity, price)))
        before = self._valuation.cross(account, market.kind, market.settle).available
        after = self._valuation.cross(account, market.kind, market.settle, extra).available
        increase = before - after
        if increase <= 0:
            return
        needed = increase + max(ZERO, -pnl(market, order.quantity * order.side.sign, price, mark))
        if needed > before:
            raise SimError(
                ErrorKind.INSUFFICIENT_MARGIN,
                f"{needed} {market.settle} of margin needed, {max(before, ZERO)} available",
                limit=max(before, ZERO),
            )

    # --- matching ---------------------------------------------------------------------------------------------------

    def rematch(self, market: Market) -> None:
        """Fill resting orders that the price has reached, as maker at their own price."""
        if market.status is not MarketStatus.TRADING:
            return
        for account in self._state.accounts.values():
            filled = False
            for order in account.orders.opened(market.key):
                if account.orders.get(order.order_id).is_open:  # an earlier fill's pruning may have ended it
                    filled = bool(self._match(account, market, order, maker=True)) or filled
                    self.prune(account, market)
            if filled:
                self._state.book_changed(market.key)

    def meet(self, market: Market, side: Side) -> None:
        """Others trade at market against a side: our orders at its best price or better fill as makers, best first.

        All together they fill up to the options' ``flow_notional``.
        """
        worth = self._state.options.flow_notional
        if not worth or market.status is not MarketStatus.TRADING:
            return
        resting = [
            (account, order)
            for account in self._state.accounts.values()
            for order in account.orders.opened(market.key)
            if order.side is side and order.can_rest
        ]
        best = self._state.books[market.key].best(side) if resting else None
        if best is None:
            return
        met = [
            (-order.price * side.sign, order.order_id, account)
            for account, order in resting
            if (order.price - best.price) * side.sign >= 0
        ]
        left = floor_to(worth / quote_value(market, ONE, best.price), market.filters.step) if met else ZERO
        for _, order_id, account in sorted(met, key=lambda each: each[:2]):
            order = account.orders.get(order_id)
            quantity = min(left, order.remaining)
            if is_closing(order):
                quantity = min(quantity, self._closeable(account, market, order))
            if quantity > 0 and order.is_open:
                self._settlement.fill(account, order, order.price, quantity, maker=True)
                left -= quantity
                self.prune(account, market)
                self._state.book_changed(market.key)

    def prune(self, account: Account, market: Market) -> None:
        """Expire resting orders that could only close what is no longer there."""
        if market.kind is MarketKind.SPOT:
            return
        for order in account.orders.opened(market.key):
            if is_closing(order) and self._closeable(account, market, order) <= 0:
                self.cancel(account, order, OrderStatus.EXPIRED)

    def _match(
        self, account: Account, market: Market, order: Order, *, maker: bool = False, most: Decimal | None = None
    ) -> tuple[Fill, ...]:
        """Take what the book gives now, never more than a closing order may close, nor than ``most``."""
        budget = order.remaining if most is None else min(order.remaining, most)
        if market.kind is not MarketKind.SPOT and is_closing(order):
            budget = min(budget, self._closeable(account, market, order))
        if order.time_in_force is TimeInForce.FOK and self._takeable(market, order).quantity < budget:
            return ()
        fills: list[Fill] = []
        for level in self._state.books[market.key].levels(order.side.opposite):
            quantity = min(budget, level.quantity)
            if quantity <= 0 or not self._acceptable(market, order, level.price):
                break
            price = order.price if maker else level.price
            self._state.taken(market, order.side.opposite, level.price, quantity)
            current = account.orders.get(order.order_id)
            fills.append(self._settlement.fill(account, current, price, quantity, maker=maker))
            budget -= quantity
        return tuple(fills)

    def _finish(self, account: Account, market: Market, order_id: int) -> None:
        """End what may not rest."""
        order = account.orders.get(order_id)
        if not order.is_open:
            return
        if order.can_rest:
            self._state.books[market.key].touch()
        else:
            self._settlement.close_order(account, order, OrderStatus.EXPIRED)

    def _takeable(self, market: Market, order: Order) -> _Take:
        quantity = cost = ZERO
        for level in self._state.books[market.key].levels(order.side.opposite):
            part = min(order.remaining - quantity, level.quantity)
            if part <= 0 or not self._acceptable(market, order, level.price):
                break
            quantity += part
            cost += part * level.price
        return _Take(quantity, cost)

    def _acceptable(self, market: Market, order: Order, price: Decimal) -> bool:
        """Whether the order may trade at a book price."""
        if order.type is OrderType.LIMIT:
            return price <= order.price if order.side is Side.BUY else price >= order.price
        if market.kind is MarketKind.SPOT:
            return True
        mark, bound = self._state.mark(market), market.filters.market_take_bound
        return price <= mark * (ONE + bound) if order.side is Side.BUY else price >= mark * (ONE - bound)

    def _closeable(self, account: Account, market: Market, order: Order) -> Decimal:
        """How much of the position an order of this side can close, absolute."""
        held = self._settlement.held(account, market, order.position_side).quantity
        return max(ZERO, -held * order.side.sign)
