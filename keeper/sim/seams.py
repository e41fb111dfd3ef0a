"""The two choke points where faults will be injected: what is accepted, and what is answered.

The exchange itself is always right. An :class:`Interceptor` may refuse or delay a request before it is seen, act after
an order was accepted (to lose the answer), and bend a reading on its way out. Events are not readings: whoever wants a
silent or garbled stream puts itself between the subscription and the subscriber.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol, TypeVar

from keeper.sim.types import MarketKey, OrderRequest, OrderResult

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


class Interceptor(Protocol):
    """Stands between the exchange and whoever asks it."""

    def before_order(self, account: str, request: OrderRequest) -> None:
        """Run before a request is looked at; raise to refuse it with nothing done."""
        ...

    def after_order(self, account: str, result: OrderResult) -> None:
        """Run after an order was accepted and matched; raising loses the answer, not the order."""
        ...

    def before_cancel(self, account: str, market: MarketKey) -> None:
        """Run before a cancel is looked at; raise to refuse it."""
        ...

    def read(self, reading: Reading, account: str | None, answer: T) -> T:
        """Return the answer to give instead of ``answer``; ``account`` is None for public data."""
        ...


class Faithful:
    """Lets everything through as it is."""

    def before_order(self, account: str, request: OrderRequest) -> None:
        """Let the request through."""

    def after_order(self, account: str, result: OrderResult) -> None:
        """Let the answer through."""

    def before_cancel(self, account: str, market: MarketKey) -> None:
        """Let the cancel through."""

    def read(self, reading: Reading, account: str | None, answer: T) -> T:  # noqa: ARG002 (the protocol's shape)
        """Return the answer as it is."""
        return answer
