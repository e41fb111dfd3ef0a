"""The few things that every story about the journal needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

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
    Intent,
    Kind,
    Mark,
    OrderPlan,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Position,
    Quote,
    Reason,
    Rebalance,
    Side,
    Snapshot,
)
from keeper.core.targets import Target
from keeper.journal.base import Remembered
from keeper.journal.sql import SqlJournal
from keeper.venue.base import Fill

START_MS = 1_763_640_000_000
BTC = InstrumentId("main", "BTC/USDT:USDT")
MAIN = AccountId("main")
NOTHING = Remembered({}, {}, None)


def url_of(directory: Path) -> str:
    return f"sqlite:///{directory / 'keeper.db'}"


async def opened(directory: Path, full_every: int = 120) -> SqlJournal:
    """A journal with its first run begun."""
    journal = await SqlJournal.open(url_of(directory), full_every=full_every, new_tag=lambda: "c0ffee")
    await journal.start_run("testnet", "digest", START_MS)
    return journal


def intent(leg: int = 1, state: OutcomeState = OutcomeState.UNKNOWN, at_ms: int = START_MS) -> Intent:
    order = PlannedOrder(
        client_id=f"c0ffee{leg:022x}",
        hedge="btc",
        instrument=BTC,
        side=Side.SELL,
        contracts=Contracts(Decimal("3.000")),
        amount_base=Base(Decimal("3.000")),
        notional=Quote(Decimal("195000.10")),
        price=Decimal("64935.0"),
        reduce_only=False,
        arrival_mid=Decimal(65000),
        expected_slippage=Decimal("0.0008"),
    )
    outcome = Outcome(order.client_id, state)
    return Intent(order, Contracts(Decimal("-1E-8")), run=1, cycle=leg, created_at_ms=at_ms, outcome=outcome)


def fill(trade_id: str, contracts: str = "1.5", venue: str = "main", symbol: str = BTC.symbol) -> Fill:
    return Fill(
        trade_id=trade_id,
        venue_order_id="v-1",
        client_id=intent().client_id,
        instrument=InstrumentId(venue, symbol),
        side=Side.SELL,
        contracts=Contracts(Decimal(contracts)),
        price=Decimal("64935.5"),
        fee=Decimal("-0.01"),
        fee_asset="USDT",
        at_ms=START_MS,
    )


def hedge(name: str = "btc") -> Hedge:
    instrument = Instrument(
        id=BTC,
        base="BTC",
        quote="USDT",
        settle="USDT",
        kind=Kind.LINEAR,
        contract_size=Decimal(1),
        step_contracts=Contracts(Decimal("0.001")),
        tick=Decimal("0.1"),
    )
    band = Band(Decimal("0.02"), Decimal("0.05"), Decimal("0.5"))
    return Hedge(name, ("BTC",), (MAIN,), {}, instrument, Target.ratio(Decimal("0.6")), band)


HOLD = Hold((Reason("within_band", "drift 0.01 is within act 0.05"),))
SELL = Rebalance(Base(Decimal(3)), (Reason("drift_above_act", "drift 0.60 is above act 0.05"),))


def cycle(
    number: int, decision: Decision = HOLD, drift: str = "0.01", memory: HedgeMemory | None = None, run: int = 1
) -> CycleRecord:
    """One cycle of one hedge, five seconds after the one before."""
    at_ms = START_MS + number * 5_000
    mark = Mark(Decimal(65000), at_ms=at_ms)
    position = Position(hedge().instrument, Contracts(Decimal("-3.0")))
    exposure = Exposure(
        hedge(),
        spot_base=Base(Decimal(5)),
        futures_base=Base(Decimal("-3.0")),
        hedge_ratio=Decimal("0.6"),
        target_ratio=Decimal("0.6"),
        drift_ratio=Decimal(drift),
        mark=mark,
        position=position,
    )
    plan = OrderPlan("btc", (intent().order,), Base(Decimal("0.0004"))) if isinstance(decision, Rebalance) else None
    snapshot = Snapshot(
        at_ms,
        1.0,
        2.0,
        holdings={(MAIN, "BTC"): Base(Decimal(5))},
        positions={BTC: position},
        marks={BTC: mark},
    )
    done = HedgeCycle(exposure, decision, plan, (), (), memory or HedgeMemory(target_ratio=Decimal("0.6")))
    return CycleRecord(run, number, snapshot, (done,), at_ms + 40)


def with_memory(record: CycleRecord, **changes: object) -> CycleRecord:
    """The same cycle, after which the hedge remembers something else."""
    one = record.hedges[0]
    memory = dataclasses.replace(one.memory, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(record, hedges=(dataclasses.replace(one, memory=memory),))


def readings(holdings: Mapping[str, str], positions: Mapping[InstrumentId, str], at_ms: int | None) -> Remembered:
    return Remembered(
        {(MAIN, asset): Base(Decimal(amount)) for asset, amount in holdings.items()},
        {instrument: Contracts(Decimal(contracts)) for instrument, contracts in positions.items()},
        at_ms,
    )
