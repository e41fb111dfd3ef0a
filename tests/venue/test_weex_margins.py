"""The margin of WEEX's contracts, worked out from its price of liquidation, and not known where that is not told.

The contract is ETH at 2,081.8, the rate of maintenance 0.005, which nobody states.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from keeper.core.model import AccountId
from keeper.venue.further import NotOfferedError
from tests.venue.reckoning import D, margins_of, unread
from tests.venue.test_payloads import _weex_position, weex

MARK, RATE = D("2081.8"), D("0.005")


def end_of(size: str, equity: str, needed: Decimal | None = None) -> str:
    """The venue's own formula: where equity is down to maintenance, all else as it is."""
    own = D(size) * MARK * RATE
    return str(
        (MARK + (D(equity) - (own if needed is None else needed)) / (D(size) * (1 + RATE))).quantize(D("0.0001"))
    )


def eth_short(size: str, equity: str, **more: Any) -> dict[str, Any]:
    value = str(D(size) * MARK)
    return _weex_position("ETHUSDT", "SHORT", size, value, liquidatePrice=end_of(size, equity), **more)


def weex_account(
    positions: list[Any], balance: str, profit: str = "0", sol: bool = False, **more: Any
) -> dict[str, Any]:
    routes = weex(positions)
    account = {
        "asset": "USDT", "balance": balance, "availableBalance": "700", "frozen": "0", "unrealizePnl": profit, **more
    }  # fmt: skip
    routes |= {"/capi/v3/account/balance": [{key: value for key, value in account.items() if value is not None}]}
    if sol:
        (market,) = routes["/capi/v3/market/exchangeInfo"]["symbols"]
        other = market | {"symbol": "SOLUSDT", "baseAsset": "SOL"}
        routes["/capi/v3/market/exchangeInfo"] = {"symbols": [market, other]}
        for path in ("/capi/v3/market/premiumIndex", "/capi/v3/market/ticker/bookTicker"):
            routes[path] = [*routes[path], routes[path][0] | {"symbol": "SOLUSDT"}]
    return routes


def near(value: Decimal | None, wanted: Decimal) -> bool:
    return value is not None and abs(value - wanted) < D("0.01")


async def test_weex_needs_what_is_left_at_its_price_of_liquidation() -> None:
    (margin,) = (await margins_of("weex", weex_account([eth_short("2", "1000")], "1000"))).values()
    needed = 2 * MARK * RATE
    assert (margin.account, margin.asset) == (AccountId("main", "linear"), "USDT")
    assert (margin.equity, margin.available) == (D(1000), D(700))
    assert near(margin.maintenance, needed)
    (short,) = margin.positions
    assert (short.maintenance, short.isolated) == (margin.maintenance, False)
    assert short.liquidation_price == D(end_of("2", "1000"))


@pytest.mark.parametrize(
    ("balance", "profit", "equity"),
    [("1000", "-300", "700"), ("1000", "300", "1300"), ("700", "-300", "700"), ("1300", "300", "1300")],
)
async def test_weex_balance_with_the_profit_or_without_it(balance: str, profit: str, equity: str) -> None:
    """One of the two equities would need less than nothing, or more than the position took to open."""
    (margin,) = (await margins_of("weex", weex_account([eth_short("2", equity)], balance, profit))).values()
    assert margin.equity == D(equity)
    assert near(margin.maintenance, 2 * MARK * RATE)


async def test_weex_where_both_equities_would_do_takes_the_higher_ratio() -> None:
    (margin,) = (await margins_of("weex", weex_account([eth_short("2", "1000")], "1000", "20"))).values()
    assert margin.equity == D(1020)
    assert margin.maintenance > 2 * MARK * RATE
    assert margin.ratio is not None
    assert margin.ratio < D("0.05")


async def test_weex_the_most_that_a_position_needs_is_what_it_took_to_open_and_a_fee() -> None:
    """At the highest leverage the fee of a liquidation is what is beyond the initial margin."""
    at_most = eth_short(
        "2",
        "1000",
    ) | {"leverage": "210"}
    (margin,) = (await margins_of("weex", weex_account([at_most], "1000"))).values()
    assert near(margin.maintenance, 2 * MARK * RATE)
    await unread("weex", weex_account([at_most | {"leverage": "250"}], "1000"), "disagrees")


