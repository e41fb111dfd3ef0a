"""Where a run's journal is kept: in memory, with a disk that forgets, or in a real database on a temporary file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar, cast

import aiosqlite

from keeper.core.model import Intent
from keeper.fuzz.disk import Disk, MemoryJournal
from keeper.fuzz.options import Storage
from keeper.fuzz.virtual import VirtualLoop
from keeper.journal.base import Journal
from keeper.journal.sql import SqlJournal

T = TypeVar("T")
SHARED_MEMORY = "/dev/shm"  # noqa: S108  a fresh folder of one's own is made in it


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


class _Aside:
    """An event loop that runs inside a call of another one, to the end of what it is given.

    What waits for the database waits for nothing else: virtual time stands still meanwhile, and no thread is needed.
    """

    def __init__(self) -> None:
        self._loop = VirtualLoop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result, as if no time had passed."""
        around = asyncio._get_running_loop()  # noqa: SLF001  asyncio offers it to whoever makes loops
        asyncio._set_running_loop(None)  # noqa: SLF001
        try:
            return self._loop.run_until_complete(work)
        finally:
            asyncio._set_running_loop(around)  # noqa: SLF001

    def close(self) -> None:
        """End the loop."""
        self._loop.close()


class _AtOnce:
    """Where a connection puts its work for a thread to do: it is done before the connection waits for it."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Do it, and tell the future."""
        future, work = item
        try:
            done = work()
        except Exception as error:  # noqa: BLE001  whatever it is, it belongs to whoever waits
            if future is not None:
                future.set_exception(error)
        else:
            if future is not None:
                future.set_result(done)


class _Connection(aiosqlite.Connection):
    """The driver's connection without its thread, which would be waited for after every statement."""

    def __init__(self, path: str) -> None:
        super().__init__(partial(sqlite3.connect, path), iter_chunk_size=64)
        self._tx: Any = _AtOnce()

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()


class _Blocking:
    """A journal whose calls are carried out while virtual time stands still."""

    def __init__(self, inner: SqlJournal, aside: _Aside) -> None:
        self._inner = inner
        self._aside = aside

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any, **named: Any) -> Any:
            return self._aside.run(method(*args, **named))

        return call


class DatabaseStore:
    """In a real database on a temporary file; a call that returned is durable there, and a crash takes nothing."""

    def __init__(self, source: Random) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="keeper-fuzz-", dir=_memory_folder())
        self._aside = _Aside()
        path = str(Path(self._folder.name) / "keeper.db")
        opening = SqlJournal.open(
            f"sqlite:///{path}",
            new_tag=lambda: f"{source.getrandbits(24):06x}",
            connect=lambda *_, **__: _Connection(path),
        )
        self._sql = self._aside.run(opening)
        self.journal: Journal = cast("Journal", _Blocking(self._sql, self._aside))

    def unresolved(self) -> tuple[Intent, ...]:
        """Intents whose outcome is unknown."""
        return tuple(self._aside.run(_listed(self._sql.unresolved())))

    async def intents(self) -> Sequence[Intent]:
        """All of them, oldest first."""
        return self._aside.run(_listed(self._sql.intents_since(0)))

    def end(self, *, crashed: bool) -> int:  # noqa: ARG002  a database's disk forgets nothing
        """Nothing is lost."""
        return 0

    def close(self) -> None:
        """Close the database and delete its file."""
        self._aside.run(self._sql.close())
        self._aside.close()
        self._folder.cleanup()


def _memory_folder() -> str | None:
    """Where files are kept in memory, if this machine has such a place: a crash of a run is none of the machine's, and
    half of a run's time would go by in waiting for a disk.
    """
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else None


async def _listed(work: Awaitable[Sequence[Intent]]) -> Sequence[Intent]:
    return await work


def open_store(storage: Storage, source: Random) -> Store:
    """The store of a run."""
    return MemoryStore(source) if storage is Storage.MEMORY else DatabaseStore(source)
