"""Reading a journal from outside: for ``keeper plan``, ``keeper history`` and whoever judges a decision again.

A reader takes no lock that a keeper could notice, migrates nothing and writes nothing. It is meant to be short-lived:
open it, ask, close it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from keeper.core.model import (
    CycleRecord,
    HedgeCycle,
    HedgeMemory,
    InstrumentId,
    Intent,
    OutcomeState,
    Reason,
    Snapshot,
)
from keeper.errors import ConfigError
from keeper.journal import codec, queries, rows, schema
from keeper.journal.base import Event, Remembered
from keeper.journal.costs import HedgeCosts, OrderCost, costs_by_hedge, order_cost
from keeper.journal.engine import probe, reader_engine
from keeper.journal.failure import UNREADABLE, driver_errors, readable
from keeper.journal.migrate import version_of
from keeper.journal.url import describe, file_of, parse
from keeper.venue.base import Fill

T = TypeVar("T")

DEADLINE_SECONDS = 30.0
"""A question that takes longer has failed."""
IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class CycleRow:
    """One hedge in one cycle. Figures as in :class:`~keeper.core.model.Exposure`; None was not known.

    ``in_full`` says that :meth:`JournalReader.record` has all the inputs of this cycle.
    """

    run: int
    cycle: int
    taken_at_ms: int
    ended_at_ms: int
    hedge: str
    instrument: str
    decision: str
    reasons: tuple[Reason, ...]
    spot_base: Decimal | None
    collateral_base: Decimal | None
    exposure_base: Decimal | None
    futures_base: Decimal | None
    hedge_ratio: Decimal | None
    target_ratio: Decimal | None
    target_base: Decimal | None
    drift_base: Decimal | None
    drift_ratio: Decimal | None
    drift_notional: Decimal | None
    net_delta_base: Decimal | None
    equity_base: Decimal | None
    mark: Decimal | None
    contracts: Decimal | None
    residual_base: Decimal | None
    in_full: bool


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An intent, when the last thing became known of it, and what it cost."""

    intent: Intent
    updated_at_ms: int
    cost: OrderCost


@dataclass(frozen=True, slots=True)
class Summary:
    """The journal at a glance; ``tag`` is None until a keeper has run on it."""

    tag: str | None
    created_at_ms: int | None
    runs: int
    last_mode: str | None
    last_run_at_ms: int | None
    cycles: int
    orders: int
    unresolved: int
    fills: int
    last_cycle_at_ms: int | None


