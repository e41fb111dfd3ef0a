"""The bearer token of the API: a file beside the journal that only the keeper's user can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from urllib.parse import urlsplit

from keeper.errors import KeeperError, UnsafeError

_TOKEN_BYTES = 32
_MIN_CHARS = 16
_MAX_BYTES = 4096


def token_path(config_api_token_file: Path | None, journal_url: str, config_dir: Path) -> Path:
    """``[api] token_file``, or else a file beside the journal; relative paths start at the config's directory.

    ``sqlite:///keeper.db`` has ``keeper.token`` beside it. A journal that is no file has it beside the config.
    """
    if config_api_token_file is not None:
        return config_dir / config_api_token_file.expanduser()
    parts = urlsplit(journal_url)
    # Three slashes begin a relative path and four an absolute one: the first of them only ends the empty host.
    database = parts.path.removeprefix("/")
    if not parts.scheme.startswith("sqlite") or not database or database == ":memory:":
        return config_dir / "keeper.token"
    return (config_dir / database).with_suffix(".token")


def ensure_token(path: Path) -> str:
    """The token of ``path``; a new one, in a file of mode 0600, where there was none. Raises as :func:`read_token`."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    try:
        # The mode is given at creation, so that at no moment somebody else could open it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return read_token(path)
    except OSError as error:
        raise KeeperError(
            f"the API token file {path} could not be made: {error.strerror}; make its directory writable, "
            "or set [api] token_file to another place"
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token


def read_token(path: Path) -> str:
    """The token of ``path``.

    Raises :class:`UnsafeError` where others than its owner can reach it, and :class:`KeeperError` where it cannot be
    read or holds no token.
    """
    try:
        # Without waiting: opening a pipe that nobody writes to would hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeeperError(
            f"there is no API token file {path}; a keeper makes it at its first start, so start one with this config, "
            "or point [api] token_file at the file of the keeper that runs"
        ) from None
    except OSError as error:
        raise KeeperError(
            f"the API token file {path} could not be read: {error.strerror}; run this as the keeper's user"
        ) from error
    try:
        # Asked of the open file, not of the path, which might be another file by now.
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise KeeperError(f"the API token file {path} is not a file; point [api] token_file at one")
        if facts.st_mode & 0o077:
            raise UnsafeError(
                f"the API token file {path} can be reached by others than its owner (mode {facts.st_mode & 0o777:04o});"
                f" run: chmod 600 {path}, and delete it first if it may have been read: a new one is made at start"
            )
        content = os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)
    token = content.decode("ascii", errors="replace").strip()
    if len(token) < _MIN_CHARS or not token.isprintable() or not token.isascii() or " " in token:
        raise KeeperError(
            f"the API token file {path} holds no token (at least {_MIN_CHARS} printable characters without spaces); "
            "delete it, and a keeper makes a new one at its start"
        )
    return token
