"""What the control API's routes share: how they are described, read, answered and refused."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from keeper.sim.errors import SimError
from keeper.sim.wire.text import Json

REFUSED, MALFORMED = 409, 400

Body = TypeVar("Body", bound=BaseModel)
Action: TypeAlias = Callable[[web.Request], Awaitable[Json]]


@dataclass(frozen=True)
class Route:
    """One route, and how it describes itself: what it does, and a body that works."""

    method: str
    path: str
    action: Action
    does: str
    example: Mapping[str, Any]


class MalformedError(Exception):
    """The request cannot be understood; the text is the answer."""


async def read(request: web.Request, shape: type[Body]) -> Body:
    """The body of a request; raises :class:`MalformedError` saying which field was wrong."""
    try:
        return shape.model_validate(json.loads(await request.text(), parse_float=Decimal))
    except json.JSONDecodeError as error:
        raise MalformedError(f"the body is not JSON: {error}") from error
    except ValidationError as error:
        told = [f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}" for each in error.errors()]
        raise MalformedError("; ".join(told)) from error


def answering(action: Action) -> Handler:
    """An action as aiohttp wants it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(await action(request))

    return answer


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is JSON: what was wrong, and where to look."""
    try:
        return await handler(request)
    except MalformedError as error:
        return _refusal(MALFORMED, "bad_request", str(error))
    except SimError as error:
        return _refusal(REFUSED, error.kind.value, error.message)
    except web.HTTPException as error:
        if error.status < MALFORMED:
            raise
        return _refusal(error.status, "no_such_route", f"{request.method} {request.path}: GET / lists the routes")


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
