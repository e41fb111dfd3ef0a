"""One request as Binance sees it: a route, and parameters that are all text until a handler asks for more.

HTTP and the WebSocket API arrive here alike, so that a handler is written once. Reading a parameter either gives the
typed value or raises Binance's own complaint about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from keeper.sim.wire import errors
from keeper.sim.wire.text import Json

MAX_PAGE = 1000
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_INTEGER = re.compile(r"-?[0-9]{1,20}")


class Security(Enum):
    """What a route asks of its caller."""

    NONE = "none"
    KEY = "key"
    SIGNED = "signed"


@dataclass(frozen=True)
class Call:
    """One request: ``params`` as sent, ``api_key`` as found in the header (empty without one)."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    api_key: str = ""
    over_socket: bool = False

    def optional(self, name: str) -> str | None:
        """The parameter, or ``None`` when it was not sent or is empty."""
        return self.params.get(name) or None

    def text(self, name: str) -> str:
        """The parameter; refuses with -1102 when it is missing."""
        value = self.optional(name)
        if value is None:
            raise errors.missing(name)
        return value

    def decimal(self, name: str) -> Decimal:
        """A mandatory decimal."""
        value = self.optional_decimal(name)
        if value is None:
            raise errors.missing(name)
        return value

    def optional_decimal(self, name: str) -> Decimal | None:
        """A decimal, or ``None`` when it was not sent; refuses with -1100 what is not a plain number."""
        sent = self.optional(name)
        if sent is None:
            return None
        if _DECIMAL.fullmatch(sent) is None:
            raise errors.illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
        return Decimal(sent)

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or ``None`` when it was not sent."""
        sent = self.optional(name)
        if sent is None:
            return None
        if _INTEGER.fullmatch(sent) is None:
            raise errors.illegal(name, "^[0-9]{1,20}$")
        return int(sent)

    def integer(self, name: str) -> int:
        """A mandatory whole number."""
        value = self.optional_integer(name)
        if value is None:
            raise errors.missing(name)
        return value

    def limit(self, default: int, maximum: int = MAX_PAGE) -> int:
        """The page size: at least one, at most ``maximum``."""
        asked = self.optional_integer("limit")
        if asked is None:
            return default
        if asked < 1:
            raise errors.invalid_data("limit")
        return min(asked, maximum)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean, spelled ``true`` or ``false`` in any case."""
        sent = self.optional(name)
        if sent is None:
            return default
        if sent.lower() not in {"true", "false"}:
            raise errors.invalid_data(name)
        return sent.lower() == "true"

    def names(self, name: str) -> list[str] | None:
        """A JSON list of texts (``symbols=["A","B"]``), or ``None`` when it was not sent."""
        sent = self.optional(name)
        if sent is None:
            return None
        try:
            value = json.loads(sent)
        except json.JSONDecodeError:
            raise errors.invalid_data(name) from None
        if not isinstance(value, list):
            raise errors.invalid_data(name)
        return [str(item) for item in value]


@dataclass(frozen=True)
class Route:
    """A handler, what it asks of its caller, and what it weighs against the limits."""

    handler: Callable[[Call], Json]
    security: Security = Security.NONE
    weight: int = 1
    is_order: bool = False


Routes: TypeAlias = dict[tuple[str, str], Route]


def public(handler: Callable[[Call], Json], weight: int = 1) -> Route:
    """A route that anybody may call."""
    return Route(handler, Security.NONE, weight)


def keyed(handler: Callable[[Call], Json], weight: int = 1) -> Route:
    """A route that needs a known API key, without a signature."""
    return Route(handler, Security.KEY, weight)


def signed(handler: Callable[[Call], Json], weight: int = 1) -> Route:
    """A route that needs a signature within the time window."""
    return Route(handler, Security.SIGNED, weight)


def order(handler: Callable[[Call], Json]) -> Route:
    """A signed route that counts against the order limit."""
    return Route(handler, Security.SIGNED, 1, is_order=True)
