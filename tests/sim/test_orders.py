"""The life of orders: accepted, refused, matched, resting, ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keeper.sim.events import ExecutionType, OrderUpdated
from keeper.sim.types import (
    ExchangeOptions,
    MarketKind,
    MarketStatus,
    OrderRequest,
    OrderStatus,
    OrderType,
    Permissions,
    PositionSide,
    TimeInForce,
    linear,
    spot,
)
from tests.sim.house import BTC_COIN, BTC_PERP, BTC_SPOT, KEY, D, ErrorKind, House, Side, build, feeless, refused

THIN = ExchangeOptions(first_level_notional=D(65_000), levels=3, half_spread_bps=D(1), level_gap_bps=D(10))


def test_a_spot_buy_pays_its_fee_in_what_it_buys_and_a_sell_in_what_it_gets() -> None:
    house = build(usdt="65000")
    bought = house.buy(BTC_SPOT, "0.5")
    assert house.spot("BTC").free == D("0.4995")
    assert (bought.fills[0].commission, bought.fills[0].commission_asset) == (D("0.0005"), "BTC")
    before = house.spot("USDT").free
    house.sell(BTC_SPOT, "0.4")
    assert house.spot("USDT").free - before == pytest.approx(D("25974"), abs=D("0.01"))


def test_spot_orders_lock_what_they_may_spend() -> None:
    house = build(usdt="65000", btc="1")
    order = house.buy(BTC_SPOT, "0.5", "60000").order
    assert (house.spot("USDT").free, house.spot("USDT").locked) == (D(35000), D(30000))
    with refused(ErrorKind.INSUFFICIENT_BALANCE):
        house.buy(BTC_SPOT, "1", "60000")
    with refused(ErrorKind.INSUFFICIENT_BALANCE):
        house.buy(BTC_SPOT, "0.6")
    house.exchange.cancel_order(KEY, BTC_SPOT, order_id=order.order_id)
    assert (house.spot("USDT").free, house.spot("USDT").locked) == (D(65000), D(0))
    house.sell(BTC_SPOT, "1", "70000")
    house.price("71000")
    assert house.spot("BTC").total == 0
    assert house.spot("USDT").free == 65000 + D(70000) * D("0.999")


def test_a_spot_market_order_may_name_the_quote() -> None:
    house = build(usdt="65000")
    request = OrderRequest(BTC_SPOT, Side.BUY, OrderType.MARKET, None, quote_quantity=D(13000))
    order = house.exchange.place_order(KEY, request).order
    assert order.quantity == pytest.approx(D("0.2"), abs=D("0.00001"))
    assert order.executed_value <= 13000


def test_a_market_order_walks_the_book_and_expires_where_it_ends() -> None:
    house = build(usdm="1000000", options=THIN)
    result = house.sell(BTC_PERP, "10")
    assert result.order.status is OrderStatus.EXPIRED
    assert len(result.fills) == 3
    assert result.order.executed_quantity == sum(fill.quantity for fill in result.fills)
    prices = [fill.price for fill in result.fills]
    assert prices == sorted(prices, reverse=True)
    again = house.sell(BTC_PERP, "1")
    assert (again.order.status, again.fills) == (OrderStatus.EXPIRED, ())


def test_what_was_taken_comes_back_with_time_or_price() -> None:
    house = build(usdm="1000000", options=THIN)
    first = house.sell(BTC_PERP, "1").fills[0].price
    assert house.sell(BTC_PERP, "0.5").fills[-1].price < first
    house.clock.advance(1.0)
    house.exchange.advance()
    assert house.sell(BTC_PERP, "0.5").fills[0].price == first
    house.price("65000")
    assert house.sell(BTC_PERP, "0.5").fills[0].price == first


def test_ioc_takes_what_its_price_allows_and_expires() -> None:
    house = build(usdm="1000000", options=THIN)
    result = house.sell(BTC_PERP, "10", "64900", time_in_force=TimeInForce.IOC)
    assert result.order.status is OrderStatus.EXPIRED
    assert 0 < result.order.executed_quantity < 10
    assert all(fill.price >= 64900 for fill in result.fills)
    assert house.exchange.open_orders(KEY) == ()


def test_fok_fills_whole_or_not_at_all() -> None:
    house = build(usdm="1000000", usdt="1000000", options=THIN)
    with refused(ErrorKind.FOK_WOULD_NOT_FILL):
        house.sell(BTC_PERP, "10", "64000", time_in_force=TimeInForce.FOK)
    spot_order = house.buy(BTC_SPOT, "10", "66000", time_in_force=TimeInForce.FOK).order
    assert (spot_order.status, spot_order.executed_quantity) == (OrderStatus.EXPIRED, D(0))
    assert house.spot("USDT").free == 1000000
    assert house.sell(BTC_PERP, "2", "64000", time_in_force=TimeInForce.FOK).order.status is OrderStatus.FILLED


@pytest.mark.parametrize("key", [BTC_PERP, BTC_SPOT])
def test_post_only_never_takes(key: object) -> None:
    house = build(usdm="100000", btc="1")
    market = BTC_PERP if key == BTC_PERP else BTC_SPOT
    with refused(ErrorKind.POST_ONLY_WOULD_TAKE):
        house.sell(market, "0.5", "64000", time_in_force=TimeInForce.GTX)
    order = house.sell(market, "0.5", "65100", time_in_force=TimeInForce.GTX).order
    assert order.status is OrderStatus.NEW
    house.price("65200")
    (fill,) = house.exchange.fills(KEY, key=market)
    assert (fill.maker, fill.price) == (True, D(65100))


def test_a_resting_order_fills_in_parts_where_depth_is_short() -> None:
    house = build(usdm="1000000", options=THIN)
    order = house.sell(BTC_PERP, "2.5", "65100").order
    house.price("65150")
    part = house.exchange.order(KEY, BTC_PERP, order_id=order.order_id)
    assert part.status is OrderStatus.PARTIALLY_FILLED
    assert part.average_price == 65100
    house.clock.advance(1.0)
    house.exchange.advance()
    house.clock.advance(1.0)
    house.exchange.advance()
    assert house.exchange.order(KEY, BTC_PERP, order_id=order.order_id).status is OrderStatus.FILLED


def test_own_orders_are_seen_in_the_book() -> None:
    house = build(usdm="100000", options=THIN)
    before = house.exchange.book(BTC_PERP)
    house.sell(BTC_PERP, "0.7", "65003")
    after = house.exchange.book(BTC_PERP)
    assert after.asks[0] == (D(65003), D("0.7"))
    assert after.update_id > before.update_id
    assert after.asks[0].price > after.bids[0].price


def test_reduce_only_is_cut_at_the_position_and_never_flips() -> None:
    house = feeless(usdm="100000")
    with refused(ErrorKind.REDUCE_ONLY_REJECTED):
        house.buy(BTC_PERP, "1", reduce_only=True)
    house.sell(BTC_PERP, "1")
    with refused(ErrorKind.REDUCE_ONLY_REJECTED):
        house.sell(BTC_PERP, "1", reduce_only=True)
    order = house.buy(BTC_PERP, "3", reduce_only=True).order
    assert (order.status, order.executed_quantity) == (OrderStatus.EXPIRED, D(1))
    assert house.position(BTC_PERP).quantity == 0


def test_a_resting_cover_expires_with_its_position() -> None:
    house = feeless(usdm="100000")
    house.sell(BTC_PERP, "1")
    resting = house.buy(BTC_PERP, "1", "64000", reduce_only=True).order
    house.buy(BTC_PERP, "1")
    assert house.exchange.order(KEY, BTC_PERP, order_id=resting.order_id).status is OrderStatus.EXPIRED
    last = [event for event in house.events if isinstance(event, OrderUpdated)][-1]
    assert (last.order.order_id, last.execution) == (resting.order_id, ExecutionType.EXPIRED)


def test_a_plain_order_larger_than_the_position_turns_it_around() -> None:
    house = feeless(usdm="100000")
    house.sell(BTC_PERP, "1")
    house.price("64000")
    house.buy(BTC_PERP, "3")
    position = house.position(BTC_PERP)
    assert (position.quantity, position.entry_price) == (D(2), D("64000.1"))
    assert house.wallet(MarketKind.LINEAR, "USDT") == D("100999.9")


def test_small_covers_are_exempt_from_min_notional() -> None:
    house = feeless(usdm="100000")
    with refused(ErrorKind.BELOW_MIN_NOTIONAL):
        house.sell(BTC_PERP, "0.001")
    house.sell(BTC_PERP, "0.002")
    assert house.buy(BTC_PERP, "0.001", reduce_only=True).order.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("quantity", "price", "kind"),
    [
        ("0.0015", "65000", ErrorKind.BAD_STEP),
        ("0.0001", "65000", ErrorKind.BELOW_MIN_QTY),
        ("1001", "65000", ErrorKind.ABOVE_MAX_QTY),
        ("121", None, ErrorKind.ABOVE_MAX_QTY),
        ("0", None, ErrorKind.BELOW_MIN_QTY),
        ("0.01", "65000.05", ErrorKind.BAD_TICK),
        ("0.01", "0", ErrorKind.BAD_PRICE),
        ("0.01", "61000", ErrorKind.PRICE_BELOW_BAND),
    ],
)
def test_filters(quantity: str, price: str | None, kind: ErrorKind) -> None:
    house = build(usdm="10000000")
    with refused(kind):
        house.sell(BTC_PERP, quantity, price)


def test_the_price_band_is_one_sided_for_contracts_and_two_sided_for_spot() -> None:
    house = build(usdm="100000", usdt="100000")
    with refused(ErrorKind.PRICE_ABOVE_BAND):
        house.buy(BTC_PERP, "0.01", "69000")
    house.sell(BTC_PERP, "0.01", "69000")
    house.buy(BTC_PERP, "0.01", "50000")
    with refused(ErrorKind.PRICE_BELOW_BAND):
        house.buy(BTC_SPOT, "0.01", "12000")


def test_filters_and_status_can_change_while_running() -> None:
    house = build(usdm="100000")
    market = house.exchange.market(BTC_PERP)
    house.exchange.set_filters(BTC_PERP, replace(market.filters, step=D("0.1"), min_qty=D("0.1")))
    with refused(ErrorKind.BELOW_MIN_QTY):
        house.sell(BTC_PERP, "0.05")
    house.exchange.set_status(BTC_PERP, MarketStatus.BREAK)
    with refused(ErrorKind.MARKET_CLOSED):
        house.sell(BTC_PERP, "0.1")


def test_a_halted_market_fills_nothing() -> None:
    house = build(usdm="100000")
    house.sell(BTC_PERP, "0.1", "65100")
    house.exchange.set_status(BTC_PERP, MarketStatus.HALT)
    house.price("66000")
    assert house.exchange.fills(KEY) == ()
    assert len(house.exchange.open_orders(KEY, MarketKind.LINEAR)) == 1
    house.exchange.set_status(BTC_PERP, MarketStatus.TRADING)
    assert len(house.exchange.fills(KEY)) == 1


def test_client_ids_are_unique_among_open_orders_only() -> None:
    house = build(usdm="100000")
    first = house.sell(BTC_PERP, "0.1", "66000", client_order_id="k-1").order
    with refused(ErrorKind.DUPLICATE_CLIENT_ID):
        house.sell(BTC_PERP, "0.1", "66000", client_order_id="k-1")
    house.exchange.cancel_order(KEY, BTC_PERP, client_order_id="k-1")
    second = house.sell(BTC_PERP, "0.1", "66000", client_order_id="k-1").order
    assert house.exchange.order(KEY, BTC_PERP, client_order_id="k-1") == second
    assert house.exchange.order(KEY, BTC_PERP, order_id=first.order_id).status is OrderStatus.CANCELED
    with refused(ErrorKind.BAD_CLIENT_ID):
        house.sell(BTC_PERP, "0.1", "66000", client_order_id="x" * 37)
    assert len(house.sell(BTC_PERP, "0.1", "66000").order.client_order_id) == 22


def test_unknown_things_are_refused_by_name() -> None:
    house = build(usdm="100000")
    with refused(ErrorKind.UNKNOWN_SYMBOL):
        house.sell(linear("NOPEUSDT"), "1")
    with refused(ErrorKind.UNKNOWN_ORDER):
        house.exchange.order(KEY, BTC_PERP, order_id=1)
    with refused(ErrorKind.CANCEL_REJECTED):
        house.exchange.cancel_order(KEY, BTC_PERP, client_order_id="k-9")
    with refused(ErrorKind.UNKNOWN_ACCOUNT):
        house.exchange.open_orders("nobody")
    done = house.sell(BTC_PERP, "0.1").order
    with refused(ErrorKind.CANCEL_REJECTED):
        house.exchange.cancel_order(KEY, BTC_PERP, order_id=done.order_id)


def test_requests_of_the_wrong_shape_are_refused() -> None:
    house = build(usdm="100000", usdt="1000")
    requests = [
        (OrderRequest(BTC_PERP, Side.SELL, OrderType.LIMIT, D(1)), ErrorKind.BAD_PARAMETER),
        (OrderRequest(BTC_PERP, Side.SELL, OrderType.MARKET, D(1), D(65000)), ErrorKind.PARAMETER_NOT_REQUIRED),
        (OrderRequest(BTC_PERP, Side.SELL, OrderType.MARKET, None), ErrorKind.BAD_PARAMETER),
        (OrderRequest(BTC_PERP, Side.BUY, OrderType.MARKET, None, quote_quantity=D(500)), ErrorKind.BAD_PARAMETER),
        (OrderRequest(BTC_SPOT, Side.BUY, OrderType.MARKET, D(1), reduce_only=True), ErrorKind.PARAMETER_NOT_REQUIRED),
        (
            OrderRequest(BTC_PERP, Side.SELL, OrderType.MARKET, D(1), position_side=PositionSide.SHORT),
            ErrorKind.POSITION_SIDE_MISMATCH,
        ),
    ]
    for request, kind in requests:
        with refused(kind):
            house.exchange.check_order(KEY, request)


def test_permissions_hold() -> None:
    house = build(usdm="100000", usdt="1000")
    house.exchange.set_permissions(KEY, Permissions(reading=False, spot_trading=False, futures=False))
    with refused(ErrorKind.PERMISSION_DENIED):
        house.sell(BTC_PERP, "0.1")
    with refused(ErrorKind.PERMISSION_DENIED):
        house.buy(BTC_SPOT, "0.001")
    with refused(ErrorKind.PERMISSION_DENIED):
        house.exchange.spot_balances(KEY)


def test_open_orders_are_bounded() -> None:
    house = build(usdm="100000")
    market = house.exchange.market(BTC_PERP)
    house.exchange.set_filters(BTC_PERP, replace(market.filters, max_open_orders=2))
    house.sell(BTC_PERP, "0.01", "66000")
    house.sell(BTC_PERP, "0.01", "66000")
    with refused(ErrorKind.TOO_MANY_ORDERS):
        house.sell(BTC_PERP, "0.01", "66000")
    assert len(house.exchange.cancel_all(KEY, BTC_PERP)) == 2


def test_fees_of_contracts_are_in_what_they_settle_in() -> None:
    house = build(usdm="100000", coinm="5")
    linear_fill = house.sell(BTC_PERP, "1").fills[0]
    inverse_fill = house.sell(BTC_COIN, "650").fills[0]
    assert (linear_fill.commission, linear_fill.commission_asset) == (D("32.5"), "USDT")
    assert (inverse_fill.commission, inverse_fill.commission_asset) == (D("0.0005"), "BTC")
    assert inverse_fill.quote_quantity == 1
    assert inverse_fill.realised_pnl == 0


def test_an_order_tells_its_story_in_events() -> None:
    house = build(usdm="100000", options=THIN)
    house.sell(BTC_PERP, "1.5", "64000", time_in_force=TimeInForce.IOC)
    told = [(event.execution, event.order.status) for event in house.events if isinstance(event, OrderUpdated)]
    assert told == [
        (ExecutionType.NEW, OrderStatus.NEW),
        (ExecutionType.TRADE, OrderStatus.PARTIALLY_FILLED),
        (ExecutionType.TRADE, OrderStatus.FILLED),
    ]


def test_markets_without_a_price_take_no_orders() -> None:
    from keeper.sim.defaults import linear_market, spot_market

    house = build(usdm="100000", usdt="100")
    house.exchange.add_market(linear_market("DOGE", "0.00001", ("1", "50000000", "30000000"), "5"))
    house.exchange.add_market(spot_market("DOGE", "0.00001", ("1", "9000000", "6000000")))
    with refused(ErrorKind.MARKET_CLOSED):
        house.sell(linear("DOGEUSDT"), "100")
    house.price("0.2", "DOGE")
    assert house.sell(linear("DOGEUSDT"), "100").order.status is OrderStatus.FILLED
    assert house.buy(spot("DOGEUSDT"), "100").order.status is OrderStatus.FILLED


def test_the_same_seed_and_calls_give_the_same_exchange() -> None:
    def story(seed: int) -> tuple[object, ...]:
        house: House = build(usdm="100000", options=THIN, seed=seed)
        house.sell(BTC_PERP, "1.5")
        house.price("66000")
        house.buy(BTC_PERP, "0.5", "65900")
        truth = house.exchange.truth(KEY)
        return truth, tuple(house.events), house.exchange.klines(BTC_PERP, 60_000, limit=10)

    assert story(3) == story(3)
    assert story(3) != story(4)
