"""Dated contracts: a premium that shrinks to nothing, the last trade, delivery, new quarters; and an index future."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.sim.calendar import YEAR_MS, quarter_ends
from keeper.sim.defaults import default_markets, index_market
from keeper.sim.events import ExecutionType, OrderUpdated, PositionForced
from keeper.sim.local import LocalVenue
from keeper.sim.types import (
    ExchangeOptions,
    IncomeKind,
    MarketKey,
    MarketKind,
    MarketStatus,
    OrderStatus,
    Origin,
    TimeInForce,
    inverse,
    linear,
)
from keeper.venue.base import UnknownSymbolError
from tests.sim.house import BTC_COIN, BTC_PERP, KEY, D, ErrorKind, House, build, feeless, free_of_fees, refused

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NEAR, FAR = inverse("BTCUSD_251226"), inverse("BTCUSD_260327")  # the house's clock starts on 2025-11-20


def day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M %a}"


def with_quarters(yearly: str = "0.08", **more: object) -> House:
    house = feeless(**more)
    for like in (BTC_COIN, BTC_PERP):
        house.exchange.list_quarters(like, D(yearly))
    return house


def expiry(house: House, key: MarketKey) -> int:
    found = house.exchange.market(key).expiry_ms
    assert found is not None
    return found


def go_to(house: House, at_ms: int) -> None:
    house.clock.advance((at_ms - house.clock.now_ms()) / 1000)
    house.exchange.advance()


def test_quarters_end_on_the_last_friday_of_their_month() -> None:
    start = int(datetime(2025, 11, 20, tzinfo=UTC).timestamp()) * 1000
    assert [day(end) for end in quarter_ends(start, 5)] == [
        "2025-12-26 08:00 Fri", "2026-03-27 08:00 Fri", "2026-06-26 08:00 Fri", "2026-09-25 08:00 Fri",
        "2026-12-25 08:00 Fri",
    ]  # fmt: skip
    (first,) = quarter_ends(start, 1)
    assert quarter_ends(first, 1) != (first,)
    assert quarter_ends(first - 1, 1) == (first,)


@given(after_ms=st.integers(0, 4_000_000_000_000))
def test_every_quarter_end_is_a_last_friday_and_none_is_left_out(after_ms: int) -> None:
    ends = quarter_ends(after_ms, 4)
    for end in ends:
        at = datetime.fromtimestamp(end / 1000, UTC)
        assert (at.weekday(), at.hour, at.month % 3) == (4, 8, 0)
        assert at.day + 7 > (datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC) - at).days + at.day
    assert all(84 * DAY_MS <= right - left <= 98 * DAY_MS for left, right in pairwise(ends))
    assert after_ms < ends[0] <= after_ms + 98 * DAY_MS


def test_the_current_and_the_next_quarter_are_listed_at_their_basis() -> None:
    house = with_quarters(price="60000")
    listed = {market.symbol for market in house.exchange.markets() if market.expiry_ms is not None}
    assert listed == {"BTCUSD_251226", "BTCUSD_260327", "BTCUSDT_251226", "BTCUSDT_260327"}
    left = Decimal(expiry(house, FAR) - house.clock.now_ms()) / YEAR_MS
    assert house.exchange.mark_price(FAR) == pytest.approx(60_000 * (1 + D("0.08") * left), abs=D("0.001"))
    assert house.exchange.market(FAR).filters == house.exchange.market(BTC_COIN).filters
    assert house.exchange.premium(FAR).funding_rate is None
    assert len(house.exchange.klines(FAR, DAY_MS, limit=30)) == 30


def test_the_premium_shrinks_to_nothing_by_time_alone() -> None:
    house = with_quarters(price="60000")
    start = house.exchange.mark_price(NEAR)
    begun, end = house.clock.now_ms(), expiry(house, NEAR)
    go_to(house, begun + (end - begun) // 2)
    assert house.exchange.mark_price(NEAR) - 60_000 == pytest.approx((start - 60_000) / 2, abs=D("0.1"))
    assert house.exchange.book(NEAR).bids[0].price == pytest.approx(house.exchange.mark_price(NEAR), abs=D("0.1"))
    go_to(house, end - 1)
    assert house.exchange.mark_price(NEAR) == pytest.approx(D(60_000), abs=D("0.06"))
    house.price("61000")
    assert house.exchange.mark_price(NEAR) == pytest.approx(D(61_000), abs=D("0.06"))


def test_a_resting_order_fills_when_the_premium_comes_down_to_it() -> None:
    house = with_quarters(coinm="5", price="60000")
    price = (house.exchange.mark_price(NEAR) + 60_000) / 2
    order = house.buy(NEAR, "100", str(price.quantize(D(1))), time_in_force=TimeInForce.GTX).order
    go_to(house, house.clock.now_ms() + DAY_MS)
    assert house.exchange.order(KEY, NEAR, order_id=order.order_id).is_open
    go_to(house, expiry(house, NEAR) - DAY_MS)
    filled = house.exchange.order(KEY, NEAR, order_id=order.order_id)
    assert (filled.status, filled.average_price) == (OrderStatus.FILLED, filled.price)


def test_a_contract_settles_between_its_last_trade_and_its_delivery() -> None:
    house = build(
        options=ExchangeOptions(half_spread_bps=D(0), first_level_notional=D(10**9), delivery_ms=60_000),
        markets=free_of_fees(default_markets()), coinm="5", price="60000",
    )  # fmt: skip
    house.exchange.list_quarters(BTC_COIN, D("0.08"))
    house.sell(NEAR, "3000")
    entry = house.position(NEAR).entry_price
    resting = house.sell(NEAR, "10", "63000").order
    end = expiry(house, NEAR)
    go_to(house, end)
    assert house.exchange.market(NEAR).status is MarketStatus.SETTLING
    assert house.exchange.order(KEY, NEAR, order_id=resting.order_id).status is OrderStatus.EXPIRED
    assert house.position(NEAR).quantity == -3000
    with refused(ErrorKind.MARKET_CLOSED):
        house.buy(NEAR, "1", "60000")
    house.price("59000")
    go_to(house, end + 60_000)
    assert house.exchange.market(NEAR).status is MarketStatus.DELIVERED
    assert house.position(NEAR).quantity == 0
    (row,) = house.exchange.income(KEY, MarketKind.INVERSE, income=IncomeKind.DELIVERED_SETTELMENT)
    assert row.symbol == "BTCUSD_251226"
    assert row.amount == pytest.approx(3000 * 100 * (1 / D(59_000) - 1 / entry), abs=D("0.00000001"))
    assert house.wallet(MarketKind.INVERSE, "BTC") == 5 + row.amount
    (forced,) = [event for event in house.events if isinstance(event, PositionForced)]
    assert (forced.origin, forced.price) == (Origin.SETTLEMENT, D(59_000))
    (told,) = [
        event for event in house.events if isinstance(event, OrderUpdated) and event.fill and event.order.reduce_only
    ]
    assert (told.execution, told.order.client_order_id[:19]) == (ExecutionType.TRADE, "delivery_autoclose-")


def test_a_new_quarter_is_listed_when_one_expires_and_the_old_one_goes() -> None:
    house = with_quarters(price="60000")
    go_to(house, expiry(house, NEAR))
    newest = inverse("BTCUSD_260626")
    assert house.exchange.market(newest).status is MarketStatus.TRADING
    assert house.exchange.market(NEAR).status is MarketStatus.DELIVERED
    left = Decimal(expiry(house, newest) - house.clock.now_ms()) / YEAR_MS
    assert house.exchange.mark_price(newest) == pytest.approx(60_000 * (1 + D("0.08") * left), abs=D("0.001"))
    go_to(house, house.clock.now_ms() + HOUR_MS)
    assert house.exchange.market(NEAR).status is MarketStatus.DELISTED
    go_to(house, expiry(house, newest))
    assert len([each for each in house.exchange.markets(MarketKind.INVERSE) if each.expiry_ms]) == 5


async def test_what_is_gone_is_no_instrument_any_more() -> None:
    house = with_quarters(price="60000")
    venue = LocalVenue("main", house.exchange, KEY, house.clock)
    await venue.open()
    assert venue.instrument("BTC/USD:BTC-251226").expires_at_ms == expiry(house, NEAR)
    go_to(house, expiry(house, NEAR))
    await venue.open()
    assert "BTC/USD:BTC-251226" not in {each.id.symbol for each in venue.listed("BTC")}
    assert "BTC/USD:BTC-260626" in {each.id.symbol for each in venue.listed("BTC")}
    go_to(house, house.clock.now_ms() + HOUR_MS)
    await venue.open()
    with pytest.raises(UnknownSymbolError):
        venue.instrument("BTC/USD:BTC-251226")


def test_a_neutral_dated_inverse_is_sized_at_its_own_price() -> None:
    house = with_quarters(coinm="5", price="60000")
    house.exchange.set_basis(FAR, D("0.015"))
    assert house.exchange.mark_price(FAR) == 60_900
    left = {}
    for dollars in (304_500, 300_000):
        each = with_quarters(coinm="5", price="60000")
        each.exchange.set_basis(FAR, D("0.015"))
        each.sell(FAR, str(dollars // 100))
        left[dollars] = each.exchange.futures_account(KEY, MarketKind.INVERSE)
        assert each.position(FAR).quantity == -dollars // 100
    worth = {dollars: -account.positions[-1].notional for dollars, account in left.items()}
    assert worth[304_500] == 5
    assert 5 - worth[300_000] == pytest.approx(D("0.0739"), abs=D("0.0001"))


@settings(max_examples=30, deadline=None)
@given(
    hours=st.lists(st.integers(1, 400), min_size=1, max_size=8),
    prices=st.lists(st.integers(30_000, 120_000), min_size=8, max_size=8),
)
def test_whenever_it_is_looked_at_the_premium_is_on_its_line_and_money_is_conserved(
    hours: list[int], prices: list[int]
) -> None:
    house = with_quarters(coinm="50", price="60000")
    house.sell(NEAR, "1000")
    house.sell(FAR, "1000")
    marks = {NEAR: D("0.08"), FAR: D("0.08")}
    for lapse, price in zip(hours, prices, strict=False):
        house.clock.advance(lapse * 3600)
        house.exchange.advance()
        house.price(price)
        for key, yearly in marks.items():
            left = max(0, expiry(house, key) - house.clock.now_ms())
            wanted = D(price) * (1 + yearly * left / YEAR_MS)
            assert house.exchange.mark_price(key) == pytest.approx(wanted, abs=D("0.06"))
    incomes = house.exchange.income(KEY, MarketKind.INVERSE)
    assert sum(row.amount for row in incomes) == house.wallet(MarketKind.INVERSE, "BTC")


# --- an index future --------------------------------------------------------------------------------------------------

TOP10 = linear("TOP10USDT")


def indexed(**more: object) -> House:
    """The golden numbers' index: 2,000 points, 100 a point."""
    markets = free_of_fees((*default_markets(), index_market("TOP10")))
    house = build(markets=markets, **more)  # type: ignore[arg-type]
    house.price("2000", "TOP10")
    return house


def test_an_index_future_is_worth_its_points() -> None:
    house = indexed(usdm="100000")
    house.sell(TOP10, "2.5")
    held = house.position(TOP10)
    assert (held.notional, held.maintenance_margin) == (D(-500_000), D(2_500))
    house.price("1500", "TOP10")
    assert house.position(TOP10).unrealised_pnl == 125_000
    house.exchange.set_funding_rate(TOP10, D("0.0001"))
    assert house.exchange.apply_funding(TOP10).mark_price == 1500
    (paid,) = house.exchange.income(KEY, MarketKind.LINEAR, income=IncomeKind.FUNDING_FEE)
    assert paid.amount == D("37.5")
    with refused(ErrorKind.BELOW_MIN_QTY):
        house.sell(TOP10, "0.001")


async def test_an_index_future_is_an_instrument_of_several_units() -> None:
    house = indexed(usdm="100000")
    venue = LocalVenue("main", house.exchange, KEY, house.clock)
    await venue.open()
    top = venue.instrument("TOP10/USDT:USDT")
    house.sell(TOP10, "1.25")
    held = await venue.position(top)
    assert top.notional(held.contracts, D(2000)) == -250_000
    assert top.contract_size == 100
    assert (await venue.marks([top]))[top.id].mark == 2000
