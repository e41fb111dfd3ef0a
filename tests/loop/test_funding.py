"""Funding of every contract is booked, whatever stands beside it: what expires pays none, what fails is asked again."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from keeper.chores import FUNDING, MARKETS, Chores
from keeper.core.model import Instrument
from keeper.sim.local import LocalVenue
from keeper.sim.types import WalletKind
from keeper.venue.base import FundingEntry, UnreachableError
from tests.loop.house import KEY, D
from tests.loop.legs_house import COIN_PERP, MAIN_PERP, NEAR_LINEAR, LegsHouse


class Partly(LocalVenue):
    """A venue whose ledger does not answer for some contracts, and whose list of markets may not either."""

    def __init__(self, house: LegsHouse) -> None:
        super().__init__("main", house.exchange, KEY, house.clock)
        self.silent: set[str] = set()
        self.unlisted = False
        self.asked: list[tuple[str, int]] = []

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        self.asked.append((instrument.id.symbol, since_ms))
        if instrument.id.symbol in self.silent:
            raise UnreachableError("the ledger did not answer")
        return await super().funding(instrument, since_ms)

    async def open(self) -> None:
        if self.unlisted:
            raise UnreachableError("the list of markets did not answer")
        await super().open()


async def split_house(folder: Path) -> tuple[LegsHouse, Partly]:
    """A dated contract, then two perpetuals of two products, each with a share of six coins."""
    house = LegsHouse(folder, coins={"BTC": "3"})
    house.exchange.deposit(KEY, "BTC", D(3), WalletKind.COINM)
    house.venue = venue = Partly(house)
    await venue.open()
    names = [house.symbol(key) for key in (NEAR_LINEAR, MAIN_PERP, COIN_PERP)]
    await house.carry(*names, shares=("0.2", "0.4", "0.4"))
    await house.open()
    await house.turn(8)
    return house, venue


def pay(house: LegsHouse) -> None:
    for key in (MAIN_PERP, COIN_PERP):
        house.exchange.set_funding_rate(key, D("0.0005"))
        house.exchange.apply_funding(key)


async def booked(house: LegsHouse) -> Mapping[str, Decimal]:
    assert house.desk is not None
    total = await house.desk.journal.funding_total()
    return {ident.symbol: amount for (ident, _), amount in total.items()}


async def test_a_contract_that_expires_holds_up_no_other(tmp_path: Path) -> None:
    house, venue = await split_house(tmp_path)
    assert house.desk is not None
    assert house.held(NEAR_LINEAR) < 0
    pay(house)
    chores = Chores({"main": venue, "other": house.second}, {}, list, house.clock)
    await chores(house.desk)
    assert {symbol for symbol, amount in (await booked(house)).items() if amount > 0} == {
        house.symbol(MAIN_PERP), house.symbol(COIN_PERP),
    }  # fmt: skip
    assert {symbol for symbol, _ in venue.asked} == {house.symbol(MAIN_PERP), house.symbol(COIN_PERP)}
    await house.close()


async def test_a_ledger_that_fails_is_asked_again_from_where_it_stood(tmp_path: Path) -> None:
    house, venue = await split_house(tmp_path)
    assert house.desk is not None
    chores = Chores({"main": venue, "other": house.second}, {}, list, house.clock)
    first, second = house.symbol(MAIN_PERP), house.symbol(COIN_PERP)
    pay(house)
    venue.silent = {first}
    since: list[dict[str, int]] = []
    for _ in range(3):
        house.clock.advance(3 * 3600)
        venue.asked.clear()
        chores.ask_for(FUNDING)
        await chores(house.desk)
        since.append(dict(venue.asked))
    assert set(await booked(house)) == {second}, "the one behind the failing one is booked"
    assert len({each[first] for each in since}) == 1, "the failing one stays where it stood"
    assert since[0][second] < since[1][second] < since[2][second], "the other goes on"
    venue.silent = set()
    chores.ask_for(FUNDING)
    await chores(house.desk)
    assert set(await booked(house)) == {first, second}, "nothing of the hours between is lost"
    await house.close()


async def test_a_venue_whose_markets_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    house, venue = await split_house(tmp_path)
    assert house.desk is not None
    venue.unlisted = True
    later = Partly(house)
    assert not later._trading
    chores = Chores({"main": venue, "other": later}, {}, lambda: tuple(house.hedges), house.clock)
    chores.ask_for(MARKETS)
    await chores(house.desk)
    assert later._trading, "the venue behind the one that failed was read"
    await house.close()
