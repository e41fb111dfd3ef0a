"""Hedges over the same coins: together they never short more than is there."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from keeper.core.hedge import assess
from keeper.core.model import AccountId, Base, Exposure, Hedge, InstrumentId, Position, Reason, Snapshot, Statement
from keeper.core.sharing import shared_ratio
from keeper.core.targets import Target, TargetKind
from tests.core.build import MAIN, D, hedge, linear, snapshot

USDC = replace(linear(), id=InstrumentId("main", "BTC/USDC:USDC"), settle="USDC", quote="USDC")
COLD = Statement(AccountId("stated", "ledger"), "BTC", Base(D(10)))


def two(first: Hedge, other: Hedge, first_short: str = "0", other_short: str = "0") -> list[Exposure]:
    """Two hedges of five coins at 65,000, as one look shows them."""
    other = replace(other, name="other", instrument=USDC)
    beside = (Position(USDC, -type(D(0))(other_short), D(65000)),)  # type: ignore[arg-type]
    seen: Snapshot = snapshot(first, "65000", {"BTC": "5"}, f"-{first_short}", others=beside)
    listed = {first.instrument.id, USDC.id}
    return [assess(first, seen, listed), assess(other, seen, listed)]


def ratio(value: str) -> Hedge:
    return hedge(linear(), value)


def coins(value: str) -> Hedge:
    return hedge(linear(), target=Target(TargetKind.QUANTITY, D(value)))


def test_the_first_in_the_file_has_the_first_claim() -> None:
    seen = two(coins("4"), coins("4"))
    assert shared_ratio(0, seen, {}) == 0
    assert shared_ratio(1, seen, {}) == D("0.8")


def test_what_is_sold_is_sold_whoever_came_first() -> None:
    seen = two(coins("4"), coins("4"), "0", "3")
    assert shared_ratio(0, seen, {}) == D("0.6")
    assert shared_ratio(0, seen, {"other": Base(D(1))}) == D("0.8")


def test_hedges_over_other_coins_leave_each_other_alone() -> None:
    seen = two(coins("4"), replace(coins("4"), spot=(), statements=(COLD,), declared={"BTC": Base(D(10))}))
    assert shared_ratio(0, seen, {}) == 0
    assert shared_ratio(1, seen, {}) == 0


def test_a_share_of_some_more_coins_takes_that_share_of_each() -> None:
    more = replace(ratio("0.4"), statements=(COLD,), declared={"BTC": Base(D(10))})
    seen = two(ratio("0.6"), more, "3", "6")
    assert shared_ratio(0, seen, {}) == D("0.4")
    assert shared_ratio(1, seen, {}) == D("0.6")


def test_one_that_cannot_be_seen_claims_its_share_or_stops_the_other() -> None:
    blind = replace(two(ratio("0.6"), ratio("0.4"))[1], futures_base=None)
    seen = [two(ratio("0.6"), ratio("0.4"))[0], blind]
    assert shared_ratio(0, seen, {}) == D("0.4")
    assert shared_ratio(0, [seen[0], replace(blind, target_ratio=None)], {}) is None
    asked = replace(two(ratio("0.6"), ratio("0.4"))[1], blockers=(Reason("unresolved_order", "may exist"),))
    assert shared_ratio(0, [seen[0], asked], {}) == D("0.4")


@given(st.decimals("0", "8", places=3), st.decimals("0", "8", places=3), st.decimals("0", "5", places=3))
def test_together_they_never_want_more_than_there_is(one: Decimal, other: Decimal, sold: Decimal) -> None:
    """Both sell what they are left, one after the other, as the loop lets them."""
    first, second = sold, D(0)
    for _ in range(3):
        for index in (0, 1):
            seen = two(coins(str(one)), coins(str(other)), str(first), str(second))
            left = shared_ratio(index, seen, {})
            assert left is not None
            mine = (first, second)[index]
            wanted = (min(one, D(5)), min(other, D(5)))[index]
            adds = max(D(0), min(wanted - mine, 5 * (1 - left) - mine))
            first, second = (first + adds, second) if index == 0 else (first, second + adds)
    assert first + second <= max(D(5), sold) + D("1e-20")


def test_the_wallet_of_the_story_is_where_the_coins_are() -> None:
    assert ratio("1").spot == (MAIN,)
