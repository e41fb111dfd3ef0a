"""Where each contract of a hedge stands, and what stops orders on one contract without stopping the others.

A leg whose market cannot be traded is passed over, and its position goes on counting. A leg whose position, or the
price of an open position, could not be read leaves the whole hedge without a delta: missing is not zero.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from keeper.core.model import (
    NO_BASE,
    NO_CONTRACTS,
    ONE,
    Base,
    Contracts,
    Exposure,
    Hedge,
    InstrumentId,
    Kind,
    Leg,
    LegExposure,
    Mark,
    Quote,
    Reason,
    Side,
    Snapshot,
)
from keeper.core.roll_state import LAST_OPENING_MS

PRICE_GAPS = frozenset({"no_price", "stale_price"})
"""Codes of gaps that say of a contract no more than that it has no price to trade on."""


def futures_source(venue: str) -> str:
    """The name, in gaps, of what is read of a venue's futures as a whole: positions, working orders, prices, clock."""
    return f"{venue} futures"


def own_sources(ident: InstrumentId) -> frozenset[str]:
    """The readings that trading on one contract stands on, beside the hedge's wallets."""
    return frozenset((str(ident), futures_source(ident.venue)))


def leg_exposures(hedge: Hedge, snapshot: Snapshot) -> tuple[LegExposure, ...]:
    """Every leg as ``snapshot`` shows it, in the hedge's order."""
    first = snapshot.marks.get(hedge.instrument.id)
    return tuple(_leg_exposure(hedge, leg, snapshot, first) for leg in hedge.legs)


def _leg_exposure(hedge: Hedge, leg: Leg, snapshot: Snapshot, first: Mark | None) -> LegExposure:
    instrument, known = leg.instrument, own_sources(leg.instrument.id)
    mark, position = snapshot.marks.get(instrument.id), snapshot.positions.get(instrument.id)
    gaps = [gap for gap in snapshot.gaps if gap.source in known]
    blockers = [Reason(gap.code, f"{gap.source}: {gap.text}") for gap in gaps]
    blockers += [reason for source, reason in snapshot.blocks if source in known]
    sells = [reason for source, reason in snapshot.sell_blocks if source in known]
    left_ms = None if instrument.expires_at_ms is None else instrument.expires_at_ms - snapshot.taken_at_ms
    expired = left_ms is not None and left_ms <= 0
    if expired:
        blockers.insert(0, Reason("expired", f"{instrument.id} has expired; name another contract"))
    elif left_ms is not None and left_ms <= LAST_OPENING_MS:
        sells.append(
            Reason("expiring", f"{instrument.id} expires in {left_ms // 60_000} min and is not opened any more")
        )
    worth = _worth(hedge, instrument.id, mark, first)
    delta: Base | None = None
    is_priceless = hedge.is_own and instrument.kind is Kind.LINEAR
    if position is not None and position.contracts == 0:
        delta = NO_BASE
    elif position is not None and is_priceless:
        delta = instrument.delta(position.contracts, ONE)
    elif position is not None and mark is not None and worth is not None:
        delta = Base(instrument.delta(position.contracts, mark.mark) * worth)
    # A price that is missing or old is this market's trouble alone where no delta hangs on it; any other reading that
    # is in doubt leaves the hedge's delta in doubt.
    harmless = is_priceless or (position is not None and position.contracts == 0)
    doubted = any(not (harmless and gap.source == str(instrument.id) and gap.code in PRICE_GAPS) for gap in gaps)
    if delta is None and not blockers:
        blockers.append(Reason("missing_reading", f"{instrument.id} has no position or no price; nothing is assumed"))
    return LegExposure(
        leg,
        position,
        mark,
        delta,
        worth or ONE,
        tuple(order for order in snapshot.working if order.instrument == instrument.id),
        tuple(dict.fromkeys(blockers)),
        tuple(sells),
        snapshot.foreign.get(instrument.id, NO_CONTRACTS),
        expired,
        doubted or delta is None,
    )


def _worth(hedge: Hedge, ident: InstrumentId, mark: Mark | None, first: Mark | None) -> Decimal | None:
    """What one base unit of this leg counts for, see :class:`LegExposure`; None where a price for that is missing."""
    if hedge.is_own or ident == hedge.instrument.id:
        return ONE
    return None if mark is None or first is None else mark.mark / first.mark


def is_usable(leg: LegExposure, *, sells: bool) -> bool:
    """Whether an order may be sent on this leg now."""
    return not leg.blockers and leg.mark is not None and not (sells and leg.sell_blockers)


def at_leg(exposure: Exposure, leg: LegExposure, drift: Base) -> Exposure:
    """The exposure as the planner and the limits need it for an order on one leg: that leg's contract, position and
    orders, and all figures in its own base units. ``drift`` is what is to be done there, in the hedge's base units.

    Working orders on the other legs are taken off the room for sells as if they had filled.
    """
    hedge = replace(exposure.hedge, instrument=leg.leg.instrument)
    pending = sum((_pending_sells(other) for other in exposure.legs if other.id != leg.id), NO_BASE)

    def own(amount: Decimal | None) -> Base | None:
        return None if amount is None else Base(amount / leg.worth)

    futures = None if exposure.futures_base is None else own(exposure.futures_base - pending)
    return replace(
        exposure,
        hedge=hedge,
        mark=leg.mark,
        position=leg.position,
        working=leg.working,
        drift_base=own(drift),
        futures_base=futures,
        equity_base=own(exposure.equity_base),
        foreign_contracts=leg.foreign_contracts,
    )


def _pending_sells(leg: LegExposure) -> Decimal:
    """Base units that working sells on a leg would add to the short, positive; none where it has no price."""
    if leg.mark is None:
        return NO_BASE
    contracts = sum((order.remaining for order in leg.working if order.side is Side.SELL), NO_CONTRACTS)
    return leg.leg.instrument.delta(Contracts(contracts), leg.mark.mark) * leg.worth


def short_notional(exposure: Exposure) -> Quote:
    """Quote value of a hedge's own shorts over all legs, positive; what is not known or long counts nothing."""
    return Quote(sum((leg.short_notional for leg in exposure.legs), Decimal(0)))
