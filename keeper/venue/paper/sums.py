"""What a trade does to a position and a wallet, pure. Contracts are signed where they are a position (short < 0).

Money is in the currency that the contract settles in. Linear and index: value = n·size·P, PnL = n·size·(P - P₀).
Inverse: value = n·size/P, PnL = n·size·(1/P₀ - 1/P).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from keeper.core.model import ZERO, Instrument, Kind

MONEY = Decimal("0.00000001")
"""Money is booked in these steps, as venues do."""


def booked(amount: Decimal) -> Decimal:
    """An amount as a wallet keeps it."""
    return amount.quantize(MONEY, rounding=ROUND_HALF_EVEN)


def value(instrument: Instrument, contracts: Decimal, price: Decimal) -> Decimal:
    """What ``contracts`` are worth in the settle currency, with their sign."""
    if instrument.kind is Kind.INVERSE:
        return contracts * instrument.contract_size / price
    return contracts * instrument.contract_size * price


def profit(instrument: Instrument, contracts: Decimal, entry: Decimal, price: Decimal) -> Decimal:
    """What a signed position has earned between two prices."""
    if contracts == 0:
        return ZERO
    if instrument.kind is Kind.INVERSE:
        # one division keeps round numbers round
        return contracts * instrument.contract_size * (price - entry) / (entry * price)
    return contracts * instrument.contract_size * (price - entry)


@dataclass(frozen=True, slots=True)
class Step:
    """A position after a trade, and what the part that was closed has brought."""

    contracts: Decimal
    entry: Decimal
    realised: Decimal


def step(instrument: Instrument, contracts: Decimal, entry: Decimal, change: Decimal, price: Decimal) -> Step:
    """Apply a signed trade: what closes comes first, what is left over opens at ``price``.

    The entry of what is added to is the average by value: arithmetic, and for inverse contracts harmonic.
    """
    after = contracts + change
    if contracts == 0 or (contracts > 0) == (change > 0):
        return Step(after, _average(instrument, contracts, entry, change, price), ZERO)
    closed = min(abs(contracts), abs(change)).copy_sign(contracts)
    realised = booked(profit(instrument, closed, entry, price))
    if abs(change) > abs(contracts):
        return Step(after, price, realised)
    return Step(after, entry if after else ZERO, realised)


def _average(instrument: Instrument, contracts: Decimal, entry: Decimal, added: Decimal, price: Decimal) -> Decimal:
    if contracts == 0:
        return price
    total = contracts + added
    if instrument.kind is Kind.INVERSE:
        return total / (contracts / entry + added / price)
    return (contracts * entry + added * price) / total


def funding(instrument: Instrument, contracts: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """What one settlement pays a position (negative: costs it); positive rates are paid to shorts."""
    return booked(-value(instrument, contracts, mark) * rate)
