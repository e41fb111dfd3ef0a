"""Spot on one venue and the hedge on another: a stray position beside the coins is seen where it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.core.legs import futures_source
from keeper.core.model import AccountId, ExposureMode, Hold
from keeper.observe import Observatory
from keeper.preflight import preflight
from keeper.sim.exchange import Exchange
from keeper.sim.local import LocalVenue
from keeper.sim.types import WalletKind
from keeper.venue.base import CredentialsRefusedError, PositionBook, UnreachableError, Wallet
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


async def three_places(tmp_path: Path) -> tuple[House, Exchange, LocalVenue]:
    """Coins in a spot wallet and a savings wallet of the hedge's own venue, and at another venue."""
    house = House(tmp_path, coins={"BTC": "2"})
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.EARN)
    vault = Exchange(house.clock, seed=8)
    vault.add_account(KEY, "secret")
    vault.deposit(KEY, "BTC", D(4))
    where = LocalVenue("vault", vault, KEY, house.clock)
    await where.open()
    await house.hedge(spot=(AccountId("main"), AccountId("main", "earn"), AccountId("vault")))
    desk = await house.open()
    desk.observatory = Observatory(house.hedges, {"main": house.venue, "vault": where}, house.clock)
    await house.turn(2)
    assert house.position() == D(-7)
    return house, vault, where


async def test_coins_in_several_wallets_and_venues_are_added_up_and_moves_between_them_trade_nothing(
    tmp_path: Path,
) -> None:
    house, vault, _ = await three_places(tmp_path)
    sent = len(house.orders)
    for source, target in ((WalletKind.SPOT, WalletKind.EARN), (WalletKind.EARN, WalletKind.SPOT)):
        house.exchange.transfer(KEY, "BTC", D("0.7"), source, target)
        await house.turn(3)
    house.exchange.transfer(KEY, "BTC", D("1"), WalletKind.EARN, WalletKind.SPOT)
    await house.turn(3)
    assert (house.position(), len(house.orders)) == (D(-7), sent), "the savings wallet is empty, and that is explained"
    vault.withdraw(KEY, "BTC", D("1.5"))
    await house.turn(2)
    assert house.position() == D("-5.5")
    await house.close()


async def test_one_unreadable_wallet_of_several_holds_the_hedge_with_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, _, where = await three_places(tmp_path)

    async def away(name: str) -> Wallet:
        raise UnreachableError("vault does not answer")

    monkeypatch.setattr(where, "wallet", away)
    house.exchange.withdraw(KEY, "BTC", D(2))
    record = await house.one()
    assert isinstance(record.decision, Hold)
    assert [reason.code for reason in record.decision.reasons] == ["unreachable"]
    assert (record.exposure.futures_base, record.exposure.exposure_base) == (D(-7), None)
    await house.turn(3)
    assert house.position() == D(-7)
    monkeypatch.undo()
    await house.turn(3)
    assert house.position() == D(-5)
    await house.close()


@pytest.mark.parametrize("mode", list(ExposureMode))
@pytest.mark.parametrize("away", ["coin margin", "spot"])
async def test_an_unread_wallet_hides_no_other_one_and_holds_the_hedge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: ExposureMode, away: str
) -> None:
    """3 coins in the spot wallet and 2 that margin the short; one of the two wallets cannot be read."""
    house = House(tmp_path, coins={"BTC": "3"})
    house.exchange.deposit(KEY, "BTC", D(2), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC", exposure=mode)
    await house.open()
    await house.turn(3)
    short = house.position("BTCUSD_PERP")
    assert short < 0
    [collateral] = [leg.collateral for leg in house.hedges[0].legs]
    assert collateral is not None
    missing = collateral if away == "coin margin" else AccountId("main")
    read = house.venue.wallet

    async def wallet(name: str) -> Wallet:
        if name == missing.wallet:
            raise UnreachableError("it does not answer")
        return await read(name)

    monkeypatch.setattr(house.venue, "wallet", wallet)
    if away == "coin margin":
        house.exchange.withdraw(KEY, "BTC", D(2))  # what would be bought back at once, if the rest were known
    record = await house.turn(2)
    [cycle] = record.hedges
    seen = cycle.exposure
    assert isinstance(cycle.decision, Hold)
    assert any(f"{missing}: " in reason.text for reason in cycle.decision.reasons), "it is told which one is missing"
    assert (seen.exposure_base, seen.drift_base, seen.equity_base) == (None, None, None)
    if away == "coin margin":
        assert seen.spot_base == 1
        assert seen.collateral_base == (None if mode is ExposureMode.EQUITY else 0)
    else:
        assert seen.spot_base is None
        assert seen.collateral_base == (pytest.approx(D(2), abs=D("0.01")) if mode is ExposureMode.EQUITY else 0)
    assert house.position("BTCUSD_PERP") == short
    await house.close()
