"""What Binance answers when it refuses: HTTP status, code and message, word for word.

Every function builds one :class:`WireError`; handlers raise it and the dispatcher turns it into the body
``{"code": ..., "msg": ...}``. Clients read meaning from both the code and the exact text, so neither is paraphrased.
"""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.wire.text import Json


class WireError(Exception):
    """A refusal in Binance's words.

    ``status`` is the HTTP status, ``code`` Binance's (negative) error code, ``message`` its text.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{status} {code} {message}")
        self.code = code
        self.message = message
        self.status = status

    def body(self) -> dict[str, Json]:
        """The JSON body of the answer."""
        return {"code": self.code, "msg": self.message}


def no_such_path(path: str) -> WireError:
    """A route that this exchange does not serve."""
    return WireError(-1000, f"Path {path}, Method is invalid", 404)


def overloaded() -> WireError:
    """More requests in a minute than the weight limit allows."""
    return WireError(-1003, "Too many requests; current limit of IP is reached.", 429)


def too_many_orders() -> WireError:
    """More orders in ten seconds than the order limit allows."""
    return WireError(-1015, "Too many new orders.", 429)


def malformed_key() -> WireError:
    """The API key header is missing or is not shaped like a key."""
    return WireError(-2014, "API-key format invalid.", 401)


def rejected_key() -> WireError:
    """The API key is unknown, or may not do this."""
    return WireError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def bad_signature() -> WireError:
    """The HMAC over the request does not match."""
    return WireError(-1022, "Signature for this request is not valid.")


def ahead_of_time() -> WireError:
    """The request's timestamp is more than a second in the future."""
    return WireError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def outside_window() -> WireError:
    """The request is older than its own ``recvWindow``."""
    return WireError(-1021, "Timestamp for this request is outside of the recvWindow.")


def missing(name: str) -> WireError:
    """A mandatory parameter was not sent, or cannot be read."""
    return WireError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> WireError:
    """A parameter holds characters outside its legal range."""
    return WireError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_required(name: str) -> WireError:
    """A parameter was sent with an order type that does not take it."""
    return WireError(-1106, f"Parameter '{name}' sent when not required.")


def invalid_data(name: str) -> WireError:
    """A parameter's value is not one of those known."""
    return WireError(-1130, f"Data sent for parameter '{name}' is not valid.")


def unknown_symbol() -> WireError:
    """The symbol is not listed on this product."""
    return WireError(-1121, "Invalid symbol.")


def invalid_interval() -> WireError:
    """The kline interval is not one of Binance's."""
    return WireError(-1120, "Invalid interval.")


def invalid_listen_key() -> WireError:
    """The listen key is unknown or has expired."""
    return WireError(-1125, "This listenKey does not exist.")


def invalid_side() -> WireError:
    """The side is neither BUY nor SELL."""
    return WireError(-1117, "Invalid side.")


def invalid_order_type() -> WireError:
    """The order type is not served."""
    return WireError(-1116, "Invalid orderType.")


def invalid_time_in_force() -> WireError:
    """The time in force is not known."""
    return WireError(-1115, "Invalid timeInForce.")


def ambiguous() -> WireError:
    """Neither an order id nor a client order id was sent."""
    return WireError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")


def no_such_order() -> WireError:
    """A query for an order that does not exist."""
    return WireError(-2013, "Order does not exist.")


def nothing_to_cancel() -> WireError:
    """A cancel for an order that is not open."""
    return WireError(-2011, "Unknown order sent.")


def filter_failure(name: str) -> WireError:
    """A spot order breaks the symbol's filter ``name`` (``LOT_SIZE``, ``NOTIONAL`` …)."""
    return WireError(-1013, f"Filter failure: {name}")


def spot_rejected(message: str) -> WireError:
    """A spot order was refused by the matching engine."""
    return WireError(-2010, message)


def too_precise(name: str = "") -> WireError:
    """A number has more decimals than the symbol takes; spot names the parameter."""
    if name:
        return WireError(-1111, f"Parameter '{name}' has too much precision.")
    return WireError(-1111, "Precision is over the maximum defined for this asset.")


def below_notional(minimum: Decimal) -> WireError:
    """A USDⓈ-M order is worth less than the symbol's minimum (quote) and is not reduce-only."""
    return WireError(
        -4164, f"Order's notional must be no smaller than {minimum.normalize():f} (unless you choose reduce only)."
    )


# Futures refusals that carry nothing but their own text.
FUTURES_TEXT = {
    -2018: "Balance is insufficient.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2023: "User in liquidation mode now.",
    -2025: "Reach max open order limit.",
    -2027: "Exceeded the maximum allowable position at current leverage.",
    -2028: "Leverage is smaller than permitted: insufficient margin balance.",
    -4001: "Price less than 0.",
    -4003: "Quantity less than or equal to zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id length should not be more than 36 chars.",
    -4016: "Price is higher than mark price multiplier cap.",
    -4023: "Quantity not increased by step size.",
    -4024: "Price is lower than mark price multiplier floor.",
    -4028: "Leverage is not valid.",
    -4046: "No need to change margin type.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4050: "Cross balance insufficient.",
    -4051: "Isolated balance insufficient.",
    -4059: "No need to change position side.",
    -4061: "Order's position side does not match user's setting.",
    -4062: "Invalid or improper reduceOnly value.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4116: "ClientOrderId is duplicated.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4140: "Invalid symbol status for opening position.",
    -4141: "Symbol is closed.",
    -4161: "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    -4167: "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under isolated-margin mode.",
    -4168: "Unable to adjust to isolated-margin mode under the Multi-Assets mode.",
    -4171: "No need to change multi-assets mode.",
    -5021: "Due to the order could not be filled immediately, the FOK order has been rejected. "
    "The order will not be recorded in the order history",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history",
}


def futures(code: int) -> WireError:
    """A futures refusal by its code, in Binance's text."""
    return WireError(code, FUTURES_TEXT[code])
