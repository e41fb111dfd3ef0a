"""Hedge cycles in a line each, for stories about what is worth telling."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from keeper.core.model import (
    AccountId,
    Band,
    Base,
    Contracts,
    CycleRecord,
    Decision,
    Exposure,
    Hedge,
    HedgeCycle,
    HedgeMemory,
    Hold,
    Instrument,
    InstrumentId,
    Kind,
    OrderPlan,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Quote,
    Reason,
    Rebalance,
    Side,
    Snapshot,
)
from keeper.core.targets import Target

D = Decimal
START_MS = 1_795_161_600_000
BTC = Instrument(
    InstrumentId("main", "BTC/USDT:USDT"), "BTC", "USDT", "USDT", Kind.LINEAR, D(1), Contracts(D("0.001")), D("0.1")
)
HEDGE = Hedge(
    "btc", ("BTC",), (AccountId("main"),), {}, BTC, Target.ratio(D("0.6")), Band(D("0.02"), D("0.05"), D("0.50"))
)
WITHIN = Reason("within_band", "drift 0.00 is within act 0.05")
ABOVE = Reason("drift_above_act", "drift 0.60 is above act 0.05")
GAP = Reason("unreachable", "main: no answer")


def standing(drift_ratio: str | None, blockers: Sequence[Reason] = ()) -> Exposure:
    """5 BTC with a target ratio of 0.6, so far from it; None is a hedge that nobody can see."""
    if drift_ratio is None:
        return Exposure(HEDGE, target_ratio=D("0.6"), blockers=tuple(blockers))
    drift = D(drift_ratio)
    return Exposure(
        HEDGE,
        spot_base=Base(D(5)),
        collateral_base=Base(D(0)),
        exposure_base=Base(D(5)),
        futures_base=Base(-5 * (D("0.6") - drift)),
        hedge_ratio=D("0.6") - drift,
        target_ratio=D("0.6"),
        target_base=Base(D(-3)),
        drift_base=Base(5 * drift),
        drift_ratio=drift,
        drift_notional=Quote(5 * drift * 65000),
        blockers=tuple(blockers),
    )


def hedge_cycle(
    drift_ratio: str | None,
    decision: Decision | None = None,
    *,
    orders: Sequence[PlannedOrder] = (),
    outcomes: Sequence[Outcome] = (),
    reasons: Sequence[Reason] = (),
    blockers: Sequence[Reason] = (),
    memory: HedgeMemory | None = None,
) -> HedgeCycle:
    """One cycle of the hedge "btc"; without a decision it is a quiet hold."""
    return HedgeCycle(
        exposure=standing(drift_ratio, blockers),
        decision=decision or Hold((WITHIN,)),
        plan=OrderPlan("btc", tuple(orders), Base(D(0))) if orders else None,
        reasons=tuple(reasons),
        outcomes=tuple(outcomes),
        memory=memory or HedgeMemory(),
    )


def order(client_id: str, contracts: str, side: Side = Side.SELL) -> PlannedOrder:
    """An order of so many one-coin contracts near 65,000."""
    size = D(contracts)
    return PlannedOrder(
        client_id, "btc", BTC.id, side, Contracts(size), Base(size), Quote(size * 65000), D(64935), side is Side.BUY
    )


def outcome(
    client_id: str, state: OutcomeState, filled: str = "0", price: str | None = None, text: str = ""
) -> Outcome:
    """What became of an order."""
    return Outcome(client_id, state, Contracts(D(filled)), None if price is None else D(price), None, text)


def rebalance(drift: str) -> Rebalance:
    """The decision to trade so many coins."""
    return Rebalance(Base(D(drift)), (ABOVE,))


def record(*hedges: HedgeCycle, at_ms: int = START_MS) -> CycleRecord:
    """A finished turn of the loop."""
    return CycleRecord(1, 1, Snapshot(at_ms, 0.0, 0.1), hedges, at_ms)
