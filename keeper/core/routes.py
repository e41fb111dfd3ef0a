"""On which contract of a hedge the next order goes, and for how many base units.

By preference: new shorts on the first leg that can be traded, covers from the last leg that is short backwards. By
share: the leg that is furthest from its part of the target goes first, and a leg that cannot be traded leaves its part
to the others. In a roll: covers on the source, new shorts on the target. A sell never brings the hedge beyond its
target in total, so that what moves from one leg to another is covered first, by a slice that stays inside the band,
and then sold (``theory.md``, section 3: total delta inside the band at every step).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil

from keeper.core.legs import at_leg, is_usable
from keeper.core.model import (
    NO_BASE,
    ONE,
    ZERO,
    Band,
    Base,
    Contracts,
    Exposure,
    HedgeMemory,
    InstrumentId,
    Intent,
    LegExposure,
    Reason,
    Roll,
    Side,
)
from keeper.core.orders import below_minimum, ceil_to_step, floor_to_step, plain

PASSING = frozenset({"coins_came_in", "foreign_change"})
"""Codes of what stops new shorts for one look only."""
SLICE_OF_ACT = Decimal("0.9")
"""How much of the band one step may use: the rest is for prices that move before the next look."""


@dataclass(frozen=True, slots=True)
class Route:
    """One leg, and what is to be done on it, in the hedge's base units: positive is sold, negative bought back."""

    leg: LegExposure
    drift_base: Base
    reasons: tuple[Reason, ...] = ()


def routes(exposure: Exposure, memory: HedgeMemory, drift: Base) -> tuple[Route, ...]:
    """Ways to trade ``drift`` away, the best first; empty where no leg can be traded.

    A later one is for where an earlier one is too small to be placed.
    """
    if len(exposure.legs) == 1:
        return (Route(exposure.legs[0], drift),)
    ways = _sells(exposure, memory, drift) if drift > 0 else _covers(exposure, memory, drift)
    return tuple(way for way in ways if way.drift_base != 0)


def resting_on(exposure: Exposure, memory: HedgeMemory, drift: Base, resting: Intent) -> Exposure | str:
    """The exposure as the leg has it on which an order of ours rests, with that leg's part of ``drift`` to do; or why
    the order would be placed elsewhere now.

    Split by shares, a leg that has a part of its own left keeps its order until that is done: with every fill another
    leg would be the one that is furthest from its part.
    """
    if len(exposure.legs) == 1:
        return replace(exposure, drift_base=drift)
    ident = resting.order.instrument
    exposure = _without(exposure, resting)
    has_part = deviations(exposure).get(ident, ZERO) * drift > 0
    for way in routes(exposure, memory, drift):
        placeable = _is_placeable(way)
        if way.leg.id == ident and (placeable or not has_part):
            return at_leg(exposure, way.leg, way.drift_base)
        if way.leg.id == ident:
            has_part = False
        elif placeable and not has_part:
            return f"it would go on {way.leg.id} now"
    return f"{ident} cannot be traded now"


def _without(exposure: Exposure, resting: Intent) -> Exposure:
    """The exposure as if the order were not there."""
    legs = tuple(
        replace(leg, working=tuple(each for each in leg.working if each.client_id != resting.client_id))
        for leg in exposure.legs
    )
    return replace(exposure, legs=legs)


def _is_placeable(way: Route) -> bool:
    """Whether the way's market takes so small an order."""
    return _contracts(way.leg, Base(abs(way.drift_base))) >= _least(way.leg, reduces=way.drift_base < 0)


def unusable(exposure: Exposure) -> tuple[Reason, ...]:
    """Why no leg can be traded."""
    reasons = [reason for leg in exposure.legs for reason in (*leg.blockers, *leg.sell_blockers)]
    return (Reason("no_usable_leg", "none of its contracts can be traded now"), *dict.fromkeys(reasons))


def shift(exposure: Exposure, memory: HedgeMemory) -> tuple[Route, ...]:
    """What is to be moved between legs while the hedge as a whole is inside its band, the best first.

    Empty where nothing is, or where it cannot be now; see :func:`stuck` for the latter.
    """
    if exposure.weighted_base is None or exposure.weighted_base <= 0 or exposure.sell_blockers:
        return ()
    if memory.halted is not None or memory.flattened:
        return ()
    if memory.roll is not None:
        return _roll_step(exposure, memory.roll)
    return _share_step(exposure)


def stuck(exposure: Exposure, memory: HedgeMemory) -> Reason | None:
    """Why a roll does not go on; None where it does, or where there is none."""
    if memory.roll is None:
        return None
    source, target = _leg(exposure, memory.roll.source), _leg(exposure, memory.roll.target)
    if source is None or source.position is None or source.position.contracts == 0:
        return None
    why = [reason.text for leg in (target,) if leg is not None for reason in (*leg.blockers, *leg.sell_blockers)]
    why += [reason.text for reason in (*source.blockers, *exposure.sell_blockers) if reason.code not in PASSING]
    if memory.halted is not None:
        why.append("the hedge is halted")
    if target is None:
        why.append(f"{memory.roll.target} is not listed any more")
    if not why:
        return None
    text = f"the roll from {memory.roll.source} to {memory.roll.target} waits: {'; '.join(why)}"
    return Reason("roll_stuck", text)


