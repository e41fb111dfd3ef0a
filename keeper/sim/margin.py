"""Contract arithmetic, pure: value, profit, average entry, liquidation price.

Quantities are signed where they belong to positions (short < 0), in base units for linear and in contracts for
inverse. Money is in the settle currency. Formulas: linear PnL = n·m·(P − P₀); inverse PnL = n·V·(1/P₀ − 1/P).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from keeper.sim.types import ONE, ZERO, Market, MarketKind

MONEY = Decimal("0.00000001")
"""Money is booked in these steps, as Binance does."""
UNREACHABLE = Decimal(10) ** 15
"""A price beyond it is no price: what a rounding leaves when the collateral covers the contract to the last coin."""


def booked(amount: Decimal) -> Decimal:
    """An amount as the ledger keeps it: eight decimals, ties to even."""
    return amount.quantize(MONEY, rounding=ROUND_HALF_EVEN)


def floor_to(quantity: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` not above ``quantity`` (both ≥ 0)."""
    if step <= 0:
        return quantity
    return (quantity / step).to_integral_value(rounding=ROUND_DOWN) * step


def value(market: Market, quantity: Decimal, price: Decimal) -> Decimal:
    """What ``quantity`` is worth at ``price``: quote for spot and linear, base coin for inverse; signed as given."""
    if market.kind is MarketKind.INVERSE:
        return quantity * market.contract_size / price
    return quantity * market.contract_size * price


def quote_value(market: Market, quantity: Decimal, price: Decimal) -> Decimal:
    """What ``quantity`` is worth in quote units, whatever the contract settles in."""
    if market.kind is MarketKind.INVERSE:
        return quantity * market.contract_size
    return quantity * market.contract_size * price


def pnl(market: Market, quantity: Decimal, entry: Decimal, price: Decimal) -> Decimal:
    """Profit of a signed position between two prices, settle currency, gain > 0."""
    if quantity == 0:
        return ZERO
    if market.kind is MarketKind.INVERSE:
        # one division keeps round numbers round: n·V·(1/P0 − 1/P)
        return quantity * market.contract_size * (price - entry) / (entry * price)
    return quantity * market.contract_size * (price - entry)


def average_entry(market: Market, quantity: Decimal, entry: Decimal, added: Decimal, price: Decimal) -> Decimal:
    """Entry price after ``added`` joins ``quantity`` (same sign): arithmetic, for inverse harmonic."""
    if quantity == 0:
        return price
    total = quantity + added
    if market.kind is MarketKind.INVERSE:
        return total / (quantity / entry + added / price)
    return (quantity * entry + added * price) / total


@dataclass(frozen=True, slots=True)
class PositionStep:
    """What an execution does to a position: the part that closes first, then the part that opens."""

    quantity: Decimal  # signed, after
    entry: Decimal  # after; zero when flat
    closed: Decimal  # absolute
    opened: Decimal  # absolute
    realised: Decimal  # settle currency, booked


def step_position(market: Market, quantity: Decimal, entry: Decimal, change: Decimal, price: Decimal) -> PositionStep:
    """Apply a signed execution; one larger than an opposite position turns it around at ``price``."""
    if quantity == 0 or (quantity > 0) == (change > 0):
        total = quantity + change
        return PositionStep(total, average_entry(market, quantity, entry, change, price), ZERO, abs(change), ZERO)
    closed = min(abs(quantity), abs(change))
    realised = booked(pnl(market, closed.copy_sign(quantity), entry, price))
    opened = abs(change) - closed
    after = quantity + change
    if opened > 0:
        return PositionStep(after, price, closed, opened, realised)
    return PositionStep(after, entry if after else ZERO, closed, ZERO, realised)


def liquidation_price(market: Market, quantity: Decimal, entry: Decimal, backing: Decimal) -> Decimal | None:
    """The price at which ``backing`` + PnL equals maintenance, or None where no positive price does.

    ``backing`` (settle currency) is the wallet behind the position: for cross, less what other positions need. Linear:
    P = (E₀ − q·P₀) / (μ·|q| − q). Inverse short of N quote units: P = N·(1 − μ) / (N/P₀ − C), finite only if N > C·P₀;
    long: P = N·(1 + μ) / (C + N/P₀).
    """
    if quantity == 0:
        return None
    rate = market.maintenance_rate
    size = abs(quantity) * market.contract_size
    if market.kind is MarketKind.INVERSE:
        if quantity < 0:
            below = size / entry - backing
            above = size * (ONE - rate)
        else:
            below = size / entry + backing
            above = size * (ONE + rate)
    else:
        signed = size.copy_sign(quantity)
        below = rate * size - signed
        above = backing - signed * entry
        if below < 0:
            below, above = -below, -above
    if below <= 0 or above <= 0 or above > below * UNREACHABLE:
        return None
    return above / below
