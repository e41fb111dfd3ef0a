"""What the venue checks before it accepts an order, with its own codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from tests.support.bybit_v5.instruments import Instrument
from tests.support.bybit_v5.market import Market
from tests.support.bybit_v5.wire import ZERO, Json, Refusal, flag, number, text, word

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
TIMES_IN_FORCE = frozenset({"GTC", "IOC", "FOK", "PostOnly"})


@dataclass(frozen=True, slots=True)
class Ask:
    """An order request whose form is right."""

    instrument: Instrument
    side: str
    order_type: str
    qty: Decimal
    price: Decimal
    time_in_force: str
    reduce_only: bool
    position_index: int
    link_id: str
    market_unit: str
    borrowing: bool


def parse_order(params: Json, market: Market, band: Decimal) -> Ask:
    """The request as an :class:`Ask`, or the refusal of the venue."""
    unit = market.instrument
    side, order_type = word(params, "side"), word(params, "orderType")
    if side not in {"Buy", "Sell"}:
        raise Refusal(10001 if unit.contract else 170117, "Side invalid")
    if order_type not in {"Market", "Limit"}:
        raise Refusal(10001 if unit.contract else 170116, "OrderType invalid")
    link_id = word(params, "orderLinkId")
    if link_id and not LINK_ID.fullmatch(link_id):
        raise Refusal(10001, "params error: OrderLinkId invalid")
    market_unit = _market_unit(params, unit, order_type, side)
    qty = number(params, "qty")
    if qty is None or qty <= 0:
        raise Refusal(10001 if unit.contract else 170130, "Qty invalid")
    price = _price(params, market, order_type, side, band)
    ask = Ask(
        instrument=unit,
        side=side,
        order_type=order_type,
        qty=qty,
        price=price,
        time_in_force=_time_in_force(params, unit, order_type),
        reduce_only=unit.contract and flag(params, "reduceOnly"),
        position_index=int(number(params, "positionIdx") or 0),
        link_id=link_id,
        market_unit=market_unit,
        borrowing=word(params, "isLeverage") == "1",
    )
    _check_size(ask)
    return ask


def check_notional(ask: Ask, qty: Decimal, price: Decimal) -> None:
    """The least worth of an order; an order that only reduces is free of it."""
    unit = ask.instrument
    if ask.reduce_only or unit.inverse:
        return
    worth = qty if ask.market_unit == "quoteCoin" else qty * price
    if worth < unit.min_notional:
        if unit.contract:
            raise Refusal(110094, f"Order does not meet minimum order value {text(unit.min_notional)}USDT")
        raise Refusal(170140, "Order value exceeded lower limit.")


def _market_unit(params: Json, unit: Instrument, order_type: str, side: str) -> str:
    if unit.contract or order_type != "Market":
        return ""
    return word(params, "marketUnit") or ("quoteCoin" if side == "Buy" else "baseCoin")


def _time_in_force(params: Json, unit: Instrument, order_type: str) -> str:
    if order_type == "Market":
        return "IOC"
    wanted = word(params, "timeInForce") or "GTC"
    if wanted not in TIMES_IN_FORCE:
        raise Refusal(10001 if unit.contract else 170115, "TimeInForce invalid")
    return wanted


def _price(params: Json, market: Market, order_type: str, side: str, band: Decimal) -> Decimal:
    """The limit price; a market order is turned into a limit at the edge of the band, as the venue does."""
    unit = market.instrument
    anchor = market.mark if unit.contract else market.last
    highest, lowest = anchor * (1 + band), anchor * (1 - band)
    if order_type == "Market":
        edge = highest if side == "Buy" else lowest
        return (edge / unit.tick).to_integral_value() * unit.tick
    price = number(params, "price")
    if price is None or price <= 0:
        raise Refusal(10001 if unit.contract else 170130, "Price invalid")
    if price % unit.tick:
        raise Refusal(10001 if unit.contract else 170134, "params error: price is not a multiple of tickSize")
    if side == "Buy" and price > highest:
        message = f"Buy order price cannot be higher than {text(highest)}."
        raise Refusal(110003 if unit.contract else 170193, message)
    if side == "Sell" and price < lowest:
        message = f"Sell order price cannot be lower than {text(lowest)}."
        raise Refusal(110003 if unit.contract else 170194, message)
    return price


def _check_size(ask: Ask) -> None:
    unit = ask.instrument
    if ask.market_unit == "quoteCoin":
        return
    most = unit.max_market_qty if ask.order_type == "Market" else unit.max_qty
    if ask.qty % unit.qty_step != ZERO:
        raise Refusal(10001 if unit.contract else 170137, "Qty invalid: not a multiple of the quantity step")
    if ask.qty < unit.min_qty:
        message = "The number of contracts exceeds minimum limit allowed"
        raise Refusal(10001 if unit.contract else 170136, message)
    if ask.qty > most:
        message = "The number of contracts exceeds maximum limit allowed: too large"
        raise Refusal(10001 if unit.contract else 170135, message)
