"""The WebSocket API: the same requests as over HTTP, in JSON over one socket, and spot's user-data subscription.

A method is a name for a route, so everything that holds for a route (signatures, refusals, the gate, the journal of
requests) holds here.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import WSMsgType

from keeper.sim.types import MarketKind
from keeper.sim.wire.auth import Authenticator, signed_params
from keeper.sim.wire.dispatch import Dispatcher
from keeper.sim.wire.errors import WireError
from keeper.sim.wire.request import Call
from keeper.sim.wire.streams import Connection
from keeper.sim.wire.text import Json

_COMMON = {
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.cancel": ("DELETE", "order"),
    "order.status": ("GET", "order"),
    "account.status": ("GET", "account"),
    "depth": ("GET", "depth"),
    "klines": ("GET", "klines"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
}
_SPOT = {
    "exchangeInfo": ("GET", "exchangeInfo"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "trades.recent": ("GET", "trades"),
    "ticker.24hr": ("GET", "ticker/24hr"),
}
_FUTURES = {
    "account.balance": ("GET", "balance"),
    "account.position": ("GET", "positionRisk"),
}
_LINEAR_V2 = {
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
}
_PREFIX = {MarketKind.SPOT: "/api/v3", MarketKind.LINEAR: "/fapi/v1", MarketKind.INVERSE: "/dapi/v1"}


def _methods(kind: MarketKind) -> dict[str, tuple[str, str]]:
    names = _COMMON | (_SPOT if kind is MarketKind.SPOT else _FUTURES)
    methods = {name: (verb, f"{_PREFIX[kind]}/{path}") for name, (verb, path) in names.items()}
    return methods | _LINEAR_V2 if kind is MarketKind.LINEAR else methods


class WsApi:
    """Serves one product's WebSocket API."""

    def __init__(self, dispatcher: Dispatcher, authenticator: Authenticator, kind: MarketKind) -> None:
        self._dispatcher = dispatcher
        self._authenticator = authenticator
        self._kind = kind
        self._methods = _methods(kind)

    async def serve(self, connection: Connection) -> None:
        """Answer requests until the peer goes away."""
        async for message in connection.socket:
            if message.type is WSMsgType.TEXT:
                await self._request(connection, message.data)

    async def _request(self, connection: Connection, text: str) -> None:
        identity: Json = None
        try:
            request = json.loads(text)
            identity = request.get("id")
            method = str(request.get("method"))
            params = {str(name): _plain(value) for name, value in (request.get("params") or {}).items()}
        except (json.JSONDecodeError, AttributeError):
            self._refuse(connection, identity, WireError(-1135, "Invalid JSON Request"))
            return
        call = Call("WS", method, params, params.get("apiKey", ""))
        if method.startswith("userDataStream.") and self._kind is MarketKind.SPOT:
            self._user_data(connection, identity, method, call)
            return
        found = self._methods.get(method)
        if found is None:
            self._refuse(connection, identity, WireError(-1000, f"Unknown method '{method}'."))
            return
        verb, path = found
        routed = Call(verb, path, params, call.api_key, over_socket=True)
        reply = await self._dispatcher.answer(routed, signed_params(params))
        if reply.dropped:
            connection.cut()
            return
        try:
            body: Json = json.loads(reply.text)
        except json.JSONDecodeError:  # a gateway's page, or a body that was spoilt: it goes out as it is
            connection.repeat(reply.text)
            return
        part = "result" if reply.status == 200 else "error"
        connection.answer({"id": identity, "status": reply.status, part: body, "rateLimits": []})

    def _user_data(self, connection: Connection, identity: Json, method: str, call: Call) -> None:
        try:
            if method == "userDataStream.subscribe.signature":
                self._authenticator.signed(call, signed_params(call.params))
                connection.subscription_id = 0
                connection.attach(call.api_key)
            elif method == "userDataStream.unsubscribe":
                connection.account = None
                connection.subscription_id = None
            else:
                raise WireError(-1000, f"Unknown method '{method}'.")
        except WireError as refusal:
            self._refuse(connection, identity, refusal)
            return
        subscription: Json = {} if connection.subscription_id is None else {"subscriptionId": 0}
        connection.answer({"id": identity, "status": 200, "result": subscription, "rateLimits": []})

    def _refuse(self, connection: Connection, identity: Json, refusal: WireError) -> None:
        connection.answer({"id": identity, "status": refusal.status, "error": refusal.body(), "rateLimits": []})


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
