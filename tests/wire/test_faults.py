"""What a real ccxt client makes of each fault over sockets."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt.pro
import pytest

from keeper.sim.fault_kinds import FaultKind, Trigger
from keeper.sim.faults import FaultMenu
from keeper.sim.types import linear
from tests.wire.conftest import KEY, LINEAR, SPOT, Venue

BTC = linear("BTCUSDT")


@pytest.fixture
def menu(venue: Venue) -> FaultMenu:
    made = FaultMenu(venue.exchange, seed=3)
    venue.exchange.intercept(made)
    return made


async def sell(client: Any, client_id: str = "mine") -> Any:
    return await client.create_order(LINEAR, "market", "sell", 0.5, params={"newClientOrderId": client_id})


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "is_in"),
    [
        (FaultKind.REPLY_LOST_BEFORE, ccxt.pro.NetworkError, False),
        (FaultKind.REPLY_LOST_AFTER, ccxt.pro.NetworkError, True),
        (FaultKind.UNKNOWN_503_BEFORE, ccxt.pro.OperationFailed, False),
        (FaultKind.UNKNOWN_503_AFTER, ccxt.pro.OperationFailed, True),
        (FaultKind.TIMEOUT_1007_AFTER, ccxt.pro.RequestTimeout, True),
        (FaultKind.GATEWAY_504_AFTER, ccxt.pro.RequestTimeout, True),
        (FaultKind.OVERLOADED, ccxt.pro.ExchangeError, False),
        (FaultKind.RATE_LIMITED, ccxt.pro.DDoSProtection, False),
        (FaultKind.BANNED, ccxt.pro.DDoSProtection, False),
        (FaultKind.MAINTENANCE, ccxt.pro.ExchangeNotAvailable, False),
        (FaultKind.MIN_NOTIONAL_REFUSAL, ccxt.pro.ExchangeError, False),
        (FaultKind.PRICE_BAND_REFUSAL, ccxt.pro.BadRequest, False),
    ],
)
async def test_orders(
    client: Any, venue: Venue, menu: FaultMenu, kind: FaultKind, error: type[Exception], is_in: bool
) -> None:
    menu.arm(kind)
    with pytest.raises(error):
        await sell(client)
    assert menu.fired == {kind: 1}
    assert venue.server.count("/fapi/v1/order", "POST") == 1
    assert venue.exchange.truth(KEY).positions == ({BTC: Decimal("-0.5")} if is_in else {})


@pytest.mark.parametrize(
    ("kind", "status", "code", "wait"),
    [
        (FaultKind.TIMEOUT_1007_AFTER, 408, -1007, None),
        (FaultKind.OVERLOADED, 503, -1008, None),
        (FaultKind.RATE_LIMITED, 429, -1003, "5"),
        (FaultKind.BANNED, 418, -1003, "120"),
        (FaultKind.MAINTENANCE, 503, 0, None),
    ],
)
async def test_statuses_codes_and_the_time_to_wait(
    client: Any, venue: Venue, menu: FaultMenu, kind: FaultKind, status: int, code: int, wait: str | None
) -> None:
    menu.arm(kind)
    with pytest.raises(ccxt.pro.BaseError):
        await sell(client)
    entry = venue.server.requests[-1]
    assert (entry.status, entry.code) == (status, code)
    assert client.last_response_headers.get("Retry-After") == wait


async def test_an_answer_that_cannot_be_read_hides_an_order_that_is_in(
    client: Any, venue: Venue, menu: FaultMenu
) -> None:
    menu.arm(FaultKind.ANSWER_MALFORMED)
    try:
        told = await sell(client)
    except Exception as error:  # noqa: BLE001 - the client trips over it one way or another
        told = {"id": None, "error": error}
    assert told["id"] is None
    assert venue.exchange.truth(KEY).positions == {BTC: Decimal("-0.5")}


async def test_an_order_is_denied_and_then_found(client: Any, menu: FaultMenu) -> None:
    menu.arm(FaultKind.NOT_FOUND_THEN_FOUND, readings=1, exact=True)
    await sell(client)
    with pytest.raises(ccxt.pro.OrderNotFound):
        await client.fetch_order(None, LINEAR, {"origClientOrderId": "mine"})
    assert (await client.fetch_order(None, LINEAR, {"origClientOrderId": "mine"}))["status"] == "closed"


async def test_fills_show_late(client: Any, menu: FaultMenu) -> None:
    menu.arm(FaultKind.FILLS_DELAYED, readings=1, exact=True)
    assert (await sell(client))["status"] == "open"
    order = await client.fetch_order(None, LINEAR, {"origClientOrderId": "mine"})
    assert (order["status"], order["filled"]) == ("open", 0)
    assert await client.fetch_my_trades(LINEAR) == []
    assert (await client.fetch_order(None, LINEAR, {"origClientOrderId": "mine"}))["filled"] == 0.5
    assert len(await client.fetch_my_trades(LINEAR)) == 1


async def test_an_order_arrives_late_or_never(client: Any, venue: Venue, menu: FaultMenu) -> None:
    menu.arm(FaultKind.LATE_ORDER, min_delay_ms=50, max_delay_ms=50)
    with pytest.raises(ccxt.pro.NetworkError):
        await sell(client)
    assert not venue.exchange.truth(KEY).accepted_orders
    await venue.server.clock.sleep(0.06)
    venue.server.tick()
    assert venue.exchange.truth(KEY).positions == {BTC: Decimal("-0.5")}
    menu.arm(FaultKind.LATE_ORDER, min_delay_ms=50, max_delay_ms=50, recv_window_ms=20)
    with pytest.raises(ccxt.pro.NetworkError):
        await sell(client, "never")
    await venue.server.clock.sleep(0.06)
    venue.server.tick()
    assert (menu.late_accepted, menu.late_refused) == (1, 1)


async def test_a_cancel_meets_a_fill(client: Any, venue: Venue, menu: FaultMenu) -> None:
    order = await client.create_order(LINEAR, "limit", "sell", 0.5, 67_000)
    menu.arm(FaultKind.CANCEL_FILL_RACE)
    with pytest.raises(ccxt.pro.OrderNotFound):
        await client.cancel_order(order["id"], LINEAR)
    assert venue.exchange.truth(KEY).positions == {BTC: Decimal("-0.5")}


# --- readings ---------------------------------------------------------------------------------------------------------


async def test_a_dropped_answer_is_asked_for_again_by_the_http_client(
    client: Any, venue: Venue, menu: FaultMenu
) -> None:
    await client.fetch_balance()
    menu.arm(FaultKind.READ_LOST, Trigger.count(1))
    await client.fetch_balance()  # aiohttp sends a GET once more when a kept connection breaks
    menu.arm(FaultKind.READ_LOST, Trigger.count(2))
    with pytest.raises(ccxt.pro.NetworkError):
        await client.fetch_balance()
    assert menu.fired[FaultKind.READ_LOST] == 3


async def test_balances_bent(client: Any, menu: FaultMenu) -> None:
    menu.arm(FaultKind.ZEROED, reading="spot_balances", name="BTC")
    assert (await client.fetch_balance())["BTC"]["total"] == 0
    menu.arm(FaultKind.TRUNCATED, reading="spot_balances")
    assert "USDT" not in (await client.fetch_balance())["total"]
    menu.arm(FaultKind.WRONG_SIGN, reading="spot_balances")
    assert (await client.fetch_balance())["BTC"]["total"] == -5
    menu.arm(FaultKind.NONE_FILLED, reading="spot_balances")
    assert (await client.fetch_balance())["BTC"]["free"] is None
    menu.arm(FaultKind.EMPTY, reading="spot_balances")
    assert (await client.fetch_balance())["total"] == {}
    assert (await client.fetch_balance())["BTC"]["total"] == 5


async def test_positions_bent(client: Any, menu: FaultMenu) -> None:
    await sell(client)
    rows = await client.fapiPrivateV2GetPositionRisk()
    menu.arm(FaultKind.TRUNCATED, reading="positions", rows=2)
    assert len(await client.fapiPrivateV2GetPositionRisk()) == len(rows) - 2
    menu.arm(FaultKind.WRONG_SIGN, reading="positions")
    bent = await client.fapiPrivateV2GetPositionRisk({"symbol": "BTCUSDT"})
    assert Decimal(bent[0]["positionAmt"]) == Decimal("0.5")
    menu.arm(FaultKind.NONE_FILLED, reading="positions")
    bent = await client.fapiPrivateV2GetPositionRisk({"symbol": "BTCUSDT"})
    assert (bent[0]["positionAmt"], bent[0]["symbol"]) == (None, "BTCUSDT")
    menu.arm(FaultKind.EMPTY, reading="positions")
    assert await client.fapiPrivateV2GetPositionRisk() == []


async def test_fills_told_twice(client: Any, menu: FaultMenu) -> None:
    await sell(client)
    menu.arm(FaultKind.FILLS_DUPLICATED)
    first, second = await client.fapiPrivateGetUserTrades({"symbol": "BTCUSDT"})
    assert first == second


async def test_a_body_that_is_spoilt(client: Any, menu: FaultMenu) -> None:
    menu.arm(FaultKind.READ_MALFORMED, Trigger.count(2))
    for _ in range(2):
        assert isinstance(await client.fapiPrivateV3GetAccount(), str)
    assert isinstance(await client.fapiPrivateV3GetAccount(), dict)


async def test_a_ban_holds_for_everything_until_its_time(client: Any, menu: FaultMenu) -> None:
    menu.arm(FaultKind.BANNED, retry_after_seconds=60)
    for ask in (client.fetch_time, client.fetch_balance, client.load_time_difference):
        with pytest.raises(ccxt.pro.DDoSProtection):
            await ask()
    assert menu.fired == {FaultKind.BANNED: 1}
    menu.heal()
    await client.fetch_time()


async def test_the_websocket_api_shares_the_faults(client: Any, venue: Venue, menu: FaultMenu) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.server.ws_url}/ws-fapi/v1") as socket:
        for kind, expected in ((FaultKind.READ_503, '"status":503'), (FaultKind.READ_MALFORMED, "")):
            menu.arm(kind)
            await socket.send_json({"id": 1, "method": "depth", "params": {"symbol": "BTCUSDT"}})
            text = (await socket.receive(timeout=5)).data
            assert expected in text
        menu.arm(FaultKind.READ_LOST)
        await socket.send_json({"id": 2, "method": "depth", "params": {"symbol": "BTCUSDT"}})
        assert (await socket.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


# --- the world --------------------------------------------------------------------------------------------------------


async def test_rules_that_change(client: Any, venue: Venue, menu: FaultMenu) -> None:
    menu.arm(FaultKind.STEP_CHANGE, Trigger.count(1, market=BTC), factor=1000)
    menu.arm(FaultKind.FUNDING_INTERVAL_CHANGE, Trigger.count(1, market=BTC), hours=4)
    venue.exchange.advance()
    with pytest.raises(ccxt.pro.BadRequest):
        await sell(client)
    await client.load_markets(True)
    assert client.market(LINEAR)["precision"]["amount"] == 1
    menu.heal()
    await client.load_markets(True)
    await sell(client)


async def test_a_closed_market(client: Any, venue: Venue, menu: FaultMenu) -> None:
    menu.arm(FaultKind.DELISTED, Trigger.count(1, market=BTC))
    venue.exchange.advance()
    with pytest.raises(ccxt.pro.BaseError) as caught:
        await sell(client)
    assert not isinstance(caught.value, ccxt.pro.NetworkError)
    await client.load_markets(True)
    assert client.market(LINEAR)["active"] is False


@pytest.mark.parametrize("step_ms", [-2_000, 12_000])
async def test_the_venues_clock_steps(client: Any, venue: Venue, menu: FaultMenu, step_ms: int) -> None:
    menu.arm(FaultKind.VENUE_CLOCK_STEP, step_ms=step_ms)
    venue.exchange.advance()
    assert abs(await client.fetch_time() - venue.server.clock.now_ms() - step_ms) < 500
    with pytest.raises(ccxt.pro.InvalidNonce):
        await client.fetch_balance()
    menu.heal()
    await client.fetch_balance()


# --- streams ----------------------------------------------------------------------------------------------------------


async def until(venue: Venue, happened: Any) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await venue.server.clock.sleep(0.01)


async def test_a_silent_stream_acknowledges_and_says_nothing(venue: Venue, menu: FaultMenu) -> None:
    menu.arm(FaultKind.STREAM_SILENT)
    venue.exchange.advance()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.server.ws_url}/fstream/ws") as socket:
        await socket.send_json({"id": 1, "method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"]})
        assert await socket.receive_json(timeout=5) == {"result": None, "id": 1}
        venue.exchange.set_price("BTC", Decimal(66_000))
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.1)
        menu.heal()
        venue.exchange.set_price("BTC", Decimal(67_000))
        assert (await socket.receive_json(timeout=5))["s"] == "BTCUSDT"


async def test_a_listen_key_dies(client: Any, venue: Venue, menu: FaultMenu) -> None:
    pending = asyncio.ensure_future(client.watch_orders(LINEAR))
    await until(venue, lambda: any(each.account for each in venue.server.hub.connections))
    menu.arm(FaultKind.LISTEN_KEY_DIES)
    venue.exchange.advance()
    assert not any(each.account for each in venue.server.hub.connections)
    await sell(venue.client())
    done, _ = await asyncio.wait([pending], timeout=0.2)
    assert not done or pending.exception() is not None
    pending.cancel()
    await asyncio.gather(pending, return_exceptions=True)


async def test_sockets_break(client: Any, venue: Venue, menu: FaultMenu) -> None:
    await client.watch_ticker(SPOT)
    pending = asyncio.ensure_future(client.watch_trades(SPOT))
    await until(venue, lambda: sum(len(each.streams) for each in venue.server.hub.connections) == 2)
    menu.arm(FaultKind.STREAM_CUT)
    venue.exchange.advance()
    with pytest.raises(ccxt.pro.NetworkError):
        await asyncio.wait_for(pending, 5)


async def test_old_events_come_again_after_a_reconnect(venue: Venue, menu: FaultMenu) -> None:
    trader, listener = venue.client(), venue.client()
    await trader.load_markets()
    key = (await listener.fapiPrivatePostListenKey())["listenKey"]
    async with aiohttp.ClientSession() as session:
        address = f"{venue.server.ws_url}/fstream/ws/{key}"
        async with session.ws_connect(address) as socket:
            await sell(trader)
            first = [await socket.receive_json(timeout=5) for _ in range(3)]
            menu.arm(FaultKind.REPLAY_BURST, events=2)
            venue.exchange.advance()
            while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                first.append(message.json())
        async with session.ws_connect(address) as socket:
            again = [await socket.receive_json(timeout=5) for _ in range(2)]
        assert again == first[-2:]
        async with session.ws_connect(address) as socket:
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=0.1)
