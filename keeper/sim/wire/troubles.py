"""How a request that goes wrong looks on the wire: a status, a code, a page, a broken body, no answer at all."""

from __future__ import annotations

import re
from dataclasses import replace

from keeper.sim.troubles import Garble, RateLimitedFaultError, ReplyLostError, ServerTroubleError, TroubleError
from keeper.sim.wire.reply import Reply
from keeper.sim.wire.text import Json, compact

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_NEVER_NULL = frozenset(
    {"time", "updateTime", "E", "orderId", "id", "code", "lastUpdateId", "update_id", "T", "transactTime"}
)


def reply_to(trouble: TroubleError) -> tuple[Reply, int]:
    """The reply that a trouble is, and Binance's code in it (0: none)."""
    if isinstance(trouble, ReplyLostError):
        return Reply(0, "", dropped=True), 0
    if isinstance(trouble, RateLimitedFaultError):
        text = f"Way too many requests; IP banned for {trouble.retry_after_seconds} s."
        message = text if trouble.status == 418 else "Too many requests; current limit of IP is reached."
        headers = {"Retry-After": str(trouble.retry_after_seconds)}
        return Reply(trouble.status, compact({"code": -1003, "msg": message}), headers), -1003
    if isinstance(trouble, ServerTroubleError) and trouble.code is not None:
        return Reply(trouble.status, compact({"code": trouble.code, "msg": trouble.message})), trouble.code
    status = trouble.status if isinstance(trouble, ServerTroubleError) else 500
    page = f"<html><head><title>{status}</title></head><body>{trouble.message}</body></html>"
    return Reply(status, page, {"Content-Type": "text/html"}), 0


def garbled(reply: Reply, body: Json, garble: Garble) -> Reply:
    """The reply with its body spoilt."""
    if garble is Garble.NULLS:
        return replace(reply, text=compact(_nulled(body)))
    if garble is Garble.CUT_SHORT:
        return replace(reply, text=reply.text[: max(1, len(reply.text) * 2 // 3)])
    return replace(reply, text="<html><body>upstream connect error</body></html>")


def _nulled(body: Json) -> Json:
    """The body with its numbers null, whether they are written as numbers or as text."""
    if isinstance(body, dict):
        return {name: value if name in _NEVER_NULL else _nulled(value) for name, value in body.items()}
    if isinstance(body, list):
        return [_nulled(each) for each in body]
    if isinstance(body, bool):
        return body
    if isinstance(body, str):
        return None if _NUMBER.fullmatch(body) else body
    return None
