"""What a failure means: a reading's error, or an order's fate.

The venue's own code and the HTTP status come first, the client's exception class second. An order is rejected by an
explicit refusal alone; whatever is not known to be a refusal is ambiguous, so that it gets looked up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import ccxt

from keeper.venue.base import (
    Ambiguous,
    BadReadingError,
    ClockRefusedError,
    CredentialsRefusedError,
    HostRefusedError,
    NotPermittedError,
    RateLimitedError,
    Rejected,
    RetryLater,
    Submission,
    UnknownSymbolError,
    UnreachableError,
    VenueError,
)
from keeper.venue.budget import retry_after
from keeper.venue.guard import Answer, may_create, redact
from keeper.venue.recipes import Codes, Path

TEXT_LIMIT = 300
WOULD_CROSS = "post_only_would_cross"
"""The code, on every venue, of a post-only order that was refused because it would have traded at once."""
REFUSALS: tuple[type[Exception], ...] = (
    ccxt.InvalidOrder,
    ccxt.InsufficientFunds,
    ccxt.BadRequest,
    ccxt.OperationRejected,
    ccxt.AuthenticationError,
    ccxt.NotSupported,
    ccxt.InvalidNonce,
)
"""The client's classes of explicit refusals; they count only together with a venue code."""
NOT_THERE = frozenset({404, 405, 410, 501})
PROVES_NOTHING = frozenset({408, 409, 425, 499})


def say(failure: BaseException, secrets: tuple[str, ...]) -> str:
    """A short text of a failure, free of secrets and of signs that would move a terminal's cursor."""
    text = str(failure) or type(failure).__name__
    shown = redact(f"{type(failure).__name__}: {text}", secrets)[:TEXT_LIMIT]
    return shown if shown.isprintable() else "".join(sign if sign.isprintable() else " " for sign in shown)


def _follow(body: Any, path: Path) -> Any:
    part = body
    for step in path:
        if isinstance(step, str) and isinstance(part, Mapping):
            part = part.get(step)
        elif isinstance(step, int) and isinstance(part, list) and len(part) > step:
            part = part[step]
        else:
            return None
    return part


def code_of(answer: Answer | None, codes: Codes) -> str | None:
    """The venue's own code in an answer; None where it gave none, or says that all is well."""
    if answer is None or answer.body is None:
        return None
    body = answer.body[0] if isinstance(answer.body, list) and answer.body else answer.body
    for path in codes.where:
        found = _follow(body, path)
        if found is not None and not isinstance(found, bool | Mapping | list):
            text = str(found)
            if codes.named:
                return next((name for begins, name in codes.named.items() if text.startswith(begins)), None)
            if text not in codes.fine:
                return text
    return None


def _wait(answer: Answer | None) -> float | None:
    return None if answer is None else retry_after(answer.headers)


def reading_error(
    failure: BaseException, answers: Sequence[Answer], codes: Codes, secrets: tuple[str, ...]
) -> VenueError:
    """The :class:`VenueError` that a failed reading is."""
    if isinstance(failure, VenueError):
        return failure
    text = say(failure, secrets)
    answer = answers[-1] if answers else None
    code = code_of(answer, codes)
    status = answer.status if answer is not None else None
    if code in codes.clock or (code is None and isinstance(failure, ccxt.InvalidNonce)):
        return ClockRefusedError(text)
    if code in codes.permission:
        return NotPermittedError(text)
    if code in codes.credentials:
        return CredentialsRefusedError(text)
    if code in codes.limits or status in codes.limit_statuses:
        return RateLimitedError(text, _wait(answer))
    if status in NOT_THERE and code in (None, str(status)):
        return VenueError(text)  # the client takes these for an outage; it is an endpoint that is not there
    if status is not None and status >= 500:
        return UnreachableError(text)
    return _reading_by_class(failure, text, answer)


def _reading_by_class(failure: BaseException, text: str, answer: Answer | None) -> VenueError:
    by_class: tuple[tuple[tuple[type[BaseException], ...], type[VenueError]], ...] = (
        ((TimeoutError,), UnreachableError),
        ((ccxt.AuthenticationError,), CredentialsRefusedError),
        ((ccxt.InvalidNonce,), ClockRefusedError),
        ((ccxt.BadResponse,), BadReadingError),
        ((ccxt.BadSymbol,), UnknownSymbolError),
        ((ccxt.RateLimitExceeded,), RateLimitedError),
        ((ccxt.NetworkError, OSError), UnreachableError),
    )
    for classes, error in by_class:
        if isinstance(failure, classes):
            return RateLimitedError(text, _wait(answer)) if error is RateLimitedError else error(text)
    if answer is not None and answer.status is None:
        return UnreachableError(text)
    if isinstance(failure, ccxt.BaseError):
        return VenueError(text)
    return BadReadingError(text)  # the client tripped over an answer that it did not expect


def order_failure(
    failure: BaseException, answers: Sequence[Answer], codes: Codes, secrets: tuple[str, ...]
) -> Submission:
    """What became of an order whose call raised."""
    text = say(failure, secrets)
    if isinstance(failure, RateLimitedError):
        return RetryLater(text, failure.retry_after_seconds)
    changing = [answer for answer in answers if may_create(answer.method, answer.path)]
    if not changing:
        if isinstance(failure, TimeoutError):
            return RetryLater(f"not sent: {text}")
        code = failure.code if isinstance(failure, HostRefusedError) else "not_sent"
        return Rejected(code, f"not sent: {text}")
    answer = changing[-1]
    if answer.status is None:
        return Ambiguous(text)
    return _by_answer(failure, answer, codes, text)


def _by_answer(failure: BaseException, answer: Answer, codes: Codes, text: str) -> Submission:
    code, status = code_of(answer, codes), answer.status or 0
    if code is not None:
        if code in codes.duplicate:
            return Ambiguous(f"the client id is taken, so the order may be in already: {text}")
        if code in codes.retry_later:
            return RetryLater(text, _wait(answer))
        if code in codes.ambiguous:
            return Ambiguous(text)
        if code in codes.would_cross or isinstance(failure, ccxt.OrderImmediatelyFillable):
            return Rejected(WOULD_CROSS, text)
        if re.fullmatch(codes.rejected, code):
            return Rejected(code, text)
    if status in codes.limit_statuses:
        return RetryLater(text, _wait(answer))
    if status >= 500 or status in PROVES_NOTHING:
        return Ambiguous(text)
    if isinstance(failure, ccxt.OperationFailed) and not isinstance(failure, ccxt.InvalidNonce):
        return Ambiguous(text)  # an outage, a timeout, too much at once: whatever the status, that is no refusal
    if isinstance(failure, ccxt.DuplicateOrderId):
        return Ambiguous(f"the client id is taken, so the order may be in already: {text}")
    if code is not None and isinstance(failure, REFUSALS):
        return Rejected(code, text)
    return Ambiguous(text)
