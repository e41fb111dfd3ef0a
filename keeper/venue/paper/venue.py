"""A venue with real prices and a paper account: an observer and a trader that can send nothing anywhere.

What is public is asked of the real venue; what is the account's comes out of its file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from keeper.clock import Clock
from keeper.core.model import (
    AccountId,
    Base,
    Contracts,
    Instrument,
    InstrumentId,
    Mark,
    PlannedOrder,
    Position,
    WorkingOrder,
)
from keeper.core.quotes import Book, Candle, Fees, FundingRate
from keeper.venue.base import (
    AccountFacts,
    BadReadingError,
    Fill,
    FundingEntry,
    Lookup,
    LookupFailed,
    NotFound,
    PositionBook,
    Submission,
    SymbolSettings,
    UnknownSymbolError,
    UnknownWalletError,
    VenueError,
    Wallet,
)
from keeper.venue.figures import near
from keeper.venue.further import AccountMargin, NotOfferedError
from keeper.venue.paper.account import Account
from keeper.venue.paper.beginning import Begun, begin
from keeper.venue.paper.counter import Counter
from keeper.venue.paper.ledger import Ledger
from keeper.venue.paper.market import Market
from keeper.venue.paper.passing import Passage
from keeper.venue.paper.store import Store
from keeper.venue.paper.terms import PaperError, Premises, Source, Terms
from keeper.venue.transfers import TransferRefusedError


class PaperVenue:
    """An observer and a trader over a venue's public readings and an account of our own."""

    def __init__(
        self, source: Source, terms: Terms, premises: Premises, file: Path, clock: Clock, *, durable: bool
    ) -> None:
        self.name = source.name
        self.file = file
        self._source = source
        self._terms = terms
        self._premises = premises
        self._durable = durable
        self._market = Market(source, terms, clock)
        self._store: Store | None = None
        self._made: tuple[Account, Passage, Counter, Ledger] | None = None

    # Opening and closing

    async def open(self) -> None:
        """Load the markets (anew, when called again), and the account; the first time ever, begin it.

        Raises :class:`~keeper.venue.base.VenueError`; :class:`PaperError` where the account's file cannot be used.
        """
        await self._source.open()
        self._market.forget_fees()
        if self._store is None:
            self._store = Store.open(self.file, durable=self._durable)
        if self._made is None:
            account = Account(self.name, self._store, self._premises.collateral)
            if account.begun is None:
                await self._market.clock_offset_ms()
                await begin(account, self._market, self._terms)
            ledger = Ledger(account, self._market, self._terms, self._premises, self.name)
            self._made = (account, Passage(account, self._market), Counter(account, self._market, ledger), ledger)

    async def close(self) -> None:
        """Give back every socket, and the file."""
        await self._source.close()
        if self._store is not None:
            self._store.close()
            self._store, self._made = None, None

    @property
    def _account(self) -> Account:
        return self._parts()[0]

    def _parts(self) -> tuple[Account, Passage, Counter, Ledger]:
        if self._made is None:
            raise PaperError(f"{self.name}: the paper account is not open")
        return self._made

    @property
    def begun(self) -> Begun:
        """How the account began."""
        begun = self._account.begun
        assert begun is not None  # noqa: S101  # opening it begins it
        return begun

    async def _now(self) -> Account:
        """The account, with everything done that time has brought."""
        account, passage, _, _ = self._parts()
        await passage.catch_up()
        return account

    # The market

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol; raises :class:`~keeper.venue.base.UnknownSymbolError`."""
        return self._source.instrument(symbol)

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """The wallet that margins a coin-margined instrument, and whether it is the unified (spot) account."""
        return self._source.collateral(instrument)

    def listed(self, base: str) -> Sequence[Instrument]:
        """Every future and perpetual on ``base`` that trades now and can hedge."""
        return self._source.listed(base)

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Mark, best bid and ask, live."""
        return await self._market.marks(instruments)

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Prices of assets, live."""
        return await self._source.asset_prices(assets, quote)

    async def book(self, instrument: Instrument, levels: int = 50) -> Book:
        """The visible book, as others made it: our orders are not in it."""
        return await self._source.book(instrument, levels)

    async def candles(self, symbol: str, timeframe: str, since_ms: int, until_ms: int) -> tuple[Candle, ...]:
        """Closed candles."""
        return await self._source.candles(symbol, timeframe, since_ms, until_ms)

    async def funding_rates(self, instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
        """Settled rates."""
        return await self._source.funding_rates(instrument, since_ms)

    async def fees(self, instrument: Instrument) -> Fees | None:
        """What the configuration says of fees, else what the venue does."""
        return await self._market.fees(instrument)

    def price_band(self, instrument: Instrument) -> tuple[Decimal, Decimal] | None:
        """The lowest and the highest price of an order that the venue takes, as shares of the mark."""
        return self._source.price_band(instrument)

    async def clock_offset_ms(self) -> int:
        """Venue time minus ours, milliseconds."""
        return await self._market.clock_offset_ms()

    # The account, read

    async def wallet(self, wallet: str) -> Wallet:
        """One wallet, whole: a coin that is not in it is not there, which is known here."""
        if wallet not in self._premises.wallets:
            known = sorted(name for name in self._premises.wallets if name)
            listed = ", ".join(f'"{self.name}.{name}"' for name in known) or "none by name"
            raise UnknownWalletError(
                f'{self.name} has no wallet "{wallet}"{near(wallet, known)}; besides "{self.name}" alone there are: '
                f"{listed}"
            )
        account = await self._now()
        read = self.begun.read
        if read is not None and wallet not in read:
            raise BadReadingError(
                f'{self.name}: the wallet "{wallet}" was not read when the paper account began; stop the keeper and '
                f"move {self.file} aside to begin anew"
            )
        return Wallet(AccountId(self.name, wallet), {a: Base(amount) for a, amount in account.wallet(wallet).items()})

    async def positions(self) -> PositionBook:
        """All positions and resting orders."""
        account = await self._now()
        positions = tuple(
            Position(held.instrument, Contracts(held.contracts), held.entry) for held in account.positions()
        )
        working = tuple(
            WorkingOrder(
                InstrumentId(self.name, order.symbol), account.named(order.id), order.client_id, order.side,
                Contracts(order.contracts), Contracts(order.filled), order.reduce_only,
            )
            for order in account.open_orders()
        )  # fmt: skip
        return PositionBook(positions, working)

    async def position(self, instrument: Instrument) -> Position:
        """One position; a zero is one that is known."""
        held = (await self._now()).held(instrument.id.symbol)
        if held is None or not held.contracts:
            return Position(instrument, Contracts(Decimal(0)))
        return Position(instrument, Contracts(held.contracts), held.entry)

    async def margins(self) -> tuple[AccountMargin, ...]:
        """The margin of every pool of coins that carries a position."""
        await self._now()
        return await self._parts()[3].margins()

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:
        """Coins that transfers took away; nothing else leaves a paper wallet."""
        return Base(self._account.moved_out(account.wallet, asset, since_ms))

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Funding payments since then, oldest first, with those of before that were only made up for since then."""
        account = await self._now()
        return tuple(
            FundingEntry(account.named(each.at_ms), instrument.id, each.amount, each.asset, each.at_ms)
            for each in account.payments(instrument.id.symbol, since_ms)
        )

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        """One-way, cross, and the leverage that is reckoned with; there is no key that could withdraw anything."""
        ledger = self._parts()[3]
        settings = {each.id: SymbolSettings("cross", ledger.leverage(each.id.symbol)) for each in instruments}
        key = "the key only reads" if self._terms.from_account else "no key is used"
        said = f"paper: {key}, nothing is sent"
        return AccountFacts(one_way=True, can_withdraw=False, can_trade=True, settings=settings, keyless=said)

    # The account, traded

    async def submit(self, order: PlannedOrder) -> Submission:
        """Fill on the venue's visible book; what is accepted is on the disk when this returns."""
        return await self._parts()[2].submit(order)

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        """By client id."""
        account, _, counter, _ = self._parts()
        try:
            order = account.order(client_id)
            held = None if order is None else account.held(order.symbol)
            if order is None:
                return NotFound(f"no order {client_id} ({venue_order_id or 'no venue id'})")
            spoken_of = self._source.instrument(instrument.symbol) if held is None else held.instrument
            return counter.report(order, spoken_of)
        except VenueError as error:
            return LookupFailed(str(error), unlisted=isinstance(error, UnknownSymbolError))

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        """Executions since then, oldest first."""
        account = self._account
        return tuple(
            Fill(
                account.named(each.id), None if each.order_id is None else account.named(each.order_id),
                each.client_id, instrument, each.side, Contracts(each.contracts), each.price, each.fee, each.asset,
                each.at_ms,
            )
            for each in account.trades(instrument.symbol, since_ms)
        )  # fmt: skip

    async def cancel(self, order: WorkingOrder) -> None:
        """Take a resting order back; one that is gone is success."""
        account = self._account
        for each in account.open_orders(order.instrument.symbol):
            if order.venue_order_id == account.named(each.id):
                with account.change():
                    account.end(each, "cancelled")

    async def set_leverage(self, instrument: InstrumentId, leverage: Decimal) -> None:
        """Reckon with that leverage from now on."""
        account = self._account
        with account.change():
            account.set_leverage(instrument.symbol, leverage)

    async def set_margin_mode(
        self, instrument: InstrumentId, margin_mode: str, *, leverage: Decimal | None = None
    ) -> None:
        """Cross is what there is, at whatever leverage."""
        del leverage
        if margin_mode != "cross":
            raise NotOfferedError(f"{instrument}: a paper account is cross-margined; leave margin_mode out")

    async def transfer(self, asset: str, amount: Decimal, source: str, target: str) -> str | None:
        """Move coins between two wallets of the account; never more than is there and not bound as margin."""
        account = await self._now()
        free = account.wallet(source).get(asset, Decimal(0))
        for pool in await self._parts()[3].margins():
            if pool.account.wallet == source and pool.asset == asset and pool.available is not None:
                free = min(free, pool.available)
        if amount <= 0 or amount > free or target not in self._premises.wallets:
            raise TransferRefusedError(
                f"{self.name}: {amount} {asset} cannot be moved from {source!r}; {free} are free"
            )
        with account.change():
            return account.transfer(asset, amount, source, target, self._market.now_ms())
