"""How an order meets a book that others made, pure: which levels it takes, and what of them is left to take.

The book of the real venue does not know of our fills, so it shows what we have taken for as long as nothing else
changes it. What was taken at a price is remembered for as long as that price is shown: taking it twice would be to
fill on liquidity that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from keeper.core.model import ZERO, Side
from keeper.core.quotes import Level

Taken = Mapping[Decimal, Decimal]
"""Contracts taken so far at each price of one side of a book."""


@dataclass(frozen=True, slots=True)
class Take:
    """Contracts (positive) at a price."""

    price: Decimal
    contracts: Decimal


def still_taken(levels: Sequence[Level], taken: Taken) -> dict[Decimal, Decimal]:
    """What of earlier takes is still in the levels that are shown now.

    A level that has gone was traded away or withdrawn, ours with it; of one that has shrunk no more than what is shown
    can be ours. One that has grown has grown by what others added.
    """
    shown = {level.price: level.contracts for level in levels}
    kept = {price: min(amount, shown[price]) for price, amount in taken.items() if price in shown}
    return {price: amount for price, amount in kept.items() if amount > 0}


def crosses(side: Side, price: Decimal, level: Decimal) -> bool:
    """Whether an order of ``side`` at ``price`` may trade at a price of the other side of the book."""
    return level <= price if side is Side.BUY else level >= price


def take(side: Side, price: Decimal, contracts: Decimal, levels: Sequence[Level], taken: Taken) -> tuple[Take, ...]:
    """What an order gets from the other side of the book (best level first), at each level's own price."""
    takes: list[Take] = []
    left = contracts
    for level in levels:
        if left <= 0 or not crosses(side, price, level.price):
            break
        got = min(left, level.contracts - taken.get(level.price, ZERO))
        if got > 0:
            takes.append(Take(level.price, got))
            left -= got
    return tuple(takes)
