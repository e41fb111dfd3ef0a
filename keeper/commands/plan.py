"""``keeper plan``: one look, what would be done about it, and no orders."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from keeper.commands.loading import load_for_venues
from keeper.report import plan_document, render_plan

_PIPE_WIDTH = 1_000


def plan(config_path: Path, as_json: bool) -> None:
    """Look once and print the plan; writes nothing, sends nothing. Raises :class:`~keeper.errors.KeeperError`."""
    config = load_for_venues(config_path)
    # Loaded after the configuration was judged: whoever mistyped a key does not wait for an exchange library.
    from keeper.look import look_once

    look = asyncio.run(look_once(config))
    document = plan_document(config.mode.value, look.taken_at_ms, look.hedges)
    if as_json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console

    bands = {hedge.name: hedge.band.to_core() for hedge in config.hedges}
    # Into a pipe nothing is broken into lines of 80 characters: this is for grep.
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(width=width)
    console.print(render_plan(document, bands))
    console.print("One look: nothing was sent, nothing was written.", style="dim")
