"""The operator's brakes that need no running interface: a file that stops everything, and a floor under the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from keeper.core.model import Reason
from keeper.doubt import Standing

log = structlog.get_logger(__name__)

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
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __call__(self) -> Standing:
        """What stands in the way of orders now."""
        blocks: list[tuple[str, Reason]] = []
        sell_blocks: list[tuple[str, Reason]] = []
        if (killed := self._killed()) is not None:
            blocks.append((EVERY_HEDGE, Reason("kill_file", killed)))
        free = self._free()
        if free is not None and free < self.min_free_bytes:
            text = (
                f"the journal's disk has {free // 1_000_000} MB left, less than {self.min_free_bytes // 1_000_000} MB"
            )
            sell_blocks.append((EVERY_HEDGE, Reason("disk_nearly_full", text)))
        self._tell({reason.code: reason.text for _, reason in (*blocks, *sell_blocks)})
        return Standing(tuple(blocks), tuple(sell_blocks))

    def _killed(self) -> str | None:
        """Why nothing is sent: anything of that name is there, a link to nowhere too, or it cannot be seen whether."""
        if self.kill_file is None:
            return None
        try:
            self.kill_file.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return f"whether {self.kill_file} exists cannot be seen ({error.strerror}); nothing is sent until it can"
        return f"{self.kill_file} exists; nothing is sent until it is removed"

    def _tell(self, now: dict[str, str]) -> None:
        """A line for each brake when it takes hold and when it lets go, and none between."""
        for code in now.keys() - self._told:
            log.warning("brake", brake=code, text=now[code])
        for code in self._told - now.keys():
            log.info("brake_released", brake=code, text=f"{code} does not stand in the way of orders any more")
        self._told.clear()
        self._told.update(now)

    def _free(self) -> int | None:
        """Free bytes beside the journal; zero where that cannot be found out, because then nothing is proved."""
        if self.journal is None or self.min_free_bytes <= 0:
            return None
        try:
            return self.free_bytes(self.journal.parent)
        except OSError:
            return 0
