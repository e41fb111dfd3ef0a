"""A keeper in a process of its own: start it, ask it, end it, and look at what it left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from keeper.api.client import ask
from keeper.api.token import read_token
from keeper.errors import KeeperError
from keeper.journal.reader import CycleRow, JournalReader, OrderRow, Summary
from keeper.venue.capabilities import capability_of
from tests.e2e.grounds import D, Ground, config_text, environment, hedge_toml
from tests.process.okx import okx
from tests.process.venues import CLOCK, Shaky, other, own

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0
"""How long a condition is waited for: far more than it takes, because the machine may be busy."""
LOOK_AGAIN_SECONDS = 0.02
ASK_AGAIN_SECONDS = 0.1
AT_ONCE = 4
"""Stories told at the same time: they mostly wait, but starting a process is work."""
FAULTS_OF_OURS = ("Traceback", "Unclosed", "never awaited", "never retrieved", "turn_broke_off", "submit_failed")

FAST = """
[safety]
visibility_seconds = 1
position_lag_seconds = 5
[log]
level = "debug"
format = "json"
"""
"""Short patience with a lost order; all that a keeper can log."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configure(
    ground: Ground, folder: Path, hedges: str | None = None, *, head: str = 'mode = "testnet"', tail: str = FAST
) -> Path:
    """Write a config for one venue, with an API port of its own; a story that needs another writes its own text."""
    text = config_text(ground, folder, hedges or hedge_toml(), head=head, tail=tail)
    text = text.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}")
    pace = "[loop]\nread_timeout_seconds = 2\norder_timeout_seconds = 1\n"
    return write_config(folder, text.replace("[loop]\n", pace))


def write_config(folder: Path, text: str) -> Path:
    path = folder / "keeper.toml"
    path.write_text(text)
    return path


