"""What happens to a position without an order of its owner's key: liquidation, ADL, delivery, somebody else's hand."""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.account import Account
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import PositionForced, UpdateReason
from keeper.sim.matching import Matcher
from keeper.sim.settlement import Settlement
from keeper.sim.state import State
from keeper.sim.types import (
    ZERO,
    Fill,
    IncomeKind,
    MarginMode,
    Market,
    MarketKind,
    MarketStatus,
    Order,
    OrderResult,
    OrderStatus,
    OrderType,
    Origin,
    PositionSide,
    Side,
    TimeInForce,
)
from keeper.sim.valuation import Valuation

_CLIENT_ID = {
    Origin.FOREIGN: "web_",
    Origin.LIQUIDATION: "autoclose-",
    Origin.ADL: "adl_autoclose-",
    Origin.SETTLEMENT: "delivery_autoclose-",
}


class Forced:
    """Executes at a given price, at once and in full, whatever the book holds."""

    def __init__(self, state: State, valuation: Valuation, settlement: Settlement, matcher: Matcher) -> None:
        self._state = state
        self._valuation = valuation
        self._settlement = settlement
        self._matcher = matcher

    def execute(
        self,
        account: Account,
        market: Market,
        change: Decimal,
        side: PositionSide,
        price: Decimal,
        origin: Origin,
    ) -> OrderResult:
        """Book a signed execution of ``change`` order units at ``price``."""
        now = self._state.now
        order_id = self._state.next_order_id()
        by_hand = origin is Origin.FOREIGN
        order = Order(
            order_id=order_id,
            client_order_id=f"{_CLIENT_ID[origin]}{order_id}",
            account=account.api_key,
            market=market.key,
            side=Side.BUY if change > 0 else Side.SELL,
            type=OrderType.MARKET if by_hand else OrderType.LIMIT,
            time_in_force=TimeInForce.GTC if by_hand else TimeInForce.IOC,
            position_side=side,
            reduce_only=origin is Origin.SETTLEMENT,
            price=ZERO if by_hand else price,
            quantity=abs(change),
            executed_quantity=ZERO,
            executed_value=ZERO,
            average_price=ZERO,
            status=OrderStatus.NEW,
            origin=origin,
            created_ms=now,
            updated_ms=now,
        )
        fill = self._settlement.fill(account, order, price, abs(change), maker=False)
        if not by_hand:
            self._state.publish(PositionForced(now, account.api_key, market.key, side, change, price, origin))
        self._matcher.prune(account, market)
        return OrderResult(account.orders.get(order_id), (fill,))

    def foreign_trade(self, account: Account, market: Market, change: Decimal, side: PositionSide) -> OrderResult:
        """A trade at mid by another hand. Raises INSUFFICIENT_BALANCE on spot; margin is not asked."""
        if change == 0:
            raise SimError(ErrorKind.BAD_PARAMETER, "a trade of nothing")
        price = self._state.on_tick(market, self._state.mark(market))
        if market.kind is MarketKind.SPOT:
            asset, needed = (market.quote, change * price) if change > 0 else (market.base, -change)
            if needed > account.spot.free(asset):
                raise SimError(ErrorKind.INSUFFICIENT_BALANCE, f"{needed} {asset} needed")
        elif account.futures[market.kind].dual_side != (side is not PositionSide.BOTH):
            raise SimError(ErrorKind.POSITION_SIDE_MISMATCH, f"{side.value} does not match the position mode")
        return self.execute(account, market, change, side, price, Origin.FOREIGN)

    def auto_deleverage(
        self, account: Account, market: Market, quantity: Decimal | None, side: PositionSide
    ) -> OrderResult:
        """Close part or all of a position at mark, free of charge."""
        held = self._settlement.held(account, market, side).quantity
        amount = abs(held) if quantity is None else min(quantity, abs(held))
        if amount <= 0:
            raise SimError(ErrorKind.BAD_PARAMETER, f"{market.symbol} has no {side.value} position to deleverage")
        return self.execute(account, market, -amount.copy_sign(held), side, self._state.mark(market), Origin.ADL)

    def stop_trading(self, market: Market) -> None:
        """The last trade of a dated contract is over: what rests expires, positions wait for their delivery."""
        self._state.set_status(market.key, MarketStatus.SETTLING)
        for account in self._state.accounts.values():
            self._cancel_orders(account, [market])

    def deliver(self, market: Market) -> None:
        """Settle a dated contract at the index price and close the market."""
        self._state.set_status(market.key, MarketStatus.DELIVERED)
        price = self._state.pair_index(market)
        for account in self._state.accounts.values():
            self._cancel_orders(account, [market])
            for side in PositionSide:
                held = account.futures[market.kind].positions.get((market.key, side))
                if held is not None and held.quantity:
                    self.execute(account, market, -held.quantity, side, price, Origin.SETTLEMENT)

    def liquidate(self, account: Account, market: Market) -> None:
        """Close a contract's positions at mark and end its orders."""
        self._cancel_orders(account, [market])
        for side in PositionSide:
            self._close(account, market, side)

    def fill_resting(self, account: Account, market: Market) -> tuple[Fill, ...]:
        """Fill all resting orders of a market at their own prices."""
        fills: list[Fill] = []
        for resting in account.orders.opened(market.key):
            order = account.orders.get(resting.order_id)
            if order.is_open:  # an earlier fill's pruning may have ended it
                fills.append(self._settlement.fill(account, order, order.price, order.remaining, maker=True))
                self._matcher.prune(account, market)
        if fills:
            self._state.book_changed(market.key)
        return tuple(fills)

    def liquidate_if_due(self, account: Account) -> None:
        """Close every position whose margin balance is below its maintenance margin."""
        for kind in (MarketKind.LINEAR, MarketKind.INVERSE):
            wallet = account.futures[kind]
            if not wallet.has_position():
                continue
            used = {key for key, _ in wallet.positions}
            held = [market for market in self._state.markets.values() if market.key in used]
            for market in held:
                self._liquidate_isolated(account, market)
            for asset in dict.fromkeys(market.settle for market in held):
                self._liquidate_cross(account, kind, asset)

    def _liquidate_isolated(self, account: Account, market: Market) -> None:
        if not self._is_isolated(account, market):
            return
        for side in PositionSide:
            held = account.futures[market.kind].positions.get((market.key, side))
            if held is None or not held.quantity:
                continue
            balance, maintenance = self._valuation.isolated(market, held)
            if balance >= maintenance:
                continue
            self._cancel_orders(account, [market])
            own = held.isolated_wallet
            before = account.futures[market.kind].balances.get(market.settle, ZERO)
            self._close(account, market, side)
            lost = before - account.futures[market.kind].balances[market.settle]
            if lost > own:  # no more than the position's own wallet is at stake
                self._insure(account, market, lost - own)

    def _liquidate_cross(self, account: Account, kind: MarketKind, asset: str) -> None:
        pool = self._valuation.backing(account, kind, asset)
        if pool.margin_balance >= pool.maintenance:
            return
        markets = [each for each in self._state.markets.values() if each.kind is kind and each.settle == asset]
        crossed = [market for market in markets if not self._is_isolated(account, market)]
        if not any(account.futures[kind].has_position(market.key) for market in crossed):
            return
        self._cancel_orders(account, crossed)
        for market in crossed:
            for side in PositionSide:
                self._close(account, market, side)
        shortfall = -self._valuation.backing(account, kind, asset).wallet
        if shortfall > 0:
            self._insure(account, crossed[0], shortfall)

    def _is_isolated(self, account: Account, market: Market) -> bool:
        return self._valuation.settings(account, market).margin_mode is MarginMode.ISOLATED

    def _cancel_orders(self, account: Account, markets: list[Market]) -> None:
        for market in markets:
            for order in account.orders.opened(market.key):
                self._matcher.cancel(account, order, OrderStatus.EXPIRED)

    def _close(self, account: Account, market: Market, side: PositionSide) -> None:
        held = account.futures[market.kind].positions.get((market.key, side))
        if held is not None and held.quantity:
            mark = self._state.mark(market)
            self.execute(account, market, -held.quantity, side, mark, Origin.LIQUIDATION)

    def _insure(self, account: Account, market: Market, amount: Decimal) -> None:
        """The insurance fund pays what the account could not."""
        self._settlement.book_income(account, market, IncomeKind.INSURANCE_CLEAR, amount)
        self._settlement.tell_futures(account, market, UpdateReason.INSURANCE_CLEAR, amount)
