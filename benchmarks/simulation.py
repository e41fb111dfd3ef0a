"""How many full cycles a second one processor simulates, and what the checks and the slow roads cost, as ratios.

    python benchmarks/simulation.py [SEEDS] [CYCLES]

Processor time, not wall time. A busy machine still changes the figures, and hardly their ratios. The mixed set is what
``keeper fuzz`` draws: a share of the seeds on the slow roads, through the real client or on the real database.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from keeper.fuzz.invariants import Invariants
from keeper.fuzz.model import Model
from keeper.fuzz.options import Storage, Transport
from keeper.fuzz.run import run_seed
from keeper.fuzz.truth import GroundTruth

IN_MEMORY: dict[str, Any] = {"transport": Transport.DIRECT, "storage": Storage.MEMORY}


def rate(seeds: Iterable[int], cycles: int, **given: Any) -> float:
    """Cycles a second."""
    began, done = time.process_time(), 0
    for seed in seeds:
        done += run_seed(seed, cycles, **given).cycles
    return done / (time.process_time() - began)


def without_invariants(seeds: Iterable[int], cycles: int) -> float:
    """Cycles a second with every check left out but the ones that end a run."""

    def nothing(*_: object) -> None:
        return None

    silenced: list[Any] = [
        patch.object(Invariants, "on_note", nothing),
        patch.object(Invariants, "on_send", nothing),
        patch.object(Invariants, "on_turn", nothing),
        patch.object(Model, "take", nothing),
        patch.object(GroundTruth, "look", nothing),
        patch.object(Model, "fates", lambda *_: []),
        patch.object(Model, "replay", lambda model, _notes: model),
        patch.object(Model, "disagreements", lambda *_: []),
    ]
    for each in silenced:
        each.start()
    try:
        return rate(seeds, cycles, **IN_MEMORY)
    finally:
        for each in silenced:
            each.stop()


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    cycles = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    seeds = range(1, count + 1)
    run_seed(1, 20)  # what loads once is no part of the figure
    plain = without_invariants(seeds, cycles)
    checked = rate(seeds, cycles, **IN_MEMORY)
    few = seeds[: max(1, count // 10)]
    measured = {
        "in memory, invariants on": checked,
        "in memory, invariants off": plain,
        "the mixed set": rate(seeds, cycles),
        "the real client": rate(few, cycles, **IN_MEMORY | {"transport": Transport.CLIENT}),
        "the real database": rate(few, cycles, **IN_MEMORY | {"storage": Storage.DATABASE}),
    }
    for name, found in measured.items():
        sys.stdout.write(f"{name:26} {found:6.0f} cycles/s, {found / checked:.2f} of that in memory\n")


if __name__ == "__main__":
    main()
