"""The only place that knows modes: it chooses objects, and nothing branches on a mode later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

import structlog

from keeper import waits
from keeper.api.token import read_token, token_path
from keeper.belonging import note_accounts, refuse_other_accounts
from keeper.betas import Betas
from keeper.candidates import Markets
from keeper.clock import Clock, SystemClock
from keeper.config import Config, HedgeConfig, Mode, VenueConfig, config_digest, secrets
from keeper.contracts import build_legs
from keeper.core.model import (
    ONE,
    AccountId,
    Base,
    ExposureMode,
    Hedge,
    HedgeMemory,
    InstrumentId,
)
from keeper.core.rehearsal import in_earnest, rehearsing
from keeper.cycle import Desk, restore
from keeper.errors import ConfigError, KeeperError, UnsafeError, VenueStartError, told_together
from keeper.execute import Executor, NullExecutor, OrderExecutor, Patience
from keeper.journal.base import Journal, JournalError
from keeper.journal.sql import SqlJournal
from keeper.locks import lock_journal, lock_key
from keeper.measures import brakes_of, doubt_of, limits_of, pace_of, wanted_of
from keeper.observe import Observatory
from keeper.papering import note_beginnings, paper_venue, refuse_unready
from keeper.preflight import Preflight, Wanted, preflight
from keeper.refusals import start_error, wallet_fault, whose
from keeper.sources import betas_of, files_of, statements_of, wanted_slopes
from keeper.topping import TopUps
from keeper.venue.away import AwayVenue
from keeper.venue.base import (
    BackOff,
    BadReadingError,
    ClockRefusedError,
    CredentialsRefusedError,
    HostRefusedError,
    Observer,
    Trader,
    UnknownSymbolError,
    UnknownWalletError,
    VenueError,
)
from keeper.venue.capabilities import same_venue
from keeper.venue.ccxt_venue import CcxtVenue, Credentials, VenuePolicy, make_venue
from keeper.venue.further import Books, Transfers
from keeper.venue.paper.terms import PaperError
from keeper.venue.paper.venue import PaperVenue

log = structlog.get_logger(__name__)

_POLICIES = {
    Mode.DRY_RUN: VenuePolicy(trading=False, environment="live"),
    Mode.PAPER: VenuePolicy(trading=False, environment="live"),
    Mode.TESTNET: VenuePolicy(trading=True, environment="testnet"),
    Mode.LIVE: VenuePolicy(trading=True, environment="live"),
}
_ON_PAPER = Mode.PAPER
"""The mode whose clients send nothing but reads, and whose orders meet an account of our own."""
_RETRY_START_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Venues:
    """The open venues of one keeper. ``traders`` is empty where the mode sends nothing; ``papers`` are on paper."""

    observers: Mapping[str, Observer]
    traders: Mapping[str, Trader]
    back_offs: Mapping[str, BackOff] = field(default_factory=dict)
    markets: Mapping[str, Markets] = field(default_factory=dict)
    books: Mapping[str, Books] = field(default_factory=dict)
    papers: Mapping[str, PaperVenue] = field(default_factory=dict)
    made: Mapping[str, CcxtVenue] = field(default_factory=dict)

    def hide(self, secret: str) -> None:
        """Mask what became a secret after the venues were made, in all that they answer."""
        for venue in self.made.values():
            venue.hide(secret)


@dataclass(frozen=True, slots=True)
class House:
    """A keeper, ready to run."""

    config: Config
    desk: Desk
    clock: Clock
    venues: Venues
    wanted: Mapping[InstrumentId, Wanted]
    checked: Preflight
    betas: Betas


def refuse_unarmed(config: Config, *, live: bool) -> None:
    """Live trading needs both the config and the command line to say so; raises :class:`UnsafeError`."""
    if config.mode is Mode.LIVE and not live:
        raise UnsafeError(f'{config.path}: mode is "live"; to trade real money, start with: keeper run --live')
    if config.mode is not Mode.LIVE and live:
        raise UnsafeError(f'{config.path}: --live was given and mode is "{config.mode.value}"; they have to agree')


# -- venues ----------------------------------------------------------------------------------------------------------


def _make(name: str, venue: VenueConfig, config: Config, clock: Clock) -> CcxtVenue:
    policy = _POLICIES[config.mode]
    # The one request that moves money is let through only where it is configured, in a mode that trades.
    policy = replace(policy, transfers=policy.trading and venue.top_up is not None)
    return make_venue(
        name,
        venue.exchange,
        policy,
        _credentials(venue, config),
        venue.ccxt,
        clock,
        read_timeout_seconds=config.loop.read_timeout_seconds,
        order_timeout_seconds=config.loop.order_timeout_seconds,
    )


def _credentials(venue: VenueConfig, config: Config) -> Credentials:
    """The venue's keys; none where nothing but public data is asked for. What else is secret is hidden in any case."""
    hidden = _hidden(config)
    if not _asks_account(venue, config):
        return Credentials(hidden=hidden)
    password = "" if venue.password is None else venue.password.get_secret_value()
    return Credentials(venue.api_key.get_secret_value(), venue.api_secret.get_secret_value(), password, hidden=hidden)


