"""The tables on the disk are those that the program believes in, and a journal of the future is left alone."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from keeper.errors import ConfigError, UnsafeError
from keeper.journal.migrate import SCRIPTS, upgrade
from keeper.journal.reader import JournalReader
from keeper.journal.schema import HEAD, VERSION_TABLE, metadata
from keeper.journal.sql import SqlJournal
from tests.journal.story import intent, opened, url_of


def execute(directory: Path, statement: str) -> None:
    connection = sqlite3.connect(directory / "keeper.db", isolation_level=None)
    connection.execute(statement)
    connection.close()


def stamp(directory: Path, version: str) -> None:
    execute(directory, f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")  # noqa: S608  two constants


def definitions(connection: Connection) -> set[tuple[str, ...]]:
    """Every table and index in SQLite's own words, whatever the order of its columns and constraints."""
    found = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").scalars()
    return {tuple(sorted(re.findall(r"\w+", text))) for text in found if VERSION_TABLE not in text}


async def test_the_migrated_tables_are_the_tables_of_the_program(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    migrated = create_engine(url_of(tmp_path), poolclass=NullPool)
    with migrated.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        # What Alembic does not compare (checks, keys that cascade) SQLite still tells.
        by_migration = definitions(connection)
    declared = create_engine(f"sqlite:///{tmp_path}/declared.db", poolclass=NullPool)
    with declared.begin() as connection:
        metadata.create_all(connection)
        assert definitions(connection) == by_migration


def test_the_newest_migration_is_the_one_that_the_program_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True), "their names must sort: that is how a newer one is known"


def test_every_table_can_be_made_on_postgresql_too() -> None:
    postgresql = make_url("postgresql://").get_dialect()()
    made = [str(CreateTable(table).compile(dialect=postgresql)) for table in metadata.sorted_tables]
    assert "id BIGSERIAL NOT NULL" in "".join(made)
    assert "FLOAT" not in "".join(made)
    assert "NUMERIC" not in "".join(made), "amounts are the same text everywhere"


async def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    before = (tmp_path / "keeper.db").read_bytes()
    await (await SqlJournal.open(url_of(tmp_path))).close()
    assert (tmp_path / "keeper.db").read_bytes() == before


async def test_the_journal_of_a_newer_keeper_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.intent(intent())
    await journal.close()
    stamp(tmp_path, "9999")
    before = (tmp_path / "keeper.db").read_bytes()
    for refusing in (SqlJournal.open, JournalReader.open):
        with pytest.raises(UnsafeError, match=r"written by a newer keeper \(its version is 9999"):
            await refusing(url_of(tmp_path))
    assert (tmp_path / "keeper.db").read_bytes() == before


async def test_a_reader_asks_for_the_migration_and_does_not_do_it(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    stamp(tmp_path, "0000")
    with pytest.raises(ConfigError, match="older keeper; start `keeper run` on it once"):
        await JournalReader.open(url_of(tmp_path))


async def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    execute(tmp_path, "CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(ConfigError, match=r"tables of another program \(bookmarks\)"):
        await SqlJournal.open(url_of(tmp_path))
    with pytest.raises(ConfigError, match=r"tables of another program \(bookmarks\)"):
        await JournalReader.open(url_of(tmp_path))


async def test_a_migration_that_is_cut_short_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(connection: Connection, journal: str) -> None:
        upgrade(connection, journal)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("keeper.journal.sql.upgrade", cut_short)
        with pytest.raises(Exception, match="could not open it: Input/output error"):
            await SqlJournal.open(url_of(tmp_path))
    connection = sqlite3.connect(tmp_path / "keeper.db")
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    await (await opened(tmp_path)).close()


async def test_a_path_with_odd_letters_is_a_path_like_any_other(tmp_path: Path) -> None:
    directory = tmp_path / "100% odd, #é"
    directory.mkdir()
    journal = await SqlJournal.open(f"sqlite:///{directory / 'keeper.db'}")
    await journal.close()
    async with await JournalReader.open(f"sqlite:///{directory / 'keeper.db'}") as reader:
        assert reader.exists
