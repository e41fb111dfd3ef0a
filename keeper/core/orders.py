"""From a drift to complete orders: contracts, steps, minimums, slices, prices, ids.

Rounding never over-hedges: sells round down, buys round up and stop at the position. What is too small to place is
reported as a residual (positive: still to short), not retried.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from keeper.core.execution import POST_ONLY
from keeper.core.model import (
    NO_BASE,
    ONE,
    ZERO,
    Base,
    Contracts,
    Exposure,
    Hedge,
    Instrument,
    Mark,
    OrderPlan,
    PlannedOrder,
    Quote,
    Reason,
    Rebalance,
    Side,
    WorkingOrder,
)
from keeper.core.sizing import steps_down, steps_up

MAX_SLICES = 1_000
"""A bound on one plan; the rest is left to later cycles."""
MAX_TOUCH_FROM_MARK = Decimal("0.05")
"""A book whose touch is further from the mark than this is not a price to trade on."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What makes client order ids deterministic and unique: the journal's tag, the run and the cycle."""

    tag: str
    run: int
    cycle: int


def client_order_id(epoch: Epoch, hedge: str, leg: int) -> str:
    """Canonical id of one leg: the journal's tag, then a hash of run, cycle, hedge and leg (28 hexadecimal digits)."""
    text = f"{epoch.tag}/{epoch.run}/{epoch.cycle}/{hedge}/{leg}"
    return epoch.tag + hashlib.sha256(text.encode()).hexdigest()[:22]


def is_ours(client_id: str | None, tag: str) -> bool:
    """Whether a canonical client id was made by the journal with this tag."""
    return client_id is not None and len(client_id) == 28 and client_id.startswith(tag)


def floor_to_step(contracts: Decimal, step: Decimal) -> Contracts:
    """The largest whole number of steps not above ``contracts`` (which is not negative)."""
    if step <= 0:
        return Contracts(contracts)
    return Contracts(max(ZERO, steps_down(contracts, step) * step))


def ceil_to_step(contracts: Decimal, step: Decimal) -> Contracts:
    """The smallest whole number of steps not below ``contracts`` (which is not negative)."""
    if step <= 0:
        return Contracts(contracts)
    return Contracts(max(ZERO, steps_up(contracts, step) * step))


def contracts_to_sell(drift_base: Base, instrument: Instrument, mark: Decimal) -> Contracts:
    """Contracts that short ``drift_base`` (positive) more at ``mark``, rounded down to the step."""
    return floor_to_step(instrument.contracts_for(drift_base, mark), instrument.step_contracts)


def contracts_to_buy(drift_base: Base, instrument: Instrument, mark: Decimal, short_contracts: Contracts) -> Contracts:
    """Contracts that buy back ``-drift_base`` at ``mark``, rounded up to the step; never more than the short itself."""
    wanted = ceil_to_step(instrument.contracts_for(Base(-drift_base), mark), instrument.step_contracts)
    return Contracts(min(wanted, short_contracts))


def limit_price(side: Side, quote: Mark, max_slippage: Decimal, tick: Decimal) -> Decimal:
    """The worst price accepted: the touch less (sell) or plus (buy) ``max_slippage``, on the tick inside of it.

    Without a touch the mark stands in for it. A touch that is off the mark, as one that is read late is after a jump,
    adds nothing to how far from the mark an order goes: no further than a touch may be, or ``max_slippage`` if that is
    more.
    """
    furthest = max(MAX_TOUCH_FROM_MARK, max_slippage)
    if side is Side.SELL:
        worst = (quote.bid if quote.bid is not None else quote.mark) * (ONE - max_slippage)
        worst = max(worst, quote.mark * (ONE - furthest))
        return (worst / tick).to_integral_value(ROUND_CEILING) * tick if tick > 0 else worst
    worst = (quote.ask if quote.ask is not None else quote.mark) * (ONE + max_slippage)
    worst = min(worst, quote.mark * (ONE + furthest))
    return (worst / tick).to_integral_value(ROUND_FLOOR) * tick if tick > 0 else worst


def touch_price(side: Side, mark: Mark, tick: Decimal) -> Decimal:
    """Where an order joins its own side of the book, on the tick, and never on the other side's price.

    Where its own side is empty, one tick from the other; where there is none either, the mark.
    """
    own, other = (mark.ask, mark.bid) if side is Side.SELL else (mark.bid, mark.ask)
    if own is not None:
        return own
    if other is None:
        return mark.mark
    return other + tick if side is Side.SELL else other - tick


def below_minimum(contracts: Contracts, instrument: Instrument, price: Decimal, *, reduces: bool) -> str | None:
    """Why the venue would refuse so small an order, or None. Covers are exempt from the notional where it says so."""
    if contracts <= 0:
        return f"less than one step of {plain(instrument.step_contracts)} contracts"
    if contracts < instrument.min_contracts:
        return f"{plain(contracts)} contracts is below the minimum of {plain(instrument.min_contracts)}"
    notional = abs(instrument.notional(contracts, price))
    if notional < instrument.min_notional and (instrument.min_notional_on_covers or not reduces):
        return f"notional {notional:.2f} is below the minimum of {plain(instrument.min_notional)}"
    return None


