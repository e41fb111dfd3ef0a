"""Walking a visible book: averages, slippage against the mid, and how much fits under a cap."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.depth import fitting, slippage_of, walk
from keeper.core.model import Contracts, InstrumentId, Kind, Side
from keeper.core.quotes import Book, Level

D = Decimal
IDENT = InstrumentId("main", "BTC/USDT:USDT")


def book(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Book:
    def side(rows: list[tuple[str, str]]) -> tuple[Level, ...]:
        return tuple(Level(D(price), Contracts(D(size))) for price, size in rows)

    return Book(IDENT, side(bids), side(asks))


BOOK = book([("99", "1"), ("98", "2"), ("95", "10")], [("101", "1"), ("102", "2"), ("105", "10")])


def test_a_walk_adds_up_the_levels_and_is_measured_by_the_mid() -> None:
    sold = walk(BOOK, Side.SELL, Contracts(D(2)), Kind.LINEAR)
    assert sold is not None
    assert (sold.contracts, sold.average_price, sold.slippage) == (D(2), D("98.5"), D("0.015"))
    bought = walk(BOOK, Side.BUY, Contracts(D(2)), Kind.LINEAR)
    assert bought is not None
    assert (bought.average_price, bought.slippage) == (D("101.5"), D("0.015"))


def test_a_walk_stops_where_the_visible_book_does() -> None:
    sold = walk(BOOK, Side.SELL, Contracts(D(100)), Kind.LINEAR)
    assert sold is not None
    assert sold.contracts == D(13)


def test_a_coin_margined_average_is_harmonic() -> None:
    even = book([("100", "1"), ("50", "1")], [("101", "1")])
    sold = walk(even, Side.SELL, Contracts(D(2)), Kind.INVERSE)
    assert sold is not None
    assert sold.average_price.quantize(D("0.0001")) == D("66.6667")


def test_an_empty_side_is_no_walk() -> None:
    assert walk(book([], [("101", "1")]), Side.SELL, Contracts(D(1)), Kind.LINEAR) is None
    assert walk(book([], [("101", "1")]), Side.BUY, Contracts(D(1)), Kind.LINEAR) is None, "no mid to measure by"


@pytest.mark.parametrize(
    ("cap", "limit", "fits"),
    [
        ("0.009", "1", "0"),  # the spread alone is above the cap
        ("0.010", "1", "1"),
        ("0.015", "1", "2"),  # 1 at 99 and 1 at 98: 98.5 on average
        ("0.03", "1", "5"),  # 1 at 99, 2 at 98 and 2 at 95: 97 on average
        ("0.03", "98", "3"),  # nothing beyond the limit
        (None, "1", "13"),
        (None, "99", "1"),
    ],
)
def test_what_fits_under_a_cap(cap: str | None, limit: str, fits: str) -> None:
    found = fitting(
        BOOK, Side.SELL, Contracts(D(20)), Kind.LINEAR, D(1), limit=D(limit), cap=None if cap is None else D(cap)
    )
    assert found == D(fits)


def test_what_fits_whole_is_not_rounded() -> None:
    assert fitting(BOOK, Side.BUY, Contracts(D("0.7")), Kind.LINEAR, D(1), limit=D(200), cap=D("0.1")) == D("0.7")


prices = st.decimals(min_value=1, max_value=1000, places=2)
sizes = st.decimals(min_value="0.01", max_value=1000, places=2)


@given(
    half=st.lists(st.tuples(prices, sizes), min_size=1, max_size=8),
    spread=st.decimals(min_value="0.01", max_value=5, places=2),
    wanted=sizes,
    cap=st.decimals(min_value="0.0001", max_value="0.2", places=4),
    kind=st.sampled_from([Kind.LINEAR, Kind.INVERSE]),
    side=st.sampled_from(list(Side)),
)
def test_what_fits_costs_no_more_than_the_cap_and_one_step_more_would(
    half: list[tuple[Decimal, Decimal]], spread: Decimal, wanted: Decimal, cap: Decimal, kind: Kind, side: Side
) -> None:
    rows = sorted(dict(half).items(), reverse=side is Side.SELL)
    own = tuple(Level(price, Contracts(size)) for price, size in rows)
    best = own[0].price
    other = (Level(best + spread if side is Side.SELL else max(best - spread, D("0.01")), Contracts(D(1))),)
    seen = Book(IDENT, own, other) if side is Side.SELL else Book(IDENT, other, own)
    step = D("0.01")
    far = D("0.0001") if side is Side.SELL else D(10_000)
    fits = fitting(seen, side, Contracts(wanted), kind, step, limit=far, cap=cap)
    assert 0 <= fits <= wanted
    if fits > 0:
        sold = walk(seen, side, fits, kind)
        assert sold is not None
        assert sold.slippage <= cap + D("1e-18")
    visible = sum(level.contracts for level in own)
    if fits < wanted and fits + 2 * step <= visible:
        more = walk(seen, side, Contracts(fits + 2 * step), kind)
        assert more is not None
        assert more.slippage > cap - D("1e-18")


def test_slippage_is_positive_where_it_costs() -> None:
    assert slippage_of(Side.SELL, D(99), D(100)) == D("0.01")
    assert slippage_of(Side.BUY, D(99), D(100)) == D("-0.01")
