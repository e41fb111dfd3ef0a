"""One keeper for each journal, and one for each API key.

Two keepers on one key race for its nonces and undo each other's trades; two on one journal would both believe that it
is what prevents a second send. The locks are the kernel's (``flock``), so that a process that is killed leaves none
behind. The files stay: removing a lock file lets a third process lock another file of the same name.

They hold on one machine: a journal on a server, or a key, that is used from two machines is not noticed here.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from keeper.errors import ConfigError, UnsafeError
from keeper.journal.url import describe, file_of

_SALT_BYTES = 32
_FINGERPRINT_DIGITS = 24


class Lock:
    """An exclusive lock that is held until :meth:`release`, or until the process ends."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    def release(self) -> None:
        """Let go; doing it twice is allowed."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def lock_journal(url: str, *, state_dir: Path | None = None) -> Lock:
    """Hold the journal at ``url``: beside its file, or for a server by its address in the state directory.

    Raises :class:`UnsafeError` when another process holds it, :class:`ConfigError` when its directory is missing.
    """
    name = describe(url)
    path = file_of(url)
    if path is None:
        digest = hashlib.sha256(name.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
        lock_path = _state(state_dir) / f"journal-{digest}.lock"
    else:
        if not path.parent.is_dir():
            raise ConfigError(f"[journal] url: the directory {path.parent} does not exist; create it first")
        lock_path = path.with_name(path.name + ".lock")
    return _lock(lock_path, f"the journal {name}", name, "give this one a journal of its own")


def lock_key(exchange: str, api_key: str, *, journal_url: str, state_dir: Path | None = None) -> Lock:
    """Hold an API key of ``exchange`` (a ccxt id); only a salted hash of the key is ever written.

    Raises :class:`UnsafeError` when another process holds it.
    """
    directory = _state(state_dir)
    lock_path = directory / f"key-{exchange}-{fingerprint(exchange, api_key, state_dir=state_dir)}.lock"
    return _lock(lock_path, f"this API key of {exchange}", describe(journal_url), "give this one a key of its own")


def fingerprint(exchange: str, api_key: str, *, state_dir: Path | None = None) -> str:
    """A name for an API key that tells nothing about it; the same for every keeper of this user."""
    digest = hashlib.blake2b(api_key.encode(), key=_salt(_state(state_dir)), person=b"keeper-lock")
    digest.update(b"\0" + exchange.encode())
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def state_directory() -> Path:
    """Where this user's locks live: ``$XDG_STATE_HOME/keeper/locks``, by default under ``~/.local/state``."""
    base = os.environ.get("XDG_STATE_HOME", "")
    # The standard says that a relative path there is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    return root / "keeper" / "locks"


def _state(directory: Path | None) -> Path:
    directory = directory or state_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnsafeError(
            f"the locks that keep a second keeper out cannot be kept in {directory}: {error.strerror}; "
            "make it writable, or set XDG_STATE_HOME to a directory that is"
        ) from error
    return directory


def _lock(path: Path, what: str, journal: str, remedy: str) -> Lock:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnsafeError(f"{what} cannot be locked: {path}: {error.strerror}; make it writable") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        note = json.dumps({"pid": os.getpid(), "journal": journal}).encode()
        os.ftruncate(handle, 0)
        os.pwrite(handle, note, 0)
    except BlockingIOError as error:
        holder = _holder(handle)
        os.close(handle)
        raise UnsafeError(f"another keeper ({holder}) holds {what}; stop it first, or {remedy}") from error
    except OSError as error:
        os.close(handle)
        raise UnsafeError(f"{what} cannot be locked: {path}: {error.strerror}") from error
    return Lock(path, handle)


def _holder(handle: int) -> str:
    """Who says in the file that it holds it; the holder may not have written that yet, or may be writing it."""
    try:
        note = json.loads(os.pread(handle, 4096, 0))
        return f"pid {int(note['pid'])}, journal {note['journal']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its pid is not known yet"


def _salt(directory: Path) -> bytes:
    """This user's own random salt, made once: whoever makes it first wins, and nobody ever sees half of one."""
    path = directory / "salt"
    with suppress(FileNotFoundError):
        return path.read_bytes()
    draft = directory / f"salt.{os.getpid()}.{secrets.token_hex(4)}"
    draft.write_bytes(secrets.token_bytes(_SALT_BYTES))
    draft.chmod(0o600)
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_bytes()
