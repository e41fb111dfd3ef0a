"""Orders that wait at the touch: others' trades meet them, in part, when the market moves their way."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.sim.market import Walk, random_walk
from keeper.sim.types import ExchangeOptions, MarketKey, MarketStatus, OrderStatus, Side, TimeInForce
from tests.sim.house import BTC_COIN, BTC_PERP, BTC_SPOT, KEY, D, House, build

BUSY = ExchangeOptions(flow_notional=D(120_000))


def touch(house: House, side: Side, market: MarketKey = BTC_PERP) -> Decimal:
    book = house.exchange.book(market, 1)
    return (book.bids if side is Side.BUY else book.asks)[0].price


def wait_at(house: House, side: Side, quantity: str, price: Decimal | None = None) -> int:
    at = touch(house, side) if price is None else price
    return house.put(BTC_PERP, side, quantity, str(at), time_in_force=TimeInForce.GTX).order.order_id


def filled(house: House, order_id: int, market: MarketKey = BTC_PERP) -> Decimal:
    return house.exchange.order(KEY, market, order_id=order_id).executed_quantity


def test_who_lets_the_price_fall_sells_to_the_bids() -> None:
    house = build(usdm="1000000", price="60000", options=BUSY)
    bid, ask = wait_at(house, Side.BUY, "5"), wait_at(house, Side.SELL, "5")
    house.price("59999.5")
    assert (filled(house, bid), filled(house, ask)) == (D("2.000"), D(0))
    house.price("59999.6")
    assert (filled(house, bid), filled(house, ask)) == (D("2.000"), D(0))  # its ask is above the touch by now
    (fill,) = house.exchange.fills(KEY)
    assert (fill.maker, fill.price, fill.commission) == (True, D(59_997), 2 * D(59_997) * D("0.0002"))


def test_a_quiet_market_fills_only_what_it_trades_through() -> None:
    house = build(usdm="1000000", price="60000", options=replace(BUSY, flow_notional=D(0)))
    bid = wait_at(house, Side.BUY, "4")
    house.price("59995")
    assert filled(house, bid) == 0
    house.price("59990")
    assert filled(house, bid) == 4


def test_the_better_price_is_met_first_and_what_is_worse_than_the_touch_is_not() -> None:
    house = build(usdm="1000000", price="60000", options=BUSY)
    best = touch(house, Side.BUY)
    worse, better, same = (wait_at(house, Side.BUY, "1.5", best + change) for change in (D(-9), D("0.1"), D(0)))
    house.price("59999.9")
    assert [filled(house, each) for each in (better, same, worse)] == [D("1.5"), D("0.5"), D(0)]


def test_a_cover_is_met_for_what_is_open_and_no_more() -> None:
    house = build(usdm="1000000", price="60000", options=BUSY)
    house.sell(BTC_PERP, "1")
    price = touch(house, Side.BUY)
    cover = house.buy(BTC_PERP, "3", str(price), time_in_force=TimeInForce.GTX, reduce_only=True).order
    house.price("59999.5")
    assert house.position(BTC_PERP).quantity == 0
    after = house.exchange.order(KEY, BTC_PERP, order_id=cover.order_id)
    assert (after.executed_quantity, after.status) == (D(1), OrderStatus.EXPIRED)


def test_nothing_is_met_while_the_market_is_halted() -> None:
    house = build(usdm="1000000", price="60000", options=BUSY)
    bid = wait_at(house, Side.BUY, "1")
    house.exchange.set_status(BTC_PERP, MarketStatus.HALT)
    house.price("59999")
    assert filled(house, bid) == 0


def test_spot_and_coin_margined_orders_are_met_as_well() -> None:
    house = build(usdt="1000000", coinm="5", price="60000", options=BUSY)
    for market, quantity in ((BTC_SPOT, "5"), (BTC_COIN, "5000")):
        order = house.buy(market, quantity, str(touch(house, Side.BUY, market)))
        house.price(house.exchange.index_price("BTC") - D("0.5"))
        assert filled(house, order.order.order_id, market) == (D("2.00011") if market is BTC_SPOT else 1200)


def test_a_quote_at_the_touch_has_a_realistic_chance() -> None:
    """Requoted at each step of a seeded walk, a bid and an ask are filled at about every second one each."""
    house = build(usdm="10000000", price="60000", options=BUSY)
    met = {Side.BUY: 0, Side.SELL: 0}
    for tick in islice(random_walk(Walk("BTC", D(60_000), volatility=0.5), seed=4), 1, 301):
        orders = {side: wait_at(house, side, "0.01") for side in Side}
        house.price(tick.price)
        for side, order_id in orders.items():
            met[side] += filled(house, order_id) > 0
        house.exchange.cancel_all(KEY, BTC_PERP)
    assert 90 < met[Side.BUY] < 210
    assert 90 < met[Side.SELL] < 210


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 4_000), min_size=1, max_size=5),
    moves=st.lists(st.integers(-400, 400), min_size=1, max_size=10),
)
def test_no_order_fills_beyond_its_size_or_at_another_price(sizes: list[int], moves: list[int]) -> None:
    house = build(usdm="100000000", price="60000", options=BUSY)
    orders = [wait_at(house, Side.BUY, str(D(size) / 1000)) for size in sizes]
    price = 60_000
    for move in moves:
        price += move
        house.price(price)
    for order_id in orders:
        order = house.exchange.order(KEY, BTC_PERP, order_id=order_id)
        mine = [fill for fill in house.exchange.fills(KEY) if fill.order_id == order_id]
        assert sum((fill.quantity for fill in mine), D(0)) == order.executed_quantity <= order.quantity
        assert all(fill.maker and fill.price == order.price for fill in mine)
