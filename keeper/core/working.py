"""What a decision to trade comes to under a hedge's execution style: now, in part, later, or by an order that rests.

Level-triggered: a programme remembers when it began, how much there was to do, and nothing else. Each look works out
what may still be open by now, and what of that is to be sent; a restart changes nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from keeper.core.changing import changed
from keeper.core.execution import Execution, Programme, Style, due_seconds, open_base, slices_due
from keeper.core.model import (
    NO_BASE,
    ONE,
    ZERO,
    Base,
    Decision,
    Exposure,
    Halt,
    HedgeMemory,
    Hold,
    Intent,
    Reason,
    Rebalance,
)
from keeper.core.orders import plain
from keeper.core.resting import runs_ahead, why_withdraw
from keeper.core.routes import resting_on

THOUSAND = Decimal(1000)
WITHDRAWN = "order_withdrawn"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done this turn. ``rests`` says how a new order is placed; ``withdraw`` is why one is taken back.

    With an order resting nothing is decided but to let it rest, or to take it back: nothing is sent beside it.
    """

    decision: Decision
    memory: HedgeMemory
    rests: bool = False
    withdraw: Reason | None = None


def work(exposure: Exposure, decision: Decision, memory: HedgeMemory, resting: Intent | None, now: Moment) -> Work:
    """Apply the hedge's style to ``decision``; ``resting`` is our order that the venue shows working, if any."""
    execution = exposure.hedge.execution
    memory = changed(memory, programme=_running(exposure, memory.programme, now))
    if isinstance(decision, Hold) and decision.reasons[0].code == "within_band":
        memory = changed(memory, settled_ratio=exposure.target_ratio)
    decision = _carried_on(exposure, decision, memory, now)
    if not isinstance(decision, Rebalance):
        memory = changed(memory, programme=None if _is_over(decision) else memory.programme)
        return _none_wanted(decision, memory, resting)
    if execution.style is Style.MARKET:
        market = Work(decision, replace(memory, programme=None))
        return market if resting is None else _yielding(market, decision, resting, "orders of this hedge do not rest")
    memory, why = _programme(exposure, decision, memory, now)
    programme = memory.programme
    if why is not None or programme is None:
        return _at_once(decision, memory, resting, why or Reason("escalated", "there is no programme"))
    part = _part(execution, programme, decision, now)
    if part is None:
        return _waiting(execution, programme, decision, memory, resting, now)
    if not execution.rests:
        market = Work(part, memory)
        return market if resting is None else _yielding(market, part, resting, "slices of this hedge do not rest")
    if resting is None:
        return Work(part, memory, rests=True)
    return _kept(exposure, execution, part, memory, resting)


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a look in milliseconds that do not step, and what makes its programme's jitter repeatable."""

    at_ms: int
    seed: str


def elapsed_seconds(programme: Programme, at_ms: int) -> Decimal:
    """Since the programme began."""
    return Decimal(at_ms - programme.begun_ms) / THOUSAND


def _running(exposure: Exposure, programme: Programme | None, now: Moment) -> Programme | None:
    """The programme while what it works on is still there; one that seems to begin later began before a clock step."""
    drift = exposure.drift_base
    if programme is None or drift is None:
        return programme
    if drift * programme.total_base <= 0:
        return None
    return replace(programme, begun_ms=now.at_ms) if programme.begun_ms > now.at_ms else programme


def _is_over(decision: Decision) -> bool:
    """A programme ends when the hedge is where it should be, or halts; what only stands in the way does not end it."""
    return not isinstance(decision, Hold) or decision.reasons[0].code in ("within_band", "nothing_to_protect", "halted")


def _carried_on(exposure: Exposure, decision: Decision, memory: HedgeMemory, now: Moment) -> Decision:
    """Inside the band a programme goes on to the target until its deadline, as an order at once would have."""
    programme, drift, execution = memory.programme, exposure.drift_base, exposure.hedge.execution
    if programme is None or drift is None or execution.style is Style.MARKET or not isinstance(decision, Hold):
        return decision
    if [reason.code for reason in decision.reasons] != ["within_band"]:
        return decision
    if elapsed_seconds(programme, now.at_ms) >= execution.deadline_seconds or memory.flattened:
        return decision
    if drift > 0 and (exposure.sell_blockers or memory.halted is not None):
        return decision
    return Rebalance(drift, (Reason("programme", "inside the band; what was begun goes on to the target"),))


def _programme(
    exposure: Exposure, decision: Rebalance, memory: HedgeMemory, now: Moment
) -> tuple[HedgeMemory, Reason | None]:
    """The memory with its programme, begun now where there was none, and why all of the drift is taken at once."""
    execution, ratio, drift = exposure.hedge.execution, exposure.drift_ratio, decision.drift_base
    if ratio is None:
        return memory, Reason("escalated", "there is nothing left to protect: the position is closed at once")
    if memory.flattened:
        return memory, Reason("escalated", "flattened: the short is bought back at once")
    if drift < 0 and not _was_lowered(exposure, memory):
        return memory, Reason("escalated", "over-hedged, and not because the target was lowered: covered at once")
    programme = memory.programme or Programme(now.at_ms, drift, ratio, now.seed)
    bound = _bound(exposure, execution, programme)
    if abs(ratio) > bound:
        # From here on it is over its time, so that what the first order leaves is taken as well.
        over = now.at_ms - int(execution.deadline_seconds * THOUSAND) - 1
        memory = replace(memory, programme=replace(programme, begun_ms=min(programme.begun_ms, over)))
        return memory, Reason("escalated", f"drift {ratio:.4f} has passed {plain(bound)}: taken at once")
    if elapsed_seconds(programme, now.at_ms) >= execution.deadline_seconds:
        seconds = plain(execution.deadline_seconds.quantize(Decimal(1)))
        text = f"begun {seconds} s ago and more, or escalated since: what is left is taken"
        return replace(memory, programme=programme), Reason("escalated", text)
    if _has_grown(exposure, programme, drift):
        programme = Programme(now.at_ms, drift, ratio, now.seed)
    return replace(memory, programme=programme), None