class JournalReader:
    """A look into a journal. Lists hold the newest entries, oldest first. Made by :meth:`open`.

    A journal that does not exist yet is empty; :attr:`exists` tells it from one that was used.
    """

    def __init__(self, name: str, engine: AsyncEngine | None) -> None:
        self.name = name
        self._engine = engine
        self._errors: tuple[type[Exception], ...] = (*driver_errors(), *UNREADABLE)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Look at the journal at ``url``.

        Raises :class:`~keeper.errors.ConfigError` when it is no journal or one that has to be migrated first,
        :class:`~keeper.errors.UnsafeError` when a newer keeper wrote it, :class:`JournalError` when it cannot be read.
        """
        parsed = parse(url)
        name = describe(parsed)
        path = file_of(parsed)
        if path is not None and not path.exists():
            return cls(name, None)
        if path is not None and path.is_dir():
            raise ConfigError(
                f'[journal] url: {path} is a directory; name the file, as in "sqlite:///{path}/keeper.db"'
            )
        if path is not None:
            try:
                probe(path, writable=False)
            except OSError as error:
                raise readable(error, name, "open it") from error
        reader = cls(name, reader_engine(parsed))
        try:
            version = await reader._ask("open it", lambda connection: connection.run_sync(version_of, name), None)
        except BaseException:
            await reader.close()
            raise
        if version is not None and version != schema.HEAD:
            await reader.close()
            raise ConfigError(f"journal {name} was written by an older keeper; start `keeper run` on it once")
        if version is None:
            # The file is there and holds no tables: a keeper was killed before it could make them.
            await reader.close()
            reader._engine = None
        return reader

    @property
    def exists(self) -> bool:
        """Whether there is a journal at all."""
        return self._engine is not None

    async def close(self) -> None:
        """Give back the connection."""
        if self._engine is not None:
            await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def modes(self) -> Sequence[str]:
        """The modes of the keepers that have started on this journal, the last one's last."""
        return await self._ask("read its modes", queries.modes, ())

    async def memories(self) -> Mapping[str, HedgeMemory]:
        """What each hedge remembered last."""
        return await self._ask("read what hedges remember", queries.memories, {})

    async def remembered(self) -> Remembered:
        """The last accepted readings."""
        return await self._ask("read the last readings", queries.remembered, Remembered({}, {}, None))

    async def events(
        self, kind: str | None, subject: str | None = None, limit: int = 1, *, but: Sequence[str] = ()
    ) -> Sequence[Event]:
        """The last ``limit`` events of a kind, or of all kinds ``but`` some, of one subject or of all, oldest first."""
        return await self._ask(
            f"read each {kind or 'event'}", lambda connection: queries.events(connection, kind, subject, limit, but), ()
        )

    async def funding_total(self, since_ms: int = 0) -> Mapping[tuple[InstrumentId, str], Decimal]:
        """Funding received (negative: paid) at or after then, by instrument and asset."""
        return await self._ask("read funding", lambda connection: queries.funding_total(connection, since_ms), {})

    async def cycles(self, limit: int, hedge: str | None = None) -> tuple[CycleRow, ...]:
        """The last ``limit`` entries, one for each hedge of each cycle."""
        wanted = (
            select(schema.cycles, schema.hedge_cycles)
            .join(schema.hedge_cycles, schema.hedge_cycles.c.cycle_id == schema.cycles.c.id)
            .order_by(schema.hedge_cycles.c.cycle_id.desc(), schema.hedge_cycles.c.position.desc())
            .limit(limit)
        )
        if hedge is not None:
            wanted = wanted.where(schema.hedge_cycles.c.hedge == hedge)

        async def work(connection: AsyncConnection) -> tuple[CycleRow, ...]:
            return tuple(reversed([_cycle_row(row) for row in await connection.execute(wanted)]))

        return await self._ask("read cycles", work, ())

    async def orders(self, limit: int, hedge: str | None = None) -> tuple[OrderRow, ...]:
        """The last ``limit`` intents with what became of them."""
        wanted = select(schema.intents).order_by(schema.intents.c.id.desc()).limit(limit)
        if hedge is not None:
            wanted = wanted.where(schema.intents.c.hedge == hedge)

        async def work(connection: AsyncConnection) -> tuple[OrderRow, ...]:
            found = [(rows.intent_of(row), row.updated_at_ms) for row in await connection.execute(wanted)]
            fills = await _fills_of(connection, [intent.client_id for intent, _ in found])
            orders = [
                OrderRow(intent, at_ms, order_cost(intent, at_ms, fills.get(intent.client_id, ())))
                for intent, at_ms in found
            ]
            return tuple(reversed(orders))

        return await self._ask("read orders", work, ())

    async def costs(self, hedge: str | None = None) -> tuple[HedgeCosts, ...]:
        """Slippage and fees of all orders that filled something, summed by hedge."""
        wanted = select(schema.intents).where(schema.intents.c.filled != Decimal(0)).order_by(schema.intents.c.id)
        if hedge is not None:
            wanted = wanted.where(schema.intents.c.hedge == hedge)

        async def work(connection: AsyncConnection) -> tuple[HedgeCosts, ...]:
            found = [(rows.intent_of(row), row.updated_at_ms) for row in await connection.execute(wanted)]
            filled = [(intent, at_ms) for intent, at_ms in found if intent.outcome.filled]
            fills = await _fills_of(connection, [intent.client_id for intent, _ in filled])
            return costs_by_hedge((intent, at_ms, fills.get(intent.client_id, ())) for intent, at_ms in filled)

        return await self._ask("read what orders cost", work, ())

    async def fills(self, limit: int, hedge: str | None = None) -> tuple[Fill, ...]:
        """The last ``limit`` executions; with ``hedge`` only those of its orders."""
        wanted = select(schema.fills).order_by(schema.fills.c.at_ms.desc(), schema.fills.c.id.desc()).limit(limit)
        if hedge is not None:
            own = select(schema.intents.c.client_id).where(schema.intents.c.hedge == hedge)
            wanted = wanted.where(schema.fills.c.client_id.in_(own))

        async def work(connection: AsyncConnection) -> tuple[Fill, ...]:
            return tuple(reversed([rows.fill_of(row) for row in await connection.execute(wanted)]))

        return await self._ask("read fills", work, ())

    async def record(self, run: int, cycle: int) -> CycleRecord | None:
        """A cycle with all its inputs; None when there is none, or when it repeated the hold before it."""
        wanted = select(schema.cycles).where(schema.cycles.c.run == run, schema.cycles.c.cycle == cycle)

        async def work(connection: AsyncConnection) -> CycleRecord | None:
            row = (await connection.execute(wanted)).first()
            if row is None or row.snapshot is None:
                return None
            details = select(schema.hedge_cycles.c.detail).where(schema.hedge_cycles.c.cycle_id == row.id)
            found = (await connection.execute(details.order_by(schema.hedge_cycles.c.position))).scalars()
            return CycleRecord(
                run=row.run,
                cycle=row.cycle,
                snapshot=codec.loads(Snapshot, row.snapshot),
                hedges=tuple(codec.loads(HedgeCycle, detail) for detail in found),
                ended_at_ms=row.ended_at_ms,
            )

        return await self._ask(f"read cycle {cycle} of run {run}", work, None)

    async def summary(self) -> Summary:
        """The journal at a glance."""
        return await self._ask(
            "sum it up",
            _summary,
            Summary(None, None, 0, None, None, cycles=0, orders=0, unresolved=0, fills=0, last_cycle_at_ms=None),
        )

    async def _ask(self, doing: str, work: Callable[[AsyncConnection], Awaitable[T]], empty: T) -> T:
        if self._engine is None:
            return empty
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._engine.connect() as connection:
                return await work(connection)
        except self._errors as error:
            raise readable(error, self.name, doing) from error


