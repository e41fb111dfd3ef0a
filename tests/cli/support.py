"""Running commands as a person would: in this process, or as a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from keeper.cli import app

API_KEY = "planted-key-4711"
API_SECRET = "planted-secret-0815"
CREDENTIALS = {"KEEPER_VENUES__MAIN__API_KEY": API_KEY, "KEEPER_VENUES__MAIN__API_SECRET": API_SECRET}


def keeper(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    """A command, its streams and its exit code."""
    clean = {name: None for name in os.environ if name.startswith("KEEPER_")}
    return CliRunner().invoke(app, list(arguments), env={**clean, "NO_COLOR": "1", **(environ or {})})


def process(
    *arguments: str, cwd: Path | None = None, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    root = str(Path(__file__).parents[2])
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "keeper.cli", *arguments],
        capture_output=True, text=True, timeout=60, check=False, cwd=cwd,
        env={**kept, "PYTHONPATH": root, **(environ or {})},
    )  # fmt: skip
