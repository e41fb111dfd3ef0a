"""The operator's brakes and the hard limits: pause, flatten, kill file, disk floor, foreign changes, orders an hour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from keeper.brakes import Brakes
from keeper.core.model import Halt, Hold, Quote, Rebalance
from keeper.venue.base import Observer, Trader
from tests.loop.house import KEY, D, House, linear_key


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.close()


def code(record: object) -> str:
    decision = record.decision  # type: ignore[attr-defined]
    assert isinstance(decision, Hold), decision
    return decision.reasons[0].code


async def told(house: House, change: str) -> None:
    await house.told(change)


async def test_a_kill_file_stops_everything_covers_included(house: House, tmp_path: Path) -> None:
    await house.hedge()
    desk = await house.open()
    kill = tmp_path / "keeper.kill"
    desk.observatory.brakes = Brakes(kill_file=kill)
    await house.turn(2)
    kill.touch()
    house.sell_spot("BTC", "2")
    assert code(await house.one()) == "kill_file"
    assert house.position() == D(-5)
    kill.unlink()
    await house.turn(2)
    assert house.position() == D(-3)


@pytest.mark.parametrize("what", ["a link to nowhere", "a folder", "unseen"])
async def test_whatever_bears_the_name_of_the_kill_file_stops_everything(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await house.hedge()
    desk = await house.open()
    kill = tmp_path / "keeper.kill"
    desk.observatory.brakes = Brakes(kill_file=kill)
    await house.turn(2)
    house.sell_spot("BTC", "2")
    if what == "a folder":
        kill.mkdir()
    elif what == "unseen":

        def refuse(_: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "lstat", refuse)
    else:
        kill.symlink_to("nowhere")
    assert code(await house.one()) == "kill_file"
    assert house.position() == D(-5)


async def test_a_disk_that_fills_up_stops_new_shorts_and_no_cover(house: House, tmp_path: Path) -> None:
    await house.hedge()
    desk = await house.open()
    await house.turn(2)
    desk.observatory.brakes = Brakes(journal=tmp_path / "keeper.db", min_free_bytes=100, free_bytes=lambda _: 99)
    house.exchange.deposit(KEY, "BTC", D(1))
    assert code(await house.one()) == "disk_nearly_full"
    house.sell_spot("BTC", "3")
    await house.turn(2)
    assert house.position() == D(-3)


async def test_pause_holds_over_a_restart_until_resumed(house: House) -> None:
    await house.hedge()
    await house.open()
    await told(house, "pause")
    assert code(await house.one()) == "paused"
    await house.crash()
    await house.open()
    assert code(await house.one()) == "paused"
    await told(house, "resume")
    await house.turn(2)
    assert house.position() == D(-5)


async def test_flatten_covers_to_zero_and_stays_there_over_a_restart(house: House) -> None:
    await house.hedge()
    await house.open()
    await house.turn(2)
    await told(house, "flatten")
    await house.turn(3)
    assert house.position() == D(0)
    assert all(order.reduce_only for order in house.orders[1:])
    await house.crash()
    await house.open()
    record = await house.one()
    assert record.exposure.target_ratio == 0
    assert any(reason.code == "flattened" for reason in record.reasons)
    assert house.position() == D(0)
    await told(house, "resume")
    await house.turn(2)
    assert house.position() == D(-5)


async def test_a_small_foreign_change_is_traded_back_and_a_large_one_halts(house: House) -> None:
    await house.hedge(ratio="0.4")
    await house.open()
    await house.turn(2)
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(1))
    assert code(await house.one()) == "foreign_change", "once is not enough to short again"
    record = await house.one()
    assert isinstance(record.decision, Rebalance)
    await house.turn(1)
    assert house.position() == D(-2)
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(2))
    record = await house.one()
    assert isinstance(record.decision, Halt)
    assert record.decision.reason.code == "foreign_change"
    await house.crash()
    await house.open()
    await house.turn(3)
    assert house.position() == D(0), "not opened again without a person"
    await told(house, "resume")
    await house.turn(2)
    assert house.position() == D(-2)


async def test_somebody_elses_short_on_top_is_covered(house: House) -> None:
    await house.hedge()
    await house.open()
    await house.turn(2)
    house.exchange.foreign_trade(KEY, linear_key("BTCUSDT"), D(-3))
    await house.turn(2)
    assert house.position() == D(-5)


async def test_orders_an_hour_are_counted_over_a_restart_and_never_hold_a_cover(house: House) -> None:
    house.limits = replace(house.limits, max_order_notional=Quote(D(65_000)), max_orders_per_hour=3)
    await house.hedge()
    await house.open()
    await house.turn(3)
    await house.crash()
    await house.open()
    assert code(await house.one()) == "limit_orders_per_hour"
    assert house.position() == D(-3)
    house.sell_spot("BTC", "4")
    await house.turn(4)
    assert abs(house.position() + 1) < D("0.05"), "covered, in slices too, with the hour's orders used up"
    house.exchange.deposit(KEY, "BTC", D(1))
    assert code(await house.one()) == "limit_orders_per_hour"
    house.clock.advance(3_700)
    await house.turn(3)
    assert abs(house.position() + 2) < D("0.05")


async def test_daily_turnover_clips(house: House) -> None:
    house.limits = replace(house.limits, max_daily_turnover=Quote(D(200_000)))
    await house.hedge()
    await house.open()
    record = await house.one()
    assert [reason.code for reason in record.reasons] == ["clipped_to_turnover"]
    assert -house.position() * 65_000 <= D(200_000)
    assert code(await house.one()) == "clipped_to_turnover"
    house.clock.advance(86_401)
    await house.turn(3)
    assert house.position() == D(-5)


async def test_a_hedge_may_not_slip_more_than_the_keeper_allows(house: House) -> None:
    house.limits = replace(house.limits, max_slippage=D("0.0005"))
    await house.hedge()
    await house.open()
    assert code(await house.one()) == "slippage"
    assert house.orders == ()


async def test_a_host_clock_that_steps_neither_hurries_nor_delays(house: House) -> None:
    """A step of an hour while a fill is awaited must not look like an hour of waiting."""
    await house.hedge()
    frozen = house.venue

    class Late:
        stale = True

        def __getattr__(self, name: str) -> object:
            return getattr(frozen, name)

        async def positions(self) -> object:
            book = await frozen.positions()
            return replace(book, positions=()) if self.stale else book

    late = Late()

    def wrap(_: object) -> tuple[Observer, Trader]:
        return late, frozen  # type: ignore[return-value]

    house.wrap = wrap
    desk = await house.open()
    await house.turn(1)
    house.clock.step_wall(3_600)
    assert code(await house.one()) == "awaiting_position"
    house.clock.step_wall(-7_200)
    assert code(await house.one()) == "awaiting_position"
    late.stale = False
    await house.turn(2)
    assert desk.memories["btc"].halted is None
    assert house.position() == D(-5)


async def test_each_brake_is_logged_when_it_takes_hold_and_when_it_lets_go(house: House, tmp_path: Path) -> None:
    await house.hedge()
    desk = await house.open()
    kill, free = tmp_path / "keeper.kill", [99]
    desk.observatory.brakes = Brakes(kill, tmp_path / "keeper.db", 100, lambda _: free[0])
    with capture_logs() as logs:
        await house.turn(3)
        kill.touch()
        await house.turn(3)
        free[0] = 1_000
        kill.unlink()
        await house.turn(3)
    told = [(line["event"], line["brake"]) for line in logs if line["event"].startswith("brake")]
    assert sorted(told) == [
        ("brake", "disk_nearly_full"),
        ("brake", "kill_file"),
        ("brake_released", "disk_nearly_full"),
        ("brake_released", "kill_file"),
    ]
