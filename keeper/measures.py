"""What the configuration says of limits, waits and doubts, as the loop's own objects."""

from __future__ import annotations

from keeper.brakes import Brakes
from keeper.config import Config
from keeper.core.limits import Limits
from keeper.core.model import InstrumentId, Quote
from keeper.doubt import Doubt
from keeper.journal.url import file_of
from keeper.judging import Pace
from keeper.preflight import Wanted


def wanted_of(config: Config) -> dict[InstrumentId, Wanted]:
    """Leverage and margin mode as the config states them, by contract."""
    return {
        choice.instrument: Wanted(hedge.leverage, hedge.margin_mode)
        for hedge in config.hedges
        for choice in hedge.carriers
    }


def doubt_of(config: Config) -> Doubt:
    """When a reading is doubted."""
    safety = config.safety
    return Doubt(
        confirm_jump_ratio=safety.confirm_jump_ratio,
        unexplained_zero_ms=round(safety.unexplained_zero_seconds * 1000),
        stale_price_ms=round(safety.stale_price_seconds * 1000),
        max_clock_offset_ms=safety.max_clock_offset_ms,
        wallet_lag_ms=round(safety.position_lag_seconds * 1000),
    )


def pace_of(config: Config) -> Pace:
    """How long is waited."""
    return Pace(position_lag_ms=round(config.safety.position_lag_seconds * 1000))


def limits_of(config: Config) -> Limits:
    """The hard limits."""
    largest = config.limits.max_short_notional
    turnover = config.limits.max_daily_turnover
    return Limits(
        Quote(config.limits.max_order_notional),
        None if largest is None else Quote(largest),
        config.limits.max_orders_per_hour,
        None if turnover is None else Quote(turnover),
        config.limits.max_slippage,
        config.margin.to_core(),
    )


def brakes_of(config: Config) -> Brakes:
    """The kill file and the floor under the disk."""
    return Brakes(config.kill_file, file_of(config.journal_url), config.safety.min_free_mb * 1_000_000)
