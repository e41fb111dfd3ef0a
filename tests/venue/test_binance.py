"""The whole venue over real sockets, against the simulated exchange behind Binance's protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from keeper.clock import SystemClock
from keeper.core.model import ZERO, AccountId, Kind, Side
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import MarketKind, WalletKind, inverse, linear
from keeper.sim.wire.dispatch import Proceed, Reply
from keeper.sim.wire.request import Call
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    EmptyReadingError,
    NotFound,
    OrderReport,
    OrderState,
    Rejected,
    RetryLater,
    UnreachableError,
)
from keeper.venue.ccxt_venue import CcxtVenue, Credentials
from tests.venue.helpers import marketable, opened, order, raw, report_of, venue_of

KEY, SECRET = "sim-key-of-the-test", "sim-secret-of-the-test"
LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
D = Decimal


@dataclass
class Served:
    """An exchange with one funded account, its server, and what was asked of it."""

    exchange: Exchange
    server: SimServer

    def asked(self, path: str, method: str = "POST") -> int:
        return sum(1 for each in self.server.dispatcher.requests if each.path.endswith(path) and each.method == method)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    clock = SystemClock()
    exchange = Exchange(clock, seed=7)
    exchange.add_account(KEY, SECRET)
    for asset, amount, wallet in (
        ("BTC", "5", WalletKind.SPOT),
        ("USDT", "100000", WalletKind.USDM),
        ("BTC", "2", WalletKind.COINM),
        ("ETH", "3", WalletKind.FUNDING),
    ):
        exchange.deposit(KEY, asset, D(amount), wallet)
    async with SimServer(exchange, clock=clock, tick_seconds=0.5) as server:
        yield Served(exchange, server)


@pytest.fixture
async def venue(served: Served) -> AsyncIterator[CcxtVenue]:
    async with opened(of(served)) as made:
        yield made


def of(served: Served, seconds: float = 5.0) -> CcxtVenue:
    options = {"urls": {"api": served.server.urls}}
    return venue_of("binance", options, credentials=Credentials(KEY, SECRET), seconds=seconds)


async def test_each_wallet_by_its_name(venue: CcxtVenue) -> None:
    expected = {"": ("BTC", "5"), "funding": ("ETH", "3"), "linear": ("USDT", "100000"), "inverse": ("BTC", "2")}
    for name, (asset, amount) in expected.items():
        wallet = await venue.observer.wallet(name)
        assert wallet.account == AccountId("main", name)
        assert wallet.totals[asset] == D(amount)
    with pytest.raises(EmptyReadingError):
        await venue.observer.wallet("margin")


async def test_the_coin_wallet_is_without_open_profit(served: Served, venue: CcxtVenue) -> None:
    sent = await marketable(venue, INVERSE, "100")
    await report_of(venue, sent)
    before = (await venue.observer.wallet("inverse")).totals["BTC"]
    served.exchange.set_price("BTC", D(50000))
    assert (await venue.observer.wallet("inverse")).totals["BTC"] == before
    instrument = venue.observer.instrument(INVERSE)
    assert venue.observer.collateral(instrument) == (AccountId("main", "inverse"), False)


async def test_instruments(venue: CcxtVenue) -> None:
    usdt, coin = (venue.observer.instrument(symbol) for symbol in (LINEAR, INVERSE))
    assert (usdt.kind, usdt.contract_size, usdt.min_notional_on_covers) == (Kind.LINEAR, D(1), False)
    assert (coin.kind, coin.contract_size, coin.settle) == (Kind.INVERSE, D(100), "BTC")


@pytest.mark.parametrize(("symbol", "size"), [(LINEAR, "1.5"), (INVERSE, "300")])
async def test_sell_look_and_cover(served: Served, venue: CcxtVenue, symbol: str, size: str) -> None:
    sent = await marketable(venue, symbol, size)
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, Accepted)
    assert outcome.report is not None  # this venue says at once how it went
    assert (outcome.report.state, outcome.report.filled) == (OrderState.FILLED, D(size))
    found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport)
    assert found.venue_order_id == outcome.venue_order_id
    (position,) = (await venue.observer.positions()).positions
    second = await venue.observer.position(venue.observer.instrument(symbol))
    assert position.contracts == second.contracts == -D(size)
    assert position.entry_price == second.entry_price
    cover = await marketable(venue, symbol, size, 2, side=Side.BUY, cover=True)
    assert (await report_of(venue, cover)).state is OrderState.FILLED
    assert (await venue.observer.position(venue.observer.instrument(symbol))).contracts == ZERO
    assert (await venue.observer.positions()).positions == ()
    refusal = await venue.trader.submit(await marketable(venue, symbol, size, 3, side=Side.BUY, cover=True))
    assert isinstance(refusal, Rejected)
    fills = await venue.trader.fills(sent.instrument, 0 if symbol == LINEAR else 1_700_000_000_000)
    assert [fill.side for fill in fills] == [Side.SELL, Side.BUY]


async def test_marks_facts_clock(served: Served, venue: CcxtVenue) -> None:
    instruments = [venue.observer.instrument(symbol) for symbol in (LINEAR, INVERSE)]
    marks = await venue.observer.marks(instruments)
    for mark in marks.values():
        assert mark.bid is not None
        assert mark.ask is not None
        assert mark.bid < mark.ask
    facts = await venue.observer.facts(instruments)
    assert (facts.one_way, facts.can_withdraw, facts.can_trade) == (True, False, True)
    await venue.trader.set_leverage(instruments[0].id, D(4))
    await venue.trader.set_margin_mode(instruments[0].id, "cross")  # "no need to change" is success
    settings = (await venue.observer.facts(instruments[:1])).settings[instruments[0].id]
    assert (settings.margin_mode, settings.leverage) == ("cross", D(4))
    assert abs(await venue.observer.clock_offset_ms()) < 1000
    prices = await venue.observer.asset_prices(["BTC", "USDT", "NOPE"], "USDT")
    assert set(prices) == {"BTC", "USDT"}


async def test_an_outflow_is_explained_by_a_transfer_a_withdrawal_or_a_sale(served: Served, venue: CcxtVenue) -> None:
    account, since = AccountId("main"), SystemClock().now_ms() - 1000
    outflow = venue.observer.outflow
    assert await outflow(account, "BTC", since) == 0
    served.exchange.transfer(KEY, "BTC", D(1), WalletKind.SPOT, WalletKind.COINM)
    assert await outflow(account, "BTC", since) == 1
    assert await outflow(account, "ETH", since) == 0
    served.exchange.deposit(KEY, "ETH", D(2))
    served.exchange.withdraw(KEY, "ETH", D(2))
    assert await outflow(account, "ETH", since) == 2
    served.exchange.deposit(KEY, "SOL", D(9))
    assert await outflow(account, "SOL", since) == 0
    await raw(venue).create_order("SOL/USDT", "market", "sell", "9")
    assert await outflow(account, "SOL", since) == 9


async def test_funding_received_is_positive(served: Served, venue: CcxtVenue) -> None:
    for symbol, size, key in ((LINEAR, "1", linear("BTCUSDT")), (INVERSE, "100", inverse("BTCUSD_PERP"))):
        await report_of(venue, await marketable(venue, symbol, size))
        served.exchange.set_funding_rate(key, D("0.0001"))
        served.exchange.apply_funding(key)
        instrument = venue.observer.instrument(symbol)
        (entry,) = await venue.observer.funding(instrument, 1_700_000_000_000)
        assert entry.amount > 0
        assert (entry.asset, entry.instrument) == (instrument.settle, instrument.id)


@pytest.mark.parametrize(("symbol", "kind"), [(LINEAR, MarketKind.LINEAR), (INVERSE, MarketKind.INVERSE)])
async def test_hedge_mode_is_seen(served: Served, venue: CcxtVenue, symbol: str, kind: MarketKind) -> None:
    instrument = venue.observer.instrument(symbol)
    assert (await venue.observer.facts([instrument])).one_way is True
    served.exchange.set_position_mode(KEY, kind, True)
    assert (await venue.observer.facts([instrument])).one_way is False
    assert isinstance(await venue.trader.submit(await marketable(venue, symbol, "1")), Rejected)


async def test_working_orders_of_both_products(venue: CcxtVenue) -> None:
    client = raw(venue)
    await client.create_order(LINEAR, "limit", "sell", "1", "70000", {"clientOrderId": "kp" + "b" * 28})
    await client.create_order(INVERSE, "limit", "sell", "10", "70000", {"clientOrderId": "mine"})
    working = {each.client_id: each for each in (await venue.observer.positions()).working}
    assert {name: each.contracts for name, each in working.items()} == {"b" * 28: D(1), "mine": D(10)}
    for each in working.values():
        await venue.trader.cancel(each)
        await venue.trader.cancel(each)
    assert (await venue.observer.positions()).working == ()


async def test_an_answer_that_never_came_is_looked_up(served: Served, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "1")

    async def drop_orders(call: Call, proceed: Proceed) -> Reply:
        reply = await proceed()
        return Reply(0, "", dropped=True) if (call.method, call.path) == ("POST", "/fapi/v1/order") else reply

    served.server.dispatcher.gate = drop_orders
    assert isinstance(await venue.trader.submit(sent), Ambiguous)
    assert served.asked("/fapi/v1/order") == 1
    found = await venue.trader.lookup(sent.instrument, sent.client_id, None)
    assert isinstance(found, OrderReport)
    assert found.filled == 1
    assert isinstance(await venue.trader.lookup(sent.instrument, "a" * 28, None), NotFound)


@pytest.mark.parametrize(
    ("status", "body", "fate"),
    [
        (503, '{"code":-1007,"msg":"Timeout waiting for response from backend server."}', Ambiguous),
        (503, '{"code":-1008,"msg":"Server is currently overloaded"}', RetryLater),
        (502, "<html>bad gateway</html>", Ambiguous),
        (200, "", Ambiguous),
        (200, "{}", Ambiguous),
        (200, "[]", Ambiguous),
        (429, '{"code":-1003,"msg":"Too many requests"}', RetryLater),
        (400, '{"code":-2019,"msg":"Margin is insufficient."}', Rejected),
        (400, '{"code":-4164,"msg":"Order\'s notional must be no smaller than 100"}', Rejected),
        (400, '{"code":-4116,"msg":"ClientOrderId is duplicated"}', Ambiguous),
    ],
)
async def test_answers_to_an_order(
    served: Served, venue: CcxtVenue, status: int, body: str, fate: type[object]
) -> None:
    sent = await marketable(venue, LINEAR, "1")

    async def answer(call: Call, proceed: Proceed) -> Reply:
        if (call.method, call.path) == ("POST", "/fapi/v1/order"):
            return Reply(status, body, {"Retry-After": "1"})
        return await proceed()

    served.server.dispatcher.gate = answer
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, fate), outcome
    assert served.asked("/fapi/v1/order") == 1


async def test_no_failure_shows_the_signed_address(served: Served, venue: CcxtVenue) -> None:
    async def drop(call: Call, proceed: Proceed) -> Reply:
        return Reply(0, "", dropped=True)

    served.server.dispatcher.gate = drop
    with pytest.raises(Exception, match="account") as bare:
        await raw(venue).privateGetAccount()  # what the client itself raises is clean already
    assert "signature" not in repr(bare.value)
    with pytest.raises(UnreachableError) as caught:
        await venue.observer.wallet("")
    outcome = await venue.trader.submit(order(venue.observer.instrument(LINEAR), "1", D(65000)))
    for text in (str(caught.value), repr(outcome)):
        assert "signature" not in text
        assert KEY not in text
