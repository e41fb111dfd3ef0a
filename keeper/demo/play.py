"""Puts the pieces together: the simulated exchange, a keeper on it through the real client, the day, and a face."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from keeper.chores import FUNDING, ROLLS, Chores
from keeper.clock import Clock
from keeper.config import Config, parse_config
from keeper.core.model import Hedge
from keeper.cycle import Desk
from keeper.daemon import Daemon, Rhythm
from keeper.demo import words
from keeper.demo.books import QUOTE, Books
from keeper.demo.closing import Ending, ending
from keeper.demo.feed import Feed
from keeper.demo.setting import KEY_VARIABLE, SECRET_VARIABLE, Protected, config_text
from keeper.demo.stage import Moved, Stage
from keeper.demo.stories import DEFAULT, Staging, staged
from keeper.demo.view import Event, Face, Row, Trade, View, Voice
from keeper.demo.watch import Watch
from keeper.errors import KeeperError
from keeper.journal.base import Journal
from keeper.rollover import Rollover
from keeper.sim.server import SimServer

DAY_SECONDS = 180.0
"""How long the day takes when nothing else is asked for."""
SHORTEST_DAY_SECONDS = 6.0
_CLOSE_SECONDS = 1.0  # of the time that was asked for, kept for closing everything
_SETTLE_SECONDS = 5.0  # at most so long past the day's end, for a hedge that is still being put in place
_EVENTS_KEPT = 12


@dataclass(frozen=True, slots=True)
class Script:
    """What is played: ``began`` is when the command was given (monotonic), ``for_seconds`` counts from there."""

    began: float
    for_seconds: float | None
    directory: Path
    journal_url: str
    api_key: str
    api_secret: str = field(repr=False)
    story: str = DEFAULT

    @property
    def asked_seconds(self) -> float:
        """How long the whole should take."""
        return DAY_SECONDS if self.for_seconds is None else self.for_seconds

    @property
    def poll_seconds(self) -> float:
        """The keeper's pace: a day that is played fast is looked at more often."""
        return min(1.0, max(0.2, self.asked_seconds / 60))

    def ends_at(self, now: float) -> float:
        """When the day ends (monotonic), for one that begins at ``now``.

        A start that took long must not make the prices run: half of what was asked for is left to the day.
        """
        if self.for_seconds is None:
            return now + DAY_SECONDS
        least = max(SHORTEST_DAY_SECONDS, self.for_seconds / 2)
        return max(now + least, self.began + self.for_seconds - _CLOSE_SECONDS)


