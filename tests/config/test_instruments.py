"""Which contracts a hedge names: one, several in order, or several by share; and what is refused."""

from __future__ import annotations

import pytest

from keeper.config import Config
from keeper.core.model import InstrumentId
from keeper.errors import ConfigError
from tests.config.support import SMALL, parse

ONE, TWO = InstrumentId("main", "BTC/USDT:USDT"), InstrumentId("main", "BTC/USDC:USDC")


def parse_with_hedge(contracts: str, more: str = "") -> Config:
    return parse(SMALL.replace('instrument = "main:BTC/USDT:USDT"', contracts) + more)


def test_one_contract_is_a_list_of_one() -> None:
    (hedge,) = parse_with_hedge('instrument = "main:BTC/USDT:USDT"').hedges
    assert [(choice.instrument, choice.share) for choice in hedge.carriers] == [(ONE, None)]


def test_several_in_order_of_preference_and_the_first_is_the_instrument() -> None:
    (hedge,) = parse_with_hedge('instruments = ["main:BTC/USDT:USDT", "main:BTC/USDC:USDC"]').hedges
    assert hedge.instrument == ONE
    assert [choice.instrument for choice in hedge.carriers] == [ONE, TWO]
    assert not hedge.looks_coin_margined
    (mixed,) = parse_with_hedge('instruments = ["main:BTC/USDT:USDT", "main:BTC/USD:BTC"]').hedges
    assert mixed.looks_coin_margined


def test_several_by_share() -> None:
    (hedge,) = parse_with_hedge(
        'instruments = [{ instrument = "main:BTC/USDT:USDT", share = "0.7" },'
        ' { instrument = "main:BTC/USDC:USDC", share = 0.3 }]'
    ).hedges
    assert [str(choice.share) for choice in hedge.carriers] == ["0.7", "0.3"]
    assert str(hedge.carriers[0]) == "main:BTC/USDT:USDT (share 0.7)"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", ["hedges[0].instrument", "is missing", "instruments = [...]"]),
        (
            'instrument = "main:BTC/USDT:USDT"\ninstruments = ["main:BTC/USDC:USDC"]',
            ["hedges[0].instrument", "beside instruments", "keep one"],
        ),
        ("instruments = []", ["hedges[0].instruments", "is empty"]),
        ('instruments = "main:BTC/USDT:USDT"', ["hedges[0].instruments", "must be a list"]),
        ('instruments = ["main:BTC/USDT"]', ["hedges[0].instruments[0]", "names a spot market"]),
        ('instruments = ["main:BTC/USDT:USDT", "main:BTC/USDT:USDT"]', ["hedges[0].instruments", "twice"]),
        ('instruments = ["mian:BTC/USDT:USDT"]', ["hedges[0].instruments[0]", "'mian'", 'did you mean "main"']),
        (
            'instruments = [{ instrument = "main:BTC/USDT:USDT", share = "0.7" }, "main:BTC/USDC:USDC"]',
            ["hedges[0].instruments", "some of its contracts only"],
        ),
        (
            'instruments = [{ instrument = "main:BTC/USDT:USDT", share = "0.7" }]',
            ["hedges[0].instruments", "add up to 0.7", "add up to 1"],
        ),
        (
            'instruments = [{ instrument = "main:BTC/USDT:USDT", share = "0" }]',
            ["hedges[0].instruments[0].share", "more than 0"],
        ),
        ('instruments = [{ share = "1" }]', ["hedges[0].instruments[0]", "names no instrument"]),
        (
            'instruments = [{ instrument = "main:BTC/USDT:USDT", shares = "1" }]',
            ["hedges[0].instruments[0].shares", 'did you mean "share"'],
        ),
        ("instruments = [" + '"main:BTC/USDT:USDT", ' * 9 + "]", ["names 9 contracts", "at most 8"]),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(written: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_with_hedge(written)
    for word in words:
        assert word in str(refused.value)
    assert str(refused.value).count("hedges[0]") == 1, "one fault, told once"


def test_two_hedges_cannot_share_a_contract_of_a_list() -> None:
    second = '[[hedges]]\nname = "other"\nasset = "BTC"\nholdings = { a = "1" }\nratio = "0.4"\n'
    with pytest.raises(ConfigError, match=r"hedges\[1\].instruments.*BTC/USDC:USDC, which carries the hedge"):
        parse_with_hedge(
            'instruments = ["main:BTC/USDT:USDT", "main:BTC/USDC:USDC"]',
            second + 'instruments = ["main:BTC/USD:BTC", "main:BTC/USDC:USDC"]',
        )
