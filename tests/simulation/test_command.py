"""``keeper fuzz``: what it prints, and what it returns."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from keeper.cli import app
from keeper.commands.fuzz import first_seed
from keeper.core.model import PlannedOrder
from keeper.errors import ConfigError
from keeper.execute import OrderExecutor
from keeper.venue.base import Submission


def test_a_run_that_passes_says_so_in_one_document() -> None:
    done = CliRunner().invoke(app, ["fuzz", "--seeds", "2", "--seed", "5", "--cycles", "60", "--jobs", "1", "--json"])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["seeds"] == 2
    assert document["first_seed"] == 5
    assert document["passed"]
    assert document["cycles"] >= 120
    assert document["faults_fired"]["stale"] >= 0
    assert document["cycles_a_second_a_core"] > 0


def test_a_failure_prints_the_line_that_shows_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = OrderExecutor._submit

    async def twice(self: OrderExecutor, order: PlannedOrder) -> Submission:
        await submit(self, order)
        return await submit(self, order)

    monkeypatch.setattr(OrderExecutor, "_submit", twice)
    done = CliRunner().invoke(app, ["fuzz", "--seeds", "1", "--seed", "5", "--cycles", "60", "--jobs", "1"])
    assert done.exit_code == 1
    assert "reproduce with: keeper fuzz --seeds 1 --seed 5 --cycles 60" in done.stderr
    assert "sent_twice" in done.stderr


def test_a_commit_is_a_seed() -> None:
    assert first_seed("59") == 59
    assert first_seed("f7bd7f3") == 0xF7BD7F3
    assert 0 <= first_seed("f" * 40) < 2**63
    with pytest.raises(ConfigError, match="commit's hash"):
        first_seed("latest")
    done = CliRunner().invoke(app, ["fuzz", "--seeds", "1", "--seed", "zz", "--cycles", "5"])
    assert done.exit_code == 2, "the command line is wrong, and no run has failed"
