"""The control API's hand on the fault menu: arming, seeing, healing, and being told what was wrong."""

from __future__ import annotations

from typing import Any

import ccxt.pro
import pytest

from keeper.sim.fault_kinds import FaultKind
from tests.wire.conftest import LINEAR, Control


async def test_the_menu_is_documented_whole(control: Control) -> None:
    shown = (await control.ask("GET", "/faults"))["menu"]
    assert [each["kind"] for each in shown] == [kind.value for kind in FaultKind]
    assert next(each for each in shown if each["kind"] == "maintenance")["parameters"] == {"for_ms": 30_000}
    (route,) = [each for each in (await control.ask("GET", "/"))["routes"] if each["path"] == "/faults/{id}"]
    assert route["method"] == "DELETE"


async def test_a_fault_is_armed_strikes_and_is_counted(control: Control, client: Any) -> None:
    body = {"kind": "reply_lost_after", "count": 1, "symbol": "BTCUSDT"}
    assert await control.ask("POST", "/faults", body) == {"id": 1, "kind": "reply_lost_after"}
    with pytest.raises(ccxt.pro.NetworkError):
        await client.create_order(LINEAR, "market", "sell", 0.5)
    told = await control.ask("GET", "/faults")
    assert told["fired"] == {"reply_lost_after": 1}
    assert [(each["strikes"], each["spent"], each["market"]) for each in told["armed"]] == [(1, True, "BTCUSDT")]
    assert (await control.ask("GET", "/state"))["positions"] == {"BTCUSDT": "-0.5"}


async def test_the_truth_is_told_while_answers_lie(control: Control, client: Any) -> None:
    await client.create_order(LINEAR, "market", "sell", 0.5)
    await control.ask("POST", "/faults", {"kind": "read_503", "probability": "1/1"})
    await control.ask("POST", "/faults", {"kind": "maintenance"})
    assert (await control.ask("GET", "/state"))["positions"] == {"BTCUSDT": "-0.5"}
    with pytest.raises(ccxt.pro.ExchangeNotAvailable):
        await client.fetch_balance()
    await control.ask("DELETE", "/faults")
    await client.fetch_balance()
    assert (await control.ask("GET", "/faults"))["armed"] == []


async def test_chances_and_schedules_are_taken(control: Control, client: Any) -> None:
    parameters = {"ratio": "0.25"}
    for body in (
        {"kind": "partial_fill", "probability": "1/20", "parameters": parameters},
        {"kind": "partial_fill", "probability": 0.5, "parameters": parameters},
        {"kind": "foreign_trade", "schedule": {"after_seconds": [3600]}, "parameters": {"quantity": "0.5"}},
        {"kind": "zeroed", "schedule": {"at_event": [3]}, "parameters": {"name": "BTC"}},
    ):
        await control.ask("POST", "/faults", body)
    armed = (await control.ask("GET", "/faults"))["armed"]
    assert [each["probability"] for each in armed] == ["1/20", "1/2", None, None]
    assert armed[0]["parameters"] == parameters
    assert (len(armed[2]["at_ms"]), armed[3]["at_event"]) == (1, [3])
    assert await control.ask("DELETE", f"/faults/{armed[2]['id']}") == {"id": 3, "armed": False}
    assert len((await control.ask("GET", "/faults"))["armed"]) == 3


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "gremlins"}, "kind"),
        ({"kind": "host_clock_step"}, "venue_clock_step"),
        ({"kind": "maintenance", "parameters": {"for_m": 1}}, "for_ms"),
        ({"kind": "maintenance", "parameters": {"for_ms": "soon"}}, "not a number"),
        ({"kind": "empty", "parameters": {"reading": "fills"}}, "spot_balances"),
        ({"kind": "empty", "probability": 2}, "probability"),
        ({"kind": "empty", "schedule": {}}, "after_seconds"),
        ({"kind": "empty", "probability": "1/2", "schedule": {"at_event": [1]}}, "one of"),
        ({"kind": "delisted", "parameters": {"status": "GONE"}}, "BREAK"),
    ],
)
async def test_refusals_say_what_was_wrong(control: Control, body: dict[str, Any], words: str) -> None:
    assert words in (await control.ask("POST", "/faults", body, 400))["error"]["message"]


async def test_a_market_or_a_fault_that_is_not_there(control: Control) -> None:
    await control.ask("POST", "/faults", {"kind": "delisted", "symbol": "NOPE"}, 409)
    assert "GET /faults" in (await control.ask("DELETE", "/faults/7", status=400))["error"]["message"]
