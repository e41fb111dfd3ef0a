"""One hedge's part of a turn that reaches the venue: its approved order sent, or its resting one taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from keeper.core.model import InstrumentId, Intent, Outcome, OutcomeState, PlannedOrder, Quote, Reason
from keeper.journal.base import JournalError

if TYPE_CHECKING:
    from keeper.cycle import Desk
    from keeper.judging import Judgement

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """A new short that was sent, for the limits on orders and turnover; ``at_ms`` does not step."""

    at_ms: int
    notional: Quote
    client_id: str = ""


def leave_unknown(desk: Desk, judgement: Judgement) -> None:
    """An order whose sending broke off may exist: nothing else is sent on its instrument until that is known."""
    if judgement.approved is not None:
        order = judgement.approved.next
        unknown = Outcome(order.client_id, OutcomeState.UNKNOWN, text="sending it broke off")
        desk.unresolved[order.client_id] = Intent(
            order, judgement.approved.position_before, desk.run, desk.cycle, desk.clock.now_ms(), unknown
        )


async def carry_out(desk: Desk, judgement: Judgement) -> Outcome | None:
    """Execute an approved plan's next order; the rest of the plan is decided anew from the next look."""
    if judgement.withdraw is not None:
        return await desk.executor.retract(judgement.withdraw)
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
        order = judgement.approved.next
        desk.sent.append(Sent(desk.now_ms(), turnover(order, outcome), order.client_id))
    if outcome is not None and outcome.state.is_open:
        order = judgement.approved.next
        created = desk.clock.now_ms()
        desk.unresolved[order.client_id] = Intent(
            order, judgement.approved.position_before, desk.run, desk.cycle, created, outcome
        )
    return outcome


def turnover(order: PlannedOrder, outcome: Outcome) -> Quote:
    """What an order counts against the day's turnover: what was filled, or all of it while that is not known."""
    if outcome.state.is_open:
        return order.notional
    return Quote(order.notional * outcome.filled / order.contracts)


async def tidy_unsent(desk: Desk) -> dict[InstrumentId, Reason]:
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
