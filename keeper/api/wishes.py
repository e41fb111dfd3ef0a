"""What an operator asks of a target, as words: the flags of the command and the query of the route are the same.

Exactly one of ``ratio``, ``quantity``, ``notional`` (set), ``add``, ``scale`` and ``configured``; beside it ``over``,
such as "6h", and ``steps``, a whole number.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from keeper.config.values import decimal_of, duration, nearest, whole
from keeper.core.courses import Course, Pace, target_at
from keeper.core.model import HedgeMemory
from keeper.core.steering import TargetError, Verb, Wish
from keeper.core.targets import Target, TargetKind
from keeper.report import iso_utc, plain

_VERBS = {
    "ratio": (Verb.SET, TargetKind.RATIO),
    "quantity": (Verb.SET, TargetKind.QUANTITY),
    "notional": (Verb.SET, TargetKind.NOTIONAL),
    "add": (Verb.ADD, None),
    "scale": (Verb.SCALE, None),
    "configured": (Verb.CONFIG, None),
}
_KNOWN = (*_VERBS, "over", "steps")
_MAX_STEPS = 1000


def wish_of(words: Mapping[str, str]) -> Wish:
    """What these words ask for; raises :class:`TargetError` that names the word and says what to write."""
    unknown = [name for name in words if name not in _KNOWN]
    if unknown:
        raise TargetError(
            f"{unknown[0][:40]} is not known here{nearest(unknown[0], _KNOWN)}; known: {', '.join(_KNOWN)}"
        )
    asked = [name for name in _VERBS if name in words]
    if len(asked) != 1:
        found = " and ".join(asked) if asked else "none"
        raise TargetError(f"needs exactly one of {', '.join(_VERBS)}, and has {found}")
    verb, kind = _VERBS[asked[0]]
    value = Decimal(0) if verb is Verb.CONFIG else _read(asked[0], words[asked[0]], decimal_of)
    over = _read("over", words["over"], duration) if "over" in words else 0.0
    steps = None
    if "steps" in words:
        if not over:
            raise TargetError('steps needs a time to take them over, such as over "6h"')
        steps = _read("steps", words["steps"], whole(at_least=1, at_most=_MAX_STEPS, unit="steps"))
    return Wish(verb, kind, value, Pace(round(over * 1000), steps))


def _read(name: str, word: str, read: Any) -> Any:
    try:
        return read(word)
    except ValueError as error:
        raise TargetError(f"{name} {error}") from None


def target_json(target: Target | None) -> dict[str, str] | None:
    """A target as the plan has it."""
    return None if target is None else {"kind": target.kind.value, "value": plain(target.value)}


def steering_json(memory: HedgeMemory) -> dict[str, Any]:
    """Who set the target that is in force, what the configuration says, and the way that it is on, null if on none."""
    course = memory.course
    by_operator = course is not None and course.by_operator
    return {
        "target_set_by": "operator" if by_operator else "configuration",
        "configured_target": target_json(memory.filed),
        "transition": None if course is None or course.reached >= 1 or not course.is_gradual else _course_json(course),
    }


def _course_json(course: Course) -> dict[str, Any]:
    return {
        "from": target_json(course.start),
        "to": target_json(course.goal),
        "now": target_json(target_at(course, course.reached)),
        "done": plain(course.reached),
        "steps": course.pace.steps,
        "began_at": iso_utc(course.began_ms),
        "ends_at": iso_utc(course.ends_ms),
    }


def answer_json(hedge: str, memory: HedgeMemory) -> dict[str, Any]:
    """What is answered to a wish that was taken: where the target goes now, and what keeps the hedge from following."""
    course = memory.course
    goal = memory.filed if course is None else course.goal
    return {
        "hedge": hedge,
        "target": target_json(goal),
        **steering_json(memory),
        "paused": memory.paused,
        "flattened": memory.flattened,
        "halted": memory.halted,
    }
