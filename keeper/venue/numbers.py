"""A bound for the client's own arithmetic.

It works on whole numbers and writes every power of ten out. A venue that says ``"1E-999999999"`` once, or a number of
decimal places of hundreds of digits, would hold the process for hours, loop, brakes and API alike: nothing interrupts
such a power, and no deadline fires while it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ccxt.base.errors import BadResponse
from ccxt.base.precise import Precise

from keeper.venue.figures import PLACES_MAX

EXPONENT_DIGITS_MAX = 3
_begin = Precise.__init__


def _refuse_power(number: str) -> None:
    exponent = number.lower().partition("e")[2]
    if len(exponent.lstrip("+-0")) > EXPONENT_DIGITS_MAX:
        raise ValueError(f"{number[:40]} is no number that a venue has to tell")


def _bounded(self: Any, number: Any, decimals: Any = None) -> None:
    if decimals is None and isinstance(number, str):
        _refuse_power(number)
    _begin(self, number, decimals)


def bound() -> None:
    """From now on the client refuses numbers with exponents of more than three digits, everywhere in the process."""
    Precise.__init__ = _bounded


def without_powers(helper: Callable[..., Any]) -> Callable[..., Any]:
    """A helper that writes numbers out, and now refuses those which would take more memory than there is."""

    def called(*args: Any, **named: Any) -> Any:
        for value in (*args, *named.values()):
            if not isinstance(value, int):
                _refuse_power(str(value))
        return helper(*args, **named)

    return called


class BoundedPlaces:
    """Stands in front of the client's class, whose loops run once for each decimal place that a venue says it has."""

    def parse_precision(self, precision: Any) -> Any:
        """The step of so many decimal places."""
        return cast("Any", super()).parse_precision(_places(precision))

    def integer_precision_to_amount(self, precision: Any) -> Any:
        """The step of so many decimal places, or of so many zeros where they are negative."""
        return cast("Any", super()).integer_precision_to_amount(_places(precision))

    def precision_from_string(self, text: Any) -> Any:
        """The decimal places of a step, which the client then divides to."""
        places = cast("Any", super()).precision_from_string(text)
        _places(places)
        return places


def _places(stated: Any) -> Any:
    """What was stated, unless it is no number of decimal places that anything can have."""
    if stated is None:
        return None
    try:
        many = abs(int(stated)) > PLACES_MAX
    except (OverflowError, TypeError, ValueError):
        many = True
    if many:
        raise BadResponse(f"{str(stated)[:40]} is no number of decimal places")
    return stated
