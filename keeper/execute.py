"""From an approved plan to an outcome: write the intent, send once, find out what became of it.

An intent is durable before its order leaves. Whatever the venue did not explicitly accept or reject is unknown, and
stays unknown, across restarts, until the venue shows the order or its absence is proved: two authoritative "no such
order" answers apart in time, no fill of it, and a position that has not moved. Running out of retries decides nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from keeper.clock import Clock
from keeper.core.limits import ApprovedPlan
from keeper.core.model import (
    NO_CONTRACTS,
    ZERO,
    Contracts,
    Instrument,
    Intent,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Snapshot,
    WorkingOrder,
)
from keeper.core.orders import plain
from keeper.journal.base import Journal, JournalError
from keeper.outcomes import (
    LOOKED,
    beyond,
    ended,
    filled_of,
    from_report,
    is_plain,
    out_of_reach,
    question,
    resting,
    signed,
)
from keeper.venue.base import (
    POST_ONLY_REFUSED,
    Accepted,
    Ambiguous,
    Fill,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    Rejected,
    RetryLater,
    Submission,
    Trader,
    VenueError,
)

log = structlog.get_logger(__name__)

RETRY_LATER = "retry later"
"""How the text of a refusal begins that says nothing of the order, only of the moment."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how often, an order is asked after. Seconds, or milliseconds where the name says so.

    ``acknowledged_ms`` is for how long an order is looked for that the venue has given a number, and then denies.
    """

    settle_delays_seconds: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 0.8, 1.5)
    visibility_ms: int = 10_000
    fills_margin_ms: int = 60_000
    not_found_needed: int = 2
    position_lag_ms: int = 30_000
    acknowledged_ms: int = 180_000

    @property
    def absence_ms(self) -> int:
        """For how long an order is denied, by lookups, fills and position alike, before it is absent: once for one that
        arrives late, and once for a position that shows it late.
        """
        return max(self.visibility_ms, 2 * self.position_lag_ms)


class Executor(Protocol):
    """Carries out one approved plan; the kind of keeper decides what that means."""

    async def execute(self, approved: ApprovedPlan, run: int, cycle: int) -> Outcome | None:
        """Send the plan's next order once; None when this keeper sends nothing."""
        ...

    async def resolve(self, intent: Intent, snapshot: Snapshot, *, vouched: bool = False) -> Outcome:
        """Find out what became of an order whose outcome is unknown; ``snapshot`` was read after it was sent.

        ``vouched``: an operator has looked, and a position that somebody else has moved stands in the way no longer.
        """
        ...

    async def withdraw(self, order: WorkingOrder) -> str:
        """Cancel an order of ours that rests without anybody waiting for it; says how that went."""
        ...

    async def retract(self, intent: Intent) -> Outcome:
        """Cancel an order that rests as it was meant to, and find out how it ended; open still where that is unknown.

        A cancellation that fails is no answer: the order may have filled meanwhile. Only its terminal state is one.
        """
        ...


class NullExecutor:
    """The executor of a keeper that may not trade: it has nothing to send with."""

    async def execute(self, approved: ApprovedPlan, run: int, cycle: int) -> Outcome | None:
        """Say what would have been sent."""
        order = approved.next
        log.info(
            "order_not_sent", run=run, cycle=cycle, hedge=order.hedge, instrument=str(order.instrument),
            side=order.side.value, contracts=plain(order.contracts), price=plain(order.price),
        )  # fmt: skip
        return None

    async def resolve(self, intent: Intent, snapshot: Snapshot, *, vouched: bool = False) -> Outcome:  # noqa: ARG002
        """An order left over from another mode cannot be asked after here; it stays unknown."""
        return replace(intent.outcome, text=f"no trader here to look for {intent.client_id} ({snapshot.taken_at_ms})")

    async def withdraw(self, order: WorkingOrder) -> str:
        """Leave it: this keeper cancels nothing either."""
        return f"order {order.client_id} of an earlier keeper rests on the venue; this mode cancels nothing"

    async def retract(self, intent: Intent) -> Outcome:
        """Leave it, as above."""
        return replace(intent.outcome, text="this mode cancels nothing")


