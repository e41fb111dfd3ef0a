"""One account of the simulated exchange, asked in the same process: what stands where the wire would be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from keeper.clock import Clock
from keeper.core.model import Instrument, InstrumentId
from keeper.sim.errors import SimError
from keeper.sim.exchange import Exchange
from keeper.sim.local_outcomes import clock_refusal, reading_failure
from keeper.sim.local_words import instrument_of
from keeper.sim.troubles import TroubleError
from keeper.sim.types import MarketKey, MarketKind, MarketStatus
from keeper.venue.base import BadReadingError, ClockRefusedError, UnknownSymbolError

T = TypeVar("T")

FUTURES = (MarketKind.LINEAR, MarketKind.INVERSE)


class LocalLine:
    """Knows the markets by both of their names, and puts questions as a client would."""

    def __init__(self, name: str, exchange: Exchange, api_key: str, clock: Clock) -> None:
        self.name = name
        self.exchange = exchange
        self.clock_skew_ms = 0
        self._key = api_key
        self._clock = clock
        self._instruments: dict[MarketKey, Instrument] = {}
        self._keys: dict[InstrumentId, MarketKey] = {}
        self._by_symbol: dict[str, Instrument] = {}
        self._trading: tuple[Instrument, ...] = ()

    async def open(self) -> None:
        """Read the markets, anew when they were read before; a failure leaves what was known."""
        self._ask(lambda: None, signed=False)
        read = [
            market
            for kind in FUTURES
            for market in self._ask(partial(self.exchange.markets, kind), signed=False)
            if market.status is not MarketStatus.DELISTED
        ]
        self._instruments = {market.key: instrument_of(self.name, market) for market in read}
        self._keys = {instrument.id: key for key, instrument in self._instruments.items()}
        self._by_symbol = {instrument.id.symbol: instrument for instrument in self._instruments.values()}
        open_now = [market for market in read if market.status is MarketStatus.TRADING]
        self._trading = tuple(self._instruments[market.key] for market in open_now)

    async def close(self) -> None:
        """Nothing to give back."""

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol."""
        try:
            return self._by_symbol[symbol]
        except KeyError:
            raise UnknownSymbolError(f"{self.name} has no {symbol}", list(self._by_symbol)) from None

    def _key_of(self, ident: InstrumentId) -> MarketKey:
        try:
            return self._keys[ident]
        except KeyError:
            raise UnknownSymbolError(f"{self.name} has no {ident.symbol}", list(self._by_symbol)) from None

    def _known(self, key: MarketKey) -> Instrument:
        try:
            return self._instruments[key]
        except KeyError:
            raise BadReadingError(f"{self.name}: there is a position in {key.symbol}, listed since the start") from None

    def _ask(self, question: Callable[[], T], *, signed: bool = True) -> T:
        """One request; raises :class:`~keeper.venue.base.VenueError` as the venue layer would."""
        door = self.exchange.door
        try:
            door.arrive(self._key)
            refusal = clock_refusal(self._clock.now_ms(), door.server_time_ms()) if signed else None
            if refusal is not None:
                raise ClockRefusedError(refusal)
            answer = question()
        except (SimError, TroubleError) as failure:
            raise reading_failure(failure) from failure
        garble = door.garble()
        if garble is not None:
            raise BadReadingError(f"{self.name}: the answer cannot be understood ({garble.value})")
        return answer
