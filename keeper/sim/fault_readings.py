"""Answers that are wrong: empty, cut short, older, with the wrong sign, zeroed, told twice or out of order.

Only what a client may take for an answer is bent here; numbers that are null and bodies that are no JSON are the
transport's to make (:class:`keeper.sim.troubles.Garble`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any, TypeAlias, TypeVar

from keeper.sim.fault_armed import Armed
from keeper.sim.fault_kinds import FaultKind
from keeper.sim.margin import booked, floor_to
from keeper.sim.seams import Reading
from keeper.sim.types import (
    ZERO,
    Fill,
    FuturesAccount,
    FuturesBalance,
    MarketKey,
    MarketKind,
    Order,
    OrderBook,
    OrderResult,
    OrderStatus,
    Position,
    Premium,
    SpotBalance,
    Ticker,
)

T = TypeVar("T")

REMEMBERED = 8
SERIES_MAX = 256

_WALLETS = (Reading.SPOT_BALANCES, Reading.FUNDING_WALLET, Reading.EARN_WALLET, Reading.FUTURES_ACCOUNT)
_ACCOUNT = (*_WALLETS, Reading.POSITIONS)
_ANSWERS = (Reading.PLACED, Reading.CANCELLED, Reading.TRANSFERRED)
_EVERY = tuple(each for each in Reading if each not in _ANSWERS)
_APPLIES: dict[FaultKind, tuple[Reading, ...]] = {
    FaultKind.READ_LOST: _EVERY,
    FaultKind.READ_503: _EVERY,
    FaultKind.READ_MALFORMED: _EVERY,
    FaultKind.EMPTY: _ACCOUNT,
    FaultKind.TRUNCATED: (*_ACCOUNT, Reading.OPEN_ORDERS),
    FaultKind.STALE: (*_ACCOUNT, Reading.BOOK, Reading.PREMIUM, Reading.TICKER),
    FaultKind.WRONG_SIGN: _ACCOUNT,
    FaultKind.NONE_FILLED: (*_ACCOUNT, Reading.PREMIUM, Reading.BOOK, Reading.TICKER),
    FaultKind.ZEROED: _ACCOUNT,
    FaultKind.FILLS_DUPLICATED: (Reading.FILLS,),
    FaultKind.FILLS_REORDERED: (Reading.FILLS,),
}


def check_parameters(armed: Armed) -> None:
    """Raise ValueError when ``reading`` names nothing, or nothing that the fault can bend."""
    if "reading" not in armed.parameters:
        return
    names = [reading.value for reading in _APPLIES[armed.kind]]
    asked = armed.text("reading")
    if asked and asked not in names:
        raise ValueError(f"{armed.kind.value} cannot bend the reading {asked!r}: it bends {', '.join(names)}")


def applies(armed: Armed, reading: Reading) -> bool:
    """Whether a fault has to do with this reading."""
    asked = armed.parameters.get("reading")
    return reading in _APPLIES[armed.kind] and (not asked or asked == reading.value)


def market_of(answer: object) -> MarketKey | None:
    """The one market that an answer is about, if it is about one alone."""
    if isinstance(answer, Order | Position | Premium | OrderBook | Ticker):
        return answer.market
    if isinstance(answer, tuple) and answer and isinstance(answer[0], Order | Position | Fill):
        first: MarketKey = answer[0].market
        return first if all(row.market == first for row in answer) else None
    return None


# --- stale answers ------------------------------------------------------------------------------------------------


class Memory:
    """The last answers to each question, so that one of them can be given again."""

    def __init__(self) -> None:
        self._seen: dict[object, deque[object]] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._seen.clear()

    def see(self, asked: Hashable, answer: object) -> None:
        """Remember an answer."""
        seen = self._seen.get(asked)
        if seen is None:
            if len(self._seen) >= SERIES_MAX:
                return
            seen = self._seen[asked] = deque(maxlen=REMEMBERED)
        seen.append(answer)

    def older(self, rng: Random, asked: Hashable, answer: T) -> T:
        """An answer that was right once, or the present one when there is none."""
        seen = self._seen.get(asked)
        if not seen:
            return answer
        return seen[rng.randrange(len(seen))]  # type: ignore[return-value]  # to the same question: of the same type


# --- answers to orders that tell something else -----------------------------------------------------------------------

WRONG_PRICE = Decimal("1.07")


def contradict(armed: Armed, result: OrderResult, step: Decimal) -> OrderResult:
    """The answer to an order with less filled than is so, an end that has not come, or a price it did not fill at.

    That all has filled where it has not is never told: nothing contradicts it but a position that does not come.
    """
    order, way = result.order, armed.rng.choice(("nothing", "less", "ended", "price"))
    if way == "price":
        beyond = WRONG_PRICE**order.side.sign
        worth = order.executed_value * (1 / beyond if order.market.kind is MarketKind.INVERSE else beyond)
        told = replace(order, average_price=booked(order.average_price * beyond), executed_value=booked(worth))
        return replace(result, order=told)
    least = floor_to(order.executed_quantity / 2, step) if way == "less" else ZERO
    if way == "ended" and order.is_open:
        return replace(result, order=replace(order, status=OrderStatus.EXPIRED))
    share = least / order.executed_quantity if order.executed_quantity else ZERO
    status = armed.rng.choice((order.status, OrderStatus.EXPIRED, OrderStatus.FILLED))
    told = replace(
        order,
        status=status if order.executed_quantity else order.status,
        executed_quantity=least,
        executed_value=booked(order.executed_value * share),
        average_price=order.average_price if least else ZERO,
    )
    return replace(result, order=told, fills=())


# --- wrong answers ------------------------------------------------------------------------------------------------


def bend(armed: Armed, answer: T) -> T:
    """The answer as the fault leaves it; the same when there is nothing to bend."""
    bent: object = answer
    if isinstance(answer, FuturesAccount):
        bent = _bend_account(armed, answer)
    elif isinstance(answer, tuple) and answer:
        bent = _BENDERS[armed.kind](armed, answer)
    return bent  # type: ignore[return-value]  # rebuilt in the same type


def _bend_account(armed: Armed, account: FuturesAccount) -> FuturesAccount:
    """Of a whole account it strikes the positions if there are any open, else the balances; empty strikes both."""
    if armed.kind is FaultKind.EMPTY:
        return replace(account, balances=(), positions=())
    bender = _BENDERS[armed.kind]
    if any(row.quantity for row in account.positions) and armed.rng.randrange(2):
        return replace(account, positions=bender(armed, account.positions))
    return replace(account, balances=bender(armed, account.balances))


_Rows: TypeAlias = tuple[Any, ...]


def _empty(_armed: Armed, _rows: _Rows) -> _Rows:
    return ()


def _truncated(armed: Armed, rows: _Rows) -> _Rows:
    cut = max(1, armed.integer("rows"))
    return rows[:-cut] if len(rows) > cut else ()


def _wrong_sign(_armed: Armed, rows: _Rows) -> _Rows:
    return tuple(_negated(row) for row in rows)


def _negated(row: object) -> object:
    if isinstance(row, Position):
        return replace(row, quantity=-row.quantity, notional=-row.notional) if row.quantity else row
    if isinstance(row, SpotBalance):
        return replace(row, free=-row.free, locked=-row.locked) if row.total else row
    if isinstance(row, FuturesBalance):
        return replace(row, wallet_balance=-row.wallet_balance, margin_balance=-row.margin_balance)
    return row


def _zeroed(armed: Armed, rows: _Rows) -> _Rows:
    name = armed.text("name")
    full = [index for index, row in enumerate(rows) if _amount(row) and (not name or _name(row) == name)]
    if not full:
        return rows
    struck = armed.rng.choice(full)
    return tuple(_without(row) if index == struck else row for index, row in enumerate(rows))


def _amount(row: object) -> bool:
    if isinstance(row, Position):
        return bool(row.quantity)
    if isinstance(row, SpotBalance):
        return bool(row.total)
    return isinstance(row, FuturesBalance) and bool(row.wallet_balance)


def _name(row: object) -> str:
    if isinstance(row, Position):
        return row.market.symbol
    return row.asset if isinstance(row, SpotBalance | FuturesBalance) else ""


def _without(row: object) -> object:
    if isinstance(row, Position):
        return replace(row, quantity=ZERO, notional=ZERO, unrealised_pnl=ZERO)
    if isinstance(row, SpotBalance):
        return replace(row, free=ZERO, locked=ZERO)
    if isinstance(row, FuturesBalance):
        return replace(row, wallet_balance=ZERO, cross_wallet_balance=ZERO, margin_balance=row.unrealised_pnl)
    return row


def _duplicated(armed: Armed, rows: _Rows) -> _Rows:
    again = armed.rng.randrange(len(rows))
    return (*rows[: again + 1], *rows[again:])


def _reordered(armed: Armed, rows: _Rows) -> _Rows:
    shuffled = list(rows)
    armed.rng.shuffle(shuffled)
    return tuple(shuffled) if tuple(shuffled) != rows else tuple(reversed(rows))


_BENDERS: dict[FaultKind, Callable[[Armed, _Rows], _Rows]] = {
    FaultKind.EMPTY: _empty,
    FaultKind.TRUNCATED: _truncated,
    FaultKind.WRONG_SIGN: _wrong_sign,
    FaultKind.ZEROED: _zeroed,
    FaultKind.FILLS_DUPLICATED: _duplicated,
    FaultKind.FILLS_REORDERED: _reordered,
}
