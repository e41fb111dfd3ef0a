"""Readings of a venue beyond what every turn of the loop needs: books, candles, listings, funding rates, margin.

They are protocols apart from :class:`~keeper.venue.base.Observer`, so that a reader depends only on what it asks for.
Every method has a deadline of its own and raises :class:`~keeper.venue.base.VenueError`; what a venue cannot be asked
raises :class:`NotOfferedError` and is never an empty answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from keeper.core.margins import AccountMargin, PositionMargin
from keeper.core.model import Instrument
from keeper.core.quotes import Book, Candle, Fees, FundingRate
from keeper.venue.base import VenueError

__all__ = [
    "AccountMargin",
    "Books",
    "Candles",
    "FeeSchedules",
    "FundingRates",
    "Listings",
    "Margins",
    "NotOfferedError",
    "PositionMargin",
    "PriceBands",
    "Transfers",
]


class NotOfferedError(VenueError):
    """The venue, or keeper's knowledge of it, has no such reading."""

    code = "not_offered"


class Books(Protocol):
    """Reads order books."""

    async def book(self, instrument: Instrument, levels: int = 50) -> Book:
        """The visible book, best level first, sizes in contracts."""
        ...


class Candles(Protocol):
    """Reads price histories."""

    async def candles(self, symbol: str, timeframe: str, since_ms: int, until_ms: int) -> tuple[Candle, ...]:
        """Closed candles that open in [since, until), oldest first, paged to the end; spot symbols and contracts."""
        ...


class Listings(Protocol):
    """Knows what is listed."""

    def listed(self, base: str) -> Sequence[Instrument]:
        """Every future and perpetual on ``base`` that trades now, as loaded by the last ``open()``."""
        ...


class FundingRates(Protocol):
    """Reads funding rates."""

    async def funding_rates(self, instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
        """Settled rates since then, oldest first (positive: longs pay shorts)."""
        ...


class FeeSchedules(Protocol):
    """Knows what a trade costs."""

    async def fees(self, instrument: Instrument) -> Fees | None:
        """What the account pays; else what the list of markets says; None where neither says anything."""
        ...


class PriceBands(Protocol):
    """Knows how far from the mark an order may be priced."""

    def price_band(self, instrument: Instrument) -> tuple[Decimal, Decimal] | None:
        """The lowest price of a sell and the highest of a buy, as shares of the mark; None where it is not told."""
        ...


@runtime_checkable
class Margins(Protocol):
    """Reads the margin of the accounts that futures are held on."""

    async def margins(self) -> tuple[AccountMargin, ...]:
        """One entry an account and margin asset: a unified account has one, split accounts have several."""
        ...


@runtime_checkable
class Transfers(Protocol):
    """Moves coins between the user's own wallets of one venue; only traders of modes that may trade are one."""

    async def transfer(self, asset: str, amount: Decimal, source: str, target: str) -> str | None:
        """Ask once, never again by itself; the venue's id of the transfer where it gives one.

        ``source`` and ``target`` are wallet names as in :class:`~keeper.core.model.AccountId`. Raises
        :class:`VenueError`; after an :class:`~keeper.venue.base.UnreachableError` the coins may have moved.
        """
        ...
