"""One look with no keeper behind it, as ``keeper plan`` and ``keeper check --connect`` take it; nothing is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from keeper.belonging import refuse_other_accounts
from keeper.checking import closed_contracts, hindrances, rolls_told, shorts_held
from keeper.clock import Clock, SystemClock
from keeper.config import Config
from keeper.core import stated
from keeper.core.model import NO_BASE, Hedge, HedgeCycle, HedgeMemory, Snapshot
from keeper.core.orders import Epoch, plain
from keeper.core.stated import FILE
from keeper.errors import KeeperError, VenueStartError, told_together
from keeper.holdings_files import HoldingsFiles
from keeper.journal.base import JournalError, Remembered
from keeper.journal.reader import JournalReader
from keeper.judging import Judgement, LookOnly, expected_of, judge
from keeper.measures import brakes_of, doubt_of, limits_of, pace_of, wanted_of
from keeper.observe import Observatory
from keeper.papering import changed_since, refuse_unready
from keeper.preflight import Finding, preflight
from keeper.rally import rally_findings
from keeper.refusals import refuse_blindness, start_error, wallet_fault, whose
from keeper.report import said_of_slope
from keeper.seating import memory_at_start, seat
from keeper.sources import betas_of, files_of
from keeper.venue.base import (
    ClockRefusedError,
    CredentialsRefusedError,
    EmptyReadingError,
    HostRefusedError,
    UnknownWalletError,
    VenueError,
)
from keeper.wiring import (
    Venues,
    build_hedges,
    open_venues,
    stood,
    used_venues,
    will_trade,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw and what it would do; nothing was sent or written.

    ``refused`` are venues that refused the credentials while another one answered: an error, once the rest is shown.
    """

    taken_at_ms: int
    hedges: tuple[HedgeCycle, ...]
    snapshot: Snapshot
    refused: KeeperError | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One look, while the venues that it was taken on are still open for more readings."""

    look: Look
    venues: Venues


async def look_once(config: Config, *, clock: Clock | None = None) -> Look:
    """Observe, assess, decide and plan once, as ``keeper plan`` shows it. Takes no lock, writes nothing.

    A venue that does not answer, or refuses the credentials, is missing from what is seen, as long as another answers.
    """
    async with looking(config, clock=clock, partly=True) as seen:
        return seen.look


@asynccontextmanager
async def looking(config: Config, *, clock: Clock | None = None, partly: bool = False) -> AsyncIterator[Seen]:
    """As :func:`look_once`, with the venues open for whoever has to read more; without ``partly`` every one of them."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(await _reader(config))
        venues = await stack.enter_async_context(
            open_venues(config, clock, patience_seconds=0.0, to_look=True, partly=partly)
        )
        try:
            await refuse_other_accounts(config, used_venues(config), reader)
            kept, remembered = await reader.memories(), await reader.remembered()
            built = build_hedges(config, venues.observers, kept, to_look=True)
            await refuse_unready(config, built, venues.papers)
            for name, paper in venues.papers.items():
                if (text := changed_since(config, name, paper.begun.text)) is not None:
                    log.warning("paper_account_begun", venue=name, text=text)
            betas = betas_of(config, built, venues.observers, clock)
            await betas.recall(reader)
        except JournalError as error:
            raise KeeperError(f"the journal cannot be read: {error}") from error
        known = {hedge.name: memory_at_start(hedge, kept, venues.observers) for hedge in built}
        memories = stood(built, known, will_trade=will_trade(config))
        hedges = await betas.refresh(seat(built, memories, venues.observers))
        observatory = Observatory(hedges, venues.observers, clock, doubt_of(config), files_of(config, clock))
        observatory.brakes = brakes_of(config)
        observatory.reads_margins = True
        try:
            checked = await preflight(
                hedges, wanted_of(config), venues.observers, {}, will_trade=will_trade(config), to_look=True
            )
            observatory.standing, observatory.also_watched = checked.standing, checked.also_watched
        except HostRefusedError as error:
            raise start_error(config, whose(config, error), error) from error
        refused = _refused(config, checked.away)
        if refused is not None and not partly:
            raise refused
        snapshot, judged = await _judged(config, observatory, memories, remembered, clock)
        away = {name: error for name, error in checked.away.items() if not _shows(snapshot, name)}
        refused = _refused(config, away)
        if refused is not None and len(away) == len(venues.observers):
            raise refused
        refuse_blindness(config, snapshot.gaps, [judgement.exposure for judgement in judged])
        cycles = tuple(_as_cycle(judgement) for judgement in judged)
        yield Seen(Look(snapshot.taken_at_ms, cycles, snapshot, refused), venues)


def _shows(snapshot: Snapshot, venue: str) -> bool:
    """Whether a venue showed anything of the account: a key that may not ask everything is not a wrong one."""
    read = {account.venue for account, _ in snapshot.holdings} | {ident.venue for ident in snapshot.positions}
    return venue in read


def _refused(config: Config, away: Mapping[str, VenueError]) -> KeeperError | None:
    """What to end with where venues refuse the credentials: that does not pass by itself."""
    refusals = [
        start_error(config, name, error) for name, error in away.items() if isinstance(error, CredentialsRefusedError)
    ]
    return VenueStartError(told_together([str(each) for each in refusals], str(config.path))) if refusals else None


