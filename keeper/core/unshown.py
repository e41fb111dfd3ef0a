"""Fills of ours that the position does not show yet, or never showed.

A fill that is not shown is waited for, and after a while a person is called. Until that person resumes the hedge, what
the fill has bought back counts as bought back: a reading that stands still would have it bought again and again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from decimal import Decimal

from keeper.core.coins import earns_coins
from keeper.core.model import ZERO, Contracts, Exposure, HedgeMemory, InstrumentId, LegExposure, Position, Reason


def awaiting(memory: HedgeMemory) -> Reason:
    """What is waited for."""
    implied = " and ".join(f"{contracts} contracts of {ident}" for ident, contracts in memory.expected.items())
    return Reason("awaiting_position", f"our fills imply {implied} and the venue does not show them yet")


def is_given_up(memory: HedgeMemory) -> bool:
    """Whether a fill has not shown for so long that the hedge halted over it."""
    return bool(memory.expected) and memory.halted is not None and memory.expected_since_ms is None


def without_given_up(memory: HedgeMemory) -> HedgeMemory:
    """Memory after a person has looked: what never showed is not waited for any more."""
    return replace(memory, expected={}, covered={}) if is_given_up(memory) else memory


def unshown_cover(leg: LegExposure, memory: HedgeMemory) -> Decimal:
    """Base units of the hedge, not negative, by which our fills imply a smaller short on a leg than it shows."""
    implied, covered = memory.expected.get(leg.id), memory.covered.get(leg.id)
    if implied is None or covered is None or leg.position is None or leg.mark is None:
        return ZERO
    # A short that is larger than our fills imply by more than our covers is somebody else's, and no cover of ours.
    unshown = Contracts(min(implied - leg.position.contracts, covered))
    return max(ZERO, leg.leg.instrument.delta(unshown, leg.mark.mark) * leg.worth)


def behind(exposure: Exposure, memory: HedgeMemory) -> frozenset[InstrumentId]:
    """Contracts on which a cover of ours moves coins in a wallet that reads what it read before it, or before that.

    A cover realises its profit or loss there. A look that shows the smaller position beside the old wallet counts a
    loss as coins still owned, and would short them.
    """
    hedge = exposure.hedge
    if not memory.expected or not memory.held:
        return frozenset()
    legs = (leg for leg in exposure.legs if leg.id in memory.covered and earns_coins(hedge, leg.leg.instrument))
    coins = {leg.id: leg.leg.instrument.settle for leg in legs}
    before = {coin: (memory.held.get(coin), *memory.formerly_held.get(coin, ())) for coin in coins.values()}
    return frozenset(at for at, coin in coins.items() if exposure.held.get(coin) in before[coin])


def settle_expectation(
    memory: HedgeMemory,
    positions: Iterable[Position],
    now_ms: int,
    patience_ms: int,
    behind: Collection[InstrumentId] = (),
) -> tuple[HedgeMemory, Reason | None]:
    """Compare the positions with what our fills imply. One that shows, ``behind`` which a wallet lags, is waited for as
    long as one that does not; after that the wallet has nothing to show.

    Returns the memory, and a reason to halt when the venue has not shown a fill of ours for longer than
    ``patience_ms``: the order is never repeated, a person looks instead. What is expected stays, without its time, so
    that no cover is repeated either.
    """
    if not memory.expected:
        return memory, None
    shown = {position.instrument.id: position.contracts for position in positions}
    waited = now_ms - (memory.expected_since_ms or now_ms) > patience_ms
    left = {
        ident: contracts
        for ident, contracts in memory.expected.items()
        if shown.get(ident) != contracts or (ident in behind and not waited and memory.expected_since_ms is not None)
    }
    if not left:
        return replace(memory, expected={}, expected_since_ms=None, covered={}), None
    memory = replace(memory, expected=left)
    late = [ident for ident in left if ident in shown]
    if not late or not waited:
        return memory, None
    text = " and ".join(
        f"the venue shows {shown[ident]} contracts of {ident} where our fills imply {left[ident]}" for ident in late
    )
    text += f", for more than {patience_ms // 1000} s"
    return replace(memory, expected_since_ms=None, halted=text), Reason("fill_not_shown", text)
