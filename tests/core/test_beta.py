"""Slopes and effectiveness: the anchors of the literature, and what must never pass for a good estimate."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from math import log, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.beta import (
    Estimate,
    Fit,
    Method,
    Paired,
    Terms,
    effectiveness,
    estimate,
    ewma,
    ols,
    outside,
    paired,
    portfolio,
    shrunk,
)

HOUR = 3_600_000
SPOT, FUTURE = (1.0, -2.0, 3.0, -4.0, 5.0), (2.0, -3.0, 5.0, -7.0, 8.0)
PAIRS = ((0.01, 0.02), (-0.02, -0.03), (0.015, 0.01), (0.0, 0.01))
SOL, ETH, BTC = (3.0, -3.0, 4.0, -2.0), (2.0, -2.0, 3.0, -3.0), (2.0, -2.0, 2.0, -2.0)


def near(found: float | None, wanted: float | Fraction, by: float = 1e-12) -> bool:
    return found is not None and abs(found - float(wanted)) < by


def test_minimum_variance_and_its_effectiveness() -> None:
    fit = ols(SPOT, FUTURE)
    assert fit is not None
    assert near(fit.beta, Fraction(44, 73))
    assert near(fit.r2, Fraction(9680, 9709))
    assert near(effectiveness(SPOT, FUTURE, 44 / 73), Fraction(9680, 9709)), "both definitions agree"
    left = Fraction(266, 5) * (1 - Fraction(9680, 9709))
    assert near(fit.standard_error, sqrt(left / 146 / 3))
    assert fit.sample == 5


def test_exponential_weights() -> None:
    asset, hedge = [y for y, _ in PAIRS], [x for _, x in PAIRS]
    fit = ewma(asset, hedge, 0.94)
    assert fit is not None
    assert near(fit.beta, 2.063864e-4 / 3.91588e-4)
    assert near(fit.beta, 0.5270499, 5e-8)
    assert round(fit.sample, 2) == 1.43
    weights = [0.94**3, 0.06 * 0.94**2, 0.06 * 0.94, 0.06]
    assert near(sum(w * y * x for w, y, x in zip(weights, asset, hedge, strict=True)), 2.063864e-4, 1e-18)
    assert near(sum(w * x * x for w, x in zip(weights, hedge, strict=True)), 3.91588e-4, 1e-18)
    assert near(fit.sample, 1 / sum(w * w for w in weights))


def test_the_effective_sample_of_long_histories_is_that_of_the_weights() -> None:
    moves = [0.01, -0.01] * 500
    fit = ewma(moves, moves, 0.94)
    assert fit is not None
    assert near(fit.sample, 1.94 / 0.06, 1e-6)
    assert round(fit.sample, 1) == 32.3
    assert round(log(0.5) / log(0.94), 2) == 11.20, "half of the weight is younger than this many steps"
    assert near(sum(0.06 * 0.94**age for age in range(11)), 1 - 0.94**11)


def test_a_portfolio_has_a_slope_of_its_own_and_its_r2_is_no_average() -> None:
    for asset, beta in ((SOL, 1.5), (ETH, 1.25), (BTC, 1.0)):
        fit = ols(asset, BTC)
        assert fit is not None
        assert near(fit.beta, beta)
    worth = {"SOL": 2_000 * 150.0, "ETH": 100 * 3_500.0, "BTC": 4 * 65_000.0}
    whole = ols(portfolio(worth, {"SOL": SOL, "ETH": ETH, "BTC": BTC}), BTC)
    assert whole is not None
    assert near(whole.beta, Fraction(459, 364))
    assert near(whole.r2, 0.990014, 5e-7)


def test_an_uncertain_slope_is_drawn_to_one() -> None:
    assert shrunk(Fit(2.0, 0.5, 0.9, 100)) == 1.5
    assert near(shrunk(Fit(2.0, 0.01, 0.9, 100)), 2.0, 5e-4)
    assert shrunk(Fit(2.0, None, 0.9, 1)) == 1.0


@given(st.floats(0.1, 4), st.floats(0, 3))
def test_shrinkage_never_leaves_the_way_to_one(beta: float, error: float) -> None:
    drawn = shrunk(Fit(beta, error, 0.5, 100))
    assert min(beta, 1) - 1e-12 <= drawn <= max(beta, 1) + 1e-12


# -- histories -------------------------------------------------------------------------------------------------------


def closes(moves: list[float], start: float = 100.0) -> dict[int, float]:
    prices = accumulate(moves, lambda price, move: price * (1 + move), initial=start)
    return {place * HOUR: price for place, price in enumerate(prices)}


def market(count: int = 720, beta: float = 1.2, noise: float = 0.004, seed: int = 1) -> tuple[list[float], list[float]]:
    """Hourly returns of an asset and its hedge."""
    random = Random(seed)
    hedge = [random.gauss(0, 0.008) for _ in range(count)]
    return [beta * x + random.gauss(0, noise) for x in hedge], hedge


def legs(moves: tuple[list[float], list[float]]) -> tuple[dict[int, float], dict[int, float]]:
    return closes(moves[0]), closes(moves[1])


USUAL = Terms()


def judged(
    asset: dict[int, float], hedge: dict[int, float], terms: Terms = USUAL, now_ms: int | None = None
) -> Estimate:
    now = max(hedge) + HOUR if now_ms is None else now_ms
    return estimate(terms, paired(asset, hedge, HOUR), now)


def test_a_good_history_gives_the_slope_that_made_it() -> None:
    found = judged(*legs(market()))
    assert found.refused is None
    assert found.beta is not None
    assert abs(found.beta - Decimal("1.2")) < Decimal("0.06")
    assert found.standard_error is not None
    assert 0.01 < found.standard_error < 0.03
    assert near(found.inside, found.r2 or 0, 1e-3)
    assert found.outside is not None
    assert found.outside.low < 0.852 < found.outside.high, "1.44·0.008² / (1.44·0.008² + 0.004²)"
    assert (found.pairs, found.missing) == (720, 0)


@pytest.mark.parametrize("seed", range(8))
def test_the_interval_holds_what_is_true_and_narrows(seed: int) -> None:
    short, long = (judged(*legs(market(count, seed=seed))).outside for count in (200, 3_200))
    assert short is not None
    assert long is not None
    assert long.high - long.low < (short.high - short.low) / 2
    assert long.low - 0.02 < 0.852 < long.high + 0.02


def test_out_of_sample_sees_what_in_sample_cannot() -> None:
    """A slope that turns around half-way fits as a whole, and hedged nothing when it mattered."""
    first, second = market(360, 2.0, 0.001), market(360, 0.2, 0.001, seed=2)
    found = judged(closes(first[0] + second[0]), closes(first[1] + second[1]), Terms(min_r2=0))
    assert found.inside is not None
    assert found.inside > 0.5
    assert found.outside is not None
    assert found.outside.ratio < 0
    assert found.refused is not None
    assert "out of sample it took away" in found.refused


def test_a_floor_on_effectiveness_refuses_what_fits_well_enough() -> None:
    found = judged(*legs(market(noise=0.004)), Terms(min_r2=0.5))
    assert found.refused is None
    assert found.outside is not None
    floor = found.outside.ratio
    assert judged(*legs(market(noise=0.004)), Terms(min_r2=0.5, min_effectiveness=floor)).refused is None
    refused = judged(*legs(market(noise=0.004)), Terms(min_r2=0.5, min_effectiveness=floor + 0.001)).refused
    assert refused is not None
    assert "the floor (min_effectiveness)" in refused


def test_each_stretch_is_hedged_with_what_came_before_it_alone() -> None:
    seen: list[int] = []

    def remember(part: Paired) -> float:
        seen.append(len(part.asset))
        return 1.0

    asset, hedge = market(100)
    outside(Paired(tuple(asset), tuple(hedge), 0, 0), remember, 10)
    assert seen == [50, 60, 70, 80, 90]


REFUSED = {
    "the slope is": market(beta=4.0, noise=0.001),
    "R² is": market(noise=0.03),
    "effective sample": market(60),
    "not enough": ([], []),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_no_hedge_may_stand_on(why: str) -> None:
    found = judged(*legs(REFUSED[why]), now_ms=(len(REFUSED[why][0]) + 1) * HOUR)
    assert found.refused is not None
    assert why in found.refused
    assert found.pairs == len(REFUSED[why][0]), "the figures are shown beside the refusal"


def test_a_leg_that_never_moves_has_no_slope() -> None:
    asset, hedge = market()
    found = judged(closes(asset), closes([0.0] * len(hedge)))
    assert (found.beta, found.refused is not None) == (None, True)
    still = judged(closes([0.0] * len(asset)), closes(hedge))
    assert still.refused is not None


def test_a_leg_that_lags_is_refused_and_not_shrunk_to_nothing() -> None:
    asset, hedge = market(noise=0.0005)
    prices = closes(asset)
    stale = {at: prices[at if at // HOUR % 2 == 0 else at - HOUR] for at in prices}
    found = judged(stale, closes(hedge), Terms(min_r2=0))
    assert found.refused is not None
    assert "did not move" in found.refused


def test_gaps_and_late_candles_are_refused() -> None:
    asset, hedge = legs(market())
    holes = {at: price for at, price in asset.items() if at // HOUR % 8}
    found = judged(holes, hedge)
    assert found.refused is not None
    assert "candles are missing" in found.refused
    late = judged(asset, hedge, now_ms=max(hedge) + 4 * HOUR)
    assert late.refused is not None
    assert "closed 3 bars ago" in late.refused
    assert judged(asset, hedge, now_ms=max(hedge) + 3 * HOUR).refused is None


def test_returns_are_taken_over_bars_that_both_legs_have() -> None:
    asset = {0: 100.0, HOUR: 110.0, 2 * HOUR: 121.0, 4 * HOUR: 1.0, 5 * HOUR: 2.0}
    hedge = {HOUR: 10.0, 2 * HOUR: 11.0, 3 * HOUR: 12.0, 4 * HOUR: 10.0, 5 * HOUR: 15.0, 6 * HOUR: 9.0}
    found = paired(asset, hedge, HOUR)
    assert found.asset == pytest.approx((0.1, 1.0))
    assert found.hedge == pytest.approx((0.1, 0.5))
    assert (found.missing, found.last_ms) == (1, 5 * HOUR)


def test_shifting_one_leg_by_a_bar_loses_the_slope() -> None:
    """Timestamps have to meet: the same closes one bar apart say nothing of each other."""
    asset, hedge = legs(market(noise=0.001))
    found = judged({at + HOUR: price for at, price in asset.items()}, hedge)
    assert found.r2 is not None
    assert found.r2 < 0.05
    assert found.refused is not None


def test_a_stated_slope_is_measured_and_never_refused() -> None:
    pair = paired(*legs(market(noise=0.03)), HOUR)
    found = estimate(Terms(), pair, 10**15, Decimal("1.2"))
    assert (found.beta, found.refused) == (Decimal("1.2"), None)
    assert near(found.inside, effectiveness(pair.asset, pair.hedge, 1.2) or 0)
    assert estimate(Terms(), paired({}, {}, HOUR), 0, Decimal("1.2")).refused is None


@given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), max_size=40), st.sampled_from(Method))
def test_no_history_breaks_the_arithmetic(moves: list[tuple[float, float]], method: Method) -> None:
    asset, hedge = closes([y for y, _ in moves]), closes([x for _, x in moves])
    found = judged(asset, hedge, Terms(method=method, min_sample=2, min_r2=0))
    assert found.beta is None or found.beta.is_finite()
    if found.r2 is not None:
        assert 0 <= found.r2 <= 1
    if found.outside is not None:
        assert found.outside.low <= found.outside.ratio <= found.outside.high <= 1
