"""What people are told while it happens, on a webhook; and that a dead webhook is nobody's business but its own."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.grounds import environment
from tests.process.keepers import FAST, configure, free_port, hedged, keeping, on_both
from tests.process.receiver import HOOK_TOKEN, receiving
from tests.process.venues import Shaky, own


async def told(shaky: Shaky, folder: Path) -> None:
    """A trade, drift beyond warn, a gap and its end, a halt."""
    async with receiving() as receiver:
        config = configure(shaky.ground, folder, tail=f'{FAST}[alerts]\nurls = ["{receiver.url}"]\n')
        async with keeping(config, environment(shaky.ground)) as keeper:
            await hedged(keeper, shaky)
            for title in ("btc: sold", "btc: drift beyond warn", "btc: drift back inside"):
                await keeper.until(lambda title=title: title in receiver.titles(), title)  # type: ignore[misc]
            shaky.fail_reads()
            await keeper.until(lambda: "btc: cannot trade (unreachable)" in receiver.titles(), "the gap")
            shaky.heal()
            await keeper.until(lambda: "btc: can trade again" in receiver.titles(), "the gap's end")
            shaky.foreign("4")
            await keeper.until(lambda: "btc: halted" in receiver.titles(), "the halt")
            state = await keeper.turns(2)
            assert state["hedges"][0]["halted"] is not None
            assert shaky.contracts() == -1, "a halted hedge is not built up again"
            severities = {alert["title"]: alert["severity"] for alert in receiver.alerts}
            assert severities["btc: halted"] == "critical"
            assert severities["btc: cannot trade (unreachable)"] == "warning"
            keeper.answers += receiver.bodies
            keeper.assert_no_secret(HOOK_TOKEN)


async def webhook_down(shaky: Shaky, folder: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/hook?token={HOOK_TOKEN}"
    config = configure(shaky.ground, folder, tail=f'{FAST}[alerts]\nurls = ["{url}"]\n')
    async with keeping(config, environment(shaky.ground)) as keeper:
        await hedged(keeper, shaky)
        await keeper.turns(5)
        state = await keeper.until_state(
            lambda state: any(counters["failed"] for counters in state["alerts"].values()), "a failed delivery"
        )
        assert state["alerts"]["log"]["failed"] == 0
        keeper.assert_no_secret(HOOK_TOKEN)


async def test_alerts(tmp_path: Path) -> None:
    await on_both(tmp_path, told)


async def test_a_webhook_that_is_down(tmp_path: Path) -> None:
    async with own() as shaky:
        await webhook_down(shaky, tmp_path)
