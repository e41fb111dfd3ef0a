"""The file that a paper account lives in: durable like a venue's own records, one transaction an event.

It is a file of its own, beside the journal and not in it, because a venue's records are not the keeper's: a crash
between the two has to leave exactly the doubt that it leaves with a real venue. The rollback journal (and not WAL) lets
a reader look at it without writing a byte.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keeper.venue.paper.terms import PaperError

VERSION = 1
BUSY_SECONDS = 5.0

_TABLES = """
CREATE TABLE wallets (wallet TEXT, asset TEXT, amount TEXT NOT NULL, PRIMARY KEY (wallet, asset));
CREATE TABLE positions (symbol TEXT PRIMARY KEY, contracts TEXT NOT NULL, entry TEXT NOT NULL,
    realised TEXT NOT NULL, instrument TEXT NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, symbol TEXT NOT NULL, side TEXT NOT NULL,
    contracts TEXT NOT NULL, price TEXT NOT NULL, reduce_only INTEGER NOT NULL, time_in_force TEXT NOT NULL,
    is_open INTEGER NOT NULL, filled TEXT NOT NULL, text TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE trades (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, order_id INTEGER, client_id TEXT,
    symbol TEXT NOT NULL, side TEXT NOT NULL, contracts TEXT NOT NULL, price TEXT NOT NULL, fee TEXT NOT NULL,
    asset TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX trades_by_symbol ON trades (symbol, at_ms);
CREATE TABLE funding (symbol TEXT, at_ms INTEGER, rate TEXT NOT NULL, mark TEXT NOT NULL, contracts TEXT NOT NULL,
    amount TEXT NOT NULL, asset TEXT NOT NULL, booked_at_ms INTEGER NOT NULL, PRIMARY KEY (symbol, at_ms));
CREATE TABLE transfers (id INTEGER PRIMARY KEY, asset TEXT NOT NULL, amount TEXT NOT NULL, source TEXT NOT NULL,
    target TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE taken (symbol TEXT, side TEXT, price TEXT, contracts TEXT NOT NULL, PRIMARY KEY (symbol, side, price));
CREATE TABLE leverages (symbol TEXT PRIMARY KEY, leverage TEXT NOT NULL);
CREATE TABLE prices (symbol TEXT PRIMARY KEY, mark TEXT NOT NULL, settle TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """The rows of one paper account. Every change is made inside :meth:`change`, whole or not at all."""

    def __init__(self, connection: sqlite3.Connection, name: str, *, durable: bool) -> None:
        self._connection = connection
        self._name = name
        self.durable = durable
        """Whether what is changed here is kept: not where somebody only looks."""

    @classmethod
    def open(cls, path: Path, *, durable: bool) -> Store:
        """The account's file, made if it is not there; without ``durable`` a copy of it in memory.

        Raises :class:`PaperError` when the file cannot be used.
        """
        try:
            connection = _opened(path) if durable else _copied(path)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
            elif version != VERSION:
                connection.close()
                raise PaperError(f"the paper account {path} is of another version of keeper; move the file aside")
        except (sqlite3.Error, OSError) as error:
            raise PaperError(f"the paper account {path} cannot be used: {error}") from error
        return cls(connection, str(path), durable=durable)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Everything inside is on the disk when this ends, or nothing is. Raises :class:`PaperError`.

        There must be no ``await`` inside: nobody else may see half of a change.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise PaperError(f"the paper account {self._name} could not be written: {error}") from error

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """What a query finds; raises :class:`PaperError`."""
        try:
            found: list[sqlite3.Row] = self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise PaperError(f"the paper account {self._name} could not be read: {error}") from error
        return found

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(query, *values)), None)

    def put(self, table: str, /, **values: object) -> int:
        """Write a row, in place of the one with the same key; its number. Only inside :meth:`change`."""
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        texts = [str(value) if _is_text(value) else value for value in values.values()]
        sql = f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608  # names of ours alone
        return int(self._connection.execute(sql, texts).lastrowid or 0)

    def run(self, query: str, *values: object) -> None:
        """Change rows by a query. Only inside :meth:`change`."""
        self._connection.execute(query, values)


def _is_text(value: object) -> bool:
    return value is not None and not isinstance(value, int)


def _opened(path: Path) -> sqlite3.Connection:
    if not path.exists():
        # Balances are nobody else's business, paper or not.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = _connected(str(path))
    connection.execute("PRAGMA journal_mode = DELETE")
    # EXTRA: a commit waits until the disk has the directory too, so that it survives a power cut.
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA fullfsync = 1")
    return connection


def _connected(path: str, *, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, uri=uri)
    connection.row_factory = sqlite3.Row
    return connection


def _copied(path: Path) -> sqlite3.Connection:
    """The file's rows in memory. Of a keeper that died in the middle of a change, as they were before that change."""
    memory = _connected(":memory:")
    if not path.exists():
        return memory
    try:
        _backup(lambda: _connected(f"{path.as_uri()}?mode=ro", uri=True), memory)
    except sqlite3.OperationalError:
        # A change that was cut short has to be taken back first, which a reader may not do: it is done on a copy.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            for part in path.parent.glob(f"{path.name}*"):
                if part.suffix != ".lock":
                    shutil.copy(part, Path(folder) / part.name)
            _backup(lambda: _connected(str(copy)), memory)
    return memory


def _backup(opened: Callable[[], Any], memory: sqlite3.Connection) -> None:
    source = opened()
    try:
        source.backup(memory)
    finally:
        source.close()
