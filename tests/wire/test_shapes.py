"""The served payloads against recorded ones: every field that Binance sends is there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from keeper.sim.types import linear
from tests.wire.conftest import KEY, LINEAR, SAMPLES, SPOT, Venue

pytestmark = pytest.mark.shared

# Left out on purpose: fields that Binance added to the recorded streams for its own products, and order lists.
NOT_SERVED = {"st", "ps", "sors"}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def missing(recorded: Any, served: Any, path: str = "") -> set[str]:
    """Names in ``recorded`` that ``served`` lacks, deeply; lists are compared by their first items."""
    if isinstance(recorded, dict):
        if not isinstance(served, dict):
            return {f"{path}: not an object"}
        found = set()
        for name, value in recorded.items():
            if name in NOT_SERVED:
                continue
            if name not in served:
                found.add(f"{path}/{name}")
            else:
                found |= missing(value, served[name], f"{path}/{name}")
        return found
    if isinstance(recorded, list) and recorded and isinstance(served, list) and served:
        return missing(recorded[0], served[0], f"{path}[]")
    if isinstance(recorded, bool | str | int) and not isinstance(served, type(recorded)):
        return {f"{path}: {type(served).__name__}, not {type(recorded).__name__}"}
    return set()


@pytest.mark.parametrize(
    ("name", "call", "params"),
    [
        ("depth_response", "publicGetDepth", {"symbol": "BTCUSDT"}),
        ("avg_price_response", "publicGetAvgPrice", {"symbol": "BTCUSDT"}),
        ("book_ticker_response", "publicGetTickerBookTicker", {"symbol": "BTCUSDT"}),
        ("exchange_info_response", "publicGetExchangeInfo", {}),
        ("klines_response", "publicGetKlines", {"symbol": "BTCUSDT", "interval": "1m"}),
        ("server_time_response", "publicGetTime", {}),
        ("ticker_24hr_response", "publicGetTicker24hr", {"symbol": "BTCUSDT"}),
        ("ticker_price_response", "publicGetTickerPrice", {"symbol": "BTCUSDT"}),
        ("trades_response", "publicGetTrades", {"symbol": "BTCUSDT"}),
        ("ping_response", "publicGetPing", {}),
        ("account_response", "privateGetAccount", {}),
        ("account_trades_response", "privateGetMyTrades", {"symbol": "BTCUSDT"}),
        ("all_orders_response", "privateGetAllOrders", {"symbol": "BTCUSDT"}),
        ("open_orders_response", "privateGetOpenOrders", {"symbol": "BTCUSDT"}),
    ],
)
async def test_spot_over_http(client: Any, name: str, call: str, params: dict[str, str]) -> None:
    await client.create_order(SPOT, "market", "sell", 0.5)
    await client.create_order(SPOT, "limit", "sell", 0.5, 70_000)
    await getattr(client, call)(params)
    served = json.loads(client.last_http_response)
    assert not missing(sample(f"spot/http_json/{name}.json"), served)


async def test_spot_orders_over_http(client: Any) -> None:
    request = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.5"}
    await client.privatePostOrder(request | {"type": "MARKET", "newOrderRespType": "FULL"})
    served = json.loads(client.last_http_response)
    assert not missing(sample("spot/http_json/new_order_full_response.json"), served)
    limit = {"type": "LIMIT", "price": "70000", "timeInForce": "GTC"}
    made = await client.privatePostOrder(request | limit)
    named = {"symbol": "BTCUSDT", "orderId": made["orderId"]}
    await client.privateGetOrder(named)
    assert not missing(sample("spot/http_json/order_response.json"), json.loads(client.last_http_response))
    await client.privateDeleteOrder(named)
    assert not missing(sample("spot/http_json/cancel_order_response.json"), json.loads(client.last_http_response))
    await client.privatePostOrder(request | limit)
    await client.privateDeleteOpenOrders({"symbol": "BTCUSDT"})
    assert not missing(sample("spot/http_json/cancel_open_orders_response.json"), json.loads(client.last_http_response))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("account_info_v2", "fapiPrivateV2GetAccount"),
        ("balance", "fapiPrivateV2GetBalance"),
        ("position_risk", "fapiPrivateV2GetPositionRisk"),
    ],
)
async def test_futures_over_http(client: Any, name: str, call: str) -> None:
    await getattr(client, call)()
    assert not missing(sample(f"futures/http_json/{name}.json"), json.loads(client.last_http_response))


async def test_futures_orders_over_http(client: Any) -> None:
    made = await client.create_order(LINEAR, "limit", "sell", 0.5, 70_000)
    await client.fapiPrivateGetOrder({"symbol": "BTCUSDT", "orderId": made["id"]})
    assert not missing(sample("futures/http_json/order_response.json"), json.loads(client.last_http_response))


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("agg_trade_stream", "btcusdt@aggTrade"),
        ("trade_stream", "btcusdt@trade"),
        ("book_ticker_stream", "btcusdt@bookTicker"),
        ("depth_update_stream", "btcusdt@depth@100ms"),
        ("kline_stream_open", "btcusdt@kline_1m"),
        ("mark_price_stream", "btcusdt@markPrice@1s"),
        ("ticker_stream", "btcusdt@ticker"),
        ("liquidation_stream", "btcusdt@forceOrder"),
    ],
)
async def test_futures_streams(client: Any, venue: Venue, name: str, stream: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{venue.server.ws_url}/fstream/ws/{stream}") as socket,
    ):
        await client.create_order(LINEAR, "market", "sell", 0.5)
        venue.exchange.auto_deleverage(KEY, linear("BTCUSDT"))
        served = json.loads(await asyncio.wait_for(socket.receive_str(), 5))
        assert not missing(sample(f"futures/market_data_json/{name}.json"), served)


async def _told(socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
    """All messages that come within a short time."""
    told = []
    try:
        while True:
            told.append(json.loads(await asyncio.wait_for(socket.receive_str(), 0.3)))
    except TimeoutError:
        return told


async def test_futures_user_data(client: Any, venue: Venue) -> None:
    key = (await client.fapiPrivatePostListenKey())["listenKey"]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{venue.server.ws_url}/fstream/ws/{key}") as socket,
    ):
        await client.create_order(LINEAR, "market", "sell", 0.5)
        told = await _told(socket)
    orders = {row["o"]["x"]: row for row in told if row["e"] == "ORDER_TRADE_UPDATE"}
    for execution, name in (("NEW", "order_update_new"), ("TRADE", "order_update_trade")):
        recorded = sample(f"futures/user_data_json/{name}.json")
        gone = missing(recorded, orders[execution])
        assert gone <= {"/o/N", "/o/n"}, name  # an order that has no fill yet has no commission
    account = next(row for row in told if row["e"] == "ACCOUNT_UPDATE")
    assert not missing(sample("futures/user_data_json/account_update.json"), account)


async def test_spot_user_data(client: Any, venue: Venue) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{venue.server.ws_url}/ws-api/v3") as socket,
    ):
        request = {"id": "1", "method": "userDataStream.subscribe.signature", "params": client.sign_params({})}
        await socket.send_json(request)
        assert (await _told(socket))[0]["result"] == {"subscriptionId": 0}
        resting = await client.create_order(SPOT, "limit", "sell", 0.5, 70_000)
        await client.cancel_order(resting["id"], SPOT)
        await client.create_order(SPOT, "market", "sell", 0.5)
        await client.create_order(SPOT, "limit", "sell", 0.5, 70_000, {"timeInForce": "IOC"})
        await client.transfer("USDT", 5, "spot", "linear")
        told = [row["event"] for row in await _told(socket)]
    reports = {row["x"]: row for row in told if row["e"] == "executionReport"}
    for execution in ("NEW", "TRADE", "CANCELED", "EXPIRED"):
        recorded = sample(f"spot/user_data_json/execution_report_{execution.lower()}.json")
        assert missing(recorded, reports[execution]) <= {"/eR"}, execution
    for event, name in (("outboundAccountPosition", "account_position"), ("balanceUpdate", "balance_update")):
        served = next(row for row in told if row["e"] == event)
        assert not missing(sample(f"spot/user_data_json/{name}.json"), served)