class Keeper:
    """One config, and the process that runs it; it may be ended and started again on the same journal."""

    def __init__(self, config: Path, env: Mapping[str, str], *, state_home: Path | None = None) -> None:
        self.config = config
        self.folder = config.parent
        self.secrets = [value for name, value in env.items() if name.startswith("KEEPER_VENUES__")]
        home = str(state_home or self.folder / "state")
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": home,
            "XDG_STATE_HOME": home,
            "PYTHONPATH": str(ROOT),
            "PYTHONFAULTHANDLER": "1",
            **env,
        }
        self.process: asyncio.subprocess.Process | None = None
        self.answers: list[str] = []

    # -- the process

    async def start(self, *arguments: str, dies_at: str | None = None) -> None:
        """Run it; ``dies_at`` names a point of :mod:`tests.process.dying` at which it kills itself."""
        program = ("keeper",) if dies_at is None else ("tests.process.dying", dies_at)
        self.process = await self._spawn(*program, "run", "-c", str(self.config), *arguments)

    async def _spawn(self, *arguments: str, stdout: int | None = None) -> asyncio.subprocess.Process:
        with self.log_path.open("ab") as log, (self.folder / "out").open("ab") as out:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", *arguments,
                env=self.env, cwd=self.folder, stdin=asyncio.subprocess.DEVNULL,
                stdout=out if stdout is None else stdout, stderr=log,
            )  # fmt: skip

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Another keeper command with this config; its exit code and what it printed."""
        process = await self._spawn("keeper", *arguments, "-c", str(self.config), stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        self.answers.append(out.decode())
        return process.returncode or 0, out.decode()

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it has one."""
        assert self.process is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()

    async def kill(self) -> None:
        """As a power cut does it."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    # -- waiting

    async def until(
        self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS, *, alive: bool = True
    ) -> None:
        """Wait for something to come true; ends at once when the process has ended (unless it may)."""
        deadline = CLOCK.monotonic() + seconds
        while not condition():
            assert self.runs or not alive, f"the keeper ended while waiting for: {what}\n{self.tail()}"
            assert CLOCK.monotonic() < deadline, f"never came: {what}\n{await self.autopsy()}"
            await CLOCK.sleep(LOOK_AGAIN_SECONDS)

    async def until_state(
        self, condition: Callable[[dict[str, Any]], bool], what: str, seconds: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """Wait until the API answers with a state that fulfils the condition."""
        deadline = CLOCK.monotonic() + seconds
        while True:
            state = await self.state()
            if state is not None and condition(state):
                return state
            assert self.runs, f"the keeper ended while waiting for: {what}\n{self.tail()}"
            assert CLOCK.monotonic() < deadline, f"never came: {what}\n{state}\n{await self.autopsy()}"
            await CLOCK.sleep(ASK_AGAIN_SECONDS)

    async def until_reason(self, *codes: str) -> dict[str, Any]:
        """Wait until the state names one of these reasons."""
        return await self.until_state(lambda state: bool(reasons(state) & set(codes)), f"a reason among {codes}")

    async def turns(self, number: int) -> dict[str, Any]:
        """Let it complete so many turns more."""
        before = await self.until_state(lambda state: state["cycles"] > 0, "a first turn")
        wanted = before["cycles"] + number
        return await self.until_state(lambda state: state["cycles"] >= wanted, f"{number} turns")

    # -- what it shows

    @property
    def bind(self) -> str:
        return self.config.read_text().partition('bind = "')[2].partition('"')[0]

    async def api(self, method: str, path: str, token: str | None = None) -> dict[str, Any]:
        token = read_token(self.folder / "keeper.token") if token is None else token
        document = await ask(self.bind, token, method, path)
        self.answers.append(json.dumps(document))
        return document

    async def state(self) -> dict[str, Any] | None:
        """Where it stands; None while nobody answers."""
        try:
            return await self.api("GET", "/api/v1/state")
        except KeeperError:
            return None

    @property
    def log_path(self) -> Path:
        return self.folder / "log"

    def log(self) -> list[dict[str, Any]]:
        """Every line of its log: each is a JSON document, or something else has written there."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line.get("event") == name]

    def tail(self) -> str:
        return self.log_path.read_text()[-4000:] if self.log_path.exists() else "no log"

    async def autopsy(self) -> str:
        """What a keeper that does not do what it should is at: its last reasons, its log, and where it stands."""
        last = (await self.cycles())[-3:]
        said = [f"cycle {row.cycle} at {row.taken_at_ms}: {row.decision} {row.reasons}" for row in last]
        if self.runs:
            self.send(signal.SIGABRT)
            await self.ended()
        return "\n".join([f"now {CLOCK.now_ms()}", *said, self.tail()])

    # -- what it wrote down

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'keeper.db'}"

    async def orders(self) -> tuple[OrderRow, ...]:
        async with await JournalReader.open(self.url) as reader:
            return await reader.orders(10_000)

    async def cycles(self) -> tuple[CycleRow, ...]:
        async with await JournalReader.open(self.url) as reader:
            return await reader.cycles(10_000)

    async def summary(self) -> Summary:
        async with await JournalReader.open(self.url) as reader:
            return await reader.summary()

    def assert_no_secret(self, *more: str) -> None:
        """Keys, secrets and the API's token are nowhere: logs, output, journal, answers, or other files but its own."""
        secrets = [*self.secrets, *more]
        token = self.folder / "keeper.token"
        if token.exists():
            secrets.append(token.read_text().strip())
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in (token, self.config):
                content = path.read_bytes()
                found = [secret for secret in secrets if secret.encode() in content]
                assert not found, f"{path.name} holds {found}"
        assert not [secret for secret in secrets for answer in self.answers if secret in answer]

    def assert_no_fault(self) -> None:
        """Nothing in the log is a fault of keeper's own."""
        text = self.log_path.read_text()
        assert not [fault for fault in FAULTS_OF_OURS if fault in text], text[-6000:]


