"""The matching engine over one unified account. Nothing here knows HTTP, and nothing here lies: that is for faults."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

from keeper.clock import Clock
from tests.support.bybit_v5.instruments import Instrument
from tests.support.bybit_v5.ledger import Account, Entry, Holding, Transfer
from tests.support.bybit_v5.market import Level, Market
from tests.support.bybit_v5.orders import Execution, Lag, Order
from tests.support.bybit_v5.rules import Ask, check_notional, parse_order
from tests.support.bybit_v5.wire import ZERO, Json, Refusal, coins, word

D = Decimal
CLOSED_KEPT = 500


@dataclass(frozen=True, slots=True)
class Change:
    """Something that the private stream tells: an order, executions, a position slot, coins."""

    order: Order | None = None
    executions: tuple[Execution, ...] = ()
    holding: Holding | None = None
    coins: tuple[str, ...] = ()


class Exchange:
    """Markets, the account, every order ever accepted, every execution."""

    def __init__(self, clock: Clock, instruments: tuple[Instrument, ...], prices: dict[str, Decimal]) -> None:
        self.clock = clock
        self.skew_ms = 0
        self.price_band = D("0.05")
        self.markets = {i.key: Market(i, prices[i.base], prices[i.base], prices[i.base]) for i in instruments}
        for market in self.markets.values():
            market.move(market.last, self.now_ms())
        self.account = Account(self.markets)
        self.orders: list[Order] = []
        self.working: dict[str, Order] = {}
        self.lagging: list[Order] = []
        self.executions: list[Execution] = []
        self.recent_closed: deque[str] = deque(maxlen=CLOSED_KEPT)
        self.hedge_mode: set[str] = set()
        self.margin_mode = "REGULAR_MARGIN"
        self.instrument_page = 1000
        self.candles: dict[tuple[str, str], dict[int, list[str]]] = {}
        self.transfers: list[Transfer] = []
        self.read_only = False
        self.can_withdraw = False
        self.next_lag: deque[tuple[Lag, Callable[[Order], bool]]] = deque()
        self.on_change: list[Callable[[Change], None]] = []
        self.on_price: list[Callable[[Market], None]] = []
        self._links: dict[str, Order] = {}
        self._unseen: dict[str, list[Change]] = {}

    def now_ms(self) -> int:
        """The venue's own wall clock."""
        return self.clock.now_ms() + self.skew_ms

    def market(self, category: str, symbol: str) -> Market:
        """The market of a request, or the venue's refusal."""
        if category not in {"linear", "inverse", "spot", "option"}:
            raise Refusal(10001, "params error: category invalid")
        market = self.markets.get(f"{category}:{symbol}")
        if market is None:
            if category == "spot":
                raise Refusal(170121, "Invalid symbol.")
            raise Refusal(10001, "params error: symbol invalid")
        return market

    # -- orders

    def create(self, params: Json) -> Order:
        """Accept, match and keep an order; the refusal of the venue when it breaks a rule."""
        market = self.market(word(params, "category"), word(params, "symbol"))
        ask = parse_order(params, market, self.price_band)
        if ask.link_id and ask.link_id in self._links:
            raise (
                Refusal(110072, "OrderLinkedID is duplicate")
                if ask.instrument.contract
                else Refusal(170141, "Duplicate clientOrderId.")
            )
        qty, reduce_only = self._reduce(ask)
        check_notional(ask, qty, market.mark if ask.order_type == "Market" else ask.price)
        order = self._order(ask, qty, reduce_only, market)
        takes = list(self._takes(order, market))
        self._afford(order, takes, ask.borrowing)
        self._register(order)
        self._attach_lag(order)
        filled = self._match(order, takes)
        self._tell(order, filled)
        return order

    def cancel(self, params: Json) -> Order:
        """Cancel one working order."""
        market = self.market(word(params, "category"), word(params, "symbol"))
        order_id, link_id = word(params, "orderId"), word(params, "orderLinkId")
        if not order_id and not link_id:
            raise Refusal(10001, "params error: orderId or orderLinkId is required")
        for order in self.working.values():
            named = order.order_id == order_id if order_id else order.link_id == link_id
            if named and order.instrument is market.instrument:
                self._withdraw(order)
                return order
        if market.instrument.contract:
            raise Refusal(110001, "order not exists or too late to cancel")
        raise Refusal(170213, "Order does not exist.")

    def cancel_all(self, params: Json) -> list[Order]:
        """Cancel the working orders of a category, narrowed by symbol, base or settlement coin."""
        category = word(params, "category")
        symbol, base, settle = word(params, "symbol"), word(params, "baseCoin"), word(params, "settleCoin")
        if category == "linear" and not (symbol or base or settle):
            raise Refusal(10001, "params error: symbol, baseCoin or settleCoin is required")
        if symbol:
            self.market(category, symbol)
        gone = []
        for order in list(self.working.values()):
            unit = order.instrument
            fits = (not symbol or unit.symbol == symbol) and (not base or unit.base == base)
            if unit.category == category and fits and (not settle or unit.settle == settle):
                self._withdraw(order)
                gone.append(order)
        return gone

    def fill_resting(self, order: Order, qty: Decimal | None = None) -> None:
        """Let somebody trade against a working order at its own price."""
        amount = min(order.left, qty or order.left)
        fill = self._fill(order, order.price, amount, maker=True)
        order.status = "PartiallyFilled" if order.left > 0 else "Filled"
        self._settle_status(order)
        self._tell(order, [fill])

    def sweep(self, market: Market) -> None:
        """Fill the working orders that a price move has reached."""
        for order in [o for o in self.working.values() if o.instrument is market.instrument]:
            best = market.best(order.side)
            if best is None:
                continue
            reached = order.price >= best.price if order.side == "Buy" else order.price <= best.price
            if reached:
                self.fill_resting(order)

    # -- what happens to an account without an order of its own

    def settle_funding(self, market: Market) -> None:
        """Longs pay shorts at a positive rate, in the settlement coin, on the value at the mark."""
        unit, now = market.instrument, self.now_ms()
        market.funding_paid.append((now, market.funding_rate))
        for holding in [h for h in self.account.holdings.values() if h.instrument is unit and h.size]:
            side = "Buy" if holding.size > 0 else "Sell"
            rate = market.funding_rate if holding.size > 0 else -market.funding_rate
            value = self.account.position_value(holding)
            paid = coins(value * rate)
            order_id = str(uuid.uuid4())
            execution = Execution(
                exec_id=str(uuid.uuid4()),
                instrument=unit,
                kind="Funding",
                side=side,
                qty=abs(holding.size),
                price=market.mark,
                value=value,
                fee=paid,
                fee_rate=rate,
                fee_coin=unit.settle,
                at_ms=now,
                maker=False,
                closed_size=ZERO,
                profit=ZERO,
                order_id=order_id,
            )
            self.executions.append(execution)
            self.account.book(
                Entry(
                    kind="SETTLEMENT",
                    currency=unit.settle,
                    change=-paid,
                    at_ms=now,
                    instrument=unit,
                    side=side,
                    qty=abs(holding.size),
                    size=holding.size,
                    price=market.mark,
                    fee_rate=rate,
                    funding=-paid,
                    order_id=order_id,
                    trade_id=execution.exec_id,
                )
            )
            self._announce(Change(executions=(execution,), coins=(unit.settle,)))

    def foreign(self, market: Market, delta: Decimal, kind: str = "Trade") -> Order:
        """A trade that no request of the client made: the user's own hand, a liquidation (BustTrade), an ADL."""
        order = Order(
            order_id=str(uuid.uuid4()),
            link_id="",
            instrument=market.instrument,
            side="Buy" if delta > 0 else "Sell",
            order_type="Market",
            qty=abs(delta),
            price=market.last,
            time_in_force="IOC",
            reduce_only=kind != "Trade",
            position_index=0,
            created_ms=self.now_ms(),
            last_price_on_created=market.last,
            market_unit="" if market.instrument.contract else "baseCoin",
            foreign=True,
        )
        self._register(order)
        fill = self._fill(order, market.last, abs(delta), maker=False, kind=kind)
        order.status = "Filled"
        self._settle_status(order)
        self._tell(order, [fill])
        return order

    def transfer(self, coin: str, amount: Decimal, *, recorded: bool = True) -> None:
        """Coins in (positive) or out of the unified wallet, shown in the venue's transfer records or not."""
        now = self.now_ms()
        kind = "TRANSFER_IN" if amount > 0 else "TRANSFER_OUT"
        self.account.book(Entry(kind=kind, currency=coin, change=amount, at_ms=now, cash_flow=amount))
        if recorded:
            self.transfers.append(Transfer(f"tx{len(self.transfers) + 1:06d}", coin, amount, now))
        self._announce(Change(coins=(coin,)))

    # -- late views

    def read_order(self, order: Order) -> Decimal | None:
        """Count one read of an order; the share of its fills that this read shows, None for the whole truth."""
        lag = order.lag
        if lag is None or lag.order_reads <= 0:
            return None
        lag.order_reads -= 1
        self._release(order)
        return lag.share_shown

    def hidden_size(self, holding: Holding) -> Decimal:
        """Count one read of a position; the signed size that it does not show yet."""
        hidden = ZERO
        for order in list(self.lagging):
            lag = order.lag
            mine = order.instrument is holding.instrument and order.position_index == holding.index
            if mine and lag is not None and lag.position_reads > 0:
                hidden += order.sign * order.cum_qty
                lag.position_reads -= 1
                self._release(order)
        return hidden

    # -- inside

    def _reduce(self, ask: Ask) -> tuple[Decimal, bool]:
        unit = ask.instrument
        if not unit.contract:
            return ask.qty, False
        hedged = unit.key in self.hedge_mode
        if hedged != (ask.position_index in {1, 2}) or ask.position_index not in {0, 1, 2}:
            raise Refusal(10001, "position idx not match position mode")
        closing = (ask.position_index, ask.side) in {(1, "Sell"), (2, "Buy")}
        if not ask.reduce_only and not closing:
            return ask.qty, False
        sign = 1 if ask.side == "Buy" else -1
        closable = -sign * self.account.holding(unit, ask.position_index).size
        if closable <= 0:
            raise Refusal(110017, "current position is zero, cannot fix reduce-only order qty")
        for other in self.working.values():
            if other.reduce_only and other.instrument is unit and other.side == ask.side:
                closable -= other.left
        if closable <= 0:
            raise Refusal(110017, "Reduce-only rule not satisfied")
        return min(ask.qty, closable), True

    def _order(self, ask: Ask, qty: Decimal, reduce_only: bool, market: Market) -> Order:
        held = self.account.holding(ask.instrument, ask.position_index).size if ask.instrument.contract else ZERO
        now = self.now_ms()
        return Order(
            order_id=str(uuid.uuid4()) if ask.instrument.contract else str(uuid.uuid4().int)[:19],
            link_id=ask.link_id,
            instrument=ask.instrument,
            side=ask.side,
            order_type=ask.order_type,
            qty=qty,
            price=ask.price,
            time_in_force=ask.time_in_force,
            reduce_only=reduce_only,
            position_index=ask.position_index,
            created_ms=now,
            updated_ms=now,
            last_price_on_created=market.last,
            position_before=held,
            market_unit=ask.market_unit,
        )

    def _register(self, order: Order) -> None:
        self.orders.append(order)
        if order.link_id:
            self._links[order.link_id] = order

    def _attach_lag(self, order: Order) -> None:
        if self.next_lag and self.next_lag[0][1](order):
            order.lag = self.next_lag.popleft()[0]
            self.lagging.append(order)

    def _takes(self, order: Order, market: Market) -> Iterator[Level]:
        """What the order would take from the book, at or better than its price."""
        left, step = order.left, order.instrument.qty_step
        for level in market.depth(order.side):
            worse = level.price > order.price if order.side == "Buy" else level.price < order.price
            if worse or left <= 0:
                return
            wanted = (left / level.price / step).to_integral_value(ROUND_FLOOR) * step if order.in_quote else left
            qty = min(wanted, level.qty)
            if qty <= 0:
                return
            left -= qty * level.price if order.in_quote else qty
            yield Level(level.price, qty)

    def _afford(self, order: Order, takes: list[Level], borrowing: bool) -> None:
        unit, account = order.instrument, self.account
        if unit.contract:
            held = account.holding(unit, order.position_index)
            closing = min(order.qty, abs(held.size)) if held.size * order.sign < 0 else ZERO
            opening = order.qty - closing
            value = unit.value(opening, order.price) * account.usd(unit.settle)
            needed = value / held.leverage + value * unit.taker_fee
            if opening and needed > account.available_usd():
                raise Refusal(110007, "ab not enough for new order")
            return
        if borrowing:
            return
        if order.side == "Sell":
            short = order.qty > account.spendable(unit.base)
        elif order.in_quote:
            short = order.qty > account.spendable(unit.quote)
        else:
            taken = sum((level.qty for level in takes), ZERO)
            cost = sum((level.qty * level.price for level in takes), ZERO)
            if order.order_type == "Limit":
                cost += (order.qty - taken) * order.price
            short = cost > account.spendable(unit.quote)
        if short:
            raise Refusal(170131, "Insufficient balance.")

    def _match(self, order: Order, takes: list[Level]) -> list[Execution]:
        if order.time_in_force == "PostOnly" and takes:
            order.status = "Cancelled" if order.instrument.contract else "Rejected"
            order.reject_reason = "EC_PostOnlyWillTakeLiquidity"
            self._settle_status(order)
            return []
        if order.time_in_force == "FOK" and sum((level.qty for level in takes), ZERO) < order.qty:
            takes = []
        fills = [self._fill(order, level.price, level.qty, maker=False) for level in takes]
        dust = order.in_quote and bool(fills) and order.left < fills[-1].price * order.instrument.qty_step
        if order.left <= 0 or dust:
            order.status = "Filled"
        elif order.time_in_force in {"GTC", "PostOnly"}:
            order.status = "PartiallyFilled" if fills else "New"
        else:
            partly_on_spot = bool(fills) and not order.instrument.contract
            order.status = "PartiallyFilledCanceled" if partly_on_spot else "Cancelled"
            order.reject_reason = "EC_NoImmediateQtyToFill"
        self._settle_status(order)
        return fills

    def _fill(self, order: Order, price: Decimal, qty: Decimal, *, maker: bool, kind: str = "Trade") -> Execution:
        unit, now = order.instrument, self.now_ms()
        value = unit.value(qty, price)
        rate = unit.maker_fee if maker else unit.taker_fee
        in_base = not unit.contract and order.side == "Buy"
        fee_coin = unit.base if in_base else unit.settle
        fee = coins((qty if in_base else value) * rate)
        entry = Entry(
            kind="TRADE",
            currency=fee_coin,
            change=-fee,
            at_ms=now,
            instrument=unit,
            side=order.side,
            qty=qty,
            price=price,
            fee=fee,
            fee_rate=rate,
            order_id=order.order_id,
            link_id=order.link_id,
            trade_id=str(uuid.uuid4()),
        )
        profit, closed = self._book_contract(order, entry) if unit.contract else self._book_spot(order, entry, value)
        order.cum_qty += qty
        order.cum_value += value
        order.fees[fee_coin] = order.fees.get(fee_coin, ZERO) + fee
        order.updated_ms = now
        execution = Execution(
            exec_id=entry.trade_id,
            instrument=unit,
            kind=kind,
            side=order.side,
            qty=qty,
            price=price,
            value=value,
            fee=fee,
            fee_rate=rate,
            fee_coin=fee_coin,
            at_ms=now,
            maker=maker,
            closed_size=closed,
            profit=profit,
            order=order,
            order_id=order.order_id,
        )
        self.executions.append(execution)
        return execution

    def _book_contract(self, order: Order, entry: Entry) -> tuple[Decimal, Decimal]:
        """A contract fill moves the position and, by profit and fee, the settlement coin."""
        holding = self.account.holding(order.instrument, order.position_index)
        closed = min(entry.qty, abs(holding.size)) if holding.size * order.sign < 0 else ZERO
        profit = holding.apply(order.sign * entry.qty, entry.price)
        holding.updated_ms = entry.at_ms
        holding.created_ms = holding.created_ms or entry.at_ms
        self.account.book(replace(entry, change=profit - entry.fee, cash_flow=profit, size=holding.size))
        return profit, closed

    def _book_spot(self, order: Order, entry: Entry, value: Decimal) -> tuple[Decimal, Decimal]:
        """A spot fill moves two wallets; the fee comes out of the coin that is received."""
        unit = order.instrument
        for coin, flow in ((unit.base, order.sign * entry.qty), (unit.quote, -order.sign * coins(value))):
            fee = entry.fee if coin == entry.currency else ZERO
            self.account.book(replace(entry, currency=coin, change=flow - fee, cash_flow=flow, qty=flow, fee=fee))
        return ZERO, ZERO

    def _withdraw(self, order: Order) -> None:
        partly_on_spot = order.cum_qty > 0 and not order.instrument.contract
        order.status = "PartiallyFilledCanceled" if partly_on_spot else "Cancelled"
        order.cancel_type = "CancelByUser"
        order.reject_reason = "EC_PerCancelRequest"
        order.updated_ms = self.now_ms()
        self._settle_status(order)
        self._tell(order, [])

    def _settle_status(self, order: Order) -> None:
        if order.open:
            self.working[order.order_id] = order
        elif order.order_id not in self.recent_closed:
            self.working.pop(order.order_id, None)
            self.recent_closed.append(order.order_id)
        locked: dict[str, Decimal] = {}
        margin: dict[str, Decimal] = {}
        for other in self.working.values():
            unit = other.instrument
            if unit.contract:
                if not other.reduce_only:
                    leverage = self.account.holding(unit, other.position_index).leverage
                    bound = unit.value(other.left, other.price) / leverage
                    margin[unit.settle] = margin.get(unit.settle, ZERO) + bound
            elif other.side == "Sell":
                locked[unit.base] = locked.get(unit.base, ZERO) + other.left
            else:
                locked[unit.quote] = locked.get(unit.quote, ZERO) + other.left * other.price
        self.account.locked, self.account.order_margin = locked, margin

    def _tell(self, order: Order, fills: list[Execution]) -> None:
        unit = order.instrument
        moved = (unit.settle,) if unit.contract else (unit.base, unit.quote)
        holding = self.account.holding(unit, order.position_index) if unit.contract else None
        change = Change(order, tuple(fills), holding, moved if fills else ())
        if order.lag is not None and not order.lag.over:
            self._unseen.setdefault(order.order_id, []).append(change)
        else:
            self._announce(change)

    def _release(self, order: Order) -> None:
        if order.lag is not None and order.lag.over and order in self.lagging:
            self.lagging.remove(order)
            for change in self._unseen.pop(order.order_id, []):
                self._announce(change)

    def _announce(self, change: Change) -> None:
        for listener in self.on_change:
            listener(change)
