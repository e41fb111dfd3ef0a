"""What stands in a holdings file: coins by asset, as JSON or CSV, read strictly.

JSON is a list of rows ``{"asset": "BTC", "amount": "2.5", "label": "vault", "as_of": "2026-11-20T08:00:00Z"}``, or
``{"as_of": …, "holdings": [rows]}``, or ``{"as_of": …, "BTC": "2.5"}``. CSV has a line of headings with ``asset`` and
``amount``, perhaps ``label`` and ``as_of``, and may have others. What cannot be understood whole is not used at all.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from keeper.config.values import decimal_of, kind_of, moment_of, shown

ROWS_MAX = 10_000
_ASSET = re.compile(r"[A-Za-z0-9._-]{1,24}", re.ASCII)
_KEYS = ("asset", "amount", "label", "as_of")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file. ``as_of`` is wall milliseconds, None where the row does not say; a debt is negative."""

    asset: str
    amount: Decimal
    label: str = ""
    as_of_ms: int | None = None


def rows_of(content: bytes) -> tuple[Row, ...]:
    """Every row; raises :class:`ValueError` with a sentence that says what is wrong, and where."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text (byte {error.start})") from None
    if not text.strip():
        raise ValueError("is empty, which is no evidence of zero")
    rows = tuple(_of_json(text) if text.lstrip()[0] in "[{" else _of_csv(text))
    if not rows:
        raise ValueError("has no rows, which is no evidence of zero")
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if (row.asset, row.label) in seen:
            of = f" of {shown(row.label)}" if row.label else ""
            raise ValueError(f"counts {row.asset}{of} twice; give each row a label of its own, or add them up")
        seen.add((row.asset, row.label))
    return rows


def _of_json(text: str) -> Iterable[Row]:
    try:
        document = json.loads(
            text, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON (line {error.lineno}: {error.msg}), perhaps half-written") from None
    except (ArithmeticError, RecursionError):
        raise ValueError("is not valid JSON: a number is too long, or it is nested too deep") from None
    if isinstance(document, list):
        return _rows(document, None)
    as_of = _moment("as_of", document.pop("as_of")) if "as_of" in document else None
    if "holdings" not in document:
        return _rows([{"asset": asset, "amount": amount} for asset, amount in document.items()], as_of)
    listed = document.pop("holdings")
    if document:
        raise ValueError(f"has the key {shown(next(iter(document)))} beside holdings; known there: as_of")
    if isinstance(listed, dict):
        listed = [{"asset": asset, "amount": amount} for asset, amount in listed.items()]
    if not isinstance(listed, list):
        raise ValueError(f"has {kind_of(listed)} as its holdings, where a list of rows belongs")
    return _rows(listed, as_of)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"gives {shown(next(name for name in names if names.count(name) > 1))} twice")
    return found


def _no_number(constant: str) -> Decimal:
    raise ValueError(f"holds {constant}, which is no number")


def _rows(listed: list[Any], as_of_ms: int | None) -> Iterable[Row]:
    if len(listed) > ROWS_MAX:
        raise ValueError(f"has more than {ROWS_MAX} rows")
    for place, entry in enumerate(listed, 1):
        if not isinstance(entry, Mapping):
            raise ValueError(f"row {place} is {kind_of(entry)}, where a table with asset and amount belongs")
        yield _row(f"row {place}", entry, as_of_ms)


def _of_csv(text: str) -> Iterable[Row]:
    if not text.endswith(("\n", "\r")):
        raise ValueError("does not end with the end of a line, perhaps half-written")
    first = text.splitlines()[0]
    lines = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count), strict=True)
    heads: list[str] = []
    try:
        for cells in lines:
            where = f"line {lines.line_num}"
            if lines.line_num > ROWS_MAX:
                raise ValueError(f"has more than {ROWS_MAX} lines")
            if not any(cell.strip() for cell in cells):
                continue
            if not heads:
                heads = _heads(cells)
                continue
            if len(cells) != len(heads):
                raise ValueError(f"{where} has {len(cells)} cells under {len(heads)} headings")
            filled = zip(heads, (cell.strip() for cell in cells), strict=True)
            yield _row(where, {head: cell for head, cell in filled if head in _KEYS and cell}, None)
    except csv.Error as error:
        raise ValueError(f"is not valid CSV (line {lines.line_num}: {error}), perhaps half-written") from None


def _heads(cells: list[str]) -> list[str]:
    heads = [cell.strip().casefold() for cell in cells]
    for head in _KEYS:
        if heads.count(head) > 1:
            raise ValueError(f"has two columns {head}")
    if "asset" not in heads or "amount" not in heads:
        raise ValueError(f"has the headings {shown(', '.join(heads))}; it needs asset and amount")
    return heads


def _row(where: str, entry: Mapping[str, Any], as_of_ms: int | None) -> Row:
    strange = [key for key in entry if key not in _KEYS]
    if strange:
        raise ValueError(f"{where} has the key {shown(str(strange[0]))}; known there: {', '.join(_KEYS)}")
    for key in ("asset", "amount"):
        if key not in entry:
            raise ValueError(f"{where} has no {key}")
    asset, label = entry["asset"], entry.get("label") or ""
    if not isinstance(asset, str) or not _ASSET.fullmatch(asset):
        what = shown(asset) if isinstance(asset, str) else kind_of(asset)
        raise ValueError(f"{where}: asset is {what}, which is no name of a coin")
    if not isinstance(label, str) or len(label) > 200:
        raise ValueError(f"{where}: label is no short text")
    try:
        amount = decimal_of(entry["amount"])
    except ValueError as error:
        raise ValueError(f"{where}: amount {error}") from None
    own = entry.get("as_of")
    return Row(asset, amount, label, as_of_ms if own is None else _moment(f"{where}: as_of", own))


def _moment(where: str, value: object) -> int:
    try:
        return moment_of(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where} {error}") from None
