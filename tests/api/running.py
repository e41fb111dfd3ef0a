"""A keeper's API with a daemon of paper behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from keeper.alerts.delivery import LaneCounters
from keeper.api.app import build_app
from keeper.api.operations import (
    Progress,
    UnknownHedgeError,
    VenueHealth,
    loop_health,
    rolling_json,
    state_document,
)
from keeper.api.server import serve
from keeper.api.wishes import answer_json
from keeper.core.model import HedgeMemory, InstrumentId, Roll
from keeper.core.roll_state import RollRefusedError
from keeper.core.steering import Wish, redirected
from tests.alerts.stories import ABOVE, HEDGE, START_MS, hedge_cycle, order, rebalance

TOKEN = "a-planted-token-of-the-api-0123456789"


class PaperDaemon:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.now_seconds = 100.0
        self.last_completed_seconds: float | None = 95.0
        self.told: list[str] = []
        self.bug: Exception | None = None
        self.names: tuple[str, ...] = ("btc", "eth")

    def state(self) -> dict[str, Any]:
        if self.bug is not None:
            raise self.bug
        cycle = hedge_cycle(
            "0.6", rebalance("3"), orders=[order("a1", "3")], reasons=[ABOVE], memory=HedgeMemory(paused=True)
        )
        progress = Progress("testnet", "0.1.0", 3, START_MS - 60_000, 12, START_MS, START_MS)
        alerts = {"log": LaneCounters(delivered=4)}
        venues = {"main": VenueHealth(True, "", START_MS), "other": VenueHealth(False, "no answer")}
        return state_document(progress, [cycle], alerts, venues)

    def health(self) -> tuple[bool, str]:
        return loop_health(self.now_seconds, self.last_completed_seconds, 25.0)

    async def pause(self, name: str) -> None:
        self._tell("pause", name)

    async def resume(self, name: str) -> None:
        self._tell("resume", name)

    async def flatten(self, name: str) -> None:
        self._tell("flatten", name)

    async def target(self, name: str, wish: Wish) -> dict[str, Any]:
        memory = redirected(HEDGE, HedgeMemory(filed=HEDGE.target, paused=True), wish, None, START_MS)
        self._tell(f"target {wish.verb.value} {wish.value} over {wish.pace.over_ms} in {wish.pace.steps}:", name)
        return answer_json(name, memory)

    async def roll(self, name: str, to: str | None, out_of: str | None) -> dict[str, Any]:
        if to == "nowhere":
            raise RollRefusedError("btc cannot be rolled to nowhere")
        self._tell(f"roll to {to} from {out_of}:", name)
        roll = Roll(HEDGE.instrument.id, InstrumentId("main", to or "cheapest"), START_MS)
        return rolling_json(name, HedgeMemory(paused=True, roll=roll))

    def wake(self) -> None:
        self.told.append("wake")

    def _tell(self, what: str, name: str) -> None:
        if name not in self.names:
            raise UnknownHedgeError(name, self.names)
        self.told.append(f"{what} {name}")


@asynccontextmanager
async def running(daemon: PaperDaemon) -> AsyncIterator[str]:
    """Serve ``daemon`` on a free loopback port; yields ``host:port``."""
    async with serve(build_app(daemon, TOKEN), "127.0.0.1", 0) as (host, port):
        yield f"{host}:{port}"
