"""How numbers are spelled on the wire.

Money travels as plain decimal strings, never in scientific notation and never as JSON numbers: spot pads to eight
decimals, futures to a number that depends on the field.
"""

from __future__ import annotations

import json
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""What a JSON text can hold; money is in its strings."""

_EIGHT = Decimal("1e-8")


def compact(body: Json) -> str:
    """JSON text as Binance writes it, without blanks."""
    return json.dumps(body, separators=(",", ":"))


def plain(value: Decimal) -> str:
    """``value`` without an exponent and without trailing zeros; zero is ``"0"``."""
    if value == 0:
        return "0"
    return f"{value.normalize():f}"


def fixed8(value: Decimal) -> str:
    """``value`` with exactly eight decimals, cut (not rounded up), as balances are shown."""
    cut = value.quantize(_EIGHT, rounding=ROUND_DOWN)
    return f"{abs(cut) if cut == 0 else cut:f}"


def at_step(value: Decimal, step: Decimal) -> str:
    """``value`` with as many decimals as ``step`` (a tick or lot size) has."""
    exponent = step.normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    return f"{value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP):f}"


def at_lot(value: Decimal, step: Decimal) -> str:
    """A quantity with as many decimals as the lot size has, and never fewer than its own.

    A lot size may have become coarser since: what is held or was filled before stays what it is.
    """
    rounded = at_step(value, step)
    return rounded if Decimal(rounded) == value else f"{value.normalize():f}"


def decimals(step: Decimal) -> int:
    """How many decimals a tick or lot size has: ``0.001`` has three."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
