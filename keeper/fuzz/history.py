"""What happened in a run, in order: every request, every reply, every event of the venue, every crash.

The venue's events are taken down by the exchange's own bus, inside the call that caused them. Two runs of one seed have
the same history, and :meth:`History.digest` is how one tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from keeper.sim.events import BookChanged, Event, TradePrinted

UNTOLD = (BookChanged, TradePrinted)
"""Events that follow from others."""


class Note(NamedTuple):
    """One line of the history. ``facts`` are plain values, in words or numbers; ``event`` is the venue's own."""

    at_ms: int
    what: str
    facts: tuple[object, ...]
    event: Event | None = None

    def __str__(self) -> str:
        said = " ".join(str(fact) for fact in self.facts)
        return f"{self.at_ms} {self.what} {said}" if self.event is None else f"{self.at_ms} {self.what} {self.event}"


class History:
    """Everything that happened, and who wants to hear of it."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.notes: list[Note] = []
        self.listeners: list[Callable[[Note], None]] = []

    def note(self, what: str, *facts: object) -> None:
        """Write a line."""
        self._append(Note(self._now_ms(), what, facts))

    def on_event(self, event: Event) -> None:
        """Take down an event of the venue."""
        if not isinstance(event, UNTOLD):
            self._append(Note(self._now_ms(), type(event).__name__, (), event))

    def _append(self, note: Note) -> None:
        self.notes.append(note)
        for listener in self.listeners:
            listener(note)

    def digest(self) -> str:
        """The same for the same history."""
        digest = hashlib.blake2b(digest_size=12)
        for note in self.notes:
            digest.update(repr(tuple(note)).encode())
        return digest.hexdigest()

    def last(self, count: int) -> tuple[str, ...]:
        """The last lines, oldest first."""
        return tuple(str(note) for note in self.notes[-count:])
