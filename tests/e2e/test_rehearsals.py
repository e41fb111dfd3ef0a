"""What is ordered of a keeper that sends nothing does not stand in one that does, on the same journal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.core.model import HedgeMemory
from keeper.core.rehearsal import in_earnest, rehearsing
from keeper.core.targets import Target
from keeper.cycle import turn
from keeper.look import look_once
from keeper.wiring import open_house
from tests.e2e.grounds import D, config_of, hedge_toml, own_ground
from tests.e2e.test_golden import settle


def test_what_stood_before_stands_again_and_what_was_read_is_kept() -> None:
    before = HedgeMemory(halted="too far", target=Target.ratio(D("0.5")), established=True, holdings_base=None)
    tried = rehearsing(before)
    tried = replace(tried, paused=True, halted=None, flattened=True, target=Target.ratio(D(0)), established=False)
    tried = rehearsing(tried)
    after = in_earnest(tried)
    assert after == before
    assert in_earnest(before) == before


@pytest.mark.parametrize("order", ["paused", "flattened"])
async def test_an_order_of_dry_run_ends_with_it(tmp_path: Path, order: str) -> None:
    async with own_ground() as ground:
        dry = config_of(ground, tmp_path, hedge_toml(), head='mode = "dry-run"')
        earnest = config_of(ground, tmp_path, hedge_toml())
        async with open_house(dry, live=False) as house:
            await turn(house.desk)
            memory = replace(house.desk.memories["btc"], **{order: True})  # type: ignore[arg-type]
            await house.desk.journal.memory("btc", memory)
        async with open_house(dry, live=False) as house:
            assert getattr(house.desk.memories["btc"], order), "it stands while it is rehearsed"
        (planned,) = (await look_once(earnest)).hedges
        assert not getattr(planned.memory, order)
        async with open_house(earnest, live=False) as house:
            await settle(house.desk)
            assert ground.contracts("BTC/USDT:USDT") == -5
            memory = replace(house.desk.memories["btc"], **{order: True})  # type: ignore[arg-type]
            await house.desk.journal.memory("btc", memory)
        async with open_house(dry, live=False) as house:
            await turn(house.desk)
            memory = replace(house.desk.memories["btc"], paused=False, flattened=False)
            await house.desk.journal.memory("btc", memory)
        async with open_house(earnest, live=False) as house:
            assert getattr(house.desk.memories["btc"], order), "and lifts nothing that was ordered in earnest"
