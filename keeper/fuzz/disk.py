"""A journal in memory that forgets what a disk may forget.

It answers as :class:`~keeper.journal.sql.SqlJournal` does, at a thousandth of the cost. What was written before the
last sync has survived a crash; what came after may be lost from its end. An intent syncs before it returns, and with it
whatever was written earlier; so does an operator's command.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from keeper.core.model import (
    AccountId,
    Base,
    Contracts,
    CycleRecord,
    HedgeMemory,
    InstrumentId,
    Intent,
    Outcome,
)
from keeper.journal.base import Event, FundingEntry, JournalError, Remembered, Run
from keeper.venue.base import Fill

FillKey = tuple[InstrumentId, str]


@dataclass(slots=True)
class Pages:
    """What is written, as one state of the disk."""

    tag: str | None = None
    runs: int = 0
    intents: dict[str, Intent] = field(default_factory=dict)
    known_at_ms: dict[str, int] = field(default_factory=dict)
    memories: dict[str, HedgeMemory] = field(default_factory=dict)
    holdings: dict[tuple[AccountId, str], Base] = field(default_factory=dict)
    positions: dict[InstrumentId, Contracts] = field(default_factory=dict)
    taken_at_ms: int | None = None
    fills: dict[FillKey, Fill] = field(default_factory=dict)
    funding: dict[FillKey, FundingEntry] = field(default_factory=dict)
    back_offs: dict[str, int] = field(default_factory=dict)
    cycles: int = 0
    events: list[Event] = field(default_factory=list)

    def copy(self) -> Pages:
        """The same state, apart."""
        return Pages(
            self.tag, self.runs, dict(self.intents), dict(self.known_at_ms), dict(self.memories),
            dict(self.holdings), dict(self.positions),
            self.taken_at_ms, dict(self.fills), dict(self.funding), dict(self.back_offs), self.cycles,
            list(self.events),
        )  # fmt: skip


Write = Callable[[Pages], None]


class Disk:
    """What outlives a process: the synced pages, and a tail of writes that a crash may take."""

    def __init__(self, new_tag: Callable[[], str]) -> None:
        self.live = Pages()
        self._synced = Pages()
        self._tail: list[Write] = []
        self._new_tag = new_tag

    def write(self, change: Write, *, sync: bool) -> None:
        """Apply a change; with ``sync`` it, and all before it, can no longer be lost."""
        change(self.live)
        self._tail.append(change)
        if sync:
            self.sync()

    def sync(self) -> None:
        """Make everything durable."""
        for change in self._tail:
            change(self._synced)
        self._tail.clear()

    def crash(self, source: random.Random) -> int:
        """Lose some of the tail, its last writes first; yields how many writes were lost."""
        kept = source.randint(0, len(self._tail))
        lost = len(self._tail) - kept
        del self._tail[kept:]
        self.sync()
        self.live = self._synced.copy()
        return lost

    def unresolved(self) -> tuple[Intent, ...]:
        """Intents whose outcome is unknown, oldest first."""
        return tuple(each for each in self.live.intents.values() if each.outcome.state.is_open)

    def tag(self) -> str:
        """The journal's tag, made at its first use."""
        return self.live.tag or self._new_tag()


