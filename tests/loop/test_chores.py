"""What is done between turns: funding is booked, settings are read again, changed markets are taken in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from keeper.chores import FUNDING, MARKETS, PRUNING, SETTINGS, Chores, Times
from keeper.clock import SystemClock
from keeper.core.model import Hold
from keeper.preflight import Wanted
from keeper.sim.types import MarketKind, WalletKind
from keeper.venue.base import AccountFacts, UnreachableError
from tests.loop.house import KEY, D, House, linear_key
from tests.loop.legs_house import PERP, LegsHouse


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.hedge()
    await made.open()
    yield made
    await made.close()


def chores_of(house: House, wanted: Wanted | None = None) -> Chores:
    ident = house.hedges[0].instrument.id

    def rebuild() -> list[object]:
        return [replace(hedge, instrument=house.venue.instrument(hedge.instrument.id.symbol)) for hedge in house.hedges]

    return Chores(
        {"main": house.venue},
        {} if wanted is None else {ident: wanted},
        rebuild,  # type: ignore[arg-type]  # a list of hedges, made of the fields of one
        house.clock,
        Times(keep_days=1),
    )


async def test_funding_is_booked_once_with_its_sign(house: House) -> None:
    assert house.desk is not None
    await house.turn(2)
    house.exchange.set_funding_rate(linear_key("BTCUSDT"), D("0.0005"))
    house.exchange.apply_funding(linear_key("BTCUSDT"))
    chores = chores_of(house)
    await chores(house.desk)
    chores.ask_for(FUNDING)
    await chores(house.desk)
    total = await house.desk.journal.funding_total()
    assert list(total.values()) == [D("162.5")], "5 BTC short at 65,000 and +0.05 %: received, and booked once"


async def test_a_mode_that_flips_while_running_stops_orders(house: House) -> None:
    assert house.desk is not None
    house.exchange.set_position_mode(KEY, MarketKind.LINEAR, True)
    chores = chores_of(house)
    chores.ask_for(SETTINGS)
    await chores(house.desk)
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[0].code == "position_mode"
    house.exchange.set_position_mode(KEY, MarketKind.LINEAR, False)
    chores.ask_for(SETTINGS)
    await chores(house.desk)
    await house.turn(2)
    assert house.position() == D(-5)


async def test_a_leverage_other_than_stated_stops_new_shorts_and_no_cover(house: House) -> None:
    assert house.desk is not None
    await house.turn(2)
    chores = chores_of(house, Wanted(leverage=D(3)))
    chores.ask_for(SETTINGS)
    await chores(house.desk)
    house.exchange.deposit(KEY, "BTC", D(1))
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[0].code == "settings_mismatch"
    house.sell_spot("BTC", "3")
    await house.turn(2)
    assert house.position() == D(-3)


async def test_a_step_that_changed_is_taken_in(house: House) -> None:
    assert house.desk is not None
    key = linear_key("BTCUSDT")
    filters = house.exchange.market(key).filters
    house.exchange.set_filters(key, replace(filters, step=D("0.01"), min_qty=D("0.01")))
    house.exchange.deposit(KEY, "BTC", D("0.005"))
    chores = chores_of(house)
    chores.ask_for(MARKETS)
    await chores(house.desk)
    await house.turn(2)
    assert house.position() == D(-5), "5.005 coins at a step of 0.01"


async def test_the_first_refusal_has_the_markets_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert house.desk is not None
    key = linear_key("BTCUSDT")
    filters = house.exchange.market(key).filters
    house.exchange.set_filters(key, replace(filters, step=D("0.01"), min_qty=D("0.01")))
    house.exchange.deposit(KEY, "BTC", D("0.005"))
    chores = chores_of(house)
    for _ in range(4):
        await chores(house.desk)
        await house.turn(1)
    assert house.position() == D(-5), "5.005 coins at a step of 0.01, which an order of 5.005 had not heard of"
    reloads: list[str] = []
    monkeypatch.setattr(chores, "ask_for", reloads.append)
    house.exchange.withdraw(KEY, "USDT", D(4_900_000), WalletKind.USDM)
    house.exchange.deposit(KEY, "BTC", D(50))
    for _ in range(10):
        await house.turn(1)
        await chores(house.desk)
    assert reloads == [MARKETS], "once for all refusals in a row"


async def test_old_holds_are_pruned_and_orders_kept(house: House) -> None:
    assert house.desk is not None
    await house.turn(3)
    house.clock.advance(3 * 86_400)
    await house.turn(1)
    chores = chores_of(house)
    chores.ask_for(PRUNING)
    await chores(house.desk)
    assert len(await house.desk.journal.intents_since(0)) == 1


async def test_the_schedule_only_notes_what_is_due_and_wakes(house: House) -> None:
    chores = Chores({}, {}, list, SystemClock(), Times(settings_seconds=1, markets_seconds=3600, funding_seconds=3600))
    woken = asyncio.Event()
    with chores.scheduled(woken.set):
        async with asyncio.timeout(5):
            await woken.wait()
    assert SETTINGS in chores._due


async def test_a_venue_that_does_not_answer_keeps_no_other_from_being_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LegsHouse(tmp_path)
    await house.carry(PERP)
    second = await house.carry("other:ETH/USDT:USDT")
    house.hedges[1] = replace(second, name="eth", assets=("ETH",))
    desk = await house.open()
    chores = Chores({"main": house.venue, "other": house.second}, {}, list, house.clock)

    async def settings_again() -> None:
        chores.ask_for(SETTINGS)
        await chores(desk)

    house.exchange.set_position_mode(KEY, MarketKind.LINEAR, True)
    await settings_again()
    assert [source for source, _ in desk.observatory.standing.blocks] == ["main futures"]
    house.other.set_position_mode(KEY, MarketKind.LINEAR, True)

    async def away(_instruments: object) -> AccountFacts:
        raise UnreachableError("main does not answer")

    monkeypatch.setattr(house.venue, "facts", away)
    with capture_logs() as logs:
        await settings_again()
    assert [(each["chore"], each["venue"]) for each in logs if each["event"] == "chore_failed"] == [(SETTINGS, "main")]
    sources = [source for source, _ in desk.observatory.standing.blocks]
    assert sources == ["main futures", "other futures"], "what was found at main stands, and the other was looked at"
    house.other.set_position_mode(KEY, MarketKind.LINEAR, False)
    monkeypatch.undo()
    house.exchange.set_position_mode(KEY, MarketKind.LINEAR, False)
    await settings_again()
    assert desk.observatory.standing.blocks == ()
    await house.close()