def _was_lowered(exposure: Exposure, memory: HedgeMemory) -> bool:
    """Whether the hedge is over-hedged because it is to hedge less, and not because coins have gone."""
    now, then = exposure.target_ratio, memory.settled_ratio
    return now is not None and then is not None and now < then


def _has_grown(exposure: Exposure, programme: Programme, drift: Base) -> bool:
    """Whether there is more to do than when it began, by more than the band: then it begins anew."""
    weighted = exposure.weighted_base
    return weighted is not None and abs(drift) - abs(programme.total_base) > exposure.hedge.band.act * weighted


def _bound(exposure: Exposure, execution: Execution, programme: Programme) -> Decimal:
    """The drift ratio to pass; a programme that began beyond it may grow by one more band."""
    act = exposure.hedge.band.act
    bound = execution.escalate_drift if execution.escalate_drift is not None else 2 * act
    return max(bound, abs(programme.start_ratio or ZERO) + act)


def _part(execution: Execution, programme: Programme, decision: Rebalance, now: Moment) -> Rebalance | None:
    """What of the drift is due now; None where nothing is."""
    if execution.style is Style.PASSIVE:
        return decision
    may_be_open = open_base(execution, programme, elapsed_seconds(programme, now.at_ms))
    due = decision.drift_base - may_be_open
    return replace(decision, drift_base=Base(due)) if due * decision.drift_base > 0 else None


def _waiting(
    execution: Execution,
    programme: Programme,
    decision: Rebalance,
    memory: HedgeMemory,
    resting: Intent | None,
    now: Moment,
) -> Work:
    elapsed = elapsed_seconds(programme, now.at_ms)
    done = slices_due(execution, programme, elapsed)
    seconds = due_seconds(execution, programme.seed, done) - elapsed if done < execution.slices else ZERO
    due = f"in {seconds:.0f} s" if seconds >= ONE / 2 else "now"
    text = f"slice {done} of {execution.slices} is through; the next is due {due}"
    if not done:
        text = f"no slice of {execution.slices} is through yet; the first is due {due}"
    return _none_wanted(Hold((Reason("waiting_for_slice", text), *decision.reasons)), memory, resting)


def _at_once(decision: Rebalance, memory: HedgeMemory, resting: Intent | None, why: Reason) -> Work:
    """All of it, taken; what rests is taken back first, and the next look takes."""
    taken = Work(replace(decision, reasons=(*decision.reasons, why)), memory)
    return taken if resting is None else _yielding(taken, decision, resting, why.text)


def _yielding(meant: Work, decision: Rebalance, resting: Intent, text: str) -> Work:
    withdrawn = Reason("order_withdrawn", f"{resting.client_id} is taken back: {text}")
    return replace(meant, decision=Hold(decision.reasons), withdraw=withdrawn)


def _none_wanted(decision: Hold | Halt, memory: HedgeMemory, resting: Intent | None) -> Work:
    """Nothing would be placed now, so nothing may rest."""
    if resting is None:
        return Work(decision, memory)
    why = decision.reason.text if isinstance(decision, Halt) else decision.reasons[0].text
    return Work(decision, memory, withdraw=Reason("order_withdrawn", f"{resting.client_id} is taken back: {why}"))


def _kept(exposure: Exposure, execution: Execution, part: Rebalance, memory: HedgeMemory, resting: Intent) -> Work:
    seen = resting_on(exposure, memory, part.drift_base, resting)
    if isinstance(seen, str):
        return _yielding(Work(part, memory), part, resting, seen)
    why = why_withdraw(resting, seen, seen.drift_base or NO_BASE, execution) or _astray(seen, memory, resting)
    if why is not None:
        return _yielding(Work(part, memory), part, resting, why)
    order, filled = resting.order, resting.outcome.filled
    text = f"{order.side.value} {plain(order.contracts)} rests at {plain(order.price)}, {plain(filled)} of it filled"
    return Work(Hold((Reason("order_resting", text), *part.reasons)), memory)


def _astray(exposure: Exposure, memory: HedgeMemory, resting: Intent) -> str | None:
    """The position did something that the order's fills do not explain: its end has to be known to tell what."""
    if exposure.foreign_contracts != 0:
        return f"somebody else changed the position by {plain(exposure.foreign_contracts)} contracts"
    if memory.resting is not None and runs_ahead(memory.resting, resting.order.side):
        return f"the position is {plain(memory.resting.shown)}, further than its fills explain"
    return None
