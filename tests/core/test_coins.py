"""Constant coins on a coin-margined contract: price moves alone cause no trade, and neither does realising profit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.coins import booked, with_fill
from keeper.core.hedge import assess, decide, expect, recall, remember
from keeper.core.model import (
    NO_BASE,
    ONE,
    ZERO,
    Contracts,
    Exposure,
    ExposureMode,
    HedgeMemory,
    Hold,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Quote,
    Rebalance,
    Side,
)
from keeper.core.orders import contracts_to_buy, contracts_to_sell
from keeper.core.steering import Verb, Wish, redirected, steered
from keeper.core.targets import Target, TargetKind
from tests.core.build import D, hedge, inverse, snapshot

PRICES = st.decimals("1000", "200000", places=1)


def quantity(value: str) -> Target:
    return Target(TargetKind.QUANTITY, D(value))


def close(left: Decimal | None, right: str | Decimal, places: str = "1e-18") -> bool:
    return left is not None and abs(left - D(right)) < D(places)


@dataclass
class Book:
    """An account at a coin-margined contract of 100 USD, without fees, as a venue would keep it."""

    wallet: Decimal
    target: Target
    exposure: ExposureMode = ExposureMode.EQUITY
    contracts: Decimal = ZERO
    entry: Decimal = ONE
    memory: HedgeMemory = field(default_factory=HedgeMemory)

    def fill(self, signed: str | Decimal, price: str | Decimal) -> None:
        """Average entry while it grows, profit into the wallet while it shrinks."""
        change, at = D(signed), D(price)
        after = self.contracts + change
        if self.contracts * change >= 0:
            cost = self.contracts / self.entry + change / at
            self.entry = at if cost == 0 else after / cost
        else:
            assert self.contracts * after >= 0, "these stories never cross zero"
            self.wallet += -change * 100 * (1 / self.entry - 1 / at)
        self.contracts = after

    def look(self, price: str | Decimal) -> Exposure:
        """One look of the keeper: what it saw, and what it remembers."""
        of = hedge(inverse(), target=self.target, spot=(), exposure=self.exposure)
        contracts, entry, wallet = str(self.contracts), str(self.entry), str(self.wallet)
        seen = snapshot(of, price, contracts=contracts, entry=entry, wallet=wallet)
        told, memory = steered(of, self.memory, seen, {of.instrument.id}, (), 0)
        exposure = assess(told, seen, {of.instrument.id}, memory.coins.gain_base if memory.coins else ZERO)
        memory = recall(exposure, memory)
        self.memory = remember(exposure, decide(exposure, memory), memory)
        return exposure

    def ours(self, signed: str | Decimal, price: str | Decimal, *, told: str | Decimal | None) -> None:
        """A fill of ours, of which the venue told this average price."""
        before = Contracts(self.contracts)
        self.fill(signed, price)
        change = D(signed)
        side = Side.SELL if change < 0 else Side.BUY
        of = hedge(inverse())
        order = PlannedOrder(
            "a" * 28, "btc", of.instrument.id, side, Contracts(abs(change)), NO_BASE, Quote(D(0)), D(price), False
        )
        average = None if told is None else D(told)
        outcome = Outcome("a" * 28, OutcomeState.FILLED, Contracts(abs(change)), average)
        memory = with_fill(expect(self.memory, order.instrument, before, Contracts(change), 0), [of], order, outcome)
        self.memory = replace(memory, expected={})


def half_hedged(target: Target) -> Book:
    """2 BTC at 8,000 with 8,000 USD short."""
    book = Book(D(2), target)
    book.look("8000")
    book.ours("-80", "8000", told="8000")
    return book


@pytest.mark.parametrize(("price", "ratio"), [("5000", "0.615384"), ("8000", "0.5"), ("10000", "0.444444")])
def test_the_delta_stays_one_coin_and_price_moves_alone_cause_no_trade(price: str, ratio: str) -> None:
    exposure = (book := half_hedged(quantity("1"))).look(price)
    assert close(exposure.net_delta_base, "1")
    assert close(exposure.hedge_ratio, ratio, "0.000001")
    assert close(exposure.drift_base, "0")
    assert isinstance(decide(exposure, book.memory), Hold)
    assert exposure.target_ratio is not None
    assert close(exposure.target_ratio, ratio, "0.000001")


@pytest.mark.parametrize(
    ("price", "contracts"), [("5000", "-15"), ("6000", "-10"), ("10000", "10"), ("9950", "9"), ("5050", "-15")]
)
def test_a_ratio_is_traded_back_to_where_it_was(price: str, contracts: str) -> None:
    exposure = half_hedged(Target.ratio(D("0.5"))).look(price)
    drift = exposure.drift_base
    assert drift is not None
    if drift > 0:
        assert contracts_to_sell(drift, inverse(), D(price)) == D(contracts)
    else:
        assert contracts_to_buy(drift, inverse(), D(price), Contracts(D(80))) == -D(contracts)


def test_after_the_trade_at_5000_a_ratio_is_below_its_half_at_8000() -> None:
    book = half_hedged(Target.ratio(D("0.5")))
    book.look("5000")
    book.ours("15", "5000", told="5000")
    exposure = book.look("8000")
    assert close(exposure.exposure_base, "2.1125")
    assert close(exposure.hedge_ratio, "0.384615", "0.000001")
    assert exposure.drift_base is not None
    assert close(exposure.drift_base * 8000, "1950", "1e-9")


@given(PRICES, PRICES)
def test_at_the_whole_of_it_coins_and_a_ratio_agree(first: Decimal, then: Decimal) -> None:
    coins, share = Book(D(5), quantity("5")), Book(D(5), Target.ratio(D(1)))
    for book in (coins, share):
        book.look(first)
        book.ours(-5 * first / 100, first, told=first)
    ours, theirs = coins.look(then), share.look(then)
    assert ours.target_base is not None
    assert theirs.target_base is not None
    assert close(ours.target_base, theirs.target_base, "1e-15")
    assert close(ours.drift_base, "0", "1e-15")


@given(PRICES, PRICES, st.integers(1, 80), PRICES)
def test_realising_profit_leaves_the_target_where_it_is(now: Decimal, mark: Decimal, part: int, later: Decimal) -> None:
    """A part is bought back and sold again at one mark: the coins move from the open profit into the wallet."""
    kept, realised = half_hedged(quantity("1")), half_hedged(quantity("1"))
    kept.look(now)
    realised.look(now)
    realised.ours(D(part), mark, told=mark)
    realised.look(mark)
    realised.ours(-D(part), mark, told=mark)
    ours, theirs = realised.look(later), kept.look(later)
    for figure in ("exposure_base", "futures_base", "target_base", "drift_base", "net_delta_base"):
        left, right = getattr(ours, figure), getattr(theirs, figure)
        assert close(left, right, "1e-15"), figure
    assert realised.memory.coins is not None
    assert kept.memory.coins is not None
    assert close(realised.memory.coins.gain_base, kept.memory.coins.gain_base, "1e-15")


def test_a_fill_without_a_price_counts_at_the_mark_of_the_next_look() -> None:
    for told in (None, "1", "9000"):  # not told, and two that are no price of this order
        book = half_hedged(quantity("1"))
        book.look("8000")
        book.ours("-8", "8000", told=told)
        exposure = book.look("8000")
        assert close(exposure.drift_base, "-0.1")


def test_what_somebody_else_did_is_traded_back() -> None:
    book = half_hedged(quantity("1"))
    book.look("5000")
    book.fill("20", "5000")
    exposure = book.look("5000")
    assert close(exposure.drift_base, "0.4")  # 2,000 USD at 5,000
    assert isinstance(decide(exposure, book.memory), Rebalance)
    book.ours("-20", "5000", told="5000")
    assert close(book.look("6000").drift_base, "0")


def test_a_new_quantity_begins_with_no_profit_behind_it() -> None:
    book = half_hedged(quantity("1"))
    assert close(book.look("5000").target_base, "-1.6")
    book.target = quantity("1.2")
    assert close(book.look("5000").target_base, "-1.2")
    late = book.look("8000")  # nothing was bought back meanwhile: what was too much of it stays too much
    assert close(late.target_base, "-0.6")
    assert close(late.drift_base, "-0.4")


def test_a_transition_starts_from_the_coins_that_are_short_now() -> None:
    book = half_hedged(quantity("1"))
    of = hedge(inverse(), target=book.target, spot=())
    assert close(book.look("5000").drift_base, "0")
    wish = Wish(Verb.SCALE, None, D("0.5"))
    memory = redirected(of, book.memory, wish, None, 0)
    assert memory.course is not None
    assert close(memory.course.goal.value, "0.8")  # half of the 1.6 that it has come to
    assert memory.coins is not None
    assert memory.coins.gain_base == 0
    assert close(memory.coins.sold_base, "-1.6")


def test_counting_the_coins_alone_protects_them_and_not_the_profit() -> None:
    book = Book(D(2), quantity("1"), ExposureMode.SPOT)
    book.look("8000")
    book.ours("-80", "8000", told="8000")
    exposure = book.look("5000")
    assert exposure.exposure_base == 0  # no coins are stated in this story
    assert book.memory.coins is None


def test_a_fill_is_booked_once() -> None:
    book = half_hedged(quantity("1"))
    ledger = book.memory.coins
    assert ledger is not None
    assert booked(ledger, inverse(), Contracts(D(-80)), D(8000), D(8000)) == ledger
    more = booked(ledger, inverse(), Contracts(D(-88)), D(8000), D(8000))
    assert more is not None
    assert more.sold_base == D("-1.1")
    assert booked(more, inverse(), Contracts(D(-88)), D(8000), D(8000)) == more
