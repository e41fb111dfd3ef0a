"""Serves the simulated exchange on one loopback port, by Binance's protocols.

async with SimServer(exchange, clock=clock) as server:
    client = ccxt.pro.binance({"apiKey": ..., "secret": ..., "urls": {"api": server.urls}})
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType

from aiohttp import web

from keeper.clock import Clock, SystemClock
from keeper.sim.door import VenueClock
from keeper.sim.exchange import Exchange
from keeper.sim.types import MarketKind
from keeper.sim.wire.auth import Authenticator
from keeper.sim.wire.dispatch import Dispatcher, Entry, Gate, Limits
from keeper.sim.wire.public_feed import PublicFeed
from keeper.sim.wire.routes import all_routes
from keeper.sim.wire.stream_faults import StreamFaults
from keeper.sim.wire.streams import Connection, StreamHub
from keeper.sim.wire.urls import INVERSE_STREAM, LINEAR_STREAM, SPOT_STREAM, ccxt_urls
from keeper.sim.wire.user_streams import UserStreams
from keeper.sim.wire.ws_api import WsApi

_log = logging.getLogger("keeper.sim")

TICK_SECONDS = 1.0
BODY_MAX_BYTES = 1_000_000

_STREAMS = {
    SPOT_STREAM: MarketKind.SPOT,
    LINEAR_STREAM: MarketKind.LINEAR,
    INVERSE_STREAM: MarketKind.INVERSE,
    "/ws": MarketKind.SPOT,
}
_WS_APIS = {
    "/ws-api/v3": MarketKind.SPOT,
    "/ws-fapi/v1": MarketKind.LINEAR,
    "/ws-dapi/v1": MarketKind.INVERSE,
}


class SimServer:
    """One exchange on one port; ``port`` 0 takes a free one. Use it as an asynchronous context manager."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self.exchange = exchange
        self.clock = clock or SystemClock()
        self.host = host
        self.port = port
        self.hub = StreamHub()
        self._tick_seconds = tick_seconds
        self._feed = PublicFeed(exchange, self.clock, self.hub)
        self.user_streams = UserStreams(exchange, self.clock, self.hub)
        self._stream_faults = StreamFaults(self.hub, self.user_streams)
        venue_clock = VenueClock(self.clock, exchange.door)
        authenticator = Authenticator(exchange, venue_clock)
        routes = all_routes(exchange, venue_clock) | self.user_streams.routes()
        self.dispatcher = Dispatcher(routes, authenticator, self.clock, limits, exchange.door)
        self._ws_apis = {kind: WsApi(self.dispatcher, authenticator, kind) for kind in MarketKind}
        self._runner: web.AppRunner | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._unsubscribe: list[Callable[[], None]] = []

    # --- where it is, and what was asked ----------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """The HTTP address, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The WebSocket address, without a trailing slash."""
        return f"ws://{self.host}:{self.port}"

    @property
    def urls(self) -> dict[str, object]:
        """``urls.api`` for ``ccxt.binance``: every host of the client, replaced."""
        return ccxt_urls(self.base_url, self.ws_url)

    @property
    def requests(self) -> deque[Entry]:
        """The last requests, oldest first."""
        return self.dispatcher.requests

    def count(self, path: str, method: str | None = None) -> int:
        """How many of the kept requests went to ``path``."""
        return sum(1 for entry in self.requests if entry.path == path and method in (None, entry.method))

    @property
    def gate(self) -> Gate:
        """The seam around every request: replace it to delay, alter, or drop."""
        return self.dispatcher.gate

    @gate.setter
    def gate(self, gate: Gate) -> None:
        self.dispatcher.gate = gate

    # --- life -------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> SimServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind the port and begin to serve."""
        app = web.Application(client_max_size=BODY_MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError:  # the port is taken: leave nothing half open
            await self._runner.cleanup()
            self._runner = None
            raise
        self.port = self._runner.addresses[0][1]
        for subscriber in (self._feed.on_event, self.user_streams.on_event, self._stream_faults.on_event):
            self._unsubscribe.append(self.exchange.subscribe(subscriber))
        self._ticker = asyncio.create_task(self._tick_for_ever())

    async def stop(self) -> None:
        """Stop serving and close every socket."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe.clear()
        self._feed.stop()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        await self.hub.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _tick_for_ever(self) -> None:
        while True:
            await self.clock.sleep(self._tick_seconds)
            self.tick()

    def tick(self) -> None:
        """Do what falls due by the clock: the exchange's own timetable, the states on streams, expired listen keys."""
        self.exchange.advance()
        self._feed.tick()
        self.user_streams.expire()

    # --- requests ---------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._handle_socket(request)
        raw_path, _, raw_query = request.raw_path.partition("?")
        body = await request.text()
        key = request.headers.get("X-MBX-APIKEY", "")
        reply = await self.dispatcher.http(request.method, raw_path, raw_query, body, key)
        if reply.dropped and request.transport is not None:
            request.transport.abort()
        headers = {"Content-Type": "application/json;charset=UTF-8", **reply.headers}
        return web.Response(status=reply.status or 500, body=reply.text.encode(), headers=headers)

    async def _handle_socket(self, request: web.Request) -> web.StreamResponse:
        for path, kind in _WS_APIS.items():
            if request.path.startswith(path):
                connection = await self._connect(request, kind)
                return await self._attend(connection, self._ws_apis[kind].serve(connection))
        for path, kind in _STREAMS.items():
            if request.path == path or request.path.startswith(f"{path}/"):
                return await self._handle_stream(request, kind, request.path.removeprefix(path))
        _log.warning("no stream at %s", request.path)
        return web.Response(status=404, text="Not Found")

    async def _handle_stream(self, request: web.Request, kind: MarketKind, rest: str) -> web.StreamResponse:
        """``/ws/<name>``, ``/stream?streams=a/b``, ``/private/ws?listenKey=K``."""
        combined = request.query.get("streams")
        connection = await self._connect(request, kind, combined=combined is not None)
        last = rest.rpartition("/")[2]
        names = [name for name in (combined or "").split("/") if name]
        key = request.query.get("listenKey", last)
        account = self.user_streams.owner(kind, key)
        if account is not None:
            connection.listen_key = key
            connection.attach(account)
        elif "@" in last or last.startswith("!"):
            names.append(last)
        if names:
            self.hub.subscribe(connection, names)
        return await self._attend(connection, self.hub.serve(connection))

    async def _connect(self, request: web.Request, kind: MarketKind, *, combined: bool = False) -> Connection:
        socket = web.WebSocketResponse(max_msg_size=BODY_MAX_BYTES)
        await socket.prepare(request)
        connection = Connection(socket, kind, combined=combined)
        self.hub.add(connection)
        return connection

    async def _attend(self, connection: Connection, served: Coroutine[None, None, None]) -> web.StreamResponse:
        try:
            await served
        finally:
            await self.hub.remove(connection)
        return connection.socket
