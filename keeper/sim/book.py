"""Synthetic liquidity: a ladder around the mid that our fills eat into and that grows back.

A ladder is a pure function of mid, market and options; what was taken is remembered by price until the next price or
for ``refill_ms``. Nobody but this module knows how much is left at a price.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from keeper.sim.margin import floor_to
from keeper.sim.types import ONE, ZERO, BookLevel, ExchangeOptions, Market, MarketKind, Side

_BPS = Decimal(10_000)


class SyntheticBook:
    """One market's liquidity that is not ours. ``Side.BUY`` means the bids."""

    def __init__(self) -> None:
        self.update_id = 1
        self.mid: Decimal | None = None  # around which it was laid
        self._ladders: dict[Side, tuple[BookLevel, ...]] = {Side.BUY: (), Side.SELL: ()}
        self._unlaid: tuple[Market, Decimal, ExchangeOptions] | None = None
        self._taken: dict[tuple[Side, Decimal], Decimal] = {}
        self._refill_at_ms: int | None = None

    def rebuild(self, market: Market, mid: Decimal, options: ExchangeOptions) -> None:
        """Lay fresh ladders around ``mid``; what was taken is forgotten. Laid when first looked at: most never are."""
        self._unlaid = (market, mid, options)
        self.mid = mid
        self._taken.clear()
        self._refill_at_ms = None
        self.update_id += 1

    def _lay(self, market: Market, mid: Decimal, options: ExchangeOptions) -> None:
        bids = _ladder(market, mid, options, Side.BUY, None)
        floor = bids[0].price + market.filters.tick
        self._ladders = {Side.BUY: bids, Side.SELL: _ladder(market, mid, options, Side.SELL, floor)}
        self._unlaid = None

    def levels(self, side: Side) -> tuple[BookLevel, ...]:
        """What is left on a side, best first; empty levels are skipped."""
        if self._unlaid is not None:
            self._lay(*self._unlaid)
        if not self._taken:
            return self._ladders[side]
        left = (
            BookLevel(level.price, level.quantity - self._taken.get((side, level.price), ZERO))
            for level in self._ladders[side]
        )
        return tuple(level for level in left if level.quantity > 0)

    def best(self, side: Side) -> BookLevel | None:
        """The best level that has something left."""
        levels = self.levels(side)
        return levels[0] if levels else None

    def take(self, side: Side, price: Decimal, quantity: Decimal, refill_at_ms: int) -> None:
        """Remember that ``quantity`` was taken from a level, to come back at ``refill_at_ms``."""
        key = (side, price)
        self._taken[key] = self._taken.get(key, ZERO) + quantity
        self._refill_at_ms = refill_at_ms
        self.update_id += 1

    def refill_if_due(self, now_ms: int) -> bool:
        """Put back what was taken once its time has come; True if the book changed."""
        if self._refill_at_ms is None or now_ms < self._refill_at_ms:
            return False
        self._taken.clear()
        self._refill_at_ms = None
        self.update_id += 1
        return True

    def touch(self) -> None:
        """Count a change that our resting orders made."""
        self.update_id += 1


def _ladder(
    market: Market, mid: Decimal, options: ExchangeOptions, side: Side, at_least: Decimal | None
) -> tuple[BookLevel, ...]:
    tick = market.filters.tick
    levels: list[BookLevel] = []
    notional = options.first_level_notional
    for depth in range(options.levels):
        away = (options.half_spread_bps + options.level_gap_bps * depth) / _BPS
        if side is Side.BUY:
            price = _on_tick(mid * (ONE - away), tick, ROUND_FLOOR)
            price = min(price, levels[-1].price - tick) if levels else price
        else:
            price = _on_tick(mid * (ONE + away), tick, ROUND_CEILING)
            price = max(price, levels[-1].price + tick) if levels else price
            price = max(price, at_least) if at_least is not None else price
        if price <= 0:
            if levels:
                break
            price = tick  # a mid under one tick still has a bid
        levels.append(BookLevel(price, _quantity(market, notional, price)))
        notional *= options.level_growth
    return tuple(levels)


def _on_tick(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    return (price / tick).to_integral_value(rounding=rounding) * tick


def _quantity(market: Market, notional: Decimal, price: Decimal) -> Decimal:
    per_unit = market.contract_size if market.kind is MarketKind.INVERSE else market.contract_size * price
    return max(floor_to(notional / per_unit, market.filters.step), market.filters.step)
