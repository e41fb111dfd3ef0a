"""Why the simulated exchange refuses something, as types; the wire turns each into its venue's own code."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum


class ErrorKind(Enum):
    """The reason of a refusal; the comment names Binance's code as spot / futures."""

    UNKNOWN_ACCOUNT = "unknown_account"  # -2015 / -2015
    PERMISSION_DENIED = "permission_denied"  # -2015 / -2015
    UNKNOWN_SYMBOL = "unknown_symbol"  # -1121 / -1121
    MARKET_CLOSED = "market_closed"  # -1013 "Market is closed." / -4140
    BAD_PARAMETER = "bad_parameter"  # -1102 or -1130
    PARAMETER_NOT_REQUIRED = "parameter_not_required"  # -1106: reduceOnly in hedge mode, price on a market order
    BAD_STEP = "bad_step"  # -1013 LOT_SIZE / -1111
    BELOW_MIN_QTY = "below_min_qty"  # -1013 LOT_SIZE / -4003
    ABOVE_MAX_QTY = "above_max_qty"  # -1013 LOT_SIZE or MARKET_LOT_SIZE / -4005
    BAD_TICK = "bad_tick"  # -1013 PRICE_FILTER / -4014
    BAD_PRICE = "bad_price"  # not positive, or beyond min/max price: -1013 PRICE_FILTER / -4001, -4002
    PRICE_ABOVE_BAND = "price_above_band"  # -1013 PERCENT_PRICE_BY_SIDE / -4016
    PRICE_BELOW_BAND = "price_below_band"  # -1013 PERCENT_PRICE_BY_SIDE / -4024
    BELOW_MIN_NOTIONAL = "below_min_notional"  # -1013 NOTIONAL / -4164
    TOO_MANY_ORDERS = "too_many_orders"  # -1013 MAX_NUM_ORDERS / -2025
    INSUFFICIENT_BALANCE = "insufficient_balance"  # -2010 / -5013 on transfers, -4051 on isolated margin
    TRANSFER_REFUSED = "transfer_refused"  # -5010, on transfers
    INSUFFICIENT_MARGIN = "insufficient_margin"  # - / -2019
    REDUCE_ONLY_REJECTED = "reduce_only_rejected"  # - / -2022
    DUPLICATE_CLIENT_ID = "duplicate_client_id"  # -2010 "Duplicate order sent." / -4116
    BAD_CLIENT_ID = "bad_client_id"  # -1100 / -4015
    UNKNOWN_ORDER = "unknown_order"  # on a query: -2013
    CANCEL_REJECTED = "cancel_rejected"  # on a cancel: -2011 "Unknown order sent."
    POST_ONLY_WOULD_TAKE = "post_only_would_take"  # -2010 / -5022
    FOK_WOULD_NOT_FILL = "fok_would_not_fill"  # (spot answers EXPIRED) / -5021
    POSITION_MODE_UNCHANGED = "position_mode_unchanged"  # -4059
    POSITION_MODE_HAS_ORDERS = "position_mode_has_orders"  # -4067
    POSITION_MODE_HAS_POSITION = "position_mode_has_position"  # -4068
    POSITION_SIDE_MISMATCH = "position_side_mismatch"  # -4061
    MARGIN_MODE_UNCHANGED = "margin_mode_unchanged"  # -4046
    MARGIN_MODE_HAS_ORDERS = "margin_mode_has_orders"  # -4047
    MARGIN_MODE_HAS_POSITION = "margin_mode_has_position"  # -4048
    BAD_LEVERAGE = "bad_leverage"  # -4028
    LEVERAGE_REDUCTION_REFUSED = "leverage_reduction_refused"  # -4161: isolated, with a position


class SimError(Exception):
    """A refusal by the exchange; nothing was changed.

    ``limit`` is the number that was crossed, in the unit of the thing refused (a filter's bound, a free balance).
    """

    def __init__(self, kind: ErrorKind, message: str, *, limit: Decimal | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.limit = limit
