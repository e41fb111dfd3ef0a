"""What a market shows beside its mark: depth, candles, funding rates. Prices are quote money per base unit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from keeper.core.model import Contracts, InstrumentId


@dataclass(frozen=True, slots=True)
class Level:
    """One price of a book and the contracts that rest there (positive)."""

    price: Decimal
    contracts: Contracts


@dataclass(frozen=True, slots=True)
class Book:
    """The visible book of one contract, best level first on each side; ``at_ms`` is the venue's stamp, if it gives one.

    Empty sides are empty: nobody bids, or nobody offers.
    """

    instrument: InstrumentId
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    at_ms: int | None = None

    @property
    def mid(self) -> Decimal | None:
        """Halfway between the touches; None where a side is empty."""
        if not self.bids or not self.asks:
            return None
        return (self.bids[0].price + self.asks[0].price) / 2


@dataclass(frozen=True, slots=True)
class Candle:
    """A closed candle by the time at which it opened."""

    open_ms: int
    close: Decimal


@dataclass(frozen=True, slots=True)
class FundingRate:
    """A settled rate, fraction of notional per interval; positive: longs pay shorts, so a short receives."""

    at_ms: int
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Fees:
    """Fees as fractions of notional; a negative maker fee is a rebate.

    ``of_account`` says that the venue names them for this account; else they are what the list of markets shows.
    """

    maker: Decimal
    taker: Decimal
    of_account: bool = False
