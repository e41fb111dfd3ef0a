"""What orders have cost: slippage against the mid at their decision, and fees as the venue charged them.

Slippage is a fraction of the arrival mid, positive where it cost: ``(mid - average) / mid`` for a sell, the reverse for
a buy. Fees are amounts by the asset that they were paid in, and are never converted. What is not known is None, or said
to be incomplete; it is never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from keeper.core.depth import slippage_of
from keeper.core.model import Intent, OutcomeState
from keeper.venue.base import Fill

_ENDED = (OutcomeState.FILLED, OutcomeState.PARTIAL)


@dataclass(frozen=True, slots=True)
class OrderCost:
    """One order after the trade.

    ``seconds`` is from the writing of its intent until its end was known; None while it has none, or nothing was
    filled. ``fees_complete`` is false where an execution's fee is not known, or not every execution is on record.
    """

    style: str
    arrival_mid: Decimal | None
    expected_slippage: Decimal | None
    average_price: Decimal | None
    slippage: Decimal | None
    fees: Mapping[str, Decimal]
    fees_complete: bool
    seconds: Decimal | None


@dataclass(frozen=True, slots=True)
class HedgeCosts:
    """All orders of one hedge that filled something.

    ``mean_slippage`` is weighted by filled notional, over the ``measured`` orders whose average price and arrival mid
    are known; None where there is none. ``filled_notional`` is quote money, over all of them.
    """

    hedge: str
    orders: int
    measured: int
    filled_notional: Decimal
    mean_slippage: Decimal | None
    fees: Mapping[str, Decimal]
    fees_complete: bool


def order_cost(intent: Intent, updated_at_ms: int, fills: Sequence[Fill]) -> OrderCost:
    """What one order cost; ``fills`` are the executions on record of it."""
    order, outcome = intent.order, intent.outcome
    slippage = None
    if outcome.average_price is not None and order.arrival_mid is not None:
        slippage = slippage_of(order.side, outcome.average_price, order.arrival_mid)
    fees, complete = _fees(fills)
    recorded = sum((fill.contracts for fill in fills), Decimal(0))
    ended = outcome.state in _ENDED
    return OrderCost(
        order.style.value,
        order.arrival_mid,
        order.expected_slippage,
        outcome.average_price,
        slippage,
        fees,
        complete and recorded == outcome.filled,
        Decimal(updated_at_ms - intent.created_at_ms) / 1000 if ended else None,
    )


def costs_by_hedge(orders: Iterable[tuple[Intent, int, Sequence[Fill]]]) -> tuple[HedgeCosts, ...]:
    """Sums over orders, each with the time of its last news and its executions; in the order in which hedges appear."""
    found: dict[str, list[tuple[Decimal, OrderCost]]] = {}
    for intent, updated_at_ms, fills in orders:
        order = intent.order
        notional = order.notional * intent.outcome.filled / order.contracts
        found.setdefault(order.hedge, []).append((notional, order_cost(intent, updated_at_ms, fills)))
    return tuple(_sum(hedge, costs) for hedge, costs in found.items())


def _sum(hedge: str, costs: Sequence[tuple[Decimal, OrderCost]]) -> HedgeCosts:
    measured = [(notional, cost.slippage) for notional, cost in costs if cost.slippage is not None]
    weight = sum((notional for notional, _ in measured), Decimal(0))
    lost = sum((notional * slippage for notional, slippage in measured), Decimal(0))
    fees: dict[str, Decimal] = {}
    for _, cost in costs:
        for asset, amount in cost.fees.items():
            fees[asset] = fees.get(asset, Decimal(0)) + amount
    return HedgeCosts(
        hedge,
        len(costs),
        len(measured),
        sum((notional for notional, _ in costs), Decimal(0)),
        lost / weight if weight else None,
        fees,
        all(cost.fees_complete for _, cost in costs),
    )


def _fees(fills: Iterable[Fill]) -> tuple[dict[str, Decimal], bool]:
    fees: dict[str, Decimal] = {}
    complete = True
    for fill in fills:
        if fill.fee is None or fill.fee_asset is None:
            complete = False
        else:
            fees[fill.fee_asset] = fees.get(fill.fee_asset, Decimal(0)) + fill.fee
    return fees, complete
