"""What one run is like, drawn before it begins: the swarm's probabilities, the market, the hedges, the crashes.

Probabilities are themselves drawn, so that some runs have no crash and others little else; a fault that is off in this
run may be the very thing that lets another one go deep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from random import Random
from typing import Any

from keeper.core.execution import AT_ONCE, BPS, Execution
from keeper.core.model import Band, ExposureMode, Unlisted
from keeper.fuzz.carriers import NOTHING, ONE_EACH, Carried, CarrierOptions, draw_carriers
from keeper.fuzz.rolls import POLL_SECONDS, RollOptions, draw_rolls
from keeper.fuzz.styles import PLAIN, SPREAD_MARGIN, StyleOptions, draw_execution, draw_styles
from keeper.fuzz.virtual import Streams
from keeper.sim.faults import FaultKind

D = Decimal


class Transport(Enum):
    """What stands between the keeper and the exchange."""

    DIRECT = "direct"
    CLIENT = "client"
    """The real client library, its sockets replaced by calls in memory."""


class Storage(Enum):
    """Where the journal is kept."""

    MEMORY = "memory"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class HedgeOptions:
    """One hedge as it would stand in a configuration. ``short`` is what is open before the keeper's first look.

    ``symbol`` is the perpetual on which it would stand alone, ``carried`` are all of its contracts.
    """

    name: str
    symbol: str
    ratio: Decimal
    band: Band
    exposure: ExposureMode
    unlisted: Unlisted
    spot: bool
    declared: Decimal
    short: Decimal
    max_slippage: Decimal
    execution: Execution = AT_ONCE
    carried: Carried = NOTHING


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """How the market moves: one step a tick, in shares of the price; jumps are rare and large."""

    step: float
    jump_chance: float
    jump: float
    tick_polls: float
    first_level: Decimal
    half_spread_bps: Decimal
    funding_chance: float


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What the owner does, a chance for each tick."""

    deposit: float
    withdraw: float
    sell: float
    collateral: float
    pause: float
    stray: float
    """Chance of an order of ours that rests without anybody waiting for it, as another version may have left it."""


@dataclass(frozen=True, slots=True)
class LateOptions:
    """For how long at most an order, and its fills, are hidden, and from how many readings of each view."""

    orders_ms: int
    fills_ms: int
    readings: int


