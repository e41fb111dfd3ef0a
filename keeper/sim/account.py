"""One account's own state: wallets, positions as held, settings, and its journal of orders, fills and income.

Only bookkeeping lives here; what things are worth is told by ``valuation``, what a fill changes by ``settlement``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.types import (
    ZERO,
    Fill,
    Income,
    MarginMode,
    MarketKey,
    MarketKind,
    Movement,
    Order,
    Origin,
    Permissions,
    PositionSide,
    SpotBalance,
)

CLOCK_SLACK_MS = 3_600_000
"""How far a clock may have been set back without history being missed."""


class Purse:
    """Free and locked amounts by asset; neither is ever negative."""

    def __init__(self) -> None:
        self._free: dict[str, Decimal] = {}
        self._locked: dict[str, Decimal] = {}

    def free(self, asset: str) -> Decimal:
        """What may be spent."""
        return self._free.get(asset, ZERO)

    def balance(self, asset: str) -> SpotBalance:
        """One asset as it stands."""
        return SpotBalance(asset, self.free(asset), self._locked.get(asset, ZERO))

    def balances(self) -> tuple[SpotBalance, ...]:
        """Every asset that was ever held, by name."""
        return tuple(self.balance(asset) for asset in sorted(self._free))

    def totals(self) -> dict[str, Decimal]:
        """Free and locked together, of every asset that was ever held, by name."""
        return {asset: self._free[asset] + self._locked.get(asset, ZERO) for asset in sorted(self._free)}

    def add(self, asset: str, amount: Decimal) -> None:
        """Change the free amount, signed. Raises INSUFFICIENT_BALANCE, changing nothing."""
        after = self.free(asset) + amount
        if after < 0:
            raise SimError(
                ErrorKind.INSUFFICIENT_BALANCE,
                f"{asset}: {-amount} asked for, {self.free(asset)} free",
                limit=self.free(asset),
            )
        self._free[asset] = after

    def lock(self, asset: str, amount: Decimal) -> None:
        """Move between free and locked, > 0 locks. Raises INSUFFICIENT_BALANCE."""
        locked = self._locked.get(asset, ZERO) + amount
        if locked < 0:
            raise AssertionError(f"{asset}: unlocking {-amount} of {self._locked.get(asset, ZERO)}")
        self.add(asset, -amount)
        self._locked[asset] = locked


@dataclass(slots=True)
class HeldPosition:
    """A position as held: quantity signed (short < 0), entry price, and its own wallet when isolated."""

    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    updated_ms: int = 0


@dataclass(frozen=True, slots=True)
class ContractSettings:
    """What the user has set for one contract."""

    leverage: int
    margin_mode: MarginMode


@dataclass(slots=True)
class FuturesWallet:
    """One futures product of an account. ``balances`` are wallet balances (realised) by asset, isolated included."""

    dual_side: bool = False
    balances: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[tuple[MarketKey, PositionSide], HeldPosition] = field(default_factory=dict)
    settings: dict[MarketKey, ContractSettings] = field(default_factory=dict)
    updated_ms: int = 0

    def position(self, key: MarketKey, side: PositionSide) -> HeldPosition:
        """The position, made when first asked for."""
        return self.positions.setdefault((key, side), HeldPosition())

    def held(self, key: MarketKey) -> Decimal:
        """Net signed quantity over all sides."""
        return sum((held.quantity for (market, _), held in self.positions.items() if market == key), ZERO)

    def has_position(self, key: MarketKey | None = None) -> bool:
        """Whether anything is open, on one market or on any."""
        return any(held.quantity and (key is None or market == key) for (market, _), held in self.positions.items())


class OrderLog:
    """All orders of an account: by id, the open ones, and the latest by client id."""

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._open: dict[MarketKey, dict[int, None]] = {}
        self._by_client: dict[tuple[MarketKey, str], int] = {}
        self._by_market: dict[MarketKey, list[int]] = {}
        self._ours: dict[int, Order] = {}
        self._others: dict[int, Order] = {}
        self._by_origin: tuple[tuple[Order, ...], tuple[Order, ...]] | None = None

    def put(self, order: Order) -> None:
        """Add an order, or replace it by its new state."""
        if order.order_id not in self._orders:
            self._by_client[order.market, order.client_order_id] = order.order_id
            self._by_market.setdefault(order.market, []).append(order.order_id)
        self._orders[order.order_id] = order
        (self._ours if order.origin is Origin.API else self._others)[order.order_id] = order
        self._by_origin = None
        opened = self._open.setdefault(order.market, {})
        if order.is_open:
            opened[order.order_id] = None
        else:
            opened.pop(order.order_id, None)

    def get(self, order_id: int) -> Order:
        """An order that is known to exist, as it stands."""
        return self._orders[order_id]

    def find(self, key: MarketKey, order_id: int | None, client_order_id: str | None) -> Order | None:
        """By exchange id, else the latest by client id; None if there is none on this market."""
        if order_id is None and client_order_id is not None:
            order_id = self._by_client.get((key, client_order_id))
        order = self._orders.get(order_id) if order_id is not None else None
        return order if order is not None and order.market == key else None

    def opened(self, key: MarketKey) -> tuple[Order, ...]:
        """Open orders of a market, oldest first."""
        opened = self._open.get(key)
        return tuple(self._orders[order_id] for order_id in opened) if opened else ()

    def has_opened(self, key: MarketKey) -> bool:
        """Whether any order of a market is open."""
        return bool(self._open.get(key))

    def all_open(self, kind: MarketKind | None = None) -> tuple[Order, ...]:
        """Open orders of a product or of all, oldest first."""
        found = [
            self._orders[order_id] for key, ids in self._open.items() if kind in (None, key.kind) for order_id in ids
        ]
        return tuple(sorted(found, key=lambda order: order.order_id))

    def of_market(self, key: MarketKey) -> tuple[Order, ...]:
        """All orders of a market, oldest first."""
        return tuple(self._orders[order_id] for order_id in self._by_market.get(key, ()))

    def by_origin(self) -> tuple[tuple[Order, ...], tuple[Order, ...]]:
        """All orders in the order of acceptance: those that the key has placed, and those that others have."""
        if self._by_origin is None:
            self._by_origin = (tuple(self._ours.values()), tuple(self._others.values()))
        return self._by_origin


class Account:
    """Everything the exchange keeps about one API key."""

    def __init__(self, api_key: str, secret: str, user_id: int, permissions: Permissions) -> None:
        self.api_key = api_key
        self.secret = secret
        self.user_id = user_id
        self.permissions = permissions
        self.spot = Purse()
        self.funding = Purse()
        self.earn = Purse()
        self.futures = {MarketKind.LINEAR: FuturesWallet(), MarketKind.INVERSE: FuturesWallet()}
        self.orders = OrderLog()
        self.fills: list[Fill] = []
        self.income: list[Income] = []
        self.movements: list[Movement] = []

    def fills_since(self, since_ms: int) -> list[Fill]:
        """Executions from then on, oldest first; found from the end, so that a long history costs nothing."""
        found: list[Fill] = []
        for fill in reversed(self.fills):
            if fill.time_ms < since_ms - CLOCK_SLACK_MS:
                break
            if fill.time_ms >= since_ms:
                found.append(fill)
        found.reverse()
        return found

    def __repr__(self) -> str:
        return f"Account({self.user_id})"  # never the key or its secret
