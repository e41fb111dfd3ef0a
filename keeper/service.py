"""The running keeper as one process: the loop, its alerts, its API, its signals and its chores.

What is told and what is answered hangs on the loop from outside; none of it can delay or end a turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from keeper import __version__
from keeper.alerts.delivery import AlertQueue, open_alerts
from keeper.alerts.rules import Alert, Severity, Throttle, ThrottleMemory, alerts_for
from keeper.api.operations import (
    Progress,
    UnknownHedgeError,
    VenueHealth,
    loop_health,
    rolling_json,
    state_document,
)
from keeper.api.wishes import answer_json
from keeper.chores import Chores
from keeper.clock import Clock
from keeper.config import Config, Mode, secrets
from keeper.core.legs import futures_source
from keeper.core.model import CycleRecord, HedgeCycle, Snapshot
from keeper.core.steering import Wish
from keeper.daemon import Daemon, Listener, Rhythm
from keeper.rollover import Rollover
from keeper.wiring import House, build_hedges

log = structlog.get_logger(__name__)

_LABELS = {Mode.PAPER: "[paper] "}
"""What an alert begins with where its figures could be taken for those of real orders."""

CLOSE_ALERTS_SECONDS = 5.0


class Teller:
    """Listens to the loop and hands what is worth telling to the alert queue."""

    def __init__(self, queue: AlertQueue, clock: Clock, repeat_seconds: float, *, orders_are_sent: bool) -> None:
        self._queue = queue
        self._clock = clock
        self._throttle = Throttle(repeat_seconds=repeat_seconds)
        self._memory = ThrottleMemory()
        self._previous: Mapping[str, HedgeCycle] | None = None
        self._orders_are_sent = orders_are_sent
        self._failing = False

    def on_turn(self, record: CycleRecord) -> None:
        """Tell what this turn was worth, once."""
        alerts = alerts_for(self._previous, record, orders_are_sent=self._orders_are_sent)
        if self._failing:
            self._failing = False
            alerts = (*alerts, self._loop_alert("The loop works again", "turns complete again", resolved=True))
        self._previous = {hedge.exposure.hedge.name: hedge for hedge in record.hedges}
        self._offer(alerts)

    def on_failure(self, text: str) -> None:
        """Page: turns break off, so nothing is watched."""
        self._failing = True
        self._offer((self._loop_alert("The loop is failing", text, resolved=False),))

    def _loop_alert(self, title: str, text: str, *, resolved: bool) -> Alert:
        severity = Severity.INFO if resolved else Severity.CRITICAL
        return Alert("keeper/loop", severity, title, text, None, self._clock.now_ms(), resolved)

    def _offer(self, alerts: tuple[Alert, ...]) -> None:
        passed, self._memory = self._throttle.admit(self._memory, alerts, self._clock.now_ms())
        for alert in passed:
            self._queue.offer(alert)


class Face:
    """The daemon's side of the API."""

    def __init__(self, daemon: Daemon, mode: Mode, queue: AlertQueue, rollover: Rollover) -> None:
        self._daemon = daemon
        self._mode = mode
        self._queue = queue
        self._rollover = rollover

    def state(self) -> dict[str, Any]:
        """Where the keeper stands, as of the last turn."""
        last = self._daemon.last
        progress = Progress(
            self._mode.value,
            __version__,
            self._daemon.desk.run,
            self._daemon.started_at_ms,
            self._daemon.turns,
            None if last is None else last.ended_at_ms,
            None if last is None else last.snapshot.taken_at_ms,
        )
        hedges = () if last is None else last.hedges
        orders = self._daemon.desk.last_orders
        return state_document(progress, hedges, self._queue.counters(), self._venues(), orders)

    def health(self) -> tuple[bool, str]:
        """Whether the decision loop completed a turn lately."""
        daemon = self._daemon
        return loop_health(daemon.desk.clock.monotonic(), daemon.last_completed, daemon.alive_within_seconds)

    async def pause(self, name: str) -> None:
        """Hold one hedge."""
        self._must_exist(name)
        await self._daemon.pause(name)

    async def flatten(self, name: str) -> None:
        """Cover one hedge to zero and keep it there."""
        self._must_exist(name)
        await self._daemon.flatten(name)

    async def resume(self, name: str) -> None:
        """Let one hedge trade again."""
        self._must_exist(name)
        await self._daemon.resume(name)

    async def target(self, name: str, wish: Wish) -> dict[str, Any]:
        """Set, move or give back one hedge's target."""
        self._must_exist(name)
        return answer_json(name, await self._daemon.retarget(name, wish))

    async def roll(self, name: str, to: str | None, out_of: str | None) -> dict[str, Any]:
        """Begin to roll one hedge."""
        self._must_exist(name)
        ordered = await self._rollover.ordered(self._daemon.desk, name, to, out_of)
        return rolling_json(name, await self._daemon.roll(name, ordered))

    def wake(self) -> None:
        """Look now."""
        self._daemon.wake()

    def _must_exist(self, name: str) -> None:
        names = [hedge.name for hedge in self._daemon.desk.hedges]
        if name not in names:
            raise UnknownHedgeError(name, names)

    def _venues(self) -> dict[str, VenueHealth]:
        last = self._daemon.last
        if last is None:
            return {}
        return {venue: _health_of(venue, last.snapshot) for venue in sorted(self._daemon.desk.observatory.observers)}


