"""Cycles: every decision can be judged again, and years of holds still fit on the disk."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.core.model import CycleRecord, Gap, Halt, HedgeMemory, Hold, InstrumentId, Reason
from keeper.journal.base import JournalError
from keeper.journal.reader import CycleRow, JournalReader
from keeper.journal.sql import SqlJournal
from tests.journal.story import (
    BTC,
    HOLD,
    NOTHING,
    SELL,
    START_MS,
    cycle,
    fill,
    intent,
    opened,
    readings,
    url_of,
    with_memory,
)


async def rows(directory: Path, hedge: str | None = None) -> tuple[CycleRow, ...]:
    async with await JournalReader.open(url_of(directory)) as reader:
        return await reader.cycles(1000, hedge)


async def record(directory: Path, number: int) -> CycleRecord | None:
    async with await JournalReader.open(url_of(directory)) as reader:
        return await reader.record(1, number)


async def written(directory: Path, *records: CycleRecord, full_every: int = 120) -> SqlJournal:
    journal = await opened(directory, full_every)
    for one in records:
        await journal.cycle(one, NOTHING)
    return journal


async def test_a_rebalance_is_on_record_with_all_its_inputs(tmp_path: Path) -> None:
    journal = await written(tmp_path, cycle(1, SELL, drift="0.6"))
    assert await record(tmp_path, 1) == cycle(1, SELL, drift="0.6")
    (row,) = await rows(tmp_path)
    assert (row.hedge, row.decision, row.drift_ratio, row.residual_base) == (
        "btc", "rebalance", Decimal("0.6"), Decimal("0.0004"),
    )  # fmt: skip
    assert row.collateral_base is None, "what was not known is not zero"
    await journal.close()


async def test_a_hold_like_the_one_before_keeps_figures_and_reasons_only(tmp_path: Path) -> None:
    journal = await written(tmp_path, *(cycle(n, drift=f"0.0{n}") for n in range(1, 6)), full_every=4)
    assert [row.in_full for row in await rows(tmp_path)] == [True, False, False, False, True]
    assert [str(row.drift_ratio) for row in await rows(tmp_path)] == ["0.01", "0.02", "0.03", "0.04", "0.05"]
    assert all(row.reasons == HOLD.reasons for row in await rows(tmp_path))
    assert await record(tmp_path, 2) is None
    assert await record(tmp_path, 5) == cycle(5, drift="0.05")
    await journal.close()


async def test_whatever_is_new_is_kept_in_full(tmp_path: Path) -> None:
    paused = Hold((Reason("paused", "paused by an operator"),))
    blind = cycle(6)
    blind = dataclasses.replace(
        blind, snapshot=dataclasses.replace(blind.snapshot, gaps=(Gap("main", "unreachable", "timed out"),))
    )
    stories = [
        (cycle(1), True),
        (cycle(2), False),
        (cycle(3, paused), True),
        (cycle(4, paused), False),
        (cycle(5), True),
        (blind, True),
        (cycle(7, SELL), True),
        (cycle(8), True),
        (with_memory(cycle(9), halted="drift"), True),
        (cycle(10, Halt(Reason("drift_beyond_halt", "drift 0.7"))), True),
        (cycle(11, Halt(Reason("drift_beyond_halt", "drift 0.7"))), True),
    ]
    journal = await written(tmp_path, *(one for one, _ in stories))
    assert [row.in_full for row in await rows(tmp_path)] == [in_full for _, in_full in stories]
    assert [row.decision for row in await rows(tmp_path)][-2:] == ["halt", "halt"]
    await journal.close()


async def test_the_first_cycle_of_a_run_is_kept_in_full(tmp_path: Path) -> None:
    journal = await written(tmp_path, cycle(1), cycle(2))
    await journal.close()
    journal = await opened(tmp_path)
    await journal.cycle(cycle(1, run=2), NOTHING)
    assert [row.in_full for row in await rows(tmp_path)] == [True, False, True]
    await journal.close()


async def test_memories_and_readings_are_written_with_their_cycle(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    memory = HedgeMemory(Decimal("0.60"), established=True, expected_contracts=intent().position_before)
    seen = readings({"BTC": "5.00", "ETH": "0"}, {BTC: "-3.0"}, START_MS)
    await journal.cycle(cycle(1, memory=memory), seen)
    assert await journal.memories() == {"btc": memory}
    assert await journal.remembered() == seen
    await journal.close()

    journal = await SqlJournal.open(url_of(tmp_path))
    assert await journal.memories() == {"btc": memory}
    assert await journal.remembered() == seen
    await journal.close()


async def test_a_reading_that_is_absent_this_time_is_not_forgotten(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    inverse = InstrumentId("main", "BTC/USD:BTC")
    await journal.cycle(cycle(1), readings({"BTC": "5", "ETH": "7"}, {BTC: "-3", inverse: "-100"}, START_MS))
    await journal.cycle(cycle(2), readings({"BTC": "4"}, {BTC: "0"}, None))
    assert await journal.remembered() == readings({"BTC": "4", "ETH": "7"}, {BTC: "0", inverse: "-100"}, START_MS)
    await journal.close()


async def test_a_cycle_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    journal = await written(tmp_path, cycle(1, memory=HedgeMemory(halted="before")))
    # The last thing that a cycle writes is what cannot be written here.
    broken = readings({"BTC": "1"}, {}, START_MS)
    broken = dataclasses.replace(broken, positions={BTC: 0.5})  # type: ignore[dict-item]
    with pytest.raises(JournalError, match="could not write cycle 2 of run 1"):
        await journal.cycle(cycle(2, SELL), broken)
    assert [row.cycle for row in await rows(tmp_path)] == [1]
    assert await journal.memories() == {"btc": HedgeMemory(halted="before")}
    assert await journal.remembered() == NOTHING

    with pytest.raises(JournalError, match="contradicts"):
        await journal.cycle(cycle(1), NOTHING)
    await journal.close()


async def test_an_operators_word_is_remembered_outside_a_cycle(tmp_path: Path) -> None:
    journal = await written(tmp_path, cycle(1))
    await journal.memory("btc", HedgeMemory(paused=True))
    assert await journal.memories() == {"btc": HedgeMemory(paused=True)}
    await journal.close()


async def test_pruning_forgets_old_holds_and_nothing_else(tmp_path: Path) -> None:
    journal = await written(tmp_path, cycle(1), cycle(2), cycle(3, SELL), cycle(4), cycle(5))
    await journal.intent(intent())
    await journal.fills([fill("1")])
    assert await journal.prune(cycle(5).ended_at_ms) == 3
    assert [row.cycle for row in await rows(tmp_path)] == [3, 5]
    assert await journal.unresolved() == (intent(),)
    assert await journal.fills([fill("1")]) == 0
    assert len(await journal.outcome_history(intent().client_id)) == 1
    assert await journal.prune(cycle(5).ended_at_ms) == 0
    await journal.close()


async def test_a_month_of_holds_stays_small(tmp_path: Path) -> None:
    journal = await written(tmp_path, *(cycle(n) for n in range(1, 481)), full_every=120)
    await journal.close()
    size = (tmp_path / "keeper.db").stat().st_size
    assert size / 480 < 700, "bytes a cycle"
