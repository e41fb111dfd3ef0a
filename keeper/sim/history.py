"""Bars and prints of a market: what was set since the start, and a synthetic past before it.

The past is a function of time (value noise in octaves, from the seed), so any interval reaches back as far as asked
and the open and close of bars agree across intervals; highs and lows of long bars are sampled, not exact. Floats make
the past's shape only: it is never money, and every price is put on the tick.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from decimal import ROUND_HALF_EVEN, Decimal

from keeper.sim.margin import floor_to, quote_value, value
from keeper.sim.types import ZERO, Kline, Market, PublicTrade

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS  # the epoch was a Thursday
_DAILY_VOLATILITY = 0.02
_OCTAVES = 17
ALIKE = 0.85
"""Correlation of the returns of any asset with what moves them all."""
_LONGEST_MS = 64 * DAY_MS
_MASK = (1 << 64) - 1
_PRINTS_KEPT = 1000


def _noise(seed: int, octave: int, node: int) -> float:
    """A number in [−1, 1) that depends on nothing but its arguments (splitmix64)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + octave * 0xBF58476D1CE4E5B9 + node * 0x94D049BB133111EB) & _MASK
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & _MASK
    mixed ^= mixed >> 31
    return mixed / 2**63 - 1.0


def name_seed(seed: int, name: str) -> int:
    """A seed of its own for a name; unlike ``hash`` it is the same in every process."""
    for byte in name.encode():
        seed = (seed * 1_000_003 + byte + 1) & _MASK
    return seed


