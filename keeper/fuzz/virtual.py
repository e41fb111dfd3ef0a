"""Time that passes at once: an event loop that jumps to its next timer when nothing is left to do.

asyncio's own timeouts and sleeps run on it, so that an hour of a keeper takes as long as its computations do.
"""

# ruff: noqa: SLF001  a loop of one's own touches parts of handles that are hidden from everybody else
from __future__ import annotations

import asyncio
import heapq
import random
import selectors
import types
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextvars import Context
from typing import Any, TypeVarTuple

Given = TypeVarTuple("Given")

START_MS = 1_763_640_000_000
"""Where wall time begins in every run (UTC milliseconds)."""
RESOLUTION = 1e-9
"""Seconds within which two timers are due together, as on a machine."""

CANCELLED_FROM = 100
"""With more timers than this, of which half are cancelled, those are taken out before their time."""


class StalledError(RuntimeError):
    """Every task waits and no timer is set: on a machine this would hang for ever."""


class _Nothing(selectors.BaseSelector):
    """No descriptor is waited for: the loop jumps instead."""

    def __init__(self) -> None:
        self._known: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Note the loop's own wake-up pipe, which is never waited for."""
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._known[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget it."""
        return self._known.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What is registered."""
        return self._known

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:  # noqa: ARG002
        """Nothing is ever ready."""
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number."""

    # What asyncio's own loops are made of; its handles have parts that only a loop may touch.
    _ready: deque[Any]
    _scheduled: list[Any]
    _stopping: bool
    _timer_cancelled_count: int

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since it was made, for whoever asks too often to call for it."""
        super().__init__(_Nothing())

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.now

    def get_debug(self) -> bool:
        """Never: every handle asks."""
        return False

    def call_soon(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        """As the parent does, without asking whether the loop is closed or debugged: the simulation calls often."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _run_once(self) -> None:
        """As the parent does, in the same order, without descriptors and debugging."""
        ready, scheduled = self._ready, self._scheduled
        if len(scheduled) > CANCELLED_FROM and self._timer_cancelled_count * 2 > len(scheduled):
            for timer in scheduled:
                timer._scheduled = not timer._cancelled
            scheduled[:] = [timer for timer in scheduled if timer._scheduled]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False
        if not ready and not self._stopping:
            if not scheduled:
                raise StalledError("every task waits for something that will never come")
            self.now += max(0.0, scheduled[0]._when - self.now)
        due = self.now + RESOLUTION
        while scheduled and scheduled[0]._when < due:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()


class VirtualClock:
    """A :class:`~keeper.clock.Clock` on a virtual loop. ``step_ms`` is how far its wall time is from true time."""

    def __init__(self, loop: VirtualLoop, start_ms: int = START_MS) -> None:
        self._loop = loop
        self._start_ms = start_ms
        self.step_ms = 0

    def now_ms(self) -> int:
        """Wall time, milliseconds since the Unix epoch (UTC)."""
        return self._start_ms + self.step_ms + int(self._loop.now * 1000 + 0.5)

    def monotonic(self) -> float:
        """Seconds since the loop was made; never steps."""
        return self._loop.now

    async def sleep(self, seconds: float) -> None:
        """Wait on the loop's timer; zero or less yields once."""
        if seconds <= 0:
            await _once()
            return
        future: asyncio.Future[None] = self._loop.create_future()
        handle = self._loop.call_later(seconds, _finish, future)
        try:
            await future
        finally:
            handle.cancel()


@types.coroutine
def _once() -> Generator[None, None, None]:
    yield


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Streams:
    """One source of randomness for each purpose, all of one seed: a new draw in one never shifts another."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, purpose: str) -> random.Random:
        """A fresh source; ask once for each purpose. (The text is hashed with SHA-512, the same everywhere.)"""
        return random.Random(f"{self._seed}:{purpose}")  # noqa: S311  a run must repeat with its seed
