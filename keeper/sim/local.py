"""The simulated exchange as an :class:`~keeper.venue.base.Observer` and :class:`~keeper.venue.base.Trader`, no sockets.

For runs of the whole loop on a manual or virtual clock: what a keeper asks, and how it is answered, is the same as over
the wire, faults included, but nothing is parsed and nothing waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

from keeper.core.model import (
    AccountId,
    Base,
    Instrument,
    InstrumentId,
    Kind,
    Mark,
    PlannedOrder,
    Position,
    WorkingOrder,
)
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.local_further import LocalFurther
from keeper.sim.local_line import FUTURES
from keeper.sim.local_outcomes import CLOCK_CODE, clock_refusal, order_fate
from keeper.sim.local_words import (
    PRODUCTS,
    WALLETS,
    fill_of,
    position_of,
    report_of,
    request_of,
    totals_of,
    working_of,
)
from keeper.sim.troubles import TroubleError
from keeper.sim.types import (
    IncomeKind,
    MarginMode,
    MarketKey,
    MarketKind,
    Order,
    Side,
)
from keeper.sim.types import Position as SimPosition
from keeper.venue.base import (
    Accepted,
    AccountFacts,
    Ambiguous,
    EmptyReadingError,
    Fill,
    FundingEntry,
    Lookup,
    LookupFailed,
    NotFound,
    OrderState,
    PositionBook,
    Rejected,
    Submission,
    SymbolSettings,
    UnknownSymbolError,
    UnknownWalletError,
    VenueError,
    Wallet,
)
from keeper.venue.further import NotOfferedError


class LocalVenue(LocalFurther):
    """One account of an :class:`~keeper.sim.exchange.Exchange`, read and traded in the same process."""

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """The coin-margined wallet, which is one of its own here."""
        return (AccountId(self.name, "inverse"), False) if instrument.kind is Kind.INVERSE else None

    # -- reading ---------------------------------------------------------------------------------------------------

    async def wallet(self, wallet: str) -> Wallet:
        """One wallet, whole."""
        read = {
            "": self.exchange.spot_balances,
            "funding": self.exchange.funding_wallet,
            "earn": self.exchange.earn_wallet,
        }.get(wallet)
        if wallet in PRODUCTS:
            account = self._ask(partial(self.exchange.futures_account, self._key, PRODUCTS[wallet]))
            totals = totals_of(account.balances)
        elif read is not None:
            totals = totals_of(self._ask(partial(read, self._key)))
        else:
            raise UnknownWalletError(f"{self.name} has no wallet {wallet!r}")
        if not totals:
            raise EmptyReadingError(f"{self.name} {wallet or 'spot'}: no rows")
        return Wallet(AccountId(self.name, wallet), totals)

    async def positions(self) -> PositionBook:
        """All positions that are open, and all working orders."""
        rows: list[SimPosition] = []
        orders: list[Order] = []
        for kind in FUTURES:
            rows += self._ask(partial(self.exchange.positions, self._key, kind, include_flat=False))
            orders += self._ask(partial(self.exchange.open_orders, self._key, kind))
        held: dict[MarketKey, list[SimPosition]] = {}
        for row in rows:
            if row.quantity:
                held.setdefault(row.market, []).append(row)
        positions = tuple(position_of(self._known(key), found) for key, found in held.items())
        working = tuple(working_of(self._instruments[order.market].id, order) for order in orders)
        return PositionBook(positions, working)

    async def position(self, instrument: Instrument) -> Position:
        """The raw account row, flat ones included."""
        key = self._key_of(instrument.id)
        found = self._ask(partial(self.exchange.positions, self._key, key.kind, key))
        rows = [row for row in found if row.market == key]
        if not rows:
            raise EmptyReadingError(f"{instrument.id}: the venue showed no row, which is no evidence of zero")
        return position_of(instrument, rows)

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Mark and touch of each."""
        marks: dict[InstrumentId, Mark] = {}
        for instrument in instruments:
            key = self._key_of(instrument.id)
            book = self._ask(partial(self.exchange.book, key, 1), signed=False)
            premium = self._ask(partial(self.exchange.premium, key), signed=False)
            bid = book.bids[0].price if book.bids else None
            ask = book.asks[0].price if book.asks else None
            marks[instrument.id] = Mark(
                premium.mark_price, bid, ask, premium.index_price, premium.funding_rate, premium.time_ms
            )
        return marks

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Index prices."""
        markets = self._ask(self.exchange.markets, signed=False)
        known = {market.base for market in markets if market.quote == quote}
        return {asset: self.exchange.index_price(asset) for asset in assets if asset in known}

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:
        """Withdrawals, transfers out, and the owner's own sales."""
        left = WALLETS.get(account.wallet)
        total = Decimal(0)
        for movement in self._ask(partial(self.exchange.movements, self._key)):
            if movement.asset == asset and movement.time_ms >= since_ms and movement.source is left:
                total += movement.amount
        if not account.wallet:
            for fill in self._ask(partial(self.exchange.fills, self._key, MarketKind.SPOT, since_ms=since_ms)):
                if fill.side is Side.SELL and self.exchange.market(fill.market).base == asset:
                    total += fill.quantity
        return Base(total)

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Funding payments from the wallet's income; a client refuses to ask for those of a contract that expires."""
        if instrument.expires_at_ms is not None:
            raise NotOfferedError(f"{instrument.id}: the funding of perpetual contracts alone can be asked for")
        key = self._key_of(instrument.id)
        rows = self._ask(partial(self.exchange.income, self._key, key.kind, key=key, income=IncomeKind.FUNDING_FEE))
        return tuple(
            FundingEntry(str(row.tran_id), instrument.id, row.amount, row.asset, row.time_ms)
            for row in rows
            if row.time_ms >= since_ms
        )

    async def clock_offset_ms(self) -> int:
        """The venue's clock minus ours, and what the test has added."""
        theirs = self._ask(self.exchange.door.server_time_ms, signed=False)
        return theirs - self._clock.now_ms() + self.clock_skew_ms

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        """Mode, permissions and settings."""
        allowed = self._ask(partial(self.exchange.permissions, self._key))
        settings: dict[InstrumentId, SymbolSettings] = {}
        one_way = True
        for instrument in instruments:
            key = self._key_of(instrument.id)
            now = self._ask(partial(self.exchange.settings, self._key, key))
            settings[instrument.id] = SymbolSettings(now.margin_mode.value, Decimal(now.leverage))
            hedged = self._ask(partial(self.exchange.position_mode, self._key, key.kind))
            one_way = one_way and not hedged
        return AccountFacts(one_way, allowed.withdrawals, allowed.futures, settings)

    # -- trading ---------------------------------------------------------------------------------------------------

    async def submit(self, order: PlannedOrder) -> Submission:
        """Place the order; what is neither yes nor no is ambiguous, as over the wire."""
        request = request_of(self._key_of(order.instrument), order)
        try:
            self.exchange.door.arrive(self._key)
            late = clock_refusal(self._clock.now_ms(), self.exchange.door.server_time_ms())
            if late is not None:
                return Rejected(CLOCK_CODE, late)
            result = self.exchange.place_order(self._key, request)
        except (SimError, TroubleError) as failure:
            return order_fate(failure)
        if self.exchange.door.garble() is not None:
            return Ambiguous(f"{self.name}: the answer to the order cannot be understood")
        report = report_of(result.order)
        return Accepted(str(result.order.order_id), None if report.state is OrderState.OPEN else report)

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        """By client id."""
        missing = NotFound(f"no order {client_id} ({venue_order_id or 'no venue id'})")
        try:
            key = self._key_of(instrument)
        except UnknownSymbolError as failure:
            return LookupFailed(str(failure), unlisted=True)
        try:
            found = self._ask(partial(self._find, key, client_id))
        except VenueError as failure:
            return LookupFailed(str(failure))
        return missing if found is None else report_of(found)

    def _find(self, key: MarketKey, client_id: str) -> Order | None:
        try:
            return self.exchange.order(self._key, key, client_order_id=client_id)
        except SimError as error:
            if error.kind is not ErrorKind.UNKNOWN_ORDER:
                raise
        return None

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        """Executions since then, each once, oldest first."""
        key = self._key_of(instrument)
        found = self._ask(partial(self.exchange.fills, self._key, key=key, since_ms=since_ms))
        once = {fill.trade_id: fill for fill in found}
        ordered = sorted(once.values(), key=lambda fill: (fill.time_ms, fill.trade_id))
        return tuple(fill_of(instrument, fill) for fill in ordered)

    async def cancel(self, order: WorkingOrder) -> None:
        """Cancel; one that is gone is success."""
        self._ask(partial(self._cancel, self._key_of(order.instrument), int(order.venue_order_id)))

    def _cancel(self, key: MarketKey, order_id: int) -> None:
        try:
            self.exchange.cancel_order(self._key, key, order_id=order_id)
        except SimError as error:
            if error.kind is not ErrorKind.CANCEL_REJECTED:
                raise

    async def set_leverage(self, instrument: InstrumentId, leverage: Decimal) -> None:
        """Set the leverage."""
        self._ask(partial(self.exchange.set_leverage, self._key, self._key_of(instrument), int(leverage)))

    async def set_margin_mode(
        self, instrument: InstrumentId, margin_mode: str, *, leverage: Decimal | None = None
    ) -> None:
        """Set cross or isolated; no change is success, and no ``leverage`` is needed."""
        del leverage
        self._ask(partial(self._set_margin_mode, self._key_of(instrument), MarginMode(margin_mode)))

    def _set_margin_mode(self, key: MarketKey, margin_mode: MarginMode) -> None:
        try:
            self.exchange.set_margin_mode(self._key, key, margin_mode)
        except SimError as error:
            if error.kind is not ErrorKind.MARGIN_MODE_UNCHANGED:
                raise
