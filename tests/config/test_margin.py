"""The margin table: defaults that surprise nobody, thresholds in order, and what is off."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.config.margin import MarginConfig
from keeper.core.margins import MarginPolicy, Thresholds
from keeper.core.model import AccountId
from keeper.core.topup import TopUp
from keeper.errors import ConfigError
from tests.config.support import parse

HEDGE = """
mode = "dry-run"
[venues.main]
exchange = "binance"
[[hedges]]
name = "btc"
asset = "BTC"
spot = ["main"]
instrument = "main:BTC/USDT:USDT"
ratio = 1
"""


def policy(table: str) -> MarginPolicy | None:
    return parse(f"{HEDGE}\n[margin]\n{table}").margin.to_core()


def test_by_default_it_warns_and_stops_new_shorts_and_buys_nothing_back() -> None:
    assert MarginConfig().to_core() == MarginPolicy(Thresholds(Decimal("0.5"), Decimal("0.7")))
    assert policy("") == MarginConfig().to_core()


def test_who_asks_for_more_than_a_warning_wants_it_read() -> None:
    for table in ('block = "0.6"', 'reduce = "0.9"', 'min_liquidation_distance = { block = "0.1" }'):
        read = policy(table)
        assert read is not None
        assert read.required, table
    warns = policy('warn = "0.4"')
    assert warns is not None
    assert not warns.required


def test_everything_can_be_turned_off() -> None:
    assert policy('warn = "off"\nblock = "off"') is None


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('warn = "0.8"', ["margin", "warn <= block < reduce", "warn 0.8, block 0.7, reduce off"]),
        ('reduce = "0.7"', ["margin", "warn <= block < reduce"]),
        ('reduce = "0.9"\nblock = "off"', ["margin", "reduce without warn or block"]),
        ('reduce = "0.9"\nwarn = "off"', ["margin", "reduce without warn or block", "sells again from warn"]),
        ('block = "1.5"', ["margin.block", "at most 1", 'or write "off"']),
        ("block = 70", ["margin.block", "a share of the equity"]),
        ("block = true", ["margin.block", "must be a number"]),
        ('blok = "0.7"', ["margin.blok", 'did you mean "block"']),
        ('min_liquidation_distance = { warn = "0.1", block = "0.2" }', ["warn >= block > reduce"]),
        ('min_liquidation_distance = { reduce = "0.1" }', ["reduce without warn or block"]),
        ('min_liquidation_distance = { near = "0.1" }', ["margin.min_liquidation_distance.near"]),
    ],
)
def test_what_is_wrong_is_named(table: str, says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(table)
    for part in says:
        assert part in str(caught.value)


TOP_UP = (
    'asset = "USDT"\nsource = "main.funding"\nto = "main.linear"\ntrigger = "0.6"\ntarget = "0.4"\n'
    'max_per_transfer = "100"\nmax_per_day = "300"\n'
)


def top_up(text: str) -> TopUp | None:
    rule = parse(f"{HEDGE}\n[venues.main.top_up]\n{text}").venues["main"].top_up
    return None if rule is None else rule.to_core()


def test_a_top_up_is_what_it_says_and_nothing_is_moved_without_one() -> None:
    funding, futures = AccountId("main", "funding"), AccountId("main", "linear")
    limits = Decimal("0.6"), Decimal("0.4"), Decimal(100), Decimal(300)
    assert top_up(TOP_UP) == TopUp("USDT", funding, futures, *limits)
    assert parse(HEDGE).venues["main"].top_up is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('target = "0.4"', 'target = "0.6"', ["venues.main.top_up", "target < trigger"]),
        ('to = "main.linear"', 'to = "main.funding"', ["venues.main.top_up", "name two wallets"]),
        ('to = "main.linear"', 'to = "other.linear"', ["venues.main.top_up.to", "a wallet of another venue"]),
        ('max_per_day = "300"', 'max_per_day = "30"', ["max_per_transfer <= max_per_day"]),
        ('max_per_day = "300"\n', "", ["venues.main.top_up.max_per_day", "missing"]),
        ('max_per_day = "300"', "max_per_day = 0", ["venues.main.top_up.max_per_day", "more than 0"]),
        ('asset = "USDT"', "asset = 1", ["venues.main.top_up.asset", "must be text"]),
    ],
)
def test_a_wrong_top_up_is_refused(old: str, new: str, says: list[str]) -> None:
    assert old in TOP_UP
    with pytest.raises(ConfigError) as caught:
        top_up(TOP_UP.replace(old, new))
    for part in says:
        assert part in str(caught.value)
