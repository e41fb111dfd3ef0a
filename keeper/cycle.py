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
from keeper.core.hedge import accounts_of, assess, decide, expect, foreign_change, recall, remember, settle_expectation
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
from keeper.core.roll import due_note
from keeper.core.steering import steered, steering_notes
from keeper.core.targets import Target
from keeper.execute import Executor, signed_filled
from keeper.journal.base import Journal, JournalError, Remembered
from keeper.observe import Observatory
from keeper.pretrade import fit_all
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

    def now_ms(self) -> int:
        """Milliseconds that do not step, for measuring how long ago something was."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A new short that was sent, for the limits on orders and turnover; ``at_ms`` does not step."""

    at_ms: int
    notional: Quote


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
    steady: SteadyTime = field(init=False)

    def __post_init__(self) -> None:
        """Start to measure."""
        self.steady = SteadyTime(self.clock)

    def now_ms(self) -> int:
        """Milliseconds that do not step when the host's clock is corrected."""
        return self.steady.now_ms()


def memory_of(bench: Bench, hedge: Hedge) -> HedgeMemory:
    """What a hedge remembers; nothing yet for a new one."""
    return bench.memories.get(hedge.name, HedgeMemory())


async def turn(desk: Desk) -> CycleRecord:
    """One whole turn; what it returns has been written to the journal."""
    desk.cycle += 1
    epoch = Epoch(desk.tag, desk.run, desk.cycle)
    snapshot, remembered = await desk.observatory.observe(desk.remembered, _expected(desk))
    questions = await _resolve(desk, snapshot)
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
    told = [_as_told(bench, hedge, snapshot, listed, questions) for hedge in bench.hedges]
    exposures = [_seen(hedge, memory, snapshot, listed) for hedge, memory in told]
    shorts = {exposure.hedge.name: _short_notional(exposure) for exposure in exposures}
    judged: list[Judgement] = []
    for seen, (_, memory) in zip(exposures, told, strict=True):
        exposure = _with_questions(bench, seen, questions)
        elsewhere = Quote(sum((short for name, short in shorts.items() if name != exposure.hedge.name), ZERO))
        judgement = _judge_one(bench, exposure, memory, epoch, _book(bench, elsewhere, judged))
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


def _judge_one(bench: Bench, exposure: Exposure, memory: HedgeMemory, epoch: Epoch, book: Book) -> Judgement:
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
    torn = _between_wallets(exposure, memory)
    if torn is not None:
        exposure = replace(exposure, sell_blockers=(*exposure.sell_blockers, torn))
    halts = late or too_large
    decision: Decision = Halt(halts) if halts is not None else decide(exposure, memory)
    memory = remember(exposure, decision, memory)
    due = due_note(exposure.hedge.instrument, exposure.hedge.roll, bench.clock.now_ms())
    said_too = (note for note in (said, _flattening(memory), due) if note is not None)
    notes = (*exposure.notes, *said_too)
    if not isinstance(decision, Rebalance):
        return Judgement(exposure, memory, decision, reasons=notes)
    planned = plan(exposure, decision, bench.limits.max_order_notional, epoch)
    verdict = review(planned, exposure, bench.limits, book)
    if isinstance(verdict, RefusedPlan):
        return Judgement(exposure, memory, Hold(verdict.reasons), planned, reasons=notes)
    placed = as_approved(planned, verdict, decision)
    return Judgement(exposure, memory, decision, placed, verdict, (*verdict.reasons, *notes))


def _between_wallets(exposure: Exposure, memory: HedgeMemory) -> Reason | None:
    """Coins that came in where several wallets count: moved from one to another while we looked, they count twice.

    The next look sees them once, or sees that they are really new.
    """
    before, now = memory.holdings_base, exposure.holdings_base
    if before is None or now is None or now <= before or len(accounts_of(exposure.hedge)) < 2:
        return None
    return Reason("coins_came_in", f"the wallets held {before} and now {now}; hedged once the next look shows it too")


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


async def _resolve(desk: Desk, snapshot: Snapshot) -> dict[InstrumentId, Reason]:
    """Ask after every order whose outcome is unknown; the instruments on which one still is may not be traded."""
    questions = await _tidy_unsent(desk)
    for order in snapshot.working:
        if is_ours(order.client_id, desk.tag) and order.client_id not in desk.unresolved:
            # A leftover of ours that nobody waits for: an immediate-or-cancel order has no business resting.
            text = await desk.executor.withdraw(order)
            questions[order.instrument] = Reason("own_order_working", text)
    for client_id, intent in list(desk.unresolved.items()):
        ident = intent.order.instrument
        outcome = await desk.executor.resolve(intent, snapshot, vouched=intent.order.hedge in desk.vouched)
        if outcome.state is OutcomeState.UNKNOWN:
            current = {item.client_id: item for item in await desk.journal.unresolved()}
            desk.unresolved[client_id] = replace(current.get(client_id, intent), outcome=outcome)
            text = f"order {intent.client_id} may exist ({outcome.text}); nothing else is sent on {ident}"
            questions[ident] = Reason("unresolved_order", text)
            continue
        del desk.unresolved[client_id]
        _expect_fill(desk, intent, outcome)
        # What this look read may be older than what has just become known: look again before deciding.
        questions.setdefault(
            ident, Reason("order_resolved", f"order {intent.client_id} turned out {outcome.state.value}")
        )
    desk.vouched &= {intent.order.hedge for intent in desk.unresolved.values()}
    return questions


