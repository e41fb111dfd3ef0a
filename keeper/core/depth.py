"""What an order would cost that takes from the visible book, and how much of it a cap on that cost lets through.

Slippage is a fraction of the mid and positive where it costs: ``(mid - average) / mid`` for a sell, ``(average - mid)
/ mid`` for a buy; half of the spread is in it. The average price of a coin-margined contract is the harmonic one, since
its contracts are worth a fixed amount of quote money: ``Σn / Σ(n/p)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from keeper.core.model import ONE, ZERO, Contracts, Kind, Side
from keeper.core.orders import floor_to_step
from keeper.core.quotes import Book, Level


@dataclass(frozen=True, slots=True)
class Walk:
    """What taking ``contracts`` from a book comes to; ``slippage`` as in the module's first lines."""

    contracts: Contracts
    average_price: Decimal
    slippage: Decimal


def slippage_of(side: Side, price: Decimal, mid: Decimal) -> Decimal:
    """How much worse than the mid a price is, as a fraction of the mid; negative where it is better."""
    return (mid - price if side is Side.SELL else price - mid) / mid


def reach(book: Book, side: Side, limit: Decimal | None = None) -> Iterator[Level]:
    """The levels that an order on ``side`` meets, best first, up to ``limit``."""
    for level in book.bids if side is Side.SELL else book.asks:
        if limit is not None and (level.price < limit if side is Side.SELL else level.price > limit):
            return
        yield level


def walk(book: Book, side: Side, contracts: Contracts, kind: Kind) -> Walk | None:
    """Take ``contracts`` (or all that is visible, where that is less); None where there is nothing or no mid."""
    mid = book.mid
    taken = value = ZERO
    for level in reach(book, side):
        part = min(level.contracts, contracts - taken)
        if part <= 0:
            break
        taken += part
        value += part / level.price if kind is Kind.INVERSE else part * level.price
    if mid is None or taken == 0:
        return None
    average = taken / value if kind is Kind.INVERSE else value / taken
    return Walk(Contracts(taken), average, slippage_of(side, average, mid))


def fitting(
    book: Book, side: Side, wanted: Contracts, kind: Kind, step: Decimal, *, limit: Decimal, cap: Decimal | None
) -> Contracts:
    """The most of ``wanted`` that the visible book takes, in whole steps where it is less than all of it.

    No level beyond ``limit`` is met; with ``cap`` the average slippage against the mid is at most that. Zero where the
    side is empty, or its best price is beyond the cap already.
    """
    mid = book.mid
    worst = None if cap is None or mid is None else mid * (ONE - cap if side is Side.SELL else ONE + cap)
    fits = excess = ZERO
    for level in reach(book, side, limit):
        part = min(level.contracts, wanted - fits)
        over = ZERO if worst is None else _excess(side, level.price, worst, kind)
        if over > 0:
            # The levels before it have something left under the cap; this one uses it up.
            part = min(part, max(ZERO, -excess / over))
        fits += part
        excess += part * over
        if fits >= wanted or part < level.contracts:
            break
    return wanted if fits >= wanted else floor_to_step(fits, step)


def _excess(side: Side, price: Decimal, worst: Decimal, kind: Kind) -> Decimal:
    """By how much one contract at ``price`` is worse than one at ``worst``, in what the contract's value adds up in."""
    if kind is Kind.INVERSE:
        return ONE / price - ONE / worst if side is Side.SELL else ONE / worst - ONE / price
    return worst - price if side is Side.SELL else price - worst
