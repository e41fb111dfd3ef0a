"""What money does on a paper account: nothing comes from nowhere, and nothing is lost."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.core.model import NO_BASE, NO_QUOTE, Contracts, Instrument, Kind, PlannedOrder, Side
from keeper.core.quotes import Level
from keeper.venue.paper.account import Account, Held
from keeper.venue.paper.fills import still_taken, take
from keeper.venue.paper.margin import Pool, Stake
from keeper.venue.paper.store import Store
from keeper.venue.paper.sums import booked, profit, step, value
from tests.core.build import linear

D = Decimal
LINEAR = linear()
INVERSE = replace(LINEAR, kind=Kind.INVERSE, settle="BTC", contract_size=D(100))

instruments = st.sampled_from([LINEAR, INVERSE])
prices = st.integers(1_000, 200_000).map(D)
changes = st.integers(-500, 500).filter(bool).map(D)
rates = st.integers(-3, 6).map(lambda tenths: D(tenths) / 10_000)
trades = st.lists(st.tuples(changes, prices, rates), min_size=1, max_size=15)


@settings(max_examples=100, deadline=None)
@given(instruments, trades, prices)
def test_the_wallet_and_the_open_profit_are_what_every_trade_left(
    instrument: Instrument, made: list[tuple[Decimal, Decimal, Decimal]], last: Decimal
) -> None:
    """wallet + unrealised = what it began with + Σ n·(value at the end - value at the trade) - Σ fees."""
    with tempfile.TemporaryDirectory() as folder:
        account = Account("main", Store.open(Path(folder) / "a.db", durable=False), "")
        with account.change():
            account.begin({"": {instrument.settle: D(1000)}}, [], 1)
        earned = fees = D(0)
        for number, (change, price, rate) in enumerate(made):
            side = Side.BUY if change > 0 else Side.SELL
            order = PlannedOrder(
                f"{number:028x}", "btc", instrument.id, side, Contracts(abs(change)), NO_BASE, NO_QUOTE, price, False
            )
            with account.change():
                account.fill(account.accept(order, abs(change), 2), instrument, abs(change), price, rate, 2)
            earned += profit(instrument, change, price, last)
            fees += booked(abs(value(instrument, change, price)) * rate)
        held = account.held(instrument.id.symbol)
        assert held is not None
        assert held.contracts == sum(change for change, _, _ in made)
        assert account.contracts_at(instrument.id.symbol, 3) == held.contracts
        open_profit = profit(instrument, held.contracts, held.entry, last) if held.contracts else D(0)
        wallet = account.wallet("")[instrument.settle]
        assert wallet == 1000 + held.realised - fees
        assert wallet + open_profit == pytest.approx(1000 + earned - fees, abs=D("0.000001"), rel=D("1e-12"))


@given(instruments, changes, prices, changes, prices)
def test_a_position_that_is_turned_around_opens_at_the_price_of_the_turn(
    instrument: Instrument, held: Decimal, entry: Decimal, change: Decimal, price: Decimal
) -> None:
    after = step(instrument, held, entry, change, price)
    if after.contracts and (after.contracts > 0) != (held > 0):
        assert after.entry == price
    if (held > 0) == (change > 0):
        assert min(entry, price) - D("0.0001") <= after.entry <= max(entry, price) + D("0.0001")
        assert after.realised == 0


levels = st.lists(st.integers(1, 20), min_size=1, max_size=6).map(
    lambda sizes: tuple(Level(D(100 - place), Contracts(D(size))) for place, size in enumerate(sizes))
)


@given(levels, st.lists(st.integers(1, 30), max_size=8), st.integers(90, 101))
def test_orders_together_never_take_more_than_the_book_shows(
    book: tuple[Level, ...], orders: list[int], price: int
) -> None:
    taken: dict[Decimal, Decimal] = {}
    for size in orders:
        taken = still_taken(book, taken)
        for each in take(Side.SELL, D(price), D(size), book, taken):
            assert each.price >= price
            taken[each.price] = taken.get(each.price, D(0)) + each.contracts
    for level in book:
        assert taken.get(level.price, D(0)) <= level.contracts


def test_a_level_that_shrinks_keeps_no_more_than_it_shows_and_one_that_grows_offers_the_growth() -> None:
    before = {D(100): D(8)}
    assert still_taken((Level(D(100), Contracts(D(5))),), before) == {D(100): D(5)}
    grown = (Level(D(100), Contracts(D(11))),)
    assert [each.contracts for each in take(Side.SELL, D(99), D(20), grown, still_taken(grown, before))] == [3]
    assert still_taken((Level(D(99), Contracts(D(5))),), before) == {}


@given(instruments, st.integers(1, 300).map(D), prices, prices, st.integers(-50, 50), st.booleans())
def test_at_the_liquidation_price_equity_is_down_to_maintenance(
    instrument: Instrument, size: Decimal, entry: Decimal, mark: Decimal, spare: int, short: bool
) -> None:
    contracts = -size if short else size
    rate = D("0.01")
    stake = Stake(instrument, contracts, mark, D(10))
    pool = Pool("", instrument.settle, abs(value(instrument, contracts, mark)) * (1 + D(spare) / 100))
    pool.add(Held(instrument, contracts, entry, D(0)), stake)
    coins = pool.equity - profit(instrument, contracts, entry, mark)
    [row] = pool.told("main", rate).positions
    if row.liquidation_price is None:
        return
    end = row.liquidation_price
    equity = coins + profit(instrument, contracts, entry, end)
    assert equity == pytest.approx(abs(value(instrument, contracts, end)) * rate, rel=D("1e-9"), abs=D("1e-9"))
