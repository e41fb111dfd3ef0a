"""The margin of the accounts that futures are held on: equity, maintenance, what may be taken out, each position."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from keeper.core.model import ZERO, AccountId
from keeper.venue.base import BadReadingError, EmptyReadingError
from keeper.venue.budget import Urgency
from keeper.venue.connection import Connection, together
from keeper.venue.further import AccountMargin, NotOfferedError, PositionMargin
from keeper.venue.parsing import is_future, optional_positive, rows_at
from keeper.venue.recipes import Fields, MarginRead, Product, Read, Row, decimal_of, stated

Held = tuple[Row, Product, Row]
"""A market, its product, and a row of a position in it that is not flat."""


class Margins:
    """Reads margins over a shared connection."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self.name = connection.name

    async def margins(self) -> tuple[AccountMargin, ...]:
        """One entry an account and margin asset that has equity or owes margin; raises :class:`NotOfferedError`."""
        groups = self._at.capability.margins
        if not groups:
            raise NotOfferedError(f"{self.name}: how this venue shows the margin of an account is not known")
        async with self._at.deadline():
            held = await self._held()
            parts = await together(*(self._group(group, held) for group in groups))
            return tuple(each for part in parts for each in part)

    async def _held(self) -> list[Held]:
        jobs = [
            (product, read)
            for product in self._at.capability.products
            for read in product.positions
            if self._at.is_about(read)
        ]
        pages = await together(*(self._at.rows(read, level=Urgency.POSITION) for _, read in jobs))
        found = []
        for (product, _), rows in zip(jobs, pages, strict=True):
            for row in rows:
                fields = product.fields
                if not is_future(row, fields):
                    continue
                if decimal_of(row.get(fields.size), f"{self.name} {fields.size}") == 0:
                    continue
                products = (product, *self._at.capability.products)
                markets = ((self._at.market_by_id(row.get(fields.symbol), each), each) for each in products)
                market, owner = next(((m, each) for m, each in markets if m is not None), (None, product))
                if market is None:
                    raise BadReadingError(f"{self.name}: no market explains a position in {row.get(fields.symbol)!r}")
                found.append((market, owner, row))
        return found

    async def _group(self, group: tuple[MarginRead, ...], held: list[Held]) -> list[AccountMargin]:
        answers: dict[tuple[str, str], Any] = {}
        seen = False
        for way in group:
            key = (way.read.method, repr(way.read.params))
            if key not in answers:
                answers[key] = await self._at.raw(way.read, {}, Urgency.POSITION)
            rows = _rows(answers[key], way.read, f"{self.name} {way.read.method}")
            seen = seen or bool(rows)
            accounts = [self._account(way, row, held) for row in rows if way.when(row)]
            if accounts:
                # one row a currency may repeat what is said of the whole account
                kept = accounts if way.asset is not None else accounts[:1]
                return [each for each in kept if each.equity != 0 or each.maintenance != 0]
        if not seen:
            raise EmptyReadingError(f"{self.name}: the margin account came back without a single row")
        raise NotOfferedError(f"{self.name}: the venue states no margin of this account in its present mode")

    def _account(self, way: MarginRead, row: Row, held: list[Held]) -> AccountMargin:
        asset = "USD" if way.asset is None else self._at.client.safe_currency_code(str(row.get(way.asset)))
        what = f"{self.name}.{way.wallet} {asset}"
        own = [
            (market, product, position)
            for market, product, position in held
            if way.covers(market) and (way.asset is None or market.get("settle") == asset)
        ]
        equity = decimal_of(row.get(way.equity), f"{what} {way.equity}")
        if way.maintenance is not None:
            maintenance = decimal_of(row.get(way.maintenance), f"{what} {way.maintenance}")
        else:
            maintenance = max((_risk(way, position, what) for _, _, position in own), default=ZERO) * max(equity, ZERO)
        named = next((name for name in way.available if stated(row, name)), None)
        return AccountMargin(
            account=AccountId(self.name, way.wallet),
            asset=asset,
            equity=equity,
            maintenance=maintenance,
            available=None if named is None else decimal_of(row[named], f"{what} {named}"),
            positions=tuple(self._position(market, product, position) for market, product, position in own),
        )

    def _position(self, market: Row, product: Product, row: Row) -> PositionMargin:
        fields, instrument = product.fields, self._at.instrument(str(market["symbol"]))
        what = str(instrument.id)
        return PositionMargin(
            instrument.id,
            maintenance=_stated(row, fields.maintenance, what),
            liquidation_price=optional_positive(row, fields.liquidation, what),
            isolated=_is_isolated(row, fields),
        )


def _rows(answer: Any, read: Read, what: str) -> list[Row]:
    try:
        return rows_at(answer, read.rows, what, single=read.single)
    except EmptyReadingError:
        return []


def _risk(way: MarginRead, row: Row, what: str) -> Decimal:
    risk = decimal_of(row.get(str(way.risk)), f"{what} {way.risk}")
    if risk < 0:
        raise BadReadingError(f"{what} {way.risk} is {risk}, negative")
    return risk


def _stated(row: Row, name: str | None, what: str) -> Decimal | None:
    return decimal_of(row[name], f"{what} {name}") if name is not None and stated(row, name) else None


def _is_isolated(row: Mapping[str, Any], fields: Fields) -> bool:
    if fields.margin_mode is not None and stated(row, fields.margin_mode):
        return fields.margin_modes.get(str(row[fields.margin_mode]).lower()) == "isolated"
    return fields.isolated is not None and stated(row, fields.isolated) and decimal_of(row[fields.isolated], "") != 0
