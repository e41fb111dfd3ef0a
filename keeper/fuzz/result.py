"""How a run ended, and how to see it again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from keeper.fuzz.options import Options


class Verdict(Enum):
    """How a run ended, told apart for triage."""

    PASSED = "passed"
    CRASH = "crash"
    SAFETY = "safety"
    MODEL = "model"
    LIVENESS = "liveness"


_VERDICTS = {
    "unforeseen": Verdict.CRASH,
    "stalled": Verdict.CRASH,
    "model": Verdict.MODEL,
    "journal": Verdict.MODEL,
    "replay": Verdict.MODEL,
    "liveness": Verdict.LIVENESS,
}


def verdict_of(violation: str) -> Verdict:
    """The kind of failure that a violation is; whatever is not named is a broken safety rule."""
    return _VERDICTS.get(violation, Verdict.SAFETY)


@dataclass(frozen=True, slots=True)
class Result:
    """What a seed showed. ``name`` is the invariant that did not hold, ``hours`` are virtual.

    ``kinds`` are what was drawn that not every run has.
    ``cpu_seconds`` is the processor's time, the one thing that another run of the seed does not repeat.
    """

    seed: int
    cycles_asked: int
    verdict: Verdict
    name: str
    text: str
    cycles: int
    hours: float
    orders: int
    restarts: int
    checks: int
    fired: dict[str, int]
    digest: str
    kinds: tuple[str, ...]
    options: dict[str, Any]
    last: tuple[str, ...] = ()
    cpu_seconds: float = field(default=0.0, compare=False)

    @property
    def reproduce(self) -> str:
        """The line that shows it again."""
        return f"keeper fuzz --seeds 1 --seed {self.seed} --cycles {self.cycles_asked}"


def described(options: Options) -> dict[str, Any]:
    """The drawn options in plain values."""
    plain: dict[str, Any] = _plain(dataclasses.asdict(options))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)
