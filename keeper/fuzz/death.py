"""How a simulated process dies: at a drawn await, or at a drawn moment wherever its tasks happen to stand.

A dead process does nothing more: every call that one of its tasks still makes to the outside raises at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum


class CrashError(BaseException):
    """The process ends here. Not an ``Exception``: nothing in the keeper may catch it."""


class Point(Enum):
    """Awaits at which a process can be made to die."""

    READ = "read"
    BEFORE_INTENT = "before the intent"
    AFTER_INTENT = "after the intent"
    BEFORE_SEND = "before the send"
    AFTER_SEND = "after the send, before the answer"
    AFTER_ANSWER = "after the answer"
    LOOKUP = "lookup"
    FILLS = "fills"
    BEFORE_OUTCOME = "before the outcome"
    AFTER_OUTCOME = "after the outcome"
    BEFORE_CYCLE = "before the cycle is written"
    AFTER_CYCLE = "after the cycle is written"
    JOURNAL = "another call of the journal"
    CANCEL = "cancel"


_RARE = frozenset({Point.READ, Point.BEFORE_CYCLE, Point.AFTER_CYCLE, Point.JOURNAL})
"""Passed in every turn; the others only when an order is sent."""


@dataclass(frozen=True, slots=True)
class Fate:
    """When a process dies: the ``count``-th time it passes ``point``, or ``after_seconds``; whichever comes first."""

    point: Point | None = None
    count: int = 0
    after_seconds: float | None = None


def draw_fate(source: random.Random, crash_turns: int, poll_seconds: float) -> Fate:
    """The end of the next process; ``crash_turns`` is about how many turns it is given, 0 for no end."""
    if crash_turns <= 0:
        return Fate()
    if source.random() < 0.3:
        return Fate(after_seconds=source.uniform(0.1, 2.0 * crash_turns) * poll_seconds)
    point = source.choice(tuple(Point))
    most = max(1, crash_turns * (10 if point is Point.READ else 1)) if point in _RARE else 2
    return Fate(point, source.randint(1, most), after_seconds=2.5 * crash_turns * poll_seconds)


class Mortality:
    """One process's life: every wrapped call passes through :meth:`at`."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self._passed = 0
        self.is_dead = False
        self.cause = ""

    def at(self, point: Point) -> None:
        """Pass a point, or die there."""
        self.check()
        if point is self._fate.point:
            self._passed += 1
            if self._passed == self._fate.count:
                self.die(point.value)
                raise CrashError(self.cause)

    def check(self) -> None:
        """A dead process gets no further."""
        if self.is_dead:
            raise CrashError(self.cause)

    def spare(self) -> None:
        """Let it live from now on."""
        self._fate = Fate()

    def die(self, cause: str) -> None:
        """End it from outside."""
        if not self.is_dead:
            self.is_dead, self.cause = True, cause
