"""``keeper demo``: a day of market in minutes, with a keeper at work on it; no account and no configuration needed."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keeper import logs
from keeper.clock import Clock, SystemClock
from keeper.demo.closing import Ending, closing
from keeper.demo.lines import PlainFace
from keeper.demo.play import Script, perform
from keeper.demo.signals import until_told
from keeper.demo.stories import DEFAULT, STORIES
from keeper.demo.view import Face
from keeper.errors import ConfigError, KeeperError

_STATUS_SECONDS_MIN, _STATUS_SECONDS_MAX = 2.0, 5.0
_STATUS_LINES = 20


def demo(for_seconds: float | None, journal: str | None, story: str = DEFAULT) -> int:
    """Play the demo; 0, the exit code, when every hedge was inside its act band at the end.

    ``for_seconds`` bounds the whole, the start included; None plays a day of about three minutes. ``journal`` is a new
    file to keep the journal in; without it there is one for as long as the demo runs. ``story`` is one of
    :data:`~keeper.demo.stories.STORIES`. Raises :class:`ConfigError` for what cannot be done with these,
    :class:`KeeperError` when the keeper cannot start or a hedge ended outside its band.
    """
    clock = SystemClock()
    if for_seconds is not None and not (math.isfinite(for_seconds) and for_seconds >= 0):
        raise ConfigError(f"--for {for_seconds}: give a number of seconds")
    if story not in STORIES:
        raise ConfigError(f"--story {story}: there is none of that name; name one of {', '.join(STORIES)}")
    kept = None if journal is None else _new_file(journal)
    began = clock.monotonic()
    with _terminal_may_close(), _scratch() as directory:
        path = kept or directory / "demo.db"
        log_path = directory / "keeper.log"
        script = Script(
            began,
            for_seconds,
            directory,
            f"sqlite:///{path}",
            f"demo-key-{secrets.token_hex(12)}",
            f"demo-secret-{secrets.token_hex(16)}",
            story,
        )
        where = (f"journal  {path}" + ("" if kept else "  (temporary)"), f"logs     {log_path}")
        face = _face(clock, where, script.asked_seconds)
        with _logs_into(log_path, script):
            try:
                end = asyncio.run(_play(script, face, clock))
            finally:
                face.close()
        face.summary((*closing(end), *_journal_words(kept)))
    if end.outside:
        raise KeeperError(f"not inside the band at the end: {', '.join(end.outside)}")
    return 0


async def _play(script: Script, face: Face, clock: Clock) -> Ending:
    with until_told() as told:
        return await perform(script, face, clock, told)


def _new_file(journal: str) -> Path:
    """The file for the journal. One that is there already holds another world's positions, and is left alone."""
    path = Path(os.path.expanduser(journal)).absolute()  # noqa: PTH111  # its ~ may stand for nobody
    try:
        if "://" in journal or (path.exists() and not path.is_file()):
            raise ConfigError(f"--journal {journal}: name a file, such as demo.db")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--journal: cannot be looked at ({getattr(error, 'strerror', 'no path')}); name a file"
        ) from None
    if not path.parent.is_dir():
        raise ConfigError(f"--journal {journal}: the directory {path.parent} does not exist; create it first")
    if path.exists() and path.stat().st_size > 0:
        raise ConfigError(f"--journal {journal}: is there already; every demo begins anew, so name a new file")
    return path


def _journal_words(kept: Path | None) -> tuple[str, ...]:
    if kept is None:
        return ("The journal was temporary; keep the next one with: keeper demo --journal demo.db",)
    return (f"The journal is {kept}; read it with:", f"  keeper history --journal {shlex.quote(str(kept))}")


def _face(clock: Clock, where: tuple[str, ...], seconds: float) -> Face:
    """A live picture on a terminal that can be drawn on, lines anywhere else."""
    if sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        from rich.console import Console

        from keeper.demo.screen import LiveFace

        return LiveFace(Console(highlight=False), where)
    every = min(_STATUS_SECONDS_MAX, max(_STATUS_SECONDS_MIN, seconds / _STATUS_LINES))
    face = PlainFace(sys.stdout, clock, every)
    for line in where:
        face.starting(line)
    return face


@contextmanager
def _terminal_may_close() -> Iterator[None]:
    """A terminal that is closed is no fault of ours, and there is nobody left to read about it."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise KeeperError("the terminal was closed") from error


@contextmanager
def _scratch() -> Iterator[Path]:
    """A directory of its own for journal, logs and locks, gone at the end.

    The locks that keep two keepers off one key go there too: this keeper's key is nobody else's, and its lock file
    would stay behind in the user's own state.
    """
    directory = Path(tempfile.mkdtemp(prefix="keeper-demo-"))
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(directory / "state")
    try:
        yield directory
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before
        shutil.rmtree(directory)


@contextmanager
def _logs_into(path: Path, script: Script) -> Iterator[None]:
    """Logs go to a file meanwhile, so that they do not tear the picture."""
    logs.configure("info", "json", secrets=(script.api_key, script.api_secret))
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
    ]
    with path.open("w", encoding="utf-8") as stream:
        for handler in handlers:
            handler.setStream(stream)
        try:
            yield
        finally:
            for handler in handlers:
                handler.setStream(sys.stderr)
