"""Waits that venues asked for (HTTP 429, 418), over a restart.

A keeper that starts within a wait has to load markets and prove the account before it can cover anything, so these
reads go out once. A venue that answers even them with another wait has banned the address: the next starts ask nothing
until it is over, because each question would make it longer.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from keeper.clock import Clock
from keeper.journal.base import Journal, JournalError
from keeper.venue.base import BackOff

log = structlog.get_logger(__name__)

_STARTS = " (starts)"
"""Behind a venue's name in the journal: a wait that was asked for while a keeper started. No venue is called so."""


def take_up(away: Mapping[str, int], made: Mapping[str, BackOff], now_ms: int) -> None:
    """Tell each venue what is left of the waits that a journal knows: until when, in wall milliseconds, by name."""
    for name, venue in made.items():
        left = (away.get(name, 0) - now_ms) / 1000
        if left > 0:
            venue.resume_back_off(left, asks_to_start=away.get(name + _STARTS, 0) <= now_ms)


async def note(journal: Journal, made: Mapping[str, BackOff], clock: Clock) -> None:
    """Write down which venues asked us to stay away: who starts next has to know, also after a start that failed."""
    for name, venue in made.items():
        seconds = venue.back_off_seconds()
        if seconds <= 0:
            continue
        until_ms = clock.now_ms() + round(seconds * 1000)
        try:
            await journal.back_off(name, until_ms)
            if venue.refused_to_start():
                await journal.back_off(name + _STARTS, until_ms)
        except JournalError as error:
            log.warning("back_off_not_written", venue=name, text=str(error))


__all__ = ["note", "take_up"]
