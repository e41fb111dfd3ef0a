"""Mutants that the simulation notices: orders, epochs, readings, restarts, clocks, the journal, alerts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from keeper import cycle, doubt, execute, judging, observe, outcomes, preflight, service
from keeper.alerts import delivery
from keeper.alerts.rules import Alert
from keeper.core import limits, orders
from keeper.core.limits import ApprovedPlan
from keeper.core.model import (
    NO_CONTRACTS,
    Base,
    Contracts,
    Exposure,
    Instrument,
    InstrumentId,
    Intent,
    Mark,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Position,
    Reason,
    Snapshot,
    WorkingOrder,
)
from keeper.core.targets import Target
from keeper.doubt import Doubt
from keeper.execute import OrderExecutor, Patience
from keeper.fuzz.options import SLOW, JournalOptions, Transport
from keeper.journal.base import JournalError, Remembered
from keeper.observe import Observatory
from keeper.pricing import Pricing
from keeper.sim.faults import FaultKind as Fault
from keeper.venue import classify
from keeper.venue.base import Ambiguous, LookupFailed, PositionBook, Rejected, Submission
from keeper.wallet_reading import WalletReading
from tests.mutants.model import Mutant, Simulated

D = Decimal
MAJOR = {"transport": Transport.CLIENT}
"""With the real client, whose answers have to be classified."""


# --- orders whose fate is not known -------------------------------------------------------------------------------


def a_lost_answer_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    real = OrderExecutor._outcome

    def outcome(self: OrderExecutor, order: PlannedOrder, answer: Submission) -> Outcome | None:
        if isinstance(answer, Ambiguous):
            return Outcome(order.client_id, OutcomeState.REJECTED, text=answer.text)
        return real(self, order, answer)

    patch.setattr(OrderExecutor, "_outcome", outcome)


def an_unknown_order_holds_nothing(patch: pytest.MonkeyPatch) -> None:
    def as_it_was(_bench: object, exposure: Exposure, _questions: object) -> Exposure:
        return exposure

    patch.setattr(judging, "_with_questions", as_it_was)


def ten_seconds_prove_absence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Patience, "absence_ms", property(lambda _self: 10_000))


def an_answer_that_contradicts_itself_is_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(execute, "is_plain", lambda _report, _order, _outcome: True)


def a_server_error_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    real = classify._by_answer

    def by_answer(failure: BaseException, answer: Any, codes: Any, text: str) -> Submission:
        return Rejected("http", text) if (answer.status or 0) >= 500 else real(failure, answer, codes, text)

    patch.setattr(classify, "_by_answer", by_answer)


def what_no_table_knows_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    real = classify._by_answer

    def by_answer(failure: BaseException, answer: Any, codes: Any, text: str) -> Submission:
        fate = real(failure, answer, codes, text)
        known = classify.code_of(answer, codes) is not None or (answer.status or 0) >= 500
        return fate if known else Rejected("unknown", text)

    patch.setattr(classify, "_by_answer", by_answer)


def looked_for_long_enough_is_absent(patch: pytest.MonkeyPatch) -> None:
    real = OrderExecutor._follow

    async def follow(self: OrderExecutor, order: PlannedOrder, answer: Submission) -> Outcome:
        outcome = await real(self, order, answer)
        return replace(outcome, state=OutcomeState.ABSENT) if outcome.state is OutcomeState.UNKNOWN else outcome

    patch.setattr(OrderExecutor, "_follow", follow)


def a_failed_search_finds_nothing(patch: pytest.MonkeyPatch) -> None:
    real = OrderExecutor.resolve
    failed: dict[str, int] = {}

    async def resolve(self: OrderExecutor, intent: Intent, snapshot: Snapshot, *, vouched: bool = False) -> Outcome:
        trader = self._traders[intent.order.instrument.venue]
        answer = await trader.lookup(intent.order.instrument, intent.client_id, None)
        if isinstance(answer, LookupFailed):
            failed[intent.client_id] = failed.get(intent.client_id, 0) + 1
            if failed[intent.client_id] >= 2:
                return await self._record(intent, Outcome(intent.client_id, OutcomeState.ABSENT))
        return await real(self, intent, snapshot, vouched=vouched)

    patch.setattr(OrderExecutor, "resolve", resolve)


def not_found_once_is_absent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(execute, "Patience", lambda: Patience(visibility_ms=0, position_lag_ms=0, not_found_needed=1))


def a_cancel_that_fails_is_raised(patch: pytest.MonkeyPatch) -> None:
    async def withdraw(self: OrderExecutor, order: WorkingOrder) -> str:
        await self._traders[order.instrument.venue].cancel(order)
        return "cancelled"

    patch.setattr(OrderExecutor, "withdraw", withdraw)


def a_part_that_was_filled_is_nothing(patch: pytest.MonkeyPatch) -> None:
    real = outcomes.from_report

    def from_report(report: Any, order: Any) -> Outcome:
        outcome = real(report, order)
        if outcome.state is not OutcomeState.PARTIAL:
            return outcome
        return replace(outcome, state=OutcomeState.NONE, filled=NO_CONTRACTS)

    patch.setattr(execute, "from_report", from_report)


def a_lost_answer_is_sent_again(patch: pytest.MonkeyPatch) -> None:
    real = OrderExecutor._submit

    async def submit(self: OrderExecutor, order: PlannedOrder) -> Submission:
        answer = await real(self, order)
        return await real(self, order) if isinstance(answer, Ambiguous) else answer

    patch.setattr(OrderExecutor, "_submit", submit)


def an_intent_that_cannot_be_written_is_let_pass(patch: pytest.MonkeyPatch) -> None:
    real = OrderExecutor.execute

    class Forgiving:
        def __init__(self, journal: Any) -> None:
            self._journal = journal

        def __getattr__(self, name: str) -> Any:
            return getattr(self._journal, name)

        async def intent(self, intent: Intent) -> None:
            try:
                await self._journal.intent(intent)
            except JournalError:
                return

    async def execute_(self: OrderExecutor, approved: ApprovedPlan, run: int, number: int) -> Outcome:
        forgiving = OrderExecutor(self._traders, Forgiving(self._journal), self._clock)
        return await real(forgiving, approved, run, number)

    patch.setattr(OrderExecutor, "execute", execute_)


# --- one decision, one epoch --------------------------------------------------------------------------------------


def our_own_fill_need_not_show(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cycle, "expect", lambda memory, _ident, _before, _filled, _now: memory)


def a_restart_forgets_unknown_orders(patch: pytest.MonkeyPatch) -> None:
    real = cycle.restore

    async def restore(desk: cycle.Desk) -> None:
        await real(desk)
        desk.unresolved.clear()

    patch.setattr("keeper.fuzz.process.restore", restore)


# --- readings -----------------------------------------------------------------------------------------------------


def absent_from_the_list_is_flat(patch: pytest.MonkeyPatch) -> None:
    real = Observatory._accept_position

    async def accept(
        self: Observatory, look: Any, observer: Any, instrument: Instrument, book: PositionBook, *rest: Any
    ) -> None:
        if all(position.instrument.id != instrument.id for position in book.positions):
            look.positions[instrument.id] = Position(instrument, NO_CONTRACTS)
            return
        await real(self, look, observer, instrument, book, *rest)

    patch.setattr(Observatory, "_accept_position", accept)


def a_failed_list_is_an_empty_one(patch: pytest.MonkeyPatch) -> None:
    real = Observatory._try

    async def tried(self: Observatory, look: Any, source: str, read: Any) -> Any:
        answer = await real(self, look, source, read)
        if answer is None and getattr(read, "__name__", "") == "positions":
            look.gaps.pop()
            return PositionBook((), ())
        return answer

    patch.setattr(Observatory, "_try", tried)


def a_zero_is_believed(patch: pytest.MonkeyPatch) -> None:
    async def confirmed(*_: object) -> None:
        return None

    patch.setattr(WalletReading, "_unconfirmed", confirmed)


def others_may_move_the_position(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judging, "foreign_change", lambda _exposure: (None, None))


def coins_are_taken_for_contracts(patch: pytest.MonkeyPatch) -> None:
    real = Instrument.contracts_for

    def tenfold(self: Instrument, delta: Base, mark: Decimal) -> Contracts:
        return Contracts(real(self, delta, mark) * 10)

    patch.setattr(Instrument, "contracts_for", tenfold)
    # The veto would see it: this keeper has none either.
    patch.setattr(limits, "_order_fault", lambda _order, _exposure: None)


def what_was_once_held_is_held(patch: pytest.MonkeyPatch) -> None:
    real = doubt.accepted

    def accepted(snapshot: Snapshot, remembered: Remembered, unfinished: Collection[InstrumentId] = ()) -> Remembered:
        held: Any = snapshot.holdings
        held.update({key: coins for key, coins in remembered.holdings.items() if key in held})
        return real(snapshot, remembered, unfinished)

    patch.setattr(observe, "accepted", accepted)


def a_price_has_no_age(patch: pytest.MonkeyPatch) -> None:
    real = Pricing._accept

    def accept(self: Pricing, look: Any, ident: InstrumentId, first: Mark | None, second: Mark | None) -> None:
        ageless = [mark and replace(mark, at_ms=None) for mark in (first, second)]
        real(self, look, ident, *ageless)

    patch.setattr(Pricing, "_accept", accept)


def any_clock_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(observe, "Doubt", lambda: Doubt(max_clock_offset_ms=10**9))


def any_position_mode_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(preflight, "_two_sided", lambda _venue: ("nowhere", Reason("position_mode", "")))


def a_position_may_go_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judging, "unsettled", lambda _exposure, memory, _now_ms, _patience_ms: (memory, None))


# --- what follows a refusal, and what runs beside -----------------------------------------------------------------


def a_refusal_ends_the_hedge(patch: pytest.MonkeyPatch) -> None:
    def exit_at_once(desk: cycle.Desk, ident: InstrumentId, _outcome: Outcome) -> None:
        desk.hedges = tuple(
            replace(hedge, target=Target.ratio(D(0))) if hedge.instrument.id == ident else hedge
            for hedge in desk.hedges
        )

    patch.setattr(cycle, "_wait_out", exit_at_once)


def an_alert_that_fails_is_raised_in_the_loop(patch: pytest.MonkeyPatch) -> None:
    def offer(_self: service.Teller, alerts: tuple[Alert, ...]) -> None:
        if alerts:
            raise RuntimeError("the notifier failed")

    patch.setattr(service.Teller, "_offer", offer)


def a_channel_s_errors_are_logged_as_they_are(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(delivery, "redact", lambda text, _secrets: text)


def ids_do_not_tell_the_turns_apart(patch: pytest.MonkeyPatch) -> None:
    real = orders.client_order_id
    patch.setattr(orders, "client_order_id", lambda epoch, hedge, leg: real(replace(epoch, cycle=0), hedge, leg))


LOST = (Fault.REPLY_LOST_AFTER,)
POOR_JOURNAL = JournalOptions(locked=0.02, lost_answer=0.01, disk_full=0.002, full_seconds=30.0, slow=0.0)
CANCELS = (Fault.CANCEL_FILL_RACE, Fault.CANCEL_LOST_AFTER, Fault.CANCEL_LOST_BEFORE)

SIMULATED: tuple[Mutant, ...] = (
    Mutant("F01", "takes an answer that never came for a refusal", a_lost_answer_is_a_refusal,
           Simulated(("journal",), LOST, near=3)),
    Mutant("F01", "trades on while an order is unknown", an_unknown_order_holds_nothing,
           Simulated(("sent_while_unknown",), LOST)),
    Mutant("F02", "takes a 5xx for a refusal", a_server_error_is_a_refusal,
           Simulated(("journal",), (Fault.UNKNOWN_503_AFTER, Fault.TIMEOUT_1007_AFTER, Fault.GATEWAY_504_AFTER), near=3,
                     given=MAJOR)),
    Mutant("F02", "believes an answer that contradicts itself", an_answer_that_contradicts_itself_is_believed,
           Simulated(("journal",), (Fault.ANSWER_CONTRADICTS,), near=3)),
    Mutant("F03", "takes ten seconds of \"no such order\" for a proof", ten_seconds_prove_absence,
           Simulated(("journal",), (*LOST, Fault.NOT_FOUND_THEN_FOUND, Fault.FILLS_DELAYED), cycles=150, near=3,
                     given={"late": SLOW, "poll_seconds": 5.0})),
    Mutant("F03", "declares an order absent when its retries run out", looked_for_long_enough_is_absent,
           Simulated(("journal",), (*LOST, Fault.NOT_FOUND_THEN_FOUND), near=13)),
    Mutant("F04", "counts failed searches as \"no such order\"", a_failed_search_finds_nothing,
           Simulated(("journal",), (*LOST, Fault.READ_LOST, Fault.READ_503, Fault.MAINTENANCE), near=26)),
    Mutant("F06", "does not wait for its own fill to show", our_own_fill_need_not_show,
           Simulated(("over_hedged", "net_short"), (Fault.FILLS_DELAYED,), near=4)),
    Mutant("F06", "trades on a position that goes back to before its own fill", a_position_may_go_back,
           Simulated(("over_hedged", "net_short"), (Fault.POSITION_GOES_BACK,), cycles=150,
                     given={"poll_seconds": 5.0})),
    Mutant("F08", "forgets unknown orders when it is started again", a_restart_forgets_unknown_orders,
           Simulated(("sent_while_unknown",), (*LOST, Fault.LATE_ORDER), given={"crash_turns": 5})),
    Mutant("F09", "believes the first \"not found\"", not_found_once_is_absent,
           Simulated(("journal",), (*LOST, Fault.NOT_FOUND_THEN_FOUND, Fault.LATE_ORDER), near=3)),
    Mutant("F10", "raises when a cancel fails", a_cancel_that_fails_is_raised,
           Simulated(("unforeseen",), CANCELS, near=6)),
    Mutant("F11", "takes an order that was filled in part for one that was not", a_part_that_was_filled_is_nothing,
           Simulated(("journal",), (Fault.PARTIAL_FILL,), near=2)),
    Mutant("F12", "makes the same ids in every turn", ids_do_not_tell_the_turns_apart,
           Simulated(("liveness",), given={"poll_seconds": 15.0}, near=3)),
    Mutant("F13", "sends an order again when its answer is lost", a_lost_answer_is_sent_again,
           Simulated(("sent_twice",), LOST, near=3)),
    Mutant("F14", "takes a contract that a list does not show for flat", absent_from_the_list_is_flat,
           Simulated(("over_hedged", "net_short"), (Fault.TRUNCATED, Fault.EMPTY))),
    Mutant("F18", "takes a list that could not be read for an empty one", a_failed_list_is_an_empty_one,
           Simulated(("sent_on_a_gap",), (Fault.READ_LOST, Fault.READ_503), near=3)),
    Mutant("F18", "believes a balance of zero at once", a_zero_is_believed,
           Simulated(("cover_without_cause",), (Fault.ZEROED,))),
    Mutant("F19", "shorts again at once what others bought back", others_may_move_the_position,
           Simulated(("foreign_change",), (Fault.FOREIGN_TRADE, Fault.ADL, Fault.LIQUIDATION), near=5)),
    Mutant("F21", "sends ten times the contracts, and has no veto", coins_are_taken_for_contracts,
           Simulated(("over_hedged", "net_short"))),
    Mutant("F23", "goes on with the coins that it once saw", what_was_once_held_is_held,
           Simulated(("over_hedged", "net_short", "liveness"), given={"poll_seconds": 15.0})),
    Mutant("F24", "takes a price of any age", a_price_has_no_age,
           Simulated(("stale_price",), (Fault.STALE,), near=4)),
    Mutant("F28", "trades with any clock", any_clock_will_do,
           Simulated(("sent_off_clock",), (Fault.VENUE_CLOCK_STEP, Fault.HOST_CLOCK_STEP), near=3)),
    Mutant("F31", "takes an answer that no table knows for a refusal", what_no_table_knows_is_a_refusal,
           Simulated(("journal",), (Fault.ANSWER_MALFORMED,), given=MAJOR)),
    Mutant("F35", "closes the hedge when an order is refused", a_refusal_ends_the_hedge,
           Simulated(("cover_without_cause",), (Fault.PRICE_BAND_REFUSAL,), near=3)),
    Mutant("F36", "trades in two-sided mode", any_position_mode_will_do,
           Simulated(("sent_two_sided",), (Fault.POSITION_MODE_FLIP,), near=8)),
    Mutant("F44", "sends although the intent could not be written", an_intent_that_cannot_be_written_is_let_pass,
           Simulated(("send_without_intent",), given={"journal": POOR_JOURNAL}, near=3)),
    Mutant("F45", "lets a notifier's error into the loop", an_alert_that_fails_is_raised_in_the_loop,
           Simulated(("unforeseen",))),
    Mutant("F46", "logs what a channel answers as it is", a_channel_s_errors_are_logged_as_they_are,
           Simulated(("secret",), cycles=300, near=71)),
)  # fmt: skip
