"""A rally eats the margin of a short: it warns, stops new shorts, buys back, and does not go back and forth."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.alerts.rules import Severity, alerts_for
from keeper.core.execution import Execution, Style
from keeper.core.margins import AccountMargin, Level, MarginPolicy, Thresholds
from keeper.core.model import AccountId, Hold, Rebalance
from keeper.report import hedge_json
from keeper.sim.local import LocalVenue
from keeper.sim.types import ExchangeOptions, MarginMode, WalletKind, linear
from keeper.venue.base import UnreachableError, VenueError
from keeper.venue.further import NotOfferedError
from tests.loop.house import KEY, D, House, SimSide

WARN_AND_BLOCK = MarginPolicy(Thresholds(D("0.5"), D("0.7")))
REDUCES = MarginPolicy(Thresholds(D("0.5"), D("0.7"), D("0.85")))


async def house_of(folder: Path, policy: MarginPolicy, *, wallet: str = "30000", coins: str = "5") -> House:
    """A full hedge of some coins with little money behind it, at 65,000."""
    house = House(folder, coins={"BTC": coins})
    house.exchange.set_price("BTC", D(65000))
    house.exchange.withdraw(KEY, "USDT", D(5_000_000) - D(wallet), WalletKind.USDM)
    house.limits = replace(house.limits, margin=policy)
    await house.hedge()
    await house.open()
    assert house.desk is not None
    house.desk.observatory.reads_margins = True
    return house


def ratio(house: House) -> Decimal:
    """The account's margin ratio, by the exchange's own books."""
    account = house.exchange.futures_account(KEY, linear("BTCUSDT").kind)
    [money] = [row for row in account.balances if row.asset == "USDT"]
    return money.maintenance_margin / money.margin_balance


async def rally(house: House, to: str) -> Decimal:
    """The price at which maintenance is the share ``to`` of the equity of the whole short."""
    account = house.exchange.futures_account(KEY, linear("BTCUSDT").kind)
    [row] = [each for each in account.positions if each.quantity]
    [money] = [each for each in account.balances if each.asset == "USDT"]
    rate, size = row.maintenance_margin / abs(row.notional), abs(row.quantity)
    # (W + q·(entry - P))·to = q·P·rate
    price = (money.wallet_balance + size * row.entry_price) * D(to) / (size * (D(to) + rate))
    house.exchange.set_price("BTC", round(price, 1) + D("0.1"))
    return price


async def test_a_rally_warns_then_blocks_then_buys_back_and_waits(tmp_path: Path) -> None:
    house = await house_of(tmp_path, REDUCES)
    await house.turn(3)
    assert house.position() == -5
    seen = await house.one()
    assert seen.exposure.legs[0].margin is not None
    assert seen.exposure.legs[0].margin.level is Level.FINE

    await rally(house, "0.5")
    warned = await house.one()
    assert warned.exposure.legs[0].margin is not None
    assert warned.exposure.legs[0].margin.level is Level.WARN
    assert isinstance(warned.decision, Hold)
    assert "margin_block" not in {reason.code for reason in warned.exposure.sell_blockers}

    await rally(house, "0.7")
    house.exchange.deposit(KEY, "BTC", D(1))
    blocked = (await house.turn(3)).hedges[0]
    assert house.position() == -5, "a coin came in and is not hedged: there is no margin for it"
    assert isinstance(blocked.decision, Hold)
    assert [reason.code for reason in blocked.decision.reasons] == ["margin_block"]

    await rally(house, "0.85")
    reduced = await house.one()
    assert isinstance(reduced.decision, Rebalance)
    assert [reason.code for reason in reduced.decision.reasons] == ["margin_reduce"]
    assert reduced.plan is not None
    assert all(order.reduce_only for order in reduced.plan.orders)
    left = house.position()
    assert -5 < left < -3, "a part of it"
    assert D("0.6") < ratio(house) < D("0.7")

    sent = len(house.orders)
    await house.turn(4)
    assert len(house.orders) == sent, "between warn and block nothing goes back and forth"
    assert house.desk is not None
    assert set(house.desk.memories["btc"].margin.values()) == {"held"}

    house.exchange.deposit(KEY, "USDT", D(100_000), WalletKind.USDM)
    await house.turn(4)
    assert house.position() == -6, "with money behind it, all of it is hedged again, halt or no halt"
    assert house.desk.memories["btc"].margin == {}
    await house.close()


async def test_without_reduce_it_never_buys_back(tmp_path: Path) -> None:
    house = await house_of(tmp_path, WARN_AND_BLOCK)
    await house.turn(3)
    await rally(house, "0.95")
    sent = len(house.orders)
    for _ in range(3):
        assert isinstance((await house.one()).decision, Hold)
    assert len(house.orders) == sent
    await house.close()


async def test_covers_go_on_whatever_the_margin_is(tmp_path: Path) -> None:
    house = await house_of(tmp_path, WARN_AND_BLOCK)
    await house.turn(3)
    await rally(house, "0.8")
    house.sell_spot("BTC", "2")
    await house.turn(2)
    assert house.position() == -3
    await house.close()


async def test_a_crash_in_the_middle_forgets_nothing_of_the_reduction(tmp_path: Path) -> None:
    house = await house_of(tmp_path, REDUCES)
    await house.turn(3)
    await rally(house, "0.9")
    await house.turn()
    left = house.position()
    assert left > -5
    await house.crash()
    desk = await house.open()
    desk.observatory.reads_margins = True
    await house.turn(4)
    assert house.position() == left, "held until the margin is below warn, by another keeper too"
    assert set(desk.memories["btc"].margin.values()) == {"held"}
    await house.close()


async def test_a_paused_hedge_is_not_bought_back(tmp_path: Path) -> None:
    house = await house_of(tmp_path, REDUCES)
    await house.turn(3)
    assert house.desk is not None
    house.desk.memories["btc"] = replace(house.desk.memories["btc"], paused=True)
    await rally(house, "0.9")
    cycle = (await house.turn(2)).hedges[0]
    assert house.position() == -5
    assert [reason.code for reason in cycle.decision.reasons] == ["paused"]  # type: ignore[union-attr]
    await house.close()


async def test_a_halted_hedge_is_bought_back(tmp_path: Path) -> None:
    house = await house_of(tmp_path, REDUCES)
    await house.turn(3)
    assert house.desk is not None
    house.desk.memories["btc"] = replace(house.desk.memories["btc"], halted="a person has to look")
    await rally(house, "0.9")
    await house.turn(2)
    assert -5 < house.position() < 0
    await house.close()


async def test_liquidation_that_comes_near_is_kept_at_a_distance(tmp_path: Path) -> None:
    policy = MarginPolicy(distance=Thresholds(D("0.05"), D("0.04"), D("0.03")))
    house = await house_of(tmp_path, policy)
    await house.turn(3)
    account = house.exchange.futures_account(KEY, linear("BTCUSDT").kind)
    [row] = [each for each in account.positions if each.quantity]
    assert row.liquidation_price is not None
    house.exchange.set_price("BTC", row.liquidation_price * D("0.98"))
    await house.turn(3)
    [row] = [each for each in house.exchange.futures_account(KEY, row.market.kind).positions if each.quantity]
    assert -5 < row.quantity < 0
    assert row.liquidation_price is not None
    assert row.liquidation_price / row.mark_price - 1 > D("0.04")
    await house.close()


class BlindVenue(LocalVenue):
    """Shows everything but its margin."""

    fault: Exception = UnreachableError("no answer")

    async def margins(self) -> tuple[AccountMargin, ...]:
        raise self.fault


def blinded(house: House) -> BlindVenue:
    blind = BlindVenue("main", house.exchange, KEY, house.clock)
    house.venue = blind
    return blind


async def test_a_margin_that_cannot_be_read_stops_new_shorts_and_no_covers(tmp_path: Path) -> None:
    house = await house_of(tmp_path, replace(WARN_AND_BLOCK, required=True))
    await house.turn(3)
    await house.crash()
    blinded(house)
    await house.venue.open()
    desk = await house.open()
    desk.observatory.reads_margins = True
    house.exchange.deposit(KEY, "BTC", D(1))
    cycle = (await house.turn(3)).hedges[0]
    assert house.position() == -5
    assert [reason.code for reason in cycle.decision.reasons] == ["margin_unread"]  # type: ignore[union-attr]
    assert cycle.exposure.drift_base == 1, "it hides no figure"
    house.sell_spot("BTC", "3")
    await house.turn(2)
    assert house.position() == -3
    await house.close()


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("fault", [NotOfferedError("main shows no margin"), UnreachableError("no answer")])
async def test_who_has_not_asked_for_it_is_hedged_without(tmp_path: Path, required: bool, fault: VenueError) -> None:
    house = House(tmp_path)
    blinded(house).fault = fault
    house.limits = replace(house.limits, margin=replace(WARN_AND_BLOCK, required=required))
    await house.hedge()
    desk = await house.open()
    desk.observatory.reads_margins = True
    cycle = (await house.turn(3)).hedges[0]
    assert house.position() == (0 if required else -5)
    codes = {reason.code for reason in cycle.exposure.sell_blockers}
    assert codes == ({"margin_unread"} if required else set())
    await house.close()


async def test_an_isolated_position_is_told_and_not_bought_back(tmp_path: Path) -> None:
    """Covering gives its margin back with it: only money helps, and that is a person's."""
    house = House(tmp_path)
    house.exchange.set_margin_mode(KEY, linear("BTCUSDT"), MarginMode.ISOLATED)
    policy = MarginPolicy(REDUCES.ratio, Thresholds(D("0.2"), D("0.1"), D("0.05")))
    house.limits = replace(house.limits, margin=policy)
    await house.hedge()
    desk = await house.open()
    desk.observatory.reads_margins = True
    await house.turn(3)
    short = house.position()
    cycle = await house.one()
    margin = cycle.exposure.legs[0].margin
    assert margin is not None
    assert (margin.isolated, margin.ratio) == (True, None)
    assert margin.level is Level.REDUCE, "twenty times leverage leaves less than 5 %"
    assert house.position() == short
    await house.close()


