"""Carries alerts out of the process without ever standing in the loop's way.

:meth:`AlertQueue.offer` only appends to memory. Each channel has a bounded lane and a task of its own, so that a dead
webhook delays nobody else. What cannot be delivered is counted and logged, never raised.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from keeper.alerts.channels import Channel, DeliveryError, LogChannel, channel_for
from keeper.alerts.rules import Alert, Severity
from keeper.clock import Clock
from keeper.secrecy import masked

REDACTED = "***"
_LOUDNESS = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
_MIN_SECRET_CHARS = 3


class _Log(Protocol):
    def info(self, event: str, /, **fields: object) -> object: ...
    def warning(self, event: str, /, **fields: object) -> object: ...
    def error(self, event: str, /, **fields: object) -> object: ...


def redact(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret blotted out by value, however it is spelt.

    A value of fewer than three characters is no secret but a coincidence, and is left alone.
    """
    return masked(text, (secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARS), REDACTED)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Bounds of the delivery.

    ``capacity`` is alerts waiting per channel; ``attempts`` is tries per alert; before the second one passes
    ``backoff_seconds``, doubled each time; ``attempt_seconds`` is the deadline of one try.
    """

    capacity: int = 256
    attempts: int = 3
    backoff_seconds: float = 1.0
    attempt_seconds: float = 15.0


@dataclass(slots=True)
class LaneCounters:
    """What became of the alerts of one channel since the start; ``waiting`` is now."""

    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    retried: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Lane:
    """One channel's waiting alerts."""

    channel: Channel
    waiting: deque[Alert] = field(default_factory=deque)
    in_hand: Alert | None = None
    counters: LaneCounters = field(default_factory=LaneCounters)
    dropped_untold: int = 0
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    is_closing: bool = False

    def put(self, alert: Alert, capacity: int) -> bool:
        """Take the alert in; where the lane is full the oldest of the quietest gives way. False: this one did."""
        taken = True
        if len(self.waiting) >= capacity:
            self.counters.dropped += 1
            self.dropped_untold += 1
            quietest = min(range(len(self.waiting)), key=lambda place: _LOUDNESS[self.waiting[place].severity])
            if _LOUDNESS[self.waiting[quietest].severity] > _LOUDNESS[alert.severity]:
                taken = False
            else:
                del self.waiting[quietest]
        if taken:
            self.waiting.append(alert)
        self.awake.set()
        return taken

    def undelivered(self) -> int:
        """How many alerts have no fate yet, the one that is being delivered included."""
        return len(self.waiting) + (self.in_hand is not None)


