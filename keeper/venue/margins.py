"""The margin of the accounts that futures are held on: equity, maintenance, what may be taken out, each position."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from keeper.core.model import ZERO, AccountId, InstrumentId, Mark
from keeper.venue.base import BadReadingError, EmptyReadingError
from keeper.venue.budget import Urgency
from keeper.venue.connection import Connection, together
from keeper.venue.figures import Row, decimal_of, shown, stated
from keeper.venue.further import AccountMargin, NotOfferedError, PositionMargin
from keeper.venue.parsing import is_future, optional_positive, position_row, rows_at
from keeper.venue.prices import Prices
from keeper.venue.recipes import Fields, MarginRead, Product, Read
from keeper.venue.stakes import Stake

Held = tuple[Row, Product, Row]
"""A market, its product, and a row of a position in it that is not flat."""
Marks = Mapping[InstrumentId, Mark]


class Margins:
    """Reads margins over a shared connection."""

    def __init__(self, connection: Connection, prices: Prices) -> None:
        self._at = connection
        self._prices = prices
        self.name = connection.name

    async def margins(self) -> tuple[AccountMargin, ...]:
        """One entry an account and margin asset that has equity or owes margin; raises :class:`NotOfferedError`."""
        groups = self._at.capability.margins
        if not groups:
            raise NotOfferedError(f"{self.name}: how this venue shows the margin of an account is not known")
        async with self._at.deadline():
            held = await self._held()
            marks = await self._marks(held) if any(way.reckon for group in groups for way in group) else {}
            parts = await together(*(self._group(group, held, marks) for group in groups))
            return tuple(each for part in parts for each in part)

    def _products(self) -> tuple[Product, ...]:
        capability = self._at.capability
        return capability.products or ((capability.prices,) if capability.prices is not None else ())

    async def _held(self) -> list[Held]:
        jobs = [
            (product, read) for product in self._products() for read in product.positions if self._at.is_about(read)
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
                products = (product, *self._products())
                markets = ((self._at.market_by_id(row.get(fields.symbol), each), each) for each in products)
                market, owner = next(((m, each) for m, each in markets if m is not None), (None, product))
                if market is None:
                    raise BadReadingError(f"{self.name}: no market explains a position in {row.get(fields.symbol)!r}")
                found.append((market, owner, row))
        return found

    async def _marks(self, held: list[Held]) -> Marks:
        """The marks of contracts whose positions do not tell them."""
        lacking = {
            str(market["symbol"]): self._at.seen(str(market["symbol"]))
            for market, product, row in held
            if not stated(row, product.fields.mark)
        }
        return await self._prices.marks(list(lacking.values())) if lacking else {}

    async def _group(self, group: tuple[MarginRead, ...], held: list[Held], marks: Marks) -> list[AccountMargin]:
        answers: dict[tuple[str, str], Any] = {}
        seen = False
        group = tuple(way for way in group if not way.held_only or any(way.covers(market) for market, _, _ in held))
        if not group:
            return []
        for way in group:
            key = (way.read.method, repr(way.read.params))
            if key not in answers:
                answers[key] = await self._at.raw(way.read, {}, Urgency.POSITION)
            rows = _rows(answers[key], way.read, f"{self.name} {way.read.method}")
            seen = seen or bool(rows)
            accounts = [self._account(way, row, held, marks) for row in rows if way.when(row)]
            if accounts:
                self._check_all_told(way, accounts, held)
                # one row a currency may repeat what is said of the whole account
                kept = accounts if way.asset is not None else accounts[:1]
                return [each for each in kept if each.equity != 0 or each.maintenance != 0]
        if not seen:
            raise EmptyReadingError(f"{self.name}: the margin account came back without a single row")
        raise NotOfferedError(f"{self.name}: the venue states no margin of this account in its present mode")

    def _check_all_told(self, way: MarginRead, accounts: list[AccountMargin], held: list[Held]) -> None:
        """A list of accounts that leaves out the one behind a position is no list of them."""
        told = {row.instrument.symbol for account in accounts for row in account.positions}
        lost = [str(market["symbol"]) for market, _, _ in held if way.covers(market) and market["symbol"] not in told]
        if way.reckon is not None and lost:
            raise BadReadingError(f"{self.name} {way.read.method}: no row is of the account behind {lost[0]}")

    def _account(self, way: MarginRead, row: Row, held: list[Held], marks: Marks) -> AccountMargin:
        asset = "USD" if way.asset is None else self._at.client.safe_currency_code(str(row.get(way.asset)))
        wallet = way.wallet if way.wallet_of is None else way.wallet_of(asset)
        what = f"{self.name}.{wallet} {asset}"
        own = [
            (market, product, position)
            for market, product, position in held
            if way.covers(market) and (way.asset is None or market.get("settle") == asset)
        ]
        needs: tuple[Decimal | None, ...] = (None,) * len(own)
        if way.reckon is not None:
            try:
                reckoned = way.reckon(row, [self._stake(*each, marks) for each in own])
            except BadReadingError as failure:
                raise BadReadingError(f"{what}: {failure}") from failure
            equity, maintenance, needs = reckoned.equity, reckoned.maintenance, reckoned.needs
        else:
            equity, maintenance = self._stated(way, row, own, what)
        named = next((name for name in way.available if stated(row, name)), None)
        return AccountMargin(
            account=AccountId(self.name, wallet),
            asset=asset,
            equity=equity,
            maintenance=maintenance,
            available=None if named is None else decimal_of(row[named], f"{what} {named}"),
            positions=tuple(self._position(*each, need) for each, need in zip(own, needs, strict=True)),
        )

    @staticmethod
    def _stated(way: MarginRead, row: Row, own: list[Held], what: str) -> tuple[Decimal, Decimal]:
        """Equity and maintenance as the account's row has them, or the risk beside its positions."""
        equity = decimal_of(row.get(way.equity), f"{what} {way.equity}")
        if way.maintenance is not None:
            maintenance = decimal_of(row.get(way.maintenance), f"{what} {way.maintenance}")
        else:
            maintenance = max((_risk(way, position, what) for _, _, position in own), default=ZERO) * max(equity, ZERO)
        return equity, maintenance

    def _stake(self, market: Row, product: Product, row: Row, marks: Marks) -> Stake:
        fields, symbol = product.fields, str(market["symbol"])
        instrument = self._at.seen(symbol)
        read = position_row(row, fields, instrument, self._at.unit(symbol))
        if read.fault is not None:
            raise BadReadingError(read.fault)
        told = marks.get(instrument.id)
        mark = optional_positive(row, fields.mark, str(instrument.id))
        return Stake(
            instrument,
            info=market.get("info") or {},
            row=row,
            contracts=read.contracts,
            entry=read.entry,
            mark=mark if mark is not None or told is None else told.mark,
            isolated=_is_isolated(row, fields, str(instrument.id)),
        )

    def _position(self, market: Row, product: Product, row: Row, need: Decimal | None) -> PositionMargin:
        fields, instrument = product.fields, self._at.seen(str(market["symbol"]))
        what = str(instrument.id)
        return PositionMargin(
            instrument.id,
            maintenance=_stated(row, fields.maintenance, what) if need is None else need,
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


def _is_isolated(row: Row, fields: Fields, what: str | None = None) -> bool:
    """Whether a position has margin of its own; with ``what`` it has to be said, because the reckoning rests on it."""
    name = fields.margin_mode if fields.margin_mode is not None else fields.isolated
    if what is not None and (name is None or not stated(row, name)):
        raise BadReadingError(f"{what}: whether its margin is cross or isolated is not told")
    if fields.margin_mode is not None and stated(row, fields.margin_mode):
        mode = fields.margin_modes.get(str(row[fields.margin_mode]).lower())
        if what is not None and mode is None:
            text = shown(row[fields.margin_mode])
            raise BadReadingError(f"{what} {fields.margin_mode} is {text}, neither cross nor isolated")
        return mode == "isolated"
    return fields.isolated is not None and stated(row, fields.isolated) and decimal_of(row[fields.isolated], "") != 0
