"""Overrides from the environment: ``KEEPER_A__B`` sets key B of table A.

Names are matched without regard to case, and a dash in a venue's or hedge's name is written as an underscore. A hedge
is found by its name or its place (``KEEPER_HEDGES__BTC__RATIO``, ``KEEPER_HEDGES__0__RATIO``). Lists and tables are
written as JSON. Variables without ``__`` belong to others (orchestrators set ``KEEPER_PORT`` for a service of that
name) and are left alone, ``KEEPER_MODE`` apart. An empty variable is one that is not set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from keeper.config.client_options import ALLOWED
from keeper.config.models import SECTIONS, HedgeConfig, VenueConfig
from keeper.config.problems import Path, Problems
from keeper.config.values import nearest

PREFIX = "KEEPER_"
DELIMITER = "__"
_MAX_PARTS = 16
_SHOWN_CHARACTERS = 120
CREDENTIALS = ("api_key", "api_secret", "password")


class _Overrides(BaseSettings):
    """The tables that variables may reach, with their values as text until the file's own models read them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=DELIMITER, env_ignore_empty=True)

    mode: str | None = None
    venues: dict[str, Any] = {}
    hedges: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    loop: dict[str, Any] = {}
    safety: dict[str, Any] = {}
    margin: dict[str, Any] = {}
    journal: dict[str, Any] = {}
    api: dict[str, Any] = {}
    alerts: dict[str, Any] = {}
    log: dict[str, Any] = {}


class _Source(EnvSettingsSource):
    """Reads the mapping that it is given, never the process's own environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(_Overrides)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:  # noqa: ARG002  # its signature
        """Nothing is decoded here: the library would make floats of prices, and numbers of keys."""
        raise ValueError("kept as text")


def _decoded(key: str, value: Any) -> Any:
    """JSON only where it is a list, a table or a truth value: "0.10" and an all-digits key stay text."""
    if key in CREDENTIALS or not isinstance(value, str):
        return value
    if value.lstrip()[:1] not in ("[", "{") and value not in ("true", "false"):
        return value
    try:
        return json.loads(value, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        # Left as text, which the key's own check then refuses with its own sentence.
        return value


def apply(environ: Mapping[str, str], document: dict[str, Any], problems: Problems) -> tuple[str, ...]:
    """Write the overrides into ``document``; the variable behind each goes into ``problems.origins``.

    Returns what is worth a warning: variables for venues that the file does not have.
    """
    ours = _without_conflicts(environ, problems)
    for name in ours:
        head = name.upper().removeprefix(PREFIX).split(DELIMITER)[0].lower()
        if DELIMITER in name and head not in _Overrides.model_fields:
            problems.add(
                (),
                f"environment variable {name} names no table{nearest(head, _Overrides.model_fields)}; "
                f"tables are {', '.join(_Overrides.model_fields)}",
            )
    overrides = {key: value for key, value in _Source(ours)().items() if value}
    warnings: list[str] = []
    for table, value in overrides.items():
        merge = _Merge(problems, warnings)
        merge.into(document, table, value, (), f"{PREFIX}{table.upper()}", _models(table))
    return tuple(warnings)


def _without_conflicts(environ: Mapping[str, str], problems: Problems) -> dict[str, str]:
    """Our variables, without those that set both a table as a whole and a key in it."""
    ours = {
        name: value
        for name, value in environ.items()
        if name.upper().startswith(PREFIX) and value and (DELIMITER in name or name.upper() == f"{PREFIX}MODE")
    }
    names = {name.upper() for name in ours}
    for name in sorted(ours):
        parts = name.upper().split(DELIMITER)
        whole = [DELIMITER.join(parts[:n]) for n in range(1, min(len(parts), _MAX_PARTS))]
        clash = [other for other in whole if other in names]
        if (why := _fault(parts, clash)) is not None:
            problems.add((), f"environment variable {name[:_SHOWN_CHARACTERS]} {why}")
            del ours[name]
    return ours


def _fault(parts: Sequence[str], clash: Sequence[str]) -> str | None:
    if clash:
        return f"contradicts {clash[0]}; keep one of them"
    if "" in parts[1:]:
        return "has an empty part; write KEEPER_TABLE__KEY"
    if len(parts) > _MAX_PARTS:
        return f"has {len(parts)} parts, and no key is nested so deep; write KEEPER_TABLE__KEY"
    return None


def _models(table: str) -> type[BaseModel] | None:
    named: dict[str, type[BaseModel]] = {"venues": VenueConfig, "hedges": HedgeConfig}
    return named.get(table) or SECTIONS.get(table)


class _Merge:
    """Walks a nested override and the document side by side."""

    def __init__(self, problems: Problems, warnings: list[str]) -> None:
        self._problems = problems
        self._warnings = warnings

    def into(
        self, target: dict[str, Any], key: str, value: Any, path: Path, variable: str, model: type[BaseModel] | None
    ) -> None:
        """Set ``target[key]`` to ``value``, which came from ``variable``, descending where it is a table."""
        here = (*path, key)
        value = _decoded(key, value)
        if here in (("venues",), ("hedges",)):
            self._named(target, key, value, model)
        elif isinstance(value, dict) and isinstance(target.get(key, {}), dict):
            table = dict(target.get(key, {}))
            target[key] = table
            for name, entry in value.items():
                below = f"{variable}{DELIMITER}{name.upper()}"
                self.into(table, self._spelling(name, here, table, model), entry, here, below, model)
        else:
            target[key] = value
            self._problems.origins[here] = variable

    def _named(self, target: dict[str, Any], table: str, value: Any, model: type[BaseModel] | None) -> None:
        """Venues are a table of tables, hedges a list of tables with names."""
        existing = target.get(table)
        if existing is None and isinstance(value, dict):
            return  # the missing table is the one problem to report
        if not isinstance(value, dict) or not isinstance(existing, dict | list):
            variable = f"{PREFIX}{table.upper()}"
            self._problems.add(
                (),
                f"environment variable {variable}… does not fit the {table} of the file; "
                f"set single keys, as {variable}{DELIMITER}NAME{DELIMITER}KEY",
            )
            return
        entries: dict[str | int, Any] = {}
        names: dict[str, str | int] = {}
        if isinstance(existing, dict):
            entries = {name: entry for name, entry in existing.items() if isinstance(entry, dict)}
            names = {_folded(name): name for name in existing}
        else:
            for index, entry in enumerate(existing):
                if isinstance(entry, dict):
                    entries[index] = entry
                    names[str(index)] = names[_folded(str(entry.get("name")))] = index
        for given, keys in value.items():
            found = names.get(_folded(given))
            variable = f"{PREFIX}{table.upper()}{DELIMITER}{given.upper()}"
            if found is None or found not in entries or not isinstance(keys, dict):
                known = [str(name) for name in names]
                self._warnings.append(
                    f"environment variable {variable}{DELIMITER}… is not used: the file has no "
                    f"{table.removesuffix('s')} of that name{nearest(given, known)}"
                )
                continue
            for key, entry in keys.items():
                path: Path = (table, found)
                spelled = self._spelling(key, path, entries[found], model)
                self.into(entries[found], spelled, entry, path, f"{variable}{DELIMITER}{key.upper()}", model)

    @staticmethod
    def _spelling(name: str, path: Path, table: Mapping[str, Any], model: type[BaseModel] | None) -> str:
        """The key as the file would write it: variables have no lower case."""
        known = list(table)
        if path[-1] == "ccxt":
            known += ALLOWED
        elif model is not None:
            known += model.model_fields
        return next((candidate for candidate in known if _folded(str(candidate)) == _folded(name)), name)


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
