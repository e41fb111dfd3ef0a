"""The veto: nothing is sent that has not been reviewed here against true holdings and hard limits.

:func:`review` is the only maker of an :class:`ApprovedPlan`, and the executor takes nothing else. A limit clips an
order and says so; covers are exempt from all limits but slippage.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from keeper.core.depth import fitting, walk
from keeper.core.margins import MarginPolicy
from keeper.core.model import (
    NO_BASE,
    NO_QUOTE,
    ONE,
    ZERO,
    Base,
    Contracts,
    Exposure,
    Instrument,
    Mark,
    OrderPlan,
    PlannedOrder,
    Quote,
    Reason,
    Side,
)
from keeper.core.orders import MAX_TOUCH_FROM_MARK, below_minimum, floor_to_step, plain, working_contracts
from keeper.core.quotes import Book as VisibleBook

ROUNDED = Decimal("1.000000001")
"""What a size may be above a limit that it was divided out of, for the digits that a division leaves off."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits that no hedge's settings can exceed; None is unlimited. Notionals are in quote.

    ``max_short_notional``, ``max_orders_per_hour`` and ``max_daily_turnover`` are for the whole keeper; the last two
    count what adds to shorts. ``max_slippage`` is a fraction of the touch and holds for covers too. ``margin`` are the
    thresholds on what the venues show of theirs; None: it is not judged.
    """

    max_order_notional: Quote
    max_short_notional: Quote | None = None
    max_orders_per_hour: int | None = None
    max_daily_turnover: Quote | None = None
    max_slippage: Decimal = Decimal("0.05")
    margin: MarginPolicy | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """What the whole keeper did and has: the other hedges' short (quote, positive), and new shorts sent lately.

    ``shared_ratio`` is the share of this hedge's coins that other hedges have sold or are to sell; None is not known.
    """

    other_short_notional: Quote = NO_QUOTE
    orders_last_hour: int = 0
    turnover_last_day: Quote = NO_QUOTE
    shared_ratio: Decimal | None = ZERO


_SEAL = object()


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """A plan that passed review. Only ``orders[0]`` is sent from this look; the rest is decided anew after it."""

    orders: tuple[PlannedOrder, ...]
    position_before: Contracts
    reasons: tuple[Reason, ...] = ()
    seal: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse to exist unless :func:`review` made it."""
        if self.seal is not _SEAL:
            raise TypeError("an ApprovedPlan is made by keeper.core.limits.review and by nothing else")

    @property
    def next(self) -> PlannedOrder:
        """The one order to send."""
        return self.orders[0]


@dataclass(frozen=True, slots=True)
class RefusedPlan:
    """A plan that may not be sent, and why."""

    reasons: tuple[Reason, ...]


def review(plan: OrderPlan, exposure: Exposure, limits: Limits, book: Book) -> ApprovedPlan | RefusedPlan:
    """Approve, clip or refuse ``plan``, judged anew from the figures and not from what the planner thought of them."""
    position, quote = exposure.position, exposure.mark
    if position is None or quote is None or exposure.drift_base is None or exposure.blockers:
        return RefusedPlan((Reason("missing_reading", "the plan stands on a reading that is not there"),))
    fault = (
        _touch_fault(exposure)
        or _slippage_fault(exposure, limits)
        or next(filter(None, (_order_fault(order, exposure) for order in plan.orders)), None)
        or next(filter(None, (_size_fault(order, exposure, limits) for order in plan.orders)), None)
    )
    if fault is not None:
        return RefusedPlan((fault,))
    orders, reasons = plan.orders, plan.reasons
    if orders and orders[0].side is Side.SELL:
        orders, clips = _clip_sells(orders, exposure, limits, book)
        reasons = (*reasons, *clips)
    if not orders:
        return RefusedPlan(reasons or (Reason("nothing_to_send", "the plan has no order"),))
    return ApprovedPlan(orders, position.contracts, reasons, _SEAL)


