"""Many seeds over the machine's processors, and what they showed together."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from keeper.fuzz.paper import FAULTS
from keeper.fuzz.result import Result, Verdict
from keeper.fuzz.run import CYCLES, run_seed
from keeper.fuzz.world import NOT_HERE
from keeper.sim.faults import FaultKind

MENU = (*(kind.value for kind in FaultKind if kind not in NOT_HERE), *FAULTS)
"""Every fault that a run of the loop can meet."""
COVERED_FROM = 100
"""Seeds from which on a fault that never fired is a failure of the simulation itself."""
FAILURES_KEPT = 20


@dataclass(slots=True)
class Tally:
    """What many seeds showed."""

    seeds: int = 0
    cycles: int = 0
    hours: float = 0.0
    orders: int = 0
    restarts: int = 0
    checks: int = 0
    cpu_seconds: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one seed."""
        self.seeds += 1
        self.cycles += result.cycles
        self.hours += result.hours
        self.orders += result.orders
        self.restarts += result.restarts
        self.checks += result.checks
        self.cpu_seconds += result.cpu_seconds
        self.fired.update(result.fired)
        self.kinds.update(result.kinds)
        self.verdicts[result.verdict.value] += 1
        if result.verdict is not Verdict.PASSED:
            self.failures.append(result)

    @property
    def rate(self) -> float:
        """Cycles a second of one processor."""
        return self.cycles / self.cpu_seconds if self.cpu_seconds else 0.0

    @property
    def never_fired(self) -> tuple[str, ...]:
        """Faults of the menu that no seed has met."""
        return tuple(kind for kind in MENU if not self.fired[kind])

    @property
    def is_covered(self) -> bool:
        """Whether the menu was met whole, or there were too few seeds to ask for it."""
        return self.seeds < COVERED_FROM or not self.never_fired

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return not self.failures and self.is_covered

    def document(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "seeds": self.seeds,
            "cycles": self.cycles,
            "virtual_hours": round(self.hours, 1),
            "orders": self.orders,
            "restarts": self.restarts,
            "checks": self.checks,
            "cycles_a_second_a_core": round(self.rate),
            "verdicts": dict(sorted(self.verdicts.items())),
            "drawn": dict(sorted(self.kinds.items())),
            "faults_fired": {kind: self.fired[kind] for kind in MENU},
            "never_fired": list(self.never_fired),
            "passed": self.is_good,
            "failures": [failure_of(result) for result in self.failures[:FAILURES_KEPT]],
        }


def failure_of(result: Result) -> dict[str, Any]:
    """One failed seed, for programs."""
    return {
        "seed": result.seed,
        "kind": result.verdict.value,
        "name": result.name,
        "text": result.text,
        "cycles": result.cycles,
        "reproduce": result.reproduce,
        "options": result.options,
        "last_events": list(result.last),
    }


def run_seeds(seeds: Sequence[int], cycles: int = CYCLES, jobs: int = 1) -> Iterator[Result]:
    """The results as they come; with more than one job their order is not that of the seeds."""
    work: Callable[[int], Result] = partial(run_seed, cycles=cycles)
    if jobs <= 1 or len(seeds) <= 1:
        yield from map(work, seeds)
        return
    # Spawned, not forked: a fork would take along the parent's threads in whatever state they are.
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(seeds))) as pool:
        yield from pool.imap_unordered(work, seeds)


def tally(results: Iterable[Result], on_result: Callable[[Tally, Result], None] | None = None) -> Tally:
    """All results together; ``on_result`` is told of each."""
    total = Tally()
    for result in results:
        total.add(result)
        if on_result is not None:
            on_result(total, result)
    return total
