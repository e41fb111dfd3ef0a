"""What the rooms of the exchange share: clock, markets, prices, books, accounts, and the givers of ids."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from keeper.clock import Clock
from keeper.sim.account import Account
from keeper.sim.book import SyntheticBook
from keeper.sim.defaults import STABLE_ASSETS
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import BookChanged, Event, EventBus, MarketChanged, TradePrinted
from keeper.sim.history import Tape
from keeper.sim.margin import booked, floor_to, value
from keeper.sim.seams import Faithful, Interceptor
from keeper.sim.types import (
    ONE,
    ZERO,
    ExchangeOptions,
    Market,
    MarketKey,
    MarketKind,
    MarketStatus,
    Permissions,
    PublicTrade,
    Side,
)

_FIRST_ORDER_ID = 8_389_765_000_000
_CLIENT_ID_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Basis:
    """A premium over the index as a fraction of it, as it was set at ``at_ms``."""

    ratio: Decimal
    at_ms: int

    def at(self, now_ms: int, expiry_ms: int | None) -> Decimal:
        """The premium now: in a straight line to zero at the expiry; a perpetual's stays."""
        if expiry_ms is None:
            return self.ratio
        if now_ms >= expiry_ms:
            return ZERO
        return self.ratio * (expiry_ms - now_ms) / (expiry_ms - self.at_ms)


