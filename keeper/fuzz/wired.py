"""The real client library between keeper and exchange: it signs, sends, parses and classifies; only its socket is ours.

Requests go to the wire's dispatcher by a call in memory, on the virtual clock, with the faults of the menu expressed as
statuses, bodies that cannot be read, and dropped connections.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from keeper.fuzz.carriers import VENUE
from keeper.fuzz.line import Reader
from keeper.fuzz.virtual import VirtualClock
from keeper.fuzz.world import API_KEY, SECRET
from keeper.sim.door import VenueClock
from keeper.sim.exchange import Exchange
from keeper.sim.wire.auth import Authenticator
from keeper.sim.wire.dispatch import Dispatcher, Reply
from keeper.sim.wire.routes import all_routes
from keeper.sim.wire.urls import CCXT_ID, ccxt_urls
from keeper.venue.base import Trader
from keeper.venue.ccxt_venue import Credentials, VenuePolicy, make_venue

HOST = "http://exchange.invalid"
SECONDS = 10.0


Wire = tuple[Dispatcher, "Bans"]


class _Response:
    """As much of an aiohttp response as the client reads."""

    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self.reason = "OK" if reply.status == 200 else "Error"
        self.headers: Mapping[str, str] = {"Content-Type": "application/json", **reply.headers}
        self._text = reply.text

    async def text(self, errors: str = "strict") -> str:  # noqa: ARG002  the client's own call
        """The body."""
        return self._text

    async def json(self, **_: Any) -> Any:
        """The body, parsed."""
        return json.loads(self._text)

    def release(self) -> None:
        """Nothing is held."""


class Bans:
    """Until when the venue has asked the client to stay away, and which orders it sends all the same."""

    def __init__(self, clock: VirtualClock, broken: Callable[[str], None]) -> None:
        self._clock = clock
        self._broken = broken
        self._until = 0.0

    def asked(self, method: str, path: str, sent: str) -> None:
        """A request leaves: while a wait lasts, readings and covers may, and nothing that adds risk."""
        left = self._until - self._clock.monotonic()
        if left > 0 and method == "POST" and path.endswith("/order") and "reduceonly=true" not in sent.lower():
            self._broken(f"an order that may open is sent to {path}, {left:.3f} s before the venue wants to see one")

    def told(self, reply: Reply) -> None:
        """An answer has come."""
        if reply.status in (418, 429) and (seconds := reply.headers.get("Retry-After")):
            self._until = max(self._until, self._clock.monotonic() + float(seconds))


class _Call:
    """A request that is sent when it is entered."""

    def __init__(self, to: Wire, method: str, url: str, data: bytes | None, key: str) -> None:
        self._dispatcher, self._bans = to
        self._method = method
        self._url = url
        self._data = data
        self._key = key

    async def __aenter__(self) -> _Response:
        parts = urlsplit(self._url)
        body = (self._data or b"").decode()
        self._bans.asked(self._method, parts.path, parts.query + body)
        reply = await self._dispatcher.http(self._method, parts.path, parts.query, body, self._key)
        self._bans.told(reply)
        if reply.dropped:
            raise aiohttp.ServerDisconnectedError
        return _Response(reply)

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""


class MemorySession:
    """Stands in for the client's aiohttp session."""

    closed = False

    def __init__(self, to: Wire) -> None:
        self._to = to
        self.headers: dict[str, str] = {}

    def _call(self, method: str, url: Any, data: bytes | None, headers: Mapping[str, str] | None) -> _Call:
        named = {name.lower(): value for name, value in (headers or {}).items()}
        return _Call(self._to, method, str(url), data, named.get("x-mbx-apikey", ""))

    def get(self, url: Any, *, data: Any = None, headers: Any = None, **_: Any) -> _Call:
        """GET."""
        return self._call("GET", url, data, headers)

    def post(self, url: Any, *, data: Any = None, headers: Any = None, **_: Any) -> _Call:
        """POST."""
        return self._call("POST", url, data, headers)

    def put(self, url: Any, *, data: Any = None, headers: Any = None, **_: Any) -> _Call:
        """PUT."""
        return self._call("PUT", url, data, headers)

    def delete(self, url: Any, *, data: Any = None, headers: Any = None, **_: Any) -> _Call:
        """DELETE."""
        return self._call("DELETE", url, data, headers)

    async def close(self) -> None:
        """Nothing is held."""


async def open_client(
    exchange: Exchange, true_clock: VirtualClock, host_clock: VirtualClock, while_banned: Callable[[str], None]
) -> tuple[Reader, Trader, Callable[[], None]]:
    """The real venue layer over an in-memory wire, its markets loaded, and how to let go of it.

    ``while_banned`` is told of an order that leaves although the venue asked the client to stay away.
    """
    venue_clock = VenueClock(true_clock, exchange.door)
    authenticator = Authenticator(exchange, venue_clock)
    dispatcher = Dispatcher(all_routes(exchange, venue_clock), authenticator, true_clock, None, exchange.door)
    options = {"urls": {"api": ccxt_urls(HOST, HOST.replace("http", "ws"))}}
    policy, credentials = VenuePolicy(trading=True, environment="testnet"), Credentials(API_KEY, SECRET)
    venue = make_venue(VENUE, CCXT_ID, policy, credentials, options, host_clock, SECONDS, SECONDS)
    client: Any = venue.connection.client
    client.session = MemorySession((dispatcher, Bans(true_clock, while_banned)))
    client.own_session = False
    # Signed requests carry the host's time, which is virtual here.
    client.milliseconds = host_clock.now_ms
    await venue.observer.open()

    def let_go() -> None:
        client.session = None

    return venue.observer, venue.trader, let_go