def reasons(state: Mapping[str, Any]) -> set[str]:
    """Codes of every reason that the state names."""
    return {reason["code"] for hedge in state["hedges"] for reason in hedge["reasons"]}


def holds(state: Mapping[str, Any]) -> bool:
    """Whether every hedge is where it should be, and rests."""
    return bool(state["hedges"]) and all(
        hedge["decision"] == "hold" and {reason["code"] for reason in hedge["reasons"]} == {"within_band"}
        for hedge in state["hedges"]
    )


@asynccontextmanager
async def keeping(
    config: Path, env: Mapping[str, str], *, start: bool = True, clean: bool = True
) -> AsyncIterator[Keeper]:
    """A keeper that is killed at the end if it still runs; its log is then judged (not where ``clean`` is off)."""
    keeper = Keeper(config, env)
    try:
        if start:
            await keeper.start()
        yield keeper
    finally:
        await keeper.kill()
    keeper.assert_no_secret()
    if clean:
        keeper.assert_no_fault()


async def hedged(keeper: Keeper, shaky: Shaky, contracts: str = "-5") -> dict[str, Any]:
    """Wait until the position is right in truth, and a turn that began after that says that it holds."""
    await keeper.until(lambda: shaky.contracts() == D(contracts), f"a position of {contracts}")
    before = (await keeper.until_state(lambda state: state["cycles"] > 0, "a first turn"))["cycles"]
    return await keeper.until_state(
        lambda state: state["cycles"] > before + 1 and holds(state), f"a hold within the band at {contracts}"
    )


async def assert_in_order(keeper: Keeper, shaky: Shaky, contracts: str = "-5", peak: str | None = None) -> None:
    """End and peak are right, no intent made two orders, no order is unknown to the journal or to the venue."""
    assert shaky.contracts() == D(contracts)
    assert shaky.peak_short() == D(contracts if peak is None else peak)
    ids = [capability_of(shaky.ground.exchange_id).decode(text) or text for text in shaky.client_ids()]
    assert len(set(ids)) == len(ids), "one intent, two orders"
    rows = await keeper.orders()
    written = {row.intent.client_id: row.intent for row in rows}
    assert set(ids) <= set(written), "an order was sent that is not in the journal"
    filled = {row.intent.client_id for row in rows if row.intent.outcome.filled > 0}
    assert filled <= set(ids), "the journal knows fills of orders that the venue never took"
    assert not [row for row in rows if row.intent.outcome.state.value == "unknown"]


Story = Callable[[Shaky, Path], Awaitable[None]]
Made = Callable[[Mapping[str, str] | None], AbstractAsyncContextManager[Shaky]]
Venues = Sequence[tuple[str, Made]]
TWO: Venues = (("own", own), ("other", other))


async def on_both(folder: Path, *stories: Story, coins: Mapping[str, str] | None = None) -> None:
    """Tell each story on our own exchange and on the independent one."""
    await _told(folder, stories, TWO, coins)


async def on_all(folder: Path, *stories: Story, coins: Mapping[str, str] | None = None) -> None:
    """Tell each story on the third venue as well."""
    await _told(folder, stories, (*TWO, ("okx", okx)), coins)


async def _told(folder: Path, stories: Sequence[Story], venues: Venues, coins: Mapping[str, str] | None) -> None:
    """Some stories at the same time: most of what they cost is starting and waiting."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, made: Made, story: Story) -> None:
        place = folder / f"{name}-{getattr(story, '__name__', 'story')}"
        place.mkdir()
        async with places, made(coins) as shaky:
            try:
                await story(shaky, place)
            except AssertionError as error:
                error.add_note(f"in {place.name}")
                raise

    async with asyncio.TaskGroup() as group:
        for story in stories:
            for name, made in venues:
                group.create_task(one(name, made, story))


__all__ = [
    "Keeper",
    "assert_in_order",
    "configure",
    "environment",
    "hedged",
    "holds",
    "keeping",
    "on_all",
    "on_both",
    "reasons",
]
