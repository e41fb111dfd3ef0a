"""The live portfolio as lines and accounts of the what-if arithmetic."""

from __future__ import annotations

from fractions import Fraction

from keeper.core.hedge import accounts_of
from keeper.core.margin import NOTHING
from keeper.core.model import NO_BASE, Exposure, ExposureMode, Kind, Snapshot
from keeper.core.stress import Coins, Leg, Line


def line_of(exposure: Exposure, snapshot: Snapshot) -> Line | None:
    """One hedge as it stands; None where a holding, a position or a price was not read.

    A cross hedge's coins are worth what they are at their own prices, and move by the β that its target was made with.
    """
    hedge, mark = exposure.hedge, exposure.mark
    known = exposure.equity_base, exposure.weighted_base, exposure.futures_base, exposure.position
    equity, weighted, futures, position = known
    if mark is None or equity is None or weighted is None or futures is None or position is None:
        return None
    price = Fraction(mark.mark)
    worth = _unweighted(exposure, snapshot)
    if worth is None:
        return None
    spot_only = hedge.exposure is ExposureMode.SPOT
    protected = Fraction(weighted) * price
    held = [Coins(*_as_moved(worth, protected))]
    if spot_only and equity != weighted:
        held.append(Coins((Fraction(equity) - Fraction(weighted)) * price, counted=False))
    kind = hedge.instrument.kind
    own = Fraction(hedge.instrument.notional(position.contracts, mark.mark))
    legs = [Leg(kind, own, str(hedge.instrument.id), gains_count=not spot_only)]
    others = Fraction(futures) * price - Fraction(hedge.instrument.delta(position.contracts, mark.mark)) * price
    if abs(others) > abs(own) / 10**20:
        legs.append(Leg(Kind.LINEAR, others, f"{hedge.name} unlisted"))
    return Line(hedge.name, tuple(held), tuple(legs))


def _as_moved(worth: Fraction, protected: Fraction) -> tuple[Fraction, Fraction]:
    """What the coins are worth, and how much of a move of the contract they make: Σ βᵢ·Vᵢ / Σ Vᵢ."""
    if worth == 0:
        return protected, Fraction(1)
    return worth, protected / worth


def _unweighted(exposure: Exposure, snapshot: Snapshot) -> Fraction | None:
    """Quote worth of what is protected, each coin at its own price."""
    hedge, mark, own = exposure.hedge, exposure.mark, exposure.exposure_base
    if mark is None or own is None:
        return None
    if len(hedge.assets) == 1:
        [asset] = hedge.assets
        price = mark.mark if asset == hedge.instrument.base else snapshot.asset_prices.get(asset)
        return None if price is None else Fraction(own) * Fraction(price)
    total = NOTHING
    for asset in hedge.assets:
        price = mark.mark if asset == hedge.instrument.base else snapshot.asset_prices.get(asset)
        if price is None:
            return None
        accounts = hedge.spot if hedge.exposure is ExposureMode.SPOT else accounts_of(hedge)
        held = (snapshot.holdings.get((account, asset), NO_BASE) for account in accounts)
        total += Fraction(sum(held, hedge.declared.get(asset, NO_BASE))) * Fraction(price)
    return total + _gained(exposure) * Fraction(mark.mark)


def _gained(exposure: Exposure) -> Fraction:
    """Coins that the position has gained and not yet booked, where they are coins of the basket."""
    hedge, mark, position = exposure.hedge, exposure.mark, exposure.position
    if mark is None or position is None or position.entry_price is None:
        return NOTHING
    if hedge.exposure is ExposureMode.SPOT or hedge.instrument.settle not in hedge.assets:
        return NOTHING
    return Fraction(hedge.instrument.coin_pnl(position.contracts, position.entry_price, mark.mark))
