"""What is owned does not change because a profit is booked: section 1 of the theory, as laws and as tables."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keeper.core.hedge import assess, decide, recall
from keeper.core.model import Base, Contracts, Exposure, Hedge, HedgeMemory, Hold, Position, Snapshot, Unlisted
from tests.core.build import COIN, MAIN, D, hedge, inverse, linear, look, snapshot

EXACT = D("1e-15")
PRICES = st.decimals("100", "1000000", places=1)
COINS = st.decimals("0.1", "1000", places=4)
FACE, NOTHING = D(100), D(0)


def inverse_hedge(*, spot: bool = True) -> Hedge:
    """Coins in a spot wallet and a coin-margined short beside them."""
    return hedge(inverse(), spot=(MAIN,) if spot else ())


def seen(
    of: Hedge, mark: Decimal, wallet: Decimal, contracts: Decimal, entry: Decimal, spot: Decimal = NOTHING
) -> Snapshot:
    base = snapshot(of, mark, {"BTC": str(spot)}, str(contracts), entry=str(entry), wallet=str(wallet))
    held = {key: value for key, value in base.holdings.items() if key[0] in (*of.spot, COIN)}
    return replace(base, holdings=held)


def judged(of: Hedge, at: Snapshot) -> Exposure:
    return assess(of, at, {of.instrument.id})


def profit(contracts: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    return contracts * FACE * (1 / entry - 1 / mark)


def same(left: Exposure, right: Exposure, by: Decimal = EXACT) -> None:
    for name in ("exposure_base", "futures_base", "net_delta_base", "target_base", "drift_base"):
        one, other = getattr(left, name), getattr(right, name)
        assert one is not None, name
        assert abs(one - other) < by, (name, one, other)


@given(PRICES, PRICES, COINS, COINS, st.integers(1, 100_000), st.booleans())
def test_booking_a_profit_at_one_mark_changes_nothing(
    entry: Decimal, mark: Decimal, spot: Decimal, wallet: Decimal, short: int, settled: bool
) -> None:
    """A settlement moves the entry to the mark; closing and opening again the same does so as well."""
    of = inverse_hedge()
    booked = wallet + profit(D(-short), entry, mark)
    assume(wallet > 0)
    before = judged(of, seen(of, mark, wallet, D(-short), entry, spot))
    after = judged(of, seen(of, mark, booked, D(-short), mark, spot))
    same(before, after)
    memory = HedgeMemory()
    assert type(decide(before, recall(before, memory))) is type(decide(after, recall(after, memory)))


@given(PRICES, PRICES, COINS, st.integers(2, 100_000), st.data())
def test_closing_a_part_changes_the_delta_by_that_part_and_by_no_profit(
    entry: Decimal, mark: Decimal, wallet: Decimal, short: int, data: st.DataObject
) -> None:
    of, closed = inverse_hedge(spot=False), data.draw(st.integers(1, short - 1))
    booked = wallet + profit(D(-closed), entry, mark)
    before = judged(of, seen(of, mark, wallet, D(-short), entry))
    after = judged(of, seen(of, mark, booked, D(-(short - closed)), entry))
    assert before.exposure_base is not None
    assert after.exposure_base is not None
    assert before.futures_base is not None
    assert after.futures_base is not None
    assert abs(before.exposure_base - after.exposure_base) < EXACT
    assert abs(after.futures_base - before.futures_base - closed * FACE / mark) < EXACT


@given(PRICES, PRICES, COINS, st.integers(2, 100_000), st.data(), st.decimals("0", "0.001", places=5))
def test_opening_again_at_the_mark_averages_the_entry_and_costs_its_fees_alone(
    entry: Decimal, mark: Decimal, wallet: Decimal, short: int, data: st.DataObject, rate: Decimal
) -> None:
    """The average entry of a coin-margined position is harmonic: coins a contract, not dollars, are averaged."""
    of, turned = inverse_hedge(spot=False), data.draw(st.integers(1, short))
    fee = 2 * turned * FACE / mark * rate
    average = short / ((short - turned) / entry + turned / mark)
    before = judged(of, seen(of, mark, wallet, D(-short), entry))
    after = judged(of, seen(of, mark, wallet + profit(D(-turned), entry, mark) - fee, D(-short), average))
    assert before.net_delta_base is not None
    assert after.net_delta_base is not None
    assert abs(before.net_delta_base - after.net_delta_base - fee) < EXACT


@given(PRICES, PRICES, COINS, st.decimals("0.001", "1000", places=3))
def test_the_profit_of_a_linear_contract_is_never_coins(
    entry: Decimal, mark: Decimal, spot: Decimal, short: Decimal
) -> None:
    of = hedge(linear())
    states = [
        judged(of, snapshot(of, mark, {"BTC": str(spot)}, str(-short), entry=str(price))) for price in (entry, mark)
    ]
    same(states[0], states[1])
    assert states[0].exposure_base == spot


@pytest.mark.parametrize(("price", "equity"), [("5000", "3.2"), ("8000", "2.0"), ("10000", "1.6"), ("16000", "1.0")])
def test_the_published_example(price: str, equity: str) -> None:
    """Two coins, 16,000 dollars short from 8,000: always worth 16,000, and nothing is to be done at any price."""
    of = inverse_hedge(spot=False)
    exposure = judged(of, seen(of, D(price), D(2), D(-160), D(8000)))
    assert exposure.exposure_base is not None
    assert exposure.net_delta_base is not None
    assert abs(exposure.exposure_base - D(equity)) < EXACT
    assert abs(exposure.exposure_base * D(price) - 16_000) < D("1e-9")
    assert abs(exposure.net_delta_base) < EXACT
    assert isinstance(decide(exposure, recall(exposure, HedgeMemory())), Hold)
    by_the_wallet = 2 + (exposure.futures_base or D(0))
    assert abs(by_the_wallet - {"5000": D("-1.2"), "10000": D("0.4"), "16000": D(1)}.get(price, D(0))) < EXACT


@pytest.mark.parametrize("price", ["40000", "60000", "90000"])
def test_coins_outside_and_coins_as_margin(price: str) -> None:
    of = inverse_hedge()
    exposure = judged(of, seen(of, D(price), D(1), D(-1000), D(60000), spot=D(3)))
    assert exposure.net_delta_base is not None
    assert abs(exposure.net_delta_base - D(7) / 3) < EXACT


@pytest.mark.parametrize(("price", "ratio"), [("5000", "0.615385"), ("8000", "0.5"), ("10000", "0.444444")])
def test_half_a_hedge_reads_another_ratio_at_each_price_and_the_same_delta(price: str, ratio: str) -> None:
    of = inverse_hedge(spot=False)
    exposure = judged(of, seen(of, D(price), D(2), D(-80), D(8000)))
    assert exposure.hedge_ratio is not None
    assert exposure.net_delta_base is not None
    assert abs(exposure.hedge_ratio - D(ratio)) < D("0.000001")
    assert abs(exposure.net_delta_base - 1) < EXACT


@pytest.mark.parametrize(
    ("price", "equity", "sells"), [("50000", "3.8", 400), ("60000", "3.5", 480), ("75000", "3.2", 600)]
)
def test_a_mixed_account_reads_the_same_before_and_after_its_profits_are_booked(
    price: str, equity: str, sells: int
) -> None:
    mark, of = D(price), hedge(inverse(), unlisted=Unlisted.COUNT, collateral_is_spot=True)
    booked = profit(D(-900), D(60000), mark)
    for coins, entry in ((D("3.5"), D(60000)), (D("3.5") + booked, mark)):
        other = Position(linear(), Contracts(D("-1.2")), entry)
        exposure, _ = look(of, snapshot(of, price, {"BTC": str(coins)}, "-900", entry=str(entry), others=(other,)))
        assert exposure.exposure_base is not None
        assert exposure.drift_base is not None
        assert abs(exposure.exposure_base - D(equity)) < EXACT
        assert abs(inverse().contracts_for(Base(exposure.drift_base), mark) - sells) < D("1e-9")
