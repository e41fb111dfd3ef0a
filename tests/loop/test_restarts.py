"""Keepers killed one after the other before the end of a turn: the next one takes the last fill for what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.core.limits import Limits
from keeper.core.model import CycleRecord, Quote
from keeper.cycle import turn
from keeper.journal.base import Remembered
from tests.loop.house import D, House
from tests.loop.test_faults import CrashError, FlakyHouse


async def killed_before_the_turn_is_written(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn that learns how an order went, and dies before it writes itself down."""
    desk = await house.open()

    async def die(_record: CycleRecord, _remembered: Remembered) -> None:
        raise CrashError

    monkeypatch.setattr(desk.journal, "cycle", die)
    house.clock.advance(5)
    with pytest.raises(CrashError):
        await turn(desk)
    await house.crash()


async def test_two_fills_after_the_last_turn_that_was_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    house.limits = Limits(Quote(D(70_000)))
    await house.hedge()
    for _ in range(3):
        await killed_before_the_turn_is_written(house, monkeypatch)
    desk = await house.open()
    assert [list(memory.expected.values()) for memory in desk.memories.values()] == [[house.position()]]
    await house.turn(6)
    assert house.position() == D(-5)
    await house.close()


async def test_an_order_that_became_known_after_the_last_turn_that_was_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its intent is older than that turn, and the venue does not show the position yet: nothing more may be sent."""
    house = FlakyHouse(tmp_path)
    await house.start()
    line = house.line
    line.stale_positions = await line.positions()
    line.lose_reply_after, line.lookups_fail = 1, 1_000
    await house.turn(2)
    line.lookups_fail = 0
    await house.crash()

    await killed_before_the_turn_is_written(house, monkeypatch)
    await house.open()
    await house.turn(2)
    assert house.position() == D(-5)
    line.stale_positions = None
    await house.turn(2)
    assert house.position() == D(-5)
    assert len(house.orders) == 1
    await house.close()