def _hidden(config: Config) -> tuple[str, ...]:
    """The configuration's secrets, and the API's token where a keeper has made it already."""
    with suppress(KeeperError):  # there is none, or none for this user
        token = read_token(token_path(config.token_file, config.journal_url, config.path.parent))
        return (*secrets(config), token)
    return secrets(config)


def _asks_account(venue: VenueConfig, config: Config) -> bool:
    """Whether the real account is ever read: on paper, only to begin as it stands."""
    return config.mode is not _ON_PAPER or (venue.paper is not None and venue.paper.seed is not None)


def used_venues(config: Config) -> tuple[str, ...]:
    """Venues that some hedge stands on, in the config's order."""
    used = {choice.instrument.venue for hedge in config.hedges for choice in hedge.carriers}
    used |= {account.venue for hedge in config.hedges for account in hedge.spot}
    return tuple(name for name in config.venues if name in used)


def _keys_used(config: Config) -> dict[tuple[str, str], None]:
    """The venues whose accounts are asked, each with its API key, and each key once."""
    used = (config.venues[name] for name in used_venues(config))
    asked = [venue for venue in used if _asks_account(venue, config)]
    return dict.fromkeys((same_venue(venue.exchange), venue.api_key.get_secret_value()) for venue in asked)


def _make_all(config: Config, clock: Clock) -> dict[str, CcxtVenue]:
    """The used venues, with nothing asked of them yet: what the mode forbids is refused here."""
    return {name: _make(name, config.venues[name], config, clock) for name in used_venues(config)}


@asynccontextmanager
async def open_venues(
    config: Config,
    clock: Clock,
    *,
    patience_seconds: float,
    made: Mapping[str, CcxtVenue] | None = None,
    away: Mapping[str, int] | None = None,
    to_look: bool = False,
    partly: bool = False,
    keeps: bool = False,
) -> AsyncIterator[Venues]:
    """Connect to every venue that is used (``made`` already, or made here).

    ``away`` says until when, in wall milliseconds, a venue asked us to stay away. ``to_look``: a list of markets that
    cannot be read is no fault, whoever looks shows what there is. ``partly``: nor is a venue that does not answer, or
    refuses the credentials, where another one answers. Without ``keeps`` nothing of a paper account is written.

    Raises :class:`ConfigError` for an exchange that does not exist, :class:`UnsafeError` for a host that the mode does
    not allow, :class:`VenueStartError` when a venue is not there after ``patience_seconds``.
    """
    if made is None:
        made = _make_all(config, clock)
    waits.take_up(away or {}, made, clock.now_ms())
    papers: dict[str, PaperVenue] = {}
    if config.mode is _ON_PAPER:
        papers = {name: paper_venue(config, name, made[name].observer, clock, keeps=keeps) for name in made}
    there = {name: papers.get(name, venue.observer) for name, venue in made.items()}
    async with AsyncExitStack() as stack:
        for observer in there.values():
            stack.push_async_callback(observer.close)
        deadline = clock.monotonic() + patience_seconds
        needed = {} if to_look else _symbols_by_venue(config)
        opening = (
            _open_one(config, name, observer, clock, deadline, needed.get(name, ()), partly=partly)
            for name, observer in there.items()
        )
        failed = dict(zip(there, await asyncio.gather(*opening), strict=True))
        missing = {name: error for name, error in failed.items() if error is not None}
        for name, error in missing.items():
            if len(missing) == len(there):
                raise start_error(config, name, error) from error
            log.warning("venue_away", venue=name, text=str(error))
        observers: dict[str, Observer] = {**there}
        observers |= {name: AwayVenue(there.pop(name), error) for name, error in missing.items()}
        papers = {name: paper for name, paper in papers.items() if name in there}
        traders: dict[str, Trader] = dict(papers)
        if _POLICIES[config.mode].trading:
            traders = {name: venue.trader for name, venue in made.items()}
        yield Venues(observers, traders, made, there, there, papers, made)


