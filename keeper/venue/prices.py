"""Prices of one venue: marks and books of contracts, and what coins are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from keeper.core.model import Instrument, InstrumentId, Kind, Mark
from keeper.venue.base import BadReadingError, RateLimitedError, VenueError
from keeper.venue.budget import Urgency
from keeper.venue.connection import Connection, settled, together
from keeper.venue.figures import Row, stated
from keeper.venue.parsing import USD_LIKE, at, mark_of, optional_positive, rows_at
from keeper.venue.recipes import Path, Product, Read


class Prices:
    """Reads prices over a shared connection."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self.name = connection.name

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Mark, best bid and ask of the instruments that could be priced; as many reads as there are products."""
        async with self._at.deadline():
            groups: dict[int, tuple[Product, list[Row]]] = {}
            plain: list[str] = []
            for instrument in instruments:
                unknown = self._at.capability.inverse_worth_unknown and instrument.kind is Kind.INVERSE
                if unknown or self._at.is_missed(instrument.id.symbol):
                    continue
                market = self._at.market(instrument.id.symbol)
                product = self._at.capability.product_of(market) or self._at.capability.prices
                if product is None or not product.marks:
                    plain.append(instrument.id.symbol)
                else:
                    groups.setdefault(id(product), (product, []))[1].append(market)
            values: dict[str, dict[str, Any]] = {}
            collected = await together(*(self._collect(product, markets) for product, markets in groups.values()))
            for part in collected:
                values.update(part)
            if plain:
                # The client asks one book of contracts at a time, that of the first symbol it is given.
                books = [self._at.market(symbol) for symbol in plain]
                kinds = dict.fromkeys((market.get("inverse"), market.get("settle")) for market in books)
                for kind in kinds:
                    symbols = [str(m["symbol"]) for m in books if (m.get("inverse"), m.get("settle")) == kind]
                    values.update(await self._unified_marks(symbols))
            found = {}
            for symbol, fields in values.items():
                mark = mark_of(fields, f"{self.name}:{symbol}")
                if mark is not None:
                    found[InstrumentId(self.name, symbol)] = mark
            return found

    async def _collect(self, product: Product, markets: list[Row]) -> dict[str, dict[str, Any]]:
        if product.marks_by_symbol is not None:
            name = product.marks_by_symbol
            jobs = [(read, names, {name: m["id"]}) for m in markets for read, names in product.marks]
        else:
            jobs = [(read, names, {}) for read, names in product.marks]
        answers = await settled(*(self._asked(read, params, product, markets) for read, _, params in jobs))
        wanted = {str(market["id"]): str(market["symbol"]) for market in markets}
        values: dict[str, dict[str, Any]] = {}
        failure: VenueError | None = None
        for (read, names, _), answer in zip(jobs, answers, strict=True):
            try:
                if isinstance(answer, VenueError):
                    raise answer
                rows = price_rows(answer, read, f"{self.name} {read.method}")
            except VenueError as error:
                failure = failure or error
                continue
            for row in rows:
                symbol = wanted.get(str(row.get(product.fields.symbol)))
                if symbol is None:
                    continue
                found = values.setdefault(symbol, {})
                for ours, theirs in names.items():
                    found[ours] = answer.get(theirs[1:]) if theirs.startswith("@") else row.get(theirs)
        lacking = [symbol for symbol in wanted.values() if not _has_mark(values.get(symbol, {}))]
        if failure is None and not lacking:
            return values
        whole = failure is None
        failure = failure or BadReadingError(f"{self.name}: the prices show no mark of {lacking[0]}")
        return await self._completed(lacking if whole else list(wanted.values()), values, failure)

    async def _asked(self, read: Read, params: Mapping[str, Any], product: Product, markets: list[Row]) -> Any:
        """One answer to a question about prices; asked market by market where the venue has no list of them."""
        try:
            return await self._at.raw(read, params, Urgency.POSITION)
        except VenueError as failure:
            # an outage, a refusal or nonsense is what it is
            if read.otherwise is None or type(failure) is not VenueError:
                raise
            alone, what = read.otherwise, f"{self.name} {read.otherwise.method}"
            answers = await together(
                *(self._at.raw(alone, self._at.keys(market, product), Urgency.POSITION) for market in markets)
            )
            rows = [row for answer in answers for row in price_rows(answer, alone, what)]
            return _placed(rows, read.rows)

    async def _completed(
        self, symbols: list[str], values: dict[str, dict[str, Any]], failure: VenueError
    ) -> dict[str, dict[str, Any]]:
        """What was read, completed for looking at where a part of the prices failed; raises where nothing was."""
        if isinstance(failure, RateLimitedError) and not all(_has_mark(values.get(symbol, {})) for symbol in symbols):
            raise failure
        for another in (self._unified_marks, self._marks_one_by_one):
            missing = [symbol for symbol in symbols if not _has_mark(values.get(symbol, {}))]
            if not missing:
                break
            try:
                instead = await another(missing)
            except RateLimitedError:
                raise
            except VenueError:
                continue
            for symbol in missing:
                found = values.setdefault(symbol, {})
                for name, value in instead.get(symbol, {}).items():
                    if name != "fault" and not stated(found, name):
                        found[name] = value
                if not _has_mark(found):
                    found["mark"] = _another_price(found)
        if not any(_has_mark(values.get(symbol, {})) for symbol in symbols):
            raise failure
        for symbol in symbols:
            values.setdefault(symbol, {})["fault"] = self._at.clean(
                f"a part of the prices could not be read: {failure}"
            )
        return values

    async def _marks_one_by_one(self, symbols: list[str]) -> dict[str, dict[str, Any]]:
        """The marks that rows of positions tell beside their sizes, or that the venue tells of one contract alone; what
        it does not tell of one hides no other.
        """
        marks = await settled(*(self._mark_alone(symbol) for symbol in symbols))
        limited = next((mark for mark in marks if isinstance(mark, RateLimitedError)), None)
        if limited is not None:
            raise limited
        told = zip(symbols, marks, strict=True)
        return {symbol: {"mark": mark} for symbol, mark in told if not isinstance(mark, VenueError | None)}

    async def _mark_alone(self, symbol: str) -> Any:
        market = self._at.market(symbol)
        product = self._at.capability.product_of(market)
        if product is None:
            return None
        read, name = product.mark_alone or (product.position, product.fields.mark)
        rows = await self._at.rows(read, self._at.keys(market, product), Urgency.POSITION)
        return next(
            (row[name] for row in rows if row.get(product.fields.symbol) == market["id"] and stated(row, name)), None
        )

    async def _unified_marks(self, symbols: list[str]) -> dict[str, dict[str, Any]]:
        has = self._at.client.has
        values: dict[str, dict[str, Any]] = {symbol: {} for symbol in symbols}
        calls = ["fetch_tickers"]
        calls += ["fetch_mark_prices"] if has.get("fetchMarkPrices") is True else []
        calls += ["fetch_funding_rates"] if has.get("fetchFundingRates") is True else []
        names = {
            "mark": "markPrice",
            "bid": "bid",
            "ask": "ask",
            "index": "indexPrice",
            "funding_rate": "fundingRate",
            "at_ms": "timestamp",
            "last": "last",
        }
        answers = await settled(*(self._at.unified(call, symbols, level=Urgency.POSITION) for call in calls))
        failures = [answer for answer in answers if isinstance(answer, VenueError)]
        if len(failures) == len(answers):
            raise failures[0]
        for answer in answers:
            for symbol in symbols:
                row = answer.get(symbol) if isinstance(answer, Mapping) else None
                for ours, theirs in names.items():
                    if isinstance(row, Mapping) and stated(row, theirs):
                        values[symbol].setdefault(ours, row[theirs])
        if failures:
            for found in values.values():
                found["fault"] = self._at.clean(f"a part of the prices could not be read: {failures[0]}")
                found.setdefault("mark", _another_price(found))
        return values

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Prices of assets in ``quote``; dollar-like quotes stand in for each other, what has no market is absent."""
        markets = self._at.markets()
        quotes = [quote, *(sorted(USD_LIKE - {quote}, key=_preference) if quote in USD_LIKE else ())]
        prices: dict[str, Decimal] = {}
        spots: dict[str, str] = {}
        futures: dict[str, str] = {}
        for asset in dict.fromkeys(assets):
            if asset == quote or {asset, quote} <= USD_LIKE:
                prices[asset] = Decimal(1)
                continue
            spot = next((f"{asset}/{each}" for each in quotes if f"{asset}/{each}" in markets), None)
            swaps = [f"{asset}/{each}:{settle}" for each in quotes for settle in (each, asset)]
            swap = next((symbol for symbol in swaps if symbol in markets), None)
            if spot is not None:
                spots[spot] = asset
            elif swap is not None:
                futures[swap] = asset
        async with self._at.deadline():
            if spots:
                params = dict(self._at.capability.spot_params)
                tickers = await self._at.unified("fetch_tickers", list(spots), params, level=Urgency.POSITION)
                prices.update(_spot_prices(tickers, spots, self.name))
        if futures:
            marks = await self.marks([self._at.instrument(symbol) for symbol in futures])
            prices.update({futures[each.symbol]: mark.index or mark.mark for each, mark in marks.items()})
        return prices


