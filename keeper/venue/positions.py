"""Positions and working orders of one venue, part by part: what could be read is shown, what could not is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keeper.core.model import Instrument, InstrumentId, Position, WorkingOrder
from keeper.venue.base import (
    BadReadingError,
    EmptyReadingError,
    NoRowError,
    PositionBook,
    RateLimitedError,
    UnknownSymbolError,
    UnreadMarketError,
    VenueError,
)
from keeper.venue.budget import Urgency
from keeper.venue.connection import RAW_SIZES, Connection, settled
from keeper.venue.figures import Row, decimal_of, stated
from keeper.venue.guard import ANSWERS, cleanse
from keeper.venue.order_rows import working_order
from keeper.venue.parsing import (
    UNIFIED_FIELDS,
    UNIFIED_SLOTS,
    Once,
    PositionRow,
    is_future,
    merged,
    position_row,
    rows_at,
)
from keeper.venue.recipes import Fields, Product, Read

Held = tuple[Instrument, PositionRow]


class _UnexplainedError(Exception):
    """A position in something that is not among the venue's markets."""


class Positions:
    """Reads positions and working orders over a shared connection."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self.name = connection.name
        self._asked_for: set[str] = set()

    async def positions(self) -> PositionBook:
        """All positions and working orders, each list read to its end; raises where no positions could be read at all.

        A part that fails is a fault of the book and hides no other part.
        """
        async with self._at.deadline():
            book = await (self._book() if self._at.capability.products else self._unified_book())
            untold = await self._at.tell_again()
            if untold is not None:
                book.faults.append(BadReadingError(f"{self.name}: the kind of account could not be told: {untold}"))
            for missing in self._at.unlisted:
                book.faults.append(UnreadMarketError(f"{self.name}: a list of markets could not be read: {missing}"))
            book.unread |= {symbol for symbol in self._at.missed if self._at.is_missed(symbol)}
            for fault in book.faults:
                # They are told with the rest of the book, and repeat what could not be understood.
                cleanse(fault, self._at.guard.secrets)
            return book.closed()

    async def _book(self) -> _Parts:
        products = self._at.capability.products
        jobs = [(product, read) for product in products for read in product.positions if self._at.is_about(read)]
        tasks = [(product, read) for product in products for read in product.orders if self._at.is_about(read)]
        answers = await settled(
            *(self._at.rows(read, level=Urgency.POSITION) for _, read in [*jobs, *tasks]),
        )
        book = _Parts()
        # a venue may show a position in more than one of its lists
        seen = {id(product.fields): Once(product.fields) for product in products}
        for (product, read), rows in zip(jobs, answers, strict=False):
            try:
                if isinstance(rows, VenueError):
                    raise rows
                book.held.extend(await self._held(product, rows, seen[id(product.fields)], book))
                book.read += 1
            except VenueError as failure:
                book.faults.append(failure)
                book.unread |= self._symbols(product, read)
        for (product, _), rows in zip(tasks, answers[len(jobs) :], strict=True):
            try:
                if isinstance(rows, VenueError):
                    raise rows
                book.working.update({order.venue_order_id: order for order in self._working(product, rows)})
            except VenueError as failure:
                book.faults.append(failure)
        return book

    def _symbols(self, product: Product, read: Read) -> set[str]:
        """The symbols that a listing is about; one that stands in for products without a list is about those too."""
        own = read.about if read.about is not None else product.covers
        without = [each.covers for each in self._at.capability.products if not each.positions]
        return {
            symbol
            for symbol, market in self._at.markets().items()
            if own(market) or any(covers(market) for covers in without)
        }

    async def _held(self, product: Product, rows: list[Row], once: Once, book: _Parts) -> list[Held]:
        fields = product.fields
        found: list[Held] = []
        for row in rows:
            if not is_future(row, fields):
                continue
            market_id = row.get(fields.symbol)
            try:
                size = decimal_of(row.get(fields.size), f"{self.name} {market_id} {fields.size}")
            except BadReadingError as failure:
                book.cannot_read(self._named(market_id, product), failure)
                continue
            if size == 0:
                continue
            try:
                market = await self._known_market(market_id, product)
                instrument = self._at.seen(str(market["symbol"]))
            except (UnknownSymbolError, _UnexplainedError) as failure:
                book.faults.append(BadReadingError(f"{self.name}: there is a position of {size}: {failure}"))
                continue
            found.extend(self._row(row, fields, instrument, once, book))
        return found

    def _named(self, market_id: Any, product: Product) -> str | None:
        """The symbol of the contract that a row names, where it names one that is known."""
        products = (product, *self._at.capability.products)
        markets = (self._at.market_by_id(market_id, each) for each in products)
        return next((str(market["symbol"]) for market in markets if market is not None), None)

    def _row(self, row: Row, fields: Fields, instrument: Instrument, once: Once, book: _Parts) -> list[Held]:
        """What a row tells of its contract; one that cannot be understood hides that contract and no other."""
        symbol = instrument.id.symbol
        try:
            if not once.is_new(row, str(instrument.id)):
                return []
            one = position_row(row, fields, instrument, self._at.unit(symbol))
        except BadReadingError as failure:
            book.cannot_read(symbol, failure)
            return []
        book.doubt(one)
        return [(instrument, one)]

    async def _known_market(self, market_id: Any, product: Product) -> Row:
        """The market of a position; one that was listed after the start is asked for once."""
        products = (product, *(other for other in self._at.capability.products if other is not product))
        for attempt in (1, 2):
            for candidate in products:
                market = self._at.market_by_id(market_id, candidate)
                if market is not None:
                    return market
            if attempt == 1 and str(market_id) not in self._asked_for:
                self._asked_for.add(str(market_id))
                try:
                    await self._at.open()
                except RateLimitedError:
                    raise
                except VenueError as failure:
                    raise _UnexplainedError(f"no market explains {market_id!r} ({failure})") from failure
        if not market_id:
            raise BadReadingError(f"{self.name}: a position names no market")
        raise _UnexplainedError(f"no market explains {market_id!r}")

    def _working(self, product: Product, rows: Iterable[Row]) -> list[WorkingOrder]:
        found = []
        names = ("symbol", "instId", "instrument_name")
        for row in rows:
            market_id = next((row[name] for name in names if row.get(name)), None)
            if market_id is None:
                raise BadReadingError(f"{self.name}: an open order names no market")
            products = (product, *self._at.capability.products)
            market = next((m for m in (self._at.market_by_id(market_id, each) for each in products) if m), None)
            if market is None:
                continue  # spot and options: no contracts are working there
            symbol = str(market["symbol"])
            order = self._at.order(row, market)
            found.append(
                working_order(order, InstrumentId(self.name, symbol), self._at.unit(symbol), self._at.capability)
            )
        return found

    async def _unified_book(self) -> _Parts:
        capability = self._at.capability
        level = Urgency.POSITION
        books = await settled(
            *(self._at.unified("fetch_positions", None, dict(each), level=level) for each in capability.position_params)
        )
        orders = await settled(
            *(
                self._at.unified("fetch_open_orders", None, None, None, dict(each), level=level)
                for each in capability.working_params
            )
        )
        book, once = _Parts(), Once(UNIFIED_SLOTS)
        for rows in books:
            try:
                if isinstance(rows, VenueError):
                    raise rows
                book.held.extend(self._unified_held(rows_at(rows, (), f"{self.name} positions"), once, book))
                book.read += 1
            except VenueError as failure:
                book.faults.append(failure)
                # which contracts a part of the client's list is about is not told apart
                book.unread |= {symbol for symbol, market in self._at.markets().items() if market.get("contract")}
        for listed in orders:
            try:
                if isinstance(listed, VenueError):
                    raise listed
                found = self._unified_working(rows_at(listed, (), f"{self.name} open orders"))
                book.working.update({order.venue_order_id: order for order in found})
            except VenueError as failure:
                book.faults.append(failure)
        return book

    def _unified_held(self, rows: Iterable[Row], once: Once, book: _Parts) -> list[Held]:
        held: list[Held] = []
        for row in rows:
            symbol = str(row.get("symbol"))
            try:
                if row.get("contracts") is None or decimal_of(row["contracts"], f"{symbol} contracts") == 0:
                    _raw_zero(row, symbol)
                    continue
            except BadReadingError as failure:
                book.cannot_read(symbol if symbol in self._at.markets() else None, failure)
                continue
            try:
                instrument = self._at.seen(symbol)
            except UnknownSymbolError as failure:
                book.faults.append(BadReadingError(f"{self.name}: there is a position: {failure}"))
                continue
            held.extend(self._row(row, UNIFIED_FIELDS, instrument, once, book))
        return held

    def _unified_working(self, orders: Iterable[Row]) -> list[WorkingOrder]:
        found = []
        for order in orders:
            market = self._at.markets().get(str(order.get("symbol")))
            if market is None or not market.get("contract") or market.get("option"):
                continue
            symbol = str(market["symbol"])
            found.append(
                working_order(order, InstrumentId(self.name, symbol), self._at.unit(symbol), self._at.capability)
            )
        return found

    async def position(self, instrument: Instrument) -> Position:
        """A second look at one position, at a source that shows an explicit zero; raises when it shows nothing."""
        async with self._at.deadline():
            rows, fields = await self.rows_of(instrument)
            unit = self._at.unit(instrument.id.symbol)
            read = [position_row(row, fields, instrument, unit) for row in rows]
            fault = next((row.fault for row in read if row.fault is not None), None)
            if fault is not None:
                raise BadReadingError(fault)
            return merged(instrument, read)

    async def rows_of(self, instrument: Instrument) -> tuple[list[Row], Fields]:
        """The rows of one contract, each slot once, and what their fields are called."""
        symbol = instrument.id.symbol
        market = self._at.market(symbol)
        product = self._at.capability.product_of(market)
        if product is not None:
            fields = product.fields
            listed = await self._at.rows(product.position, self._at.keys(market, product), Urgency.POSITION)
            rows = [row for row in listed if row.get(fields.symbol) == market["id"]]
        elif self._at.capability.whole_list and self._at.capability.in_whole_list(market):
            fields, rows = UNIFIED_FIELDS, await self._in_whole_list(symbol, market)
        else:
            fields = UNIFIED_FIELDS
            in_list = self._at.capability.position_from_list
            single = self._at.client.has.get("fetchPosition") is True
            rows = []
            if in_list or not single:
                asked = dict(self._at.capability.params_by_product(market))
                rows = await self._at.unified("fetch_positions", [symbol], asked, level=Urgency.POSITION)
            if single and (not in_list or (not rows and self._at.capability.flat_is_told)):
                rows = [await self._at.unified("fetch_position", symbol, level=Urgency.POSITION)]
            rows = [row for row in rows if isinstance(row, Mapping) and row.get("symbol") == symbol]
        if not rows:
            failure = NoRowError if self._at.capability.flat_has_no_row else EmptyReadingError
            raise failure(f"{instrument.id}: the venue showed no row, which is no evidence of zero")
        once = Once(fields if product is not None else UNIFIED_SLOTS)
        return [row for row in rows if once.is_new(row, str(instrument.id))], fields

    async def _in_whole_list(self, symbol: str, market: Row) -> list[Row]:
        """The rows of one contract in the list of all, or a zero where a list that is all there has none.

        The client passes over what it does not understand, so each of the venue's rows has to be one of the client's.
        """
        what, path = f"{self.name} positions", self._at.capability.whole_list
        asked = dict(self._at.capability.params_by_product(market))

        async def listed() -> list[Row]:
            rows = rows_at(await client.fetch_positions(None, asked), (), what)
            answers = ANSWERS.get() or []
            theirs = rows_at(answers[-1].body if answers else None, path, what)
            if len(theirs) != len(rows) or not all(row.get("symbol") in self._at.markets() for row in rows):
                raise BadReadingError(f"{what}: a row is of no known contract, so none is shown to be flat")
            return rows

        client: Any = self._at.client
        rows = await self._at.ask(listed, Urgency.POSITION, "fetch_positions")
        return [row for row in rows if row["symbol"] == symbol] or [{"symbol": symbol, "contracts": "0"}]


class _Parts:
    """A book that is being put together."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.working: dict[str, WorkingOrder] = {}
        self.faults: list[VenueError] = []
        self.unread: set[str] = set()
        self.read = 0

    def cannot_read(self, symbol: str | None, failure: VenueError) -> None:
        """Take down that the position of one contract is not known; raises where the row does not tell which."""
        if symbol is None:
            raise failure
        self.faults.append(failure)
        self.unread.add(symbol)

    def doubt(self, row: PositionRow) -> None:
        """Take down what a row says against itself: it is shown, and nobody trades on it."""
        if row.fault is not None:
            self.faults.append(BadReadingError(row.fault))

    def closed(self) -> PositionBook:
        """The book; raises its first fault where no list of positions could be read."""
        if self.read == 0 and self.faults:
            raise self.faults[0]
        rows: dict[Instrument, list[PositionRow]] = {}
        for instrument, row in self.held:
            rows.setdefault(instrument, []).append(row)
        known = {instrument: each for instrument, each in rows.items() if instrument.id.symbol not in self.unread}
        return PositionBook(
            tuple(merged(instrument, each) for instrument, each in known.items()),
            tuple(self.working.values()),
            tuple(self.faults),
            frozenset(self.unread),
        )


def _raw_zero(row: Row, symbol: str) -> None:
    """A unified row without contracts is flat only if no raw size beside it says otherwise."""
    info = row.get("info")
    if not isinstance(info, Mapping):
        return
    for name in RAW_SIZES:
        if stated(info, name) and decimal_of(info[name], f"{symbol} {name}") != 0:
            raise BadReadingError(f"{symbol}: the client says flat, the venue says {name} {info[name]}")
