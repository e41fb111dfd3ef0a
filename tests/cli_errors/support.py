"""One row of a table: what somebody typed, and what they must, and must never, read."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from keeper.cli import app

ROOT = Path(__file__).parents[2]
KEY, SECRET = "planted-key-4711-abcdef", "planted-secret-0815-abcdef"
CREDENTIALS = {"KEEPER_VENUES__MAIN__API_KEY": KEY, "KEEPER_VENUES__MAIN__API_SECRET": SECRET}
NEVER = ("Traceback", "Error while", SECRET, KEY)

BASE = """mode = "testnet"
[journal]
url = "sqlite:///keeper.db"
[venues.main]
exchange = "bybit"
[venues.main.ccxt]
urls = { api = "http://127.0.0.1:PORT" }
[[hedges]]
name = "btc"
asset = "BTC"
spot = ["main"]
instrument = "main:BTC/USDT:USDT"
ratio = "0.6"
"""


def edited(*edits: str) -> str:
    """The base configuration after ``-text`` (drop it), ``old -> new``, or anything else put at its end."""
    text = BASE
    for edit in edits:
        if edit.startswith("-"):
            assert edit[1:] in text, edit
            text = text.replace(edit[1:], "")
        elif " -> " in edit:
            old, new = edit.split(" -> ")
            assert old in text, edit
            text = text.replace(old, new)
        else:
            text += edit + "\n"
    return text


@contextmanager
def silent_venue() -> Iterator[tuple[int, list[str]]]:
    """A port where a venue would be, and afterwards whoever called there: nobody should have."""
    callers: list[str] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1], callers
        listener.setblocking(False)
        while True:
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return
            connection.close()
            callers.append(str(address))


def in_process(*line: str, environ: Mapping[str, str]) -> Result:
    """A command in this process: quick, and with its two streams apart."""
    clean = {name: None for name in os.environ if name.startswith("KEEPER_")}
    return CliRunner().invoke(app, list(line), env={**clean, "NO_COLOR": "1", "COLUMNS": "200", **environ})


def command(
    *line: str, environ: Mapping[str, str], cwd: Path | None = None, program: tuple[str, ...] = ("-m", "keeper")
) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, *program, *line], capture_output=True, text=True, timeout=60, check=False, cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
    )  # fmt: skip


def judge(code: int, stdout: str, stderr: str, *, expected: int, says: tuple[str, ...], where: object = "") -> None:
    """One clear message: the exit code, every fragment, nothing that must not be there, no bare output."""
    assert code == expected, (where, code, stdout, stderr)
    flat = re.sub(r"[\s│]+", " ", stderr)
    for part in says:
        assert part in flat, (where, part, stderr)
    for part in NEVER:
        assert part not in stdout + stderr, (where, part, stderr)
    errors = [line for line in stderr.splitlines() if line.startswith("error:")]
    assert len(errors) <= 1, (where, "one message, not several", stderr)


def no_id(value: object) -> str:
    """A readable name for a row."""
    return re.sub(r"[^\w.\[\]-]+", "_", str(value))[:60]


@pytest.fixture
def state(tmp_path: Path) -> dict[str, str]:
    """An environment in which locks and state are this test's own."""
    return {**CREDENTIALS, "XDG_STATE_HOME": str(tmp_path / "state")}
