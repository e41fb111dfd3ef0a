"""What is done now and then between turns: settings read again, markets reloaded, funding booked, old holds pruned.

APScheduler knows the times; its jobs do nothing but note what is due and wake the loop. The work is done by the loop's
own task between two turns, so nothing here ever runs beside a decision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from keeper.betas import Betas
from keeper.clock import Clock
from keeper.core.model import Hedge, InstrumentId
from keeper.core.orders import plain
from keeper.cycle import Desk, reseat
from keeper.errors import ConfigError, VenueStartError
from keeper.execute import RETRY_LATER
from keeper.journal.base import JournalError
from keeper.preflight import Wanted, preflight
from keeper.venue.base import BackOff, Observer, VenueError

log = structlog.get_logger(__name__)

DAY_MS = 86_400_000
BACK_OFF_NEWS_MS = 1_000
SETTINGS, MARKETS, FUNDING, PRUNING, BETAS, ROLLS = "settings", "markets", "funding", "pruning", "betas", "rolls"


@dataclass(frozen=True, slots=True)
class Times:
    """How often each chore is due. Holds older than ``keep_days`` are pruned; orders and fills never are."""

    settings_seconds: int = 300
    markets_seconds: int = 3_600
    funding_seconds: int = 600
    betas_seconds: int = 300
    rolls_seconds: int = 600
    pruning_hour_utc: int = 3
    keep_days: int = 90


class Chores:
    """Does what is due between two turns. What fails is logged and due again at its next time."""

    def __init__(
        self,
        observers: Mapping[str, Observer],
        wanted: Mapping[InstrumentId, Wanted],
        rebuild: Callable[[], Sequence[Hedge]],
        clock: Clock,
        times: Times | None = None,
        back_offs: Mapping[str, BackOff] | None = None,
        will_trade: bool = True,
        betas: Betas | None = None,
        rolls: Callable[[Desk], Awaitable[None]] | None = None,
    ) -> None:
        self._betas = betas
        self._rolls = rolls
        self._will_trade = will_trade
        self._back_offs = dict(back_offs or {})
        self._written_until_ms: dict[str, int] = {}
        self._observers = dict(observers)
        self._wanted = dict(wanted)
        self._rebuild = rebuild
        self._clock = clock
        self._times = times or Times()
        self._due: dict[str, None] = {FUNDING: None, ROLLS: None}
        self._refused: set[InstrumentId] = set()
        self._funding_from_ms: dict[InstrumentId, int] = {}

    @contextmanager
    def scheduled(self, wake: Callable[[], None]) -> Iterator[None]:
        """Note chores as they fall due while the block runs, and wake the loop for each."""

        def due(name: str) -> None:
            self._due[name] = None
            wake()

        scheduler = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None})
        times = self._times
        for name, seconds in (
            (SETTINGS, times.settings_seconds),
            (MARKETS, times.markets_seconds),
            (FUNDING, times.funding_seconds),
            (BETAS, times.betas_seconds),
            (ROLLS, times.rolls_seconds),
        ):
            scheduler.add_job(due, IntervalTrigger(seconds=seconds, timezone="UTC"), args=(name,), id=name)
        daily = CronTrigger(hour=times.pruning_hour_utc, minute=10, timezone="UTC")
        scheduler.add_job(due, daily, args=(PRUNING,), id=PRUNING)
        scheduler.start()
        try:
            yield
        finally:
            scheduler.shutdown(wait=False)

    def ask_for(self, name: str) -> None:
        """Make a chore due now."""
        self._due[name] = None

    async def __call__(self, desk: Desk) -> None:
        """Do what is due."""
        self._note_refusals(desk)
        work = {SETTINGS: self._settings, MARKETS: self._markets, FUNDING: self._funding}
        work |= {PRUNING: self._pruning, BETAS: self._estimates, ROLLS: self._rolling}
        while self._due:
            name = next(iter(self._due))
            del self._due[name]
            try:
                await work[name](desk)
            except (VenueError, JournalError) as error:
                log.warning("chore_failed", chore=name, text=str(error))

    async def afterwards(self, desk: Desk) -> None:
        """Write down, as soon as its turn has ended, that a venue has asked us to stay away: a kill would lose it."""
        try:
            await self._keep_back_offs(desk)
        except JournalError as error:
            log.warning("back_off_not_written", text=str(error))  # the next turn ends with it

    def _note_refusals(self, desk: Desk) -> None:
        """The first refusal in a row may be for a step or a minimum that has changed: then the markets are due."""
        refused = {name for name, refusal in desk.refusals.items() if not refusal.text.startswith(RETRY_LATER)}
        if refused - self._refused:
            self.ask_for(MARKETS)
        self._refused = refused

    async def _keep_back_offs(self, desk: Desk) -> None:
        now = self._clock.now_ms()
        for venue, asked in self._back_offs.items():
            left = asked.back_off_seconds()
            until = now + round(left * 1000)
            # The same wait, read a moment later, is not worth a write.
            if left > 0 and until - self._written_until_ms.get(venue, 0) > BACK_OFF_NEWS_MS:
                await desk.journal.back_off(venue, until)
                self._written_until_ms[venue] = until

    async def _settings(self, desk: Desk) -> None:
        """Read position mode, permissions, leverage and margin mode again; writes none of them.

        Of a venue that fails stands what was found there before: it keeps no other one from being looked at.
        """
        standing = desk.observatory.standing
        checked = await preflight(
            desk.hedges, self._wanted, self._observers, {}, will_trade=self._will_trade, before=standing
        )
        for venue, error in checked.away.items():
            log.warning("chore_failed", chore=SETTINGS, venue=venue, text=str(error))
        desk.observatory.standing = checked.standing

    async def _markets(self, desk: Desk) -> None:
        """Load steps, ticks and minimums anew, and say what changed; a venue that fails keeps what it knew."""
        for name, observer in self._observers.items():
            try:
                await observer.open()
            except VenueError as error:
                log.warning("chore_failed", chore=MARKETS, venue=name, text=str(error))
        kept = desk.hedges
        before = {instrument.id: instrument for hedge in kept for instrument in hedge.instruments}
        try:
            desk.hedges = tuple(self._rebuild())
            reseat(desk)
        except (ConfigError, VenueStartError) as error:
            desk.hedges = kept
            log.error("markets_changed", text=f"{error}; the hedges keep what they knew")
            return
        for hedge in desk.hedges:
            for new in hedge.instruments:
                old = before.get(new.id)
                if old is not None and old != new:
                    log.warning("market_changed", hedge=hedge.name, was=str(old), now=str(new))

    async def _funding(self, desk: Desk) -> None:
        """Book what the venues' ledgers say was paid since the last time; what is known already is left alone.

        Each contract has a time of its own: one that fails is asked again from where it stood, and holds up no other.
        """
        for instrument in {i.id: i for hedge in desk.hedges for i in hedge.instruments}.values():
            if instrument.expires_at_ms is not None:
                continue  # what expires pays no funding, and a venue may refuse to be asked for it
            began_ms = self._clock.now_ms()
            since_ms = self._funding_from_ms.setdefault(instrument.id, began_ms - DAY_MS)
            try:
                entries = await self._observers[instrument.id.venue].funding(instrument, since_ms)
            except VenueError as error:
                log.warning("chore_failed", chore=FUNDING, instrument=str(instrument.id), text=str(error))
                continue
            for_us = await desk.journal.funding(entries)
            # An hour of overlap: ledgers lag, and an entry seen twice is booked once.
            self._funding_from_ms[instrument.id] = began_ms - DAY_MS // 24
            if for_us:
                text = ", ".join(f"{plain(entry.amount)} {entry.asset}" for entry in entries[-for_us:])
                log.info("funding", instrument=str(instrument.id), received=text)

    async def _estimates(self, desk: Desk) -> None:
        """Estimate the betas whose term has come; the target moves here and nowhere else."""
        if self._betas is not None:
            desk.hedges = await self._betas.refresh(desk.hedges, desk.journal)
            desk.observatory.hedges = tuple(desk.hedges)

    async def _rolling(self, desk: Desk) -> None:
        """Compare and choose for hedges whose contract is about to expire; the turns carry it out."""
        if self._rolls is not None:
            await self._rolls(desk)

    async def _pruning(self, desk: Desk) -> None:
        """Drop old holds from the journal, so that years fit on a disk."""
        dropped = await desk.journal.prune(self._clock.now_ms() - self._times.keep_days * DAY_MS)
        log.info("journal_pruned", cycles=dropped)
