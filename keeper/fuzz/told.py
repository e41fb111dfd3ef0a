"""What the keeper has been told that has to stop its hand, whatever it makes of it.

A clock that is off, a two-sided position mode, a price that is old, a short that somebody else has just made smaller:
each is taken down at the moment at which the keeper's own reading of it succeeds, from the exchange's truth or from the
answer itself, and an order that leaves all the same is a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from keeper.core.model import Instrument, InstrumentId, Mark, PlannedOrder, Side
from keeper.fuzz.history import Note
from keeper.sim.events import OrderUpdated, PositionModeChanged
from keeper.sim.faults import FaultKind, FaultMenu
from keeper.sim.types import MarketKey, MarketKind, Origin
from keeper.sim.types import Side as SimSide

ZERO = Decimal(0)
CLOCK_OFF_MS = 3_000
"""The keeper's limit is 2,500 ms; in one measurement it may take half a slow answer for a part of the offset."""
OLD_PRICE_MS = 45_000
"""The keeper's limit is 30 s by a clock that may have been off, and have jumped since it was compared."""
LIES = (
    FaultKind.EMPTY,
    FaultKind.TRUNCATED,
    FaultKind.STALE,
    FaultKind.WRONG_SIGN,
    FaultKind.NONE_FILLED,
    FaultKind.ZEROED,
)
"""Faults that make an answer wrong, rather than have none come."""


@dataclass(slots=True)
class Foreign:
    """What others did to a position, signed order units: in all, and at the ends of our last two readings of it.

    ``at_look`` is as of the present look's beginning: what changes while a list is on its way may show in it or not.
    """

    total: Decimal = ZERO
    at_look: Decimal = ZERO
    read: Decimal = ZERO
    read_before: Decimal = ZERO


class Told:
    """Keeps what the present process was told last."""

    def __init__(
        self,
        menu: FaultMenu,
        keys: Mapping[InstrumentId, MarketKey],
        offset_ms: Callable[[], int],
        venue_now_ms: Callable[[], int],
    ) -> None:
        self._menu = menu
        self._keys = dict(keys)
        self._measure_ms = offset_ms
        self._venue_now_ms = venue_now_ms
        self._offset_ms = 0
        self._two_sided: dict[MarketKind, bool] = {}
        self._said_two_sided = False
        self._price_age_ms: dict[InstrumentId, int] = {}
        self._foreign: dict[MarketKey, Foreign] = {}
        self._lies_before = 0
        self._lied_last = self._believed = False
        self._remembers = False
        self.flattened: set[str] = set()
        """Hedges that the operator has at some time had covered to zero."""

    def look(self) -> None:
        """A look begins."""
        self._believed = False
        self._lied_last, self._lies_before = self.lies() > 0, self._told_lies()
        for foreign in self._foreign.values():
            foreign.at_look = foreign.total

    def turn(self) -> None:
        """A turn was written: what was read in it is remembered, and a first position that was asked for by name."""
        self._remembers |= self._believed

    def lies(self) -> int:
        """How many answers have been wrong since the present look began."""
        return self._told_lies() - self._lies_before

    def coarsened_twice(self) -> bool:
        """Whether steps have grown and minimums have as well, maybe those of one contract."""
        return all(self._menu.fired[kind] for kind in (FaultKind.STEP_CHANGE, FaultKind.MINIMUM_CHANGE))

    def _told_lies(self) -> int:
        return sum(self._menu.fired[kind] for kind in LIES)

    def marks(self, marks: Mapping[InstrumentId, Mark]) -> None:
        """Prices were read."""
        now_ms = self._venue_now_ms()
        for ident, mark in marks.items():
            self._price_age_ms[ident] = 0 if mark.at_ms is None else now_ms - mark.at_ms

    def take(self, note: Note) -> None:
        """One more line of the history."""
        event = note.event
        if isinstance(event, OrderUpdated):
            if event.fill is not None and event.order.origin is not Origin.API:
                signed = event.fill.quantity if event.fill.side is SimSide.BUY else -event.fill.quantity
                self._foreign.setdefault(event.order.market, Foreign()).total += signed
        elif isinstance(event, PositionModeChanged):
            self._two_sided[event.product] = event.dual_side
        elif note.what == "read":
            self._read(str(note.facts[0]))
        elif note.what == "unread" and str(note.facts[0]).startswith("position"):
            self._believed = False
        elif note.what == "operator" and note.facts[0] == "flatten":
            self.flattened.add(str(note.facts[1]))

    def _read(self, source: str) -> None:
        if source == "clock":
            self._offset_ms = self._measure_ms()
        elif source == "facts":
            self._said_two_sided = any(self._two_sided.get(key.kind, False) for key in self._keys.values())
        elif source == "positions":
            self._believed = True
            for foreign in self._foreign.values():
                foreign.read_before, foreign.read = foreign.read, foreign.total

    def is_over(self, instrument: Instrument) -> bool:
        """Whether a dated contract has expired."""
        return instrument.expires_at_ms is not None and self._venue_now_ms() + CLOCK_OFF_MS >= instrument.expires_at_ms

    def against(self, order: PlannedOrder, carriers: Iterable[MarketKey]) -> Iterator[tuple[str, str]]:
        """What the keeper has been told that speaks against an order which leaves now: (invariant, text).

        ``carriers`` are the contracts of the order's hedge: what others bought back on one is not shorted on another.
        """
        who, ident = f"{order.client_id} on {order.instrument}", order.instrument
        if abs(self._offset_ms) > CLOCK_OFF_MS:
            yield "sent_off_clock", f"{who} leaves although the clocks were measured {self._offset_ms} ms apart"
        if self._said_two_sided:
            yield "sent_two_sided", f"{who} leaves although the account was read to be in two-sided mode"
        age_ms = self._price_age_ms.get(ident, 0)
        if age_ms > OLD_PRICE_MS:
            yield "stale_price", f"{who} is priced by an answer that was {age_ms / 1000:.0f} s old"
        # Two wrong answers of the look before may have agreed about what was there.
        lied = self.lies() or self._lied_last
        # What only reduces opens no short: it gives back a long that others have made of it.
        shorts = order.side is Side.SELL and not order.reduce_only
        for key in carriers if shorts and self._remembers and not lied else ():
            foreign = self._foreign.get(key, Foreign())
            shrunk = foreign.at_look - foreign.read_before
            if shrunk > 0:
                text = f"{who} shorts again at the first look that shows {shrunk} of {key.symbol} bought back by others"
                yield "foreign_change", text
