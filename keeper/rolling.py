"""Begins a roll on a running desk; the turns do the rest."""

from __future__ import annotations

import structlog

from keeper.core.model import HedgeMemory, Instrument, InstrumentId, Roll
from keeper.core.roll_state import RollRefusedError, begun
from keeper.cycle import Desk, reseat_running

log = structlog.get_logger(__name__)


async def begin_roll(desk: Desk, hedge: str, target: Instrument, source: InstrumentId | None = None) -> Roll:
    """Move a hedge's short from the contract that carries it, or from ``source``, to ``target``; durable when this
    returns.

    To be called between two turns, as chores and an operator's commands are. The turns that follow cover the old
    contract and short the new one, slice by slice and inside the band, whatever stops the keeper meanwhile; when the
    old one is flat the memory's ``roll`` is None again and ``carrier`` is the target. Asking for the same roll again
    changes nothing. Raises :class:`~keeper.core.roll_state.RollRefusedError` where it cannot be begun, and
    :class:`~keeper.journal.base.JournalError` where it cannot be written: then it has not begun.
    """
    found = next((each for each in desk.hedges if each.name == hedge), None)
    if found is None:
        raise RollRefusedError(f"no hedge is named {hedge}")
    if target.id.venue not in desk.observatory.observers:
        raise RollRefusedError(f"the venue of {target.id} is not one that this keeper has open")
    memory = begun(found, desk.memories.get(hedge, HedgeMemory()), target, desk.clock.now_ms(), source)
    assert memory.roll is not None  # noqa: S101  begun() has just put it there
    await desk.journal.memory(hedge, memory)
    desk.memories[hedge] = memory
    reseat_running(desk)
    log.info("roll_begun", hedge=hedge, source=str(memory.roll.source), target=str(memory.roll.target))
    return memory.roll
