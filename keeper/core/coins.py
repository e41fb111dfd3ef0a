"""The coin profit of a coin-margined hedge since its target was set, from positions and our own fills alone.

With n contracts of ``size`` quote money, a price move from P to P' earns n·size·(1/P - 1/P') coins, and a fill of dn at
the price p adds dn·size·(1/p - 1/P'). Summed up from the moment at which the target was set, at the delta D₀:

    G = K - D,  K = D₀ + Σ dnᵢ·size/pᵢ

K is what the position stood for when the target was set, and every fill since at its own price; D is what it stands for
now. So the target T = -(q + G) leaves the drift D - T = q + K: price moves alone change nothing, and neither does
realising profit, which takes as much from K as it gives. Funding and fees are apart: they move the wallet, not G.

A change that no fill of ours explains is counted at the mark of the look that saw it, and so is a fill whose price the
venue did not tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from keeper.core.courses import CoinLedger
from keeper.core.model import (
    ONE,
    ZERO,
    Contracts,
    ExposureMode,
    Hedge,
    HedgeMemory,
    Instrument,
    InstrumentId,
    Kind,
    Mark,
    Outcome,
    PlannedOrder,
    Position,
)
from keeper.core.targets import Target, TargetKind

SAME_COINS = Decimal("0.00001")
"""A share by which two readings of the same coins may differ: where a wallet is worked out from an equity and an open
profit it moves a little with every mark."""
PLAUSIBLE = Decimal("0.05")
"""An average price that is further from the order's own price than this is none."""


def same_coins(one: Decimal, other: Decimal) -> bool:
    """Whether two readings of a wallet are of the same coins."""
    return abs(one - other) <= SAME_COINS * max(abs(one), abs(other))


def have_come(before: Decimal, now: Decimal) -> bool:
    """Whether a later reading shows more coins."""
    return now > before and not same_coins(now, before)


def needs_ledger(hedge: Hedge) -> bool:
    """Whether the hedge protects a number of coins with contracts that earn and lose coins, and counts those."""
    return (
        hedge.target.kind is TargetKind.QUANTITY
        and hedge.exposure is ExposureMode.EQUITY
        and any(earns_coins(hedge, instrument) for instrument in hedge.instruments)
    )


def earns_coins(hedge: Hedge, instrument: Instrument) -> bool:
    """Whether the contract's profit is paid in a coin that the hedge protects."""
    return instrument.kind is Kind.INVERSE and instrument.settle in hedge.assets


def followed(
    hedge: Hedge,
    ledger: CoinLedger | None,
    positions: Iterable[Position],
    marks: Mapping[InstrumentId, Mark],
    waiting: Collection[InstrumentId],
) -> CoinLedger | None:
    """The ledger as of this look; None where the hedge needs none, or where it cannot begin yet.

    ``waiting`` are contracts on which a fill of ours is not settled yet: what their positions show is not booked.
    """
    if not needs_ledger(hedge):
        return None
    delta = ZERO
    sold: Decimal | None = None if ledger is None else ledger.sold_base
    contracts: dict[str, Decimal] = {} if ledger is None else dict(ledger.contracts)
    for position in positions:
        instrument = position.instrument
        if not earns_coins(hedge, instrument):
            continue
        mark = marks.get(instrument.id)
        if mark is None:
            return ledger
        delta += instrument.delta(position.contracts, mark.mark)
        name = str(instrument.id)
        extra = Contracts(position.contracts - contracts.get(name, ZERO))
        if sold is None:
            contracts[name] = position.contracts
        elif extra != 0 and instrument.id not in waiting:
            sold += instrument.delta(extra, mark.mark)
            contracts[name] = position.contracts
    sold = delta if sold is None else sold
    return CoinLedger(sold, {name: held for name, held in contracts.items() if held != 0}, sold - delta)


def booked(
    ledger: CoinLedger | None, instrument: Instrument, after: Contracts, limit: Decimal, average: Decimal | None
) -> CoinLedger | None:
    """The ledger after fills of ours that leave the position at ``after`` contracts, filled at ``average``.

    Booked once: what the ledger holds already is not booked again. ``limit`` is the price of the order.
    """
    if average is None or average <= 0 or abs(average / limit - ONE) > PLAUSIBLE:
        return ledger  # the next look counts it at its mark
    if ledger is None:
        return CoinLedger(instrument.delta(after, average), {str(instrument.id): after})
    extra = Contracts(after - ledger.contracts.get(str(instrument.id), ZERO))
    sold = ledger.sold_base + instrument.delta(extra, average)
    return replace(ledger, sold_base=sold, contracts={**ledger.contracts, str(instrument.id): after})


def with_fill(memory: HedgeMemory, hedges: Iterable[Hedge], order: PlannedOrder, outcome: Outcome) -> HedgeMemory:
    """Memory after an order of ours, from which the position that is expected has been worked out already.

    Where nothing was kept of the look that the order stands on, the coins count from this fill.
    """
    after = memory.expected.get(order.instrument)
    found = ((each, instrument) for each in hedges for instrument in each.instruments)
    hedge, instrument = next((pair for pair in found if pair[1].id == order.instrument), (None, None))
    if outcome.filled == 0 or after is None or hedge is None or instrument is None:
        return memory
    if not earns_coins(hedge, instrument):
        return memory
    return replace(memory, coins=booked(memory.coins, instrument, after, order.price, outcome.average_price))


def begun_anew(memory: HedgeMemory, target: Target) -> tuple[Target, CoinLedger | None]:
    """The same coins as a target that was set just now, with no profit behind it yet."""
    ledger = memory.coins
    if ledger is None or target.kind is not TargetKind.QUANTITY:
        return target, ledger
    value = max(ZERO, target.value + ledger.gain_base)
    fresh = replace(ledger, sold_base=ledger.sold_base - ledger.gain_base, gain_base=ZERO)
    return Target(TargetKind.QUANTITY, value), fresh
