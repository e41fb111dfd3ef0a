"""How a hedge's orders are worked: the styles, their settings, and what a style remembers from turn to turn.

Nothing here knows a market or a position: amounts are plain decimals, in the units that each docstring names.
"""

from __future__ import annotations

from enum import StrEnum

POST_ONLY = "PO"
"""The time in force of an order that rests and never takes; the venue layer knows each venue's own word for it."""


class Style(StrEnum):
    """How orders are sent: taking at once, resting at the touch, or in slices over a time."""

    MARKET = "market"
    PASSIVE = "passive"
    TWAP = "twap"
