"""Readings of the whole venue over real sockets, against a stand-in for Bybit's v5 protocol."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from keeper.core.model import ZERO, AccountId, Kind, Side
from keeper.venue.base import (
    BadReadingError,
    ClockRefusedError,
    CredentialsRefusedError,
    EmptyReadingError,
    OrderState,
    RateLimitedError,
    Rejected,
    RetryLater,
    UnknownSymbolError,
    UnreachableError,
    VenueError,
)
from keeper.venue.ccxt_venue import CcxtVenue, Credentials
from tests.support.bybit_v5 import BybitV5
from tests.venue.helpers import DRY_RUN, asked, marketable, opened, report_of, stand_in_venue

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
CREATE = "/v5/order/create"
D = Decimal


async def test_a_start_asks_for_nothing_that_is_not_needed(stand_in: BybitV5, venue: CcxtVenue) -> None:
    paths = [request.path for request in stand_in.requests]
    assert set(paths) == {"/v5/market/instruments-info", "/v5/account/info"}
    assert stand_in.unknown_paths == []


async def test_wallets_are_net_of_debt_and_absent_coins_are_absent(stand_in: BybitV5, venue: CcxtVenue) -> None:
    wallet = await venue.observer.wallet("")
    assert wallet.account == AccountId("main")
    assert wallet.totals == {"BTC": D(5), "ETH": D("-0.5"), "USDT": D(100000)}
    stand_in.hide_coin("BTC")
    assert "BTC" not in (await venue.observer.wallet("")).totals
    with pytest.raises(VenueError, match="funding"):
        await venue.observer.wallet("piggybank")


async def test_open_profit_is_no_part_of_the_wallet(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.set_position(INVERSE, -60000, 60000)
    stand_in.set_price("BTC", 50000)
    assert (await venue.observer.wallet("")).totals["BTC"] == 5
    assert stand_in.equity("BTC") == D("5.2")
    instrument = venue.observer.instrument(INVERSE)
    (position,) = (await venue.observer.positions()).positions
    assert position.entry_price is not None
    profit = instrument.coin_pnl(position.contracts, position.entry_price, D(50000))
    assert profit == pytest.approx(D("0.2"))
    assert venue.observer.collateral(instrument) == (AccountId("main"), True)
    assert venue.observer.collateral(venue.observer.instrument(LINEAR)) is None


async def test_an_empty_answer_is_no_evidence_of_zero(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.empty_wallet()
    with pytest.raises(EmptyReadingError):
        await venue.observer.wallet("")
    stand_in.coinless_wallet()
    with pytest.raises(EmptyReadingError):
        await venue.observer.wallet("")
    stand_in.empty_positions(times=4)
    with pytest.raises(BadReadingError, match="no evidence"):
        await venue.observer.position(venue.observer.instrument(LINEAR))


@pytest.mark.parametrize("value", ["", "NaN", "abc", None, [], True, "-5"])
async def test_a_field_that_is_no_amount_stops_the_reading(stand_in: BybitV5, venue: CcxtVenue, value: Any) -> None:
    stand_in.set_position(LINEAR, -2)
    stand_in.misread_positions("size", value, times=4)
    book = await venue.observer.positions()
    assert book.positions == ()
    assert LINEAR in book.unread
    assert INVERSE not in book.unread
    assert [type(fault) for fault in book.faults] == [BadReadingError]
    assert "size" in str(book.faults[0])


async def test_a_row_whose_value_says_another_size_is_shown_and_doubted(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.set_position(LINEAR, -2)
    stand_in.misread_positions("size", "0.2", times=4)
    book = await venue.observer.positions()
    assert [position.contracts for position in book.positions] == [D("-0.2")]
    assert "disagree" in str(book.faults[0])
    with pytest.raises(BadReadingError, match="disagree"):
        await venue.observer.position(venue.observer.instrument(LINEAR))


async def test_all_books_are_read_with_a_fixed_number_of_requests(stand_in: BybitV5, venue: CcxtVenue) -> None:
    for symbol, size in ((LINEAR, "-1.5"), (INVERSE, "-30000"), ("ETH/USDT:USDT", "4")):
        stand_in.set_position(symbol, size)
    stand_in.requests.clear()
    book = await venue.observer.positions()
    held = {position.instrument.id.symbol: position.contracts for position in book.positions}
    assert held == {LINEAR: D("-1.5"), INVERSE: D(-30000), "ETH/USDT:USDT": D(4)}
    first = len(stand_in.requests)
    stand_in.set_position("SOL/USDT:USDT", "-10")
    stand_in.requests.clear()
    await venue.observer.positions()
    assert abs(len(stand_in.requests) - first) <= 1  # a page more at most


async def test_an_explicit_zero_is_shown_by_symbol(venue: CcxtVenue) -> None:
    for symbol in (LINEAR, INVERSE):
        position = await venue.observer.position(venue.observer.instrument(symbol))
        assert (position.contracts, position.entry_price) == (ZERO, None)


async def test_a_market_listed_since_the_start_is_asked_for_once(stand_in: BybitV5, venue: CcxtVenue) -> None:
    stand_in.set_position(LINEAR, -1)
    by_id = venue.connection.client.markets_by_id
    assert by_id is not None
    by_id.pop("BTCUSDT")
    (position,) = (await venue.observer.positions()).positions
    assert position.contracts == -1
    stand_in.misread_positions("symbol", "NEWCOINUSDT", times=8)
    reloads = []
    for _ in range(2):
        stand_in.requests.clear()
        book = await venue.observer.positions()
        assert "NEWCOINUSDT" in str(book.faults[0])
        reloads.append(asked(stand_in, "instruments-info") > 0)
    assert reloads == [True, False]


async def test_marks_of_both_products_in_two_requests(stand_in: BybitV5, venue: CcxtVenue) -> None:
    instruments = [venue.observer.instrument(symbol) for symbol in (LINEAR, INVERSE, "ETH/USDT:USDT")]
    stand_in.requests.clear()
    marks = await venue.observer.marks(instruments)
    assert len(stand_in.requests) == 2
    mark = marks[instruments[0].id]
    assert mark.bid is not None
    assert mark.ask is not None
    assert mark.bid < mark.mark < mark.ask
    assert mark.index == D(60000)
    assert mark.at_ms is not None
    prices = await venue.observer.asset_prices(["BTC", "ETH", "USDT", "NOPE"], "USDT")
    assert prices == {"BTC": D(60000), "ETH": D(3000), "USDT": D(1)}


async def test_what_the_account_is_like(stand_in: BybitV5, venue: CcxtVenue) -> None:
    instrument = venue.observer.instrument(LINEAR)
    facts = await venue.observer.facts([instrument])
    assert (facts.one_way, facts.can_withdraw, facts.can_trade) == (True, False, True)
    assert facts.settings[instrument.id].margin_mode == "cross"
    await venue.trader.set_leverage(instrument.id, D(3))
    await venue.trader.set_leverage(instrument.id, D(3))  # "not modified" is success
    await venue.trader.set_margin_mode(instrument.id, "cross")
    assert (await venue.observer.facts([instrument])).settings[instrument.id].leverage == 3


async def test_hedge_mode_is_seen_and_its_rows_are_added_up(stand_in: BybitV5, venue: CcxtVenue) -> None:
    instrument = venue.observer.instrument(LINEAR)
    client: Any = venue.connection.client
    await client.set_position_mode(True, LINEAR)
    assert (await venue.observer.facts([instrument])).one_way is False
    for side, amount, number in (("sell", "2", "c"), ("buy", "0.5", "d")):
        price = "59000" if side == "sell" else "61000"
        more = {"hedged": True, "clientOrderId": "kp" + number * 28, "timeInForce": "IOC"}
        await client.create_order(LINEAR, "limit", side, amount, price, more)
    (position,) = (await venue.observer.positions()).positions
    assert position.contracts == D("-1.5")
    assert (await venue.observer.position(instrument)).contracts == D("-1.5")
    outcome = await venue.trader.submit(await marketable(venue, LINEAR, "1"))
    assert isinstance(outcome, Rejected)  # a one-way order has no place here


async def test_a_clock_that_is_off_is_named(stand_in: BybitV5, venue: CcxtVenue) -> None:
    sent = await marketable(venue, LINEAR, "1")
    stand_in.skew_clock(60_000)
    with pytest.raises(ClockRefusedError):
        await venue.observer.wallet("")
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "10002"


async def test_the_clock_is_compared(stand_in: BybitV5, venue: CcxtVenue) -> None:
    assert abs(await venue.observer.clock_offset_ms()) < 1000
    stand_in.lie_about_time(7000)
    assert abs(await venue.observer.clock_offset_ms() - 7000) < 1000


async def test_symbols_are_checked_by_name(venue: CcxtVenue) -> None:
    with pytest.raises(UnknownSymbolError) as caught:
        venue.observer.instrument("BTC/USDT:USDC")
    assert LINEAR in caught.value.near
    with pytest.raises(UnknownSymbolError, match="not a future"):
        venue.observer.instrument("BTC/USDT")
    assert venue.observer.instrument(INVERSE).kind is Kind.INVERSE


async def test_an_outflow_is_explained_by_the_ledger(stand_in: BybitV5, venue: CcxtVenue) -> None:
    account, start = AccountId("main"), stand_in.exchange.now_ms()
    assert await venue.observer.outflow(account, "BTC", start - 1) == 0
    stand_in.foreign_trade(INVERSE, "-1000")  # its fee is taken in the coin, and explains no sale
    stand_in.set_funding(INVERSE, "-0.001")
    stand_in.settle_funding(INVERSE)
    assert await venue.observer.outflow(account, "BTC", start - 1) == 0
    stand_in.sell_spot("BTC", "1")
    assert await venue.observer.outflow(account, "BTC", start - 1) == 1
    assert await venue.observer.outflow(account, "ETH", start - 1) == 0
    stand_in.withdraw("USDT", "10", recorded=True)
    assert await venue.observer.outflow(account, "USDT", start - 1) == 10


@pytest.mark.parametrize(("symbol", "asset"), [(LINEAR, "USDT"), (INVERSE, "BTC")])
async def test_funding_received_is_positive_and_in_the_coin_of_settlement(
    stand_in: BybitV5, venue: CcxtVenue, symbol: str, asset: str
) -> None:
    start = stand_in.exchange.now_ms()
    stand_in.set_position(symbol, -1 if symbol == LINEAR else -60000)
    stand_in.set_funding(symbol, "0.0001")
    before = stand_in.wallet(asset)
    stand_in.settle_funding(symbol)
    (entry,) = await venue.observer.funding(venue.observer.instrument(symbol), start)
    assert entry.amount == stand_in.wallet(asset) - before > 0
    assert entry.asset == asset
    assert await venue.observer.funding(venue.observer.instrument("ETH/USDT:USDT"), start) == ()


async def test_a_reload_that_fails_leaves_what_was_known(stand_in: BybitV5, venue: CcxtVenue) -> None:
    path = "/v5/market/instruments-info"
    faults: tuple[Callable[[], object], ...] = (
        lambda: stand_in.http_error(503, path, times=None),
        lambda: stand_in.malformed(path, times=None),
        lambda: stand_in.ret_code(10016, path, times=None),
    )
    for arm in faults:
        stand_in.clear_faults()
        arm()
        with pytest.raises(VenueError):
            await venue.open()
        assert venue.observer.instrument(LINEAR).contract_size == 1
        assert (await venue.observer.positions()).positions == ()
    stand_in.clear_faults()
    await venue.open()


async def test_what_can_fail_has_a_name(stand_in: BybitV5, venue: CcxtVenue) -> None:
    path = "/v5/account/wallet-balance"
    faults: tuple[tuple[Callable[[], object], type[VenueError]], ...] = (
        (lambda: stand_in.drop(path, times=2), UnreachableError),
        (lambda: stand_in.http_error(503, path), UnreachableError),
        (lambda: stand_in.malformed(path), BadReadingError),
        (lambda: stand_in.ret_code(10003, path), CredentialsRefusedError),
        (lambda: stand_in.ret_code(10002, path), ClockRefusedError),
    )
    for arm, error in faults:
        stand_in.clear_faults()
        arm()
        with pytest.raises(error):
            await venue.observer.wallet("")


async def test_a_limit_stops_reads_and_new_shorts_but_not_covers_and_positions(
    stand_in: BybitV5, venue: CcxtVenue
) -> None:
    sell = await marketable(venue, LINEAR, "1")
    buy = await marketable(venue, LINEAR, "1", 2, side=Side.BUY, cover=True)
    stand_in.set_position(LINEAR, -2)
    stand_in.rate_limit("10006", "/v5/account/wallet-balance")
    with pytest.raises(RateLimitedError):
        await venue.observer.wallet("")
    assert 0 < venue.back_off_seconds() <= 1
    venue.started()
    with pytest.raises(RateLimitedError):
        await venue.observer.book(venue.observer.instrument(LINEAR))
    assert abs(await venue.observer.clock_offset_ms()) < 1000
    assert isinstance(await venue.trader.submit(sell), RetryLater)
    assert (await report_of(venue, buy)).state is OrderState.FILLED
    assert (await venue.observer.position(venue.observer.instrument(LINEAR))).contracts == -1
    assert [order.link_id for order in stand_in.accepted_orders] == ["kp" + buy.client_id]


async def test_a_venue_that_is_not_there(stand_in: BybitV5) -> None:
    await stand_in.kill()
    venue = stand_in_venue(stand_in, seconds=1)
    with pytest.raises(UnreachableError):
        await venue.open()
    with pytest.raises(VenueError, match="not loaded"):
        venue.observer.instrument(LINEAR)
    await venue.close()


async def test_wrong_keys_are_named(stand_in: BybitV5) -> None:
    async with opened(
        stand_in_venue(stand_in, credentials=Credentials("wrong-key", "wrong-secret"), policy=DRY_RUN)
    ) as venue:
        with pytest.raises(CredentialsRefusedError) as caught:
            await venue.observer.wallet("")
        assert "wrong-" not in str(caught.value)
