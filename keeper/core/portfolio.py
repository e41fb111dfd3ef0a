"""The live portfolio as lines and accounts of the what-if arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from keeper.core.hedge import accounts_of
from keeper.core.margin import NOTHING, Curve, as_decimal
from keeper.core.model import NO_BASE, Exposure, ExposureMode, InstrumentId, Kind, LegExposure, Snapshot
from keeper.core.stress import Coins, Leg, Line, Pool

ASSUMED_MAINTENANCE = Decimal("0.005")
"""Taken for contracts of which the venue tells nothing yet, because nothing is open in them."""

UNIFIED = "USD"
"""What an account is reckoned in where all its coins are its margin."""


def line_of(exposure: Exposure, snapshot: Snapshot) -> Line | None:
    """One hedge as it stands; None where a holding, a position or a price was not read.

    A cross hedge's coins are worth what they are at their own prices, and move by the β that its target was made with.
    """
    hedge, mark = exposure.hedge, exposure.mark
    equity, weighted, futures = exposure.equity_base, exposure.weighted_base, exposure.futures_base
    if mark is None or equity is None or weighted is None or futures is None:
        return None
    price = Fraction(mark.mark)
    worth = _unweighted(exposure, snapshot)
    if worth is None:
        return None
    spot_only = hedge.exposure is ExposureMode.SPOT
    held = [Coins(*_as_moved(worth, Fraction(weighted) * price))]
    if spot_only and equity != weighted:
        held.append(Coins((Fraction(equity) - Fraction(weighted)) * price, counted=False))
    legs = [
        Leg(leg.leg.instrument.kind, -short_of(leg), pool_name(leg), gains_count=not spot_only)
        for leg in exposure.legs
        if leg.position is not None
    ]
    own = sum((leg.delta_base for leg in exposure.legs if leg.delta_base is not None), NO_BASE)
    if abs(futures - own) > abs(own) * Decimal("1e-20"):
        legs.append(Leg(Kind.LINEAR, Fraction(futures - own) * price, f"{hedge.name} unlisted"))
    return Line(hedge.name, tuple(held), tuple(legs))


def portfolio_beta(exposure: Exposure, snapshot: Snapshot) -> Decimal | None:
    """How far a basket moves with its contract: Σ βᵢ·Vᵢ / Σ Vᵢ, each coin at its own price.

    None for one coin, where nothing is held, and where a holding or a price is not known.
    """
    mark, weighted = exposure.mark, exposure.weighted_base
    if len(exposure.hedge.assets) < 2 or mark is None or weighted is None or weighted <= 0:
        return None
    worth = _unweighted(exposure, snapshot)
    return as_decimal(Fraction(weighted) * Fraction(mark.mark) / worth) if worth else None


def short_of(leg: LegExposure) -> Fraction:
    """Quote money that a leg is short now; negative where it is long, zero where that is not known."""
    if leg.position is None or leg.mark is None:
        return NOTHING
    return -Fraction(leg.leg.instrument.notional(leg.position.contracts, leg.mark.mark))


def pool_name(leg: LegExposure) -> str:
    """The account that margins a leg; a position with margin of its own is an account of its own."""
    if leg.margin is None or leg.margin.isolated:
        return str(leg.id)
    return f"{leg.margin.account.account} {leg.margin.account.asset}"


def pools_of(exposures: Iterable[Exposure], snapshot: Snapshot) -> dict[str, Pool]:
    """The margin accounts behind these hedges, by :func:`pool_name`; what was not read is not there."""
    shared: dict[str, list[tuple[Exposure, LegExposure]]] = {}
    for exposure in exposures:
        for leg in exposure.legs:
            if leg.margin is not None and leg.mark is not None:
                shared.setdefault(pool_name(leg), []).append((exposure, leg))
    return {name: _pool(members, snapshot) for name, members in shared.items()}


def _pool(members: list[tuple[Exposure, LegExposure]], snapshot: Snapshot) -> Pool:
    first = members[0][1].margin
    assert first is not None  # noqa: S101  pools_of() takes no other
    open_legs = [leg for _, leg in members if short_of(leg) != 0]
    told = _told_move(open_legs[0]) if len(open_legs) == 1 else None
    if first.isolated:
        return Pool(liquidation_move=told)
    return Pool(curve_of(members, snapshot, {leg.id: short_of(leg) for _, leg in members}, told))


def curve_of(
    members: list[tuple[Exposure, LegExposure]],
    snapshot: Snapshot,
    shorts: Mapping[InstrumentId, Fraction],
    told: Fraction | None = None,
) -> Curve:
    """The account behind these legs, if each were short what ``shorts`` says, in quote money now.

    An account that is kept in a coin is worth more when that rises, and so are hedged coins in a unified account, which
    are taken at their full price. Where the venue tells at which move (``told``) the one open position is liquidated,
    that is taken instead: it knows what it takes off for each coin.
    """
    leg = members[0][1]
    margin, mark = leg.margin, leg.mark
    assert margin is not None  # noqa: S101  members have both
    assert mark is not None  # noqa: S101
    account, settle = margin.account, leg.leg.instrument.settle
    in_coins = leg.leg.instrument.kind is Kind.INVERSE and account.asset == settle
    unit = Fraction(mark.mark) if in_coins else Fraction(1)
    equity, needed = Fraction(account.equity) * unit, Fraction(account.maintenance) * unit
    slope = equity if in_coins else _coins_slope(members, snapshot)
    growing = NOTHING
    for _, each in members:
        short, now = shorts[each.id], short_of(each)
        rate = _rate(each, unit, now)
        slope -= short
        needed += rate * (abs(short) - abs(now))
        if each.leg.instrument.kind is not Kind.INVERSE:
            growing += rate * abs(short)
    if told:
        slope = growing - (equity - needed) / told
    return Curve(equity, slope, needed, growing)


def _rate(leg: LegExposure, unit: Fraction, short: Fraction) -> Fraction:
    """Maintenance of a leg as a share of its notional: the venue's word on the open position, else a usual one."""
    row = leg.margin.position if leg.margin is not None else None
    if row is None or not row.maintenance or short == 0:
        return Fraction(ASSUMED_MAINTENANCE)
    return Fraction(row.maintenance) * unit / abs(short)


