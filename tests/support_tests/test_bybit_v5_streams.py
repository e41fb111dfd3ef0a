"""The stand-in's WebSockets, seen through the real client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.support.bybit_v5 import BybitV5
from tests.support.bybit_v5.client import Client, client_of, errors

D = Decimal
LINEAR, INVERSE, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"
PATIENCE_SECONDS = 3.0


@pytest.fixture
async def client(venue: BybitV5) -> AsyncIterator[Client]:
    # the snapshot that watch_positions takes over REST is another test's business
    async with client_of(venue, options={"watchPositions": {"fetchPositionsSnapshot": False}}) as connected:
        await connected.load_markets()
        yield connected


async def while_watching(venue: BybitV5, watch: Any, topic: str, act: Any) -> Any:
    """Start a watch, act once its subscription stands, and give what the watch saw."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        watching = asyncio.ensure_future(watch)
        await venue.streams.subscribed(topic)
        done = act()
        if done is not None:
            await done
        return await watching


def sell(client: Client, symbol: str = LINEAR, amount: float = 1) -> Any:
    params = {"timeInForce": "IOC", "clientOrderId": f"k-{client.market(symbol)['id']}"}
    return client.create_order(symbol, "limit", "sell", amount, 59_700, params)


async def test_orders(venue: BybitV5, client: Client) -> None:
    rows = await while_watching(venue, client.watch_orders(LINEAR), "order", lambda: sell(client))
    assert (rows[0]["status"], rows[0]["filled"], rows[0]["clientOrderId"]) == ("closed", 1, "k-BTCUSDT")


async def test_positions_tell_of_every_order(venue: BybitV5, client: Client) -> None:
    rows = await while_watching(venue, client.watch_positions(), "position", lambda: sell(client))
    assert (rows[0]["side"], rows[0]["contracts"], rows[0]["entryPrice"]) == ("short", 1, 59_994)
    venue.set_book(LINEAR, levels=0)
    rows = await while_watching(
        venue, client.watch_positions(), "position", lambda: client.create_order(LINEAR, "limit", "sell", 1, 61_000)
    )
    assert rows[0]["contracts"] == 1  # placed, nothing moved, told all the same


async def test_a_closing_event_has_no_side(venue: BybitV5, client: Client) -> None:
    venue.set_position(LINEAR, -1)
    rows = await while_watching(venue, client.watch_positions(), "position", lambda: venue.liquidate(LINEAR) and None)
    assert (rows[0]["side"], rows[0]["contracts"]) == (None, 0)


async def test_balance_is_equity_and_lists_what_moved(venue: BybitV5, client: Client) -> None:
    venue.set_position(INVERSE, -60_000, 66_000)
    balance = await while_watching(venue, client.watch_balance(), "wallet", lambda: venue.deposit("BTC", 1))
    assert balance["total"] == {"BTC": float(venue.equity("BTC"))}
    assert float(venue.wallet("BTC")) == 6 != balance["BTC"]["total"]


async def test_tickers(venue: BybitV5, client: Client) -> None:
    linear, coin, spot = [await client.watch_ticker(symbol) for symbol in (LINEAR, INVERSE, SPOT)]
    assert (linear["symbol"], coin["symbol"], spot["symbol"]) == (LINEAR, INVERSE, SPOT)
    assert linear["bid"] < linear["markPrice"] < linear["ask"]
    assert (spot["last"], spot["bid"]) == (60_000, None)
    moved = await while_watching(
        venue, client.watch_ticker(LINEAR), "tickers.BTCUSDT", lambda: venue.set_price("BTC", 61_000)
    )
    assert (moved["markPrice"], moved["last"]) == (61_000, 61_000)


async def test_late_fills_are_late_here_too(venue: BybitV5, client: Client) -> None:
    venue.delay_fills(1, position_queries=0)
    await sell(client)

    async def look() -> None:
        venue.deposit("SOL", 1)
        await client.fetch_open_orders(LINEAR, params={"orderLinkId": "k-BTCUSDT"})

    rows = await while_watching(venue, client.watch_orders(), "order", look)
    assert rows[0]["status"] == "closed"


async def test_a_cut_stream_is_an_error_and_can_be_watched_again(venue: BybitV5, client: Client) -> None:
    with pytest.raises(errors.NetworkError):
        await while_watching(venue, client.watch_orders(), "order", venue.cut_streams)
    rows = await while_watching(venue, client.watch_orders(), "order", lambda: sell(client))
    assert rows[0]["filled"] == 1


async def test_a_silent_stream(venue: BybitV5, client: Client) -> None:
    venue.silence_streams()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await while_watching(venue, client.watch_positions(), "position", lambda: sell(client))
    assert venue.position(LINEAR) == -1


async def test_repeated_and_garbled_frames(venue: BybitV5) -> None:
    venue.repeat_events(2)
    url = venue.ccxt_urls()["ws"]["public"]["spot"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json({"op": "subscribe", "req_id": "1", "args": ["tickers.BTCUSDT"]})
        assert (await socket.receive_json(timeout=PATIENCE_SECONDS))["success"] is True
        frames = [await socket.receive_json(timeout=PATIENCE_SECONDS) for _ in range(3)]
        assert [frame["data"]["symbol"] for frame in frames] == ["BTCUSDT"] * 3
        venue.garble_streams()
        with pytest.raises(ValueError, match="Expecting"):
            await socket.receive_json(timeout=PATIENCE_SECONDS)


async def test_a_refused_login(venue: BybitV5, client: Client) -> None:
    venue.refuse_logins()
    with pytest.raises(errors.ExchangeError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await client.watch_orders()


async def test_orders_over_the_trade_socket(venue: BybitV5, client: Client) -> None:
    made = await client.create_order_ws(LINEAR, "limit", "sell", 1, 59_700, {"timeInForce": "IOC"})
    assert made["id"] == venue.accepted_orders[0].order_id
    with pytest.raises(errors.InvalidOrder, match="110017"):
        await client.create_order_ws(LINEAR, "limit", "sell", 1, 59_700, {"reduceOnly": True})
