"""One start of the keeper, as the daemon makes it: journal, checks, desk, loop, alerts; and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from keeper.alerts.channels import DeliveryError
from keeper.alerts.delivery import AlertQueue, DeliverySettings
from keeper.alerts.rules import Alert
from keeper.chores import MARKETS, ROLLS, SETTINGS, Chores
from keeper.core.limits import Limits
from keeper.core.model import Contracts, CycleRecord, Hedge, HedgeMemory, InstrumentId, Quote, Snapshot
from keeper.cycle import Desk, restore
from keeper.daemon import Daemon, Listener, Rhythm
from keeper.doubt import Standing
from keeper.execute import OrderExecutor
from keeper.fuzz.death import Mortality
from keeper.fuzz.history import History
from keeper.fuzz.invariants import Invariants
from keeper.fuzz.line import Line
from keeper.fuzz.options import Options
from keeper.fuzz.paper import PaperJournal
from keeper.fuzz.virtual import VirtualClock
from keeper.journal.base import JournalError, Remembered
from keeper.judging import Pace
from keeper.observe import Observatory
from keeper.preflight import Preflight, preflight
from keeper.rollover import Rollover
from keeper.service import Teller
from keeper.venue.base import VenueError

START_AGAIN_SECONDS = 2.0
SETTINGS_SECONDS = 300.0
MARKETS_SECONDS = 3_600.0
ROLLS_SECONDS = 600.0
UNFORESEEN_ALLOWED = "the journal failed"


class WatchedObservatory(Observatory):
    """Tells when a look begins."""

    on_look: Callable[[], None]

    async def observe(
        self, remembered: Remembered, expected: Mapping[InstrumentId, Contracts]
    ) -> tuple[Snapshot, Remembered]:
        """Look once at everything."""
        self.on_look()
        return await super().observe(remembered, expected)


class Inbox:
    """A channel that keeps what it was told, and fails now and then with an error that quotes its address."""

    name = "inbox"

    def __init__(self, invariants: Invariants, history: History, source: Random, address: str) -> None:
        self._invariants = invariants
        self._history = history
        self._source = source
        self._address = address
        self.told = 0

    async def send(self, alert: Alert) -> None:
        """Take it, or fail."""
        self._invariants.on_text(f"{alert.key} {alert.title} {alert.text}")
        if self._source.random() < 0.05:
            raise DeliveryError(f"no answer from {self._address}")
        if self._source.random() < 0.02:
            raise RuntimeError(f"a bug under {self._address}")
        self.told += 1
        self._history.note("alert", alert.severity.value, alert.key, alert.title)

    async def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process is made of, of which it owns nothing."""

    options: Options
    clock: VirtualClock
    rebuild: Callable[[Mapping[str, HedgeMemory]], tuple[Hedge, ...]]
    history: History
    invariants: Invariants
    inbox: Inbox
    canary: str
    brakes: Callable[[], Standing]


class Progress:
    """Listens to the loop for the run."""

    def __init__(self, parts: Parts, on_turn: Callable[[CycleRecord], None]) -> None:
        self._parts = parts
        self._on_turn = on_turn
        self.broken: list[str] = []

    def on_turn(self, record: CycleRecord) -> None:
        """A turn has ended."""
        self._parts.invariants.on_turn(record)
        for hedge in record.hedges:
            self._parts.history.note("decided", hedge.exposure.hedge.name, type(hedge.decision).__name__)
        self._on_turn(record)

    def on_failure(self, text: str) -> None:
        """A turn broke off; for anything but the journal that is a bug."""
        self._parts.history.note("broke off", text)
        self._parts.invariants.on_text(text)
        if not text.startswith(UNFORESEEN_ALLOWED):
            self.broken.append(text)
            self._parts.invariants.violate("unforeseen", f"a turn broke off: {text}", self._parts.clock.now_ms())


