"""A contract that is about to expire: what the keeper says, compares, chooses and does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from keeper.core.carry import DAY_MS
from keeper.core.model import Hold
from keeper.sim.calendar import day_of
from keeper.sim.defaults import linear_market
from tests.loop.house import D, House


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A full hedge in a quarterly contract, ten days before it expires."""
    made = House(tmp_path)
    expiry = made.clock.now_ms() + 10 * DAY_MS
    made.exchange.add_market(
        linear_market("BTC", "0.1", ("0.001", "1000", "120"), "5", suffix="_270326", expiry_ms=expiry)
    )
    await made.hedge(f"BTC/USDT:USDT-{day_of(expiry)}")
    await made.open()
    yield made
    await made.close()


async def test_the_plan_says_that_a_roll_is_due(house: House) -> None:
    await house.turn(2)
    held = await house.one()
    assert isinstance(held.decision, Hold)
    assert "roll_due" not in [reason.code for reason in held.reasons]
    house.clock.advance(3 * 86_400)
    held = await house.one()
    [due] = [reason for reason in held.reasons if reason.code == "roll_due"]
    assert "expires in 7 days" in due.text
    house.hedges[0] = replace(house.hedges[0], roll=replace(house.hedges[0].roll, window_days=D(3)))
    await house.crash()
    await house.open()
    assert "roll_due" not in [reason.code for reason in (await house.one()).reasons]