QUICK = LateOptions(4_000, 4_000, 2)
"""With the five seconds that a late order may take: inside the ten for which "no such order" is always distrusted."""
SLOW = LateOptions(50_000, 25_000, 60)
"""Inside ``position_lag_seconds``, and inside twice that, after which an order that nobody has seen is absent."""


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """Chances for each call: refused at once, written and yet reported as failed; and how long a full disk stays so."""

    locked: float
    lost_answer: float
    disk_full: float
    full_seconds: float
    slow: float


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that was drawn for one run.

    ``often`` are faults that strike often in any case; with ``only_those`` the rest of the menu stays off.
    """

    seed: int
    transport: Transport
    storage: Storage
    poll_seconds: float
    latency_seconds: float
    slow_chance: float
    slow_seconds: float
    crash_turns: int
    restart_chance: float
    hedges: tuple[HedgeOptions, ...]
    market: MarketOptions
    flows: FlowOptions
    journal: JournalOptions
    max_order_notional: Decimal
    margin: Decimal
    brake_chance: float = 0.0
    """Of a brake being pulled between two turns: the kill file, or a disk that is nearly full."""
    styles: StyleOptions = PLAIN
    carriers: CarrierOptions = ONE_EACH
    rolls: RollOptions | None = None
    often: tuple[FaultKind, ...] = ()
    only_those: bool = False
    late: LateOptions = QUICK

    @property
    def kinds(self) -> tuple[str, ...]:
        """What this run has drawn that not every run has, for the report."""
        found = {
            "real client": self.transport is Transport.CLIENT,
            "real database": self.storage is Storage.DATABASE,
            "worked orders": self.styles.reads_books,
            "several contracts": any(len(each.carried.symbols) > 1 for each in self.hedges),
            "shares": any(each.carried.shares for each in self.hedges),
            "rolls": self.rolls is not None,
            "rolls in a quiet world": self.rolls is not None and self.rolls.quiet,
            "fills and orders hidden for long": self.late == SLOW,
            "a contract expires": self.carriers.poll_seconds is not None and bool(self.carriers.dated),
        }
        return tuple(name for name, is_so in found.items() if is_so)


NO_FLOWS = FlowOptions(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
GOOD_JOURNAL = JournalOptions(0.0, 0.0, 0.0, 30.0, 0.0)
CLIENT_SHARE = 40
DATABASE_SHARE = 25
"""One seed in so many takes the slow road, which is the real one."""


def draw(seed: int, **given: Any) -> Options:
    """The options of a seed; what is given, by the name of its field, is not as it was drawn."""
    source = Streams(seed).of("options")
    by_client, in_database = source.randrange(CLIENT_SHARE) == 0, source.randrange(DATABASE_SHARE) == 0
    drawn = Options(
        seed=seed,
        transport=Transport.CLIENT if by_client else Transport.DIRECT,
        storage=Storage.DATABASE if in_database else Storage.MEMORY,
        poll_seconds=source.choice((1.0, 5.0, 5.0, 15.0, 60.0)),
        latency_seconds=source.choice((0.0, 0.005, 0.05, 0.3)),
        slow_chance=source.choice((0.0, 0.0, 0.002, 0.02)),
        slow_seconds=source.choice((1.0, 6.0, 20.0)),
        crash_turns=source.choice((0, 5, 20, 60, 150)),
        restart_chance=source.choice((0.0, 0.0, 0.01)),
        hedges=_hedges(source),
        market=_market(source),
        flows=_flows(source),
        journal=_journal(source),
        max_order_notional=source.choice((D(20_000), D(100_000), D(100_000_000))),
        margin=source.choice((D(150_000), D(5_000_000), D(5_000_000))),
        # A stream of its own: what was drawn before keeps its value for every seed.
        brake_chance=Streams(seed).of("brake options").choice((0.0, 0.0, 0.0, 0.005)),
        late=Streams(seed).of("late views").choice((QUICK, QUICK, SLOW)),
    )
    return replace(_with_rolls(_with_carriers(_with_styles(drawn))), **given)


def _with_styles(drawn: Options) -> Options:
    """The same run, its hedges' orders worked as drawn from a stream of its own."""
    source = Streams(drawn.seed).of("styles")
    styles = draw_styles(source)
    if not styles.reads_books:
        return drawn
    least = SPREAD_MARGIN * drawn.market.half_spread_bps / BPS
    hedges = tuple(
        replace(each, execution=draw_execution(source), max_slippage=max(each.max_slippage, least))
        for each in drawn.hedges
    )
    return replace(drawn, styles=styles, hedges=hedges)


def _with_carriers(drawn: Options) -> Options:
    """The same run, its hedges carried by the contracts that a stream of their own draws."""
    source = Streams(drawn.seed).of("carriers")
    carriers, carried = draw_carriers(source, tuple(each.symbol for each in drawn.hedges))
    hedges = tuple(replace(each, carried=own) for each, own in zip(drawn.hedges, carried, strict=True))
    poll = drawn.poll_seconds if carriers.poll_seconds is None else carriers.poll_seconds
    return replace(drawn, hedges=hedges, carriers=carriers, poll_seconds=poll)


def _with_rolls(drawn: Options) -> Options:
    """The same run, its hedges in contracts that expire and are rolled in time, as a stream of their own draws."""
    source = Streams(drawn.seed).of("rolls")
    found = draw_rolls(source, tuple(each.symbol for each in drawn.hedges))
    if found is None:
        return drawn
    rolls, carriers, carried = found
    hedges = tuple(_rolled(source, each, own) for each, own in zip(drawn.hedges, carried, strict=True))
    drawn = replace(
        drawn, hedges=hedges, carriers=carriers, rolls=rolls, poll_seconds=POLL_SECONDS, margin=D(5_000_000)
    )
    if not rolls.quiet:
        return drawn
    return replace(drawn, flows=NO_FLOWS, journal=GOOD_JOURNAL, brake_chance=0.0, often=(), only_those=True)


