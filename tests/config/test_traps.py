"""Settings that together leave a protection without an effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.config import parse_config
from keeper.config.traps import traps

VENUE = 'mode = "dry-run"\n[venues.main]\nexchange = "binance"\n'
DATED = 'instrument = "main:BTC/USDT:USDT-270326"'

TWAP = """instrument = "main:BTC/USDT:USDT"
ratio = "1"
band = { act = "0.05", halt = "0.5" }
execution = { style = "twap", over_seconds = 600, slices = 60 }"""


def found(hedge: str, rest: str = "") -> dict[str, str]:
    text = f'{VENUE}{rest}\n[[hedges]]\nname = "btc"\nasset = "BTC"\nspot = ["main"]\n{hedge}\n'
    environ = {"KEEPER_VENUES__MAIN__API_KEY": "k" * 20, "KEEPER_VENUES__MAIN__API_SECRET": "s" * 20}
    return dict(traps(parse_config(text, "keeper.toml", Path("/nowhere/keeper.toml"), environ)))


def test_settings_as_they_come_have_none() -> None:
    assert found(f'{DATED}\nratio = "1"\nband = {{ act = "0.05", halt = "0.5" }}') == {}


@pytest.mark.parametrize(
    ("hedge", "rest", "key", "words"),
    [
        (f'{DATED}\nratio = "0.3"\nband = {{ act = "0.05", halt = "0.5" }}', "", "band.halt", "never be passed"),
        (
            f'{DATED}\nratio = "1"\nband = {{ act = "0.05", halt = "0.5" }}',
            "[limits]\nmax_orders_per_hour = 10",
            "roll",
            "about 23 orders that open shorts, and limits.max_orders_per_hour is 10: it lasts 2.3 hours",
        ),
        (
            TWAP,
            "[limits]\nmax_orders_per_hour = 40",
            "execution.slices",
            "60 slices over 600 s are more than limits.max_orders_per_hour, 40",
        ),
        (
            f'{DATED}\nratio = "1"\nband = {{ act = "0.001", halt = "0.5" }}\nroll = {{ latest_days = "0.05" }}',
            "[limits]\nmax_orders_per_hour = 100000",
            "roll.latest_days",
            "too short for about 1112 slices with a look every 5 s",
        ),
    ],
)
def test_each_is_told_with_its_remedy(hedge: str, rest: str, key: str, words: str) -> None:
    told = found(hedge, rest)
    assert list(told) == [f"hedges.btc.{key}"]
    assert words in told[f"hedges.btc.{key}"]
