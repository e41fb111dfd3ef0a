"""From a request to its reply: the one place that every request passes.

Routes are looked up, callers checked, limits counted, refusals spelled, and each request is written down. ``gate``
wraps all of it: whoever replaces it sees every call and every reply, and may delay, alter, replace or drop either.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import parse_qsl

from keeper.clock import Clock
from keeper.sim.door import Door
from keeper.sim.errors import SimError
from keeper.sim.troubles import TroubleError
from keeper.sim.types import MarketKind
from keeper.sim.wire import errors
from keeper.sim.wire.auth import Authenticator, signed_text
from keeper.sim.wire.refusals import refused
from keeper.sim.wire.reply import Reply
from keeper.sim.wire.request import Call, Route, Routes, Security
from keeper.sim.wire.text import Json, compact
from keeper.sim.wire.troubles import garbled, reply_to

__all__ = ["Dispatcher", "Entry", "Gate", "Limits", "Proceed", "Reply", "open_gate", "product_of"]

_log = logging.getLogger("keeper.sim.wire")

REQUESTS_KEPT = 20_000
MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000


Proceed: TypeAlias = Callable[[], Awaitable[Reply]]
Gate: TypeAlias = Callable[[Call, Proceed], Awaitable[Reply]]


async def open_gate(_call: Call, proceed: Proceed) -> Reply:
    """Let every request through as it is."""
    return await proceed()


@dataclass(frozen=True)
class Entry:
    """One request as it was written down; ``code`` is Binance's error code, 0 when there was none."""

    at_ms: int
    method: str
    path: str
    params: Mapping[str, str]
    status: int
    code: int
    over_socket: bool = False


@dataclass(frozen=True)
class Limits:
    """How much a client may ask: weight in a minute, orders in ten seconds."""

    weight_per_minute: int = 60_000
    orders_per_ten_seconds: int = 3_000


def product_of(path: str) -> MarketKind:
    """Which product a route belongs to; the wallet's own routes count as spot."""
    if path.startswith("/fapi/"):
        return MarketKind.LINEAR
    return MarketKind.INVERSE if path.startswith("/dapi/") else MarketKind.SPOT


class _Counter:
    """How much was used in the present window of fixed length."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._window = -1
        self._used = 0

    def add(self, now_ms: int, amount: int) -> int:
        """Count ``amount`` and give the total of the window."""
        window = now_ms // self._window_ms
        if window != self._window:
            self._window, self._used = window, 0
        self._used += amount
        return self._used


class Dispatcher:
    """Answers calls by the routes it was given."""

    def __init__(
        self,
        routes: Routes,
        authenticator: Authenticator,
        clock: Clock,
        limits: Limits | None = None,
        door: Door | None = None,
    ) -> None:
        self._door = door
        self._routes = routes
        self._authenticator = authenticator
        self._clock = clock
        self._limits = limits or Limits()
        self._weight = _Counter(MINUTE_MS)
        self._orders = _Counter(TEN_SECONDS_MS)
        self.gate: Gate = open_gate
        self.requests: deque[Entry] = deque(maxlen=REQUESTS_KEPT)

    async def http(self, method: str, path: str, raw_query: str, raw_body: str, api_key: str) -> Reply:
        """Answer one HTTP request. The query and the body are the texts as sent, not decoded."""
        pairs = parse_qsl(raw_query, keep_blank_values=True) + parse_qsl(raw_body, keep_blank_values=True)
        covered = signed_text(raw_query) + signed_text(raw_body)
        return await self.answer(Call(method, path, dict(pairs), api_key), covered)

    async def answer(self, call: Call, payload: str) -> Reply:
        """Answer ``call``, whose signature covers ``payload``, through the gate, and write it down."""
        at_ms = self._clock.now_ms()
        status, code = 0, 0

        async def proceed() -> Reply:
            nonlocal code
            reply, code = self._proceed(call, payload)
            return reply

        try:
            reply = await self.gate(call, proceed)
            status = 0 if reply.dropped else reply.status
        finally:
            shown = {name: value for name, value in call.params.items() if name != "signature"}
            self.requests.append(Entry(at_ms, call.method, call.path, shown, status, code, call.over_socket))
        return reply

    def _proceed(self, call: Call, payload: str) -> tuple[Reply, int]:
        headers: dict[str, str] = {}
        try:
            if self._door is not None:
                self._door.arrive(call.api_key or None)
            route = self._route(call)
            self._count(route, headers)
            self._check_caller(route, call, payload)
            return self._answered(route.handler(call), headers), 0
        except (errors.WireError, SimError) as raised:
            refusal = raised if isinstance(raised, errors.WireError) else refused(raised, product_of(call.path))
            return Reply(refusal.status, compact(refusal.body()), headers), refusal.code
        except TroubleError as trouble:
            reply, code = reply_to(trouble)
            return replace(reply, headers={**headers, **reply.headers}), code
        except Exception:  # noqa: BLE001  a bug in a handler looks like a broken venue to the client, and is logged
            _log.exception("%s %s failed", call.method, call.path)
            body: Json = {"code": -1000, "msg": "An unknown error occurred while processing the request."}
            return Reply(500, compact(body), headers), -1000

    def _answered(self, body: Json, headers: Mapping[str, str]) -> Reply:
        reply = Reply(200, compact(body), headers)
        garble = self._door.garble() if self._door is not None else None
        return reply if garble is None else garbled(reply, body, garble)

    def _route(self, call: Call) -> Route:
        route = self._routes.get((call.method, call.path))
        if route is None:
            _log.warning("no route for %s %s", call.method, call.path)
            raise errors.no_such_path(call.path)
        return route

    def _check_caller(self, route: Route, call: Call, payload: str) -> None:
        if route.security is Security.NONE:
            return
        if route.security is Security.KEY:
            self._authenticator.key(call.api_key)
        else:
            self._authenticator.signed(call, payload)
        if route.is_order:
            self._authenticator.may_trade(call)

    def _count(self, route: Route, headers: dict[str, str]) -> None:
        now_ms = self._clock.now_ms()
        weight = self._weight.add(now_ms, route.weight)
        headers["X-MBX-USED-WEIGHT"] = headers["X-MBX-USED-WEIGHT-1M"] = str(weight)
        if weight > self._limits.weight_per_minute:
            headers["Retry-After"] = str((MINUTE_MS - now_ms % MINUTE_MS) // 1000 + 1)
            raise errors.overloaded()
        if route.is_order:
            orders = self._orders.add(now_ms, 1)
            headers["X-MBX-ORDER-COUNT-10S"] = headers["X-MBX-ORDER-COUNT-1M"] = str(orders)
            if orders > self._limits.orders_per_ten_seconds:
                raise errors.too_many_orders()

    def set_limits(self, **changes: int) -> None:
        """Change the limits from now on (see :class:`Limits` for the names)."""
        self._limits = replace(self._limits, **changes)
