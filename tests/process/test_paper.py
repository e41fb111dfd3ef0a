"""``keeper run`` with ``mode = "paper"``, as a process: what it shows, what it leaves, and what kill -9 cannot take."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from keeper.venue.paper.account import Account
from keeper.venue.paper.store import Store
from tests.e2e.grounds import Ground, hedge_toml
from tests.process.dying import POINTS
from tests.process.keepers import FAST, Keeper, configure, holds, keeping
from tests.process.receiver import receiving
from tests.process.venues import own

D = Decimal
SYMBOL = "BTC/USDT:USDT"
BEGINS = '[venues.main.paper]\nbalances = { BTC = "5", USDT = "500000" }\n'


def on_paper(ground: Ground, folder: Path, more: str = "", tail: str = FAST) -> Path:
    return configure(ground, folder, hedge_toml(more=more) + BEGINS, head='mode = "paper"', tail=tail)


def account(folder: Path) -> Account:
    """What is on the disk, read as somebody who must not touch it."""
    return Account("main", Store.open(folder / "keeper.main.paper.db", durable=False), "inverse")


def contracts(folder: Path) -> Decimal:
    held = account(folder).held(SYMBOL)
    return D(0) if held is None else held.contracts


def begin_anew(folder: Path) -> None:
    """Move account and journal out of the way, as the reference says."""
    for left in (folder / "keeper.main.paper.db", *folder.glob("keeper.db*")):
        left.unlink()


async def test_a_paper_keeper_hedges_shows_it_and_is_not_noticed_by_the_venue(tmp_path: Path) -> None:
    async with own({}) as shaky, receiving() as receiver:
        config = on_paper(shaky.ground, tmp_path, tail=f'{FAST}[alerts]\nurls = ["{receiver.url}"]\n')
        async with keeping(config, {}) as keeper:
            code, out = await keeper.command("plan", "--json")
            assert (code, json.loads(out)["mode"]) == (0, "paper")
            state = await keeper.until_state(
                lambda state: holds(state) and state["hedges"][0]["futures_base"] == "-5", "a full hedge"
            )
            assert state["mode"] == "paper"
            code, out = await keeper.command("plan", "--json")
            assert json.loads(out)["hedges"][0]["futures_base"] == "-5"
            code, out = await keeper.command("status")
            assert code == 0
            assert "paper" in out
            code, out = await keeper.command("stress", "--json")
            assert json.loads(out)["mode"] == "paper"
            code, out = await keeper.command("roll", "--json")
            assert code == 0
            code, out = await keeper.command("flatten", "btc", "--yes")
            assert code == 0
            await keeper.until(lambda: contracts(tmp_path) == 0, "a flat position")
            code, out = await keeper.command("history")
            assert code == 0
            assert "paper_account" in out
            other = Keeper(config, {}, state_home=tmp_path / "other")
            await other.start()
            assert await other.ended() == 4, "a second keeper on the same account"
            await keeper.until(lambda: bool(receiver.titles()), "an alert")
            assert all(title.startswith("[paper] ") for title in receiver.titles())
        assert not shaky.writes()
        assert not [path for _, path in shaky.ground.requests() if "account" in path or "order" in path]
        assert shaky.contracts() == 0


async def test_kill_9_at_any_point_takes_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    async with own({}) as shaky:
        config = on_paper(shaky.ground, tmp_path)
        async with keeping(config, {}, start=False) as keeper:
            for point in ("after-answer", "before-cycle", "before-send", "after-outcome"):
                assert point in POINTS
                await keeper.start(dies_at=point)
                assert await keeper.ended() == -9
                await keeper.start()
                await keeper.until_state(
                    lambda state: holds(state) and state["hedges"][0]["futures_base"] == "-5", f"-5 after {point}"
                )
                await keeper.kill()
                rows = await keeper.orders()
                assert not [row for row in rows if row.intent.outcome.state.value == "unknown"]
                filled = sum((row.intent.outcome.filled for row in rows), D(0))
                assert filled == -contracts(tmp_path), "what the journal and the account know is the same"
                assert contracts(tmp_path) == -5
                begin_anew(tmp_path)
        assert not shaky.writes()
