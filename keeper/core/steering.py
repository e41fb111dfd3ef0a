"""Which target is in force: the configuration's, or what an operator has put in its place; and how a new one is made.

Three verbs: ``set`` a value, ``add`` points (0.5 with -0.4 added is 0.1), ``scale`` by a factor (0.5 by 0.2 is 0.1).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from keeper.core.changing import changed
from keeper.core.coins import begun_anew, followed
from keeper.core.courses import AT_ONCE, Course, Pace, share_at, target_at
from keeper.core.hedge import counted_positions, last_target
from keeper.core.model import ONE, ZERO, Hedge, HedgeMemory, InstrumentId, Reason, Snapshot
from keeper.core.orders import plain
from keeper.core.targets import Ground, Target, TargetKind, aim


class TargetError(ValueError):
    """A target that cannot be taken; the text says why and what to do."""


class Verb(StrEnum):
    """What a value does to a target."""

    SET = "set"
    ADD = "add"
    SCALE = "scale"
    CONFIG = "config"
    """Give the target back to the configuration; takes no value."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator asks for. ``kind`` belongs to ``SET`` alone; without a pace it is jumped to."""

    verb: Verb
    kind: TargetKind | None = None
    value: Decimal = ZERO
    pace: Pace = AT_ONCE


def steered(
    hedge: Hedge,
    memory: HedgeMemory,
    snapshot: Snapshot,
    listed: Collection[InstrumentId],
    waiting: Collection[InstrumentId],
    now_ms: int,
) -> tuple[Hedge, HedgeMemory]:
    """The hedge with the target in force now, and its memory; ``now_ms`` is wall time that does not step in a run.

    ``waiting`` are contracts with an order in question.
    """
    memory = _with_file(hedge, memory, now_ms)
    hedge = changed(hedge, target=target_in_force(hedge, memory, now_ms))
    if memory.course is not None:
        memory = replace(memory, course=replace(memory.course, reached=share_at(memory.course, now_ms)))
    positions, _ = counted_positions(hedge, snapshot, listed)
    # What our fills imply and the venue does not show yet is counted already.
    unsettled = {
        position.instrument.id
        for position in positions
        if memory.expected.get(position.instrument.id, position.contracts) != position.contracts
    }
    coins = followed(hedge, memory.coins, positions, snapshot.marks, {*waiting, *unsettled})
    return hedge, changed(memory, coins=coins)


def target_in_force(hedge: Hedge, memory: HedgeMemory, now_ms: int) -> Target:
    """The target now, of the configuration or of the course that has taken its place."""
    if memory.course is None:
        return hedge.target
    return target_at(memory.course, share_at(memory.course, now_ms))


def _with_file(hedge: Hedge, memory: HedgeMemory, now_ms: int) -> HedgeMemory:
    """Memory after the configuration's target was looked at: a new one is moved to, where it says how, or jumped to.

    A target of another kind is jumped to: from which of its values it should be moved, nothing says before a look.
    """
    before = memory.filed if memory.filed is not None else last_target(memory)
    memory = changed(memory, filed=hedge.target)
    if before is None or before == hedge.target or (memory.course is not None and memory.course.by_operator):
        return memory
    present = target_in_force(replace(hedge, target=before), memory, now_ms)
    start, coins = begun_anew(memory, present)
    course = None
    if start.kind is not hedge.target.kind:
        coins = None
    elif hedge.transition is not None:
        course = Course(start, hedge.target, now_ms, hedge.transition, by_operator=False)
    return replace(memory, course=course, coins=coins)


def redirected(hedge: Hedge, memory: HedgeMemory, wish: Wish, ground: Ground | None, now_ms: int) -> HedgeMemory:
    """Memory after an operator's wish, which starts from where the target is now; raises :class:`TargetError`.

    ``hedge`` is the configuration's; ``ground`` is that of the last look, needed to move from one kind to another.
    """
    present, coins = begun_anew(memory, target_in_force(hedge, memory, now_ms))
    goal = hedge.target if wish.verb is Verb.CONFIG else _wanted(wish, present)
    _check(hedge, goal)
    gradual = wish.pace.over_ms > 0
    by_operator = wish.verb is not Verb.CONFIG
    if not gradual and not by_operator:
        course = None
    else:
        start = _in_kind(hedge, present, goal.kind, ground) if gradual else goal
        course = Course(start, goal, now_ms, wish.pace, by_operator=by_operator)
    if present.kind is not goal.kind:
        coins = None
    return replace(memory, course=course, coins=coins, filed=hedge.target)


