"""What a hedge aims at: a share, coins or money, within bounds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.hedge import decide, recall, remember
from keeper.core.limits import ApprovedPlan
from keeper.core.model import ZERO, HedgeMemory, Hold, Rebalance
from keeper.core.targets import Ground, Target, TargetKind, aim
from tests.core.build import D, approve, hedge, inverse, linear, look, snapshot

SHARES = st.decimals("0", "1", places=4)
AMOUNTS = st.decimals("0", "1000000", places=3)
PRICES = st.decimals("0.01", "1000000", places=2)


def quantity(value: str) -> Target:
    return Target(TargetKind.QUANTITY, D(value))


def notional(value: str) -> Target:
    return Target(TargetKind.NOTIONAL, D(value))


@pytest.mark.parametrize(
    ("target", "coins", "price", "target_base", "ratio"),
    [
        (Target.ratio(D("0.6")), "5", "65000", "-3", "0.6"),
        (Target.ratio(D("0.6")), "6", "65000", "-3.6", "0.6"),
        (quantity("2.5"), "5", "65000", "-2.5", "0.5"),
        (quantity("2.5"), "10", "65000", "-2.5", "0.25"),
        (quantity("2.5"), "5", "1", "-2.5", "0.5"),
        (notional("162500"), "5", "65000", "-2.5", "0.5"),
        (notional("162500"), "5", "130000", "-1.25", "0.25"),
        (notional("0"), "5", "130000", "0", "0"),
    ],
)
def test_each_kind_says_how_much_is_to_be_short(
    target: Target, coins: str, price: str, target_base: str, ratio: str
) -> None:
    exposure, _ = look(of := hedge(linear(), target=target), snapshot(of, price, {"BTC": coins}, "-1"))
    assert (exposure.target_base, exposure.target_ratio) == (D(target_base), D(ratio))
    assert exposure.drift_base == -1 - D(target_base)
    assert exposure.drift_ratio == (-1 - D(target_base)) / D(coins)
    assert exposure.notes == ()


def test_a_quantity_of_another_coin_counts_by_its_slope_and_price() -> None:
    of = hedge(linear(), assets=("SOL",), betas={"SOL": D("1.2")}, target=quantity("500"))
    exposure, _ = look(of, snapshot(of, "65000", {"SOL": "1000"}, prices={"SOL": "200"}))
    assert exposure.target_ratio == D("0.5")
    assert exposure.target_base is not None
    assert abs(exposure.target_base + D(500) * D("1.2") * 200 / 65000) < D("1e-20")


def test_money_kept_short_is_money_of_the_hedging_contract_whatever_the_slope() -> None:
    of = hedge(linear(), assets=("SOL",), betas={"SOL": D("1.2")}, target=notional("130000"))
    exposure, _ = look(of, snapshot(of, "65000", {"SOL": "1000"}, prices={"SOL": "200"}))
    assert exposure.target_base == -2


def test_money_kept_short_on_a_coin_margined_contract_is_a_number_of_contracts_at_every_price() -> None:
    of = hedge(inverse(), spot=(), target=notional("100000"))
    for price in ("50000", "65000", "99999"):
        exposure, memory = look(of, snapshot(of, price, contracts="-1000", entry="65000", wallet="5"))
        assert exposure.drift_base is not None
        assert abs(exposure.drift_base) < D("1e-20")
        assert isinstance(decide(exposure, memory), Hold)


@pytest.mark.parametrize("target", [quantity("6"), notional("400000")])
def test_more_than_is_held_is_not_shorted_and_it_is_said(target: Target) -> None:
    exposure, memory = look(of := hedge(linear(), target=target), snapshot(of, "65000", {"BTC": "5"}))
    assert (exposure.target_base, exposure.target_ratio) == (D(-5), D(1))
    assert [note.code for note in exposure.notes] == ["target_bounded"]
    assert str(target) in exposure.notes[0].text
    assert isinstance(approve(exposure, memory), ApprovedPlan)


def test_the_hard_bounds_move_a_target_to_themselves() -> None:
    ground = Ground(D(10), D(1), D(100))
    for value, least, most, short, said in (
        ("2", "0", "0.5", "2", None),
        ("9", "0", "0.5", "5", "quantity 9 is more than the share 0.5 of the exposure, which is the most"),
        ("2", "0.3", "1", "3", "quantity 2 is less than the share 0.3 of the exposure, which is the least"),
        ("3", "0.3", "0.3", "3", None),
    ):
        found = aim(quantity(value), ground, D(least), D(most))
        assert found is not None
        assert (found.short_base, found.bounded) == (D(short), said)


@pytest.mark.parametrize("target", [Target.ratio(D("0.5")), quantity("2"), notional("1000")])
def test_nothing_owned_is_nothing_aimed_at_for_every_kind(target: Target) -> None:
    of = hedge(linear(), target=target)
    for coins in ("0", "-1"):
        exposure, memory = look(of, snapshot(of, "65000", {"BTC": coins}, "-1"))
        assert (exposure.target_base, exposure.drift_base, exposure.drift_ratio) == (D(0), D(-1), None)
        assert str(exposure.target_base) == "0"
        decision = decide(exposure, memory)
        assert isinstance(decision, Rebalance)
        assert decision.drift_base == -1


@given(st.sampled_from(TargetKind), AMOUNTS, st.decimals("0.001", "100000", places=3), PRICES, SHARES, SHARES)
def test_the_aim_is_always_within_its_bounds(
    kind: TargetKind, value: Decimal, held: Decimal, price: Decimal, one: Decimal, other: Decimal
) -> None:
    least, most = sorted((one, other))
    found = aim(Target(kind, value), Ground(held, D(1), price), least, most)
    assert found is not None
    assert least * held <= found.short_base <= most * held
    assert found.ratio is not None
    assert least - D("1e-20") <= found.ratio <= most + D("1e-20")


def test_a_new_target_opens_the_build_up_again_and_a_new_price_does_not() -> None:
    seen = HedgeMemory()
    for target, price, established in (
        (notional("325000"), "65000", True),
        (notional("325000"), "66000", True),  # the share that it comes to has moved, the target has not
        (notional("300000"), "66000", False),
        (quantity("5"), "66000", False),
        (quantity("5"), "66000", True),
        (Target.ratio(D("0.5")), "66000", False),
    ):
        of = hedge(linear(), target=target)
        exposure, memory = look(of, snapshot(of, price, {"BTC": "5"}, "-5"), seen)
        assert memory.established is (established and seen.established)
        seen = remember(exposure, decide(exposure, memory), memory)


def test_a_journal_from_before_there_were_kinds_is_understood() -> None:
    old = HedgeMemory(target_ratio=D("0.6"), established=True)
    for ratio, established in (("0.6", True), ("0.60", True), ("0.5", False)):
        exposure, _ = look(of := hedge(linear(), ratio), snapshot(of, "65000", {"BTC": "5"}, "-3"))
        assert recall(exposure, old).established is established


def test_a_target_reads_as_people_say_it() -> None:
    assert [str(Target.ratio(D("0.50"))), str(quantity("2.5")), str(notional("1.5E+5"))] == [
        "ratio 0.5",
        "quantity 2.5",
        "notional 150000",
    ]
    assert Target.ratio(ZERO).value == ZERO
