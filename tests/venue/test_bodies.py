"""Answers that do not end, or unpack to more than anybody can hold: read up to a bound, a gap, and nothing sent."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from keeper.cycle import turn
from keeper.venue import bodies
from keeper.venue.base import BadReadingError
from tests.venue.helpers import DRY_RUN, opened, venue_of
from tests.venue.tamper import Reply, as_it_is
from tests.venue.test_hostile import ORDERS, settle, staged

BOUND = 1 << 20
CHUNK = b"0," * (1 << 15)
CHUNKS = 4_000
"""Where the server gives up itself: 250 MB."""
BOMB = gzip.compress(b"[" + CHUNK * 500 + b"0]")
"""Thirty kilobytes that unpack to thirty megabytes."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound, so low that it costs no time; no answer of the simulated venues comes near it."""
    assert bodies.MOST_BYTES > 32 << 20, "the lists of markets of real venues are long"
    monkeypatch.setattr(bodies, "MOST_BYTES", BOUND)


class Endless:
    """A venue whose every answer goes on and on."""

    def __init__(self) -> None:
        self.sent = 0

    async def flood(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        for _ in range(CHUNKS):
            await answer.write(CHUNK)
            self.sent += len(CHUNK)
        return answer

    async def bomb(self, _request: web.Request) -> web.Response:
        return web.Response(body=BOMB, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


@asynccontextmanager
async def served(answer: str) -> AsyncIterator[tuple[Endless, str]]:
    made = Endless()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", getattr(made, answer))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield made, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("kind", ["flood", "bomb"])
async def test_an_endless_body_is_no_reading(kind: str) -> None:
    async with served(kind) as (endless, url):
        with pytest.raises(BadReadingError, match=r"longer than 1048576 bytes; not read to its end"):
            async with opened(venue_of("okx", {"urls": {"api": {"rest": url}}}, DRY_RUN)):
                pass
        assert endless.sent < 60 * BOUND, "what the sockets hold, and no more"


@pytest.mark.parametrize("path", ["/api/v3/account", "/positionRisk"])
async def test_an_endless_reading_holds_and_comes_right(path: str, tmp_path: Path) -> None:
    async with staged("binance", tmp_path) as stage:
        stage.tamper.twists = {path: as_it_is(b"[" + b" " * BOUND + b"]")}
        stage.move(0)
        record = await turn(stage.house.desk)
        assert "bad_reading" in {reason.code for reason in record.hedges[0].exposure.blockers}
        assert stage.short == 5
        stage.tamper.twists = {}
        await settle(stage.house.desk)
        assert stage.short == stage.coins


async def test_only_lists_of_markets_may_be_very_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bodies.MOST_BYTES_OF_A_READING <= 16 << 20, "brackets take many times their length in memory"
    monkeypatch.setattr(bodies, "MOST_BYTES_OF_A_READING", 4_000)
    async with staged("binance", tmp_path) as stage:  # its lists of markets are longer than that
        stage.tamper.twists = {"/api/v3/account": lambda body: Reply(body[:-1] + b" " * 4_000 + body[-1:])}
        record = await turn(stage.house.desk)
        assert "bad_reading" in {reason.code for reason in record.hedges[0].exposure.blockers}
        stage.tamper.twists = {}
        await settle(stage.house.desk)


async def test_an_order_whose_answer_does_not_end_is_sent_once(tmp_path: Path) -> None:
    async with staged("binance", tmp_path) as stage:
        path = ORDERS["binance"]
        stage.tamper.asked.clear()
        stage.tamper.twists = {path: as_it_is(b'{"code":-2010,"msg":"' + b"x" * BOUND + b'"}', status=400)}
        stage.move(0)
        await turn(stage.house.desk)
        stage.tamper.twists = {}
        await settle(stage.house.desk)
        assert stage.short == stage.coins
        assert [method for method, asked in stage.tamper.asked if asked == path].count("POST") == 1
