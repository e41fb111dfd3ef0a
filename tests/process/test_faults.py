"""A venue goes wrong under a running keeper: it holds, says why, sends nothing wrong, and finds back by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.e2e.grounds import D, environment
from tests.process.keepers import Keeper, assert_in_order, configure, hedged, keeping, on_all
from tests.process.venues import Shaky


def _readings(shaky: Shaky) -> dict[str, tuple[Callable[[], None], tuple[str, ...]]]:
    """Every spoilt reading, and the reasons that it may be held for."""
    return {
        "502 for every read": (shaky.fail_reads, ("unreachable",)),
        "too many requests": (shaky.limit_reads, ("rate_limited",)),
        "an empty account": (shaky.empty_account, ("empty_reading",)),
        "no positions": (shaky.hide_positions, ("bad_reading", "empty_reading")),
        "broken JSON": (shaky.garble, ("bad_reading",)),
        "timestamps refused": (lambda: shaky.skew_clock(60_000), ("clock_refused",)),
    }


async def spoilt_readings(shaky: Shaky, folder: Path) -> None:
    async with keeping(configure(shaky.ground, folder), environment(shaky.ground)) as keeper:
        await hedged(keeper, shaky)
        coins = 5
        for name, (spoil, causes) in _readings(shaky).items():
            await _held_through(keeper, shaky, name, spoil, causes, coins)
            coins += 1
            await hedged(keeper, shaky, f"-{coins}")
        await _refused_connections(keeper, shaky, coins)
        codes = {reason.code for row in await keeper.cycles() for reason in row.reasons}
        assert all(codes & set(causes) for _, causes in _readings(shaky).values()), "the journal says why as well"


async def _held_through(
    keeper: Keeper, shaky: Shaky, name: str, spoil: Callable[[], None], causes: tuple[str, ...], coins: int
) -> None:
    """The world moves on while a reading is spoilt; nothing is sent for what cannot be seen."""
    sent = shaky.orders_arrived()
    spoil()
    await keeper.until_reason(*causes)
    shaky.ground.deposit("BTC", "1")
    state = await keeper.turns(2)
    assert [hedge["decision"] for hedge in state["hedges"]] == ["hold"], name
    assert (shaky.orders_arrived(), shaky.contracts()) == (sent, D(-coins)), name
    shaky.heal()


async def _refused_connections(keeper: Keeper, shaky: Shaky, coins: int) -> None:
    await assert_in_order(keeper, shaky, f"-{coins}")
    await shaky.die()
    state = await keeper.until_reason("unreachable")
    assert not state["venues"]["main"]["ok"]
    shaky.ground.sell("BTC", "2")
    await keeper.turns(3)
    await shaky.revive()
    state = await hedged(keeper, shaky, f"-{coins - 2}")
    assert state["venues"]["main"]["ok"]
    await assert_in_order(keeper, shaky, f"-{coins - 2}", peak=f"-{coins}")


async def orders_that_fail(shaky: Shaky, folder: Path) -> None:
    """503 after the order was taken, an order that never arrives, and one refused for too many requests."""
    async with keeping(configure(shaky.ground, folder), environment(shaky.ground)) as keeper:
        await hedged(keeper, shaky)
        shaky.answer_503_after_accept()
        shaky.ground.deposit("BTC", "1")
        await hedged(keeper, shaky, "-6")
        shaky.lose_orders()
        shaky.ground.deposit("BTC", "1")
        await keeper.until_reason("unresolved_order")
        await hedged(keeper, shaky, "-7")
        shaky.limit_orders()
        shaky.ground.sell("BTC", "1")
        await keeper.until_reason("order_refused")
        await hedged(keeper, shaky, "-6")
        await assert_in_order(keeper, shaky, "-6", peak="-7")
        outcomes = [row.intent.outcome.state.value for row in await keeper.orders()]
        assert {"absent", "rejected", "filled"} <= set(outcomes)


async def a_wrong_clock(shaky: Shaky, folder: Path) -> None:
    """The venue says a time far from ours: everything is read and shown, nothing is sent until it agrees."""
    shaky.lie_about_time(-40_000)
    async with keeping(configure(shaky.ground, folder), environment(shaky.ground)) as keeper:
        state = await keeper.until_reason("clock_offset")
        assert state["hedges"][0]["drift_base"] == "5"
        await keeper.turns(3)
        assert not shaky.orders_arrived()
        shaky.heal()
        await hedged(keeper, shaky)
        await assert_in_order(keeper, shaky)


async def test_a_venue_that_goes_wrong(tmp_path: Path) -> None:
    await on_all(tmp_path, spoilt_readings, orders_that_fail, a_wrong_clock)
