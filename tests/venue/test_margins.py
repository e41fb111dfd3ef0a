"""Margins, transfers between own wallets, and orders that rest or go away, against venues that are served here."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from keeper.clock import SystemClock
from keeper.core.model import AccountId, InstrumentId, PlannedOrder, Side
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import MarketKind, WalletKind
from keeper.sim.wire.dispatch import Proceed, Reply
from keeper.sim.wire.request import Call
from keeper.venue.base import (
    Accepted,
    EmptyReadingError,
    HostRefusedError,
    OrderReport,
    OrderState,
    Rejected,
    UnknownWalletError,
    UnreachableError,
)
from keeper.venue.ccxt_venue import CcxtVenue, Credentials, VenuePolicy
from keeper.venue.classify import WOULD_CROSS
from keeper.venue.further import NotOfferedError
from keeper.venue.transfers import TransferRefusedError
from tests.support.bybit_v5 import BybitV5
from tests.venue.helpers import marketable, opened, report_of, stand_in_venue, venue_of
from tests.venue.test_charts import deribit
from tests.venue.test_payloads import _bingx_position, bingx, venue_over, weex
from tests.venue.test_recorded import playing

D = Decimal
KEY, SECRET = "sim-key-of-the-test", "sim-secret-of-the-test"
MAY_MOVE = VenuePolicy(True, "testnet", transfers=True)


@dataclasses.dataclass
class Served:
    """An exchange with one funded account, its server, and a venue that may move coins on it."""

    exchange: Exchange
    server: SimServer
    venue: CcxtVenue


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    exchange = Exchange(SystemClock(), seed=7)
    exchange.add_account(KEY, SECRET)
    for asset, amount, wallet in (
        ("USDT", "5000", WalletKind.SPOT),
        ("USDT", "40000", WalletKind.USDM),
        ("BTC", "2", WalletKind.COINM),
    ):
        exchange.deposit(KEY, asset, D(amount), wallet)
    async with SimServer(exchange, clock=SystemClock(), tick_seconds=5) as server:
        made = venue_of("binance", {"urls": {"api": server.urls}}, MAY_MOVE, Credentials(KEY, SECRET))
        async with opened(made) as venue:
            yield Served(exchange, server, venue)


# Margins


async def test_split_accounts_have_a_margin_each(served: Served) -> None:
    for number, (symbol, size) in enumerate((("BTC/USDT:USDT", "0.5"), ("BTC/USD:BTC", "3000")), 1):
        await report_of(served.venue, await marketable(served.venue, symbol, size, number))
    found = {(each.account.wallet, each.asset): each for each in await served.venue.observer.margins()}
    assert set(found) == {("linear", "USDT"), ("inverse", "BTC")}
    for kind, key in ((MarketKind.LINEAR, ("linear", "USDT")), (MarketKind.INVERSE, ("inverse", "BTC"))):
        truth = next(row for row in served.exchange.futures_account(KEY, kind).balances if row.asset == key[1])
        margin = found[key]
        assert margin.account == AccountId("main", key[0])
        assert abs(margin.equity - truth.margin_balance) < D("0.01") * truth.margin_balance
        assert abs(margin.maintenance - truth.maintenance_margin) < D("0.01") * margin.maintenance
        assert margin.maintenance > 0
        assert margin.available is not None
        assert D(0) < margin.available < margin.equity
        (position,) = margin.positions
        assert position.liquidation_price is not None
        assert not position.isolated
        assert margin.ratio is not None
        assert 0 < margin.ratio < D("0.1")


async def test_a_unified_account_has_one_margin_in_dollars(stand_in: BybitV5, venue: CcxtVenue) -> None:
    await report_of(venue, await marketable(venue, "BTC/USDT:USDT", "1"))
    await report_of(venue, await marketable(venue, "BTC/USD:BTC", "5000", 2))
    (margin,) = await venue.observer.margins()
    account = stand_in.exchange.account
    assert (margin.account, margin.asset) == (AccountId("main", ""), "USD")
    assert abs(margin.equity - account.margin_balance_usd()) < 1
    assert abs(margin.maintenance - account.maintenance_margin_usd()) < D("0.1")
    assert {each.instrument for each in margin.positions} == {
        InstrumentId("main", "BTC/USDT:USDT"),
        InstrumentId("main", "BTC/USD:BTC"),
    }
    assert all(each.maintenance for each in margin.positions)


@pytest.mark.shared
async def test_margins_of_the_recorded_venues() -> None:
    async with playing("okx") as (player, venue):
        row = player.load("balance.json")["data"][0]
        (margin,) = await venue.observer.margins()
        assert (margin.asset, margin.equity, margin.maintenance) == ("USD", D(row["adjEq"]), D(row["mmr"]))
        assert margin.available == D(row["availEq"])
        assert len(margin.positions) == 3
    async with playing("deribit") as (player, venue):
        rows = {row["currency"]: row for row in player.load("summaries.json")["result"]["summaries"]}
        margins = {each.asset: each for each in await venue.observer.margins()}
        assert set(margins) == {"BTC", "ETH"}
        assert margins["BTC"].maintenance == D(str(rows["BTC"]["maintenance_margin"]))
        assert margins["BTC"].equity == D(str(rows["BTC"]["margin_balance"]))
        assert [each.instrument.symbol for each in margins["BTC"].positions] == ["BTC/USD:BTC"]
        assert margins["ETH"].positions == ()


async def test_a_risk_shown_beside_positions_is_the_accounts() -> None:
    rows = [
        {"asset": "USDT", "balance": "190", "equity": "200", "unrealizedProfit": "10", "availableMargin": "150"},
        {"asset": "USDC", "balance": "0", "equity": "0", "unrealizedProfit": "0", "availableMargin": "0"},
    ]
    held = [_bingx_position("LTC-USDT", "SHORT", "0.1", riskRate="0.25", liquidationPrice=140)]
    routes = bingx(held, []) | {"/openApi/swap/v3/user/balance": {"code": 0, "msg": "", "data": rows}}
    async with venue_over("bingx", routes) as venue:
        margins = {each.account.wallet: each for each in await venue.observer.margins()}
        assert (margins["linear"].asset, margins["linear"].equity, margins["linear"].ratio) == (
            "USDT",
            D(200),
            D("0.25"),
        )
        assert margins["inverse"].asset == "SOL"
        assert margins["inverse"].maintenance == 0
    empty = routes | {"/openApi/swap/v3/user/balance": {"code": 0, "msg": "", "data": []}}
    async with venue_over("bingx", empty) as venue:
        with pytest.raises(EmptyReadingError):
            await venue.observer.margins()


async def test_margins_that_nobody_shows() -> None:
    async with venue_over("bingx", bingx([], [])) as venue:
        venue.connection.capability = dataclasses.replace(venue.connection.capability, margins=())
        with pytest.raises(NotOfferedError):
            await venue.observer.margins()


# Transfers


def wallets(served: Served) -> tuple[Decimal, Decimal]:
    spot = next(row for row in served.exchange.spot_balances(KEY) if row.asset == "USDT").free
    usdm = next(r for r in served.exchange.futures_account(KEY, MarketKind.LINEAR).balances if r.asset == "USDT")
    return spot, usdm.wallet_balance


async def test_coins_move_once_and_exactly(served: Served) -> None:
    ident = await served.venue.trader.transfer("USDT", D("1234.56789"), "", "linear")
    assert ident
    assert wallets(served) == (D("3765.43211"), D("41234.56789"))
    with pytest.raises(TransferRefusedError, match="-5013"):
        await served.venue.trader.transfer("USDT", D(999_999), "", "linear")
    with pytest.raises(UnknownWalletError, match="linear"):
        await served.venue.trader.transfer("USDT", D(1), "", "linaer")
    with pytest.raises(TransferRefusedError, match="one wallet"):
        await served.venue.trader.transfer("USDT", D(1), "linear", "linear")
    assert wallets(served) == (D("3765.43211"), D("41234.56789"))


async def test_an_answer_that_is_lost_leaves_it_open_whether_coins_moved(served: Served) -> None:
    asked = 0

    async def lose(call: Call, proceed: Proceed) -> Reply:
        nonlocal asked
        reply = await proceed()
        if call.path.endswith("asset/transfer") and call.method == "POST":
            asked += 1
            return Reply(502, "<html>bad gateway</html>")
        return reply

    served.server.dispatcher.gate = lose
    with pytest.raises(UnreachableError, match="may have moved"):
        await served.venue.trader.transfer("USDT", D(1000), "", "linear")
    assert asked == 1
    assert wallets(served) == (D(4000), D(41000))


async def test_without_leave_nothing_is_sent(served: Served) -> None:
    made = venue_of("binance", {"urls": {"api": served.server.urls}}, credentials=Credentials(KEY, SECRET))
    async with opened(made) as venue:
        with pytest.raises(HostRefusedError, match="nothing allows"):
            await venue.trader.transfer("USDT", D(1), "", "linear")
    assert wallets(served) == (D(5000), D(40000))


async def test_a_venue_whose_wallets_are_not_known_moves_nothing(stand_in: BybitV5) -> None:
    async with venue_over("deribit", deribit()) as made:
        with pytest.raises(NotOfferedError):
            await asyncio.wait_for(_transfer(made), 5)


async def _transfer(venue: CcxtVenue) -> Any:
    from keeper.venue.transfers import transfer

    return await transfer(venue.connection, "BTC", D(1), "", "funding")


# Post-only


async def resting(venue: CcxtVenue, symbol: str, number: int, *, crossing: bool) -> PlannedOrder:
    planned = await marketable(venue, symbol, "1" if "USDT" in symbol else "100", number)
    instrument = venue.observer.instrument(symbol)
    mark = (await venue.observer.marks([instrument]))[instrument.id]
    assert mark.ask is not None
    price = planned.price if crossing else (mark.ask * D("1.01")).quantize(instrument.tick)
    return dataclasses.replace(planned, price=price, time_in_force="PO")


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTC/USD:BTC"])
async def test_post_only_rests_or_is_refused_by_one_code(served: Served, symbol: str) -> None:
    refused = await served.venue.trader.submit(await resting(served.venue, symbol, 1, crossing=True))
    assert isinstance(refused, Rejected)
    assert refused.code == WOULD_CROSS
    order = await resting(served.venue, symbol, 2, crossing=False)
    accepted = await served.venue.trader.submit(order)
    assert isinstance(accepted, Accepted)
    assert accepted.report is not None
    assert accepted.report.state is OrderState.OPEN
    (working,) = (await served.venue.observer.positions()).working
    assert (working.client_id, working.side, working.contracts) == (order.client_id, Side.SELL, order.contracts)
    await served.venue.trader.cancel(working)
    found = await served.venue.trader.lookup(order.instrument, order.client_id, accepted.venue_order_id)
    assert isinstance(found, OrderReport)
    assert found.state is OrderState.NONE


async def test_a_venue_that_takes_a_crossing_post_only_in_closes_it_unfilled(stand_in: BybitV5) -> None:
    async with opened(stand_in_venue(stand_in)) as venue:
        order = await resting(venue, "BTC/USDT:USDT", 1, crossing=True)
        assert (await report_of(venue, order)).state is OrderState.NONE
        other = await resting(venue, "BTC/USDT:USDT", 2, crossing=False)
        assert (await report_of(venue, other)).state is OrderState.OPEN


async def test_post_only_is_not_sent_where_it_would_be_a_plain_order() -> None:
    async with venue_over("weex", weex([])) as venue:
        from keeper.venue.trader import CcxtTrader

        trader = CcxtTrader(venue.connection)
        instrument = venue.observer.instrument("ETH/USDT:USDT")
        planned = dataclasses.replace(await _plan(venue, instrument.id.symbol), time_in_force="PO", price=D("2081.90"))
        refused = await trader.submit(planned)
        assert isinstance(refused, Rejected)
        assert refused.code == "post_only_not_offered"


async def _plan(venue: CcxtVenue, symbol: str) -> PlannedOrder:
    from tests.venue.helpers import order

    return order(venue.observer.instrument(symbol), "1000", D("2081.90"))
