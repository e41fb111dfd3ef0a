"""The table of rows against mutants, as it stands in ``docs/reliability.md`` between two markers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from keeper.fuzz.quiet import quiet_logs
from keeper.fuzz.result import Result
from tests.mutants.model import ABSENT, NOTICED, ROWS, Mutant, Simulated, Told
from tests.mutants.simulated import SIMULATED
from tests.mutants.told import TOLD

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
MEASURED, MEASURED_END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEAD = "| row | what has happened to others | a keeper that … | is caught by | seeds |"
RULE = "|---|---|---|---|---|"
MUTANTS: tuple[Mutant, ...] = tuple(sorted((*SIMULATED, *TOLD), key=lambda mutant: mutant.row))


def key_of(mutant: Mutant) -> str:
    """A mutant's name."""
    return f"{mutant.row} {mutant.without}"


def story_notices(mutant: Mutant, folder: Path) -> bool:
    """Whether the story of a planted mutant does not hold."""
    assert isinstance(mutant.caught, Told)
    try:
        asyncio.run(_told(mutant.caught, folder))
    except NOTICED:
        return True
    return False


async def _told(caught: Told, folder: Path) -> None:
    await caught.story(folder)


def hunted(mutant: Mutant, first: int) -> Result | None:
    """The first seed from there on that notices a mutant."""
    assert isinstance(mutant.caught, Simulated)
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        return mutant.caught.hunt(first)


def counted(mutants: Iterable[Mutant] = MUTANTS) -> dict[str, str]:
    """How many seeds, from the first, each simulated mutant lived; a story has none."""
    found: dict[str, str] = {}
    for mutant in mutants:
        if isinstance(mutant.caught, Simulated):
            result = hunted(mutant, 1)
            found[key_of(mutant)] = "not caught" if result is None else str(result.seed)
            continue
        with pytest.MonkeyPatch.context() as patch, quiet_logs(lambda _line: None), tempfile.TemporaryDirectory() as at:
            patch.setenv("XDG_STATE_HOME", at)
            mutant.plant(patch)
            found[key_of(mutant)] = "–" if story_notices(mutant, Path(at)) else "not caught"
    return found


def rows(seeds: Mapping[str, str]) -> list[list[str]]:
    """The table's cells, a line for each mutant and for each row that has none."""
    lines = []
    for row, what in ROWS.items():
        mutants = [mutant for mutant in MUTANTS if mutant.row == row]
        if not mutants:
            lines.append([row, what, "no mutant", ABSENT[row], "–"])
        lines += [[row, what, each.without, each.caught.told, seeds.get(key_of(each), "–")] for each in mutants]
    return lines


def rendered(seeds: Mapping[str, str]) -> str:
    """The table, with its markers."""
    lines = ["| " + " | ".join(cells) + " |" for cells in rows(seeds)]
    return "\n".join((BEGIN, HEAD, RULE, *lines, END))


def committed() -> list[list[str]]:
    """The cells of the table as it stands in the page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in text.splitlines() if line.startswith("| F")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def measured(document: Mapping[str, Any]) -> str:
    """What ``keeper fuzz --json`` printed, for the page, with its markers."""
    fired: Mapping[str, int] = document["faults_fired"]
    verdict = "all passed" if document["passed"] else "NOT all passed"
    figures = (
        f"{document['seeds']} seeds from {document['first_seed']} on, {document['cycles']:,} turns in "
        f"{document['virtual_hours']:,} virtual hours, {document['orders']:,} orders, "
        f"{document['restarts']:,} restarts, {document['checks']:,} checks, {sum(fired.values()):,} faults: "
        f"{verdict} (commit `{document['commit']}`)."
    )
    lines = [f"| `{kind}` | {count:,} |" for kind, count in sorted(fired.items())]
    return "\n".join((MEASURED, figures, "", "| fault | fired |", "|---|---|", *lines, MEASURED_END))


def write(block: str) -> None:
    """Put a block into the page, in place of the one between the same markers."""
    lines = block.splitlines()
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(lines[0])
    _, end, after = rest.partition(lines[-1])
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no {lines[0]}")
    PAGE.write_text(before + block + after, encoding="utf-8")