async def _judged(
    config: Config,
    observatory: Observatory,
    memories: dict[str, HedgeMemory],
    remembered: Remembered,
    clock: Clock,
) -> tuple[Snapshot, tuple[Judgement, ...]]:
    """One look at everything, and what is to be done about it."""
    bench = LookOnly(observatory.hedges, clock, limits_of(config), pace_of(config), memories)
    snapshot, _ = await observatory.observe(remembered, expected_of(bench))
    named = {str(instrument.id) for hedge in observatory.hedges for instrument in hedge.instruments}
    if any(gap.source in named and gap.code == EmptyReadingError.code for gap in snapshot.gaps):
        # A keeper that runs takes a contract without a row for flat at its second look; a lone look has to as well.
        snapshot, _ = await observatory.observe(remembered, expected_of(bench))
    return snapshot, judge(bench, snapshot, Epoch("000000", 0, 0), {})


def _as_cycle(judgement: Judgement) -> HedgeCycle:
    """A judgement in the form in which a turn is reported."""
    return HedgeCycle(judgement.exposure, judgement.decision, judgement.plan, judgement.reasons, (), judgement.memory)


async def _reader(config: Config) -> JournalReader:
    try:
        return await JournalReader.open(config.journal_url)
    except JournalError as error:
        raise KeeperError(f"the journal cannot be read: {error}") from error


async def check_connect(config: Config) -> tuple[Finding, ...]:
    """Connect, read and report, for ``keeper check --connect``; sends, sets and writes nothing."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(await _reader(config))
        venues = await stack.enter_async_context(open_venues(config, clock, patience_seconds=0.0))
        try:
            await refuse_other_accounts(config, used_venues(config), reader)
            kept, remembered = await reader.memories(), await reader.remembered()
        except JournalError as error:
            raise KeeperError(f"the journal cannot be read: {error}") from error
        built = build_hedges(config, venues.observers, kept)
        await refuse_unready(config, built, venues.papers)
        known = {hedge.name: memory_at_start(hedge, kept, venues.observers) for hedge in built}
        memories = stood(built, known, will_trade=will_trade(config))
        seated = seat(built, memories, venues.observers)
        hedges = await betas_of(config, built, venues.observers, clock).refresh(seated)
        findings: list[Finding] = []
        for name, observer in venues.observers.items():
            try:
                offset = await observer.clock_offset_ms()
                fine = abs(offset) <= config.safety.max_clock_offset_ms
                findings.append(Finding(name, fine, f"clock is {offset} ms from ours"))
            except VenueError as error:
                raise start_error(config, name, error) from error
        for account in dict.fromkeys(account for hedge in hedges for account in hedge.spot):
            try:
                wallet = await venues.observers[account.venue].wallet(account.wallet)
                findings.append(Finding(str(account), True, f"read, {len(wallet.totals)} assets"))
            except (CredentialsRefusedError, ClockRefusedError) as error:
                raise start_error(config, account.venue, error) from error
            except UnknownWalletError as error:
                raise wallet_fault(config, error) from error
            except VenueError as error:
                findings.append(Finding(str(account), False, str(error)))
        findings += await _look_at_statements(hedges, files_of(config, clock), clock)
        for hedge in hedges:
            findings += [
                Finding(f"{hedge.name}.beta.{slope.asset}", slope.refused is None, said_of_slope(slope))
                for slope in hedge.slopes
            ]
        try:
            checked = await preflight(hedges, wanted_of(config), venues.observers, {}, will_trade=will_trade(config))
        except VenueError as error:
            raise start_error(config, whose(config, error), error) from error
        findings += [*checked.findings, *rolls_told(hedges, memories), *closed_contracts(hedges, venues.markets)]
        observatory = Observatory(hedges, venues.observers, clock, doubt_of(config), files_of(config, clock))
        observatory.brakes, observatory.also_watched = brakes_of(config), checked.also_watched
        observatory.reads_margins = True
        snapshot, judged = await _judged(config, observatory, memories, remembered, clock)
        findings += [*hindrances(judged, findings), *shorts_held(judged)]
        seen = [judgement.exposure for judgement in judged]
        return (*findings, *rally_findings(seen, snapshot, config.margin))


async def _look_at_statements(hedges: Sequence[Hedge], files: HoldingsFiles, clock: Clock) -> list[Finding]:
    """What is stated of coins that no venue shows, with its age."""
    findings: list[Finding] = []
    for each in dict.fromkeys(each for hedge in hedges for each in hedge.statements):
        amount, as_of_ms, subject = each.amount, each.as_of_ms, str(each.account)
        if each.account.venue == FILE:
            try:
                read = await files.wallet(each.account.wallet)
            except VenueError as error:
                findings.append(Finding(subject, False, str(error)))
                continue
            amount, as_of_ms = read.totals[each.asset], read.stated_at_ms[each.asset]
        doubts = stated.doubts([replace(each, as_of_ms=as_of_ms)], clock.now_ms())
        since = "" if as_of_ms is None else f", {stated.span(max(0, clock.now_ms() - as_of_ms))} old"
        text = doubts[0].text if doubts else f"{plain(amount or NO_BASE)} {each.asset}{since}"
        findings.append(Finding(subject, not doubts, text))
    return findings
