"""The journal in a database: SQLite by default, PostgreSQL by URL.

A call that returned is on the disk. A call that raised :class:`JournalError` may have been written or not, as with any
commit whose answer is lost; an intent that was written and never sent is resolved like every unknown one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from keeper.core.model import CycleRecord, HedgeMemory, InstrumentId, Intent, Outcome, OutcomeState, Snapshot
from keeper.journal import codec, queries, rows, schema
from keeper.journal.base import Event, FundingEntry, JournalError, Remembered, Run
from keeper.journal.engine import probe, writer_engine
from keeper.journal.failure import UNREADABLE, driver_errors, readable
from keeper.journal.migrate import upgrade
from keeper.journal.url import describe, file_of, parse
from keeper.venue.base import Fill

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

DEADLINE_SECONDS = 30.0
"""A call that takes longer has failed: a disk that hangs must not hang the loop. SQLite's own wait is within it."""

FULL_EVERY = 120
"""Of holds that repeat the one before, every so manieth keeps its whole snapshot: ten minutes at five seconds each."""

PRUNE_BATCH = 2_000
"""Cycles deleted in one transaction, so that pruning years never makes an intent wait."""

_TAG_BYTES = 3


class SqlJournal:
    """The :class:`~keeper.journal.base.Journal` of a real keeper. Made by :meth:`open`; belongs to one event loop."""

    def __init__(self, engine: AsyncEngine, name: str, full_every: int, new_tag: Callable[[], str]) -> None:
        self._engine = engine
        self._name = name
        self._errors = driver_errors()
        self._full_every = full_every
        self._new_tag = new_tag
        # What the last cycle looked like, if it was a hold, and how many since the last that was kept in full.
        self._last_hold: tuple[object, ...] | None = None
        self._since_full = 0

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        full_every: int = FULL_EVERY,
        new_tag: Callable[[], str] = lambda: secrets.token_hex(_TAG_BYTES),
        connect: Callable[..., Awaitable[Any]] | None = None,
    ) -> SqlJournal:
        """Create or migrate the journal at ``url``; ``connect`` makes SQLite's connections in the driver's place.

        Raises :class:`~keeper.errors.ConfigError` for a URL that cannot be used, :class:`~keeper.errors.UnsafeError`
        for the journal of a newer keeper, :class:`JournalError` for whatever the disk or the server says.
        """
        parsed = parse(url)
        path = file_of(parsed)
        name = describe(parsed)
        if path is not None and not path.parent.is_dir():
            raise JournalError(f"journal {name}: the directory {path.parent} does not exist; create it first")
        if path is not None:
            _probe(path, name)
        journal = cls(writer_engine(parsed, connect), name, full_every, new_tag)
        try:
            await journal._migrate()
            if path is not None:
                _sync_directory(path.parent, name)
        except BaseException:
            await journal.close()
            raise
        return journal

    async def _migrate(self) -> None:
        # No deadline: a migration of years of cycles takes what it takes, and nothing else runs meanwhile.
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(upgrade, self._name)
        except self._errors as error:
            raise readable(error, self._name, "open it") from error

    async def close(self) -> None:
        """Give back the connection; the last one to leave folds SQLite's write-ahead log into the file."""
        await self._engine.dispose()

    async def start_run(self, mode: str, config_digest: str, at_ms: int) -> Run:
        """Write down that a keeper starts; the first start gives the journal its tag."""

        async def work(connection: AsyncConnection) -> Run:
            tag = (await connection.execute(select(schema.journal.c.tag))).scalar()
            if tag is None:
                tag = self._new_tag()
                await connection.execute(insert(schema.journal).values(id=1, tag=tag, created_at_ms=at_ms))
            last = (await connection.execute(select(func.max(schema.runs.c.number)))).scalar()
            run = Run(number=(last or 0) + 1, tag=tag)
            await connection.execute(
                insert(schema.runs).values(number=run.number, mode=mode, config_digest=config_digest, at_ms=at_ms)
            )
            return run

        return await self._do("start a run", work)

    async def modes(self) -> Sequence[str]:
        """The modes of the keepers that have started on this journal, the last one's last."""
        return await self._do("read its modes", queries.modes)

    async def memories(self) -> Mapping[str, HedgeMemory]:
        """What each hedge remembered last."""
        return await self._do("read what hedges remember", queries.memories)

    async def remembered(self) -> Remembered:
        """The last accepted readings."""
        return await self._do("read the last readings", queries.remembered)

    async def unresolved(self) -> Sequence[Intent]:
        """Intents whose outcome is open, oldest first."""
        wanted = schema.intents.c.state.in_([state.value for state in OutcomeState if state.is_open])
        return await self._do("read the unresolved intents", lambda connection: queries.intents(connection, wanted))

    async def intents_since(self, at_ms: int) -> Sequence[Intent]:
        """Intents that were created, or of which something became known, at or after then, oldest first."""
        wanted = schema.intents.c.updated_at_ms >= at_ms
        return await self._do("read the latest intents", lambda connection: queries.intents(connection, wanted))

    async def intent(self, intent: Intent) -> None:
        """Write an intent; it has survived a crash when this returns. A client id is never accepted twice."""

        async def work(connection: AsyncConnection) -> None:
            known = select(schema.intents.c.id).where(schema.intents.c.client_id == intent.client_id)
            if (await connection.execute(known)).first() is not None:
                raise JournalError(
                    f"journal {self._name}: the client id {intent.client_id} was used before; its order is not sent"
                )
            await connection.execute(insert(schema.intents), rows.intent_values(intent))
            await _append_outcome(connection, intent.outcome, intent.created_at_ms)

        await self._do(f"write the intent {intent.client_id}", work)

    async def outcome(self, outcome: Outcome, at_ms: int) -> None:
        """Write what became of an intent; what was known before stays in the ``outcomes`` table."""

        async def work(connection: AsyncConnection) -> None:
            intent = await self._intent_row(connection, outcome.client_id)
            if rows.outcome_of(intent) == outcome:
                return
            values = rows.outcome_values(outcome) | {"updated_at_ms": at_ms}
            await connection.execute(update(schema.intents).where(schema.intents.c.id == intent.id).values(values))
            await _append_outcome(connection, outcome, at_ms)

        await self._do(f"write the outcome of {outcome.client_id}", work)

    async def outcome_history(self, client_id: str) -> tuple[tuple[int, Outcome], ...]:
        """Everything that was ever known of an intent and since when, oldest first; the last is what is known now."""
        return await self._do(
            "read how an order went", lambda connection: queries.outcome_history(connection, client_id)
        )

    async def not_found(self, client_id: str, count: int, since_ms: int) -> None:
        """Write how often the venue has said, with authority, that it knows no such order."""

        async def work(connection: AsyncConnection) -> None:
            intent = await self._intent_row(connection, client_id)
            values = {"not_found": count, "not_found_since_ms": since_ms}
            await connection.execute(update(schema.intents).where(schema.intents.c.id == intent.id).values(values))

        await self._do(f"write that {client_id} was not found", work)

    async def fills(self, fills: Sequence[Fill]) -> int:
        """Write executions, each once for ever; yields how many were new."""
        return await self._once(schema.fills, [rows.fill_values(fill) for fill in fills], "write fills")

    async def funding(self, entries: Sequence[FundingEntry]) -> int:
        """Write funding payments, each once for ever; yields how many were new."""
        return await self._once(schema.funding, [rows.funding_values(entry) for entry in entries], "write funding")

    async def funding_total(self, since_ms: int = 0) -> Mapping[tuple[InstrumentId, str], Decimal]:
        """Funding received (negative: paid) at or after then, by instrument and asset."""
        return await self._do("read funding", lambda connection: queries.funding_total(connection, since_ms))

    async def cycle(self, record: CycleRecord, remembered: Remembered) -> None:
        """Write a finished cycle, every hedge's memory and the accepted readings, in one transaction.

        A hold like the hold before it keeps its figures and reasons but not the whole snapshot, save every so often.
        A reading that ``remembered`` does not have stays as it was: absent is not zero, and not forgotten either.
        """
        hold = _hold_signature(record)
        repeats = hold is not None and hold == self._last_hold and self._since_full + 1 < self._full_every

        async def work(connection: AsyncConnection) -> None:
            values = {
                "run": record.run,
                "cycle": record.cycle,
                "taken_at_ms": record.snapshot.taken_at_ms,
                "ended_at_ms": record.ended_at_ms,
                "is_hold": hold is not None,
                "snapshot": None if repeats else codec.dumps(Snapshot, record.snapshot),
            }
            written = await connection.execute(insert(schema.cycles), values)
            key = written.inserted_primary_key
            assert key is not None  # noqa: S101  an INSERT of one row has one
            hedges = [
                rows.hedge_cycle_values(key[0], position, hedge, in_full=not repeats)
                for position, hedge in enumerate(record.hedges)
            ]
            if hedges:
                await connection.execute(insert(schema.hedge_cycles), hedges)
            memories = [_memory_values(hedge.exposure.hedge.name, hedge.memory) for hedge in record.hedges]
            await self._upsert(connection, schema.memories, memories)
            await self._remember(connection, remembered)

        await self._do(f"write cycle {record.cycle} of run {record.run}", work)
        self._last_hold = hold
        self._since_full = self._since_full + 1 if repeats else 0

    async def memory(self, hedge: str, memory: HedgeMemory) -> None:
        """Write one hedge's memory outside a cycle."""
        values = [_memory_values(hedge, memory)]
        await self._do(f"write what {hedge} remembers", lambda conn: self._upsert(conn, schema.memories, values))

    async def event(self, event: Event) -> None:
        """Write an event."""
        values = {"kind": event.kind, "subject": event.subject, "at_ms": event.at_ms, "detail": event.detail}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(schema.events), values)

        await self._do(f"write a {event.kind} of {event.subject}", work)

    async def events(self, kind: str, subject: str, limit: int = 1) -> Sequence[Event]:
        """The last ``limit`` events of a kind about one subject, oldest first."""
        return await self._do(f"read each {kind}", lambda connection: queries.events(connection, kind, subject, limit))

    async def back_offs(self) -> Mapping[str, int]:
        """Until when each venue asked us to stay away, wall milliseconds."""
        found = await self._do("read the back-offs", queries.back_offs)
        return dict(found)

    async def back_off(self, venue: str, until_ms: int) -> None:
        """Write until when a venue asked us to stay away."""
        values: list[rows.Values] = [{"venue": venue, "until_ms": until_ms}]
        await self._do(f"write {venue}'s back-off", lambda conn: self._upsert(conn, schema.back_offs, values))

    async def prune(self, before_ms: int) -> int:
        """Delete the holds that ended before then; yields how many. Intents, outcomes, fills and funding all stay."""
        old = (
            select(schema.cycles.c.id)
            .where(schema.cycles.c.ended_at_ms < before_ms, schema.cycles.c.is_hold)
            .limit(PRUNE_BATCH)
        )

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(schema.cycles).where(schema.cycles.c.id.in_(old)))).rowcount

        total = 0
        while deleted := await self._do("prune old cycles", work):
            total += deleted
        return total

    async def _intent_row(self, connection: AsyncConnection, client_id: str) -> Any:
        row = (await connection.execute(select(schema.intents).where(schema.intents.c.client_id == client_id))).first()
        if row is None:
            raise JournalError(f"journal {self._name}: there is no intent {client_id}; nothing was written")
        return row

    async def _remember(self, connection: AsyncConnection, remembered: Remembered) -> None:
        holdings = [
            {"venue": account.venue, "wallet": account.wallet, "asset": asset, "amount_base": amount}
            for (account, asset), amount in remembered.holdings.items()
        ]
        positions = [
            rows.instrument_values(instrument) | {"contracts": contracts}
            for instrument, contracts in remembered.positions.items()
        ]
        await self._upsert(connection, schema.remembered_holdings, holdings)
        await self._upsert(connection, schema.remembered_positions, positions)
        if remembered.taken_at_ms is not None:
            await connection.execute(update(schema.journal), {"remembered_at_ms": remembered.taken_at_ms})

    async def _upsert(self, connection: AsyncConnection, table: Table, values: list[rows.Values]) -> None:
        if values:
            await connection.execute(_upserting(self._engine.dialect.name, table), values)

    async def _once(self, table: Table, values: list[rows.Values], doing: str) -> int:
        if not values:
            return 0
        statement = _dialect_insert(self._engine.dialect.name, table).on_conflict_do_nothing()

        async def work(connection: AsyncConnection) -> int:
            # One at a time: drivers do not agree on what a batch that skips rows has counted.
            return sum([(await connection.execute(statement, row)).rowcount for row in values])

        return await self._do(doing, work)

    async def _do(self, doing: str, work: Work[T]) -> T:
        """One transaction, in a task of its own: a caller that is cancelled cannot leave half of one behind."""
        task = asyncio.create_task(self._transaction(doing, work))
        try:
            await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
            if task.done() and not task.cancelled() and (failure := task.exception()) is not None:
                raise asyncio.CancelledError from failure
            raise
        if not task.done():
            # The thread that waits for the disk cannot be stopped; the next call will queue behind it and fail too.
            task.add_done_callback(_retrieve)
            raise JournalError(f"journal {self._name}: could not {doing}: no answer within {DEADLINE_SECONDS:g} s")
        return task.result()

    async def _transaction(self, doing: str, work: Work[T]) -> T:
        try:
            async with self._engine.begin() as connection:
                return await work(connection)
        except IntegrityError as error:
            raise JournalError(
                f"journal {self._name}: could not {doing}: it contradicts what is there ({error.orig})"
            ) from error
        except self._errors as error:
            raise readable(error, self._name, doing) from error
        except UNREADABLE as error:
            if not doing.startswith("read"):
                raise
            raise readable(error, self._name, doing) from error