def _health_of(venue: str, snapshot: Snapshot) -> VenueHealth:
    faults = [
        gap.text
        for gap in snapshot.gaps
        if gap.source.split(".")[0].split(":")[0] == venue or gap.source == futures_source(venue)
    ]
    return VenueHealth(not faults, "; ".join(dict.fromkeys(faults)), snapshot.taken_at_ms)


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that is ready to run, and its face to the API."""

    daemon: Daemon
    face: Face


@asynccontextmanager
async def serving(house: House, *more: Listener) -> AsyncIterator[Running]:
    """A daemon with its alerts being delivered; the caller runs it. ``more`` listen to its turns as well."""
    config, clock = house.config, house.clock
    urls = [url.get_secret_value() for url in config.alerts.urls]
    queue = open_alerts(urls, clock, secrets=secrets(config), label=_LABELS.get(config.mode, ""))
    rollover = Rollover(house.venues.markets, begins=bool(house.venues.traders))
    chores = Chores(
        house.venues.observers,
        house.wanted,
        lambda: house.betas.dress(build_hedges(config, house.venues.observers, house.desk.memories)),
        clock,
        back_offs=house.venues.back_offs,
        will_trade=bool(house.venues.traders),
        betas=house.betas,
        rolls=rollover,
    )
    teller = Teller(queue, clock, config.alerts.repeat_seconds, orders_are_sent=bool(house.venues.traders))
    daemon = Daemon(house.desk, clock, Rhythm(poll_seconds=config.loop.poll_seconds), (teller, *more), chores)
    queue.start()
    try:
        with chores.scheduled(daemon.wake):
            yield Running(daemon, Face(daemon, config.mode, queue, rollover))
    finally:
        await queue.close(CLOSE_ALERTS_SECONDS)


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on the first SIGINT or SIGTERM; a second one ends the process as usual."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def first(number: int) -> None:
        log.info("stopping", signal=signal.Signals(number).name, text="the turn in flight ends first")
        for each in numbers:
            loop.remove_signal_handler(each)
        stop()

    for number in numbers:
        loop.add_signal_handler(number, first, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def describe(config: Config) -> str:
    """The start line: what this keeper is and what it may do."""
    what = {
        Mode.DRY_RUN: "watches and plans, sends nothing",
        Mode.PAPER: "trades on paper: real prices, an account of its own, nothing is sent",
        Mode.TESTNET: "sends orders with test money",
        Mode.LIVE: "SENDS ORDERS WITH REAL MONEY",
    }[config.mode]
    return f"keeper {__version__}, mode {config.mode.value}: {what}; {len(config.hedges)} hedge(s)"
