"""Settings that are allowed, each for itself, and together leave a protection without an effect."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from keeper.core.execution import Style
from keeper.core.orders import plain
from keeper.core.routes import roll_steps

if TYPE_CHECKING:
    from keeper.config.models import Config, HedgeConfig

HOUR_SECONDS = 3_600


def traps(config: Config) -> Iterator[tuple[str, str]]:
    """Each as (key, what it comes to and the remedy)."""
    for hedge in config.hedges:
        name = f"hedges.{hedge.name}"
        yield from ((f"{name}.{key}", text) for key, text in _of_hedge(config, hedge))


def _of_hedge(config: Config, hedge: HedgeConfig) -> Iterator[tuple[str, str]]:
    key = "ratio" if hedge.ratio is not None else "max_ratio"
    largest = hedge.max_ratio if hedge.ratio is None else hedge.ratio
    band, most = hedge.band.to_core(), config.limits.max_orders_per_hour
    slices = roll_steps(largest, band)
    if 0 < largest <= band.halt:
        # A hedge whose short is gone altogether has drifted by the whole of its ratio, and by no more.
        text = f"{plain(band.halt)} can never be passed: the largest drift is {key}, {plain(largest)}; lower it"
        yield "band.halt", text
    if hedge.looks_dated and slices > most:
        hours = plain((Decimal(slices) / most).quantize(Decimal("0.1")))
        text = (
            f"a roll takes about {slices} orders that open shorts, and limits.max_orders_per_hour is {most}: it lasts "
            f"{hours} hours and leaves no order for anything else; raise it, or widen band.act"
        )
        yield "roll", text
    work = hedge.execution
    if work.style is Style.TWAP and work.slices * HOUR_SECONDS > most * max(work.over_seconds, Decimal(HOUR_SECONDS)):
        text = (
            f"{work.slices} slices over {plain(work.over_seconds)} s are more than limits.max_orders_per_hour, {most}: "
            "the last ones wait for the next hour, past the time; take fewer slices, or raise it"
        )
        yield "execution.slices", text
    latest_seconds = hedge.roll.latest_days * 24 * HOUR_SECONDS
    if hedge.looks_dated and latest_seconds < slices * 4 * Decimal(config.loop.poll_seconds):
        text = (
            f"{plain(hedge.roll.latest_days)} days are too short for about {slices} slices with a look every "
            f"{config.loop.poll_seconds:g} s; raise it"
        )
        yield "roll.latest_days", text
