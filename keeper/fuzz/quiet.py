"""Logs of a run: read for secrets, and kept off the terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog


@contextmanager
def quiet_logs(on_line: Callable[[str], None]) -> Iterator[None]:
    """Hand every log line of the block to ``on_line``, and nothing to anybody else."""
    before = structlog.get_config()
    level = logging.root.manager.disable

    def swallow(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> NoReturn:
        on_line(" ".join(str(value) for value in event.values()))
        raise structlog.DropEvent

    structlog.configure(
        processors=[swallow],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        structlog.configure(**before)
