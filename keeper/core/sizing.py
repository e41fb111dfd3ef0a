"""The sizing arithmetic alone: how many contracts hedge an exposure, without a venue.

Everything is computed in fractions and rounded once, at the end, so that a step is never missed or exceeded because a
division had no finite expansion. ``target T = -H·β·E·P_asset / P_hedge`` (0 where the exposure is not positive);
``drift = D - T``; contracts = |drift| in quote ÷ notional of one contract at its own mark, rounded toward less short:
sells down, buys up, and a buy stops at the position. The rounding here is the loop's own (``orders`` uses it), so that
both come to the same number of contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from math import ceil, floor

from keeper.core.model import NO_CONTRACTS, NO_QUOTE, ONE, ZERO, Base, Contracts, Kind, Quote, Side

SNAP_STEPS = Fraction(1, 10**9)
"""How far below a whole step still is that step: divisions such as n·size/mark end in the 28th digit, and a hedge of
3,250 contracts must not be read as 3,249.999…"""

_DIGITS = 28
"""Significant digits of a figure that has no finite expansion."""
_EXACT_DIGITS = 400
"""More than any figure of this module has when it is finite: inputs are bounded where they are read."""


@dataclass(frozen=True, slots=True)
class SizingInput:
    """What is to be hedged, and with which contract.

    ``exposure_quote`` is the value of what is held, in quote money at the asset's own price; ``base_price`` is the
    price of one base unit of the hedging contract (its mark; for an index contract the price of the asset that it
    stands for, None when that is not known); ``contract_notional`` is what one contract is worth at its mark.
    ``futures_base`` is what is held already (short < 0), in base units of the hedging contract.
    """

    exposure_quote: Fraction
    ratio: Decimal
    beta: Decimal
    contract_notional: Fraction
    base_price: Decimal | None
    futures_base: Base
    step: Decimal = ZERO
    min_notional: Quote = NO_QUOTE


@dataclass(frozen=True, slots=True)
class Sizing:
    """The order, and where it leaves the hedge. ``contracts``, ``amount_base`` and ``notional`` are not negative.

    The ``_base`` figures are None where no price takes quote money to base units. ``residual_base`` is what the order
    leaves to be done, positive: still to short. ``below_minimum`` says that an order was too small to be placed.
    """

    contracts: Contracts
    amount_base: Base | None
    notional: Quote
    side: Side | None
    target_base: Base | None
    drift_base: Base | None
    residual_base: Base | None
    below_minimum: bool


def exposure_value(quantity: Decimal, asset_price: Decimal) -> Fraction:
    """Quote value of ``quantity`` coins, exact."""
    return Fraction(quantity) * Fraction(asset_price)


def contract_value(kind: Kind, contract_size: Decimal, mark: Decimal) -> Fraction:
    """Quote value of one contract at ``mark`` (for an index contract the index), exact."""
    return Fraction(contract_size) if kind is Kind.INVERSE else Fraction(contract_size) * Fraction(mark)


def steps_down(contracts: Decimal | Fraction, step: Decimal) -> int:
    """The largest whole number of steps not above ``contracts``; ``step`` is positive."""
    return floor(Fraction(contracts) / Fraction(step) + SNAP_STEPS)


def steps_up(contracts: Decimal | Fraction, step: Decimal) -> int:
    """The smallest whole number of steps not below ``contracts``; ``step`` is positive."""
    return ceil(Fraction(contracts) / Fraction(step) - SNAP_STEPS)


def size(given: SizingInput) -> Sizing:
    """Contracts to trade now; the arithmetic of the module's first lines."""
    if given.base_price is None and given.futures_base != 0:
        raise ValueError("a position in base units needs the price of a base unit")
    price = Fraction(given.base_price) if given.base_price is not None else None
    weighted = Fraction(given.beta) * given.exposure_quote
    target_quote = Fraction(given.ratio) * max(weighted, Fraction(0))
    held_quote = Fraction(given.futures_base) * price if price is not None else Fraction(0)
    drift_quote = held_quote + target_quote
    contracts = _contracts(drift_quote, held_quote, given)
    notional = contracts * given.contract_notional
    below = drift_quote != 0 and (contracts == 0 or notional < Fraction(given.min_notional))
    if below or drift_quote == 0:
        contracts = notional = Fraction(0)
    side = None if contracts == 0 else Side.SELL if drift_quote > 0 else Side.BUY
    left_quote = drift_quote - notional if drift_quote > 0 else drift_quote + notional
    # Digits that do not end are cut toward less short too, but not beyond the position.
    stops = side is Side.SELL or contracts * given.contract_notional >= -held_quote
    rounding = ROUND_FLOOR if stops else ROUND_CEILING
    return Sizing(
        contracts=Contracts(_decimal(contracts, rounding)) if contracts else NO_CONTRACTS,
        amount_base=_base(notional, price),
        notional=Quote(_decimal(notional)),
        side=side,
        target_base=_base(-target_quote, price),
        drift_base=_base(drift_quote, price),
        residual_base=_base(left_quote, price),
        below_minimum=below,
    )


def _contracts(drift_quote: Fraction, held_quote: Fraction, given: SizingInput) -> Fraction:
    """Contracts, not negative, on the step; a buy of the whole short is that short, on the step or not."""
    wanted, step = abs(drift_quote) / given.contract_notional, Fraction(given.step)
    if drift_quote >= 0:
        return steps_down(wanted, given.step) * step if step > 0 else wanted
    short = max(Fraction(0), -held_quote) / given.contract_notional
    return min(steps_up(wanted, given.step) * step if step > 0 else wanted, _snapped(short, given.step))


def _snapped(contracts: Fraction, step: Decimal) -> Fraction:
    """A position that was typed in base units, as the whole number of steps that was meant, where that is close."""
    whole = steps_down(contracts, step) * Fraction(step) if step > 0 else contracts
    return whole if abs(contracts - whole) <= SNAP_STEPS * Fraction(step) else contracts


def _base(quote: Fraction, price: Fraction | None) -> Base | None:
    return None if price is None else Base(_decimal(quote / price))


def _decimal(number: Fraction, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """All digits where they end, else the first 28."""
    denominator = number.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    digits = _EXACT_DIGITS if denominator == ONE else _DIGITS
    return Context(prec=digits, rounding=rounding).divide(Decimal(number.numerator), Decimal(number.denominator))
