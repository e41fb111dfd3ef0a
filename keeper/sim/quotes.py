"""Prices in force and what the public sees of them: books, tickers, open interest."""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import PriceChanged
from keeper.sim.history import DAY_MS, Tape
from keeper.sim.margin import booked, floor_to, value
from keeper.sim.matching import Matcher
from keeper.sim.state import State
from keeper.sim.types import ONE, ZERO, BookLevel, Market, MarketKind, OpenInterest, OrderBook, Side, Ticker

_EMPTY = BookLevel(ZERO, ZERO)


class Quotes:
    """Moves prices, and with them the books and the resting orders."""

    def __init__(self, state: State, matcher: Matcher) -> None:
        self._state = state
        self._matcher = matcher
        self._priced: set[str] = set()

    # --- moving -----------------------------------------------------------------------------------------------------

    def set_index(self, asset: str, price: Decimal) -> None:
        """Put an index price in force on all markets of the asset."""
        if not (price.is_finite() and price > 0):
            raise SimError(ErrorKind.BAD_PRICE, f"{asset}: price {price} is not above zero")
        self._state.set_index(asset, price)
        first = asset not in self._priced
        self._priced.add(asset)
        moved = [
            market
            for market in self._state.markets.values()
            if asset in (market.base, market.quote) and self._state.has_price(market)
        ]
        moves: list[tuple[Market, Decimal]] = []
        for market in moved:
            tape = self._state.tapes.get(market.key)
            if tape is None or (first and not tape.prints):
                self._state.open_market(market)  # the past leads to the first price that was really wanted
            before = self._state.books[market.key].mid
            self._reprice(market)
            moves.append((market, ZERO if before is None else self._state.mark(market) - before))
        for market, change in moves:
            self._matcher.rematch(market)
            if change:  # who lets the price fall sells to the bids
                self._matcher.meet(market, Side.BUY if change < 0 else Side.SELL)

    def set_basis(self, market: Market, ratio: Decimal) -> None:
        """Put a contract's premium over the index in force."""
        if not (ratio.is_finite() and ratio > -1):
            raise SimError(ErrorKind.BAD_PARAMETER, f"{market.symbol}: a basis of {ratio} leaves no price")
        self._state.set_basis(market.key, ratio)
        if market.key in self._state.tapes:
            self._reprice(market)
            self._matcher.rematch(market)

    def converge(self) -> None:
        """Let the premiums of dated contracts shrink with the time that is left."""
        for market in tuple(self._state.converging()):
            if market.key in self._state.tapes and self._state.stale_mark(market):
                self._reprice(market)
                self._matcher.rematch(market)

    def refill(self) -> None:
        """Bring back liquidity whose time has come; resting orders may fill further."""
        for key, book in self._state.books.items():
            if book.refill_if_due(self._state.now):
                self._matcher.rematch(self._state.markets[key])
                self._state.book_changed(key)

    def rebuild_all(self) -> None:
        """Lay all books anew, as after a change of options."""
        for key in self._state.tapes:
            market = self._state.markets[key]
            self._state.books[key].rebuild(market, self._state.mark(market), self._state.options)
            self._state.book_changed(key)

    def _reprice(self, market: Market) -> None:
        mark = self._state.mark(market)
        last = self._state.on_tick(market, mark)
        self._state.books[market.key].rebuild(market, mark, self._state.options)
        tape = self._state.tapes[market.key]
        falling = last < tape.last
        tape.see_price(self._state.now, last)
        self._state.print_trade(
            market,
            last,
            self._print_size(market, mark),
            trade_id=self._state.next_trade_id(),
            buyer_is_maker=falling,
        )
        index = booked(self._state.pair_index(market))
        self._state.publish(PriceChanged(self._state.now, market.key, last, mark, index))
        self._state.book_changed(market.key)

    def _print_size(self, market: Market, price: Decimal) -> Decimal:
        """Others' trade at a new price: about a hundredth of what the best level offers."""
        notional = self._state.options.first_level_notional / 100
        per_unit = market.contract_size * (ONE if market.kind is MarketKind.INVERSE else price)
        return max(floor_to(notional / per_unit, market.filters.step), market.filters.min_qty)

    # --- seeing -----------------------------------------------------------------------------------------------------

    def tape(self, market: Market) -> Tape:
        """The market's history. Raises MARKET_CLOSED before its first price."""
        try:
            return self._state.tapes[market.key]
        except KeyError:
            raise SimError(ErrorKind.MARKET_CLOSED, f"{market.symbol} has no price yet") from None

    def book(self, market: Market, depth: int) -> OrderBook:
        """Synthetic liquidity and all accounts' resting orders, by price."""
        book = self._state.books[market.key]
        return OrderBook(
            market=market.key,
            update_id=book.update_id,
            bids=self._side(market, Side.BUY, depth),
            asks=self._side(market, Side.SELL, depth),
            time_ms=self._state.venue_now,
        )

    def ticker(self, market: Market) -> Ticker:
        """The last 24 hours."""
        tape = self.tape(market)
        now = self._state.now
        day = tape.bar(now - DAY_MS, DAY_MS, now)
        bids, asks = self._side(market, Side.BUY, 1), self._side(market, Side.SELL, 1)
        last_id = tape.prints[-1].trade_id if tape.prints else 0
        return Ticker(
            market=market.key,
            last=tape.last,
            last_quantity=tape.prints[-1].quantity if tape.prints else market.filters.min_qty,
            bid=bids[0] if bids else _EMPTY,
            ask=asks[0] if asks else _EMPTY,
            open=day.open,
            high=day.high,
            low=day.low,
            change=tape.last - day.open,
            change_ratio=booked(tape.last / day.open - ONE),
            volume=day.volume,
            quote_volume=day.quote_volume,
            weighted_average=self._state.on_tick(market, (day.high + day.low + day.close) / 3),
            open_ms=now - DAY_MS,
            close_ms=now,
            first_trade_id=max(last_id - day.trades + 1, 0),
            last_trade_id=last_id,
            trades=day.trades,
        )

    def open_interest(self, market: Market) -> OpenInterest:
        """What the rest of the market holds, and our accounts on top."""
        ours = sum(
            (abs(account.futures[market.kind].held(market.key)) for account in self._state.accounts.values()), ZERO
        )
        quantity = self._state.open_interest.get(market.key, ZERO) + ours
        return self._interest(market, quantity, self._state.now)

    def open_interest_history(self, market: Market, interval_ms: int, limit: int) -> tuple[OpenInterest, ...]:
        """Made-up figures before the present one: a slow swing of two per cent around it, the same for every caller."""
        present = self.open_interest(market)
        slot = self._state.now // interval_ms
        rows = []
        for back in range(limit - 1, 0, -1):
            swing = abs((slot - back) * interval_ms // DAY_MS % 20 - 10) - 5
            quantity = floor_to(present.quantity * (ONE + Decimal(swing) / 250), market.filters.step)
            rows.append(self._interest(market, quantity, (slot - back) * interval_ms))
        return (*rows, present)[-limit:]

    def _interest(self, market: Market, quantity: Decimal, at_ms: int) -> OpenInterest:
        return OpenInterest(market.key, quantity, booked(value(market, quantity, self._state.mark(market))), at_ms)

    def _side(self, market: Market, side: Side, depth: int) -> tuple[BookLevel, ...]:
        laid = self._state.books[market.key].levels(side)
        resting = [
            order
            for account in self._state.accounts.values()
            for order in account.orders.opened(market.key)
            if order.can_rest and order.side is side
        ]
        if not resting:
            return laid[:depth]
        levels = {level.price: level.quantity for level in laid}
        for order in resting:
            levels[order.price] = levels.get(order.price, ZERO) + order.remaining
        return tuple(BookLevel(price, levels[price]) for price in sorted(levels, reverse=side is Side.BUY)[:depth])
