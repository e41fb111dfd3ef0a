"""The margin of MEXC's contracts, worked out from what it states, and not known where a part of that is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from keeper.core.model import AccountId
from keeper.venue.base import EmptyReadingError
from keeper.venue.mexc import maintenance_rate
from tests.venue.reckoning import D, margins_of, unread, without
from tests.venue.test_payloads import _mexc_position, mexc

RISK: dict[str, Any] = {
    "takerFeeRate": 0.0006, "maintenanceMarginRate": 0.004, "initialMarginRate": 0.008, "riskBaseVol": 10000,
    "riskIncrVol": 200000, "riskIncrMmr": 0.004, "riskIncrImr": 0.004, "riskLevelLimit": 5,
}  # fmt: skip
"""As the client documents them."""
MONEY = {
    "currency": "USDT", "positionMargin": 900, "availableBalance": 9000, "cashBalance": 8950, "frozenBalance": 50,
    "equity": 10000, "unrealized": 0, "bonus": 0,
}  # fmt: skip
COINS = {
    "currency": "BTC", "positionMargin": 0.1, "availableBalance": 0.9, "cashBalance": 0.9, "frozenBalance": 0,
    "equity": 1.01, "unrealized": 0.01, "bonus": 0, "availableCash": 0.85,
}  # fmt: skip
SHORT = _mexc_position("BTC_USDT", 2, 10000, 61000, openType=2, liquidatePrice=66000.5)
COIN_SHORT = _mexc_position("BTC_USD", 2, 300, 60600, positionId=2, openType=2, liquidatePrice=0)


def mexc_account(positions: list[Any], rows: list[Any], risk: Mapping[str, Any] = RISK) -> dict[str, Any]:
    routes = mexc(positions)
    detail = routes["/api/v1/contract/detail"]
    listed = detail | {"data": [market | dict(risk) for market in detail["data"]]}
    return routes | {
        "/api/v1/contract/detail": listed,
        "/api/v1/private/account/assets": {"success": True, "code": 0, "data": rows},
    }


async def test_mexc_needs_the_rate_and_the_fee_of_the_value_at_the_mark() -> None:
    nothing = dict.fromkeys(MONEY, 0) | {"currency": "ETH"}
    margins = await margins_of("mexc", mexc_account([SHORT, COIN_SHORT], [MONEY, COINS, nothing]))
    assert set(margins) == {("linear", "USDT"), ("inverse", "BTC")}
    money, coins = margins["linear", "USDT"], margins["inverse", "BTC"]
    assert money.account == AccountId("main", "linear")
    # a coin at 60,000; the margin of orders is no equity, and what may be withdrawn is what the venue calls so
    assert (money.equity, money.maintenance, money.available) == (D(9950), D("0.0046") * 60000, D(8950))
    assert coins.available == D("0.85")
    assert coins.maintenance == D("0.0046") * D("0.5")
    assert coins.equity == D("1.01")
    (short,) = money.positions
    assert (short.maintenance, short.liquidation_price, short.isolated) == (money.maintenance, D("66000.5"), False)
    assert [each.liquidation_price for each in coins.positions] == [None]


async def test_mexc_with_nothing_held_is_asked_for_no_price() -> None:
    routes = without(mexc_account([], [MONEY]), "/api/v1/contract/ticker")
    (margin,) = (await margins_of("mexc", routes)).values()
    assert (margin.equity, margin.maintenance, margin.positions) == (D(9950), D(0), ())
    with pytest.raises(EmptyReadingError):
        await margins_of("mexc", mexc_account([], []))


async def test_mexc_isolated_positions_stand_for_themselves() -> None:
    """Their margin and their profit are in the equity that the venue tells, and behind no other position."""
    alone = _mexc_position("BTC_USDT", 2, 5000, 59000, positionId=9, openType=1, im=700)
    (margin,) = (await margins_of("mexc", mexc_account([SHORT, alone], [MONEY]))).values()
    assert margin.equity == D(9950) - (700 - D("0.5") * 1000)
    # both are one size at the venue, and that reaches the second tier
    assert [each.maintenance for each in margin.positions] == [D("0.0086") * 60000, D("0.0086") * 30000]
    assert margin.maintenance == D("0.0086") * 60000
    assert [each.isolated for each in margin.positions] == [False, True]


@pytest.mark.parametrize(
    ("contracts", "changes", "rate"),
    [
        (10000, {}, "0.0046"),
        (10001, {}, "0.0086"),
        (210000, {}, "0.0086"),
        (210001, {}, "0.0126"),
        (10**9, {}, "0.0206"),
        (10**9, {"riskIncrVol": 0}, "0.0046"),
        (10000, {"liquidationFeeRate": 0.0004}, "0.0044"),
        (10000, {"riskLimitType": "BY_VALUE"}, "0.0086"),
        (500, {"riskLimitType": "BY_VALUE"}, "0.0046"),
        (
            10001,
            {
                "riskLimitMode": "CUSTOM",
                "riskLimitCustom": [
                    {"level": 2, "maxVol": 20000, "mmr": 0.01, "imr": 0.02, "maxLeverage": 50},
                    {"level": 1, "maxVol": 10000, "mmr": 0.004, "imr": 0.008, "maxLeverage": 125},
                    {"level": 3, "maxVol": 40000, "mmr": 0.02, "imr": 0.04, "maxLeverage": 25},
                ],
            },
            "0.0106",
        ),
        (
            50000,
            {
                "riskLimitMode": "CUSTOM",
                "riskLimitCustom": [{"level": 1, "maxVol": 40000, "mmr": 0.02, "imr": 0.04, "maxLeverage": 25}],
            },
            "0.0206",
        ),
    ],
)
def test_mexc_tiers(contracts: int, changes: Mapping[str, Any], rate: str) -> None:
    """Quote money is six times the contracts here."""
    assert maintenance_rate(RISK | dict(changes), D(contracts), D(contracts * 6)) == D(rate)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"riskLimitType": "BY_MOON"}, "riskLimitType"),
        ({"riskLimitMode": "CUSTOM"}, "riskLimitCustom"),
        ({"riskLimitMode": "CUSTOM", "riskLimitCustom": [{"maxVol": 1}]}, "mmr"),
        ({"maintenanceMarginRate": 0}, "maintenanceMarginRate"),
        ({"maintenanceMarginRate": -0.004}, "maintenanceMarginRate"),
        *(({name: None}, name) for name in ("maintenanceMarginRate", "riskBaseVol", "riskIncrVol", "takerFeeRate")),
    ],
)
async def test_mexc_without_a_rate_is_not_known(changes: Mapping[str, Any], match: str) -> None:
    await unread("mexc", mexc_account([SHORT], [MONEY], RISK | dict(changes)), f"main.linear USDT: .*{match}")


@pytest.mark.parametrize("name", ["equity", "frozenBalance"])
async def test_mexc_account_rows_in_part(name: str) -> None:
    await unread("mexc", mexc_account([SHORT], [without(MONEY, name)]), name)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (without(SHORT, "openType"), "cross or isolated is not told"),
        (SHORT | {"openType": 3}, "neither cross nor isolated"),
        (without(SHORT, "holdVol"), "holdVol"),
        (without(SHORT, "positionType"), "positionType"),
        (without(SHORT | {"openType": 1}, "im"), "im is None"),
        (SHORT | {"openType": 1, "holdAvgPrice": "", "openAvgPrice": ""}, "no entry price"),
        (SHORT | {"symbol": "WHO_KNOWS"}, "no market explains"),
    ],
)
async def test_mexc_position_rows_in_part(row: Mapping[str, Any], match: str) -> None:
    await unread("mexc", mexc_account([row], [MONEY]), match)


async def test_mexc_an_account_that_is_left_out_is_not_empty() -> None:
    await unread("mexc", mexc_account([SHORT, COIN_SHORT], [COINS]), "no row is of the account behind BTC/USDT:USDT")
