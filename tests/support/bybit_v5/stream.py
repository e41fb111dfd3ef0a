"""WebSocket streams: private events, public tickers and books, and orders over the trade socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.support.bybit_v5.answers_market import orderbook
from tests.support.bybit_v5.answers_order import cancel_order, create_order
from tests.support.bybit_v5.exchange import Change, Exchange
from tests.support.bybit_v5.ledger import Holding
from tests.support.bybit_v5.market import Market
from tests.support.bybit_v5.rows import account_row, execution_row, order_row, position_row
from tests.support.bybit_v5.server import Server, signature
from tests.support.bybit_v5.wire import Json, Refusal

PRIVATE_TOPICS = frozenset({"order", "execution", "position", "wallet"})
PUBLIC_KINDS = frozenset({"linear", "inverse", "spot", "option"})
QUEUE_LENGTH = 10_000
# the fields of a ticker that a price move changes: what a delta carries
MOVING = ("lastPrice", "markPrice", "indexPrice", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "fundingRate")


@dataclass(slots=True)
class Connection:
    """One socket. Frames are sent by a task of its own, so that no event waits for a slow reader."""

    id: str
    kind: str
    socket: web.WebSocketResponse
    authenticated: bool = False
    topics: set[str] = field(default_factory=set)
    frames: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))

    def say(self, message: Json) -> None:
        """Queue one frame."""
        self.frames.put_nowait(json.dumps(message))

    async def write(self) -> None:
        """Send frames until the socket is gone."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self.socket.send_str(await self.frames.get())


