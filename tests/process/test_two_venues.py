"""Coins at one exchange, the short at another: each may fail alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.grounds import D, config_text, environment, hedge_toml, venue_toml
from tests.process.keepers import FAST, assert_in_order, free_port, hedged, keeping, write_config
from tests.process.venues import Shaky, other, own


def _config(futures: Shaky, coins: Shaky, folder: Path) -> Path:
    hedge = hedge_toml(spot='["coins"]')
    text = config_text(futures.ground, folder, venue_toml(coins.ground, "coins") + hedge, tail=FAST)
    return write_config(folder, text.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))


@pytest.mark.parametrize("futures_at", ["own", "other"])
async def test_spot_here_futures_there(tmp_path: Path, futures_at: str) -> None:
    async with own() as ours, other() as theirs:
        futures, coins = (ours, theirs) if futures_at == "own" else (theirs, ours)
        env = environment(futures.ground) | environment(coins.ground, "coins")
        async with keeping(_config(futures, coins, tmp_path), env) as keeper:
            await hedged(keeper, futures)
            await coins.die()
            state = await keeper.until_reason("unreachable")
            assert (state["venues"]["coins"]["ok"], state["venues"]["main"]["ok"]) == (False, True)
            coins.ground.sell("BTC", "2")
            await keeper.turns(2)
            assert futures.contracts() == -5
            await coins.revive()
            await hedged(keeper, futures, "-3")
            await futures.die()
            state = await keeper.until_reason("unreachable")
            assert (state["venues"]["coins"]["ok"], state["venues"]["main"]["ok"]) == (True, False)
            coins.ground.deposit("BTC", "3")
            await keeper.turns(2)
            await futures.revive()
            await hedged(keeper, futures, "-6")
            await assert_in_order(keeper, futures, "-6")
        assert not coins.writes(), "nothing is sent where only the coins are"
        assert coins.contracts() == D(0)
