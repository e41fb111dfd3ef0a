"""Levels of margin, which account stands behind a contract, and how much has to be covered to be safe again."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keeper.core.margin import money, position
from keeper.core.margins import (
    AccountMargin,
    LegMargin,
    Level,
    MarginPolicy,
    PositionMargin,
    Thresholds,
    margin_of,
    share_to_cover,
)
from keeper.core.model import AccountId, InstrumentId, Kind
from tests.core.build import D, inverse, linear

RATIOS = Thresholds(D("0.5"), D("0.7"), D("0.85"))
DISTANCES = Thresholds(D("0.2"), D("0.1"), D("0.05"))
POLICY = MarginPolicy(RATIOS, DISTANCES)
BTC = InstrumentId("main", "BTC/USDT:USDT")


def account(
    wallet: str, asset: str, equity: str = "1000", needed: str = "100", *rows: PositionMargin, venue: str = "main"
) -> AccountMargin:
    return AccountMargin(AccountId(venue, wallet), asset, D(equity), D(needed), None, rows)


@pytest.mark.parametrize(
    ("ratio", "distance", "level"),
    [
        ("0", None, Level.FINE), ("0.4999", None, Level.FINE), ("0.5", None, Level.WARN), ("0.7", None, Level.BLOCK),
        ("0.85", None, Level.REDUCE), ("0", "0.21", Level.FINE), ("0", "0.2", Level.WARN), ("0", "0.1", Level.BLOCK),
        ("0", "0.05", Level.REDUCE), ("0.7", "0.2", Level.BLOCK), (None, None, Level.FINE), (None, "0.1", Level.BLOCK),
    ],
)  # fmt: skip
def test_a_level_is_reached_by_either_measure(ratio: str | None, distance: str | None, level: Level) -> None:
    assert POLICY.level(ratio and D(ratio), distance and D(distance)) is level  # type: ignore[arg-type]


def test_thresholds_that_are_off_are_never_reached() -> None:
    assert MarginPolicy().level(D("0.99"), D("0.001")) is Level.FINE
    only_warns = MarginPolicy(Thresholds(warn=D("0.5")))
    assert only_warns.level(D("0.99"), None) is Level.WARN


def test_an_account_that_owes_margin_and_has_nothing_is_at_the_end() -> None:
    assert POLICY.level(None, None, exhausted=True) is Level.REDUCE
    assert MarginPolicy(Thresholds(block=D("0.7"))).level(None, None, exhausted=True) is Level.BLOCK
    seen = margin_of(linear(), [account("linear", "USDT", "-5", "10")], D(60000))
    assert seen is not None
    assert (seen.ratio, seen.exhausted) == (None, True)
    fresh = margin_of(linear(), [account("linear", "USDT", "0", "0")], D(60000))
    assert fresh is not None
    assert not fresh.exhausted, "an account that was never used is in no danger"


def test_each_contract_finds_the_account_behind_it() -> None:
    split = [account("linear", "USDT"), account("linear", "USDC"), account("inverse", "BTC")]
    assert [seen and (seen.account.account.wallet, seen.account.asset) for seen in (
        margin_of(linear(), split, None), margin_of(inverse(), split, None), margin_of(inverse(), split[:2], None),
    )] == [("linear", "USDT"), ("inverse", "BTC"), None]  # fmt: skip
    unified = [account("", "USD")]
    assert margin_of(linear(), unified, None) is not None
    assert margin_of(inverse(), unified, None) is not None
    assert margin_of(linear(), [account("", "USD", venue="other")], None) is None
    # A row of the position itself says more than the coin does: collateral of several coins in one account.
    multi = [account("linear", "USDT"), account("linear", "BTC", "1", "0", PositionMargin(BTC, D(1), None))]
    seen = margin_of(linear(), multi, None)
    assert seen is not None
    assert seen.account.asset == "BTC"


def test_the_distance_is_of_the_mark_and_of_a_price_that_is_one() -> None:
    def seen(price: str | None, isolated: bool = False) -> LegMargin:
        row = PositionMargin(BTC, D(100), None if price is None else D(price), isolated)
        found = margin_of(linear(), [account("linear", "USDT", "1000", "100", row)], D(60000))
        assert found is not None
        return found

    assert seen("72000").distance == D("0.2")
    assert seen("54000").distance == D("0.1"), "a long is liquidated below"
    assert [seen(price).distance for price in (None, "0", "-3")] == [None, None, None]
    assert seen("72000", isolated=True).ratio is None, "the account's ratio says nothing of it"


def short_of(
    notional: Decimal, equity: Decimal, rate: Decimal, others: Decimal, kind: Kind = Kind.LINEAR, told: bool = True
) -> tuple[LegMargin, Decimal]:
    """A short in an account where other positions need ``others``, and its distance as its venue would tell it."""
    own = notional * rate
    curve = money(equity) + position(kind, -Fraction(notional), rate) + money(-others)
    end = curve.liquidation_move
    row = PositionMargin(BTC, own if told else None, None)
    holds = AccountMargin(AccountId("main", "linear"), "USDT", equity, own + others, None, (row,))
    distance = None if end is None else Decimal(float(end)).quantize(D("0.000000000001"))
    return LegMargin(holds, row, holds.ratio, None, distance), own


MONEY = st.decimals("1", "100000", places=2)


@given(
    notional=st.decimals("100", "10000000", places=2), equity=MONEY, others=st.decimals("0", "1000", places=2),
    rate=st.decimals("0.002", "0.1", places=4),
)  # fmt: skip
def test_covering_that_share_brings_the_ratio_below_block(
    notional: Decimal, equity: Decimal, others: Decimal, rate: Decimal
) -> None:
    policy = MarginPolicy(RATIOS)
    seen, own = short_of(notional, equity, rate, others)
    assert seen.ratio is not None
    share = share_to_cover(seen, notional, policy, linear=True)
    assert 0 <= share <= 1
    after = (seen.account.maintenance - share * own) / equity
    if seen.ratio < RATIOS.block:  # type: ignore[operator]
        assert share == 0
    else:
        assert after < D("0.7") or share == 1
        assert share == 1 or after >= D("0.66"), "no more than is needed"


@given(
    notional=st.decimals("100", "10000000", places=2), equity=MONEY, rate=st.decimals("0.002", "0.05", places=4),
    kind=st.sampled_from([Kind.LINEAR, Kind.INVERSE]),
)  # fmt: skip
def test_covering_that_share_brings_liquidation_further_away_than_block(
    notional: Decimal, equity: Decimal, rate: Decimal, kind: Kind
) -> None:
    policy = MarginPolicy(distance=DISTANCES)
    seen, _ = short_of(notional, equity, rate, D(0), kind)
    assume(seen.distance is not None and seen.distance > D("0.0001"))
    assert seen.distance is not None
    share = share_to_cover(seen, notional, policy, linear=kind is Kind.LINEAR)
    left = Fraction(1 - share)
    if share < 1:
        after = money(equity) + position(kind, -Fraction(notional) * left, rate)
        end = after.liquidation_move
        assert end is None or end > Fraction(1, 10)
    if seen.distance > D("0.1"):
        assert share == 0


def test_what_cannot_help_is_not_done() -> None:
    seen, _ = short_of(D(10000), D(60), D("0.005"), D(0))
    alone = LegMargin(seen.account, PositionMargin(BTC, D(50), D(70000), isolated=True), None, D(70000), D("0.01"))
    assert share_to_cover(alone, D(10000), POLICY, linear=True) == 0, "it gives its own margin back when covered"
    assert share_to_cover(seen, D(0), POLICY, linear=True) == 0
    gone = margin_of(linear(), [account("linear", "USDT", "-1", "50")], D(60000))
    assert gone is not None
    assert share_to_cover(gone, D(10000), POLICY, linear=True) == 1


def test_without_the_positions_own_maintenance_it_takes_the_accounts_and_looks_again() -> None:
    seen, _ = short_of(D(10000), D(60), D("0.005"), D(10), told=False)
    share = share_to_cover(seen, D(10000), MarginPolicy(RATIOS), linear=True)
    assert share == (D(60) - D("0.95") * D("0.7") * 60) / 60
