"""Decides about rolls: looks whether a hedge's contract is about to expire, compares, chooses, begins.

Called between two turns, as chores are. What is chosen stands in the journal with everything that it was chosen from,
then in the hedge's memory, and only then begins to be carried out; a keeper that dies in between decides anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from keeper.candidates import Markets, carried_from, compared
from keeper.core.model import Hedge, HedgeMemory, Instrument, InstrumentId, Reason
from keeper.core.roll import Act, Choice, candidates_of, cheapest_other, choose, is_due, refused_target
from keeper.core.roll_rules import CANDIDATE_WORDS
from keeper.core.roll_state import RollRefusedError, carried, rolling
from keeper.cycle import Desk
from keeper.journal.base import Event
from keeper.roll_report import roll_json
from keeper.rolling import begin_roll

log = structlog.get_logger(__name__)

KIND = "roll"
"""The kind of event under which choices are kept."""
TOLD_AGAIN_MS = 6 * 3_600_000
"""A choice that stays the same is written down again so often: its figures move."""

_LEGS = 32
"""So many choices back is looked for the last one of the same contract: no hedge has so many."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is to be done about one contract, and the comparison behind it as JSON."""

    source: Instrument
    choice: Choice
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ordered:
    """A roll that an operator asked for: out of which contract, into which, and the comparison behind it as JSON."""

    source: InstrumentId
    target: Instrument
    detail: str


class Rollover:
    """The chore of one keeper, and what its operator orders.

    Without ``begins`` it says what it would do, and begins nothing: a keeper that sends nothing would never end it.
    """

    def __init__(self, markets: Mapping[str, Markets], *, begins: bool = True) -> None:
        self._markets = dict(markets)
        self._begins = begins

    async def __call__(self, desk: Desk) -> None:
        """Look at every hedge once. Raises :class:`~keeper.journal.base.JournalError`: then nothing was begun."""
        now_ms = desk.clock.now_ms()
        known = [(hedge, desk.memories.get(hedge.name, HedgeMemory())) for hedge in desk.hedges]
        free = [(carried(hedge, memory), memory) for hedge, memory in known if memory.roll is None]
        # Every venue is read at once; what follows is written and begun one after the other.
        found = await asyncio.gather(*(self._look(desk, hedge, now_ms) for hedge, _ in free))
        for (hedge, memory), choices in zip(free, found, strict=True):
            for each in choices:
                await _write(desk, now_ms, each.detail)
            if choices:
                # One roll at a time: the first to expire of those to be rolled, the others when that one has ended.
                first = next((each for each in choices if each.choice.act is Act.ROLL), choices[0])
                await self._act(desk, hedge.name, memory, first.source, first.choice, _paged(choices, first))
            elif memory.roll_note is not None:
                await _remember(desk, hedge.name, replace(memory, roll_note=None))

    async def _look(self, desk: Desk, hedge: Hedge, now_ms: int) -> Sequence[_Chosen]:
        """What is chosen about each contract of a hedge whose roll is due, the first to expire first."""
        due = [each for each in rolling(hedge) if is_due(each, hedge.roll, now_ms)]
        due.sort(key=lambda each: each.expires_at_ms or 0)
        return await asyncio.gather(*(self._choose(desk, hedge, each, now_ms) for each in due))

    async def ordered(self, desk: Desk, name: str, to: str | None, out_of: str | None) -> Ordered:
        """What a roll by hand of this hedge comes to: into ``to``, or into what is cheapest to hold; begins nothing.

        ``to`` is a word of :data:`CANDIDATE_WORDS` or a contract, ``out_of`` one that carries the hedge; contracts may
        be named without their venue. Raises :class:`~keeper.core.roll_state.RollRefusedError`.
        """
        if not self._begins:
            raise RollRefusedError("this keeper sends no orders, so it begins no roll; keeper roll compares")
        hedge = next(each for each in desk.hedges if each.name == name)
        seats = carried(hedge, desk.memories.get(name, HedgeMemory()))
        present, now_ms = _present(seats, out_of), desk.clock.now_ms()
        markets = self._markets[present.id.venue]
        taken = {each.id for each in rolling(seats) if each.id != present.id}
        rules, listed = hedge.roll, markets.listed(present.base)
        if to is not None:
            word = to if to in CANDIDATE_WORDS or ":" not in to else _with_venue(to, present.id.venue)
            named = candidates_of(present, [each for each in listed if each.id not in taken], (word,), now_ms)
            if not named:
                raise refused_target(present, listed, taken, to, now_ms)
            rules = replace(rules, candidates=(str(named[0].id),))
        holds = await carried_from(markets, present, desk.remembered.positions.get(present.id))
        comparison = await compared(markets, holds, rules, now_ms, taken)
        if len(comparison.candidates) == 1:
            raise refused_target(present, listed, taken, None, now_ms)
        target = named[0] if to is not None else cheapest_other(comparison, rules)
        choice = Choice(Act.ROLL, Reason("roll_ordered", f"ordered by hand: to {target.id.symbol}"), target)
        detail = json.dumps(roll_json(name, holds, comparison, choice, rules), separators=(",", ":"))
        return Ordered(present.id, target, detail)

    async def _choose(self, desk: Desk, hedge: Hedge, instrument: Instrument, now_ms: int) -> _Chosen:
        markets = self._markets[instrument.id.venue]
        holds = await carried_from(markets, instrument, desk.remembered.positions.get(instrument.id))
        taken = {each.id for each in rolling(hedge) if each.id != instrument.id}
        comparison = await compared(markets, holds, hedge.roll, now_ms, taken)
        choice = choose(comparison, hedge.roll, part=bool(taken))
        return _Chosen(instrument, choice, roll_json(hedge.name, holds, comparison, choice, hedge.roll))

    async def _act(
        self, desk: Desk, name: str, memory: HedgeMemory, source: Instrument, choice: Choice, paged: Reason | None
    ) -> None:
        """Note and begin what was chosen; ``paged`` is what has to be told of another contract of the hedge."""
        reason = choice.reason if paged is None else replace(paged, text=f"{paged.text}; {choice.reason.text}")
        if not self._begins and choice.act is Act.ROLL:
            told = replace(reason, text=f"{reason.text}; this keeper sends nothing and begins no roll")
            if told != memory.roll_note:
                await _remember(desk, name, replace(memory, roll_note=told))
            return
        cap = choice.ratio if choice.act is Act.ROLL else memory.ratio_cap
        noted = replace(memory, roll_note=reason, ratio_cap=cap)
        if cap != memory.ratio_cap:
            noted = replace(noted, established=False)  # another target, which has to be reached first
        if noted != memory:
            await _remember(desk, name, noted)
        if choice.act is not Act.ROLL or choice.target is None:
            return
        try:
            await begin_roll(desk, name, choice.target, source.id)
        except RollRefusedError as error:
            refused = Reason("roll_refused", f"{choice.reason.text}; it cannot be rolled there: {error}")
            await _remember(desk, name, replace(noted, roll_note=refused))