class Show:
    """One performance: knows all the parts, and turns them into what a face shows."""

    def __init__(self, script: Script, staging: Staging, clock: Clock, face: Face) -> None:
        self.hedges = staging.hedges
        self.books = Books(staging.exchange, script.api_key, staging.hedges)
        self.watch = Watch(self.books)
        self.feed = Feed(self.say)
        self.feed.on_trade = self._on_trade
        self.stage = Stage(staging.exchange, script.api_key, self.books, staging.story, clock, self.say)
        self.stage.on_remark = self._remark
        self._title = staging.title
        self._clock = clock
        self._face = face
        self._first = {hedge.name: self.books.price(hedge) for hedge in staging.hedges}
        self._told = dict.fromkeys(self._first, 0)
        self._events: list[Event] = []
        self._booked: Mapping[tuple[str, str], Decimal] = {}
        self._last_orders: dict[str, tuple[Trade, float]] = {}

    def say(self, voice: Voice, text: str) -> None:
        """Something happened now."""
        event = Event(self.stage.minute, voice, text)
        self._events = [*self._events, event][-_EVENTS_KEPT:]
        self._face.happened(event)

    async def play(self, told: asyncio.Event, ends_at: float, keeper: Keeper) -> None:
        """Play the day until ``ends_at``, or until it is told to end."""
        length = ends_at - self._clock.monotonic()
        tick_seconds = 0.1 if length < 60 else 0.2
        patience = max(3.0, length / 10)
        holdings = ", ".join(f"{_held(self.books, hedge)}" for hedge in self.hedges)
        self.say(Voice.OWNER, f"holds {holdings}; nothing is hedged yet")
        self.stage.on_funding = keeper.book_funding
        settle_until = ends_at + _SETTLE_SECONDS
        before = self._clock.monotonic()
        while not told.is_set():
            await self._clock.sleep(tick_seconds)
            keeper.check()
            if self.stage.minute >= self.stage.story.expiry_minute:
                keeper.look_at_expiries()
            now = self._clock.monotonic()
            passed = now - before
            if not self.stage.over:
                moved = self.stage.step(passed, ends_at - before, patience, self.feed.quiet_since)
                self.feed.expect(self._answering(moved), self.stage.touched)
            before = now
            self.watch.look(passed)
            self._booked = await keeper.booked()
            self._face.show(self._view(max(0.0, ends_at - now)))
            if self.stage.over and (now > settle_until or self._in_place()):
                self.say(Voice.MARKET, "the day ends")
                return

    def ending(self, seconds: float) -> Ending:
        """The closing figures."""
        return ending(self.stage.story, self.stage.minute, seconds, self.books, self.watch, self.feed.trades)

    def _answering(self, moved: set[Moved]) -> list[str]:
        """The hedges that stand on coins that the owner has moved."""
        return [hedge.name for hedge in self.hedges if (hedge.asset, hedge.coin_margined) in moved]

    def _remark(self, after: str) -> None:
        """How the hedges stand after what the market did, and what it took."""
        for hedge in self.hedges:
            drift = self.books.standing(hedge).drift
            orders = sum(1 for trade in self.feed.trades if trade.hedge == hedge.name and trade.verb != "opened")
            new, self._told[hedge.name] = orders - self._told[hedge.name], orders
            change = words.percent(self.books.price(hedge) / self._first[hedge.name] - 1)
            took = f"{new} order{'s' if new > 1 else ''}" if new else "no order"
            self.say(Voice.KEEPER, f"{hedge.name}: {change} after {after}; {took}, drift {words.percent(drift)}")

    def _in_place(self) -> bool:
        return self.watch.all_inside() and self.feed.quiet_since(self.stage.touched)

    def _on_trade(self, trade: Trade) -> None:
        self._last_orders[trade.hedge] = (trade, self.stage.minute)

    def _view(self, left: float) -> View:
        minute = self.stage.minute
        rows = tuple(self._row(hedge) for hedge in self.hedges)
        several = [hedge for hedge in self.hedges if hedge.later]
        contracts = tuple(each for hedge in several for each in self.books.contracts(hedge))
        chapter = self.stage.story.chapter(minute)
        return View(minute, chapter, left, rows, self.books.money(), tuple(self._events), self._title, contracts)

    def _row(self, hedge: Protected) -> Row:
        cycle = self.feed.of(hedge.name)
        seen = None if cycle is None else cycle.exposure
        price = self.books.price(hedge)
        trade, at = self._last_orders.get(hedge.name, (None, 0.0))
        return Row(
            hedge,
            price,
            price / self._first[hedge.name] - 1,
            None if seen is None else seen.exposure_base,
            None if seen is None else seen.futures_base,
            None if seen is None else seen.hedge_ratio,
            None if seen is None else seen.drift_ratio,
            trade,
            at,
            self._funding(hedge),
        )

    def _funding(self, hedge: Protected) -> Decimal:
        """What the keeper's journal has booked from the venue's ledger, coins at the present price."""
        worth = self.books.price(hedge) if hedge.coin_margined else Decimal(1)
        asset = hedge.asset if hedge.coin_margined else QUOTE
        symbols = [each.symbol for each in self.books.contracts(hedge)]
        return sum((self._booked.get((symbol, asset), Decimal(0)) for symbol in symbols), Decimal(0)) * worth


