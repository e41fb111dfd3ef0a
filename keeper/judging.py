"""What is to be done about every hedge, from one look: assess, decide, route, plan, review. Nothing is sent here."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

from keeper.clock import Clock
from keeper.core.execution import AT_ONCE
from keeper.core.foreign import foreign_change, unsettled
from keeper.core.hedge import assess, coins_came, decide, recall, remember
from keeper.core.legs import at_leg, short_notional
from keeper.core.limits import ApprovedPlan, Book, Limits, RefusedPlan, as_approved, review
from keeper.core.margin_duty import for_margin, with_margin
from keeper.core.model import (
    NO_BASE,
    ONE,
    ZERO,
    Base,
    Contracts,
    Decision,
    Exposure,
    Halt,
    Hedge,
    HedgeMemory,
    Hold,
    Instrument,
    InstrumentId,
    Intent,
    LegExposure,
    OrderPlan,
    Quote,
    Reason,
    Rebalance,
    Snapshot,
)
from keeper.core.orders import Epoch, plan
from keeper.core.portfolio import portfolio_beta
from keeper.core.roll import due_note, late_note
from keeper.core.roll_state import carried, ended, rolling
from keeper.core.routes import Route, is_over, routes, shift, stuck, unusable
from keeper.core.sharing import shared_ratio
from keeper.core.steering import steered, steering_notes
from keeper.core.targets import Target
from keeper.core.unshown import behind, settle_expectation
from keeper.core.working import Moment, Work, work
from keeper.sending import Sent
from keeper.standing import pending_short, standing

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOTHING_YET = HedgeMemory()
PASSED_OVER_AFTER = 2
"""So many refusals in a row make a contract one that cannot be traded, where another can carry the hedge."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done about one hedge, before anything is done."""

    exposure: Exposure
    memory: HedgeMemory
    decision: Decision
    plan: OrderPlan | None = None
    approved: ApprovedPlan | None = None
    reasons: tuple[Reason, ...] = ()
    at: Exposure | None = None
    """The exposure as the leg has it that the plan is for."""
    worth: Decimal = ONE
    """What one base unit of that leg counts for in the hedge."""
    elsewhere: Base = NO_BASE
    """What of the drift this plan leaves to the other contracts."""
    withdraw: Intent | None = None
    """Our resting order that is to be taken back; nothing is sent in the same turn."""

    @property
    def adds(self) -> bool:
        """Whether what was approved opens more short."""
        return isinstance(self.decision, Rebalance) and self.decision.drift_base > 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in milliseconds; ``rejected_ms`` doubles with every refusal in a row."""

    position_lag_ms: int = 30_000
    rejected_ms: int = 5_000
    rejected_max_ms: int = 300_000


@dataclass(slots=True)
class Refusal:
    """The venue's refusals in a row on one contract, and until when they are waited out."""

    count: int = 0
    until_ms: int = 0
    text: str = ""


class Bench(Protocol):
    """What judging needs: the hedges, what they remember, and the rules; nothing that could send or write."""

    hedges: Sequence[Hedge]
    clock: Clock
    limits: Limits
    pace: Pace
    memories: dict[str, HedgeMemory]
    refusals: dict[InstrumentId, Refusal]
    sent: deque[Sent]
    unresolved: dict[str, Intent]

    def now_ms(self) -> int:
        """Milliseconds that do not step, for measuring how long ago something was."""
        ...


@dataclass(slots=True)
class LookOnly:
    """A bench without a journal or an executor behind it, for one look."""

    hedges: Sequence[Hedge]
    clock: Clock
    limits: Limits
    pace: Pace
    memories: dict[str, HedgeMemory]
    refusals: dict[InstrumentId, Refusal] = field(default_factory=dict)
    sent: deque[Sent] = field(default_factory=deque)
    unresolved: dict[str, Intent] = field(default_factory=dict)

    def now_ms(self) -> int:
        """One look is too short for a step to matter."""
        return self.clock.now_ms()


def memory_of(bench: Bench, hedge: Hedge) -> HedgeMemory:
    """What a hedge remembers; nothing yet for a new one."""
    return bench.memories.get(hedge.name, NOTHING_YET)


def expected_of(bench: Bench) -> dict[InstrumentId, Contracts]:
    """The positions that fills of ours imply and no reading has shown yet."""
    found: dict[InstrumentId, Contracts] = {}
    for hedge in bench.hedges:
        found.update(memory_of(bench, hedge).expected)
    return found


