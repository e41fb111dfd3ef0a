"""``keeper init``: write a commented configuration to start from."""

from __future__ import annotations

import os
import shlex
import sys
from importlib.resources import files
from pathlib import Path

from keeper.errors import ConfigError

_OWNER_ONLY = 0o600


def template() -> str:
    """The text that ``keeper init`` writes."""
    return files("keeper").joinpath("templates/init.toml").read_text(encoding="utf-8")


def init(path: Path, force: bool) -> None:
    """Write the template to ``path``, readable by its owner alone; raises :class:`ConfigError`."""
    if path.is_dir():
        path = path / "keeper.toml"
    if path.exists() and not force:
        raise ConfigError(f"{path}: exists already; name another file, or overwrite it with --force")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
        descriptor = os.open(path, flags, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, _OWNER_ONLY)
            stream.write(template())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); name a file in your own directory") from None
    config = "" if path == Path("keeper.toml") else f" -c {shlex.quote(str(path))}"
    sys.stdout.write(
        f'Wrote {path}. It looks and sends nothing (mode = "dry-run") until you change it.\n\n'
        "Next:\n"
        f"  1. edit {path}: your exchange, your coins, the contract and the ratio\n"
        "  2. export KEEPER_VENUES__MAIN__API_KEY=…  KEEPER_VENUES__MAIN__API_SECRET=…\n"
        f"  3. keeper check{config} --connect    is everything there?\n"
        f"  4. keeper plan{config}               one look: what would be traded now\n"
        f"  5. keeper run{config}                keep watching\n"
    )
