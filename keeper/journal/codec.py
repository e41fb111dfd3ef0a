"""Core types to JSON and back, without loss.

Decimals travel as strings, so that money never passes through a float. The declared type of each field drives both
directions and is checked in both: a float where a Decimal belongs, or a key that no field has, is an error rather than
a guess. A field that is missing in old text takes its default.

Mappings with text keys become objects, other mappings become lists of pairs; members of a union of dataclasses are
told apart by their class name under ``"is"``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache, partial
from typing import Any, NewType, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from keeper.journal.base import JournalError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Encoder: TypeAlias = Callable[[Any], Json]
T = TypeVar("T")

_TAG = "is"


class CodecError(JournalError):
    """A value does not fit its declared type, or a text in the journal does not fit the type it is read as."""


class ContentError(CodecError):
    """What stands in the journal is not what keeper wrote: it is damaged, or another version's."""


def dumps(kind: type[T], value: T) -> str:
    """The JSON text of ``value``, an instance of the dataclass ``kind``; raises :class:`CodecError`."""
    return json.dumps(encode(kind, value), separators=(",", ":"), allow_nan=False)


def loads(kind: type[T], text: str) -> T:
    """The value whose JSON text this is; raises :class:`ContentError`."""
    try:
        data: Json = json.loads(text)
    except (ValueError, RecursionError, TypeError) as error:
        raise ContentError(f"{_name(kind)}: this is not JSON: {error}") from error
    try:
        decoded: T = decode(kind, data)
    except (CodecError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # A core type refuses figures that it cannot have, each in its own way.
        raise ContentError(str(error) or type(error).__name__) from error
    return decoded


def encode(kind: Any, value: Any) -> Json:
    """``value`` as JSON data, checked against the declared type ``kind``; raises :class:`CodecError`."""
    return _encoder(kind)(value)


@cache
def _encoder(kind: Any) -> Encoder:
    """What encodes values of ``kind``; its shape is looked at once."""
    kind = _plain(kind)
    if _is_union(kind):
        return partial(_encode_union, kind)
    if _is_dataclass(kind):
        return partial(_encode_dataclass, kind)
    origin = get_origin(kind)
    if origin is tuple:
        return partial(_encode_tuple, kind)
    if origin is Mapping:
        return partial(_encode_mapping, kind, *get_args(kind))
    return partial(_encode_scalar, kind)


@cache
def _field_encoders(kind: Any) -> tuple[tuple[str, Encoder], ...]:
    return tuple((name, _encoder(hint)) for name, hint in _fields(kind).items())


def decode(kind: Any, data: Json) -> Any:
    """The value of type ``kind`` that ``data`` stands for; raises :class:`CodecError`."""
    kind = _plain(kind)
    if _is_union(kind):
        return _decode_union(kind, data)
    if _is_dataclass(kind):
        return _decode_dataclass(kind, data)
    origin = get_origin(kind)
    if origin is tuple:
        if not isinstance(data, list):
            raise _misfit(kind, data)
        return tuple(decode(hint, item) for hint, item in zip(_item_kinds(kind, len(data)), data, strict=True))
    if origin is Mapping:
        return _decode_mapping(kind, data)
    return _decode_scalar(kind, data)


def _encode_dataclass(kind: Any, value: Any) -> Json:
    _expect(isinstance(value, kind), kind, value)
    return {name: encoder(getattr(value, name)) for name, encoder in _field_encoders(kind)}


def _encode_tuple(kind: Any, value: Any) -> Json:
    _expect(isinstance(value, tuple), kind, value)
    return [_encoder(hint)(item) for hint, item in zip(_item_kinds(kind, len(value)), value, strict=True)]


def _encode_mapping(kind: Any, key_kind: Any, item_kind: Any, value: Any) -> Json:
    _expect(isinstance(value, Mapping), kind, value)
    key_encoder, item_encoder = _encoder(key_kind), _encoder(item_kind)
    if key_kind is str:
        return {key: item_encoder(item) for key, item in value.items()}
    return [[key_encoder(key), item_encoder(item)] for key, item in value.items()]


def _encode_union(kind: Any, value: Any) -> Json:
    members = _members(kind)
    if value is None:
        _expect(type(None) in get_args(kind), kind, value)
        return None
    if len(members) == 1:
        return _encoder(members[0])(value)
    for member in members:
        if type(value) is member:
            encoded = encode(member, value)
            assert isinstance(encoded, dict)  # noqa: S101  a bug of this module alone: union members are dataclasses
            return {_TAG: member.__name__, **encoded}
    raise _misfit(kind, value)


def _decode_union(kind: Any, data: Json) -> Any:
    if data is None:
        _expect(type(None) in get_args(kind), kind, data)
        return None
    members = _members(kind)
    if len(members) == 1:
        return decode(members[0], data)
    if isinstance(data, dict):
        for member in members:
            if data.get(_TAG) == member.__name__:
                return decode(member, {key: item for key, item in data.items() if key != _TAG})
    raise _misfit(kind, data)


def _decode_dataclass(kind: Any, data: Json) -> Any:
    if not isinstance(data, dict):
        raise _misfit(kind, data)
    hints = _fields(kind)
    strange = sorted(data.keys() - hints.keys())
    if strange:
        raise CodecError(f"{_name(kind)} has no field {', '.join(strange)}: another version of keeper wrote this")
    try:
        return kind(**{name: decode(hints[name], item) for name, item in data.items()})
    except TypeError as error:
        raise CodecError(f"{_name(kind)}: {error}") from error


def _decode_mapping(kind: Any, data: Json) -> Any:
    key_kind, item_kind = get_args(kind)
    if key_kind is str and isinstance(data, dict):
        return {key: decode(item_kind, item) for key, item in data.items()}
    if key_kind is not str and isinstance(data, list):
        pairs = [pair for pair in data if isinstance(pair, list) and len(pair) == 2]
        _expect(len(pairs) == len(data), kind, data)
        return {decode(key_kind, key): decode(item_kind, item) for key, item in pairs}
    raise _misfit(kind, data)


def _encode_scalar(kind: Any, value: Any) -> Json:
    if kind is Decimal:
        if not (isinstance(value, Decimal) and value.is_finite()):
            raise _misfit(kind, value)
        return str(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        _expect(isinstance(value, kind), kind, value)
        return str(value.value)
    if kind is float:
        _expect(type(value) in (int, float) and math.isfinite(value), kind, value)
        return float(value)
    # type() and not isinstance(): True is an int to Python, and must not become one here.
    _expect(kind in (bool, int, str) and (type(value) is kind or (kind is str and isinstance(value, str))), kind, value)
    scalar: Json = str(value) if kind is str else value
    return scalar


def _decode_scalar(kind: Any, data: Json) -> Any:
    if kind is Decimal:
        _expect(isinstance(data, str), kind, data)
        try:
            value = Decimal(str(data))
        except InvalidOperation as error:
            raise _misfit(kind, data) from error
        _expect(value.is_finite(), kind, data)
        return value
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError as error:
            raise _misfit(kind, data) from error
    if kind is float:
        _expect(type(data) in (int, float), kind, data)
        return float(data)  # type: ignore[arg-type]
    _expect(type(data) is kind, kind, data)
    return data


def _plain(kind: Any) -> Any:
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    return kind


def _is_dataclass(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


@cache
def _members(kind: Any) -> tuple[Any, ...]:
    return tuple(member for member in get_args(kind) if member is not type(None))


def _item_kinds(kind: Any, length: int) -> list[Any]:
    hints = get_args(kind)
    if len(hints) == 2 and hints[1] is Ellipsis:
        return [hints[0]] * length
    if len(hints) != length:
        raise CodecError(f"{_name(kind)}: {length} items where {len(hints)} belong")
    return list(hints)


@cache
def _fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)


def _misfit(kind: Any, value: Any) -> CodecError:
    return CodecError(f"{value!r:.200} is not a {_name(kind)}")


def _expect(fits: bool, kind: Any, value: Any) -> None:
    if not fits:
        raise _misfit(kind, value)