def as_approved(
    planned: OrderPlan, approved: ApprovedPlan, drift: Base, worth: Decimal = ONE, elsewhere: Base = NO_BASE
) -> OrderPlan:
    """The plan with the orders as they were approved, and what is then not placed (positive: still to short).

    ``drift`` is in the leg's base units, of which one is worth ``worth`` of the hedge's; the residual is in the latter.
    ``elsewhere`` is what of the hedge's drift is left to its other contracts.
    """
    placed = sum((order.amount_base for order in approved.orders), ZERO)
    left = drift - placed if drift > 0 else drift + placed
    left = left * worth if worth != ONE else left
    return replace(planned, orders=approved.orders, residual_base=Base(left + elsewhere if elsewhere else left))


def fit_to_book(
    approved: ApprovedPlan, exposure: Exposure, limits: Limits, seen: VisibleBook | None
) -> ApprovedPlan | RefusedPlan:
    """Cut the next order to what the visible book takes at no more than ``max_slippage`` against its mid.

    A sell of which nothing fits is refused. A cover is cut to what the book has within its limit price, whatever the
    spread, and keeps its size where the cut would leave it too small to be placed: its limit price protects it. Without
    a book (None) every order is protected by its limit price alone.
    """
    order, quote = approved.next, exposure.mark
    if order.rests or quote is None:
        return approved
    if seen is None or _is_no_book(seen, quote):
        unread = Reason("book_unread", "the order book could not be read; the limit price alone caps the slippage")
        return replace(approved, reasons=(*approved.reasons, unread))
    instrument = exposure.hedge.instrument
    cap = None if order.reduce_only else min(exposure.hedge.max_slippage, limits.max_slippage)
    step = instrument.step_contracts
    fits = fitting(seen, order.side, order.contracts, instrument.kind, step, limit=order.price, cap=cap)
    small = below_minimum(fits, instrument, min(order.price, quote.mark), reduces=order.reduce_only)
    if small is not None and (cap is not None or fits == 0):
        return RefusedPlan((_too_thin(order, seen, exposure, small),))
    if small is None and fits < order.contracts:
        text = f"cut from {plain(order.contracts)} to {plain(fits)} contracts: more is not in the book at that slippage"
        approved = replace(
            approved,
            orders=(resized(order, fits, instrument, quote.mark), *approved.orders[1:]),
            reasons=(*approved.reasons, Reason("clipped_to_book", text)),
        )
    promised = walk(seen, order.side, approved.next.contracts, instrument.kind)
    first = replace(approved.next, expected_slippage=None if promised is None else promised.slippage)
    return replace(approved, orders=(first, *approved.orders[1:]))


def _is_no_book(seen: VisibleBook, quote: Mark) -> bool:
    """A book that is crossed, empty though the ticker shows both touches, or whose touch is as far from the mark as no
    touch may be: no evidence of depth.
    """
    if seen.bids and seen.asks and seen.bids[0].price >= seen.asks[0].price:
        return True
    if not seen.bids and not seen.asks:
        return quote.bid is not None and quote.ask is not None
    touches = [side[0].price for side in (seen.bids, seen.asks) if side]
    return any(touch <= 0 or abs(touch / quote.mark - ONE) > MAX_TOUCH_FROM_MARK for touch in touches)


def _too_thin(order: PlannedOrder, seen: VisibleBook, exposure: Exposure, small: str) -> Reason:
    instrument, cap = exposure.hedge.instrument, plain(exposure.hedge.max_slippage)
    whole = walk(seen, order.side, order.contracts, instrument.kind)
    what = f"{order.side.value} {plain(order.contracts)} contracts of {instrument.id}"
    if whole is None:
        return Reason("book_too_thin", f"{what}: the book is empty on one side")
    cost = f"{whole.slippage:.5f} against the mid for the {plain(whole.contracts)} contracts that it shows"
    return Reason("book_too_thin", f"{what} would cost {cost}, and max_slippage is {cap}; what fits: {small}")