async def test_weex_of_several_positions_the_nearest_end_counts() -> None:
    """Each price is told with the others as they are; what is left there is never less than what is needed now."""
    needed = 3 * MARK * RATE
    two = _weex_position("ETHUSDT", "SHORT", "2", "1", liquidatePrice=end_of("2", "1000", needed))
    one = _weex_position("SOLUSDT", "SHORT", "1", "1", id=2, liquidatePrice=end_of("1", "1000", needed))
    long = _weex_position("ETHUSDT", "LONG", "0.5", "1", id=3, liquidatePrice=two["liquidatePrice"])
    (margin,) = (await margins_of("weex", weex_account([two, one], "1000", sol=True))).values()
    assert needed < margin.maintenance < needed + RATE * 1000
    assert [each.maintenance for each in margin.positions] == [None, None]
    nearer = one | {"liquidatePrice": end_of("1", "900", needed)}
    (margin,) = (await margins_of("weex", weex_account([two, nearer], "1000", sol=True))).values()
    assert near(margin.maintenance, needed + 100 + RATE * (900 - needed) / (1 + RATE))
    net = weex_account(
        [two | {"liquidatePrice": end_of("1.5", "1000", needed)}, long | {"liquidatePrice": "0"}], "1000"
    )
    (margin,) = (await margins_of("weex", net)).values()
    assert needed < margin.maintenance < needed + RATE * 1000


async def test_weex_isolated_positions_have_a_price_and_nothing_else() -> None:
    alone = eth_short("2", "1000", marginType="ISOLATED", isolatedMargin="200")
    (margin,) = (await margins_of("weex", weex_account([alone], "1000"))).values()
    (short,) = margin.positions
    assert (margin.equity, margin.maintenance, short.maintenance, short.isolated) == (D(1000), D(0), None, True)
    assert short.liquidation_price is not None
    with pytest.raises(NotOfferedError, match="isolated"):
        await margins_of("weex", weex_account([alone, eth_short("2", "1000", id=2)], "1000"))


async def test_weex_with_nothing_held() -> None:
    (margin,) = (await margins_of("weex", weex_account([], "1000", unrealizePnl=None))).values()
    assert (margin.equity, margin.maintenance, margin.positions) == (D(1000), D(0), ())


@pytest.mark.parametrize("side", ["SHORT", "LONG"])
async def test_weex_without_an_end_tells_no_maintenance(side: str) -> None:
    """Zero is its word for none; of a long the price alone would make the need too small."""
    row = eth_short("2", "1000") | {"side": side} | ({"liquidatePrice": "0"} if side == "SHORT" else {})
    with pytest.raises(NotOfferedError, match="price of liquidation"):
        await margins_of("weex", weex_account([row], "1000"))


@pytest.mark.parametrize(
    ("row", "account", "match"),
    [
        ({"liquidatePrice": None}, {}, "liquidatePrice is None"),
        ({"liquidatePrice": "-1"}, {}, "negative"),
        ({"liquidatePrice": "9000"}, {}, "disagrees"),
        ({"liquidatePrice": "2100"}, {}, "disagrees"),
        ({"marginType": None}, {}, "cross or isolated is not told"),
        ({"marginType": "SHARED"}, {}, "neither cross nor isolated"),
        ({"leverage": None}, {}, "leverage is None"),
        ({"leverage": "0"}, {}, "leverage is 0"),
        ({"size": None}, {}, "size is None"),
        ({"side": None}, {}, "side is None"),
        ({}, {"balance": None}, "balance is None"),
        ({}, {"unrealizePnl": None}, "unrealizePnl is None"),
        ({}, {"asset": "USDC"}, "no row is of the account behind ETH/USDT:USDT"),
    ],
)
async def test_weex_rows_in_part(row: Mapping[str, Any], account: Mapping[str, Any], match: str) -> None:
    held = {key: value for key, value in (eth_short("2", "1000") | dict(row)).items() if value is not None}
    await unread("weex", weex_account([held], **{"balance": "1000", **account}), match)
