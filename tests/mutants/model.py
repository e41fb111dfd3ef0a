"""What a mutant is: a keeper without one of its defences, and what has to notice it.

A defence is taken out by a patch of the test's own; the product has no switch for it. What notices is the simulation,
run from seed to seed until one fails, or a story that a healthy keeper passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from keeper.fuzz.result import Result, Verdict
from keeper.fuzz.run import run_seed
from keeper.sim.faults import FaultKind

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
Story: TypeAlias = Callable[[Path], Awaitable[None]]

SEEDS_MAX = 100
CYCLES_MAX = 500
NOTICED = (AssertionError, pytest.fail.Exception)
"""What a story ends with when it does not hold; anything else is a fault of the mutant itself."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Noticed by a run of the simulation, in which some faults strike often.

    ``by`` are the invariants that may notice. ``near`` is where the quick search begins: at or shortly before a seed
    that notices; it is a matter of speed alone.
    """

    by: tuple[str, ...]
    often: tuple[FaultKind, ...] = ()
    cycles: int = 60
    near: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)

    def run(self, seed: int) -> Result:
        """One seed, in the conditions of this mutant."""
        return run_seed(seed, self.cycles, often=self.often, **self.given)

    def hunt(self, first: int = 1) -> Result | None:
        """The first seed, of at most a hundred, in which one of the invariants named here does not hold."""
        for seed in range(first, first + SEEDS_MAX):
            result = self.run(seed)
            if result.verdict is not Verdict.PASSED and result.name in self.by:
                return result
        return None

    @property
    def told(self) -> str:
        """What notices, for the table."""
        return "simulation: " + ", ".join(f"`{name}`" for name in self.by)


@dataclass(frozen=True, slots=True)
class Told:
    """Noticed by a story; it says what it shows, and a healthy keeper passes it."""

    story: Story

    @property
    def told(self) -> str:
        """What notices, for the table."""
        shows = (self.story.__doc__ or "").strip().rstrip(".")
        return f"story: {shows[:1].lower()}{shows[1:]}"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken keeper. ``without`` says which defence is gone, as a sentence about the mutant."""

    row: str
    without: str
    plant: Plant
    caught: Simulated | Told


ROWS: Mapping[str, str] = {
    "F01": "an answer that never came; the order was there",
    "F02": "an error whose order had been carried out",
    "F03": "retries run out, the order is live",
    "F04": 'network errors counted as "no such order"',
    "F05": "a cancel that lost against the fill",
    "F06": "a decision on a position that lags behind our own fill",
    "F07": "a fill counted twice",
    "F08": "orders forgotten over a restart",
    "F09": "not found, and found a little later",
    "F10": "a cancel that fails ends the process",
    "F11": "a part that was filled is not seen",
    "F12": "client ids that collide",
    "F13": "an order sent again by a retry",
    "F14": "a list that was cut short",
    "F15": "one row for each side, the empty one first",
    "F16": "side and sign",
    "F17": "a derived field makes a position of nothing",
    "F18": "a failed reading becomes zero",
    "F19": "somebody else moves the position",
    "F20": "a value that contradicts the size",
    "F21": "coins taken for contracts",
    "F22": "a blank taken for zero",
    "F23": "counted is what was bought, not what is there",
    "F24": "stale market data; a stream that is silent",
    "F25": "a private stream that expires",
    "F26": "a subscription that never was one",
    "F27": "a replay after reconnecting",
    "F28": "a clock that is off",
    "F29": "two processes on one key",
    "F30": "a ban that is not waited out",
    "F31": "an answer that no table knows",
    "F32": "a lot step that changed",
    "F33": "minimums, and a rest below them",
    "F34": "rounding",
    "F35": "a refused order leads to an emergency exit",
    "F36": "two-sided position mode",
    "F37": "live leverage other than configured",
    "F38": "the sign of funding",
    "F39": "the interval of funding",
    "F40": "funding in the venue's own terms",
    "F41": "funding in simulated trading",
    "F42": "one dead symbol stops all others",
    "F43": "a test that reaches a live host",
    "F44": "an order that was never written down",
    "F45": "what runs beside the loop ends it, or hangs it",
    "F46": "secrets in logs, errors and alerts",
}

ABSENT: Mapping[str, str] = {
    "F25": "keeper subscribes to no stream: every turn polls, so there is nothing that could expire unseen",
    "F26": "keeper subscribes to no stream, so no subscription can be missing",
    "F27": "keeper subscribes to no stream and acts on no event; each turn looks at the whole state anew",
    "F39": "no rate is multiplied by an interval: funding is booked from the venue's ledger, and triggers nothing",
}
"""Rows that have no mutant, and why."""
