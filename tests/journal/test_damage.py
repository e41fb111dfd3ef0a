"""A journal whose bytes are not those that were written: one message that names it, and what to do."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keeper.commands.history import history
from keeper.errors import KeeperError
from keeper.journal.base import Event, JournalError
from keeper.journal.reader import JournalReader
from keeper.journal.sql import SqlJournal
from tests.journal.story import NOTHING, START_MS, cycle, fill, intent, opened, url_of

REMEDY = r"keeper\.db: could not .*cannot be understood; move the file aside and restore a backup"
NO_TEXT = "cast(x'ff' || substr(cast({0} as blob), 2) as text)"
DAMAGE = {
    "a byte that is no letter": ("memories", "memory", NO_TEXT),
    "another key": ("memories", "memory", "replace({0}, 'target_ratio', 'targat_ratio')"),
    "no JSON": ("memories", "memory", "'[nope'"),
    "brackets without end": ("memories", "memory", "'" + "[" * 50_000 + "'"),
    "a state that is none": ("intents", "state", "'unknowm'"),
    "a side that is none": ("intents", "side", "'sold'"),
    "no number": ("intents", "contracts", "'1x'"),
    "half a letter in an order": ("intents", "text", "cast(x'ff' as text)"),
    "an event of nothing": ("events", "detail", "'[]'"),
    "an event that is no JSON": ("events", "detail", "'nope'"),
}


async def _kept(folder: Path) -> None:
    journal = await opened(folder)
    record = cycle(1)
    await journal.cycle(record, NOTHING)
    await journal.memory("btc", record.hedges[0].memory)
    await journal.intent(intent(1))
    await journal.fills([fill("t-1")])
    await journal.event(Event("account", "main", START_MS, json.dumps({"exchange": "x"})))
    await journal.close()


def damaged(folder: Path, table: str, column: str, value: str) -> None:
    asyncio.run(_kept(folder))
    with sqlite3.connect(folder / "keeper.db") as file:
        file.execute("PRAGMA ignore_check_constraints = 1")
        damage = f"UPDATE {table} SET {column} = "  # noqa: S608  # our own words
        assert file.execute(damage + value.replace("{0}", column)).rowcount == 1
    file.close()


async def _read(folder: Path, table: str) -> None:
    async with await JournalReader.open(url_of(folder)) as reader:
        asks: dict[str, Callable[[], Any]] = {
            "memories": reader.memories,
            "intents": lambda: reader.orders(9, None),
            "events": lambda: reader.events("account", "main", 1),
        }
        await asks[table]()


async def _take_up(folder: Path, table: str) -> None:
    journal = await SqlJournal.open(url_of(folder))
    asks: dict[str, Callable[[], Any]] = {
        "memories": journal.memories,
        "intents": journal.unresolved if table == "intents" else journal.memories,
        "events": lambda: journal.events("account", "main"),
    }
    try:
        await asks[table]()
        await journal.intents_since(0)
    finally:
        await journal.close()


@pytest.mark.parametrize("what", DAMAGE)
def test_what_cannot_be_understood_is_told_as_the_journals_own(what: str, tmp_path: Path) -> None:
    table, column, value = DAMAGE[what]
    damaged(tmp_path, table, column, value)
    with pytest.raises(JournalError, match=REMEDY):
        asyncio.run(_read(tmp_path, table))
    with pytest.raises(JournalError, match=REMEDY):
        asyncio.run(_take_up(tmp_path, table))


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("what", [what for what in DAMAGE if DAMAGE[what][0] != "memories"])
def test_history_tells_a_damaged_journal_in_one_message(what: str, as_json: bool, tmp_path: Path) -> None:
    damaged(tmp_path, *DAMAGE[what])
    with pytest.raises(KeeperError, match="cannot be understood; move the file aside and restore a backup"):
        history(url_of(tmp_path), hedge=None, limit=5, as_json=as_json)


def test_a_target_without_its_words_is_damage_too(tmp_path: Path) -> None:
    damaged(tmp_path, "events", "kind", "'target'")
    with pytest.raises(KeeperError, match=r"cannot be understood.*KeyError: 'verb'"):
        history(url_of(tmp_path), hedge=None, limit=5, as_json=False)
