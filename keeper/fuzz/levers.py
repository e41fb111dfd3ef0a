"""What an operator and a full disk do to a running keeper: the kill file comes and goes, and so does free space.

The keeper reads both through its own :class:`~keeper.brakes.Brakes`; only the file system under them is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from keeper.brakes import Brakes
from keeper.core.model import PlannedOrder, Side
from keeper.doubt import Standing

FLOOR_BYTES = 100_000_000
SHORT_OF, PLENTY = FLOOR_BYTES - 1, 10 * FLOOR_BYTES
RELEASED_CHANCE = 0.2
"""For each turn: a brake stays on for five turns on average."""


class Levers:
    """The brakes of one run, and what may not be sent while a look found them pulled."""

    def __init__(self, source: Random, chance: float, pulled: Callable[[str], None]) -> None:
        self._source = source
        self._chance = chance
        self._pulled = pulled
        self.kill = self.disk = False
        self._seen = Standing()
        self._brakes = Brakes(
            journal=Path("/keeper/keeper.db"),
            min_free_bytes=FLOOR_BYTES,
            free_bytes=lambda _: SHORT_OF if self.disk else PLENTY,
        )
        self._killed = replace(self._brakes, kill_file=Path("/"))

    def __call__(self) -> Standing:
        """What the present look finds."""
        self._seen = (self._killed if self.kill else self._brakes)()
        return self._seen

    def turn(self) -> None:
        """Between two turns a brake may be pulled, or released."""
        if self.kill or self.disk:
            if self._source.random() < RELEASED_CHANCE:
                self.release()
        elif self._source.random() < self._chance:
            self.kill = self._source.random() < 0.5
            self.disk = not self.kill
            self._pulled("kill file" if self.kill else "disk nearly full")

    def release(self) -> None:
        """Both off."""
        if self.kill or self.disk:
            self._pulled("brakes released")
        self.kill = self.disk = False

    def against(self, order: PlannedOrder) -> tuple[tuple[str, str], ...]:
        """Why this order may not leave on the present look: (invariant, text)."""
        who = f"{order.client_id} on {order.instrument}"
        if self._seen.blocks:
            return (("sent_while_killed", f"{who} leaves although its look found the kill file"),)
        if self._seen.sell_blocks and order.side is Side.SELL:
            return (("sent_on_a_full_disk", f"{who} opens although its look found the disk nearly full"),)
        return ()
