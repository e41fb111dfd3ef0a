"""``keeper sim``: serve the simulated exchange, and say how to use it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import shlex
import sys
from collections.abc import Iterator
from typing import Any

from keeper import logs
from keeper.clock import SystemClock
from keeper.demo.drift import wander
from keeper.demo.setting import KEY_VARIABLE, SECRET_VARIABLE, config_text, fund, further_markets, open_exchange
from keeper.demo.signals import until_told
from keeper.errors import ConfigError
from keeper.sim.control import ControlServer
from keeper.sim.server import SimServer

JOURNAL_URL = "sqlite:///keeper-sim.db"
POLL_SECONDS = 2.0


def sim(port: int | None, control_port: int | None, seed: int, speed: float, as_json: bool = False) -> None:
    """Serve the simulated exchange until SIGINT or SIGTERM.

    ``port`` and ``control_port``: None or 0 take a free one. ``speed`` is how much faster the market's time runs than
    the clock's; at 0 prices stand still until they are moved by hand. What is printed first is all that a keeper needs
    to trade here: as text to copy from, or as one JSON document with ``as_json``. Raises :class:`ConfigError` for a
    port that cannot be had.
    """
    if not math.isfinite(speed) or speed < 0:
        raise ConfigError(f"--speed {speed:g}: give a number of 0 or more; at 0 prices stand still")
    logs.configure("warning", secrets=credentials(seed))
    asyncio.run(_serve(port or 0, control_port or 0, seed, speed, as_json))


def credentials(seed: int) -> tuple[str, str]:
    """Key and secret of the simulated account: the same for the same seed, and of no use anywhere else."""
    digest = hashlib.sha256(f"keeper sim {seed}".encode()).hexdigest()
    return f"sim-key-{digest[:24]}", f"sim-secret-{digest[24:56]}"


async def _serve(port: int, control_port: int, seed: int, speed: float, as_json: bool) -> None:
    clock = SystemClock()
    key, secret = credentials(seed)
    exchange = open_exchange(clock, seed)
    fund(exchange, key, secret)
    server = SimServer(exchange, clock=clock, port=port)
    control = ControlServer(exchange, key, clock=clock, port=control_port)
    with until_told() as told:
        try:
            await _start(server, "--port")
            await _start(control, "--control-port")
            document = _document(server, control, key, secret)
            sys.stdout.write(json.dumps(document, indent=2) + "\n" if as_json else "\n".join(_text(document)) + "\n")
            sys.stdout.flush()
            await _until(told, asyncio.create_task(wander(exchange, clock, seed, speed)))
        finally:
            await control.stop()
            await server.stop()


async def _start(server: SimServer | ControlServer, flag: str) -> None:
    asked = server.port
    try:
        await server.start()
    except OSError as error:
        raise ConfigError(f"{flag} {asked}: cannot be served ({error.strerror}); name another, or 0") from error


async def _until(told: asyncio.Event, market: asyncio.Task[None]) -> None:
    """Let the market run until the end is told; a market that breaks ends it too."""
    waiting = asyncio.create_task(told.wait())
    try:
        done, _ = await asyncio.wait({waiting, market}, return_when=asyncio.FIRST_COMPLETED)
        if market in done:
            market.result()
            await waiting  # it stands still
    finally:
        for task in (waiting, market):
            task.cancel()
        await asyncio.gather(waiting, market, return_exceptions=True)


def _document(server: SimServer, control: ControlServer, key: str, secret: str) -> dict[str, Any]:
    return {
        "exchange_url": server.base_url,
        "control_url": control.base_url,
        "config": config_text(server.urls, JOURNAL_URL, POLL_SECONDS, comments=(*further_markets(server.exchange), "")),
        "environment": {KEY_VARIABLE: key, SECRET_VARIABLE: secret},
        "controls": [
            {"method": route.method, "path": route.path, "does": route.does, "example": dict(route.example)}
            for route in control.routes
        ],
    }


def _text(document: dict[str, Any]) -> Iterator[str]:
    """The configuration first; what follows it is for a shell."""
    yield f"# The simulated exchange listens on {document['exchange_url']}; Ctrl-C ends it, and forgets everything."
    yield "#"
    yield "# ---- 1. a configuration: copy it into keeper.toml ----"
    yield ""
    yield document["config"]
    yield "# ---- 2. the credentials: for the shell that starts keeper ----"
    yield ""
    for name, value in document["environment"].items():
        yield f"export {name}={shlex.quote(value)}"
    yield ""
    yield "# then: keeper check -c keeper.toml --connect; keeper plan -c keeper.toml; keeper run -c keeper.toml"
    yield "# after a new start of the exchange, start with a new journal too: rm keeper-sim.db*"
    yield ""
    yield "# ---- 3. controls: move the market and the money ----"
    yield ""
    for route in document["controls"]:
        yield f"# {route['does']}"
        body = f" -d {shlex.quote(json.dumps(route['example']))}" if route["method"] == "POST" else ""
        method = "" if route["method"] == "GET" else f" -X {route['method']}"
        yield f"curl -s{method} {document['control_url']}{route['path']}{body}"
