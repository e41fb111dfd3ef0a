"""What a database or the operating system says, in words that tell a person what to do."""

from __future__ import annotations

import sqlite3
from importlib import import_module
from importlib.util import find_spec

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from keeper.journal.base import JournalError
from keeper.journal.codec import ContentError

# By the primary part of SQLite's own result code; the longest name that fits wins.
_REMEDIES = {
    "SQLITE_FULL": "the disk is full; free some space and it will go on",
    "SQLITE_BUSY": "another program holds it locked; close whatever else writes to it",
    "SQLITE_LOCKED": "another program holds it locked; close whatever else writes to it",
    "SQLITE_CORRUPT": "the file is damaged; move it aside and restore a backup",
    "SQLITE_NOTADB": "the file is not a database, or it is damaged; move it aside, or give another path",
    "SQLITE_READONLY": "it is read-only; make the file and its directory writable",
    "SQLITE_PERM": "it may not be written; check the owner and the mode of the file",
    "SQLITE_CANTOPEN": "the file cannot be opened; check that its directory exists and is writable",
    "SQLITE_IOERR": "the disk could not be read or written; check its space and its health",
}

DAMAGED = "what it holds cannot be understood; move the file aside and restore a backup"
UNREADABLE = (ContentError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading raises where bytes of a journal are not those that were written."""


def driver_errors() -> tuple[type[Exception], ...]:
    """Every error that a journal's database may raise, wrapped by SQLAlchemy or not, and that of its content.

    Who only reads adds :data:`UNREADABLE`. Where something is written these are faults of ours, and no damage.
    """
    errors: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error, OSError, ContentError)
    if find_spec("asyncpg") is not None:
        asyncpg = import_module("asyncpg")  # by name: it is optional, and where it is absent nobody knows its types
        errors += (asyncpg.PostgresError, asyncpg.InterfaceError)
    return errors


def readable(error: BaseException, journal: str, doing: str) -> JournalError:
    """``error`` as a :class:`JournalError` that names the journal, what was wrong and what to do."""
    origin: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        origin = error.orig
    code = getattr(origin, "sqlite_errorname", None) or ""
    fitting = [known for known in _REMEDIES if code.startswith(known)]
    if fitting:
        detail = f"{_REMEDIES[max(fitting, key=len)]} ({code}: {origin})"
    elif isinstance(origin, UNREADABLE) or "Could not decode to UTF-8" in str(origin):
        detail = f"{DAMAGED} ({type(origin).__name__}: {origin!s:.200})"
    elif isinstance(origin, OSError):
        detail = origin.strerror or str(origin)
    else:
        # str() of a SQLAlchemy error repeats the statement and all its values, which helps nobody.
        detail = f"{type(origin).__name__}: {origin}"
    return JournalError(f"journal {journal}: could not {doing}: {detail}")
