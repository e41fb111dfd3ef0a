"""One turn of the loop: observe, assess, decide, plan, veto, record, execute, record.

Read :func:`turn` from top to bottom: that is what keeper does. It never acts on an event; it looks at the whole state
and moves it towards the target, and whatever it did not finish is for the next turn to see.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from keeper.clock import Clock, SteadyTime
from keeper.core.coins import with_fill
from keeper.core.hedge import assess, coins_came, decide, expect, foreign_change, recall, remember, settle_expectation
from keeper.core.limits import ApprovedPlan, Book, Limits, RefusedPlan, as_approved, review
from keeper.core.model import (
    ZERO,
    Contracts,
    CycleRecord,
    Decision,
    Exposure,
    Halt,
    Hedge,
    HedgeCycle,
    HedgeMemory,
    Hold,
    InstrumentId,
    Intent,
    OrderPlan,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Quote,
    Reason,
    Rebalance,
    Side,
    Snapshot,
)
from keeper.core.orders import Epoch, is_ours, plan
from keeper.core.resting import placed
from keeper.core.roll import due_note
from keeper.core.steering import steered, steering_notes
from keeper.core.targets import Target
from keeper.core.working import Moment, work
from keeper.execute import Executor, signed_filled
from keeper.journal.base import Journal, Remembered
from keeper.observe import Observatory
from keeper.pretrade import fit_all
from keeper.sending import Sent, carry_out, leave_unknown, tidy_unsent, turnover
from keeper.standing import close, note_working, pending_short, reach_of, settled, standing
from keeper.venue.further import Books

log = structlog.get_logger(__name__)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done about one hedge, before anything is done."""

    exposure: Exposure
    memory: HedgeMemory
    decision: Decision
    plan: OrderPlan | None = None
    approved: ApprovedPlan | None = None
    reasons: tuple[Reason, ...] = ()
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
    """The venue's refusals in a row on one hedge, and until when they are waited out."""

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
    refusals: dict[str, Refusal]
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
    refusals: dict[str, Refusal] = field(default_factory=dict)
    sent: deque[Sent] = field(default_factory=deque)
    unresolved: dict[str, Intent] = field(default_factory=dict)

    def now_ms(self) -> int:
        """One look is too short for a step to matter."""
        return self.clock.now_ms()


@dataclass(slots=True)
class Desk:
    """Everything that a turn needs, and what the turns remember between them."""

    hedges: Sequence[Hedge]
    observatory: Observatory
    executor: Executor
    journal: Journal
    clock: Clock
    limits: Limits
    tag: str
    run: int
    pace: Pace = Pace()
    memories: dict[str, HedgeMemory] = field(default_factory=dict)
    remembered: Remembered = field(default_factory=lambda: Remembered({}, {}, None))
    unresolved: dict[str, Intent] = field(default_factory=dict)
    cycle: int = 0
    refusals: dict[str, Refusal] = field(default_factory=dict)
    sent: deque[Sent] = field(default_factory=deque)
    unsent: dict[str, InstrumentId] = field(default_factory=dict)
    """Orders that never left because their intent could not be written; the journal may hold it all the same."""
    vouched: set[str] = field(default_factory=set)
    """Hedges that an operator has resumed: a person has looked at what an unknown order there did to the position."""
    books: Mapping[str, Books] = field(default_factory=dict)
    """Where each venue's visible books are read; without them an order has its limit price alone."""
    ended: dict[str, Outcome] = field(default_factory=dict)
    """Orders that rested and turned out to have ended in the present turn, by hedge."""
    last_orders: dict[str, tuple[PlannedOrder, Outcome]] = field(default_factory=dict)
    """The last order of each hedge and what is known of it, for whoever asks."""
    steady: SteadyTime = field(init=False)

    def __post_init__(self) -> None:
        """Start to measure."""
        self.steady = SteadyTime(self.clock)

    def now_ms(self) -> int:
        """Milliseconds that do not step when the host's clock is corrected."""
        return self.steady.now_ms()

    def count(self, intent: Intent, outcome: Outcome) -> None:
        """Count an order that rested for what it filled; one that added nothing is as if it had not been sent."""
        for place, sent in enumerate(self.sent):
            if sent.client_id == intent.client_id:
                del self.sent[place]
                if outcome.filled:
                    self.sent.insert(place, replace(sent, notional=turnover(intent.order, outcome)))
                return


