"""The network between one process and one venue: it takes time, it may be slow, and it outlives the process.

Every call of the keeper to its venue passes here: it is written into the history, it may be where the process dies, and
what was sent before a death still arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Protocol, TypeVar

from keeper.core.model import AccountId, Base, Instrument, InstrumentId, Mark, PlannedOrder, Position, WorkingOrder
from keeper.core.quotes import Book, Fees, FundingRate
from keeper.fuzz.death import CrashError, Mortality, Point
from keeper.fuzz.history import History
from keeper.fuzz.options import Options
from keeper.fuzz.virtual import VirtualClock
from keeper.venue.base import (
    AccountFacts,
    Ambiguous,
    EmptyReadingError,
    Fill,
    FundingEntry,
    Lookup,
    LookupFailed,
    Observer,
    PositionBook,
    Submission,
    Trader,
    UnreachableError,
    VenueError,
    Wallet,
)
from keeper.venue.further import Books, FeeSchedules, FundingRates, Listings

T = TypeVar("T")

READ_SECONDS = 10.0
ORDER_SECONDS = 10.0
RECV_WINDOW_SECONDS = 5.0
"""A venue takes no signed request that is older than this: what a slow network delivers later does not count."""


class Watch(Protocol):
    """Who is told of what the process does to its venue."""

    def on_send(self, order: PlannedOrder) -> None:
        """An order is about to leave."""
        ...

    def on_failed_read(self, source: str) -> None:
        """A reading of this look failed."""
        ...

    def on_marks(self, marks: Mapping[InstrumentId, Mark]) -> None:
        """Prices were read."""
        ...


class Network:
    """What is under way, whoever sent it; delays are drawn here."""

    def __init__(self, clock: VirtualClock, options: Options, source: Random) -> None:
        self._clock = clock
        self._options = options
        self._source = source
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self.is_calm = False
        """Without faults nothing is slow."""

    def delay(self) -> float:
        """Seconds that one way takes now."""
        options = self._options
        if not self.is_calm and options.slow_chance and self._source.random() < options.slow_chance:
            return self._source.uniform(0.0, options.slow_seconds)
        return options.latency_seconds * self._source.uniform(0.5, 1.5) if options.latency_seconds else 0.0

    async def wait(self, seconds: float) -> None:
        """Let a delay pass."""
        if seconds > 0:
            await self._clock.sleep(seconds)

    def launch(self, journey: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a journey that no death of its sender ends."""
        task = asyncio.get_running_loop().create_task(journey)
        self._tasks[task] = None
        task.add_done_callback(self._landed)
        return task

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # looked at, since its sender may be gone

    def under_way(self) -> tuple[asyncio.Task[Any], ...]:
        """Journeys that have not ended."""
        return tuple(self._tasks)


class Reader(Observer, Books, Listings, FundingRates, FeeSchedules, Protocol):
    """What reads a venue for a whole process."""


