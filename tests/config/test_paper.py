"""The paper table: what it may say, what it may not, and when no credentials are needed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.config import Mode
from keeper.config.paper import PaperPosition
from tests.config.support import HEDGE, VENUE, parse, refusal

D = Decimal
HEAD = 'mode = "paper"\n'
ACCOUNT = """
[venues.main.paper]
balances = { BTC = "5", USDT = 100000 }
wallets = { linear = { USDT = "7" } }
positions = { "BTC/USDT:USDT" = { contracts = "-2", entry = "65000" } }
taker_fee = "0.0005"
"""


def paper(table: str) -> str:
    return f"{HEAD}{VENUE}\n[venues.main.paper]\n{table}\n{HEDGE}"


def test_an_account_of_its_own_needs_no_credentials() -> None:
    config = parse(f"{HEAD}{VENUE}{ACCOUNT}{HEDGE}", {})
    assert config.mode is Mode.PAPER
    read = config.venues["main"].paper
    assert read is not None
    assert (read.seed, read.balances["USDT"], read.wallets["linear"]["USDT"]) == (None, D(100000), D(7))
    assert read.positions == {"BTC/USDT:USDT": PaperPosition(D(-2), D(65000))}
    assert (read.maker_fee, read.taker_fee, read.leverage) == (None, D("0.0005"), D(10))


def test_one_that_begins_like_the_real_one_needs_them_and_so_does_every_other_mode() -> None:
    assert "venues.main.api_key" in refusal(paper('seed = "account"'), {})
    assert "venues.main.api_key" in refusal(paper('balances = { BTC = "5" }').replace("paper", "dry-run", 1), {})


@pytest.mark.parametrize(
    ("table", "key", "says"),
    [
        ("", "venues.main.paper", "does not say what the account begins with"),
        ('seed = "acount"', "venues.main.paper.seed", 'did you mean "account"'),
        ('seed = "account"\nbalances = { BTC = "5" }', "venues.main.paper", "gives both"),
        ('balances = { BTC = "-5" }', "venues.main.paper.balances.BTC", "at least 0"),
        ("balances = 5", "venues.main.paper.balances", "must be a table"),
        ('wallets = { linear = "5" }', "venues.main.paper.wallets.linear", "must be a table"),
        ('balances = { BTC = "5" }\npositions = { "BTC" = {} }', "venues.main.paper.positions.BTC", "BTC/USDT:USDT"),
        (
            'balances = { BTC = "5" }\npositions = { "BTC/USDT:USDT" = { contracts = "-2" } }',
            'venues.main.paper.positions."BTC/USDT:USDT"',
            "the price of their entry",
        ),
        ('balances = { BTC = "5" }\ntaker_fee = "0.5"', "venues.main.paper.taker_fee", "less than 0.1"),
        ('balances = { BTC = "5" }\nmaintenance_ratio = 0', "venues.main.paper.maintenance_ratio", "more than 0"),
        ('balance = { BTC = "5" }', "venues.main.paper.balance", 'did you mean "balances"'),
    ],
)
def test_what_it_may_not_say(table: str, key: str, says: str) -> None:
    said = refusal(paper(table))
    assert key in said
    assert says in said