class AlertQueue:
    """A bounded way out for alerts; see the module."""

    def __init__(
        self,
        channels: Sequence[Channel],
        clock: Clock,
        *,
        secrets: Iterable[str] = (),
        settings: DeliverySettings | None = None,
        log: _Log | None = None,
        label: str = "",
    ) -> None:
        self._clock = clock
        self._label = label
        self._secrets = tuple(secrets)
        self._settings = settings or DeliverySettings()
        self._log: _Log = log if log is not None else structlog.get_logger("keeper.alerts")
        self._lanes = [_Lane(channel) for channel in channels]
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False

    def start(self) -> None:
        """Begin to deliver, on the running event loop; alerts offered before that have waited."""
        if self._tasks or self._is_closed:
            return
        self._tasks = [
            asyncio.create_task(self._run(lane), name=f"alerts {number} {lane.channel.name}")
            for number, lane in enumerate(self._lanes)
        ]
        for task in self._tasks:
            task.add_done_callback(self._on_lane_end)

    def offer(self, alert: Alert) -> bool:
        """Queue for every channel, at once and without waiting; False where a channel could not take it."""
        if self._is_closed:
            for lane in self._lanes:
                lane.counters.dropped += 1
            return False
        clean = replace(
            alert,
            key=redact(alert.key, self._secrets),
            title=f"{self._label}{redact(alert.title, self._secrets)}",
            text=redact(alert.text, self._secrets),
        )
        refusing = [lane for lane in self._lanes if not lane.put(clean, self._settings.capacity)]
        return not refusing

    def counters(self) -> Mapping[str, LaneCounters]:
        """Counters by channel; a second channel of the same name is numbered."""
        named: dict[str, LaneCounters] = {}
        for lane in self._lanes:
            name, number = lane.channel.name, 2
            while name in named:
                name, number = f"{lane.channel.name} #{number}", number + 1
            named[name] = replace(lane.counters, waiting=lane.undelivered())
        return named

    async def close(self, timeout_seconds: float) -> None:
        """Deliver what waits for at most ``timeout_seconds`` of the clock, then let go; what is left is logged."""
        if self._is_closed:
            return
        self._is_closed = True
        for lane in self._lanes:
            lane.is_closing = True
            lane.awake.set()
        drained = asyncio.create_task(self._drain())
        patience = asyncio.create_task(self._clock.sleep(timeout_seconds))
        try:
            await asyncio.wait({drained, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (patience, drained, *self._tasks):
                task.cancel()
            await asyncio.gather(patience, drained, *self._tasks, return_exceptions=True)
        for lane in self._lanes:
            if lane.undelivered():
                self._log.error("alerts_undelivered", channel=lane.channel.name, count=lane.undelivered())
            await self._let_go(lane.channel)

    async def _drain(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_lane_end(self, task: asyncio.Task[None]) -> None:
        # A lane ends by closing alone. Should the log itself fail under it, the end is at least not unseen.
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("alert_lane_died", lane=task.get_name(), error=type(error).__name__)

    async def _let_go(self, channel: Channel) -> None:
        try:
            async with asyncio.timeout(self._settings.attempt_seconds):
                await channel.close()
        except Exception as error:  # noqa: BLE001 - a channel that cannot even be closed must not spoil the shutdown
            self._log.warning("alert_channel_not_closed", channel=channel.name, error=self._describe(error))

    async def _run(self, lane: _Lane) -> None:
        while True:
            while lane.waiting:
                lane.in_hand = lane.waiting.popleft()
                await self._deliver(lane, lane.in_hand)
                lane.in_hand = None  # not in a finally: a close in the middle of it counts it as undelivered
                self._confess_overflow(lane)
            if lane.is_closing:
                return
            lane.awake.clear()
            await lane.awake.wait()

    async def _deliver(self, lane: _Lane, alert: Alert) -> None:
        settings = self._settings
        attempt = 1
        while (error := await self._attempt(lane.channel, alert)) is not None:
            if attempt >= settings.attempts or (isinstance(error, DeliveryError) and error.is_final):
                break
            lane.counters.retried += 1
            await self._clock.sleep(settings.backoff_seconds * 2 ** (attempt - 1))
            attempt += 1
        if error is None:
            lane.counters.delivered += 1
            return
        lane.counters.failed += 1
        self._log.error(
            "alert_not_delivered",
            channel=lane.channel.name,
            key=alert.key,
            title=alert.title,
            attempts=attempt,
            error=self._describe(error),
        )

    async def _attempt(self, channel: Channel, alert: Alert) -> Exception | None:
        try:
            async with asyncio.timeout(self._settings.attempt_seconds):
                await channel.send(alert)
        except Exception as error:  # noqa: BLE001 - the edge: the caller counts and logs it; it may not end the lane
            return error
        return None

    def _confess_overflow(self, lane: _Lane) -> None:
        """Tell, on the channel that lost them and once there is room again, how many alerts were dropped."""
        if lane.dropped_untold == 0 or len(lane.waiting) >= self._settings.capacity:
            return
        count, lane.dropped_untold = lane.dropped_untold, 0
        self._log.warning("alerts_dropped", channel=lane.channel.name, count=count)
        text = (
            f"{count} alerts came faster than {lane.channel.name} took them and were dropped; the journal has it all."
        )
        title = "alerts were dropped"
        lane.waiting.append(Alert("alerts/overflow", Severity.WARNING, title, text, None, self._clock.now_ms()))

    def _describe(self, error: Exception) -> str:
        # The text of a foreign error may hold the URL, and with it a token: only our own texts are repeated.
        if isinstance(error, DeliveryError):
            return redact(str(error), self._secrets)
        return type(error).__name__


def open_alerts(
    urls: Sequence[str],
    clock: Clock,
    *,
    secrets: Iterable[str] = (),
    settings: DeliverySettings | None = None,
    label: str = "",
) -> AlertQueue:
    """A queue over the log and one channel per URL; http(s) is a webhook, every other scheme is apprise's.

    ``label`` is what every title begins with.
    """
    # A channel's URL is itself a secret: texts that a channel answers with may quote it.
    hidden = (*secrets, *urls)
    return AlertQueue([LogChannel(), *map(channel_for, urls)], clock, secrets=hidden, settings=settings, label=label)
