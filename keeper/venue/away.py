"""A venue that could not be opened, for whoever only looks: contracts by their names, and every reading a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NoReturn

from keeper.core.margins import AccountMargin
from keeper.core.model import AccountId, Base, Contracts, Instrument, InstrumentId, Kind, Mark, Position, Quote
from keeper.core.quotes import Candle
from keeper.venue.base import (
    AccountFacts,
    FundingEntry,
    Observer,
    PositionBook,
    UnreadMarketError,
    VenueError,
    Wallet,
)

EXPIRY_HOUR_UTC = 8
"""At this hour dated contracts expire on the venues that have any."""


class AwayVenue:
    """Stands in for an observer that did not open; what would be read fails as the opening did."""

    def __init__(self, observer: Observer, why: VenueError) -> None:
        self.name = observer.name
        self._observer = observer
        self._why = why

    def _fail(self, *_asked_for: object) -> NoReturn:
        raise self._why.with_traceback(None)

    async def open(self) -> None:
        """Fails again: one look asks a venue once."""
        self._fail()

    async def close(self) -> None:
        """Give back every socket."""
        await self._observer.close()

    def instrument(self, symbol: str) -> Instrument:
        """What its name says of a contract."""
        named = by_its_name(InstrumentId(self.name, symbol))
        if named is None:
            raise UnreadMarketError(f"{self.name}:{symbol} is not known, because {self._why}")
        return named

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """As for any account of this venue: which wallet it is does not have to be read."""
        return self._observer.collateral(instrument)

    async def wallet(self, wallet: str) -> Wallet:
        """Not read."""
        self._fail(wallet)

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:
        """Not read."""
        self._fail(account, asset, since_ms)

    async def positions(self) -> PositionBook:
        """Not read."""
        self._fail()

    async def position(self, instrument: Instrument) -> Position:
        """Not read."""
        self._fail(instrument)

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Not read."""
        self._fail(instruments)

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Not read."""
        self._fail(assets, quote)

    async def candles(self, symbol: str, timeframe: str, since_ms: int, until_ms: int) -> tuple[Candle, ...]:
        """Not read."""
        self._fail(symbol, timeframe, since_ms, until_ms)

    async def margins(self) -> tuple[AccountMargin, ...]:
        """Not read."""
        self._fail()

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Not read."""
        self._fail(instrument, since_ms)

    async def clock_offset_ms(self) -> int:
        """Not read."""
        self._fail()

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        """Not read."""
        self._fail(instruments)


def by_its_name(ident: InstrumentId) -> Instrument | None:
    """What BASE/QUOTE:SETTLE says of a contract. Its sizes are not known, and its venue shows no position of it."""
    name, _, day = ident.symbol.partition("-")
    pair, _, settle = name.partition(":")
    base, _, quote = pair.partition("/")
    if not (base and quote and settle in (base, quote)):
        return None
    kind = Kind.INVERSE if settle == base else Kind.LINEAR
    one = Decimal(1)
    return Instrument(
        ident, base, quote, settle, kind, one, Contracts(one), one, Contracts(one), None, Quote(one),
        expires_at_ms=_expiry_of(day),
    )  # fmt: skip


def _expiry_of(day: str) -> int | None:
    try:
        date = datetime.strptime(day, "%y%m%d").replace(tzinfo=UTC, hour=EXPIRY_HOUR_UTC)
    except ValueError:
        return None
    return round(date.timestamp() * 1000)
