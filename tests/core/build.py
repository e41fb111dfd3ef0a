"""Small makers of core objects for the stories in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from keeper.core.hedge import accounts_of, assess, decide, recall
from keeper.core.limits import ApprovedPlan, Book, Limits, RefusedPlan, review
from keeper.core.model import (
    AccountId,
    Band,
    Base,
    Contracts,
    Exposure,
    ExposureMode,
    Gap,
    Hedge,
    HedgeMemory,
    Instrument,
    InstrumentId,
    Kind,
    Mark,
    Position,
    Quote,
    Rebalance,
    Snapshot,
    Unlisted,
    WorkingOrder,
)
from keeper.core.orders import Epoch, plan
from keeper.core.targets import Target

D = Decimal
MAIN = AccountId("main")
COIN = AccountId("main", "inverse")
EPOCH = Epoch("0a1b2c", 1, 1)
BAND = Band(D("0.02"), D("0.05"), D("0.50"))


def linear(step: str = "0.001", size: str = "1", min_notional: str = "5", base: str = "BTC") -> Instrument:
    return Instrument(
        InstrumentId("main", f"{base}/USDT:USDT"), base, "USDT", "USDT", Kind.LINEAR, D(size), Contracts(D(step)),
        D("0.1"), min_contracts=Contracts(D(step)), min_notional=Quote(D(min_notional)),
    )  # fmt: skip


def inverse(size: str = "100", step: str = "1") -> Instrument:
    return Instrument(
        InstrumentId("main", "BTC/USD:BTC"), "BTC", "USD", "BTC", Kind.INVERSE, D(size), Contracts(D(step)), D("0.1"),
        min_contracts=Contracts(D(step)),
    )  # fmt: skip


def hedge(
    instrument: Instrument,
    ratio: str = "1",
    *,
    exposure: ExposureMode = ExposureMode.EQUITY,
    spot: tuple[AccountId, ...] = (MAIN,),
    assets: tuple[str, ...] = ("BTC",),
    betas: Mapping[str, Decimal] | None = None,
    unlisted: Unlisted = Unlisted.HOLD,
    collateral_is_spot: bool = False,
    band: Band = BAND,
    target: Target | None = None,
) -> Hedge:
    collateral = None
    if instrument.kind is Kind.INVERSE:
        collateral = MAIN if collateral_is_spot else COIN
    return Hedge(
        "btc", assets, spot, {}, instrument, target or Target.ratio(D(ratio)), band, exposure, unlisted, betas or {},
        collateral, collateral_is_spot,
    )  # fmt: skip


def snapshot(
    of: Hedge,
    price: str | Decimal,
    coins: Mapping[str, str] | None = None,
    contracts: str | Decimal = "0",
    *,
    entry: str | None = None,
    wallet: str = "0",
    others: tuple[Position, ...] = (),
    prices: Mapping[str, str] | None = None,
    working: tuple[WorkingOrder, ...] = (),
    gaps: tuple[Gap, ...] = (),
    tick: str = "0",
) -> Snapshot:
    instrument = of.instrument
    holdings = {(MAIN, asset): Base(D((coins or {}).get(asset, "0"))) for asset in of.assets}
    if COIN in accounts_of(of):
        holdings[(COIN, instrument.settle)] = Base(D(wallet))
    positions = {instrument.id: Position(instrument, Contracts(D(contracts)), D(entry or price))}
    positions |= {position.instrument.id: position for position in others}
    quote = Mark(D(price), bid=D(price) - D(tick), ask=D(price) + D(tick))
    marks = dict.fromkeys(positions, quote)
    return Snapshot(
        0, 0.0, 0.0, holdings, positions, working, marks, {a: D(p) for a, p in (prices or {}).items()}, gaps
    )


def look(of: Hedge, seen: Snapshot, memory: HedgeMemory | None = None) -> tuple[Exposure, HedgeMemory]:
    exposure = assess(of, seen, {of.instrument.id})
    return exposure, recall(exposure, memory or HedgeMemory())


def approve(
    exposure: Exposure, memory: HedgeMemory | None = None, *, max_order: str = "250000000", max_short: str | None = None
) -> ApprovedPlan | RefusedPlan:
    """Decide, plan and review; the decision has to be a rebalance."""
    decision = decide(exposure, recall(exposure, memory or HedgeMemory()))
    assert isinstance(decision, Rebalance), decision
    limits = Limits(Quote(D(max_order)), None if max_short is None else Quote(D(max_short)))
    return review(plan(exposure, decision, limits.max_order_notional, EPOCH), exposure, limits, Book())
