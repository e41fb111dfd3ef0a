"""Views that lag behind the truth: an order that is not found yet, fills that do not show yet.

Matching has happened; what lags is what is told of it. Each view (order, list of orders, fills, positions, account)
catches up by itself, after a number of readings or a time, whichever is first, so that they contradict one another
meanwhile. A view that lags shows a past state, not a mixture: what happened later on that market does not show either.
Money that is moved shows at once, though, and with it all of the wallets: coins that have left one wallet and come to
none would look withdrawn, which is another fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import Event, MoneyMoved
from keeper.sim.exchange import Exchange
from keeper.sim.fault_armed import Armed
from keeper.sim.margin import booked, pnl, value
from keeper.sim.seams import EVERYTHING, Question, Reading
from keeper.sim.types import (
    ZERO,
    Fill,
    FuturesAccount,
    FuturesBalance,
    Market,
    MarketKey,
    MarketKind,
    Order,
    OrderResult,
    OrderStatus,
    Position,
    SpotBalance,
)

T = TypeVar("T")

_FILL_VIEWS = (
    Reading.PLACED,
    Reading.ORDER,
    Reading.ORDERS,
    Reading.OPEN_ORDERS,
    Reading.FILLS,
    Reading.POSITIONS,
    Reading.FUTURES_ACCOUNT,
    Reading.SPOT_BALANCES,
)
_POSITION_VIEWS = (Reading.POSITIONS, Reading.FUTURES_ACCOUNT)
_WALLET_VIEWS = (Reading.FUTURES_ACCOUNT, Reading.SPOT_BALANCES)
_ORDER_VIEWS = (Reading.ORDER, Reading.ORDERS, Reading.OPEN_ORDERS)


@dataclass(slots=True)
class _Until:
    """How long one view still lags."""

    readings: int
    until_ms: int
    from_ms: int = 0

    def is_over(self, now_ms: int) -> bool:
        return self.readings <= 0 or now_ms >= self.until_ms


@dataclass(frozen=True, slots=True)
class _Before:
    """What an account looked like before an order."""

    positions: tuple[Position, ...] = ()
    balances: tuple[FuturesBalance, ...] = ()
    spot: tuple[SpotBalance, ...] = ()


@dataclass(frozen=True, slots=True)
class _Late:
    """An order of which the views know less than is so."""

    order: Order
    before: _Before | None  # None: the order itself is unknown
    views: dict[Reading, _Until]

    def lags(self, reading: Reading, now_ms: int) -> bool:
        """Whether this view lags, counting one reading of it."""
        until = self.views.get(reading)
        if until is None or now_ms < until.from_ms or until.is_over(now_ms):
            return False
        until.readings -= 1
        return True


class LateViews:
    """All views that lag, of all accounts."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._late: list[_Late] = []
        self._before = _Before()
        exchange.subscribe(self._happened)

    def __bool__(self) -> bool:
        return bool(self._late)

    def clear(self) -> None:
        """Every view catches up."""
        self._late.clear()

    def _happened(self, event: Event) -> None:
        if self._late and isinstance(event, MoneyMoved):
            for late in self._late:
                if late.order.account == event.account:
                    for view in _WALLET_VIEWS:
                        late.views.pop(view, None)

    def prepare(self, account: str, market: MarketKey) -> None:
        """Remember how an account looks before an order of it is matched; the caller lets these readings through."""
        if market.kind is MarketKind.SPOT:
            self._before = _Before(spot=self._exchange.spot_balances(account))
            return
        view = self._exchange.futures_account(account, market.kind)
        rows = tuple(row for row in view.positions if row.market == market)
        self._before = _Before(rows, view.balances)

    def hide_order(self, armed: Armed, order: Order) -> None:
        """Let lookups deny the order for a while."""
        self._late.append(_Late(order, None, self._drawn(armed, _ORDER_VIEWS, least=1)))

    def hide_fills(self, armed: Armed, result: OrderResult) -> None:
        """Let each view show the fills in its own time."""
        self._late.append(_Late(result.order, self._before, self._drawn(armed, _FILL_VIEWS, least=0)))

    def hide_again(self, armed: Armed, result: OrderResult) -> None:
        """Let each view of the position show the fills for a while, and then not."""
        views = self._drawn(armed, _POSITION_VIEWS, least=1)
        longest = armed.integer("after_ms")
        for until in views.values():
            shows_ms = longest if armed.parameters["exact"] else armed.rng.randint(0, longest)
            until.from_ms = self._exchange.clock.now_ms() + shows_ms
            until.until_ms += shows_ms
        self._late.append(_Late(result.order, self._before, views))

    def _drawn(self, armed: Armed, views: Iterable[Reading], *, least: int) -> dict[Reading, _Until]:
        """How long each view lags: up to what the parameters say, or exactly that with ``exact``."""
        now_ms, most, longest = self._exchange.clock.now_ms(), armed.integer("readings"), armed.integer("for_ms")
        only = [name for name in armed.text("views").split(",") if name]
        drawn: dict[Reading, _Until] = {}
        for view in views:
            if armed.parameters["exact"]:
                until = _Until(most, now_ms + longest)
            else:
                until = _Until(armed.rng.randint(least, max(least, most)), now_ms + armed.rng.randint(1, longest))
            if not only or view.value in only:
                drawn[view] = until
        return drawn

    # --- showing ----------------------------------------------------------------------------------------------------

    def shown(self, reading: Reading, account: str | None, answer: T, question: Question = EVERYTHING) -> T:
        """The answer as a view that lags gives it. Raises UNKNOWN_ORDER."""
        now_ms = self._exchange.clock.now_ms()
        self._late = [late for late in self._late if not all(until.is_over(now_ms) for until in late.views.values())]
        bent: object = answer
        for late in self._late:
            if late.order.account != account:
                continue
            done = self._show(reading, late, bent, now_ms, question)
            if done is not bent:
                bent = done
                if reading in (Reading.POSITIONS, Reading.FUTURES_ACCOUNT, Reading.SPOT_BALANCES):
                    break  # the oldest state that is still shown holds the later ones too
        return bent  # type: ignore[return-value]  # the same type, rebuilt

    def _show(self, reading: Reading, late: _Late, answer: object, now_ms: int, question: Question) -> object:
        if reading is Reading.OPEN_ORDERS and late.before is not None:
            return _still_open(late, answer, now_ms, question)
        if reading in (Reading.POSITIONS, Reading.FUTURES_ACCOUNT, Reading.SPOT_BALANCES):
            return self._show_account(reading, late, answer, now_ms)
        number = late.order.order_id
        if isinstance(answer, OrderResult) and answer.order.order_id == number and late.lags(reading, now_ms):
            return OrderResult(_as_new(answer.order), ())
        if isinstance(answer, Order) and answer.order_id == number and late.lags(reading, now_ms):
            if late.before is None:
                raise SimError(ErrorKind.UNKNOWN_ORDER, "no such order")
            return _as_new(answer)
        if isinstance(answer, tuple) and any(_is_of(row, number) for row in answer) and late.lags(reading, now_ms):
            if reading is Reading.ORDERS and late.before is not None:
                return tuple(_as_new(row) if _is_of(row, number) else row for row in answer)
            return tuple(row for row in answer if not _is_of(row, number))
        return answer

    def _show_account(self, reading: Reading, late: _Late, answer: object, now_ms: int) -> object:
        before, key = late.before, late.order.market
        if before is None:
            return answer
        if reading is Reading.SPOT_BALANCES:
            return before.spot if before.spot and late.lags(reading, now_ms) else answer
        if isinstance(answer, FuturesAccount):
            if answer.kind is not key.kind or not late.lags(reading, now_ms):
                return answer
            rows = self._as_before(answer.positions, before, key)
            return replace(answer, positions=rows, balances=_balances(answer.balances, before.balances, rows))
        if isinstance(answer, tuple) and any(row.market == key for row in answer) and late.lags(reading, now_ms):
            return self._as_before(answer, before, key)
        return answer

    def _as_before(self, rows: tuple[Position, ...], before: _Before, key: MarketKey) -> tuple[Position, ...]:
        market = self._exchange.market(key)
        past = {row.side: row for row in before.positions}
        return tuple(
            _revalued(market, row, past[row.side]) if row.market == key and row.side in past else row for row in rows
        )