def _coins_slope(members: list[tuple[Exposure, LegExposure]], snapshot: Snapshot) -> Fraction:
    """Quote worth of hedged coins that lie in the margin account itself and rise with the price.

    An account that is reckoned in one currency is margined by that alone, whatever else lies in its wallet.
    """
    found: dict[str, Fraction] = {}
    for exposure, leg in members:
        if leg.margin is None or leg.mark is None or leg.margin.account.asset != UNIFIED:
            continue
        for asset in exposure.hedge.assets:
            own = asset == leg.leg.instrument.base
            price = leg.mark.mark if own else snapshot.asset_prices.get(asset)
            coins = snapshot.holdings.get((leg.margin.account.account, asset))
            if price is not None and coins is not None:
                beta = Fraction(exposure.hedge.beta(asset))
                found[asset] = Fraction(coins) * Fraction(price) * beta
    return sum(found.values(), NOTHING)


def _told_move(leg: LegExposure) -> Fraction | None:
    if leg.margin is None or leg.mark is None or leg.margin.liquidation_price is None:
        return None
    return Fraction(leg.margin.liquidation_price) / Fraction(leg.mark.mark) - 1


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
    """Coins that the positions have gained and not yet booked, where they are coins of the basket."""
    hedge, total = exposure.hedge, NOTHING
    if hedge.exposure is ExposureMode.SPOT:
        return total
    for leg in exposure.legs:
        instrument, position, mark = leg.leg.instrument, leg.position, leg.mark
        if position is None or mark is None or instrument.settle not in hedge.assets:
            continue
        total += Fraction(position.coin_pnl(mark.mark) or 0)
    return total
