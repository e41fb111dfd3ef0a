"""The table `execution` of a hedge: what belongs to which style."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.core.execution import Execution, Style
from keeper.errors import ConfigError
from tests.config.support import SMALL, parse


def read(execution: str) -> Execution:
    return parse(f"{SMALL}execution = {execution}\n").hedges[0].execution.to_core()


def test_a_hedge_that_says_nothing_takes_at_once() -> None:
    assert parse(SMALL).hedges[0].execution.to_core() == Execution()


def test_the_styles_with_their_settings() -> None:
    assert read('{ style = "passive", leash_bps = "2.5", escalate_after_seconds = 30, escalate_drift = "0.2" }') == (
        Execution(Style.PASSIVE, Decimal("2.5"), Decimal(30), Decimal("0.2"))
    )
    twap = read(
        '{ style = "twap", over_seconds = 600, slices = 5, slice_style = "passive", leash_bps = 8, jitter = 1 }'
    )
    assert twap.style is Style.TWAP
    assert (twap.over_seconds, twap.slices, twap.leash_bps) == (Decimal(600), 5, Decimal(8))
    assert twap.rests


@pytest.mark.parametrize(
    ("execution", "says"),
    [
        ('{ style = "pasive" }', "choose one of market, passive, twap.*did you mean"),
        ('{ style = "passive", over_seconds = 60 }', 'gives over_seconds, which style = "passive" does not use'),
        ("{ leash_bps = 5 }", 'gives leash_bps, which style = "market" does not use \\(it has no settings\\)'),
        ('{ style = "twap", leash_bps = 5 }', "gives leash_bps"),
        ('{ style = "passive", escalate_drift = "0.05" }', "escalate_drift 0.05, which has to be above band.act 0.05"),
        ('{ style = "twap", slices = 0 }', "must be at least 1"),
        ('{ style = "twap", slice_style = "twap" }', "choose one of market, passive"),
        ('{ style = "passive", lesh_bps = 5 }', "lesh_bps"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(execution: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read(execution)
