"""How every command gets its configuration: read, its exchanges known, its secrets hidden, the logs set up."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from keeper import logs
from keeper.config import Config, load_config, secrets
from keeper.errors import ConfigError, told_together

ExchangeCheck = Callable[[str], None]
"""Raises :class:`ConfigError` when there is no exchange of that id."""


def load(
    path: Path,
    environ: Mapping[str, str] | None = None,
    *,
    need_credentials: bool = True,
    exchange_check: ExchangeCheck | None = None,
) -> Config:
    """The configuration at ``path``, with logging as it says; raises :class:`ConfigError`.

    Commands that only talk to a running keeper, or read its journal, pass ``need_credentials=False``.
    ``exchange_check`` is the venue layer's; it is left out where nothing is asked of a venue, because it loads the
    exchange library.
    """
    config = load_config(path, os.environ if environ is None else environ, need_credentials=need_credentials)
    logs.configure(config.log.level, config.log.format, secrets(config))
    if exchange_check is not None:
        check_exchanges(config, exchange_check)
    return config


def load_for_venues(path: Path) -> Config:
    """The configuration for a command that will meet the venues: their ids are checked too."""
    from keeper.venue.client import check_exchange

    return load(path, exchange_check=check_exchange)


def check_journal(config: Config) -> None:
    """Judge ``journal.url`` as far as this machine can tell; raises :class:`ConfigError` with file and key."""
    from keeper.journal.url import file_of

    where = f"{config.path}: journal.url"
    try:
        path = file_of(config.journal_url)
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).removeprefix('[journal] url: ')}") from None
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f'{where}: {path} is a directory; name the file, as in "sqlite:///{path}/keeper.db"')
    if not path.parent.is_dir():
        raise ConfigError(f"{where}: the directory {path.parent} does not exist; create it first")


def check_exchanges(config: Config, exchange_check: ExchangeCheck) -> None:
    """Judge every ``exchange``; raises :class:`ConfigError` with file and key of each that is not known."""
    problems: list[str] = []
    for name, venue in config.venues.items():
        try:
            exchange_check(venue.exchange)
        except ConfigError as error:
            problems.append(f"{config.path}: venues.{name}.exchange: {error}")
    if problems:
        raise ConfigError(told_together(problems, str(config.path)))
