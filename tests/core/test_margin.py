"""Liquidation prices and the lines behind them: the published anchors, and what has to hold at any of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keeper.core.margin import Curve, Held, as_decimal, coins, liquidation_price, money, position
from keeper.core.model import Contracts, Kind
from keeper.core.sizing import contract_value
from tests.core.build import D

HALF_PERCENT = D("0.005")


def short(kind: Kind, contracts: str, size: str, entry: str, rate: Decimal = HALF_PERCENT) -> Held:
    return Held(kind, Contracts(D(contracts)), D(size), D(entry), rate)


def test_a_linear_short_is_liquidated_on_a_rally() -> None:
    price = liquidation_price(short(Kind.LINEAR, "-1", "1", "60000"), D(30000))
    assert price is not None
    assert round(price, 2) == D("89552.24")


def test_a_coin_margined_short_of_more_than_its_collateral_is_liquidated_far_up() -> None:
    assert liquidation_price(short(Kind.INVERSE, "-1200", "100", "60000"), D(1)) == D(119400)


@pytest.mark.parametrize("collateral", ["2", "2.5", "20"])
def test_a_coin_margined_short_of_no_more_than_its_collateral_has_no_liquidation_price(collateral: str) -> None:
    assert liquidation_price(short(Kind.INVERSE, "-1200", "100", "60000"), D(collateral)) is None


def test_the_coin_as_collateral_of_a_linear_short_moves_liquidation_far_away() -> None:
    held = short(Kind.LINEAR, "-5", "1", "60000")
    price = liquidation_price(held, D(0), collateral=D(5), haircut=D("0.95"))
    assert price is not None
    assert round(price) == 1_090_909


def test_what_is_liquidated_now_is_not_brought_back_by_a_fall() -> None:
    account = money(D(1_000)) + position(Kind.LINEAR, Fraction(-130_000), D("0.01"))
    assert account.ratio_at(Fraction(0)) == Fraction(13, 10)
    assert account.liquidated_at(Fraction(-1, 10))
    assert account.liquidated_at(Fraction(1, 10))


def test_a_long_is_liquidated_on_the_way_down() -> None:
    price = liquidation_price(short(Kind.LINEAR, "1", "1", "60000"), D(6000))
    assert price == as_decimal(Fraction(54000) / Fraction("0.995"))
    assert liquidation_price(short(Kind.LINEAR, "1", "1", "60000"), D(60001)) is None


def test_a_flat_account_has_no_liquidation() -> None:
    assert liquidation_price(short(Kind.LINEAR, "0", "1", "60000"), D(100)) is None
    assert not Curve().liquidated_at(Fraction(5))


AMOUNTS = st.decimals("0.01", "1000000", places=2)
PRICES = st.decimals("1", "200000", places=1)
RATES = st.decimals("0.001", "0.1", places=4)
HAIRCUTS = st.decimals("0.5", "1", places=2)


@given(
    kind=st.sampled_from(list(Kind)), notional=st.decimals("-5000000", "5000000", places=2), wallet=AMOUNTS,
    held=AMOUNTS, price=PRICES, rate=RATES, haircut=HAIRCUTS,
)  # fmt: skip
def test_at_the_liquidation_price_equity_equals_maintenance(
    kind: Kind, notional: Decimal, wallet: Decimal, held: Decimal, price: Decimal, rate: Decimal, haircut: Decimal
) -> None:
    curve = money(wallet) + coins(held, price, haircut) + position(kind, Fraction(notional), rate, haircut)
    end = curve.liquidation_move
    assume(end is not None)
    assert end is not None
    assert curve.equity_at(end) == curve.maintenance_at(end)
    assert curve.distance_at(end) == 0
    assert curve.distance_at(Fraction(0)) == end
    # On one side of it the account lives, on the other it does not, if it lives now.
    assume(not curve.liquidated_at(Fraction(0)))
    little = (1 + end) / 1000
    assert curve.liquidated_at(end + little) != curve.liquidated_at(end - little)


@given(
    contracts=st.decimals("-10000", "-0.001", places=3), size=st.sampled_from([D("0.001"), D(1), D(100)]), entry=PRICES,
    wallet=AMOUNTS, rate=RATES,
)  # fmt: skip
def test_the_lines_say_what_the_contracts_say(
    contracts: Decimal, size: Decimal, entry: Decimal, wallet: Decimal, rate: Decimal
) -> None:
    """Equity at the price found, from the profit formulas of the contracts themselves."""
    for kind in (Kind.LINEAR, Kind.INVERSE):
        price = liquidation_price(Held(kind, Contracts(contracts), size, entry, rate), wallet)
        if price is None or price < D("0.01"):
            continue
        n, unit, start, end = Fraction(contracts), Fraction(size), Fraction(entry), Fraction(price)
        if kind is Kind.INVERSE:
            equity = Fraction(wallet) + n * unit * (1 / start - 1 / end)
            needed = -n * unit / end * Fraction(rate)
        else:
            equity = Fraction(wallet) + n * unit * (end - start)
            needed = -n * unit * end * Fraction(rate)
        # The price was cut at twelve places.
        assert abs(equity - needed) <= Fraction(1, 10**6) * (1 + needed)


def test_two_positions_share_one_account() -> None:
    """5 BTC on a unified account, half of it hedged in dollars and half in coins."""
    price = D(60000)
    linear = position(Kind.LINEAR, -Fraction(150_000), HALF_PERCENT)
    inverse = position(Kind.INVERSE, -contract_value(Kind.INVERSE, D(100), price) * 1500, HALF_PERCENT)
    account = coins(D(5), price) + linear + inverse
    assert account.ratio_at(Fraction(0)) == Fraction(1500, 300_000)
    assert account.equity_at(Fraction(1)) == 300_000
    assert account.maintenance_at(Fraction(1)) == 2_250
    # Coins cover the whole short: what both positions lose, the coins gain; only the need grows with the price.
    assert account.liquidation_move == Fraction(300_000 - 1500) / 750