def told_of(wish: Wish, before: Target, memory: HedgeMemory) -> str:
    """A wish that was taken, as JSON for the journal; decimals are strings. ``before`` was in force until then."""
    course = memory.course
    detail = {
        "verb": wish.verb.value,
        "from": str(before),
        "to": str(memory.filed if course is None else course.goal),
        "over_seconds": wish.pace.over_ms // 1000,
        "steps": wish.pace.steps,
    }
    return json.dumps(detail, separators=(",", ":"))


def _wanted(wish: Wish, present: Target) -> Target:
    """The target that a wish comes to."""
    if wish.verb is Verb.SET:
        if wish.kind is None:
            raise TargetError("say which: a ratio, a quantity or a notional")
        return Target(wish.kind, wish.value)
    value = present.value + wish.value if wish.verb is Verb.ADD else present.value * wish.value
    if value < 0:
        raise TargetError(f"{present} and {plain(wish.value)} are less than nothing; the most to take off is all of it")
    return Target(present.kind, value)


def _check(hedge: Hedge, goal: Target) -> None:
    """Refuse what the configuration would refuse."""
    if goal.value < 0 or not goal.value.is_finite():
        raise TargetError(f"{goal} is below nothing")
    if goal.kind is TargetKind.QUANTITY and len(hedge.assets) > 1:
        raise TargetError("a quantity counts coins of one asset, and this hedge has several; use a ratio or a notional")
    if goal.kind is TargetKind.RATIO and not hedge.min_ratio <= goal.value <= hedge.max_ratio:
        raise TargetError(
            f"{goal} is outside of min_ratio {plain(hedge.min_ratio)} and max_ratio {plain(hedge.max_ratio)}"
        )


def _in_kind(hedge: Hedge, target: Target, kind: TargetKind, ground: Ground | None) -> Target:
    """What a target comes to in another kind, on the ground of the last look."""
    if target.kind is kind:
        return target
    here = None if ground is None else aim(target, replace(ground, gain_base=ZERO), hedge.min_ratio, hedge.max_ratio)
    if ground is None or here is None or here.ratio is None:
        raise TargetError(
            f"what {target} comes to as a {kind.value} is not known now, because the last look has no exposure; "
            "try again after the next one, or leave out --over and jump to it"
        )
    match kind:
        case TargetKind.RATIO:
            return Target(kind, here.ratio)
        case TargetKind.NOTIONAL:
            return Target(kind, here.short_base * ground.price)
        case TargetKind.QUANTITY:
            if ground.per_coin is None:
                raise TargetError("a quantity counts coins of one asset, and this hedge has several")
            return Target(kind, here.short_base / ground.per_coin)


def _for_people(target: Target) -> str:
    """A target in as many decimals as an eye reads; what it is reckoned with has all of them."""
    return str(replace(target, value=Decimal(f"{target.value:.6f}")))


def steering_notes(memory: HedgeMemory) -> tuple[Reason, ...]:
    """What to say of a target that is not simply the configuration's."""
    course = memory.course
    if course is None:
        return ()
    notes: list[Reason] = []
    if course.by_operator:
        text = f"{course.goal} was set by the operator; the configuration's {memory.filed} does not count"
        notes.append(Reason("target_set", f"{text} until: keeper target HEDGE --configured"))
    if course.reached < ONE:
        text = (
            f"the target is moved from {_for_people(course.start)} to {_for_people(course.goal)}, "
            f"{course.reached * 100:.1f} % of the way is done"
        )
        notes.append(Reason("target_moving", text))
    return tuple(notes)