class OrderExecutor:
    """Sends real orders through the venues' traders, one attempt each."""

    def __init__(
        self, traders: Mapping[str, Trader], journal: Journal, clock: Clock, patience: Patience | None = None
    ) -> None:
        self._traders = dict(traders)
        self._journal = journal
        self._clock = clock
        self._patience = patience or Patience()
        # How often, and since when by the clock that does not step, this process was told that there is no such order.
        self._denied: dict[str, tuple[int, float]] = {}
        # Since when, by the same clock, it has been told of more filled than the order had.
        self._exceeded: dict[str, float] = {}
        # The venues' own ids of orders that this process has had an answer about.
        self._named: deque[str] = deque(maxlen=256)

    async def execute(self, approved: ApprovedPlan, run: int, cycle: int) -> Outcome:
        """Write the intent, send it once, and follow it for a moment.

        Raises :class:`~keeper.journal.base.JournalError` before anything is sent when the intent cannot be written.
        """
        order = approved.next
        unknown = Outcome(order.client_id, OutcomeState.UNKNOWN, text="sent; no answer recorded")
        intent = Intent(order, approved.position_before, run, cycle, self._clock.now_ms(), unknown)
        await self._journal.intent(intent)
        submission = await self._submit(order)
        outcome = self._outcome(order, submission)
        if outcome is None:
            outcome = await self._follow(order, submission)
        outcome = await self._record(intent, outcome)
        _say(order, outcome)
        return outcome

    async def _record(self, intent: Intent, outcome: Outcome) -> Outcome:
        """Write an outcome; one that could not be written is unknown still, and will be asked after again."""
        if outcome.venue_order_id is not None:
            self._named.append(outcome.venue_order_id)
        try:
            await self._journal.outcome(outcome, self._clock.now_ms())
            await self._keep_fills(intent, outcome)
        except JournalError as error:
            return Outcome(outcome.client_id, OutcomeState.UNKNOWN, text=f"the journal could not be written: {error}")
        return outcome

    async def withdraw(self, order: WorkingOrder) -> str:
        """Cancel an order of ours that rests without anybody waiting for it."""
        try:
            await self._traders[order.instrument.venue].cancel(order)
        except VenueError as error:
            return f"order {order.client_id} of ours rests on the venue, and cancelling it failed: {error}"
        return f"order {order.client_id} of ours rested on the venue and was cancelled"

    async def retract(self, intent: Intent) -> Outcome:
        """Cancel, and follow the order to its end for a moment."""
        order, known = intent.order, intent.outcome
        trader = self._traders.get(order.instrument.venue)
        if trader is None:
            return replace(known, text=f"venue {order.instrument.venue} is not configured any more")
        text = "cancelled; its end is not known yet"
        if known.venue_order_id is not None:
            try:
                await trader.cancel(resting(order, known.venue_order_id))
            except VenueError as error:
                text = f"cancelling failed: {error}"
        outcome = await self._follow(order, Accepted(known.venue_order_id), until_closed=True)
        if outcome.state.is_open:
            state = OutcomeState.WORKING if outcome.state is OutcomeState.WORKING else known.state
            outcome = replace(known, state=state, filled=max(known.filled, outcome.filled), text=text)
        outcome = await self._record(intent, outcome)
        _say(order, outcome)
        return outcome

    async def _submit(self, order: PlannedOrder) -> Submission:
        """One attempt. Only what the trader itself calls rejected is rejected; a fault of ours is ambiguous too."""
        try:
            return await self._traders[order.instrument.venue].submit(order)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the order may have left
            log.error("submit_failed", client_id=order.client_id, error=type(error).__name__, text=str(error))
            return Ambiguous(f"{type(error).__name__}: {error}")

    def _outcome(self, order: PlannedOrder, submission: Submission) -> Outcome | None:
        """The outcome, where the venue's first answer already is one."""
        if isinstance(submission, Rejected) and order.rests and submission.code == POST_ONLY_REFUSED:
            return Outcome(order.client_id, OutcomeState.NONE, text=f"{POST_ONLY_REFUSED}: {submission.text}")
        if isinstance(submission, Rejected):
            return Outcome(order.client_id, OutcomeState.REJECTED, text=f"{submission.code}: {submission.text}")
        if isinstance(submission, RetryLater):
            return Outcome(order.client_id, OutcomeState.REJECTED, text=f"{RETRY_LATER}: {submission.text}")
        if isinstance(submission, Accepted) and submission.report is not None:
            outcome = from_report(submission.report, order)
            return outcome if is_plain(submission.report, order, outcome) else None
        return None

    async def _follow(self, order: PlannedOrder, submission: Submission, *, until_closed: bool = False) -> Outcome:
        """Ask after an order that the venue took in, or may have, until it is closed or patience for now ends.

        One that is meant to rest is let rest once it shows, unless its end is what is waited for.
        """
        trader = self._traders[order.instrument.venue]
        venue_id = submission.venue_order_id if isinstance(submission, Accepted) else None
        text = submission.text if isinstance(submission, Ambiguous) else "accepted; not closed yet"
        last: Outcome | None = None
        for delay in self._patience.settle_delays_seconds:
            await self._clock.sleep(delay)
            answer = await trader.lookup(order.instrument, order.client_id, venue_id)
            if isinstance(answer, OrderReport):
                last = from_report(answer, order)
                venue_id = last.venue_order_id or venue_id
                text = "open" if answer.filled <= order.contracts else last.text
                if not last.state.is_open or (last.state is OutcomeState.WORKING and not until_closed):
                    return last
            elif isinstance(answer, LookupFailed):
                text = answer.text
        if last is not None and last.state is OutcomeState.WORKING:
            return last
        return Outcome(order.client_id, OutcomeState.UNKNOWN, venue_order_id=venue_id, text=text)

    async def resolve(self, intent: Intent, snapshot: Snapshot, *, vouched: bool = False) -> Outcome:
        """One more attempt at an unknown outcome; it stays unknown unless it is shown or its absence is proved."""
        trader = self._traders.get(intent.order.instrument.venue)
        if trader is None:
            return replace(intent.outcome, text=f"venue {intent.order.instrument.venue} is not configured any more")
        answer = await trader.lookup(intent.order.instrument, intent.client_id, intent.outcome.venue_order_id)
        if isinstance(answer, OrderReport):
            outcome = await self._weigh_report(trader, intent, snapshot, answer, vouched=vouched)
        elif isinstance(answer, NotFound):
            outcome = await self._weigh_absence(trader, intent, snapshot, vouched=vouched)
        elif answer.unlisted:
            outcome = out_of_reach(intent, vouched=vouched)
        else:
            outcome = replace(intent.outcome, text=answer.text)
        if outcome.state is OutcomeState.WORKING:
            return await self._still_working(intent, outcome)
        if outcome.state is not OutcomeState.UNKNOWN:
            outcome = await self._record(intent, outcome)
            _say(intent.order, outcome)
        if outcome.state is not OutcomeState.UNKNOWN:
            self._denied.pop(intent.client_id, None)
            self._exceeded.pop(intent.client_id, None)
        return outcome

    async def _still_working(self, intent: Intent, outcome: Outcome) -> Outcome:
        """Written down when it is news that the order rests, or that more of it has filled; it never is less."""
        known = intent.outcome
        outcome = replace(outcome, filled=max(outcome.filled, known.filled))
        if known.state is OutcomeState.WORKING and known.filled == outcome.filled:
            return outcome
        return await self._record(intent, outcome)

    async def _end_open_order(self, trader: Trader, intent: Intent, outcome: Outcome) -> Outcome:
        """An immediate-or-cancel order has no business resting: cancel it, and believe only the next look."""
        if self._clock.now_ms() - intent.created_at_ms < self._patience.visibility_ms or not outcome.venue_order_id:
            return outcome
        try:
            await trader.cancel(resting(intent.order, outcome.venue_order_id))
        except VenueError as error:
            return replace(outcome, text=f"open, and cancelling failed: {error}")
        return replace(outcome, text="open; cancelled, to be looked at again")

    async def _weigh_report(
        self, trader: Trader, intent: Intent, snapshot: Snapshot, report: OrderReport, *, vouched: bool
    ) -> Outcome:
        """What an order that is shown has come to. One that is open and may not be is taken back; where more is filled
        than it had, only once a person has looked.
        """
        self._denied.pop(intent.client_id, None)
        if report.filled <= intent.order.contracts:
            self._exceeded.pop(intent.client_id, None)
            outcome = from_report(report, intent.order)
            is_open = outcome.state is OutcomeState.UNKNOWN
            return await self._end_open_order(trader, intent, outcome) if is_open else outcome
        known = replace(
            intent.outcome,
            average_price=report.average_price,
            venue_order_id=report.venue_order_id or intent.outcome.venue_order_id,
        )
        closed = report.state is not OrderState.OPEN
        told = replace(intent, outcome=known)
        outcome = self._weigh_excess(told, snapshot, report.filled, closed=closed, vouched=vouched)
        return outcome if closed or not vouched else await self._end_open_order(trader, intent, outcome)

    def _weigh_excess(
        self, intent: Intent, snapshot: Snapshot, filled: Contracts, *, closed: bool, vouched: bool
    ) -> Outcome:
        """An order that the owner made larger at the venue, or an answer that is wrong: a person says which.

        What is there is then hedged anew from the position that is read. So that nothing is shorted twice it has to
        show all that was filled, or to have had the time to: what a person bought back meanwhile shows no more.
        """
        text = beyond(intent.order, filled)
        since = self._exceeded.setdefault(intent.client_id, self._clock.monotonic())
        if not vouched:
            return question(intent, text)
        unknown = replace(intent.outcome, state=OutcomeState.UNKNOWN)
        position = snapshot.positions.get(intent.order.instrument)
        if not closed or position is None:
            return replace(unknown, text=f"{text}, and {'it is open still' if position else 'no position is read'}")
        moved = signed(intent.order, Contracts(position.contracts - intent.position_before))
        if moved < filled and (self._clock.monotonic() - since) * 1000 < self._patience.position_lag_ms:
            return replace(unknown, text=f"{text}, and the position does not show it yet")
        return replace(
            intent.outcome, state=OutcomeState.FILLED, filled=intent.order.contracts, text=f"{text}; {LOOKED}"
        )

    def _is_denied(self, intent: Intent) -> bool:
        """Count one more "no such order"; whether there were enough of them, and over a time that is long enough."""
        times, began = self._denied.get(intent.client_id, (0, self._clock.monotonic()))
        self._denied[intent.client_id] = (times + 1, began)
        waited_ms = (self._clock.monotonic() - began) * 1000
        return times + 1 >= self._patience.not_found_needed and waited_ms >= self._patience.visibility_ms

    def _may_be_late(self, intent: Intent, *, vouched: bool) -> bool:
        """Whether a position that has not moved proves nothing yet, because it, or the order itself, may be late.

        An immediate order that the venue has given a number was there: it is looked for longer, unless a person has
        looked. One that rested may be forgotten once it is taken back.
        """
        has_number = intent.outcome.venue_order_id is not None and not vouched
        needed_ms = self._patience.absence_ms
        if has_number and not intent.order.rests:
            needed_ms = max(needed_ms, self._patience.acknowledged_ms)
        _, began = self._denied[intent.client_id]
        return (self._clock.monotonic() - began) * 1000 < needed_ms

    async def _weigh_absence(self, trader: Trader, intent: Intent, snapshot: Snapshot, *, vouched: bool) -> Outcome:
        """Prove that an order never arrived, or leave it unknown."""
        since = intent.not_found_since_ms if intent.not_found_since_ms is not None else self._clock.now_ms()
        count = intent.not_found + 1
        await self._journal.not_found(intent.client_id, count, since)
        try:
            fills = await trader.fills(intent.order.instrument, intent.created_at_ms - self._patience.fills_margin_ms)
        except VenueError as error:
            return replace(intent.outcome, text=f"not found, and the fills could not be read: {error}")
        filled = filled_of(fills, intent)
        if filled > intent.order.contracts:
            closed = self._is_denied(intent)
            return self._weigh_excess(intent, snapshot, filled, closed=closed, vouched=vouched)
        if filled and (not intent.order.rests or filled >= intent.order.contracts):
            state = OutcomeState.FILLED if filled >= intent.order.contracts else OutcomeState.PARTIAL
            return Outcome(intent.client_id, state, filled, text="found among the fills")
        if not self._is_denied(intent):
            return replace(intent.outcome, text=f"not found {count} times; absence is not proved yet")
        position = snapshot.positions.get(intent.order.instrument)
        if position is None:
            return replace(intent.outcome, text="not found, and the position could not be read")
        filled = max(filled, intent.outcome.filled)
        moved = f"the position went from {plain(intent.position_before)} to {plain(position.contracts)}"
        if position.contracts == intent.position_before + signed(intent.order, filled):
            moved = "position as its fills left it" if filled else "position unmoved"
            if not vouched and not filled and any(self._is_nobodys(fill, intent) for fill in fills):
                # It is shown by nothing but a position that may be late: sent again it would be there twice.
                text = "not found, and the venue shows an execution since that names no order of ours"
                return question(intent, f"{text}, and {moved}")
            if self._may_be_late(intent, vouched=vouched):
                return replace(intent.outcome, text=f"not found {count} times; absence is not proved yet")
        elif position.contracts == NO_CONTRACTS and self._has_expired(position.instrument):
            moved = "its contract has been settled, and the position with it"
        elif not vouched:
            return question(intent, f"not found, but {moved}")
        return ended(intent, filled, f"not found {count} times{' any more' if filled else ', no fill'}, {moved}")

    def _has_expired(self, instrument: Instrument) -> bool:
        """Whether its venue takes no order for a contract any more, for long enough for the last ones to show."""
        expiry = instrument.expires_at_ms
        return expiry is not None and self._clock.now_ms() > expiry + self._patience.visibility_ms

    def _is_nobodys(self, fill: Fill, intent: Intent) -> bool:
        """Whether an execution may be of this order for all that it says: many a venue names no client id there."""
        return (
            fill.client_id is None
            and fill.side is intent.order.side
            and fill.at_ms >= intent.created_at_ms
            and fill.venue_order_id not in self._named
        )

    async def _keep_fills(self, intent: Intent, outcome: Outcome) -> None:
        """Record the executions behind an outcome; the outcome stands without them, so a failed read only waits."""
        if outcome.filled == NO_CONTRACTS:
            return
        trader = self._traders[intent.order.instrument.venue]
        try:
            fills = await trader.fills(intent.order.instrument, intent.created_at_ms - self._patience.fills_margin_ms)
        except VenueError as error:
            log.warning("fills_not_read", client_id=intent.client_id, text=str(error))
            return
        wanted = (intent.client_id, outcome.venue_order_id)
        # Some venues name only their own order id in an execution; the record names ours in any case.
        mine = [
            replace(fill, client_id=intent.client_id)
            for fill in fills
            if fill.client_id == wanted[0] or (fill.venue_order_id or "") == wanted[1]
        ]
        total = Contracts(sum({fill.trade_id: fill.contracts for fill in mine}.values(), ZERO))
        if total > intent.order.contracts:
            log.warning("fills_not_kept", client_id=intent.client_id, text=beyond(intent.order, total))
            return
        await self._journal.fills(mine)


def _say(order: PlannedOrder, outcome: Outcome) -> None:
    fine = (OutcomeState.FILLED, OutcomeState.PARTIAL, OutcomeState.WORKING)
    level = log.info if outcome.state in fine or order.rests else log.warning
    level(
        "order", hedge=order.hedge, instrument=str(order.instrument), side=order.side.value,
        contracts=plain(order.contracts), price=plain(order.price), reduce_only=order.reduce_only,
        client_id=order.client_id, outcome=outcome.state.value, filled=plain(outcome.filled), text=outcome.text,
    )  # fmt: skip
