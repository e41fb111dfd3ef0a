"""Where a hedge stands: the golden numbers and the signs of hedging.md."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.hedge import assess, decide, expect, recall, remember
from keeper.core.model import (
    Base,
    Contracts,
    ExposureMode,
    Gap,
    Halt,
    HedgeMemory,
    Hold,
    InstrumentId,
    Position,
    Rebalance,
    Roll,
    Unlisted,
)
from keeper.core.unshown import behind, settle_expectation
from tests.core.build import COIN, D, hedge, inverse, linear, look, snapshot

PRICES = st.decimals("100", "1000000", places=1)


def close(left: Decimal | None, right: str, places: str = "0.000001") -> bool:
    return left is not None and abs(left - D(right)) < D(places)


def test_a_bare_holding_is_wholly_under_hedged() -> None:
    exposure, memory = look(of := hedge(linear(), "0.6"), snapshot(of, "65000", {"BTC": "5"}))
    assert (exposure.target_base, exposure.drift_base, exposure.drift_ratio) == (D(-3), D(3), D("0.6"))
    assert (exposure.drift_notional, exposure.hedge_ratio) == (D(195000), D(0))
    assert decide(exposure, memory) == Rebalance(D(3), decide(exposure, memory).reasons)  # type: ignore[arg-type,union-attr]


@pytest.mark.parametrize(
    ("price", "equity", "delta"),
    [("52000", "6.25", "-6.25"), ("65000", "5", "-5"), ("75000", "4.333333", "-4.333333"), ("130000", "2.5", "-2.5")],
)
def test_a_full_coin_margined_hedge_stays_full_at_every_price(price: str, equity: str, delta: str) -> None:
    of = hedge(inverse(), spot=())
    exposure, memory = look(of, snapshot(of, price, contracts="-3250", entry="65000", wallet="5"))
    assert close(exposure.exposure_base, equity)
    assert close(exposure.futures_base, delta)
    assert close(exposure.drift_base, "0")
    assert isinstance(decide(exposure, memory), Hold)


@given(PRICES, PRICES, st.decimals("0.1", "1000", places=3), st.integers(1, 100000))
def test_equity_plus_delta_does_not_move_with_the_price(p: Decimal, q: Decimal, coins: Decimal, short: int) -> None:
    of = hedge(inverse(), spot=())
    nets = [
        look(of, snapshot(of, price, contracts=str(-short), entry="65000", wallet=str(coins)))[0].net_delta_base
        for price in (p, q)
    ]
    assert nets[0] is not None
    assert nets[1] is not None
    assert abs(nets[0] - nets[1]) < D("1e-15")


@pytest.mark.parametrize(("price", "more"), [("75000", "500"), ("52000", "-650")])
def test_counting_spot_alone_follows_the_price(price: str, more: str) -> None:
    of = hedge(inverse(), exposure=ExposureMode.SPOT)
    exposure, _ = look(of, snapshot(of, price, {"BTC": "5"}, "-3250", entry="65000", wallet="1"))
    assert exposure.drift_base is not None
    assert abs(inverse().contracts_for(exposure.drift_base, D(price)) - D(more)) < D("1e-9")


@pytest.mark.parametrize(
    ("price", "equity", "delta", "sells"),
    [("50000", "3.8", "-3.0", "400"), ("60000", "3.5", "-2.7", "480"), ("75000", "3.2", "-2.4", "600")],
)
def test_the_mixed_unified_account(price: str, equity: str, delta: str, sells: str) -> None:
    other = linear()
    of = hedge(inverse(), unlisted=Unlisted.COUNT, collateral_is_spot=True)
    seen = snapshot(
        of, price, {"BTC": "3.5"}, "-900", entry="60000", others=(Position(other, Contracts(D("-1.2")), D(60000)),)
    )
    exposure, _ = look(of, seen)
    assert close(exposure.exposure_base, equity)
    assert close(exposure.futures_base, delta)
    assert close(exposure.net_delta_base, "0.8")
    assert exposure.drift_base is not None
    assert close(inverse().contracts_for(exposure.drift_base, D(price)), sells)


def test_a_counted_position_without_a_price_is_worth_what_nobody_knows() -> None:
    of = hedge(linear(), unlisted=Unlisted.COUNT)
    coin = Position(inverse(), Contracts(D(-300)), D(60000))
    seen = snapshot(of, "60000", {"BTC": "3.5"}, "-1", others=(coin,))
    marks = {ident: mark for ident, mark in seen.marks.items() if ident != coin.instrument.id}
    exposure, _ = look(of, replace(seen, marks=marks))
    assert (exposure.futures_base, exposure.drift_base) == (None, None)
    assert "missing_reading" in [reason.code for reason in exposure.blockers]
    priced, _ = look(of, seen)
    assert close(priced.futures_base, "-1.5")


def test_a_unified_balance_is_counted_once() -> None:
    of = hedge(inverse(), collateral_is_spot=True)
    exposure, _ = look(of, snapshot(of, "60000", {"BTC": "3"}))
    assert (exposure.spot_base, exposure.collateral_base, exposure.exposure_base) == (D(3), D(0), D(3))


def test_a_basket_is_weighted_by_beta_and_value() -> None:
    betas = {"SOL": D("1.3"), "ETH": D("1.1")}
    of = hedge(linear(), "0.6", assets=("SOL", "ETH", "BTC"), betas=betas)
    coins = {"SOL": "2000", "ETH": "100", "BTC": "4"}
    exposure, _ = look(of, snapshot(of, "65000", coins, prices={"SOL": "150", "ETH": "3500"}))
    assert close(exposure.target_base, "-9.553846")
    exposure, _ = look(of, snapshot(of, "65000", coins, prices={"SOL": "180", "ETH": "3500"}))
    assert close(exposure.target_base, "-10.273846")


def test_a_cross_hedge_keeps_its_asset_units_and_targets_the_contract() -> None:
    of = hedge(linear(), assets=("SOL",), betas={"SOL": D("1.2")})
    exposure, _ = look(of, snapshot(of, "65000", {"SOL": "1000"}, prices={"SOL": "200"}))
    assert exposure.exposure_base == D(1000)
    assert close(exposure.target_base, "-3.692307")


def test_a_missing_wallet_is_not_zero() -> None:
    of = hedge(linear())
    seen = snapshot(of, "65000", {"BTC": "5"}, "-5", gaps=(Gap("main", "unreachable", "no answer"),))
    exposure, memory = look(of, seen)
    decision = decide(exposure, memory)
    assert isinstance(decision, Hold)
    assert decision.reasons[0].code == "unreachable"
    assert exposure.futures_base == D(-5), "what could be read is still shown"


def test_a_gap_elsewhere_touches_nothing_here() -> None:
    of = hedge(linear())
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, gaps=(Gap("other", "unreachable", "no answer"),)))
    assert isinstance(decide(exposure, memory), Rebalance)


def test_an_unlisted_position_holds_until_the_config_speaks() -> None:
    stray = Position(inverse(), Contracts(D(-100)), D(65000))
    of = hedge(linear())
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, others=(stray,)))
    decision = decide(exposure, memory)
    assert isinstance(decision, Hold)
    assert decision.reasons[0].code == "unlisted_position"
    ignoring = hedge(linear(), unlisted=Unlisted.IGNORE)
    exposure, memory = look(ignoring, snapshot(ignoring, "65000", {"BTC": "5"}, others=(stray,)))
    assert exposure.drift_base == D(5)


def test_nothing_left_to_protect_closes_the_short_and_has_no_ratio() -> None:
    of = hedge(linear())
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": "0"}, "-5"))
    assert (exposure.hedge_ratio, exposure.drift_ratio, exposure.target_base) == (None, None, D(0))
    decision = decide(exposure, memory)
    assert isinstance(decision, Rebalance)
    assert decision.drift_base == D(-5)


def test_halt_guards_an_established_hedge_and_never_a_cover() -> None:
    of = hedge(linear())
    bare, memory = look(of, snapshot(of, "65000", {"BTC": "5"}))
    assert isinstance(decide(bare, memory), Rebalance), "a hedge is first built up"
    built, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, "-5"))
    memory = remember(built, decide(built, memory), memory)
    assert memory.established
    gone, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, "-2"), memory)
    halt = decide(gone, memory)
    assert isinstance(halt, Halt)
    memory = remember(gone, halt, memory)
    less, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, "-4"), memory)
    held = decide(less, memory)
    assert isinstance(held, Hold)
    assert held.reasons[0].code == "halted"
    over, memory = look(of, snapshot(of, "65000", {"BTC": "2"}, "-5"), memory)
    assert isinstance(decide(over, memory), Rebalance), "a halted hedge still covers"


def test_a_deposit_or_a_new_target_opens_the_build_up_again() -> None:
    of = hedge(linear())
    built, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, "-5"))
    memory = remember(built, decide(built, memory), memory)
    richer, after = look(of, snapshot(of, "65000", {"BTC": "50"}, "-5"), memory)
    assert isinstance(decide(richer, after), Rebalance)
    lower = hedge(linear(), "0.1")
    exposure, memory = look(lower, snapshot(lower, "65000", {"BTC": "5"}, "-0.5"), memory)
    assert not memory.established
    assert isinstance(decide(exposure, memory), Hold)


def test_beyond_is_strict() -> None:
    of = hedge(linear())
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, "-4.75"))
    assert exposure.drift_ratio == D("0.05")
    assert isinstance(decide(exposure, memory), Hold)


def test_a_fill_of_ours_has_to_show_before_the_next_decision() -> None:
    of = hedge(linear())
    memory = expect(HedgeMemory(), of.instrument.id, Contracts(D(0)), Contracts(D(-5)), 1_000)
    seen = snapshot(of, "65000", {"BTC": "5"}, "0")
    exposure, memory = look(of, seen, memory)
    late = seen.positions[of.instrument.id]
    memory, fault = settle_expectation(memory, [late], 20_000, 30_000)
    assert fault is None
    decision = decide(exposure, memory)
    assert isinstance(decision, Hold)
    assert decision.reasons[0].code == "awaiting_position"
    shown, fault = settle_expectation(memory, [Position(of.instrument, Contracts(D(-5)))], 21_000, 30_000)
    assert (shown.expected, fault) == ({}, None)
    halted, fault = settle_expectation(memory, [late], 40_000, 30_000)
    assert fault is not None
    assert halted.halted is not None


def test_a_cover_that_the_wallet_does_not_show_yet_is_waited_for() -> None:
    """The position is smaller and its loss has not left the wallet: what reads as coins owned would be shorted too."""
    of = hedge(inverse(), spot=())
    ident = of.instrument.id
    before = HedgeMemory(held={"BTC": Base(D(5))}, roll=Roll(ident, InstrumentId("main", "BTC/USD:BTC-260626"), 1))
    memory = expect(before, ident, Contracts(D(-1000)), Contracts(D(100)), 1_000)
    same, _ = look(of, snapshot(of, "65000", contracts="-900", entry="60000", wallet="5"), memory)
    shown = [Position(of.instrument, Contracts(D(-900)))]
    assert behind(same, memory) == {ident}
    waiting, fault = settle_expectation(memory, shown, 20_000, 30_000, behind(same, memory))
    assert fault is None
    decision = decide(same, waiting)
    assert isinstance(decision, Hold)
    assert decision.reasons[0].code == "awaiting_position"
    assert remember(same, decision, waiting).held == before.held, "what it is compared with stays"
    moved, _ = look(of, snapshot(of, "65000", contracts="-900", entry="60000", wallet="4.987"), memory)
    settled, fault = settle_expectation(memory, shown, 20_000, 30_000, behind(moved, memory))
    assert (settled.expected, settled.covered, fault) == ({}, {}, None)
    late, fault = settle_expectation(memory, shown, 32_000, 30_000, behind(same, memory))
    assert (late.expected, late.halted, fault) == ({}, None, None), "a wallet that had nothing to show"
    sold = expect(before, ident, Contracts(D(-800)), Contracts(D(-100)), 1_000)
    assert behind(same, sold) == frozenset()
    assert behind(same, replace(memory, roll=None)) == {ident}, "a hedge that does not roll would sell them too"


def test_without_an_entry_price_a_coin_margined_equity_is_unknown() -> None:
    of = hedge(inverse(), spot=())
    seen = snapshot(of, "65000", contracts="-10", wallet="5")
    bare = Position(of.instrument, Contracts(D(-10)), None)
    exposure = assess(of, type(seen)(0, 0, 0, seen.holdings, {of.instrument.id: bare}, (), seen.marks), set())
    assert exposure.exposure_base is None
    assert isinstance(decide(exposure, recall(exposure, HedgeMemory())), Hold)


def test_the_collateral_wallet_is_read_even_when_it_is_not_counted() -> None:
    of = hedge(inverse(), exposure=ExposureMode.SPOT)
    exposure, _ = look(of, snapshot(of, "65000", {"BTC": "5"}, wallet="2"))
    assert (exposure.exposure_base, exposure.equity_base) == (D(5), D(7))
    assert of.collateral == COIN
