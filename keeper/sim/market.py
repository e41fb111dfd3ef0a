"""Price paths to drive the exchange with: seeded walks, scripted keyframes, recorded candles.

A path is an iterator of :class:`Tick`, offsets counted from its start; :func:`drive` plays it on a clock.
"""

from __future__ import annotations

import csv
import heapq
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from pathlib import Path

from keeper.clock import Clock
from keeper.sim.exchange import Exchange

_YEAR_MS = 365 * 86_400_000
_SIGNIFICANT = 7  # digits kept of a computed price


@dataclass(frozen=True, slots=True)
class Tick:
    """An index price (quote units) of an asset, ``offset_ms`` after the path's start."""

    offset_ms: int
    asset: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A price that a scripted path passes through."""

    offset_ms: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Walk:
    """A geometric random walk: yearly volatility and drift as fractions (0.6 = 60 % a year)."""

    asset: str
    start: Decimal
    volatility: float = 0.6
    drift: float = 0.0
    step_ms: int = 1_000


def random_walk(walk: Walk, seed: int) -> Iterator[Tick]:
    """An endless walk from ``walk.start``; the same for the same seed."""
    source = random.Random(f"{seed}:{walk.asset}")  # noqa: S311 (a path must repeat with its seed)
    years = walk.step_ms / _YEAR_MS
    scale, shift = walk.volatility * math.sqrt(years), (walk.drift - walk.volatility**2 / 2) * years
    level, offset_ms = 0.0, 0
    while True:
        yield Tick(offset_ms, walk.asset, _price(float(walk.start) * math.exp(level)))
        level += shift + scale * source.gauss(0.0, 1.0)
        offset_ms += walk.step_ms


def keyframes(
    asset: str, frames: Sequence[Keyframe], step_ms: int = 1_000, *, noise_bps: float = 0.0, seed: int = 0
) -> Iterator[Tick]:
    """Straight lines through the keyframes; noise moves all but the keyframes themselves. Needs rising offsets."""
    offsets = [frame.offset_ms for frame in frames]
    if not frames or step_ms <= 0 or offsets != sorted(set(offsets)):
        raise ValueError(f"{asset}: a scripted path needs keyframes at rising offsets and a step above zero")
    source = random.Random(f"{seed}:{asset}")  # noqa: S311 (a path must repeat with its seed)
    for left, right in pairwise(frames):
        yield Tick(left.offset_ms, asset, left.price)
        span = right.offset_ms - left.offset_ms
        for offset in range(step_ms, span, step_ms):
            line = left.price + (right.price - left.price) * offset / span
            wobble = 1.0 + source.gauss(0.0, noise_bps / 10_000) if noise_bps else 1.0
            yield Tick(left.offset_ms + offset, asset, _price(float(line) * wobble))
    yield Tick(frames[-1].offset_ms, asset, frames[-1].price)


def rally_and_sell_off(asset: str, start: Decimal, length_ms: int, *, seed: int = 0) -> Iterator[Tick]:
    """The demo's story: calm, a rally of 12 %, a sell-off to −15 %, half a recovery; then it ends."""
    story = ((0, "1"), (15, "1.005"), (40, "1.12"), (50, "1.10"), (75, "0.85"), (100, "0.93"))
    frames = [Keyframe(length_ms * part // 100, start * Decimal(factor)) for part, factor in story]
    return keyframes(asset, frames, max(1, length_ms // 400), noise_bps=4.0, seed=seed)


def recorded_candles(asset: str, file: Path) -> Iterator[Tick]:
    """Ticks from a CSV file of candles: ``open_ms,open,high,low,close`` and anything after; a header is skipped.

    Each candle gives its open, its two extremes (the nearer to the open first) and its close, a quarter of the
    spacing to the next candle apart. Raises ValueError naming file and line for a row that cannot be read.
    """
    rows = _candle_rows(file)
    if not rows:
        raise ValueError(f"{file}: no candles")
    start_ms = rows[0][0]
    spacing_ms = rows[1][0] - start_ms if len(rows) > 1 else 60_000
    for at_ms, opened, high, low, close in rows:
        extremes = (high, low) if high - opened < opened - low else (low, high)
        for part, price in enumerate((opened, *extremes, close)):
            yield Tick(at_ms - start_ms + spacing_ms * part // 4, asset, price)


def merge(paths: Iterable[Iterator[Tick]]) -> Iterator[Tick]:
    """Several paths as one, by offset."""
    return heapq.merge(*paths, key=lambda tick: tick.offset_ms)


async def drive(exchange: Exchange, clock: Clock, path: Iterator[Tick]) -> None:
    """Play a path: wait for each tick's time on the monotonic clock, then set its price; returns at its end."""
    began = clock.monotonic()
    for tick in path:
        await clock.sleep(began + tick.offset_ms / 1000 - clock.monotonic())
        exchange.set_price(tick.asset, tick.price)
        exchange.advance()


def _price(price: float) -> Decimal:
    exact = Decimal(repr(price))
    places = _SIGNIFICANT - 1 - exact.adjusted()
    return exact.quantize(Decimal(1).scaleb(-max(places, 0)), rounding=ROUND_HALF_EVEN)


def _candle_rows(file: Path) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal]]:
    rows = []
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            if not row or (number == 1 and not row[0].strip().isdigit()):
                continue
            try:
                opened, high, low, close = (Decimal(cell) for cell in row[1:5])
                rows.append((int(row[0]), opened, high, low, close))
            except (ValueError, ArithmeticError) as error:
                raise ValueError(f"{file}, line {number}: not a candle: {row!r}") from error
    return rows
