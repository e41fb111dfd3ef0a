"""What every part of the wire shares: refusals, parameters, numbers as text."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from tests.support.bybit_v5.wire import text

Json = dict[str, Any]
Rows = list[Json]
Number = Decimal | int | str

ZERO = Decimal(0)


class Refusal(Exception):  # noqa: N818 - the venue's own word for what it answers with a code
    """The venue answers with ``code``; an ``item`` of a request (an order) is refused inside ``data``, by ``sCode``."""

    def __init__(self, code: str, message: str, status: int = 200, item: Json | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status
        self.item = item

    def envelope(self) -> Json:
        """The whole answer."""
        if self.item is None:
            return {"code": self.code, "data": [], "msg": self.message}
        row = {"clOrdId": "", "ordId": "", "tag": "", **self.item, "sCode": self.code, "sMsg": self.message}
        return {"code": "1", "data": [row], "msg": "All operations failed"}


def word(params: Json, name: str) -> str:
    """A text parameter, empty when absent."""
    raw = params.get(name)
    return "" if raw is None else str(raw)


def needed(params: Json, name: str) -> str:
    """A text parameter that has to be there."""
    found = word(params, name)
    if not found:
        raise Refusal("50014", f"Parameter {name} cannot be empty.", 400)
    return found


def number(params: Json, name: str) -> Decimal | None:
    """A numeric parameter, None when absent."""
    raw = word(params, name)
    if not raw:
        return None
    try:
        return Decimal(raw)
    except InvalidOperation as error:
        raise Refusal("51000", f"Parameter {name} error") from error


__all__ = ["ZERO", "Json", "Number", "Refusal", "Rows", "needed", "number", "text", "word"]
