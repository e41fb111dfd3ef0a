"""How a hedge is told to roll."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.core.roll_rules import Fallback, RollRules, WhenTooDear
from tests.config.support import SMALL, parse, refusal

DATED = SMALL.replace("main:BTC/USDT:USDT", "main:BTC/USDT:USDT-270326")


def test_a_dated_contract_needs_no_word_about_rolls() -> None:
    config = parse(DATED)
    assert config.warnings == ()
    assert config.hedges[0].roll.to_core() == RollRules()


def test_every_key_reaches_the_core() -> None:
    config = parse(
        DATED
        + "roll = { window_days = 10, latest_days = 0.5, horizon_days = 60, funding_days = 14, max_cost_annual = 0.2, "
        'candidates = ["perpetual", "main:BTC/USDT:USDT-270625"], when_too_dear = "lower_ratio", '
        'lower_ratio_to = "0.3", fallback = "next", taker_fee = "0.0004" }\n'
    )
    assert config.hedges[0].roll.to_core() == RollRules(
        Decimal(10),
        Decimal("0.5"),
        Decimal(60),
        Decimal(14),
        ("perpetual", "main:BTC/USDT:USDT-270625"),
        Decimal("0.2"),
        WhenTooDear.LOWER_RATIO,
        Decimal("0.3"),
        Fallback.NEXT,
        Decimal("0.0004"),
    )


def test_a_roll_of_what_does_not_expire_is_worth_a_warning() -> None:
    [warning] = parse(SMALL + "roll = { horizon_days = 30 }\n").warnings
    assert "hedges[0].roll" in warning
    assert "does not expire" in warning


@pytest.mark.parametrize(
    ("roll", "key", "says"),
    [
        ("{ window_days = 1 }", "hedges[0].roll", "latest_days < window_days"),
        ("{ window_days = 0 }", "hedges[0].roll.window_days", "at least 0.1"),
        ("{ horizon_days = 0 }", "hedges[0].roll.horizon_days", "at least 1"),
        ("{ windw_days = 7 }", "hedges[0].roll.windw_days", 'did you mean "window_days"'),
        ('{ when_too_dear = "alarm" }', "hedges[0].roll.when_too_dear", 'did you mean "alert"'),
        ('{ when_too_dear = "lower_ratio" }', "hedges[0].roll", 'add lower_ratio_to = "0.3"'),
        ("{ lower_ratio_to = 0.3 }", "hedges[0].roll", "set or drop both"),
        ("{ max_cost_annual = 15 }", "hedges[0].roll.max_cost_annual", "0.15 is 15 %"),
        ('{ max_cost_annual = "15 %" }', "hedges[0].roll.max_cost_annual", '"0.15"'),
        ("{ taker_fee = 0.5 }", "hedges[0].roll.taker_fee", "at most 0.05"),
        ('{ candidates = "next" }', "hedges[0].roll.candidates", "must be a list"),
        ('{ candidates = ["nxt"] }', "hedges[0].roll.candidates[0]", 'did you mean "next"'),
        ('{ candidates = ["other:BTC/USDT:USDT"] }', "hedges[0].roll.candidates[0]", "a roll stays on"),
        ("{ candidates = [5] }", "hedges[0].roll.candidates[0]", "must be text"),
        ('{ fallback = "quarter" }', "hedges[0].roll.fallback", "perpetual, next"),
        ("5", "hedges[0].roll", "must be a table"),
    ],
)
def test_what_is_refused(roll: str, key: str, says: str) -> None:
    text = refusal(DATED + f"roll = {roll}\n")
    assert key in text
    assert says in text
