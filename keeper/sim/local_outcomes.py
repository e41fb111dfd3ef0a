"""What the venue layer would make of the simulated exchange's refusals and troubles, without a wire between.

Kept in step with :mod:`keeper.venue.classify`: a fault means the same to a keeper in process and over sockets.
"""

from __future__ import annotations

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.troubles import RateLimitedFaultError, ServerTroubleError, TroubleError
from keeper.venue.base import (
    POST_ONLY_REFUSED,
    Ambiguous,
    CredentialsRefusedError,
    RateLimitedError,
    Rejected,
    RetryLater,
    Submission,
    UnknownSymbolError,
    UnreachableError,
    VenueError,
)

MAX_AHEAD_MS, RECV_WINDOW_MS = 1_000, 5_000
CLOCK_CODE = "-1021"
OVERLOADED_CODE = -1008
_CREDENTIALS = (ErrorKind.UNKNOWN_ACCOUNT, ErrorKind.PERMISSION_DENIED)


def clock_refusal(sent_ms: int, venue_ms: int) -> str | None:
    """Why a request stamped ``sent_ms`` is refused by a venue whose clock says ``venue_ms``, or None."""
    if sent_ms >= venue_ms + MAX_AHEAD_MS:
        return f"{CLOCK_CODE} the timestamp is {sent_ms - venue_ms} ms ahead of the server's time"
    if venue_ms - sent_ms > RECV_WINDOW_MS:
        return f"{CLOCK_CODE} the timestamp is outside of the recvWindow: {venue_ms - sent_ms} ms old"
    return None


def reading_failure(failure: TroubleError | SimError) -> VenueError:
    """The error that a reading fails with."""
    if isinstance(failure, RateLimitedFaultError):
        return RateLimitedError(failure.message, float(failure.retry_after_seconds))
    if isinstance(failure, TroubleError):
        return UnreachableError(failure.message)
    if failure.kind in _CREDENTIALS:
        return CredentialsRefusedError(failure.message)
    if failure.kind is ErrorKind.UNKNOWN_SYMBOL:
        return UnknownSymbolError(failure.message)
    return VenueError(f"{failure.kind.value}: {failure.message}")


def order_fate(failure: TroubleError | SimError) -> Submission:
    """What became of an order as far as its sender can know."""
    if isinstance(failure, SimError):
        if failure.kind is ErrorKind.DUPLICATE_CLIENT_ID:
            return Ambiguous(f"the client id is taken, so the order may be in already: {failure.message}")
        if failure.kind is ErrorKind.POST_ONLY_WOULD_TAKE:
            return Rejected(POST_ONLY_REFUSED, failure.message)
        return Rejected(failure.kind.value, failure.message)
    if isinstance(failure, RateLimitedFaultError):
        return RetryLater(failure.message, float(failure.retry_after_seconds))
    if isinstance(failure, ServerTroubleError) and failure.code == OVERLOADED_CODE:
        return RetryLater(failure.message)
    return Ambiguous(failure.message)
