"""What a move would do: the worked tables of the trade, to the last digit, and what holds for every portfolio."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.margin import coins as coin_margin
from keeper.core.margin import money, position
from keeper.core.model import Kind
from keeper.core.stress import DEFAULT_MOVES, Coins, Leg, Line, Pool, step, stress
from tests.core.build import D

TEN_DOWN = Fraction(-1, 10)
F = Fraction


def linear_hedge(coins: str = "5", price: str = "65000", ratio: str = "0.5", beta: str = "1") -> Line:
    worth = F(coins) * F(price)
    return Line("btc", (Coins(worth, D(beta)),), (Leg(Kind.LINEAR, -F(ratio) * F(beta) * worth, "main"),))


def inverse_hedge(wallet: str, price: str, notional: str, entry: str, spot: str = "0") -> Line:
    """Coins in the wallet with what the short has gained since ``entry``, and the short."""
    gained = F(notional) * (1 / F(price) - 1 / F(entry))
    owned = Coins((F(spot) + F(wallet) + gained) * F(price))
    return Line("btc", (owned,), (Leg(Kind.INVERSE, -F(notional), "main"),))


@pytest.mark.parametrize(
    ("ratio", "spot", "futures", "net", "ending"),
    [
        ("0.5", -32_500, 16_250, -16_250, 308_750),
        ("1", -32_500, 32_500, 0, 325_000),
        ("0", -32_500, 0, -32_500, 292_500),
    ],
)
def test_a_fall_of_a_tenth(ratio: str, spot: int, futures: int, net: int, ending: int) -> None:
    seen = step([linear_hedge(ratio=ratio)], {}, TEN_DOWN)
    assert [seen.spot_pnl, seen.futures_pnl, seen.net_pnl, seen.value] == [spot, futures, net, ending]
    assert seen.hedge_ratio == F(ratio)


def test_a_portfolio_that_moves_half_as_much_as_its_index() -> None:
    """1,000,000 at β 0.5 is 500,000 short; the index falls by a quarter, the portfolio by an eighth."""
    index = Line("top10", (Coins(F(1_000_000), D("0.5")),), (Leg(Kind.INDEX, -F(500_000), "main"),))
    seen = step([index], {}, F(-1, 4))
    assert [seen.spot_pnl, seen.futures_pnl, seen.net_pnl] == [-125_000, 125_000, 0]
    assert step([index], {}, F(0)).hedge_ratio == 1


@pytest.mark.parametrize(("price", "equity"), [("52000", "6.25"), ("75000", "13/3"), ("130000", "2.5")])
def test_a_full_coin_margined_hedge_is_worth_the_same_at_every_price(price: str, equity: str) -> None:
    line = inverse_hedge("5", "65000", "325000", "65000")
    seen = step([line], {}, F(price) / 65_000 - 1)
    assert [seen.value, seen.net_pnl, seen.hedge_ratio] == [325_000, 0, 1]
    assert seen.value / F(price) == F(equity)


@pytest.mark.parametrize(("start", "coins"), [("5000", "3.2"), ("8000", "2"), ("10000", "1.6"), ("16000", "1")])
def test_it_does_not_matter_where_one_looks_from(start: str, coins: str) -> None:
    """2 BTC, short 16,000 USD since 8,000: whatever the price is now, every move leaves 16,000 USD."""
    line = inverse_hedge("2", start, "16000", "8000")
    assert line.worth / F(start) == F(coins)
    assert {seen.value for seen in stress([line], {})[1]} == {16_000}


def test_half_a_coin_margined_hedge_keeps_its_coins_and_changes_its_ratio() -> None:
    line = inverse_hedge("2", "8000", "8000", "8000")
    for price, ratio in ((5_000, "0.615385"), (8_000, "0.5"), (10_000, "0.444444")):
        seen = step([line], {}, F(price, 8_000) - 1)
        assert seen.hedge_ratio is not None
        assert round(seen.hedge_ratio, 6) == F(ratio)
        assert seen.net_pnl == price - 8_000, "one whole coin stays unhedged"


def test_a_mixed_account_stays_eight_tenths_of_a_coin_long() -> None:
    """0.5 BTC elsewhere and 3 in a unified account, 1.2 BTC short in dollars and 90,000 USD short in coins."""
    line = Line(
        "mixed", (Coins(F("3.5") * 60_000),),
        (Leg(Kind.LINEAR, -F("1.2") * 60_000, "main"), Leg(Kind.INVERSE, -F(90_000), "main")),
    )  # fmt: skip
    for price, exposure, delta in ((50_000, "3.8", "3.0"), (60_000, "3.5", "2.7"), (75_000, "3.2", "2.4")):
        seen = step([line], {}, F(price, 60_000) - 1)
        assert seen.hedge_ratio == F(delta) / F(exposure)
        assert seen.net_pnl == F("0.8") * (price - 60_000)


def test_a_cross_hedge_falls_by_its_beta_and_no_coin_below_zero() -> None:
    line = linear_hedge("1000", "200", "1", "1.2")
    assert step([line], {}, F(-1, 2)).net_pnl == 0
    assert step([line], {}, F(-9, 10)).spot_pnl == -200_000, "not 108 % of them"
    assert step([line], {}, F(-9, 10)).hedge_ratio is None, "nothing is left to protect"


def test_a_price_cannot_fall_to_nothing() -> None:
    with pytest.raises(ValueError, match="100 %"):
        step([linear_hedge()], {}, F(-1))


def test_margin_at_each_move_is_that_of_the_account_in_most_danger() -> None:
    price = D(60000)
    thin = Pool(money(D(30000)) + position(Kind.LINEAR, -F(60_000), D("0.005")))
    safe = Pool(coin_margin(D(1), price) + position(Kind.INVERSE, -F(60_000), D("0.005")))
    lines = [
        Line("thin", (Coins(F(60_000)),), (Leg(Kind.LINEAR, -F(60_000), "thin"),)),
        Line("safe", (Coins(F(60_000)),), (Leg(Kind.INVERSE, -F(60_000), "safe"),)),
    ]
    (of_thin, of_safe), total = stress(lines, {"thin": thin, "safe": safe}, [F(2, 5), F(1, 2)])
    assert of_thin[0].margin_ratio == F(420, 6_000)
    assert of_thin[0].distance is not None
    assert round(of_thin[0].distance, 6) == round(F("89552.238806") / 84_000 - 1, 6)
    assert (of_thin[1].margin_ratio, of_thin[1].liquidated) == (None, True), "beyond 89,552 nothing is left"
    assert (of_safe[1].distance, of_safe[1].liquidated) == (None, False), "no rally liquidates it"
    assert [(seen.margin_ratio, seen.liquidated) for seen in total] == [(F(420, 6_000), False), (None, True)]


def test_a_pool_of_which_only_the_price_is_known() -> None:
    pool = Pool(liquidation_move=F(1, 2))
    assert pool.distance_at(F(0)) == F(1, 2)
    assert pool.distance_at(F(1, 4)) == F(1, 5)
    assert [pool.liquidated_at(move) for move in (F(0), F(1, 2), F(1))] == [False, True, True]
    assert Pool(liquidation_move=F(-1, 2)).liquidated_at(F(-3, 5))
    assert Pool().liquidated_at(F(1)) is None


def test_what_is_not_known_of_one_account_is_not_known_of_all() -> None:
    known = Pool(money(D(1000)) + position(Kind.LINEAR, -F(5000), D("0.01")))
    lines = [Line(name, (), (Leg(Kind.LINEAR, -F(5000), name),)) for name in ("known", "not")]
    _, total = stress(lines, {"known": known, "not": Pool()}, [F(1, 100)])
    assert (total[0].margin_ratio, total[0].liquidated) == (None, None)


WORTH = st.decimals("-100000", "10000000", places=2)
MOVES = st.fractions(F(-9, 10), F(3))


@given(
    worths=st.lists(st.tuples(WORTH, st.sampled_from(list(Kind)), st.decimals("0", "1", places=3)), min_size=1),
    move=MOVES,
)
def test_the_total_is_the_sum_and_a_full_hedge_loses_nothing(
    worths: list[tuple[Decimal, Kind, Decimal]], move: Fraction
) -> None:
    lines = [
        Line(str(place), (Coins(F(worth)),), (Leg(kind, -F(ratio) * F(worth), "one"),))
        for place, (worth, kind, ratio) in enumerate(worths)
    ]
    each, total = stress(lines, {}, [move])
    for name in ("spot_pnl", "futures_pnl", "net_pnl", "value"):
        assert sum(getattr(steps[0], name) for steps in each) == getattr(total[0], name)
    for (worth, kind, ratio), (seen,) in zip(worths, each, strict=True):
        assert seen.net_pnl == (1 - F(ratio)) * F(worth) * move
        if worth > 0 and kind is not Kind.INVERSE:
            assert seen.hedge_ratio == F(ratio), "price alone does not move a linear hedge"


def test_the_moves_that_are_looked_at_by_default() -> None:
    assert [int(move * 100) for move in DEFAULT_MOVES] == [-50, -20, -10, 10, 20, 50]
