"""How Binance pages a history: by time, by id, and by a limit that keeps the newest unless a start was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from keeper.sim.wire.request import Call

T = TypeVar("T")


def page(
    call: Call,
    rows: Iterable[T],
    time_ms: Callable[[T], int],
    identity: Callable[[T], int] | None = None,
    *,
    id_name: str = "fromId",
    default: int = 500,
) -> list[T]:
    """The rows that ``startTime``, ``endTime``, ``limit`` and the id parameter ask for, oldest first.

    With a start or an id the page begins there; without either it is the newest page, as on the venue.
    """
    start_ms = call.optional_integer("startTime")
    end_ms = call.optional_integer("endTime")
    from_id = call.optional_integer(id_name) if identity is not None else None
    limit = call.limit(default)
    found = [
        row
        for row in rows
        if (start_ms is None or time_ms(row) >= start_ms)
        and (end_ms is None or time_ms(row) <= end_ms)
        and (from_id is None or identity is None or identity(row) >= from_id)
    ]
    if start_ms is not None or from_id is not None:
        return found[:limit]
    return found[-limit:]
