"""A webhook receiver on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.process.keepers import free_port

HOOK_TOKEN = "hook-token-0123456789"


class Receiver:
    """Keeps every alert that is posted to it; ``status`` is what it answers."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook?token={HOOK_TOKEN}"
        self.bodies: list[str] = []
        self.alerts: list[dict[str, Any]] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.bodies.append(await request.text())
            self.alerts.append(await request.json())
        return web.Response(status=self.status)

    def titles(self) -> set[str]:
        return {str(alert["title"]) for alert in self.alerts}


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    port = free_port()
    receiver = Receiver(port)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield receiver
    finally:
        await runner.cleanup()
