"""Time that passes at once: an event loop that jumps to its next timer when nothing is left to do.

asyncio's own timeouts and sleeps run on it, so that an hour of a keeper takes as long as its computations do.
"""

from __future__ import annotations

import asyncio
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


class StalledError(RuntimeError):
    """Every task waits and no timer is set: on a machine this would hang for ever."""


class _Jump(selectors.BaseSelector):
    """Waits for no descriptor: waiting is a jump of the clock."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self._advance = advance
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

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Jump by ``timeout`` seconds."""
        if timeout is None:
            raise StalledError("every task waits for something that will never come")
        if timeout > 0:
            self._advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number."""

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since it was made, for whoever asks too often to call for it."""
        super().__init__(_Jump(self._pass))

    def _pass(self, seconds: float) -> None:
        self.now += seconds

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
