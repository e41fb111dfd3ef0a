"""What is refused, and in which words: keys, clocks, filters, margin, modes.

Off Binance's own hosts the client knows only the codes that all products share, so that some refusals arrive as plain
``ExchangeError``; the code in the text is what tells them apart.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import ccxt.pro
import pytest

from keeper.sim.types import MarketStatus, Permissions, linear
from tests.wire.conftest import INVERSE, KEY, LINEAR, SPOT, Venue


async def test_a_wrong_secret_and_a_wrong_key(venue: Venue) -> None:
    wrong = venue.client(secret="nonsense")
    with pytest.raises(ccxt.pro.AuthenticationError, match="-1022"):
        await wrong.fetch_balance({"type": "swap"})
    unknown = venue.client(apiKey="nobody")
    with pytest.raises(ccxt.pro.AuthenticationError, match="-2015"):
        await unknown.fapiPrivateV3GetAccount()


@pytest.mark.parametrize(("shift_ms", "words"), [(5_000, "1000ms ahead"), (-20_000, "outside of the recvWindow")])
async def test_a_clock_that_is_off(venue: Venue, shift_ms: int, words: str) -> None:
    client = venue.client(options={"timeDifference": -shift_ms})
    with pytest.raises(ccxt.pro.InvalidNonce, match=words):
        await client.fapiPrivateV3GetAccount()


async def test_unsigned_and_unknown_requests(venue: Venue) -> None:
    async with aiohttp.ClientSession(venue.server.base_url) as session:
        for path, key, status, code in (
            ("/fapi/v3/account", None, 401, -2014),
            ("/fapi/v3/account", "nobody", 401, -2015),
            ("/fapi/v3/account", KEY, 400, -1102),
            ("/fapi/v3/account?timestamp=1", KEY, 400, -1102),
            ("/fapi/v3/account?timestamp=1&signature=ab", KEY, 400, -1021),
            ("/fapi/v1/depth?symbol=NOPE", None, 400, -1121),
            ("/fapi/v1/depth", None, 400, -1102),
            ("/fapi/v1/klines?symbol=BTCUSDT&interval=7m", None, 400, -1120),
            ("/fapi/v9/nothing", None, 404, -1000),
        ):
            headers = {"X-MBX-APIKEY": key} if key else {}
            async with session.get(path, headers=headers) as answer:
                assert answer.status == status, path
                assert (await answer.json())["code"] == code, path


async def test_a_key_that_may_not_trade(client: Any, venue: Venue) -> None:
    venue.exchange.set_permissions(KEY, Permissions(futures=False, spot_trading=False))
    with pytest.raises(ccxt.pro.AuthenticationError, match="-2015"):
        await client.create_order(LINEAR, "market", "sell", 0.5)
    assert (await client.fetch_balance({"type": "swap"}))["USDT"]["total"] == 100_000


ORDER = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "LIMIT",
    "quantity": "0.5",
    "price": "70000",
    "timeInForce": "GTC",
}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"side": "UP"}, -1117),
        ({"type": "WISH"}, -1116),
        ({"type": "STOP_MARKET"}, -4120),
        ({"timeInForce": "NEVER"}, -1115),
        ({"quantity": ""}, -1102),
        ({"price": ""}, -1102),
        ({"quantity": "lots"}, -1100),
        ({"quantity": "1_0"}, -1100),
        ({"quantity": "-1"}, -4003),
        ({"type": "MARKET"}, -1106),
        ({"quantity": "0.0005"}, -1111),
        ({"price": "70000.05"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "100000"}, -4005),
        ({"quantity": "0.001", "price": "65100"}, -4164),
        ({"quantity": "0.002", "price": "65100"}, 0),
        ({"price": "900000"}, 0),
        ({"side": "BUY", "price": "900000"}, -4016),
        ({"price": "600"}, -4024),
        ({"quantity": "500"}, -2019),
        ({"reduceOnly": "true"}, -2022),
        ({"positionSide": "SHORT"}, -4061),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"price": "64000", "timeInForce": "GTX"}, -5022),
        ({"side": "BUY", "timeInForce": "FOK", "price": "64000"}, -5021),
    ],
)
async def test_a_bad_futures_order(client: Any, changes: dict[str, str], code: int) -> None:
    request = {name: value for name, value in (ORDER | changes).items() if value}
    if not code:
        await client.fapiPrivatePostOrder(request)
        return
    with pytest.raises(ccxt.pro.BaseError, match=rf'"code": ?{code}\b'):
        await client.fapiPrivatePostOrder(request)


async def test_too_small_a_notional(client: Any) -> None:
    with pytest.raises(ccxt.pro.ExchangeError, match="-4164"):
        await client.create_order("SOL/USDT:USDT", "market", "sell", 0.01)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"quantity": "0.0000001"}, "InvalidOrder", "LOT_SIZE"),
        ({"price": "70000.001"}, "InvalidOrder", "PRICE_FILTER"),
        ({"quantity": "0.00001"}, "BadRequest", "NOTIONAL"),
        ({"quantity": "50"}, "InsufficientFunds", "insufficient balance"),
        ({"type": "LIMIT_MAKER", "timeInForce": "", "price": "60000"}, "OrderImmediatelyFillable", "match and take"),
        ({"quantity": "0.123456789"}, "BadRequest", "-1111"),
        ({"symbol": "NOPE"}, "BadSymbol", "-1121"),
        ({"newClientOrderId": "x" * 37}, "BadRequest", "-1100"),
    ],
)
async def test_a_bad_spot_order(client: Any, changes: dict[str, str], kind: str, words: str) -> None:
    request = {name: value for name, value in (ORDER | changes).items() if value}
    with pytest.raises(getattr(ccxt.pro, kind), match=words):
        await client.privatePostOrder(request)


async def test_inverse_margin_and_reduce_only(client: Any) -> None:
    with pytest.raises(ccxt.pro.ExchangeError, match="-2019"):
        await client.create_order(INVERSE, "market", "sell", 30_000)
    with pytest.raises(ccxt.pro.ExchangeError, match="-2022"):
        await client.create_order(INVERSE, "market", "buy", 10, params={"reduceOnly": True})


async def test_orders_that_do_not_exist(client: Any) -> None:
    for symbol in (SPOT, LINEAR, INVERSE):
        with pytest.raises(ccxt.pro.OrderNotFound, match="-2013"):
            await client.fetch_order("123", symbol)
        with pytest.raises(ccxt.pro.OrderNotFound, match="-2013"):
            await client.fetch_order(None, symbol, {"origClientOrderId": "never"})
        with pytest.raises(ccxt.pro.OrderNotFound, match="-2011"):
            await client.cancel_order("123", symbol)
    with pytest.raises(ccxt.pro.BadRequest, match="-1102"):
        await client.fapiPrivateGetOrder({"symbol": "BTCUSDT"})


async def test_modes(client: Any) -> None:
    linear_product = {"subType": "linear"}
    with pytest.raises(ccxt.pro.OperationRejected, match="-4059"):
        await client.set_position_mode(False, LINEAR, linear_product)
    await client.create_order(LINEAR, "limit", "sell", 0.5, 70_000)
    with pytest.raises(ccxt.pro.OperationRejected, match="-4067"):
        await client.set_position_mode(True, LINEAR, linear_product)
    with pytest.raises(ccxt.pro.OperationRejected, match="-4047"):
        await client.set_margin_mode("isolated", LINEAR)
    await client.cancel_all_orders(LINEAR)
    await client.create_order(LINEAR, "market", "sell", 0.5)
    with pytest.raises(ccxt.pro.OperationRejected, match="-4068"):
        await client.set_position_mode(True, LINEAR, linear_product)
    with pytest.raises(ccxt.pro.OperationRejected, match="-4048"):
        await client.set_margin_mode("isolated", LINEAR)
    with pytest.raises(ccxt.pro.BadRequest, match="-4028"):
        await client.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": "500"})


async def test_hedge_mode_takes_sides(client: Any) -> None:
    await client.set_position_mode(True, LINEAR, {"subType": "linear"})
    with pytest.raises(ccxt.pro.OperationRejected, match="-4061"):
        await client.create_order(LINEAR, "market", "sell", 0.5)
    await client.create_order(LINEAR, "market", "sell", 0.5, params={"hedged": True})
    (position,) = await client.fetch_positions([LINEAR])
    assert (position["side"], position["hedged"]) == ("short", True)
    await client.create_order(LINEAR, "market", "buy", 0.5, params={"hedged": True, "reduceOnly": True})
    assert await client.fetch_positions([LINEAR]) == []


async def test_a_market_that_is_closed(client: Any, venue: Venue) -> None:
    venue.exchange.set_status(linear("BTCUSDT"), MarketStatus.SETTLING)
    with pytest.raises(ccxt.pro.ExchangeError, match="-4140"):
        await client.create_order(LINEAR, "market", "sell", 0.5)
    await client.load_markets(True)
    assert client.market(LINEAR)["active"] is False


async def test_limits(venue: Venue) -> None:
    client = venue.client()
    await client.load_markets()
    venue.server.dispatcher.set_limits(orders_per_ten_seconds=0)
    with pytest.raises(ccxt.pro.DDoSProtection, match="-1015"):
        await client.create_order(LINEAR, "market", "sell", 0.5)
    venue.server.dispatcher.set_limits(weight_per_minute=1)
    with pytest.raises(ccxt.pro.DDoSProtection, match="-1003"):
        await client.fetch_ticker(LINEAR)
    assert int(client.last_response_headers["X-MBX-USED-WEIGHT-1M"]) > 1
