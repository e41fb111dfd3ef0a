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


def _quoted(name: str) -> str:
    """A name as a shell takes it, whatever bytes are in it."""
    if name.isprintable():
        return shlex.quote(name)
    shown = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(name)
    )
    return f"$'{shown}'"


def init(path: Path, force: bool) -> None:
    """Write the template to ``path``, readable by its owner alone; raises :class:`ConfigError`."""
    try:
        if path.is_dir():
            path = path / "keeper.toml"
        if path.exists() and not force:
            raise ConfigError(f"{path}: exists already; name another file, or overwrite it with --force")
        if path.exists() and not path.is_file():
            # Nobody may ever read what is written into a pipe, and opening it would wait for somebody who does.
            raise ConfigError(f"{path}: is a pipe or a device; name a file in your own directory")
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
        descriptor = os.open(path, flags, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, _OWNER_ONLY)
            stream.write(template())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); name a file in your own directory") from None
    config = "" if path == Path("keeper.toml") else f" -c {_quoted(str(path))}"
    sys.stdout.write(
        f'Wrote {path}. It looks and sends nothing (mode = "dry-run") until you change it.\n\n'
        "Next:\n"
        f"  1. edit {path}: your exchange, your coins, the contract and the ratio\n"
        "  2. export KEEPER_VENUES__MAIN__API_KEY=…  KEEPER_VENUES__MAIN__API_SECRET=…\n"
        f"  3. keeper check{config} --connect    is everything there?\n"
        f"  4. keeper plan{config}               one look: what would be traded now\n"
        f"  5. keeper run{config}                keep watching\n"
    )
