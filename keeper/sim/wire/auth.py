"""Who is calling: API keys, HMAC signatures, and the time window of a signed request.

The signature covers the query string and the body exactly as they were sent, so it is checked before anything is
decoded. Time comes from the injected clock: a client whose clock is off is refused as Binance refuses it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from keeper.clock import Clock
from keeper.sim.errors import SimError
from keeper.sim.exchange import Exchange
from keeper.sim.wire import errors
from keeper.sim.wire.request import Call

DEFAULT_WINDOW_MS = 5_000
MAX_WINDOW_MS = 60_000
MAX_AHEAD_MS = 1_000


class Authenticator:
    """Checks keys and signatures against the exchange's accounts."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    def key(self, api_key: str) -> str:
        """The secret behind a key; refuses with -2014 or -2015."""
        if not api_key or not api_key.isascii() or any(mark.isspace() for mark in api_key):
            raise errors.malformed_key()
        try:
            secret = self._exchange.secret(api_key)
        except SimError:
            raise errors.rejected_key() from None
        if not self._exchange.permissions(api_key).reading:
            raise errors.rejected_key()
        return secret

    def may_trade(self, call: Call) -> None:
        """Refuse with -2015 an order whose key may not trade on that product."""
        allowed = self._exchange.permissions(call.api_key)
        if not (allowed.spot_trading if call.path.startswith("/api/") else allowed.futures):
            raise errors.rejected_key()

    def signed(self, call: Call, payload: str) -> None:
        """Check the signature in ``call`` over ``payload``, and then its time window."""
        secret = self.key(call.api_key)
        if call.optional("timestamp") is None:
            raise errors.missing("timestamp")
        sent = call.text("signature")
        self._check_window(call)
        expected = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, sent):
            raise errors.bad_signature()

    def _check_window(self, call: Call) -> None:
        timestamp_ms = call.integer("timestamp")
        window_ms = call.optional_integer("recvWindow")
        if window_ms is None:
            window_ms = DEFAULT_WINDOW_MS
        if not 0 < window_ms <= MAX_WINDOW_MS:
            raise errors.WireError(-1131, "recvWindow must be less than 60000")
        now_ms = self._clock.now_ms()
        if timestamp_ms >= now_ms + MAX_AHEAD_MS:
            raise errors.ahead_of_time()
        if now_ms - timestamp_ms > window_ms:
            raise errors.outside_window()


def signed_text(raw: str) -> str:
    """What a signature covers: the query and body as sent, without the signature itself."""
    return "&".join(part for part in raw.split("&") if not part.startswith("signature="))


def signed_params(params: Mapping[str, str]) -> str:
    """What a signature covers on the WebSocket API: the parameters in alphabetical order, as ``name=value``."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
