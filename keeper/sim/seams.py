"""The choke points where faults are injected: what arrives, what is accepted, and what is answered.

The exchange itself is always right. An :class:`Interceptor` may refuse a request before it is seen, act after an order
was accepted (to lose the answer), and bend a reading on its way out; :class:`keeper.sim.faults.FaultMenu` is one. What
it raises is a :class:`~keeper.sim.errors.SimError` or a :class:`~keeper.sim.troubles.TroubleError`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar

from keeper.sim.troubles import Garble
from keeper.sim.types import MarketKey, MarketKind, OrderRequest, OrderResult

T = TypeVar("T")


class Reading(Enum):
    """Which answer is on its way out."""

    MARKETS = "markets"
    BOOK = "book"
    TICKER = "ticker"
    KLINES = "klines"
    PREMIUM = "premium"
    TRADES = "trades"
    FUNDING_HISTORY = "funding_history"
    OPEN_INTEREST = "open_interest"
    ORDER = "order"
    OPEN_ORDERS = "open_orders"
    ORDERS = "orders"
    FILLS = "fills"
    SPOT_BALANCES = "spot_balances"
    FUTURES_ACCOUNT = "futures_account"
    POSITIONS = "positions"
    INCOME = "income"
    MOVEMENTS = "movements"
    POSITION_MODE = "position_mode"
    SETTINGS = "settings"
    FUNDING_WALLET = "funding_wallet"
    EARN_WALLET = "earn_wallet"
    PLACED = "placed"  # the answer to an order
    CANCELLED = "cancelled"  # the answer to a cancel
    TRANSFERRED = "transferred"  # the answer to a transfer


class Question(NamedTuple):
    """What a reading was asked about, where it was about a part: a product, a market, or another detail."""

    kind: MarketKind | None = None
    market: MarketKey | None = None
    detail: object = None


EVERYTHING = Question()


class Interceptor(Protocol):
    """Stands between the exchange and whoever asks it."""

    def before_request(self, account: str | None) -> None:
        """Run once for each request that a transport brings, before anything else; raise to answer it so."""
        ...

    def on_advance(self) -> None:
        """Run whenever the exchange does what is due by the clock, before it does so."""
        ...

    def garble(self) -> Garble | None:
        """What the transport is to do to the body of the answer that it is about to give; asked once an answer."""
        ...

    def liquidity(self, account: str, request: OrderRequest) -> Decimal | None:
        """How much of an order may fill at once, order units; None: whatever the book gives."""
        ...

    def before_order(self, account: str, request: OrderRequest) -> None:
        """Run before a request is looked at; raise to refuse it with nothing done."""
        ...

    def after_order(self, account: str, result: OrderResult) -> None:
        """Run after an order was accepted and matched; raising loses the answer, not the order."""
        ...

    def before_cancel(self, account: str, market: MarketKey) -> None:
        """Run before a cancel is looked at; raise to refuse it."""
        ...

    def before_transfer(self, account: str) -> None:
        """Run before a transfer is looked at; raise to refuse it with nothing moved."""
        ...

    def read(self, reading: Reading, account: str | None, answer: T, question: Question = EVERYTHING) -> T:
        """Return the answer to give instead of ``answer``; ``account`` is None for public data."""
        ...


class Faithful:
    """Lets everything through as it is."""

    def before_request(self, account: str | None) -> None:
        """Let the request through."""

    def on_advance(self) -> None:
        """Let time pass."""

    def garble(self) -> Garble | None:
        """Leave the body as it is."""
        return None

    def liquidity(self, account: str, request: OrderRequest) -> Decimal | None:  # noqa: ARG002 (the protocol's shape)
        """Leave it to the book."""
        return None

    def before_order(self, account: str, request: OrderRequest) -> None:
        """Let the request through."""

    def after_order(self, account: str, result: OrderResult) -> None:
        """Let the answer through."""

    def before_cancel(self, account: str, market: MarketKey) -> None:
        """Let the cancel through."""

    def before_transfer(self, account: str) -> None:
        """Let the transfer through."""

    def read(self, reading: Reading, account: str | None, answer: T, question: Question = EVERYTHING) -> T:  # noqa: ARG002
        """Return the answer as it is."""
        return answer
