"""How many full cycles a second one processor simulates, with the invariants and without them.

    python benchmarks/simulation.py [SEEDS] [CYCLES]

Processor time, not wall time, so that a busy machine does not change the figure. The slow roads (the real client, the
real database) are measured apart, one seed each.
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


def rate(seeds: Iterable[int], cycles: int, transport: Transport, storage: Storage) -> float:
    """Cycles a second."""
    began, done = time.process_time(), 0
    for seed in seeds:
        done += run_seed(seed, cycles, transport=transport, storage=storage).cycles
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
        return rate(seeds, cycles, Transport.DIRECT, Storage.MEMORY)
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
    checked = rate(seeds, cycles, Transport.DIRECT, Storage.MEMORY)
    sys.stdout.write(f"in memory, invariants on   {checked:8.0f} cycles/s\n")
    sys.stdout.write(f"in memory, invariants off  {plain:8.0f} cycles/s (ratio {plain / checked:.2f})\n")
    wired = rate((1,), cycles, Transport.CLIENT, Storage.MEMORY)
    sys.stdout.write(f"the real client            {wired:8.0f} cycles/s\n")
    stored = rate((1,), cycles, Transport.DIRECT, Storage.DATABASE)
    sys.stdout.write(f"the real database          {stored:8.0f} cycles/s\n")


if __name__ == "__main__":
    main()
