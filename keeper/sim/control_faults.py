"""The control API's hand on the fault menu."""

from __future__ import annotations

from aiohttp import web

from keeper.sim.control_bodies import Fault
from keeper.sim.control_http import MalformedError, Route, read
from keeper.sim.exchange import Exchange
from keeper.sim.fault_armed import Armed
from keeper.sim.fault_kinds import STREAM_FAULTS, FaultKind, Parameter, Trigger
from keeper.sim.faults import FaultMenu
from keeper.sim.types import MarketKey
from keeper.sim.wire.text import Json, plain


class FaultDesk:
    """Arms, shows and heals."""

    def __init__(self, exchange: Exchange, menu: FaultMenu) -> None:
        self._exchange = exchange
        self._menu = menu

    def routes(self) -> tuple[Route, ...]:
        """The routes under ``/faults``."""
        kinds = ", ".join(kind.value for kind in FaultKind)
        return (
            Route(
                "POST",
                "/faults",
                self._arm,
                "let a fault strike: the next 'count' times after 'skip', with a 'probability' (\"1/20\"), or by a "
                "'schedule' (at_ms, after_seconds, at_event); 'symbol' and 'product' keep it to one market. "
                f"GET /faults lists the parameters. Kinds: {kinds}",
                {"kind": "reply_lost_after", "count": 1},
            ),
            Route("GET", "/faults", self._show, "the menu with its parameters, what is armed, what has struck", {}),
            Route("DELETE", "/faults", self._heal, "all faults off, and what they have left behind undone", {}),
            Route("DELETE", "/faults/{id}", self._disarm, "one fault off; what it has caused runs its course", {}),
        )

    async def _arm(self, request: web.Request) -> Json:
        asked = await read(request, Fault)
        if asked.kind is FaultKind.HOST_CLOCK_STEP and self._menu.on_host_step is None:
            raise MalformedError("kind: the host's clock is not the exchange's to step; venue_clock_step is")
        try:
            number = self._menu.arm(asked.kind, self._trigger(asked), **asked.parameters)
        except ValueError as error:
            raise MalformedError(str(error)) from error
        self._exchange.intercept(self._menu)
        return {"id": number, "kind": asked.kind.value}

    def _trigger(self, asked: Fault) -> Trigger:
        market: MarketKey | None = None
        if asked.symbol is not None:
            market = self._exchange.market(MarketKey(asked.product, asked.symbol)).key
        schedule = asked.schedule
        at_ms: list[int] = []
        at_event: list[int] = []
        if schedule is not None:
            now_ms = self._exchange.clock.now_ms()
            at_ms = [*(schedule.at_ms or ()), *(now_ms + round(each * 1000) for each in schedule.after_seconds or ())]
            at_event = schedule.at_event or []
            if not at_ms and not at_event:
                raise ValueError("schedule: give at_ms, after_seconds or at_event")
        once = asked.probability is None and schedule is None
        return Trigger(
            times=asked.count or (1 if once else None),
            skip=asked.skip,
            probability=asked.probability,
            at_ms=tuple(sorted(at_ms)),
            at_event=tuple(sorted(at_event)),
            market=market,
        )

    async def _show(self, _request: web.Request) -> Json:
        return {
            "menu": [
                {
                    "kind": kind.value,
                    "opportunity": kind.site.value,
                    "streams_only": kind in STREAM_FAULTS,
                    "parameters": {name: _shown(value) for name, value in kind.parameters.items()},
                }
                for kind in FaultKind
            ],
            "armed": [_armed(each) for each in self._menu.armed()],
            "fired": {kind.value: self._menu.fired[kind] for kind in FaultKind if self._menu.fired[kind]},
        }

    async def _heal(self, _request: web.Request) -> Json:
        self._menu.heal()
        return {"healed": True}

    async def _disarm(self, request: web.Request) -> Json:
        text = request.match_info["id"]
        if not text.isdecimal() or not self._menu.disarm(int(text)):
            raise MalformedError(f"id: there is no fault {text!r}; GET /faults lists those that are armed")
        return {"id": int(text), "armed": False}


def _armed(each: Armed) -> Json:
    trigger = each.trigger
    return {
        "id": each.id,
        "kind": each.kind.value,
        "parameters": {name: _shown(value) for name, value in each.parameters.items()},
        "times": trigger.times,
        "skip": trigger.skip,
        "probability": None if trigger.probability is None else str(trigger.probability),
        "at_ms": list(trigger.at_ms),
        "at_event": list(trigger.at_event),
        "market": None if trigger.market is None else trigger.market.symbol,
        "opportunities": each.opportunities,
        "strikes": each.strikes,
        "spent": each.spent,
    }


def _shown(value: Parameter) -> Json:
    return value if isinstance(value, bool | int | str) else plain(value)
