"""Quarterly contracts: when they expire, and which of them are due to be listed.

They expire on the last Friday of March, June, September and December at 08:00 UTC, as at Binance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from keeper.sim.state import State
from keeper.sim.types import Market, MarketKey, MarketStatus

LISTED_AHEAD = 2
"""The current quarter and the next one."""
YEAR_MS = 365 * 86_400_000
_EXPIRY_HOUR = 8
_FRIDAY = 4


def quarter_ends(after_ms: int, count: int = LISTED_AHEAD) -> tuple[int, ...]:
    """The next ``count`` expiries later than a moment, wall milliseconds."""
    ends: list[int] = []
    start = datetime.fromtimestamp(after_ms / 1000, UTC)
    year, month = start.year, (start.month + 2) // 3 * 3
    while len(ends) < count:
        end_ms = _last_friday_ms(year, month)
        if end_ms > after_ms:
            ends.append(end_ms)
        year, month = (year, month + 3) if month < 12 else (year + 1, 3)
    return tuple(ends)


def day_of(expiry_ms: int) -> str:
    """The day as symbols name it, ``YYMMDD``."""
    return f"{datetime.fromtimestamp(expiry_ms / 1000, UTC):%y%m%d}"


def symbol_of(market: Market) -> str:
    """A contract's unified symbol: base/quote:settle, and the day of its expiry."""
    perpetual = f"{market.base}/{market.quote}:{market.settle}"
    return perpetual if market.expiry_ms is None else f"{perpetual}-{day_of(market.expiry_ms)}"


def quarterly(perpetual: Market, expiry_ms: int, now_ms: int) -> Market:
    """The dated contract that a perpetual's rules make."""
    return replace(
        perpetual,
        symbol=f"{perpetual.pair}_{day_of(expiry_ms)}",
        expiry_ms=expiry_ms,
        onboard_ms=now_ms,
        status=MarketStatus.TRADING,
    )


def _last_friday_ms(year: int, month: int) -> int:
    following = datetime(year + month // 12, month % 12 + 1, 1, _EXPIRY_HOUR, tzinfo=UTC)
    last = following - timedelta(days=1)
    friday = last - timedelta(days=(last.weekday() - _FRIDAY) % 7)
    return int(friday.timestamp()) * 1000


@dataclass(frozen=True, slots=True)
class Coming:
    """A contract to be listed, at this premium over the index, a fraction of it."""

    market: Market
    basis_ratio: Decimal


class Calendar:
    """Remembers of which perpetuals there are quarters."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._followed: dict[MarketKey, Decimal] = {}
        self._until_ms = 0

    def follow(self, perpetual: Market, yearly: Decimal) -> None:
        """From now on its quarters are due; ``yearly`` is their basis, a fraction of the index a year."""
        self._followed[perpetual.key] = yearly
        self._until_ms = 0

    def due(self, now_ms: int) -> Iterator[Coming]:
        """What is not listed yet and should be."""
        if not self._followed or now_ms < self._until_ms:
            return
        ends = quarter_ends(now_ms)
        self._until_ms = ends[0]
        for key, yearly in self._followed.items():
            for expiry_ms in ends:
                market = quarterly(self._state.market(key), expiry_ms, now_ms)
                if market.key not in self._state.markets:
                    yield Coming(market, yearly * (expiry_ms - now_ms) / YEAR_MS)