def memory_of(bench: Bench, hedge: Hedge) -> HedgeMemory:
    """What a hedge remembers; nothing yet for a new one."""
    return bench.memories.get(hedge.name, HedgeMemory())


async def turn(desk: Desk) -> CycleRecord:
    """One whole turn; what it returns has been written to the journal."""
    desk.cycle += 1
    epoch = Epoch(desk.tag, desk.run, desk.cycle)
    desk.observatory.reach = reach_of(desk)
    snapshot, remembered = await desk.observatory.observe(desk.remembered, _expected(desk))
    questions, snapshot = await _resolve(desk, snapshot)
    judged = await fit_all(judge(desk, snapshot, epoch, questions), desk.books, desk.limits)
    outcomes = await _carry_out_all(desk, judged)
    hedges = tuple(_close(desk, judgement, outcome) for judgement, outcome in zip(judged, outcomes, strict=True))
    # Remembered before it is written: a journal that fails now must not make us forget a fill.
    desk.remembered = remembered
    desk.memories.update({hedge.exposure.hedge.name: hedge.memory for hedge in hedges})
    record = CycleRecord(desk.run, desk.cycle, snapshot, hedges, desk.clock.now_ms())
    await desk.journal.cycle(record, remembered)
    return record


def judge(
    bench: Bench, snapshot: Snapshot, epoch: Epoch, questions: Mapping[InstrumentId, Reason]
) -> tuple[Judgement, ...]:
    """Assess, decide, plan and review every hedge; sends nothing and remembers nothing.

    ``questions`` are instruments on which nothing may be sent now, and why.
    """
    listed = {hedge.instrument.id for hedge in bench.hedges}
    resting = standing(bench.unresolved)
    waiting = {*questions, *(intent.order.instrument for intent in resting.values())}
    told = [_as_told(bench, hedge, snapshot, listed, waiting) for hedge in bench.hedges]
    exposures = [_seen(hedge, memory, snapshot, listed) for hedge, memory in told]
    shorts = {
        exposure.hedge.name: Quote(_short_notional(exposure) + pending_short(resting.get(exposure.hedge.name)))
        for exposure in exposures
    }
    judged: list[Judgement] = []
    for seen, (_, memory) in zip(exposures, told, strict=True):
        exposure = _with_questions(bench, seen, questions)
        elsewhere = Quote(sum((short for name, short in shorts.items() if name != exposure.hedge.name), ZERO))
        own = resting.get(exposure.hedge.name)
        judgement = _judge_one(bench, exposure, memory, epoch, _book(bench, elsewhere, judged), own)
        judged.append(judgement)
        if judgement.approved is not None and isinstance(judgement.decision, Rebalance):
            adds = judgement.approved.next.notional if judgement.decision.drift_base > 0 else ZERO
            shorts[exposure.hedge.name] = Quote(shorts[exposure.hedge.name] + adds)
    return tuple(judged)


def _as_told(
    bench: Bench, hedge: Hedge, snapshot: Snapshot, listed: Collection[InstrumentId], waiting: Collection[InstrumentId]
) -> tuple[Hedge, HedgeMemory]:
    """The hedge as the operator wants it now: a flattened one has the target zero and no band around it."""
    hedge, memory = steered(hedge, memory_of(bench, hedge), snapshot, listed, waiting, bench.now_ms())
    if memory.flattened:
        band = replace(hedge.band, act=ZERO, warn=ZERO)
        hedge = replace(hedge, target=Target.ratio(ZERO), min_ratio=ZERO, band=band)
    return hedge, memory


