"""Which contracts carry the hedges of one run: several for some, dated ones among them, drawn beside the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from keeper.core.model import AccountId, HedgeMemory, InstrumentId, Leg
from keeper.core.roll_rules import RollRules
from keeper.fuzz.virtual import START_MS
from keeper.sim.calendar import day_of
from keeper.venue.base import Observer, UnknownSymbolError

D = Decimal
VENUE = "main"
SEVERAL_SHARE = 3
"""One seed in so many has hedges over several contracts; in about half of these one expires during the run."""
RUN_TURNS = 500
"""Turns of a run as it is asked for by default: a contract that is to expire in it expires within so many polls."""
FAR_MS = 100 * 86_400_000
SHARES = ((D("0.5"), D("0.5")), (D("0.7"), D("0.3")), (D("0.25"), D("0.75")))


@dataclass(frozen=True, slots=True)
class DatedOptions:
    """A dated contract that is listed beside the perpetual ``like``; ``basis`` is its premium over the index."""

    like: str
    expires_at_ms: int
    basis: Decimal

    @property
    def symbol(self) -> str:
        """Its unified symbol."""
        return f"{self.like}-{day_of(self.expires_at_ms)}"


@dataclass(frozen=True, slots=True)
class CarrierOptions:
    """What is listed for several contracts a hedge. ``delivery_ms`` is from a last trade to the delivery."""

    dated: tuple[DatedOptions, ...] = ()
    delivery_ms: int = 0
    poll_seconds: float | None = None
    """Where a contract expires in the run its polls are long: an hour before the expiry nothing is opened in it."""


ONE_EACH = CarrierOptions()
"""Every hedge on one perpetual."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The contracts of one hedge, in its order of preference or each with its share.

    ``short_on`` is the place of the one that is short before the first look, where any is. ``could`` are contracts that
    it may be rolled to beside those, by the rules of ``roll``; None: it is not rolled.
    """

    symbols: tuple[str, ...]
    shares: tuple[Decimal, ...] = ()
    short_on: int = 0
    could: tuple[str, ...] = ()
    roll: RollRules | None = None


NOTHING = Carried(())
"""Not drawn yet."""


def draw_carriers(source: Random, symbols: tuple[str, ...]) -> tuple[CarrierOptions, tuple[Carried, ...]]:
    """The contracts of the hedges on ``symbols``, one each where this run is not one of them."""
    if source.randrange(SEVERAL_SHARE):
        return ONE_EACH, tuple(Carried((symbol,)) for symbol in symbols)
    expires = source.random() < 0.6
    poll = source.choice((15.0, 60.0, 60.0)) if expires else None
    dated: list[DatedOptions] = []
    taken = set(symbols)
    carried: list[Carried] = []
    for symbol in symbols:
        more: list[str] = []
        other = {"BTC/USDT:USDT": "BTC/USD:BTC", "BTC/USD:BTC": "BTC/USDT:USDT"}.get(symbol)
        if other is not None and other not in taken and source.random() < 0.5:
            taken.add(other)
            more.append(other)
        if poll is not None and source.random() < 0.7:
            ends_ms = START_MS + round(poll * RUN_TURNS * 1000 * source.uniform(0.1, 0.9))
            like = source.choice((symbol, *more))
            dated.append(DatedOptions(like, ends_ms, D(source.randint(-200, 200)) / 10_000))
            more.append(dated[-1].symbol)
        if not more or source.random() < 0.3:
            far = DatedOptions(symbol, START_MS + FAR_MS, D(source.randint(-300, 300)) / 10_000)
            dated.append(far)
            more.append(far.symbol)
        order = [symbol, *more]
        source.shuffle(order)
        carried.append(_carried(source, order))
    return CarrierOptions(tuple(dated), source.choice((0, 0, 60_000, 600_000)), poll), tuple(carried)


def _carried(source: Random, order: list[str]) -> Carried:
    short_on = source.randrange(len(order))
    if len(order) == 2 and source.random() < 0.4:
        return Carried(tuple(order), source.choice(SHARES), short_on)
    return Carried(tuple(order), (), short_on)


def legs_of(carried: Carried, observer: Observer, memory: HedgeMemory) -> tuple[Leg, ...]:
    """The legs as the wiring makes them: a dated contract that its venue lists no more is left out.

    Where none is left the hedge is carried by what it was rolled to; a hedge that never was is given the first of the
    others by its owner, who would have to.
    """
    legs = _listed(observer, carried.symbols, carried.shares, memory.successors)
    if not legs and memory.carrier is not None and memory.carrier_for == named_first(carried):
        legs = _listed(observer, (memory.carrier.symbol,))
    return legs or _listed(observer, carried.could[:1])


def all_legs(carried: Carried, observer: Observer) -> tuple[Leg, ...]:
    """Every contract in which this hedge may come to be short."""
    return _listed(observer, (*carried.symbols, *carried.could), (*carried.shares, *(D(0) for _ in carried.could)))


def named_first(carried: Carried) -> InstrumentId:
    """The first contract of the configuration."""
    return InstrumentId(VENUE, carried.symbols[0])


def _listed(
    observer: Observer,
    symbols: Sequence[str],
    shares: Sequence[Decimal] = (),
    successors: Mapping[InstrumentId, InstrumentId] | None = None,
) -> tuple[Leg, ...]:
    """The legs of those that are listed; where one with a share is not, of what it was rolled to."""
    legs: list[Leg] = []
    for place, symbol in enumerate(symbols):
        try:
            instrument = observer.instrument(symbol)
        except UnknownSymbolError:
            if "-" not in symbol:
                raise
            then = (successors or {}).get(InstrumentId(VENUE, symbol)) if any(shares) else None
            if then is not None and then.symbol not in symbols:
                legs += _listed(observer, (then.symbol,), (shares[place],))
            continue
        wallet = observer.collateral(instrument)
        at: AccountId | None = None if wallet is None else wallet[0]
        legs.append(Leg(instrument, shares[place] if any(shares) else None, at))
    return tuple(legs)
