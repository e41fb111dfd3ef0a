"""What a client watches: prices in public, and its own account on user streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt.pro
import pytest

from keeper.sim.types import WalletKind
from tests.wire.conftest import INVERSE, KEY, LINEAR, SPOT, Venue

ALL = [SPOT, LINEAR, INVERSE]
CONTRACTS = [LINEAR, INVERSE]
AMOUNTS = {SPOT: 0.5, LINEAR: 0.5, INVERSE: 100}
PARAMS: dict[str, dict[str, Any]] = {
    SPOT: {"type": "spot"},
    LINEAR: {"type": "swap", "subType": "linear"},
    INVERSE: {"type": "swap", "subType": "inverse"},
}
SECONDS = 5


async def soon(awaitable: Awaitable[Any]) -> Any:
    """The result, which must come within a few seconds."""
    return await asyncio.wait_for(awaitable, SECONDS)


async def settled(venue: Venue) -> None:
    """Let the sockets carry what has been sent."""
    await venue.server.clock.sleep(0.05)


async def listening(venue: Venue) -> None:
    """Wait until a client has its user stream."""
    while not any(connection.account == KEY for connection in venue.server.hub.connections):
        await venue.server.clock.sleep(0.01)
    await settled(venue)


@pytest.mark.parametrize("symbol", ALL)
async def test_tickers_and_best_prices(client: Any, venue: Venue, symbol: str) -> None:
    assert (await soon(client.watch_ticker(symbol)))["last"] == pytest.approx(65_000, rel=1e-2)
    assert symbol in await soon(client.watch_tickers([symbol]))
    best = (await soon(client.watch_bids_asks([symbol])))[symbol]
    assert best["bid"] < best["ask"]
    pending = asyncio.ensure_future(client.watch_bids_asks([symbol]))
    await settled(venue)
    venue.exchange.set_price("BTC", Decimal(66_000))
    assert (await soon(pending))[symbol]["bid"] == pytest.approx(66_000, rel=1e-3)


@pytest.mark.parametrize("symbol", CONTRACTS)
async def test_mark_prices(client: Any, venue: Venue, symbol: str) -> None:
    assert (await soon(client.watch_mark_price(symbol)))["markPrice"] == 65_000
    venue.exchange.set_price("BTC", Decimal(66_000))
    while (await soon(client.watch_mark_price(symbol)))["markPrice"] != 66_000:
        pass
    everything = await soon(client.watch_mark_prices(None, PARAMS[symbol]))
    assert symbol in everything


@pytest.mark.parametrize("symbol", ALL)
async def test_the_book_follows_its_snapshot(client: Any, venue: Venue, symbol: str) -> None:
    book = await soon(client.watch_order_book(symbol))
    first = book["nonce"]
    for price in (66_000, 66_500, 64_000):
        pending = asyncio.ensure_future(client.watch_order_book(symbol))
        await settled(venue)
        venue.exchange.set_price("BTC", Decimal(price))
        book = await soon(pending)
        assert book["bids"][0][0] < price < book["asks"][0][0]
        rest = await client.fetch_order_book(symbol, 1000)
        assert (book["bids"], book["asks"]) == (rest["bids"], rest["asks"])
    assert book["nonce"] > first


@pytest.mark.parametrize("symbol", ALL)
async def test_trades_and_bars(client: Any, venue: Venue, symbol: str) -> None:
    pending = asyncio.ensure_future(client.watch_trades(symbol))
    await settled(venue)
    await client.create_order(symbol, "market", "sell", AMOUNTS[symbol])
    (trade, *_) = await soon(pending)
    assert (trade["symbol"], trade["side"]) == (symbol, "sell")
    (bar, *_) = await soon(client.watch_ohlcv(symbol, "1m"))
    assert bar[0] % 60_000 == 0
    assert bar[4] == pytest.approx(65_000, rel=1e-2)


@pytest.mark.parametrize("symbol", ALL)
async def test_orders_trades_and_balances_of_the_account(client: Any, venue: Venue, symbol: str) -> None:
    params = PARAMS[symbol]
    orders = asyncio.ensure_future(client.watch_orders(symbol))
    trades = asyncio.ensure_future(client.watch_my_trades(symbol))
    balance = asyncio.ensure_future(client.watch_balance(params))
    await soon(listening(venue))
    made = await client.create_order(symbol, "market", "sell", AMOUNTS[symbol], params={"clientOrderId": "mine"})
    seen = await soon(orders)
    assert (seen[-1]["id"], seen[-1]["clientOrderId"]) == (made["id"], "mine")
    fill = (await soon(trades))[-1]
    assert (fill["order"], fill["side"]) == (made["id"], "sell")
    assert fill["fee"]["cost"] > 0
    changed = await soon(balance)
    asset = "BTC" if symbol == INVERSE else "USDT"
    told = await client.fetch_balance(params)
    figure = "total" if symbol == SPOT else "info"
    if figure == "total":
        assert changed[asset]["total"] == pytest.approx(told[asset]["total"])
    else:
        wallet = next(row for row in told["info"]["assets"] if row["asset"] == asset)["walletBalance"]
        assert changed[asset]["total"] == pytest.approx(float(wallet))


@pytest.mark.parametrize("symbol", ALL)
async def test_a_cancelled_order_is_told(client: Any, venue: Venue, symbol: str) -> None:
    resting = await client.create_order(symbol, "limit", "sell", AMOUNTS[symbol], 70_000, {"clientOrderId": "rest"})
    orders = asyncio.ensure_future(client.watch_orders(symbol))
    await soon(listening(venue))
    await client.cancel_order(resting["id"], symbol)
    (last, *_) = await soon(orders)
    assert (last["id"], last["status"], last["clientOrderId"]) == (resting["id"], "canceled", "rest")


@pytest.mark.parametrize("symbol", CONTRACTS)
async def test_positions_of_the_account(client: Any, venue: Venue, symbol: str) -> None:
    client.options["watchPositions"]["fetchPositionsSnapshot"] = False  # it asks USDⓈ-M, for COIN-M too
    pending = asyncio.ensure_future(client.watch_positions([symbol]))
    await soon(listening(venue))
    await client.create_order(symbol, "market", "sell", AMOUNTS[symbol])
    (position,) = await soon(pending)
    assert (position["side"], position["contracts"]) == ("short", AMOUNTS[symbol])


async def test_a_deposit_is_told_on_spot(client: Any, venue: Venue) -> None:
    pending = asyncio.ensure_future(client.watch_balance({"type": "spot"}))
    await soon(listening(venue))
    venue.exchange.deposit(KEY, "BTC", Decimal(1), WalletKind.SPOT)
    assert "BTC" in await soon(pending)


async def test_a_refused_subscription(venue: Venue) -> None:
    wrong = venue.client(secret="nonsense", options={"fetchCurrencies": False, "fetchMargins": False})
    with pytest.raises(KeyError) as caught:  # the client stumbles over the cleaning up after the refusal
        await soon(wrong.watch_balance({"type": "spot"}))
    assert isinstance(caught.value.__context__, ccxt.pro.AuthenticationError)
    assert "-1022" in str(caught.value.__context__)


@pytest.mark.parametrize("symbol", ALL)
async def test_orders_over_the_socket(client: Any, venue: Venue, symbol: str) -> None:
    made = await soon(client.create_order_ws(symbol, "limit", "sell", AMOUNTS[symbol], 70_000))
    assert made["status"] == "open"
    assert (await soon(client.fetch_order_ws(made["id"], symbol)))["id"] == made["id"]
    assert (await soon(client.cancel_order_ws(made["id"], symbol)))["status"] == "canceled"
    with pytest.raises(ccxt.pro.OrderNotFound):
        await soon(client.cancel_order_ws(made["id"], symbol))
    placed = [entry for entry in venue.server.requests if entry.path.endswith("/order") and entry.over_socket]
    assert [entry.method for entry in placed] == ["POST", "GET", "DELETE", "DELETE"]


async def test_listen_keys(client: Any, venue: Venue) -> None:
    key = (await client.fapiPrivatePostListenKey())["listenKey"]
    assert (await client.fapiPrivatePostListenKey())["listenKey"] == key
    await client.fapiPrivatePutListenKey()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{venue.server.ws_url}/fstream/ws/{key}") as socket,
    ):
        await client.set_leverage(7, LINEAR)
        told = json.loads(await soon(socket.receive_str()))
        assert (told["e"], told["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": "BTCUSDT", "l": 7})
        venue.server.user_streams.expire(now=True)
        assert json.loads(await soon(socket.receive_str()))["e"] == "listenKeyExpired"
    with pytest.raises(ccxt.pro.AuthenticationError, match="-1125"):
        await client.fapiPrivatePutListenKey()


async def test_raw_and_combined_addresses_and_subscription_requests(venue: Venue) -> None:
    base = f"{venue.server.ws_url}/fstream"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{base}/ws/btcusdt@markPrice@1s") as socket:
            assert json.loads(await soon(socket.receive_str()))["e"] == "markPriceUpdate"
        async with session.ws_connect(f"{base}/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker") as socket:
            told = [json.loads(await soon(socket.receive_str())) for _ in range(2)]
            assert [row["stream"] for row in told] == ["btcusdt@bookTicker", "ethusdt@bookTicker"]
        async with session.ws_connect(f"{base}/ws") as socket:
            for request, answer in (
                ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}, {"result": None, "id": 1}),
                ({"method": "LIST_SUBSCRIPTIONS", "id": 2}, {"result": ["btcusdt@trade"], "id": 2}),
                ({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3}, {"result": None, "id": 3}),
                ({"method": "LIST_SUBSCRIPTIONS", "id": 4}, {"result": [], "id": 4}),
            ):
                await socket.send_json(request)
                assert json.loads(await soon(socket.receive_str())) == answer


async def test_a_server_that_stops_closes_its_sockets(venue: Venue) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{venue.server.ws_url}/fstream/ws/btcusdt@trade") as socket,
    ):
        await soon(venue.server.stop())
        assert (await soon(socket.receive())).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
