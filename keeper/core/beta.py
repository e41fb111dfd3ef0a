"""How far an asset moves with the contract that hedges it: slopes of returns, and what they are worth.

Pure statistics, in floats: they say how large a hedge should be and never reach a venue as they are. Formulas: minimum
variance and hedging effectiveness after Ederington (1979), exponential weights after RiskMetrics (1996), shrinkage
after Vasicek (1973). A return is ``P₁/P₀ - 1``, so that a slope is per unit of notional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from math import ceil, fsum, sqrt

PRIOR_DEVIATION = 0.5
"""How far slopes of coins lie from 1 before anything was measured: an estimate as uncertain as that counts half."""
MISSING_RATIO_MAX = 0.1
FROZEN_RATIO_MAX = 0.25
LATE_BARS_MAX = 2
BLOCKS_MAX = 24
CONFIDENCE = 1.959964
"""Standard errors on either side of an interval of 95 %."""
PLACES = 6
NO_VARIANCE = 1e-24
"""A leg whose returns deviate by less than 10⁻¹² does not move."""


class Method(StrEnum):
    """Where a slope comes from."""

    STATED = "stated"
    OLS = "ols"
    EWMA = "ewma"


@dataclass(frozen=True, slots=True)
class Fit:
    """A slope with its standard error, R² and effective sample (the number of equal weights that say as much)."""

    beta: float
    standard_error: float | None
    r2: float | None
    sample: float


@dataclass(frozen=True, slots=True)
class Effectiveness:
    """The share of the asset's variance that the hedge takes away, with an interval of 95 %; negative: it adds some."""

    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Paired:
    """Returns of both legs over the same bars, oldest first.

    ``missing`` bars of the span are there on one leg or on none; ``last_ms`` is where the last bar opened.
    """

    asset: tuple[float, ...]
    hedge: tuple[float, ...]
    missing: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Terms:
    """How a slope is estimated, and when it is refused. Times in milliseconds; ``decay`` is λ of the weights."""

    method: Method = Method.OLS
    bar_ms: int = 3_600_000
    lookback: int = 720
    decay: float = 0.94
    min_r2: float = 0.6
    min_sample: float = 100.0
    low: float = 0.2
    high: float = 3.0
    shrink: bool = True
    refresh_ms: int = 86_400_000
    min_effectiveness: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a history says of a slope. ``beta`` is after shrinkage, ``fitted_beta`` before it; None: nothing was found.

    ``refused`` says why it must not be hedged on; the figures are those that led there.
    """

    beta: Decimal | None
    fitted_beta: float | None = None
    standard_error: float | None = None
    r2: float | None = None
    sample: float | None = None
    pairs: int = 0
    missing: int = 0
    inside: float | None = None
    outside: Effectiveness | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Slope:
    """The slope of one asset that a hedge goes by.

    ``beta`` is the last one that was good, estimated at ``since_ms``; None: there has never been one. ``estimate`` is
    the latest look at the history, at ``tried_ms``, whatever came of it. ``refused`` says why no new short may be
    opened on it. ``terms`` are those it was estimated on, in one line. ``jumped_from`` is what it was before the last
    refresh, where that was far away.
    """

    asset: str
    method: Method
    beta: Decimal | None
    since_ms: int | None = None
    tried_ms: int | None = None
    estimate: Estimate | None = None
    refused: str | None = None
    terms: str = ""
    jumped_from: Decimal | None = None


# -- fits ------------------------------------------------------------------------------------------------------------


def ols(asset: Sequence[float], hedge: Sequence[float]) -> Fit | None:
    """Least squares with an intercept: β = Cov(asset, hedge) / Var(hedge). None where the hedge never moves."""
    count = len(asset)
    if count < 2:
        return None
    mean_asset, mean_hedge = fsum(asset) / count, fsum(hedge) / count
    cov = fsum((y - mean_asset) * (x - mean_hedge) for y, x in zip(asset, hedge, strict=True))
    var_hedge = fsum((x - mean_hedge) ** 2 for x in hedge)
    var_asset = fsum((y - mean_asset) ** 2 for y in asset)
    return _fit(cov, var_hedge, var_asset, float(count), count - 2.0)


def ewma(asset: Sequence[float], hedge: Sequence[float], decay: float) -> Fit | None:
    """Exponentially weighted with means of zero, the first pair as the seed: x ← λ·x + (1 - λ)·new."""
    cov = var_hedge = var_asset = squares = 0.0
    for place, (y, x) in enumerate(zip(asset, hedge, strict=True)):
        old, new = (decay, 1 - decay) if place else (0.0, 1.0)
        cov, var_hedge, var_asset = (
            old * cov + new * x * y,
            old * var_hedge + new * x * x,
            old * var_asset + new * y * y,
        )
        squares = old * old * squares + new * new
    sample = 1 / squares if squares else 0.0
    return _fit(cov, var_hedge, var_asset, sample, sample - 1)


def _fit(cov: float, var_hedge: float, var_asset: float, sample: float, freedom: float) -> Fit | None:
    if var_hedge <= NO_VARIANCE:
        return None
    beta = cov / var_hedge
    r2 = min(1.0, cov * beta / var_asset) if var_asset > NO_VARIANCE else None
    spread = max(0.0, var_asset - cov * beta) / var_hedge
    return Fit(beta, sqrt(spread / freedom) if freedom > 0 else None, r2, sample)


def shrunk(fit: Fit) -> float:
    """The slope drawn toward 1 by as much as it is uncertain: weight τ²/(τ² + SE²) on what was measured."""
    if fit.standard_error is None:
        return 1.0
    weight = PRIOR_DEVIATION**2 / (PRIOR_DEVIATION**2 + fit.standard_error**2)
    return weight * fit.beta + (1 - weight)


def reachable_sample(terms: Terms) -> float:
    """The largest effective sample that a full lookback can have."""
    if terms.method is not Method.EWMA:
        return float(terms.lookback)
    seed, tail = terms.decay ** (2 * (terms.lookback - 1)), 1 - terms.decay ** (2 * (terms.lookback - 1))
    return 1 / (seed + (1 - terms.decay) / (1 + terms.decay) * tail)


# -- what a hedge is worth -------------------------------------------------------------------------------------------


def effectiveness(asset: Sequence[float], hedge: Sequence[float], beta: float) -> float | None:
    """Ederington's HE = 1 - Var(asset - β·hedge) / Var(asset); None where the asset never moves."""
    found = effectiveness_of(asset, [y - beta * x for y, x in zip(asset, hedge, strict=True)])
    return None if found is None else found.ratio