def plain(number: Decimal) -> str:
    """A decimal in plain notation, every digit of it, without an exponent, idle zeros or a negative zero."""
    text = format(number, "f")  # no arithmetic: that would round to the context's 28 digits
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def plan(
    exposure: Exposure, decision: Rebalance, max_order_notional: Quote, epoch: Epoch, *, rests: bool = False
) -> OrderPlan:
    """Complete slices that would restore the target, in the order in which they are to be sent.

    With ``rests`` they are post-only orders at the touch. Whatever works on the venue already counts against the drift,
    whoever placed it.
    """
    hedge, quote = exposure.hedge, exposure.mark
    if quote is None or exposure.position is None:
        raise ValueError("a plan needs a price and a position; decide() holds without them")
    instrument, drift = hedge.instrument, decision.drift_base
    side = Side.SELL if drift > 0 else Side.BUY
    if rests:
        price = touch_price(side, quote, instrument.tick)
    else:
        price = limit_price(side, quote, hedge.max_slippage, instrument.tick)
    held = exposure.position.contracts
    if side is Side.SELL:
        wanted = contracts_to_sell(drift, instrument, quote.mark)
    else:
        short = Contracts(max(ZERO, -held) - working_contracts(exposure.working, Side.BUY))
        wanted = contracts_to_buy(drift, instrument, quote.mark, Contracts(max(ZERO, short)))
    if side is Side.SELL:
        wanted = Contracts(max(ZERO, wanted - working_contracts(exposure.working, Side.SELL)))
    reduces = side is Side.BUY or held >= wanted
    sizes, why = _slices(wanted, hedge, price, quote.mark, max_order_notional, reduces=reduces)
    orders = tuple(
        _order(hedge, side, size, price, quote, reduces, client_order_id(epoch, hedge.name, leg))
        for leg, size in enumerate(sizes)
    )
    force = POST_ONLY if rests else "IOC"
    orders = tuple(replace(order, style=hedge.execution.style, time_in_force=force) for order in orders)
    placed = sum((order.amount_base for order in orders), ZERO)
    residual = Base(drift - placed if side is Side.SELL else drift + placed)
    reasons = (Reason("below_minimum", f"{plain(residual)} is left: {why}"),) if why is not None else ()
    return OrderPlan(hedge.name, orders, residual, reasons)


def working_contracts(working: tuple[WorkingOrder, ...], side: Side) -> Contracts:
    """What may still fill on ``side``."""
    return Contracts(sum((order.remaining for order in working if order.side is side), ZERO))


def _slices(
    wanted: Contracts, hedge: Hedge, price: Decimal, mark: Decimal, max_order_notional: Quote, *, reduces: bool
) -> tuple[list[Contracts], str | None]:
    """Sizes of the orders that make up ``wanted``, and why the last part of it cannot be placed, if it cannot."""
    instrument = hedge.instrument
    one = abs(instrument.notional(Contracts(ONE), max(price, mark)))
    largest = floor_to_step(max_order_notional / one, instrument.step_contracts)
    if instrument.max_contracts is not None:
        largest = min(largest, floor_to_step(instrument.max_contracts, instrument.step_contracts))
    sizes: list[Contracts] = []
    left: Decimal = wanted
    worth = min(price, mark)
    while len(sizes) < MAX_SLICES:
        size = Contracts(min(left, largest))
        if reduces and size < left:
            size = _leaving_enough(size, left, instrument, worth)
        why = below_minimum(size, instrument, worth, reduces=reduces)
        if why is not None:
            return sizes, why if left > 0 or not sizes else None
        sizes.append(size)
        left -= size
    return sizes, None


def _leaving_enough(size: Contracts, left: Decimal, instrument: Instrument, price: Decimal) -> Contracts:
    """The slice of a cover, smaller where it would leave behind what could not be covered by itself."""
    rest = Contracts(left - size)
    if below_minimum(rest, instrument, price, reduces=True) is None:
        return size
    one = abs(instrument.notional(Contracts(ONE), price))
    # A tenth more, as prices move until the rest is covered.
    least = max(instrument.min_contracts, instrument.min_notional * Decimal("1.1") / one, instrument.step_contracts)
    smaller = Contracts(left - ceil_to_step(least, instrument.step_contracts))
    return smaller if below_minimum(smaller, instrument, price, reduces=True) is None else size


def arrival_mid(quote: Mark) -> Decimal:
    """What an order's price is measured by afterwards: halfway between the touches, the mark where one is missing."""
    return quote.mark if quote.bid is None or quote.ask is None else (quote.bid + quote.ask) / 2


def _order(
    hedge: Hedge, side: Side, size: Contracts, price: Decimal, quote: Mark, reduces: bool, client_id: str
) -> PlannedOrder:
    instrument, mark = hedge.instrument, quote.mark
    return PlannedOrder(
        client_id=client_id,
        hedge=hedge.name,
        instrument=instrument.id,
        side=side,
        contracts=size,
        amount_base=Base(abs(instrument.delta(size, mark))) if size else NO_BASE,
        notional=Quote(abs(instrument.notional(size, mark))),
        price=price,
        reduce_only=reduces,
        arrival_mid=arrival_mid(quote),
    )
