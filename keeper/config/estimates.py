"""A beta that is estimated: how, from which candles, and what it must be worth before a hedge may stand on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from keeper.config.values import kind_of, number, one_of, table_of, text, truth, whole
from keeper.core.beta import Method, Terms, reachable_sample
from keeper.core.orders import plain

BARS_MS = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}
HOUR_MS = 3_600_000
_EXAMPLE = '{ method = "ols", timeframe = "1h", lookback = 720 }'
_MIN_SAMPLE = {Method.OLS: 100, Method.EWMA: 30}


@dataclass(frozen=True, slots=True)
class Estimated:
    """How one beta is estimated. ``symbol`` is the market of the asset's candles, None for the usual one.

    A change by more than ``jump``, a share of the old one, is told.
    """

    terms: Terms = field(default_factory=Terms)
    timeframe: str = "1h"
    symbol: str | None = None
    jump: Decimal = Decimal("0.25")

    def __str__(self) -> str:
        terms = self.terms
        decay = f", lambda {terms.decay:g}" if terms.method is Method.EWMA else ""
        return (
            f"{terms.method} of {terms.lookback} candles of {self.timeframe}{decay}, R² from {terms.min_r2:g}, "
            f"effectiveness out of sample from {terms.min_effectiveness:g}, sample "
            f"from {terms.min_sample:g}, {terms.low:g} to {terms.high:g}{', shrunk' if terms.shrink else ''}, every "
            f"{terms.refresh_ms // HOUR_MS} hours, told beyond {plain(self.jump)}"
        )


def read_estimate(value: object) -> Estimated:
    """The settings of one estimate out of its table; raises :class:`ValueError`."""
    found = table_of(
        value,
        {
            "method": one_of(Method.OLS, Method.EWMA),
            "timeframe": one_of(*BARS_MS),
            "lookback": whole(at_least=10, at_most=5000, unit="candles"),
            "lambda": number(above="0", below="1"),
            "min_r2": number(at_least="0", below="1"),
            "min_effectiveness": number(at_least="-1", below="1"),
            "min_sample": whole(at_least=3, at_most=5000, unit="returns"),
            "bounds": _bounds,
            "shrink": truth,
            "refresh_hours": whole(at_least=1, at_most=8760, unit="hours"),
            "jump": number(above="0", at_most="10", unit="(a share of the old beta)"),
            "symbol": text(r"[^\s]{3,60}", "SOL/USDT"),
        },
        _EXAMPLE,
    )
    if "method" not in found:
        raise ValueError(f"names no method; write it as in {_EXAMPLE}")
    method = Method(found["method"])
    if "lambda" in found and method is not Method.EWMA:
        raise ValueError('has a lambda, which only method = "ewma" takes')
    usual = Terms()
    low, high = found.get("bounds", (Decimal(str(usual.low)), Decimal(str(usual.high))))
    timeframe = found.get("timeframe", "1h")
    terms = Terms(
        method,
        BARS_MS[timeframe],
        found.get("lookback", usual.lookback),
        float(found.get("lambda", usual.decay)),
        float(found.get("min_r2", usual.min_r2)),
        float(found.get("min_sample", _MIN_SAMPLE[method])),
        float(low),
        float(high),
        found.get("shrink", usual.shrink),
        found["refresh_hours"] * HOUR_MS if "refresh_hours" in found else usual.refresh_ms,
        float(found.get("min_effectiveness", usual.min_effectiveness)),
    )
    reach = reachable_sample(terms)
    if reach < terms.min_sample:
        what = f"lambda {terms.decay:g} over {terms.lookback}" if method is Method.EWMA else f"{terms.lookback}"
        raise ValueError(
            f"asks for a min_sample of {terms.min_sample:g}, and {what} candles never weigh more than {reach:.4g}; "
            f"lower min_sample, or raise {'lambda' if method is Method.EWMA else 'lookback'}"
        )
    return Estimated(terms, timeframe, found.get("symbol"), found.get("jump", Decimal("0.25")))


def _bounds(value: object) -> tuple[Decimal, Decimal]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f'must be two numbers, such as ["0.2", "3"], and is {kind_of(value)}')
    read = number(above="0", at_most="100")
    low, high = read(value[0]), read(value[1])
    if not low <= 1 <= high or low == high:
        raise ValueError(f'is {plain(low)} to {plain(high)}, and 1 has to lie between the two, as in ["0.2", "3"]')
    return low, high
