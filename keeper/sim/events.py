"""What the exchange tells its subscribers: one frozen type per happening.

Callbacks run synchronously, inside the call that caused the event and in the order of causes; a callback must not
call back into the exchange to change it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from keeper.sim.types import (
    Fill,
    FundingRecord,
    MarketKey,
    MarketKind,
    MarketStatus,
    Movement,
    Order,
    Origin,
    Position,
    PositionSide,
    PublicTrade,
    SpotBalance,
    SymbolSettings,
)


@dataclass(frozen=True, slots=True)
class PriceChanged:
    """A market's price moved. ``price`` is the book's mid; ``mark`` equals it for contracts, the index for spot."""

    time_ms: int
    market: MarketKey
    price: Decimal
    mark: Decimal
    index: Decimal


@dataclass(frozen=True, slots=True)
class BookChanged:
    """A book is different now: read it with ``Exchange.book``."""

    time_ms: int
    market: MarketKey
    update_id: int


@dataclass(frozen=True, slots=True)
class TradePrinted:
    """A print on the public tape."""

    time_ms: int
    trade: PublicTrade


class ExecutionType(Enum):
    """Binance's ``x`` field: what has just happened to an order."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    CALCULATED = "CALCULATED"  # liquidation and ADL


@dataclass(frozen=True, slots=True)
class OrderUpdated:
    """An order changed; ``fill`` is the execution behind it, if any."""

    time_ms: int
    account: str
    order: Order
    execution: ExecutionType
    fill: Fill | None = None


class UpdateReason(Enum):
    """Binance's ``m`` field of ACCOUNT_UPDATE."""

    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"
    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    MARGIN_TRANSFER = "MARGIN_TRANSFER"
    MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"
    ADJUSTMENT = "ADJUSTMENT"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"


@dataclass(frozen=True, slots=True)
class WalletChange:
    """A futures wallet's asset after a change: wallet balances, and the change without PnL and commission."""

    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal
    change: Decimal


@dataclass(frozen=True, slots=True)
class FuturesAccountUpdated:
    """Balances or positions of a futures wallet changed (Binance's ACCOUNT_UPDATE); only what changed is listed."""

    time_ms: int
    account: str
    product: MarketKind
    reason: UpdateReason
    balances: tuple[WalletChange, ...]
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class SpotAccountUpdated:
    """Spot balances changed (Binance's outboundAccountPosition); only what changed is listed."""

    time_ms: int
    account: str
    balances: tuple[SpotBalance, ...]


@dataclass(frozen=True, slots=True)
class MoneyMoved:
    """A deposit, withdrawal or transfer was booked (spot sees it as balanceUpdate)."""

    time_ms: int
    account: str
    movement: Movement


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Leverage or margin mode of a symbol changed (Binance's ACCOUNT_CONFIG_UPDATE)."""

    time_ms: int
    account: str
    settings: SymbolSettings


@dataclass(frozen=True, slots=True)
class PositionModeChanged:
    """One-way or hedge mode was switched for a product."""

    time_ms: int
    account: str
    product: MarketKind
    dual_side: bool


@dataclass(frozen=True, slots=True)
class FundingSettled:
    """A market's funding was paid. Each account's own payment also arrives as an account update."""

    time_ms: int
    record: FundingRecord
    payments: tuple[tuple[str, Decimal], ...]  # (account, settle currency; > 0 was received)


@dataclass(frozen=True, slots=True)
class PositionForced:
    """The exchange changed a position by itself: liquidation, ADL or settlement. ``quantity`` signed, as closed."""

    time_ms: int
    account: str
    market: MarketKey
    side: PositionSide
    quantity: Decimal
    price: Decimal
    origin: Origin


@dataclass(frozen=True, slots=True)
class MarketChanged:
    """Filters, status or another fact of a market changed, or the market is new."""

    time_ms: int
    market: MarketKey
    status: MarketStatus


class StreamDisturbance(Enum):
    """How streams are made to misbehave."""

    SILENCE = "silence"  # nothing is sent until SPEAK
    SPEAK = "speak"
    CUT = "cut"  # every socket breaks
    END_KEYS = "end_keys"  # every listen key dies
    REPLAY = "replay"  # every socket breaks; who comes back is told old events again


@dataclass(frozen=True, slots=True)
class StreamsDisturbed:
    """Transports with streams are to misbehave; ``events`` is how many old ones a replay holds."""

    time_ms: int
    disturbance: StreamDisturbance
    events: int


Event = (
    PriceChanged
    | BookChanged
    | TradePrinted
    | OrderUpdated
    | FuturesAccountUpdated
    | SpotAccountUpdated
    | MoneyMoved
    | SettingsChanged
    | PositionModeChanged
    | FundingSettled
    | PositionForced
    | MarketChanged
    | StreamsDisturbed
)

Subscriber = Callable[[Event], None]


class EventBus:
    """Hands every event to every subscriber, in the order of subscription."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Add a subscriber; the returned function removes it."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Hand the event to all subscribers of this moment."""
        for subscriber in tuple(self._subscribers):
            subscriber(event)
