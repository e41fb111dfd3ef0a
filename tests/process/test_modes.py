"""What a mode may do, seen from the venue's side of the socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.grounds import config_text, environment, hedge_toml
from tests.process.keepers import FAST, configure, free_port, keeping, on_all, write_config
from tests.process.receiver import receiving
from tests.process.venues import Shaky, own


async def dry_run(shaky: Shaky, folder: Path) -> None:
    async with receiving() as receiver:
        tail = f'{FAST}[alerts]\nurls = ["{receiver.url}"]\n'
        config = configure(shaky.ground, folder, head='mode = "dry-run"', tail=tail)
        async with keeping(config, environment(shaky.ground)) as keeper:
            state = await keeper.turns(4)
            hedge = state["hedges"][0]
            assert (state["mode"], hedge["decision"], hedge["drift_base"]) == ("dry-run", "rebalance", "5")
            assert sum(float(order["amount_base"]) for order in hedge["orders"]) == 5
            await keeper.until(lambda: "btc: planned, not sent" in receiver.titles(), "an alert about the plan")
            first, *later = [row.decision for row in await keeper.cycles()]
            assert set(later) == {"rebalance"}
            # where a contract that was never traded has no row, the first look does not take it for flat
            assert first == ("hold" if shaky.ground.exchange_id == "okx" else "rebalance")
            assert not await keeper.orders()
    assert not shaky.writes()
    assert shaky.contracts() == 0
    assert shaky.ground.requests()


async def test_a_dry_run_sends_nothing_but_reads(tmp_path: Path) -> None:
    await on_all(tmp_path, dry_run)


@pytest.mark.parametrize("case", ["live without --live", "--live without live", "a live host in testnet"])
async def test_refused_as_unsafe_before_any_request(tmp_path: Path, case: str) -> None:
    async with own() as shaky:
        mode = "live" if case == "live without --live" else "testnet"
        text = config_text(shaky.ground, tmp_path, hedge_toml(), head=f'mode = "{mode}"', tail=FAST)
        text = text.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}")
        if case == "a live host in testnet":
            line = next(line for line in text.splitlines() if line.startswith("fapiPrivate ="))
            text = text.replace(line, 'fapiPrivate = "https://fapi.binance.com/fapi/v1"')
        arguments = ["--live"] if case == "--live without live" else []
        config = write_config(tmp_path, text)
        async with keeping(config, environment(shaky.ground), start=False) as keeper:
            await keeper.start(*arguments)
            assert await keeper.ended() == 4, keeper.tail()
        assert not shaky.ground.requests()
