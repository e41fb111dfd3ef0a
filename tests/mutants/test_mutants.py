"""Every row of the catalogue has a broken keeper that is caught, or a reason why it has none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keeper.fuzz.result import Result, Verdict
from tests.mutants.model import ABSENT, CYCLES_MAX, ROWS, SEEDS_MAX, Mutant, Simulated
from tests.mutants.simulated import SIMULATED
from tests.mutants.table import MUTANTS, committed, hunted, key_of, rows, story_notices
from tests.mutants.told import TOLD

FULL = os.environ.get("KEEPER_MUTANTS") == "full"
"""Hunt from the first seed on, and let the healthy keeper pass many seeds in each mutant's conditions."""
HEALTHY_SEEDS = 20


def _told(result: Result) -> str:
    return "\n".join((*result.last[-20:], f"{result.name}: {result.text}", f"seed {result.seed}"))


@pytest.mark.parametrize("mutant", SIMULATED, ids=key_of)
def test_the_simulation_catches(mutant: Mutant) -> None:
    caught = mutant.caught
    assert isinstance(caught, Simulated)
    result = hunted(mutant, 1 if FULL else caught.near)
    assert result is not None, f"{SEEDS_MAX} seeds of {caught.cycles} cycles did not notice that it {mutant.without}"
    # The same seeds, in the same conditions, without the mutant: nothing.
    seeds = {result.seed, *range(1, HEALTHY_SEEDS + 1)} if FULL else {result.seed}
    for seed in sorted(seeds):
        healthy = caught.run(seed)
        assert healthy.verdict is Verdict.PASSED, _told(healthy)


@pytest.mark.parametrize("mutant", TOLD, ids=key_of)
def test_a_story_catches(mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy, broken = tmp_path / "healthy", tmp_path / "broken"
    healthy.mkdir()
    broken.mkdir()
    assert not story_notices(mutant, healthy), "the healthy keeper does not pass"
    mutant.plant(monkeypatch)
    assert story_notices(mutant, broken), f"nobody notices that it {mutant.without}"


def test_every_row_has_a_mutant_or_a_reason() -> None:
    assert list(ROWS) == [f"F{number:02d}" for number in range(1, 47)]
    has = {mutant.row for mutant in MUTANTS}
    assert has | set(ABSENT) == set(ROWS)
    assert not has & set(ABSENT)
    assert len({key_of(mutant) for mutant in MUTANTS}) == len(MUTANTS)


def test_hunts_are_bounded() -> None:
    bounds = [mutant.caught for mutant in MUTANTS if isinstance(mutant.caught, Simulated)]
    assert all(each.cycles <= CYCLES_MAX and each.near >= 1 for each in bounds)


def test_the_page_shows_the_table() -> None:
    """Seeds are a measurement and may differ; who is caught by what may not."""
    assert [cells[:4] for cells in committed()] == [cells[:4] for cells in rows({})], (
        "docs/reliability.md is not up to date: python -m tests.mutants --write"
    )
    assert not [cells for cells in committed() if cells[4] == "not caught"]
