"""Logs: structlog for ours and for everybody else's, to stderr, with secrets masked by their value.

Masking happens on the finished line, so that it does not matter through which door a secret came in: message,
arguments, context, exception text, warnings, or another library's logger. Libraries that write requests are held at
WARNING whatever level is asked for: below it they print keys in forms that nobody can foresee.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from keeper.secrecy import masked

MASK = "***"
PINNED = (
    *("ccxt", "aiohttp", "urllib3", "websockets", "asyncio", "requests", "httpx", "httpcore", "apprise"),
    *("sqlalchemy", "aiosqlite", "alembic", "apscheduler", "concurrent", "hpack", "python_socks", "aiohttp_socks"),
)
"""Loggers, with all below them, that never write anything below WARNING."""
_MIN_CHARACTERS = 3
_hidden: set[str] = set()


def hide(*secrets: str) -> None:
    """From now on, mask these texts too, in every spelling that :mod:`keeper.secrecy` knows."""
    _hidden.update(secret for secret in secrets if len(secret) >= _MIN_CHARACTERS)


def redact(text: str) -> str:
    """``text`` with every hidden secret masked, however it is spelt."""
    return masked(text, _hidden, MASK)


def configure(level: str = "info", format: str = "auto", secrets: Iterable[str] = ()) -> None:  # noqa: A002
    """Route every logger of the process to stderr and mask ``secrets``; may be called again.

    ``level`` is debug, info, warning or error; ``format`` is json, console, or auto (console on a terminal).
    """
    hide(*secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter(processors=_renderers(format, sys.stderr), foreign_pre_chain=shared))
    handler.addFilter(_is_wanted)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _Handler | logging.StreamHandler) and type(old) in (_Handler, logging.StreamHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in PINNED:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    _catch_strays()


def _renderers(format_name: str, stream: TextIO) -> list[Processor]:
    terminal = stream.isatty()
    as_console = format_name == "console" or (format_name == "auto" and terminal)
    render: list[Processor]
    if as_console:
        colors = terminal and not os.environ.get("NO_COLOR")
        # Plain tracebacks: the richer ones print local variables.
        render = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _bytes_to_text, *render]


def _bytes_to_text(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bytes as text, so that a secret in them is spelt like any other."""
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = value.decode(errors="backslashreplace")
    return event


def _is_wanted(record: logging.LogRecord) -> bool:
    """Hold the pinned libraries at WARNING even where one of them sets its own level."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in PINNED


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Masks the finished line."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr; a record that cannot be formatted is reported without the values that were in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the standard library's name
        kind, error, _ = sys.exc_info()
        if isinstance(error, BrokenPipeError):
            return
        name = kind.__name__ if kind is not None else "error"
        place = f"{record.name} ({record.filename}:{record.lineno})"
        try:
            self.stream.write(redact(f"a log record of {place} could not be written: {name}: {error}") + "\n")
        except (OSError, ValueError):
            # Standard error is gone, and with it the only place where this could be said.
            return


def _catch_strays() -> None:
    """Send what Python prints by itself, tracebacks of threads and of destructors, through the log as well."""
    logger = logging.getLogger("keeper")

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit:
            return
        name = args.thread.name if args.thread is not None else "?"
        error = args.exc_value
        logger.critical(
            "a thread died: %s", name, exc_info=(args.exc_type, error or args.exc_type(), args.exc_traceback)
        )

    threading.excepthook = in_thread
