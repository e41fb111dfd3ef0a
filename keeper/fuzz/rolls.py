"""Hedges that roll during the run: contracts that expire in it, rules that see it coming, worlds in which it is judged.

Drawn from a stream of its own. Where nothing but the process fails, a roll is held to its promise: it stays inside the
band, and nothing is left in a contract that is delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random

from keeper.core.roll_rules import Fallback, RollRules, WhenTooDear
from keeper.fuzz.carriers import FAR_MS, RUN_TURNS, SHARES, Carried, CarrierOptions, DatedOptions
from keeper.fuzz.virtual import START_MS

D = Decimal
ROLL_SHARE = 8
"""One seed in so many has hedges that roll; in a third of these nothing fails but the process."""
POLL_SECONDS = 60.0
DAY_SECONDS = 86_400
LATEST_TURNS = 46


@dataclass(frozen=True, slots=True)
class RollOptions:
    """``quiet``: no faults, no owner and no operator; the process still dies, and prices still move."""

    quiet: bool = False


def draw_rolls(
    source: Random, symbols: tuple[str, ...]
) -> tuple[RollOptions, CarrierOptions, tuple[Carried, ...]] | None:
    """The contracts of the hedges on ``symbols``, each in one that expires; None where this run has no rolls."""
    if source.randrange(ROLL_SHARE):
        return None
    quiet = source.random() < 1 / 3
    dated: list[DatedOptions] = []
    carried: list[Carried] = []
    for symbol in symbols:
        seconds = POLL_SECONDS * RUN_TURNS * source.uniform(0.25, 0.8)
        near = DatedOptions(symbol, START_MS + round(seconds * 1000), D(source.randint(-200, 200)) / 10_000)
        far = DatedOptions(symbol, START_MS + FAR_MS, D(source.randint(-300, 300)) / 10_000)
        dated += [near, far]
        # The perpetual and the far contract are where it may go, whether the hedge names them or not.
        beside = source.choice(((), (), (symbol,), (far.symbol,)))
        could = tuple(each for each in (symbol, far.symbol) if each not in beside)
        shares = source.choice(((), SHARES[0], SHARES[1])) if beside else ()
        carried.append(Carried((near.symbol, *beside), shares, could=could, roll=_rules(source, seconds)))
    options = CarrierOptions(tuple(dated), source.choice((0, 60_000)), POLL_SECONDS)
    return RollOptions(quiet), options, tuple(carried)


def _rules(source: Random, seconds: float) -> RollRules:
    """A window of one to some hours: a roll takes as many turns as there are slices, and those follow each other.

    The last moment leaves twice the turns that the most slices take: a thin book or a slow answer costs a poll each.
    """
    window = D(str(round(max(3_600.0, seconds * source.uniform(0.2, 0.9)) / DAY_SECONDS, 5)))
    latest = max(window * D(source.choice(("0.3", "0.6"))), LATEST_TURNS * D(POLL_SECONDS) / DAY_SECONDS)
    return RollRules(
        window_days=window,
        latest_days=latest.quantize(D("0.00001")),
        horizon_days=D(source.choice((7, 90))),
        candidates=source.choice(((), (), ("perpetual",), ("next",))),
        max_cost_annual=source.choice((D("0.15"), D("0.01"))),
        when_too_dear=source.choice((WhenTooDear.ALERT, WhenTooDear.PERPETUAL)),
        fallback=source.choice(tuple(Fallback)),
    )
