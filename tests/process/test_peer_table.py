"""The closest peer's faults, on the wire of three venues: ours ends, and peaks, at the right short in every row.

Rows that need no fresh account follow each other on one keeper, each with more coins to hedge than the one before;
``crash and restart`` has a module of its own, :mod:`tests.process.test_kills`.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.grounds import environment
from tests.process.keepers import FAST, Keeper, assert_in_order, configure, hedged, keeping, on_all
from tests.process.venues import Shaky


async def a_short_is_open_already(shaky: Shaky, folder: Path) -> None:
    shaky.short_already("5")
    async with keeping(configure(shaky.ground, folder), environment(shaky.ground)) as keeper:
        await hedged(keeper, shaky)
        await keeper.turns(3)
        await assert_in_order(keeper, shaky)
    assert not shaky.writes(), "the short that was there is adopted, nothing is sent"


async def rows_about_orders(shaky: Shaky, folder: Path) -> None:
    limits = f'{FAST}[limits]\nmax_order_notional = "120000"\n'
    async with keeping(configure(shaky.ground, folder, tail=limits), environment(shaky.ground)) as keeper:
        await _errors_before_fills(keeper, shaky)
        shaky.ground.deposit("BTC", "1")
        await _answers_and_fills_lost(keeper, shaky)
        shaky.ground.deposit("BTC", "1")
        await _outage(keeper, shaky)
        shaky.fills_come_late(3.5)
        shaky.ground.deposit("BTC", "1")
        await hedged(keeper, shaky, "-8")
        await keeper.turns(3)
        await assert_in_order(keeper, shaky, "-8")


async def _errors_before_fills(keeper: Keeper, shaky: Shaky) -> None:
    """Three orders, each answered with an error though it was taken."""
    shaky.answer_503_after_accept(times=3)
    await hedged(keeper, shaky)
    await keeper.turns(3)
    await assert_in_order(keeper, shaky)
    assert len(shaky.client_ids()) == 3


async def _answers_and_fills_lost(keeper: Keeper, shaky: Shaky) -> None:
    """An order fills; no answer, lookup or fill tells of it, for longer than an order may be late."""
    sent = shaky.orders_arrived()
    shaky.lose_replies(None)
    shaky.blind_lookups()
    await keeper.until_reason("unresolved_order")
    await keeper.turns(10)
    assert shaky.orders_arrived() == sent + 1, "nothing more is sent while one order is unknown"
    shaky.heal()
    await hedged(keeper, shaky, "-6")
    await assert_in_order(keeper, shaky, "-6")


async def _outage(keeper: Keeper, shaky: Shaky) -> None:
    """The venue goes away with an answer that it owes us."""
    shaky.lose_replies()
    await keeper.until(lambda: shaky.contracts() == -7, "an order")
    await shaky.die()
    await keeper.until_reason("unreachable")
    await keeper.turns(5)
    await shaky.revive()
    await hedged(keeper, shaky, "-7")
    await assert_in_order(keeper, shaky, "-7")


async def rows_about_readings(shaky: Shaky, folder: Path) -> None:
    """Positions are never returned, from the start; all is well; the spot reading becomes 0, or is not there."""
    shaky.hide_positions()
    async with keeping(configure(shaky.ground, folder), environment(shaky.ground)) as keeper:
        await keeper.turns(5)
        shaky.heal()
        await hedged(keeper, shaky)
        await keeper.turns(5)
        await assert_in_order(keeper, shaky)
        for fault in (shaky.zero_coin, shaky.hide_coin):
            fault()
            await keeper.until_reason("unexplained_zero")
            await keeper.turns(5)
            shaky.heal()
            await hedged(keeper, shaky)
        await assert_in_order(keeper, shaky)


async def test_the_closest_peer_s_table(tmp_path: Path) -> None:
    await on_all(tmp_path, rows_about_orders, rows_about_readings, a_short_is_open_already)
