"""Files of another program beside the wallets, through the whole loop: read, doubted, held, remembered."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.clock import SystemClock
from keeper.core.model import AccountId, Hold, Statement
from keeper.core.stated import DAY_MS, file_account
from keeper.doubt import Doubt
from keeper.holdings_files import BYTES_MAX, HoldingsFiles, WantedFile
from keeper.observe import Observatory
from tests.loop.house import KEY, D, House

NAME = "cold.json"


class ColdHouse(House):
    """Two coins at the venue, the rest as a file says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, coins={"BTC": "2"})
        self.path = folder / NAME

    async def start(self, ratio: str = "1", *, spot: tuple[AccountId, ...] = (AccountId("main"),)) -> None:
        await self.hedge(ratio=ratio, spot=spot)
        mine = Statement(file_account(NAME), "BTC", max_age_ms=DAY_MS)
        self.hedges = [replace(self.hedges[0], statements=(mine,))]
        await self.again()

    async def again(self, read_seconds: float = 5.0) -> None:
        desk = await self.open()
        self.files = HoldingsFiles({NAME: WantedFile(self.path, ("BTC",))}, self.clock, read_seconds)
        desk.observatory = Observatory(self.hedges, {"main": self.venue}, self.clock, Doubt(), self.files)

    def states(self, amount: str, *, age_seconds: float = 0) -> None:
        """The other program writes its file, as it should: a new one, renamed over the old."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"BTC": amount}))
        at = self.clock.now_ms() / 1000 - age_seconds
        os.utime(new, (at, at))
        new.rename(self.path)

    async def code(self) -> str:
        decision = (await self.one()).decision
        assert isinstance(decision, Hold), decision
        return decision.reasons[0].code


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[ColdHouse]:
    made = ColdHouse(tmp_path)
    yield made
    await made.close()


async def test_what_the_file_says_is_hedged_and_followed(house: ColdHouse) -> None:
    house.states("3")
    await house.start()
    await house.turn(2)
    assert house.position() == D(-5)
    house.states("3.5")
    assert await house.code() == "coins_came_in", "seen twice before it is hedged, as coins between two wallets are"
    await house.turn(2)
    assert house.position() == D("-5.5")
    house.states("1.5")
    await house.turn(2)
    assert house.position() == D("-3.5")


async def test_too_old_holds_with_every_figure_and_goes_on_when_it_is_stated_anew(house: ColdHouse) -> None:
    house.states("3")
    await house.start()
    await house.turn(2)
    sent = len(house.orders)
    house.clock.advance(2 * 86_400)
    house.sell_spot("BTC", "1")
    seen = await house.one()
    assert isinstance(seen.decision, Hold)
    assert seen.decision.reasons[0].code == "stale_holding"
    assert (seen.exposure.exposure_base, seen.exposure.drift_base) == (D(4), D(-1))
    assert len(house.orders) == sent
    house.states("3")
    await house.turn(2)
    assert house.position() == D(-4)


def becomes_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BROKEN = {
    "missing": ("file_unreadable", lambda path: path.unlink()),
    "half-written": ("file_malformed", lambda path: path.write_text('{"BTC": "3')),
    "empty": ("file_malformed", lambda path: path.write_text("")),
    "another coin": ("file_malformed", lambda path: path.write_text('{"XBT": "3"}')),
    "less than nothing": ("file_malformed", lambda path: path.write_text('{"BTC": "-3"}')),
    "a directory": ("file_unreadable", lambda path: (path.unlink(), path.mkdir())),
    "a pipe": ("file_unreadable", becomes_a_pipe),
    "a device": ("file_unreadable", lambda path: (path.unlink(), path.symlink_to("/dev/zero"))),
    "huge": ("file_unreadable", lambda path: os.truncate(path, BYTES_MAX + 1)),
    "a circle of links": ("file_unreadable", lambda path: (path.unlink(), path.symlink_to(path))),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_what_cannot_be_read_is_a_gap_and_never_zero(house: ColdHouse, kind: str) -> None:
    wanted, breaks = BROKEN[kind]
    house.states("3")
    await house.start()
    await house.turn(2)
    sent = len(house.orders)
    breaks(house.path)  # type: ignore[no-untyped-call]
    seen = await house.one()
    assert isinstance(seen.decision, Hold)
    assert [reason.code for reason in seen.decision.reasons] == [wanted]
    assert NAME in seen.decision.reasons[0].text
    assert seen.exposure.futures_base == D(-5)
    assert seen.exposure.exposure_base is None
    await house.turn(3)
    assert (house.position(), len(house.orders)) == (D(-5), sent)


async def test_a_fall_to_zero_is_held_and_then_believed(house: ColdHouse) -> None:
    house.states("3")
    await house.start()
    await house.turn(2)
    house.states("0")
    assert await house.code() == "unexplained_zero"
    await house.turn(20)
    assert house.position() == D(-5)
    house.clock.advance(600)
    house.states("0")
    await house.turn(2)
    assert house.position() == D(-2)


async def test_a_jump_is_read_twice_in_one_look(house: ColdHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.states("3")
    await house.start()
    await house.turn(2)
    read, moving = house.files.wallet, ["4.1", "4.2"]

    async def moves(name: str) -> object:
        if moving:
            house.states(moving.pop(0))
        return await read(name)

    monkeypatch.setattr(house.files, "wallet", moves)
    assert await house.code() == "unconfirmed_reading"
    assert house.position() == D(-5)


async def test_a_restart_remembers_what_the_file_said(house: ColdHouse) -> None:
    house.states("3")
    await house.start()
    await house.turn(2)
    await house.crash()
    house.states("0")
    await house.again()
    assert house.desk is not None
    assert house.desk.remembered.holdings[(file_account(NAME), "BTC")] == D(3)
    assert await house.code() == "unexplained_zero"
    assert house.position() == D(-5)


async def test_a_disk_that_does_not_answer_holds_neither_the_loop_nor_another_hedge(
    house: ColdHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.states("3")
    await house.start()
    await house.turn(2)
    await house.close()
    await house.hedge("ETH/USDT:USDT", "1", name="eth")
    await house.again(read_seconds=0.05)
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()
    hung = []

    def hangs(path: Path) -> tuple[bytes, int]:
        hung.append(path)
        asyncio.run_coroutine_threadsafe(answered.wait(), loop).result(10)
        return b'{"BTC": "3"}', house.clock.now_ms()

    monkeypatch.setattr("keeper.holdings_files.read_bytes", hangs)
    house.exchange.deposit(KEY, "ETH", D(10))
    for _ in range(3):
        record = await house.turn()
        assert record.hedges[0].exposure.blockers[0].code == "file_unreadable"
    assert len(hung) == 1, "one thread waits, and no second one joins it"
    assert house.position("ETHUSDT") == D(-10)
    answered.set()
    for _ in range(100):
        await SystemClock().sleep(0.01)
        if not house.files._reading:
            break
    record = await house.turn()
    assert not record.hedges[0].exposure.blockers


async def test_the_look_is_journalled_with_the_age_of_what_was_stated(house: ColdHouse) -> None:
    house.states("3", age_seconds=60)
    await house.start()
    record = await house.turn()
    key = (file_account(NAME), "BTC")
    assert record.snapshot.holdings[key] == D(3)
    assert record.snapshot.taken_at_ms - record.snapshot.stated_at_ms[key] == pytest.approx(65_000, abs=10)
    assert record.hedges[0].exposure.stated[0].as_of_ms == record.snapshot.stated_at_ms[key]
