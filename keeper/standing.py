"""Orders of ours that rest over several turns: followed, accounted for, and taken back.

A resting order is an intent whose outcome is open, like one whose outcome is unknown: nothing else is sent on its
contract, and a restart asks after it before anything else. It differs in one thing: while the venue shows it resting,
its hedge is judged anew each turn, and it stays only if it would be placed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from keeper.core.coins import with_fill
from keeper.core.model import (
    NO_QUOTE,
    Contracts,
    HedgeMemory,
    InstrumentId,
    Intent,
    Outcome,
    OutcomeState,
    Quote,
    Side,
    Snapshot,
)
from keeper.core.resting import after_end, followed, placed, position_after, remaining, span
from keeper.journal.base import JournalError
from keeper.outcomes import is_taken_as_read

if TYPE_CHECKING:
    from keeper.cycle import Desk

log = structlog.get_logger(__name__)

NOT_PLACED = Outcome("", OutcomeState.WORKING)


def reach_of(desk: Desk) -> dict[InstrumentId, tuple[Contracts, Contracts]]:
    """Per contract, the positions that a resting order (or one that may rest) can lead to without anybody else."""
    found: dict[InstrumentId, tuple[Contracts, Contracts]] = {}
    for intent in desk.unresolved.values():
        if intent.order.rests:
            memory = desk.memories.get(intent.order.hedge, HedgeMemory())
            known = memory.resting
            own = known if known is not None and known.client_id == intent.client_id else None
            found[intent.order.instrument] = span(intent, own)
    return found


def standing(unresolved: Mapping[str, Intent]) -> dict[str, Intent]:
    """The orders that are known to rest, by hedge: no hedge has more than one."""
    return {
        intent.order.hedge: intent for intent in unresolved.values() if intent.outcome.state is OutcomeState.WORKING
    }


def pending_short(intent: Intent | None) -> Quote:
    """Quote money that a resting sell may still add to the short."""
    if intent is None or intent.order.side is not Side.SELL:
        return NO_QUOTE
    return Quote(intent.order.notional * remaining(intent) / intent.order.contracts)


def note_working(desk: Desk, intent: Intent, outcome: Outcome, snapshot: Snapshot) -> Contracts:
    """Take down what a resting order did since the last look; returns what others did to the position meanwhile."""
    memory = desk.memories.get(intent.order.hedge, HedgeMemory())
    known = memory.resting
    if known is None or known.client_id != intent.client_id:
        known = placed(intent.order, NOT_PLACED, intent.position_before)
    position = snapshot.positions.get(intent.order.instrument)
    seen = None if position is None else position.contracts
    known, foreign = followed(known, intent.order, outcome.filled, seen)
    desk.memories[intent.order.hedge] = replace(memory, resting=known)
    desk.unresolved[intent.client_id] = replace(intent, outcome=outcome)
    return foreign


def close(desk: Desk, memory: HedgeMemory, intent: Intent, outcome: Outcome) -> HedgeMemory:
    """An order that rested has ended: nothing waits for it any more, and its fill has to show. Returns the memory."""
    desk.unresolved.pop(intent.client_id, None)
    desk.count(intent, outcome)
    return settled(desk, memory, intent, outcome)


def settled(desk: Desk, memory: HedgeMemory, intent: Intent, outcome: Outcome) -> HedgeMemory:
    """Memory after an order's end: what its fills have to show, and what they earned."""
    if is_taken_as_read(outcome):
        return _as_read(memory, intent)
    after = position_after(memory, intent, outcome)
    memory = after_end(memory, intent, outcome, desk.now_ms())
    implied = replace(memory, expected={**memory.expected, intent.order.instrument: after})
    booked = with_fill(implied, desk.hedges, intent.order, outcome)
    return replace(memory, coins=booked.coins)


def _as_read(memory: HedgeMemory, intent: Intent) -> HedgeMemory:
    """Memory after an order that a person has ended: nothing of it has to show, the next look counts what it reads."""
    expected = {at: contracts for at, contracts in memory.expected.items() if at != intent.order.instrument}
    known = memory.resting
    return replace(
        memory,
        resting=None if known is not None and known.client_id == intent.client_id else known,
        expected=expected,
        expected_since_ms=memory.expected_since_ms if expected else None,
        covered={at: contracts for at, contracts in memory.covered.items() if at != intent.order.instrument},
    )


async def take_back_all(desk: Desk) -> tuple[str, ...]:
    """Take back everything that rests, as a stopping keeper does; says what became of each order."""
    said: list[str] = []
    for intent in [each for each in desk.unresolved.values() if each.order.rests]:
        outcome = await desk.executor.retract(intent)
        name = intent.order.hedge
        said.append(f"{intent.client_id} on {intent.order.instrument}: {outcome.state.value} ({outcome.text})")
        if outcome.state.is_open:
            desk.unresolved[intent.client_id] = replace(intent, outcome=outcome)
            continue
        desk.memories[name] = close(desk, desk.memories.get(name, HedgeMemory()), intent, outcome)
        try:
            await desk.journal.memory(name, desk.memories[name])
        except JournalError as error:
            log.warning("memory_not_written", hedge=name, text=str(error))
    return tuple(said)
