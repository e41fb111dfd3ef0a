"""The house's own rules about its code, for what no linter holds."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from keeper.venue.capabilities import TABLE
from keeper.venue.ccxt_venue import known_exchanges

ROOT = Path(__file__).parents[1]
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 75
WORDS = {"apex", "bullish", "delta", "derive", "extended", "gate", "lighter", "xt"}
"""Ids of exchanges that are words of other trades as well."""


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository; outside of one, as in an unpacked archive, all that lie here."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--", *patterns]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603  # our own words
    except (OSError, subprocess.CalledProcessError):
        found = [path for pattern in patterns for path in ROOT.rglob(pattern)]
        return [path for path in found if not path.relative_to(ROOT).parts[0].startswith(".")]
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def test_a_file_can_be_read_in_one_sitting() -> None:
    long = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in tracked("*.py")}
    assert long
    assert not {name: lines for name, lines in long.items() if lines > FILE_LINES_MAX}


def test_a_function_fits_on_a_screen() -> None:
    long = [
        (str(path.relative_to(ROOT)), name, lines)
        for path in tracked("*.py")
        for name, lines in functions(path)
        if lines > FUNCTION_LINES_MAX
    ]
    assert not long


def test_nothing_is_left_for_later_in_the_code() -> None:
    marks = re.compile(r"\b(TO[D]O|FIX[M]E)\b")
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked("*.py", "*.toml", "*.md", "Makefile", "*.service", ".ci/*")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not left


def test_a_venue_has_a_name_in_its_own_rooms_only() -> None:
    names = {*TABLE, *known_exchanges()} - WORDS
    found = []
    for path in tracked("keeper/*.py"):
        room = path.relative_to(ROOT / "keeper").parts[0]
        if room not in ("venue", "sim"):
            spoken = set(re.findall(r"[a-z0-9]+", path.read_text(encoding="utf-8").lower()))
            found += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(names & spoken)]
    assert not found
