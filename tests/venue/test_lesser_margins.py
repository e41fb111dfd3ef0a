"""The margins of Bitget, Gate and KuCoin: what accounts and positions state, and not known where a part is missing.

Each desk holds a short of five coins at 59,990 on an account of 100,000 USDT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from keeper.core.model import AccountId
from keeper.venue.base import BadReadingError
from keeper.venue.further import AccountMargin, NotOfferedError
from tests.support.bitget import MARKET as BITGET_MARKET
from tests.support.bitget import BitgetDesk
from tests.support.desk import BID, D
from tests.support.gate import MARKET as GATE_MARKET
from tests.support.gate import GateDesk
from tests.support.kucoin import MARKET as KUCOIN_MARKET
from tests.support.kucoin import KucoinDesk
from tests.venue.helpers import opened
from tests.venue.order_stories import over

VALUE = 5 * BID
Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A desk with a cross short, and what its rows call things. ``rate`` is the share of the value that is needed."""

    desk: Callable[..., Any]
    market: str
    contracts: str
    rate: str
    isolated: Changes
    """What a position says that has 1,000 of its own and has lost 200 of it."""
    risky: Changes
    """What an account says that needs 50,000."""
    wanted: tuple[str, ...]
    """Fields of the account without which nothing is known."""
    rates: tuple[str, ...]
    own: tuple[str, ...]


KUCOIN = Place(
    partial(KucoinDesk, margin_mode="CROSS"), KUCOIN_MARKET, "-5000", "0.004",
    {"crossMode": False, "posMargin": 1000, "unrealisedPnl": -200}, {"riskRatio": "0.5"}, ("accountEquity",),
    ("maintMarginReq", "crossMode", "currentQty"), ("posMargin", "unrealisedPnl"),
)  # fmt: skip
PLACES = {
    "bitget": Place(
        BitgetDesk, BITGET_MARKET, "-5", "0.004",
        {"marginMode": "isolated", "marginSize": "1000", "unrealizedPL": "-200"}, {"crossedRiskRate": "0.5"},
        ("accountEquity",), ("keepMarginRate", "marginMode", "total", "holdSide"), ("marginSize", "unrealizedPL"),
    ),
    "gate": Place(
        GateDesk, GATE_MARKET, "-50000", "0.00475",
        {"leverage": "10", "margin": "1000", "unrealised_pnl": "-200"}, {"cross_maintenance_margin": "50000"},
        ("total", "unrealised_pnl"), ("maintenance_rate", "leverage", "size"), ("margin", "unrealised_pnl"),
    ),
    "kucoin": KUCOIN,
    "kucoinfutures": replace(KUCOIN, desk=partial(KucoinDesk, margin_mode="CROSS", exchange="kucoinfutures")),
}  # fmt: skip
EACH = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


async def told(place: Place, account: Changes | None = None, position: Changes | None = None) -> AccountMargin:
    held = {place.market: D(place.contracts)}
    rows = {"account_told": dict(account or {}), "position_told": dict(position or {})}
    async with place.desk(positions=held, margin=D(100_000), **rows) as desk, opened(over(desk)) as venue:
        (margin,) = await venue.observer.margins()
        assert not [each for each in desk.strange if not each.startswith("GET")]
        return margin


@EACH
async def test_positions_need_their_rate_of_the_value_at_the_mark(place: Place) -> None:
    margin = await told(place)
    assert (margin.asset, margin.equity, margin.available) == ("USDT", D(100_000), D(50_000))
    assert margin.maintenance == VALUE * D(place.rate)
    (short,) = margin.positions
    assert (short.maintenance, short.liquidation_price, short.isolated) == (margin.maintenance, D(75_000), False)


async def test_the_accounts_have_the_names_of_their_wallets() -> None:
    wallets = {name: (await told(place)).account for name, place in PLACES.items()}
    assert wallets == dict.fromkeys(PLACES, AccountId("main", "linear")) | {"kucoinfutures": AccountId("main", "")}


@EACH
async def test_an_account_that_says_that_it_needs_more_does(place: Place) -> None:
    assert (await told(place, place.risky)).maintenance == D(50_000)
    name, value = next(iter(place.risky.items()))
    assert (await told(place, {name: "0"})).maintenance == VALUE * D(place.rate), "less than its positions need"
    with pytest.raises(BadReadingError, match=f"{name} is -{value}, negative"):
        await told(place, {name: f"-{value}"})


@EACH
async def test_isolated_positions_stand_for_themselves(place: Place) -> None:
    margin = await told(place, position=place.isolated)
    (short,) = margin.positions
    assert (margin.equity, margin.maintenance) == (D(99_200), D(0))
    assert (short.isolated, short.liquidation_price) == (True, D(75_000))
    for name in place.own:
        with pytest.raises(BadReadingError, match=f"{name} is None"):
            await told(place, position={**place.isolated, name: None})


@EACH
async def test_with_nothing_held(place: Place) -> None:
    async with place.desk(margin=D(100_000)) as desk, opened(over(desk)) as venue:
        (margin,) = await venue.observer.margins()
        assert (margin.equity, margin.maintenance, margin.positions) == (D(100_000), D(0), ())


@EACH
async def test_rows_in_part_are_not_known(place: Place) -> None:
    for name in place.wanted:
        for value in (None, "", "NaN"):
            with pytest.raises(BadReadingError, match=name):
                await told(place, {name: value})
    for name in place.rates:
        with pytest.raises(BadReadingError, match=f"{name} is None|cross or isolated is not told"):
            await told(place, position={name: None})
    for name in place.rates[:1]:
        with pytest.raises(BadReadingError, match=f"{name} is 0 beside a position"):
            await told(place, position={name: "0"})


@EACH
async def test_the_account_of_another_coin_is_not_the_one_behind_it(place: Place) -> None:
    name = "marginCoin" if place.desk is BitgetDesk else "currency"
    with pytest.raises(BadReadingError, match="no row is of the account behind BTC/USDT:USDT"):
        await told(place, {name: "ETH"})


async def test_a_maintenance_that_a_row_states_is_taken() -> None:
    stated = {"maintenance_margin": "1234.5"}
    assert (await told(PLACES["gate"], position=stated)).maintenance == D("1234.5")
    nothing = {"maintenance_margin": "0", "cross_maintenance_margin": "0"}
    assert (await told(PLACES["gate"], nothing, nothing)).maintenance == VALUE * D("0.00475")


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("bitget", {"assetMode": "union"}),
        ("gate", {"margin_mode": 1}),
        ("gate", {"margin_mode": "3"}),
        ("gate", {"enable_credit": True}),
    ],
)
async def test_an_account_of_all_coins_is_told_by_nobody(name: str, account: Changes) -> None:
    with pytest.raises(NotOfferedError):
        await told(PLACES[name], account)


async def test_accounts_in_their_usual_mode_are_told() -> None:
    for name, account in (
        ("bitget", {"assetMode": "single"}), ("gate", {"margin_mode": 0, "enable_credit": False}),
    ):  # fmt: skip
        assert (await told(PLACES[name], account)).equity == D(100_000)
