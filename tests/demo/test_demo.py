"""The whole demo: a real keeper, the real client, real HTTP, and a day in a few seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from keeper.commands.demo import demo
from keeper.core.model import InstrumentId
from keeper.demo.setting import HEDGES
from keeper.errors import ConfigError
from keeper.journal.reader import JournalReader

D = Decimal
ROOT = Path(__file__).resolve().parents[2]
Traded = tuple[str, Decimal, bool]


async def orders_of(journal: Path, hedge: str) -> list[Traded]:
    """Side, contracts filled, and whether it was a cover."""
    async with await JournalReader.open(f"sqlite:///{journal}") as reader:
        intents = [row.intent for row in await reader.orders(100, hedge)]
    return [
        (intent.order.side.value, intent.outcome.filled, intent.order.reduce_only)
        for intent in intents
        if intent.outcome.filled
    ]


async def funding_of(journal: Path) -> Mapping[tuple[InstrumentId, str], Decimal]:
    async with await JournalReader.open(f"sqlite:///{journal}") as reader:
        return await reader.funding_total()


def test_the_hedges_are_opened_enlarged_and_covered_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = tmp_path / "demo.db"
    before = set(threading.enumerate())

    assert demo(10, str(journal)) == 0

    assert asyncio.run(orders_of(journal, "btc")) == [
        ("sell", D(5), False),
        ("sell", D("1.5"), False),
        ("buy", D(2), True),
    ]
    assert asyncio.run(orders_of(journal, "eth")) == [
        ("sell", D(24), False),
        ("sell", D(6), False),
        ("buy", D(12), True),
    ]
    ((side, contracts, _),) = asyncio.run(orders_of(journal, "btc-coin"))  # once, and not again at any price
    assert side == "sell"
    assert abs(contracts - 1300) <= 5
    funding = asyncio.run(funding_of(journal))
    assert {asset for _, asset in funding} == {"USDT", "BTC"}
    assert len(funding) == len(HEDGES)

    said = capsys.readouterr()
    for word in ("rally", "sell-off", "hedge opened", "hedge enlarged", "hedge covered", "no trade", "status"):
        assert word in said.out
    for figure in ("the hedges receive", "the hedges pay", "largest drift", "Every hedge ended inside"):
        assert figure in said.out
    assert f"keeper history --journal {journal}" in said.out
    assert said.out.isascii()
    assert said.err == ""
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "state").exists()
    assert os.environ["XDG_STATE_HOME"] == str(tmp_path / "state")
    left = set(threading.enumerate()) - before
    for thread in left:  # one that is about to end may do so
        thread.join(2)
    assert not [thread for thread in left if thread.is_alive()]


def test_ctrl_c_ends_it_with_the_summary_and_nothing_is_left_behind(tmp_path: Path) -> None:
    environment = dict(os.environ) | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", "from keeper.commands.demo import demo; demo(300, None)"],
        cwd=tmp_path,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "status" in line and "btc-coin" in line and "futures ?" not in line and "futures 0 " not in line:
                break
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert "Every hedge ended inside its band" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/demo.db", ".", "sqlite:///demo.db"])
def test_a_journal_that_cannot_be_made_is_refused_before_anything_starts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="--journal"):
        demo(10, name)
    assert capsys.readouterr().out == ""


def test_a_journal_of_another_day_is_left_alone(tmp_path: Path) -> None:
    journal = tmp_path / "demo.db"
    journal.write_text("something that somebody wants to keep")
    with pytest.raises(ConfigError, match="name a new file"):
        demo(10, str(journal))
    assert journal.read_text() == "something that somebody wants to keep"


def test_a_story_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"--story rol: .*day, roll"):
        demo(10, None, "rol")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="--for"):
        demo(seconds, None)
