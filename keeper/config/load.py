"""From file, environment and credential files to one frozen :class:`Config`, or to all that is wrong with them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import select
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from keeper.config import credentials, environment
from keeper.config.crosschecks import cross_check
from keeper.config.instruments import VENUE_NAME
from keeper.config.models import SECTIONS, Config, HedgeConfig, Mode, VenueConfig, mode_of
from keeper.config.problems import Problems
from keeper.config.redact import secrets_in
from keeper.config.section import Section
from keeper.config.values import SECRETS, kind_of, nearest, text
from keeper.core.orders import plain
from keeper.errors import ConfigError

_MAX_BYTES = 1024 * 1024
_PIPE_SECONDS = 10
_MAX_HEDGES = 200
_MAX_VENUES = 50
_WORD = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_WORD}(?:[ \t]*+\.[ \t]*+{_WORD}){{100}}")
"""The parser takes time by the square of the parts of a key, and nothing here is nested so deep."""
_S = TypeVar("_S", bound=Section)


def load_config(path: Path, environ: Mapping[str, str], *, need_credentials: bool = True) -> Config:
    """Read and check the configuration; raises :class:`ConfigError` that lists every problem found.

    Without ``need_credentials``, those that are missing are stood in for: for commands that meet no venue.
    """
    return parse_config(_read(path), str(path), path, environ, need_credentials=need_credentials)


def parse_config(
    content: str, file: str, path: Path, environ: Mapping[str, str], *, need_credentials: bool = True
) -> Config:
    """Check ``content`` as if it had been read from ``path``; ``file`` is what messages call it."""
    document = _toml(content, file)
    token = SECRETS.set(secrets_in(document, environ))
    try:
        return _checked(document, file, path, environ, need_credentials=need_credentials)
    finally:
        SECRETS.reset(token)


def _checked(
    document: dict[str, Any], file: str, path: Path, environ: Mapping[str, str], *, need_credentials: bool
) -> Config:
    problems = Problems(file, document)
    credentials.refuse_in_file(document, problems)
    warnings = environment.apply(environ, document, problems)
    missing = problems if need_credentials else Problems(file, document)
    warnings += credentials.resolve(document, path.absolute().parent, environ, missing)
    # Once more: keys have been read from files, and those that stood in the document are gone from it.
    SECRETS.set((*SECRETS.get(), *secrets_in(document, {})))

    _known_tables(document, problems)
    mode = _mode(document, problems)
    venue_names = _names(document, problems)
    venues = _venues(document, venue_names, problems)
    hedges = _hedges(document, problems)
    sections = {name: _section(model, document.get(name, {}), (name,), problems) for name, model in SECTIONS.items()}
    warnings += cross_check(mode, venue_names, venues, hedges, problems)
    problems.raise_if_any()

    config = Config.model_validate(
        {
            "mode": mode,
            "venues": venues,
            "hedges": tuple(hedge for _, hedge in hedges),
            **sections,
        }
    )
    config.remember(path.absolute(), tuple(warnings))
    return config


def config_digest(config: Config) -> str:
    """A SHA-256 in hexadecimal over all that decides what a keeper does; no credential, token or URL goes into it."""
    dump = config.model_dump(
        exclude={
            "venues": {
                "__all__": {
                    "api_key",
                    "api_secret",
                    "password",
                    "api_key_file",
                    "api_secret_file",
                    "password_file",
                    "ccxt",
                }
            },
            "journal": True,
            "alerts": {"urls"},
            "api": True,
            "log": True,
        }
    )
    for name, venue in config.venues.items():
        dump["venues"][name]["ccxt"] = {
            key: venue.ccxt[key] for key in ("urls", "options", "hostname") if key in venue.ccxt
        }
    return hashlib.sha256(json.dumps(dump, sort_keys=True, default=_plain_value).encode()).hexdigest()


def _plain_value(value: object) -> object:
    return plain(value) if isinstance(value, Decimal) else str(value)


def _read(path: Path) -> str:
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; write one with: keeper init {path}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a usable path"
        raise ConfigError(f"{path}: cannot be read ({why}); name a readable file with --config") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {_MAX_BYTES} bytes and cannot be a keeper configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8") from None


def read_bytes(path: Path) -> bytes:
    """The file, at most one byte more than is ever taken.

    It may be a pipe, ``-c <(decrypt keeper.toml)``. One that nobody writes to is not waited for: that would be a start
    that hangs and tells nobody why.
    """
    content = b""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while len(content) <= _MAX_BYTES:
            if not select.select([descriptor], [], [], _PIPE_SECONDS)[0]:
                raise TimeoutError(errno.ETIMEDOUT, f"nothing came out of it in {_PIPE_SECONDS} seconds")
            chunk = os.read(descriptor, _MAX_BYTES + 1 - len(content))
            if not chunk:
                break
            content += chunk
    finally:
        os.close(descriptor)
    return content


def _exact(digits: str) -> Decimal | str:
    """TOML floats exactly as written; one that no decimal can hold stays text and is refused where it is used."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return digits


