"""The simulated exchange as an :class:`~keeper.venue.base.Observer` and :class:`~keeper.venue.base.Trader`, no sockets.

For runs of the whole loop on a manual or virtual clock: what a keeper asks, and how it is answered, is the same as over
the wire, faults included, but nothing is parsed and nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TypeVar

from keeper.clock import Clock
from keeper.core.model import (
    AccountId,
    Base,
    Contracts,
    Instrument,
    InstrumentId,
    Kind,
    Mark,
    PlannedOrder,
    Position,
    Quote,
    WorkingOrder,
)
from keeper.core.model import Side as CoreSide
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.exchange import Exchange
from keeper.sim.local_outcomes import CLOCK_CODE, clock_refusal, order_fate, reading_failure
from keeper.sim.troubles import TroubleError
from keeper.sim.types import Fill as SimFill
from keeper.sim.types import (
    IncomeKind,
    MarginMode,
    Market,
    MarketKey,
    MarketKind,
    Order,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    WalletKind,
)
from keeper.sim.types import Position as SimPosition
from keeper.venue.base import (
    Accepted,
    AccountFacts,
    Ambiguous,
    BadReadingError,
    ClockRefusedError,
    EmptyReadingError,
    Fill,
    FundingEntry,
    Lookup,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    PositionBook,
    Rejected,
    Submission,
    SymbolSettings,
    UnknownSymbolError,
    VenueError,
    Wallet,
)

T = TypeVar("T")

_FUTURES = (MarketKind.LINEAR, MarketKind.INVERSE)
_WALLETS = {"linear": MarketKind.LINEAR, "inverse": MarketKind.INVERSE}
_SOURCES = {
    "": WalletKind.SPOT,
    "linear": WalletKind.USDM,
    "inverse": WalletKind.COINM,
    "funding": WalletKind.FUNDING,
}


class LocalVenue:
    """One account of an :class:`~keeper.sim.exchange.Exchange`, read and traded in the same process."""

    def __init__(self, name: str, exchange: Exchange, api_key: str, clock: Clock) -> None:
        self.name = name
        self.exchange = exchange
        self.clock_skew_ms = 0
        self._key = api_key
        self._clock = clock
        self._instruments: dict[MarketKey, Instrument] = {}
        self._keys: dict[InstrumentId, MarketKey] = {}
        self._by_symbol: dict[str, Instrument] = {}

    async def open(self) -> None:
        """Read the markets, anew when they were read before; a failure leaves what was known."""
        self._ask(lambda: None, signed=False)
        read = [market for kind in _FUTURES for market in self._ask(partial(self.exchange.markets, kind), signed=False)]
        self._instruments = {market.key: _instrument(self.name, market) for market in read}
        self._keys = {instrument.id: key for key, instrument in self._instruments.items()}
        self._by_symbol = {instrument.id.symbol: instrument for instrument in self._instruments.values()}

    async def close(self) -> None:
        """Nothing to give back."""

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol."""
        try:
            return self._by_symbol[symbol]
        except KeyError:
            raise UnknownSymbolError(f"{self.name} has no {symbol}", list(self._by_symbol)) from None

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """The coin-margined wallet, which is one of its own here."""
        return (AccountId(self.name, "inverse"), False) if instrument.kind is Kind.INVERSE else None

    # -- reading ---------------------------------------------------------------------------------------------------

    async def wallet(self, wallet: str) -> Wallet:
        """One wallet, whole."""
        if wallet in _WALLETS:
            account = self._ask(partial(self.exchange.futures_account, self._key, _WALLETS[wallet]))
            totals = {balance.asset: Base(balance.wallet_balance) for balance in account.balances}
        else:
            read = self.exchange.funding_wallet if wallet == "funding" else self.exchange.spot_balances
            totals = {row.asset: Base(row.total) for row in self._ask(partial(read, self._key))}
        if not totals:
            raise EmptyReadingError(f"{self.name} {wallet or 'spot'}: no rows")
        return Wallet(AccountId(self.name, wallet), totals)

    async def positions(self) -> PositionBook:
        """All positions that are open, and all working orders."""
        rows: list[SimPosition] = []
        orders: list[Order] = []
        for kind in _FUTURES:
            rows += self._ask(partial(self.exchange.positions, self._key, kind, include_flat=False))
            orders += self._ask(partial(self.exchange.open_orders, self._key, kind))
        held: dict[MarketKey, list[SimPosition]] = {}
        for row in rows:
            if row.quantity:
                held.setdefault(row.market, []).append(row)
        positions = tuple(self._position(self._known(key), found) for key, found in held.items())
        return PositionBook(positions, tuple(self._working(order) for order in orders))

    async def position(self, instrument: Instrument) -> Position:
        """The raw account row, flat ones included."""
        key = self._key_of(instrument.id)
        found = self._ask(partial(self.exchange.positions, self._key, key.kind, key))
        rows = [row for row in found if row.market == key]
        if not rows:
            raise EmptyReadingError(f"{instrument.id}: the venue showed no row, which is no evidence of zero")
        return self._position(instrument, rows)

    def _position(self, instrument: Instrument, rows: Sequence[SimPosition]) -> Position:
        """One position from the rows of both sides."""
        quantity = sum((row.quantity for row in rows), Decimal(0))
        held = [row for row in rows if row.quantity]
        entry = held[0].entry_price if len(held) == 1 else None
        return Position(instrument, Contracts(quantity), entry)

    def _known(self, key: MarketKey) -> Instrument:
        try:
            return self._instruments[key]
        except KeyError:
            raise BadReadingError(f"{self.name}: there is a position in {key.symbol}, listed since the start") from None

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
        left = _SOURCES.get(account.wallet)
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
        """Funding payments from the wallet's income."""
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
        key = self._key_of(order.instrument)
        request = OrderRequest(
            market=key,
            side=Side.SELL if order.side is CoreSide.SELL else Side.BUY,
            type=OrderType.LIMIT,
            quantity=_quantity(self._instruments[key], order.contracts),
            price=order.price,
            time_in_force=TimeInForce.IOC,
            reduce_only=order.reduce_only,
            client_order_id=order.client_id,
        )
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
        report = self._report(result.order)
        return Accepted(str(result.order.order_id), None if report.state is OrderState.OPEN else report)

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        """By client id."""
        missing = NotFound(f"no order {client_id} ({venue_order_id or 'no venue id'})")
        key = self._key_of(instrument)
        try:
            found = self._ask(partial(self._find, key, client_id))
        except VenueError as failure:
            return LookupFailed(str(failure))
        return missing if found is None else self._report(found)

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
        return tuple(self._fill(instrument, fill) for fill in ordered)

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

    async def set_margin_mode(self, instrument: InstrumentId, margin_mode: str) -> None:
        """Set cross or isolated; no change is success."""
        self._ask(partial(self._set_margin_mode, self._key_of(instrument), MarginMode(margin_mode)))

    def _set_margin_mode(self, key: MarketKey, margin_mode: MarginMode) -> None:
        try:
            self.exchange.set_margin_mode(self._key, key, margin_mode)
        except SimError as error:
            if error.kind is not ErrorKind.MARGIN_MODE_UNCHANGED:
                raise

    # -- the missing wire ------------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[], T], *, signed: bool = True) -> T:
        """One request; raises :class:`~keeper.venue.base.VenueError` as the venue layer would."""
        door = self.exchange.door
        try:
            door.arrive(self._key)
            refusal = clock_refusal(self._clock.now_ms(), door.server_time_ms()) if signed else None
            if refusal is not None:
                raise ClockRefusedError(refusal)
            answer = question()
        except (SimError, TroubleError) as failure:
            raise reading_failure(failure) from failure
        garble = door.garble()
        if garble is not None:
            raise BadReadingError(f"{self.name}: the answer cannot be understood ({garble.value})")
        return answer

    # -- conversions -----------------------------------------------------------------------------------------------

    def _key_of(self, ident: InstrumentId) -> MarketKey:
        try:
            return self._keys[ident]
        except KeyError:
            raise UnknownSymbolError(f"{self.name} has no {ident.symbol}", list(self._by_symbol)) from None

    def _report(self, order: Order) -> OrderReport:
        if order.is_open:
            state = OrderState.OPEN
        elif order.executed_quantity == 0:
            state = OrderState.NONE
        elif order.executed_quantity >= order.quantity:
            state = OrderState.FILLED
        else:
            state = OrderState.PARTIAL
        return OrderReport(
            order.client_order_id,
            str(order.order_id),
            state,
            Contracts(order.quantity),
            Contracts(order.executed_quantity),
            order.average_price or None,
            order.status.value,
        )

    def _working(self, order: Order) -> WorkingOrder:
        return WorkingOrder(
            self._instruments[order.market].id,
            str(order.order_id),
            order.client_order_id,
            CoreSide.SELL if order.side is Side.SELL else CoreSide.BUY,
            Contracts(order.quantity),
            Contracts(order.executed_quantity),
            order.reduce_only,
        )

    def _fill(self, ident: InstrumentId, fill: SimFill) -> Fill:
        return Fill(
            str(fill.trade_id),
            str(fill.order_id),
            fill.client_order_id,
            ident,
            CoreSide.SELL if fill.side is Side.SELL else CoreSide.BUY,
            Contracts(fill.quantity),
            fill.price,
            fill.commission,
            fill.commission_asset,
            fill.time_ms,
        )


def _quantity(instrument: Instrument, contracts: Contracts) -> Decimal:
    """Order units: contracts for inverse; for linear base units."""
    return Decimal(contracts * instrument.contract_size if instrument.kind is Kind.LINEAR else contracts)


def _instrument(venue: str, market: Market) -> Instrument:
    """A simulated market as the core sees it; the unified symbol is base/quote:settle (and the expiry)."""
    filters = market.filters
    symbol = f"{market.base}/{market.quote}:{market.settle}"
    if market.expiry_ms is not None:
        symbol += f"-{market.expiry_ms}"
    return Instrument(
        InstrumentId(venue, symbol),
        market.base,
        market.quote,
        market.settle,
        Kind.LINEAR if market.kind is MarketKind.LINEAR else Kind.INVERSE,
        market.contract_size,
        Contracts(filters.step),
        filters.tick,
        Contracts(filters.min_qty),
        Contracts(filters.max_qty),
        Quote(filters.min_notional),
        min_notional_on_covers=False,
        expires_at_ms=market.expiry_ms,
    )
