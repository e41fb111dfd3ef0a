"""Decides about rolls: looks whether a hedge's contract is about to expire, compares, chooses, begins.

Called between two turns, as chores are. What is chosen stands in the journal with everything that it was chosen from,
then in the hedge's memory, and only then begins to be carried out; a keeper that dies in between decides anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from keeper.candidates import Markets, carried_from, compared
from keeper.core.model import Hedge, HedgeMemory, Instrument, Reason
from keeper.core.roll import Act, Choice, choose, is_due
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


class Rollover:
    """The chore of one keeper."""

    def __init__(self, markets: Mapping[str, Markets]) -> None:
        self._markets = dict(markets)

    async def __call__(self, desk: Desk) -> None:
        """Look at every hedge once. Raises :class:`~keeper.journal.base.JournalError`: then nothing was begun."""
        for hedge in tuple(desk.hedges):
            memory = desk.memories.get(hedge.name, HedgeMemory())
            if memory.roll is None:
                await self._look(desk, carried(hedge, memory), memory)

    async def _look(self, desk: Desk, hedge: Hedge, memory: HedgeMemory) -> None:
        now_ms = desk.clock.now_ms()
        due = [each for each in rolling(hedge) if is_due(each, hedge.roll, now_ms)]
        if not due:
            if memory.roll_note is not None:
                await _remember(desk, hedge.name, replace(memory, roll_note=None))
            return
        due.sort(key=lambda each: each.expires_at_ms or 0)
        choices = [(each, await self._choose(desk, hedge, each, now_ms)) for each in due]
        # One roll at a time: the first to expire of those that are to be rolled, the others when that one has ended.
        source, choice = next((each for each in choices if each[1].act is Act.ROLL), choices[0])
        await self._act(desk, hedge.name, memory, source, choice)

    async def _choose(self, desk: Desk, hedge: Hedge, instrument: Instrument, now_ms: int) -> Choice:
        markets = self._markets[instrument.id.venue]
        holds = await carried_from(markets, instrument, desk.remembered.positions.get(instrument.id))
        taken = {each.id for each in rolling(hedge) if each.id != instrument.id}
        comparison = await compared(markets, holds, hedge.roll, now_ms, taken)
        choice = choose(comparison, hedge.roll)
        await _write(desk, now_ms, roll_json(hedge.name, holds, comparison, choice, hedge.roll))
        return choice

    async def _act(self, desk: Desk, name: str, memory: HedgeMemory, source: Instrument, choice: Choice) -> None:
        cap = choice.ratio if choice.act is Act.ROLL else memory.ratio_cap
        noted = replace(memory, roll_note=choice.reason, ratio_cap=cap)
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
