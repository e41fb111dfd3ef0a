"""SIGTERM and SIGINT, and a second keeper: what is in flight ends, the journal closes, the code is right."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

from tests.e2e.grounds import environment
from tests.process.keepers import Keeper, assert_in_order, configure, hedged, keeping, on_all, write_config
from tests.process.venues import Shaky, own


async def stopped_in_mid_order(shaky: Shaky, folder: Path) -> None:
    """The signal comes while the venue sits on an order that it has taken: its end is written down first."""
    shaky.hold_order(0.5, accept_first=True)
    async with keeping(configure(shaky.ground, folder), environment(shaky.ground)) as keeper:
        await keeper.until(lambda: shaky.orders_arrived() > 0, "an order at the venue")
        keeper.send(signal.SIGTERM)
        assert await keeper.ended() == 0
        await _closed_well(keeper)
        assert shaky.orders_arrived() == 1
        await assert_in_order(keeper, shaky, str(shaky.contracts()))
        code, text = await keeper.command("history", "--json")
        assert code == 0
        told = json.loads(text)
        assert [order["outcome"]["state"] for order in told["orders"]] == ["filled"]
        assert told["fills"], "the fills are written down as well"


async def stopped_with_an_order_in_question(shaky: Shaky, folder: Path) -> None:
    """The reply is lost, and the lookups find nothing until the keeper is stopping: it asks before it goes."""
    shaky.lose_replies()
    shaky.blind_lookups()
    async with keeping(configure(shaky.ground, folder), environment(shaky.ground)) as keeper:
        await keeper.until_reason("unresolved_order")
        keeper.send(signal.SIGINT)
        await keeper.until(lambda: bool(keeper.events("stopping")), "the signal to be taken", alive=False)
        shaky.heal()
        assert await keeper.ended() == 0
        await _closed_well(keeper)
        assert shaky.orders_arrived() == 1
        assert [row.intent.outcome.state.value for row in await keeper.orders()] == ["filled"]
        await keeper.start()
        await hedged(keeper, shaky)
        await assert_in_order(keeper, shaky)


async def _closed_well(keeper: Keeper) -> None:
    assert "hedges stay open" in keeper.events("stopped")[0]["text"]
    left = keeper.folder / "keeper.db-wal"
    assert not left.exists() or left.stat().st_size == 0
    assert not (await keeper.summary()).unresolved


async def test_a_second_keeper_is_refused(tmp_path: Path) -> None:
    """On the same journal, or on the same key with another journal: refused as unsafe, and the first goes on."""
    folder = tmp_path
    async with own() as shaky, keeping(configure(shaky.ground, folder), environment(shaky.ground)) as first:
        await hedged(first, shaky)
        for name, journal in (("same-journal", folder / "keeper.db"), ("same-key", folder / "second" / "keeper.db")):
            place = folder / "second"
            place.mkdir()
            text = first.config.read_text().replace(str(folder / "keeper.db"), str(journal))
            second = Keeper(write_config(place, text), environment(shaky.ground), state_home=folder / "state")
            try:
                await second.start()
                assert await second.ended() == 4, name
                assert "another keeper" in second.tail(), name
            finally:
                await second.kill()
            shutil.rmtree(place)
        await first.turns(2)
        await assert_in_order(first, shaky)


async def test_signals(tmp_path: Path) -> None:
    await on_all(tmp_path, stopped_in_mid_order, stopped_with_an_order_in_question)
