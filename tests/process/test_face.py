"""The running process as others see it: its API and token, pause and resume, and the commands that use them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import aiohttp

from tests.e2e.grounds import environment
from tests.process.keepers import assert_in_order, configure, hedged, holds, keeping
from tests.process.venues import own


async def test_status_pause_and_resume(tmp_path: Path) -> None:
    async with own() as shaky, keeping(configure(shaky.ground, tmp_path), environment(shaky.ground)) as keeper:
        await hedged(keeper, shaky)
        code, text = await keeper.command("status", "--json")
        state = json.loads(text)
        assert code == 0
        assert holds(state)
        assert (state["mode"], state["run"], state["hedges"][0]["futures_base"]) == ("testnet", 1, "-5")

        code, _ = await keeper.command("pause")
        assert code == 0
        shaky.ground.deposit("BTC", "1")
        state = await keeper.turns(3)
        assert state["hedges"][0]["paused"] is True
        assert "paused" in {reason["code"] for reason in state["hedges"][0]["reasons"]}
        assert shaky.contracts() == -5

        await keeper.kill()
        await keeper.start()
        state = await keeper.until_state(lambda state: state["run"] == 2 and state["cycles"] > 2, "a second run")
        assert state["hedges"][0]["paused"] is True, "a pause outlives the process"
        assert shaky.contracts() == -5

        code, _ = await keeper.command("resume", "btc")
        assert code == 0
        await hedged(keeper, shaky, "-6")
        await assert_in_order(keeper, shaky, "-6")


async def test_the_api_and_its_token(tmp_path: Path) -> None:
    async with own() as shaky, keeping(configure(shaky.ground, tmp_path), environment(shaky.ground)) as keeper:
        await hedged(keeper, shaky)
        token_file = tmp_path / "keeper.token"
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        assert await keeper.api("GET", "/api/v1/health") | {"text": ""} == {"ok": True, "text": ""}
        right = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
        async with aiohttp.ClientSession(f"http://{keeper.bind}") as session:
            for headers, status in (({}, 401), ({"Authorization": "Bearer wrong-token-0123456789"}, 401), (right, 200)):
                async with session.get("/api/v1/state", headers=headers) as answer:
                    assert answer.status == status
                    keeper.answers.append(await answer.text())
            async with session.post("/api/v1/hedges/btc/pause") as answer:
                assert answer.status == 401
        state = await keeper.turns(1)
        assert state["hedges"][0]["paused"] is False
