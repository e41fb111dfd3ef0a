"""Runs keeper until a named point of its work, and there kills its own process with SIGKILL: nothing is tidied up.

python -m tests.process.dying POINT run -c FILE
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from keeper import cli
from keeper.execute import OrderExecutor
from keeper.journal.sql import SqlJournal

POINTS = (
    "before-intent",
    "before-send",
    "after-answer",
    "after-outcome",
    "before-fills",
    "before-cycle",
    "after-cycle",
)
"""In the order in which a turn that trades passes them."""

_sent = False


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(owner: type, method: str, before: str = "", after: str = "", *, only_after_order: bool = False) -> None:
    """Die before or after a call, where that is the point asked for."""
    inner: Callable[..., Awaitable[Any]] = getattr(owner, method)
    point = sys.argv[1]

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        ripe = _sent or not only_after_order
        if ripe and before == point:
            _die()
        answer = await inner(*args, **kwargs)
        if ripe and after == point:
            _die()
        return answer

    setattr(owner, method, wrapped)


def _note_sending() -> None:
    inner: Callable[..., Awaitable[Any]] = OrderExecutor._submit

    async def submit(*args: Any) -> Any:
        global _sent  # noqa: PLW0603 - one process, one death
        _sent = True
        return await inner(*args)

    setattr(OrderExecutor, "_submit", submit)  # noqa: B010 - a method is replaced, which the types do not allow


if __name__ == "__main__":
    if sys.argv[1] not in POINTS:
        raise SystemExit(f"{sys.argv[1]} is no point; there are {', '.join(POINTS)}")
    _note_sending()
    _wrap(OrderExecutor, "_submit", "before-send", "after-answer")
    _wrap(SqlJournal, "intent", "before-intent")
    _wrap(SqlJournal, "outcome", "", "after-outcome")
    _wrap(SqlJournal, "fills", "before-fills")
    _wrap(SqlJournal, "cycle", "before-cycle", "after-cycle", only_after_order=True)
    sys.argv = ["keeper", *sys.argv[2:]]
    cli.main()
