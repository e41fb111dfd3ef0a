"""What a venue has written down about an account: what left it, and what funding paid."""

from __future__ import annotations

import datetime
import functools
from decimal import Decimal
from typing import Any

from keeper.core.model import AccountId, Base, Instrument
from keeper.venue.base import (
    BadReadingError,
    CredentialsRefusedError,
    FundingEntry,
    NotPermittedError,
    RateLimitedError,
    UnreachableError,
    VenueError,
)
from keeper.venue.budget import Urgency
from keeper.venue.connection import Connection, together
from keeper.venue.figures import decimal_of
from keeper.venue.funding import funding_entries
from keeper.venue.parsing import rows_at
from keeper.venue.recipes import Outflow

SPOT_QUOTES = ("USDT", "USDC", "USD", "FDUSD", "EUR", "BTC")
LOOK_BACK_MS = 7 * 86_400_000 - 60_000
"""Venues answer for a week at a time; what explains a holding that is gone now is recent."""
CANNOT_TELL = (UnreachableError, CredentialsRefusedError, RateLimitedError)
"""Failures that say nothing about whether a venue supports a question."""


class Ledger:
    """Reads the venue's records over a shared connection."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self.name = connection.name

    # What left

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:
        """Coins of ``asset`` that left since then; the most that any one record shows, because records overlap."""
        ledgers = [each for each in self._at.capability.outflows if account.wallet in each.wallets]
        searches = [functools.partial(self._ledger_outflow, ledger, asset, since_ms) for ledger in ledgers]
        if account.wallet == "" and self._at.client.has.get("fetchMyTrades") is True:
            searches.append(functools.partial(self._spot_sales, asset, since_ms))
        failure: VenueError | None = None
        most = Decimal(0)
        for search in searches:
            try:
                async with self._at.deadline():
                    most = max(most, await search())
            except NotPermittedError:
                continue
            except CANNOT_TELL as error:
                failure = error  # the other records may explain it all the same
            except VenueError:
                continue  # the venue cannot be asked this, and shows nothing by it
        if failure is not None and most == 0:
            raise failure
        return Base(most)

    async def _ledger_outflow(self, ledger: Outflow, asset: str, since_ms: int) -> Decimal:
        params: dict[str, Any] = {}
        if ledger.asset_param is not None:
            params[ledger.asset_param] = asset
        if ledger.since_param is not None:
            params[ledger.since_param] = max(since_ms, self._at.clock.now_ms() - LOOK_BACK_MS)
        if ledger.until_param is not None:
            params[ledger.until_param] = self._at.clock.now_ms()
        total = Decimal(0)
        for row in await self._at.rows(ledger.read, params, Urgency.POSITION):
            if ledger.asset_field is not None and row.get(ledger.asset_field) != asset:
                continue
            if not ledger.counts(row):
                continue
            change = decimal_of(row.get(ledger.change), ledger.change)
            if (ledger.sign < 0 or change < 0) and _moment(row.get(ledger.at)) >= since_ms:
                total += abs(change)
        return total

    async def _spot_sales(self, asset: str, since_ms: int) -> Decimal:
        markets = self._at.markets()
        symbols = [f"{asset}/{quote}" for quote in SPOT_QUOTES if f"{asset}/{quote}" in markets]
        found = await together(
            *(self._at.unified("fetch_my_trades", symbol, since_ms, 100, level=Urgency.POSITION) for symbol in symbols)
        )
        total = Decimal(0)
        for symbol, trades in zip(symbols, found, strict=True):
            for trade in rows_at(trades, (), f"{self.name} trades"):
                sold = trade.get("side") == "sell" and trade.get("symbol") == symbol
                if sold and _moment(trade.get("timestamp")) >= since_ms:
                    total += decimal_of(trade.get("amount"), f"{symbol} trade amount")
        return total

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Funding payments since then from the venue's own ledger; empty where it cannot be asked."""
        return await funding_entries(self._at, instrument, since_ms)


def _moment(value: Any) -> int:
    """Milliseconds of a venue's time, given as a number or as text in UTC."""
    text = str(value)
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadReadingError(f"{value!r} is not a time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1000)