def judge(
    bench: Bench, snapshot: Snapshot, epoch: Epoch, questions: Mapping[InstrumentId, Reason]
) -> tuple[Judgement, ...]:
    """Assess, decide, plan and review every hedge; sends nothing and remembers nothing.

    ``questions`` are instruments on which nothing may be sent now, and why.
    """
    listed = {instrument.id for hedge in bench.hedges for instrument in hedge.instruments}
    resting = standing(bench.unresolved)
    waiting = {*questions, *(intent.order.instrument for intent in resting.values())}
    told = [_as_told(bench, hedge, snapshot, listed, waiting) for hedge in bench.hedges]
    exposures = [_seen(hedge, memory, snapshot, listed) for hedge, memory in told]
    shorts = {
        exposure.hedge.name: Quote(short_notional(exposure) + pending_short(resting.get(exposure.hedge.name)))
        for exposure in exposures
    }
    judged: list[Judgement] = []
    exposures = [_with_questions(bench, exposure, questions) for exposure in exposures]
    adding: dict[str, Base] = {}
    for place, (exposure, (_, memory)) in enumerate(zip(exposures, told, strict=True)):
        elsewhere = Quote(sum((short for name, short in shorts.items() if name != exposure.hedge.name), ZERO))
        own, book = resting.get(exposure.hedge.name), _book(bench, elsewhere, judged)
        book = replace(book, shared_ratio=shared_ratio(place, exposures, adding))
        judgement = _judge_one(bench, snapshot, exposure, memory, epoch, book, own)
        judged.append(judgement)
        if judgement.approved is not None and judgement.adds:
            order = judgement.approved.next
            shorts[exposure.hedge.name] = Quote(shorts[exposure.hedge.name] + order.notional)
            adding[exposure.hedge.name] = Base(order.amount_base * judgement.worth)
    return tuple(judged)


def _as_told(
    bench: Bench, hedge: Hedge, snapshot: Snapshot, listed: Collection[InstrumentId], waiting: Collection[InstrumentId]
) -> tuple[Hedge, HedgeMemory]:
    """The hedge as it is meant now: carried by what it was rolled to, its target where that is moving to, and, where
    the operator has flattened it, with the target zero and no band around it."""
    memory = memory_of(bench, hedge)
    hedge, memory = steered(carried(hedge, memory), memory, snapshot, listed, waiting, bench.now_ms())
    if memory.ratio_cap is not None:
        most = min(hedge.max_ratio, memory.ratio_cap)
        hedge = replace(hedge, max_ratio=most, min_ratio=min(hedge.min_ratio, most))
    if memory.flattened:
        band = replace(hedge.band, act=ZERO, warn=ZERO)
        hedge = replace(hedge, target=Target.ratio(ZERO), min_ratio=ZERO, band=band)
    return hedge, memory


def _seen(hedge: Hedge, memory: HedgeMemory, snapshot: Snapshot, listed: Collection[InstrumentId]) -> Exposure:
    """Where a hedge stands, with what is to be said of its target."""
    gain = ZERO if memory.coins is None else memory.coins.gain_base
    exposure = assess(hedge, snapshot, listed, gain)
    if len(hedge.assets) > 1:
        exposure = replace(exposure, portfolio_beta=portfolio_beta(exposure, snapshot))
    notes = steering_notes(memory)
    return replace(exposure, notes=(*notes, *exposure.notes)) if notes else exposure


def _book(bench: Bench, elsewhere: Quote, judged: Sequence[Judgement]) -> Book:
    """What the limits count: the other hedges' shorts, and new shorts sent lately or about to be."""
    now = bench.now_ms()
    while bench.sent and now - bench.sent[0].at_ms > DAY_MS:
        bench.sent.popleft()
    coming = [item.approved.next for item in judged if item.approved is not None and item.adds]
    lately = sum(1 for item in bench.sent if now - item.at_ms <= HOUR_MS)
    turnover = sum((item.notional for item in bench.sent), ZERO) + sum((order.notional for order in coming), ZERO)
    return Book(elsewhere, lately + len(coming), Quote(turnover))


