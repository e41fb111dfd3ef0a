"""What a venue's answer about an order means for it, and how an order ends that nobody finds. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from keeper.core.model import (
    NO_CONTRACTS,
    ZERO,
    Contracts,
    Intent,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Side,
    WorkingOrder,
)
from keeper.core.orders import plain
from keeper.venue.base import Fill, OrderReport, OrderState

LOOKED = "a person has looked at the account"
"""How the text of an end closes after which the position is what is read; the journal keeps it over a restart."""
_ROUNDED = Decimal("0.000001")
_STATES = {
    OrderState.FILLED: OutcomeState.FILLED,
    OrderState.PARTIAL: OutcomeState.PARTIAL,
    OrderState.NONE: OutcomeState.NONE,
    OrderState.OPEN: OutcomeState.UNKNOWN,
}


def filled_of(fills: Iterable[Fill], intent: Intent) -> Contracts:
    """Contracts of this order among the venue's executions."""
    venue_id = intent.outcome.venue_order_id
    mine = (
        fill
        for fill in fills
        if fill.client_id == intent.client_id or (venue_id is not None and fill.venue_order_id == venue_id)
    )
    by_trade = {fill.trade_id: fill.contracts for fill in mine}
    return Contracts(sum(by_trade.values(), ZERO))


def signed_filled(order: PlannedOrder, outcome: Outcome) -> Contracts:
    """What an outcome does to the position: negative for a sell."""
    return signed(order, outcome.filled)


def signed(order: PlannedOrder, filled: Contracts) -> Contracts:
    """What so many contracts of an order do to the position."""
    return Contracts(-filled if order.side is Side.SELL else filled)


def resting(order: PlannedOrder, venue_order_id: str) -> WorkingOrder:
    """An order of ours as something to cancel."""
    return WorkingOrder(
        order.instrument, venue_order_id, order.client_id, order.side, order.contracts, NO_CONTRACTS, order.reduce_only
    )


def is_taken_as_read(outcome: Outcome) -> bool:
    """Whether a person ended the wait for an order whose fills no position can be held against."""
    return outcome.text.endswith(LOOKED)


def question(intent: Intent, text: str) -> Outcome:
    """What only a person can answer. Unknown, also where the order was seen to rest: that alone is asked aloud."""
    text = f"{text}; look at the account, then resume the hedge: keeper resume"
    return replace(intent.outcome, state=OutcomeState.UNKNOWN, text=text)


def ended(intent: Intent, filled: Contracts, text: str) -> Outcome:
    """The end of an order that nobody finds: one with a number, or filled in part, was there once and has ended."""
    if filled or intent.outcome.venue_order_id is not None or intent.outcome.state is OutcomeState.WORKING:
        state = OutcomeState.PARTIAL if filled else OutcomeState.NONE
        return replace(intent.outcome, state=state, filled=filled, text=text)
    return Outcome(intent.client_id, OutcomeState.ABSENT, text=text)


def out_of_reach(intent: Intent, *, vouched: bool) -> Outcome:
    """An order on a contract that is listed no longer: it rests nowhere, and only a person can say that that is all."""
    gone = f"{intent.order.instrument} is not listed any more, and nobody can be asked"
    if not vouched:
        return question(intent, gone)
    return ended(intent, intent.outcome.filled, f"{gone}; {LOOKED}")


def from_report(report: OrderReport, order: PlannedOrder) -> Outcome:
    """The outcome that a venue's report means: an open order rests if it was meant to, and is unknown still if not."""
    if report.filled > order.contracts:
        text = beyond(order, report.filled)
        return Outcome(order.client_id, OutcomeState.UNKNOWN, venue_order_id=report.venue_order_id, text=text)
    state = _STATES[report.state]
    if report.state is OrderState.OPEN and order.rests:
        state = OutcomeState.WORKING
    return Outcome(
        report.client_id,
        state,
        report.filled if state is not OutcomeState.UNKNOWN else NO_CONTRACTS,
        report.average_price,
        report.venue_order_id,
        report.text,
    )


def is_plain(report: OrderReport, order: PlannedOrder, outcome: Outcome) -> bool:
    """Whether the answer to an order can be taken as it is: it rests as it was meant to, or is filled, all of what was
    sent and within its limit. Any other is looked up, where another part of the venue answers: what is taken for
    unfilled is sent again.
    """
    if outcome.state is OutcomeState.WORKING:
        return True
    is_whole = outcome.state is OutcomeState.FILLED and report.contracts == order.contracts
    return is_whole and _is_within_limit(report, order)


def _is_within_limit(report: OrderReport, order: PlannedOrder) -> bool:
    """Whether the average price, if one is told, is one that the order could have: averages are rounded."""
    price = report.average_price
    if price is None:
        return True
    slack = order.price * _ROUNDED
    return price >= order.price - slack if order.side is Side.SELL else price <= order.price + slack


def beyond(order: PlannedOrder, filled: Contracts) -> str:
    """That no order fills beyond its size: what says so is about another one, or is wrong, and moves no position."""
    return f"the venue tells of {plain(filled)} contracts filled of an order over {plain(order.contracts)}"