def effectiveness_of(asset: Sequence[float], left: Sequence[float]) -> Effectiveness | None:
    """HE from the asset's returns and what the hedge left of them, with an interval by the delta method.

    The variance of a ratio of means R = ū²/ȳ² is Var(u² - R·y²) / (n·ȳ²²), whatever the distribution.
    """
    count = len(asset)
    if count < 2:
        return None
    mean_asset, mean_left = fsum(asset) / count, fsum(left) / count
    whole = [(y - mean_asset) ** 2 for y in asset]
    rest = [(u - mean_left) ** 2 for u in left]
    total = fsum(whole)
    if total <= NO_VARIANCE:
        return None
    ratio = fsum(rest) / total
    error = sqrt(fsum((u - ratio * y) ** 2 for u, y in zip(rest, whole, strict=True))) / total
    return Effectiveness(1 - ratio, 1 - ratio - CONFIDENCE * error, min(1.0, 1 - ratio + CONFIDENCE * error))


def outside(paired: Paired, slope_of: Callable[[Paired], float | None], bars: int) -> Effectiveness | None:
    """HE out of sample: each stretch of ``bars`` in the second half is hedged with what came before it alone."""
    count = len(paired.asset)
    start = count // 2
    step = max(1, bars, ceil((count - start) / BLOCKS_MAX))
    seen: list[float] = []
    left: list[float] = []
    for begin in range(start, count, step):
        end = min(begin + step, count)
        beta = slope_of(Paired(paired.asset[:begin], paired.hedge[:begin], 0, 0))
        if beta is None:
            continue
        seen += paired.asset[begin:end]
        left += [y - beta * x for y, x in zip(paired.asset[begin:end], paired.hedge[begin:end], strict=True)]
    return effectiveness_of(seen, left)


def portfolio(weights: Mapping[str, float], returns: Mapping[str, Sequence[float]]) -> tuple[float, ...]:
    """Returns of a portfolio whose assets are worth ``weights``; its slope is that of these, its R² no average."""
    total = fsum(weights.values())
    columns = [[weights[asset] / total * each for each in returns[asset]] for asset in weights]
    return tuple(fsum(row) for row in zip(*columns, strict=True))


# -- histories -------------------------------------------------------------------------------------------------------