def _judge_one(
    bench: Bench,
    snapshot: Snapshot,
    exposure: Exposure,
    memory: HedgeMemory,
    epoch: Epoch,
    book: Book,
    resting: Intent | None,
) -> Judgement:
    """Decide, plan and review one hedge. A plan with nothing to send is a hold, with the planner's reasons."""
    memory = recall(exposure, memory)
    memory, late = settle_expectation(
        memory,
        (leg.position for leg in exposure.legs if leg.position is not None),
        bench.now_ms(),
        bench.pace.position_lag_ms,
        behind(exposure, memory),
    )
    said, too_large = foreign_change(exposure)
    memory, doubt = unsettled(exposure, memory, bench.now_ms(), bench.pace.position_lag_ms)
    if said is not None and any(leg.foreign_contracts > 0 for leg in exposure.legs):
        # Two readings of one look may be wrong together. What made the short smaller has to show in the next look too
        # before it is opened again; by then it is what was remembered, and no foreign change any more.
        first = Reason("foreign_change", f"{said.text}; not shorted again unless the next look shows it too")
        exposure = replace(exposure, sell_blockers=(*exposure.sell_blockers, first))
    exposure, memory = with_margin(exposure, snapshot, bench.limits.margin, memory)
    torn = coins_came(exposure, memory)
    if torn is not None:
        exposure = replace(exposure, sell_blockers=(*exposure.sell_blockers, torn))
    halts = late or too_large
    decision: Decision = Halt(halts) if halts is not None else decide(exposure, memory)
    grew = any(leg.foreign_contracts < 0 for leg in exposure.legs) and not memory.flattened
    if said is not None and grew and isinstance(decision, Rebalance) and decision.drift_base < 0:
        # The same the other way round: a reading of before our last cover would have that cover made again.
        decision = Hold((Reason("foreign_change", f"{said.text}; bought back if the next look shows it too"),))
    if doubt is not None and not memory.flattened:
        decision = _waiting(decision, doubt)
    memory = remember(exposure, decision, memory)
    if doubt is None:  # a margin read beside an old position would have the same contracts covered again
        decision = for_margin(exposure, memory, bench.limits.margin, decision)
    rules, now_ms, carrying = exposure.hedge.roll, bench.clock.now_ms(), rolling(exposure.hedge)
    due = [due_note(each, rules, now_ms) for each in carrying if memory.roll is None]
    worked = _worked(bench, exposure, decision, memory, resting, epoch)
    memory, decision = worked.memory, worked.decision
    told = (
        worked.withdraw,
        said,
        _flattening(memory),
        *due,
        memory.roll_note,
        stuck(exposure, memory),
        *(late_note(each, rules, now_ms) for each in _leaving(exposure.hedge, memory, carrying)),
    )
    notes = (*exposure.notes, *(note for note in told if note is not None))
    if worked.withdraw is not None or resting is not None:
        return Judgement(exposure, memory, decision, reasons=notes, withdraw=resting if worked.withdraw else None)
    step = _step(bench, exposure, memory, decision, epoch, rests=worked.rests)
    if isinstance(step, Hold | Halt):
        memory, rolled = _rolled(exposure, memory)
        return Judgement(exposure, memory, step, reasons=(*notes, *rolled))
    verdict = review(step.plan, step.exposure, bench.limits, _with_other_legs(book, exposure, step.leg))
    if isinstance(verdict, RefusedPlan):
        if memory.roll is not None and not isinstance(decision, Rebalance):
            why = "; ".join(reason.text for reason in verdict.reasons)
            notes = (*notes, Reason("roll_stuck", f"the roll to {memory.roll.target} waits: {why}"))
        return Judgement(exposure, memory, Hold(verdict.reasons), step.plan, reasons=notes)
    worth, elsewhere = step.leg.worth, step.elsewhere
    placed = as_approved(step.plan, verdict, step.exposure.drift_base or NO_BASE, worth, elsewhere)
    reasons = (*verdict.reasons, *notes)
    return Judgement(exposure, memory, step.decision, placed, verdict, reasons, step.exposure, worth, elsewhere)


def _waiting(decision: Decision, doubt: Reason) -> Decision:
    """The decision, with nothing traded because of a doubt, between contracts neither; other holds, and halts, stay."""
    if isinstance(decision, Halt) or (isinstance(decision, Hold) and decision.reasons[0].code != "within_band"):
        return decision
    return Hold((doubt,))


def _worked(
    bench: Bench, exposure: Exposure, decision: Decision, memory: HedgeMemory, resting: Intent | None, epoch: Epoch
) -> Work:
    """What the hedge's execution style makes of a decision. A cover that margin asks for takes, and so does a hedge in
    a roll: between its two legs it is open by a slice, and no longer than it has to be."""
    seed = f"{epoch.tag}/{epoch.run}/{epoch.cycle}/{exposure.hedge.name}"
    pressing = isinstance(decision, Rebalance) and decision.reasons[0].code == "margin_reduce"
    if memory.roll is not None or pressing:
        exposure = replace(exposure, hedge=replace(exposure.hedge, execution=AT_ONCE))
    return work(exposure, decision, memory, resting, Moment(bench.now_ms(), seed))


@dataclass(frozen=True, slots=True)
class _Step:
    """One leg's part of a decision, planned; ``exposure`` is that leg's, ``elsewhere`` the part of the others."""

    leg: LegExposure
    exposure: Exposure
    decision: Rebalance
    plan: OrderPlan
    elsewhere: Base = NO_BASE