class Past:
    """The synthetic price before the anchor, continuous with it."""

    def __init__(self, seed: int, market_seed: int, anchor_ms: int, anchor: Decimal) -> None:
        self._seed = seed
        self._market_seed = market_seed
        self._anchor = float(anchor)
        self._level = 0.0
        self._cache: dict[int, float] = {}
        self._level = self._log(anchor_ms)

    def price(self, at_ms: int) -> float:
        """The price at a moment before the anchor, quote units."""
        return self._anchor * math.exp(self._log(at_ms) - self._level)

    def wick(self, at_ms: int) -> float:
        """A small positive fraction for the highs and lows of a bar."""
        return abs(_noise(self._seed, 99, at_ms // 1000)) * 0.0006

    def _move(self, octave: int, node: int) -> float:
        """What moves every asset, and what moves this one alone: as alike as coins are."""
        shared = _noise(self._market_seed, octave, node)
        return ALIKE * shared + math.sqrt(1 - ALIKE**2) * _noise(self._seed, octave, node)

    def _log(self, at_ms: int) -> float:
        known = self._cache.get(at_ms)
        if known is not None:
            return known
        total = 0.0
        for octave in range(_OCTAVES):
            period = _LONGEST_MS / 2**octave
            node, part = divmod(at_ms / period, 1.0)
            smooth = part * part * (3.0 - 2.0 * part)
            left, right = self._move(octave, int(node)), self._move(octave, int(node) + 1)
            total += _DAILY_VOLATILITY * math.sqrt(period / DAY_MS) * (left + (right - left) * smooth)
        if len(self._cache) < 100_000:
            self._cache[at_ms] = total
        return total


class _Bar:
    """A live minute; opens where the one before closed."""

    __slots__ = ("close", "high", "low", "open", "trades", "volume")

    def __init__(self, price: Decimal) -> None:
        self.open = self.high = self.low = self.close = price
        self.volume = ZERO
        self.trades = 0

    def see(self, price: Decimal) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price


class Tape:
    """One market's bars and prints. Volumes beyond our own fills are made up, the same ones for the same seed."""

    def __init__(self, market: Market, seed: int, start_ms: int, price: Decimal) -> None:
        self._market = market
        self._seed = name_seed(seed, market.base)  # by asset: spot and its contracts share one past
        self._start_ms = start_ms
        self._first = price
        self._past = Past(self._seed, name_seed(seed, ""), start_ms, price)
        self._minutes: list[int] = []
        self._bars: list[_Bar] = []
        self.prints: deque[PublicTrade] = deque(maxlen=_PRINTS_KEPT)
        self.last = price

    def see_price(self, now_ms: int, price: Decimal) -> None:
        """Record the price of this moment."""
        self._bar(now_ms).see(price)
        self.last = price

    def see_trade(self, trade: PublicTrade) -> None:
        """Record a print."""
        bar = self._bar(trade.time_ms)
        bar.see(trade.price)
        bar.volume += trade.quantity
        bar.trades += 1
        self.last = trade.price
        self.prints.append(trade)

    def past_price(self, at_ms: int) -> Decimal:
        """The price at a moment; before the start from the synthetic past."""
        if at_ms < self._start_ms:
            return self._on_tick(self._past.price(at_ms))
        position = bisect_left(self._minutes, at_ms // MINUTE_MS + 1)
        return self._bars[position - 1].close if position else self._first

    def klines(
        self, now_ms: int, interval_ms: int, limit: int, start_ms: int | None, end_ms: int | None
    ) -> tuple[Kline, ...]:
        """Bars on the interval's grid (weeks open on Mondays), oldest first, none later than now."""
        offset = _MONDAY_MS if interval_ms % _WEEK_MS == 0 else 0
        last = _floor(min(now_ms, now_ms if end_ms is None else end_ms), interval_ms, offset)
        first = last - (limit - 1) * interval_ms
        if start_ms is not None:
            first = -_floor(-start_ms, interval_ms, -offset)  # the first bar that opens at or after it
            last = min(last, first + (limit - 1) * interval_ms)
        return tuple(self.bar(open_ms, interval_ms, now_ms) for open_ms in range(first, last + 1, interval_ms))

    def bar(self, open_ms: int, interval_ms: int, now_ms: int) -> Kline:
        """The bar of any span, on the grid or not, as far as it has come."""
        end_ms = open_ms + interval_ms
        prices: list[Decimal] = []
        if open_ms < self._start_ms:
            prices += self._past_prices(open_ms, min(end_ms, self._start_ms))
        own_volume, own_trades = ZERO, 0
        if end_ms > self._start_ms:
            left = bisect_left(self._minutes, max(open_ms, 0) // MINUTE_MS)
            right = bisect_left(self._minutes, -(-min(end_ms, now_ms + 1) // MINUTE_MS))
            prices.append(prices[-1] if prices else self._close_before(left))
            for bar in self._bars[left:right]:
                prices += [bar.high, bar.low, bar.close]
                own_volume += bar.volume
                own_trades += bar.trades
        volume = own_volume + self._made_up_volume(open_ms, min(end_ms, now_ms + 1))
        middle = (max(prices) + min(prices)) / 2
        return Kline(
            open_ms=open_ms,
            close_ms=end_ms - 1,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            volume=volume,
            quote_volume=value(self._market, volume, middle).quantize(Decimal("0.00000001")),
            trades=own_trades + max(1, (min(end_ms, now_ms + 1) - open_ms) // 1000),
        )

    def _bar(self, now_ms: int) -> _Bar:
        minute = now_ms // MINUTE_MS
        if not self._minutes or minute > self._minutes[-1]:
            self._minutes.append(minute)
            self._bars.append(_Bar(self._bars[-1].close if self._bars else self._first))
        return self._bars[-1]  # a wall clock that stepped back still writes into the running bar

    def _close_before(self, position: int) -> Decimal:
        return self._bars[position - 1].close if position else self._first

    def _past_prices(self, open_ms: int, end_ms: int) -> list[Decimal]:
        """Open, some highs and lows, and close, in this order."""
        span = end_ms - open_ms
        quarters = [self._past.price(open_ms + span * part // 4) for part in range(5)]
        wick = self._past.wick(open_ms)
        shape = [quarters[0], max(quarters) * (1 + wick), min(quarters) * (1 - wick), quarters[-1]]
        return [self._on_tick(price) for price in shape]

    def _made_up_volume(self, open_ms: int, end_ms: int) -> Decimal:
        minutes = max(end_ms - open_ms, 0) / MINUTE_MS
        quote = 600_000 * minutes * (1.0 + 0.7 * _noise(self._seed, 77, open_ms // MINUTE_MS))
        quantity = Decimal(round(quote)) / quote_value(self._market, Decimal(1), self._first)
        return floor_to(quantity, self._market.filters.step)

    def _on_tick(self, price: float) -> Decimal:
        tick = self._market.filters.tick
        return max(tick, (Decimal(repr(price)) / tick).to_integral_value(ROUND_HALF_EVEN) * tick)


def _floor(at_ms: int, interval_ms: int, offset_ms: int) -> int:
    return (at_ms - offset_ms) // interval_ms * interval_ms + offset_ms
