"""Reads what a comparison of contracts needs: prices, spreads, fees, funding histories of all that could follow.

What could not be read is a gap of that one contract, by name; the others are compared without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from keeper.core.carry import DAY_MS, FundingMean, funding_mean
from keeper.core.model import (
    NO_BASE,
    ONE,
    ZERO,
    Base,
    Contracts,
    Exposure,
    Instrument,
    InstrumentId,
    Kind,
    Mark,
    Quote,
    Reason,
)
from keeper.core.roll import Comparison, Terms, candidates_of, compare, is_due, is_last_moment
from keeper.core.roll_rules import RollRules
from keeper.core.roll_state import is_split
from keeper.venue.base import VenueError
from keeper.venue.further import FeeSchedules, FundingRates, Listings


class Markets(Listings, FundingRates, FeeSchedules, Protocol):
    """What one venue shows of its contracts."""

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Mark, best bid and ask, and the index, of those that could be priced."""
        ...

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Prices of assets in ``quote``."""
        ...


@dataclass(frozen=True, slots=True)
class Carried:
    """What is to be carried on: the contract that holds the short now, and how much it does.

    ``held_base`` is its short and ``wanted_base`` what the hedge wants to be short, positive coins of the contract.
    """

    instrument: Instrument
    held_base: Base
    wanted_base: Base


def carried_of(exposure: Exposure) -> Carried:
    """What one look showed of a hedge. Where it could not be read, one coin stands for it: rates need no size."""
    return _carried(exposure, exposure.hedge.instrument, exposure.futures_base, ONE)


def carried_by_leg(exposure: Exposure) -> tuple[Carried, ...]:
    """The same of each contract with a share, where the hedge is split."""
    if not is_split(exposure.hedge):
        return (carried_of(exposure),)
    legs = [leg for leg in exposure.legs if leg.leg.share]
    return tuple(_carried(exposure, leg.leg.instrument, leg.delta_base, leg.leg.share or ONE) for leg in legs)


def _carried(exposure: Exposure, instrument: Instrument, futures: Base | None, share: Decimal) -> Carried:
    held = Base(max(ZERO, -(futures or ZERO)))
    wanted = Base(max(ZERO, -(exposure.target_base or ZERO) * share))
    return Carried(instrument, held, held or wanted or Base(ONE))


async def carried_from(markets: Markets, instrument: Instrument, contracts: Contracts | None) -> Carried:
    """The same from a position that was read (short < 0); None is one that was not."""
    if contracts is None or contracts >= 0:
        return Carried(instrument, NO_BASE, Base(ONE))
    try:
        mark = (await markets.marks([instrument])).get(instrument.id)
    except VenueError:
        mark = None
    if mark is None and instrument.kind is not Kind.LINEAR:
        return Carried(instrument, Base(ONE), Base(ONE))
    held = Base(-instrument.delta(contracts, ONE if mark is None else mark.mark))
    return Carried(instrument, held, held)


async def compared(
    markets: Markets, carried: Carried, rules: RollRules, now_ms: int, taken: Collection[InstrumentId] = ()
) -> Comparison:
    """Price the contract that carries a hedge and whatever could follow it, from fresh readings.

    ``taken`` are contracts that carry another share of the hedge already.
    """
    present = carried.instrument
    listed = tuple(each for each in markets.listed(present.base) if each.id not in taken)
    others = candidates_of(present, listed, rules.candidates, now_ms)
    if is_last_moment(present, rules, now_ms) and all(is_due(each, rules, now_ms) for each in others):
        others = candidates_of(present, listed, (), now_ms)  # whatever was wished for: somewhere, rather than nowhere
    known = await asyncio.gather(*(_terms(markets, each, rules, now_ms) for each in (present, *others)))
    spot = await _spot(markets, present, known)
    first, rest = known[0], known[1:]
    price = spot if spot is not None else first.mark.mark if first.mark is not None else ZERO
    return compare(
        first, rest, spot, Quote(carried.wanted_base * price), Quote(carried.held_base * price), rules, now_ms
    )


async def _terms(markets: Markets, instrument: Instrument, rules: RollRules, now_ms: int) -> Terms:
    """What is known of one contract; each reading fails for itself."""
    gaps: list[Reason] = []

    def gap(error: VenueError) -> None:
        gaps.append(Reason(error.code, f"{instrument.id.symbol}: {error}"))

    mark: Mark | None = None
    fee, funding = rules.taker_fee, None
    try:
        mark = (await markets.marks([instrument])).get(instrument.id)
    except VenueError as error:
        gap(error)
    if fee is None:
        try:
            fees = await markets.fees(instrument)
            fee = None if fees is None else fees.taker
        except VenueError as error:
            gap(error)
    if instrument.expires_at_ms is None:
        try:
            funding = await _funding(markets, instrument, rules, now_ms)
        except VenueError as error:
            gap(error)
    return Terms(instrument, mark, fee, funding, tuple(gaps))


async def _funding(markets: Markets, instrument: Instrument, rules: RollRules, now_ms: int) -> FundingMean | None:
    since = now_ms - int(rules.funding_days * DAY_MS)
    rates = await markets.funding_rates(instrument, since)
    return funding_mean([rate for rate in rates if since <= rate.at_ms <= now_ms])


async def _spot(markets: Markets, present: Instrument, known: Sequence[Terms]) -> Decimal | None:
    """The index that the contracts settle to; where none of them shows it, what the coin is worth."""
    for terms in known:
        if terms.mark is not None and terms.mark.index is not None:
            return terms.mark.index
    try:
        return (await markets.asset_prices([present.base], present.quote)).get(present.base)
    except VenueError:
        return None
