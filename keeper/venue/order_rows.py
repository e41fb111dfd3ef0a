"""Orders and executions of ours out of the client's rows, each field checked; what makes no sense is an error."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from keeper.core.model import ZERO, Contracts, InstrumentId, Side, WorkingOrder
from keeper.venue.base import BadReadingError, Fill, OrderReport, OrderState
from keeper.venue.figures import Row, decimal_of
from keeper.venue.parsing import positive
from keeper.venue.recipes import Capability


def _side(order: Row, what: str) -> Side:
    try:
        return Side(str(order.get("side")))
    except ValueError:
        raise BadReadingError(f"{what} side is {order.get('side')!r}") from None


def client_id_of(order: Row, capability: Capability) -> str | None:
    """The client id of an order or trade, decoded, wherever the venue or the client put it."""
    info = order.get("info")
    for name in capability.client_id_fields:
        for source in (order, info):
            if isinstance(source, Mapping) and isinstance(source.get(name), str) and source[name]:
                return capability.decode(source[name])
    return None


def is_reduce_only(order: Row) -> bool:
    """Whether an order only reduces, as the client or the raw row says; not said is no."""
    info = order.get("info")
    sources = [order, info] if isinstance(info, Mapping) else [order]
    for source in sources:
        for name in ("reduceOnly", "reduce_only", "is_reduce_only", "onlyReduce"):
            value = source.get(name)
            if isinstance(value, bool):
                return value
            if isinstance(value, str) and value.lower() in ("true", "false"):
                return value.lower() == "true"
    return False


def working_order(order: Row, instrument: InstrumentId, unit: Decimal, capability: Capability) -> WorkingOrder:
    """A resting order from the client's order dict."""
    what = f"order {order.get('id')}"
    if not order.get("id"):
        raise BadReadingError(f"{instrument}: an open order has no id")
    amount = decimal_of(order.get("amount"), f"{what} amount")
    filled = decimal_of(order.get("filled"), f"{what} filled") if order.get("filled") is not None else ZERO
    if amount < 0 or filled < 0:
        raise BadReadingError(f"{what}: amount {amount}, filled {filled}")
    return WorkingOrder(
        instrument=instrument,
        venue_order_id=str(order["id"]),
        client_id=client_id_of(order, capability),
        side=_side(order, what),
        contracts=Contracts(amount / unit),
        filled=Contracts(filled / unit),
        reduce_only=is_reduce_only(order),
    )


CLOSED = frozenset({"closed", "canceled", "cancelled", "expired", "rejected", "failed", "filled"})
FULL = frozenset({"closed", "filled"})
"""What the client calls an order that has filled; where a part was taken back, some venues have no other word."""


class UnfilledError(BadReadingError):
    """An order that is called filled, and nothing of it is."""


def order_report(order: Row, client_id: str, unit: Decimal) -> OrderReport:
    """Where an order stands; raises when status, amount or fill is not said, or they contradict each other."""
    what = f"order {order.get('id')}"
    amount = decimal_of(order.get("amount"), f"{what} amount")
    filled = decimal_of(order.get("filled"), f"{what} filled")
    status = str(order.get("status"))
    if not 0 <= filled <= amount or amount == 0:
        raise BadReadingError(f"{what}: {filled} filled of {amount}")
    if status in FULL and filled == 0:
        raise UnfilledError(f"{what} is {status}, and 0 filled of {amount}")
    if status in CLOSED:
        state = OrderState.FILLED if filled == amount else OrderState.PARTIAL if filled else OrderState.NONE
    elif status == "open":
        state = OrderState.FILLED if filled == amount and amount > 0 else OrderState.OPEN
    else:
        raise BadReadingError(f"{what} status is {order.get('status')!r}")
    average = order.get("average")
    price = decimal_of(average, f"{what} average") if average not in (None, "") else None
    return OrderReport(
        client_id=client_id,
        venue_order_id=str(order["id"]) if order.get("id") else None,
        state=state,
        contracts=Contracts(amount / unit),
        filled=Contracts(filled / unit),
        average_price=price or None,
        text=status,
    )


def fill_of(trade: Row, instrument: InstrumentId, unit: Decimal, capability: Capability) -> Fill:
    """One execution from the client's trade dict."""
    what = f"fill {trade.get('id')}"
    if not trade.get("id"):
        raise BadReadingError(f"{instrument}: a fill has no id")
    fee = trade.get("fee")
    cost = fee.get("cost") if isinstance(fee, Mapping) else None
    currency = fee.get("currency") if isinstance(fee, Mapping) else None
    return Fill(
        trade_id=str(trade["id"]),
        venue_order_id=str(trade["order"]) if trade.get("order") else None,
        client_id=client_id_of(trade, capability),
        instrument=instrument,
        side=_side(trade, what),
        contracts=Contracts(positive(trade, "amount", what) / unit),
        price=positive(trade, "price", what),
        fee=decimal_of(cost, f"{what} fee") if cost is not None else None,
        fee_asset=str(currency) if currency else None,
        at_ms=int(decimal_of(trade.get("timestamp"), f"{what} timestamp")),
    )
