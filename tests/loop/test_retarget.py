"""An operator moves a target while the keeper runs: at once, over a time, in steps, and back."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from keeper.core.courses import Pace
from keeper.core.model import AccountId, HedgeCycle, HedgeMemory, Hold
from keeper.core.steering import TargetError, Verb, Wish
from keeper.core.targets import Target, TargetKind
from keeper.cycle import turn
from keeper.daemon import Daemon, Rhythm
from keeper.journal.base import Event, JournalError
from keeper.report import all_reasons
from keeper.sim.types import WalletKind
from tests.loop.house import KEY, D, House

HOUR = 3_600_000


@pytest.fixture
async def house(tmp_path: Path) -> House:
    house = House(tmp_path, coins={"BTC": "5"})
    await house.hedge(ratio="0.6")
    await house.open()
    await house.turn(3)
    return house


async def told(house: House, wish: Wish | str, last: HedgeCycle | None = None) -> HedgeMemory:
    """Give the daemon an operator's word and let it be obeyed, as it is between two turns."""
    assert house.desk is not None
    daemon = Daemon(house.desk, house.clock, Rhythm())
    if last is not None:
        daemon.last = await turn(house.desk)
    command = daemon.retarget("btc", wish) if isinstance(wish, Wish) else getattr(daemon, wish)("btc")
    task = asyncio.ensure_future(command)
    await house.clock.sleep(0)
    await daemon._obey()
    memory: HedgeMemory = await task
    return memory


def to_ratio(value: str, pace: Pace | None = None) -> Wish:
    return Wish(Verb.SET, TargetKind.RATIO, D(value), pace or Pace(0))


async def hours(house: House, count: float, looks: int = 3) -> HedgeCycle:
    house.clock.advance(count * 3600 - 5 * looks)
    return (await house.turn(looks)).hedges[0]


async def test_at_once_it_is_jumped_to_and_the_journal_says_who_said_so(house: House) -> None:
    assert house.position() == -3
    await told(house, to_ratio("0.2"))
    record = (await house.turn(3)).hedges[0]
    assert house.position() == -1
    assert [reason.code for reason in record.reasons] == ["target_set"]
    assert house.desk is not None
    (event,) = await house.desk.journal.events("target", "btc")
    assert json.loads(event.detail) == {
        "verb": "set", "from": "ratio 0.6", "to": "ratio 0.2", "over_seconds": 0, "steps": None,
    }  # fmt: skip
    await house.close()


async def test_over_a_time_the_short_follows_in_the_bands_own_steps(house: House) -> None:
    await told(house, to_ratio("0.2", Pace(4 * HOUR)))
    record = (await house.turn()).hedges[0]
    assert house.position() == -3
    assert isinstance(record.decision, Hold)
    for ratio in ("0.5", "0.4", "0.3", "0.2"):
        record = await hours(house, 1)
        assert record.exposure.hedge_ratio is not None
        assert abs(record.exposure.hedge_ratio - D(ratio)) < D("0.01")
        assert record.memory.established
        assert record.memory.halted is None
    await house.close()


async def test_in_steps_nothing_is_done_between_them(house: House) -> None:
    await told(house, to_ratio("0.2", Pace(4 * HOUR, 2)))
    for expected in (-3, -2, -2, -1, -1):
        await hours(house, 1)
        assert house.position() == expected
    await house.close()


async def test_a_crash_on_the_way_goes_on_where_it_would_have_been(house: House) -> None:
    await told(house, to_ratio("0.2", Pace(4 * HOUR)))
    await hours(house, 1)
    await house.crash()
    house.clock.advance(3600)
    await house.open()
    record = await hours(house, 1)
    assert record.memory.target is not None
    assert abs(record.memory.target.value - D("0.3")) < D("0.001")
    await house.crash()
    await house.open()
    await hours(house, 1.1)
    assert house.position() == -1
    await house.close()


async def test_a_wall_clock_that_steps_back_takes_nothing_back(house: House) -> None:
    await told(house, to_ratio("0.2", Pace(4 * HOUR)))
    before = await hours(house, 2)
    await house.crash()
    house.clock.step_wall(-3 * 3600)
    await house.open()
    after = (await house.turn(3)).hedges[0]
    assert after.memory.target is not None
    assert before.memory.target is not None
    assert after.memory.target == before.memory.target
    assert abs(house.position() + 2) < D("0.01")
    await house.close()


