"""What happens to a paper account while time passes: settlements of funding, contracts that end, orders that rest.

It is caught up with whenever the account is looked at, also for the time while no keeper ran: a settlement that was
missed is paid at the next start, on the position that was held at its own moment, and once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from decimal import Decimal

import structlog

from keeper.core.model import ZERO, Side
from keeper.core.quotes import Level
from keeper.venue.base import UnknownSymbolError, VenueError
from keeper.venue.further import NotOfferedError
from keeper.venue.paper.account import Account, Held, Order
from keeper.venue.paper.fills import still_taken, take
from keeper.venue.paper.market import HOUR_MS, MINUTE_MS, Market
from keeper.venue.paper.terms import PaperError

log = structlog.get_logger(__name__)

LATE_MS = HOUR_MS
"""A venue may publish a settlement's rate so long after it; later ones are not looked for."""
ASK_SECONDS = 60.0
FRESH_MS = 5 * MINUTE_MS
"""A price seen this long before a contract's end is what it is settled at."""


class Passage:
    """Brings one account up to now."""

    def __init__(self, account: Account, market: Market) -> None:
        self._account = account
        self._market = market
        self._lock = asyncio.Lock()
        self._rounds = 0
        self._asked: dict[str, tuple[float, int]] = {}
        self._silent: set[str] = set()

    async def catch_up(self) -> None:
        """Do all that is due; whoever asks while it is being done waits for it, and does not do it again.

        A reading of the venue that fails leaves the rest for the next time. Raises
        :class:`~keeper.venue.paper.terms.PaperError` where the account cannot be written.
        """
        before = self._rounds
        async with self._lock:
            if self._rounds != before:
                return
            self._keep_prices()
            for held in self._account.ever_held():
                await self._trying("funding", held.instrument.id.symbol, self._fund(held))
            for held in self._account.positions():
                await self._trying("delivery", held.instrument.id.symbol, self._end(held))
            for symbol in dict.fromkeys(order.symbol for order in self._account.open_orders()):
                await self._trying("resting orders", symbol, self._meet(symbol))
            self._rounds += 1

    async def _trying(self, what: str, symbol: str, work: Awaitable[None]) -> None:
        try:
            await work
        except PaperError:
            raise
        except NotOfferedError as error:
            if symbol not in self._silent:
                self._silent.add(symbol)
                log.warning("paper_not_offered", what=what, symbol=symbol, text=str(error))
        except VenueError as error:
            log.warning("paper_waits", what=what, symbol=symbol, text=str(error))

    # Funding

    async def _fund(self, held: Held) -> None:
        """Pay every settlement since the last one, each on what was held at its moment (F41)."""
        instrument, symbol = held.instrument, held.instrument.id.symbol
        if instrument.expires_at_ms is not None or not self._is_due(held):
            return
        now_ms = self._market.now_ms()
        since_ms = self._account.funded_until_ms(symbol) + 1
        rates = await self._market.source.funding_rates(instrument, since_ms)
        paid = {payment.at_ms for payment in self._account.payments(symbol, since_ms)}
        due = [rate for rate in rates if rate.at_ms not in paid and self._account.contracts_at(symbol, rate.at_ms)]
        marks = await self._market.marks_at(instrument, [rate.at_ms for rate in due]) if due else {}
        with self._account.change():
            for rate in due:
                amount = self._account.settle(held, rate.at_ms, rate.rate, marks[rate.at_ms], now_ms)
                log.info("paper_funding", instrument=str(instrument.id), at_ms=rate.at_ms, received=str(amount))
            self._account.funded(symbol, now_ms - LATE_MS)
        self._asked[symbol] = (self._market.monotonic(), now_ms // HOUR_MS)

    def _is_due(self, held: Held) -> bool:
        """Asked once a minute, and at once when an hour has passed: settlements are on the hour everywhere."""
        symbol, now_ms = held.instrument.id.symbol, self._market.now_ms()
        changed_ms = self._account.changed_at_ms(symbol)
        if not held.contracts and self._account.funded_until_ms(symbol) >= changed_ms:
            return False  # nothing was held in what has not been asked for
        asked = self._asked.get(symbol)
        return asked is None or self._market.monotonic() - asked[0] >= ASK_SECONDS or asked[1] != now_ms // HOUR_MS

    # Contracts that end

    def _keep_prices(self) -> None:
        """Keep a price of every contract that will end, so that it can be settled if nobody looks when it does."""
        for held in self._account.positions():
            symbol = held.instrument.id.symbol
            now = self._market.last.get(symbol)
            ends = held.instrument.expires_at_ms
            if now is None or ends is None or now.at_ms >= ends:
                continue
            before = self._account.seen(symbol)
            if before is None or now.at_ms - before.at_ms >= MINUTE_MS:
                with self._account.change():
                    self._account.keep_seen(symbol, now)

    async def _end(self, held: Held) -> None:
        """Settle what has expired: at the index (else the mark) of its last minutes, else at the best that is known."""
        instrument, symbol = held.instrument, held.instrument.id.symbol
        ends = instrument.expires_at_ms
        if ends is None or self._market.now_ms() < ends:
            return
        seen = self._account.seen(symbol)
        price = seen.settle if seen is not None and ends - seen.at_ms <= FRESH_MS else None
        if price is None:
            price = await self._market.close_before(symbol, ends)
        if price is None and seen is not None:
            price = seen.settle
        if price is None:
            log.error("paper_not_settled", instrument=str(instrument.id), text="no price of before its end is known")
            return
        with self._account.change():
            brought = self._account.deliver(held, price, ends)
        age = None if seen is None else (ends - seen.at_ms) // 1000
        log.warning(
            "paper_delivery", instrument=str(instrument.id), contracts=str(held.contracts), price=str(price),
            realised=str(brought), price_seen_seconds_before=age,
        )  # fmt: skip

    # Orders that rest

    async def _meet(self, symbol: str) -> None:
        """Fill resting orders as far as the other side of the book has come to their price, as maker, at their own."""
        try:
            instrument = self._market.source.instrument(symbol)
        except UnknownSymbolError:
            with self._account.change():
                for order in self._account.open_orders(symbol):
                    self._account.end(order, "the venue does not list the contract any more")
            return
        fees = await self._market.fees(instrument)
        book = await self._market.source.book(instrument)
        if fees is None:
            return  # an order is not taken in without them; the venue has stopped telling
        now_ms, sides = self._market.now_ms(), ((Side.SELL, book.asks), (Side.BUY, book.bids))
        if not any(self._is_moved(symbol, side, levels) for side, levels in sides):
            return  # nothing to write
        with self._account.change():
            for side, levels in sides:
                taken = still_taken(levels, self._account.taken(symbol, side))
                for order in self._account.open_orders(symbol):
                    if order.side is side:
                        continue
                    left = self._closable(order) if order.reduce_only else order.remaining
                    if left <= 0:
                        self._account.end(order, "nothing is left that it could reduce")
                        continue
                    takes = take(order.side, order.price, left, levels, taken)
                    for each in takes:
                        taken[each.price] = taken.get(each.price, ZERO) + each.contracts
                    got = sum((each.contracts for each in takes), ZERO)
                    if got:
                        self._account.fill(order, instrument, got, order.price, fees.maker, now_ms)
                self._account.keep_taken(symbol, side, taken)

    def _is_moved(self, symbol: str, side: Side, levels: Sequence[Level]) -> bool:
        """Whether a side of the book does anything to our orders, or is another one where we have taken from it."""
        taken = self._account.taken(symbol, side)
        if still_taken(levels, taken) != taken:
            return True
        met = [order for order in self._account.open_orders(symbol) if order.side is not side]
        return any(
            (order.reduce_only and self._closable(order) <= 0)
            or take(order.side, order.price, order.remaining, levels, taken)
            for order in met
        )

    def _closable(self, order: Order) -> Decimal:
        return closable(self._account, order.symbol, order.side, order.remaining)


def closable(account: Account, symbol: str, side: Side, contracts: Decimal) -> Decimal:
    """What of an order of ``side`` would only reduce the position."""
    held = account.held(symbol)
    open_contracts = ZERO if held is None else held.contracts
    against = -open_contracts if side is Side.BUY else open_contracts
    return min(contracts, max(ZERO, against))