def _toml(content: str, file: str) -> dict[str, Any]:
    if (key := _LONG_KEY.search(content)) is not None:
        line = content.count("\n", 0, key.start()) + 1
        raise ConfigError(f"{file}: line {line} holds a key of more than 100 parts; keys have a few, as in api.bind")
    try:
        return tomllib.loads(content, parse_float=_exact)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}; put text in quotes, one key = value a line") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{file}: is not valid TOML: a number is too long, or lists are nested too deep") from None


def _known_tables(document: Mapping[str, Any], problems: Problems) -> None:
    known = list(Config.model_fields)
    for key in document:
        if key not in known:
            problems.add((key,), f"is not a known key{nearest(key, known)}; known here: {', '.join(known)}")


def _mode(document: Mapping[str, Any], problems: Problems) -> Mode | None:
    if "mode" not in document:
        problems.add(("mode",), 'is missing; add mode = "dry-run", which looks and sends nothing')
        return None
    try:
        return mode_of(document["mode"])
    except ValueError as error:
        problems.add(("mode",), str(error))
        return None


def _names(document: Mapping[str, Any], problems: Problems) -> tuple[str, ...]:
    venues = document.get("venues", {})
    if not isinstance(venues, dict):
        problems.add(("venues",), f"must be tables such as [venues.main], and is {kind_of(venues)}")
        return ()
    if not venues:
        problems.add(("venues",), "is missing; add a table [venues.main] with the key exchange")
    if len(venues) > _MAX_VENUES:
        problems.add(("venues",), f"has more than {_MAX_VENUES} tables; split the work over several keepers")
        return ()
    folded: dict[str, str] = {}
    for name in venues:
        try:
            text(VENUE_NAME, "main")(name)
        except ValueError as error:
            problems.add(("venues", name), f"as a name {error}, of letters, digits, single dashes and underscores")
        other = folded.setdefault(name.lower().replace("-", "_"), name)
        if other != name:
            problems.add(
                ("venues", name),
                f"differs from venues.{other} by case or dashes alone, which the "
                "environment cannot tell apart; rename one",
            )
    return tuple(venues)


def _venues(document: Mapping[str, Any], names: tuple[str, ...], problems: Problems) -> dict[str, VenueConfig]:
    read = {name: _section(VenueConfig, document["venues"][name], ("venues", name), problems) for name in names}
    return {name: venue for name, venue in read.items() if venue is not None}


def _hedges(document: Mapping[str, Any], problems: Problems) -> list[tuple[int, HedgeConfig]]:
    tables = document.get("hedges", [])
    if not isinstance(tables, list):
        problems.add(("hedges",), f"must be tables headed [[hedges]], in double brackets, and is {kind_of(tables)}")
        return []
    if not tables:
        problems.add(
            ("hedges",), "is missing or empty; add a table [[hedges]] with name, asset, spot, instrument and ratio"
        )
    if len(tables) > _MAX_HEDGES:
        problems.add(("hedges",), f"has more than {_MAX_HEDGES} tables; split the work over several keepers")
        return []
    read = [(index, _section(HedgeConfig, table, ("hedges", index), problems)) for index, table in enumerate(tables)]
    return [(index, hedge) for index, hedge in read if hedge is not None]


def _section(model: type[_S], table: Any, path: tuple[str | int, ...], problems: Problems) -> _S | None:
    if not isinstance(table, dict):
        problems.add(path, f"must be a table, and is {kind_of(table)}")
        return None
    try:
        return model.model_validate(table)
    except ValidationError as error:
        problems.add_from(error, path, model)
        return None
