"""Nonsense in answer to the question for the position mode is not "cannot be asked": nothing leaves on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keeper.chores import SETTINGS, Chores
from keeper.cycle import Desk, turn
from keeper.errors import VenueStartError
from keeper.look import look_once
from keeper.preflight import preflight
from keeper.sim.types import MarketKind
from keeper.venue.base import BadReadingError, ClockRefusedError, VenueError
from keeper.wiring import House, open_house
from tests.e2e.grounds import KEY, D, OwnGround, config_of, hedge_toml, own_ground
from tests.venue.tamper import Tamper, Twist, as_it_is, tampering
from tests.venue.test_hostile import settle

MODE, ROWS = "/fapi/v1/positionSide/dual", "/fapi/v2/positionRisk"
SYMBOL = "BTC/USDT:USDT"
LATE = b'{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}'
NONSENSE: dict[str, tuple[Twist, type[VenueError]]] = {
    "half": (as_it_is(b'{"dualSidePo'), BadReadingError),
    "an empty object": (as_it_is(b"{}"), BadReadingError),
    "a list": (as_it_is(b"[]"), BadReadingError),
    "nulls": (as_it_is(b'{"dualSidePosition":null}'), BadReadingError),
    "a page": (as_it_is(b"<html>", headers={"Content-Type": "text/html"}), BadReadingError),
    "another time": (as_it_is(LATE, status=400), ClockRefusedError),
}
ABSENT: dict[str, Twist] = {
    "404": as_it_is(b"404: Not Found", status=404, headers={"Content-Type": "text/plain"}),
    "a refusal": as_it_is(b'{"code":-5000,"msg":"Path /fapi/v1/positionSide/dual, Method GET is invalid"}', status=400),
}


@pytest.fixture
async def ground() -> AsyncIterator[tuple[OwnGround, Tamper]]:
    async with own_ground() as made, tampering(made.server.base_url) as tamper:
        made.urls = tamper.urls(made.urls)
        yield made, tamper


async def turns(desk: Desk) -> None:
    for _ in range(4):
        await turn(desk)


async def settings_again(house: House) -> None:
    chores = Chores(house.venues.observers, {}, list, house.clock)
    chores.ask_for(SETTINGS)
    await chores(house.desk)


@pytest.mark.parametrize("how", sorted(NONSENSE))
async def test_nonsense_about_the_mode_lets_no_order_leave(
    ground: tuple[OwnGround, Tamper], tmp_path: Path, how: str
) -> None:
    exchange, (twist, failure) = ground[0].exchange, NONSENSE[how]
    ground[1].twists = {MODE: twist}
    exchange.set_position_mode(KEY, MarketKind.LINEAR, True)
    config = config_of(ground[0], tmp_path, hedge_toml())
    [seen] = (await look_once(config)).hedges
    assert (seen.exposure.spot_base, seen.exposure.futures_base) == (D(5), D(0)), "a look shows its figures"
    assert "check_failed" in {each.code for each in seen.exposure.blockers}
    assert seen.plan is None
    with pytest.raises(VenueStartError):
        async with open_house(config, live=False):
            raise AssertionError("it has started")
    ground[1].twists = {}
    exchange.set_position_mode(KEY, MarketKind.LINEAR, False)
    async with open_house(config, live=False) as house:
        with_mode = house.desk.observatory.standing
        assert with_mode.blocks == ()
        exchange.set_position_mode(KEY, MarketKind.LINEAR, True)
        await settings_again(house)
        [(_, reason)] = house.desk.observatory.standing.blocks
        assert reason.code == "position_mode"
        ground[1].twists = {MODE: twist}
        with pytest.raises(failure):
            await house.venues.observers["main"].facts(house.desk.hedges[0].instruments)
        await settings_again(house)
        assert house.desk.observatory.standing.blocks == (("main futures", reason),), "what was found before stands"
        await turns(house.desk)
        assert ground[0].orders() == 0


@pytest.mark.parametrize("how", sorted(ABSENT))
async def test_a_venue_without_the_question_is_hedged_on(
    ground: tuple[OwnGround, Tamper], tmp_path: Path, how: str
) -> None:
    ground[1].twists = {MODE: ABSENT[how]}
    async with open_house(config_of(ground[0], tmp_path, hedge_toml()), live=False) as house:
        facts = await house.venues.observers["main"].facts(house.desk.hedges[0].instruments)
        assert facts.one_way is True, "a row of the position says so as well"
        await settle(house.desk)
        assert ground[0].contracts(SYMBOL) == -5


async def test_nonsense_about_one_contract_stops_new_shorts_in_it_alone(
    ground: tuple[OwnGround, Tamper], tmp_path: Path
) -> None:
    hedges = hedge_toml() + hedge_toml("ETH/USDT:USDT", name="eth", asset="ETH")
    ground[0].deposit("ETH", "10")
    async with open_house(config_of(ground[0], tmp_path, hedges), live=False) as house:
        desk, observers = house.desk, house.venues.observers
        ground[1].twists = {f"{ROWS}?symbol=BTCUSDT": as_it_is(b'[{"symbol":')}
        facts = await observers["main"].facts([hedge.instrument for hedge in desk.hedges])
        assert facts.one_way is True
        assert [ident.symbol for ident in facts.unread] == [SYMBOL]
        await settings_again(house)
        assert desk.observatory.standing.sell_blocks == (), "nothing was wrong with it before"
        checked = await preflight(desk.hedges, {}, observers, {})
        [(source, reason)] = checked.standing.sell_blocks
        assert (source, reason.code) == (f"main:{SYMBOL}", "check_failed")
        assert any(finding.ok is False and "cannot be read" in finding.text for finding in checked.findings)
        desk.observatory.standing = checked.standing
        await settings_again(house)
        assert desk.observatory.standing == checked.standing, "what was found before stands"
        await turns(desk)
        assert ground[0].contracts(SYMBOL) == 0
        assert ground[0].contracts("ETH/USDT:USDT") == -10
        ground[1].twists = {}
        await settings_again(house)
        await settle(desk)
        assert ground[0].contracts(SYMBOL) == -5