class Streams:
    """All sockets of the venue, fed by the exchange's changes and prices."""

    def __init__(self, exchange: Exchange, server: Server) -> None:
        self.exchange = exchange
        self.server = server
        self.connections: list[Connection] = []
        self.opened = 0
        self._awaited: list[tuple[str, asyncio.Future[None]]] = []
        self.silent = False
        self.repeats = 0
        self.refuse_logins = False
        server.app.router.add_get("/v5/private", self._serve)
        server.app.router.add_get("/v5/trade", self._serve)
        server.app.router.add_get("/v5/public/{kind}", self._serve)
        exchange.on_change.append(self._changed)
        exchange.on_price.append(self._priced)

    async def subscribed(self, topic: str) -> None:
        """Wait until some socket has a subscription to a topic."""
        if any(topic in connection.topics for connection in self.connections):
            return
        standing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append((topic, standing))
        await standing

    def cut(self) -> None:
        """Cut every socket without a closing handshake."""
        for connection in self.connections:
            transport = connection.socket._req.transport if connection.socket._req is not None else None
            connection.topics.clear()
            if transport is not None:
                transport.abort()

    def garble(self) -> None:
        """Send a frame that is no JSON to every socket."""
        for connection in self.connections:
            connection.frames.put_nowait('{"topic": "order", "data": [')

    # -- one socket

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        kind = request.match_info.get("kind", request.path.rsplit("/", 1)[-1])
        if kind not in PUBLIC_KINDS | {"private", "trade"}:
            raise web.HTTPNotFound
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.opened += 1
        connection = Connection(f"conn-{self.opened}", kind, socket)
        self.connections.append(connection)
        writer = asyncio.create_task(connection.write())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._heard(connection, json.loads(message.data))
        finally:
            self.connections.remove(connection)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket

    def _heard(self, connection: Connection, message: Json) -> None:
        operation = message.get("op")
        if operation == "ping":
            self._pong(connection, message)
        elif operation == "auth":
            self._login(connection, message)
        elif operation == "subscribe":
            self._subscribe(connection, message)
        elif operation == "unsubscribe":
            connection.topics -= set(message.get("args", []))
            connection.say(self._receipt(connection, message))
        elif operation in {"order.create", "order.cancel"} and connection.kind == "trade":
            self._order(connection, message)
        else:
            connection.say(self._receipt(connection, message, "error:invalid op"))

    def _receipt(self, connection: Connection, message: Json, problem: str = "") -> Json:
        receipt: Json = {"success": not problem, "ret_msg": problem, "conn_id": connection.id, "op": message.get("op")}
        return {**receipt, "req_id": str(message["req_id"])} if "req_id" in message else receipt

    def _pong(self, connection: Connection, message: Json) -> None:
        request_id = str(message.get("req_id", ""))
        if connection.kind in PUBLIC_KINDS:
            pong = {"success": True, "ret_msg": "pong", "conn_id": connection.id, "req_id": request_id, "op": "ping"}
        else:
            now = [str(self.exchange.now_ms())]
            pong = {"req_id": request_id, "op": "pong", "args": now, "conn_id": connection.id}
        connection.say(pong)

    def _login(self, connection: Connection, message: Json) -> None:
        key, expires, signed = [*message.get("args", []), "", "", ""][:3]
        right = key == self.server.api_key and signed == signature(self.server.secret, f"GET/realtime{expires}")
        in_time = str(expires).isdigit() and int(expires) > self.exchange.now_ms()
        connection.authenticated = right and in_time and not self.refuse_logins
        if connection.kind == "trade":
            code, text = (0, "OK") if connection.authenticated else (10004, "Invalid sign")
            connection.say({"retCode": code, "retMsg": text, "op": "auth", "connId": connection.id})
            return
        problem = "" if connection.authenticated else "Params Error"
        connection.say(self._receipt(connection, message, problem))

    def _subscribe(self, connection: Connection, message: Json) -> None:
        wanted = [str(topic) for topic in message.get("args", [])]
        if connection.kind == "private" and not connection.authenticated:
            connection.say(self._receipt(connection, message, "error:not auth"))
            return
        strange = [topic for topic in wanted if not self._known(connection, topic)]
        if strange:
            problem = f"error:handler not found,topic:{strange[0]}"
            connection.say(self._receipt(connection, message, problem))
            return
        connection.say(self._receipt(connection, message))
        for topic in wanted:
            connection.topics.add(topic)
            self._snapshot(connection, topic)
            for awaited, standing in self._awaited:
                if awaited == topic and not standing.done():
                    standing.set_result(None)

    def _known(self, connection: Connection, topic: str) -> bool:
        if connection.kind == "private":
            return topic in PRIVATE_TOPICS
        name, _, rest = topic.partition(".")
        symbol = rest.rsplit(".", 1)[-1]
        named = f"{connection.kind}:{symbol}" in self.exchange.markets
        return name in {"tickers", "orderbook", "publicTrade", "kline"} and named

    def _order(self, connection: Connection, message: Json) -> None:
        answer = {"reqId": message.get("reqId", ""), "op": message["op"], "connId": connection.id, "header": {}}
        action = create_order if message["op"] == "order.create" else cancel_order
        try:
            if not connection.authenticated:
                raise Refusal(10004, "not auth")
            data = action(self.exchange, message["args"][0])
            connection.say({**answer, "retCode": 0, "retMsg": "OK", "data": data})
        except Refusal as refusal:
            connection.say({**answer, "retCode": refusal.code, "retMsg": refusal.message, "data": {}})

    # -- public events

    def _snapshot(self, connection: Connection, topic: str) -> None:
        name, _, rest = topic.partition(".")
        market = self.exchange.markets.get(f"{connection.kind}:{rest.rsplit('.', 1)[-1]}")
        if market is None:
            return
        if name == "tickers":
            self._push(connection, self._public(topic, "snapshot", self._ticker(market)))
        elif name == "orderbook":
            self._push(connection, self._public(topic, "snapshot", self._book(market, rest.split(".")[0])))

    def _priced(self, market: Market) -> None:
        unit = market.instrument
        for connection in self.connections:
            if connection.kind != unit.category:
                continue
            for topic in sorted(connection.topics):
                name, _, rest = topic.partition(".")
                if rest.rsplit(".", 1)[-1] != unit.symbol:
                    continue
                if name == "tickers" and unit.contract:
                    row = self._ticker(market)
                    moved = {key: row[key] for key in ("symbol", *MOVING)}
                    self._push(connection, self._public(topic, "delta", moved))
                elif name in {"tickers", "orderbook"}:
                    self._snapshot(connection, topic)

    def _ticker(self, market: Market) -> Json:
        """A spot ticker on the stream has no bid and no ask."""
        row = market.ticker(self.exchange.now_ms())
        if market.instrument.contract:
            return row
        return {key: value for key, value in row.items() if not key.startswith(("bid", "ask"))}

    def _book(self, market: Market, depth: str) -> Json:
        unit = market.instrument
        params = {"category": unit.category, "symbol": unit.symbol, "limit": depth}
        book = orderbook(self.exchange, params)
        return {key: book[key] for key in ("s", "b", "a", "u", "seq")}

    def _public(self, topic: str, kind: str, data: Json) -> Json:
        now = self.exchange.now_ms()
        return {"topic": topic, "type": kind, "data": data, "ts": now, "cts": now, "cs": now}

    # -- private events

    def _changed(self, change: Change) -> None:
        """The order's own event, its fills, the position (also when nothing moved), the coins that moved."""
        if change.order is not None:
            row = {**order_row(change.order), "category": change.order.instrument.category}
            self._tell("order", [row])
        self._tell("execution", [{**execution_row(e), "category": e.instrument.category} for e in change.executions])
        if change.holding is not None:
            self._tell("position", [self._position(change.holding)])
        if change.coins:
            self._tell("wallet", [account_row(self.exchange, list(change.coins))])

    def _position(self, holding: Holding) -> Json:
        """On the stream the average price has another name than over REST."""
        row = position_row(self.exchange, holding)
        row["entryPrice"] = row.pop("avgPrice")
        return {**row, "category": holding.instrument.category}

    def _tell(self, topic: str, rows: Iterable[Json]) -> None:
        data = list(rows)
        if not data:
            return
        now = self.exchange.now_ms()
        event = {"id": f"{topic}-{now}", "topic": topic, "creationTime": now, "data": data}
        for connection in self.connections:
            if connection.kind == "private" and topic in connection.topics:
                self._push(connection, event)

    def _push(self, connection: Connection, event: Json) -> None:
        if self.silent:
            return
        for _ in range(1 + self.repeats):
            connection.say(event)
