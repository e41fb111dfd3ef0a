"""The stand-in for Bybit v5, seen through the real client over sockets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.bybit_v5 import DEFAULT_INSTRUMENTS, BybitV5, inverse
from tests.support.bybit_v5.client import Client, client_of, errors

D = Decimal
LINEAR, INVERSE, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"


async def sell(client: Client, amount: float, link_id: str = "", symbol: str = LINEAR, **params: Any) -> Any:
    """An immediate-or-cancel limit sale a little below the market."""
    known = {"clientOrderId": link_id} if link_id else {}
    return await client.create_order(symbol, "limit", "sell", amount, 59_700, {"timeInForce": "IOC", **known, **params})


async def by_link(client: Client, link_id: str, symbol: str = LINEAR) -> Any:
    found = await client.fetch_open_orders(symbol, params={"orderLinkId": link_id})
    return found[0] if found else None


class TestMarkets:
    async def test_the_client_loads_every_instrument_with_its_filters(self, client: Client) -> None:
        assert len(client.markets) == len(DEFAULT_INSTRUMENTS)
        linear, coin, spot = client.market(LINEAR), client.market(INVERSE), client.market(SPOT)
        assert (linear["contractSize"], linear["precision"]["amount"], linear["limits"]["cost"]["min"]) == (1, 0.001, 5)
        assert (coin["contractSize"], coin["settle"], coin["limits"]["amount"]["min"]) == (1, "BTC", 1)
        assert (spot["precision"]["amount"], spot["limits"]["cost"]["min"]) == (0.000001, 5)
        assert linear["info"]["lotSizeFilter"]["maxMktOrderQty"] == "500"

    async def test_instruments_come_in_pages(self, venue: BybitV5) -> None:
        venue.exchange.instrument_page = 2
        async with client_of(venue) as client:
            assert len(await client.load_markets()) == len(DEFAULT_INSTRUMENTS)
        assert any(asked.params.get("cursor") for asked in venue.requests)

    async def test_a_dated_contract_is_a_future(self) -> None:
        dated = inverse("BTC", "0.5", "1000000", "1000000", symbol="BTCUSDH27", delivery_time_ms=1_806_048_000_000)
        async with BybitV5(instruments=(*DEFAULT_INSTRUMENTS, dated)) as venue, client_of(venue) as client:
            markets = await client.load_markets()
            assert markets["BTC/USD:BTC-270326"]["future"] is True

    async def test_public_figures(self, venue: BybitV5, client: Client) -> None:
        venue.set_price(LINEAR, "60060")
        venue.set_funding(LINEAR, "-0.0003")
        ticker = await client.fetch_ticker(LINEAR)
        assert (ticker["markPrice"], ticker["indexPrice"]) == (60_060, 60_000)
        assert ticker["bid"] < 60_060 < ticker["ask"]
        assert set(await client.fetch_tickers(None, {"type": "spot"})) == {"BTC/USDT", "ETH/USDT", "SOL/USDT"}
        assert (await client.fetch_funding_rate(LINEAR))["fundingRate"] == -0.0003
        book = await client.fetch_order_book(INVERSE)
        assert book["bids"][0][0] < 60_000 < book["asks"][0][0]
        assert len(await client.fetch_ohlcv(LINEAR, "1h", limit=5)) == 5
        assert (await client.fetch_ohlcv(LINEAR, "1h", limit=1, params={"price": "mark"}))[-1][4] == 60_060
        assert len(await client.fetch_funding_rate_history(INVERSE, limit=3)) == 3
        assert (await client.fetch_open_interest(LINEAR))["openInterestAmount"] > 0
        assert abs(await client.fetch_time() - client.milliseconds()) < 5_000


class TestAccount:
    async def test_balance_lists_nonzero_coins_only(self, venue: BybitV5, client: Client) -> None:
        balance = await client.fetch_balance()
        assert balance["total"] == {"BTC": 5, "USDT": 100_000}
        venue.withdraw("USDT", 100_000)
        assert (await client.fetch_balance())["total"] == {"BTC": 5}

    async def test_borrowed_coins_are_negative(self, venue: BybitV5, client: Client) -> None:
        venue.withdraw("BTC", 6)
        balance = await client.fetch_balance()
        assert (balance["BTC"]["total"], balance["BTC"]["debt"]) == (-1, 1)

    async def test_equity_moves_with_a_coin_margined_position(self, venue: BybitV5, client: Client) -> None:
        venue.set_price("BTC", 65_000)
        venue.set_position(INVERSE, -325_000)
        for price, equity in (("52000", "6.25"), ("130000", "2.5"), ("65000", "5")):
            venue.set_price("BTC", price)
            balance = await client.fetch_balance()
            row = next(r for r in balance["info"]["result"]["list"][0]["coin"] if r["coin"] == "BTC")
            assert (D(row["equity"]), D(row["walletBalance"])) == (D(equity), D(5))
            assert venue.equity("BTC") == Decimal(equity)

    async def test_transfers_are_on_record_unless_told_otherwise(self, venue: BybitV5, client: Client) -> None:
        venue.deposit("BTC", 1)
        venue.withdraw("BTC", 2, recorded=False)
        assert [row["amount"] for row in await client.fetch_deposits("BTC")] == [1]
        assert await client.fetch_withdrawals("BTC") == []
        assert venue.wallet("BTC") == 4

    async def test_user_trades_on_spot(self, venue: BybitV5, client: Client) -> None:
        venue.sell_spot("BTC", 2)
        venue.buy_spot("ETH", 1)
        assert (venue.wallet("BTC"), venue.wallet("ETH")) == (D(3), D("0.999"))
        assert venue.wallet("USDT") == 100_000 + 120_000 - 120 - 3_000
        assert venue.accepted_orders == []
        assert len(await client.fetch_my_trades(SPOT)) == 1

    async def test_modes(self, client: Client) -> None:
        assert (await client.fetch_margin_mode(LINEAR))["marginMode"] == "cross"
        await client.set_leverage(5, LINEAR)
        assert (await client.fetch_leverage(LINEAR))["shortLeverage"] == 5
        with pytest.raises(errors.BadRequest, match="110043"):
            await client.set_leverage(5, LINEAR)
        with pytest.raises(errors.NoChange, match="110025"):
            await client.set_position_mode(False, LINEAR)
        await client.set_position_mode(True, LINEAR)
        assert len(await client.fetch_positions([LINEAR])) == 2
        with pytest.raises(errors.BadRequest, match="position idx"):
            await sell(client, 0.1)


class TestOrders:
    async def test_an_order_answers_with_ids_alone_and_is_found_by_its_own_id(
        self, venue: BybitV5, client: Client
    ) -> None:
        made = await sell(client, 1.5, "keeper-1")
        assert (made["status"], made["filled"], made["clientOrderId"]) == (None, None, "keeper-1")
        found = await by_link(client, "keeper-1")
        assert (found["status"], found["filled"], found["fee"]["currency"]) == ("closed", 1.5, "USDT")
        past = await client.fetch_canceled_and_closed_orders(LINEAR, params={"orderLinkId": "keeper-1"})
        direct = await client.fetch_order("", LINEAR, {"acknowledged": True, "orderLinkId": "keeper-1"})
        assert past[0]["id"] == direct["id"] == made["id"]
        assert venue.position(LINEAR) == D("-1.5")
        assert [order.link_id for order in venue.accepted_orders] == ["keeper-1"]

    async def test_closed_orders_leave_realtime_when_the_venue_restarts(self, venue: BybitV5, client: Client) -> None:
        await sell(client, 1, "keeper-1")
        venue.forget_closed_orders()
        assert await by_link(client, "keeper-1") is None
        assert await client.fetch_canceled_and_closed_orders(LINEAR, params={"orderLinkId": "keeper-1"})

    async def test_positions(self, venue: BybitV5, client: Client) -> None:
        flat = (await client.fetch_positions([LINEAR]))[0]
        assert (flat["contracts"], flat["side"]) == (0, None)
        assert await client.fetch_positions() == []
        await sell(client, 0.5)
        await sell(client, 60_000, symbol=INVERSE)
        linear = await client.fetch_positions()
        assert [(p["symbol"], p["side"], p["contracts"]) for p in linear] == [(LINEAR, "short", 0.5)]
        coin = await client.fetch_positions(None, {"subType": "inverse"})
        assert [(p["symbol"], p["side"], p["contracts"]) for p in coin] == [(INVERSE, "short", 60_000)]
        assert venue.wallet("BTC") < 5  # the fee was paid in the coin

    async def test_linear_and_inverse_profit(self, venue: BybitV5) -> None:
        venue.set_position(LINEAR, -1, 60_000)
        venue.set_position(INVERSE, -60_000, 60_000)
        venue.set_price("BTC", 50_000)
        venue.foreign_trade(LINEAR, 1)
        venue.foreign_trade(INVERSE, 60_000)
        assert venue.position(LINEAR) == venue.position(INVERSE) == 0
        assert venue.wallet("USDT") == 100_000 + 10_000 - D("27.5")
        assert venue.wallet("BTC") == 5 + D("0.2") - D("0.00066")

    async def test_reduce_only(self, venue: BybitV5, client: Client) -> None:
        cover = {"reduceOnly": True, "timeInForce": "IOC", "clientOrderId": "cover"}
        with pytest.raises(errors.InvalidOrder, match="110017"):
            await client.create_order(LINEAR, "limit", "buy", 1, 60_300, cover)
        await sell(client, 0.4)
        with pytest.raises(errors.InvalidOrder, match="110017"):
            await sell(client, 0.1, reduceOnly=True)
        await client.create_order(LINEAR, "limit", "buy", 1, 60_300, cover)
        found = await by_link(client, "cover")
        assert (found["amount"], found["filled"]) == (0.4, 0.4)
        assert venue.position(LINEAR) == 0

    async def test_a_reducing_order_is_free_of_the_least_worth(self, venue: BybitV5, client: Client) -> None:
        venue.set_price("BTC", 4_000)
        venue.set_position(LINEAR, "-0.002")
        with pytest.raises(errors.InvalidOrder, match="110094"):
            await client.create_order(LINEAR, "limit", "buy", 0.001, 4_010)
        await client.create_order(LINEAR, "limit", "buy", 0.001, 4_010, {"reduceOnly": True})
        assert venue.position(LINEAR) == D("-0.001")

    async def test_an_unfilled_remainder_is_canceled(self, venue: BybitV5, client: Client) -> None:
        venue.set_book(LINEAR, level_usd=6_000, levels=3)
        venue.set_book(SPOT, level_usd=6_000, levels=3)
        await sell(client, 1, "contract")
        await sell(client, 1, "spot", SPOT)
        contract, spot = await by_link(client, "contract"), await by_link(client, "spot", SPOT)
        assert (contract["status"], contract["info"]["orderStatus"]) == ("canceled", "Cancelled")
        assert (spot["status"], spot["info"]["orderStatus"]) == ("closed", "PartiallyFilledCanceled")
        assert 0.29 < contract["filled"] < 0.31
        assert await client.fetch_closed_orders(LINEAR) == []  # it asks for Filled alone

    async def test_working_orders(self, venue: BybitV5, client: Client) -> None:
        for number, price in enumerate((61_000, 62_000)):
            params = {"clientOrderId": f"rest-{number}", "postOnly": True}
            await client.create_order(LINEAR, "limit", "sell", 0.1, price, params)
        assert len(await client.fetch_open_orders(LINEAR)) == 2
        venue.fill_resting("rest-1", "0.04")
        assert (await by_link(client, "rest-1"))["remaining"] == pytest.approx(0.06)
        venue.set_price("BTC", 61_100)
        assert venue.position(LINEAR) == D("-0.14")
        await client.cancel_order(None, LINEAR, {"orderLinkId": "rest-1"})
        with pytest.raises(errors.OrderNotFound, match="110001"):
            await client.cancel_order(None, LINEAR, {"orderLinkId": "rest-1"})
        await client.create_order(LINEAR, "limit", "sell", 0.1, 65_000)
        await client.cancel_all_orders(LINEAR)
        assert await client.fetch_open_orders() == []

    async def test_post_only_that_would_cross(self, venue: BybitV5, client: Client) -> None:
        await client.create_order(LINEAR, "limit", "sell", 1, 59_900, {"postOnly": True, "clientOrderId": "c"})
        await client.create_order(SPOT, "limit", "sell", 1, 59_900, {"postOnly": True, "clientOrderId": "s"})
        assert (await by_link(client, "c"))["status"] == "canceled"
        assert (await by_link(client, "s", SPOT))["status"] == "rejected"
        assert venue.position(LINEAR) == 0

    async def test_fill_or_kill(self, venue: BybitV5, client: Client) -> None:
        venue.set_book(LINEAR, level_usd=6_000, levels=3)
        await client.create_order(LINEAR, "limit", "sell", 1, 59_700, {"timeInForce": "FOK", "clientOrderId": "k"})
        assert (await by_link(client, "k"))["filled"] == 0

    async def test_spot_buys_are_charged_in_the_coin(self, venue: BybitV5, client: Client) -> None:
        await client.create_order(SPOT, "limit", "buy", 1, 60_300, {"timeInForce": "IOC"})
        assert venue.wallet("BTC") == D("5.999")
        await client.create_order("ETH/USDT", "market", "buy", 1)
        assert venue.wallet("ETH") == D("0.999")


class TestRefusals:
    @pytest.mark.parametrize(
        ("symbol", "side", "amount", "price", "kind", "code"),
        [
            (LINEAR, "sell", 2_000, 59_700, errors.BadRequest, "10001"),
            (LINEAR, "sell", 1, 50_000, errors.InvalidOrder, "110003"),
            (LINEAR, "sell", 1_000, 59_700, errors.InsufficientFunds, "110007"),
            (SPOT, "sell", 6, 59_700, errors.InsufficientFunds, "170131"),
            (SPOT, "buy", 0.00005, 60_000, errors.InvalidOrder, "170140"),
        ],
    )
    async def test_rules(
        self, venue: BybitV5, client: Client, symbol: str, side: str, amount: float, price: float, kind: Any, code: str
    ) -> None:
        with pytest.raises(kind, match=code):
            await client.create_order(symbol, "limit", side, amount, price)
        assert venue.accepted_orders == []

    async def test_steps(self, client: Client) -> None:
        raw = {"category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "0.0015"}
        with pytest.raises(errors.BadRequest, match="10001"):
            await client.private_post_v5_order_create(raw)

    async def test_a_client_id_is_taken_once(self, venue: BybitV5, client: Client) -> None:
        await sell(client, 0.1, "same")
        with pytest.raises(errors.InvalidOrder, match="110072"):
            await sell(client, 0.1, "same")
        with pytest.raises(errors.InvalidOrder, match="170141"):
            await sell(client, 0.1, "same", SPOT)
        assert len(venue.orders_of("same")) == 1

    async def test_keys_signatures_and_clocks(self, venue: BybitV5) -> None:
        async with client_of(venue, apiKey="other") as client:
            with pytest.raises(errors.AuthenticationError, match="10003"):
                await client.fetch_balance()
        async with client_of(venue, secret="other") as client:
            with pytest.raises(errors.AuthenticationError, match="10004"):
                await client.fetch_balance()
        venue.skew_clock(60_000)
        async with client_of(venue) as client:
            with pytest.raises(errors.InvalidNonce, match="10002"):
                await client.fetch_balance()
        async with client_of(venue, options={"adjustForTimeDifference": True}) as client:
            with pytest.raises(errors.InvalidNonce):
                await client.load_markets()  # it asks for the coins, signed, before it asks for the time
            await client.load_time_difference()
            assert (await client.fetch_balance())["BTC"]["total"] == 5

    async def test_a_key_that_only_reads(self, venue: BybitV5, client: Client) -> None:
        venue.exchange.read_only = True
        with pytest.raises(errors.PermissionDenied, match="10005"):
            await sell(client, 0.1)


class TestFunding:
    async def test_shorts_receive_at_a_positive_rate(self, venue: BybitV5, client: Client) -> None:
        venue.set_position(LINEAR, -2)
        venue.set_position(INVERSE, -300_000)
        for symbol in (LINEAR, INVERSE):
            venue.set_funding(symbol, "0.0001")
            venue.settle_funding(symbol)
        assert (venue.wallet("USDT"), venue.wallet("BTC")) == (D(100_012), D("5.0005"))
        linear = (await client.fetch_funding_history(LINEAR))[0]
        coin = (await client.fetch_funding_history(INVERSE))[0]
        assert (linear["amount"], linear["code"]) == (-12, "USDT")  # a fee: below zero is received
        assert (coin["amount"], coin["code"]) == (-0.0005, "USD")  # the amount is in coins whatever the code says
        entry = (await client.fetch_ledger("BTC"))[0]
        assert (entry["info"]["type"], entry["info"]["funding"]) == ("SETTLEMENT", "0.0005")

    async def test_pages_of_executions_end_with_an_empty_one(self, venue: BybitV5, client: Client) -> None:
        venue.set_position(LINEAR, -1)
        for _ in range(120):
            venue.settle_funding(LINEAR)
        assert len(await client.fetch_funding_history(LINEAR)) == 50
        assert len(await client.fetch_funding_history(LINEAR, params={"limit": 100})) == 100
        assert len(await client.fetch_funding_history(LINEAR, params={"paginate": True})) == 120


class TestForeignHands:
    async def test_deleveraging_and_liquidation(self, venue: BybitV5, client: Client) -> None:
        await sell(client, 1)
        venue.deleverage(LINEAR, "0.25")
        assert venue.position(LINEAR) == D("-0.75")
        venue.liquidate(LINEAR)
        assert venue.position(LINEAR) == 0
        assert len(await client.fetch_my_trades(LINEAR)) == 1  # the client asks for execType Trade
        raw = await client.private_get_v5_execution_list({"category": "linear"})
        assert {row["execType"] for row in raw["result"]["list"]} == {"Trade", "AdlTrade", "BustTrade"}

    async def test_liquidation_price_of_a_coin_margined_short(self, venue: BybitV5, client: Client) -> None:
        venue.withdraw("USDT", 100_000)
        venue.set_position(INVERSE, -600_000)
        price = (await client.fetch_positions([INVERSE]))[0]["liquidationPrice"]
        venue.set_price("BTC", round(price, 1))
        account = venue.exchange.account
        assert float(account.margin_balance_usd()) == pytest.approx(float(account.maintenance_margin_usd()), abs=1)
