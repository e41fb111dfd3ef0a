"""What the public sees of a market; frozen, times in wall milliseconds (UTC). Import it from ``keeper.sim.types``."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from keeper.sim.names import MarketKey


class BookLevel(NamedTuple):
    """One price level; quantity in order units."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderBook:
    """A book seen now: bids from the best down, asks from the best up. ``update_id`` grows with every change."""

    market: MarketKey
    update_id: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    time_ms: int


@dataclass(frozen=True, slots=True)
class Kline:
    """One bar. Prices in quote; ``volume`` in order units, ``quote_volume`` in quote (base coin for inverse)."""

    open_ms: int
    close_ms: int  # the bar's last millisecond
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True)
class Ticker:
    """24-hour statistics."""

    market: MarketKey
    last: Decimal
    last_quantity: Decimal
    bid: BookLevel
    ask: BookLevel
    open: Decimal
    high: Decimal
    low: Decimal
    change: Decimal
    change_ratio: Decimal  # 0.01 = one per cent
    volume: Decimal
    quote_volume: Decimal
    weighted_average: Decimal
    open_ms: int
    close_ms: int
    first_trade_id: int
    last_trade_id: int
    trades: int


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """A print on the tape."""

    trade_id: int
    market: MarketKey
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    buyer_is_maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Premium:
    """A contract's prices and funding now. ``funding_rate`` > 0: longs pay shorts; None for dated contracts."""

    market: MarketKey
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal | None
    next_funding_ms: int | None
    funding_interval_hours: int | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class FundingRecord:
    """A settlement that happened: rate as a fraction of notional, > 0 when longs paid."""

    market: MarketKey
    rate: Decimal
    mark_price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Open positions of the whole market: order units, and their value in quote (coin for inverse)."""

    market: MarketKey
    quantity: Decimal
    value: Decimal
    time_ms: int
