"""The journal in memory answers as the real one does: the same calls give the same memory; what a disk forgets."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from keeper.core.model import Contracts, HedgeMemory, OutcomeState
from keeper.fuzz.disk import Disk, MemoryJournal
from keeper.journal.base import FundingEntry, Journal, JournalError
from keeper.journal.sql import SqlJournal
from tests.journal import story

D = Decimal


async def asked(journal: Journal) -> list[Any]:
    """Everything that a journal can be asked."""
    return [
        dict(await journal.memories()),
        await journal.remembered(),
        list(await journal.unresolved()),
        list(await journal.intents_since(story.START_MS + 5)),
        dict(await journal.funding_total()),
        dict(await journal.funding_total(story.START_MS + 1)),
        dict(await journal.back_offs()),
    ]


def some_call(source: random.Random, turn: int) -> Callable[[Journal], Any]:
    """A drawn call, the same on whichever journal; some are refused."""
    number = source.randint(1, 12)
    sent = story.intent(number, at_ms=story.START_MS + number)
    state = source.choice(tuple(OutcomeState))
    amount = D(source.randint(-50, 50)) / 8
    memory = HedgeMemory(target_ratio=D("0.6"), paused=source.random() < 0.5, holdings_base=None)
    entry = FundingEntry(str(number % 4), story.BTC, amount, "USDT", story.START_MS + number % 3)
    record = story.with_memory(story.cycle(100 + turn), established=number % 2 == 0)
    read = story.readings({"BTC": str(amount), "ETH": "1"}, {story.BTC: str(number)}, story.START_MS + number)
    calls: list[Callable[[Journal], Any]] = [
        lambda journal: journal.intent(sent),
        lambda journal: journal.outcome(
            replace(sent.outcome, state=state, filled=Contracts(abs(amount))), story.START_MS
        ),
        lambda journal: journal.not_found(sent.client_id, number, story.START_MS),
        lambda journal: journal.fills([story.fill(str(number)), story.fill(str(number % 3))]),
        lambda journal: journal.funding([entry]),
        lambda journal: journal.memory("btc", memory),
        lambda journal: journal.cycle(record, read),
        lambda journal: journal.back_off("main", number),
        lambda journal: journal.start_run("testnet", "digest", story.START_MS + number),
    ]
    return source.choice(calls)


@pytest.mark.parametrize("seed", range(4))
async def test_both_journals_remember_the_same(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    sql: Journal = await SqlJournal.open(story.url_of(tmp_path), new_tag=lambda: "c0ffee")
    memory: Journal = MemoryJournal(Disk(lambda: "c0ffee"))
    try:
        for journal in (sql, memory):
            await journal.start_run("testnet", "digest", story.START_MS)
        for number in range(60):
            call = some_call(source, number)
            answers: list[Any] = []
            for journal in (sql, memory):
                try:
                    answers.append(await call(journal))
                except JournalError:
                    answers.append(JournalError)
            assert answers[0] == answers[1]
        assert await asked(sql) == await asked(memory)
    finally:
        await sql.close()


async def test_a_crash_takes_the_tail_but_never_an_intent_or_a_command() -> None:
    for seed in range(20):
        disk = Disk(lambda: "c0ffee")
        journal = MemoryJournal(disk)
        await journal.start_run("testnet", "digest", 0)
        await journal.cycle(story.cycle(1), story.NOTHING)
        await journal.intent(story.intent(1))
        await journal.outcome(replace(story.intent(1).outcome, state=OutcomeState.FILLED), 0)
        await journal.cycle(story.cycle(2), story.NOTHING)
        disk.crash(random.Random(seed))
        assert disk.live.cycles in (1, 2)
        known = await journal.intents_since(0)
        assert [each.client_id for each in known] == [story.intent(1).client_id]
        assert known[0].outcome.state in (OutcomeState.UNKNOWN, OutcomeState.FILLED)
        await journal.memory("btc", HedgeMemory(paused=True))
        disk.crash(random.Random(seed))
        assert (await journal.memories())["btc"].paused


async def test_an_id_is_never_written_twice() -> None:
    journal = MemoryJournal(Disk(lambda: "c0ffee"))
    await journal.intent(story.intent(1))
    with pytest.raises(JournalError, match="used before"):
        await journal.intent(story.intent(1))