def _seen(hedge: Hedge, memory: HedgeMemory, snapshot: Snapshot, listed: Collection[InstrumentId]) -> Exposure:
    """Where a hedge stands, with what is to be said of its target."""
    gain = ZERO if memory.coins is None else memory.coins.gain_base
    exposure = assess(hedge, snapshot, listed, gain)
    return replace(exposure, notes=(*steering_notes(memory), *exposure.notes))


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
    bench: Bench, exposure: Exposure, memory: HedgeMemory, epoch: Epoch, book: Book, resting: Intent | None
) -> Judgement:
    """Decide, plan and review one hedge. A plan with nothing to send is a hold, with the planner's reasons."""
    memory, late = settle_expectation(
        recall(exposure, memory),
        exposure.position,
        bench.now_ms(),
        bench.pace.position_lag_ms,
    )
    said, too_large = foreign_change(exposure)
    if said is not None and exposure.foreign_contracts > 0:
        # Two readings of one look may be wrong together. What made the short smaller has to show in the next look too
        # before it is opened again; by then it is what was remembered, and no foreign change any more.
        first = Reason("foreign_change", f"{said.text}; not shorted again unless the next look shows it too")
        exposure = replace(exposure, sell_blockers=(*exposure.sell_blockers, first))
    torn = coins_came(exposure, memory)
    if torn is not None:
        exposure = replace(exposure, sell_blockers=(*exposure.sell_blockers, torn))
    halts = late or too_large
    decision: Decision = Halt(halts) if halts is not None else decide(exposure, memory)
    memory = remember(exposure, decision, memory)
    due = due_note(exposure.hedge.instrument, exposure.hedge.roll, bench.clock.now_ms())
    seed = f"{epoch.tag}/{epoch.run}/{epoch.cycle}/{exposure.hedge.name}"
    worked = work(exposure, decision, memory, resting, Moment(bench.now_ms(), seed))
    memory, decision = worked.memory, worked.decision
    said_too = (note for note in (said, _flattening(memory), due, worked.withdraw) if note is not None)
    notes = (*exposure.notes, *said_too)
    if not isinstance(decision, Rebalance):
        withdraw = resting if worked.withdraw is not None else None
        return Judgement(exposure, memory, decision, reasons=notes, withdraw=withdraw)
    planned = plan(exposure, decision, bench.limits.max_order_notional, epoch, rests=worked.rests)
    verdict = review(planned, exposure, bench.limits, book)
    if isinstance(verdict, RefusedPlan):
        return Judgement(exposure, memory, Hold(verdict.reasons), planned, reasons=notes)
    placed = as_approved(planned, verdict, decision)
    return Judgement(exposure, memory, decision, placed, verdict, (*verdict.reasons, *notes))


def _flattening(memory: HedgeMemory) -> Reason | None:
    return Reason("flattened", "flattened by the operator; resume it to hedge again") if memory.flattened else None


def _with_questions(bench: Bench, exposure: Exposure, questions: Mapping[InstrumentId, Reason]) -> Exposure:
    """Add what is not in the snapshot: orders in question, and refusals that are being waited out."""
    extra: list[Reason] = []
    question = questions.get(exposure.hedge.instrument.id)
    if question is not None:
        extra.append(question)
    refusal = bench.refusals.get(exposure.hedge.name)
    if refusal is not None and bench.now_ms() < refusal.until_ms:
        extra.append(Reason("order_refused", f"the venue refused the last order ({refusal.text}); waiting"))
    return replace(exposure, blockers=(*exposure.blockers, *extra)) if extra else exposure


def _short_notional(exposure: Exposure) -> Quote:
    """Quote notional of a hedge's own short, positive; zero where it is not known or long."""
    position, quote = exposure.position, exposure.mark
    if position is None or quote is None or position.contracts >= 0:
        return Quote(ZERO)
    return Quote(-exposure.hedge.instrument.notional(position.contracts, quote.mark))


def _expected(desk: Desk) -> dict[InstrumentId, Contracts | None]:
    return {hedge.instrument.id: memory_of(desk, hedge).expected_contracts for hedge in desk.hedges}


