"""The in-process venue's readings beside those of every turn: books, candles, listings, funding rates, margin.

And transfers, whose answer may be lost after the money has moved, as an order's.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from keeper.core.model import AccountId, Contracts, Instrument
from keeper.core.quotes import Book, Candle, Fees, FundingRate, Level
from keeper.sim.errors import SimError
from keeper.sim.local_line import LocalLine
from keeper.sim.local_words import PRODUCTS, WALLETS, margin_of
from keeper.sim.marketdata import BookLevel
from keeper.sim.types import FuturesBalance, MarginMode, MarketKey, MarketKind
from keeper.sim.types import Position as SimPosition
from keeper.venue.base import BadReadingError, UnknownSymbolError, UnknownWalletError, UnreachableError
from keeper.venue.further import AccountMargin, NotOfferedError

PAGE = 1_000
PAGES_MAX = 200
_MINUTE_MS = 60_000
TIMEFRAMES_MS = {
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "2h": 120 * _MINUTE_MS,
    "4h": 240 * _MINUTE_MS,
    "6h": 360 * _MINUTE_MS,
    "8h": 480 * _MINUTE_MS,
    "12h": 720 * _MINUTE_MS,
    "1d": 1_440 * _MINUTE_MS,
}


class LocalFurther(LocalLine):
    """What :mod:`keeper.venue.further` names."""

    async def book(self, instrument: Instrument, levels: int = 50) -> Book:
        """The visible book, working orders of ours in it."""
        read = self._ask(partial(self.exchange.book, self._key_of(instrument.id), levels), signed=False)
        return Book(instrument.id, _levels(read.bids), _levels(read.asks), read.time_ms)

    async def candles(self, symbol: str, timeframe: str, since_ms: int, until_ms: int) -> tuple[Candle, ...]:
        """Closed candles, a page a request."""
        length_ms = TIMEFRAMES_MS.get(timeframe)
        if length_ms is None:
            raise NotOfferedError(f"{self.name} has no candles of {timeframe}: it has {', '.join(TIMEFRAMES_MS)}")
        key = self._listed_as(symbol)
        read: list[Candle] = []
        for _ in range(PAGES_MAX):
            question = partial(self.exchange.klines, key, length_ms, limit=PAGE, start_ms=since_ms, end_ms=until_ms - 1)
            bars = self._ask(question, signed=False)
            now_ms = self.exchange.door.server_time_ms()
            read += [Candle(bar.open_ms, bar.close) for bar in bars if bar.close_ms < now_ms]
            if len(bars) < PAGE:
                return tuple(read)
            since_ms = bars[-1].open_ms + 1
        raise BadReadingError(f"{symbol}: more than {PAGES_MAX * PAGE} candles of {timeframe} were asked for")

    def listed(self, base: str) -> Sequence[Instrument]:
        """Contracts on ``base`` that were open for trade when the markets were last read."""
        found = [each for each in self._trading if each.base == base]
        return sorted(found, key=lambda each: (each.expires_at_ms or 0, each.id.symbol))

    async def funding_rates(self, instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
        """Settlements, a page a request; what expires has none."""
        if instrument.expires_at_ms is not None:
            return ()
        key = self._key_of(instrument.id)
        rates: list[FundingRate] = []
        for _ in range(PAGES_MAX):
            question = partial(self.exchange.funding_history, key, limit=PAGE, start_ms=since_ms)
            records = self._ask(question, signed=False)
            rates += [FundingRate(record.time_ms, record.rate) for record in records]
            if len(records) < PAGE:
                return tuple(rates)
            since_ms = records[-1].time_ms + 1
        raise BadReadingError(f"{instrument.id}: more than {PAGES_MAX * PAGE} funding rates were asked for")

    def price_band(self, instrument: Instrument) -> tuple[Decimal, Decimal] | None:
        """The lowest price of a sell and the highest of a buy, as shares of the mark."""
        rules = self.exchange.market(self._key_of(instrument.id)).filters
        return rules.band_down, rules.band_up

    async def fees(self, instrument: Instrument) -> Fees | None:
        """What the account pays: everybody pays the same here."""
        market = self._ask(partial(self.exchange.market, self._key_of(instrument.id)))
        return Fees(market.maker_fee, market.taker_fee, of_account=True)

    async def margins(self) -> tuple[AccountMargin, ...]:
        """One entry a product and coin; an isolated position stands for itself and is in no sum."""
        found: list[AccountMargin] = []
        for wallet, kind in PRODUCTS.items():
            account = self._ask(partial(self.exchange.futures_account, self._key, kind))
            held = [row for row in account.positions if row.quantity]
            found += [self._margin(wallet, balance, held) for balance in account.balances]
        return tuple(found)

    def _margin(self, wallet: str, balance: FuturesBalance, held: Sequence[SimPosition]) -> AccountMargin:
        backed = [row for row in held if row.settle == balance.asset]
        crossed = [row for row in backed if row.margin_mode is MarginMode.CROSS]
        return AccountMargin(
            AccountId(self.name, wallet),
            balance.asset,
            balance.cross_wallet_balance + balance.cross_unrealised_pnl,
            sum((row.maintenance_margin for row in crossed), Decimal(0)),
            balance.max_withdraw_amount,
            tuple(margin_of(self._known(row.market).id, row) for row in backed),
        )

    async def transfer(self, asset: str, amount: Decimal, source: str, target: str) -> str | None:
        """Move money once; what is not refused in so many words may have been done."""
        for wallet in (source, target):
            if wallet not in WALLETS:
                raise UnknownWalletError(f"{self.name} has no wallet {wallet!r}")
        question = partial(self.exchange.ask_transfer, self._key, asset, amount, WALLETS[source], WALLETS[target])
        try:
            return str(self._ask(question).movement_id)
        except BadReadingError as failure:
            raise UnreachableError(f"the answer to a transfer cannot be understood: {failure}") from failure

    def _listed_as(self, symbol: str) -> MarketKey:
        """The market of a unified symbol, a contract's or a spot pair's."""
        if symbol in self._by_symbol:
            return self._keys[self._by_symbol[symbol].id]
        base, _, quote = symbol.partition("/")
        key = MarketKey(MarketKind.SPOT, base + quote)
        try:
            return self.exchange.market(key).key
        except SimError:
            raise UnknownSymbolError(f"{self.name} has no {symbol}", list(self._by_symbol)) from None


def _levels(levels: Sequence[BookLevel]) -> tuple[Level, ...]:
    return tuple(Level(level.price, Contracts(level.quantity)) for level in levels)
