"""The one owner of time.

Everything that needs the time, or has to wait, is given a :class:`Clock`; nothing else may ask the operating system.
Wall time is for venues and people, monotonic time for intervals and ages: a step of the host's clock must never
make a reading look fresh.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how to wait."""

    def now_ms(self) -> int:
        """Wall time, milliseconds since the Unix epoch (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``; a value of zero or less yields once to the other tasks."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """Wall time, milliseconds since the Unix epoch (UTC)."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop's own timer."""
        await asyncio.sleep(max(0.0, seconds))


class SteadyTime:
    """Milliseconds for measuring how long ago something was: the wall time at the start, and no step of it since."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = clock.now_ms() - round(clock.monotonic() * 1000)

    def now_ms(self) -> int:
        """Milliseconds; close to wall time, and immune to its steps."""
        return self._offset_ms + round(self._clock.monotonic() * 1000)

    def stepped_ms(self) -> int:
        """How far the host's wall clock has been stepped since the last time this was asked."""
        step = self._clock.now_ms() - self.now_ms()
        self._offset_ms += step
        return step


class ManualClock:
    """A clock that stands still until it is told to move; sleepers wake when it has passed their time."""

    def __init__(self, now_ms: int = 1_763_640_000_000) -> None:
        self._wall_ms = now_ms
        self._monotonic = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Wall time, milliseconds since the Unix epoch (UTC)."""
        return self._wall_ms

    def monotonic(self) -> float:
        """Seconds that the clock has been advanced since it was made."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Wait until :meth:`advance` has moved the clock by ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic + seconds, future))
        await future

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by ``seconds`` and wake whoever has slept long enough."""
        self._monotonic += seconds
        self._wall_ms += round(seconds * 1000)
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._monotonic]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._monotonic]
        for _, future in sorted(due, key=lambda sleeper: sleeper[0]):
            if not future.done():
                future.set_result(None)

    def step_wall(self, seconds: float) -> None:
        """Step the wall clock alone, as a host whose clock is corrected does."""
        self._wall_ms += round(seconds * 1000)