async def _resolve(desk: Desk, snapshot: Snapshot) -> tuple[dict[InstrumentId, Reason], Snapshot]:
    """Ask after every order whose outcome is open; the instruments on which one is unknown may not be traded.

    Returns them with the reasons, and the snapshot with what others did to a position while an order of ours rested.
    """
    desk.ended.clear()
    foreign: dict[InstrumentId, Contracts] = {}
    names = {hedge.name for hedge in desk.hedges}
    questions = await tidy_unsent(desk)
    for order in snapshot.working:
        if is_ours(order.client_id, desk.tag) and order.client_id not in desk.unresolved:
            # A leftover of ours that nobody waits for: an immediate-or-cancel order has no business resting.
            text = await desk.executor.withdraw(order)
            questions[order.instrument] = Reason("own_order_working", text)
    for client_id, intent in list(desk.unresolved.items()):
        ident = intent.order.instrument
        outcome = await desk.executor.resolve(intent, snapshot, vouched=intent.order.hedge in desk.vouched)
        desk.last_orders[intent.order.hedge] = (intent.order, outcome)
        if outcome.state is OutcomeState.WORKING and intent.order.hedge in names:
            foreign[ident] = note_working(desk, intent, outcome, snapshot)
            continue
        if outcome.state is OutcomeState.WORKING:
            # The hedge that it was for is gone from the configuration: nobody would place it now.
            outcome = await desk.executor.retract(replace(intent, outcome=outcome))
        if outcome.state.is_open:
            current = {item.client_id: item for item in await desk.journal.unresolved()}
            desk.unresolved[client_id] = replace(current.get(client_id, intent), outcome=outcome)
            text = f"order {intent.client_id} may exist ({outcome.text}); nothing else is sent on {ident}"
            questions[ident] = Reason("unresolved_order", text)
            continue
        memory = desk.memories.get(intent.order.hedge, HedgeMemory())
        desk.memories[intent.order.hedge] = close(desk, memory, intent, outcome)
        if intent.order.rests:
            desk.ended[intent.order.hedge] = outcome
        # What this look read may be older than what has just become known: look again before deciding.
        questions.setdefault(
            ident, Reason("order_resolved", f"order {intent.client_id} turned out {outcome.state.value}")
        )
    desk.vouched &= {intent.order.hedge for intent in desk.unresolved.values()}
    told = {ident: change for ident, change in foreign.items() if change}
    return questions, replace(snapshot, foreign={**snapshot.foreign, **told}) if told else snapshot


async def ask_again(desk: Desk) -> None:
    """Ask after unknown orders outside a turn, as a stopping keeper does; decides and sends nothing."""
    desk.observatory.reach = reach_of(desk)
    snapshot, _ = await desk.observatory.observe(desk.remembered, _expected(desk))
    await _resolve(desk, snapshot)
    for name, memory in desk.memories.items():
        await desk.journal.memory(name, memory)


async def _carry_out_all(desk: Desk, judged: Sequence[Judgement]) -> list[Outcome | None]:
    """Every approved order at once, each instrument for itself; a fault of one leaves none of the others untold."""
    results = await asyncio.gather(*(carry_out(desk, judgement) for judgement in judged), return_exceptions=True)
    outcomes: list[Outcome | None] = []
    faults: list[BaseException] = []
    for judgement, result in zip(judged, results, strict=True):
        if isinstance(result, BaseException):
            faults.append(result)
            leave_unknown(desk, judgement)
            outcomes.append(None)
        else:
            outcomes.append(result)
    if faults:
        for judgement, outcome in zip(judged, outcomes, strict=True):
            name = judgement.exposure.hedge.name
            desk.memories[name] = _close(desk, judgement, outcome).memory
        raise faults[0]
    return outcomes


