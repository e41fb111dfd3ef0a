"""The state of a roll: how one begins, what it makes of a hedge's legs, how it ends.

A roll is kept in the hedge's memory and nowhere else, so that it goes on after a crash. While it lasts both legs count;
:mod:`keeper.core.routes` moves the short in steps that keep the hedge inside its band.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from keeper.core.model import ZERO, Hedge, HedgeMemory, Instrument, InstrumentId, Leg, Roll

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


def is_split(hedge: Hedge) -> bool:
    """Whether each contract of the hedge has a share of its own."""
    return hedge.share is not None


def successor_of(hedge: Hedge, memory: HedgeMemory, ident: InstrumentId) -> InstrumentId:
    """What a contract of a split hedge was rolled to; itself where it was not, or where that has a share of its own."""
    found = memory.successors.get(ident, ident)
    own = {leg.instrument.id for leg in hedge.legs if leg.share}
    return ident if found in own else found


def guests(hedge: Hedge, memory: HedgeMemory) -> tuple[InstrumentId, ...]:
    """Contracts that the memory gives the hedge beside those that it has."""
    if is_split(hedge):
        wanted = [successor_of(hedge, memory, leg.instrument.id) for leg in hedge.legs if leg.share]
    else:
        wanted = [carrier_of(hedge, memory)]
    if memory.roll is not None:
        wanted += [memory.roll.source, memory.roll.target]
    own = {instrument.id for instrument in hedge.instruments}
    return tuple(ident for ident in dict.fromkeys(wanted) if ident not in own)


def rolling(hedge: Hedge) -> tuple[Instrument, ...]:
    """The contracts that a roll may be due for: each with a share, or the one that stands first."""
    if is_split(hedge):
        return tuple(leg.instrument for leg in hedge.legs if leg.share)
    return (hedge.instrument,)


def seated(hedge: Hedge, legs: Iterable[Leg]) -> Hedge:
    """The hedge with more legs at its end, each contract once."""
    own = {instrument.id for instrument in hedge.instruments}
    return replace(hedge, more=(*hedge.more, *(leg for leg in legs if leg.instrument.id not in own)))


def carried(hedge: Hedge, memory: HedgeMemory) -> Hedge:
    """The hedge with its carrier as the first leg; the others keep their order.

    Split by shares, what a contract was rolled to stands in its place with its share. In a roll the target has the
    share and the source none; a contract without one is neither opened nor kept.
    """
    if is_split(hedge):
        return _in_step(hedge, memory)
    ident = carrier_of(hedge, memory)
    first = next((leg for leg in hedge.legs if leg.instrument.id == ident), None)
    if first is None or first.instrument.id == hedge.instrument.id:
        return hedge
    others = tuple(leg for leg in hedge.legs if leg is not first and leg.instrument.id != ident)
    return _headed_by(hedge, first, others)


def _in_step(hedge: Hedge, memory: HedgeMemory) -> Hedge:
    legs = {leg.instrument.id: leg for leg in hedge.legs}
    front: dict[InstrumentId, Leg] = {}
    for leg in hedge.legs:
        if leg.share:
            then = legs.get(successor_of(hedge, memory, leg.instrument.id), leg)
            front[then.instrument.id] = replace(then, share=leg.share)
    roll = memory.roll
    if roll is not None and roll.source in front and roll.target in legs and roll.target not in front:
        share = front[roll.source].share
        front[roll.source] = replace(front[roll.source], share=ZERO)
        front[roll.target] = replace(legs[roll.target], share=share)
    first, *others = (*front.values(), *(replace(legs[ident], share=ZERO) for ident in legs if ident not in front))
    return _headed_by(hedge, first, tuple(others))


def _headed_by(hedge: Hedge, first: Leg, others: tuple[Leg, ...]) -> Hedge:
    return replace(
        hedge,
        instrument=first.instrument,
        share=first.share,
        collateral=first.collateral,
        collateral_is_spot=first.collateral_is_spot,
        more=others,
        configured=hedge.configured if first.instrument.id == hedge.instrument.id else named_first(hedge),
    )


def begun(
    hedge: Hedge, memory: HedgeMemory, target: Instrument, now_ms: int, source: InstrumentId | None = None
) -> HedgeMemory:
    """Memory with a roll to ``target``; a roll there that is under way already is left as it is.

    ``source`` is the contract that is rolled out of: by default the carrier, of a split hedge the one that expires
    first. Raises :class:`RollRefusedError`.
    """
    source = source or _first_out(hedge, memory)
    if memory.roll is not None:
        if memory.roll.target == target.id:
            return memory
        raise RollRefusedError(f"{hedge.name} is rolling to {memory.roll.target} already")
    seats = carried(hedge, memory)
    if is_split(hedge) and source not in {instrument.id for instrument in rolling(seats)}:
        raise RollRefusedError(f"{hedge.name} is not carried by {source}")
    if target.id in {instrument.id for instrument in rolling(seats)}:
        raise RollRefusedError(f"{hedge.name} is carried by {target.id} already")
    if target.base != hedge.instrument.base:
        raise RollRefusedError(f"{target.id} is on {target.base}, the hedge on {hedge.instrument.base}")
    if target.expires_at_ms is not None and now_ms >= target.expires_at_ms - LAST_OPENING_MS:
        raise RollRefusedError(f"{target.id} expires too soon to be opened")
    return replace(memory, roll=Roll(source, target.id, now_ms))


def _first_out(hedge: Hedge, memory: HedgeMemory) -> InstrumentId:
    if not is_split(hedge):
        return carrier_of(hedge, memory)
    dated = [each for each in rolling(carried(hedge, memory)) if each.expires_at_ms is not None]
    if not dated:
        raise RollRefusedError(f"{hedge.name} is split by shares and none of its contracts expires: say which one")
    return min(dated, key=lambda each: each.expires_at_ms or 0).id


def ended(hedge: Hedge, memory: HedgeMemory) -> HedgeMemory:
    """Memory after the roll: its target carries what its source did."""
    if memory.roll is None:
        return memory
    source, target = memory.roll.source, memory.roll.target
    if is_split(hedge):
        before = {ident: target if then == source else then for ident, then in memory.successors.items()}
        return replace(memory, roll=None, successors={**before, source: target})
    return replace(memory, roll=None, carrier=target, carrier_for=named_first(hedge))
