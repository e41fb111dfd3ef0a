"""What the exchange's own refusals are called on each product's wire."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.types import MarketKind
from keeper.sim.wire import errors
from keeper.sim.wire.errors import WireError

_BY_CODE = {
    ErrorKind.MARKET_CLOSED: -4140,
    ErrorKind.BELOW_MIN_QTY: -4003,
    ErrorKind.ABOVE_MAX_QTY: -4005,
    ErrorKind.BAD_TICK: -4014,
    ErrorKind.BAD_PRICE: -4001,
    ErrorKind.PRICE_ABOVE_BAND: -4016,
    ErrorKind.PRICE_BELOW_BAND: -4024,
    ErrorKind.TOO_MANY_ORDERS: -2025,
    ErrorKind.INSUFFICIENT_BALANCE: -4051,
    ErrorKind.INSUFFICIENT_MARGIN: -2019,
    ErrorKind.REDUCE_ONLY_REJECTED: -2022,
    ErrorKind.DUPLICATE_CLIENT_ID: -4116,
    ErrorKind.BAD_CLIENT_ID: -4015,
    ErrorKind.POST_ONLY_WOULD_TAKE: -5022,
    ErrorKind.FOK_WOULD_NOT_FILL: -5021,
    ErrorKind.POSITION_MODE_UNCHANGED: -4059,
    ErrorKind.POSITION_MODE_HAS_ORDERS: -4067,
    ErrorKind.POSITION_MODE_HAS_POSITION: -4068,
    ErrorKind.POSITION_SIDE_MISMATCH: -4061,
    ErrorKind.MARGIN_MODE_UNCHANGED: -4046,
    ErrorKind.MARGIN_MODE_HAS_ORDERS: -4047,
    ErrorKind.MARGIN_MODE_HAS_POSITION: -4048,
    ErrorKind.BAD_LEVERAGE: -4028,
    ErrorKind.LEVERAGE_REDUCTION_REFUSED: -4161,
}

_COMMON: dict[ErrorKind, Callable[[SimError], WireError]] = {
    ErrorKind.UNKNOWN_ACCOUNT: lambda _: errors.rejected_key(),
    ErrorKind.PERMISSION_DENIED: lambda _: errors.rejected_key(),
    ErrorKind.UNKNOWN_SYMBOL: lambda _: errors.unknown_symbol(),
    ErrorKind.UNKNOWN_ORDER: lambda _: errors.no_such_order(),
    ErrorKind.CANCEL_REJECTED: lambda _: errors.nothing_to_cancel(),
    ErrorKind.BAD_PARAMETER: lambda refusal: WireError(-1130, refusal.message),
    ErrorKind.PARAMETER_NOT_REQUIRED: lambda refusal: WireError(-1106, refusal.message),
}

_SPOT: dict[ErrorKind, Callable[[SimError], WireError]] = {
    ErrorKind.MARKET_CLOSED: lambda _: WireError(-1013, "Market is closed."),
    ErrorKind.BAD_STEP: lambda _: errors.filter_failure("LOT_SIZE"),
    ErrorKind.BELOW_MIN_QTY: lambda _: errors.filter_failure("LOT_SIZE"),
    ErrorKind.ABOVE_MAX_QTY: lambda _: errors.filter_failure("LOT_SIZE"),
    ErrorKind.BAD_TICK: lambda _: errors.filter_failure("PRICE_FILTER"),
    ErrorKind.BAD_PRICE: lambda _: errors.filter_failure("PRICE_FILTER"),
    ErrorKind.PRICE_ABOVE_BAND: lambda _: errors.filter_failure("PERCENT_PRICE_BY_SIDE"),
    ErrorKind.PRICE_BELOW_BAND: lambda _: errors.filter_failure("PERCENT_PRICE_BY_SIDE"),
    ErrorKind.BELOW_MIN_NOTIONAL: lambda _: errors.filter_failure("NOTIONAL"),
    ErrorKind.TOO_MANY_ORDERS: lambda _: errors.filter_failure("MAX_NUM_ORDERS"),
    ErrorKind.INSUFFICIENT_BALANCE: lambda _: errors.spot_rejected(
        "Account has insufficient balance for requested action."
    ),
    ErrorKind.DUPLICATE_CLIENT_ID: lambda _: errors.spot_rejected("Duplicate order sent."),
    ErrorKind.BAD_CLIENT_ID: lambda _: errors.illegal("newClientOrderId", "^[a-zA-Z0-9-_]{1,36}$"),
    ErrorKind.POST_ONLY_WOULD_TAKE: lambda _: errors.spot_rejected("Order would immediately match and take."),
}

_FUTURES: dict[ErrorKind, Callable[[SimError], WireError]] = {
    ErrorKind.BAD_STEP: lambda _: errors.too_precise(),
    ErrorKind.PARAMETER_NOT_REQUIRED: lambda _: errors.not_required("reduceonly"),
    ErrorKind.BELOW_MIN_NOTIONAL: lambda refusal: errors.below_notional(refusal.limit or Decimal(5)),
}


def refused(refusal: SimError, product: MarketKind) -> WireError:
    """Binance's refusal for the exchange's, in the words of ``product``."""
    table = _SPOT if product is MarketKind.SPOT else _FUTURES
    spelled = table.get(refusal.kind) or _COMMON.get(refusal.kind)
    if spelled is not None:
        return spelled(refusal)
    code = _BY_CODE.get(refusal.kind)
    if code is not None and product is not MarketKind.SPOT:
        return errors.futures(code)
    return WireError(-1000, refusal.message)
