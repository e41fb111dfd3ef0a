"""Others make a coin-margined short smaller, and the wallet behind it shows late what that brought or took."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from keeper.core.execution import Execution, Style
from keeper.core.model import Base, Hold, Instrument, Position, Unlisted
from keeper.cycle import turn
from keeper.sim.local import LocalVenue
from keeper.sim.types import WalletKind
from keeper.venue.base import Observer, UnreachableError, Wallet
from tests.loop.house import KEY, D, House
from tests.loop.legs_house import COIN, COIN_PERP, NEAR, LegsHouse
from tests.loop.test_invariance import Interrupted


class Behind(Interrupted):
    """The venue, whose coin-margin wallet answers so many times what it answered before."""

    def __init__(self, venue: LocalVenue) -> None:
        super().__init__(venue)
        self.old: Wallet | None = None
        self.times = 0

    async def wallet(self, wallet: str) -> Wallet:
        read = await super().wallet(wallet)
        if self.times and self.old is not None:
            self.times -= 1
            return self.old
        self.old = read
        return read


@asynccontextmanager
async def margined_in_coins(folder: Path, kind: type[Behind] = Behind) -> AsyncIterator[tuple[House, Behind]]:
    """A keeper that hedges nine tenths of five coins, at 65,000, with the contract that they margin."""
    house = House(folder, coins={})
    line = kind(house.venue)
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    house.wrap = lambda venue: (cast("Observer", line), venue)
    await house.hedge(COIN, "0.9", spot=())
    await house.open()
    try:
        yield house, line
    finally:
        await house.close()


@asynccontextmanager
async def a_short_at_a_loss(folder: Path, kind: type[Behind] = Behind) -> AsyncIterator[tuple[House, Behind]]:
    """The coins are shorted at 50,000, and stand at 65,000."""
    async with margined_in_coins(folder, kind) as (house, line):
        house.exchange.set_price("BTC", D(50_000))
        await house.turn(3)
        house.exchange.set_price("BTC", D(65_000))
        await house.turn(4)
        yield house, line


@pytest.mark.parametrize("times", [1, 2])
async def test_what_others_took_is_shorted_again_when_the_wallet_shows_what_it_brought(
    tmp_path: Path, times: int
) -> None:
    """A wallet from before a deleveraging at a loss counts coins that are gone."""
    async with a_short_at_a_loss(tmp_path) as (house, line):
        before = await house.one()
        deleverage(house, line, times)
        held = await house.turn()
        assert "foreign_change" in [reason.code for reason in held.hedges[0].reasons]
        for _ in range(times - 1):
            cycle = await house.one()
            assert isinstance(cycle.decision, Hold)
            assert "wallet_lags" in [reason.code for reason in cycle.decision.reasons]
        for _ in range(5):
            after = await house.one()
            assert house.position("BTCUSD_PERP") >= -2320, "0.9 of 3.959 coins at 65,000, and not of 4.144"
        assert before.exposure.exposure_base is not None
        assert after.exposure.exposure_base is not None
        assert abs(before.exposure.exposure_base - after.exposure.exposure_base) < D("0.01")
        assert abs(house.position("BTCUSD_PERP") + 2315) <= 5


@pytest.mark.parametrize("times", [1, 3])
async def test_what_our_own_cover_took_is_not_shorted_again(tmp_path: Path, times: int) -> None:
    """A coin is taken out and its short bought back at a loss, and the wallet reads for a while as before the fill."""
    async with a_short_at_a_loss(tmp_path) as (house, line):
        house.exchange.withdraw(KEY, "BTC", D(1), WalletKind.COINM)
        before = house.position("BTCUSD_PERP")
        await house.one()
        assert house.position("BTCUSD_PERP") > before, "covered"
        line.times = times
        for _ in range(times):
            cycle = await house.one()
            assert isinstance(cycle.decision, Hold)
            assert [reason.code for reason in cycle.decision.reasons] == ["awaiting_position"]
            assert cycle.outcomes == ()
        short = house.position("BTCUSD_PERP")
        await house.turn(4)
        assert house.position("BTCUSD_PERP") == short, "the shown wallet leaves nothing to be done"


@pytest.mark.parametrize("further", [False, True], ids=["shown before", "not shown yet"])
async def test_a_wallet_that_goes_back_to_before_our_covers_is_not_traded_on(tmp_path: Path, further: bool) -> None:
    """Another part of the venue answers with a wallet of two covers ago, which lost coins since."""
    async with a_short_at_a_loss(tmp_path) as (house, line):
        house.exchange.withdraw(KEY, "BTC", D(1), WalletKind.COINM)
        await house.turn()
        short, before = house.position("BTCUSD_PERP"), line.old
        await house.turn()
        assert house.position("BTCUSD_PERP") == short
        house.exchange.withdraw(KEY, "BTC", D("0.5"), WalletKind.COINM)
        await house.turn()
        covered = house.position("BTCUSD_PERP")
        assert covered > short
        if not further:
            await house.turn()
        line.old, line.times = before, 4  # what jumps is read twice in a look
        for _ in range(2):
            cycle = await house.one()
            assert isinstance(cycle.decision, Hold)
            assert [reason.code for reason in cycle.decision.reasons] in (["unsettled"], ["awaiting_position"])
        await house.turn(5)
        assert house.position("BTCUSD_PERP") == covered


async def test_a_wallet_that_has_nothing_to_show_is_not_waited_for_long(tmp_path: Path) -> None:
    async with margined_in_coins(tmp_path) as (house, line):
        await house.turn(3)
        short = house.position("BTCUSD_PERP")
        deleverage(house, line, 100)
        await house.turn(5)
        assert house.position("BTCUSD_PERP") == short + 400
        await house.turn(3)
        assert abs(house.position("BTCUSD_PERP") - short) < 20, "half a minute, and one look more"


class Noisy(Behind):
    """A wallet that is worked out from two figures: each answer differs from the one before in the last digits."""

    answers = 0

    async def wallet(self, wallet: str) -> Wallet:
        read = await super().wallet(wallet)
        self.answers += 1
        noise = D("1e-9") * self.answers
        return replace(read, totals={coin: Base(held + noise) for coin, held in read.totals.items()})


def deleverage(house: House, line: Behind, looks: int) -> None:
    house.exchange.auto_deleverage(KEY, COIN_PERP, D(400))
    line.times = looks


async def comes_out(house: House, short: str, times: int, *, apart: bool = True) -> None:
    """So many turns end at this short, and none of them goes beyond it."""
    assert house.desk is not None
    for _ in range(times):
        await (house.turn() if apart else turn(house.desk))
        assert house.position("BTCUSD_PERP") >= -D(short) - 5
    assert abs(house.position("BTCUSD_PERP") + D(short)) <= 5


@pytest.mark.parametrize("kind", [Behind, Noisy])
async def test_a_change_in_the_last_digits_is_not_what_a_trade_brought(tmp_path: Path, kind: type[Behind]) -> None:
    async with a_short_at_a_loss(tmp_path, kind) as (house, line):
        deleverage(house, line, 3)
        await comes_out(house, "2315", 9)


async def test_looks_that_follow_at_once_do_not_end_the_wait_for_a_wallet(tmp_path: Path) -> None:
    async with a_short_at_a_loss(tmp_path) as (house, line):
        deleverage(house, line, 6)
        await comes_out(house, "2315", 9, apart=False)


async def test_the_next_keeper_waits_for_the_wallet_as_well(tmp_path: Path) -> None:
    async with a_short_at_a_loss(tmp_path) as (house, line):
        deleverage(house, line, 2)
        await house.turn()
        await house.crash()
        await house.open()
        cycle = await house.one()
        assert isinstance(cycle.decision, Hold)
        assert "wallet_lags" in [reason.code for reason in cycle.decision.reasons]
        await comes_out(house, "2315", 4)


async def test_a_wallet_is_waited_for_while_an_order_of_ours_rests(tmp_path: Path) -> None:
    """In the end it is 0.9 of 4.458 coins at 65,000, and not of 4.643."""
    async with a_short_at_a_loss(tmp_path) as (house, line):
        passive = Execution(Style.PASSIVE, leash_bps=D(50), escalate_after_seconds=D(20))
        house.hedges[0] = replace(house.hedges[0], execution=passive)
        assert house.desk is not None
        house.desk.hedges = house.desk.observatory.hedges = tuple(house.hedges)
        house.exchange.deposit(KEY, "BTC", D("0.5"), WalletKind.COINM)
        rests = await house.one()
        assert [outcome.state.value for outcome in rests.outcomes] == ["working"]
        deleverage(house, line, 2)
        seen = await house.one()
        assert "wallet_lags" in [reason.code for reason in seen.exposure.sell_blockers]
        await comes_out(house, "2608", 8)


class Cut(LocalVenue):
    """A venue at which something happens when it is asked for one contract by name."""

    def __init__(self, venue: LocalVenue) -> None:
        self.__dict__.update(venue.__dict__)
        self.asked = ""
        self.then: Callable[[], object] = object

    async def position(self, instrument: Instrument) -> Position:
        if instrument.id.symbol == self.asked:
            self.asked = ""
            self.then()
        return await super().position(instrument)


def lost() -> None:
    raise UnreachableError("no answer within 10 s")


@pytest.mark.parametrize("unlisted", [Unlisted.COUNT, Unlisted.HOLD])
@pytest.mark.parametrize("moves", [False, True])
async def test_a_contract_of_nobodys_that_cannot_be_read_again_is_not_taken_for_none(
    tmp_path: Path, unlisted: Unlisted, moves: bool
) -> None:
    """Two of five coins are short by hand in a contract that the hedge does not name, and its wallet just changed."""
    house = LegsHouse(tmp_path, coins={})
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.venue.open()
    house.exchange.foreign_trade(KEY, NEAR, D(-1300))
    await house.carry(COIN, spot=())
    house.hedges[0] = replace(house.hedges[0], unlisted=unlisted)
    lines: dict[str, Cut] = {}
    house.wraps = lambda name, venue: lines.setdefault(name, Cut(venue))
    await house.open()
    try:
        await house.turn(3)
        sent, short = len(house.orders), house.held(COIN_PERP)
        line = lines["main"]
        line.asked = house.symbol(NEAR)
        line.then = (lambda: house.exchange.foreign_trade(KEY, NEAR, D(-1))) if moves else lost
        house.exchange.deposit(KEY, "BTC", D("0.001"), WalletKind.COINM)
        during = await house.one()
        assert line.asked == "", "it was asked for again"
        assert isinstance(during.decision, Hold)
        assert len(house.orders) == sent
        await house.turn(4)
        assert abs(house.held(COIN_PERP) - short) <= 2
    finally:
        await house.close()


async def test_the_last_digits_of_two_wallets_that_count_together_are_not_coins_on_the_move(tmp_path: Path) -> None:
    house = House(tmp_path, coins={"BTC": "1"})
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    line = Noisy(house.venue)
    house.wrap = lambda venue: (cast("Observer", line), venue)
    await house.hedge(COIN)
    await house.open()
    try:
        await house.turn(3)
        for _ in range(4):
            record = await house.turn()
            assert record.snapshot.gaps == ()
            assert [reason.code for reason in record.hedges[0].reasons] == []
        house.exchange.deposit(KEY, "BTC", D("0.01"))
        cycle = await house.one()
        assert "coins_came_in" in [reason.code for reason in cycle.exposure.sell_blockers], "and a hundredth is"
    finally:
        await house.close()
