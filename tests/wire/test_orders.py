"""What a client does with orders over HTTP, and what came of them."""

from __future__ import annotations

from typing import Any

import ccxt.pro
import pytest

from keeper.sim.types import linear
from tests.wire.conftest import INVERSE, KEY, LINEAR, SPOT, Venue

ORDERS = [(SPOT, 0.5), (LINEAR, 0.5), (INVERSE, 100)]


@pytest.mark.parametrize(("symbol", "amount"), ORDERS)
async def test_a_market_order_fills_and_leaves_its_traces(client: Any, symbol: str, amount: float) -> None:
    order = await client.create_order(symbol, "market", "sell", amount, params={"newClientOrderId": "first-one"})
    assert (order["status"], order["filled"], order["clientOrderId"]) == ("closed", amount, "first-one")
    assert order["average"] == pytest.approx(65_000, rel=1e-3)
    again = await client.fetch_order(order["id"], symbol)
    assert (again["status"], again["filled"], again["average"]) == ("closed", amount, order["average"])
    by_client_id = await client.fetch_order(None, symbol, {"origClientOrderId": "first-one"})
    assert by_client_id["id"] == order["id"]
    trades = await client.fetch_my_trades(symbol)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(amount)
    assert {trade["order"] for trade in trades} == {order["id"]}
    assert all(trade["fee"]["cost"] > 0 and trade["side"] == "sell" for trade in trades)
    assert [row["id"] for row in await client.fetch_closed_orders(symbol)] == [order["id"]]


@pytest.mark.parametrize(("symbol", "amount"), ORDERS)
async def test_a_resting_order_is_found_and_cancelled(client: Any, symbol: str, amount: float) -> None:
    first = await client.create_order(symbol, "limit", "sell", amount, 70_000, {"clientOrderId": "resting-1"})
    second = await client.create_order(symbol, "limit", "sell", amount, 71_000, {"postOnly": True})
    assert (first["status"], first["filled"], first["price"]) == ("open", 0, 70_000)
    assert second["postOnly"]
    open_ids = {row["id"] for row in await client.fetch_open_orders(symbol)}
    assert open_ids == {first["id"], second["id"]}
    done = await client.cancel_order(None, symbol, {"origClientOrderId": "resting-1"})
    assert (done["id"], done["status"]) == (first["id"], "canceled")
    await client.cancel_order(second["id"], symbol)
    assert await client.fetch_open_orders(symbol) == []
    assert {row["id"] for row in await client.fetch_canceled_orders(symbol)} == open_ids
    with pytest.raises(ccxt.pro.OrderNotFound, match="-2011"):
        await client.cancel_order(second["id"], symbol)


@pytest.mark.parametrize(("symbol", "amount"), ORDERS)
async def test_all_orders_of_a_symbol_are_cancelled_at_once(client: Any, symbol: str, amount: float) -> None:
    for price in (70_000, 71_000):
        await client.create_order(symbol, "limit", "sell", amount, price)
    await client.cancel_all_orders(symbol)
    assert await client.fetch_open_orders(symbol) == []


@pytest.mark.parametrize(("symbol", "amount"), ORDERS)
async def test_an_ioc_order_beyond_the_book_expires(client: Any, symbol: str, amount: float) -> None:
    order = await client.create_order(symbol, "limit", "sell", amount, 66_000, {"timeInForce": "IOC"})
    assert (order["status"], order["filled"]) == ("expired", 0)


async def test_open_orders_of_a_whole_product(client: Any) -> None:
    await client.create_order(LINEAR, "limit", "sell", 0.5, 70_000)
    await client.create_order("ETH/USDT:USDT", "limit", "sell", 1, 4_000)
    assert len(await client.fetch_open_orders(None, params={"type": "swap", "subType": "linear"})) == 2
    assert await client.fetch_open_orders(None, params={"type": "swap", "subType": "inverse"}) == []


async def test_an_acknowledged_order_says_nothing_of_its_fill(client: Any) -> None:
    row = await client.fapiPrivatePostOrder(
        {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.5", "newOrderRespType": "ACK"}
    )
    assert (row["status"], row["executedQty"]) == ("NEW", "0.000")


async def test_a_client_id_may_be_used_again_once_its_order_is_closed(client: Any) -> None:
    for symbol, amount in ORDERS:
        ids = {"newClientOrderId": "the-same"}
        first = await client.create_order(symbol, "limit", "sell", amount, 70_000, ids)
        with pytest.raises(ccxt.pro.ExchangeError, match=r"-2010.*Duplicate|-4116|Duplicate order"):
            await client.create_order(symbol, "limit", "sell", amount, 71_000, ids)
        await client.cancel_order(first["id"], symbol)
        second = await client.create_order(symbol, "limit", "sell", amount, 70_000, ids)
        found = await client.fetch_order(None, symbol, {"origClientOrderId": "the-same"})
        assert found["id"] == second["id"] != first["id"]


async def test_batches(client: Any) -> None:
    made = await client.create_orders(
        [
            {"symbol": LINEAR, "type": "limit", "side": "sell", "amount": 0.5, "price": 70_000},
            {"symbol": LINEAR, "type": "limit", "side": "sell", "amount": 0.5, "price": 71_000},
        ]
    )
    gone = await client.cancel_orders([row["id"] for row in made], LINEAR)
    assert [row["status"] for row in gone] == ["canceled", "canceled"]


async def test_funding_is_paid_and_listed(client: Any, venue: Venue) -> None:
    await client.create_order(LINEAR, "market", "sell", 0.5)
    venue.exchange.apply_funding(linear("BTCUSDT"))
    (paid,) = await client.fetch_funding_history(LINEAR)
    assert paid["code"] == "USDT"
    rate = (await client.fetch_funding_rate_history(LINEAR, limit=1))[0]["fundingRate"]
    assert paid["amount"] == pytest.approx(rate * 0.5 * 65_000, rel=1e-6)
    ledger = await client.fetch_ledger(None, params={"type": "swap"})
    assert len(ledger) >= 2


async def test_a_forced_close_is_listed(client: Any, venue: Venue) -> None:
    await client.create_order(LINEAR, "market", "sell", 0.5)
    venue.exchange.auto_deleverage(KEY, linear("BTCUSDT"))
    assert await client.fetch_positions() == []
    (row,) = await client.fetch_my_liquidations(LINEAR, params={"autoCloseType": "ADL"})
    assert (row["symbol"], row["contracts"]) == (LINEAR, 0.5)


async def test_the_quantile_of_a_position(client: Any) -> None:
    await client.create_order(LINEAR, "market", "sell", 0.5)
    (row,) = await client.fapiPrivateGetAdlQuantile({"symbol": "BTCUSDT"})
    assert "BOTH" in row["adlQuantile"]


async def test_a_spot_market_buy_by_cost(client: Any) -> None:
    order = await client.create_market_order_with_cost(SPOT, "buy", 1_000)
    assert order["cost"] == pytest.approx(1_000, rel=1e-2)
    assert order["filled"] == pytest.approx(1_000 / 65_000, rel=1e-2)
