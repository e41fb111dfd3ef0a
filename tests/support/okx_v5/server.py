"""HTTP on loopback: signatures, envelopes, faults, the record of what was asked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from urllib.parse import parse_qsl

from aiohttp import web

from tests.support.bybit_v5.faults import Fault, FaultPlan, Kind
from tests.support.bybit_v5.server import Asked, Recorded
from tests.support.okx_v5.answers import PRIVATE, PUBLIC
from tests.support.okx_v5.exchange import Exchange
from tests.support.okx_v5.wire import Json, Refusal, word

API_KEY, SECRET, PASSPHRASE = "loopback-okx-key", "loopback-okx-secret", "loopback-okx-passphrase"
LOOPBACK = "127.0.0.1"
WINDOW_MS = 30_000
ORDER = "/api/v5/trade/order"


class Server:
    """The endpoints over one exchange. It can be killed and revived on the same port.

    ``demo`` is what the header ``x-simulated-trading`` has to say: the venue's demo and live keys do not mix.
    """

    def __init__(self, exchange: Exchange, faults: FaultPlan, *, demo: bool) -> None:
        self.exchange = exchange
        self.faults = faults
        self.demo = demo
        self.requests: list[Recorded] = []
        self.unknown: list[str] = []
        self.told_skew_ms = 0
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self) -> None:
        """Listen on a free port, or again on the one it had."""
        if self._runner is None:
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", self._handle)
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await self._runner.setup()
        self._site = web.TCPSite(self._runner, LOOPBACK, self.port)
        await self._site.start()
        if not self.port:
            self.port = int(self._runner.addresses[0][1])

    async def kill(self) -> None:
        """Refuse connections and cut those that stand."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        server = self._runner.server if self._runner is not None else None
        for connection in list(server.connections) if server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()

    async def stop(self) -> None:
        """Give the port back."""
        await self.kill()
        if self._runner is not None:
            await self._runner.cleanup()

    # -- one request

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        _, _, query = request.raw_path.partition("?")
        params = dict(parse_qsl(query, keep_blank_values=True)) if request.method == "GET" else _loaded(body)
        asked = Asked(request.method, request.path, query, body, params, dict(request.headers))
        signed = "OK-ACCESS-SIGN" in request.headers
        self.requests.append(Recorded(asked.method, asked.path, params, signed, self.exchange.now_ms()))
        fault = self.faults.take(f"{asked.method} {asked.path}", params)
        if fault is None:
            return _reply(*self._answer(asked))
        return await self._handle_badly(request, asked, fault)

    async def _handle_badly(self, request: web.Request, asked: Asked, fault: Fault) -> web.StreamResponse:
        if fault.kind is Kind.DELAY and not fault.accepted:
            await self.exchange.clock.sleep(fault.seconds)
        does = fault.accepted or fault.kind is Kind.DELAY
        status, answer = self._answer(asked) if does else (200, _envelope([]))
        if fault.kind is Kind.DELAY and fault.accepted:
            await self.exchange.clock.sleep(fault.seconds)
        if fault.kind is Kind.DROP:
            _cut(request)
            return web.Response()
        if fault.kind is Kind.TRUNCATED:
            return await _half(request, json.dumps(answer))
        if fault.kind is Kind.HTTP:
            page = f"<html><body>{fault.status} {fault.message}</body></html>"
            return web.Response(status=fault.status, text=page, content_type="text/html", headers=fault.headers)
        if fault.kind is Kind.CODE:
            refusal = Refusal(str(fault.code), fault.message, fault.status, _item(asked, fault.code))
            return _reply(refusal.status, refusal.envelope())
        if fault.kind is Kind.MALFORMED:
            return web.Response(text=json.dumps(answer)[:-9], content_type="application/json")
        if fault.edit is not None and answer["code"] == "0":
            fault.edit(answer)
        return _reply(status, answer)

    def _answer(self, asked: Asked) -> tuple[int, Json]:
        route = (asked.method, asked.path)
        try:
            answer = PUBLIC.get(route)
            if answer is None:
                answer = PRIVATE.get(route)
                if answer is None:
                    self.unknown.append(f"{asked.method} {asked.path}")
                    return 404, {"code": "404", "msg": "Not Found", "data": [], "error_code": "404"}
                self._authenticate(asked)
            rows = answer(self.exchange, asked.params)
        except Refusal as refusal:
            return refusal.status, refusal.envelope()
        if asked.path == "/api/v5/public/time":
            rows = [{"ts": str(int(rows[0]["ts"]) + self.told_skew_ms)}]
        return 200, _envelope(rows)

    def _authenticate(self, asked: Asked) -> None:
        headers = {name.upper(): value for name, value in asked.headers.items()}
        stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
        if not headers.get("OK-ACCESS-KEY"):
            raise Refusal("50103", 'Request header "OK-ACCESS-KEY" cannot be empty.', 401)
        if headers["OK-ACCESS-KEY"] != API_KEY:
            raise Refusal("50111", "Invalid OK-ACCESS-KEY.", 401)
        if (headers.get("X-SIMULATED-TRADING") == "1") is not self.demo:
            raise Refusal("50101", "APIKey does not match current environment.", 401)
        try:
            asked_ms = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() * 1000
        except ValueError as error:
            raise Refusal("50112", "Invalid OK-ACCESS-TIMESTAMP.", 401) from error
        if abs(asked_ms - self.exchange.now_ms()) > WINDOW_MS:
            raise Refusal("50102", "Timestamp request expired.", 401)
        if headers.get("OK-ACCESS-PASSPHRASE") != PASSPHRASE:
            raise Refusal("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
        path = f"{asked.path}?{asked.query}" if asked.query else asked.path
        sign = hmac.new(SECRET.encode(), f"{stamp}{asked.method}{path}{asked.body}".encode(), hashlib.sha256)
        if headers.get("OK-ACCESS-SIGN") != base64.b64encode(sign.digest()).decode():
            raise Refusal("50113", "Invalid Sign.", 401)
        if asked.method == "POST" and "trade" not in self.exchange.rights.split(","):
            raise Refusal("50120", "This API key doesn't have permission to use this function.", 401)


def _item(asked: Asked, code: int) -> Json | None:
    """What is wrong with an order is said of the order; what is wrong with the request, or the venue, of the whole."""
    said_inside = asked.method == "POST" and "/trade/" in asked.path and code >= 51_000
    return {"clOrdId": word(asked.params, "clOrdId")} if said_inside else None


def _envelope(rows: list[Json]) -> Json:
    return {"code": "0", "data": rows, "msg": ""}


def _reply(status: int, answer: Json) -> web.Response:
    return web.json_response(answer, status=status)


def _loaded(body: str) -> Json:
    loaded = json.loads(body or "{}")
    return loaded if isinstance(loaded, dict) else {}


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _half(request: web.Request, whole: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(whole)
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2].encode())
    _cut(request)
    return response
