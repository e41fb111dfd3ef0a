"""A bound for the client's own arithmetic.

It works on whole numbers and writes every power of ten out. A venue that says ``"1E-999999999"`` once would hold the
process for hours, loop, brakes and API alike: nothing interrupts such a power.
"""

from __future__ import annotations

from typing import Any

from ccxt.base.precise import Precise

EXPONENT_DIGITS_MAX = 3
_begin = Precise.__init__


def _bounded(self: Any, number: Any, decimals: Any = None) -> None:
    if decimals is None and isinstance(number, str):
        exponent = number.lower().partition("e")[2]
        if len(exponent.lstrip("+-0")) > EXPONENT_DIGITS_MAX:
            raise ValueError(f"{number[:40]} is no number that a venue has to tell")
    _begin(self, number, decimals)


def bound() -> None:
    """From now on the client refuses numbers with exponents of more than three digits, everywhere in the process."""
    Precise.__init__ = _bounded
