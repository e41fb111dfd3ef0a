"""The day that the demo plays: what the market does, and what the owner of the coins does. Pure.

Time is minutes of that day; how fast they pass is :func:`advance`'s business. Prices are in quote units a coin, and the
same seed gives the same day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from keeper.sim.market import Keyframe, keyframes

DAY_MINUTES = 1440
_MINUTE_MS = 60_000
_NOISE_BPS = 4.0


@dataclass(frozen=True, slots=True)
class Deposit:
    """Coins arrive in the spot wallet, or as a coin-margined contract's margin; asset units."""

    asset: str
    amount: Decimal
    as_margin: bool = False


@dataclass(frozen=True, slots=True)
class Sale:
    """The owner sells coins on the spot market, asset units."""

    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Funding:
    """Every contract settles funding at this rate, a fraction of notional; > 0: longs pay shorts."""

    rate: Decimal


@dataclass(frozen=True, slots=True)
class Remark:
    """It is told how the hedges stand after what the market did, ``after`` in words."""

    after: str


Action = Deposit | Sale | Funding | Remark


@dataclass(frozen=True, slots=True)
class Beat:
    """Something that happens at a minute of the day."""

    minute: int
    action: Action

    @property
    def by_owner(self) -> bool:
        """Whether the owner does it, who looks at the hedges first; the market waits for nobody."""
        return isinstance(self.action, Deposit | Sale)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the day, from its minute on."""

    minute: int
    name: str


@dataclass(frozen=True, slots=True)
class Story:
    """A whole day: chapters and beats in order, and for each asset a price for each minute, the last one included."""

    chapters: tuple[Chapter, ...]
    beats: tuple[Beat, ...]
    paths: Mapping[str, tuple[Decimal, ...]]
    expiry_minute: int = 0
    """From then on the keeper is asked to look at what expires."""

    def chapter(self, minute: float) -> str:
        """The name of the part of the day at ``minute``."""
        return self.chapters[bisect_right([each.minute for each in self.chapters], minute) - 1].name

    def prices(self, minute: float) -> dict[str, Decimal]:
        """The price of each asset at ``minute``."""
        index = min(max(int(minute), 0), DAY_MINUTES)
        return {asset: path[index] for asset, path in self.paths.items()}


def a_day(start: Mapping[str, Decimal], seed: int = 0) -> Story:
    """The demo's day, from the prices in ``start`` on: a rally, a sell-off, and an owner who moves coins."""
    shape = ((0, "1"), (6, "1.004"), (11, "1.11"), (14, "1.095"), (17, "0.905"), (20, "0.93"), (24, "0.95"))
    wilder = ((0, "1"), (6, "1.002"), (11, "1.14"), (14, "1.12"), (17, "0.88"), (20, "0.91"), (24, "0.94"))
    return Story(
        chapters=(
            Chapter(0, "quiet night"),
            Chapter(6 * 60, "rally"),
            Chapter(11 * 60, "at the top"),
            Chapter(14 * 60, "sell-off"),
            Chapter(17 * 60, "catching breath"),
            Chapter(20 * 60, "recovery"),
        ),
        beats=(
            Beat(8 * 60, Funding(Decimal("0.0005"))),
            Beat(10 * 60, Deposit("BTC", Decimal("1.5"))),
            Beat(12 * 60 + 30, Deposit("ETH", Decimal(10))),
            Beat(16 * 60, Funding(Decimal("-0.0003"))),
            Beat(17 * 60 + 20, Sale("BTC", Decimal(2))),
            Beat(18 * 60 + 40, Sale("ETH", Decimal(20))),
            Beat(20 * 60 + 30, Deposit("BTC", Decimal("0.05"))),
        ),
        paths={
            asset: _path(asset, price, shape if place == 0 else wilder, seed)
            for place, (asset, price) in enumerate(start.items())
        },
    )


def a_roll(start: Mapping[str, Decimal], seed: int = 0) -> Story:
    """A day of a coin-margined hedge: moves that cause no trade, a contract that runs out, more margin."""
    shape = ((0, "1"), (2, "1.003"), (5, "1.16"), (6, "1.14"), (9, "0.88"), (14, "0.9"), (20, "0.96"), (24, "0.97"))
    return Story(
        chapters=(
            Chapter(0, "quiet night"),
            Chapter(2 * 60, "rally"),
            Chapter(6 * 60, "sell-off"),
            Chapter(9 * 60 + 30, "expiry nears"),
            Chapter(18 * 60, "recovery"),
        ),
        beats=(
            Beat(5 * 60 + 30, Remark("the rally")),
            Beat(9 * 60 + 10, Remark("the sell-off")),
            Beat(20 * 60, Deposit("BTC", Decimal(1), as_margin=True)),
            Beat(23 * 60, Remark("all of it")),
        ),
        paths={asset: _path(asset, price, shape, seed) for asset, price in start.items()},
        expiry_minute=9 * 60 + 30,
    )


def _path(asset: str, start: Decimal, shape: Sequence[tuple[int, str]], seed: int) -> tuple[Decimal, ...]:
    frames = [Keyframe(hour * 60 * _MINUTE_MS, start * Decimal(factor)) for hour, factor in shape]
    return tuple(tick.price for tick in keyframes(asset, frames, _MINUTE_MS, noise_bps=_NOISE_BPS, seed=seed))


def advance(minute: float, passed_seconds: float, left_seconds: float) -> float:
    """The minute of the day ``passed_seconds`` after ``minute``, at the pace that ends the day in ``left_seconds``.

    Time lost while the owner waited is made up for over the rest of the day.
    """
    if left_seconds <= passed_seconds:
        return float(DAY_MINUTES)
    return minute + (DAY_MINUTES - minute) * max(0.0, passed_seconds) / left_seconds


def clock_text(minute: float) -> str:
    """``14:20``; the end of the day is 24:00."""
    hours, minutes = divmod(min(max(int(minute), 0), DAY_MINUTES), 60)
    return f"{hours:02d}:{minutes:02d}"
