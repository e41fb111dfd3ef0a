"""Prices and the venues' clocks in a look: which price is believed, and how far a venue's clock is from ours.

A price that is missing or old, that is older than the one before it, or that jumped without a second reading to bear it
out, is a gap: an order would be sized and limited by it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

from keeper.clock import Clock
from keeper.core.legs import futures_source
from keeper.core.model import Gap, Hedge, Instrument, InstrumentId, Mark, Reason, Unlisted
from keeper.core.orders import plain
from keeper.doubt import Doubt, Gathered
from keeper.venue.base import Observer

T = TypeVar("T")
CLOCK_MOVED_MS = 500
"""How far a venue's clock may seem to move between two measurements before its stamps are not compared any more."""


class Attempt(Protocol):
    """A reading that becomes a gap where it fails."""

    async def __call__(self, look: Gathered, source: str, read: Callable[[], Awaitable[T]]) -> T | None:
        """The value, or None and a gap that names ``source``."""
        ...


class Pricing:
    """Reads prices and clocks, and remembers what was believed last."""

    def __init__(self, clock: Clock, doubt: Doubt, attempt: Attempt) -> None:
        self.last_marks: dict[InstrumentId, Decimal] = {}
        self._clock = clock
        self._doubt = doubt
        self._attempt = attempt
        self._stamps_ms: dict[InstrumentId, int] = {}
        self._offsets_ms: dict[str, int] = {}
        self._offset_checked: dict[str, float] = {}

    def forget_clocks(self) -> None:
        """Our own clock was stepped: what was measured of the venues' was measured against the old time."""
        self._offset_checked.clear()
        self._stamps_ms.clear()

    async def read_marks(self, look: Gathered, observer: Observer, wanted: Sequence[Instrument]) -> None:
        """Prices of the hedges' own contracts; one that is doubted is read a second time."""
        source = futures_source(observer.name)
        marks = await self._attempt(look, source, lambda: observer.marks(wanted))
        if marks is None:
            return
        again: Mapping[InstrumentId, Mark] = marks
        if any(self._doubted(marks[each.id], each.id) for each in wanted if each.id in marks):
            second = await self._attempt(look, source, lambda: observer.marks(wanted))
            if second is None:
                return
            again = second
        for instrument in wanted:
            self._accept(look, instrument.id, marks.get(instrument.id), again.get(instrument.id))

    def _doubted(self, mark: Mark, ident: InstrumentId) -> bool:
        return self._doubt.jumped(mark.mark, self.last_marks.get(ident)) or self._runs_back(mark, ident)

    def _runs_back(self, mark: Mark, ident: InstrumentId) -> bool:
        """Whether a price is older, by the venue's own stamp, than one that was believed before.

        It is then older than orders that were decided on that one, our own included.
        """
        return mark.at_ms is not None and mark.at_ms < self._stamps_ms.get(ident, mark.at_ms)

    def _accept(self, look: Gathered, ident: InstrumentId, first: Mark | None, second: Mark | None) -> None:
        """Take a price that is one, is fresh, and that a second reading bears out if it had jumped."""
        if first is None or second is None or not second.mark.is_finite() or second.mark <= 0:
            look.gaps.append(Gap(str(ident), "no_price", "the venue gave no price"))
            return
        venue_now = self._clock.now_ms() + self._offsets_ms.get(ident.venue, 0)
        if second.at_ms is not None and venue_now - second.at_ms > self._doubt.stale_price_ms:
            age = (venue_now - second.at_ms) / 1000
            self._show_only(look, ident, second, f"the price is {age:.0f} s old")
            return
        if self._runs_back(second, ident):
            # Or the venue's clock was set back: it is measured again at the next look.
            self._offset_checked.pop(ident.venue, None)
            self._show_only(look, ident, second, "the price is older than the one before it")
            return
        if abs(second.mark / first.mark - 1) > self._doubt.confirm_jump_ratio:
            text = f"the mark read {plain(first.mark)} and then {plain(second.mark)}"
            look.gaps.append(Gap(str(ident), "unconfirmed_reading", text))
            return
        fault = second.fault or first.fault
        if fault is not None:
            look.gaps.append(Gap(str(ident), "no_price", fault))
            look.marks[ident] = second  # shown; the gap keeps it from being traded on
            return
        self.last_marks[ident] = second.mark
        if second.at_ms is not None:
            # A stamp from the future is a clock that was wrong for a moment; what comes after it is no older price.
            self._stamps_ms[ident] = min(second.at_ms, venue_now)
        look.marks[ident] = second

    def _show_only(self, look: Gathered, ident: InstrumentId, mark: Mark, text: str) -> None:
        """Show a price that is too old with its age; the gap keeps it from being traded on."""
        look.gaps.append(Gap(str(ident), "stale_price", text))
        look.marks[ident] = mark

    async def price_counted(self, look: Gathered, observers: Mapping[str, Observer], hedges: Sequence[Hedge]) -> None:
        """Prices of unlisted positions that some hedge counts; asked for only when there are any."""
        assets = {asset for hedge in hedges if hedge.unlisted is Unlisted.COUNT for asset in hedge.assets}
        missing: dict[str, list[Instrument]] = {}
        for ident, position in look.positions.items():
            if position.contracts != 0 and ident not in look.marks and position.instrument.base in assets:
                missing.setdefault(ident.venue, []).append(position.instrument)
        for venue, instruments in sorted(missing.items()):
            await self._price(look, observers[venue], instruments)

    async def _price(self, look: Gathered, observer: Observer, instruments: Sequence[Instrument]) -> None:
        marks = await self._attempt(look, futures_source(observer.name), lambda: observer.marks(instruments))
        for instrument in instruments if marks is not None else ():
            mark = (marks or {}).get(instrument.id)
            self._accept(look, instrument.id, mark, mark)

    async def read_asset_prices(self, look: Gathered, observers: Mapping[str, Observer], hedge: Hedge) -> None:
        """Prices that a basket or a cross hedge needs to compare its assets with its contract."""
        wanted = [asset for asset in hedge.assets if hedge.tailing or asset != hedge.instrument.base]
        if not wanted:
            return
        observer, quote = observers[hedge.instrument.id.venue], hedge.instrument.quote
        source = str(hedge.instrument.id)
        prices = await self._attempt(look, source, lambda: observer.asset_prices(wanted, quote))
        if prices is None:
            return
        for asset in wanted:
            if asset in prices and prices[asset].is_finite() and prices[asset] > 0:
                look.prices[asset] = prices[asset]
            else:
                look.gaps.append(Gap(source, "no_price", f"{asset} has no price in {quote}"))

    async def check_clock(self, look: Gathered, observer: Observer) -> None:
        """Measure the venue's clock against ours now and then; too far apart stops orders, not reading."""
        venue, now = observer.name, self._clock.monotonic()
        last = self._offset_checked.get(venue)
        if last is None or now - last >= self._doubt.clock_check_every_seconds:
            offset = await self._attempt(look, futures_source(venue), observer.clock_offset_ms)
            if offset is None:
                return
            if abs(offset - self._offsets_ms.get(venue, offset)) > CLOCK_MOVED_MS:
                self._stamps_ms = {ident: at for ident, at in self._stamps_ms.items() if ident.venue != venue}
            self._offsets_ms[venue], self._offset_checked[venue] = offset, now
        offset = self._offsets_ms[venue]
        if abs(offset) > self._doubt.max_clock_offset_ms:
            self._offset_checked.pop(venue)
            text = f"{venue}'s clock is {offset} ms from ours (limit {self._doubt.max_clock_offset_ms}); set the clock"
            look.blocks.append((futures_source(venue), Reason("clock_offset", text)))
