"""Figures as the demo shows them: rounded for the eye, ASCII only, and never a negative zero."""

from __future__ import annotations

from decimal import Decimal

from keeper.report import plain

UNKNOWN = "?"


def coins(amount: Decimal | None) -> str:
    """At most four decimals, without trailing zeros."""
    return UNKNOWN if amount is None else plain(Decimal(f"{amount:.4f}"))


def price(value: Decimal | None) -> str:
    """With thousands separated; fewer decimals for large prices."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}" if value >= 10_000 else f"{value:,.2f}"


def money(amount: Decimal, places: int = 0) -> str:
    """Quote money with its sign, thousands separated."""
    return f"{_rounded(amount, places):+,.{places}f}"


def cost(amount: Decimal) -> str:
    """Quote money without a sign."""
    return f"{_rounded(amount, 0):,.0f}"


def percent(ratio: Decimal | None) -> str:
    """A signed ratio in per cent, two decimals."""
    return UNKNOWN if ratio is None else f"{_rounded(ratio * 100, 2):+.2f} %"


def share(ratio: Decimal | None) -> str:
    """A hedge ratio, three decimals."""
    return UNKNOWN if ratio is None else f"{_rounded(ratio, 3):.3f}"


def rate(ratio: Decimal) -> str:
    """A funding rate in per cent, as venues write it."""
    return f"{ratio * 100:+.2f} %"


def _rounded(value: Decimal, places: int) -> Decimal:
    """Rounded, with the sign of a zero dropped."""
    return round(value, places) + Decimal(0)
