"""``keeper roll``: what holding each hedge's short costs, here and in every contract that could follow; no orders."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keeper.api.operations import UnknownHedgeError
from keeper.commands.loading import load_for_venues
from keeper.commands.printing import console
from keeper.config import Config
from keeper.config.values import number
from keeper.errors import ConfigError
from keeper.roll_report import render_rolls, roll_json

if TYPE_CHECKING:
    from keeper.candidates import Markets
    from keeper.core.model import HedgeCycle
    from keeper.core.roll_rules import RollRules

_HORIZON = number(at_least="1", at_most="730", unit="(days)")


def roll(config_path: Path, hedge: str | None, horizon: str | None, as_json: bool) -> None:
    """Look once and print the comparison; writes nothing, sends nothing. Raises :class:`~keeper.errors.KeeperError`."""
    config = load_for_venues(config_path)
    names = [each.name for each in config.hedges]
    if hedge is not None and hedge not in names:
        raise UnknownHedgeError(hedge, names)
    try:
        days = None if horizon is None else _HORIZON(horizon)
    except ValueError as error:
        raise ConfigError(f"--horizon {error}") from None
    document = asyncio.run(rolls_document(config, [hedge] if hedge is not None else names, days))
    if as_json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    page = console()
    page.print(render_rolls(document))
    page.print("One look: nothing was sent, nothing was written.", style="dim")


def roll_now(
    config_path: Path, hedge: str | None, horizon: str | None, now: bool, to: str | None, out_of: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Tell a running keeper to begin a roll; it is in force when this returns.

    Raises :class:`ConfigError` for flags that make no sense, :class:`KeeperError` where no keeper listens, where it
    refuses the token, or where the roll cannot be begun.
    """
    from urllib.parse import urlencode

    from keeper.api.client import hedge_path
    from keeper.commands.status import keeper_of, print_json, show
    from keeper.config import load_config

    if not now:
        raise ConfigError("keeper roll: --to and --from need --now; for example: keeper roll btc --now --to perpetual")
    if horizon is not None:
        raise ConfigError("keeper roll: --horizon is for comparing; leave it out with --now")
    if hedge is None:
        names = [each.name for each in load_config(config_path, os.environ, need_credentials=False).hedges]
        if len(names) != 1:
            raise ConfigError(f"keeper roll --now rolls one hedge: name it; {config_path} has: {', '.join(names)}")
        [hedge] = names
    words = {key: value for key, value in (("to", to), ("from", out_of)) if value is not None}
    try:
        path = hedge_path(hedge, "roll") + (f"?{urlencode(words)}" if words else "")
    except UnicodeEncodeError:
        raise ConfigError("keeper roll: --to and --from name a contract, and this is no text") from None
    document = keeper_of(config_path).post(path)
    if as_json:
        print_json(document)
        return
    begun = document["roll"]
    lines = [f"{hedge}: rolls from {begun['source']} to {begun['target']}, slice by slice inside its band"]
    held = [word for word in ("paused", "flattened", "halted") if document[word]]
    lines += [f"  {' and '.join(held)}: it goes on once it is resumed"] if held else []
    show(*lines)


async def rolls_document(config: Config, wanted: Sequence[str], horizon_days: Decimal | None) -> dict[str, Any]:
    """What ``keeper roll --json`` prints, of the hedges of these names; a horizon overrules the configured ones."""
    from keeper.look import looking
    from keeper.report import iso_utc

    async with looking(config) as seen:
        hedges = []
        for cycle in seen.look.hedges:
            hedge = cycle.exposure.hedge
            if hedge.name in wanted:
                rules = hedge.roll if horizon_days is None else replace(hedge.roll, horizon_days=horizon_days)
                hedges += await _compared(cycle, seen.venues.markets, rules, seen.look.taken_at_ms)
        return {"mode": config.mode.value, "taken_at": iso_utc(seen.look.taken_at_ms), "hedges": hedges}


async def _compared(
    cycle: HedgeCycle, markets: Mapping[str, Markets], rules: RollRules, now_ms: int
) -> list[dict[str, Any]]:
    """One comparison; of a hedge that is split by shares one for each of its contracts."""
    from keeper.candidates import carried_by_leg, compared
    from keeper.core.roll import choose

    found: list[dict[str, Any]] = []
    each_carried = carried_by_leg(cycle.exposure)
    for carried in each_carried:
        present = carried.instrument.id
        taken = {other.instrument.id for other in each_carried if other.instrument.id != present}
        comparison = await compared(markets[present.venue], carried, rules, now_ms, taken)
        choice = choose(comparison, rules, part=len(each_carried) > 1)
        found.append(roll_json(cycle.exposure.hedge.name, carried, comparison, choice, rules))
    return found