class MemoryJournal:
    """The :class:`~keeper.journal.base.Journal` on a :class:`Disk`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def start_run(self, mode: str, config_digest: str, at_ms: int) -> Run:  # noqa: ARG002  not kept here
        """Write down that a keeper starts."""
        tag = self._disk.tag()

        def change(pages: Pages) -> None:
            pages.tag, pages.runs = tag, pages.runs + 1

        self._disk.write(change, sync=True)
        return Run(self._disk.live.runs, tag)

    async def memories(self) -> Mapping[str, HedgeMemory]:
        """What each hedge remembered last."""
        return dict(self._disk.live.memories)

    async def remembered(self) -> Remembered:
        """The last accepted readings."""
        pages = self._disk.live
        return Remembered(dict(pages.holdings), dict(pages.positions), pages.taken_at_ms)

    async def unresolved(self) -> Sequence[Intent]:
        """Intents whose outcome is unknown, oldest first."""
        return self._disk.unresolved()

    async def intents_since(self, at_ms: int) -> Sequence[Intent]:
        """Intents that were created, or of which something became known, at or after then, oldest first."""
        pages = self._disk.live
        return tuple(intent for key, intent in pages.intents.items() if pages.known_at_ms[key] >= at_ms)

    async def intent(self, intent: Intent) -> None:
        """Write an intent, durably."""
        if intent.client_id in self._disk.live.intents:
            raise JournalError(f"the client id {intent.client_id} was used before; its order is not sent")

        def change(pages: Pages) -> None:
            pages.intents[intent.client_id] = intent
            pages.known_at_ms[intent.client_id] = intent.created_at_ms

        self._disk.write(change, sync=True)

    async def outcome(self, outcome: Outcome, at_ms: int) -> None:
        """Write what became of an intent."""
        self._known(outcome.client_id)
        if self._disk.live.intents[outcome.client_id].outcome == outcome:
            return

        def change(pages: Pages) -> None:
            pages.intents[outcome.client_id] = replace(pages.intents[outcome.client_id], outcome=outcome)
            pages.known_at_ms[outcome.client_id] = at_ms

        self._disk.write(change, sync=False)

    async def not_found(self, client_id: str, count: int, since_ms: int) -> None:
        """Write how often the venue has said that it knows no such order."""
        self._known(client_id)

        def change(pages: Pages) -> None:
            known = pages.intents[client_id]
            pages.intents[client_id] = replace(known, not_found=count, not_found_since_ms=since_ms)

        self._disk.write(change, sync=False)

    async def fills(self, fills: Sequence[Fill]) -> int:
        """Write executions, each once for ever; yields how many were new."""
        fresh = {(fill.instrument, fill.trade_id): fill for fill in fills}
        fresh = {key: fill for key, fill in fresh.items() if key not in self._disk.live.fills}
        if fresh:
            self._disk.write(lambda pages: pages.fills.update(fresh), sync=False)
        return len(fresh)

    async def funding(self, entries: Sequence[FundingEntry]) -> int:
        """Write funding payments, each once for ever; yields how many were new."""
        fresh = {(entry.instrument, entry.entry_id): entry for entry in entries}
        fresh = {key: entry for key, entry in fresh.items() if key not in self._disk.live.funding}
        if fresh:
            self._disk.write(lambda pages: pages.funding.update(fresh), sync=False)
        return len(fresh)

    async def funding_total(self, since_ms: int = 0) -> Mapping[tuple[InstrumentId, str], Decimal]:
        """Funding received at or after then, by instrument and asset."""
        totals: dict[tuple[InstrumentId, str], Decimal] = {}
        for entry in self._disk.live.funding.values():
            if entry.at_ms >= since_ms:
                key = (entry.instrument, entry.asset)
                totals[key] = totals.get(key, Decimal(0)) + entry.amount
        return totals

    async def cycle(self, record: CycleRecord, remembered: Remembered) -> None:
        """Write a finished cycle, every hedge's memory and the accepted readings, in one transaction."""
        memories = {hedge.exposure.hedge.name: hedge.memory for hedge in record.hedges}

        def change(pages: Pages) -> None:
            pages.cycles += 1
            pages.memories.update(memories)
            pages.holdings.update(remembered.holdings)
            pages.positions.update(remembered.positions)
            if remembered.taken_at_ms is not None:
                pages.taken_at_ms = remembered.taken_at_ms

        self._disk.write(change, sync=False)

    async def memory(self, hedge: str, memory: HedgeMemory) -> None:
        """Write one hedge's memory outside a cycle, durably: an operator has been told that it is written."""

        def change(pages: Pages) -> None:
            pages.memories[hedge] = memory

        self._disk.write(change, sync=True)

    async def event(self, event: Event) -> None:
        """Write an event, durably."""
        self._disk.write(lambda pages: pages.events.append(event), sync=True)

    async def events(self, kind: str, subject: str, limit: int = 1) -> Sequence[Event]:
        """The last ``limit`` events of a kind about one subject, oldest first."""
        found = [event for event in self._disk.live.events if (event.kind, event.subject) == (kind, subject)]
        return tuple(found[-limit:])

    async def back_off(self, venue: str, until_ms: int) -> None:
        """Write until when a venue asked to be left alone."""
        self._disk.write(lambda pages: pages.back_offs.update({venue: until_ms}), sync=False)

    async def back_offs(self) -> Mapping[str, int]:
        """Until when each venue asked to be left alone."""
        return dict(self._disk.live.back_offs)

    async def prune(self, before_ms: int) -> int:  # noqa: ARG002  cycles are only counted here
        """Drop old holds: none is kept."""
        return 0

    async def close(self) -> None:
        """An orderly end syncs."""
        self._disk.sync()

    def _known(self, client_id: str) -> None:
        if client_id not in self._disk.live.intents:
            raise JournalError(f"there is no intent {client_id}; nothing was written")
