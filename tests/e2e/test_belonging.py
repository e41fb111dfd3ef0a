"""A journal tells of the accounts that it was kept for: it is refused where the accounts are others."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.belonging import note_accounts
from keeper.commands.said import said_of
from keeper.config import Config, parse_config
from keeper.core.model import Hold
from keeper.cycle import turn
from keeper.errors import ConfigError
from keeper.journal.sql import SqlJournal
from keeper.look import check_connect, look_once
from keeper.wiring import open_house
from tests.e2e.grounds import Ground, config_of, hedge_toml, other_ground, own_ground
from tests.e2e.test_golden import settle

KEYS = {f"KEEPER_VENUES__MAIN__API_{each}": "planted-0123456789" for each in ("KEY", "SECRET")}
REAL = '[venues.main]\nexchange = "bybit"\n' + hedge_toml()
"""A venue as it is by itself, without an endpoint that is stated: nothing of it is ever asked here."""


def of_mode(ground: Ground, folder: Path, mode: str) -> Config:
    return config_of(ground, folder, hedge_toml(), head=f'mode = "{mode}"')


async def refused(config: Config, says: str) -> None:
    """By a start and by every look, as a wrong configuration."""
    with pytest.raises(ConfigError, match=says) as caught:
        async with open_house(config, live=config.mode.value == "live"):
            pass
    assert caught.value.exit_code == 2
    for look in (look_once, check_connect):
        with pytest.raises(ConfigError, match=says):
            await look(config)


@pytest.mark.parametrize(("first", "then"), [("testnet", "live"), ("live", "testnet")])
async def test_test_money_and_real_money_share_no_journal(tmp_path: Path, first: str, then: str) -> None:
    async with own_ground() as ground:
        async with open_house(of_mode(ground, tmp_path, first), live=first == "live") as house:
            await settle(house.desk)
        sent = ground.orders()
        # A look at the first one's account in between makes it no other journal.
        async with open_house(of_mode(ground, tmp_path, "dry-run"), live=False) as house:
            await turn(house.desk)
        says = rf'journal\.url: this journal has been of mode "{first}", and the mode is "{then}" now'
        await refused(of_mode(ground, tmp_path, then), rf'{says}.*url = "sqlite:///{then}\.db"')
        assert ground.orders() == sent


async def test_what_was_seen_in_dry_run_stands_in_live(tmp_path: Path) -> None:
    async with own_ground() as ground:
        async with open_house(of_mode(ground, tmp_path, "dry-run"), live=False) as house:
            await turn(house.desk)
        async with open_house(of_mode(ground, tmp_path, "live"), live=True) as house:
            await settle(house.desk)
            assert isinstance((await turn(house.desk)).hedges[0].decision, Hold)
        assert ground.contracts("BTC/USDT:USDT") == -5


@pytest.mark.parametrize("real", ["testnet", "dry-run", "live"])
async def test_the_account_by_itself_is_not_the_one_at_a_stated_address(tmp_path: Path, real: str) -> None:
    """What ``keeper sim`` serves is tried out where dry-run has looked at the real account, and the other way round."""
    then = "dry-run" if real == "testnet" else "testnet"
    text = f'mode = "{real}"\n[journal]\nurl = "sqlite:///{tmp_path / "keeper.db"}"\n{REAL}'
    by_itself = parse_config(text, "keeper.toml", tmp_path / "keeper.toml", KEYS)
    async with other_ground() as ground:
        journal = await SqlJournal.open(by_itself.journal_url)
        await journal.start_run(real, "digest", 0)
        await note_accounts(by_itself, ["main"], journal, 0)
        await journal.close()
        says = "test and real money are two" if real == "live" else "an account at 127.0.0.1: they are two"
        await refused(of_mode(ground, tmp_path, then), rf"journal\.url: this journal .*{says} accounts, and what it")
        assert ground.orders() == 0


async def test_dry_run_at_the_address_of_the_test_account_is_not_dry_run_of_the_real_one(tmp_path: Path) -> None:
    async with other_ground() as ground, open_house(of_mode(ground, tmp_path, "dry-run"), live=False) as house:
        await turn(house.desk)
    text = f'[journal]\nurl = "sqlite:///{tmp_path / "keeper.db"}"\n{REAL}'
    for mode in ("testnet", "live"):
        config = parse_config(f'mode = "{mode}"\n{text}', "keeper.toml", tmp_path / "keeper.toml", KEYS)
        what = "test" if mode == "testnet" else "real"
        says = f'"dry-run" as an account at 127.0.0.1, and in mode "{mode}" it is a {what} account: they are two'
        with pytest.raises(ConfigError, match=says):
            async with open_house(config, live=mode == "live"):
                pass


async def test_the_name_of_an_account_does_not_move_to_another_exchange(tmp_path: Path) -> None:
    async with own_ground() as ground, other_ground() as other:
        async with open_house(of_mode(ground, tmp_path, "testnet"), live=False) as house:
            await settle(house.desk)
        await refused(
            of_mode(other, tmp_path, "testnet"),
            r'venues\.main\.exchange: this journal knows main as an account at "binance", and it is "bybit" now',
        )
        async with open_house(of_mode(ground, tmp_path, "testnet"), live=False) as house:
            assert len(await house.desk.journal.events("account", "main", 9)) == 1
            assert [said_of(each) for each in await house.desk.journal.events("account", "main")] == [
                "an account at binance (127.0.0.1)"
            ]
        assert other.orders() == 0
