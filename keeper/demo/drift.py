"""The market of ``keeper sim``: prices that wander by themselves, and funding that comes round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal

from keeper.clock import Clock
from keeper.sim.exchange import Exchange
from keeper.sim.market import Walk, random_walk
from keeper.sim.types import MarketKind

STEP_SECONDS = 0.25
"""Real time between two prices."""
FUNDING_MS = 8 * 3_600_000
VOLATILITY = {"BTC": 0.5, "ETH": 0.7, "SOL": 0.9}
"""Of a year, as a fraction; an asset that is not named takes the last one."""
_SIGNIFICANT = Context(prec=7)


def steps(assets: Mapping[str, Decimal], seed: int, step_ms: int) -> Iterator[dict[str, Decimal]]:
    """Endless factors by which each price moves in ``step_ms`` of market time; the same for the same seed."""
    walks = {
        asset: random_walk(Walk(asset, Decimal(1), VOLATILITY.get(asset, 0.9), step_ms=step_ms), seed)
        for asset in assets
    }
    before = {asset: next(walk).price for asset, walk in walks.items()}
    while True:
        now = {asset: next(walk).price for asset, walk in walks.items()}
        yield {asset: now[asset] / before[asset] for asset in now}
        before = now


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
