"""The simulated exchange as an :class:`~keeper.venue.base.Observer` and :class:`~keeper.venue.base.Trader`, no sockets.

For runs of the whole loop on a manual or virtual clock: what a keeper asks, and how it is answered, is the same as over
the wire, but nothing is parsed and nothing waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

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
from keeper.sim.types import Fill as SimFill
from keeper.sim.types import (
    FuturesAccount,
    IncomeKind,
    Market,
    MarketKey,
    MarketKind,
    MovementKind,
    Order,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from keeper.venue.base import (
    Accepted,
    AccountFacts,
    EmptyReadingError,
    Fill,
    FundingEntry,
    Lookup,
    NotFound,
    OrderReport,
    OrderState,
    PositionBook,
    Rejected,
    Submission,
    SymbolSettings,
    UnknownSymbolError,
    Wallet,
)

_FUTURES = (MarketKind.LINEAR, MarketKind.INVERSE)
_WALLETS = {"linear": MarketKind.LINEAR, "inverse": MarketKind.INVERSE}


class LocalVenue:
    """One account of an :class:`~keeper.sim.exchange.Exchange`, read and traded in the same process."""

    def __init__(self, name: str, exchange: Exchange, api_key: str, clock: Clock) -> None:
        self.name = name
        self.exchange = exchange
        self.clock_skew_ms = 0
        self._key = api_key
        self._clock = clock
        self._instruments: dict[MarketKey, Instrument] = {}

    async def open(self) -> None:
        """Read the markets."""
        for kind in _FUTURES:
            for market in self.exchange.markets(kind):
                self._instruments[market.key] = _instrument(self.name, market)

    async def close(self) -> None:
        """Nothing to give back."""

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol."""
        for instrument in self._instruments.values():
            if instrument.id.symbol == symbol:
                return instrument
        names = [instrument.id.symbol for instrument in self._instruments.values()]
        raise UnknownSymbolError(f"{self.name} has no {symbol}", names)

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """The coin-margined wallet, which is one of its own here."""
        return (AccountId(self.name, "inverse"), False) if instrument.kind is Kind.INVERSE else None

    # -- reading ---------------------------------------------------------------------------------------------------

    async def wallet(self, wallet: str) -> Wallet:
        """One wallet, whole."""
        if wallet in _WALLETS:
            account = self.exchange.futures_account(self._key, _WALLETS[wallet])
            totals = {balance.asset: Base(balance.wallet_balance) for balance in account.balances}
        else:
            rows = self.exchange.spot_balances(self._key)
            totals = {row.asset: Base(row.total) for row in rows}
        if not totals:
            raise EmptyReadingError(f"{self.name} {wallet or 'spot'}: no rows")
        return Wallet(AccountId(self.name, wallet), totals)

    async def positions(self) -> PositionBook:
        """All positions that are open, and all working orders."""
        positions: list[Position] = []
        for kind in _FUTURES:
            positions += self._open_positions(self.exchange.futures_account(self._key, kind))
        orders = [order for kind in _FUTURES for order in self.exchange.open_orders(self._key, kind)]
        return PositionBook(tuple(positions), tuple(self._working(order) for order in orders))

    def _open_positions(self, account: FuturesAccount) -> list[Position]:
        return [
            Position(self._instruments[row.market], Contracts(row.quantity), row.entry_price)
            for row in account.positions
            if row.quantity != 0
        ]

    async def position(self, instrument: Instrument) -> Position:
        """The raw account row, flat ones included."""
        key = self._key_of(instrument.id)
        rows = [row for row in self.exchange.positions(self._key, key.kind, key) if row.market == key]
        quantity = sum((row.quantity for row in rows), Decimal(0))
        entry = rows[0].entry_price if rows and quantity else None
        return Position(instrument, Contracts(quantity), entry)

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Mark and touch of each."""
        marks: dict[InstrumentId, Mark] = {}
        for instrument in instruments:
            key = self._key_of(instrument.id)
            book, premium = self.exchange.book(key, 1), self.exchange.premium(key)
            bid = book.bids[0].price if book.bids else None
            ask = book.asks[0].price if book.asks else None
            marks[instrument.id] = Mark(
                premium.mark_price, bid, ask, premium.index_price, premium.funding_rate, self._clock.now_ms()
            )
        return marks

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Index prices."""
        known = {market.base for market in self.exchange.markets() if market.quote == quote}
        return {asset: self.exchange.index_price(asset) for asset in assets if asset in known}

    async def explain_outflow(self, account: AccountId, asset: str, since_ms: int) -> str | None:
        """A withdrawal, a transfer out, or the owner's own sale."""
        for movement in self.exchange.movements(self._key):
            if movement.asset == asset and movement.time_ms >= since_ms and movement.kind is not MovementKind.DEPOSIT:
                return f"{movement.kind.value} of {movement.amount} {asset}"
        for fill in self.exchange.fills(self._key, MarketKind.SPOT):
            sold = fill.side is Side.SELL and self.exchange.market(fill.market).base == asset
            if sold and fill.time_ms >= since_ms and not account.wallet:
                return f"sale of {fill.quantity} {asset}"
        return None

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Funding payments from the wallet's income."""
        key = self._key_of(instrument.id)
        rows = self.exchange.income(self._key, key.kind, key=key, income=IncomeKind.FUNDING_FEE)
        return tuple(
            FundingEntry(str(row.tran_id), instrument.id, row.amount, row.asset, row.time_ms)
            for row in rows
            if row.time_ms >= since_ms
        )

    async def clock_offset_ms(self) -> int:
        """As set by the test; the exchange itself shares our clock."""
        return self.clock_skew_ms

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        """Mode, permissions and settings."""
        allowed = self.exchange.permissions(self._key)
        settings: dict[InstrumentId, SymbolSettings] = {}
        one_way = True
        for instrument in instruments:
            key = self._key_of(instrument.id)
            now = self.exchange.settings(self._key, key)
            settings[instrument.id] = SymbolSettings(now.margin_mode.value, Decimal(now.leverage))
            one_way = one_way and not self.exchange.position_mode(self._key, key.kind)
        return AccountFacts(one_way, allowed.withdrawals, allowed.futures, settings)

    # -- trading ---------------------------------------------------------------------------------------------------

    async def submit(self, order: PlannedOrder) -> Submission:
        """Place the order; a refusal is a refusal, the answer is never lost here by itself."""
        request = OrderRequest(
            market=self._key_of(order.instrument),
            side=Side.SELL if order.side is CoreSide.SELL else Side.BUY,
            type=OrderType.LIMIT,
            quantity=self._quantity(order.instrument, order.contracts),
            price=order.price,
            time_in_force=TimeInForce.IOC,
            reduce_only=order.reduce_only,
            client_order_id=order.client_id,
        )
        try:
            result = self.exchange.place_order(self._key, request)
        except SimError as error:
            return Rejected(error.kind.value, error.message)
        return Accepted(str(result.order.order_id), self._report(result.order))

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        """By client id; the exchange's word on it is final."""
        try:
            found = self.exchange.order(self._key, self._key_of(instrument), client_order_id=client_id)
        except SimError as error:
            if error.kind is not ErrorKind.UNKNOWN_ORDER:
                raise
            return NotFound(f"no order {client_id} ({venue_order_id or 'no venue id'})")
        return self._report(found)

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        """Executions since then."""
        key = self._key_of(instrument)
        found = (fill for fill in self.exchange.fills(self._key, key=key) if fill.time_ms >= since_ms)
        return tuple(self._fill(instrument, fill) for fill in found)

    async def cancel(self, order: WorkingOrder) -> None:
        """Cancel; one that is gone is success."""
        try:
            self.exchange.cancel_order(self._key, self._key_of(order.instrument), order_id=int(order.venue_order_id))
        except SimError as error:
            if error.kind is not ErrorKind.CANCEL_REJECTED:
                raise

    async def set_leverage(self, instrument: InstrumentId, leverage: Decimal) -> None:
        """Set the leverage."""
        self.exchange.set_leverage(self._key, self._key_of(instrument), int(leverage))

    async def set_margin_mode(self, instrument: InstrumentId, margin_mode: str) -> None:
        """Set cross or isolated; no change is success."""
        key = self._key_of(instrument)
        now = self.exchange.settings(self._key, key).margin_mode
        if now.value != margin_mode:
            self.exchange.set_margin_mode(self._key, key, type(now)(margin_mode))

    # -- conversions -----------------------------------------------------------------------------------------------

    def _key_of(self, ident: InstrumentId) -> MarketKey:
        return next(key for key, instrument in self._instruments.items() if instrument.id == ident)

    def _quantity(self, ident: InstrumentId, contracts: Contracts) -> Decimal:
        """Order units: contracts for inverse; for linear one contract is one base unit here."""
        return contracts * (self.exchange.market(self._key_of(ident)).contract_size if self._linear(ident) else 1)

    def _linear(self, ident: InstrumentId) -> bool:
        return self._key_of(ident).kind is MarketKind.LINEAR

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
