"""The journal as one process sees it: its calls can fail, take their time, and be where the process dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import TypeVar

from keeper.core.model import CycleRecord, HedgeMemory, InstrumentId, Intent, Outcome
from keeper.fuzz.death import Mortality, Point
from keeper.fuzz.history import History
from keeper.fuzz.options import JournalOptions
from keeper.fuzz.virtual import VirtualClock
from keeper.journal.base import Event, FundingEntry, Journal, JournalError, Remembered, Run
from keeper.venue.base import Fill

T = TypeVar("T")

LOCKED, LOST_ANSWER, FULL, SLOW = "journal_locked", "journal_answer_lost", "journal_disk_full", "journal_slow"
FAULTS = (LOCKED, LOST_ANSWER, FULL, SLOW)
SLOW_SECONDS = 8.0


class Paper:
    """What goes wrong with the journal, over all processes of a run."""

    def __init__(self, options: JournalOptions, source: Random, clock: VirtualClock, history: History) -> None:
        self._options = options
        self._source = source
        self._clock = clock
        self._history = history
        self._full_until = -1.0
        self.fired: Counter[str] = Counter()
        self.is_calm = False

    async def carry(self, doing: str, call: Callable[[], Awaitable[T]], *, writes: bool) -> T:
        """One call, or what becomes of it."""
        if self.is_calm:
            return await call()
        fault = self._draw(writes)
        if fault is not None:
            self.fired[fault] += 1
            self._history.note("journal", doing, fault)
        if fault == SLOW:
            await self._clock.sleep(self._source.uniform(0.0, SLOW_SECONDS))
        elif fault == LOST_ANSWER:
            await call()
            raise JournalError(f"could not {doing}: the answer was lost")
        elif fault is not None:
            raise JournalError(f"could not {doing}: {fault.replace('_', ' ')}")
        return await call()

    def _draw(self, writes: bool) -> str | None:
        options, now = self._options, self._clock.monotonic()
        if writes and now < self._full_until:
            return FULL
        drawn = self._source.random()
        for fault, chance in ((LOCKED, options.locked), (SLOW, options.slow)):
            if drawn < chance:
                return fault
            drawn -= chance
        if writes and drawn < options.lost_answer:
            return LOST_ANSWER
        if writes and drawn < options.lost_answer + options.disk_full:
            self._full_until = now + options.full_seconds
            return FULL
        return None


class PaperJournal:
    """A :class:`~keeper.journal.base.Journal` in the hands of one process."""

    def __init__(self, inner: Journal, paper: Paper, life: Mortality, on_intent: Callable[[Intent], None]) -> None:
        self._inner = inner
        self._paper = paper
        self._life = life
        self._on_intent = on_intent
        self.unwritten: set[str] = set()
        """Hedges whose memory was refused since: the next keeper works it out from the orders that ended."""

    async def _call(
        self,
        doing: str,
        call: Callable[[], Awaitable[T]],
        *,
        before: Point = Point.JOURNAL,
        after: Point | None = None,
        writes: bool = False,
    ) -> T:
        self._life.at(before)
        answer = await self._paper.carry(doing, call, writes=writes)
        self._life.check()
        if after is not None:
            self._life.at(after)
        return answer

    async def start_run(self, mode: str, config_digest: str, at_ms: int) -> Run:
        """Write down that a keeper starts."""
        return await self._call("start a run", lambda: self._inner.start_run(mode, config_digest, at_ms), writes=True)

    async def memories(self) -> Mapping[str, HedgeMemory]:
        """What each hedge remembered last."""
        return await self._call("read memories", self._inner.memories)

    async def remembered(self) -> Remembered:
        """The last accepted readings."""
        return await self._call("read the last readings", self._inner.remembered)

    async def unresolved(self) -> Sequence[Intent]:
        """Intents whose outcome is unknown."""
        return await self._call("read unresolved intents", self._inner.unresolved)

    async def intents_since(self, at_ms: int) -> Sequence[Intent]:
        """Intents created at or after then."""
        return await self._call("read intents", lambda: self._inner.intents_since(at_ms))

    async def intent(self, intent: Intent) -> None:
        """Write an intent."""

        async def write() -> None:
            await self._inner.intent(intent)
            self._on_intent(intent)

        await self._call("write an intent", write, before=Point.BEFORE_INTENT, after=Point.AFTER_INTENT, writes=True)

    async def outcome(self, outcome: Outcome, at_ms: int) -> None:
        """Write an outcome."""
        await self._call(
            "write an outcome", lambda: self._inner.outcome(outcome, at_ms),
            before=Point.BEFORE_OUTCOME, after=Point.AFTER_OUTCOME, writes=True,
        )  # fmt: skip

    async def not_found(self, client_id: str, count: int, since_ms: int) -> None:
        """Write a "no such order"."""
        await self._call("write not found", lambda: self._inner.not_found(client_id, count, since_ms), writes=True)

    async def fills(self, fills: Sequence[Fill]) -> int:
        """Write executions."""
        return await self._call("write fills", lambda: self._inner.fills(fills), writes=True)

    async def funding(self, entries: Sequence[FundingEntry]) -> int:
        """Write funding payments."""
        return await self._call("write funding", lambda: self._inner.funding(entries), writes=True)

    async def funding_total(self, since_ms: int = 0) -> Mapping[tuple[InstrumentId, str], Decimal]:
        """Funding received."""
        return await self._call("read funding", lambda: self._inner.funding_total(since_ms))

    async def cycle(self, record: CycleRecord, remembered: Remembered) -> None:
        """Write a finished cycle."""
        await self._call(
            "write a cycle", lambda: self._inner.cycle(record, remembered),
            before=Point.BEFORE_CYCLE, after=Point.AFTER_CYCLE, writes=True,
        )  # fmt: skip
        self.unwritten.clear()

    async def memory(self, hedge: str, memory: HedgeMemory) -> None:
        """Write one hedge's memory."""
        self.unwritten.add(hedge)
        await self._call("write a memory", lambda: self._inner.memory(hedge, memory), writes=True)
        self.unwritten.discard(hedge)

    async def event(self, event: Event) -> None:
        """Write an event."""
        await self._call("write an event", lambda: self._inner.event(event), writes=True)

    async def events(self, kind: str, subject: str, limit: int = 1) -> Sequence[Event]:
        """The last events of a kind about one subject."""
        return await self._call("read events", lambda: self._inner.events(kind, subject, limit))

    async def back_off(self, venue: str, until_ms: int) -> None:
        """Write until when a venue asked to be left alone."""
        await self._call("write a back-off", lambda: self._inner.back_off(venue, until_ms), writes=True)

    async def back_offs(self) -> Mapping[str, int]:
        """Until when each venue asked to be left alone."""
        return await self._call("read back-offs", self._inner.back_offs)

    async def prune(self, before_ms: int) -> int:
        """Drop old holds."""
        return await self._call("prune", lambda: self._inner.prune(before_ms), writes=True)

    async def close(self) -> None:
        """The journal itself is the run's; a process only lets go of it."""
