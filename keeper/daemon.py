"""The long-running process: one turn at a time, until it is told to stop.

A wake carries no data: it only ends the wait before the next turn. Stopping lets the turn in flight end, asks once more
after unknown orders, and leaves the hedges open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from keeper.clock import Clock
from keeper.core.hedge import COINS_CAME
from keeper.core.model import CycleRecord, HedgeCycle, HedgeMemory, OutcomeState
from keeper.core.roll_state import RollRefusedError, begun
from keeper.core.steering import TargetError, Wish, redirected, target_in_force, told_of
from keeper.core.targets import Target
from keeper.core.unshown import without_given_up
from keeper.core.working import WITHDRAWN
from keeper.cycle import Desk, ask_again, reseat_running, turn
from keeper.journal.base import Event, JournalError
from keeper.rollover import KIND as ROLL_KIND
from keeper.rollover import Ordered
from keeper.standing import take_back_all

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between turns, and how the loop judges itself.

    The loop is alive when a turn was completed within ``alive_turns`` polls (and at least ``alive_seconds``). After
    ``failures_allowed`` turns in a row that broke off on something unforeseen the process ends, rather than pretend.
    """

    poll_seconds: float = 5.0
    alive_turns: int = 5
    alive_seconds: float = 60.0
    failures_allowed: int = 20
    last_questions: int = 5


class Listener(Protocol):
    """Told of every turn, after it was written down; must not block and must not fail."""

    def on_turn(self, record: CycleRecord) -> None:
        """A turn has ended."""
        ...

    def on_failure(self, text: str) -> None:
        """A turn broke off; nothing was decided in it."""
        ...


class BetweenTurns(Protocol):
    """What is done besides the turns."""

    async def __call__(self, desk: Desk) -> None:
        """Before each turn; a journal that fails fails the turn."""
        ...

    async def afterwards(self, desk: Desk) -> None:
        """After each turn, whole or broken off: what a kill before the next one must not take along. Must not fail."""
        ...


