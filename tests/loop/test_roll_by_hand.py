"""A roll that an operator orders of a running keeper, and a keeper that only looks, which begins none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from keeper.alerts.delivery import open_alerts
from keeper.api.operations import UnknownHedgeError
from keeper.config import Mode
from keeper.core.roll_rules import RollRules
from keeper.core.roll_state import RollRefusedError
from keeper.daemon import Daemon, Rhythm
from keeper.rollover import KIND, Rollover
from keeper.service import Face
from tests.loop.house import D
from tests.loop.test_rolls import DEAR, MOVE, Blind, Ten


@pytest_asyncio.fixture
async def ten(tmp_path: Path) -> AsyncIterator[Ten]:
    made = Ten(tmp_path)
    yield made
    await made.close()


class Prompt(Daemon):
    """Obeys as soon as it is told, as it does between two turns."""

    def wake(self) -> None:
        self.obeying = asyncio.ensure_future(self._obey())


async def order(ten: Ten, to: str | None = None, out_of: str | None = None, *, markets: Any = None) -> dict[str, Any]:
    """What the route does: asked by the face, begun by the daemon between two turns."""
    assert ten.desk is not None
    daemon = Prompt(ten.desk, ten.clock, Rhythm())
    face = Face(daemon, Mode.TESTNET, open_alerts([], ten.clock), Rollover({"main": markets or ten.venue}))
    return await face.roll("btc", to, out_of)


async def test_it_goes_to_the_cheapest_though_no_roll_is_due(ten: Ten) -> None:
    await ten.build(funding="0.0003")
    await ten.days(1)
    await ten.turn()
    answer = await order(ten)
    assert answer["roll"]["target"] == "main:BTC/USDT:USDT"
    assert (answer["paused"], answer["halted"]) == (False, None)
    assert ten.desk is not None
    [event] = await ten.desk.journal.events(KIND, "btc")
    detail = json.loads(event.detail)
    assert (detail["decision"], detail["reasons"][0]["code"]) == ("roll", "roll_ordered")
    assert all(each["flows"] is not None for each in detail["candidates"][1:])
    await ten.turn(MOVE)
    assert ten.held() == [0, 0, -5]


@pytest.mark.parametrize("name", ["next", "{far}", "main:{far}"])
async def test_it_goes_where_it_is_told_and_a_crash_does_not_stop_it(ten: Ten, name: str) -> None:
    await ten.build(funding="0.0003")
    answer = await order(ten, name.format(far=ten.far))
    assert answer["roll"]["target"] == f"main:{ten.far}"
    assert await order(ten, name.format(far=ten.far)) == answer, "the same again changes nothing"
    await ten.turn(4)
    await ten.crash()
    await ten.open()
    await ten.turn(MOVE)
    assert ten.held() == [0, -5, 0]


async def test_what_cannot_be_compared_can_still_be_named(ten: Ten) -> None:
    await ten.build()
    blind = Blind(ten)
    with pytest.raises(RollRefusedError, match=r"no other contract can be compared .*--to"):
        await order(ten, markets=blind)
    assert (await order(ten, "perpetual", markets=blind))["roll"]["target"] == "main:BTC/USDT:USDT"


async def test_what_is_too_dear_has_to_be_named(ten: Ten) -> None:
    await ten.build(DEAR, basis="-0.05", funding="-0.0003")
    await ten.days(3)
    await ten.turn()
    with pytest.raises(RollRefusedError, match=r"max_cost_annual is 0\.01; name it with --to"):
        await order(ten)
    assert (await order(ten, "next"))["roll"]["target"] == f"main:{ten.far}"


async def test_what_makes_no_sense_is_refused_and_changes_nothing(ten: Ten) -> None:
    await ten.build()
    for to, out_of, words in (
        ("BTC/USDT:USDT-991231", None, "nothing like it is listed by that name; it can to: BTC/USDT:USDT, "),
        (ten.near, None, "cannot be rolled to .*: that is where it is; it can to: BTC/USDT:USDT, "),
        ("ETH/USDT:USDT", None, "cannot be rolled to ETH/USDT:USDT: nothing like it is listed"),
        (None, "BTC/USDT:USDT", "is not carried by BTC/USDT:USDT; it is by: main:"),
    ):
        with pytest.raises(RollRefusedError, match=words):
            await order(ten, to, out_of)
    assert ten.desk is not None
    with pytest.raises(UnknownHedgeError):
        await Face(Daemon(ten.desk, ten.clock, Rhythm()), Mode.TESTNET, open_alerts([], ten.clock), Rollover({})).roll(
            "bct", None, None
        )
    assert ten.desk.memories["btc"].roll is None
    assert await ten.desk.journal.events(KIND, "btc") == ()
    await order(ten, "next")
    with pytest.raises(RollRefusedError, match="is rolling to"):
        await order(ten, "perpetual")


async def test_a_paused_hedge_says_that_its_roll_waits(ten: Ten) -> None:
    await ten.build()
    assert ten.desk is not None
    ten.desk.memories["btc"] = replace(ten.desk.memories["btc"], paused=True)
    assert (await order(ten, "next"))["paused"] is True
    await ten.turn(10)
    assert ten.held() == [-5, 0, 0]
    ten.desk.memories["btc"] = replace(ten.desk.memories["btc"], paused=False)
    await ten.turn(MOVE)
    assert ten.held() == [0, -5, 0]


async def test_a_keeper_that_only_looks_says_what_it_would_do_and_begins_nothing(ten: Ten) -> None:
    await ten.build(RollRules(max_cost_annual=D(10)), funding="0.0003")
    await ten.days(4)
    await ten.turn()
    assert ten.desk is not None
    looks = Rollover({"main": ten.venue}, begins=False)
    for _ in range(2):
        await looks(ten.desk)
        told = ten.reasons(await ten.one())
        assert "this keeper sends nothing and begins no roll" in told["roll_cheapest"]
        assert ten.desk.memories["btc"].roll is None
    assert ten.held() == [-5, 0, 0]
    [event] = await ten.desk.journal.events(KIND, "btc")
    assert json.loads(event.detail)["target"] == "main:BTC/USDT:USDT", "what it would do is on record"
    with pytest.raises(RollRefusedError, match="sends no orders"):
        await looks.ordered(ten.desk, "btc", "perpetual", None)


async def test_what_was_rolled_out_of_the_perpetual_can_be_rolled_back_by_hand(ten: Ten) -> None:
    """One contract is configured, the perpetual; it is no less a place to go to for that."""
    await ten.build(first="BTC/USDT:USDT")
    for to, back in ((ten.far, "that is where it is"), ("perpetual", "that is where it is")):
        await order(ten, to)
        await ten.turn(MOVE)
        with pytest.raises(RollRefusedError, match=back):
            await order(ten, to)
        assert ten.held() == ([0, -5, 0] if to == ten.far else [0, 0, -5])
    with pytest.raises(RollRefusedError, match="cannot be rolled to perpetual: that is where it is; it can to: "):
        await order(ten, "perpetual")


async def test_from_the_last_of_its_line_it_goes_back_to_the_perpetual_only(ten: Ten) -> None:
    await ten.build(RollRules(max_cost_annual=D(10)), funding="0.0003")
    await order(ten, "next")
    await ten.turn(MOVE)
    with pytest.raises(RollRefusedError, match=r"that expires no later; it can to: BTC/USDT:USDT$"):
        await order(ten, ten.near)
    ten.hedges[0] = replace(ten.hedges[0], roll=replace(ten.hedges[0].roll, candidates=("next",)))
    await ten.crash()
    await ten.open()
    with pytest.raises(RollRefusedError, match=r"of roll\.candidates .* to none; name one with --to: BTC/USDT:USDT"):
        await order(ten)
