"""Sockets: who is connected, what they listen to, and how a message reaches them.

Messages are queued, never awaited: an event of the exchange must not depend on how fast a client reads. A client that
lets its queue fill up is cut off, as Binance does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeAlias

from aiohttp import WSCloseCode, WSMsgType, web

from keeper.sim.types import MarketKind
from keeper.sim.wire.text import Json, compact

QUEUE_MAX = 10_000
STREAMS_MAX = 1_024

Outgoing: TypeAlias = Callable[["Connection", str], Iterable[str]]


def faithful(_connection: Connection, text: str) -> Iterable[str]:
    """Send each message once, as it is."""
    return (text,)


def _unheard(_connection: Connection) -> None:
    """Nobody wants to know."""


class Connection:
    """One socket of one product. ``combined`` wraps each message with the name of its stream."""

    def __init__(self, socket: web.WebSocketResponse, kind: MarketKind, *, combined: bool = False) -> None:
        self.socket = socket
        self.kind = kind
        self.combined = combined
        self.streams: dict[str, None] = {}
        self.account: str | None = None
        self.listen_key: str | None = None
        self.subscription_id: int | None = None
        self._queue: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self._pump: asyncio.Task[None] | None = None
        self.outgoing: Outgoing = faithful
        self.on_attached: Callable[[Connection], None] = _unheard

    def start(self) -> None:
        """Begin to send what is queued."""
        self._pump = asyncio.create_task(self._send_all())

    async def stop(self) -> None:
        """Stop sending and close the socket."""
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
        await self.socket.close(code=WSCloseCode.GOING_AWAY, drain=False)

    def send(self, body: Json) -> None:
        """Queue a message that belongs to no stream."""
        self._put(compact(body))

    def answer(self, body: Json) -> None:
        """Queue the answer to a request, which is no message of a stream and always goes out as it is."""
        self.repeat(compact(body))

    def attach(self, account: str) -> None:
        """Make this a user stream of an account."""
        self.account = account
        self.on_attached(self)

    def publish(self, stream: str, body: Json) -> None:
        """Queue a stream's message, in the form that this connection asked for."""
        self._put(compact({"stream": stream, "data": body} if self.combined else body))

    def _put(self, text: str) -> None:
        for each in self.outgoing(self, text):
            self.repeat(each)

    def repeat(self, text: str) -> None:
        """Queue a text as it is; a client whose queue is full is cut off."""
        if self._queue.full():
            self.cut()
        else:
            self._queue.put_nowait(text)

    def cut(self) -> None:
        """Break the connection without saying goodbye."""
        transport = self.socket._req.transport if self.socket._req is not None else None  # noqa: SLF001  aiohttp has no abort
        if transport is not None:
            transport.abort()

    async def _send_all(self) -> None:
        while True:
            text = await self._queue.get()
            try:
                await self.socket.send_str(text)
            except (ConnectionError, RuntimeError):  # the peer has gone; the reading side ends the connection
                return


class StreamHub:
    """All stream connections, and the subscriptions on them."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.outgoing: Outgoing = faithful
        self.on_attached: Callable[[Connection], None] = _unheard
        self.on_subscribed: Callable[[Connection, list[str]], None] = lambda _connection, _names: None

    def add(self, connection: Connection) -> None:
        """Take in a connection."""
        connection.outgoing = self._pass
        connection.on_attached = self.on_attached
        connection.start()
        self.connections.append(connection)

    def _pass(self, connection: Connection, text: str) -> Iterable[str]:
        return self.outgoing(connection, text)

    async def remove(self, connection: Connection) -> None:
        """Forget a connection and close its socket."""
        if connection in self.connections:
            self.connections.remove(connection)
        await connection.stop()

    async def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self.connections):
            await self.remove(connection)

    def cut_all(self) -> None:
        """Break every connection at once, as a venue that restarts does."""
        for connection in tuple(self.connections):
            connection.cut()

    # --- streams ----------------------------------------------------------------------------------------------------

    def wanted(self, kind: MarketKind) -> dict[str, None]:
        """The names of all streams of a product that somebody listens to."""
        names: dict[str, None] = {}
        for connection in self.connections:
            if connection.kind is kind:
                names |= connection.streams
        return names

    def publish(self, kind: MarketKind, stream: str, body: Json) -> None:
        """Send a stream's message to whoever listens to it."""
        for connection in tuple(self.connections):
            if connection.kind is kind and stream in connection.streams:
                connection.publish(stream, body)

    def to_account(self, kind: MarketKind, account: str, body: Json) -> None:
        """Send an account's own event to its user streams of that product."""
        for connection in tuple(self.connections):
            if connection.kind is not kind or connection.account != account:
                continue
            if connection.subscription_id is not None:
                connection.send({"subscriptionId": connection.subscription_id, "event": body})
            elif connection.listen_key is not None:
                connection.publish(connection.listen_key, body)

    # --- requests on a stream connection ----------------------------------------------------------------------------

    async def serve(self, connection: Connection) -> None:
        """Read subscription requests until the peer goes away."""
        async for message in connection.socket:
            if message.type is WSMsgType.TEXT:
                self._request(connection, message.data)

    def subscribe(self, connection: Connection, names: list[str]) -> None:
        """Add streams to a connection and let the feed greet them."""
        connection.streams |= dict.fromkeys(names)
        self.on_subscribed(connection, names)

    def _request(self, connection: Connection, text: str) -> None:
        try:
            request = json.loads(text)
        except json.JSONDecodeError:
            connection.answer({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        if not isinstance(request, dict):
            connection.answer({"error": {"code": 2, "msg": "Invalid request: request must be an object"}})
            return
        identity, params = request.get("id"), request.get("params") or []
        names = [str(name) for name in params] if isinstance(params, list) else []
        method = request.get("method")
        if method == "SUBSCRIBE":
            if len(connection.streams) + len(names) > STREAMS_MAX:
                connection.answer({"error": {"code": 2, "msg": "Invalid request: too many streams"}, "id": identity})
                return
            connection.answer({"result": None, "id": identity})
            self.subscribe(connection, names)
        elif method == "UNSUBSCRIBE":
            for name in names:
                connection.streams.pop(name, None)
            connection.answer({"result": None, "id": identity})
        elif method == "LIST_SUBSCRIPTIONS":
            connection.answer({"result": list(connection.streams), "id": identity})
        elif method == "SET_PROPERTY" and names[:1] == ["combined"]:
            connection.combined = bool(params[1])
            connection.answer({"result": None, "id": identity})
        else:
            complaint: Json = {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}
            connection.answer({"error": complaint, "id": identity})
