"""From the parameters of a new order to the exchange's request, with the complaints that come before matching."""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.types import Market, MarketKind, OrderRequest, OrderType, PositionSide, Side, TimeInForce
from keeper.sim.wire import errors
from keeper.sim.wire.request import Call
from keeper.sim.wire.text import decimals

ASSET_DECIMALS = 8
CONDITIONAL = {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}


def futures_order(call: Call, market: Market) -> OrderRequest:
    """``POST /order`` of either futures product."""
    kind = call.text("type")
    if kind in CONDITIONAL:
        raise errors.futures(-4120)
    if kind not in {"LIMIT", "MARKET"}:
        raise errors.invalid_order_type()
    for name in ("priceMatch", "closePosition"):
        if call.optional(name) not in (None, "NONE", "false", "FALSE"):
            raise errors.invalid_data(name)
    quantity = call.decimal("quantity")
    price: Decimal | None = None
    in_force = TimeInForce.GTC
    if kind == "LIMIT":
        in_force = _time_in_force(call)
        price = call.decimal("price")
        _check_precision(price, market.price_precision)
    else:
        for name in ("price", "timeInForce"):
            if call.optional(name) is not None:
                raise errors.not_required(name)
    _check_precision(quantity, market.quantity_precision)
    return OrderRequest(
        market=market.key,
        side=_side(call),
        type=OrderType(kind),
        quantity=quantity,
        price=price,
        time_in_force=in_force,
        position_side=position_side(call),
        reduce_only=call.flag("reduceOnly"),
        client_order_id=call.optional("newClientOrderId"),
    )


def spot_order(call: Call, market: Market) -> OrderRequest:
    """``POST /api/v3/order``."""
    kind = call.text("type")
    if kind not in {"LIMIT", "LIMIT_MAKER", "MARKET"}:
        raise errors.invalid_order_type()
    quantity = call.optional_decimal("quantity")
    quote_quantity = call.optional_decimal("quoteOrderQty")
    price: Decimal | None = None
    in_force = TimeInForce.GTC
    if kind == "MARKET":
        for name in ("price", "timeInForce"):
            if call.optional(name) is not None:
                raise errors.not_required(name)
        if quantity is None and quote_quantity is None:
            raise errors.missing("quantity")
        if quantity is not None and quote_quantity is not None:
            raise errors.WireError(-1128, "Combination of optional parameters invalid.")
    else:
        quantity = call.decimal("quantity")
        price = call.decimal("price")
        in_force = TimeInForce.GTX if kind == "LIMIT_MAKER" else _time_in_force(call)
        if quote_quantity is not None:
            raise errors.not_required("quoteOrderQty")
        if in_force is TimeInForce.GTX and kind == "LIMIT":
            raise errors.invalid_time_in_force()
    for name, value in (("quantity", quantity), ("quoteOrderQty", quote_quantity), ("price", price)):
        if value is not None:
            _check_precision(value, ASSET_DECIMALS, name)
    return OrderRequest(
        market=market.key,
        side=_side(call),
        type=OrderType.MARKET if kind == "MARKET" else OrderType.LIMIT,
        quantity=quantity,
        price=price,
        time_in_force=in_force,
        client_order_id=call.optional("newClientOrderId"),
        quote_quantity=quote_quantity,
    )


def position_side(call: Call) -> PositionSide:
    """``positionSide``, BOTH when it was not sent."""
    try:
        return PositionSide(call.optional("positionSide") or "BOTH")
    except ValueError:
        raise errors.invalid_data("positionSide") from None


def order_type(kind: MarketKind, type_: OrderType, in_force: TimeInForce) -> str:
    """The order type as the product spells it: spot has a type of its own for post-only."""
    if kind is MarketKind.SPOT and in_force is TimeInForce.GTX:
        return "LIMIT_MAKER"
    return type_.value


def time_in_force(kind: MarketKind, in_force: TimeInForce) -> str:
    """The time in force as the product spells it."""
    return "GTC" if kind is MarketKind.SPOT and in_force is TimeInForce.GTX else in_force.value


def _side(call: Call) -> Side:
    try:
        return Side(call.text("side"))
    except ValueError:
        raise errors.invalid_side() from None


def _time_in_force(call: Call) -> TimeInForce:
    try:
        return TimeInForce(call.text("timeInForce"))
    except ValueError:
        raise errors.invalid_time_in_force() from None


def _check_precision(value: Decimal, most: int, name: str = "") -> None:
    if decimals(value) > most:
        raise errors.too_precise(name)
