"""``keeper fuzz``: a keeper's whole life under faults, many times over, each from one seed that repeats it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keeper.errors import ConfigError
from keeper.fuzz.pool import Tally, failure_of, run_seeds, tally
from keeper.fuzz.result import Result, Verdict

SEED_BITS = 63


@dataclass(frozen=True, slots=True)
class FuzzFlags:
    """The flags as they were given; None where one was not."""

    seeds: int
    seed: str | None
    cycles: int
    jobs: int | None


def first_seed(text: str | None) -> int:
    """The first seed: a decimal number, or the beginning of a commit's hash; drawn when nothing is given.

    Raises :class:`ConfigError` for what is neither.
    """
    if text is None:
        return secrets.randbits(32)
    try:
        return int(text) if text.isdecimal() else int(text[:16], 16) & ((1 << SEED_BITS) - 1)
    except ValueError:
        raise ConfigError(f"--seed {text}: give a number, or a commit's hash") from None


def fuzz(flags: FuzzFlags, as_json: bool) -> int:
    """Run the seeds and report; 0 where all of them passed and the menu of faults was met, 1 otherwise."""
    first = first_seed(flags.seed)
    jobs = flags.jobs or os.cpu_count() or 1
    seeds = range(first, first + flags.seeds)
    _tell(f"seed {first}, {flags.seeds} run(s) of {flags.cycles} cycles, commit {_commit()}")
    with _progress(flags.seeds) as advance:

        def on_result(total: Tally, result: Result) -> None:
            advance(total)
            if result.verdict is not Verdict.PASSED:
                _tell_failure(result)

        total = tally(run_seeds(seeds, flags.cycles, jobs), on_result)
    if as_json:
        document = {"first_seed": first, "commit": _commit(), **total.document()}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        _summary(total)
    return 0 if total.is_good else 1


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _tell_failure(result: Result) -> None:
    for line in result.last[-12:]:
        _tell(f"    {line[:240]}")
    _tell(f"FAILED ({result.verdict.value}) seed {result.seed}, cycle {result.cycles}: {result.name}: {result.text}")
    _tell(f"reproduce with: {result.reproduce}")


def _summary(total: Tally) -> None:
    out = sys.stdout.write
    out(
        f"{total.seeds} seeds, {total.cycles} cycles, {total.hours:.0f} virtual hours, {total.orders} orders, "
        f"{total.restarts} restarts, {sum(total.fired.values())} faults, {total.checks} checks, "
        f"{total.rate:.0f} cycles a second a core\n"
    )
    if total.kinds:
        out("drawn: " + ", ".join(f"{kind} {count}" for kind, count in sorted(total.kinds.items())) + "\n")
    out("faults fired: " + ", ".join(f"{kind} {count}" for kind, count in sorted(total.fired.items())) + "\n")
    if total.never_fired:
        word = "never fired" if total.is_covered else "NOT COVERED, never fired"
        out(f"{word}: {', '.join(total.never_fired)}\n")
    for failure in map(failure_of, total.failures):
        out(f"FAILED {failure['kind']} {failure['name']}: {failure['reproduce']}\n")
    out("passed\n" if total.is_good else "failed\n")


@contextmanager
def _progress(count: int) -> Iterator[Callable[[Tally], None]]:
    """A bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _total: None
        return
    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn

    with Progress(*Progress.get_default_columns(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("seeds", total=count)

        def advance(total: Tally) -> None:
            failed = f", {len(total.failures)} failed" if total.failures else ""
            bar.update(task, completed=total.seeds, description=f"{total.cycles} cycles{failed}")

        yield advance


def _commit() -> str:
    """The commit that runs, where there is a repository to ask."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607  whichever git there is
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