class Line:
    """One process's :class:`~keeper.venue.base.Observer` and :class:`~keeper.venue.base.Trader`."""

    def __init__(
        self, observer: Reader, trader: Trader, network: Network, life: Mortality, watch: Watch, history: History
    ) -> None:
        self.name = observer.name
        self._observer = observer
        self._trader = trader
        self._network = network
        self._life = life
        self._watch = watch
        self._history = history
        self.on_landed: Callable[[], None] = lambda: None

    async def _read(self, source: str, ask: Callable[[], Awaitable[T]], point: Point = Point.READ) -> T:
        """One question and its answer, or the deadline."""
        self._life.at(point)
        delay = self._network.delay()
        try:
            if delay >= READ_SECONDS:
                await self._network.wait(READ_SECONDS)
                raise UnreachableError(f"{self.name}: no answer within {READ_SECONDS:g} s")
            await self._network.wait(delay)
            self._life.check()
            answer = await ask()
        except VenueError as error:
            self._history.note("unread", source, error.code)
            # A venue that shows nothing of a flat contract has answered; what was made of it is judged by the truth.
            if not (source.startswith("position ") and isinstance(error, EmptyReadingError)):
                self._watch.on_failed_read(source)
            raise
        self._life.check()
        self._history.note("read", source)
        return answer

    # -- observer --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Load the markets."""
        await self._read("markets", self._observer.open)

    async def close(self) -> None:
        """The venue stays open: the next process uses it."""

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol."""
        return self._observer.instrument(symbol)

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """The wallet that margins a coin-margined contract."""
        return self._observer.collateral(instrument)

    async def wallet(self, wallet: str) -> Wallet:
        """One wallet."""
        return await self._read(f"wallet {wallet}", lambda: self._observer.wallet(wallet))

    async def positions(self) -> PositionBook:
        """All positions and working orders."""
        return await self._read("positions", self._observer.positions)

    async def position(self, instrument: Instrument) -> Position:
        """A second look at one position."""
        return await self._read(f"position {instrument.id.symbol}", lambda: self._observer.position(instrument))

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Prices."""
        marks = await self._read("marks", lambda: self._observer.marks(instruments))
        self._watch.on_marks(marks)
        return marks

    async def book(self, instrument: Instrument, levels: int = 50) -> Book:
        """The visible book."""
        return await self._read("book", lambda: self._observer.book(instrument, levels))

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Prices of assets."""
        return await self._read("asset prices", lambda: self._observer.asset_prices(assets, quote))

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:
        """What explains a fall of a balance."""
        return await self._read("records", lambda: self._observer.outflow(account, asset, since_ms))

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Funding payments."""
        return await self._read("funding", lambda: self._observer.funding(instrument, since_ms))

    def listed(self, base: str) -> Sequence[Instrument]:
        """Contracts on a coin, as the last list of markets had them."""
        return self._observer.listed(base)

    async def funding_rates(self, instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
        """Settled rates."""
        return await self._read("funding rates", lambda: self._observer.funding_rates(instrument, since_ms))

    async def fees(self, instrument: Instrument) -> Fees | None:
        """What a trade costs."""
        return await self._read("fees", lambda: self._observer.fees(instrument))

    async def clock_offset_ms(self) -> int:
        """Venue time minus ours."""
        return await self._read("clock", self._observer.clock_offset_ms)

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        """Mode, permissions, settings."""
        return await self._read("facts", lambda: self._observer.facts(instruments))

    # -- trader ----------------------------------------------------------------------------------------------------

    async def submit(self, order: PlannedOrder) -> Submission:
        """Send once; the order travels on when nobody waits for it any more."""
        self._life.at(Point.BEFORE_SEND)
        self._watch.on_send(order)
        self._history.note(
            "sent", order.client_id, order.instrument.symbol, order.side.value, order.contracts, order.price,
            order.reduce_only,
        )  # fmt: skip
        journey = self._network.launch(self._carry(order))
        self._life.at(Point.AFTER_SEND)
        done, _ = await asyncio.wait((journey,), timeout=ORDER_SECONDS)
        self._life.check()
        answer = journey.result() if done else Ambiguous(f"{self.name}: no answer within {ORDER_SECONDS:g} s")
        self._history.note("answered", order.client_id, type(answer).__name__, getattr(answer, "text", ""))
        self._life.at(Point.AFTER_ANSWER)
        return answer

    async def _carry(self, order: PlannedOrder) -> Submission:
        out = self._network.delay()
        await self._network.wait(out)
        if out > RECV_WINDOW_SECONDS:
            self._history.note("too late", order.client_id)
            answer: Submission = Ambiguous(f"{self.name}: the request was outside of its time window")
        else:
            answer = await self._trader.submit(order)
            self.on_landed()
        await self._network.wait(self._network.delay())
        return answer

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        """Find an order."""
        self._life.at(Point.LOOKUP)
        delay = self._network.delay()
        await self._network.wait(min(delay, READ_SECONDS))
        self._life.check()
        answer: Lookup = LookupFailed(f"{self.name}: no answer")
        if delay < READ_SECONDS:
            answer = await self._trader.lookup(instrument, client_id, venue_order_id)
        self._life.check()
        self._history.note("looked up", client_id, answer)
        return answer

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        """Executions since then."""
        return await self._read(
            f"fills {instrument.symbol}", lambda: self._trader.fills(instrument, since_ms), Point.FILLS
        )

    async def cancel(self, order: WorkingOrder) -> None:
        """Cancel."""
        self._life.at(Point.CANCEL)
        self._history.note("cancel", order.client_id)
        await self._network.wait(self._network.delay())
        self._life.check()
        await self._trader.cancel(order)
        self._life.check()

    async def set_leverage(self, instrument: InstrumentId, leverage: Decimal) -> None:
        """Set the leverage."""
        self._life.check()
        await self._trader.set_leverage(instrument, leverage)

    async def set_margin_mode(
        self, instrument: InstrumentId, margin_mode: str, *, leverage: Decimal | None = None
    ) -> None:
        """Set the margin mode."""
        self._life.check()
        await self._trader.set_margin_mode(instrument, margin_mode, leverage=leverage)


__all__ = ["CrashError", "Line", "Network", "Watch"]
