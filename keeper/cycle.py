"""One turn of the loop: observe, assess, decide, plan, veto, record, execute, record.

Read :func:`turn` from top to bottom: that is what keeper does. It never acts on an event; it looks at the whole state
and moves it towards the target, and whatever it did not finish is for the next turn to see.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from keeper.clock import Clock, SteadyTime
from keeper.core.coins import with_fill
from keeper.core.hedge import expect
from keeper.core.limits import Limits
from keeper.core.model import (
    Contracts,
    CycleRecord,
    Hedge,
    HedgeCycle,
    HedgeMemory,
    InstrumentId,
    Intent,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Reason,
    Side,
    Snapshot,
)
from keeper.core.orders import Epoch, is_ours
from keeper.core.resting import placed
from keeper.errors import VenueStartError
from keeper.execute import Executor
from keeper.journal.base import Journal, JournalError, Remembered
from keeper.judging import DAY_MS, Judgement, Pace, Refusal, expected_of, judge
from keeper.observe import Observatory
from keeper.outcomes import signed_filled
from keeper.pretrade import fit_all
from keeper.seating import memory_at_start, seat
from keeper.sending import Sent, carry_out, leave_unknown, tidy_unsent, turnover
from keeper.standing import close, note_working, reach_of, settled
from keeper.topping import TopUps
from keeper.venue.further import Books

log = structlog.get_logger(__name__)


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
    pace: Pace = field(default_factory=Pace)
    memories: dict[str, HedgeMemory] = field(default_factory=dict)
    remembered: Remembered = field(default_factory=lambda: Remembered({}, {}, None))
    unresolved: dict[str, Intent] = field(default_factory=dict)
    cycle: int = 0
    refusals: dict[InstrumentId, Refusal] = field(default_factory=dict)
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
    top_ups: TopUps | None = None
    """Moves money to margin accounts that run short; None where nothing may be moved."""
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


async def turn(desk: Desk) -> CycleRecord:
    """One whole turn; what it returns has been written to the journal."""
    desk.cycle += 1
    epoch = Epoch(desk.tag, desk.run, desk.cycle)
    desk.observatory.reach = reach_of(desk)
    snapshot, remembered = await desk.observatory.observe(desk.remembered, expected_of(desk))
    if desk.top_ups is not None:
        snapshot = await desk.top_ups.begin(snapshot, desk.hedges, vouched=bool(desk.vouched))
    questions, snapshot = await _resolve(desk, snapshot)
    snapshot = desk.observatory.look_again(snapshot, desk.remembered)
    judged = await fit_all(judge(desk, snapshot, epoch, questions), desk.books, desk.limits)
    outcomes = await _carry_out_all(desk, judged)
    hedges = tuple(_close(desk, judgement, outcome) for judgement, outcome in zip(judged, outcomes, strict=True))
    # Remembered before it is written: a journal that fails now must not make us forget a fill.
    desk.remembered = remembered
    desk.memories.update({hedge.exposure.hedge.name: hedge.memory for hedge in hedges})
    record = CycleRecord(desk.run, desk.cycle, snapshot, hedges, desk.clock.now_ms())
    await desk.journal.cycle(record, remembered)
    if desk.top_ups is not None:
        await desk.top_ups.end(snapshot, f"{desk.tag}-{desk.run}-{desk.cycle}")
    return record


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
    # What a person has looked at is what was a question then, and nothing that comes to be one later.
    unknown = (intent for intent in desk.unresolved.values() if intent.outcome.state is OutcomeState.UNKNOWN)
    desk.vouched &= {intent.order.hedge for intent in unknown}
    told = {ident: change for ident, change in foreign.items() if change}
    return questions, replace(snapshot, foreign={**snapshot.foreign, **told}) if told else snapshot


async def ask_again(desk: Desk) -> None:
    """Ask after unknown orders outside a turn, as a stopping keeper does; decides and sends nothing."""
    desk.observatory.reach = reach_of(desk)
    snapshot, _ = await desk.observatory.observe(desk.remembered, expected_of(desk))
    await _resolve(desk, snapshot)
    faults: list[JournalError] = []
    for name, memory in desk.memories.items():
        try:
            await desk.journal.memory(name, memory)
        except JournalError as fault:  # what one hedge knows is no less worth writing because another's was refused
            faults.append(fault)
    if faults:
        raise faults[0]


async def _carry_out_all(desk: Desk, judged: Sequence[Judgement]) -> list[Outcome | None]:
    """Every approved order at once, each instrument for itself; a fault of one leaves none of the others untold."""
    if all(each.approved is None and each.withdraw is None for each in judged):
        return [None] * len(judged)
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
    name, memory = judgement.exposure.hedge.name, judgement.memory
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
            _wait_out(desk, order.instrument, outcome)
        elif outcome.state is not OutcomeState.UNKNOWN:
            memory = expect(memory, order.instrument, before, signed_filled(order, outcome), desk.now_ms())
            memory = with_fill(memory, desk.hedges, order, outcome)
            desk.refusals.pop(order.instrument, None)
    outcomes = tuple(each for each in (desk.ended.get(name), outcome) if each is not None)
    return HedgeCycle(
        judgement.exposure,
        judgement.decision,
        judgement.plan,
        judgement.reasons,
        outcomes,
        memory,
    )


def _wait_out(desk: Desk, ident: InstrumentId, outcome: Outcome) -> None:
    """A refused order is not sent again at once: the wait doubles with every refusal in a row."""
    refusal = desk.refusals.setdefault(ident, Refusal())
    wait = min(desk.pace.rejected_ms * 2**refusal.count, desk.pace.rejected_max_ms)
    refusal.count = min(refusal.count + 1, 16)
    refusal.until_ms = desk.now_ms() + wait
    refusal.text = outcome.text


def reseat(desk: Desk) -> None:
    """Give the hedges the contracts that their memories name, for the desk and for what it observes with."""
    desk.hedges = seat(desk.hedges, desk.memories, desk.observatory.observers)
    desk.observatory.hedges = tuple(desk.hedges)


def reseat_running(desk: Desk) -> None:
    """As :func:`reseat`; where a venue's list makes no sense just now the hedges keep the contracts that they have."""
    try:
        reseat(desk)
    except VenueStartError as error:
        log.error("not_reseated", text=f"{error}; the next list of markets tells")


async def restore(desk: Desk) -> None:
    """Take up where the journal ends: memories, accepted readings, unknown orders, and fills not yet seen.

    A fill that became known after the last look that was written down is expected to show before anything else is
    sent. Several may have, when one keeper after the other was killed before the end of its first turn; each sent its
    order on a look of its own, so that the last one's position before it stands for all that went before.
    """
    desk.memories = dict(await desk.journal.memories())
    for hedge in desk.hedges:
        if hedge.name in desk.memories:
            desk.memories[hedge.name] = memory_at_start(hedge, desk.memories, desk.observatory.observers)
    reseat(desk)
    if desk.top_ups is not None:
        await desk.top_ups.restore()
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
            memory = desk.memories.get(intent.order.hedge, HedgeMemory())
            memory = replace(memory, expected={at: n for at, n in memory.expected.items() if at != ident})
            memory = expect(memory, ident, before, filled, desk.now_ms())
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
        ident = intent.order.instrument
        memory = replace(memory, expected={at: n for at, n in memory.expected.items() if at != ident})
    desk.memories[intent.order.hedge] = settled(desk, memory, intent, intent.outcome)
