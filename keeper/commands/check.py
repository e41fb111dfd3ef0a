"""``keeper check``: is the configuration right, what is in force, and with ``--connect``, do the venues agree?"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.text import Text

from keeper.commands.loading import check_journal, load_for_venues
from keeper.config import BandConfig, Config, Mode
from keeper.config.client_options import endpoints
from keeper.config.credentials import STAND_IN
from keeper.config.execution import ExecutionConfig
from keeper.config.margin import DistanceConfig, MarginConfig
from keeper.config.problems import is_credential
from keeper.config.traps import traps
from keeper.config.values import nearest
from keeper.core.model import HedgeMemory
from keeper.core.orders import plain
from keeper.core.rehearsal import in_earnest
from keeper.errors import ConfigError
from keeper.journal.base import JournalError
from keeper.journal.reader import JournalReader
from keeper.logs import MASK, redact
from keeper.preflight import Finding
from keeper.rally import by_its_kind

_WORDS = {True: ("ok", "green"), None: ("warn", "yellow"), False: ("fail", "bold red")}
_UNSAFE = 4
_ADDRESSES_SHOWN = 4


def check(config_path: Path, connect: bool) -> int:
    """Print what was found and what is in force; returns the exit code. Raises :class:`ConfigError` for bad config."""
    config = load_for_venues(config_path)
    check_journal(config)
    check_alerts(config)
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    counts = f"{len(config.venues)} venue(s), {len(config.hedges)} hedge(s)"
    console.print(Text(f"{config.path}: mode {config.mode}, {counts}"))
    _print(console, [*static_findings(config), *asyncio.run(told_by_journal(config))])
    console.print(Text("\nIn force (defaults are marked):"))
    for key, value, is_default in in_force(config):
        mark, style = ("   (default)", "dim") if is_default else ("", "")
        console.print(Text(f"  {key} = {value}{mark}", style=style))
    if not connect:
        console.print(Text("\nNo venue was asked; add --connect to check credentials, permissions and symbols."))
        return 0
    from keeper.look import check_connect

    console.print(Text("\nVenues:"))
    connected = asyncio.run(check_connect(config))
    _print(console, connected)
    failed = sum(1 for finding in connected if finding.ok is False)
    if failed:
        console.print(
            Text(f"\nNot ready: {failed} of these {len(connected)} would keep orders from being sent.", style="red")
        )
        return _UNSAFE
    console.print(Text("\nReady: look with keeper plan, then start with keeper run.", style="green"))
    return 0


def check_alerts(config: Config) -> None:
    """Judge every alert URL without sending anything; raises :class:`ConfigError` that repeats no URL."""
    if not config.alerts.urls:
        return
    import apprise

    from keeper.alerts.channels import AppriseChannel, channel_for

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it writes the URL, and so the token, when it refuses one
    for place, url in enumerate(config.alerts.urls):
        text = url.get_secret_value()
        channel = channel_for(text)
        if isinstance(channel, AppriseChannel) and not apprise.Apprise().add(text):
            scheme = channel.name.removesuffix("://")
            hint = "" if scheme in (known := _services(apprise)) else nearest(scheme, known)
            raise ConfigError(
                f"{config.path}: alerts.urls[{place}]: begins with {channel.name} and is no URL that apprise "
                f"understands{hint}; its documentation lists how each service is written"
            )


def _services(apprise: Any) -> set[str]:
    """The schemes of every service that apprise knows."""
    found: set[str] = set()
    for service in apprise.Apprise().details()["schemas"]:
        for group in ("protocols", "secure_protocols"):
            found.update(service[group] or ())
    return found


def static_findings(config: Config) -> Iterator[Finding]:
    """What can be said without asking a venue."""
    yield Finding("config", True, "complete and consistent")
    for text in config.warnings:
        yield Finding("config", None, text)
    if config.limits.max_short_notional is None:
        yield Finding("limits.max_short_notional", None, "is not set: shorts are limited by the holdings alone")
    if not config.alerts.urls:
        yield Finding("alerts.urls", None, "is empty: nobody is told when a hedge halts")
    for hedge in config.hedges:
        unset = [key for key in ("leverage", "margin_mode") if getattr(hedge, key) is None]
        if unset:
            what = f"{' and '.join(unset)} not given: the venue's own setting is left as it is"
            yield Finding(f"hedges.{hedge.name}", True, what)
        yield Finding(f"hedges.{hedge.name}", True if hedge.looks_coin_margined else None, by_its_kind(hedge))
    for key, text in traps(config):
        yield Finding(key, None, text)


async def told_by_journal(config: Config) -> list[Finding]:
    """What stands before the file: targets that an operator has set, and what a paper account has begun with.

    A journal that is not there yet tells nothing. A journal that cannot be read is told, and ends nothing.
    """
    try:
        async with await JournalReader.open(config.journal_url) as reader:
            memories = await reader.memories() if reader.exists else {}
            found = await _begun_otherwise(config, reader) if config.mode is Mode.PAPER else []
    except JournalError as error:
        return [Finding("journal", None, f"cannot be read, so targets set with keeper target are not known: {error}")]
    for hedge in config.hedges:
        memory = memories.get(hedge.name, HedgeMemory())
        # What was tried out in dry-run does not stand in a mode that trades.
        course = (in_earnest(memory) if config.mode is not Mode.DRY_RUN else memory).course
        if course is not None and course.by_operator:
            text = f"{course.goal} was set with keeper target; the file's {hedge.target} does not count until"
            found.append(Finding(f"hedges.{hedge.name}", None, f"{text}: keeper target {hedge.name} --configured"))
    return found


async def _begun_otherwise(config: Config, reader: JournalReader) -> list[Finding]:
    """Paper accounts whose beginning is not the one that the file states now."""
    from keeper.papering import KIND, changed_since, file_for

    found = []
    for name in config.venues:
        # Where the account's file was moved aside, it begins anew with what the file of today says.
        events = await reader.events(KIND, name) if file_for(config, name).exists() else ()
        text = changed_since(config, name, events[-1].detail) if events else None
        found += [] if text is None else [Finding(f"venues.{name}.paper", None, text)]
    return found


def in_force(config: Config) -> Iterator[tuple[str, str, bool]]:
    """Every key with its value as it is used, and whether that is the default; secrets are masked."""
    yield "mode", config.mode.value, False
    for name, venue in config.venues.items():
        yield from _keys(f"venues.{name}", venue)
    for hedge in config.hedges:
        yield from _keys(f"hedges.{hedge.name}", hedge)
    for section in ("limits", "loop", "safety", "margin", "journal", "api", "alerts", "log"):
        yield from _keys(section, getattr(config, section))


def _keys(prefix: str, section: BaseModel) -> Iterator[tuple[str, str, bool]]:
    for name in section.in_use if isinstance(section, ExecutionConfig) else type(section).model_fields:
        value = getattr(section, name)
        if isinstance(section, BandConfig) and name == "warn":
            value = section.warning  # what is in force where it was left out
        if name == "roll" and not getattr(section, "looks_dated", True) and name not in section.model_fields_set:
            continue  # a contract that does not expire is not rolled: ten lines about nothing
        if isinstance(value, BaseModel):
            yield from _keys(f"{prefix}.{name}", value)
        elif name != "name" and not (name == "asset" and "assets" in type(section).model_fields):
            # A name of a credential file is not repeated: people paste the credential there.
            twin = name.removesuffix("_file")
            pasted = name == "token_file" or (twin != name and is_credential(type(section), twin))
            text = "set" if pasted and value is not None else _shown(_short(value) if name == "ccxt" else value)
            if value is None and isinstance(section, MarginConfig | DistanceConfig):
                text = "off"
            given = name in section.model_fields_set or (name == "assets" and "asset" in section.model_fields_set)
            yield f"{prefix}.{name}", redact(text), not given


def _short(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The client's table with its addresses told by their hosts: there may be forty of them on one."""
    every = list(endpoints(table))
    if len(every) < _ADDRESSES_SHOWN:
        return table
    hosts = ", ".join(dict.fromkeys(urlsplit(url).netloc.rpartition("@")[2] for url in every))
    return {**table, "urls": f"{len(every)} addresses on {hosts}"}


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, SecretStr):
        plain_text = value.get_secret_value()
        if plain_text == STAND_IN:
            return "not set"  # a paper account of figures needs no key
        return plain_text if plain_text.startswith("sqlite") else MASK
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_shown(entry)}" for key, entry in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_shown(entry) for entry in value) + "]"
    return str(value)


def _print(console: Console, findings: Sequence[Finding]) -> None:
    for finding in findings:
        word, style = _WORDS[finding.ok]
        console.print(Text.assemble((f"  {word:<5}", style), redact(f"{finding.subject}: {finding.text}")))
