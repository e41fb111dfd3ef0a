"""Reads one venue: wallets, positions and working orders, prices, facts. See :class:`keeper.venue.base.Observer`."""

from __future__ import annotations

import email.utils
from collections.abc import Awaitable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from keeper.core.model import ZERO, AccountId, Base, Instrument, InstrumentId, Kind, Mark, Position
from keeper.core.quotes import Book, Candle, Fees, FundingRate
from keeper.venue.base import (
    AccountFacts,
    BadReadingError,
    EmptyReadingError,
    FundingEntry,
    HostRefusedError,
    NoRowError,
    NotPermittedError,
    PositionBook,
    SymbolSettings,
    UnknownSymbolError,
    UnknownWalletError,
    UnreadMarketError,
    VenueError,
    Wallet,
)
from keeper.venue.budget import Urgency
from keeper.venue.charts import Charts
from keeper.venue.connection import Connection, together
from keeper.venue.figures import Row, decimal_of, less_profit, near, stated
from keeper.venue.further import AccountMargin
from keeper.venue.guard import ANSWERS, Answer
from keeper.venue.ledger import Ledger
from keeper.venue.margins import Margins
from keeper.venue.parsing import optional_positive
from keeper.venue.positions import Positions
from keeper.venue.prices import Prices
from keeper.venue.recipes import Product, Read, is_contract
from keeper.venue.wallets import check_names, unified_totals, wallet_totals

T = TypeVar("T")
MAY_BE_EMPTY = frozenset({"funding", "earn", "isolated"})
"""Wallets beside the main one, of which venues list what is there and nothing else."""
TELLS_NOTHING = frozenset(
    {VenueError, EmptyReadingError, NoRowError, HostRefusedError, UnknownSymbolError, UnreadMarketError}
)
"""What a question about settings ends in that the venue does not have, or not for this contract, or that may not be
asked in this mode. Any other failure may hide what would stop orders.
"""


