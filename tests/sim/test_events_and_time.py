"""Funding, delivery, history, prices, the happenings nobody asked for, and the seams."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeVar

import pytest

from keeper.clock import ManualClock
from keeper.sim.defaults import inverse_market, linear_market
from keeper.sim.events import (
    FundingSettled,
    FuturesAccountUpdated,
    MoneyMoved,
    PositionForced,
    PriceChanged,
    SpotAccountUpdated,
    UpdateReason,
)
from keeper.sim.exchange import Exchange
from keeper.sim.market import (
    Keyframe,
    Tick,
    Walk,
    drive,
    keyframes,
    merge,
    rally_and_sell_off,
    random_walk,
    recorded_candles,
)
from keeper.sim.seams import EVERYTHING, Faithful, Question, Reading
from keeper.sim.types import (
    IncomeKind,
    MarketKey,
    MarketKind,
    MarketStatus,
    OrderResult,
    OrderStatus,
    Origin,
    PositionSide,
    WalletKind,
    inverse,
    linear,
)
from tests.sim.house import BTC_COIN, BTC_PERP, BTC_SPOT, KEY, D, ErrorKind, build, feeless, refused

T = TypeVar("T")
HOUR = 3600.0
MINUTE_MS = 60_000


def test_positive_funding_is_paid_to_shorts_on_the_timetable() -> None:
    house = feeless(usdm="10000", coinm="5", price="60000")
    house.sell(BTC_PERP, "0.5")
    house.sell(BTC_COIN, "300")
    due = house.exchange.premium(BTC_PERP).next_funding_ms
    assert due == 1_763_654_400_000
    house.clock.advance(8 * HOUR)
    house.exchange.advance()
    assert house.wallet(MarketKind.LINEAR, "USDT") == 10003
    assert house.wallet(MarketKind.INVERSE, "BTC") == D("5.00005")
    (row,) = house.exchange.income(KEY, MarketKind.LINEAR, income=IncomeKind.FUNDING_FEE)
    assert row.amount == 3
    reasons = [event.reason for event in house.events if isinstance(event, FuturesAccountUpdated)]
    assert reasons.count(UpdateReason.FUNDING_FEE) == 2


def test_negative_funding_is_paid_by_shorts_and_received_by_longs() -> None:
    house = feeless(usdm="10000")
    house.exchange.set_funding_rate(BTC_PERP, D("-0.0005"))
    house.sell(BTC_PERP, "1")
    house.exchange.apply_funding(BTC_PERP)
    assert house.wallet(MarketKind.LINEAR, "USDT") == D(10000) - D("32.5")
    settled = [event for event in house.events if isinstance(event, FundingSettled)]
    assert settled[0].payments == ((KEY, D("-32.5")),)
    assert house.exchange.funding_history(BTC_PERP)[-1].rate == D("-0.0005")


def test_a_jump_of_the_clock_settles_every_interval_once() -> None:
    house = feeless(usdm="10000", price="60000")
    house.sell(BTC_PERP, "1")
    house.clock.advance(24 * HOUR)
    house.exchange.advance()
    house.exchange.advance()
    assert house.wallet(MarketKind.LINEAR, "USDT") == 10018
    times = [record.time_ms for record in house.exchange.funding_history(BTC_PERP, limit=20)]
    assert {right - left for left, right in pairwise(times)} == {8 * 3_600_000}


def test_the_funding_interval_can_change() -> None:
    house = feeless(usdm="10000")
    house.exchange.set_funding_interval(BTC_PERP, 1)
    house.clock.advance(2 * HOUR)
    house.exchange.advance()
    assert house.exchange.market(BTC_PERP).funding_interval_hours == 1
    assert len([event for event in house.events if isinstance(event, FundingSettled)]) == 2
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.set_funding_interval(BTC_PERP, 3)
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.premium(BTC_SPOT)


def test_a_dated_contract_is_delivered_at_the_index() -> None:
    house = feeless(usdm="100000", price="60000")
    expiry = house.clock.now_ms() + 3_600_000
    key = linear("BTCUSDT_260327")
    house.exchange.add_market(
        linear_market("BTC", "0.1", ("0.001", "500", "10"), "5", expiry_ms=expiry, suffix="_260327")
    )
    house.exchange.set_basis(key, D("0.015"))
    assert house.exchange.premium(key).funding_rate is None
    house.sell(key, "1")
    resting = house.sell(key, "1", "62000").order
    assert house.position(key).entry_price == pytest.approx(D(60900), rel=D("0.001"))
    entry = house.position(key).entry_price
    house.clock.advance(HOUR)
    house.exchange.advance()
    assert house.exchange.market(key).status is MarketStatus.DELIVERED
    assert house.exchange.order(KEY, key, order_id=resting.order_id).status is OrderStatus.EXPIRED
    wallet = house.wallet(MarketKind.LINEAR, "USDT")
    assert house.position(key).quantity == 0
    assert wallet == 100000 + (entry - 60000) - entry * D("0.0005")
    with refused(ErrorKind.MARKET_CLOSED):
        house.sell(key, "1")


def test_basis_moves_the_mark_and_the_book_but_not_the_index() -> None:
    house = feeless(usdm="100000", price="60000")
    house.exchange.set_basis(BTC_PERP, D("0.01"))
    assert house.exchange.mark_price(BTC_PERP) == 60600
    assert house.exchange.mark_price(BTC_SPOT) == 60000
    assert house.exchange.index_price("BTC") == 60000
    assert house.exchange.book(BTC_PERP).bids[0].price == 60600
    moved = [event.market for event in house.events if isinstance(event, PriceChanged)]
    assert moved == [BTC_PERP]
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.set_basis(BTC_PERP, D(-1))
    with refused(ErrorKind.BAD_PRICE):
        house.price("0")


def test_somebody_else_trades_on_the_account() -> None:
    house = build(usdm="100000", btc="2")
    house.exchange.foreign_trade(KEY, BTC_PERP, D("-0.5"))
    house.exchange.foreign_trade(KEY, BTC_SPOT, D(-1))
    assert house.position(BTC_PERP).quantity == D("-0.5")
    assert house.spot("BTC").free == 1
    truth = house.exchange.truth(KEY)
    assert truth.accepted_orders == ()
    assert [order.origin for order in truth.other_orders] == [Origin.FOREIGN, Origin.FOREIGN]
    with refused(ErrorKind.INSUFFICIENT_BALANCE):
        house.exchange.foreign_trade(KEY, BTC_SPOT, D(-2))
    with refused(ErrorKind.POSITION_SIDE_MISMATCH):
        house.exchange.foreign_trade(KEY, BTC_PERP, D(1), PositionSide.LONG)
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.foreign_trade(KEY, BTC_PERP, D(0))


def test_auto_deleveraging_closes_at_mark_free_of_charge() -> None:
    house = feeless(usdm="100000")
    house.sell(BTC_PERP, "2")
    house.price("60000")
    assert house.position(BTC_PERP).adl_quantile > 0
    result = house.exchange.auto_deleverage(KEY, BTC_PERP, D("0.5"))
    assert (result.order.origin, result.fills[0].commission) == (Origin.ADL, D(0))
    house.exchange.auto_deleverage(KEY, BTC_PERP)
    assert house.position(BTC_PERP).quantity == 0
    assert house.wallet(MarketKind.LINEAR, "USDT") == 110000
    assert len([event for event in house.events if isinstance(event, PositionForced)]) == 2
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.auto_deleverage(KEY, BTC_PERP)


def test_history_reaches_back_and_joins_the_present() -> None:
    house = build()
    house.price("66000")
    house.clock.advance(120)
    house.price("64000")
    bars = house.exchange.klines(BTC_SPOT, MINUTE_MS, limit=300)
    assert len(bars) == 300
    assert all(right.open == left.close for left, right in pairwise(bars))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert bars[-1].close == 64000
    assert bars[-3].high == 66000
    hours = house.exchange.klines(BTC_SPOT, 60 * MINUTE_MS, limit=50)
    minutes = {bar.open_ms: bar for bar in bars}
    for hour in hours[-4:-1]:
        assert hour.open == minutes[hour.open_ms].open
        assert hour.close == minutes[hour.close_ms + 1 - MINUTE_MS].close
    first = house.exchange.klines(BTC_SPOT, MINUTE_MS, limit=2, start_ms=bars[10].open_ms - 1)
    assert [bar.open_ms for bar in first] == [bars[10].open_ms, bars[11].open_ms]
    weeks = house.exchange.klines(BTC_SPOT, 7 * 86_400_000, limit=2)
    assert (weeks[0].open_ms // 86_400_000 + 3) % 7 == 0


def test_ticker_interest_and_tape_are_consistent() -> None:
    house = build(usdm="100000", coinm="5")
    house.exchange.set_open_interest(BTC_COIN, D(1000))
    house.sell(BTC_COIN, "100")
    assert house.exchange.open_interest(BTC_COIN).quantity == 1100
    history = house.exchange.open_interest_history(BTC_COIN, 3_600_000, 5)
    assert len(history) == 5
    assert history[-1].quantity == 1100
    ticker = house.exchange.ticker(BTC_COIN)
    assert ticker.last == house.exchange.public_trades(BTC_COIN)[-1].price
    assert ticker.low <= ticker.last <= ticker.high
    assert ticker.bid.price < ticker.ask.price
    assert ticker.change == ticker.last - ticker.open


def test_deposits_are_told_as_they_happen() -> None:
    house = build()
    house.exchange.deposit(KEY, "BTC", D(1))
    house.exchange.deposit(KEY, "USDT", D(100), WalletKind.USDM)
    kinds = [type(event) for event in house.events]
    assert kinds == [SpotAccountUpdated, MoneyMoved, FuturesAccountUpdated, MoneyMoved]


def test_a_listener_can_leave() -> None:
    house = build()
    heard: list[object] = []
    leave = house.exchange.subscribe(heard.append)
    leave()
    leave()
    house.price("66000")
    assert heard == []


def test_the_seam_can_lose_an_answer_but_not_the_order() -> None:
    class Lossy(Faithful):
        def after_order(self, account: str, result: OrderResult) -> None:
            raise ConnectionError(f"the answer about {result.order.order_id} to {account} is lost")

        def read(self, reading: Reading, account: str | None, answer: T, question: Question = EVERYTHING) -> T:
            hidden = reading is Reading.OPEN_ORDERS and account == KEY and question.kind is None
            return () if hidden else answer  # type: ignore[return-value]

    house = build(usdm="100000")
    house.exchange.intercept(Lossy())
    with pytest.raises(ConnectionError):
        house.sell(BTC_PERP, "0.1", "66000")
    assert house.exchange.open_orders(KEY) == ()
    assert len(house.exchange.truth(KEY).accepted_orders) == 1
    house.exchange.intercept(None)
    assert len(house.exchange.open_orders(KEY)) == 1


def test_the_secret_never_shows() -> None:
    house = build()
    assert "secret" not in repr(house.exchange._state.account(KEY))
    assert house.exchange.secret(KEY) == "secret"
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.add_account(KEY, "again")


def test_markets_can_be_listed_once() -> None:
    house = build()
    house.exchange.add_market(inverse_market("BTC", "0.1", "100", suffix="_260327", expiry_ms=2_000_000_000_000))
    assert MarketKey(MarketKind.INVERSE, "BTCUSD_260327") in [market.key for market in house.exchange.markets()]
    with refused(ErrorKind.BAD_PARAMETER):
        house.exchange.add_market(inverse_market("BTC", "0.1", "100"))
    assert house.exchange.market(inverse("BTCUSD_PERP")).contract_size == 100
    assert len(house.exchange.markets(MarketKind.SPOT)) == 3


def test_walks_repeat_with_their_seed() -> None:
    walk = Walk("BTC", D(65000))
    first = list(islice(random_walk(walk, 7), 50))
    assert first == list(islice(random_walk(walk, 7), 50))
    assert first != list(islice(random_walk(walk, 8), 50))
    assert first[0] == Tick(0, "BTC", D("65000.00"))


def test_scripts_pass_through_their_keyframes() -> None:
    frames = [Keyframe(0, D(100)), Keyframe(10_000, D(200))]
    ticks = list(keyframes("X", frames, 2_500))
    assert [tick.price for tick in ticks] == [100, 125, 150, 175, 200]
    story = list(rally_and_sell_off("BTC", D(65000), 60_000))
    assert max(tick.price for tick in story) > 72000
    assert min(tick.price for tick in story) < 56000
    with pytest.raises(ValueError, match="rising"):
        next(keyframes("X", list(reversed(frames))))


def test_candles_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "btc.csv"
    file.write_text("open_time,open,high,low,close,volume\n60000,10,12,9,11,5\n120000,11,11,8,8,5\n")
    ticks = list(recorded_candles("BTC", file))
    assert [int(tick.price) for tick in ticks] == [10, 9, 12, 11, 11, 11, 8, 8]
    assert [tick.offset_ms for tick in ticks[:5]] == [0, 15_000, 30_000, 45_000, 60_000]
    file.write_text("60000,10,twelve,9,11\n")
    with pytest.raises(ValueError, match="line 1"):
        list(recorded_candles("BTC", file))


async def test_a_path_drives_the_exchange_on_its_clock() -> None:
    class Impatient(ManualClock):
        async def sleep(self, seconds: float) -> None:
            self.advance(max(seconds, 0.0))

    clock = Impatient()
    exchange = Exchange(clock)
    paths = [
        keyframes("BTC", [Keyframe(0, D(100)), Keyframe(2_000, D(300))]),
        keyframes("ETH", [Keyframe(500, D(10)), Keyframe(3_000, Decimal(20))]),
    ]
    await drive(exchange, clock, merge(paths))
    assert clock.monotonic() == pytest.approx(3.0)
    assert exchange.true_prices()["BTC"] == 300
    assert exchange.true_prices()["ETH"] == 20
