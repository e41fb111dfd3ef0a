"""The fault menu. Each fault is armed for a path and a number of requests, and says what it does to the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.support.bybit_v5.wire import Json

Edit = Callable[[Json], None]


class Kind(Enum):
    """What goes wrong."""

    DROP = auto()  # the connection is cut without an answer
    HTTP = auto()  # an HTTP status other than 200
    CODE = auto()  # a retCode other than 0
    MALFORMED = auto()  # HTTP 200 whose body is broken JSON
    TRUNCATED = auto()  # the connection is cut in the middle of the body
    DELAY = auto()  # the answer, or before acceptance the request itself, is held
    EDIT = auto()  # the result is changed: rows missing, values wrong


@dataclass(slots=True)
class Fault:
    """One armed fault. ``accepted``: the venue processes the request before it goes wrong."""

    path: str
    kind: Kind
    times: int | None = 1
    skip: int = 0
    accepted: bool = True
    status: int = 503
    code: int = 10016
    message: str = "Server error."
    seconds: float = 0.0
    edit: Edit | None = None
    where: Callable[[Json], bool] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def fits(self, path: str, params: Json) -> bool:
        """Whether this request is one that the fault is armed for."""
        if self.times is not None and self.times <= 0:
            return False
        return path.endswith(self.path) and (self.where is None or self.where(params))


@dataclass(slots=True)
class FaultPlan:
    """The faults that are armed, first come first used, one a request."""

    armed: list[Fault] = field(default_factory=list)
    fired: list[tuple[str, Fault]] = field(default_factory=list)

    def arm(self, fault: Fault) -> Fault:
        """Add a fault."""
        self.armed.append(fault)
        return fault

    def take(self, path: str, params: Json) -> Fault | None:
        """The fault for this request, used up by one."""
        for fault in self.armed:
            if not fault.fits(path, params):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            self.fired.append((path, fault))
            return fault
        return None

    def clear(self) -> None:
        """Everything works again."""
        self.armed.clear()


def without_accounts(result: Json) -> None:
    """A wallet answer with an empty account list."""
    result["list"] = []


def without_coins(result: Json) -> None:
    """A wallet answer whose account lists no coin."""
    for account in result.get("list", []):
        account["coin"] = []


def without_coin(coin: str) -> Edit:
    """A wallet answer from which one coin is missing."""

    def edit(result: Json) -> None:
        for account in result.get("list", []):
            account["coin"] = [row for row in account["coin"] if row["coin"] != coin]

    return edit


def with_coin_at(coin: str, value: str) -> Edit:
    """A wallet answer in which one coin reads ``value``."""

    def edit(result: Json) -> None:
        for account in result.get("list", []):
            for row in account["coin"]:
                if row["coin"] == coin:
                    row |= {"walletBalance": value, "equity": value, "usdValue": value}

    return edit


def without_rows(result: Json) -> None:
    """A listing with no rows and no further page."""
    result["list"] = []
    result["nextPageCursor"] = ""


def with_field(name: str, value: object) -> Edit:
    """A listing in whose rows one field reads ``value``."""

    def edit(result: Json) -> None:
        for row in result.get("list", []):
            row[name] = value

    return edit
