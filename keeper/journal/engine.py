"""Database engines with the settings that durability and calm reading need."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from keeper.journal.url import file_of

BUSY_MS = 5_000
"""How long SQLite waits for another program's lock before it gives up."""

POOL_SECONDS = 15
"""How long a call waits for the calls before it."""

# WAL lets readers in while the keeper writes; FULL makes a commit wait until the disk has it, which WAL alone does not.
_WRITER = (
    f"PRAGMA busy_timeout = {BUSY_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    # On macOS an ordinary fsync stops at the drive's cache; elsewhere this changes nothing.
    "PRAGMA fullfsync = 1",
    "PRAGMA foreign_keys = ON",
)
_READER = (f"PRAGMA busy_timeout = {BUSY_MS}", "PRAGMA query_only = ON")


def writer_engine(url: URL, connect: Callable[..., Awaitable[Any]] | None = None) -> AsyncEngine:
    """The one connection that writes: with a second one, a keeper could lock itself out.

    ``connect`` makes SQLite's connections where the driver is not to make them itself.
    """
    is_file = url.get_backend_name() == "sqlite"
    # A server may be set up to answer before its disk has a commit; a journal must not be.
    settings: dict[str, Any] = {} if is_file else {"server_settings": {"synchronous_commit": "on"}}
    if connect is not None:
        settings["async_creator_fn"] = connect
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=POOL_SECONDS, connect_args=settings)
    if is_file:
        # IMMEDIATE: wait for the lock at the start, where busy_timeout applies, and not in the middle, where it cannot.
        _prepare(engine, _WRITER, "BEGIN IMMEDIATE")
    return engine


def reader_engine(url: URL) -> AsyncEngine:
    """Reads without a lock that could hold up the writer, and without writing a byte beside the journal."""
    path = file_of(url)
    if path is None:
        return create_async_engine(url, pool_size=1, max_overflow=0, execution_options={"postgresql_readonly": True})
    # Without a -wal file nobody has the journal open and all of it is in the one file, so SQLite need not create the
    # files by which it shares memory with a writer. A keeper that starts this very moment is seen at the next look.
    is_open = path.with_name(path.name + "-wal").exists()
    query = {"uri": "true", "mode": "ro"} if is_open else {"uri": "true", "immutable": "1"}
    engine = create_async_engine(url.set(database=path.as_uri(), query=query), pool_size=1, max_overflow=0)
    _prepare(engine, _READER, "BEGIN")
    return engine


def probe(path: Path, *, writable: bool) -> None:
    """Open and close the file once, synchronously; raises :class:`OSError` or :class:`sqlite3.Error` when it cannot be.

    The asynchronous driver answers a failed opening from a thread that may outlive the event loop, and then complains
    on its own account.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "the file cannot be opened: it is a directory")
    if writable:
        if not path.exists():
            # Balances and orders are nobody else's business; SQLite gives its other files the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sqlite3.connect(path, timeout=BUSY_MS / 1000).close()
    else:
        path.open("rb").close()


def _prepare(engine: AsyncEngine, pragmas: tuple[str, ...], begin: str) -> None:
    def on_connect(connection: Any, _record: object) -> None:
        # Python's driver would begin transactions at moments of its own choosing, and never around a CREATE TABLE.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