def _rolled(source: Random, hedge: HedgeOptions, carried: Carried) -> HedgeOptions:
    """A hedge whose roll can be done in a run: a narrow band makes for hundreds of slices.

    What others put into a contract that it may roll to holds it before that contract is the hedge's own.
    """
    act = source.choice((D("0.02"), D("0.05"), D("0.1")))
    return replace(hedge, carried=carried, unlisted=Unlisted.HOLD, band=Band(act / 2, act, max(D("0.5"), act * 2)))


def _hedges(source: Random) -> tuple[HedgeOptions, ...]:
    symbols = source.choice(
        (
            ("BTC/USDT:USDT",),
            ("ETH/USDT:USDT",),
            ("BTC/USD:BTC",),
            ("BTC/USDT:USDT", "ETH/USDT:USDT"),
            ("BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"),
            ("ETH/USDT:USDT", "BTC/USD:BTC"),
        )
    )
    return tuple(_hedge(source, symbol, symbols) for symbol in symbols)


def _hedge(source: Random, symbol: str, symbols: tuple[str, ...]) -> HedgeOptions:
    act = source.choice((D("0.005"), D("0.02"), D("0.05"), D("0.1")))
    band = Band(act / 2, act, source.choice((act * 2, D("0.5"), D("0.9"))))
    inverse = symbol.endswith(":BTC")
    alone = not (inverse and "BTC/USDT:USDT" in symbols)
    exposure = ExposureMode.SPOT if not inverse and source.random() < 0.2 else ExposureMode.EQUITY
    # Two hedges on one coin see each other's contract as unlisted only if neither names it; both are named here.
    return HedgeOptions(
        name=symbol.partition("/")[0].lower() + ("-coin" if inverse else ""),
        symbol=symbol,
        ratio=source.choice((D("0.25"), D("0.6"), D("0.9"), D(1))),
        band=band,
        exposure=exposure,
        unlisted=source.choice((Unlisted.HOLD, Unlisted.COUNT, Unlisted.IGNORE)),
        spot=not inverse or (alone and source.random() < 0.5),
        declared=source.choice((D(0), D(0), D("0.5"))),
        short=source.choice((D(0), D(0), D("0.5"))),
        max_slippage=source.choice((D("0.001"), D("0.005"))),
    )


def _market(source: Random) -> MarketOptions:
    return MarketOptions(
        step=source.choice((0.0002, 0.002, 0.01)),
        jump_chance=source.choice((0.0, 0.002, 0.01)),
        jump=source.choice((0.05, 0.15, 0.3)),
        tick_polls=source.choice((0.5, 1.0, 1.0, 3.0)),
        first_level=source.choice((D(5_000), D(20_000), D(250_000))),
        half_spread_bps=source.choice((D("0.5"), D(5), D(30))),
        funding_chance=source.choice((0.0, 0.01)),
    )


def _flows(source: Random) -> FlowOptions:
    busy = source.choice((0.0, 0.005, 0.02, 0.05))
    return FlowOptions(
        deposit=busy * source.random(),
        withdraw=busy * source.random(),
        sell=busy * source.random(),
        collateral=busy * source.random() / 2,
        pause=source.choice((0.0, 0.002)),
        stray=source.choice((0.0, 0.0, 0.02)),
    )


def _journal(source: Random) -> JournalOptions:
    bad = source.choice((0.0, 0.0, 0.001, 0.02))
    return JournalOptions(
        locked=bad,
        lost_answer=bad / 2,
        disk_full=bad / 10,
        full_seconds=source.choice((30.0, 300.0)),
        slow=source.choice((0.0, 0.01)),
    )
