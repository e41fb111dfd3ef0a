"""An order of ours that rests: what it did to the position, and whether it may stay.

Level-triggered like everything else: it stays only as long as the keeper would place it again now. Nothing replaces it
before its end is known; the next look plans anew.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from keeper.core.execution import Execution, Resting
from keeper.core.hedge import expect, moved_by_us
from keeper.core.model import (
    NO_CONTRACTS,
    ONE,
    ZERO,
    Base,
    Contracts,
    Exposure,
    HedgeMemory,
    Instrument,
    Intent,
    Kind,
    Mark,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Side,
)
from keeper.core.orders import ceil_to_step, plain

SIZE_SLACK = Decimal("0.001")
"""Of what rests: how far a size that depends on the price may move before the order is taken back for it."""


def sign_of(side: Side) -> int:
    """What one contract of an order does to the position."""
    return -1 if side is Side.SELL else 1


def rests(intent: Intent) -> bool:
    """Whether the venue has shown the order resting in its book."""
    return intent.outcome.state is OutcomeState.WORKING


def remaining(intent: Intent) -> Contracts:
    """Contracts that may still fill, as far as is known; not negative."""
    return Contracts(max(ZERO, intent.order.contracts - intent.outcome.filled))


def placed(order: PlannedOrder, outcome: Outcome, before: Contracts) -> Resting:
    """What is known of an order that rests since it was placed on a position of ``before``."""
    return Resting(order.client_id, outcome.filled, before + sign_of(order.side) * outcome.filled, before)


def span(intent: Intent, known: Resting | None) -> tuple[Contracts, Contracts]:
    """The positions that the order alone can lead to: the lowest and the highest."""
    sign = sign_of(intent.order.side)
    start = intent.position_before if known is None else known.position - sign * known.filled
    ends = (start, start + sign * intent.order.contracts)
    return Contracts(min(ends)), Contracts(max(ends))


def followed(
    known: Resting, order: PlannedOrder, filled: Contracts, position: Contracts | None
) -> tuple[Resting, Contracts]:
    """After another look: what is known now, and the change of the position that the order cannot explain.

    ``filled`` was asked for after ``position`` was read, and a venue may show a fill in the one before the other. So a
    reading anywhere between the last one and all that the order could fill is explained by it; what went the other way,
    or further than that, is somebody else's. Between what the fills imply and what the order could do there is doubt,
    and the order's end decides.
    """
    sign = sign_of(order.side)
    implied = known.position + sign * (filled - known.filled)
    if position is None:
        return replace(known, filled=filled, position=implied), NO_CONTRACTS
    furthest = known.position + sign * (order.contracts - known.filled)
    foreign: Decimal = ZERO
    if (position - known.shown) * sign < 0:
        foreign = position - known.shown
    elif (position - furthest) * sign > 0:
        foreign = position - furthest
    return Resting(known.client_id, filled, implied + foreign, position), Contracts(foreign)


def position_after(memory: HedgeMemory, intent: Intent, outcome: Outcome) -> Contracts:
    """The position that an order's end implies: what others did while it rested is in it."""
    known, sign = memory.resting, sign_of(intent.order.side)
    if known is None or known.client_id != intent.client_id:
        return Contracts(intent.position_before + sign * outcome.filled)
    return Contracts(known.position + sign * (outcome.filled - known.filled))


def after_end(memory: HedgeMemory, intent: Intent, outcome: Outcome, now_ms: int) -> HedgeMemory:
    """Memory once the order has ended: the position that the venue has to show before the next decision."""
    known, implied = memory.resting, position_after(memory, intent, outcome)
    if known is None or known.client_id != intent.client_id:
        return expect(
            memory, intent.order.instrument, intent.position_before, Contracts(implied - intent.position_before), now_ms
        )
    # Counted from the last reading, which has a part of it already.
    memory, ident, shown = replace(memory, resting=None), intent.order.instrument, Contracts(known.shown)
    if outcome.filled:
        memory = moved_by_us(memory, ident, (intent.position_before, shown), implied, now_ms)
    return expect(memory, ident, shown, Contracts(implied - shown), now_ms)


def runs_ahead(known: Resting, side: Side) -> bool:
    """Whether the position went further than the fills that are known explain."""
    return (known.shown - known.position) * sign_of(side) > 0


def why_withdraw(intent: Intent, exposure: Exposure, drift_base: Base, execution: Execution) -> str | None:
    """Why the order may not stay, or None: it asks for what is wanted now, for no more of it, and near the touch.

    ``drift_base`` is what there is to do now, signed as a drift.
    """
    order, left = intent.order, remaining(intent)
    instrument, mark, position = exposure.hedge.instrument, exposure.mark, exposure.position
    if mark is None or position is None or order.instrument != instrument.id:
        return "its market or its position cannot be seen"
    side = Side.SELL if drift_base > 0 else Side.BUY
    if side is not order.side:
        return f"there is to {side.value} now"
    wanted = ceil_to_step(abs(instrument.contracts_for(drift_base, mark.mark)), instrument.step_contracts)
    # Where the size depends on the price it moves with every tick, and no further than the leash lets the order stand.
    moves = instrument.kind is not Kind.LINEAR or not exposure.hedge.is_own
    slack = left * max(execution.leash_ratio, SIZE_SLACK) if moves else ZERO
    if left > wanted + slack:
        return f"{plain(left)} contracts rest, and only {plain(wanted)} are wanted now"
    if side is Side.BUY and left > max(ZERO, -position.contracts):
        return f"{plain(left)} contracts rest to cover, and the position is {plain(position.contracts)}"
    if side is Side.SELL and _is_beyond_holdings(left - slack, exposure, instrument, mark):
        return "what rests would leave the account net short"
    return _off_leash(order, mark, execution)


def _is_beyond_holdings(left: Decimal, exposure: Exposure, instrument: Instrument, mark: Mark) -> bool:
    if exposure.equity_base is None or exposure.futures_base is None:
        return True
    room = Base(max(ZERO, exposure.equity_base + exposure.futures_base))
    return left > ceil_to_step(instrument.contracts_for(room, mark.mark), instrument.step_contracts)


def _off_leash(order: PlannedOrder, mark: Mark, execution: Execution) -> str | None:
    """The touch has gone away from the order by more than the leash."""
    if order.side is Side.SELL:
        touch = mark.ask if mark.ask is not None else mark.mark
        away = ONE - touch / order.price
    else:
        touch = mark.bid if mark.bid is not None else mark.mark
        away = touch / order.price - ONE
    if away <= execution.leash_ratio:
        return None
    return f"the touch is at {plain(touch)}, more than {plain(execution.leash_bps)} bps from {plain(order.price)}"
