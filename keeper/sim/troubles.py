"""How an answer goes wrong on its way, as types that every transport expresses in its own words.

Over sockets they become dropped connections, HTTP statuses and codes, and bodies that cannot be read; in process they
become what the venue layer makes of those.
"""

from __future__ import annotations

from enum import Enum


class TroubleError(Exception):
    """A request that got no proper answer. ``after`` tells whether it had been carried out all the same."""

    def __init__(self, message: str, *, after: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.after = after


class ReplyLostError(TroubleError):
    """The connection closes instead of answering."""

    def __init__(self, *, after: bool = True) -> None:
        super().__init__("the connection was closed without an answer", after=after)


class ServerTroubleError(TroubleError):
    """An HTTP status of 408 or 5xx; ``code`` is Binance's, None for a gateway's page that is no JSON."""

    def __init__(self, status: int, code: int | None, message: str, *, after: bool = False) -> None:
        super().__init__(message, after=after)
        self.status = status
        self.code = code


class RateLimitedFaultError(TroubleError):
    """HTTP 429 (wait) or 418 (banned) with the seconds to wait; nothing was done."""

    def __init__(self, status: int, retry_after_seconds: int) -> None:
        super().__init__(f"Too many requests; wait {retry_after_seconds} s.")
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class MaintenanceError(ServerTroubleError):
    """The venue is down for maintenance: every request gets a page that is no JSON; nothing was done."""

    def __init__(self) -> None:
        super().__init__(503, None, "Service Unavailable: system maintenance")


class Garble(Enum):
    """What is done to the body of an answer that is otherwise right."""

    NOT_JSON = "not_json"
    CUT_SHORT = "cut_short"
    NULLS = "nulls"


def unknown_503(*, after: bool) -> ServerTroubleError:
    """Binance's 503 whose execution status is unknown."""
    text = "Unknown error, please check your request or try again later."
    return ServerTroubleError(503, -1000, text, after=after)


def timeout_1007(*, after: bool) -> ServerTroubleError:
    """Binance's -1007: the backend did not answer in time."""
    text = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    return ServerTroubleError(408, -1007, text, after=after)


def gateway_504(*, after: bool) -> ServerTroubleError:
    """A gateway gave up waiting."""
    return ServerTroubleError(504, None, "Gateway Time-out", after=after)


def overloaded_1008() -> ServerTroubleError:
    """Binance's -1008: refused by its overload protection; nothing was done."""
    text = (
        "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again."
    )
    return ServerTroubleError(503, -1008, text)