async def test_a_flattened_or_paused_hedge_keeps_the_new_target_for_later(house: House) -> None:
    await told(house, "flatten")
    await house.turn(3)
    assert house.position() == 0
    memory = await told(house, to_ratio("0.4"))
    assert memory.flattened
    await house.turn(3)
    assert house.position() == 0
    await told(house, "resume")
    await house.turn(3)
    assert house.position() == -2
    await told(house, "pause")
    await told(house, to_ratio("0.2"))
    await house.turn(3)
    assert house.position() == -2
    await told(house, "resume")
    await house.turn(3)
    assert house.position() == -1
    await house.close()


async def test_the_operators_word_outlives_a_restart_with_another_file(house: House) -> None:
    await told(house, to_ratio("0.2"))
    await house.turn(3)
    await house.crash()
    house.hedges.clear()
    await house.hedge(ratio="0.9")
    await house.open()
    record = (await house.turn(3)).hedges[0]
    assert house.position() == -1
    assert "the configuration's ratio 0.9 does not count" in record.reasons[0].text
    await told(house, Wish(Verb.CONFIG))
    record = (await house.turn(3)).hedges[0]
    assert house.position() == D("-4.5")
    assert record.reasons == ()
    await house.close()


async def test_from_a_share_to_coins_over_a_time(house: House) -> None:
    with pytest.raises(TargetError, match="leave out --over"):
        await told(house, Wish(Verb.SET, TargetKind.QUANTITY, D(1), Pace(2 * HOUR)))
    last = (await house.turn()).hedges[0]
    memory = await told(house, Wish(Verb.SET, TargetKind.QUANTITY, D(1), Pace(2 * HOUR)), last)
    assert memory.course is not None
    assert memory.course.start == Target(TargetKind.QUANTITY, D(3))
    await hours(house, 1)
    assert abs(house.position() + 2) < D("0.01")
    await hours(house, 1)
    assert abs(house.position() + 1) < D("0.01")
    await house.close()


async def test_coins_that_were_earned_are_part_of_where_a_transition_starts(tmp_path: Path) -> None:
    house = House(tmp_path, coins={"BTC": "1"})
    house.exchange.set_price("BTC", D(8000))
    house.exchange.deposit(KEY, "BTC", D(2), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC", spot=(), target=Target(TargetKind.QUANTITY, D(1)))
    await house.open()
    await house.turn(4)
    house.exchange.set_price("BTC", D(5000))
    await house.turn(2)
    assert house.position("BTCUSD_PERP") == -80
    memory = await told(house, Wish(Verb.SCALE, None, D("0.5"), Pace(2 * HOUR)))
    assert memory.course is not None
    assert abs(memory.course.start.value - D("1.6")) < D("0.01")
    assert isinstance((await house.turn()).hedges[0].decision, Hold)
    await hours(house, 2)
    assert abs(house.position("BTCUSD_PERP") + 40) <= 1
    house.exchange.set_price("BTC", D(9000))
    record = (await house.turn(2)).hedges[0]
    assert isinstance(record.decision, Hold)
    await house.close()


async def test_a_journal_that_cannot_take_it_leaves_the_old_target(house: House) -> None:
    assert house.desk is not None

    async def full(_: Event) -> None:
        raise JournalError("the disk is full")

    house.desk.journal.event = full  # type: ignore[method-assign,assignment]
    with pytest.raises(JournalError):
        await told(house, to_ratio("0.1"))
    await house.turn(2)
    assert house.position() == -3
    await house.close()


async def test_two_hedges_over_the_same_coins_are_never_net_short_together(tmp_path: Path) -> None:
    """Four coins each, of five: the first in the file has its four, the second gets the one that is left."""
    house = House(tmp_path, coins={"BTC": "5"})
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.hedge(target=Target(TargetKind.QUANTITY, D(4)))
    await house.hedge("BTC/USD:BTC", name="coin", spot=(AccountId("main"),), target=Target(TargetKind.QUANTITY, D(4)))
    house.hedges[1] = replace(house.hedges[1], collateral=None)
    await house.open()
    record = await house.turn(4)
    assert house.position() == -4
    sold = -house.position("BTCUSD_PERP") * 100 / house.exchange.index_price("BTC")
    assert D("0.99") < sold <= 1
    assert "clipped_to_holdings" in [reason.code for reason in all_reasons(record.hedges[1])]
    await house.close()
