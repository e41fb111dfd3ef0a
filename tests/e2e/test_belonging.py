"""A journal tells of the accounts that it was kept for: it is refused where the accounts are others."""

from __future__ import annotations

from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("first", "then"), [("testnet", "dry-run"), ("dry-run", "testnet")])
async def test_dry_run_looks_at_the_real_account(tmp_path: Path, first: str, then: str) -> None:
    url = f"sqlite:///{tmp_path / 'keeper.db'}"
    journal = await SqlJournal.open(url)
    await journal.start_run(first, "digest", 0)
    await journal.close()
    text = f'mode = "{then}"\n[journal]\nurl = "{url}"\n{REAL}'
    config = parse_config(text, "keeper.toml", tmp_path / "keeper.toml", KEYS)
    with pytest.raises(ConfigError, match=rf'of mode "{first}", and the mode is "{then}" now'):
        async with open_house(config, live=False):
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
        assert other.orders() == 0
