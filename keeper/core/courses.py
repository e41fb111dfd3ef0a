"""What is kept of a target: the way that it goes, and what was earned since it was set.

A course takes a target from one value to another, over a stated time, evenly or in steps. Where it is at a time is a
pure function of the course and the time. What was reached is kept, so that a clock that is set back never takes the
target back; a clock that is set forward takes it forward, never past the goal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from keeper.core.targets import Target

_ZERO = Decimal(0)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a new target is moved to: evenly over ``over_ms``, or in ``steps`` equal steps, the last at its end."""

    over_ms: int
    steps: int | None = None


AT_ONCE = Pace(0)


@dataclass(frozen=True, slots=True)
class Course:
    """From ``start`` to ``goal``, both of one kind, begun at ``began_ms`` (wall time, milliseconds).

    ``reached`` is the share of the way that some look has come to. With ``by_operator`` the course stands, its end
    reached or not, whatever the configuration says, until the operator gives the target back to it.
    """

    start: Target
    goal: Target
    began_ms: int
    pace: Pace = AT_ONCE
    reached: Decimal = _ZERO
    by_operator: bool = True

    @property
    def ends_ms(self) -> int:
        """When the goal is reached, wall time."""
        return self.began_ms + self.pace.over_ms

    @property
    def is_gradual(self) -> bool:
        """Whether the goal is moved to, and not jumped to."""
        return self.pace.over_ms > 0


@dataclass(frozen=True, slots=True)
class CoinLedger:
    """Coins that a coin-margined hedge has sold since its target was set; see :mod:`keeper.core.coins`.

    ``sold_base`` (negative: sold) is the delta that it had then and every fill since, at its own price; ``contracts``
    are the signed positions that are counted in it, by the text of their instruments' ids; ``gain_base`` is the coin
    profit as of the last look.
    """

    sold_base: Decimal
    contracts: Mapping[str, Decimal]
    gain_base: Decimal = _ZERO


def share_at(course: Course, now_ms: int) -> Decimal:
    """The share of the way at ``now_ms``, 0 to 1, never less than was reached."""
    over, passed = course.pace.over_ms, max(0, now_ms - course.began_ms)
    if over <= 0 or passed >= over:
        return _ONE
    steps = course.pace.steps
    share = Decimal(passed) / over if steps is None else Decimal(passed * steps // over) / steps
    return max(course.reached, share)


def target_at(course: Course, share: Decimal) -> Target:
    """The target when ``share`` of the way is done: the start at 0, exactly the goal at 1."""
    start, goal = course.start.value, course.goal.value
    if share >= _ONE:
        return course.goal
    if share <= _ZERO:
        return course.start
    between = start + (goal - start) * share
    return Target(course.goal.kind, min(max(between, min(start, goal)), max(start, goal)))


@dataclass(frozen=True, slots=True)
class Earnest:
    """What stood in a hedge's memory, under the same names, before a keeper that sends nothing took it over."""

    paused: bool = False
    flattened: bool = False
    halted: str | None = None
    established: bool = False
    ratio_cap: Decimal | None = None
    target: Target | None = None
    target_ratio: Decimal | None = None
    met: Target | None = None
    filed: Target | None = None
    course: Course | None = None
    coins: CoinLedger | None = None
