"""Is a request well formed for its market? Checked before anybody's money is looked at."""

from __future__ import annotations

import re
from decimal import Decimal

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.margin import quote_value
from keeper.sim.types import (
    Market,
    MarketKind,
    MarketStatus,
    Order,
    OrderRequest,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)

_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")


def check_request(market: Market, request: OrderRequest, reference: Decimal, dual_side: bool) -> None:
    """Raise SimError for the first rule that the request breaks. ``reference``: mark (contracts) or mid (spot)."""
    if market.status is not MarketStatus.TRADING:
        raise SimError(ErrorKind.MARKET_CLOSED, f"{market.symbol} is {market.status.value}")
    if request.client_order_id is not None and not _CLIENT_ID.fullmatch(request.client_order_id):
        raise SimError(ErrorKind.BAD_CLIENT_ID, f"client order id {request.client_order_id!r} has a bad shape")
    _check_sides(market, request, dual_side)
    _check_shape(market, request)
    if request.price is not None:
        _check_price(market, request, request.price, reference)
    if request.quantity is not None:
        _check_quantity(market, request, request.quantity)
    _check_notional(market, request, reference)


def is_closing(request: OrderRequest | Order) -> bool:
    """Whether the request can only reduce: reduce-only, or against its side in hedge mode."""
    return request.reduce_only or (request.position_side, request.side) in (
        (PositionSide.LONG, Side.SELL),
        (PositionSide.SHORT, Side.BUY),
    )


def _check_sides(market: Market, request: OrderRequest, dual_side: bool) -> None:
    if market.kind is MarketKind.SPOT:
        if request.reduce_only or request.position_side is not PositionSide.BOTH:
            raise SimError(ErrorKind.PARAMETER_NOT_REQUIRED, "reduceOnly and positionSide do not belong to spot")
        return
    if dual_side != (request.position_side is not PositionSide.BOTH):
        mode = "hedge" if dual_side else "one-way"
        raise SimError(
            ErrorKind.POSITION_SIDE_MISMATCH,
            f"position side {request.position_side.value} does not match the account's {mode} mode",
        )
    if dual_side and request.reduce_only:
        raise SimError(ErrorKind.PARAMETER_NOT_REQUIRED, "reduceOnly is not sent in hedge mode")


def _check_shape(market: Market, request: OrderRequest) -> None:
    if request.type is OrderType.LIMIT and request.price is None:
        raise SimError(ErrorKind.BAD_PARAMETER, "a limit order needs a price")
    if request.type is OrderType.MARKET and request.price is not None:
        raise SimError(ErrorKind.PARAMETER_NOT_REQUIRED, "a market order has no price")
    if request.type is OrderType.MARKET and request.time_in_force is not TimeInForce.GTC:
        raise SimError(ErrorKind.PARAMETER_NOT_REQUIRED, "a market order has no time in force")
    if (request.quantity is None) == (request.quote_quantity is None):
        raise SimError(ErrorKind.BAD_PARAMETER, "exactly one of quantity and quote quantity is needed")
    by_quote = request.quote_quantity is not None
    if by_quote and not (market.kind is MarketKind.SPOT and request.type is OrderType.MARKET):
        raise SimError(ErrorKind.BAD_PARAMETER, "only a spot market order takes a quote quantity")
    for amount in (request.quantity, request.quote_quantity):
        if amount is not None and not (amount.is_finite() and amount > 0):
            raise SimError(
                ErrorKind.BELOW_MIN_QTY, f"quantity {amount} is not above zero", limit=market.filters.min_qty
            )


def _check_price(market: Market, request: OrderRequest, price: Decimal, reference: Decimal) -> None:
    rules = market.filters
    if not price.is_finite() or price <= 0 or not rules.min_price <= price <= rules.max_price:
        raise SimError(ErrorKind.BAD_PRICE, f"price {price} is not within {rules.min_price} … {rules.max_price}")
    if price % rules.tick != 0:
        raise SimError(ErrorKind.BAD_TICK, f"price {price} is not on the tick {rules.tick}", limit=rules.tick)
    up, down = reference * rules.band_up, reference * rules.band_down
    both = market.kind is MarketKind.SPOT
    if price > up and (both or request.side is Side.BUY):
        raise SimError(ErrorKind.PRICE_ABOVE_BAND, f"price {price} is above the band's {up}", limit=up)
    if price < down and (both or request.side is Side.SELL):
        raise SimError(ErrorKind.PRICE_BELOW_BAND, f"price {price} is below the band's {down}", limit=down)


def _check_quantity(market: Market, request: OrderRequest, quantity: Decimal) -> None:
    rules = market.filters
    at_market = request.type is OrderType.MARKET
    least = max(rules.min_qty, rules.market_min_qty) if at_market else rules.min_qty
    most = min(rules.max_qty, rules.market_max_qty) if at_market else rules.max_qty
    if quantity < least:
        raise SimError(ErrorKind.BELOW_MIN_QTY, f"quantity {quantity} is below {least}", limit=least)
    if quantity > most:
        raise SimError(ErrorKind.ABOVE_MAX_QTY, f"quantity {quantity} is above {most}", limit=most)
    for step in (rules.step, rules.market_step) if at_market else (rules.step,):
        if step > 0 and quantity % step != 0:
            raise SimError(ErrorKind.BAD_STEP, f"quantity {quantity} is not a multiple of {step}", limit=step)


def _check_notional(market: Market, request: OrderRequest, reference: Decimal) -> None:
    least = market.filters.min_notional
    if market.kind is not MarketKind.SPOT and is_closing(request):
        return  # else what is left of a small position could never be closed
    if request.quantity is None:
        notional = request.quote_quantity or Decimal(0)
    else:
        notional = quote_value(market, request.quantity, request.price or reference)
    if notional < least:
        raise SimError(ErrorKind.BELOW_MIN_NOTIONAL, f"notional {notional} is below {least}", limit=least)