@dataclass(frozen=True, slots=True)
class _Command:
    """An operator's change to one hedge's memory, applied between turns."""

    hedge: str
    change: Callable[[HedgeMemory], HedgeMemory]
    done: asyncio.Future[HedgeMemory]
    event: Callable[[HedgeMemory], Event] | None = None

    def finish(self, memory: HedgeMemory) -> None:
        """Tell whoever waits, if anybody still does."""
        if not self.done.done():
            self.done.set_result(memory)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that it was not written."""
        if not self.done.done():
            self.done.set_exception(error)


class Daemon:
    """Runs turns on a desk."""

    def __init__(
        self,
        desk: Desk,
        clock: Clock,
        rhythm: Rhythm,
        listeners: Sequence[Listener] = (),
        chores: BetweenTurns | None = None,
    ) -> None:
        self.desk = desk
        self.started_at_ms = clock.now_ms()
        self.last: CycleRecord | None = None
        self.turns = 0
        self._clock = clock
        self._rhythm = rhythm
        self._listeners = list(listeners)
        self._chores = chores
        self._wake = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self.last_completed: float | None = None
        self._commands: deque[_Command] = deque()

    # -- what others may ask of it ---------------------------------------------------------------------------------

    def wake(self) -> None:
        """End the wait before the next turn."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the turn in flight."""
        self._stopping = True
        self._wake.set()

    async def pause(self, hedge: str) -> None:
        """Hold one hedge; written down, and in force, when this returns (a turn in flight is waited for)."""
        await self._tell(hedge, lambda memory: replace(memory, paused=True))

    async def flatten(self, hedge: str) -> None:
        """Cover one hedge to zero, and keep it there; written down, and in force, when this returns."""
        await self._tell(hedge, lambda memory: replace(memory, flattened=True, paused=False))

    async def resume(self, hedge: str) -> None:
        """Let a paused or halted hedge trade again; written down when this returns.

        It says too that a person has looked at the account, which ends the wait for an order of which the venue knows
        nothing and beside which somebody else has moved the position. A fill of ours that the venue does not show yet
        is still waited for: nobody who resumes a hedge means to have it sent again. One over which it has halted is
        not.
        """
        await self._tell(
            hedge,
            lambda memory: replace(
                without_given_up(memory),
                paused=False,
                flattened=False,
                halted=None,
                established=False,
                ratio_cap=None,
            ),
        )
        self.desk.vouched.add(hedge)

    async def retarget(self, hedge: str, wish: Wish) -> HedgeMemory:
        """Set, move or give back a hedge's target; written down, and in force, when this returns.

        Raises :class:`TargetError` for a wish that cannot be taken; nothing has changed then.
        """

        was: list[Target] = []

        def change(memory: HedgeMemory) -> HedgeMemory:
            configured = next(each for each in self.desk.hedges if each.name == hedge)
            was.append(target_in_force(configured, memory, self.desk.now_ms()))
            last = () if self.last is None else self.last.hedges
            ground = next((each.exposure.ground for each in last if each.exposure.hedge.name == hedge), None)
            return redirected(configured, memory, wish, ground, self.desk.now_ms())

        def event(memory: HedgeMemory) -> Event:
            return Event("target", hedge, self._clock.now_ms(), told_of(wish, was[-1], memory))

        return await self._tell(hedge, change, event)

    async def roll(self, hedge: str, ordered: Ordered) -> HedgeMemory:
        """Begin a roll that an operator ordered; written down, and in force, when this returns.

        Raises :class:`RollRefusedError` where it cannot be begun; nothing has changed then.
        """

        def change(memory: HedgeMemory) -> HedgeMemory:
            found = next(each for each in self.desk.hedges if each.name == hedge)
            return begun(found, memory, ordered.target, self._clock.now_ms(), ordered.source)

        def event(_: HedgeMemory) -> Event:
            return Event(ROLL_KIND, hedge, self._clock.now_ms(), ordered.detail)

        return await self._tell(hedge, change, event)

    @property
    def alive_within_seconds(self) -> float:
        """How long ago the last turn may have been completed for the loop to count as alive."""
        return max(self._rhythm.alive_turns * self._rhythm.poll_seconds, self._rhythm.alive_seconds)

    async def _tell(
        self,
        hedge: str,
        change: Callable[[HedgeMemory], HedgeMemory],
        event: Callable[[HedgeMemory], Event] | None = None,
    ) -> HedgeMemory:
        done: asyncio.Future[HedgeMemory] = asyncio.get_running_loop().create_future()
        self._commands.append(_Command(hedge, change, done, event))
        self.wake()
        return await done

    # -- the loop --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Turn after turn until :meth:`stop`."""
        while not self._stopping:
            again = await self._one_turn()
            if not self._stopping and not again:
                await self._pause_between()
        for command in self._commands:
            command.fail(RuntimeError("the keeper is stopping"))
        for text in await take_back_all(self.desk):
            log.info("resting_order_taken_back", text=text)
        await self._last_questions()

    async def _one_turn(self) -> bool:
        """One turn; whether the next should follow at once, because something was traded in this one."""
        self._wake.clear()
        record = await self._attempt()
        if self._chores is not None:
            await self._chores.afterwards(self.desk)
        if record is None:
            return False
        self._failures = 0
        self.turns += 1
        self.last = record
        self.last_completed = self._clock.monotonic()
        for listener in self._listeners:
            listener.on_turn(record)
        traded = (OutcomeState.FILLED, OutcomeState.PARTIAL)
        return (
            any(outcome.state in traded for hedge in record.hedges for outcome in hedge.outcomes)
            or any(_waits_for_a_look(hedge) for hedge in record.hedges)
            or any(
                reason.code == WITHDRAWN and not outcome.state.is_open
                for hedge in record.hedges
                for outcome in hedge.outcomes
                for reason in hedge.reasons
            )
        )

    async def _attempt(self) -> CycleRecord | None:
        """What is due, then a turn; None where it broke off. Raises what nobody foresaw, after too many in a row."""
        try:
            await self._obey()
            if self._chores is not None:
                await self._chores(self.desk)
            return await turn(self.desk)
        except JournalError as error:
            self._failed(f"the journal failed: {error}")
        except Exception as error:
            log.exception("turn_broke_off")
            self._failed(f"{type(error).__name__}: {error}")
            if self._failures >= self._rhythm.failures_allowed:
                raise
        return None

    def _failed(self, text: str) -> None:
        self._failures += 1
        log.error("turn_failed", text=text, in_a_row=self._failures)
        for listener in self._listeners:
            listener.on_failure(text)

    async def _obey(self) -> None:
        """Apply what the operator asked for since the last turn, and write it down."""
        while self._commands:
            command = self._commands.popleft()
            try:
                memory = command.change(self.desk.memories.get(command.hedge, HedgeMemory()))
                await self.desk.journal.memory(command.hedge, memory)
                if command.event is not None:
                    await self.desk.journal.event(command.event(memory))
            except (TargetError, RollRefusedError) as error:
                command.fail(error)
                continue
            except JournalError as error:
                command.fail(error)
                raise
            rolled = memory.roll != self.desk.memories.get(command.hedge, HedgeMemory()).roll
            self.desk.memories[command.hedge] = memory
            if rolled:
                reseat_running(self.desk)
            command.finish(memory)
            log.info(
                "operator",
                hedge=command.hedge,
                paused=memory.paused,
                flattened=memory.flattened,
                halted=memory.halted,
                target=None if memory.course is None else str(memory.course.goal),
                roll=None if memory.roll is None else str(memory.roll.target),
            )

    async def _pause_between(self) -> None:
        """Wait for the next poll, or for a wake."""
        wake = asyncio.ensure_future(self._wake.wait())
        poll = asyncio.ensure_future(self._clock.sleep(self._rhythm.poll_seconds))
        try:
            await asyncio.wait({wake, poll}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (wake, poll):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _last_questions(self) -> None:
        """Before the journal closes, ask a few times more after orders whose outcome is unknown; send nothing new."""
        for _ in range(self._rhythm.last_questions):
            if not self.desk.unresolved:
                return
            await self._clock.sleep(min(1.0, self._rhythm.poll_seconds))
            try:
                await ask_again(self.desk)
            except JournalError as error:
                log.warning("last_question_failed", text=f"the journal failed: {error}")
        if self.desk.unresolved:
            names = ", ".join(str(intent.order.instrument) for intent in self.desk.unresolved.values())
            log.warning("stopped_with_unknown_orders", instruments=names, text="the next start resolves them first")


def _waits_for_a_look(hedge: HedgeCycle) -> bool:
    """A roll that is held up only until coins are seen twice: each cover books its own profit into the wallet, and a
    poll's wait over every slice could last beyond the expiry.
    """
    return hedge.memory.roll is not None and any(reason.code == COINS_CAME for reason in hedge.exposure.sell_blockers)