def _symbols_by_venue(config: Config) -> dict[str, list[str]]:
    """The contracts that the hedges name."""
    found: dict[str, list[str]] = {}
    for hedge in config.hedges:
        for choice in hedge.carriers:
            found.setdefault(choice.instrument.venue, []).append(choice.instrument.symbol)
    return found


async def _open_one(
    config: Config,
    name: str,
    observer: Observer,
    clock: Clock,
    deadline: float,
    needed: Sequence[str],
    *,
    partly: bool,
) -> VenueError | None:
    """Open a venue, trying again while it cannot be reached, or shows no list of a needed contract, in time.

    With ``partly`` the last failure is the answer, and no end.
    """
    began = clock.monotonic()
    while True:
        try:
            await observer.open()
            for symbol in needed:
                with suppress(UnknownSymbolError):  # a fault of the configuration, judged when the hedges are built
                    observer.instrument(symbol)
        except VenueError as error:
            if partly and isinstance(error, CredentialsRefusedError):
                return error
            if isinstance(error, CredentialsRefusedError | ClockRefusedError | HostRefusedError | PaperError):
                raise start_error(config, name, error) from error
            if clock.monotonic() + _RETRY_START_SECONDS > deadline:
                if partly:
                    return error
                raise start_error(config, name, error, tried_seconds=clock.monotonic() - began) from error
            log.warning("venue_not_there_yet", venue=name, text=str(error))
            await clock.sleep(_RETRY_START_SECONDS)
        else:
            return None


# -- hedges ----------------------------------------------------------------------------------------------------------


def build_hedges(
    config: Config,
    observers: Mapping[str, Observer],
    memories: Mapping[str, HedgeMemory] | None = None,
    *,
    to_look: bool = False,
) -> tuple[Hedge, ...]:
    """The hedges with their venues' facts filled in; raises one error with every fault: :class:`ConfigError`, or
    :class:`VenueStartError` where what venues list of the contracts makes no sense and nothing else is wrong.

    ``memories`` say what a hedge was rolled to: where the configured contract has expired that one stands in its place.
    ``to_look`` is for showing alone: see :func:`~keeper.contracts.build_legs`.
    """
    hedges: list[Hedge] = []
    faults: list[str] = []
    kind: type[KeeperError] = VenueStartError
    for index, entry in enumerate(config.hedges):
        memory = (memories or {}).get(entry.name, HedgeMemory())
        try:
            hedges.append(_build_hedge(config, entry, observers, memory, to_look=to_look))
        except (ConfigError, VenueStartError) as error:
            key, _, text = str(error).partition(": ")
            faults.append(f'{config.path}: hedges[{index}].{key} (hedge "{entry.name}"): {text}')
            kind = ConfigError if isinstance(error, ConfigError) else kind
    if faults:
        raise kind(told_together(faults, str(config.path)))
    return tuple(hedges)