async def perform(script: Script, face: Face, clock: Clock, told: asyncio.Event) -> Ending:
    """Start everything, play the day, close everything; raises :class:`KeeperError` when the keeper cannot start."""
    face.starting("the simulated exchange opens")
    staging = staged(script.story, clock, script.api_key, script.api_secret)
    async with SimServer(staging.exchange, clock=clock) as server:
        face.starting(f"the simulated exchange listens on {server.base_url}; the keeper connects to it (testnet)")
        await clock.sleep(0)
        show = Show(script, staging, clock, face)
        config = _config(script, staging.hedges, server.urls)
        async with _keeper(config, clock, show.feed, script.poll_seconds) as keeper:
            now = clock.monotonic()
            ends_at = script.ends_at(now)
            face.starting(f"the keeper runs; the day takes {ends_at - now:.0f} s")
            await show.play(told, ends_at, keeper)
        return show.ending(clock.monotonic() - now)


def _config(script: Script, hedges: Sequence[Protected], urls: dict[str, object]) -> Config:
    text = config_text(urls, script.journal_url, script.poll_seconds, hedges)
    credentials = {KEY_VARIABLE: script.api_key, SECRET_VARIABLE: script.api_secret}
    return parse_config(text, "the demo's configuration", script.directory / "keeper.toml", credentials)


class Gate:
    """Lets the keeper look at expiries only once the story is there: its days pass faster than theirs."""

    def __init__(self, rollover: Rollover) -> None:
        self.open = False
        self._rollover = rollover

    async def __call__(self, desk: Desk) -> None:
        """Look, or leave it for later."""
        if self.open:
            await self._rollover(desk)


class Keeper:
    """The keeper under observation."""

    def __init__(
        self, daemon: Daemon, chores: Chores, expiries: Gate, journal: Journal, loop: asyncio.Task[None]
    ) -> None:
        self._expiries = expiries
        self._daemon = daemon
        self._chores = chores
        self._journal = journal
        self._loop = loop
        self._read_at = -1
        self._booked: Mapping[tuple[str, str], Decimal] = {}

    def check(self) -> None:
        """Raise what ended the keeper's loop, if it has ended."""
        if self._loop.done():
            self._loop.result()
            raise KeeperError("the keeper's loop ended by itself")

    def book_funding(self) -> None:
        """Have the venue's ledger read now: its hours pass in seconds here, and the usual pace would miss them."""
        self._chores.ask_for(FUNDING)
        self._daemon.wake()

    def look_at_expiries(self) -> None:
        """Have contracts that expire looked at from now on; a keeper does that every ten minutes of its own."""
        self._expiries.open = True
        self._chores.ask_for(ROLLS)

    async def booked(self) -> Mapping[tuple[str, str], Decimal]:
        """Funding in the journal, by symbol and asset; read anew after each turn."""
        if self._read_at != self._daemon.turns:
            self._read_at = self._daemon.turns
            totals = await self._journal.funding_total()
            self._booked = {(instrument.symbol, asset): total for (instrument, asset), total in totals.items()}
        return self._booked


@asynccontextmanager
async def _keeper(config: Config, clock: Clock, feed: Feed, poll_seconds: float) -> AsyncIterator[Keeper]:
    """A keeper, turning its loop until the block ends; the turn in flight is finished first."""
    # The exchange library takes its time to load: the first words are on the screen by now.
    from keeper.wiring import build_hedges, open_house

    async with open_house(config, live=False, clock=clock) as house:
        observers = house.venues.observers
        expiries = Gate(Rollover(house.venues.markets))

        def rebuild() -> tuple[Hedge, ...]:
            return house.betas.dress(build_hedges(config, observers, house.desk.memories))

        chores = Chores(observers, house.wanted, rebuild, clock, rolls=expiries)
        daemon = Daemon(house.desk, clock, Rhythm(poll_seconds=poll_seconds), [feed], chores)
        loop = asyncio.create_task(daemon.run())
        try:
            yield Keeper(daemon, chores, expiries, house.desk.journal, loop)
        finally:
            daemon.stop()
            await loop


def _held(books: Books, hedge: Protected) -> str:
    amount = f"{books.standing(hedge).exposure.normalize():f} {hedge.asset}"
    return f"{amount} as margin" if hedge.coin_margined else amount
