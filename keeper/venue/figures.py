"""Figures out of a venue's rows: whether one is stated, and what number it is. None of them is ever made up."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from keeper.venue.base import BadReadingError

Row = Mapping[str, Any]
Total = Callable[[Row], Decimal]
PLACES_MAX = 40
"""No venue counts in more decimal places than this, nor in steps of more zeros; the most in use are about 24."""
DECIMAL_PLACES, TICK_SIZE = 2, 4
"""The client's precision modes that tell a fixed step."""


def near(wrong: str, names: Iterable[str]) -> str:
    """A clause that names what may have been meant, or nothing."""
    close = difflib.get_close_matches(wrong, list(names), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else ""


DIGITS_MAX = 80
"""Longer texts are no numbers of a venue, and matching megabytes of digits would stop everything else."""


def decimal_of(value: Any, name: str) -> Decimal:
    """A finite number from the venue's own text; raises :class:`BadReadingError` naming the field."""
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadReadingError(f"{name} is {shown(value)}, not a number")
    text = repr(value) if isinstance(value, float) else str(value).strip()
    if len(text) > DIGITS_MAX or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII):
        raise BadReadingError(f"{name} is {shown(value)}, not a number")
    number = Decimal(text)
    if abs(number) > Decimal("1e20"):
        raise BadReadingError(f"{name} is {shown(value)}, which is absurd")
    return number


def step_of(value: Any, mode: int, what: str) -> Decimal:
    """The step that the client tells, as its precision mode has it: a step, or so many decimal places."""
    if mode not in (DECIMAL_PLACES, TICK_SIZE):
        raise BadReadingError(f"{what}: the venue gives significant digits, which is no fixed step")
    number = decimal_of(value, what)
    if mode == DECIMAL_PLACES:
        # A step of a billion places is a number that no later sum could be written with.
        number = Decimal(1).scaleb(-int(number)) if abs(number) <= PLACES_MAX else Decimal(0)
    if number <= 0 or number.adjusted() < -PLACES_MAX:
        raise BadReadingError(f"{what} is {shown(value)}, which is no step above zero")
    return number


def shown(value: Any) -> str:
    """A value as an error may show it: the beginning is enough."""
    return f"{value!r:.60}"


def stated(row: Row, name: str) -> bool:
    """Whether a field is there and not blank; venues write "" for "does not apply"."""
    return row.get(name) not in (None, "")


def signed_sum(plus: tuple[str, ...], minus: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Total:
    """A wallet's total: all of ``plus`` must be there; ``minus`` and ``optional`` (added) may be blank."""

    def total(row: Row) -> Decimal:
        value = sum((decimal_of(row.get(name), name) for name in plus), Decimal(0))
        value += sum((decimal_of(row[name], name) for name in optional if stated(row, name)), Decimal(0))
        return value - sum((decimal_of(row[name], name) for name in minus if stated(row, name)), Decimal(0))

    return total


def less_profit(equity: Decimal, profit: Decimal) -> Decimal:
    """Equity without the open profit in it; equity of zero is zero whatever profit stands beside it.

    Taken off, the profit would leave a few coins or a small debt of a wallet that was misread, and what reads zero is
    doubted as nothing else is.
    """
    return equity - profit if equity else equity


def equity_less(equity: str, profit: str) -> Total:
    """A wallet's total: its equity without the open profit. Where that is not told, a total would count it twice."""

    def total(row: Row) -> Decimal:
        whole = decimal_of(row.get(equity), equity)
        return less_profit(whole, decimal_of(row.get(profit), profit)) if whole else whole

    return total


def first_stated(*names: str) -> Total:
    """A wallet's total under the first of these names that is stated: two questions may call it differently."""
    return lambda row: decimal_of(row.get(next((name for name in names if stated(row, name)), names[0])), names[0])


def flag(row: Row, name: str) -> bool | None:
    """A boolean, or its text; None for anything else."""
    value = row.get(name)
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())
