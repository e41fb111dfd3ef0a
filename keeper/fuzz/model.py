"""An independent model of the account: positions and wallets recomputed from the recorded history alone.

It shares no arithmetic with the keeper's core or with the exchange: fills, movements and funding go in, positions,
entries and wallets come out, and at the end so does the fate of every order that was sent. Where it and the exchange
disagree, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from keeper.sim.events import (
    ExecutionType,
    FundingSettled,
    FuturesAccountUpdated,
    MoneyMoved,
    OrderUpdated,
    UpdateReason,
)
from keeper.sim.types import Fill, Market, MarketKey, MarketKind, Movement, Origin, Side, Truth, WalletKind

ZERO, ONE = Decimal(0), Decimal(1)
CENT = Decimal("0.0001")
"""Wallets may differ by what eight decimals round away, over a whole run."""


CANONICAL = 28
"""Characters of a client id as the journal writes it; on the wire a venue's prefix may stand before them."""


def canonical(client_id: str) -> str:
    """A client id as the journal writes it."""
    return client_id[-CANONICAL:]


class Noted(Protocol):
    """A line of the history, as far as the model reads it."""

    @property
    def event(self) -> object:
        """The venue's event, or None."""
        ...


@dataclass(slots=True)
class Held:
    """One position: signed order units, and what the open part of it cost on average."""

    quantity: Decimal = ZERO
    entry: Decimal = ZERO


