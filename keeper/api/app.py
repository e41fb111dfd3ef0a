"""The routes of the API, and the guard in front of them."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from keeper.api.bind import LOOPBACK
from keeper.api.operations import Operations, UnknownHedgeError
from keeper.api.wishes import wish_of
from keeper.core.roll_state import RollRefusedError
from keeper.core.steering import TargetError

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_HOSTS = frozenset(f"[{host}]" if ":" in host else host for host in LOOPBACK)
_MAX_BODY_BYTES = 4096
_MAX_TARGET_BYTES = 2048


def build_app(operations: Operations, token: str) -> FastAPI:
    """The API over ``operations``; every route wants ``token``. No docs pages, no CORS, errors are JSON."""
    app = FastAPI(title="keeper", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(Guard, token=token)
    _add_errors(app)

    @app.get("/api/v1/state")
    async def state() -> JSONResponse:
        return JSONResponse(operations.state())

    @app.get("/api/v1/health")
    async def health() -> JSONResponse:
        ok, text = operations.health()
        return JSONResponse({"ok": ok, "text": text}, status_code=200 if ok else 503)

    @app.post("/api/v1/hedges/{name}/pause")
    async def pause(name: str) -> JSONResponse:
        await operations.pause(name)
        return JSONResponse({"hedge": name, "paused": True})

    @app.post("/api/v1/hedges/{name}/resume")
    async def resume(name: str) -> JSONResponse:
        await operations.resume(name)
        return JSONResponse({"hedge": name, "paused": False})

    @app.post("/api/v1/hedges/{name}/flatten")
    async def flatten(name: str) -> JSONResponse:
        await operations.flatten(name)
        return JSONResponse({"hedge": name, "flattened": True})

    @app.post("/api/v1/hedges/{name}/target")
    async def target(name: str, request: Request) -> JSONResponse:
        words = request.query_params
        if len(words.multi_items()) != len(words):
            raise TargetError("something is asked for twice")
        return JSONResponse(await operations.target(name, wish_of(words)))

    @app.post("/api/v1/hedges/{name}/roll")
    async def roll(name: str, request: Request) -> JSONResponse:
        words = request.query_params
        if len(words.multi_items()) != len(words) or set(words) - {"to", "from"}:
            raise RollRefusedError("a roll takes one to and one from, and nothing else")
        return JSONResponse(await operations.roll(name, words.get("to"), words.get("from")))

    @app.post("/api/v1/wake")
    async def wake() -> JSONResponse:
        operations.wake()
        return JSONResponse({"woken": True})

    return app


class Guard:
    """Turns away, before any route is looked at, what does not come from this machine's own tools.

    A page in a browser can reach loopback by a name of its own that resolves to 127.0.0.1; the Host header gives it
    away. Then the size, then the token, compared in constant time.
    """

    def __init__(self, app: _App, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] != "http":
            return  # neither WebSockets nor a lifespan are spoken here; the server offers none
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: _Scope) -> JSONResponse | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not _is_own_host(hosts[0]):
            return _error(403, "foreign_host", "the Host header has to name localhost, 127.0.0.1 or [::1]")
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > _MAX_TARGET_BYTES:
            return _error(414, "too_long", f"the address is longer than {_MAX_TARGET_BYTES} bytes")
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) != 1 or not self._is_token(given[0]):
            text = "a bearer token is needed: the content of the keeper's token file"
            return _error(401, "unauthorized", text, {"WWW-Authenticate": "Bearer"})
        return _body_refusal(headers)

    def _is_token(self, authorization: bytes) -> bool:
        scheme, _, token = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


def _is_own_host(host: bytes) -> bool:
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text in _HOSTS
    return name in _HOSTS and port.isascii() and port.isdigit()


def _body_refusal(headers: list[tuple[bytes, bytes]]) -> JSONResponse | None:
    """No route reads a body: a small one is borne, a large one or one of unknown length is not."""
    if any(name == b"transfer-encoding" for name, _ in headers):
        return _error(411, "length_required", "a body without a Content-Length is not taken")
    for name, value in headers:
        if name == b"content-length" and (not value.isdigit() or int(value) > _MAX_BODY_BYTES):
            return _error(413, "too_large", f"a body may have {_MAX_BODY_BYTES} bytes at most")
    return None


def _error(status: int, code: str, text: str, headers: dict[str, str] | None = None, **more: object) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "text": text, **more}}, status_code=status, headers=headers)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(UnknownHedgeError)
    async def unknown_hedge(_: Request, error: UnknownHedgeError) -> JSONResponse:
        return _error(404, "unknown_hedge", str(error), near=list(error.near))

    @app.exception_handler(TargetError)
    async def bad_target(_: Request, error: TargetError) -> JSONResponse:
        return _error(400, "bad_target", str(error))

    @app.exception_handler(RollRefusedError)
    async def bad_roll(_: Request, error: RollRefusedError) -> JSONResponse:
        return _error(400, "bad_roll", str(error))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        return _error(error.status_code, code, str(error.detail), dict(error.headers or {}))

    @app.middleware("http")
    async def unforeseen(request: Request, call_next: Callable[[Request], Awaitable[Any]]) -> Any:
        try:
            return await call_next(request)
        except Exception as error:  # noqa: BLE001 - the edge: logged by type, as its text might hold what must not leave
            log = structlog.get_logger("keeper.api")
            log.error("api_request_failed", path=request.url.path, error=type(error).__name__)
            return _error(500, "internal", "the keeper could not answer this; its log names the error")
