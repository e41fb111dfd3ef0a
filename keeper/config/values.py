"""Turning what stands in a file into exact values, with sentences that say what is wrong and what would be right.

Every function here raises :class:`ValueError` with a complete sentence; the loader adds file and key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any

from keeper.core.orders import plain
from keeper.secrecy import masked

_NUMBER = re.compile(r"[+-]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
MAX_DIGITS_BEFORE_POINT = 18
MAX_DIGITS_AFTER_POINT = 24
_SHOWN_CHARACTERS = 40
_SHOWN_BITS = 4096
_LOOKED_AT_CHARACTERS = 16_384
MASK = "***"
SECRETS: ContextVar[tuple[str, ...]] = ContextVar("keeper_config_secrets", default=())
"""What is known to be secret while a configuration is read: a person may have put it where it does not belong too."""
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,40})://(?P<rest>\S*)")
_PLAIN_SCHEMES = frozenset({"http", "https", "ws", "wss"})


class SeveralError(ValueError):
    """Several things wrong below one key, each with the path from there."""

    def __init__(self, problems: Iterable[tuple[tuple[str | int, ...], str]]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("; ".join(text for _, text in self.problems))


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean "x"?)`` when a known name is close to ``name``, else nothing; case does not matter."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return f' (did you mean "{by_fold[found[0]]}"?)' if found else ""


def kind_of(value: object) -> str:
    """What a value from a TOML file is, in a person's words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float | Decimal):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    return "nothing" if value is None else "a date or time"


def shown(value: object) -> str:
    """A value as it may be repeated in a message: short, on one line, with nothing secret in it."""
    # Python writes no decimal digits of a number of thousands of them, as TOML takes in hexadecimal.
    is_vast = isinstance(value, int) and value.bit_length() > _SHOWN_BITS
    text = f"{value:#x}" if is_vast else str(value)
    text = shortened(text, _SHOWN_CHARACTERS)
    return repr(text) if isinstance(value, str) else text


def shortened(text: str, most: int) -> str:
    """At most so much of a text as it may be repeated: what is secret in it goes first, because half of a secret is
    not known for one.
    """
    text = masked(_ADDRESS.sub(_host_alone, text[:_LOOKED_AT_CHARACTERS]), SECRETS.get(), MASK)
    return text if len(text) <= most else text[: most - 1] + "…"


def _host_alone(address: re.Match[str]) -> str:
    """An address as it may be repeated: a plain one of a host; of any other, which may hold a token, its scheme."""
    scheme, rest = address["scheme"], address["rest"]
    is_plain = scheme.lower() in _PLAIN_SCHEMES and re.fullmatch(r"(\[[0-9A-Fa-f:]*\]|[A-Za-z0-9.-]*)(:\d*)?/?", rest)
    return address[0] if is_plain else f"{scheme}://{MASK}"


def decimal_of(value: object) -> Decimal:
    """A TOML number, or a number in quotes, exactly; neither NaN, infinite, true/false nor beyond our digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f'must be a number, such as "0.25", and is {kind_of(value)}')
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS_BEFORE_POINT:
        raise ValueError(f"is {shown(value)}, which is too large to be meant")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        if re.fullmatch(r"[+-]?\d+,\d+", text, re.ASCII):
            raise ValueError(f'is {shown(value)}; write a decimal point, "{text.replace(",", ".")}"')
        if re.fullmatch(r"\d{1,6}(\.\d{1,6})?\s?%", text, re.ASCII):
            share = plain(Decimal(text.rstrip("% ")) / 100)
            raise ValueError(f'is {shown(value)}; write it as a share of 1, "{share}"')
        raise ValueError(f'is {shown(value)}, which is not a finite number; write it as in "0.25"')
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if number.adjusted() >= MAX_DIGITS_BEFORE_POINT or not isinstance(exponent, int):
        raise ValueError(f"is {shown(value)}, which is too large to be meant")
    if -exponent > MAX_DIGITS_AFTER_POINT:
        raise ValueError(f"is {shown(value)}, which has more than {MAX_DIGITS_AFTER_POINT} digits after the point")
    return number


def number(
    *,
    at_least: str | None = None,
    above: str | None = None,
    at_most: str | None = None,
    below: str | None = None,
    unit: str = "",
) -> Callable[[object], Decimal]:
    """A reader of decimals within bounds; ``unit`` follows the bounds in messages."""
    bounds: list[tuple[str, str | None, Callable[[Decimal, Decimal], bool]]] = [
        ("at least", at_least, ge),
        ("more than", above, gt),
        ("at most", at_most, le),
        ("less than", below, lt),
    ]
    given = [(f"{words} {bound}", Decimal(bound), holds) for words, bound, holds in bounds if bound is not None]
    sentence = " and ".join(words for words, _, _ in given) + (f" {unit}" if unit else "")

    def read(value: object) -> Decimal:
        result = decimal_of(value)
        if not all(holds(result, bound) for _, bound, holds in given):
            raise ValueError(f"is {shown(value)}, and must be {sentence}")
        return result

    return read


def seconds(*, at_least: str, at_most: str) -> Callable[[object], float]:
    """A reader of durations in seconds, which only timers see and which are therefore floats."""
    read = number(at_least=at_least, at_most=at_most, unit="seconds")
    return lambda value: float(read(value))


_PARTS = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?", re.ASCII)
MAX_DURATION_DAYS = 366


def duration(value: object) -> float:
    """A length of time in words such as "6h", "90m" or "1d12h", in seconds."""
    example = 'write it as in "6h", "90m", "1d12h" or "30s"'
    if not isinstance(value, str):
        raise ValueError(f"must be text in quotes, and is {kind_of(value)}; {example}")
    found = _PARTS.fullmatch(value.strip().lower())
    if found is None or not value.strip():
        raise ValueError(f"is {shown(value)}; {example}")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if not 0 < total <= MAX_DURATION_DAYS * 86400:
        raise ValueError(f"is {shown(value)}, and must be more than nothing and at most {MAX_DURATION_DAYS} days")
    return float(total)


def whole(*, at_least: int, at_most: int, unit: str) -> Callable[[object], int]:
    """A reader of whole numbers within bounds."""
    read = number(at_least=str(at_least), at_most=str(at_most), unit=unit)

    def read_whole(value: object) -> int:
        result = read(value)
        if result != int(result):
            raise ValueError(f"is {shown(value)}, and must be a whole number of {unit}")
        return int(result)

    return read_whole


def one_of(*known: str) -> Callable[[object], str]:
    """A reader of one word out of a closed list."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in known:
            return value
        what = shown(value) if isinstance(value, str) else kind_of(value)
        hint = nearest(value, known) if isinstance(value, str) else ""
        raise ValueError(f"is {what}; choose one of {', '.join(known)}{hint}")

    return read


