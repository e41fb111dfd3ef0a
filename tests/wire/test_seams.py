"""The places where faults are put in: around each request, and on each stream's way out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from keeper.sim.control import ControlServer
from keeper.sim.server import SimServer
from keeper.sim.types import MarketKind, linear
from keeper.sim.wire.dispatch import Proceed, Reply, open_gate
from keeper.sim.wire.request import Call
from keeper.sim.wire.streams import Connection
from tests.wire.conftest import INVERSE, KEY, LINEAR, Venue


def is_order(call: Call) -> bool:
    return (call.method, call.path) == ("POST", "/fapi/v1/order")


async def test_a_reply_that_is_lost_after_the_order_was_taken(client: Any, venue: Venue) -> None:
    async def lose(call: Call, proceed: Proceed) -> Reply:
        reply = await proceed()
        return replace(reply, dropped=True) if is_order(call) else reply

    venue.server.gate = lose
    with pytest.raises(ccxt.pro.NetworkError):
        await client.create_order(LINEAR, "market", "sell", 0.5, params={"newClientOrderId": "lost"})
    assert venue.exchange.truth(KEY).positions[linear("BTCUSDT")] == Decimal("-0.5")
    assert venue.server.count("/fapi/v1/order", "POST") == 1
    venue.server.gate = open_gate
    assert (await client.fetch_order(None, LINEAR, {"origClientOrderId": "lost"}))["status"] == "closed"


async def test_a_request_that_never_arrives(client: Any, venue: Venue) -> None:
    async def refuse(_call: Call, _proceed: Proceed) -> Reply:
        return Reply(503, '{"code":-1000,"msg":"Unknown error, please check your request or try again later."}')

    venue.server.gate = refuse
    with pytest.raises(ccxt.pro.BaseError):
        await client.create_order(LINEAR, "market", "sell", 0.5)
    assert not venue.exchange.truth(KEY).positions


async def test_a_reply_that_is_no_json_is_handed_on_as_text_by_the_client(client: Any, venue: Venue) -> None:
    async def garble(_call: Call, proceed: Proceed) -> Reply:
        return replace(await proceed(), text="<html>")

    venue.server.gate = garble
    assert await client.fapiPrivateV3GetAccount() == "<html>"


async def test_requests_are_written_down_without_their_signatures(client: Any, venue: Venue) -> None:
    await client.create_order(LINEAR, "market", "sell", 0.5)
    entry = venue.server.requests[-1]
    assert (entry.method, entry.path, entry.status, entry.code) == ("POST", "/fapi/v1/order", 200, 0)
    assert entry.params["symbol"] == "BTCUSDT"
    assert "signature" not in entry.params


async def test_stream_messages_may_be_dropped_and_sockets_cut(client: Any, venue: Venue) -> None:
    dropped: list[str] = []

    def drop(_connection: Connection, text: str) -> tuple[str, ...]:
        if "24hr" in text:
            dropped.append(text)
            return ()
        return (text,)

    venue.server.hub.outgoing = drop
    pending = asyncio.ensure_future(client.watch_ticker(LINEAR))
    while not dropped:
        await venue.server.clock.sleep(0.01)
    assert not pending.done()
    venue.server.hub.cut_all()
    with pytest.raises(ccxt.pro.NetworkError):
        await asyncio.wait_for(pending, 5)


async def test_a_port_that_is_taken(venue: Venue) -> None:
    for second in (
        SimServer(venue.exchange, clock=venue.server.clock, port=venue.server.port),
        ControlServer(venue.exchange, KEY, clock=venue.server.clock, port=venue.server.port),
    ):
        with pytest.raises(OSError, match="in use"):
            await second.start()
        await second.stop()


async def test_dated_contracts(venue: Venue) -> None:
    expiry_ms = 1_798_185_600_000  # 2026-12-25 08:00 UTC
    for kind, symbol in ((MarketKind.LINEAR, "BTCUSDT"), (MarketKind.INVERSE, "BTCUSD_PERP")):
        perpetual = next(market for market in venue.exchange.markets(kind) if market.symbol == symbol)
        dated = replace(perpetual, symbol=f"{perpetual.pair}_261225", expiry_ms=expiry_ms)
        venue.exchange.add_market(dated)
    client = venue.client()
    await client.load_markets()
    for symbol, amount, params in (
        (f"{LINEAR}-261225", 0.5, {}),
        (f"{INVERSE}-261225", 100, {"subType": "inverse"}),
    ):
        assert client.market(symbol)["expiry"] == expiry_ms
        order = await client.create_order(symbol, "market", "sell", amount)
        assert order["status"] == "closed"
        (position,) = await client.fetch_positions([symbol], params)
        assert (position["symbol"], position["contracts"]) == (symbol, amount)
        assert (await client.fetch_mark_price(symbol))["markPrice"] > 0
