"""The keys that say how much to hedge."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.config.values import duration
from keeper.core.targets import Target, TargetKind
from tests.config.support import SMALL, parse, refusal

D = Decimal
RATIO = 'ratio = "0.6"\n'


@pytest.mark.parametrize(
    ("written", "target"),
    [
        (RATIO, Target(TargetKind.RATIO, D("0.6"))),
        ("ratio = 0\n", Target(TargetKind.RATIO, D(0))),
        ('quantity = "2.5"\n', Target(TargetKind.QUANTITY, D("2.5"))),
        ("notional = 150000\n", Target(TargetKind.NOTIONAL, D(150000))),
    ],
)
def test_one_of_three_says_how_much(written: str, target: Target) -> None:
    hedge = parse(SMALL.replace(RATIO, written)).hedges[0]
    assert hedge.target == target
    assert (hedge.min_ratio, hedge.max_ratio) == (D(0), D(1))


@pytest.mark.parametrize(
    ("written", "key", "text"),
    [
        ("", "hedges[0].ratio", "one of ratio, quantity, notional"),
        (RATIO + 'quantity = "1"\n', "hedges[0].quantity", "keep one of them"),
        ('notional = "1"\nquantity = "1"\n', "hedges[0].notional", "(quantity and notional)"),
        ('quantity = "-1"\n', "hedges[0].quantity", "at least 0 (coins)"),
        ('notional = "much"\n', "hedges[0].notional", "not a finite number"),
        (RATIO + 'max_ratio = "0.5"\n', "hedges[0].ratio", "outside of min_ratio 0 and max_ratio 0.5"),
        (RATIO + 'min_ratio = "0.7"\n', "hedges[0].ratio", "outside of min_ratio 0.7"),
        ('quantity = "1"\nmin_ratio = "0.7"\nmax_ratio = "0.6"\n', "hedges[0].min_ratio", "max_ratio is 0.6"),
        (RATIO + 'max_ratio = "1.1"\n', "hedges[0].max_ratio", "at most 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(written: str, key: str, text: str) -> None:
    said = refusal(SMALL.replace(RATIO, written))
    assert key in said
    assert text in said


def test_coins_of_a_basket_are_coins_of_nothing() -> None:
    said = refusal(SMALL.replace('asset = "BTC"', 'assets = ["BTC", "ETH"]').replace(RATIO, 'quantity = "1"\n'))
    assert "use ratio or notional for a basket" in said


@pytest.mark.parametrize(
    ("text", "seconds"), [("6h", 21600), ("90m", 5400), ("1d12h", 129600), ("30s", 30), ("1H30M", 5400)]
)
def test_a_length_of_time_is_written_in_words(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("wrong", ["", " ", "6", 6, "h", "6h6h", "-1h", "1.5h", "0s", "367d", "6 h", None, "٣h"])
def test_anything_else_is_no_length_of_time(wrong: object) -> None:
    with pytest.raises(ValueError, match=r'as in "6h"|at most 366 days'):
        duration(wrong)