def _paged(choices: Sequence[_Chosen], first: _Chosen) -> Reason | None:
    """What wakes somebody about contracts beside the one that is acted upon: it must not go untold meanwhile."""
    chosen = [each.choice for each in choices if each is not first]
    told = [each.reason for each in chosen if each.page and each.act is Act.HOLD]
    return Reason(told[0].code, "; ".join(each.text for each in told)) if told else None


def _present(hedge: Hedge, out_of: str | None) -> Instrument:
    """The contract that is rolled out of: the one named, the only one, or of a split the first to expire."""
    carrying = rolling(hedge)
    names = ", ".join(str(each.id) for each in carrying)
    if out_of is not None:
        found = next((each for each in carrying if out_of in (str(each.id), each.id.symbol)), None)
        if found is None:
            raise RollRefusedError(f"{hedge.name} is not carried by {out_of}; it is by: {names}")
        return found
    if len(carrying) == 1:
        return carrying[0]
    dated = [each for each in carrying if each.expires_at_ms is not None]
    if not dated:
        raise RollRefusedError(f"{hedge.name} is carried by {names}, and none expires: say from which one")
    return min(dated, key=lambda each: each.expires_at_ms or 0)


def _with_venue(name: str, venue: str) -> str:
    """A contract as venue:symbol; a symbol alone begins with BASE/QUOTE."""
    return f"{venue}:{name}" if "/" in name.partition(":")[0] else name


async def _remember(desk: Desk, name: str, memory: HedgeMemory) -> None:
    """Keep what was decided, on the disk first."""
    await desk.journal.memory(name, memory)
    desk.memories[name] = memory


async def _write(desk: Desk, now_ms: int, detail: dict[str, Any]) -> None:
    """Put a choice on record, unless the last one of this hedge was the same a short while ago."""
    name = detail["name"]
    for event in reversed(await desk.journal.events(KIND, name, _LEGS)):
        last = json.loads(event.detail)
        if last["instrument"] == detail["instrument"]:
            if now_ms - event.at_ms < TOLD_AGAIN_MS and _gist(last) == _gist(detail):
                return
            break
    await desk.journal.event(Event(KIND, name, now_ms, json.dumps(detail, separators=(",", ":"))))
    log.info("roll_chosen", hedge=name, decision=detail["decision"], target=detail["target"], text=_text(detail))


def _gist(detail: Mapping[str, Any]) -> tuple[Any, ...]:
    return (detail["instrument"], detail["decision"], detail["target"], detail["ratio"], detail["reasons"][0]["code"])


def _text(detail: Mapping[str, Any]) -> str:
    return str(detail["reasons"][0]["text"])
