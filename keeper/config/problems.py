"""Everything that is wrong with a configuration, told at once: file, key, what is wrong, and the remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from keeper.config.values import MASK, SECRETS, SeveralError, kind_of, nearest, shortened
from keeper.errors import ConfigError
from keeper.secrecy import masked

Path = tuple[str | int, ...]
_MAX_SHOWN = 50
_PART_CHARACTERS = 64
_NAME_CHARACTERS = 40
_SHAPES = {
    "string_type": "must be text in quotes",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}


def dotted(path: Path) -> str:
    """``hedges[0].band.act``; a part that is not a bare TOML key is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.replace("-", "").replace("_", "").isalnum() and part.isascii()
            text += ("." if text else "") + (part if bare and len(part) <= _PART_CHARACTERS else _quoted(part))
    return text


def _quoted(part: str) -> str:
    """As TOML would write it: what cannot be seen, or would move a terminal's cursor, is spelt out."""
    cut = shortened(part, _PART_CHARACTERS)
    return json.dumps(cut, ensure_ascii=False) if cut.isprintable() else json.dumps(cut)


@dataclass(slots=True)
class Problems:
    """Collects problems of one document; ``origins`` names the environment variable that set a key."""

    file: str
    document: Mapping[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    def add(self, path: Path, text: str) -> None:
        """Note what is wrong at ``path``."""
        line = f"{self._where(path)}: {text}" if path else f"{self.file}: {text}"
        if line not in self.found:
            self.found.append(line)

    def add_from(self, error: ValidationError, prefix: Path, model: type[BaseModel]) -> None:
        """Note what pydantic found below ``prefix``. Its own messages, which may quote the input, are not used."""
        for detail in error.errors(include_url=False, include_input=False):
            path = prefix + tuple(detail["loc"])
            value = self._value(path)
            match detail["type"]:
                case "extra_forbidden":
                    known = _fields_at(model, tuple(detail["loc"][:-1]))
                    name = str(path[-1])
                    self.add(path, f"is not a known key{nearest(name, known)}; known here: {', '.join(known)}")
                case "missing":
                    self.add(path, f"is missing; add it, config.example.toml shows how{_unless(value)}")
                case "value_error":
                    error_here = detail["ctx"]["error"]
                    several = error_here.problems if isinstance(error_here, SeveralError) else (((), str(error_here)),)
                    for below, text in several:
                        self.add(path + below, text)
                case code:
                    expected = _SHAPES.get(code, "has the wrong form")
                    self.add(path, f"{expected}, and is {kind_of(value)}")

    def raise_if_any(self) -> None:
        """Raise a :class:`ConfigError` that lists everything noted so far, if anything was."""
        if not self.found:
            return
        count, told = len(self.found), [self._told(line) for line in self.found[:_MAX_SHOWN]]
        if count == 1:
            raise ConfigError(told[0])
        lines = [f"  - {line}" for line in told]
        if count > _MAX_SHOWN:
            lines.append(f"  … and {count - _MAX_SHOWN} more")
        raise ConfigError("\n".join([f"{self.file} has {count} problems:", *lines]))

    def _told(self, line: str) -> str:
        """A line without secrets: a key that stands under another name too would be quoted there as a wrong value."""
        # The file's own name stays, whatever a password may be: without it nobody knows where to look.
        file = self.file if line.startswith(self.file) else ""
        return file + masked(line.removeprefix(file), SECRETS.get(), MASK)

    def _where(self, path: Path) -> str:
        name = self._hedge_name(path)
        key = dotted(path) + (f' (hedge "{name}")' if name else "")
        origin = next((self.origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.origins), None)
        return f"environment variable {origin}, for {key}" if origin else f"{self.file}: {key}"

    def _hedge_name(self, path: Path) -> str | None:
        if len(path) < 2 or path[0] != "hedges":
            return None
        name = self._value((*path[:2], "name"))
        return shortened(name, _NAME_CHARACTERS) if isinstance(name, str) and name.isprintable() else None

    def _value(self, path: Path) -> Any:
        value: Any = self.document
        for part in path:
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int):
                value = value[part] if part < len(value) else None
            else:
                return None
        return value


def _unless(value: Any) -> str:
    return "" if value is None else " (it is written in the wrong table)"


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _fields_at(model: type[BaseModel], path: Path) -> list[str]:
    """The names of the keys that ``model`` takes at ``path``, following nested models."""
    for part in path:
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        nested = [each for each in (annotation, *get_args(annotation)) if _is_model(each)]  # a table may be optional
        if not nested:
            return []
        model = nested[0]
    return [name for name in model.model_fields if not is_credential(model, name)]


def is_credential(model: type[BaseModel], name: str) -> bool:
    """Whether a field is a secret with a _file twin: the configuration names its file and never holds it."""
    return (
        f"{name}_file" in model.model_fields
        and name in model.model_fields
        and ("SecretStr" in str(model.model_fields[name].annotation))
    )