def _still_open(late: _Late, answer: object, now_ms: int, question: Question) -> object:
    """The open orders with one among them that has filled by now."""
    key = late.order.market
    asked = question.market in (None, key) and question.kind in (None, key.kind)
    if not asked or not isinstance(answer, tuple) or not late.lags(Reading.OPEN_ORDERS, now_ms):
        return answer
    others = tuple(row for row in answer if not _is_of(row, late.order.order_id))
    return (*others, _as_new(late.order))


def _is_of(row: object, order_id: int) -> bool:
    return isinstance(row, Order | Fill) and row.order_id == order_id


def _as_new(order: Order) -> Order:
    """The order as it was when it had just been taken in."""
    return replace(
        order,
        status=OrderStatus.NEW,
        executed_quantity=ZERO,
        executed_value=ZERO,
        average_price=ZERO,
        updated_ms=order.created_ms,
    )


def _revalued(market: Market, row: Position, past: Position) -> Position:
    """A past position at the present mark, so that its fields agree with one another."""
    worth = value(market, past.quantity, row.mark_price)
    margin = booked(abs(worth) / row.leverage)
    return replace(
        past,
        mark_price=row.mark_price,
        unrealised_pnl=booked(pnl(market, past.quantity, past.entry_price, row.mark_price)),
        notional=booked(worth),
        initial_margin=margin + past.open_order_initial_margin,
        position_initial_margin=margin,
        maintenance_margin=booked(abs(worth) * market.maintenance_rate),
    )


def _balances(
    now: tuple[FuturesBalance, ...], before: tuple[FuturesBalance, ...], positions: tuple[Position, ...]
) -> tuple[FuturesBalance, ...]:
    """Past wallets with the profit of the positions that are shown with them."""
    past = {row.asset: row for row in before}
    shown: list[FuturesBalance] = []
    for row in now:
        old = past.get(row.asset)
        if old is None:
            shown.append(row)
            continue
        gain = sum((each.unrealised_pnl for each in positions if each.settle == row.asset), ZERO)
        margin = old.wallet_balance + gain
        shown.append(replace(old, unrealised_pnl=gain, cross_unrealised_pnl=gain, margin_balance=margin))
    return tuple(shown)
