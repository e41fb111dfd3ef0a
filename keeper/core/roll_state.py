"""The state of a roll: how one begins, what it makes of a hedge's legs, how it ends.

A roll is kept in the hedge's memory and nowhere else, so that it goes on after a crash. While it lasts both legs count;
:mod:`keeper.core.routes` moves the short in steps that keep the hedge inside its band.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from keeper.core.model import Hedge, HedgeMemory, Instrument, InstrumentId, Leg, Roll

LAST_OPENING_MS = 3_600_000
"""A dated contract is not opened any more so long before it expires: venues stop trading a while before that."""


class RollRefusedError(ValueError):
    """This roll cannot be begun; the text says why."""


def named_first(hedge: Hedge) -> InstrumentId:
    """The first contract that the configuration names."""
    return hedge.configured or hedge.instrument.id


def carrier_of(hedge: Hedge, memory: HedgeMemory) -> InstrumentId:
    """The contract that stands first now: the last roll's target, unless the configuration has changed since."""
    if memory.carrier is not None and memory.carrier_for == named_first(hedge):
        return memory.carrier
    return hedge.instrument.id


def guests(hedge: Hedge, memory: HedgeMemory) -> tuple[InstrumentId, ...]:
    """Contracts that the memory gives the hedge beside those that it has."""
    wanted = [carrier_of(hedge, memory)]
    if memory.roll is not None:
        wanted += [memory.roll.source, memory.roll.target]
    own = {instrument.id for instrument in hedge.instruments}
    return tuple(ident for ident in dict.fromkeys(wanted) if ident not in own)


def seated(hedge: Hedge, legs: Iterable[Leg]) -> Hedge:
    """The hedge with more legs at its end, each contract once."""
    own = {instrument.id for instrument in hedge.instruments}
    return replace(hedge, more=(*hedge.more, *(leg for leg in legs if leg.instrument.id not in own)))


def carried(hedge: Hedge, memory: HedgeMemory) -> Hedge:
    """The hedge with its carrier as the first leg; the others keep their order."""
    ident = carrier_of(hedge, memory)
    first = next((leg for leg in hedge.legs if leg.instrument.id == ident), None)
    if first is None or first.instrument.id == hedge.instrument.id:
        return hedge
    others = tuple(leg for leg in hedge.legs if leg is not first and leg.instrument.id != ident)
    return replace(
        hedge,
        instrument=first.instrument,
        share=first.share,
        collateral=first.collateral,
        collateral_is_spot=first.collateral_is_spot,
        more=others,
        configured=named_first(hedge),
    )


def begun(hedge: Hedge, memory: HedgeMemory, target: Instrument, now_ms: int) -> HedgeMemory:
    """Memory with a roll of the carrier to ``target``; a roll there that is under way already is left as it is.

    Raises :class:`RollRefusedError`.
    """
    source = carrier_of(hedge, memory)
    if memory.roll is not None:
        if memory.roll.target == target.id:
            return memory
        raise RollRefusedError(f"{hedge.name} is rolling to {memory.roll.target} already")
    if target.id == source:
        raise RollRefusedError(f"{hedge.name} is carried by {target.id} already")
    if target.base != hedge.instrument.base:
        raise RollRefusedError(f"{target.id} is on {target.base}, the hedge on {hedge.instrument.base}")
    if any(leg.share is not None for leg in hedge.legs):
        raise RollRefusedError(f"{hedge.name} is split by shares; name the next contract in its instruments instead")
    if target.expires_at_ms is not None and now_ms >= target.expires_at_ms - LAST_OPENING_MS:
        raise RollRefusedError(f"{target.id} expires too soon to be opened")
    return replace(memory, roll=Roll(source, target.id, now_ms))


def ended(hedge: Hedge, memory: HedgeMemory) -> HedgeMemory:
    """Memory after the roll: its target carries the hedge."""
    if memory.roll is None:
        return memory
    return replace(memory, roll=None, carrier=memory.roll.target, carrier_for=named_first(hedge))
