"""Positions that change without an order of ours: others trade, the venue liquidates, or an answer is an old one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from keeper.core.changing import changed
from keeper.core.coins import earns_coins
from keeper.core.model import (
    ZERO,
    Contracts,
    Exposure,
    Hedge,
    HedgeMemory,
    InstrumentId,
    LegExposure,
    Reason,
    Snapshot,
    Unlisted,
)
from keeper.core.orders import plain

_NEVER: Mapping[InstrumentId, tuple[Contracts, ...]] = {}


def foreign_change(exposure: Exposure) -> tuple[Reason | None, Reason | None]:
    """What to say of a change that no fill of ours explains, and whether it is too large to be traded back.

    Returns a reason for the record, and a reason to halt: a short that somebody else, a liquidation or an
    auto-deleveraging made smaller by more than the hedge's cap is not opened again without a person. A position that
    went away with its contract, settled or delisted, is opened again where another leg can carry it.
    """
    moved = [leg for leg in exposure.legs if leg.foreign_contracts != 0]
    if not moved:
        return None, None
    text = " and ".join(f"the position in {leg.id} changed by {leg.foreign_contracts} contracts" for leg in moved)
    if any(leg.expired for leg in moved):
        text += " (expired and settled)"
    text += " without an order of ours"
    said = Reason("foreign_change", text)
    weighted = exposure.weighted_base
    smaller = sum((_lost(leg) for leg in moved), ZERO)
    if weighted is None or weighted <= 0 or smaller <= exposure.hedge.max_foreign_ratio * weighted:
        return said, None
    return said, Reason("foreign_change", f"{text}, more than {exposure.hedge.max_foreign_ratio} of the exposure")


def counted_changes(hedge: Hedge, snapshot: Snapshot, listed: Collection[InstrumentId]) -> Iterator[Reason]:
    """What stops new shorts for a look: a position that is counted, and that no hedge names, has jumped to less short.

    The list and the question by name may be wrong together, so the next look asks for both again before it is believed.
    """
    if hedge.unlisted is not Unlisted.COUNT:
        return
    for ident, change in snapshot.foreign.items():
        position = snapshot.positions.get(ident)
        if change > 0 and ident not in listed and position is not None and position.instrument.base in hedge.assets:
            text = f"the position in {ident}, which no hedge names, changed by {plain(change)} contracts"
            yield Reason("foreign_change", f"{text}; not shorted for it unless the next look shows it too")


def unsettled(
    exposure: Exposure, memory: HedgeMemory, now_ms: int, patience_ms: int
) -> tuple[HedgeMemory, Reason | None]:
    """Memory, and why nothing is traded on this reading: a position or wallet is back at what it was before a fill of
    ours.

    Once a venue has shown a fill, another part of it may still answer with the position of before, and in more than one
    look. That looks like somebody else's trade, and undoing it would repeat our own. It is taken for one when the
    ``patience_ms`` are over in which a venue may show our fill late. A wallet of before counts what a cover has lost as
    coins still owned.
    """
    if memory.filled_ms is None:
        return memory, None
    if abs(now_ms - memory.filled_ms) > patience_ms:
        return changed(memory, filled_ms=None, formerly=_NEVER, unsettled=False), None
    if any(
        leg.foreign_contracts != 0
        and leg.position is not None
        and leg.position.contracts in memory.formerly.get(leg.id, ())
        for leg in exposure.legs
    ):
        memory = changed(memory, unsettled=True)
    old = old_wallets(exposure, memory)
    if memory.unsettled:
        text = "the position is back where it was before a fill of ours"
    elif old:
        text = f"the wallet reads {plain(exposure.held[old[0]])} {old[0]} again, as before a fill of ours"
    else:
        return memory, None
    text += ", as an old answer would have it"
    return memory, Reason("unsettled", f"{text}; nothing is traded on it within {patience_ms // 1000} s of that fill")


def old_wallets(exposure: Exposure, memory: HedgeMemory) -> tuple[str, ...]:
    """Coins that our fills bring or take, and of which the wallets hold again what they held before one of these.

    Only just after a fill is that told from coins that somebody has brought back; then, an older answer counts as well.
    """
    if memory.filled_ms is None:
        return ()
    earned = {leg.leg.instrument.settle for leg in exposure.legs if earns_coins(exposure.hedge, leg.leg.instrument)}
    return tuple(
        coin
        for coin, held in exposure.held.items()
        if coin in earned and held != memory.held.get(coin, held) and held in memory.formerly_held.get(coin, ())
    )


def has_gone(leg: LegExposure) -> bool:
    """Whether a leg's position went away with its contract: expired, or flat in a market that cannot be traded."""
    return leg.expired or (bool(leg.blockers) and leg.position is not None and leg.position.contracts == 0)


def _lost(leg: LegExposure) -> Decimal:
    """Base units that a foreign change took from the short of a leg that still trades."""
    if has_gone(leg) or leg.mark is None or leg.foreign_contracts < 0:
        return ZERO
    return leg.leg.instrument.delta(leg.foreign_contracts, leg.mark.mark) * leg.worth
