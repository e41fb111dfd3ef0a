"""What holding a future pays: signs, units, and the published figures."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.carry import (
    HOUR_MS,
    Basis,
    contracts_after_roll,
    funding_mean,
    funding_payment,
    funding_per_year,
    roll_credit,
)
from keeper.core.model import Base, Contracts, Quote
from keeper.core.quotes import FundingRate
from tests.core.build import D, inverse, linear

amounts = st.decimals("0.001", "100000", places=3)
rates = st.decimals("0.000001", "0.01", places=6)
prices = st.decimals("1", "200000", places=1)


def history(*rates: str, hours: int = 8, start: int = 0) -> list[FundingRate]:
    return [FundingRate(start + place * hours * HOUR_MS, D(rate)) for place, rate in enumerate(rates)]


# -- funding ---------------------------------------------------------------------------------------------------------


def test_a_linear_short_is_paid_quote_money() -> None:
    assert funding_payment(linear(), Contracts(D("-0.5")), D(60_000), D("0.0001")) == D("3.00")


def test_a_coin_margined_short_is_paid_coins() -> None:
    assert funding_payment(inverse(), Contracts(D(-300)), D(60_000), D("0.0001")) == D("0.00005")


def test_a_full_hedge_of_five_coins_gets_a_two_thousandth_of_a_coin_an_event() -> None:
    assert funding_payment(inverse(), Contracts(D(-3_250)), D(65_000), D("0.0001")) == D("0.0005")


def test_half_a_million_short_at_five_hundredths_of_a_percent() -> None:
    """Golden number 8: 250 an event, 750 a day, 54.75 % a year; the same is paid when the rate turns."""
    contracts, rate = Contracts(D(-10)), D("0.0005")
    event = funding_payment(linear(), contracts, D(50_000), rate)
    assert event == 250
    assert 3 * event == 750
    assert funding_per_year(rate, D(8)) == D("0.5475")
    assert funding_payment(linear(), contracts, D(50_000), -rate) == -250


@given(amounts, prices, rates, st.booleans())
def test_who_is_short_receives_at_a_positive_rate(amount: Decimal, mark: Decimal, rate: Decimal, coin: bool) -> None:
    instrument = inverse() if coin else linear()
    short, long = Contracts(-amount), Contracts(amount)
    assert funding_payment(instrument, short, mark, rate) > 0
    assert funding_payment(instrument, long, mark, rate) < 0
    assert funding_payment(instrument, short, mark, -rate) < 0
    assert funding_payment(instrument, short, mark, rate) == -funding_payment(instrument, long, mark, rate)


@given(amounts, prices, rates)
def test_coins_and_quote_money_agree_at_the_mark(amount: Decimal, mark: Decimal, rate: Decimal) -> None:
    dollars = Contracts((-amount * mark / 100).quantize(D(1)) - 1)
    coins = funding_payment(inverse(), dollars, mark, rate)
    quote = funding_payment(linear(), Contracts(dollars * 100 / mark), mark, rate)
    assert abs(coins * mark - quote) < D("1e-12")


@pytest.mark.parametrize(
    ("rate", "hours", "a_year"),
    [("0.0001", 8, "0.1095"), ("0.0001", 4, "0.2190"), ("0.0000125", 1, "0.1095")],
)
def test_a_year_of_funding_follows_from_the_interval(rate: str, hours: int, a_year: str) -> None:
    assert funding_per_year(D(rate), D(hours)) == D(a_year)
    mean = funding_mean(history(*[rate] * 12, hours=hours))
    assert mean is not None
    assert (mean.interval_hours, mean.annual) == (D(hours), D(a_year))


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="is none"):
        funding_per_year(D("0.0001"), D(0))


# -- the mean of a history -------------------------------------------------------------------------------------------


def test_the_mean_is_per_interval_and_counts_its_sample() -> None:
    mean = funding_mean(history("0.0001", "0.0003", "-0.0001", "0.0001"))
    assert mean is not None
    assert (mean.rate, mean.sample, mean.intervals(D(90))) == (D("0.0001"), 4, D(270))


def test_too_short_a_history_is_no_history() -> None:
    assert funding_mean([]) is None
    assert funding_mean(history("0.0001", "0.0001")) is None


def test_a_row_told_twice_counts_once_and_the_order_does_not_matter() -> None:
    rows = history("0.0001", "0.0002", "0.0006")
    assert funding_mean([*reversed(rows), rows[0], rows[0]]) == funding_mean(rows)


def test_a_settlement_that_was_left_out_is_no_change_of_the_interval() -> None:
    rows = history(*["0.0001"] * 10)
    mean = funding_mean(rows[:4] + rows[5:])
    assert mean is not None
    assert (mean.interval_hours, mean.rate, mean.sample) == (D(8), D("0.0001"), 9)


def test_stamps_that_are_milliseconds_late_are_on_time() -> None:
    rows = [FundingRate(rate.at_ms + place % 3 * 7, rate.rate) for place, rate in enumerate(history(*["0.0001"] * 6))]
    mean = funding_mean(rows)
    assert mean is not None
    assert mean.interval_hours == 8


@pytest.mark.parametrize(("before", "after"), [(8, 4), (4, 8), (8, 1)])
def test_only_the_latest_interval_counts_where_the_venue_changed_it(before: int, after: int) -> None:
    old = history(*["0.0009"] * 9, hours=before)
    new = history(*["0.0001"] * 6, hours=after, start=old[-1].at_ms + after * HOUR_MS)
    mean = funding_mean([*old, *new])
    assert mean is not None
    assert mean.interval_hours == after
    # The settlement at the change itself is the first of the new stretch: its distance to the next is a new one.
    assert mean.sample == 7
    assert mean.rate == (D("0.0009") + 6 * D("0.0001")) / 7


@given(st.lists(st.decimals("-0.01", "0.01", places=6), min_size=3, max_size=40), st.sampled_from([1, 2, 4, 8]))
def test_a_regular_history_has_its_own_mean(rates: list[Decimal], hours: int) -> None:
    mean = funding_mean(history(*map(str, rates), hours=hours))
    assert mean is not None
    assert mean.sample == len(rates)
    assert min(rates) <= mean.rate <= max(rates)


# -- basis -----------------------------------------------------------------------------------------------------------


def test_three_ways_to_annualise_one_basis() -> None:
    basis = Basis(D(60_900), D(60_000), D(45))
    assert basis.ratio == D("0.015")
    assert round(basis.simple, 6) == D("0.121667")
    assert round(basis.continuous, 6) == D("0.120763")
    assert round(basis.compound, 6) == D("0.128358")


@given(prices, prices, st.decimals("0.5", "400", places=1))
def test_contango_is_positive_backwardation_negative(future: Decimal, spot: Decimal, days: Decimal) -> None:
    # The convention differs in size, never in sign; spot and future a factor two apart at most.
    future = min(max(future, spot / 2), spot * 2)
    basis = Basis(future, spot, days)
    signs = {(figure > 0) - (figure < 0) for figure in (basis.ratio, basis.simple, basis.continuous, basis.compound)}
    assert signs == {(future > spot) - (future < spot)}
    assert basis.continuous <= basis.simple


def test_a_basis_of_nothing_is_refused() -> None:
    for future, spot, days in ((0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, -1)):
        with pytest.raises(ValueError, match="no basis"):
            Basis(D(future), D(spot), D(days))


# -- rolling ---------------------------------------------------------------------------------------------------------


def test_the_credit_of_a_roll() -> None:
    credit = roll_credit(D(60_300), D(61_200), D(91))
    assert credit.per_coin == 900
    assert round(credit.annual_simple, 5) == D("0.05987")


def test_fees_and_half_spreads_come_off_the_credit() -> None:
    credit = roll_credit(D(60_300), D(61_200), D(91), fees=Quote(D("66.825")), half_spreads=Quote(D(1)))
    assert credit.per_coin == D("832.175")


def test_a_coin_margined_short_needs_more_contracts_at_a_higher_mark() -> None:
    """Wallet 5 BTC, 325,000 USD short from 65,000, closed at 52,000, into a contract marked 52,780."""
    short = inverse().delta(Contracts(D(-3_250)), D(52_000))
    assert short == D("-6.25")
    left_open = short - inverse().delta(Contracts(D(-3_250)), D(52_780))
    assert round(-left_open, 6) == D("0.092365")
    assert contracts_after_roll(inverse(), D(52_780), short) == 3_298


def test_fees_in_coin_take_three_contracts_off() -> None:
    short, rate = Base(D("-6.25")), D("0.00055")
    count = contracts_after_roll(inverse(), D(52_780), short, close_fee_base=Base(D("6.25") * rate), fee_rate=rate)
    assert count == 3_295


def test_a_linear_short_keeps_its_coins_whatever_the_fees() -> None:
    count = contracts_after_roll(linear(), D(61_200), Base(D(-5)), close_fee_base=Base(D("0.1")), fee_rate=D("0.01"))
    assert count == 5


@given(st.decimals("0.01", "500", places=4), prices, st.decimals("0", "0.005", places=5), st.booleans())
def test_a_roll_never_shorts_more_than_the_coins_that_are_left(
    coins: Decimal, mark: Decimal, fee: Decimal, coin: bool
) -> None:
    instrument = inverse() if coin else linear()
    close = Base(coins * fee) if coin else Base(D(0))
    count = contracts_after_roll(instrument, mark, Base(-coins), close_fee_base=close, fee_rate=fee)
    opened = -instrument.delta(Contracts(-count), mark)
    left = coins - close - (opened * fee if coin else 0)
    assert opened <= left * (1 + D("1e-9")) + D("1e-12")
    one_more = -instrument.delta(Contracts(-(count + instrument.step_contracts)), mark)
    assert one_more > (coins - close - (one_more * fee if coin else 0)) * (1 - D("1e-8"))
