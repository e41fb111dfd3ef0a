"""The API over a real socket: what it says, and whom it turns away."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from keeper.api.app import build_app
from keeper.api.client import ask, hedge_path
from keeper.api.operations import Progress, loop_health, state_document
from keeper.api.server import serve
from keeper.core.model import Base, Contracts, InstrumentId, Outcome, OutcomeState, PlannedOrder, Quote, Side
from keeper.errors import ConfigError, KeeperError, UnsafeError
from keeper.report import plan_document
from tests.alerts.stories import START_MS, hedge_cycle
from tests.api.running import TOKEN, PaperDaemon, running


@pytest.fixture
def daemon() -> PaperDaemon:
    return PaperDaemon()


@pytest_asyncio.fixture(loop_scope="function")
async def where(daemon: PaperDaemon) -> AsyncIterator[str]:
    async with running(daemon) as address:
        yield address


async def call(
    where: str, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
) -> tuple[int, dict[str, Any]]:
    """One request with the token, unless ``headers`` says otherwise."""
    given = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{where}{path}", headers=given, **more) as answer,
    ):
        assert answer.content_type == "application/json"
        assert "access-control-allow-origin" not in answer.headers
        document = await answer.json()
        assert TOKEN not in repr(document)
        return answer.status, document


async def test_the_state_is_the_plan_with_the_run_around_it(where: str, daemon: PaperDaemon) -> None:
    status, state = await call(where, "GET", "/api/v1/state")
    assert status == 200
    assert state == daemon.state()
    assert state["mode"] == "testnet"
    assert state["taken_at"] == "2026-11-20T08:00:00Z"
    assert (state["version"], state["run"], state["cycles"]) == ("0.1.0", 3, 12)
    assert state["started_at"] == "2026-11-20T07:59:00Z"
    hedge = state["hedges"][0]
    assert hedge["orders"][0]["side"] == "sell"
    assert (hedge["paused"], hedge["halted"], hedge["established"]) == (True, None, False)
    assert state["alerts"]["log"]["delivered"] == 4
    assert state["venues"]["other"] == {"ok": False, "text": "no answer", "last_read_at": None}


def test_a_hedge_of_the_state_is_the_object_of_the_plan_and_some_keys_more() -> None:
    cycle = hedge_cycle("0.1")
    progress = Progress("live", "0.1.0", 1, START_MS, 0, None, None)
    hedge = state_document(progress, [cycle], {}, {})["hedges"][0]
    steering = ("roll", "target_set_by", "configured_target", "transition")
    assert {key: hedge.pop(key) for key in ("paused", "flattened", "halted", "established", "execution", *steering)}
    assert hedge == plan_document("live", START_MS, [cycle])["hedges"][0]


async def test_health_says_whether_the_decision_loop_completed_lately(where: str, daemon: PaperDaemon) -> None:
    assert await call(where, "GET", "/api/v1/health") == (
        200,
        {"ok": True, "text": "the last decision cycle completed 5 s ago (allowed: 25 s)"},
    )
    daemon.now_seconds = 200.0
    status, document = await call(where, "GET", "/api/v1/health")
    assert (status, document["ok"]) == (503, False)
    assert "105 s ago" in document["text"]
    daemon.last_completed_seconds = None
    assert (await call(where, "GET", "/api/v1/health"))[0] == 503


def test_a_loop_is_alive_up_to_the_limit_and_not_beyond() -> None:
    assert loop_health(125.0, 100.0, 25.0)[0]
    assert not loop_health(125.1, 100.0, 25.0)[0]


async def test_an_operator_pauses_resumes_flattens_and_wakes(where: str, daemon: PaperDaemon) -> None:
    assert await call(where, "POST", "/api/v1/hedges/btc/pause") == (200, {"hedge": "btc", "paused": True})
    assert await call(where, "POST", "/api/v1/hedges/btc/resume") == (200, {"hedge": "btc", "paused": False})
    assert await call(where, "POST", "/api/v1/hedges/eth/flatten") == (200, {"hedge": "eth", "flattened": True})
    assert await call(where, "POST", "/api/v1/wake", data=b"{}") == (200, {"woken": True})
    assert daemon.told == ["pause btc", "resume btc", "flatten eth", "wake"]


async def test_an_operator_sets_moves_and_gives_back_a_target(where: str, daemon: PaperDaemon) -> None:
    status, document = await call(where, "POST", "/api/v1/hedges/btc/target?ratio=0.3&over=6h&steps=4")
    assert status == 200
    assert document == {
        "hedge": "btc",
        "target": {"kind": "ratio", "value": "0.3"},
        "target_set_by": "operator",
        "configured_target": {"kind": "ratio", "value": "0.6"},
        "transition": {
            "from": {"kind": "ratio", "value": "0.6"},
            "to": {"kind": "ratio", "value": "0.3"},
            "now": {"kind": "ratio", "value": "0.6"},
            "done": "0",
            "steps": 4,
            "began_at": "2026-11-20T08:00:00Z",
            "ends_at": "2026-11-20T14:00:00Z",
        },
        "paused": True,
        "flattened": False,
        "halted": None,
    }
    _, jumped = await call(where, "POST", "/api/v1/hedges/btc/target?add=-0.1")
    assert (jumped["target"]["value"], jumped["transition"]) == ("0.5", None)
    _, back = await call(where, "POST", "/api/v1/hedges/btc/target?configured=true")
    assert (back["target"], back["target_set_by"]) == ({"kind": "ratio", "value": "0.6"}, "configuration")
    assert daemon.told == [
        "target set 0.3 over 21600000 in 4: btc",
        "target add -0.1 over 0 in None: btc",
        "target config 0 over 0 in None: btc",
    ]


async def test_an_operator_orders_a_roll(where: str, daemon: PaperDaemon) -> None:
    status, document = await call(where, "POST", "/api/v1/hedges/btc/roll?to=main%3ABTC/USDT%3AUSDT-270326")
    assert status == 200
    assert document["roll"]["since"] == "2026-11-20T08:00:00Z"
    assert (document["hedge"], document["paused"], document["halted"]) == ("btc", True, None)
    await call(where, "POST", "/api/v1/hedges/eth/roll?from=x")
    assert daemon.told == ["roll to main:BTC/USDT:USDT-270326 from None: btc", "roll to None from x: eth"]
    for query in ("?to=nowhere", "?to=a&to=b", "?too=a"):
        status, document = await call(where, "POST", f"/api/v1/hedges/btc/roll{query}")
        assert (status, document["error"]["code"]) == (400, "bad_roll")
    assert (await call(where, "POST", "/api/v1/hedges/bct/roll"))[0] == 404


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "needs exactly one of ratio"),
        ("?ratio=0.3&quantity=1", "has ratio and quantity"),
        ("?ratio=0.3&ratio=0.4", "asked for twice"),
        ("?ratio=x", "ratio is 'x'"),
        ("?ratio=NaN", "not a finite number"),
        ("?ratio=2", "outside of min_ratio 0 and max_ratio 1"),
        ("?ratio=0.3&over=soon", "over is 'soon'"),
        ("?ratio=0.3&steps=4", "steps needs a time"),
        ("?ratio=0.3&over=1h&steps=0", "must be at least 1"),
        ("?ration=0.3", "did you mean"),
        ("?quantity=1&over=1h", "leave out --over"),
    ],
)
async def test_a_target_that_cannot_be_taken_is_refused_and_changes_nothing(
    where: str, daemon: PaperDaemon, query: str, text: str
) -> None:
    status, document = await call(where, "POST", f"/api/v1/hedges/btc/target{query}")
    assert status == 400
    assert document["error"]["code"] == "bad_target"
    assert text in document["error"]["text"]
    assert daemon.told == []


async def test_an_unknown_hedge_is_told_with_the_names_near_it(where: str) -> None:
    status, document = await call(where, "POST", "/api/v1/hedges/btx/pause")
    assert status == 404
    assert document["error"]["code"] == "unknown_hedge"
    assert document["error"]["near"] == ["btc"]
    assert document["error"]["text"] == "no hedge is named 'btx' (did you mean \"btc\"?); it knows: btc, eth"
    _, far = await call(where, "POST", "/api/v1/hedges/zzzz/pause")
    assert "no hedge is named 'zzzz'; it knows: btc, eth" in far["error"]["text"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ],
)
async def test_without_the_token_nothing_is_said_and_nothing_done(
    where: str, daemon: PaperDaemon, headers: dict[str, str]
) -> None:
    for method, path in (("GET", "/api/v1/state"), ("POST", "/api/v1/wake"), ("GET", "/nowhere")):
        status, document = await call(where, method, path, headers)
        assert status == 401
        assert document["error"]["code"] == "unauthorized"
    assert daemon.told == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "127.0.0.1:x", "[::1", ""]
)
async def test_a_page_that_points_its_own_name_at_loopback_is_turned_away(where: str, host: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": host}
    status, document = await call(where, "GET", "/api/v1/state", headers)
    assert (status, document["error"]["code"]) == (403, "foreign_host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8787", "[::1]"])
async def test_the_names_of_this_machine_are_let_in(where: str, host: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": host}
    assert (await call(where, "GET", "/api/v1/health", headers))[0] == 200


async def test_there_are_no_docs_pages_and_errors_are_json(where: str) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/", "/api/v1/state/"):
        assert (await call(where, "GET", path))[0] == 404
    status, document = await call(where, "POST", "/api/v1/state")
    assert (status, document["error"]["code"]) == (405, "method_not_allowed")


async def test_a_large_request_is_refused(where: str, daemon: PaperDaemon) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"x"

    assert (await call(where, "POST", "/api/v1/wake", data=b"x" * 5000))[0] == 413
    assert (await call(where, "POST", "/api/v1/wake", data=endless()))[0] == 411
    assert (await call(where, "GET", f"/api/v1/state?q={'x' * 3000}"))[0] == 414
    assert daemon.told == []


async def test_headers_without_end_are_cut_off(where: str) -> None:
    async with asyncio.timeout(5):
        host, _, port = where.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/state HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
        answer = await reader.read(64)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400")


async def test_connections_that_only_stand_do_not_keep_the_operator_out(
    daemon: PaperDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keeper.api.server._REQUEST_SECONDS", 0.5)
    async with running(daemon) as where:
        port = int(where.rpartition(":")[2])
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        for _, half in idle[:20]:
            half.write(b"POST /api/v1/hedges/btc/pause HTTP/1.1\r\nHost: localhost\r\n")
        assert await status_of(where) == 503
        async with asyncio.timeout(10):
            await asyncio.gather(*(reader.read() for reader, _ in idle))
        assert await status_of(where) == 200
        for _, half in idle:
            half.close()


async def status_of(where: str) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{where}/api/v1/health", headers=headers) as answer,
    ):
        return answer.status


async def test_a_bug_behind_the_api_is_logged_by_type_and_not_told(where: str, daemon: PaperDaemon) -> None:
    daemon.bug = RuntimeError("wrong key: planted-api-secret")
    with capture_logs() as logs:
        status, document = await call(where, "GET", "/api/v1/state")
    assert status == 500
    assert logs == [
        {"event": "api_request_failed", "path": "/api/v1/state", "error": "RuntimeError", "log_level": "error"}
    ]
    assert "planted-api-secret" not in repr(document)
    assert (await call(where, "GET", "/api/v1/health"))[0] == 200


async def test_a_port_in_use_is_told_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(KeeperError, match=rf"127\.0\.0\.1:{port} is in use already.*\[api\] bind"):
            async with serve(build_app(PaperDaemon(), TOKEN), "127.0.0.1", port):
                pass


async def test_nothing_but_loopback_is_bound() -> None:
    with pytest.raises(UnsafeError):
        async with serve(build_app(PaperDaemon(), TOKEN), "0.0.0.0", 0):  # noqa: S104 - which is what is refused
            pass


async def test_the_server_leaves_signals_alone_and_stops_with_its_block() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with running(PaperDaemon()) as where:
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        await call(where, "GET", "/api/v1/health")
    with pytest.raises(KeeperError, match="no keeper is listening"):
        await ask(where, TOKEN, "GET", "/api/v1/state")


async def test_an_error_in_the_block_comes_through_and_the_port_is_free_again() -> None:
    with pytest.raises(LookupError):
        async with running(PaperDaemon()) as where:
            raise LookupError
    async with serve(build_app(PaperDaemon(), TOKEN), "127.0.0.1", int(where.rpartition(":")[2])):
        pass


async def test_the_client_asks_and_understands_each_answer(where: str, daemon: PaperDaemon) -> None:
    assert (await ask(where, TOKEN, "GET", "/api/v1/state"))["run"] == 3
    assert (await ask(where, TOKEN, "POST", hedge_path("eth", "pause")))["paused"] is True
    daemon.last_completed_seconds = None
    assert (await ask(where, TOKEN, "GET", "/api/v1/health"))["ok"] is False
    with pytest.raises(KeeperError, match='did you mean "eth"'):
        await ask(where, TOKEN, "POST", hedge_path("et", "resume"))
    for name in ("a/../eth", "", "..", "e" * 33, "eth\x1b[2J"):
        with pytest.raises(ConfigError, match="is not the name of a hedge"):
            hedge_path(name, "resume")
    with pytest.raises(KeeperError, match="refuses this token") as refusal:
        await ask(where, "not-the-token", "GET", "/api/v1/state")
    assert "not-the-token" not in str(refusal.value)
    assert daemon.told == ["pause eth"]


async def test_the_client_says_where_nobody_listens_and_how_to_start(unused_tcp_port: int) -> None:
    with pytest.raises(KeeperError) as missing:
        await ask(f"127.0.0.1:{unused_tcp_port}", TOKEN, "GET", "/api/v1/state")
    assert missing.value.exit_code == 1
    assert f"127.0.0.1:{unused_tcp_port}" in str(missing.value)
    assert "keeper run -c" in str(missing.value)


async def test_the_client_recognises_what_is_no_keeper() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    for behaviour, message in ((babble, "is not a keeper"), (hang_up, "broke off")):
        async with await asyncio.start_server(behaviour, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(KeeperError, match=message):
                await ask(f"127.0.0.1:{port}", TOKEN, "GET", "/api/v1/state")


async def test_the_token_is_sent_nowhere_but_to_loopback() -> None:
    with pytest.raises(UnsafeError):
        await ask("example.com:80", TOKEN, "GET", "/api/v1/state")


def test_the_state_tells_what_the_last_order_cost() -> None:
    """Sold at 64,993.5 where the mid was 65,000: a basis point paid."""
    order = PlannedOrder(
        "c0ffee", "btc", InstrumentId("main", "BTC/USDT:USDT"), Side.SELL, Contracts(Decimal(3)), Base(Decimal(3)),
        Quote(Decimal(195_000)),
        Decimal(64_935), reduce_only=False, arrival_mid=Decimal(65_000), expected_slippage=Decimal("0.00008"),
    )  # fmt: skip
    outcome = Outcome("c0ffee", OutcomeState.FILLED, Contracts(Decimal(3)), Decimal("64993.5"))
    progress = Progress("live", "0.1.0", 1, START_MS, 0, None, None)
    hedge = state_document(progress, [hedge_cycle("0.1")], {}, {}, {"btc": (order, outcome)})["hedges"][0]
    told = hedge["execution"]
    assert (told["style"], told["resting"]) == ("market", None)
    last = told["last_order"]
    assert (last["state"], last["filled"], last["average_price"]) == ("filled", "3", "64993.5")
    assert (last["slippage"], last["expected_slippage"]) == ("0.0001", "0.00008")
