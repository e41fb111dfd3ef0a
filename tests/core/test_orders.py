"""From drift to complete orders: rounding, minimums, slices, ids, and the veto."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.hedge import decide
from keeper.core.limits import ApprovedPlan, Book, Limits, RefusedPlan, review
from keeper.core.model import Contracts, ExposureMode, Hold, Instrument, Quote, Rebalance, Side, WorkingOrder
from keeper.core.orders import Epoch, client_order_id, is_ours, plain, plan
from tests.core.build import EPOCH, D, approve, hedge, inverse, linear, look, snapshot

AMOUNTS = st.decimals("0.01", "5000", places=4)
PRICES = st.decimals("50", "200000", places=1)
RATIOS = st.decimals("0", "1", places=3)
INSTRUMENTS = st.sampled_from([linear(), linear("1"), linear("0.01", "10"), inverse(), inverse("10"), inverse("1")])


@pytest.mark.parametrize(
    ("coins", "ratio", "step", "expected"),
    [("5", "1", "1", "5"), ("5", "0.5", "0.001", "2.5"), ("5", "0.5", "1", "2"), ("1.2349", "1", "0.001", "1.234")],
)
def test_golden_sizes(coins: str, ratio: str, step: str, expected: str) -> None:
    of = hedge(linear(step), ratio)
    approved = approve(look(of, snapshot(of, "65000", {"BTC": coins}))[0])
    assert isinstance(approved, ApprovedPlan)
    assert (approved.next.contracts, approved.next.side) == (D(expected), Side.SELL)
    assert approved.next.price == D("64935.0")


def test_two_of_five_sold_buys_back_exactly_two_reduce_only() -> None:
    of = hedge(linear())
    approved = approve(look(of, snapshot(of, "65000", {"BTC": "3"}, "-5"))[0])
    assert isinstance(approved, ApprovedPlan)
    assert (approved.next.contracts, approved.next.side, approved.next.reduce_only) == (D(2), Side.BUY, True)


def test_too_small_is_a_residual_and_no_order() -> None:
    of = hedge(linear(min_notional="100"))
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": "0.0012"}))
    decision = decide(exposure, memory)
    assert isinstance(decision, Rebalance)
    planned = plan(exposure, decision, Decimal(250000), EPOCH)  # type: ignore[arg-type]
    assert planned.orders == ()
    assert (planned.residual_base, planned.reasons[0].code) == (D("0.0012"), "below_minimum")


def test_large_orders_are_sliced() -> None:
    of = hedge(linear())
    approved = approve(look(of, snapshot(of, "65000", {"BTC": "10"}))[0], max_order="250000")
    assert isinstance(approved, ApprovedPlan)
    assert [order.contracts for order in approved.orders] == [D("3.846"), D("3.846"), D("2.308")]
    assert all(order.contracts * 65000 <= 250000 for order in approved.orders)
    assert len({order.client_id for order in approved.orders}) == 3


def test_no_slice_of_a_cover_leaves_behind_what_could_not_be_covered_by_itself() -> None:
    strict = replace(linear(), min_notional=Quote(D(600)), min_notional_on_covers=True)
    of = hedge(strict)
    approved = approve(look(of, snapshot(of, "65000", {"BTC": "0"}, "-7.69"))[0], max_order="250000")
    assert isinstance(approved, ApprovedPlan)
    assert [order.contracts for order in approved.orders] == [D("3.842"), D("3.837"), D("0.011")]
    assert sum(order.contracts for order in approved.orders) == D("7.69")


def test_the_keepers_cap_clips_with_a_reason() -> None:
    of = hedge(linear())
    approved = approve(look(of, snapshot(of, "50000", {"BTC": "10"}))[0], max_short="200000")
    assert isinstance(approved, ApprovedPlan)
    assert approved.next.contracts == D(4)
    assert approved.reasons[-1].code == "clipped_to_max_short"


def test_never_net_short_of_what_is_truly_owned() -> None:
    """Counting spot alone asks for 500 contracts more at 75,000; the equity behind it allows fewer."""
    of = hedge(inverse(), exposure=ExposureMode.SPOT)
    seen = snapshot(of, "75000", {"BTC": "5"}, "-3250", entry="65000", wallet="0.2")
    exposure, _ = look(of, seen)
    approved = approve(exposure)
    assert isinstance(approved, ApprovedPlan)
    assert approved.reasons[-1].code == "clipped_to_holdings"
    assert approved.next.contracts < D(500)
    assert exposure.equity_base is not None
    after = inverse().delta(Contracts(D(-3250) - approved.next.contracts), D(75000))
    assert exposure.equity_base + after >= 0


def test_working_orders_count_against_the_drift() -> None:
    of = hedge(linear())
    resting = WorkingOrder(of.instrument.id, "1", None, Side.SELL, Contracts(D(3)), Contracts(D(1)), False)
    approved = approve(look(of, snapshot(of, "65000", {"BTC": "5"}, working=(resting,)))[0])
    assert isinstance(approved, ApprovedPlan)
    assert approved.next.contracts == D(3)


def test_a_touch_far_from_the_mark_is_no_price() -> None:
    of = hedge(linear())
    refused = approve(look(of, snapshot(of, "65000", {"BTC": "5"}, tick="6500"))[0])
    assert isinstance(refused, RefusedPlan)
    assert refused.reasons[0].code == "bad_price"


@pytest.mark.parametrize(("coins", "held", "bound"), [("5", "0", "61750"), ("3", "-5", "68250")])
def test_a_touch_that_is_read_late_takes_no_order_further_from_the_mark(coins: str, held: str, bound: str) -> None:
    """The touches are 4.8 % off, as before a jump, and the slippage comes on top; fuzz seed 10000795."""
    of = replace(hedge(linear()), max_slippage=D("0.005"))
    seen = snapshot(of, "65000", {"BTC": coins}, held, tick="3120")
    exposure, memory = look(of, seen)
    approved = approve(exposure)
    assert isinstance(approved, ApprovedPlan)
    assert approved.next.price == D(bound)
    decision = decide(exposure, memory)
    assert isinstance(decision, Rebalance)
    planned = plan(exposure, decision, Quote(D(10**6)), EPOCH)
    further = D(-1) if planned.orders[0].side is Side.SELL else D(1)
    doctored = replace(planned, orders=(replace(planned.orders[0], price=D(bound) + further),))
    judged = review(doctored, exposure, Limits(Quote(D(10**6))), Book())
    assert [reason.code for reason in judged.reasons] == ["slippage"]


@pytest.mark.parametrize(("coins", "held"), [("5", "0"), ("2", "-5")])
def test_no_plan_sells_more_at_once_than_one_order_may_be_and_covers_are_exempt(coins: str, held: str) -> None:
    of = hedge(linear())
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": coins}, held))
    decision = decide(exposure, memory)
    assert isinstance(decision, Rebalance)
    unsliced = plan(exposure, decision, Quote(D(10**9)), EPOCH)
    judged = review(unsliced, exposure, Limits(Quote(D(65_000))), Book())
    if unsliced.orders[0].side is Side.BUY:
        assert isinstance(judged, ApprovedPlan)
    else:
        assert isinstance(judged, RefusedPlan)
        assert [reason.code for reason in judged.reasons] == ["limit_order_notional"]


@given(PRICES, st.decimals("0.001", "10", places=7))
def test_the_slices_of_the_planner_are_what_the_review_lets_pass(price: Decimal, share: Decimal) -> None:
    of = hedge(linear())
    exposure, _ = look(of, snapshot(of, price, {"BTC": "7"}))
    judged = approve(exposure, max_order=str(price * share))
    codes = {reason.code for reason in judged.reasons}
    assert "limit_order_notional" not in codes


def test_only_review_makes_an_approved_plan() -> None:
    with pytest.raises(TypeError):
        ApprovedPlan((), Contracts(D(0)))


def test_ids_are_deterministic_distinct_and_recognised() -> None:
    made = {client_order_id(Epoch("0a1b2c", run, 7), "btc", leg) for run in (1, 2) for leg in (0, 1)}
    assert len(made) == 4
    assert made == {client_order_id(Epoch("0a1b2c", run, 7), "btc", leg) for run in (1, 2) for leg in (0, 1)}
    assert all(is_ours(made_id, "0a1b2c") and not is_ours(made_id, "ffffff") for made_id in made)


@given(INSTRUMENTS, AMOUNTS, PRICES, RATIOS, st.decimals("0", "1.5", places=3))
def test_rounding_never_over_hedges_and_a_full_fill_is_followed_by_a_hold(
    instrument: Instrument, coins: Decimal, price: Decimal, ratio: Decimal, before: Decimal
) -> None:
    """Rules 5 and 6: whatever is short to begin with, fill the whole plan, look again: hold, and not over-hedged."""
    of = hedge(instrument, str(ratio), spot=hedge(linear()).spot)
    start = (instrument.contracts_for(-coins * before, price) / instrument.step_contracts).to_integral_value()  # type: ignore[arg-type]
    held = start * instrument.step_contracts
    exposure, memory = look(of, snapshot(of, price, {"BTC": str(coins)}, held))
    decision = decide(exposure, memory)
    if not isinstance(decision, Rebalance):
        return
    approved = approve(exposure)
    if isinstance(approved, RefusedPlan):
        assert {reason.code for reason in approved.reasons} <= {"below_minimum", "nothing_to_send"}
        return
    sign = -1 if approved.next.side is Side.SELL else 1
    after_contracts = held + sign * sum(order.contracts for order in approved.orders)
    assert after_contracts <= 0
    after, memory = look(of, snapshot(of, price, {"BTC": str(coins)}, after_contracts))
    assert after.drift_base is not None
    assert exposure.drift_base is not None
    assert after.drift_base >= -abs(exposure.drift_base) * D("1e-9") - D("1e-12")
    again = decide(after, memory)
    if isinstance(again, Rebalance):
        replanned = plan(after, again, Decimal(10**12), EPOCH)  # type: ignore[arg-type]
        assert replanned.orders == (), (approved.orders, replanned.orders)
    else:
        assert isinstance(again, Hold)


@given(INSTRUMENTS, AMOUNTS, PRICES, st.decimals("0", "3", places=3))
def test_covers_are_reduce_only_and_stop_at_the_position(
    instrument: Instrument, coins: Decimal, price: Decimal, before: Decimal
) -> None:
    of = hedge(instrument, "0.5", spot=hedge(linear()).spot)
    held = instrument.contracts_for(-coins * before, price)  # type: ignore[arg-type]
    exposure, memory = look(of, snapshot(of, price, {"BTC": str(coins)}, held))
    if not isinstance(decide(exposure, memory), Rebalance) or exposure.drift_base is None or exposure.drift_base >= 0:
        return
    approved = approve(exposure)
    if isinstance(approved, ApprovedPlan):
        assert all(order.reduce_only and order.side is Side.BUY for order in approved.orders)
        assert sum(order.contracts for order in approved.orders) <= abs(held)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_plain_notation_keeps_every_digit(number: Decimal) -> None:
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert text != "-0"
