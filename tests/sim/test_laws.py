"""What holds whatever is done: money is conserved, nothing free is negative, covers never flip."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.sim.errors import SimError
from keeper.sim.types import (
    ExchangeOptions,
    IncomeKind,
    MarketKind,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from tests.sim.house import BTC_COIN, BTC_PERP, BTC_SPOT, KEY, House, build, feeless

LAW = settings(max_examples=40, deadline=None)
MODEST = ExchangeOptions(first_level_notional=Decimal(130_000), levels=4)
PRICES = st.integers(55_000, 75_000)
SIDES = st.sampled_from(Side)


@st.composite
def actions(draw: st.DrawFn) -> tuple[str, object]:
    """A price move, an order on any product, a lapse of time, or a cancel of everything."""
    kind = draw(st.sampled_from(["price", "order", "order", "order", "time", "cancel"]))
    if kind == "price":
        return kind, draw(PRICES)
    if kind == "time":
        return kind, draw(st.sampled_from([0.5, 2.0, 30_000.0]))
    if kind == "cancel":
        return kind, None
    key = draw(st.sampled_from([BTC_SPOT, BTC_PERP, BTC_COIN]))
    thousandths = draw(st.integers(2, 3_000))
    quantity = Decimal(thousandths) if key is BTC_COIN else Decimal(thousandths) / 1000
    limit = draw(st.none() | PRICES)
    force = draw(st.sampled_from(TimeInForce)) if limit is not None else TimeInForce.GTC
    reduce_only = key is not BTC_SPOT and draw(st.booleans())
    return kind, OrderRequest(
        key,
        draw(SIDES),
        OrderType.MARKET if limit is None else OrderType.LIMIT,
        quantity,
        None if limit is None else Decimal(limit),
        force,
        reduce_only=reduce_only,
    )


def play(house: House, action: tuple[str, object]) -> None:
    """Do it; a refusal is an answer like any other."""
    kind, what = action
    with suppress(SimError):
        if isinstance(what, OrderRequest):
            house.exchange.place_order(KEY, what)
        elif kind == "price":
            house.price(str(what))
        elif kind == "time" and isinstance(what, float):
            house.clock.advance(what)
            house.exchange.advance()
        else:
            for key in (BTC_SPOT, BTC_PERP, BTC_COIN):
                house.exchange.cancel_all(KEY, key)


def funded() -> House:
    return build(usdt="100000", btc="2", usdm="50000", coinm="2", options=MODEST)


@LAW
@given(st.lists(actions(), max_size=25))
def test_books_balance_after_anything(script: list[tuple[str, object]]) -> None:
    house = funded()
    for action in script:
        play(house, action)
    exchange, truth = house.exchange, house.exchange.truth(KEY)
    for balance in exchange.spot_balances(KEY):
        assert balance.free >= 0
        assert balance.locked >= 0
    spot_fills = [fill for fill in truth.fills if fill.market == BTC_SPOT]
    coins = sum((fill.quantity * fill.side.sign for fill in spot_fills), Decimal(2))
    coin_fees = sum((fill.commission for fill in spot_fills if fill.commission_asset == "BTC"), Decimal(0))
    assert truth.spot["BTC"] == coins - coin_fees
    quote = sum((-fill.quantity * fill.price * fill.side.sign for fill in spot_fills), Decimal(100_000))
    quote_fees = sum((fill.commission for fill in spot_fills if fill.commission_asset == "USDT"), Decimal(0))
    assert truth.spot["USDT"] == quote - quote_fees
    for kind, key, asset in ((MarketKind.LINEAR, BTC_PERP, "USDT"), (MarketKind.INVERSE, BTC_COIN, "BTC")):
        fills = [fill for fill in truth.fills if fill.market == key]
        net = sum((fill.quantity * fill.side.sign for fill in fills), Decimal(0))
        assert truth.positions.get(key, Decimal(0)) == net
        income = exchange.income(KEY, kind)
        assert house.wallet(kind, asset) == sum(row.amount for row in income)
        fees = sum((row.amount for row in income if row.kind is IncomeKind.COMMISSION), Decimal(0))
        assert fees == -sum((fill.commission for fill in fills), Decimal(0))
        realised = sum((row.amount for row in income if row.kind is IncomeKind.REALIZED_PNL), Decimal(0))
        assert realised == sum((fill.realised_pnl for fill in fills), Decimal(0))


@LAW
@given(st.lists(actions(), max_size=25))
def test_orders_are_what_their_fills_say(script: list[tuple[str, object]]) -> None:
    house = funded()
    for action in script:
        play(house, action)
    truth = house.exchange.truth(KEY)
    for order in (*truth.accepted_orders, *truth.other_orders):
        fills = [fill for fill in truth.fills if fill.order_id == order.order_id]
        assert order.executed_quantity == sum((fill.quantity for fill in fills), Decimal(0))
        assert order.executed_quantity <= order.quantity
        assert (order.status is OrderStatus.FILLED) == (order.executed_quantity == order.quantity)
        limit = order.price if order.type is OrderType.LIMIT else None
        for fill in fills:
            assert limit is None or (limit - fill.price) * order.side.sign >= 0
    ids = [fill.trade_id for fill in truth.fills]
    assert ids == sorted(set(ids))
    assert set(house.exchange.open_orders(KEY)) == {order for order in truth.accepted_orders if order.is_open}


@LAW
@given(st.lists(actions(), max_size=25))
def test_reduce_only_fills_never_flip_nor_grow(script: list[tuple[str, object]]) -> None:
    house = funded()
    for action in script:
        play(house, action)
    truth = house.exchange.truth(KEY)
    covers = {order.order_id for order in truth.accepted_orders if order.reduce_only}
    held = {BTC_PERP: Decimal(0), BTC_COIN: Decimal(0)}
    for fill in truth.fills:
        if fill.market not in held:
            continue
        before = held[fill.market]
        after = before + fill.quantity * fill.side.sign
        if fill.order_id in covers:
            assert abs(after) < abs(before)
            assert after * before >= 0
        held[fill.market] = after


@LAW
@given(st.lists(st.tuples(PRICES, SIDES, st.integers(1, 2_000)), min_size=1, max_size=8), PRICES)
def test_total_profit_does_not_depend_on_how_it_was_realised(
    trades: list[tuple[int, Side, int]], last_price: int
) -> None:
    """Without fees: wallet change and unrealised PnL are what the cash flows of the fills say."""
    house = feeless(usdm="100000000")
    for price, side, thousandths in trades:
        house.price(price)
        house.put(BTC_PERP, side, str(Decimal(thousandths + 2) / 1000))
    house.price(last_price)
    fills = house.exchange.fills(KEY)
    flows = sum((-fill.quantity * fill.price * fill.side.sign for fill in fills), Decimal(0))
    position = house.position(BTC_PERP)
    total = house.wallet(MarketKind.LINEAR, "USDT") - 100_000_000 + position.unrealised_pnl
    assert abs(total - (flows + position.quantity * last_price)) < Decimal("0.000001")


@LAW
@given(st.integers(1, 3250), st.integers(20_000, 200_000), st.integers(0, 3250))
def test_a_coin_hedge_keeps_its_delta_at_every_price_and_through_realising(
    contracts: int, price: int, reduced: int
) -> None:
    """Delta = equity − N/P is constant in P; realising at the mark moves none of it but the spread of a tick."""
    house = feeless(coinm="5")
    house.sell(BTC_COIN, str(contracts))

    def delta() -> Decimal:
        position = house.position(BTC_COIN)
        return house.wallet(MarketKind.INVERSE, "BTC") + position.unrealised_pnl + position.notional

    at_start = delta()
    house.price(price)
    assert abs(delta() - at_start) < Decimal("0.0000001")
    covered = min(reduced, contracts)
    if covered:
        house.exchange.foreign_trade(KEY, BTC_COIN, Decimal(covered))
        released = Decimal(covered) * 100 / price
        assert abs(delta() - at_start - released) < Decimal("0.0000001")


@LAW
@given(st.lists(st.tuples(PRICES, SIDES, st.sampled_from([PositionSide.LONG, PositionSide.SHORT])), max_size=12))
def test_hedge_mode_sides_never_cross_zero(trades: list[tuple[int, Side, PositionSide]]) -> None:
    house = feeless(usdm="1000000")
    house.exchange.set_position_mode(KEY, MarketKind.LINEAR, dual_side=True)
    for price, side, position_side in trades:
        house.price(price)
        with suppress(SimError):
            house.put(BTC_PERP, side, "0.5", position_side=position_side)
        assert house.position(BTC_PERP, PositionSide.LONG).quantity >= 0
        assert house.position(BTC_PERP, PositionSide.SHORT).quantity <= 0
