"""``keeper status``, ``pause`` and ``resume``: talk to a running keeper through its API."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from keeper.api.client import NotThereError, ask, hedge_path
from keeper.api.token import read_token, token_path
from keeper.commands.printing import console
from keeper.config import Mode
from keeper.core.model import Band
from keeper.errors import ConfigError, KeeperError
from keeper.report import render_plan

if TYPE_CHECKING:
    from rich.console import RenderableType

    from keeper.config import Config

_TRADING = {
    "pause": "paused; no order is sent for it",
    "resume": "resumed; it trades again",
    "flatten": "target zero until it is resumed; bought back once nothing holds it",
}
_LOOKING = {
    "pause": "paused; no order is planned for it",
    "resume": "resumed; it plans again",
    "flatten": "target zero until it is resumed; that is planned, and in dry-run nothing is bought back",
}


@dataclass(frozen=True, slots=True)
class _Keeper:
    """A running keeper, as its config says where to find it."""

    bind: str
    token: str

    def get(self, path: str) -> dict[str, Any]:
        return asyncio.run(ask(self.bind, self.token, "GET", path))

    def post(self, path: str) -> dict[str, Any]:
        return asyncio.run(ask(self.bind, self.token, "POST", path))


def status(config_path: Path, as_json: bool) -> None:
    """Print where the running keeper stands: a picture, or the state document with ``as_json``.

    Raises :class:`KeeperError` where no keeper listens or where it refuses the token.
    """
    config = _load(config_path)
    state = _keeper(config, config_path).get("/api/v1/state")
    if as_json:
        print_json(state)
        return
    show(*_picture(state, _bands(config)))


def pause(config_path: Path, hedge: str | None) -> None:
    """Pause one hedge, or every one; in force when this returns. Raises as :func:`status`."""
    _tell(config_path, hedge, "pause")


def resume(config_path: Path, hedge: str | None) -> None:
    """Resume one hedge, or every one, and lift its halt. Raises as :func:`status`."""
    _tell(config_path, hedge, "resume")


def flatten(config_path: Path, hedge: str | None, confirmed: bool) -> None:
    """Cover one hedge, or every one, to zero, once somebody has said yes to it.

    Raises as :func:`status`, and :class:`ConfigError` where nobody can be asked and ``confirmed`` was not given.
    """
    from rich.prompt import Confirm

    what = f"hedge {hedge}" if hedge is not None else "every hedge"
    question = f"Buy back the whole short of {what}? The coins are unprotected then, until it is resumed."
    if not confirmed:
        if sys.stdin is None or not sys.stdin.isatty():  # None: a service, or a shell, that has closed it
            raise ConfigError("flatten buys back whole shorts and asks first; without a terminal, say so with --yes")
        try:
            agreed = Confirm.ask(question, default=False)
        except EOFError:
            agreed = False  # the terminal was closed, or Ctrl-D was pressed: nobody has said yes
        if not agreed:
            raise KeeperError("nothing was done")
    _tell(config_path, hedge, "flatten")


def _tell(config_path: Path, hedge: str | None, verb: Literal["pause", "resume", "flatten"]) -> None:
    from rich.text import Text

    config = _load(config_path)
    # The config's names and not those of the last cycle: a keeper that has completed none can be paused as well.
    names = [hedge] if hedge is not None else [item.name for item in config.hedges]
    # What no hedge can be called is wrong where no keeper runs, too.
    paths = {name: hedge_path(name, verb) for name in names}
    keeper = _keeper(config, config_path)
    done: list[str] = []
    refused: list[str] = []
    for name in names:
        try:
            keeper.post(paths[name])
        except NotThereError:
            if not done:
                raise  # it is about the keeper, and true of every hedge
            refused.append(f"{name}: the keeper does not answer any more")
        except KeeperError as error:
            if hedge is not None:
                raise
            refused.append(f"{name}: {error}")
        else:
            done.append(name)
    if refused:
        achieved = f"{verb}: done for {', '.join(done) or 'none'}; not for "
        raise KeeperError(achieved + "; ".join(refused))
    effect = (_LOOKING if config.mode is Mode.DRY_RUN else _TRADING)[verb]
    show(*(Text(f"{name}: {effect}") for name in done))


def _load(config_path: Path) -> Config:
    from keeper.config import load_config

    return load_config(config_path, os.environ, need_credentials=False)  # no venue is met here


def keeper_of(config_path: Path) -> _Keeper:
    """The running keeper of this configuration; raises :class:`KeeperError` where none has run."""
    return _keeper(_load(config_path), config_path)


def _keeper(config: Config, config_path: Path) -> _Keeper:
    path = token_path(config.token_file, config.journal.dsn, config_path.absolute().parent)
    return _Keeper(config.api.bind, _token(path, config.api.bind))


def _token(path: Path, bind: str) -> str:
    try:
        is_there = path.exists()
    except OSError:
        is_there = True  # or cannot be looked at, of which its reader tells
    if is_there:
        return read_token(path)
    # A keeper makes the file before it listens: without one, none has run here yet.
    raise KeeperError(
        f"no keeper of this config has run yet: there is no token file {path}, so nothing is asked on {bind}; "
        "start one with: keeper run -c FILE"
    )


def _bands(config: Config) -> Mapping[str, Band]:
    return {hedge.name: hedge.band.to_core() for hedge in config.hedges}


def _picture(state: Mapping[str, Any], bands: Mapping[str, Band]) -> Sequence[RenderableType]:
    from rich.text import Text

    last = state["last_cycle_at"] or "none yet"
    lines: list[RenderableType] = [
        Text(f"keeper {state['version']} · run {state['run']} since {state['started_at']}"),
        Text(f"{state['cycles']} cycles, the last one completed {last}"),
        render_plan(state, bands),
    ]
    for name, venue in state["venues"].items():
        text = "ok" if venue["ok"] else f"not ok: {venue['text']}"
        lines.append(Text(f"venue {name}: {text}", style="" if venue["ok"] else "red"))
    for name, counters in state["alerts"].items():
        if isinstance(counters, dict):
            told = ", ".join(f"{value} {key}" for key, value in counters.items() if value)
            lines.append(Text(f"alerts to {name}: {told or 'none'}", style="dim"))
    return lines


def show(*parts: RenderableType) -> None:
    """Print for people."""
    page = console()
    for part in parts:
        page.print(part)


def print_json(document: Mapping[str, Any]) -> None:
    """Print for programs."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
