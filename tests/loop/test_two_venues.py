"""Spot on one venue and the hedge on another: a stray position beside the coins is seen where it can be."""

from __future__ import annotations

from pathlib import Path

from keeper.core.hedge import futures_source
from keeper.core.model import AccountId, Hold
from keeper.observe import Observatory
from keeper.preflight import preflight
from keeper.sim.exchange import Exchange
from keeper.sim.local import LocalVenue
from keeper.sim.types import WalletKind
from keeper.venue.base import CredentialsRefusedError, PositionBook
from tests.loop.house import KEY, D, House, linear_key


class SpotKey(LocalVenue):
    """A key that may see the spot wallet and nothing else."""

    async def positions(self) -> PositionBook:
        raise CredentialsRefusedError("this key may not read futures")


async def two_venues(tmp_path: Path, kind: type[LocalVenue]) -> tuple[House, Exchange]:
    house = House(tmp_path, coins={})
    vault = Exchange(house.clock, seed=8)
    vault.add_account(KEY, "secret")
    vault.deposit(KEY, "BTC", D(5))
    vault.deposit(KEY, "USDT", D(1_000_000), WalletKind.USDM)
    where = kind("vault", vault, KEY, house.clock)
    await where.open()
    await house.hedge(spot=(AccountId("vault"),))
    desk = await house.open()
    observers = {"main": house.venue, "vault": where}
    checked = await preflight(house.hedges, {}, observers, {})
    desk.observatory = Observatory(house.hedges, observers, house.clock)
    desk.observatory.also_watched = checked.also_watched
    return house, vault


async def test_a_position_beside_the_coins_holds_the_hedge(tmp_path: Path) -> None:
    house, vault = await two_venues(tmp_path, LocalVenue)
    vault.foreign_trade(KEY, linear_key("BTCUSDT"), D(-1))
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert record.decision.reasons[0].code == "unlisted_position"
    vault.foreign_trade(KEY, linear_key("BTCUSDT"), D(1))
    await house.turn(2)
    assert house.position() == D(-5)
    await house.close()


async def test_a_key_for_spot_alone_is_enough_to_hedge(tmp_path: Path) -> None:
    house, _ = await two_venues(tmp_path, SpotKey)
    await house.turn(2)
    assert house.position() == D(-5)
    assert house.desk is not None
    assert futures_source("vault") not in {gap.source for gap in (await house.turn()).snapshot.gaps}
    await house.close()