class State:
    """The exchange's memory. Rooms change it; only the face hands parts of it out."""

    def __init__(self, clock: Clock, seed: int, markets: Sequence[Market], options: ExchangeOptions) -> None:
        self.clock = clock
        self.seed = seed
        self.options = options
        self.bus = EventBus()
        self.interceptor: Interceptor = Faithful()
        self.markets: dict[MarketKey, Market] = {}
        self.books: dict[MarketKey, SyntheticBook] = {}
        self.tapes: dict[MarketKey, Tape] = {}
        self.accounts: dict[str, Account] = {}
        self._basis: dict[MarketKey, Basis] = {}
        self.open_interest: dict[MarketKey, Decimal] = {}
        self.start_ms = clock.now_ms()
        self.clock_skew_ms = 0
        self._marks: dict[MarketKey, Decimal] = {}
        self._priced: dict[MarketKind, tuple[Market, ...]] = {}
        self._index: dict[str, Decimal] = dict(options.initial_prices)
        self._random = random.Random(seed)  # noqa: S311 (ids must repeat with the seed; nothing here is a secret)
        self._order_id = _FIRST_ORDER_ID + self._random.randrange(1_000_000)
        self._trade_id = 1_000_000 + self._random.randrange(1_000_000)
        self._tran_id = 9_600_000_000 + self._random.randrange(1_000_000)
        for market in markets:
            self.add_market(market)

    # --- markets and prices -----------------------------------------------------------------------------------------

    def market(self, key: MarketKey) -> Market:
        """A listed market. Raises UNKNOWN_SYMBOL."""
        try:
            return self.markets[key]
        except KeyError:
            raise SimError(ErrorKind.UNKNOWN_SYMBOL, f"{key.kind.value} {key.symbol} is not listed") from None

    def contract(self, key: MarketKey) -> Market:
        """A listed contract. Raises UNKNOWN_SYMBOL, and BAD_PARAMETER for spot."""
        market = self.market(key)
        if market.kind is MarketKind.SPOT:
            raise SimError(ErrorKind.BAD_PARAMETER, f"{key.symbol} is a spot market: only contracts have this")
        return market

    def add_market(self, market: Market) -> None:
        """List a market; a second one of the same name is refused."""
        if market.key in self.markets:
            raise SimError(ErrorKind.BAD_PARAMETER, f"{market.symbol} is listed already")
        self.markets[market.key] = market
        self._priced.clear()
        self.books[market.key] = SyntheticBook()
        if self.has_price(market):
            self.open_market(market, self.now)

    def open_market(self, market: Market, from_ms: int | None = None) -> None:
        """Give a market its first price, book and open interest, and a history that leads to ``from_ms``."""
        mid = self.mark(market)
        start_ms = self.start_ms if from_ms is None else from_ms
        self.tapes[market.key] = Tape(market, self.seed, start_ms, self.on_tick(market, mid))
        self.books[market.key].rebuild(market, mid, self.options)
        per_unit = abs(value(market, ONE, mid))
        if market.kind is MarketKind.INVERSE:
            per_unit *= mid
        self.open_interest.setdefault(market.key, floor_to(Decimal(2_000_000_000) / per_unit, market.filters.step))

    def replace_market(self, market: Market) -> None:
        """Put a market's changed facts in force and tell everybody."""
        self.market(market.key)
        self.markets[market.key] = market
        self._priced.clear()
        if market.key in self.tapes:
            self.books[market.key].rebuild(market, self.mark(market), self.options)
        self.publish(MarketChanged(self.now, market.key, market.status))

    def set_status(self, key: MarketKey, status: MarketStatus) -> None:
        """Open or close a market."""
        self.replace_market(replace(self.market(key), status=status))

    def has_price(self, market: Market) -> bool:
        """Whether both of its assets have an index price."""
        return all(asset in self._index or asset in STABLE_ASSETS for asset in (market.base, market.quote))

    def index(self, asset: str) -> Decimal:
        """Index price in quote units; 1 for stable coins. Raises UNKNOWN_SYMBOL."""
        if asset in self._index:
            return self._index[asset]
        if asset in STABLE_ASSETS:
            return ONE
        raise SimError(ErrorKind.UNKNOWN_SYMBOL, f"{asset} has no index price: set one first")

    def priced(self, kind: MarketKind) -> tuple[Market, ...]:
        """A product's markets that have a price, in the order in which they were added."""
        known = self._priced.get(kind)
        if known is None:
            known = tuple(each for each in self.markets.values() if each.kind is kind and self.has_price(each))
            self._priced[kind] = known
        return known

    def set_index(self, asset: str, price: Decimal) -> None:
        """Put an index price in force; books follow when they are told."""
        if asset not in self._index:
            self._priced.clear()
        self._index[asset] = price
        self._marks.clear()

    def set_basis(self, key: MarketKey, ratio: Decimal) -> None:
        """Put a contract's premium over the index in force; books follow when they are told."""
        self._basis[key] = Basis(ratio, self.now)
        self._marks.clear()

    def basis(self, market: Market) -> Decimal:
        """A contract's premium over the index now; a dated one's shrinks to nothing until its expiry."""
        known = self._basis.get(market.key)
        return ZERO if known is None else known.at(self.now, market.expiry_ms)

    def converging(self) -> Iterator[Market]:
        """Dated contracts whose premium is on its way to zero."""
        for key, known in self._basis.items():
            if known.ratio and self.markets[key].expiry_ms is not None:
                yield self.markets[key]

    def stale_mark(self, market: Market) -> bool:
        """Whether time alone has moved a contract's mark by half a tick or more; then it is forgotten."""
        known = self._marks.get(market.key)
        if known is None or abs(known - self._fresh_mark(market)) * 2 < market.filters.tick:
            return False
        del self._marks[market.key]
        return True

    def indices(self) -> Mapping[str, Decimal]:
        """A copy of all index prices."""
        return dict(self._index)

    def pair_index(self, market: Market) -> Decimal:
        """The index price of the pair."""
        return self.index(market.base) / self.index(market.quote)

    def mark(self, market: Market) -> Decimal:
        """Mark price: pair index × (1 + basis), eight decimals."""
        known = self._marks.get(market.key)
        if known is None:
            known = self._marks[market.key] = self._fresh_mark(market)
        return known

    def _fresh_mark(self, market: Market) -> Decimal:
        return booked(self.pair_index(market) * (ONE + self.basis(market)))

    def on_tick(self, market: Market, price: Decimal) -> Decimal:
        """The nearest price that the market can print."""
        tick = market.filters.tick
        return max(tick, (price / tick).to_integral_value(rounding=ROUND_HALF_EVEN) * tick)

    def taken(self, market: Market, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Remember liquidity that a fill took from the synthetic book."""
        self.books[market.key].take(side, price, quantity, self.now + self.options.refill_ms)

    # --- time, ids, events ------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The exchange's wall time, milliseconds."""
        return self.clock.now_ms()

    @property
    def venue_now(self) -> int:
        """What the venue's own clock says, by which it stamps prices and judges requests, milliseconds."""
        return self.clock.now_ms() + self.clock_skew_ms

    def next_order_id(self) -> int:
        """A fresh order id."""
        self._order_id += 1
        return self._order_id

    def next_trade_id(self) -> int:
        """A fresh trade id."""
        self._trade_id += 1
        return self._trade_id

    def next_tran_id(self) -> int:
        """A fresh id for a money movement."""
        self._tran_id += 1
        return self._tran_id

    def make_client_id(self) -> str:
        """A client order id for a request that has none: 22 letters and digits, as Binance makes them."""
        return "".join(self._random.choice(_CLIENT_ID_LETTERS) for _ in range(22))

    def publish(self, event: Event) -> None:
        """Tell the subscribers."""
        self.bus.publish(event)

    def book_changed(self, key: MarketKey) -> None:
        """Tell the subscribers that a book is different."""
        self.publish(BookChanged(self.now, key, self.books[key].update_id))

    def print_trade(
        self, market: Market, price: Decimal, quantity: Decimal, *, trade_id: int, buyer_is_maker: bool
    ) -> None:
        """Put a print on the tape and tell everybody."""
        worth = booked(value(market, quantity, price))
        trade = PublicTrade(trade_id, market.key, price, quantity, worth, buyer_is_maker, self.now)
        self.tapes[market.key].see_trade(trade)
        self.publish(TradePrinted(self.now, trade))

    def add_account(self, api_key: str, secret: str, permissions: Permissions) -> None:
        """Open an account; a second one under the same key is refused."""
        if api_key in self.accounts:
            raise SimError(ErrorKind.BAD_PARAMETER, "an account has this API key already")
        self.accounts[api_key] = Account(api_key, secret, 350_000_000 + len(self.accounts), permissions)

    def account(self, api_key: str) -> Account:
        """An account by key. Raises UNKNOWN_ACCOUNT, without repeating the key."""
        try:
            return self.accounts[api_key]
        except KeyError:
            raise SimError(ErrorKind.UNKNOWN_ACCOUNT, "no account has this API key") from None