async def test_it_is_shown_alerted_and_written_down(tmp_path: Path) -> None:
    house = await house_of(tmp_path, REDUCES)
    await house.turn(3)
    await rally(house, "0.75")
    record = await house.turn()
    [cycle] = record.hedges
    shown = hedge_json(cycle)["margin"]
    assert shown["account"] == str(AccountId("main", "linear"))
    assert (shown["asset"], shown["level"]) == ("USDT", "block")
    assert D("0.74") < D(shown["ratio"]) < D("0.76")
    assert D(shown["liquidation_price"]) > 65000
    assert 0 < D(shown["liquidation_distance"]) < D("0.1")
    [alert] = [each for each in alerts_for({}, record) if each.key == "btc/margin"]
    assert (alert.severity, alert.resolved) == (Severity.CRITICAL, False)
    assert "no new short until" in alert.text
    house.exchange.deposit(KEY, "USDT", D(100_000), WalletKind.USDM)
    later = await house.turn()
    [alert] = [each for each in alerts_for({"btc": cycle}, later) if each.key == "btc/margin"]
    assert alert.resolved
    await house.close()


async def test_a_patient_hedge_takes_its_sell_out_of_the_book_and_buys_back_at_once(tmp_path: Path) -> None:
    """What rests waits for a price; margin does not wait."""
    house = await house_of(tmp_path, MarginPolicy(Thresholds(D("0.2"), D("0.3"), D("0.35"))))
    house.exchange.set_options(ExchangeOptions(half_spread_bps=D(2)))
    await house.turn(3)
    await house.crash()
    house.hedges[0] = replace(house.hedges[0], execution=Execution(Style.PASSIVE, escalate_after_seconds=D(600)))
    desk = await house.open()
    desk.observatory.reads_margins = True
    house.exchange.deposit(KEY, "BTC", D(1))
    await house.turn(2)
    assert [order.side for order in house.orders if order.is_open] == [SimSide.SELL]
    # Money leaves the account and the price stays: a rally would have filled what rests.
    kind = linear("BTCUSDT").kind
    [money] = [row for row in house.exchange.futures_account(KEY, kind).balances if row.asset == "USDT"]
    left = money.maintenance_margin / D("0.38")
    house.exchange.set_leverage(KEY, linear("BTCUSDT"), 125)
    house.exchange.withdraw(KEY, "USDT", round(money.margin_balance - left, 2), WalletKind.USDM)
    await house.turn(4)
    assert not [order for order in house.orders if order.is_open], "no sell is left to add to the short"
    assert -5 < house.position() < -3
    await house.close()
