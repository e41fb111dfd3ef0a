"""What the rest of keeper may ask of a venue, and how a venue may fail.

Readings raise :class:`VenueError`; the observer of the cycle turns each into a gap. Order calls never raise for what
the venue or the network did: their outcome is a value; whatever is not explicitly accepted or rejected is ambiguous.

Client order ids are canonical on this side of the wall (see :class:`~keeper.core.model.PlannedOrder`); a working order
or fill whose id does not have our shape carries the venue's own text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from keeper.core.model import (
    AccountId,
    Base,
    Contracts,
    Instrument,
    InstrumentId,
    Mark,
    PlannedOrder,
    Position,
    Side,
    WorkingOrder,
)

POST_ONLY_REFUSED = "post_only_would_cross"
"""The code of a refusal to let a post-only order take: the touch has moved, and the next look tries the new one."""


class VenueError(Exception):
    """A reading failed; ``code`` is stable and goes into the gap."""

    code = "venue_error"


class UnreachableError(VenueError):
    """No answer: refused, dropped, timed out, or a 5xx."""

    code = "unreachable"


class RateLimitedError(VenueError):
    """The venue asked us to wait; ``retry_after_seconds`` where it said for how long."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class CredentialsRefusedError(VenueError):
    """The key, the secret, the passphrase, the address or the permission was refused."""

    code = "credentials_refused"


class NotPermittedError(CredentialsRefusedError):
    """The key is good, and this one thing it may not do."""


class ClockRefusedError(VenueError):
    """The venue refused our timestamp."""

    code = "clock_refused"


class BadReadingError(VenueError):
    """An answer came, and it is empty, partial, contradictory, or cannot be understood."""

    code = "bad_reading"


class EmptyReadingError(BadReadingError):
    """An account answered with no rows at all, which is no evidence of zero."""

    code = "empty_reading"


class NoRowError(EmptyReadingError):
    """A venue that lists no flat contract answered, whole, without a row of one: that is how it says flat, and how an
    answer looks that leaves something out.
    """


class UnknownSymbolError(VenueError):
    """The venue has no such instrument; ``near`` lists the names closest to it."""

    code = "unknown_symbol"

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.near = tuple(near)


class UnreadMarketError(VenueError):
    """The instrument is in no list of markets that could be read, and one of the lists could not."""

    code = "market_unread"


class UnknownWalletError(VenueError):
    """The venue has no wallet of that name; nothing was asked."""

    code = "unknown_wallet"


class HostRefusedError(VenueError):
    """A request was about to leave for a host, or to do a thing, that this mode does not allow; nothing was signed."""

    code = "host_refused"


@dataclass(frozen=True, slots=True)
class Wallet:
    """One account as read: total coins per asset, debt subtracted. An asset with no row is absent, not zero.

    ``stated_at_ms`` is since when each total has been true, wall milliseconds, where that is not the moment of reading.
    """

    account: AccountId
    totals: Mapping[str, Base]
    stated_at_ms: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    """Coins whose row is there and cannot be understood, with what is wrong: not known, which is not zero."""

    def told(self, *assets: str) -> Wallet:
        """This wallet, for whoever counts these coins of it; raises :class:`BadReadingError` where one is not known."""
        fault = next((self.unread[asset] for asset in assets if asset in self.unread), None)
        if fault is not None:
            raise BadReadingError(f"{self.account}: {fault}")
        return self