def _has_mark(found: Mapping[str, Any]) -> bool:
    """Whether a mark was told; venues write zero for none."""
    return stated(found, "mark") and str(found["mark"]).strip("0.") != ""


def _another_price(found: Mapping[str, Any]) -> Any:
    """The last price, else the middle of the book, else the index: for looking at alone."""
    if stated(found, "last"):
        return found["last"]
    bid, ask = (optional_positive(found, name, "the book") for name in ("bid", "ask"))
    return (bid + ask) / 2 if bid is not None and ask is not None else found.get("index")


def _placed(rows: list[Row], path: Path) -> Any:
    """Rows where a reading looks for them."""
    answer: Any = rows
    for step in reversed(path):
        answer = {step: answer}
    return answer


def price_rows(answer: Any, read: Read, what: str) -> list[Row]:
    """The rows of prices; a venue that has one contract to tell of may leave the list out."""
    found = at(answer, read.rows, what)
    return rows_at(answer, read.rows, what, single=read.single or isinstance(found, Mapping))


def _preference(quote: str) -> tuple[int, str]:
    order = ("USDT", "USDC", "USD")
    return (order.index(quote) if quote in order else len(order), quote)


def _spot_prices(tickers: Any, spots: Mapping[str, str], name: str) -> dict[str, Decimal]:
    prices = {}
    if not isinstance(tickers, Mapping):
        raise BadReadingError(f"{name}: the tickers are not an object")
    for symbol, asset in spots.items():
        row = tickers.get(symbol)
        if not isinstance(row, Mapping):
            continue
        bid, ask = optional_positive(row, "bid", symbol), optional_positive(row, "ask", symbol)
        last = optional_positive(row, "last", symbol)
        price = (bid + ask) / 2 if bid is not None and ask is not None else last
        if price is not None:
            prices[asset] = price
    return prices