def _build_hedge(
    config: Config, entry: HedgeConfig, observers: Mapping[str, Observer], memory: HedgeMemory, *, to_look: bool
) -> Hedge:
    legs = build_legs(entry, observers, memory, to_look=to_look)
    instrument = legs[0].instrument
    shared = any(leg.collateral is not None and leg.collateral_is_spot for leg in legs)
    if shared and entry.exposure is ExposureMode.SPOT and entry.spot:
        raise ConfigError(
            'exposure: "spot" on a coin-margined contract in a unified account needs a stated quantity, because one '
            'balance is both spot and collateral there; give holdings and spot = [], or exposure = "equity"'
        )
    return Hedge(
        name=entry.name,
        assets=entry.assets,
        spot=entry.spot,
        declared={asset: Base(amount) for asset, amount in entry.declared.items()},
        instrument=instrument,
        target=entry.target,
        band=entry.band.to_core(),
        exposure=entry.exposure,
        unlisted=entry.unlisted,
        betas={
            asset: beta
            for asset, beta in entry.beta.items()
            if isinstance(beta, Decimal) and beta != ONE and asset != instrument.base
        },
        collateral=legs[0].collateral,
        collateral_is_spot=legs[0].collateral_is_spot,
        max_slippage=entry.max_slippage,
        max_foreign_ratio=config.safety.max_foreign_change,
        execution=entry.execution.to_core(),
        statements=statements_of(entry),
        roll=entry.roll.to_core(),
        min_ratio=entry.min_ratio,
        max_ratio=entry.max_ratio,
        transition=None if entry.transition is None else entry.transition.to_core(),
        slopes=tuple(each.first() for each in wanted_slopes(entry, instrument)),
        share=legs[0].share,
        more=legs[1:],
        tailing=entry.tailing,
        configured=entry.instrument if instrument.id != entry.instrument else None,
    )


def stood(hedges: Sequence[Hedge], memories: Mapping[str, HedgeMemory], *, will_trade: bool) -> dict[str, HedgeMemory]:
    """What each hedge remembers, as it stands for this keeper: orders given in a rehearsal do not in earnest."""
    found = dict(memories)
    for name in {hedge.name for hedge in hedges} | memories.keys():
        memory = memories.get(name, HedgeMemory())
        found[name] = in_earnest(memory) if will_trade else rehearsing(memory)
        if (found[name].paused, found[name].flattened, found[name].course) != (
            memory.paused, memory.flattened, memory.course,
        ):  # fmt: skip
            log.warning("rehearsed_orders_end", hedge=name, paused=memory.paused, flattened=memory.flattened)
    return found


def will_trade(config: Config) -> bool:
    """Whether this mode sends orders at all."""
    return _POLICIES[config.mode].trading or config.mode is _ON_PAPER


# -- a keeper that runs ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_house(config: Config, *, live: bool, clock: Clock | None = None) -> AsyncIterator[House]:
    """Everything that a running keeper needs: locks, venues, checks, journal, desk. Closes it all again.

    Raises :class:`KeeperError` with the exit code of what is in the way; nothing has been sent then.
    """
    refuse_unarmed(config, live=live)
    clock = clock or SystemClock()
    url = config.journal_url
    made = _make_all(config, clock)
    async with AsyncExitStack() as stack:
        stack.enter_context(lock_journal(url))
        for exchange, key in _keys_used(config):
            stack.enter_context(lock_key(exchange, key, journal_url=url))
        patience = config.loop.start_patience_seconds
        # The journal comes first: it knows which venue asked us to stay away.
        with _of_the_journal():
            journal = await SqlJournal.open(url)
            stack.push_async_callback(journal.close)
            stack.push_async_callback(waits.note, journal, made, clock)
            await refuse_other_accounts(config, used_venues(config), journal)
            away, known = await journal.back_offs(), await journal.memories()
        venues = await stack.enter_async_context(
            open_venues(config, clock, patience_seconds=patience, made=made, away=away, keeps=True)
        )
        hedges = build_hedges(config, venues.observers, known)
        await refuse_unready(config, hedges, venues.papers)
        with _of_the_journal():
            await note_accounts(config, used_venues(config), journal, clock.now_ms())
            await note_beginnings(journal, venues.papers)
        checked = await _first_check(config, hedges, venues, clock, patience)
        if venues.traders and checked.can_withdraw:
            name = checked.can_withdraw[0]
            raise UnsafeError(
                f"{config.path}: venues.{name}: the key may withdraw, and keeper trades only with keys that may not; "
                'make one at the venue that may read and trade and nothing else, or look only, with mode = "dry-run"'
            )
        betas = betas_of(config, hedges, venues.observers, clock)
        with _of_the_journal():
            run = await journal.start_run(config.mode.value, config_digest(config), clock.now_ms())
            await betas.recall(journal)
            hedges = await betas.refresh(hedges, journal)
        observatory = Observatory(hedges, venues.observers, clock, doubt_of(config), files_of(config, clock))
        observatory.standing, observatory.also_watched = checked.standing, checked.also_watched
        observatory.brakes, observatory.back_offs = brakes_of(config), venues.back_offs
        top_ups = _top_ups(config, venues, journal, clock)
        observatory.reads_margins = config.margin.to_core() is not None or top_ups is not None
        desk = Desk(
            hedges,
            observatory,
            _executor(config, venues, journal, clock),
            journal,
            clock,
            limits_of(config),
            run.tag,
            run.number,
            pace_of(config),
            books=venues.books,
        )
        desk.top_ups = top_ups
        with _of_the_journal():
            await restore(desk)
        desk.memories = stood(desk.hedges, desk.memories, will_trade=will_trade(config))
        for venue in made.values():
            venue.started()
        yield House(config, desk, clock, venues, wanted_of(config), checked, betas)