def _dialect_insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _upserting(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that replaces the row of the same key; made once, as it is executed in every cycle."""
    statement = _dialect_insert(dialect, table)
    changed = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=table.primary_key, set_=changed)


def _probe(path: Path, name: str) -> None:
    try:
        probe(path, writable=True)
    except (OSError, sqlite3.Error) as error:
        raise readable(error, name, "open it") from error


async def _append_outcome(connection: AsyncConnection, outcome: Outcome, at_ms: int) -> None:
    await connection.execute(insert(schema.outcomes), rows.outcome_values(outcome) | {"at_ms": at_ms})


def _memory_values(hedge: str, memory: HedgeMemory) -> rows.Values:
    return {"hedge": hedge, "memory": codec.dumps(HedgeMemory, memory)}


def _hold_signature(record: CycleRecord) -> tuple[object, ...] | None:
    """What makes two holds alike: everything but the figures. None when anything else than a hold was decided."""
    if not all(rows.is_hold(hedge) for hedge in record.hedges):
        return None
    hedges = tuple(
        (
            hedge.exposure.hedge,
            tuple(reason.code for reason in rows.all_reasons(hedge)),
            (hedge.memory.target, hedge.memory.established, hedge.memory.halted, hedge.memory.paused),
        )
        for hedge in record.hedges
    )
    gaps = tuple((gap.source, gap.code) for gap in record.snapshot.gaps)
    blocks = tuple((source, reason.code) for source, reason in record.snapshot.blocks)
    return record.run, hedges, gaps, blocks


def _sync_directory(directory: Path, name: str) -> None:
    """Make the new file's name durable: SQLite syncs what is in the file, not the directory that it was created in."""
    try:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise readable(error, name, "sync its directory") from error


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at the late result, so that asyncio does not report it as lost: the caller was told of the failure."""
    if not task.cancelled():
        task.exception()
