"""Coins that no venue shows, through the public commands, over sockets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from keeper.core.model import Hold
from keeper.look import check_connect, look_once
from keeper.report import plan_document
from keeper.wiring import open_house
from tests.e2e.grounds import D, config_of, hedge_toml, own_ground
from tests.e2e.test_golden import settle

FILE = 'holdings_file = [{ path = "./cold.csv", max_age_seconds = 3600 }]'


async def test_a_file_is_hedged_shown_and_checked(tmp_path: Path) -> None:
    (tmp_path / "cold.csv").write_text("asset,amount,label\nBTC,1.5,vault\nBTC,1,desk\n")
    async with own_ground({"BTC": "5"}) as ground:
        config = config_of(ground, tmp_path, hedge_toml(more=FILE))
        look = await look_once(config)
        [document] = plan_document("testnet", look.taken_at_ms, look.hedges)["hedges"]
        assert (document["spot_base"], document["target_base"]) == ("7.5", "-7.5")
        [held] = document["holdings"]
        assert held["as_of"] is not None
        assert held | {"as_of": None} == {
            "source": "file.cold.csv", "asset": "BTC", "amount": "2.5", "as_of": None, "max_age_seconds": "3600",
        }  # fmt: skip
        findings = {each.subject: each for each in await check_connect(config)}
        assert findings["file.cold.csv"].ok
        assert findings["file.cold.csv"].text.startswith("2.5 BTC, ")
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert ground.contracts("BTC/USDT:USDT") == D("-7.5")
            (tmp_path / "cold.csv").unlink()
            record = await settle(house.desk)
        assert record.hedges[0].exposure.blockers[0].code == "file_unreadable"
        assert ground.contracts("BTC/USDT:USDT") == D("-7.5")
        findings = {each.subject: each for each in await check_connect(config)}
        assert findings["file.cold.csv"].ok is False


async def test_a_declared_holding_has_an_age(tmp_path: Path) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=91)).date().isoformat()  # noqa: TID251
    recent = (datetime.now(UTC) - timedelta(days=89)).date().isoformat()  # noqa: TID251
    async with own_ground({"BTC": "5"}) as ground:
        for as_of, stale in ((long_ago, True), (recent, False)):
            held = f'holdings = {{ ledger = {{ amount = "2.5", as_of = {as_of}, max_age_days = 90 }} }}'
            config = config_of(ground, tmp_path, hedge_toml(more=held))
            look = await look_once(config)
            assert isinstance(look.hedges[0].decision, Hold) is stale
            [document] = plan_document("testnet", look.taken_at_ms, look.hedges)["hedges"]
            assert (document["spot_base"], document["drift_base"]) == ("7.5", "7.5")
            assert document["holdings"][0]["as_of"] == f"{as_of}T00:00:00Z"
            assert ("stale_holding" in {reason["code"] for reason in document["reasons"]}) is stale
            findings = {each.subject: each.ok for each in await check_connect(config)}
            assert findings["declared.ledger"] is not stale
