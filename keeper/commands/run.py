"""``keeper run``: the daemon, from the first check to the last line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from keeper.api.app import build_app
from keeper.api.server import serve
from keeper.api.token import ensure_token, token_path
from keeper.commands.loading import check_journal, load_for_venues
from keeper.config import Config
from keeper.config.traps import traps
from keeper.logs import hide
from keeper.service import describe, serving, stopped_by_signals
from keeper.wiring import open_house, refuse_unarmed

log = structlog.get_logger(__name__)


def run(config_path: Path, live: bool) -> None:
    """Run until SIGINT or SIGTERM. Raises :class:`~keeper.errors.KeeperError` for what is in the way at the start."""
    config = load_for_venues(config_path)
    refuse_unarmed(config, live=live)
    check_journal(config)
    asyncio.run(_run(config, live=live))


class _Ending:
    """What a signal ends: the start while there is no daemon yet, then the daemon after its turn."""

    def __init__(self) -> None:
        self._start: asyncio.Task[object] | None = asyncio.current_task()
        self._stop: Callable[[], None] | None = None
        self.of_the_start = False

    def begun(self, stop: Callable[[], None]) -> None:
        """From now on a signal calls ``stop``."""
        self._stop = stop

    def now(self) -> None:
        """End what there is."""
        if self._stop is not None:
            self._stop()
        elif self._start is not None:
            self.of_the_start = True
            self._start.cancel()


async def _run(config: Config, *, live: bool) -> None:
    log.info("starting", text=describe(config), config=str(config.path))
    for warning in (*config.warnings, *(f"{key}: {text}" for key, text in traps(config))):
        log.warning("config", text=warning)
    ending = _Ending()
    with stopped_by_signals(ending.now):
        try:
            await _keep(config, ending, live=live)
        except asyncio.CancelledError:
            if not ending.of_the_start:
                raise
            log.info("stopped", text="before the first turn; no order was sent")


async def _keep(config: Config, ending: _Ending, *, live: bool) -> None:
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(config, live=live))
        for finding in house.checked.findings:
            (log.info if finding.ok else log.warning)("check", subject=finding.subject, text=finding.text)
        running = await stack.enter_async_context(serving(house))
        token = ensure_token(token_path(config.token_file, config.journal_url, config.path.parent))
        hide(token)
        house.venues.hide(token)
        app = build_app(running.face, token)
        host, port = await stack.enter_async_context(serve(app, config.api.host, config.api.port))
        log.info("api", address=f"http://{host}:{port}/api/v1/state")
        ending.begun(running.daemon.stop)
        await running.daemon.run()
        log.info("stopped", text="the hedges stay open; keeper does not watch them until it is started again")
