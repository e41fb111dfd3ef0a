"""The simulated exchange's nouns in the core's words, and back: instruments, orders, fills, wallets, margin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from keeper.core.model import (
    Base,
    Contracts,
    Instrument,
    InstrumentId,
    Kind,
    PlannedOrder,
    Position,
    Quote,
    WorkingOrder,
)
from keeper.core.model import Side as CoreSide
from keeper.sim.calendar import symbol_of
from keeper.sim.types import Fill as SimFill
from keeper.sim.types import (
    FuturesBalance,
    MarginMode,
    Market,
    MarketKey,
    MarketKind,
    Order,
    OrderRequest,
    OrderType,
    Side,
    SpotBalance,
    TimeInForce,
    WalletKind,
)
from keeper.sim.types import Position as SimPosition
from keeper.venue.base import Fill, OrderReport, OrderState
from keeper.venue.further import PositionMargin

WALLETS = {
    "": WalletKind.SPOT,
    "linear": WalletKind.USDM,
    "inverse": WalletKind.COINM,
    "funding": WalletKind.FUNDING,
    "earn": WalletKind.EARN,
}
"""Wallets by the names that an :class:`~keeper.core.model.AccountId` gives them."""
PRODUCTS = {"linear": MarketKind.LINEAR, "inverse": MarketKind.INVERSE}
"""The wallets that margin futures."""
_IN_FORCE = {"IOC": TimeInForce.IOC, "PO": TimeInForce.GTX}


def instrument_of(venue: str, market: Market) -> Instrument:
    """A simulated contract as the core sees it."""
    filters = market.filters
    return Instrument(
        InstrumentId(venue, symbol_of(market)),
        market.base,
        market.quote,
        market.settle,
        Kind.LINEAR if market.kind is MarketKind.LINEAR else Kind.INVERSE,
        market.contract_size,
        Contracts(filters.step),
        filters.tick,
        Contracts(filters.min_qty),
        Contracts(filters.max_qty),
        Quote(filters.min_notional),
        min_notional_on_covers=False,
        expires_at_ms=market.expiry_ms,
    )


def request_of(key: MarketKey, order: PlannedOrder) -> OrderRequest:
    """A planned order as the exchange is asked for it; an order's unit is one contract here."""
    return OrderRequest(
        market=key,
        side=Side.SELL if order.side is CoreSide.SELL else Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(order.contracts),
        price=order.price,
        time_in_force=_IN_FORCE[order.time_in_force],
        reduce_only=order.reduce_only,
        client_order_id=order.client_id,
    )


def report_of(order: Order) -> OrderReport:
    """An order as it stands."""
    if order.is_open:
        state = OrderState.OPEN
    elif order.executed_quantity == 0:
        state = OrderState.NONE
    elif order.executed_quantity >= order.quantity:
        state = OrderState.FILLED
    else:
        state = OrderState.PARTIAL
    return OrderReport(
        order.client_order_id,
        str(order.order_id),
        state,
        Contracts(order.quantity),
        Contracts(order.executed_quantity),
        order.average_price or None,
        order.status.value,
    )


def working_of(ident: InstrumentId, order: Order) -> WorkingOrder:
    """An order that rests."""
    return WorkingOrder(
        ident,
        str(order.order_id),
        order.client_order_id,
        _side(order.side),
        Contracts(order.quantity),
        Contracts(order.executed_quantity),
        order.reduce_only,
    )


def fill_of(ident: InstrumentId, fill: SimFill) -> Fill:
    """One execution."""
    return Fill(
        str(fill.trade_id),
        str(fill.order_id),
        fill.client_order_id,
        ident,
        _side(fill.side),
        Contracts(fill.quantity),
        fill.price,
        fill.commission,
        fill.commission_asset,
        fill.time_ms,
    )


def position_of(instrument: Instrument, rows: Sequence[SimPosition]) -> Position:
    """One position from the rows of both sides."""
    quantity = sum((row.quantity for row in rows), Decimal(0))
    held = [row for row in rows if row.quantity]
    alone = held[0] if len(held) == 1 else None
    return Position(
        instrument,
        Contracts(quantity),
        None if alone is None else alone.entry_price,
        None if alone is None else alone.liquidation_price,
    )


def margin_of(ident: InstrumentId, row: SimPosition) -> PositionMargin:
    """What one position needs."""
    isolated = row.margin_mode is MarginMode.ISOLATED
    return PositionMargin(ident, row.maintenance_margin, row.liquidation_price, isolated)


def totals_of(rows: Iterable[SpotBalance | FuturesBalance]) -> dict[str, Base]:
    """A wallet's coins, unrealised profit apart."""
    return {row.asset: Base(row.total if isinstance(row, SpotBalance) else row.wallet_balance) for row in rows}


def _side(side: Side) -> CoreSide:
    return CoreSide.SELL if side is Side.SELL else CoreSide.BUY
