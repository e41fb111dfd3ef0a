"""What every part of the wire shares: numbers as text, refusals, pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from urllib.parse import quote, unquote

Json = dict[str, Any]
Number = Decimal | int | str
T = TypeVar("T")

ZERO = Decimal(0)
ONE = Decimal(1)
COIN = Decimal("0.00000001")  # the venue books coins to eight places


class Refusal(Exception):  # noqa: N818 - the venue's own word for a request that it answers with a retCode
    """The venue answers with ``retCode`` other than 0."""

    def __init__(self, code: int, message: str, result: Json | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.result = result or {}


def text(value: Decimal) -> str:
    """A decimal as the venue writes it: plain, no exponent, no trailing zeros, no negative zero."""
    if value == 0:
        return "0"
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def coins(value: Decimal) -> Decimal:
    """Rounded to the precision in which the venue books money."""
    return value.quantize(COIN)


def number(params: Json, name: str) -> Decimal | None:
    """A numeric parameter, None when absent or empty; 10001 when it is no finite number."""
    raw = params.get(name)
    if raw is None or raw == "":
        return None
    try:
        value = Decimal(str(raw))
    except InvalidOperation as error:
        raise Refusal(10001, f"params error: {name} invalid") from error
    if not value.is_finite():
        raise Refusal(10001, f"params error: {name} invalid")
    return value


def word(params: Json, name: str) -> str:
    """A text parameter, empty when absent."""
    raw = params.get(name)
    return "" if raw is None else str(raw)


def flag(params: Json, name: str) -> bool:
    """A boolean parameter; the venue also takes it as text."""
    return str(params.get(name, "")).lower() == "true"


def page(rows: Sequence[T], params: Json, identity: Callable[[T], str], default: int, most: int) -> tuple[list[T], str]:
    """One page of rows and the cursor of the next.

    Like the venue, a cursor comes with every page that has rows, the last one too: only an empty page ends a listing.
    The cursor is percent-encoded and has to be sent back as it is.
    """
    asked = number(params, "limit")
    limit = default if asked is None else int(asked)
    if limit <= 0:
        raise Refusal(10001, "params error: limit invalid")
    limit = min(limit, most)
    start = 0
    cursor = unquote(word(params, "cursor"))
    if cursor:
        last = cursor.rsplit(":", 1)[0]
        places = [place for place, row in enumerate(rows) if identity(row) == last]
        if not places:
            raise Refusal(10001, "params error: cursor invalid")
        start = places[0] + 1
    found = list(rows[start : start + limit])
    return found, quote(f"{identity(found[-1])}:{len(found)}", safe="") if found else ""