async def _fills_of(connection: AsyncConnection, client_ids: Sequence[str]) -> dict[str, list[Fill]]:
    """Executions by the client id of their order; asked for in parts, since a statement takes so many values only."""
    found: dict[str, list[Fill]] = {}
    for start in range(0, len(client_ids), IDS_AT_ONCE):
        wanted = select(schema.fills).where(schema.fills.c.client_id.in_(client_ids[start : start + IDS_AT_ONCE]))
        for row in await connection.execute(wanted):
            found.setdefault(row.client_id, []).append(rows.fill_of(row))
    return found


async def _summary(connection: AsyncConnection) -> Summary:
    async def count(wanted: Any) -> int:
        return int((await connection.execute(wanted)).scalar() or 0)

    identity = (await connection.execute(select(schema.journal))).first()
    run = (await connection.execute(select(schema.runs).order_by(schema.runs.c.number.desc()).limit(1))).first()
    unknown = schema.intents.c.state == OutcomeState.UNKNOWN.value
    last = await connection.execute(select(func.max(schema.cycles.c.ended_at_ms)))
    return Summary(
        tag=identity.tag if identity else None,
        created_at_ms=identity.created_at_ms if identity else None,
        runs=run.number if run else 0,
        last_mode=run.mode if run else None,
        last_run_at_ms=run.at_ms if run else None,
        cycles=await count(select(func.count()).select_from(schema.cycles)),
        orders=await count(select(func.count()).select_from(schema.intents)),
        unresolved=await count(select(func.count()).select_from(schema.intents).where(unknown)),
        fills=await count(select(func.count()).select_from(schema.fills)),
        last_cycle_at_ms=last.scalar(),
    )


def _cycle_row(row: Row[Any]) -> CycleRow:
    values = row._mapping  # noqa: SLF001  SQLAlchemy's documented name for it
    return CycleRow(
        run=row.run,
        cycle=row.cycle,
        taken_at_ms=row.taken_at_ms,
        ended_at_ms=row.ended_at_ms,
        hedge=row.hedge,
        instrument=row.instrument,
        decision=row.decision,
        reasons=rows.reasons_of(row.reasons),
        mark=row.mark,
        contracts=row.contracts,
        residual_base=row.residual_base,
        in_full=row.detail is not None,
        **{name: values[name] for name in schema.FIGURES},
    )
