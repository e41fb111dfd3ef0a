"""kill -9 at every named point around a send, and at any moment: the short is right, and nothing was sent twice.

``KEEPER_KILLS`` is the number of kills over two venues, and a third takes half as many; a long check may ask for more.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.e2e.grounds import D, OwnGround, environment, hedge_toml
from tests.process.dying import POINTS
from tests.process.keepers import Keeper, assert_in_order, configure, hedged, holds, keeping, on_all, write_config
from tests.process.venues import CLOCK, OwnShaky, Shaky, own

KILLS = int(os.environ.get("KEEPER_KILLS", "20"))
LATE_SECONDS = 2.2
"""Longer than a keeper takes to start: the venue then takes a held order in while the next one asks after it."""
TIGHT = 'band = { warn = "0.0005", act = "0.001", halt = "0.9" }'
"""Each coin more is worth an order, however many there are by then."""
PATIENT = """
[safety]
visibility_seconds = 1.5
position_lag_seconds = 1
[log]
level = "debug"
format = "json"
"""


async def held_before_accept(keeper: Keeper, shaky: Shaky, _chance: random.Random) -> None:
    shaky.hold_order(LATE_SECONDS, accept_first=False)
    await _killed_on_arrival(keeper, shaky)


async def held_after_accept(keeper: Keeper, shaky: Shaky, _chance: random.Random) -> None:
    shaky.hold_order(LATE_SECONDS, accept_first=True)
    await _killed_on_arrival(keeper, shaky)


async def reply_lost(keeper: Keeper, shaky: Shaky, _chance: random.Random) -> None:
    shaky.lose_replies()
    await _killed_on_arrival(keeper, shaky)


async def order_lost(keeper: Keeper, shaky: Shaky, _chance: random.Random) -> None:
    shaky.lose_orders()
    await _killed_on_arrival(keeper, shaky)


async def any_moment(keeper: Keeper, _shaky: Shaky, chance: random.Random) -> None:
    await keeper.start()
    await CLOCK.sleep(chance.uniform(0.8, 2.5))
    await keeper.kill()


async def _killed_on_arrival(keeper: Keeper, shaky: Shaky) -> None:
    before = shaky.orders_arrived()
    await keeper.start()
    await keeper.until(lambda: shaky.orders_arrived() > before, "an order at the venue")
    await keeper.kill()


WIRE = (held_before_accept, held_after_accept, reply_lost, order_lost, any_moment)
DEATHS = (
    WIRE[0], POINTS[1], WIRE[1], POINTS[2], WIRE[2], POINTS[3], WIRE[4], POINTS[5], POINTS[0], WIRE[3], POINTS[4],
    WIRE[4], POINTS[6],
)  # fmt: skip
"""An odd number, so that each venue, which takes every other one, gets round to all of them."""


async def killed_again_and_again(shaky: Shaky, folder: Path) -> None:
    offset = 0 if isinstance(shaky.ground, OwnGround) else 1
    chance = random.Random(KILLS + offset)
    coins = 5
    async with keeping(
        configure(shaky.ground, folder, hedge_toml(more=TIGHT), tail=PATIENT), environment(shaky.ground), start=False
    ) as keeper:
        for number in range((KILLS + offset) // 2):
            death = DEATHS[(2 * number + offset) % len(DEATHS)]
            if isinstance(death, str):
                await keeper.start(dies_at=death)
                assert await keeper.ended() == -9, keeper.tail()
            else:
                await death(keeper, shaky, chance)
            assert -coins <= shaky.contracts() <= 0, f"after {death}"
            # What comes next, recovery or a first order, meets a world that has moved on.
            shaky.ground.deposit("BTC", "1")
            coins += 1
        shaky.heal()
        await keeper.start()
        await hedged(keeper, shaky, f"-{coins}")
        await assert_in_order(keeper, shaky, f"-{coins}")
        shaky.ground.sell("BTC", "2")
        await hedged(keeper, shaky, f"-{coins - 2}")
        await assert_in_order(keeper, shaky, f"-{coins - 2}", peak=f"-{coins}")
    assert shaky.contracts() == D(2 - coins)


async def test_kill_9(tmp_path: Path) -> None:
    await on_all(tmp_path, killed_again_and_again)


async def waits(keeper: Keeper, shaky: OwnShaky) -> None:
    """The venue's 429 has reached the keeper, and from now on the venue would answer again."""
    shaky.limit_reads(seconds=600)
    await keeper.api("POST", "/api/v1/wake")
    await keeper.until_reason("rate_limited")


async def test_a_kill_in_the_very_poll_that_met_a_429(tmp_path: Path) -> None:
    """What the venue asked for is on the disk before anybody is told of it: the next keeper opens no short either."""
    async with own() as shaky:
        assert isinstance(shaky, OwnShaky)
        config = configure(shaky.ground, tmp_path)
        often = config.read_text()
        write_config(tmp_path, often.replace("poll_seconds = 0.2", "poll_seconds = 600"))
        async with keeping(config, environment(shaky.ground)) as keeper:
            await keeper.until_state(holds, "the hedge in place")
            await waits(keeper, shaky)
            await keeper.kill()
            shaky.heal()
            before = shaky.orders_arrived()
            write_config(tmp_path, often)
            shaky.ground.deposit("BTC", "1")
            await keeper.start()
            await keeper.until_reason("rate_limited")
            assert shaky.orders_arrived() == before


async def test_a_wait_that_the_venue_asked_for_stops_new_shorts_and_no_cover(tmp_path: Path) -> None:
    """Over a restart too: the next keeper reads what it needs to cover by, and nothing makes it short more."""
    async with own() as shaky:
        assert isinstance(shaky, OwnShaky)
        config = configure(shaky.ground, tmp_path)
        async with keeping(config, environment(shaky.ground)) as keeper:
            await hedged(keeper, shaky, "-5")
            await waits(keeper, shaky)
            shaky.heal()
            shaky.ground.sell("BTC", "2")
            await keeper.until(lambda: shaky.contracts() == D(-3), "two coins covered")
            await keeper.kill()
            shaky.ground.sell("BTC", "1")
            await keeper.start()
            await keeper.until(lambda: shaky.contracts() == D(-2), "one more covered")
            before = shaky.orders_arrived()
            shaky.ground.deposit("BTC", "2")
            await keeper.until_reason("rate_limited")
            assert shaky.orders_arrived() == before
            assert shaky.contracts() == D(-2)
