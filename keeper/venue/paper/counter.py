"""Takes orders in as a venue does: checks them against its rules and the account's margin, fills them on its book."""

from __future__ import annotations

from decimal import Decimal

from keeper.core.execution import POST_ONLY
from keeper.core.model import NO_CONTRACTS, ONE, ZERO, Contracts, Instrument, Kind, PlannedOrder, Side
from keeper.core.orders import plain
from keeper.core.quotes import Book, Fees
from keeper.venue.base import (
    POST_ONLY_REFUSED,
    Accepted,
    Ambiguous,
    OrderReport,
    OrderState,
    Rejected,
    RetryLater,
    Submission,
    UnknownSymbolError,
    VenueError,
)
from keeper.venue.paper.account import Account, Order, Trade
from keeper.venue.paper.fills import still_taken, take
from keeper.venue.paper.ledger import Ledger
from keeper.venue.paper.market import Market
from keeper.venue.paper.passing import closable
from keeper.venue.paper.sums import profit, value
from keeper.venue.paper.terms import PaperError

IMMEDIATE = "IOC"


class Counter:
    """Where orders come in."""

    def __init__(self, account: Account, market: Market, ledger: Ledger) -> None:
        self._account = account
        self._market = market
        self._ledger = ledger

    async def submit(self, order: PlannedOrder) -> Submission:
        """Accept and match, or refuse with nothing changed; what is accepted is on the disk before this returns."""
        if self._account.order(order.client_id) is not None:
            return Ambiguous(f"an order {order.client_id} was taken in before; it is looked up and not placed again")
        try:
            instrument = self._market.source.instrument(order.instrument.symbol)
            refused = self._malformed(order, instrument)
            if refused is not None:
                return refused
            fees = await self._market.fees(instrument)
            if fees is None:
                return Rejected("no_fees", f"{instrument.id}: the venue tells no fees; state them in the paper table")
            refused = await self._out_of_band(order, instrument)
            if refused is None and not order.reduce_only:
                refused = await self._unaffordable(order, instrument, fees)
            if refused is not None:
                return refused
            book = await self._market.source.book(instrument)
        except UnknownSymbolError as error:
            return Rejected("unknown_symbol", str(error))
        except PaperError as error:
            return Ambiguous(str(error))
        except VenueError as error:
            return RetryLater(f"nothing was placed, the market could not be read: {error}")
        try:
            return self._place(order, instrument, book, fees)
        except PaperError as error:
            return Ambiguous(str(error))

    # Refusals

    def _malformed(self, order: PlannedOrder, instrument: Instrument) -> Rejected | None:
        """Why the venue would not look at it, or None."""
        contracts, price = order.contracts, order.price
        if order.time_in_force not in (IMMEDIATE, POST_ONLY) or order.type != "limit":
            return Rejected("order_type", f"{order.type} {order.time_in_force} orders are not traded on paper")
        ends = instrument.expires_at_ms
        trading = {each.id for each in self._market.source.listed(instrument.base)}
        if instrument.id not in trading or (ends is not None and self._market.now_ms() >= ends):
            return Rejected("market_closed", f"{instrument.id} does not trade")
        if contracts <= 0 or contracts % instrument.step_contracts:
            return Rejected("step", f"{plain(contracts)} contracts are not in steps of {instrument.step_contracts}")
        if price <= 0 or price % instrument.tick:
            return Rejected("tick", f"price {plain(price)} is not in ticks of {plain(instrument.tick)}")
        if contracts < instrument.min_contracts:
            return Rejected("minimum", f"{plain(contracts)} contracts are below {plain(instrument.min_contracts)}")
        if instrument.max_contracts is not None and contracts > instrument.max_contracts:
            return Rejected("maximum", f"{plain(contracts)} contracts are above {plain(instrument.max_contracts)}")
        least = instrument.min_notional
        if order.reduce_only and not instrument.min_notional_on_covers:
            return None
        if instrument.notional(contracts, price) < least:
            return Rejected("min_notional", f"{plain(contracts)} contracts at {plain(price)} are below {plain(least)}")
        return None

    async def _out_of_band(self, order: PlannedOrder, instrument: Instrument) -> Rejected | None:
        """Why the venue takes no order so far from its mark, or None; covers are held to it as well."""
        band = self._market.source.price_band(instrument)
        if band is None:
            return None
        mark = (await self._market.marks_of([instrument]))[instrument.id.symbol]
        lowest, highest = mark * band[0], mark * band[1]
        if order.side is Side.SELL and order.price < lowest:
            return Rejected("price_band", f"sell at {plain(order.price)} is below the band's {plain(lowest)}")
        if order.side is Side.BUY and order.price > highest:
            return Rejected("price_band", f"buy at {plain(order.price)} is above the band's {plain(highest)}")
        return None

    async def _unaffordable(self, order: PlannedOrder, instrument: Instrument, fees: Fees) -> Rejected | None:
        """Why the margin does not carry it, or None: what opens needs margin, its fee, and its loss at once."""
        symbol = instrument.id.symbol
        held = self._account.held(symbol)
        before = ZERO if held is None else held.contracts
        change = -order.contracts if order.side is Side.SELL else order.contracts
        opened = abs(before + change) - abs(before)
        if opened <= 0:
            return None
        pool, marks, worth = await self._ledger.pool_of(instrument)
        mark = marks[symbol]
        leverage = self._ledger.leverage(symbol)
        needed = abs(value(instrument, opened, order.price)) / leverage
        needed += abs(value(instrument, order.contracts, order.price)) * max(ZERO, fees.taker)
        needed += max(ZERO, -profit(instrument, change, order.price, mark))
        needed *= worth
        if needed <= pool.available:
            return None
        where = f"{instrument.id.venue}.{pool.wallet}" if pool.wallet else instrument.id.venue
        text = (
            f"{plain(round(needed, 8))} {pool.asset} of margin needed, {plain(round(max(ZERO, pool.available), 8))} "
            f"free in {where}"
        )
        return Rejected("insufficient_margin", text)

    # Matching

    def _place(self, order: PlannedOrder, instrument: Instrument, book: Book, fees: Fees) -> Submission:
        symbol, now_ms = instrument.id.symbol, self._market.now_ms()
        other = Side.SELL if order.side is Side.BUY else Side.BUY
        levels = book.asks if order.side is Side.BUY else book.bids
        if order.time_in_force == POST_ONLY and take(order.side, order.price, ONE, levels, {}):
            return Rejected(POST_ONLY_REFUSED, f"{order.side.value} at {plain(order.price)} would match at once")
        contracts: Decimal = order.contracts
        if order.reduce_only:
            contracts = closable(self._account, symbol, order.side, order.contracts)
            if contracts <= 0:
                return Rejected("reduce_only", f"{order.side.value} on {symbol}: there is no position to reduce")
        with self._account.change():
            placed = self._account.accept(order, contracts, now_ms)
            if order.time_in_force == IMMEDIATE:
                taken = still_taken(levels, self._account.taken(symbol, other))
                for each in take(order.side, order.price, contracts, levels, taken):
                    placed = self._account.fill(placed, instrument, each.contracts, each.price, fees.taker, now_ms)
                    taken[each.price] = taken.get(each.price, ZERO) + each.contracts
                self._account.keep_taken(symbol, other, taken)
                if placed.is_open:
                    self._account.end(placed, "immediate or cancel: the book gave no more")
        report = self.report(self._account.order(order.client_id) or placed, instrument)
        return Accepted(report.venue_order_id, None if report.state is OrderState.OPEN else report)

    def report(self, order: Order, instrument: Instrument) -> OrderReport:
        """Where an order stands."""
        state = OrderState.PARTIAL if order.filled else OrderState.NONE
        if order.is_open:
            state = OrderState.OPEN
        elif order.filled >= order.contracts:
            state = OrderState.FILLED
        average = average_of(instrument, self._account.trades_of(order))
        return OrderReport(
            order.client_id,
            self._account.named(order.id),
            state,
            Contracts(order.contracts),
            Contracts(order.filled) if order.filled else NO_CONTRACTS,
            average,
            order.text,
        )


def average_of(instrument: Instrument, trades: tuple[Trade, ...]) -> Decimal | None:
    """The price at which all of them together would have had the same value."""
    total = sum((each.contracts for each in trades), ZERO)
    if not total:
        return None
    if instrument.kind is Kind.INVERSE:
        return total / sum((each.contracts / each.price for each in trades), ZERO)
    return sum((each.contracts * each.price for each in trades), ZERO) / total
