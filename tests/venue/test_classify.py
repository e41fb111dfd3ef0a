"""What a failure means. The table is closed: a refusal is known to be one, everything else gets looked up."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from keeper.venue.base import (
    Ambiguous,
    BadReadingError,
    ClockRefusedError,
    CredentialsRefusedError,
    HostRefusedError,
    RateLimitedError,
    Rejected,
    RetryLater,
    UnreachableError,
    VenueError,
)
from keeper.venue.binance import BINANCE
from keeper.venue.bybit import BYBIT
from keeper.venue.capabilities import GENERIC
from keeper.venue.classify import order_failure, reading_error
from keeper.venue.deribit import DERIBIT
from keeper.venue.guard import Answer
from keeper.venue.okx import OKX
from keeper.venue.recipes import Capability

SECRETS = ("planted-secret-0815",)


def answered(
    status: int | None, body: Any = None, headers: dict[str, str] | None = None, method: str = "POST"
) -> Answer:
    return Answer(method, "/v5/order/create", status, headers or {}, body)


ORDERS: list[tuple[Capability, Exception, Answer | None, type[Any]]] = [
    # nothing came back
    (BYBIT, ccxt.RequestTimeout("x"), answered(None), Ambiguous),
    (BYBIT, ccxt.ExchangeNotAvailable("x"), answered(None), Ambiguous),
    (BYBIT, ccxt.ExchangeError("cut in the body"), answered(None), Ambiguous),
    (BYBIT, TimeoutError(), answered(None), Ambiguous),
    # nothing was sent
    (BYBIT, ccxt.InvalidOrder("too small"), None, Rejected),
    (BYBIT, ccxt.ArgumentsRequired("price"), None, Rejected),
    (BYBIT, HostRefusedError("no"), None, Rejected),
    (BYBIT, TimeoutError(), None, RetryLater),
    (BYBIT, RateLimitedError("wait", 3), None, RetryLater),
    # an answer without a meaning
    (BYBIT, ccxt.BadResponse("no JSON"), answered(200), Ambiguous),
    (BYBIT, KeyError("result"), answered(200, {"retCode": 0}), Ambiguous),
    (BYBIT, ccxt.ExchangeError("?"), answered(200, {"retCode": 987654}), Ambiguous),
    (BYBIT, ccxt.ExchangeNotAvailable("503"), answered(503), Ambiguous),
    (BYBIT, ccxt.ExchangeNotAvailable("504"), answered(504, {"retCode": 110007}), Rejected),
    (BYBIT, ccxt.RequestTimeout("408"), answered(408, {"code": 5}), Ambiguous),
    # bybit
    (BYBIT, ccxt.ExchangeError("x"), answered(200, {"retCode": 10000}), Ambiguous),
    (BYBIT, ccxt.ExchangeError("x"), answered(200, {"retCode": 10016}), Ambiguous),
    (BYBIT, ccxt.RateLimitExceeded("x"), answered(200, {"retCode": 10006}), RetryLater),
    (BYBIT, ccxt.ExchangeNotAvailable("x"), answered(403), RetryLater),
    (GENERIC, ccxt.ExchangeNotAvailable("x"), answered(403), Ambiguous),
    (BYBIT, ccxt.InvalidOrder("x"), answered(200, {"retCode": 110072}), Ambiguous),
    (BYBIT, ccxt.InsufficientFunds("x"), answered(200, {"retCode": 110007}), Rejected),
    (BYBIT, ccxt.InvalidOrder("x"), answered(200, {"retCode": 110017}), Rejected),
    (BYBIT, ccxt.ExchangeError("x"), answered(200, {"retCode": 110999}), Ambiguous),
    *((BYBIT, ccxt.ExchangeError("x"), answered(200, {"retCode": code}), Ambiguous) for code in (5004, 110063, 110066)),
    (BYBIT, ccxt.BadRequest("duplicate"), answered(200, {"retCode": 10014}), Ambiguous),
    (BYBIT, ccxt.InvalidOrder("creation timeout"), answered(200, {"retCode": 170146}), Ambiguous),
    (BYBIT, ccxt.InvalidOrder("duplicate id"), answered(200, {"retCode": 110030}), Ambiguous),
    (BYBIT, ccxt.RequestTimeout("Request timeout"), answered(200, {"retCode": 110007}), Rejected),
    (BYBIT, ccxt.BadRequest("position idx not match"), answered(200, {"retCode": 10001}), Rejected),
    (BYBIT, ccxt.InvalidOrder("notional"), answered(200, {"retCode": 110094}), Rejected),
    (BYBIT, ccxt.ExchangeNotAvailable("x"), answered(400, None), Ambiguous),
    (BYBIT, ccxt.InvalidNonce("x"), answered(200, {"retCode": 10002}), Rejected),
    (BYBIT, ccxt.PermissionDenied("x"), answered(200, {"retCode": 10005}), Rejected),
    # binance
    (BINANCE, ccxt.ExchangeError("x"), answered(400, {"code": -1007}), Ambiguous),
    (BINANCE, ccxt.ExchangeError("x"), answered(503, {"code": -1006}), Ambiguous),
    (BINANCE, ccxt.OperationFailed("x"), answered(503, {"code": -1008}), RetryLater),
    (BINANCE, ccxt.DDoSProtection("x"), answered(429, {"code": -1003}, {"retry-after": "7"}), RetryLater),
    (BINANCE, ccxt.DDoSProtection("x"), answered(418, None), RetryLater),
    (BINANCE, ccxt.ExchangeError("unmapped"), answered(400, {"code": -4164}), Rejected),
    (BINANCE, ccxt.InsufficientFunds("x"), answered(400, {"code": -2019}), Rejected),
    (BINANCE, ccxt.OrderImmediatelyFillable("x"), answered(400, {"code": -2021}), Rejected),
    (BINANCE, ccxt.InvalidOrder("x"), answered(400, {"code": -4116}), Ambiguous),
    (BINANCE, ccxt.ExchangeError("x"), answered(400, None), Ambiguous),
    # okx, deribit, anybody
    (OKX, ccxt.InvalidOrder("x"), answered(200, {"code": "1", "data": [{"sCode": "51008"}]}), Rejected),
    (OKX, ccxt.InvalidOrder("x"), answered(200, {"code": "1", "data": [{"sCode": "51016"}]}), Ambiguous),
    (OKX, ccxt.ExchangeError("x"), answered(200, {"code": "50004", "data": []}), Ambiguous),
    (OKX, ccxt.RateLimitExceeded("x"), answered(200, {"code": "50011", "data": []}), RetryLater),
    (DERIBIT, ccxt.InsufficientFunds("x"), answered(400, {"error": {"code": 10009}}), Rejected),
    (DERIBIT, ccxt.ExchangeError("x"), answered(400, {"error": {"code": 11094}}), Ambiguous),
    (GENERIC, ccxt.InvalidOrder("x"), answered(400, {"code": 5003}), Rejected),
    (GENERIC, ccxt.ExchangeError("x"), answered(200, {"code": 5003}), Ambiguous),
    (GENERIC, ccxt.ExchangeError("not classified"), answered(400, {"code": 5003}), Ambiguous),
    (GENERIC, ccxt.ExchangeNotAvailable("busy"), answered(400, {"code": 5003}), Ambiguous),
    (GENERIC, ccxt.RequestTimeout("x"), answered(400, {"code": 5003}), Ambiguous),
    (GENERIC, ccxt.InvalidNonce("x"), answered(400, {"code": 5003}), Rejected),
    (GENERIC, ccxt.InvalidOrder("x"), answered(200, None), Ambiguous),
    (GENERIC, ccxt.DuplicateOrderId("x"), answered(200, {"code": 5003}), Ambiguous),
    (GENERIC, ccxt.RateLimitExceeded("x"), answered(200, {"code": 5003}), Ambiguous),
]


@pytest.mark.parametrize(("capability", "failure", "answer", "fate"), ORDERS)
def test_the_fate_of_an_order(
    capability: Capability, failure: Exception, answer: Answer | None, fate: type[Any]
) -> None:
    outcome = order_failure(failure, [answer] if answer else [], capability.codes, SECRETS)
    assert type(outcome) is fate, outcome


def test_a_read_before_the_order_says_nothing_of_the_order() -> None:
    answers = [answered(200, {"retCode": 0}, method="GET")]
    assert isinstance(order_failure(ccxt.RequestTimeout("x"), answers, BYBIT.codes, ()), Rejected)
    by_get = Answer("GET", "/api/v2/private/sell")
    assert isinstance(order_failure(ccxt.RequestTimeout("x"), [by_get], DERIBIT.codes, ()), Ambiguous)


def test_a_wait_that_was_stated_is_passed_on() -> None:
    outcome = order_failure(ccxt.DDoSProtection("x"), [answered(429, None, {"retry-after": "7"})], BINANCE.codes, ())
    assert outcome == RetryLater("DDoSProtection: x", 7)


READS: list[tuple[Capability, BaseException, Answer | None, type[VenueError]]] = [
    (BYBIT, TimeoutError(), None, UnreachableError),
    (BYBIT, ccxt.RequestTimeout("x"), answered(None), UnreachableError),
    (BYBIT, ccxt.ExchangeNotAvailable("x"), answered(None), UnreachableError),
    (BYBIT, ccxt.ExchangeError("cut"), answered(None), UnreachableError),
    (BYBIT, ccxt.ExchangeError("x"), answered(502), UnreachableError),
    (BYBIT, ccxt.AuthenticationError("x"), answered(200, {"retCode": 10003}), CredentialsRefusedError),
    (BYBIT, ccxt.PermissionDenied("x"), answered(200, {"retCode": 10010}), CredentialsRefusedError),
    (BYBIT, ccxt.InvalidNonce("x"), answered(200, {"retCode": 10002}), ClockRefusedError),
    (BYBIT, ccxt.RateLimitExceeded("x"), answered(200, {"retCode": 10006}), RateLimitedError),
    (BINANCE, ccxt.DDoSProtection("x"), answered(400, {"code": -2015}), CredentialsRefusedError),
    (BINANCE, ccxt.InvalidNonce("x"), answered(400, {"code": -1021}), ClockRefusedError),
    (BINANCE, ccxt.DDoSProtection("x"), answered(418), RateLimitedError),
    (OKX, ccxt.ExchangeNotAvailable("404"), answered(404), VenueError),
    (GENERIC, ccxt.BadResponse("x"), answered(200), BadReadingError),
    (GENERIC, TypeError("x"), answered(200), BadReadingError),
    (GENERIC, ccxt.NotSupported("x"), None, VenueError),
]


@pytest.mark.parametrize(("capability", "failure", "answer", "error"), READS)
def test_what_a_failed_reading_is(
    capability: Capability, failure: BaseException, answer: Answer | None, error: type[VenueError]
) -> None:
    found = reading_error(failure, [answer] if answer else [], capability.codes, SECRETS)
    assert type(found) is error


def test_no_text_carries_a_secret() -> None:
    failure = ccxt.ExchangeNotAvailable("binance GET https://fapi.binance.com/x?signature=abc planted-secret-0815")
    for text in (
        str(reading_error(failure, [], BINANCE.codes, SECRETS)),
        str(order_failure(failure, [], BINANCE.codes, SECRETS)),
    ):
        assert "planted" not in text
        assert "abc" not in text