class CcxtObserver:
    """An :class:`~keeper.venue.base.Observer` over a shared connection."""

    def __init__(self, connection: Connection, *, no_orders: str | None = None) -> None:
        self._at = connection
        self.name = connection.name
        self._no_orders = no_orders
        self._positions = Positions(connection)
        self._prices = Prices(connection)
        self._ledger = Ledger(connection)
        self._charts = Charts(connection)
        self._margins = Margins(connection, self._prices)

    async def open(self) -> None:
        """Load the markets (anew, when called again); raises when the venue cannot be reached."""
        await self._at.open()

    async def close(self) -> None:
        """Give back every socket."""
        await self._at.close()

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol; raises :class:`UnknownSymbolError`, and :class:`HostRefusedError` in a
        mode that trades at a venue where no order can be sent.
        """
        instrument = self._at.instrument(symbol)
        if self._no_orders is not None:
            raise HostRefusedError(
                f"{instrument.id}: no orders are sent to {self._at.exchange_id}: {self._no_orders}; dry-run and paper "
                "are offered there, and its coins may be hedged elsewhere"
            )
        return instrument

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """The wallet that margins a coin-margined instrument, and whether it is the unified (spot) account."""
        wallet = self._at.capability.collateral
        if instrument.kind is not Kind.INVERSE or wallet is None:
            return None
        return AccountId(self.name, wallet), wallet == ""

    # Wallets

    async def wallet(self, wallet: str) -> Wallet:
        """One wallet, whole, without unrealised PnL and net of debt."""
        capability = self._at.capability
        unread: dict[str, str] = {}
        rows: list[Row] = []
        async with self._at.deadline():
            if wallet in capability.wallets:
                recipe = capability.wallets[wallet]
                pages = await together(*(self._at.rows(read, level=Urgency.POSITION) for read in recipe.reads))
                rows = [row for page in pages for row in page]
                totals = wallet_totals(rows, recipe, self._at.client.safe_currency_code, unread)
                if recipe.open_pnl is not None:
                    await self._take_off_open_pnl(totals, *recipe.open_pnl)
            elif wallet in capability.unified_wallets:
                params = dict(capability.unified_wallets[wallet])
                totals = unified_totals(await self._at.unified("fetch_balance", params, level=Urgency.POSITION), unread)
            else:
                known = [name for name in {**capability.wallets, **capability.unified_wallets} if name]
                listed = ", ".join(f'"{self.name}.{name}"' for name in known) or "none by name"
                raise UnknownWalletError(
                    f'{self.name} has no wallet "{wallet}"{near(wallet, known)}; besides "{self.name}" '
                    f"alone there are: {listed}"
                )
            try:
                named = [*unread, *(code for code, total in totals.items() if total)]
                check_names(named, (self._at.client.markets or {}).values())
            except BadReadingError as failure:
                raise BadReadingError(f"{self.name}: {failure}") from None
        if unread and not totals:
            raise BadReadingError(self._at.clean(f"{self.name}: {next(iter(unread.values()))}"))
        if not totals and not rows and wallet not in MAY_BE_EMPTY:
            raise EmptyReadingError(f"{self.name}: the wallet came back without a single row")
        told = {code: self._at.clean(text) for code, text in unread.items()}
        return Wallet(AccountId(self.name, wallet), totals, unread=told)

    async def _take_off_open_pnl(self, totals: dict[str, Base], read: Read, market_field: str, pnl_field: str) -> None:
        by_id = self._at.client.markets_by_id or {}
        profits: dict[str, Decimal] = {}
        for row in await self._at.rows(read, level=Urgency.POSITION):
            market = next(iter(by_id.get(str(row.get(market_field)), [])), None)
            if market is None or not is_contract(market):
                continue
            settle = str(market["settle"])
            open_pnl = decimal_of(row.get(pnl_field), f"{row.get(market_field)} {pnl_field}")
            profits[settle] = profits.get(settle, ZERO) + open_pnl
        for settle, profit in profits.items():
            if settle in totals:
                totals[settle] = Base(less_profit(totals[settle], profit))

    # Positions and working orders

    async def positions(self) -> PositionBook:
        """All positions and working orders of every product, each list read to its end."""
        return await self._positions.positions()

    async def position(self, instrument: Instrument) -> Position:
        """A second look at one position, at a source that shows an explicit zero; raises when it shows nothing."""
        return await self._positions.position(instrument)

    # Prices

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Mark, best bid and ask of the instruments that could be priced; as many reads as there are products."""
        return await self._prices.marks(instruments)

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Prices of assets in ``quote``; dollar-like quotes stand in for each other, what has no market is absent."""
        return await self._prices.asset_prices(assets, quote)

    # Market data

    async def book(self, instrument: Instrument, levels: int = 50) -> Book:
        """The visible book, best level first, sizes in contracts."""
        return await self._charts.book(instrument, levels)

    async def candles(self, symbol: str, timeframe: str, since_ms: int, until_ms: int) -> tuple[Candle, ...]:
        """Closed candles that open in [since, until), oldest first; of no more than a day each."""
        return await self._charts.candles(symbol, timeframe, since_ms, until_ms)

    async def funding_rates(self, instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
        """Settled rates since then, oldest first (positive: longs pay shorts); a dated contract has none."""
        return await self._charts.funding_rates(instrument, since_ms)

    def listed(self, base: str) -> Sequence[Instrument]:
        """Every future and perpetual on ``base`` that trades now and can hedge."""
        return self._charts.listed(base)

    async def fees(self, instrument: Instrument) -> Fees | None:
        """What the account pays; else what the list of markets says; None where neither says anything."""
        return await self._charts.fees(instrument)

    def price_band(self, instrument: Instrument) -> tuple[Decimal, Decimal] | None:
        """The lowest price of a sell and the highest of a buy, as shares of the mark; None where it is not told."""
        return self._charts.price_band(instrument)

    async def margins(self) -> tuple[AccountMargin, ...]:
        """One entry an account and margin asset: a unified account has one, split accounts have several."""
        return await self._margins.margins()

    # Facts

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:
        """A record that explains a fall of ``asset`` since then; None when there is none, or it cannot be asked."""
        return await self._ledger.outflow(account, asset, since_ms)

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Funding payments since then from the venue's own ledger, oldest first; empty where it cannot be asked."""
        return await self._ledger.funding(instrument, since_ms)

    async def clock_offset_ms(self) -> int:
        """Venue time minus ours, milliseconds; the middle of the request is taken for the moment of the answer."""
        before = self._at.clock.now_ms()
        began = self._at.clock.monotonic()
        async with self._at.deadline():
            theirs = decimal_of(await self._at.ask(self._time, Urgency.POSITION, "time"), f"{self.name} time")
        halfway = before + (self._at.clock.monotonic() - began) * 500
        return round(theirs - Decimal(halfway))

    async def _time(self) -> Any:
        """The venue's time; where it does not tell, the hour that its answer is stamped with (to the second)."""
        call: Any = self._at.client
        theirs = None
        try:
            if call.has.get("fetchTime") is True:
                theirs = await call.fetch_time()
            else:
                await self._any_answer()
        except Exception:
            theirs = _stamped(ANSWERS.get() or [])
            if theirs is None:
                raise
        return _stamped(ANSWERS.get() or []) if theirs is None else theirs

    async def _any_answer(self) -> None:
        """Ask something public and small, for the stamp on its answer: the client asks nothing where it has no time."""
        call: Any = self._at.client
        contract = next((symbol for symbol, market in self._at.markets().items() if is_contract(market)), None)
        if call.has.get("fetchOrderBook") is True and contract is not None:
            await call.fetch_order_book(contract)
        else:
            await call.fetch_tickers()

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        """Position mode, permissions, and per instrument margin mode and leverage; None for what cannot be asked.

        Raises where the venue answers about the account in a way that makes no sense: that is not "cannot be asked".
        """
        capability = self._at.capability
        instruments = [each for each in instruments if not self._at.is_missed(each.id.symbol)]
        async with self._at.deadline():
            rights = await self._asked(self._rights(), optional=True)
            mode = await self._asked(self._account_margin_mode(), optional=True)
            settings: dict[InstrumentId, SymbolSettings] = {}
            unread: dict[InstrumentId, VenueError] = {}
            one_way: list[bool] = [True] if capability.always_one_way else []
            for instrument in instruments:
                try:
                    looked = await self._asked(self._settings(instrument, mode))
                except BadReadingError as failure:
                    looked, unread[instrument.id] = None, failure
                settings[instrument.id] = looked[0] if looked else SymbolSettings()
                if looked and looked[1] is not None:
                    one_way.append(looked[1])
            modes = [product.mode for product in capability.products if product.mode is not None]
            for product in capability.products:
                covered = any(product.covers(self._at.market(each.id.symbol)) for each in instruments)
                if product.mode is not None and (covered or len(modes) == 1):
                    said = await self._asked(self._mode(product.mode, product))
                    one_way += [said] if said is not None else []
        return AccountFacts(
            one_way=all(one_way) if one_way else None,
            can_withdraw=rights[0] if rights else None,
            can_trade=rights[1] if rights else None,
            settings=settings,
            unread=unread,
        )

    async def _asked(self, question: Awaitable[T], *, optional: bool = False) -> T | None:
        """The answer, or None where the venue has no such question; ``optional``: or does not let this key ask it.

        No rows are an answer that tells nothing. One that makes no sense, or a refusal that may pass, raises.
        """
        try:
            async with self._at.deadline():
                return await question
        except NotPermittedError:
            if not optional:
                raise
        except VenueError as failure:
            if type(failure) not in TELLS_NOTHING:
                raise
        return None  # the fact is reported as not known

    async def _rights(self) -> tuple[bool | None, bool | None] | None:
        read = self._at.capability.permissions
        if read is None:
            return None
        row = await self._first(read)
        return self._at.capability.can_withdraw(row), self._at.capability.can_trade(row)

    async def _account_margin_mode(self) -> str | None:
        asked = self._at.capability.account_margin_mode
        if asked is None:
            return None
        read, name, texts = asked
        return texts.get(str((await self._first(read)).get(name)))

    async def _first(self, read: Read, level: Urgency = Urgency.READ) -> Row:
        """The row that tells of the account."""
        rows = await self._at.rows(read, level=level)
        if not rows:
            raise EmptyReadingError(f"{self.name} {read.method}: nothing is told of the account")
        return rows[0]

    async def _mode(self, read: Read, product: Product) -> bool:
        row = await self._first(read, Urgency.POSITION)
        if not stated(row, product.mode_field):
            raise BadReadingError(f"{self.name}: the position mode came without {product.mode_field}")
        return str(row[product.mode_field]).lower() == product.one_way_text

    async def _settings(self, instrument: Instrument, account_mode: str | None) -> tuple[SymbolSettings, bool | None]:
        has = self._at.client.has
        symbol = instrument.id.symbol
        product = self._at.capability.product_of(self._at.market(symbol))
        told = product is not None and (product.mode is not None or product.fields.index is not None)
        if not told and has.get("fetchPositionMode") is True:
            answer = await self._at.unified("fetch_position_mode", symbol)
            hedged = answer.get("hedged") if isinstance(answer, Mapping) else None
            one_way: bool | None = None if hedged is None else not hedged
        else:
            one_way = None
        self._at.shown.pop(symbol, None)
        looked = await self._asked(self._positions.rows_of(instrument))
        if looked is None:
            return SymbolSettings(margin_mode=account_mode), one_way
        rows, fields = looked
        if fields.index is not None:
            one_way = not any(str(row.get(fields.index)) in fields.hedge_texts for row in rows)
        elif any(self._at.capability.two_sided(row) for row in rows):
            one_way = False
        first = rows[0]
        leverage = optional_positive(first, fields.leverage, symbol) if fields.leverage else None
        said = str(first.get(fields.margin_mode)).lower() if fields.margin_mode else ""
        shown = fields.margin_modes.get(said, account_mode)
        capability = self._at.capability
        if shown is not None and (capability.margin_mode_in_order or capability.margin_mode_with_orders):
            # An order that says nothing is a cross one (or an isolated one), beside the position that is there.
            self._at.margin_modes[symbol] = shown
        if capability.mode_with_leverage:
            self._at.shown[symbol] = (shown, leverage)
        return SymbolSettings(margin_mode=shown, leverage=leverage), one_way


def _stamped(answers: Sequence[Answer]) -> int | None:
    """The moment that the ``Date`` of the last answer names, or None: an outage and a limit are no answers."""
    if not answers or answers[-1].status is None or answers[-1].status in (403, 418, 429, 500, 502, 503, 504):
        return None
    try:
        moment = email.utils.parsedate_to_datetime(answers[-1].headers.get("date", ""))
    except ValueError:
        return None
    return round(moment.timestamp() * 1000) + 500 if moment.tzinfo is not None else None
