"""Ending on Ctrl-C or SIGTERM, gracefully."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def until_told() -> Iterator[asyncio.Event]:
    """An event that is set when the process is told to end; a second Ctrl-C ends it the hard way."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        told.set()
        loop.remove_signal_handler(signal.SIGINT)

    for each in ENDING:
        loop.add_signal_handler(each, tell)
    try:
        yield told
    finally:
        for each in ENDING:
            loop.remove_signal_handler(each)
