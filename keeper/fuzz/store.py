"""Where a run's journal is kept: in memory, with a disk that forgets, or in a real database on a temporary file."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar, cast

from keeper.core.model import Intent
from keeper.fuzz.disk import Disk, MemoryJournal
from keeper.fuzz.options import Storage
from keeper.journal.base import Journal
from keeper.journal.sql import SqlJournal

T = TypeVar("T")


class Store(Protocol):
    """One run's journal, behind all of its processes."""

    journal: Journal

    def unresolved(self) -> tuple[Intent, ...]:
        """Intents whose outcome is unknown."""
        ...

    async def intents(self) -> Sequence[Intent]:
        """All of them, oldest first."""
        ...

    def end(self, *, crashed: bool) -> int:
        """A process has ended; yields how many writes a crash has taken."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class MemoryStore:
    """In memory."""

    def __init__(self, source: Random) -> None:
        self._source = source
        self._disk = Disk(lambda: f"{source.getrandbits(24):06x}")
        self.journal: Journal = MemoryJournal(self._disk)

    def unresolved(self) -> tuple[Intent, ...]:
        """Intents whose outcome is unknown."""
        return self._disk.unresolved()

    async def intents(self) -> Sequence[Intent]:
        """All of them, oldest first."""
        return await self.journal.intents_since(0)

    def end(self, *, crashed: bool) -> int:
        """A crash takes what was not synced."""
        if crashed:
            return self._disk.crash(self._source)
        self._disk.sync()
        return 0

    def close(self) -> None:
        """Nothing to let go of."""


class _Thread:
    """An event loop of its own for a database, to be waited for without the virtual loop's knowing."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result, as if no time had passed."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Blocking:
    """A journal whose calls are carried out on another thread while virtual time stands still."""

    def __init__(self, inner: SqlJournal, thread: _Thread) -> None:
        self._inner = inner
        self._thread = thread

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any, **named: Any) -> Any:
            return self._thread.run(method(*args, **named))

        return call


class DatabaseStore:
    """In a real database on a temporary file; a call that returned is durable there, and a crash takes nothing."""

    def __init__(self, source: Random) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="keeper-fuzz-")
        self._thread = _Thread()
        url = f"sqlite:///{Path(self._folder.name) / 'keeper.db'}"
        opening = SqlJournal.open(url, new_tag=lambda: f"{source.getrandbits(24):06x}")
        self._sql = self._thread.run(opening)
        self.journal: Journal = cast("Journal", _Blocking(self._sql, self._thread))

    def unresolved(self) -> tuple[Intent, ...]:
        """Intents whose outcome is unknown."""
        return tuple(self._thread.run(_listed(self._sql.unresolved())))

    async def intents(self) -> Sequence[Intent]:
        """All of them, oldest first."""
        return self._thread.run(_listed(self._sql.intents_since(0)))

    def end(self, *, crashed: bool) -> int:  # noqa: ARG002  a database's disk forgets nothing
        """Nothing is lost."""
        return 0

    def close(self) -> None:
        """Close the database and delete its file."""
        self._thread.run(self._sql.close())
        self._thread.close()
        self._folder.cleanup()


async def _listed(work: Awaitable[Sequence[Intent]]) -> Sequence[Intent]:
    return await work


def open_store(storage: Storage, source: Random) -> Store:
    """The store of a run."""
    return MemoryStore(source) if storage is Storage.MEMORY else DatabaseStore(source)
