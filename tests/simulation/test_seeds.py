"""Seeds that pass, seeds that repeat, and keepers broken on purpose that do not get away with it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from keeper.core import hedge as core_hedge
from keeper.core.limits import ApprovedPlan
from keeper.core.model import CycleRecord, HedgeMemory, Outcome, OutcomeState, PlannedOrder, Snapshot
from keeper.execute import OrderExecutor
from keeper.fuzz.disk import MemoryJournal
from keeper.fuzz.options import Storage, Transport
from keeper.fuzz.pool import MENU, Tally, run_seeds, tally
from keeper.fuzz.process import WatchedObservatory
from keeper.fuzz.result import Result, Verdict
from keeper.fuzz.run import run_seed
from keeper.journal.base import Remembered
from keeper.sim.faults import FaultKind
from keeper.venue.base import Ambiguous, Submission
from keeper.venue.budget import Budget

FIXED = range(1, 31)
HUNT = 100
HUNT_CYCLES = 120


def told(result: Result) -> str:
    return "\n".join((*result.last, f"{result.name}: {result.text}", result.reproduce))


@pytest.fixture(scope="module")
def fixed() -> Tally:
    """The fixed seeds, each a run of 500 cycles."""
    return tally(run_seeds(FIXED, 500, jobs=2))


def test_the_fixed_seeds_pass(fixed: Tally) -> None:
    assert not fixed.failures, told(fixed.failures[0])
    assert fixed.cycles >= 500 * len(FIXED)
    assert fixed.orders > 100
    assert fixed.restarts > 50


def test_the_fixed_seeds_meet_the_whole_menu_of_faults(fixed: Tally) -> None:
    assert fixed.never_fired == ()


def test_a_seed_repeats_its_whole_history() -> None:
    first, second = run_seed(5, 150), run_seed(5, 150)
    assert first == second
    assert first.digest != run_seed(6, 150).digest


def test_the_real_client_and_the_real_database_see_the_same_faults() -> None:
    result = run_seed(23, 60, transport=Transport.CLIENT, storage=Storage.DATABASE)
    assert result.verdict is Verdict.PASSED, told(result)
    assert result.orders > 0
    again = run_seed(23, 60, transport=Transport.CLIENT, storage=Storage.DATABASE)
    assert again.digest == result.digest


def test_tallies_say_which_fault_was_never_met() -> None:
    empty = Tally()
    assert set(empty.never_fired) == set(MENU)
    assert empty.is_covered, "too few seeds to ask for it"
    empty.seeds = 100
    assert not empty.is_good


# --- keepers that are broken on purpose --------------------------------------------------------------------------


def hunted(**given: object) -> Result:
    """The first seed of a hundred that does not pass."""
    for seed in range(1, HUNT + 1):
        result = run_seed(seed, HUNT_CYCLES, **given)
        if result.verdict is not Verdict.PASSED:
            return result
    pytest.fail(f"{HUNT} seeds did not notice")


def test_an_order_that_is_sent_again_when_its_answer_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = OrderExecutor._submit

    async def twice(self: OrderExecutor, order: PlannedOrder) -> Submission:
        answer = await submit(self, order)
        return await submit(self, order) if isinstance(answer, Ambiguous) else answer

    monkeypatch.setattr(OrderExecutor, "_submit", twice)
    result = hunted()
    assert result.verdict is Verdict.SAFETY
    assert result.name in ("sent_twice", "accepted_twice", "net_short", "over_hedged", "old_epoch")
    assert f"--seed {result.seed}" in result.reproduce


def test_an_order_taken_for_absent_when_its_answer_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    execute = OrderExecutor.execute

    async def hopeful(self: OrderExecutor, approved: ApprovedPlan, run: int, cycle: int) -> Outcome:
        outcome = await execute(self, approved, run, cycle)
        return replace(outcome, state=OutcomeState.NONE) if outcome.state is OutcomeState.UNKNOWN else outcome

    monkeypatch.setattr(OrderExecutor, "execute", hopeful)
    assert hunted().verdict in (Verdict.SAFETY, Verdict.LIVENESS, Verdict.MODEL)


def test_fills_that_are_not_waited_for_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(memory: HedgeMemory, *_: object) -> HedgeMemory:
        return memory

    monkeypatch.setattr("keeper.cycle.expect", forget)
    assert core_hedge.expect is not forget
    assert hunted().verdict is Verdict.SAFETY


def test_gaps_taken_for_zero_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from keeper.fuzz.line import Line
    from keeper.venue.base import PositionBook, VenueError

    read = Line.positions

    async def flat(self: Line) -> PositionBook:
        try:
            return await read(self)
        except VenueError:
            return PositionBook((), ())

    monkeypatch.setattr(Line, "positions", flat)
    monkeypatch.setattr("keeper.observe.Observatory._jumped", lambda *_: False)
    assert hunted().verdict is Verdict.SAFETY
    assert Decimal(0) == 0


def test_brakes_that_are_not_heeded_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    observe = WatchedObservatory.observe

    async def heedless(self: WatchedObservatory, remembered: Remembered, expected: Any) -> tuple[Snapshot, Remembered]:
        snapshot, accepted = await observe(self, remembered, expected)
        return replace(snapshot, blocks=(), sell_blocks=()), accepted

    monkeypatch.setattr(WatchedObservatory, "observe", heedless)
    found = {hunted(brake_chance=0.2, only_those=True).name, hunted(brake_chance=0.9, only_those=True).name}
    assert found <= {"sent_while_killed", "sent_on_a_full_disk"}


def test_a_memory_that_the_journal_does_not_hold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    write = MemoryJournal.cycle

    async def forgetful(self: MemoryJournal, record: CycleRecord, remembered: Remembered) -> None:
        await write(self, replace(record, hedges=record.hedges[1:]), remembered)

    monkeypatch.setattr(MemoryJournal, "cycle", forgetful)
    assert hunted(restart_chance=0.1, crash_turns=0, storage=Storage.MEMORY).name == "replay"


def test_a_client_that_does_not_stay_away_when_it_is_asked_to_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "back_off", lambda *_: None)
    often = (FaultKind.RATE_LIMITED, FaultKind.BANNED)
    assert hunted(transport=Transport.CLIENT, often=often).name == "sent_while_banned"
