"""Margin, PnL and liquidation: the golden anchors, then what follows from them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from keeper.sim.defaults import inverse_market
from keeper.sim.events import PositionForced
from keeper.sim.margin import liquidation_price
from keeper.sim.types import (
    IncomeKind,
    MarginMode,
    MarketKind,
    Origin,
    PositionSide,
    TimeInForce,
    WalletKind,
)
from tests.sim.house import BTC_COIN, BTC_PERP, KEY, D, ErrorKind, build, feeless, refused


def test_a_linear_short_is_liquidated_where_theory_says() -> None:
    house = feeless(usdm="30000", price="60000")
    house.sell(BTC_PERP, "1")
    assert house.position(BTC_PERP).liquidation_price == pytest.approx(D("89552.238806"), abs=D("0.000001"))
    house.price("89552.23")
    assert house.position(BTC_PERP).quantity == -1
    house.price("89552.25")
    assert house.position(BTC_PERP).quantity == 0
    forced = [event for event in house.events if isinstance(event, PositionForced)]
    assert [(event.origin, event.quantity) for event in forced] == [(Origin.LIQUIDATION, D(1))]


def test_an_inverse_short_is_liquidated_where_theory_says() -> None:
    house = feeless(coinm="1", price="60000")
    house.sell(BTC_COIN, "1200")
    assert house.position(BTC_COIN).liquidation_price == D(119400)
    house.price("119399")
    assert house.position(BTC_COIN).quantity == -1200
    house.price("119401")
    assert house.position(BTC_COIN).quantity == 0


def test_what_rounding_leaves_is_no_liquidation_price() -> None:
    perp = inverse_market("BTC", "0.1", "100", maintenance_rate="0.004")
    assert liquidation_price(perp, D(-3250), D(65000), D(5) - D("1e-20")) is None
    assert liquidation_price(perp, D(-3250), D(65000), D("4.9")) == D(325_000) * D("0.996") / D("0.1")


def test_a_covered_inverse_short_cannot_be_liquidated_by_a_rise() -> None:
    house = feeless(coinm="2", price="60000")
    house.sell(BTC_COIN, "1200")
    assert house.position(BTC_COIN).liquidation_price is None
    house.price("10000000")
    assert house.position(BTC_COIN).quantity == -1200


def test_longs_are_liquidated_below_their_entry() -> None:
    market = feeless().exchange.market(BTC_PERP)
    coin = feeless().exchange.market(BTC_COIN)
    price = liquidation_price(market, D(1), D(60000), D(6000))
    assert price is not None
    assert D(6000) + price - 60000 == pytest.approx(price * market.maintenance_rate)
    price = liquidation_price(coin, D(600), D(60000), D(1))
    assert price is not None
    assert 1 + D(60000) * (1 / D(60000) - 1 / price) == pytest.approx(D(60000) * coin.maintenance_rate / price)
    assert liquidation_price(market, D(1), D(60000), D(70000)) is None


@pytest.mark.parametrize("price", [52000, 65000, 75000, 130000])
def test_a_full_coin_margined_hedge_stays_full(price: int) -> None:
    house = feeless(coinm="5")
    house.sell(BTC_COIN, "3250")
    house.price(price)
    position = house.position(BTC_COIN)
    equity = house.wallet(MarketKind.INVERSE, "BTC") + position.unrealised_pnl
    assert equity + position.notional == pytest.approx(D(0), abs=D("0.00000002"))


@pytest.mark.parametrize(("price", "pnl"), [("52000", "1.25"), ("75000", "-0.66666667"), ("130000", "-2.5")])
def test_inverse_profit_is_in_coin(price: str, pnl: str) -> None:
    house = feeless(coinm="5")
    house.sell(BTC_COIN, "3250")
    house.price(price)
    assert house.position(BTC_COIN).unrealised_pnl == D(pnl)


def test_the_entry_price_is_arithmetic_for_linear_and_harmonic_for_inverse() -> None:
    house = feeless(usdm="100000", coinm="5", price="60000")
    house.sell(BTC_PERP, "1")
    house.sell(BTC_COIN, "100")
    house.price("80000")
    house.sell(BTC_PERP, "1")
    house.sell(BTC_COIN, "100")
    assert house.position(BTC_PERP).entry_price == 70000
    assert house.position(BTC_COIN).entry_price == pytest.approx(D("68571.42857143"))


def test_reducing_realises_in_proportion_and_keeps_the_entry() -> None:
    house = feeless(usdm="100000")
    house.sell(BTC_PERP, "2")
    house.price("60000")
    result = house.buy(BTC_PERP, "0.5", reduce_only=True)
    assert result.fills[0].realised_pnl == D("2499.95")  # the ask is one tick over the mark
    assert house.position(BTC_PERP).entry_price == 65000
    assert house.wallet(MarketKind.LINEAR, "USDT") == D("102499.95")


def test_balances_say_what_is_used_and_what_is_free() -> None:
    house = feeless(usdm="10000")
    house.sell(BTC_PERP, "1")
    house.sell(BTC_PERP, "1", "66000")
    house.price("64000")
    (usdt,) = house.exchange.futures_account(KEY, MarketKind.LINEAR).balances
    assert usdt.unrealised_pnl == 1000
    assert usdt.position_initial_margin == 3200
    assert usdt.open_order_initial_margin == 3300
    assert usdt.maintenance_margin == 320
    assert usdt.margin_balance == 11000
    assert usdt.available_balance == 4500
    assert usdt.max_withdraw_amount == 3500  # what is not realised cannot leave


def test_too_little_margin_is_refused_and_leaves_no_trace() -> None:
    house = build(usdm="1000")
    with refused(ErrorKind.INSUFFICIENT_MARGIN):
        house.sell(BTC_PERP, "1")
    assert house.exchange.truth(KEY).accepted_orders == ()
    assert house.events == []
    house.sell(BTC_PERP, "0.3")


def test_a_position_may_be_closed_without_any_margin_left() -> None:
    house = feeless(usdm="3300")
    house.sell(BTC_PERP, "1")
    house.price("67000")
    with refused(ErrorKind.INSUFFICIENT_MARGIN):
        house.sell(BTC_PERP, "0.1")
    house.buy(BTC_PERP, "1")
    assert house.position(BTC_PERP).quantity == 0


def test_an_isolated_position_loses_no_more_than_its_own_wallet() -> None:
    house = feeless(usdm="100000")
    house.exchange.set_leverage(KEY, BTC_PERP, 10)
    house.exchange.set_margin_mode(KEY, BTC_PERP, MarginMode.ISOLATED)
    house.sell(BTC_PERP, "1")
    assert house.position(BTC_PERP).isolated_wallet == 6500
    liquidation = house.position(BTC_PERP).liquidation_price
    assert liquidation == pytest.approx(D(71500) / D("1.005"))
    house.price("80000")
    assert house.position(BTC_PERP).quantity == 0
    assert house.wallet(MarketKind.LINEAR, "USDT") == 93500
    kinds = [row.kind for row in house.exchange.income(KEY, MarketKind.LINEAR)]
    assert IncomeKind.INSURANCE_CLEAR in kinds


def test_isolated_margin_can_be_added_and_taken_back() -> None:
    house = feeless(usdm="10000")
    house.exchange.set_margin_mode(KEY, BTC_PERP, MarginMode.ISOLATED)
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.adjust_isolated_margin(KEY, BTC_PERP, D(1))
    house.sell(BTC_PERP, "1")
    assert house.exchange.adjust_isolated_margin(KEY, BTC_PERP, D(1000)).isolated_wallet == 4250
    assert house.exchange.adjust_isolated_margin(KEY, BTC_PERP, D(-1000)).isolated_wallet == 3250
    with refused(ErrorKind.INSUFFICIENT_BALANCE):
        house.exchange.adjust_isolated_margin(KEY, BTC_PERP, D(-1))
    with refused(ErrorKind.INSUFFICIENT_BALANCE):
        house.exchange.adjust_isolated_margin(KEY, BTC_PERP, D(20000))


def test_a_bankrupt_cross_account_ends_at_zero() -> None:
    house = feeless(usdm="3300")
    house.sell(BTC_PERP, "1")
    house.price("90000")
    assert house.wallet(MarketKind.LINEAR, "USDT") == 0
    assert sum(row.amount for row in house.exchange.income(KEY, MarketKind.LINEAR)) == 0


def test_liquidation_cancels_the_open_orders_first() -> None:
    house = feeless(usdm="5000")
    house.sell(BTC_PERP, "1")
    house.sell(BTC_PERP, "0.1", "68000", time_in_force=TimeInForce.GTX)
    house.price("69900")
    assert house.exchange.open_orders(KEY) == ()
    assert house.position(BTC_PERP).quantity == 0


def test_leverage_and_margin_mode_have_their_rules() -> None:
    house = feeless(usdm="10000")
    exchange = house.exchange
    with refused(ErrorKind.BAD_LEVERAGE):
        exchange.set_leverage(KEY, BTC_PERP, 126)
    with refused(ErrorKind.MARGIN_MODE_UNCHANGED):
        exchange.set_margin_mode(KEY, BTC_PERP, MarginMode.CROSS)
    house.sell(BTC_PERP, "1")
    with refused(ErrorKind.MARGIN_MODE_HAS_POSITION):
        exchange.set_margin_mode(KEY, BTC_PERP, MarginMode.ISOLATED)
    with refused(ErrorKind.INSUFFICIENT_MARGIN):
        exchange.set_leverage(KEY, BTC_PERP, 2)
    assert exchange.settings(KEY, BTC_PERP).leverage == 20
    assert exchange.set_leverage(KEY, BTC_PERP, 10).leverage == 10
    house.buy(BTC_PERP, "1")
    house.sell(BTC_PERP, "0.1", "68000")
    with refused(ErrorKind.MARGIN_MODE_HAS_ORDERS):
        exchange.set_margin_mode(KEY, BTC_PERP, MarginMode.ISOLATED)
    exchange.cancel_all(KEY, BTC_PERP)
    exchange.set_margin_mode(KEY, BTC_PERP, MarginMode.ISOLATED)
    house.sell(BTC_PERP, "0.1")
    with refused(ErrorKind.LEVERAGE_REDUCTION_REFUSED):
        exchange.set_leverage(KEY, BTC_PERP, 5)


def test_hedge_mode_holds_both_sides_apart() -> None:
    house = feeless(usdm="100000")
    exchange = house.exchange
    with refused(ErrorKind.POSITION_MODE_UNCHANGED):
        exchange.set_position_mode(KEY, MarketKind.LINEAR, dual_side=False)
    exchange.set_position_mode(KEY, MarketKind.LINEAR, dual_side=True)
    assert not exchange.position_mode(KEY, MarketKind.INVERSE)
    with refused(ErrorKind.POSITION_SIDE_MISMATCH):
        house.sell(BTC_PERP, "1")
    with refused(ErrorKind.PARAMETER_NOT_REQUIRED):
        house.buy(BTC_PERP, "1", position_side=PositionSide.SHORT, reduce_only=True)
    house.sell(BTC_PERP, "2", position_side=PositionSide.SHORT)
    house.buy(BTC_PERP, "1", position_side=PositionSide.LONG)
    assert house.position(BTC_PERP, PositionSide.SHORT).quantity == -2
    assert house.position(BTC_PERP, PositionSide.LONG).quantity == 1
    assert exchange.truth(KEY).positions == {BTC_PERP: D(-1)}
    with refused(ErrorKind.REDUCE_ONLY_REJECTED):
        house.sell(BTC_PERP, "1.5", position_side=PositionSide.LONG)
    with refused(ErrorKind.POSITION_MODE_HAS_POSITION):
        exchange.set_position_mode(KEY, MarketKind.LINEAR, dual_side=False)
    house.sell(BTC_PERP, "1", position_side=PositionSide.LONG)
    house.buy(BTC_PERP, "2", position_side=PositionSide.SHORT)
    house.sell(BTC_PERP, "1", "66000", position_side=PositionSide.SHORT)
    with refused(ErrorKind.POSITION_MODE_HAS_ORDERS):
        exchange.set_position_mode(KEY, MarketKind.LINEAR, dual_side=False)


def test_money_moves_between_wallets_and_no_further_than_margin_allows() -> None:
    house = feeless(usdt="10000")
    exchange = house.exchange
    exchange.transfer(KEY, "USDT", D(5000), WalletKind.SPOT, WalletKind.USDM)
    assert house.spot("USDT").free == 5000
    house.sell(BTC_PERP, "1")
    with refused(ErrorKind.INSUFFICIENT_BALANCE):
        exchange.transfer(KEY, "USDT", D(2000), WalletKind.USDM, WalletKind.SPOT)
    exchange.transfer(KEY, "USDT", D(1750), WalletKind.USDM, WalletKind.FUNDING)
    (funding,) = exchange.funding_wallet(KEY)
    assert funding.free == 1750
    exchange.withdraw(KEY, "USDT", D(5000))
    with refused(ErrorKind.INSUFFICIENT_BALANCE):
        exchange.withdraw(KEY, "USDT", D(1))
    with refused(ErrorKind.BAD_PARAMETER):
        exchange.deposit(KEY, "USDT", Decimal(0))
    with refused(ErrorKind.BAD_PARAMETER):
        exchange.transfer(KEY, "USDT", D(1), WalletKind.SPOT, WalletKind.SPOT)
    assert [row.kind.value for row in exchange.movements(KEY)] == ["deposit", "transfer", "transfer", "withdrawal"]
