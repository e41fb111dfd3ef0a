"""Venues where an order whose answer is lost could never be found again: looked at, and never traded on."""

from __future__ import annotations

import pytest

from keeper.errors import UnsafeError
from keeper.venue.capabilities import capability_of
from keeper.venue.recipes import Capability, Lookups
from tests.venue.helpers import DRY_RUN, LIVE, venue_of

WHOLE = {"fetchOpenOrders": True, "fetchClosedOrders": True, "fetchMyTrades": True}


@pytest.mark.parametrize(
    ("exchange", "why"),
    [
        ("mudrex", "no id of ours"),
        ("hibachi", "no id of ours"),
        ("krakenfutures", "as cancelled"),
        ("gemini", "open and closed orders cannot be listed"),
        ("btse", "open and closed orders cannot be listed"),
        ("dydx", "executions cannot be listed"),
    ],
)
async def test_no_order_is_sent_where_none_could_be_found_again(exchange: str, why: str) -> None:
    with pytest.raises(UnsafeError, match=why):
        venue_of(exchange, policy=LIVE)
    await venue_of(exchange, policy=DRY_RUN).close()


@pytest.mark.parametrize(
    "exchange",
    ["binance", "bybit", "okx", "deribit", "bingx", "mexc", "weex", "gate", "bitget", "kucoin", "kucoinfutures"],
)
async def test_orders_are_sent_where_they_can_be_found_again(exchange: str) -> None:
    await venue_of(exchange, policy=LIVE).close()


def test_what_makes_an_order_findable() -> None:
    assert Capability().unresolvable(WHOLE) is None
    assert Capability().unresolvable({**WHOLE, "fetchClosedOrders": "emulated"}) is not None
    assert Capability().unresolvable({**WHOLE, "fetchClosedOrders": False, "fetchCanceledOrders": True}) is None
    assert Capability().unresolvable({**WHOLE, "fetchOpenOrders": False}) is not None
    by_id = Capability(lookups=Lookups(unified="clientOid"))
    assert by_id.unresolvable({"fetchMyTrades": True}) is None
    assert by_id.unresolvable({}) == "executions cannot be listed"
    assert capability_of("mudrex").unresolvable(WHOLE) == "orders carry no id of ours"
