"""``keeper plan``: one look, what would be done about it, and no orders."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from keeper.commands.loading import load_for_venues
from keeper.commands.printing import console
from keeper.report import plan_document, render_plan


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
    else:
        bands = {hedge.name: hedge.band.to_core() for hedge in config.hedges}
        page = console()
        page.print(render_plan(document, bands))
        page.print("One look: nothing was sent, nothing was written.", style="dim")
    if look.refused is not None:
        raise look.refused