@dataclass(frozen=True, slots=True)
class PositionBook:
    """Every open position and working order of one venue, over all its kinds of contract.

    ``faults`` are parts of it that could not be read or understood, so nobody may trade on the rest; ``unread`` names
    the symbols of which the absence says nothing.
    """

    positions: tuple[Position, ...]
    working: tuple[WorkingOrder, ...]
    faults: tuple[VenueError, ...] = ()
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """What the venue says of one contract's settings; None where it cannot be asked."""

    margin_mode: str | None = None
    leverage: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What the venue says of the account. ``one_way`` and the permissions are None where it cannot be asked.

    ``keyless`` is what to say of an account to which no key gives access. ``unread`` has, for each contract whose
    settings came back as something that makes no sense, why.
    """

    one_way: bool | None
    can_withdraw: bool | None
    can_trade: bool | None
    settings: Mapping[InstrumentId, SymbolSettings]
    keyless: str | None = None
    unread: Mapping[InstrumentId, VenueError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FundingEntry:
    """One funding payment from the venue's own ledger: positive ``amount`` was received, in units of ``asset``.

    ``entry_id`` is the venue's id, unique within its instrument.
    """

    entry_id: str
    instrument: InstrumentId
    amount: Decimal
    asset: str
    at_ms: int


class BackOff(Protocol):
    """A venue that may have asked us to stay away for a while."""

    def back_off_seconds(self) -> float:
        """For how long still; 0 when it did not."""
        ...

    def resume_back_off(self, seconds: float, *, asks_to_start: bool = True) -> None:
        """Honour what was asked before a restart; with ``asks_to_start`` but for the reads that a start stands on."""
        ...

    def started(self) -> None:
        """The start is over."""
        ...

    def refused_to_start(self) -> bool:
        """Whether the wait was asked for while we started: who starts within it need not ask."""
        ...


class Wallets(Protocol):
    """Reads accounts by name: those of a venue, or the files that stand beside them. Raises :class:`VenueError`."""

    async def wallet(self, wallet: str) -> Wallet:
        """One wallet, whole; raises :class:`EmptyReadingError` when no row at all came."""
        ...

    async def outflow(self, account: AccountId, asset: str, since_ms: int) -> Base:
        """Coins of ``asset`` that left the account since then by its own records: trades, withdrawals, transfers.

        Not negative; zero where there are no records, or where they cannot be asked for.
        """
        ...


class Observer(Wallets, Protocol):
    """Reads one venue. Every method has a deadline of its own and raises :class:`VenueError`."""

    name: str

    async def open(self) -> None:
        """Load the markets (anew, when called again); raises when the venue cannot be reached or shows none.

        A reload that fails leaves what was known before.
        """
        ...

    async def close(self) -> None:
        """Give back every socket."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol; raises :class:`UnknownSymbolError`."""
        ...

    def collateral(self, instrument: Instrument) -> tuple[AccountId, bool] | None:
        """The wallet that margins a coin-margined ``instrument``, and whether it is the unified (spot) account."""
        ...

    async def positions(self) -> PositionBook:
        """All positions and working orders; a fixed number of reads however many assets there are."""
        ...

    async def position(self, instrument: Instrument) -> Position:
        """A second look at one position from a source that shows an explicit zero; raises when it shows nothing."""
        ...

    async def marks(self, instruments: Sequence[Instrument]) -> Mapping[InstrumentId, Mark]:
        """Mark, best bid and ask of the instruments that could be priced."""
        ...

    async def asset_prices(self, assets: Sequence[str], quote: str) -> Mapping[str, Decimal]:
        """Prices of assets in ``quote``; what has no market is absent."""
        ...

    async def funding(self, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
        """Funding payments since then from the venue's own ledger, oldest first; empty where it cannot be asked."""
        ...

    async def clock_offset_ms(self) -> int:
        """Venue time minus ours, milliseconds."""
        ...

    async def facts(self, instruments: Sequence[Instrument]) -> AccountFacts:
        """Position mode, permissions, and per instrument margin mode and leverage."""
        ...


class OrderState(StrEnum):
    """Where an order stands at the venue."""

    OPEN = "open"
    FILLED = "filled"
    PARTIAL = "partial"
    NONE = "none"
    """Closed with nothing filled: cancelled, expired or rejected after it was taken in."""


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order that the venue knows."""

    client_id: str
    venue_order_id: str | None
    state: OrderState
    contracts: Contracts
    filled: Contracts
    average_price: Decimal | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue took the order in; ``report`` where the answer already said how it went."""

    venue_order_id: str | None
    report: OrderReport | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue said no, in so many words: the order does not exist and never will."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The order may exist."""

    text: str


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The venue refused to look at the order because of load or a limit: it does not exist."""

    text: str
    retry_after_seconds: float | None = None


Submission = Accepted | Rejected | Ambiguous | RetryLater


@dataclass(frozen=True, slots=True)
class NotFound:
    """The venue answered, with authority, that it knows no such order (now)."""

    text: str


@dataclass(frozen=True, slots=True)
class LookupFailed:
    """No answer, or none that can be understood: no evidence of anything.

    ``unlisted``: because the venue lists no such contract any more, so that nobody can be asked ever again.
    """

    text: str
    unlisted: bool = False


Lookup = OrderReport | NotFound | LookupFailed


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. ``contracts`` is positive; ``fee`` is what was paid (negative: a rebate), in ``fee_asset``."""

    trade_id: str
    venue_order_id: str | None
    client_id: str | None
    instrument: InstrumentId
    side: Side
    contracts: Contracts
    price: Decimal
    fee: Decimal | None
    fee_asset: str | None
    at_ms: int


class Trader(Protocol):
    """Sends orders to one venue, one attempt a call. Only modes that may trade have one."""

    name: str

    async def submit(self, order: PlannedOrder) -> Submission:
        """Send once. A cancellation or an unexpected error is the caller's to treat as ambiguous."""
        ...

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        """Find an order by its client id over open orders and closed ones (and by venue id where that is known)."""
        ...

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        """Executions since then, oldest first; raises :class:`VenueError`."""
        ...

    async def cancel(self, order: WorkingOrder) -> None:
        """Cancel; an order that is already gone is success. Raises :class:`VenueError` when nothing is known."""
        ...

    async def set_leverage(self, instrument: InstrumentId, leverage: Decimal) -> None:
        """Set the leverage; "not modified" is success. Raises :class:`VenueError`."""
        ...

    async def set_margin_mode(
        self, instrument: InstrumentId, margin_mode: str, *, leverage: Decimal | None = None
    ) -> None:
        """Set ``cross`` or ``isolated``; "not modified" is success. Raises :class:`VenueError`.

        ``leverage`` is what is stated beside it, for venues that take no mode without one; it is not set by itself.
        """
        ...
