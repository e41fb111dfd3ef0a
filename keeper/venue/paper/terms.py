"""What a paper account begins with and is held to, and what it reads of the real venue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from keeper.venue.base import Observer, VenueError
from keeper.venue.further import Books, Candles, FeeSchedules, FundingRates, Listings, PriceBands


class PaperError(VenueError):
    """The file of the paper account cannot be used, or the account could not be begun."""

    code = "paper_account"


class Source(Observer, Books, Candles, Listings, FundingRates, FeeSchedules, PriceBands, Protocol):
    """The real venue, of which nothing but readings is ever asked."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A position that an account begins with: signed contracts, and the price that they were entered at."""

    contracts: Decimal
    entry: Decimal


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says of one paper account.

    ``wallets`` by name ("" is the spot wallet or the unified account) and ``positions`` by symbol are what it begins
    with; ``from_account`` takes both from the real account instead, where ``read_wallets`` are looked at
    and ``needed_wallets`` must show something. ``named`` are the contracts that hedges name. Fees are
    fractions of the value, None: the venue's own. ``maintenance_ratio`` is maintenance margin as a share of the value.
    """

    wallets: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    positions: Mapping[str, Opening] = field(default_factory=dict)
    from_account: bool = False
    read_wallets: tuple[str, ...] = ()
    needed_wallets: frozenset[str] = frozenset()
    named: tuple[str, ...] = ()
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None
    leverage: Decimal = Decimal(10)
    maintenance_ratio: Decimal = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Premises:
    """What the venue is like: the names of its wallets, the one that margins coin-margined contracts (None: not known).

    Where that one is "" the account is unified: all its coins margin all its contracts.
    """

    wallets: frozenset[str]
    collateral: str | None

    @property
    def unified(self) -> bool:
        """Whether one account carries spot coins and contracts."""
        return self.collateral == ""
