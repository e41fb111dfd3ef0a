"""The in-process venue's further readings: books, candles, listings, funding rates, margin, and money that moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from keeper.core.model import AccountId, Contracts, Instrument, PlannedOrder, Quote
from keeper.core.model import Base as CoreBase
from keeper.core.model import Side as CoreSide
from keeper.sim.defaults import inverse_market, linear_market
from keeper.sim.fault_kinds import FaultKind
from keeper.sim.faults import FaultMenu
from keeper.sim.local import LocalVenue
from keeper.sim.types import MarginMode, MarketStatus, OrderStatus, Permissions, WalletKind, inverse
from keeper.venue.base import (
    Accepted,
    BadReadingError,
    CredentialsRefusedError,
    EmptyReadingError,
    OrderReport,
    OrderState,
    Rejected,
    UnknownSymbolError,
    UnknownWalletError,
    UnreachableError,
    VenueError,
)
from keeper.venue.further import AccountMargin, NotOfferedError
from tests.sim.house import BTC_COIN, BTC_PERP, KEY, D, House, build

HOUR_MS = 3_600_000
MARCH_27 = 1_774_598_400_000  # 2026-03-27 08:00 UTC


async def opened(house: House) -> LocalVenue:
    venue = LocalVenue("main", house.exchange, KEY, house.clock)
    await venue.open()
    return venue


async def test_a_book_has_the_best_levels_first_and_our_orders_in_it() -> None:
    house = build(usdm="100000", price="60000")
    resting = house.buy(BTC_PERP, "0.7", "59990").order
    venue = await opened(house)
    perp = venue.instrument("BTC/USDT:USDT")
    book = await venue.book(perp, 5)
    assert (len(book.bids), len(book.asks)) == (5, 5)
    assert [level.price for level in book.bids] == sorted((level.price for level in book.bids), reverse=True)
    assert [level.price for level in book.asks] == sorted(level.price for level in book.asks)
    assert book.mid == D("60000.05")
    (ours,) = [level for level in (await venue.book(perp, 50)).bids if level.price == resting.price]
    assert ours.contracts >= D("0.7")
    assert book.at_ms == house.clock.now_ms()


async def test_candles_are_the_closed_ones_over_many_pages() -> None:
    house = build(price="60000")
    house.clock.advance(90.0)
    now_ms = house.clock.now_ms()
    venue = await opened(house)
    since_ms = now_ms - 2_500 * 60_000
    candles = await venue.candles("BTC/USDT:USDT", "1m", since_ms, now_ms)
    first_ms = -(-since_ms // 60_000) * 60_000
    assert [candle.open_ms for candle in candles] == list(range(first_ms, now_ms - 60_000, 60_000))
    spot = await venue.candles("BTC/USDT", "1h", now_ms - 5 * HOUR_MS, now_ms - 2 * HOUR_MS)
    assert len(spot) == 3
    assert spot[-1].open_ms < now_ms - 2 * HOUR_MS
    with pytest.raises(NotOfferedError):
        await venue.candles("BTC/USDT", "7m", 0, now_ms)
    with pytest.raises(UnknownSymbolError):
        await venue.candles("DOGE/USDT", "1m", since_ms, now_ms)


async def test_what_trades_is_listed_dated_contracts_by_their_day() -> None:
    house = build(price="60000")
    for made in (
        linear_market("BTC", "0.1", ("0.001", "500", "10"), "5", expiry_ms=MARCH_27, suffix="_260327"),
        inverse_market("BTC", "0.1", "100", expiry_ms=MARCH_27, suffix="_260327"),
    ):
        house.exchange.add_market(made)
    house.exchange.set_status(BTC_COIN, MarketStatus.SETTLING)
    venue = await opened(house)
    symbols = {each.id.symbol for each in venue.listed("BTC")}
    assert symbols == {"BTC/USDT:USDT", "BTC/USDT:USDT-260327", "BTC/USD:BTC-260327"}
    assert venue.instrument("BTC/USD:BTC-260327").expires_at_ms == MARCH_27
    assert venue.instrument("BTC/USD:BTC").contract_size == 100
    assert await venue.funding_rates(venue.instrument("BTC/USD:BTC-260327"), 0) == ()


async def test_funding_rates_are_the_settled_ones_since_then() -> None:
    house = build(usdm="10000")
    venue = await opened(house)
    perp = venue.instrument("BTC/USDT:USDT")
    house.exchange.set_funding_rate(BTC_PERP, D("-0.0005"))
    before = await venue.funding_rates(perp, 0)
    assert len(before) == 1_000
    house.clock.advance(8 * 3_600)
    house.exchange.advance()
    (newest,) = await venue.funding_rates(perp, before[-1].at_ms + 1)
    assert (newest.rate, newest.at_ms) == (D("-0.0005"), before[-1].at_ms + 8 * HOUR_MS)


def margin(rows: tuple[AccountMargin, ...], wallet: str, asset: str) -> AccountMargin:
    (found,) = [row for row in rows if row.account == AccountId("main", wallet) and row.asset == asset]
    return found


async def test_margin_is_told_by_product_and_coin() -> None:
    house = build(usdm="100000", coinm="5", price="65000")
    house.exchange.set_margin_mode(KEY, inverse("ETHUSD_PERP"), MarginMode.ISOLATED)
    house.sell(BTC_PERP, "2")
    house.sell(BTC_COIN, "3120")
    venue = await opened(house)
    house.price("52000")
    rows = await venue.margins()
    linear = margin(rows, "linear", "USDT")
    assert linear.equity == pytest.approx(D(126_000), abs=D(100))
    assert linear.maintenance == 2 * 52_000 * D("0.004")
    assert linear.available == house.exchange.futures_account(KEY, BTC_PERP.kind).balances[0].max_withdraw_amount
    coin = margin(rows, "inverse", "BTC")
    assert coin.equity == pytest.approx(D("6.2"), abs=D("0.01"))
    assert coin.maintenance == 6 * D("0.004")
    assert coin.ratio is not None
    assert coin.ratio < D("0.005")
    (held,) = coin.positions
    assert (held.instrument, held.liquidation_price) == (venue.instrument("BTC/USD:BTC").id, None)
    assert linear.positions[0].liquidation_price is not None
    assert linear.positions[0].liquidation_price > 100_000
    assert margin(rows, "inverse", "ETH").ratio is None
    assert (await venue.positions()).positions[0].liquidation_price == linear.positions[0].liquidation_price


async def test_an_isolated_position_stands_for_itself() -> None:
    house = build(usdm="100000", price="60000")
    house.exchange.set_margin_mode(KEY, BTC_PERP, MarginMode.ISOLATED)
    house.sell(BTC_PERP, "1")
    venue = await opened(house)
    linear = margin(await venue.margins(), "linear", "USDT")
    assert linear.maintenance == 0
    assert linear.equity == pytest.approx(D(97_000), abs=D(40))
    assert linear.positions[0].isolated
    assert linear.positions[0].maintenance == 60_000 * D("0.004")


# --- transfers --------------------------------------------------------------------------------------------------------


async def test_money_moves_between_all_wallets_that_lend_and_hold() -> None:
    house = build(btc="3", usdt="1000")
    venue = await opened(house)
    with pytest.raises(EmptyReadingError):
        await venue.wallet("earn")
    for source, target, left in (("", "inverse", "2"), ("", "earn", "1"), ("earn", "funding", "0")):
        assert await venue.transfer("BTC", D(1), source, target)
        assert (await venue.wallet(source)).totals["BTC"] == D(left)
        assert (await venue.wallet(target)).totals["BTC"] == 1
    assert await venue.outflow(AccountId("main", "earn"), "BTC", 0) == 1
    with pytest.raises(VenueError, match="bad_parameter"):
        await venue.transfer("BTC", D(1), "inverse", "earn")
    with pytest.raises(VenueError, match="insufficient_balance"):
        await venue.transfer("BTC", D(2), "", "linear")
    with pytest.raises(UnknownWalletError):
        await venue.transfer("BTC", D(1), "", "margin")
    with pytest.raises(UnknownWalletError):
        await venue.wallet("margin")


async def test_a_key_that_may_not_transfer_does_not() -> None:
    house = build(btc="3")
    venue = await opened(house)
    house.exchange.set_permissions(KEY, Permissions(transfers=False))
    with pytest.raises(CredentialsRefusedError):
        await venue.transfer("BTC", D(1), "", "inverse")
    assert house.spot("BTC").free == 3


@pytest.mark.parametrize(
    ("kind", "error", "moved"),
    [
        (FaultKind.TRANSFER_LOST_BEFORE, UnreachableError, False),
        (FaultKind.TRANSFER_LOST_AFTER, UnreachableError, True),
        (FaultKind.TRANSFER_REFUSED, VenueError, False),
        (FaultKind.MAINTENANCE, UnreachableError, False),
    ],
)
async def test_a_transfer_whose_answer_is_lost_may_have_been_done(
    kind: FaultKind, error: type[VenueError], moved: bool
) -> None:
    house = build(btc="3")
    venue = await opened(house)
    menu = FaultMenu(house.exchange, seed=5)
    house.exchange.intercept(menu)
    menu.arm(kind)
    with pytest.raises(error) as caught:
        await venue.transfer("BTC", D(1), "", "inverse")
    assert isinstance(caught.value, UnreachableError) is (error is UnreachableError)
    assert menu.fired == {kind: 1}
    assert house.exchange.truth(KEY).spot["BTC"] == (2 if moved else 3)


async def test_the_new_readings_fail_as_the_others_do() -> None:
    house = build(usdm="1000", btc="1")
    venue = await opened(house)
    perp = venue.instrument("BTC/USDT:USDT")
    now_ms = house.clock.now_ms()
    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "book": lambda: venue.book(perp),
        "klines": lambda: venue.candles("BTC/USDT", "1h", now_ms - 5 * HOUR_MS, now_ms),
        "funding_history": lambda: venue.funding_rates(perp, 0),
        "futures_account": lambda: venue.margins(),
        "earn_wallet": lambda: venue.wallet("earn"),
    }
    house.exchange.transfer(KEY, "BTC", D("0.5"), WalletKind.SPOT, WalletKind.EARN)
    menu = FaultMenu(house.exchange, seed=5)
    house.exchange.intercept(menu)
    for name, ask in questions.items():
        for kind, error in ((FaultKind.READ_LOST, UnreachableError), (FaultKind.READ_MALFORMED, BadReadingError)):
            menu.arm(kind, reading=name)
            with pytest.raises(error):
                await ask()
        await ask()


# --- orders that rest -------------------------------------------------------------------------------------------------


def passive(instrument: Instrument, side: CoreSide, price: str, contracts: str = "1") -> PlannedOrder:
    size = Decimal(contracts)
    worth = Quote(size * Decimal(price))
    return PlannedOrder(
        "0" * 28, "btc", instrument.id, side, Contracts(size), CoreBase(size), worth, Decimal(price), False,
        time_in_force="PO",
    )  # fmt: skip


async def test_a_post_only_order_rests_and_fills_as_a_maker() -> None:
    house = build(usdm="100000", price="60000")
    venue = await opened(house)
    order = passive(venue.instrument("BTC/USDT:USDT"), CoreSide.SELL, "60100")
    assert await venue.submit(order) == Accepted(str(house.exchange.truth(KEY).accepted_orders[0].order_id), None)
    (working,) = (await venue.positions()).working
    assert (working.client_id, working.remaining) == (order.client_id, Contracts(D(1)))
    house.price("60200")
    report = await venue.lookup(order.instrument, order.client_id, None)
    assert isinstance(report, OrderReport)
    assert report.state is OrderState.FILLED
    (fill,) = await venue.fills(order.instrument, 0)
    assert (fill.price, fill.fee) == (D(60_100), D(60_100) * D("0.0002"))


async def test_a_post_only_order_that_would_take_is_refused_and_leaves_no_trace() -> None:
    house = build(usdm="100000", price="60000")
    venue = await opened(house)
    told = await venue.submit(passive(venue.instrument("BTC/USDT:USDT"), CoreSide.SELL, "59000"))
    assert isinstance(told, Rejected)
    assert told.code == "post_only_would_cross"
    assert house.exchange.truth(KEY).accepted_orders == ()


async def test_a_resting_order_is_taken_back() -> None:
    house = build(usdm="100000", price="60000")
    venue = await opened(house)
    await venue.submit(passive(venue.instrument("BTC/USDT:USDT"), CoreSide.SELL, "60100"))
    (working,) = (await venue.positions()).working
    await venue.cancel(working)
    assert (await venue.positions()).working == ()
    assert house.exchange.truth(KEY).accepted_orders[0].status is OrderStatus.CANCELED