def is_over(exposure: Exposure, roll: Roll) -> bool:
    """Whether the source of a roll is flat, or gone with its contract."""
    source = _leg(exposure, roll.source)
    return source is None or (source.position is not None and source.position.contracts == 0)


# -- the whole drift -------------------------------------------------------------------------------------------------


def _sells(exposure: Exposure, memory: HedgeMemory, drift: Base) -> list[Route]:
    # A contract whose share has gone to another one is not opened any more.
    legs = [leg for leg in exposure.legs if is_usable(leg, sells=True) and leg.leg.share != 0]
    if memory.roll is not None:
        rank = {memory.roll.target: 0, memory.roll.source: 2}
        legs.sort(key=lambda leg: rank.get(leg.id, 1))
    away = deviations(exposure)
    if not away:
        return [Route(leg, _less_pending(exposure, leg, drift, Side.SELL)) for leg in legs]
    legs.sort(key=lambda leg: away.get(leg.id, ZERO), reverse=True)
    parts = [(leg, min(drift, away.get(leg.id, ZERO))) for leg in legs]
    ways = [Route(leg, _less_pending(exposure, leg, Base(part), Side.SELL)) for leg, part in parts if part > 0]
    # The part of a leg may be too small to place while the whole is not.
    return [*ways, *(Route(leg, _less_pending(exposure, leg, drift, Side.SELL)) for leg in legs)]


def _covers(exposure: Exposure, memory: HedgeMemory, drift: Base) -> list[Route]:
    legs = [leg for leg in reversed(exposure.legs) if is_usable(leg, sells=False) and (leg.delta_base or ZERO) < 0]
    if memory.roll is not None:
        rank = {memory.roll.source: 0, memory.roll.target: 2}
        legs.sort(key=lambda leg: rank.get(leg.id, 1))
    away = deviations(exposure)
    legs.sort(key=lambda leg: away.get(leg.id, ZERO))
    ways: list[Route] = []
    for leg in legs:
        part = away.get(leg.id, ZERO)
        if part < 0:
            ways.append(_cover(exposure, leg, Base(max(drift, part))))
    return [*ways, *(_cover(exposure, leg, drift) for leg in legs)]


def _cover(exposure: Exposure, leg: LegExposure, drift: Base) -> Route:
    """A cover on one leg, which ends at its position."""
    wanted = _less_pending(exposure, leg, drift, Side.BUY)
    return Route(leg, Base(max(wanted, leg.delta_base if leg.delta_base is not None else ZERO)))


def _less_pending(exposure: Exposure, leg: LegExposure, drift: Base, side: Side) -> Base:
    """``drift`` without what works on the other legs already; the planner sees to this one's own orders."""
    pending = ZERO
    for other in exposure.legs:
        if other.id == leg.id or other.mark is None:
            continue
        contracts = sum((order.remaining for order in other.working if order.side is side), ZERO)
        pending += other.leg.instrument.delta(Contracts(contracts), other.mark.mark) * other.worth
    return Base(max(ZERO, drift - pending) if side is Side.SELL else min(ZERO, drift + pending))


# -- shares ----------------------------------------------------------------------------------------------------------


def deviations(exposure: Exposure) -> dict[InstrumentId, Decimal]:
    """How far each leg that can be traded is from its share of the target (positive: still to short).

    Empty where the legs stand in order of preference. The legs that cannot be traded keep what they have, and the rest
    of the target is split among the others in proportion.
    """
    futures, target = exposure.futures_base, exposure.target_base
    if futures is None or target is None or any(leg.leg.share is None for leg in exposure.legs):
        return {}
    usable = [leg for leg in exposure.legs if is_usable(leg, sells=True)]
    whole = sum((leg.leg.share or ZERO for leg in usable), ZERO)
    if whole <= 0:
        return {}
    theirs = sum((leg.delta_base or ZERO for leg in usable), ZERO)
    left = min(ZERO, target - (futures - theirs))
    return {leg.id: (leg.delta_base or ZERO) - left * (leg.leg.share or ZERO) / whole for leg in usable}


def _share_step(exposure: Exposure) -> tuple[Route, ...]:
    """One step that brings two legs nearer to their shares; none while every leg is within the band of its own."""
    away, band = deviations(exposure), _band(exposure)
    if not away or max(abs(part) for part in away.values()) <= band:
        return ()
    over = _leg(exposure, min(away, key=lambda ident: away[ident]))
    under = _leg(exposure, max(away, key=lambda ident: away[ident]))
    if over is None or under is None or over.id == under.id:
        return ()
    why = (Reason("moving_between_legs", f"{over.id} has more than its share, {under.id} less"),)
    drift = exposure.drift_base or NO_BASE
    ways = [Route(under, Base(min(drift, away[under.id])), why)] if drift > 0 and away[under.id] > 0 else []
    most = _contracts(over, Base(-away[over.id]))
    size = _slice(exposure, over, under, floor_to_step(max(ZERO, most), over.leg.instrument.step_contracts))
    if size > 0 and _base(over, size) + drift <= band:
        ways.append(Route(over, Base(-_base(over, size)), why))
    return tuple(ways)


