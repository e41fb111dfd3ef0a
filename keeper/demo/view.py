"""What the demo shows at a moment, as plain values; the faces in ``screen`` and ``lines`` only lay it out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from keeper.demo.books import Held, Money
from keeper.demo.setting import Protected


class Voice(StrEnum):
    """Whose doing an event is."""

    MARKET = "market"
    OWNER = "owner"
    KEEPER = "keeper"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that just happened, at a minute of the day."""

    minute: float
    voice: Voice
    text: str


@dataclass(frozen=True, slots=True)
class Trade:
    """An order that filled, wholly or in part: "sold 1.5" at a price.

    ``verb`` is opened, enlarged, covered or rolled.
    """

    hedge: str
    verb: str
    did: str
    price: str


@dataclass(frozen=True, slots=True)
class Row:
    """One hedge: figures as the keeper's last look has them (None: not known), price and money as they are now.

    ``funding`` and the value are quote units; the position is coins, short < 0.
    """

    hedge: Protected
    price: Decimal
    since_start: Decimal
    exposure: Decimal | None
    futures: Decimal | None
    ratio: Decimal | None
    drift: Decimal | None
    last_order: Trade | None
    last_order_at: float
    funding: Decimal


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the screen."""

    minute: float
    chapter: str
    seconds_left: float
    rows: tuple[Row, ...]
    money: Money
    events: tuple[Event, ...]
    title: str = ""
    contracts: tuple[Held, ...] = ()
    """Every contract of the hedges that may roll."""


class Face(Protocol):
    """How the demo shows itself."""

    def starting(self, text: str) -> None:
        """A step of the start."""
        ...

    def happened(self, event: Event) -> None:
        """Something happened."""
        ...

    def show(self, view: View) -> None:
        """Where everything stands; called several times a second."""
        ...

    def close(self) -> None:
        """Give the terminal back; may be called twice."""
        ...

    def summary(self, lines: tuple[str, ...]) -> None:
        """The last words, after the terminal was given back."""
        ...
