"""Candidates compared by what it costs to hold the short in them, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.carry import DAY_MS, HOUR_MS, FundingMean
from keeper.core.model import Instrument, InstrumentId, Mark, Quote
from keeper.core.roll import (
    Act,
    Comparison,
    Terms,
    break_even_rate,
    candidates_of,
    choose,
    compare,
    due_note,
    is_due,
    is_last_moment,
    refused_target,
)
from keeper.core.roll_rules import Fallback, RollRules, WhenTooDear
from tests.core.build import D, inverse, linear

NOW = 1_800_000_000_000
SPOT = D(50_000)
HALF_MILLION = Quote(D(500_000))
RULES = RollRules()
FEE = D("0.0005")


def dated(days: str, name: str = "", of: Instrument | None = None) -> Instrument:
    made = of or linear()
    symbol = f"{made.id.symbol}-{name or days}"
    expiry = NOW + int(D(days) * DAY_MS)
    return replace(made, id=InstrumentId("main", symbol), expires_at_ms=expiry)


def terms(
    instrument: Instrument,
    *,
    basis: str = "0",
    funding: str | None = None,
    fee: Decimal | None = FEE,
    spread: str = "0",
) -> Terms:
    """A contract at an annualised simple basis, or with a mean rate every eight hours."""
    days = D(0) if instrument.expires_at_ms is None else D(instrument.expires_at_ms - NOW) / DAY_MS
    mark = SPOT * (1 + D(basis) * days / 365)
    half = mark * D(spread) / 2
    mean = None if funding is None else FundingMean(D(funding), 8 * HOUR_MS, 90)
    return Terms(instrument, Mark(mark, mark - half, mark + half, SPOT), fee, mean)


NEAR = dated("6", "near")
QUARTER = dated("97", "quarter")
PERPETUAL = linear()


def compared(
    present: Terms, *others: Terms, rules: RollRules = RULES, held: str = "500000", spot: Decimal | None = SPOT
) -> Comparison:
    return compare(present, others, spot, HALF_MILLION, Quote(D(held)), rules, NOW)


def nets(comparison: Comparison) -> list[Decimal | None]:
    return [None if each.flows is None else round(each.flows.net, 2) for each in comparison.candidates]


def free(funding: str) -> tuple[Terms, Terms, Terms]:
    """The near contract, the next quarter at 8 % a year and the perpetual, nothing costing a fee."""
    return (
        terms(NEAR, fee=D(0)),
        terms(QUARTER, basis="0.08", fee=D(0)),
        terms(PERPETUAL, funding=funding, fee=D(0)),
    )


# -- the published figures -------------------------------------------------------------------------------------------


def test_the_perpetual_is_cheaper_while_funding_is_paid_to_shorts() -> None:
    """Golden number 11."""
    looked = compared(*free("0.0001"))
    quarter, perpetual = (each.flows for each in looked.candidates[1:])
    assert quarter is not None
    assert perpetual is not None
    assert round(quarter.gross / HALF_MILLION, 4) == D("0.0197")
    assert perpetual.gross / HALF_MILLION == D("0.027")
    choice = choose(looked, RULES)
    assert (choice.act, choice.target) == (Act.ROLL, PERPETUAL)


def test_the_quarter_wins_when_funding_turns() -> None:
    """Golden number 11, its other half."""
    choice = choose(compared(*free("-0.0001")), RULES)
    assert (choice.act, choice.target) == (Act.ROLL, QUARTER)
    assert choice.reason.code == "roll_cheapest"


def test_carry_with_fees_of_half_a_million_over_ninety_days() -> None:
    looked = compared(terms(QUARTER, basis="0.08"), terms(PERPETUAL, funding="0.0001"), held="0")
    assert nets(looked) == [D("9363.01"), D("13000.00")]
    quarter, perpetual = looked.candidates
    rate = break_even_rate(quarter, perpetual, HALF_MILLION, RULES.horizon_days)
    assert rate is not None
    assert round(rate, 9) == D("0.000073059")


def test_who_is_in_the_perpetual_already_leaves_it_later() -> None:
    """At 0.0070 % an event the gross carry favours the quarter, and what is left after fees favours staying."""
    looked = compared(terms(PERPETUAL, funding="0.00007"), terms(QUARTER, basis="0.08"))
    staying, quarter = looked.candidates
    assert nets(looked) == [D("9200.00"), D("9113.01")]
    assert staying.flows is not None
    assert quarter.flows is not None
    assert quarter.flows.gross > staying.flows.gross
    assert looked.best is staying
    rate = break_even_rate(quarter, staying, HALF_MILLION, RULES.horizon_days)
    assert rate is not None
    assert round(rate, 9) == D("0.000069356")


# -- components ------------------------------------------------------------------------------------------------------


def test_every_trade_is_on_the_table() -> None:
    looked = compared(terms(NEAR), terms(QUARTER, basis="0.08", spread="0.0004"))
    flows = looked.candidates[1].flows
    assert flows is not None
    assert flows.close_present == -250, "the near contract's fee alone: its book has no spread"
    assert round(flows.open_new, 9) == round(flows.close_at_end, 9) == -350, "fee and half of four basis points"
    assert round(flows.net, 9) == round(flows.basis - 950, 9)
    assert looked.candidates[0].flows is None, "what expires inside the window is not a place to stay in"


def test_a_contract_that_ends_before_the_horizon_pays_for_every_roll_until_then() -> None:
    month = dated("34")
    flows = compared(terms(NEAR), terms(month, basis="0.08")).candidates[1].flows
    assert flows is not None
    assert flows.rolls_between == -2 * 2 * 250, "34 days, and 68, and then the horizon"
    assert round(flows.basis, 2) == D("9863.01")


def test_the_funding_of_a_dated_contract_is_nothing_and_so_is_a_perpetuals_basis() -> None:
    looked = compared(terms(NEAR), terms(QUARTER, basis="0.08", funding="0.0001"), terms(PERPETUAL, funding="0.0001"))
    quarter, perpetual = (each.flows for each in looked.candidates[1:])
    assert quarter is not None
    assert perpetual is not None
    assert quarter.funding == perpetual.basis == 0


@given(
    st.decimals("-0.3", "0.3", places=4),
    st.decimals("-0.001", "0.001", places=6),
    st.decimals("0", "0.002", places=5),
    st.decimals("0", "0.002", places=5),
)
def test_net_is_carry_less_costs_and_carry_has_the_sign_of_its_source(
    basis: Decimal, funding: Decimal, fee: Decimal, spread: Decimal
) -> None:
    looked = compared(
        terms(NEAR, fee=fee, spread=str(spread)),
        terms(QUARTER, basis=str(basis), fee=fee, spread=str(spread)),
        terms(PERPETUAL, funding=str(funding), fee=fee, spread=str(spread)),
    )
    for candidate, source in zip(looked.candidates[1:], (basis, funding), strict=True):
        flows = candidate.flows
        assert flows is not None
        assert flows.costs <= 0
        assert flows.net == flows.gross + flows.costs
        assert flows.gross * source >= 0, "positive: the short receives"
        assert candidate.net_annual is not None
        assert abs(candidate.net_annual * 90 / 365 - flows.net / HALF_MILLION) < D("1e-12")


@given(st.lists(st.decimals("-0.3", "0.3", places=4), min_size=2, max_size=5))
def test_the_choice_is_never_beaten_by_another(bases: list[Decimal]) -> None:
    others = [terms(dated(str(90 + 30 * place)), basis=str(basis)) for place, basis in enumerate(bases)]
    looked = compared(terms(NEAR), *others, rules=replace(RULES, max_cost_annual=D(10)))
    best = looked.best
    assert best is not None
    assert best.flows is not None
    for each in looked.candidates[1:]:
        assert each.flows is not None
        assert each.flows.net <= best.flows.net
    choice = choose(looked, replace(RULES, max_cost_annual=D(10)))
    assert choice.target == best.terms.instrument


# -- what cannot be priced -------------------------------------------------------------------------------------------


def test_a_perpetual_without_a_history_has_no_price() -> None:
    looked = compared(terms(NEAR), terms(QUARTER, basis="-0.1"), terms(PERPETUAL))
    perpetual = looked.candidates[2]
    assert perpetual.flows is None
    assert [reason.code for reason in perpetual.unpriced] == ["roll_unpriced"]
    assert "funding history" in perpetual.unpriced[0].text
    assert choose(looked, RULES).target == QUARTER, "the one that can be priced, dear as it is"


@pytest.mark.parametrize(
    ("lacking", "word"),
    [
        (replace(terms(QUARTER), mark=None), "price"),
        (replace(terms(QUARTER), mark=Mark(SPOT, None, SPOT)), "bids"),
        (replace(terms(QUARTER), taker_fee=None), "taker fee"),
    ],
)
def test_what_is_missing_is_said_and_never_zero(lacking: Terms, word: str) -> None:
    looked = compared(terms(NEAR), lacking)
    assert looked.candidates[1].flows is None
    assert word in " ".join(reason.text for reason in looked.candidates[1].unpriced)
    choice = choose(looked, RULES)
    assert (choice.act, choice.reason.code, choice.page) == (Act.HOLD, "roll_unpriced", False)
    assert word in choice.reason.text


def test_without_a_spot_price_there_is_no_basis() -> None:
    looked = compared(terms(NEAR), terms(QUARTER), terms(PERPETUAL, funding="0.0001"), spot=None)
    assert looked.candidates[1].flows is None
    assert looked.candidates[2].flows is not None, "funding needs none"


def test_what_closing_costs_has_to_be_known_as_well() -> None:
    looked = compared(replace(terms(NEAR), taker_fee=None), terms(QUARTER))
    assert "closing" in looked.candidates[1].unpriced[0].text
    flat = compared(replace(terms(NEAR), taker_fee=None), terms(QUARTER), held="0")
    assert flat.candidates[1].flows is not None, "nothing is held there, so nothing has to be closed"


# -- choosing --------------------------------------------------------------------------------------------------------


def test_nothing_is_rolled_before_the_window() -> None:
    choice = choose(compared(terms(QUARTER, basis="-0.2"), terms(PERPETUAL, funding="0.0001")), RULES)
    assert (choice.act, choice.target, choice.reason.code) == (Act.STAY, None, "roll_not_due")
    assert PERPETUAL.id.symbol in choice.reason.text, "and what would be cheaper is said"


def test_a_contract_inside_its_own_window_is_no_place_to_go() -> None:
    looked = compared(terms(NEAR), terms(dated("6.9"), basis="0.5"), terms(QUARTER, basis="0.01"))
    barred = looked.candidates[1].barred
    assert barred is not None
    assert barred.code == "roll_expires_soon"
    assert choose(looked, RULES).target == QUARTER


DEAR = (terms(QUARTER, basis="-0.3"), terms(PERPETUAL, funding="-0.0004"))
LAST = dated("0.9", "last")


def test_too_dear_waits_and_tells() -> None:
    choice = choose(compared(terms(NEAR), *DEAR), RULES)
    assert (choice.act, choice.reason.code) == (Act.HOLD, "roll_too_dear")


def test_too_dear_goes_anyway_before_the_contract_ends_unhedged() -> None:
    choice = choose(compared(terms(LAST), *DEAR), RULES)
    assert (choice.act, choice.target, choice.page) == (Act.ROLL, QUARTER, True)
    assert choice.reason.code == "roll_at_last_moment"


def test_too_dear_can_lower_the_ratio() -> None:
    rules = replace(RULES, when_too_dear=WhenTooDear.LOWER_RATIO, lower_ratio_to=D("0.3"))
    choice = choose(compared(terms(NEAR), *DEAR, rules=rules), rules)
    assert (choice.act, choice.target, choice.ratio) == (Act.ROLL, QUARTER, D("0.3"))


def test_too_dear_can_mean_the_perpetual() -> None:
    rules = replace(RULES, when_too_dear=WhenTooDear.PERPETUAL)
    choice = choose(compared(terms(NEAR), *DEAR, rules=rules), rules)
    assert (choice.act, choice.target) == (Act.ROLL, PERPETUAL)


def test_without_a_perpetual_too_dear_waits_as_well() -> None:
    rules = replace(RULES, when_too_dear=WhenTooDear.PERPETUAL)
    assert choose(compared(terms(NEAR), DEAR[0], rules=rules), rules).act is Act.HOLD


def test_the_limit_is_on_the_cost_after_fees() -> None:
    quarter = terms(QUARTER, basis="-0.144")
    assert choose(compared(terms(NEAR), quarter), RULES).act is Act.HOLD, "14.4 % and three sides of 0.05 %"
    assert choose(compared(terms(NEAR), replace(quarter, taker_fee=D(0))), RULES).act is Act.ROLL


@pytest.mark.parametrize(("fallback", "to"), [(Fallback.PERPETUAL, PERPETUAL), (Fallback.NEXT, QUARTER)])
def test_the_last_moment_without_a_price_falls_back(fallback: Fallback, to: Instrument) -> None:
    rules = replace(RULES, fallback=fallback)
    blind = (Terms(QUARTER), Terms(PERPETUAL))
    waiting = choose(compared(terms(NEAR), *blind, rules=rules), rules)
    assert (waiting.act, waiting.reason.code) == (Act.HOLD, "roll_unpriced")
    choice = choose(compared(terms(LAST), *blind, rules=rules), rules)
    assert (choice.act, choice.target, choice.page) == (Act.ROLL, to, True)
    assert choice.reason.code == "roll_fallback"


def test_nowhere_to_go_pages() -> None:
    choice = choose(compared(terms(NEAR)), RULES)
    assert (choice.act, choice.reason.code, choice.page) == (Act.HOLD, "roll_nowhere", True)
    barred = choose(compared(terms(LAST), terms(dated("0.95"))), RULES)
    assert (barred.act, barred.reason.code, barred.page) == (Act.HOLD, "roll_nowhere", True)
    share = choose(compared(terms(NEAR)), RULES, part=True).reason.text
    assert share.startswith(f"{NEAR.id} expires in ")
    assert share.endswith("nothing is listed that could carry its share of the hedge on")


def test_a_contract_that_ends_soon_is_better_than_none_at_the_last_moment() -> None:
    week, days = dated("6"), dated("3")
    assert choose(compared(terms(NEAR), terms(dated("6.5"))), RULES).act is Act.HOLD
    choice = choose(compared(terms(LAST), terms(days), terms(week)), RULES)
    assert (choice.act, choice.target, choice.page) == (Act.ROLL, week, True)


@given(
    st.decimals("-1", "9", places=2),
    st.lists(st.tuples(st.decimals("0.5", "300", places=1), st.decimals("-0.5", "0.5", places=3)), max_size=4),
    st.sampled_from(WhenTooDear),
    st.booleans(),
)
def test_at_the_last_moment_whoever_can_go_goes(
    left: Decimal, others: list[tuple[Decimal, Decimal]], when: WhenTooDear, blind: bool
) -> None:
    rules = replace(RULES, when_too_dear=when, lower_ratio_to=D("0.2"))
    present = dated(str(left), "present")
    quoted = [terms(dated(str(days), f"c{place}"), basis=str(basis)) for place, (days, basis) in enumerate(others)]
    known = [Terms(each.instrument) if blind else each for each in quoted]
    choice = choose(compared(terms(present), *known, rules=rules), rules)
    able = [days for days, _ in others if days > rules.latest_days]
    if is_last_moment(present, rules, NOW):
        assert (choice.act is Act.ROLL) == bool(able), "never an expiry without a hedge while there is another contract"
    if choice.act is Act.ROLL:
        assert is_due(present, rules, NOW)
        assert choice.target is not None
        assert choice.target != present


# -- candidates ------------------------------------------------------------------------------------------------------


def test_only_contracts_of_the_same_making_are_candidates() -> None:
    coin = replace(inverse(), id=InstrumentId("main", "BTC/USD:BTC"))
    other_coin = linear(base="ETH")
    other_venue = replace(QUARTER, id=InstrumentId("second", QUARTER.id.symbol))
    usdc = replace(QUARTER, id=InstrumentId("main", "BTC/USDC:USDC-97"), quote="USDC", settle="USDC")
    gone = dated("-2")
    listed = [coin, other_coin, other_venue, usdc, gone, QUARTER, NEAR, PERPETUAL]
    assert candidates_of(NEAR, listed, (), NOW) == (PERPETUAL, QUARTER)


def test_candidates_can_be_named() -> None:
    half_year = dated("188", "half-year")
    listed = [half_year, PERPETUAL, QUARTER, NEAR]
    assert candidates_of(NEAR, listed, ("next",), NOW) == (QUARTER,)
    assert candidates_of(NEAR, listed, ("second", "perpetual"), NOW) == (PERPETUAL, half_year)
    assert candidates_of(NEAR, listed, (str(half_year.id),), NOW) == (half_year,)
    assert candidates_of(NEAR, listed, ("main:BTC/USDT:USDT-999999",), NOW) == ()


def test_a_roll_to_nowhere_says_why_each_contract_that_is_listed_is_no_place() -> None:
    listed, perpetual = [NEAR, PERPETUAL, QUARTER], {PERPETUAL.id}
    carries = f"{PERPETUAL.id.symbol} carries a part of this hedge already"
    for word in (None, "perpetual", NEAR.id.symbol):
        told = str(refused_target(QUARTER, listed, perpetual, word, NOW))
        assert told == (f"{QUARTER.id} can be rolled to nothing: {carries}, and nothing that expires later is listed")
    told = str(refused_target(QUARTER, [NEAR, QUARTER], (), None, NOW))
    assert told.endswith("to nothing: no perpetual is listed, and nothing that expires later is listed")
    assert str(refused_target(PERPETUAL, [PERPETUAL], (), None, NOW)).endswith("nothing that expires is listed")
    told = str(refused_target(PERPETUAL, listed, {NEAR.id, QUARTER.id}, None, NOW))
    assert told.endswith("carries a part of this hedge already, and nothing else that expires is listed")
    told = str(refused_target(NEAR, listed, perpetual, "perpetual", NOW))
    assert told == f"{NEAR.id} cannot be rolled to perpetual: {carries}; it can to: {QUARTER.id.symbol}"


def test_a_perpetual_is_compared_with_every_expiry() -> None:
    assert candidates_of(PERPETUAL, [PERPETUAL, QUARTER, NEAR], (), NOW) == (NEAR, QUARTER)


def test_a_plan_says_that_a_roll_is_due() -> None:
    note = due_note(NEAR, RULES, NOW)
    assert note is not None
    assert note.code == "roll_due"
    assert "expires in 6 days" in note.text
    assert due_note(QUARTER, RULES, NOW) is None
    assert due_note(PERPETUAL, RULES, NOW) is None
