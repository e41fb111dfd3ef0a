"""Hedges that count the same coins, and what they leave each other: together they never short more than is there.

The configuration sees to that where every target is a share. What coins or money come to, and what an operator says, is
known at run time alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from keeper.core.model import ONE, ZERO, AccountId, Base, Exposure, ExposureMode, Hedge, Side
from keeper.core.orders import working_contracts


def places(hedge: Hedge) -> frozenset[tuple[str, AccountId]]:
    """Where the coins of a hedge are: each asset in each wallet, and in each statement."""
    found = {(asset, account) for asset in hedge.assets for account in hedge.spot}
    found |= {(statement.asset, statement.account) for statement in hedge.statements}
    if hedge.exposure is ExposureMode.EQUITY:
        found |= {(leg.instrument.settle, leg.collateral) for leg in hedge.legs if leg.collateral is not None}
    return frozenset(found)


def shared_ratio(index: int, exposures: Sequence[Exposure], adding: Mapping[str, Base]) -> Decimal | None:
    """The largest share, 0 to 1, of any of the coins of hedge ``index`` that the other hedges have sold or are to sell.

    ``exposures`` are all hedges in the configuration's order, which is the order of their claims; ``adding`` is what is
    about to be shorted in this look, by hedge. None where another hedge over the same coins cannot be seen.
    """
    mine = places(exposures[index].hedge)
    most = ZERO
    for place in mine:
        total = ZERO
        for other, exposure in enumerate(exposures):
            if other == index or place not in places(exposure.hedge):
                continue
            share = _claim(exposure, adding.get(exposure.hedge.name), comes_first=other < index)
            if share is None:
                return None
            total += share
        most = max(most, total)
    return min(most, ONE)


def _claim(exposure: Exposure, adding: Base | None, *, comes_first: bool) -> Decimal | None:
    """The share of its coins that a hedge has sold, or may sell first; None where that is not known."""
    aimed = exposure.target_ratio
    if exposure.futures_base is None or exposure.equity_base is None:
        return aimed
    short = max(ZERO, -exposure.futures_base) + (adding or ZERO)
    for leg in exposure.legs:
        working = working_contracts(leg.working, Side.SELL)
        if working and leg.mark is not None:
            short += leg.leg.instrument.delta(working, leg.mark.mark) * leg.worth
    if exposure.equity_base <= 0:
        return ONE if short > 0 else ZERO
    sold = short / exposure.equity_base
    # An order in question may have sold up to the target already.
    return max(sold, aimed or ZERO) if comes_first or exposure.blockers else sold
