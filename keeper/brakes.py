"""The operator's brakes that need no running interface: a file that stops everything, and a floor under the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keeper.core.model import Reason
from keeper.doubt import Standing

EVERY_HEDGE = "*"


@dataclass(frozen=True, slots=True)
class Brakes:
    """What is looked at before every decision.

    While ``kill_file`` exists nothing is sent, covers included. While the journal's disk has fewer than
    ``min_free_bytes`` left no new short is opened: an intent that cannot be written must not be needed.
    """

    kill_file: Path | None = None
    journal: Path | None = None
    min_free_bytes: int = 0
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free

    def __call__(self) -> Standing:
        """What stands in the way of orders now."""
        blocks: list[tuple[str, Reason]] = []
        sell_blocks: list[tuple[str, Reason]] = []
        if self.kill_file is not None and self.kill_file.exists():
            text = f"{self.kill_file} exists; nothing is sent until it is removed"
            blocks.append((EVERY_HEDGE, Reason("kill_file", text)))
        free = self._free()
        if free is not None and free < self.min_free_bytes:
            text = (
                f"the journal's disk has {free // 1_000_000} MB left, less than {self.min_free_bytes // 1_000_000} MB"
            )
            sell_blocks.append((EVERY_HEDGE, Reason("disk_nearly_full", text)))
        return Standing(tuple(blocks), tuple(sell_blocks))

    def _free(self) -> int | None:
        """Free bytes beside the journal; zero where that cannot be found out, because then nothing is proved."""
        if self.journal is None or self.min_free_bytes <= 0:
            return None
        try:
            return self.free_bytes(self.journal.parent)
        except OSError:
            return 0