def resized(order: PlannedOrder, contracts: Contracts, instrument: Instrument, mark: Decimal) -> PlannedOrder:
    """The same order over fewer contracts."""
    amount, notional = Base(abs(instrument.delta(contracts, mark))), Quote(abs(instrument.notional(contracts, mark)))
    return replace(order, contracts=contracts, amount_base=amount, notional=notional)


def _touch_fault(exposure: Exposure) -> Reason | None:
    """A mark that is no price, or a touch that disagrees with it."""
    quote = exposure.mark
    if quote is None or not quote.mark.is_finite() or quote.mark <= 0:
        return Reason("bad_price", "the mark is not a price")
    for name, touch in (("bid", quote.bid), ("ask", quote.ask)):
        if touch is not None and (touch <= 0 or abs(touch / quote.mark - ONE) > MAX_TOUCH_FROM_MARK):
            return Reason("bad_price", f"{name} {plain(touch)} is too far from the mark {plain(quote.mark)}")
    return None


def _slippage_fault(exposure: Exposure, limits: Limits) -> Reason | None:
    """A hedge that would accept more slippage than the keeper allows at all."""
    if exposure.hedge.max_slippage <= limits.max_slippage:
        return None
    allowed = plain(limits.max_slippage)
    return Reason(
        "slippage", f"max_slippage {plain(exposure.hedge.max_slippage)} is above the keeper's limit {allowed}"
    )


def _order_fault(order: PlannedOrder, exposure: Exposure) -> Reason | None:
    """A planned order that contradicts the figures: a bug, caught before it costs anything."""
    hedge, quote, position = exposure.hedge, exposure.mark, exposure.position
    drift = exposure.drift_base
    if quote is None or position is None or drift is None:
        return Reason("missing_reading", "no price, position or drift")
    instrument = hedge.instrument
    if order.instrument != instrument.id or order.hedge != hedge.name:
        return Reason("wrong_instrument", f"the order is for {order.instrument}, the hedge for {instrument.id}")
    off_step = order.contracts <= 0 or floor_to_step(order.contracts, instrument.step_contracts) != order.contracts
    # A cover may end at a position that is itself off the step; nothing else may.
    if off_step and not (order.side is Side.BUY and order.contracts == -position.contracts):
        return Reason("off_step", f"{plain(order.contracts)} contracts is not a whole number of steps")
    step_base = abs(instrument.delta(instrument.step_contracts, quote.mark))
    if abs(instrument.delta(order.contracts, quote.mark)) > abs(drift) + step_base:
        return Reason("beyond_drift", f"{plain(order.contracts)} contracts is more than the drift {plain(drift)}")
    furthest = max(MAX_TOUCH_FROM_MARK, hedge.max_slippage)
    if order.side is Side.BUY:
        if not order.reduce_only or order.contracts > max(ZERO, -position.contracts):
            return Reason("not_a_cover", "a buy has to be reduce-only and no larger than the short")
        worst = (quote.ask if quote.ask is not None else quote.mark) * (ONE + hedge.max_slippage)
        slipped = order.price > min(worst, quote.mark * (ONE + furthest))
    else:
        worst = (quote.bid if quote.bid is not None else quote.mark) * (ONE - hedge.max_slippage)
        slipped = order.price < max(worst, quote.mark * (ONE - furthest))
    if slipped:
        return Reason("slippage", f"price {plain(order.price)} is beyond the slippage cap {plain(hedge.max_slippage)}")
    return None


def _size_fault(order: PlannedOrder, exposure: Exposure, limits: Limits) -> Reason | None:
    """A sell larger than one order may be. The planner slices; this holds whatever it may have thought."""
    if order.side is Side.BUY or exposure.mark is None:
        return None
    worth = abs(exposure.hedge.instrument.notional(order.contracts, max(order.price, exposure.mark.mark)))
    if worth <= limits.max_order_notional * ROUNDED:
        return None
    text = f"an order worth {plain(worth)} is above max_order_notional {plain(limits.max_order_notional)}"
    return Reason("limit_order_notional", text)


