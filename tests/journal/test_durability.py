"""A process may be killed at any moment; what was promised is on the disk (F01, F08, F44)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from keeper.core.model import Outcome, OutcomeState
from keeper.journal.reader import JournalReader
from keeper.journal.sql import SqlJournal
from tests.journal.story import NOTHING, START_MS, cycle, intent, opened, url_of

ROOT = Path(__file__).parents[2]

RECORDS_AN_INTENT = """
import asyncio, sys
from pathlib import Path
from tests.journal.story import NOTHING, cycle, intent, opened

async def keeper():
    journal = await opened(Path(sys.argv[1]))
    await journal.cycle(cycle(1), NOTHING)
    await journal.intent(intent())
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(keeper())
"""


async def child(code: str, *arguments: str) -> asyncio.subprocess.Process:
    """A second process; it has said "ready" when this returns."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.communicate()


async def test_an_intent_survives_kill_9(tmp_path: Path) -> None:
    process = await child(RECORDS_AN_INTENT, str(tmp_path))
    # While it runs, others may look.
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        assert [row.intent for row in await reader.orders(10)] == [intent()]
    await kill(process)
    assert process.returncode == -9

    # Reading alone, before anybody has cleaned up, shows it too, and cleans nothing up.
    left_behind = sorted(contents(tmp_path))
    assert "keeper.db-wal" in left_behind
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        assert [row.intent for row in await reader.orders(10)] == [intent()]
    assert sorted(contents(tmp_path)) == left_behind

    journal = await SqlJournal.open(url_of(tmp_path))
    assert await journal.unresolved() == (intent(),)
    assert (await journal.start_run("testnet", "digest", START_MS)).number == 2
    await journal.outcome(Outcome(intent().client_id, OutcomeState.ABSENT), START_MS + 1)
    assert await journal.unresolved() == ()
    await journal.close()


async def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    async with journal._engine.connect() as connection:
        settings = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    await journal.close()


async def test_an_intent_costs_milliseconds(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    async with asyncio.timeout(5):
        for leg in range(100):
            await journal.intent(intent(leg))
    await journal.close()


async def test_a_reader_sees_each_commit_and_holds_nothing_up(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        for number in range(1, 4):
            await journal.cycle(cycle(number), NOTHING)
            assert [row.cycle for row in await reader.cycles(10)] == list(range(1, number + 1))
    await journal.close()


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        assert reader._engine is not None
        async with reader._engine.connect() as connection:
            with pytest.raises(Exception, match="readonly"):
                await connection.exec_driver_sql("DELETE FROM runs")
    await journal.close()


async def test_a_reader_leaves_no_trace_beside_a_journal_at_rest(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.cycle(cycle(1), NOTHING)
    await journal.close()
    before = contents(tmp_path)
    assert list(before) == ["keeper.db"], "a clean end folds everything into the one file"
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        assert len(await reader.cycles(10)) == 1
        assert list(await reader.memories()) == ["btc"]
        assert contents(tmp_path) == before
    assert contents(tmp_path) == before


async def test_a_journal_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    async with await JournalReader.open(url_of(tmp_path / "no" / "such")) as reader:
        assert not reader.exists
        assert await reader.memories() == {}
        assert await reader.remembered() == NOTHING
        assert await reader.cycles(10) == ()
        assert await reader.orders(10) == ()
        assert await reader.fills(10) == ()
        assert await reader.record(1, 1) is None
        assert (await reader.summary()).runs == 0
    assert contents(tmp_path) == {}


async def test_a_journal_whose_keeper_died_before_its_tables_is_empty(tmp_path: Path) -> None:
    (tmp_path / "keeper.db").touch()
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        assert not reader.exists
        assert await reader.memories() == {}
    journal = await opened(tmp_path)
    await journal.intent(intent())
    await journal.close()


async def test_a_summary_says_how_things_stand(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.cycle(cycle(1), NOTHING)
    await journal.intent(intent())
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        summary = await reader.summary()
    assert (summary.tag, summary.runs, summary.last_mode, summary.cycles) == ("c0ffee", 1, "testnet", 1)
    assert (summary.orders, summary.unresolved, summary.fills) == (1, 1, 0)
    assert summary.last_cycle_at_ms == cycle(1).ended_at_ms
    await journal.close()
