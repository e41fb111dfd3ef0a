"""Ending gracefully: on Ctrl-C, on SIGTERM, and when the terminal is closed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def until_told() -> Iterator[asyncio.Event]:
    """An event that is set when the process is told to end; a second Ctrl-C ends it the hard way."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        told.set()
        loop.remove_signal_handler(signal.SIGINT)

    # Whoever started this under nohup wants a closed terminal to end nothing.
    heeded = [each for each in ENDING if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
    for each in heeded:
        loop.add_signal_handler(each, tell)
    try:
        yield told
    finally:
        for each in heeded:
            loop.remove_signal_handler(each)