async def _tidy_unsent(desk: Desk) -> dict[InstrumentId, Reason]:
    """Close intents that were written though the journal said that it could not: their orders never left.

    Until it is known whether there are any, their instruments wait: after a crash such an intent would be a question.
    """
    if not desk.unsent:
        return {}
    try:
        written = {intent.client_id for intent in await desk.journal.unresolved()}
        for client_id in [each for each in desk.unsent if each in written]:
            never = Outcome(client_id, OutcomeState.ABSENT, text="never sent: its intent could not be written")
            await desk.journal.outcome(never, desk.clock.now_ms())
    except JournalError as error:
        text = f"an intent could not be written, and it is not known yet whether it was: {error}"
        return {ident: Reason("journal_failed", text) for ident in desk.unsent.values()}
    desk.unsent.clear()
    return {}


async def ask_again(desk: Desk) -> None:
    """Ask after unknown orders outside a turn, as a stopping keeper does; decides and sends nothing."""
    snapshot, _ = await desk.observatory.observe(desk.remembered, _expected(desk))
    await _resolve(desk, snapshot)
    for name, memory in desk.memories.items():
        await desk.journal.memory(name, memory)


def _expect_fill(desk: Desk, intent: Intent, outcome: Outcome) -> None:
    """Remember the position that a resolved order implies."""
    memory = desk.memories.get(intent.order.hedge, HedgeMemory())
    filled = signed_filled(intent.order, outcome)
    memory = expect(memory, intent.position_before, filled, desk.now_ms())
    desk.memories[intent.order.hedge] = with_fill(memory, desk.hedges, intent.order, outcome)


async def _carry_out_all(desk: Desk, judged: Sequence[Judgement]) -> list[Outcome | None]:
    """Every approved order at once, each instrument for itself; a fault of one leaves none of the others untold."""
    results = await asyncio.gather(*(_carry_out(desk, judgement) for judgement in judged), return_exceptions=True)
    outcomes: list[Outcome | None] = []
    faults: list[BaseException] = []
    for judgement, result in zip(judged, results, strict=True):
        if isinstance(result, BaseException):
            faults.append(result)
            _leave_unknown(desk, judgement)
            outcomes.append(None)
        else:
            outcomes.append(result)
    if faults:
        for judgement, outcome in zip(judged, outcomes, strict=True):
            name = judgement.exposure.hedge.name
            desk.memories[name] = _close(desk, judgement, outcome).memory
        raise faults[0]
    return outcomes


def _leave_unknown(desk: Desk, judgement: Judgement) -> None:
    """An order whose sending broke off may exist: nothing else is sent on its instrument until that is known."""
    if judgement.approved is not None:
        order = judgement.approved.next
        unknown = Outcome(order.client_id, OutcomeState.UNKNOWN, text="sending it broke off")
        desk.unresolved[order.client_id] = Intent(
            order, judgement.approved.position_before, desk.run, desk.cycle, desk.clock.now_ms(), unknown
        )


async def _carry_out(desk: Desk, judgement: Judgement) -> Outcome | None:
    """Execute an approved plan's next order; the rest of the plan is decided anew from the next look."""
    if judgement.approved is None:
        return None
    try:
        outcome = await desk.executor.execute(judgement.approved, desk.run, desk.cycle)
    except JournalError as error:
        # Nothing was sent: the intent comes first. The other hedges' orders go their way.
        log.error("intent_not_written", hedge=judgement.exposure.hedge.name, text=str(error))
        desk.unsent[judgement.approved.next.client_id] = judgement.approved.next.instrument
        return None
    if outcome is not None and judgement.adds:
        desk.sent.append(Sent(desk.now_ms(), _turnover(judgement.approved.next, outcome)))
    if outcome is not None and outcome.state is OutcomeState.UNKNOWN:
        order = judgement.approved.next
        created = desk.clock.now_ms()
        desk.unresolved[order.client_id] = Intent(
            order, judgement.approved.position_before, desk.run, desk.cycle, created, outcome
        )
    return outcome


def _turnover(order: PlannedOrder, outcome: Outcome) -> Quote:
    """What an order counts against the day's turnover: what was filled, or all of it while that is not known."""
    if outcome.state is OutcomeState.UNKNOWN:
        return order.notional
    return Quote(order.notional * outcome.filled / order.contracts)


def _close(desk: Desk, judgement: Judgement, outcome: Outcome | None) -> HedgeCycle:
    """What the hedge will remember of this turn."""
    name = judgement.exposure.hedge.name
    memory = judgement.memory
    if outcome is not None and judgement.approved is not None:
        filled = signed_filled(judgement.approved.next, outcome)
        memory = expect(memory, judgement.approved.position_before, filled, desk.now_ms())
        memory = with_fill(memory, desk.hedges, judgement.approved.next, outcome)
        if outcome.state is OutcomeState.REJECTED:
            _wait_out(desk, name, outcome)
        elif outcome.state is not OutcomeState.UNKNOWN:
            desk.refusals.pop(name, None)
    return HedgeCycle(
        judgement.exposure,
        judgement.decision,
        judgement.plan,
        judgement.reasons,
        (outcome,) if outcome is not None else (),
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
            desk.sent.append(Sent(intent.created_at_ms, _turnover(intent.order, intent.outcome)))