# -- rolls -----------------------------------------------------------------------------------------------------------


def _roll_step(exposure: Exposure, roll: Roll) -> tuple[Route, ...]:
    """The next step of a roll: sell what is open on the target, or cover a slice of the source.

    While the target cannot be traded nothing of the source is covered: what is there holds.
    """
    source, target, drift = _leg(exposure, roll.source), _leg(exposure, roll.target), exposure.drift_base
    if target is None or drift is None or not is_usable(target, sells=True):
        return ()
    why = Reason("rolling", f"rolling from {roll.source} to {roll.target}")
    ways = [Route(target, drift, (why,))] if drift > 0 else []
    if source is None or source.position is None or source.position.contracts >= 0:
        return tuple(ways)
    if not is_usable(source, sells=False):
        return tuple(ways)
    size = _slice(exposure, source, target, Contracts(-source.position.contracts), closes=True)
    if size > 0:
        reasons: tuple[Reason, ...] = (why,)
        if drift + _base(source, size) > _band(exposure):
            text = f"the least that can be moved, {plain(size)} contracts, is more than the band"
            reasons = (why, Reason("roll_coarse", text))
        ways.append(Route(source, Base(-_base(source, size)), reasons))
    return tuple(ways)


def _slice(
    exposure: Exposure, source: LegExposure, target: LegExposure, most: Contracts, *, closes: bool = False
) -> Contracts:
    """Contracts of ``source`` to cover in one step: as much as fits inside the band and can be sold on ``target``.

    At least what both markets take. With ``closes`` no remainder is left that could not be covered by itself.
    """
    drift, instrument = exposure.drift_base or NO_BASE, source.leg.instrument
    step = instrument.step_contracts
    fits = floor_to_step(max(ZERO, _contracts(source, Base(_room(exposure, rolls=closes) - drift))), step)
    least = _least(source, reduces=True)
    sellable = _base(target, _least(target, reduces=False))
    needed = ceil_to_step(max(ZERO, _contracts(source, Base(sellable - drift))), step)
    size = Contracts(min(max(fits, least, needed), most))
    rest = most - size
    if closes and ZERO < rest < least:
        smaller = floor_to_step(most - least, step)
        size = Contracts(smaller) if smaller >= max(least, needed) else most
    return size


def _least(leg: LegExposure, *, reduces: bool) -> Contracts:
    """The smallest order that this leg's market takes."""
    instrument = leg.leg.instrument
    if leg.mark is None:
        return instrument.step_contracts
    size = Contracts(max(instrument.step_contracts, ceil_to_step(instrument.min_contracts, instrument.step_contracts)))
    if below_minimum(size, instrument, leg.mark.mark, reduces=reduces):
        one = abs(instrument.notional(Contracts(ONE), leg.mark.mark))
        # A tenth more: the order is judged by the lower of the mark and its limit price.
        size = ceil_to_step(instrument.min_notional * Decimal("1.1") / one, instrument.step_contracts)
    return size


def roll_steps(ratio: Decimal, band: Band) -> int:
    """How many slices a roll of a short of ``ratio`` of the exposure takes: each is covered, and then sold."""
    return 1 if band.act <= 0 else ceil(ratio / (SLICE_OF_ACT * band.act))


def _room(exposure: Exposure, *, rolls: bool) -> Decimal:
    """The drift that one step may leave: inside ``act``; where shares are restored, not worth a warning either.

    A roll is made in as few steps as the band allows, and does not warn of what it leaves open on the way.
    """
    band, weighted = exposure.hedge.band, exposure.weighted_base or ZERO
    if rolls:
        return SLICE_OF_ACT * band.act * weighted
    quiet = band.warn if band.warn > 0 else band.act
    return min(SLICE_OF_ACT * band.act, quiet) * weighted


def _band(exposure: Exposure) -> Decimal:
    return exposure.hedge.band.act * (exposure.weighted_base or ZERO)


def _leg(exposure: Exposure, ident: InstrumentId) -> LegExposure | None:
    return next((leg for leg in exposure.legs if leg.id == ident), None)


def _contracts(leg: LegExposure, amount: Base) -> Decimal:
    """Contracts of a leg for so many of the hedge's base units; zero where it has no price."""
    if leg.mark is None:
        return ZERO
    return leg.leg.instrument.contracts_for(Base(amount / leg.worth), leg.mark.mark)


def _base(leg: LegExposure, contracts: Contracts) -> Decimal:
    """The hedge's base units that so many contracts of a leg stand for; zero where it has no price."""
    if leg.mark is None:
        return ZERO
    return leg.leg.instrument.delta(contracts, leg.mark.mark) * leg.worth