def paired(asset: Mapping[int, float], hedge: Mapping[int, float], bar_ms: int) -> Paired:
    """Returns over bars that both legs have, from closes by the time at which each bar opened.

    A return spans one bar: over a gap there is none, because the two legs may have bridged it differently.
    """
    common = sorted(at for at in asset.keys() & hedge.keys() if asset[at] > 0 and hedge[at] > 0)
    moves = [(before, after) for before, after in pairwise(common) if after - before == bar_ms]
    span = (common[-1] - common[0]) // bar_ms + 1 if common else 0
    return Paired(
        tuple(asset[after] / asset[before] - 1 for before, after in moves),
        tuple(hedge[after] / hedge[before] - 1 for before, after in moves),
        span - len(common),
        common[-1] if common else 0,
    )


def estimate(terms: Terms, found: Paired, now_ms: int, stated: Decimal | None = None) -> Estimate:
    """A slope by these terms, or why there is none; with ``stated`` the figures are those of that slope.

    A stated slope is the user's: the history tells how good it is, and refuses nothing.
    """
    pairs = len(found.asset)
    fit = _fit_by(terms, found)
    if fit is None:
        return Estimate(stated, pairs=pairs, missing=found.missing, refused=None if stated else _too_few(terms, pairs))
    used = float(stated) if stated is not None else _used(terms, fit)
    fixed: Callable[[Paired], float | None] = lambda _: used  # noqa: E731  a stated slope learns nothing
    slope_of = fixed if stated is not None else lambda part: _slope(terms, part)
    later = outside(found, slope_of, terms.refresh_ms // terms.bar_ms)
    return Estimate(
        stated if stated is not None else Decimal(repr(round(used, PLACES))),
        fit.beta,
        fit.standard_error,
        fit.r2,
        fit.sample,
        pairs,
        found.missing,
        effectiveness(found.asset, found.hedge, used),
        later,
        None if stated is not None else _refusal(terms, found, fit, now_ms) or _useless(terms, later),
    )


def _fit_by(terms: Terms, found: Paired) -> Fit | None:
    if terms.method is Method.EWMA:
        return ewma(found.asset, found.hedge, terms.decay)
    return ols(found.asset, found.hedge)


def _used(terms: Terms, fit: Fit) -> float:
    return shrunk(fit) if terms.shrink else fit.beta


def _slope(terms: Terms, part: Paired) -> float | None:
    fit = _fit_by(terms, part)
    return None if fit is None else _used(terms, fit)


def _too_few(terms: Terms, pairs: int) -> str:
    return f"{pairs} pairs of returns are not enough for a slope; the sample has to be {terms.min_sample:g}"


def _refusal(terms: Terms, found: Paired, fit: Fit, now_ms: int) -> str | None:
    """Why an estimate must not be hedged on; a leg that lags behind the other would draw every slope toward zero."""
    late = (now_ms - found.last_ms) // terms.bar_ms - 1
    if late > LATE_BARS_MAX:
        return f"the last candle that both legs have closed {late} bars ago"
    bars = len(found.asset) + 1 + found.missing
    if found.missing > MISSING_RATIO_MAX * bars:
        return f"{found.missing} of {bars} candles are missing on one leg or on both"
    frozen = _frozen(found)
    if frozen > FROZEN_RATIO_MAX:
        return f"one leg did not move in {frozen:.0%} of the bars in which the other did"
    if fit.sample < terms.min_sample:
        return f"the effective sample is {fit.sample:.4g}, the floor {terms.min_sample:g}"
    if fit.r2 is None or fit.r2 < terms.min_r2:
        r2 = "not known" if fit.r2 is None else f"{fit.r2:.4f}"
        return f"R² is {r2}, the floor {terms.min_r2:g}"
    if not terms.low <= fit.beta <= terms.high:
        return f"the slope is {fit.beta:.4f}, the bounds {terms.low:g} and {terms.high:g}"
    return None


def _useless(terms: Terms, later: Effectiveness | None) -> str | None:
    """A slope that fits the past and took too little of the variance that came after it."""
    if later is None:
        return "how much variance it takes away out of sample is not known"
    if later.ratio < terms.min_effectiveness:
        floor = f"{terms.min_effectiveness:g}"
        return f"out of sample it took away {later.ratio:.4f} of the variance, the floor (min_effectiveness) is {floor}"
    return None


def _frozen(found: Paired) -> float:
    moves = list(zip(found.asset, found.hedge, strict=True))
    still = max(sum(1 for y, x in moves if y == 0 != x), sum(1 for y, x in moves if x == 0 != y))
    return still / len(moves)