def _clip_sells(
    orders: tuple[PlannedOrder, ...], exposure: Exposure, limits: Limits, book: Book
) -> tuple[tuple[PlannedOrder, ...], tuple[Reason, ...]]:
    """Cut sells so that the short stays within true holdings (rule 5) and within the keeper's cap."""
    instrument, quote, position = exposure.hedge.instrument, exposure.mark, exposure.position
    if quote is None or position is None or exposure.equity_base is None or exposure.futures_base is None:
        return (), (Reason("missing_reading", "the true holdings are not known"),)
    if limits.max_orders_per_hour is not None and book.orders_last_hour >= limits.max_orders_per_hour:
        text = f"{book.orders_last_hour} orders in the last hour; max_orders_per_hour is {limits.max_orders_per_hour}"
        return (), (Reason("limit_orders_per_hour", text),)
    working = working_contracts(exposure.working, Side.SELL)
    if book.shared_ratio is None:
        return (), (Reason("shared_coins", "another hedge counts the same coins, and what it has sold is not known"),)
    left = max(ZERO, exposure.equity_base * (ONE - book.shared_ratio))
    room_base = max(ZERO, left + exposure.futures_base)
    room = instrument.contracts_for(Base(room_base), quote.mark) - working
    reasons: list[Reason] = []
    wanted = sum((order.contracts for order in orders), ZERO)
    allowed = floor_to_step(max(ZERO, room), instrument.step_contracts)
    if allowed < wanted:
        others = f", and other hedges have or claim the share {book.shared_ratio:.4f} of the same coins"
        text = f"sells are cut to {plain(allowed)} contracts: never net short{others if book.shared_ratio else ''}"
        reasons.append(Reason("clipped_to_holdings", text))
    one = instrument.notional(Contracts(ONE), quote.mark)
    if limits.max_daily_turnover is not None:
        left = limits.max_daily_turnover - book.turnover_last_day
        capped = floor_to_step(max(ZERO, left / one), instrument.step_contracts)
        if capped < min(allowed, wanted):
            text = (
                f"sells are cut to {plain(capped)} contracts by max_daily_turnover {plain(limits.max_daily_turnover)}"
            )
            reasons.append(Reason("clipped_to_turnover", text))
        allowed = Contracts(min(allowed, capped))
    if limits.max_short_notional is not None:
        own_short = max(ZERO, -instrument.notional(position.contracts, quote.mark))
        pending = instrument.notional(working, quote.mark)
        left = limits.max_short_notional - book.other_short_notional - own_short - pending
        capped = floor_to_step(max(ZERO, left / one), instrument.step_contracts)
        if capped < min(allowed, wanted):
            text = (
                f"sells are cut to {plain(capped)} contracts by max_short_notional {plain(limits.max_short_notional)}"
            )
            reasons.append(Reason("clipped_to_max_short", text))
        allowed = Contracts(min(allowed, capped))
    return _cut(orders, allowed, instrument, quote.mark), tuple(reasons)


def _cut(
    orders: tuple[PlannedOrder, ...], allowed: Contracts, instrument: Instrument, mark: Decimal
) -> tuple[PlannedOrder, ...]:
    """The first ``allowed`` contracts of ``orders``; a part that is too small to place goes with the rest."""
    kept: list[PlannedOrder] = []
    left: Decimal = allowed
    for order in orders:
        size = Contracts(min(order.contracts, left))
        if size < order.contracts and below_minimum(size, instrument, min(order.price, mark), reduces=False):
            break
        kept.append(resized(order, size, instrument, mark))
        left -= size
        if left <= 0:
            break
    return tuple(kept)
