"""Questions that the writer and the reader ask alike."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from keeper.core.model import AccountId, HedgeMemory, InstrumentId, Intent, Outcome
from keeper.journal import codec, rows, schema
from keeper.journal.base import Event, Remembered


async def modes(connection: AsyncConnection) -> tuple[str, ...]:
    """The modes of the keepers that have started on this journal, the last one's last; none for a new one."""
    runs = schema.runs.c
    wanted = select(runs.mode).group_by(runs.mode).order_by(func.max(runs.number))
    return tuple((await connection.execute(wanted)).scalars())


async def memories(connection: AsyncConnection) -> dict[str, HedgeMemory]:
    """What each hedge remembered last."""
    found = await connection.execute(select(schema.memories).order_by(schema.memories.c.hedge))
    return {row.hedge: codec.loads(HedgeMemory, row.memory) for row in found}


async def remembered(connection: AsyncConnection) -> Remembered:
    """The last accepted readings."""
    holdings = await connection.execute(select(schema.remembered_holdings))
    positions = await connection.execute(select(schema.remembered_positions))
    return Remembered(
        holdings={(AccountId(row.venue, row.wallet), row.asset): row.amount_base for row in holdings},
        positions={rows.instrument_of(row): row.contracts for row in positions},
        taken_at_ms=(await connection.execute(select(schema.journal.c.remembered_at_ms))).scalar(),
    )


async def intents(connection: AsyncConnection, wanted: ColumnElement[bool]) -> tuple[Intent, ...]:
    """Intents in the order in which they were written."""
    found = await connection.execute(select(schema.intents).where(wanted).order_by(schema.intents.c.id))
    return tuple(rows.intent_of(row) for row in found)


async def outcome_history(connection: AsyncConnection, client_id: str) -> tuple[tuple[int, Outcome], ...]:
    """Everything that was ever known of one intent, oldest first."""
    wanted = select(schema.outcomes).where(schema.outcomes.c.client_id == client_id).order_by(schema.outcomes.c.id)
    return tuple((row.at_ms, rows.outcome_of(row)) for row in await connection.execute(wanted))


async def funding_total(connection: AsyncConnection, since_ms: int) -> dict[tuple[InstrumentId, str], Decimal]:
    """Funding at or after then, by instrument and asset; added up here, since SQLite would add floats."""
    totals: dict[tuple[InstrumentId, str], Decimal] = {}
    for row in await connection.execute(select(schema.funding).where(schema.funding.c.at_ms >= since_ms)):
        key = (rows.instrument_of(row), row.asset)
        totals[key] = totals.get(key, Decimal(0)) + row.amount
    return totals


async def back_offs(connection: AsyncConnection) -> dict[str, int]:
    """Until when each venue asked us to stay away."""
    found = await connection.execute(select(schema.back_offs))
    return {row.venue: row.until_ms for row in found}


async def events(
    connection: AsyncConnection, kind: str | None, subject: str | None, limit: int, but: Sequence[str] = ()
) -> tuple[Event, ...]:
    """The last events of a kind (None: of all ``but`` some), oldest first; raises where one is no JSON object."""
    wanted = select(schema.events).order_by(schema.events.c.id.desc()).limit(limit)
    if kind is not None:
        wanted = wanted.where(schema.events.c.kind == kind)
    if subject is not None:
        wanted = wanted.where(schema.events.c.subject == subject)
    if but:
        wanted = wanted.where(schema.events.c.kind.not_in(but))
    found = [rows.event_of(row) for row in await connection.execute(wanted)]
    return tuple(reversed(found))
