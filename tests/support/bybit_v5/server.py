"""HTTP on loopback: signatures, envelopes, faults, the record of what was asked."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from tests.support.bybit_v5.answers_account import API_KEY, PRIVATE_ACCOUNT
from tests.support.bybit_v5.answers_market import PUBLIC
from tests.support.bybit_v5.answers_order import PRIVATE_ORDER
from tests.support.bybit_v5.exchange import Exchange
from tests.support.bybit_v5.faults import Fault, FaultPlan, Kind
from tests.support.bybit_v5.wire import Json, Refusal

SECRET = "loopback-secret"
LOOPBACK = "127.0.0.1"
AHEAD_MS = 1_000  # how far a request's timestamp may run before the venue's clock
# requests a second and user on each endpoint, as the venue publishes them for a unified account
PUBLISHED_LIMITS = {
    "/v5/order/create": 10,
    "/v5/order/cancel": 10,
    "/v5/order/cancel-all": 10,
    "/v5/order/realtime": 50,
    "/v5/order/history": 50,
    "/v5/execution/list": 50,
    "/v5/position/list": 50,
    "/v5/position/set-leverage": 10,
    "/v5/account/wallet-balance": 50,
}
PRIVATE = {**PRIVATE_ACCOUNT, **PRIVATE_ORDER}
Answer = Callable[[Exchange, Json], Json]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it arrived, in order; ``params`` is the query or the JSON body."""

    method: str
    path: str
    params: Json
    signed: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read once."""

    method: str
    path: str
    query: str
    body: str
    params: Json
    headers: dict[str, str]


def signature(secret: str, message: str) -> str:
    """HMAC-SHA256 as the venue checks it."""
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


class Budget:
    """Requests of the last second on each limited endpoint."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self._spent: dict[str, deque[int]] = {}

    def spend(self, path: str, now_ms: int) -> dict[str, str]:
        """Count a request; its headers, or the refusal 10006 once the second's budget is gone."""
        limit = self.limits.get(path)
        if limit is None:
            return {}
        spent = self._spent.setdefault(path, deque())
        while spent and spent[0] <= now_ms - 1000:
            spent.popleft()
        if len(spent) >= limit:
            raise Refusal(10006, "Too many visits. Exceeded the API Rate Limit.")
        spent.append(now_ms)
        left = str(limit - len(spent))
        reset = str(spent[0] + 1000)
        return {"X-Bapi-Limit": str(limit), "X-Bapi-Limit-Status": left, "X-Bapi-Limit-Reset-Timestamp": reset}


class Server:
    """The endpoints over one exchange. It can be killed and revived on the same port."""

    def __init__(self, exchange: Exchange, faults: FaultPlan) -> None:
        self.exchange = exchange
        self.faults = faults
        self.requests: list[Recorded] = []
        self.unknown: list[str] = []
        self.api_key, self.secret = API_KEY, SECRET
        self.told_skew_ms = 0
        self.budget = Budget({})
        self.port = 0
        self.app = web.Application()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self) -> None:
        """Listen on a free port, or again on the one it had."""
        if self._runner is None:
            self.app.router.add_route("*", "/{tail:.*}", self._handle)
            self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.1)
            await self._runner.setup()
        self._site = web.TCPSite(self._runner, LOOPBACK, self.port)
        await self._site.start()
        if not self.port:
            self.port = int(self._runner.addresses[0][1])

    async def kill(self) -> None:
        """Refuse connections and cut those that stand, streams too."""
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
        params = _params(request.method, query, body)
        asked = Asked(request.method, request.path, query, body, params, dict(request.headers))
        signed = "X-BAPI-SIGN" in request.headers
        self.requests.append(Recorded(asked.method, asked.path, params, signed, self.exchange.now_ms()))
        fault = self.faults.take(asked.path, params)
        if fault is None:
            return self._handle_well(asked)
        return await self._handle_badly(request, asked, fault)

    def _handle_well(self, asked: Asked) -> web.Response:
        try:
            headers = self.budget.spend(asked.path, self.exchange.now_ms())
        except Refusal as refusal:
            return self._reply(self._envelope({}, refusal.code, refusal.message), {"X-Bapi-Limit-Status": "0"})
        return self._reply(self._answer(asked), headers)

    async def _handle_badly(self, request: web.Request, asked: Asked, fault: Fault) -> web.StreamResponse:
        if fault.kind is Kind.DELAY and not fault.accepted:
            await self.exchange.clock.sleep(fault.seconds)
        answers = fault.accepted or fault.kind is Kind.DELAY
        answer = self._answer(asked, fault) if answers else self._envelope({})
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
            return self._reply(self._envelope({}, fault.code, fault.message), fault.headers)
        if fault.kind is Kind.MALFORMED:
            return web.Response(text=json.dumps(answer)[:-9], content_type="application/json")
        return self._reply(answer, fault.headers)

    def _answer(self, asked: Asked, fault: Fault | None = None) -> Json:
        route = (asked.method, asked.path)
        answer: Answer | None = PUBLIC.get(route)
        try:
            if answer is None:
                answer = PRIVATE.get(route)
                if answer is None:
                    self.unknown.append(asked.path)
                    raise Refusal(10017, "request path not found or request method is invalid")
                self._authenticate(asked)
            result = answer(self.exchange, asked.params)
        except Refusal as refusal:
            return self._envelope(refusal.result, refusal.code, refusal.message)
        if fault is not None and fault.edit is not None:
            fault.edit(result)
        envelope = self._envelope(result)
        if asked.path == "/v5/market/time":
            told = self.exchange.now_ms() + self.told_skew_ms
            envelope["time"] = told
            result |= {"timeSecond": str(told // 1000), "timeNano": str(told * 1_000_000)}
        return envelope

    def _authenticate(self, asked: Asked) -> None:
        headers = asked.headers
        key, stamp = headers.get("X-BAPI-API-KEY", ""), headers.get("X-BAPI-TIMESTAMP", "")
        sign, window = headers.get("X-BAPI-SIGN", ""), headers.get("X-BAPI-RECV-WINDOW", "5000")
        if not (key and stamp and sign):
            raise Refusal(10001, f"empty value: apiTimestamp[{stamp}] apiKey[{key}]: openapi sign params error!")
        if key != self.api_key:
            raise Refusal(10003, "API key is invalid.")
        now = self.exchange.now_ms()
        if not stamp.isdigit() or not now - int(window) <= int(stamp) < now + AHEAD_MS:
            message = "invalid request, please check your server timestamp or recv_window param."
            raise Refusal(10002, f"{message} req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]")
        payload = asked.body if asked.method == "POST" else asked.query
        if not hmac.compare_digest(sign, signature(self.secret, stamp + key + window + payload)):
            raise Refusal(10004, "error sign! please check your signature generation algorithm.")

    def _envelope(self, result: Json, code: int = 0, message: str = "OK") -> Json:
        return {
            "retCode": code,
            "retMsg": message,
            "result": result,
            "retExtInfo": {},
            "time": self.exchange.now_ms(),
        }

    def _reply(self, envelope: Json, headers: dict[str, str] | None = None) -> web.Response:
        limits = {
            "X-Bapi-Limit": "50",
            "X-Bapi-Limit-Status": "49",
            "X-Bapi-Limit-Reset-Timestamp": str(self.exchange.now_ms()),
        }
        return web.json_response(envelope, headers={**limits, **(headers or {})})


def _params(method: str, query: str, body: str) -> Json:
    if method != "POST":
        return dict(parse_qsl(query, keep_blank_values=True))
    try:
        loaded = json.loads(body or "{}")
    except json.JSONDecodeError:
        return {}
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
