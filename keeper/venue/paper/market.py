"""The real market as a paper account needs it: prices now and at a moment that has passed, fees, the venue's clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import structlog

from keeper.clock import Clock
from keeper.core.model import Instrument, InstrumentId, Mark
from keeper.core.quotes import Fees
from keeper.venue.base import BadReadingError, VenueError
from keeper.venue.paper.account import Seen
from keeper.venue.paper.terms import Source, Terms

log = structlog.get_logger(__name__)

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
CLOSE_MS = MINUTE_MS
"""A mark that was seen this near to a moment stands for the mark of that moment."""


class Market:
    """Readings of the venue, with the marks that went by remembered."""

    def __init__(self, source: Source, terms: Terms, clock: Clock) -> None:
        self.source = source
        self._terms = terms
        self._clock = clock
        self._offset_ms = 0
        self._fees: dict[str, Fees | None] = {}
        self.last: dict[str, Seen] = {}

    def now_ms(self) -> int:
        """The venue's time as far as it is known, wall milliseconds."""
        return self._clock.now_ms() + self._offset_ms

    def monotonic(self) -> float:
        """Seconds, for how often something is asked."""
        return self._clock.monotonic()

    async def clock_offset_ms(self) -> int:
        """Venue time minus ours, milliseconds; what happens here happens at the venue's time."""
        self._offset_ms = await self.source.clock_offset_ms()
        return self._offset_ms

    # Prices

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """The venue's marks; each is remembered with the moment that it was seen at."""
        found = await self.source.marks(instruments)
        for ident, mark in found.items():
            if mark.fault is None:
                self.last[ident.symbol] = Seen(mark.mark, mark.index or mark.mark, self.now_ms())
        return found

    async def marks_of(self, instruments: Iterable[Instrument]) -> dict[str, Decimal]:
        """The mark of every one of these by symbol; raises :class:`VenueError` where one cannot be had."""
        wanted = tuple({each.id: each for each in instruments}.values())
        if not wanted:
            return {}
        found = await self.marks(wanted)
        for each in wanted:
            mark = found.get(each.id)
            if mark is None or mark.fault is not None:
                raise BadReadingError(f"{each.id}: no mark price" if mark is None else f"{each.id}: {mark.fault}")
        return {ident.symbol: mark.mark for ident, mark in found.items()}

    async def marks_at(self, instrument: Instrument, moments: Sequence[int]) -> dict[int, Decimal]:
        """About the mark at each of these moments; raises :class:`VenueError` when there is no price at all.

        A mark that was seen within a minute; else the close of the hour that ended then; else the mark now.
        """
        symbol, found = instrument.id.symbol, dict[int, Decimal]()
        seen = self.last.get(symbol)
        if seen is not None:
            found = {at_ms: seen.mark for at_ms in moments if abs(seen.at_ms - at_ms) <= CLOSE_MS}
        missing = [at_ms for at_ms in moments if at_ms not in found]
        if missing:
            closes = await self._closes(symbol, min(missing) - HOUR_MS, max(missing), "1h")
            for at_ms in missing:
                before = [open_ms for open_ms in closes if open_ms + HOUR_MS <= at_ms]
                if before and at_ms - (max(before) + HOUR_MS) < HOUR_MS:
                    found[at_ms] = closes[max(before)]
        missing = [at_ms for at_ms in moments if at_ms not in found]
        if missing:
            now = (await self.marks_of([instrument]))[symbol]
            log.warning("paper_price_of_now", instrument=str(instrument.id), for_moments=missing, mark=str(now))
            found |= dict.fromkeys(missing, now)
        return found

    async def close_before(self, symbol: str, at_ms: int) -> Decimal | None:
        """The last traded price before a moment, by the minute; None where the venue does not tell any more."""
        closes = await self._closes(symbol, at_ms - 5 * MINUTE_MS, at_ms, "1m")
        return closes[max(closes)] if closes else None

    async def _closes(self, symbol: str, since_ms: int, until_ms: int, timeframe: str) -> dict[int, Decimal]:
        try:
            candles = await self.source.candles(symbol, timeframe, since_ms, until_ms)
        except VenueError as error:
            log.warning("paper_history_not_read", symbol=symbol, text=str(error))
            return {}
        return {candle.open_ms: candle.close for candle in candles}

    # Fees

    def forget_fees(self) -> None:
        """Ask for them again: the markets were loaded anew."""
        self._fees.clear()

    async def fees(self, instrument: Instrument) -> Fees | None:
        """What the configuration says, else what the venue does; None where neither says anything."""
        symbol = instrument.id.symbol
        maker, taker = self._terms.maker_fee, self._terms.taker_fee
        if maker is not None and taker is not None:
            return Fees(maker, taker)
        if symbol not in self._fees:
            self._fees[symbol] = await self.source.fees(instrument)
        told = self._fees[symbol]
        if told is None:
            return None
        return replace(told, maker=told.maker if maker is None else maker, taker=told.taker if taker is None else taker)