@contextmanager
def _of_the_journal() -> Iterator[None]:
    """What the journal does not take or give at the start ends it, in its own words."""
    try:
        yield
    except JournalError as error:
        raise KeeperError(f"the journal cannot be used: {error}") from error


def _executor(config: Config, venues: Venues, journal: Journal, clock: Clock) -> Executor:
    if not venues.traders:
        return NullExecutor()
    safety = config.safety
    patience = Patience(
        visibility_ms=round(safety.visibility_seconds * 1000), position_lag_ms=round(safety.position_lag_seconds * 1000)
    )
    return OrderExecutor(venues.traders, journal, clock, patience)


def _top_ups(config: Config, venues: Venues, journal: Journal, clock: Clock) -> TopUps | None:
    """What may move money: only where it is configured, and only in a mode that trades."""
    movers = {name: trader for name, trader in venues.traders.items() if isinstance(trader, Transfers)}
    wanted = {name: config.venues[name].top_up for name in venues.traders}
    rules = {name: rule.to_core() for name, rule in wanted.items() if rule is not None}
    for name in rules.keys() - movers.keys():
        raise ConfigError(f"{config.path}: venues.{name}.top_up: keeper cannot move money on this venue; remove it")
    return TopUps(rules, venues.observers, movers, journal, clock) if rules else None


async def _first_check(
    config: Config, hedges: Sequence[Hedge], venues: Venues, clock: Clock, patience_seconds: float
) -> Preflight:
    """The first check of the accounts: it is also the first use of the credentials."""
    deadline = clock.monotonic() + patience_seconds
    while True:
        try:
            for account in dict.fromkeys(account for hedge in hedges for account in hedge.spot):
                await _prove_account(account, venues)
            return await preflight(
                hedges, wanted_of(config), venues.observers, venues.traders, will_trade=will_trade(config)
            )
        except UnknownWalletError as error:
            raise wallet_fault(config, error) from error
        except VenueError as error:
            final = isinstance(error, CredentialsRefusedError | ClockRefusedError | HostRefusedError)
            if final or clock.monotonic() + _RETRY_START_SECONDS > deadline:
                raise start_error(config, whose(config, error), error) from error
            log.warning("check_failed", text=str(error))
            await clock.sleep(_RETRY_START_SECONDS)


async def _prove_account(account: AccountId, venues: Venues) -> None:
    """Read a wallet once, so that a wrong key ends the start and not a turn; an empty answer is the loop's business."""
    try:
        await venues.observers[account.venue].wallet(account.wallet)
    except BadReadingError as error:
        log.warning("wallet_unreadable", account=str(account), text=str(error))
