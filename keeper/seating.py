"""Gives each hedge the contracts that its memory names beside those of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from keeper.core.hedge import brought_up
from keeper.core.model import Hedge, HedgeMemory, Instrument, InstrumentId, Leg
from keeper.core.roll_state import carrier_of, ended, guests, is_split, seated
from keeper.errors import VenueStartError
from keeper.venue.base import BadReadingError, Observer, UnknownSymbolError, UnreadMarketError, VenueError

log = structlog.get_logger(__name__)


def leg_of(ident: InstrumentId, observers: Mapping[str, Observer]) -> Leg | None:
    """The contract with its venue's facts; None where the venue does not list it any more.

    Raises :class:`VenueStartError` where that cannot be told, because a list of the venue's markets is missing, or what
    it says of the contract makes no sense.
    """
    observer = observers.get(ident.venue)
    if observer is None:
        return None
    try:
        instrument = observer.instrument(ident.symbol)
    except (UnreadMarketError, BadReadingError) as error:
        raise VenueStartError(f"a hedge was rolled to {ident}, and that cannot be looked up: {error}") from error
    except VenueError:
        return None
    collateral = observer.collateral(instrument)
    if collateral is None:
        return Leg(instrument)
    return Leg(instrument, collateral=collateral[0], collateral_is_spot=collateral[1])


def has_gone(instrument: Instrument, observer: Observer, now_ms: int) -> bool:
    """Whether a contract has expired, or its venue does not list it any more: what was held in it was settled."""
    if instrument.expires_at_ms is not None and now_ms >= instrument.expires_at_ms:
        return True
    try:
        observer.instrument(instrument.id.symbol)
    except UnknownSymbolError:
        return True
    except (UnreadMarketError, BadReadingError):
        return False  # its list, or its row, could not be read: nothing is known of it
    return False


def seat(
    hedges: Sequence[Hedge], memories: Mapping[str, HedgeMemory], observers: Mapping[str, Observer]
) -> tuple[Hedge, ...]:
    """The hedges with the legs that their memories need."""
    found: list[Hedge] = []
    for hedge in hedges:
        wanted = (leg_of(ident, observers) for ident in guests(hedge, memories.get(hedge.name, HedgeMemory())))
        found.append(seated(hedge, (leg for leg in wanted if leg is not None)))
    return tuple(found)


def memory_at_start(
    hedge: Hedge, memories: Mapping[str, HedgeMemory], observers: Mapping[str, Observer]
) -> HedgeMemory:
    """What a hedge remembers from an earlier keeper, brought up to today.

    Contracts that the venue has delisted meanwhile were settled: a roll out of one has ended, a roll into one is off.
    """
    memory = brought_up(hedge, memories.get(hedge.name, HedgeMemory()))
    gone = {ident for ident in guests(hedge, memory) if leg_of(ident, observers) is None}
    if memory.roll is not None and memory.roll.target in gone:
        log.error("roll_target_gone", hedge=hedge.name, instrument=str(memory.roll.target))
        memory = replace(memory, roll=None)
    if memory.roll is not None and memory.roll.source in gone:
        log.warning("roll_source_gone", hedge=hedge.name, instrument=str(memory.roll.source))
        memory = ended(hedge, memory)
    if not is_split(hedge) and carrier_of(hedge, memory) in gone:
        log.error("carrier_gone", hedge=hedge.name, instrument=str(memory.carrier))
        memory = replace(memory, carrier=None, carrier_for=None)
    lost = {ident for ident, then in memory.successors.items() if then in gone}
    if lost:
        log.error("carrier_gone", hedge=hedge.name, instrument=", ".join(sorted(map(str, lost))))
        left = {ident: then for ident, then in memory.successors.items() if ident not in lost}
        memory = replace(memory, successors=left)
    return memory
