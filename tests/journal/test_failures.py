"""What a disk can do to a journal: each failure says what to do, and passes when its cause does."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from keeper.errors import ConfigError
from keeper.journal import engine, sql
from keeper.journal.base import JournalError
from keeper.journal.reader import JournalReader
from keeper.journal.sql import SqlJournal
from keeper.journal.url import describe, parse
from tests.journal.story import NOTHING, cycle, intent, opened, url_of


async def pragma(journal: SqlJournal, text: str) -> None:
    async with journal._engine.connect() as connection:
        await connection.exec_driver_sql(f"PRAGMA {text}")


async def fill_up(journal: SqlJournal) -> None:
    for leg in range(100):
        await journal.intent(intent(leg))


async def read_unresolved(directory: Path) -> None:
    journal = await SqlJournal.open(url_of(directory))
    try:
        await journal.unresolved()
    finally:
        await journal.close()


async def test_a_full_disk_stops_the_intent_and_passes_when_there_is_space(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await pragma(journal, "max_page_count = 1")  # SQLite's own quota: it then says what it says of a full disk
    with pytest.raises(JournalError, match=r"could not write the intent .*the disk is full; free some space"):
        await fill_up(journal)
    written = await journal.intents_since(0)

    await pragma(journal, "max_page_count = 100000")
    await journal.intent(intent(999))
    assert await journal.intents_since(0) == (*written, intent(999))
    await journal.close()


async def test_a_disk_that_refuses_to_write_stops_the_cycle_and_not_the_journal(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    size = (tmp_path / "keeper.db-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(JournalError, match=r"the disk (is full|could not be read or written)"):
            await journal.cycle(cycle(1), NOTHING)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await journal.cycle(cycle(1), NOTHING)
    await journal.close()


async def test_a_journal_that_became_read_only_says_so(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await pragma(journal, "query_only = ON")
    with pytest.raises(JournalError, match="it is read-only; make the file and its directory writable"):
        await journal.intent(intent())
    await journal.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where it likes")
def test_a_directory_without_permission_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="check that its directory exists and is writable"):
        asyncio.run(SqlJournal.open(url_of(tmp_path)))
    tmp_path.chmod(0o700)


async def test_a_lock_held_by_another_program_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_WRITER", ("PRAGMA journal_mode = WAL", "PRAGMA busy_timeout = 50"))
    journal = await opened(tmp_path)
    other = sqlite3.connect(tmp_path / "keeper.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another program holds it locked"):
        await journal.intent(intent())
    async with await JournalReader.open(url_of(tmp_path)) as reader:
        assert (await reader.summary()).runs == 1, "whoever only reads is not held up"
    other.execute("ROLLBACK")
    other.close()
    await journal.intent(intent())
    await journal.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 99, b"SQLite format 3\0" + b"\xff" * 4096])
async def test_a_file_that_is_no_database_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keeper.db").write_bytes(content)
    with pytest.raises(JournalError, match=r"could not open it: .*(not a database|damaged)"):
        await SqlJournal.open(url_of(tmp_path))
    with pytest.raises(JournalError, match=r"could not open it: .*(not a database|damaged)"):
        await JournalReader.open(url_of(tmp_path))
    assert (tmp_path / "keeper.db").read_bytes() == content, "what is broken is left for its owner to look at"


async def test_damage_in_the_middle_is_an_error_and_never_an_empty_answer(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await fill_up(journal)
    await journal.close()
    file = tmp_path / "keeper.db"
    whole = file.read_bytes()
    page = 4096
    file.write_bytes(whole[: 2 * page] + b"\xa5" * (len(whole) - 2 * page))
    with pytest.raises(JournalError, match="damaged"):
        await read_unresolved(tmp_path)


async def test_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="nowhere does not exist; create it first"):
        await SqlJournal.open(f"sqlite:///{tmp_path}/nowhere/keeper.db")


async def test_a_directory_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "keeper.db").mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        await SqlJournal.open(url_of(tmp_path))
    with pytest.raises(ConfigError, match="is a directory; name the file"):
        await JournalReader.open(url_of(tmp_path))


async def test_a_disk_that_hangs_does_not_hang_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = await opened(tmp_path)
    answered = asyncio.Event()

    async def hang(connection: AsyncConnection) -> None:
        await answered.wait()

    monkeypatch.setattr(sql, "DEADLINE_SECONDS", 0.05)
    with pytest.raises(JournalError, match=r"could not wait: no answer within 0.05 s"):
        await journal._do("wait", hang)
    answered.set()
    monkeypatch.undo()
    await journal.intent(intent())
    await journal.close()


async def test_memory_of_another_version_is_refused_and_never_taken_for_none(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    async with journal._engine.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO memories VALUES ('btc', '{\"stopped\": true}')")
    with pytest.raises(JournalError, match="has no field stopped"):
        await journal.memories()
    await journal.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root@localhost/keeper", '"mysql" is not supported; use sqlite:///PATH'),
        ("keeper.db", "this is not a URL"),
        ("", "this is not a URL"),
        ("sqlite://", "a file that survives a crash"),
        ("sqlite:///:memory:", "a file that survives a crash"),
        ("sqlite:///keeper.db?mode=memory", "a file that survives a crash"),
        ("sqlite:///file:keeper.db", "a file that survives a crash"),
    ],
)
async def test_a_url_that_cannot_be_used_names_the_key_and_the_remedy(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"\[journal\] url: .*" + message):
        await SqlJournal.open(url)
    with pytest.raises(ConfigError, match=message):
        await JournalReader.open(url)


def test_postgresql_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeper.journal.url.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="pip install asyncpg"):
        parse("postgresql://keeper@localhost/keeper")


def test_a_password_is_never_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeper.journal.url.find_spec", lambda _name: object())
    assert describe("postgresql://keeper:hunter2@db/keeper") == "postgresql://keeper:***@db/keeper"
    told = describe("postgresql://db/keeper?host=/run/pg&password=hunter2&sslpassword=hunter2")
    assert told == "postgresql://db/keeper?host=%2Frun%2Fpg"
    with pytest.raises(ConfigError) as refusal:
        parse("hunter2:\\/not-a-url")
    assert "hunter2" not in str(refusal.value)
