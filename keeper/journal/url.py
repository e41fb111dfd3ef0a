"""Journal URLs as people write them, and what they stand for."""

from __future__ import annotations

import stat
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from keeper.errors import ConfigError

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


def parse(url: str) -> URL:
    """The URL with its asynchronous driver; raises :class:`ConfigError` for what no journal can be kept in."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The URL itself may carry a password, so the message does not repeat it.
        raise ConfigError('[journal] url: this is not a URL; write, for example, "sqlite:///keeper.db"') from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise ConfigError(
            f'[journal] url: "{parsed.drivername}" is not supported; use sqlite:///PATH or postgresql://USER@HOST/NAME'
        )
    if driver.endswith("asyncpg") and find_spec("asyncpg") is None:
        raise ConfigError("[journal] url: PostgreSQL needs the package asyncpg; install it with: pip install asyncpg")
    parsed = parsed.set(drivername=driver)
    if driver.startswith("sqlite"):
        if parsed.database in (None, "", ":memory:") or parsed.query or str(parsed.database).startswith("file:"):
            raise ConfigError("[journal] url: a journal is a file that survives a crash; write sqlite:///PATH")
    elif not parsed.database:
        raise ConfigError("[journal] url: it names no database; write postgresql://USER@HOST/NAME")
    return parsed


def file_of(url: str | URL) -> Path | None:
    """The SQLite file, absolute and with links resolved; None for a server.

    Raises :class:`ConfigError` where the path leads nowhere, or to a pipe or a device: waiting for one would not end.
    """
    parsed = parse(url) if isinstance(url, str) else url
    if parsed.get_backend_name() != "sqlite" or parsed.database is None:
        return None
    try:
        path = Path(parsed.database).resolve()
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return path
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is a link to itself or no path"
        raise ConfigError(f"[journal] url: the file cannot be looked at ({why}); write sqlite:///PATH") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ConfigError(f"[journal] url: {path} is a pipe or a device; a journal is a file: write sqlite:///PATH")
    return path


def describe(url: str | URL) -> str:
    """The journal's name for a message: its path, or its address without a password, wherever that stands."""
    parsed = parse(url) if isinstance(url, str) else url
    parsed = parsed.difference_update_query([name for name in parsed.query if "pass" in name.lower()])
    return str(file_of(parsed) or parsed.set(drivername=parsed.get_backend_name()).render_as_string(hide_password=True))