def _step(
    bench: Bench, exposure: Exposure, memory: HedgeMemory, decision: Decision, epoch: Epoch, *, rests: bool
) -> _Step | Hold | Halt:
    """The order that comes next and the leg that it goes on, or why there is none."""
    if isinstance(decision, Halt):
        return decision
    if isinstance(decision, Hold):
        inside = decision.reasons[0].code == "within_band"
        steps = [_planned(bench, exposure, way, way.reasons, epoch) for way in shift(exposure, memory) if inside]
        return next((step for step in steps if step.plan.orders), decision)
    on = next((leg for leg in exposure.legs if leg.id == decision.on), None)
    ways = routes(exposure, memory, decision.drift_base) if on is None else (Route(on, decision.drift_base),)
    steps = [_planned(bench, exposure, way, (*decision.reasons, *way.reasons), epoch, rests=rests) for way in ways]
    if not steps:
        return Hold(unusable(exposure))
    return _of_the_whole(next((step for step in steps if step.plan.orders), steps[0]), decision.drift_base)


def _of_the_whole(step: _Step, drift: Base) -> _Step:
    """The step with what it leaves of the hedge's drift to the other contracts: the plan's residual tells it."""
    elsewhere = Base(drift - step.decision.drift_base)
    if not elsewhere:
        return step
    planned = replace(step.plan, residual_base=Base(step.plan.residual_base + elsewhere))
    return replace(step, plan=planned, elsewhere=elsewhere)


def _planned(
    bench: Bench, exposure: Exposure, way: Route, reasons: tuple[Reason, ...], epoch: Epoch, *, rests: bool = False
) -> _Step:
    seen = at_leg(exposure, way.leg, way.drift_base)
    on = way.leg.id if len(exposure.legs) > 1 else None
    wanted = Rebalance(seen.drift_base or NO_BASE, reasons)
    planned = plan(seen, wanted, bench.limits.max_order_notional, epoch, rests=rests)
    if way.leg.worth != ONE:
        planned = replace(planned, residual_base=Base(planned.residual_base * way.leg.worth))
    return _Step(way.leg, seen, Rebalance(way.drift_base, reasons, on), planned)


def _with_other_legs(book: Book, exposure: Exposure, leg: LegExposure) -> Book:
    """The book with this hedge's own shorts on its other legs, which count against the keeper's cap too."""
    others = sum((other.short_notional for other in exposure.legs if other.id != leg.id), ZERO)
    return replace(book, other_short_notional=Quote(book.other_short_notional + others)) if others else book


def _rolled(exposure: Exposure, memory: HedgeMemory) -> tuple[HedgeMemory, tuple[Reason, ...]]:
    """Memory after a roll whose source is flat and which has nothing left to send; and a word about it."""
    if memory.roll is None or exposure.blockers or memory.expected or not is_over(exposure, memory.roll):
        return memory, ()
    text = f"rolled from {memory.roll.source} to {memory.roll.target}"
    return ended(exposure.hedge, memory), (Reason("rolled", text),)


def _leaving(hedge: Hedge, memory: HedgeMemory, carrying: Sequence[Instrument]) -> tuple[Instrument, ...]:
    """What carries a hedge, with the contract that it is rolling out of: in a split that one has no share any more."""
    source = None if memory.roll is None else memory.roll.source
    known = {each.id for each in carrying}
    return (*carrying, *(each for each in hedge.instruments if each.id == source and each.id not in known))


def _flattening(memory: HedgeMemory) -> Reason | None:
    return Reason("flattened", "flattened by the operator; resume it to hedge again") if memory.flattened else None


def _with_questions(bench: Bench, exposure: Exposure, questions: Mapping[InstrumentId, Reason]) -> Exposure:
    """Add what is not in the snapshot: orders in question, and refusals that are being waited out.

    An order in question on one leg leaves the delta of the whole hedge unknown. One refusal may be an accident of the
    moment, and the hedge waits; a leg that refuses again is passed over while it is waited for.
    """
    extra = [questions[leg.id] for leg in exposure.legs if leg.id in questions]
    legs: list[LegExposure] = []
    for leg in exposure.legs:
        refusal = bench.refusals.get(leg.id)
        if refusal is not None and bench.now_ms() < refusal.until_ms:
            waits = Reason("order_refused", f"the venue refused the last order ({refusal.text}); waiting")
            if refusal.count < PASSED_OVER_AFTER or len(exposure.legs) == 1:
                extra.append(waits)
            leg = replace(leg, blockers=(*leg.blockers, waits))  # noqa: PLW2901  the leg as it is told from here on
        legs.append(leg)
    if not extra and all(leg is told for leg, told in zip(exposure.legs, legs, strict=True)):
        return exposure
    return replace(exposure, blockers=(*exposure.blockers, *extra), legs=tuple(legs))
