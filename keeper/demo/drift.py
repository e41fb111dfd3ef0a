"""The market of ``keeper sim``: prices that wander by themselves, mostly together, and funding that comes round."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal

from keeper.clock import Clock
from keeper.sim.exchange import Exchange
from keeper.sim.history import ALIKE
from keeper.sim.market import Walk, random_walk
from keeper.sim.types import MarketKind

STEP_SECONDS = 0.25
"""Real time between two prices."""
FUNDING_MS = 8 * 3_600_000
VOLATILITY = {"BTC": 0.5, "ETH": 0.7, "SOL": 0.9, "TOP10": 0.55}
"""Of a year, as a fraction; an asset that is not named takes the last one."""
_OTHERS = 0.9
_SIGNIFICANT = Context(prec=7)


def steps(assets: Mapping[str, Decimal], seed: int, step_ms: int) -> Iterator[dict[str, Decimal]]:
    """Endless factors by which each price moves in ``step_ms`` of market time; the same for the same seed."""
    shared = _moves("", seed, step_ms)
    own = {asset: _moves(asset, seed, step_ms) for asset in assets}
    while True:
        together = next(shared)
        moves = {asset: ALIKE * together + math.sqrt(1 - ALIKE**2) * next(alone) for asset, alone in own.items()}
        yield {asset: Decimal(repr(math.exp(VOLATILITY.get(asset, _OTHERS) * move))) for asset, move in moves.items()}


def _moves(name: str, seed: int, step_ms: int) -> Iterator[float]:
    """Endless changes of the logarithm, at a volatility of one a year."""
    walk = random_walk(Walk(name, Decimal(1_000_000), 1.0, step_ms=step_ms), seed)
    before = next(walk).price
    for tick in walk:
        yield math.log(tick.price / before)
        before = tick.price


async def wander(exchange: Exchange, clock: Clock, seed: int, speed: float) -> None:
    """Move prices and settle funding for ever, market time running ``speed`` times as fast as the clock; 0: never.

    Each step starts from the price in force, so that a price set by hand stays where it was put and wanders on.
    """
    if speed <= 0:
        return
    step_ms = max(1, round(STEP_SECONDS * 1000 * speed))
    passed_ms = 0
    for factors in steps(exchange.true_prices(), seed, step_ms):
        await clock.sleep(STEP_SECONDS)
        for asset, factor in factors.items():
            exchange.set_price(asset, _SIGNIFICANT.create_decimal(exchange.index_price(asset) * factor))
        due = (passed_ms + step_ms) // FUNDING_MS - passed_ms // FUNDING_MS
        passed_ms += step_ms
        if due and speed > 1:  # at the clock's own pace the exchange's timetable does it
            _settle(exchange)


def _settle(exchange: Exchange) -> None:
    for kind in (MarketKind.LINEAR, MarketKind.INVERSE):
        for market in exchange.markets(kind):
            if market.is_perpetual:
                exchange.apply_funding(market.key)