@dataclass(slots=True)
class Model:
    """The account as the history says it must be."""

    markets: Mapping[MarketKey, Market]
    account: str
    positions: dict[MarketKey, Held] = field(default_factory=dict)
    wallets: dict[tuple[WalletKind, str], Decimal] = field(default_factory=dict)
    executed: dict[str, Decimal] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    began: dict[tuple[WalletKind, str], Decimal] = field(default_factory=dict)

    def start(self, truth: Truth) -> None:
        """Begin with the wallets as they are; nothing is open yet."""
        for wallet, assets in (
            (WalletKind.SPOT, truth.spot), (WalletKind.USDM, truth.usdm), (WalletKind.COINM, truth.coinm),
        ):  # fmt: skip
            for asset, amount in assets.items():
                self._add(wallet, asset, amount)
        self.began = dict(self.wallets)

    def take(self, note: Noted) -> None:
        """One more line of the history."""
        event = note.event
        if isinstance(event, OrderUpdated) and event.account == self.account:
            self._order(event)
        elif isinstance(event, MoneyMoved) and event.account == self.account:
            self._movement(event.movement)
        elif isinstance(event, FundingSettled):
            self._funding(event)
        elif isinstance(event, FuturesAccountUpdated) and event.reason is UpdateReason.INSURANCE_CLEAR:
            for change in event.balances:
                self._add(event.product.wallet, change.asset, change.change)

    def replay(self, notes: Iterable[Noted]) -> Model:
        """A fresh model of the same account, after all of ``notes``."""
        fresh = Model(self.markets, self.account, wallets=dict(self.began))
        for note in notes:
            fresh.take(note)
        return fresh

    # --- what changes it --------------------------------------------------------------------------------------------

    def _order(self, event: OrderUpdated) -> None:
        order = event.order
        if event.execution is ExecutionType.NEW and order.origin is Origin.API:
            client_id = canonical(order.client_order_id)
            self.accepted[client_id] = self.accepted.get(client_id, 0) + 1
        if event.fill is not None:
            self._fill(event.fill)

    def _fill(self, fill: Fill) -> None:
        market = self.markets[fill.market]
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        self._add(market.kind.wallet, fill.commission_asset, -fill.commission)
        client_id = canonical(fill.client_order_id)
        self.executed[client_id] = self.executed.get(client_id, ZERO) + fill.quantity
        if market.kind is MarketKind.SPOT:
            self._add(WalletKind.SPOT, market.base, signed)
            self._add(WalletKind.SPOT, market.quote, -signed * fill.price)
            return
        held = self.positions.setdefault(fill.market, Held())
        closing = held.quantity * signed < 0
        closed = min(abs(held.quantity), abs(signed)) if closing else ZERO
        if closed:
            direction = ONE if held.quantity > 0 else -ONE
            gain = self._worth(market, fill.price) - self._worth(market, held.entry)
            self._add(market.kind.wallet, market.settle, direction * closed * gain)
        opened = abs(signed) - closed
        before = abs(held.quantity) - closed
        held.quantity += signed
        if opened:
            held.entry = self._average(market, before, held.entry, opened, fill.price)

    def _average(self, market: Market, before: Decimal, entry: Decimal, more: Decimal, price: Decimal) -> Decimal:
        if before == 0:
            return price
        if market.kind is MarketKind.LINEAR:
            return (before * entry + more * price) / (before + more)
        return (before + more) / (before / entry + more / price)

    def _worth(self, market: Market, price: Decimal) -> Decimal:
        """What a long of one order unit is worth in the settle currency, up to a constant."""
        if market.kind is MarketKind.LINEAR:
            return market.contract_size * price
        return -market.contract_size / price

    def _movement(self, movement: Movement) -> None:
        if movement.source is not None:
            self._add(movement.source, movement.asset, -movement.amount)
        if movement.target is not None:
            self._add(movement.target, movement.asset, movement.amount)

    def _funding(self, event: FundingSettled) -> None:
        record = event.record
        market = self.markets[record.market]
        held = self.positions.get(record.market)
        if held is None or held.quantity == 0:
            return
        size = held.quantity * market.contract_size
        value = size * record.mark_price if market.kind is MarketKind.LINEAR else size / record.mark_price
        self._add(market.kind.wallet, market.settle, -value * record.rate)

    def _add(self, wallet: WalletKind, asset: str, amount: Decimal) -> None:
        key = (wallet, asset)
        self.wallets[key] = self.wallets.get(key, ZERO) + amount

    # --- what it says -----------------------------------------------------------------------------------------------

    def position(self, key: MarketKey) -> Decimal:
        """Signed order units."""
        held = self.positions.get(key)
        return ZERO if held is None else held.quantity

    def entry(self, key: MarketKey) -> Decimal:
        """Average price of what is open."""
        held = self.positions.get(key)
        return ZERO if held is None else held.entry

    def disagreements(self, truth: Truth) -> list[str]:
        """Where the exchange says otherwise."""
        found = []
        for key in dict.fromkeys((*self.positions, *truth.positions)):
            have = truth.positions.get(key, ZERO)
            if self.position(key) != have:
                found.append(f"{key.symbol}: the history gives {self.position(key)}, the exchange holds {have}")
        shown = {WalletKind.SPOT: truth.spot, WalletKind.USDM: truth.usdm, WalletKind.COINM: truth.coinm}
        for (wallet, asset), amount in self.wallets.items():
            if wallet in shown and abs(amount - shown[wallet].get(asset, ZERO)) > CENT:
                have = shown[wallet].get(asset, ZERO)
                found.append(f"{wallet.value} {asset}: the history gives {amount}, the exchange holds {have}")
        return found

    def fates(self, outcomes: Mapping[str, tuple[str, Decimal]], strays: Collection[str] = ()) -> list[str]:
        """Where the journal's last word on an order is not what became of it: by client id, (state, filled).

        ``strays`` are orders that nobody wrote down because the run itself has placed them.
        """
        found = []
        for client_id, (state, filled) in outcomes.items():
            accepted, executed = client_id in self.accepted, self.executed.get(client_id, ZERO)
            if state in ("rejected", "absent") and accepted:
                found.append(f"{client_id}: the journal says {state}, the venue had taken it in ({executed} filled)")
            elif state in ("filled", "partial", "none") and filled != executed:
                found.append(f"{client_id}: the journal says {state} {filled}, the venue executed {executed}")
        strangers = sorted(
            client_id for client_id in self.accepted if client_id not in outcomes and client_id not in strays
        )
        found += [f"{client_id}: the venue took it in, and no intent of it is written down" for client_id in strangers]
        return found
