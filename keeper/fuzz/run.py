"""One seed, from the draw to the verdict: a safety phase with faults on, then a liveness phase with them off."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

from keeper.core.model import CycleRecord, Hedge, HedgeCycle, HedgeMemory, Hold, InstrumentId, OutcomeState
from keeper.daemon import Daemon
from keeper.fuzz.carriers import VENUE
from keeper.fuzz.death import CrashError, Fate, Mortality, draw_fate
from keeper.fuzz.garbage import seldom_collected
from keeper.fuzz.history import History
from keeper.fuzz.invariants import Invariants
from keeper.fuzz.levers import Levers
from keeper.fuzz.line import Line, Network, Reader
from keeper.fuzz.model import Model, canonical
from keeper.fuzz.options import Options, Transport, draw
from keeper.fuzz.paper import Paper, PaperJournal
from keeper.fuzz.process import Inbox, Parts, Process, Progress
from keeper.fuzz.promises import Promises
from keeper.fuzz.quiet import quiet_logs
from keeper.fuzz.result import Result, Verdict, described, verdict_of
from keeper.fuzz.store import Store, open_store
from keeper.fuzz.told import Told
from keeper.fuzz.truth import GroundTruth, least_order
from keeper.fuzz.virtual import StalledError, Streams, VirtualClock, VirtualLoop
from keeper.fuzz.world import (
    API_KEY,
    LATE_EVERY_SECONDS,
    LATE_LOOKS,
    SECRET,
    World,
    arm,
    make_exchange,
    make_hedge,
    market_keys,
    whole_hedge,
)
from keeper.sim.faults import FaultKind, FaultMenu
from keeper.sim.local import LocalVenue
from keeper.sim.types import MarketKey
from keeper.venue.base import Trader

CYCLES = 500
LIVENESS_CYCLES = 400
LIVENESS_CYCLES_MAX = 2_000
LIVENESS_SECONDS = 3_600.0
"""Turns and virtual time, since the last order, within which everything has to be in its band once faults are over."""
CALM_TURNS = 3
FRUITLESS_MAX = 2
HOST_OFF_SECONDS = 120.0
OPERATOR_SECONDS = 30.0
STUCK_SECONDS, STUCK_POLLS = 3_600.0, 200
"""Without a turn for so long, the keeper is taken to be stuck: longer than any outage that the menu knows."""
LAST_NOTES = 60
CHANNEL_TOKEN = "channel-token-91be"  # noqa: S105  a second secret that must show nowhere
STEADY = ("within_band", "below_minimum", "nothing_to_protect")


def run_seed(seed: int, cycles: int = CYCLES, **given: Any) -> Result:
    """Run one seed to its verdict; ``given`` options are not drawn."""
    began = time.process_time()
    loop = VirtualLoop()
    simulation = Simulation(loop, draw(seed, **given), cycles)
    try:
        with quiet_logs(simulation.invariants.on_text), seldom_collected():
            asyncio.set_event_loop(loop)
            result = loop.run_until_complete(simulation.run())
            return dataclasses.replace(result, cpu_seconds=time.process_time() - began)
    finally:
        simulation.close()
        asyncio.set_event_loop(None)
        loop.close()


class Simulation:
    """Everything that one run needs."""

    def __init__(self, loop: VirtualLoop, options: Options, cycles: int) -> None:
        self._loop = loop
        self._options = options
        self._asked = cycles
        self._streams = Streams(options.seed)
        self._crashes = self._streams.of("crashes")
        self._operator = self._streams.of("operator")
        self._true_clock, self._host_clock = VirtualClock(loop), VirtualClock(loop)
        self.exchange = make_exchange(self._true_clock, options)
        self.menu = FaultMenu(self.exchange, options.seed)
        self.menu.on_host_step = self._step_host
        self.world = World(self.exchange, self.menu, options, self._streams)
        self.history = History(self._true_clock.now_ms)
        self.model = Model({market.key: market for market in self.exchange.markets()}, API_KEY)
        self._venue: tuple[Reader, Trader] = self._direct()
        self._let_go: Callable[[], None] = lambda: None
        self._keys: dict[InstrumentId, MarketKey] = {}
        self._store: Store = open_store(options.storage, self._streams.of("disk"))
        self.paper = Paper(options.journal, self._streams.of("journal"), self._host_clock, self.history)
        self.network = Network(self._true_clock, options, self._streams.of("network"))
        self.invariants = Invariants(self.model, API_KEY, loop.time, self._lag())
        self.invariants.canaries = (SECRET, CHANNEL_TOKEN)
        self.invariants.on_violation = self._end
        self.levers = Levers(self._streams.of("levers"), options.brake_chance, self._pulled)
        self.cycles = self.restarts = 0
        self._in_liveness = False
        self._liveness_turns = self._calm_turns = 0
        self._orders_before = 0
        self._moved_at = self._turned_at = 0.0
        self._moved_turn = 0
        self._told_at: dict[str, float] = {}
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._converged = False
        self._late_seen = self._fruitless = 0

    def _lag(self) -> float:
        """How old a reading can be: the eighth answer before this one is still given, and a slow line adds to it."""
        return 10 * self._options.poll_seconds + 2 * self._options.slow_seconds + 30.0

    def _direct(self) -> tuple[Reader, Trader]:
        venue = LocalVenue(VENUE, self.exchange, API_KEY, self._host_clock)
        return venue, venue

    def close(self) -> None:
        """Let go of files and clients."""
        self._let_go()
        self._store.close()

    # --- the phases -------------------------------------------------------------------------------------------------

    async def run(self) -> Result:
        """Both phases and the verdict."""
        self._loop.set_exception_handler(self._unretrieved)
        await self._open()
        ticker = self._loop.create_task(self._tick())
        try:
            while not self.invariants.violations and not self._converged:
                await self._one_process(ticker)
        except StalledError as error:
            self.invariants.violate("stalled", str(error), self._true_clock.now_ms())
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, *self.network.under_way(), return_exceptions=True)
        if not self.invariants.violations:
            await self._audit()
        return self._result()

    async def _open(self) -> None:
        self.exchange.subscribe(self.history.on_event)
        if self._options.transport is Transport.CLIENT:
            self._venue = await self._client()
        else:
            await self._venue[0].open()
        hedges = tuple(whole_hedge(each, self._venue[0]) for each in self._options.hedges)
        keys = self._keys = market_keys(self.exchange, hedges)
        self.invariants.ground = GroundTruth(self.exchange, API_KEY, hedges, keys, self.model)
        self.invariants.promises = self._promises()
        self.invariants.told = Told(self.menu, keys, self._offset_ms, self.exchange.door.server_time_ms)
        self.invariants.name(keys, {key: self.exchange.mark_price(key) for key in keys.values()})
        self.invariants.levers = self.levers
        self.invariants.unresolved = self._store.unresolved
        self.model.start(self.exchange.truth(API_KEY))
        self.history.listeners += [self.model.take, self.invariants.on_note]
        self.world.open_shorts(keys)
        drawn = arm(self.menu, self._streams, self._options)
        self.history.note("drawn", {kind.value: str(chance) for kind, chance in drawn.items()})
        self.exchange.intercept(self.menu)

    async def _client(self) -> tuple[Reader, Trader]:
        from keeper.fuzz.wired import open_client

        observer, trader, self._let_go = await open_client(
            self.exchange, self._true_clock, self._host_clock, self._sent_while_banned
        )
        return observer, trader

    def _sent_while_banned(self, text: str) -> None:
        self.invariants.violate("sent_while_banned", text, self._true_clock.now_ms())

    def _rebuild(self, memories: Mapping[str, HedgeMemory]) -> tuple[Hedge, ...]:
        found = ((each, memories.get(each.name, HedgeMemory())) for each in self._options.hedges)
        return tuple(make_hedge(each, self._venue[0], memory) for each, memory in found)

    async def _tick(self) -> None:
        seconds = self._options.poll_seconds * self._options.market.tick_polls
        while True:
            flow = self.world.tick()
            if flow is not None:
                self.history.note("owner", flow.what, flow.asset, flow.amount)
            if self._loop.time() - self._turned_at > STUCK_SECONDS + STUCK_POLLS * self._options.poll_seconds:
                self.invariants.violate("stalled", "no turn is completed any more", self._true_clock.now_ms())
                return
            await self._true_clock.sleep(seconds)

    async def _one_process(self, ticker: asyncio.Task[None]) -> None:
        """Start a keeper, and see it end."""
        options = self._options
        # Every third process in a row that got nowhere is let live: a keeper that never turns has nothing to show.
        spared = self._in_liveness or self._fruitless >= FRUITLESS_MAX
        fate = Fate() if spared else draw_fate(self._crashes, options.crash_turns, options.poll_seconds)
        before = self.cycles
        life = Mortality(fate)
        parts = Parts(
            options, self._host_clock, self._rebuild, self.history, self.invariants,
            Inbox(self.invariants, self.history, self._streams.of(f"inbox {self.restarts}"), CHANNEL_TOKEN),
            CHANNEL_TOKEN, self.levers,
        )  # fmt: skip
        line = Line(*self._venue, self.network, life, self.invariants, self.history)
        line.on_landed = self._landed
        journal = PaperJournal(self._store.journal, self.paper, life, self.invariants.on_intent)
        self._process = Process(parts, line, journal, life, Progress(parts, self._on_turn))
        self._task = self._loop.create_task(self._process.run())
        timer = None
        if fate.after_seconds is not None:
            timer = self._loop.call_later(fate.after_seconds, self._kill, life, self._task, "killed")
        cause = "stopped"
        try:
            await self._task
        except (CrashError, asyncio.CancelledError):
            cause = life.cause
        except Exception as error:  # noqa: BLE001 - whatever ends a keeper but its stop or a drawn death is a finding
            text = f"the process ended: {type(error).__name__}: {error}"
            self.invariants.violate("unforeseen", text, self._true_clock.now_ms())
        finally:
            if timer is not None:
                timer.cancel()
            life.die(cause)
        await self._bury(ticker)
        self.restarts += 1
        self._fruitless = 0 if self.cycles > before else self._fruitless + 1
        self.history.note("ended", cause, self._store.end(crashed=cause != "stopped"))

    def _kill(self, life: Mortality, task: asyncio.Task[None], cause: str) -> None:
        life.die(cause)
        task.cancel()

    async def _bury(self, ticker: asyncio.Task[None]) -> None:
        """End every task of a dead process."""
        spared = {asyncio.current_task(), ticker, *self.network.under_way()}
        while left := [task for task in asyncio.all_tasks() if task not in spared]:
            for task in left:
                task.cancel()
            await asyncio.wait(left)
            for task in left:
                if not task.cancelled():
                    task.exception()
            spared |= set(self.network.under_way())

    # --- after each turn --------------------------------------------------------------------------------------------

    def _on_turn(self, record: CycleRecord) -> None:
        self.cycles += 1
        self._turned_at = self._loop.time()
        if self._process is None or self._process.daemon is None:
            return
        if self._in_liveness:
            self._check_liveness(record, self._process.daemon)
        elif self.cycles >= self._asked:
            self._begin_liveness()
        else:
            self._operate(record, self._process.daemon)

    def _operate(self, record: CycleRecord, daemon: Daemon) -> None:
        """What an operator does now and then."""
        self.levers.turn()
        source, flows = self._operator, self._options.flows
        if source.random() < self._options.restart_chance:
            self.history.note("operator", "restart")
            daemon.stop()
            return
        if source.random() < flows.stray and self._options.transport is Transport.DIRECT:
            self._leave_order(daemon.desk.tag)
        for hedge in record.hedges:
            name, stuck = hedge.exposure.hedge.name, _waits_for_a_person(hedge)
            if stuck and source.random() < 0.05 and not self._is_there(name):
                self._tell("resume", daemon, name)
            elif not stuck and source.random() < flows.pause:
                self._tell(source.choice(("pause", "flatten")), daemon, name)

    def _is_there(self, name: str) -> bool:
        """Whether an order is in of which the keeper asks a person: who looks sees it, and lets the keeper find it."""
        asked = (intent for intent in self._store.unresolved() if intent.outcome.state is OutcomeState.UNKNOWN)
        taken_in = {canonical(order.client_order_id) for order in self.exchange.truth(API_KEY).accepted_orders}
        return any(intent.order.hedge == name and intent.client_id in taken_in for intent in asked)

    def _leave_order(self, tag: str) -> None:
        client_id = f"{tag}{self._operator.getrandbits(88):022x}"
        key = self._operator.choice(tuple(self._keys.values()))
        self.invariants.strays.add(client_id)
        self.history.note("left behind", client_id, self.world.leave_order(key, client_id))

    def _tell(self, what: str, daemon: Daemon, name: str) -> None:
        """One command, and not another to the same hedge at once: a command wakes the loop, and people take longer."""
        if self._loop.time() < self._told_at.get(name, -OPERATOR_SECONDS) + OPERATOR_SECONDS:
            return
        self._told_at[name] = self._loop.time()
        self.history.note("operator", what, name)
        doing = {"resume": daemon.resume, "pause": daemon.pause, "flatten": daemon.flatten}[what](name)
        self._loop.create_task(_told(doing))

    def _pulled(self, what: str) -> None:
        self.history.note("brake", what)

    def _begin_liveness(self) -> None:
        """Faults off: from here on everything has to come right by itself, but for what waits for a person."""
        self.history.note("calm")
        self._in_liveness = True
        self.world.settle_down(self._named())
        self.invariants.promises.calm(self._loop.time())
        self.paper.is_calm = self.network.is_calm = True
        self.levers.release()
        self._host_clock.step_ms = 0
        self._moved_at, self._moved_turn = self._loop.time(), 0
        if self._process is not None:
            self._process.life.spare()
            self._process.remind()

    def _named(self) -> tuple[MarketKey, ...]:
        """The contracts that the hedges name now: in others that they could be rolled to nothing is theirs."""
        daemon = None if self._process is None else self._process.daemon
        if self._options.rolls is None or daemon is None:
            return tuple(self._keys.values())
        return tuple(self._keys[each.id] for hedge in daemon.desk.hedges for each in hedge.instruments)

    def _promises(self) -> Promises:
        rolls = self._options.rolls
        return Promises(self.invariants.ground, is_quiet=rolls is not None and rolls.quiet)

    def _check_liveness(self, record: CycleRecord, daemon: Daemon) -> None:
        self._liveness_turns += 1
        for hedge in record.hedges:
            if _waits_for_a_person(hedge):
                self._tell("resume", daemon, hedge.exposure.hedge.name)
        if any(outcome.filled for hedge in record.hedges for outcome in hedge.outcomes):
            self._moved_at, self._moved_turn = self._loop.time(), self._liveness_turns
        self._calm_turns = self._calm_turns + 1 if self._is_settled(record) else 0
        if self._calm_turns >= CALM_TURNS:
            self._converged = True
            daemon.stop()
            return
        idle_turns = self._liveness_turns - self._moved_turn
        idle_seconds = self._loop.time() - self._moved_at
        stuck = idle_turns > LIVENESS_CYCLES and idle_seconds > LIVENESS_SECONDS
        if stuck or self._liveness_turns > LIVENESS_CYCLES_MAX:
            why = "; ".join(self._why(record))
            text = f"after {self._liveness_turns} turns without faults: {why}"
            self.invariants.violate("liveness", text, self._true_clock.now_ms())

    def _is_settled(self, record: CycleRecord) -> bool:
        """Whether every hedge is where it should be, in truth and in the keeper's eyes, with nothing open."""
        truth = self.exchange.truth(API_KEY)
        if any(order.is_open for order in truth.accepted_orders) or self._store.unresolved():
            return False
        return not any(self._why(record))

    def _why(self, record: CycleRecord) -> list[str]:
        """Where the hedges are not what they should be."""
        found = []
        for cycle in record.hedges:
            hedge = cycle.exposure.hedge
            name, decision = hedge.name, cycle.decision
            stand = self.invariants.ground.now(name, self._loop.time())
            own = self.invariants.ground.hedges[name].instruments
            least = max(least_order(instrument, mark) for instrument, mark in zip(own, stand.marks, strict=True))
            limit = max(hedge.band.act * max(stand.protected, stand.protected * 0), 2 * least)
            codes = [reason.code for reason in decision.reasons] if isinstance(decision, Hold) else [str(decision)]
            if cycle.memory.roll is not None:
                found.append(f"{name}: still rolling to {cycle.memory.roll.target}")
            if abs(stand.drift) > limit:
                found.append(f"{name}: drift {stand.drift} of {stand.protected}, {codes[:3]}")
            elif not isinstance(decision, Hold) or not all(code in STEADY for code in codes):
                found.append(f"{name}: {codes[:3]}")
        return found

    def _offset_ms(self) -> int:
        return self.exchange.door.server_time_ms() - self._host_clock.now_ms()

    # --- what happens beside ----------------------------------------------------------------------------------------

    def _step_host(self, step_ms: int) -> None:
        """The host's clock is off until something sets it right."""
        self._host_clock.step_ms += step_ms
        self._loop.call_later(HOST_OFF_SECONDS, self._set_host)

    def _set_host(self) -> None:
        self._host_clock.step_ms = 0

    def _landed(self) -> None:
        """An order has arrived; one that the menu has made late is looked for often, so that it is not later still."""
        fired = self.menu.fired[FaultKind.LATE_ORDER]
        if fired > self._late_seen:
            self._late_seen = fired
            for look in range(1, LATE_LOOKS + 1):
                self._loop.call_later(look * LATE_EVERY_SECONDS, self.exchange.advance)

    def _unretrieved(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, CrashError):
            return
        self.invariants.violate("unforeseen", f"{context.get('message')}: {error!r}", self._true_clock.now_ms())

    def _end(self) -> None:
        """A violation ends the run: the process is killed where it stands."""
        if self._process is not None and self._task is not None:
            self._loop.call_soon(self._kill, self._process.life, self._task, "violation")

    # --- the verdict ------------------------------------------------------------------------------------------------

    async def _audit(self) -> None:
        """After an orderly end: the journal's last word on every order, and a replay of the whole history."""
        now_ms = self._true_clock.now_ms()
        intents = await self._store.intents()
        fates = {each.client_id: (each.outcome.state.value, each.outcome.filled) for each in intents}
        for text in self.model.fates(fates, self.invariants.strays):
            self.invariants.violate("journal", text, now_ms)
        for intent in intents:
            if intent.outcome.state.is_open:
                self.invariants.violate(
                    "liveness", f"{intent.client_id} is {intent.outcome.state.value} to the end", now_ms
                )
        truth = self.exchange.truth(API_KEY)
        for text in self.model.replay(self.history.notes).disagreements(truth):
            self.invariants.violate("model", text, now_ms)

    def _result(self) -> Result:
        violations = self.invariants.violations
        first = violations[0] if violations else None
        fired = {kind.value: count for kind, count in self.menu.fired.items()} | dict(self.paper.fired)
        return Result(
            seed=self._options.seed,
            cycles_asked=self._asked,
            verdict=Verdict.PASSED if first is None else verdict_of(first.name),
            name="" if first is None else first.name,
            text="" if first is None else first.text,
            cycles=self.cycles,
            hours=self._loop.time() / 3600,
            orders=len(self.exchange.truth(API_KEY).accepted_orders),
            restarts=self.restarts - 1,
            checks=self.invariants.checked,
            fired=fired,
            digest=self.history.digest(),
            kinds=self._options.kinds,
            options=described(self._options),
            last=self.history.last(LAST_NOTES) if first is not None else (),
        )


def _waits_for_a_person(hedge: HedgeCycle) -> bool:
    """Whether an operator has to look: halted, paused, flattened, or an order of which nothing can be found out."""
    memory, decision = hedge.memory, hedge.decision
    unknown = isinstance(decision, Hold) and any(reason.code == "unresolved_order" for reason in decision.reasons)
    return memory.halted is not None or memory.paused or memory.flattened or unknown


async def _told(doing: Any) -> None:
    """An operator's command; a journal that fails tells them so, and a stopping keeper as well."""
    with contextlib.suppress(Exception):
        await doing


__all__ = ["CYCLES", "Simulation", "run_seed"]
