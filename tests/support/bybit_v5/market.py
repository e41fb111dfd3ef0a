"""Prices, a synthetic book around them, funding, and candles drawn from what the prices did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tests.support.bybit_v5.instruments import FUNDING_INTERVAL_MINUTES, Instrument
from tests.support.bybit_v5.wire import ONE, ZERO, Json, coins, text

D = Decimal
INTERVAL_MS = FUNDING_INTERVAL_MINUTES * 60_000
STANDING_RATE, LEVEL_USD = D("0.0001"), D(250_000)
OPEN_INTEREST_USD = D(1_000_000_000)


@dataclass(frozen=True, slots=True)
class Level:
    """One price of the book."""

    price: Decimal
    qty: Decimal


@dataclass(slots=True)
class Market:
    """One instrument's public state. The book refreshes itself after each trade."""

    instrument: Instrument
    mark: Decimal
    index: Decimal
    last: Decimal
    funding_rate: Decimal = STANDING_RATE
    half_spread_bps: Decimal = ONE
    level_gap_bps: Decimal = ONE
    level_notional_usd: Decimal = LEVEL_USD
    levels: int = 40
    funding_paid: list[tuple[int, Decimal]] = field(default_factory=list)
    path: list[tuple[int, Decimal]] = field(default_factory=list)

    def move(self, price: Decimal, at_ms: int) -> None:
        """Set mark, index and last at once."""
        self.mark = self.index = self.last = price
        self.path.append((at_ms, price))

    def depth(self, side: str) -> Iterator[Level]:
        """The levels that a taker of ``side`` meets, best first."""
        unit = self.instrument
        buying = side == "Buy"
        rounding = ROUND_CEILING if buying else ROUND_FLOOR
        sign = 1 if buying else -1
        before: Decimal | None = None
        for place in range(self.levels):
            away = (self.half_spread_bps + place * self.level_gap_bps) / D(10_000)
            steps = (self.last * (1 + sign * away) / unit.tick).to_integral_value(rounding)
            price = steps * unit.tick
            if price == self.last or price == before:
                price = (before or self.last) + sign * unit.tick
            before = price
            size = self.level_notional_usd if unit.inverse else self.level_notional_usd / price
            qty = (size / unit.qty_step).to_integral_value(ROUND_FLOOR) * unit.qty_step
            if price > 0 and qty > 0:
                yield Level(price, qty)

    def best(self, side: str) -> Level | None:
        """The best level that a taker of ``side`` meets; None when that side is empty."""
        return next(self.depth(side), None)

    def next_funding_ms(self, now_ms: int) -> int:
        """The next settlement on the venue's grid."""
        return (now_ms // INTERVAL_MS + 1) * INTERVAL_MS

    def funding_history(self, now_ms: int, count: int) -> list[tuple[int, Decimal]]:
        """Past settlements, newest first: those that happened here, then the grid before them at the standing rate."""
        rows = sorted(self.funding_paid, reverse=True)
        grid = now_ms // INTERVAL_MS * INTERVAL_MS
        oldest = rows[-1][0] if rows else now_ms + 1
        while len(rows) < count:
            if grid < oldest:
                rows.append((grid, self.funding_rate))
            grid -= INTERVAL_MS
        return rows[:count]

    def price_at(self, at_ms: int) -> Decimal:
        """The price that stood at a moment; before the first one known, that first one."""
        standing = self.path[0][1] if self.path else self.last
        for moment, price in self.path:
            if moment > at_ms:
                break
            standing = price
        return standing

    def candle(self, start_ms: int, length_ms: int) -> list[str]:
        """Open, high, low and close of one interval."""
        end_ms = start_ms + length_ms
        inside = [price for moment, price in self.path if start_ms <= moment < end_ms]
        prices = [self.price_at(start_ms), *inside]
        return [text(prices[0]), text(max(prices)), text(min(prices)), text(prices[-1])]

    def ticker(self, now_ms: int) -> Json:
        """The row of /v5/market/tickers."""
        bid, ask = self.best("Sell"), self.best("Buy")
        row: Json = {
            "symbol": self.instrument.symbol,
            "lastPrice": text(self.last),
            "prevPrice24h": text(self.last),
            "price24hPcnt": "0",
            "highPrice24h": text(self.last),
            "lowPrice24h": text(self.last),
            "turnover24h": "1000000000",
            "volume24h": "20000",
            "bid1Price": text(bid.price) if bid else "",
            "bid1Size": text(bid.qty) if bid else "",
            "ask1Price": text(ask.price) if ask else "",
            "ask1Size": text(ask.qty) if ask else "",
        }
        if not self.instrument.contract:
            return {**row, "usdIndexPrice": text(self.index)}
        interest = OPEN_INTEREST_USD if self.instrument.inverse else OPEN_INTEREST_USD / self.mark
        dated = bool(self.instrument.delivery_time_ms)
        basis = self.mark / self.index - 1 if self.index else ZERO
        return {
            **row,
            "indexPrice": text(self.index),
            "markPrice": text(self.mark),
            "prevPrice1h": text(self.last),
            "openInterest": text(interest.quantize(D("0.001"))),
            "openInterestValue": text(
                coins(OPEN_INTEREST_USD / self.mark) if self.instrument.inverse else OPEN_INTEREST_USD
            ),
            "fundingRate": "" if dated else text(self.funding_rate),
            "nextFundingTime": "0" if dated else str(self.next_funding_ms(now_ms)),
            "predictedDeliveryPrice": "",
            "basisRate": text(basis.quantize(D("0.00000001"))) if dated else "",
            "basis": text(self.mark - self.index) if dated else "",
            "deliveryFeeRate": "",
            "deliveryTime": str(self.instrument.delivery_time_ms),
            "preOpenPrice": "",
            "preQty": "",
            "curPreListingPhase": "",
        }