def text(pattern: str, example: str) -> Callable[[object], str]:
    """A reader of text that matches ``pattern`` whole."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f'must be text in quotes, such as "{example}", and is {kind_of(value)}')
        if not compiled.fullmatch(value):
            raise ValueError(f'is {shown(value)}; write it as in "{example}"')
        return value

    return read


def file_name(example: str) -> Callable[[object], str]:
    """A reader of file names. What was written is not repeated: people paste a key where the file of one is named."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f'must be text in quotes, such as "{example}", and is {kind_of(value)}')
        if not re.fullmatch(r"[^\0\n]{1,4096}", value):
            raise ValueError(f'cannot be the name of a file; write it as in "{example}"')
        try:
            Path(value).expanduser()
        except RuntimeError:
            raise ValueError("begins with a ~ that stands for no folder here; write the path in full") from None
        return value

    return read


def sequence(example: str) -> Callable[[object], object]:
    """A reader of lists: says how a list looks where something else was given."""

    def read(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be a list, such as {example}, and is {kind_of(value)}")
        return tuple(value)

    return read


_LAST_YEAR = 2199
_LAST_MOMENT_MS = round(datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp() * 1000)


def moment_of(value: object) -> int:
    """A date, or a time with its offset from UTC, as wall milliseconds; a date alone is its beginning in UTC."""
    if isinstance(value, str):
        text_ = value.strip()
        try:
            value = date.fromisoformat(text_) if len(text_) == 10 else datetime.fromisoformat(text_)
        except ValueError:
            raise ValueError(
                f'is {shown(value)}; write a date, "2026-11-01", or a time, "2026-11-01T08:00:00Z"'
            ) from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f'is {shown(str(value))}, a time of nowhere; add its offset, as in "2026-11-01T08:00:00Z"')
        return _meant(round(value.timestamp() * 1000), value)
    if isinstance(value, date):
        return _meant(round(datetime.combine(value, time(), UTC).timestamp() * 1000), value)
    raise ValueError(f"must be a date, such as 2026-11-01, and is {kind_of(value)}")


def _meant(moment_ms: int, written: date) -> int:
    if not 0 <= moment_ms < _LAST_MOMENT_MS:
        raise ValueError(f"is {shown(str(written))}, which cannot be meant; give a time from 1970 to {_LAST_YEAR}")
    return moment_ms


def table_of(value: object, readers: Mapping[str, Callable[[object], Any]], example: str) -> dict[str, Any]:
    """The keys that a table gives, each as its reader makes of it; raises :class:`SeveralError` with every fault."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a table, such as {example}, and is {kind_of(value)}")
    found: dict[str, Any] = {}
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for key, entry in value.items():
        reader = readers.get(key)
        if reader is None:
            hint = nearest(str(key), readers)
            problems.append(((str(key),), f"is not a known key{hint}; known here: {', '.join(readers)}"))
            continue
        try:
            found[key] = reader(entry)
        except SeveralError as error:
            problems += [((key, *path), text_) for path, text_ in error.problems]
        except ValueError as error:
            problems.append(((key,), str(error)))
    if problems:
        raise SeveralError(problems)
    return found


def truth(value: object) -> bool:
    """A reader of true and false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, and is {kind_of(value)}")
    return value
