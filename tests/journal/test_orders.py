"""Intents, outcomes, executions and funding: what prevents a second send, and what is counted once (F01, F03, F07)."""

from __future__ import annotations

import asyncio
import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.clock import SystemClock
from keeper.core.model import Contracts, InstrumentId, Outcome, OutcomeState
from keeper.journal.base import FundingEntry, JournalError, Run
from keeper.journal.sql import SqlJournal
from tests.journal.story import BTC, START_MS, fill, intent, opened, url_of


async def test_an_intent_is_there_again_after_a_restart(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    await first.intent(intent())
    await first.close()

    second = await SqlJournal.open(url_of(tmp_path))
    assert await second.unresolved() == (intent(),)
    await second.close()


async def test_a_client_id_is_never_accepted_twice(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.intent(intent())
    await journal.outcome(Outcome(intent().client_id, OutcomeState.FILLED), START_MS)
    with pytest.raises(JournalError, match="was used before; its order is not sent"):
        await journal.intent(intent())
    assert len(await journal.intents_since(0)) == 1
    await journal.close()


async def test_unknown_orders_stay_unresolved_until_their_end_is_known(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for leg in (2, 1, 3):
        await journal.intent(intent(leg, at_ms=START_MS + leg))
    await journal.outcome(Outcome(intent(1).client_id, OutcomeState.REJECTED, text="-2010 no margin"), START_MS + 10)
    await journal.not_found(intent(2).client_id, 2, START_MS + 11)

    unresolved = await journal.unresolved()
    assert [one.client_id for one in unresolved] == [intent(2).client_id, intent(3).client_id]
    assert (unresolved[0].not_found, unresolved[0].not_found_since_ms) == (2, START_MS + 11)
    assert [one.cycle for one in await journal.intents_since(START_MS + 3)] == [1, 3], "made or become known since"
    await journal.close()


async def test_the_way_to_an_outcome_is_kept(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.intent(intent())
    name = intent().client_id
    partial = Outcome(name, OutcomeState.PARTIAL, Contracts(Decimal("1.250")), Decimal("64935.10"), "v-9", "expired")
    for outcome in (Outcome(name, OutcomeState.UNKNOWN, text="timed out"), partial, partial):
        await journal.outcome(outcome, START_MS + 5)

    assert [one.outcome for one in await journal.intents_since(0)] == [partial]
    assert await journal.outcome_history(name) == (
        (START_MS, Outcome(name, OutcomeState.UNKNOWN)),
        (START_MS + 5, Outcome(name, OutcomeState.UNKNOWN, text="timed out")),
        (START_MS + 5, partial),
    )
    await journal.close()


async def test_an_outcome_without_an_intent_is_refused(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    with pytest.raises(JournalError, match="there is no intent nobody"):
        await journal.outcome(Outcome("nobody", OutcomeState.FILLED), START_MS)
    with pytest.raises(JournalError, match="there is no intent nobody"):
        await journal.not_found("nobody", 1, START_MS)
    await journal.close()


async def test_an_execution_counts_once_however_often_it_is_delivered(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    assert await journal.fills([]) == 0
    assert await journal.fills([fill("1"), fill("2"), fill("1")]) == 2
    await journal.close()

    journal = await SqlJournal.open(url_of(tmp_path))
    late = [fill("2"), fill("3"), fill("1", venue="other"), fill("1", symbol="ETH/USDT:USDT")]
    assert await journal.fills(late) == 3
    assert await journal.fills(late) == 0
    await journal.close()


async def test_funding_counts_once_and_adds_up_exactly(tmp_path: Path) -> None:
    def entry(name: str, amount: str, instrument: InstrumentId = BTC, asset: str = "USDT") -> FundingEntry:
        return FundingEntry(name, instrument, Decimal(amount), asset, START_MS + int(name))

    journal = await opened(tmp_path)
    inverse = InstrumentId("main", "BTC/USD:BTC")
    paid = [entry("1", "0.1"), entry("2", "0.2"), entry("3", "-0.05"), entry("1", "-0.0000001", inverse, "BTC")]
    assert await journal.funding([*paid, paid[0]]) == 4
    assert await journal.funding(paid) == 0
    assert await journal.funding_total() == {
        (BTC, "USDT"): Decimal("0.25"),
        (inverse, "BTC"): Decimal("-0.0000001"),
    }
    assert await journal.funding_total(START_MS + 2) == {(BTC, "USDT"): Decimal("0.15")}
    await journal.close()


async def test_a_journal_keeps_its_name_and_counts_its_runs(tmp_path: Path) -> None:
    first = await SqlJournal.open(url_of(tmp_path))
    one = await first.start_run("dry-run", "a", START_MS)
    await first.close()
    second = await SqlJournal.open(url_of(tmp_path))
    two = await second.start_run("live", "b", START_MS + 1)
    await second.close()
    assert (one.number, two) == (1, Run(2, one.tag))
    assert len(one.tag) == 6
    assert int(one.tag, 16) >= 0


async def test_a_run_that_never_began_cannot_write(tmp_path: Path) -> None:
    journal = await SqlJournal.open(url_of(tmp_path))
    with pytest.raises(JournalError, match="contradicts"):
        await journal.intent(intent())
    await journal.close()


async def test_a_float_never_reaches_the_disk(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    order = dataclasses.replace(intent().order, price=64935.1)  # type: ignore[arg-type]
    with pytest.raises(JournalError, match="not a finite Decimal"):
        await journal.intent(dataclasses.replace(intent(), order=order))
    assert await journal.intents_since(0) == ()
    await journal.close()


async def test_a_caller_that_is_cancelled_leaves_all_or_nothing(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for leg in range(1, 21):
        task = asyncio.create_task(journal.intent(intent(leg)))
        for _ in range(leg):
            await SystemClock().sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    # The journal still works, and each intent that is there is whole.
    await journal.intent(intent(99))
    for one in await journal.intents_since(0):
        assert len(await journal.outcome_history(one.client_id)) == 1
    await journal.close()


async def test_many_callers_queue_for_the_one_writer(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await asyncio.gather(*(journal.intent(intent(leg)) for leg in range(1, 31)))
    assert len(await journal.unresolved()) == 30
    await journal.close()


async def test_a_journal_is_for_its_owner_alone(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    modes = _modes(tmp_path)
    await journal.close()
    assert set(modes.values()) == {0o600}, modes


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_a_back_off_outlives_the_process(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.back_off("main", START_MS + 60_000)
    await journal.back_off("main", START_MS + 90_000)
    await journal.close()
    again = await SqlJournal.open(url_of(tmp_path))
    assert await again.back_offs() == {"main": START_MS + 90_000}
    await again.close()