def _close(desk: Desk, judgement: Judgement, outcome: Outcome | None) -> HedgeCycle:
    """What the hedge will remember of this turn."""
    name = judgement.exposure.hedge.name
    memory = judgement.memory
    if outcome is not None and judgement.withdraw is not None:
        desk.last_orders[name] = (judgement.withdraw.order, outcome)
        if outcome.state.is_open:
            desk.unresolved[outcome.client_id] = replace(judgement.withdraw, outcome=outcome)
        else:
            memory = close(desk, memory, judgement.withdraw, outcome)
    if outcome is not None and judgement.approved is not None:
        order, before = judgement.approved.next, judgement.approved.position_before
        desk.last_orders[name] = (order, outcome)
        if outcome.state is OutcomeState.WORKING:
            memory = replace(memory, resting=placed(order, outcome, before))
        elif outcome.state is OutcomeState.REJECTED:
            _wait_out(desk, name, outcome)
        elif outcome.state is not OutcomeState.UNKNOWN:
            memory = expect(memory, before, signed_filled(order, outcome), desk.now_ms())
            memory = with_fill(memory, desk.hedges, order, outcome)
            desk.refusals.pop(name, None)
    outcomes = tuple(each for each in (desk.ended.get(name), outcome) if each is not None)
    return HedgeCycle(
        judgement.exposure,
        judgement.decision,
        judgement.plan,
        judgement.reasons,
        outcomes,
        memory,
    )


def _wait_out(desk: Desk, name: str, outcome: Outcome) -> None:
    """A refused order is not sent again at once: the wait doubles with every refusal in a row."""
    refusal = desk.refusals.setdefault(name, Refusal())
    wait = min(desk.pace.rejected_ms * 2**refusal.count, desk.pace.rejected_max_ms)
    refusal.count = min(refusal.count + 1, 16)
    refusal.until_ms = desk.now_ms() + wait
    refusal.text = outcome.text


async def restore(desk: Desk) -> None:
    """Take up where the journal ends: memories, accepted readings, unknown orders, and fills not yet seen.

    A fill that became known after the last look that was written down is expected to show before anything else is
    sent. Several may have, when one keeper after the other was killed before the end of its first turn; each sent its
    order on a look of its own, so that the last one's position before it stands for all that went before.
    """
    desk.memories = dict(await desk.journal.memories())
    desk.remembered = await desk.journal.remembered()
    desk.unresolved = {intent.client_id: intent for intent in await desk.journal.unresolved()}
    since = desk.remembered.taken_at_ms or 0
    seen: dict[InstrumentId, Contracts] = dict(desk.remembered.positions)
    for intent in await desk.journal.intents_since(since):
        if intent.order.rests:
            _take_up(desk, intent)
            continue
        ident, before = intent.order.instrument, intent.position_before
        if intent.created_at_ms >= since:
            seen[ident] = before
        filled = signed_filled(intent.order, intent.outcome)
        if filled != 0 and seen.get(ident, before) == before:
            seen[ident] = Contracts(before + filled)
            memory = replace(desk.memories.get(intent.order.hedge, HedgeMemory()), expected_contracts=None)
            memory = expect(memory, before, filled, desk.now_ms())
            desk.memories[intent.order.hedge] = with_fill(memory, desk.hedges, intent.order, intent.outcome)
    for intent in await desk.journal.intents_since(desk.clock.now_ms() - DAY_MS):
        if intent.order.side is Side.SELL:
            desk.sent.append(Sent(intent.created_at_ms, turnover(intent.order, intent.outcome), intent.client_id))


def _take_up(desk: Desk, intent: Intent) -> None:
    """A resting order of the keeper before: what it filled since the last look has to show; an open one is followed."""
    memory = desk.memories.get(intent.order.hedge, HedgeMemory())
    known = memory.resting
    if intent.outcome.state.is_open or (known is None and intent.created_at_ms < (desk.remembered.taken_at_ms or 0)):
        return
    if known is None and intent.outcome.filled:
        # It came and went in the last turn; what that turn may have expected of it is expected once.
        memory = replace(memory, expected_contracts=None)
    desk.memories[intent.order.hedge] = settled(desk, memory, intent, intent.outcome)
