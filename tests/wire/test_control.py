"""The hand that moves the simulated world, and that its moves reach a client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.wire.conftest import LINEAR, Control, Venue


async def test_it_lists_its_routes_with_examples_that_work(control: Control) -> None:
    routes = (await control.ask("GET", "/"))["routes"]
    assert {"/price", "/prices/play", "/deposit", "/withdraw", "/spot-trade", "/funding", "/transfer", "/state"} <= {
        route["path"] for route in routes
    }
    for route in routes:
        if "{" in route["path"]:
            continue
        await control.ask(route["method"], route["path"], route["example"] if route["method"] == "POST" else None)


async def test_a_price_reaches_the_client(control: Control, client: Any) -> None:
    assert await control.ask("POST", "/price", {"asset": "BTC", "price": 70000}) == {"asset": "BTC", "price": "70000"}
    assert (await client.fetch_mark_price(LINEAR))["markPrice"] == 70_000
    assert (await control.state())["prices"]["BTC"] == "70000"


async def test_money_moves(control: Control, client: Any) -> None:
    await control.ask("POST", "/deposit", {"asset": "BTC", "amount": "2"})
    await control.ask("POST", "/withdraw", {"asset": "BTC", "amount": "0.5"})
    await control.ask("POST", "/spot-trade", {"side": "sell", "asset": "BTC", "amount": "1"})
    await control.ask("POST", "/transfer", {"asset": "USDT", "amount": "100", "source": "usdm", "target": "spot"})
    state = await control.state()
    assert state["balances"]["spot"]["BTC"] == "5.5"
    assert state["balances"]["usdm"]["USDT"] == "99900"
    assert state["other_orders"][0]["origin"] == "foreign"
    assert (await client.fetch_balance({"type": "spot"}))["BTC"]["total"] == 5.5


async def test_funding_is_set_and_settled(control: Control, client: Any) -> None:
    await client.create_order(LINEAR, "market", "sell", 0.5)
    await control.ask("POST", "/funding", {"symbol": "BTCUSDT", "rate": "0.001"})
    (paid,) = await client.fetch_funding_history(LINEAR)
    assert paid["amount"] == pytest.approx(32.5)
    state = await control.state()
    assert state["positions"] == {"BTCUSDT": "-0.5"}
    assert state["contracts"]["BTCUSDT"]["funding_rate"] == "0.001"
    assert [order["status"] for order in state["orders"]] == ["filled"]


@pytest.mark.parametrize("kind", ["keyframes", "rally_and_sell_off", "random_walk", "candles"])
async def test_prices_are_played(control: Control, venue: Venue, tmp_path: Path, kind: str) -> None:
    body: dict[str, Any] = {"asset": "BTC", "seconds": 0.2, "path": kind}
    if kind == "keyframes":
        body = body | {"keyframes": [[0, "65000"], [1, "68000"]], "path": None}
    if kind == "candles":
        file = tmp_path / "candles.csv"
        file.write_text("open_ms,open,high,low,close\n0,65000,65500,64000,65200\n60000,65200,66000,65000,68000\n")
        body = body | {"path": str(file)}
    await control.ask("POST", "/prices/play", body)
    while (state := await control.state())["playing"]:
        await venue.server.clock.sleep(0.02)
    if kind in ("keyframes", "candles"):
        assert state["prices"]["BTC"] == "68000"
    else:
        assert state["prices"]["BTC"] != "65000"


async def test_a_newer_path_replaces_the_one_that_plays(control: Control) -> None:
    long = {"asset": "BTC", "seconds": 1000, "keyframes": [[0, "65000"], [1, "90000"]]}
    await control.ask("POST", "/prices/play", long)
    await control.ask("POST", "/prices/play", long)
    assert (await control.ask("POST", "/prices/stop"))["stopped"] is True
    assert (await control.ask("POST", "/prices/stop"))["stopped"] is False


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/price", {"asset": "BTC"}, 400, "price: Field required"),
        ("/price", {"asset": "BTC", "price": "-1"}, 400, "greater than 0"),
        ("/price", {"asset": "BTC", "prize": "1", "price": "1"}, 400, "prize"),
        ("/price", {"asset": "NOPE", "price": "1"}, 400, "NOPE"),
        ("/withdraw", {"asset": "BTC", "amount": "99"}, 409, ""),
        ("/funding", {"symbol": "NOPE", "rate": "0"}, 400, "NOPE"),
        ("/prices/play", {"asset": "BTC"}, 400, "path or keyframes"),
        ("/prices/play", {"asset": "BTC", "path": "/nowhere.csv"}, 400, "nowhere"),
        ("/prices/play", {"asset": "BTC", "keyframes": [[1, "1"], [0, "2"]]}, 400, "keyframes"),
        ("/nothing", {}, 404, "GET / lists"),
    ],
)
async def test_refusals_say_what_was_wrong(
    control: Control, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = await control.ask("POST", path, body, status)
    assert words in answer["error"]["message"]


async def test_a_body_that_is_not_json(control: Control) -> None:
    async with control.session.post("/price", data="price=1") as answer:
        assert answer.status == 400
        assert "not JSON" in (await answer.json())["error"]["message"]
