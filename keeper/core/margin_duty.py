"""What margin asks of a hedge: no new shorts beyond ``block``, and beyond ``reduce`` a smaller one.

A contract that was covered for its margin is covered until that is below ``block``, and is not shorted again before it
is below ``warn``: between the two nothing is traded for the margin's sake, so that nothing goes back and forth.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from keeper.core.changing import changed
from keeper.core.margins import LegMargin, Level, MarginPolicy, margin_of, margin_source, share_to_cover
from keeper.core.model import (
    Base,
    Decision,
    Exposure,
    Halt,
    HedgeMemory,
    InstrumentId,
    Kind,
    LegExposure,
    Reason,
    Rebalance,
    Snapshot,
)
from keeper.core.orders import plain
from keeper.core.unshown import is_given_up, unshown_cover

REDUCING = "reducing"
HELD = "held"


def with_margin(
    exposure: Exposure, snapshot: Snapshot, policy: MarginPolicy | None, memory: HedgeMemory
) -> tuple[Exposure, HedgeMemory]:
    """The exposure with the margin behind each leg and what that stops, and the memory of what was covered for it."""
    if policy is None:
        if snapshot.margins:
            legs_seen = tuple(changed(leg, margin=_seen(leg, snapshot, MarginPolicy())) for leg in exposure.legs)
            exposure = replace(exposure, legs=legs_seen)
        return exposure, replace(memory, margin={}) if memory.margin else memory
    legs: list[LegExposure] = []
    held: dict[InstrumentId, str] = {}
    stops: list[Reason] = []
    for leg in exposure.legs:
        margin = _seen(leg, snapshot, policy)
        state = _state(memory.margin.get(leg.id), leg, margin)
        if state is not None:
            held[leg.id] = state
        reasons = _sell_blockers(leg, margin, state, snapshot, policy)
        stops += reasons
        legs.append(replace(leg, margin=margin, sell_blockers=(*leg.sell_blockers, *reasons)))
    if len(legs) > 1:
        stops = []  # the other contracts may carry more; where none can, that is said of all of them
    exposure = replace(exposure, legs=tuple(legs), sell_blockers=(*exposure.sell_blockers, *stops))
    if held != memory.margin:
        # A short that was made smaller on purpose has to be built up again: halt does not guard that.
        memory = replace(memory, margin=held, established=False)
    return exposure, memory


def for_margin(exposure: Exposure, memory: HedgeMemory, policy: MarginPolicy | None, decision: Decision) -> Decision:
    """``decision``, or the cover that margin asks for where that is larger; what stops covers stops this one too."""
    if policy is None or isinstance(decision, Halt) or exposure.blockers or memory.paused:
        return decision
    if memory.expected and not is_given_up(memory):
        return decision
    covers = ((_to_cover(leg, memory, policy) - unshown_cover(leg, memory), leg) for leg in exposure.legs)
    found = [(cover, leg) for cover, leg in covers if cover > 0]
    if not found:
        return decision
    cover, leg = max(found, key=lambda pair: pair[0])
    if isinstance(decision, Rebalance) and decision.drift_base <= -cover:
        return decision
    assert leg.margin is not None  # noqa: S101  only a leg with a margin has something to cover
    text = f"{leg.id}: {told(leg.margin)}; {plain(cover.quantize(Decimal('1e-8')))} coins are bought back"
    return Rebalance(Base(-cover), (Reason("margin_reduce", text),), leg.id if len(exposure.legs) > 1 else None)


def told(margin: LegMargin) -> str:
    """A margin for people."""
    words = []
    if margin.exhausted:
        words.append("no equity is left")
    elif margin.ratio is not None:
        words.append(f"maintenance is {margin.ratio:.4f} of the equity")
    if margin.distance is not None and margin.liquidation_price is not None:
        words.append(f"liquidation at {plain(margin.liquidation_price)}, {margin.distance:.4f} away")
    return f"{margin.account.account} ({margin.account.asset}): " + (
        ", ".join(words) or "nothing is told of its margin"
    )


def worst(exposure: Exposure) -> tuple[InstrumentId, LegMargin] | None:
    """The leg that is nearest liquidation and its margin: by level, then by ratio."""
    known = [(leg.id, leg.margin) for leg in exposure.legs if leg.margin is not None]
    return max(known, key=lambda each: _danger(each[1]), default=None)


def _danger(margin: LegMargin) -> tuple[int, bool, Decimal]:
    return margin.level.rank, margin.exhausted, margin.ratio or Decimal(0)


def _seen(leg: LegExposure, snapshot: Snapshot, policy: MarginPolicy) -> LegMargin | None:
    mark = leg.mark.mark if leg.mark is not None else None
    margin = margin_of(leg.leg.instrument, snapshot.margins, mark)
    if margin is None:
        return None
    return replace(margin, level=policy.level(margin.ratio, margin.distance, exhausted=margin.exhausted))


def _state(before: str | None, leg: LegExposure, margin: LegMargin | None) -> str | None:
    """Whether a leg is being covered for its margin, or waits until there is room again."""
    if margin is None:
        return before
    if margin.level is Level.REDUCE and _is_short(leg) and not margin.isolated:
        return REDUCING
    if before is None or margin.level is Level.FINE:
        return None
    return REDUCING if before == REDUCING and margin.level.rank >= Level.BLOCK.rank else HELD


def _is_short(leg: LegExposure) -> bool:
    return leg.position is not None and leg.position.contracts < 0


def _sell_blockers(
    leg: LegExposure, margin: LegMargin | None, state: str | None, snapshot: Snapshot, policy: MarginPolicy
) -> list[Reason]:
    if margin is None:
        if not policy.required:
            return []  # a default acts on what it sees: a venue that shows nothing must not end the hedging
        gap = next((gap for gap in snapshot.gaps if gap.source == margin_source(leg.id.venue)), None)
        why = gap.text if gap is not None else "keeper cannot read it on this venue; without [margin] it would not ask"
        return [Reason("margin_unread", f"the margin behind {leg.id} is not known: {why}")]
    if margin.level.rank >= Level.BLOCK.rank:
        return [Reason("margin_block", f"{leg.id}: {told(margin)}; no new short")]
    if state is not None:
        text = (
            f"{leg.id} was covered for its margin, and is not shorted again before that is below warn: {told(margin)}"
        )
        return [Reason("margin_block", text)]
    return []


def _to_cover(leg: LegExposure, memory: HedgeMemory, policy: MarginPolicy) -> Decimal:
    """Base units of the hedge to buy back on a leg, not negative."""
    margin, position, mark = leg.margin, leg.position, leg.mark
    if margin is None or position is None or mark is None or leg.delta_base is None or not _is_short(leg):
        return Decimal(0)
    if memory.margin.get(leg.id) != REDUCING or leg.blockers:
        return Decimal(0)
    instrument = leg.leg.instrument
    notional = Decimal(-instrument.notional(position.contracts, mark.mark))
    linear = instrument.kind is not Kind.INVERSE
    if not linear and margin.account.asset == instrument.settle:
        notional /= mark.mark  # the account is kept in coins
    return share_to_cover(margin, notional, policy, linear=linear) * -leg.delta_base