class Process:
    """A keeper from its start to its death."""

    def __init__(self, parts: Parts, line: Line, journal: PaperJournal, life: Mortality, more: Listener) -> None:
        self.life = life
        self.daemon: Daemon | None = None
        self.chores: Chores | None = None
        self._parts = parts
        self._line = line
        self._journal = journal
        self._more = more

    async def run(self) -> None:
        """Start, run until stopped, and stop in order. Ends by :class:`CrashError` where the process dies."""
        parts = self._parts
        queue = AlertQueue(
            [parts.inbox], parts.clock, secrets=(parts.canary,), settings=DeliverySettings(backoff_seconds=1.0)
        )
        desk = await self._desk()
        teller = Teller(queue, parts.clock, 3_600.0, orders_are_sent=True)
        rhythm = Rhythm(poll_seconds=parts.options.poll_seconds)
        venues = {self._line.name: self._line}
        # Where no rolls are drawn, a contract that expires is settled: what is held to no roll must not begin one.
        rolls = None if parts.options.rolls is None else Rollover(venues)
        self.chores = Chores(venues, {}, lambda: parts.rebuild(desk.memories), parts.clock, rolls=rolls)
        self.daemon = Daemon(desk, parts.clock, rhythm, (teller, self._more), self.chores)
        reminders = [
            asyncio.ensure_future(self._remind(SETTINGS, SETTINGS_SECONDS)),
            asyncio.ensure_future(self._remind(MARKETS, MARKETS_SECONDS)),
        ]
        if parts.options.rolls is not None:
            reminders.append(asyncio.ensure_future(self._remind(ROLLS, ROLLS_SECONDS)))
        queue.start()
        try:
            await self.daemon.run()
        finally:
            for reminder in reminders:
                reminder.cancel()
        await self._replay(desk)
        await queue.close(5.0)

    async def _replay(self, desk: Desk) -> None:
        """After an orderly stop: what the next keeper takes from the journal is what this one knew."""
        try:
            memories, remembered = await self._journal.memories(), await self._journal.remembered()
            # What was written as ended and then failed over its fills is unknown to the keeper alone, and no harm.
            known = {intent.client_id for intent in await self._journal.intents_since(0)}
        except JournalError:
            return
        invariants, now_ms = self._parts.invariants, self._parts.clock.now_ms()
        last = None if self.daemon is None else self.daemon.last
        if last is not None and last.cycle == desk.cycle and not desk.unresolved:
            written = desk.memories.keys() - self._journal.unwritten
            for name in sorted(name for name in written if memories.get(name) != desk.memories[name]):
                text = f"{name}: the journal has {memories.get(name)}, the keeper had {desk.memories[name]}"
                invariants.violate("replay", text, now_ms)
            if remembered != desk.remembered:
                invariants.violate("replay", f"{remembered} was written, {desk.remembered} known", now_ms)
        if lost := sorted(desk.unresolved.keys() - known):
            invariants.violate("replay", f"the journal does not know of {lost}, which are unknown", now_ms)

    def remind(self) -> None:
        """Make settings and markets due now, as an hour's passing would."""
        if self.chores is not None:
            self.chores.ask_for(SETTINGS)
            self.chores.ask_for(MARKETS)

    async def _remind(self, chore: str, seconds: float) -> None:
        while True:
            await self._parts.clock.sleep(seconds)
            if self.chores is not None:
                self.chores.ask_for(chore)

    async def _desk(self) -> Desk:
        """What the wiring builds, tried again while venue or journal fail, as a supervisor would."""
        parts = self._parts
        while True:
            try:
                await self._line.open()
                # What a hedge was rolled to may be all that is left of its contracts.
                hedges = parts.rebuild({} if parts.options.rolls is None else await self._journal.memories())
                checked = await preflight(hedges, {}, {self._line.name: self._line}, {})
                run = await self._journal.start_run("testnet", "fuzz", parts.clock.now_ms())
                desk = self._made(hedges, checked, run.tag, run.number)
                await restore(desk)
            except (VenueError, JournalError) as error:
                parts.history.note("not started", type(error).__name__)
                await parts.clock.sleep(START_AGAIN_SECONDS)
            else:
                parts.history.note("started", run.number, tuple(sorted(desk.unresolved)))
                return desk

    def _made(self, hedges: tuple[Hedge, ...], checked: Preflight, tag: str, number: int) -> Desk:
        parts = self._parts
        observatory = WatchedObservatory(hedges, {self._line.name: self._line}, parts.clock)
        observatory.on_look = parts.invariants.on_look
        observatory.standing = checked.standing
        observatory.brakes = parts.brakes
        executor = OrderExecutor({self._line.name: self._line}, self._journal, parts.clock)
        limits = Limits(Quote(parts.options.max_order_notional))
        desk = Desk(hedges, observatory, executor, self._journal, parts.clock, limits, tag, number, Pace())
        if parts.options.styles.reads_books:
            desk.books = {self._line.name: self._line}
        return desk
