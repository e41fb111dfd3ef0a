"""The unified account: wallets, positions, profit and loss, margin, the log of every change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from tests.support.bybit_v5.instruments import Instrument
from tests.support.bybit_v5.market import Market
from tests.support.bybit_v5.wire import ONE, ZERO, coins

LEVERAGE = Decimal(10)  # what a market has until it is set
DOLLARS = frozenset({"USDT", "USDC", "USD"})


@dataclass(slots=True)
class Holding:
    """A position; ``size`` is signed, short below zero, in the instrument's own quantity unit."""

    instrument: Instrument
    index: int = 0
    size: Decimal = ZERO
    entry: Decimal = ZERO
    leverage: Decimal = LEVERAGE
    realised: Decimal = ZERO
    realised_now: Decimal = ZERO
    created_ms: int = 0
    updated_ms: int = 0

    def unrealised(self, mark: Decimal) -> Decimal:
        """Profit at the mark, in the settlement coin."""
        if self.size == 0:
            return ZERO
        if self.instrument.inverse:
            return coins(self.size * (ONE / self.entry - ONE / mark))
        return coins(self.size * (mark - self.entry))

    def apply(self, delta: Decimal, price: Decimal) -> Decimal:
        """Trade ``delta`` at ``price``; returns the profit realised in the settlement coin."""
        closing = min(abs(delta), abs(self.size)) if delta * self.size < 0 else ZERO
        profit = ZERO
        if closing:
            closed = closing.copy_sign(self.size)
            gain = ONE / self.entry - ONE / price if self.instrument.inverse else price - self.entry
            profit = coins(closed * gain)
            self.size -= closed
        opening = abs(delta) - closing
        if opening:
            self._open(opening.copy_sign(delta), price)
        if self.size == 0:
            self.entry = ZERO
        self.realised += profit
        self.realised_now = self.realised_now + profit if self.size else ZERO
        return profit

    def _open(self, delta: Decimal, price: Decimal) -> None:
        held, added = abs(self.size), abs(delta)
        if self.instrument.inverse:
            dollars = (held / self.entry if held else ZERO) + added / price
            self.entry = (held + added) / dollars
        else:
            self.entry = (held * self.entry + added * price) / (held + added)
        self.size += delta


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the transaction log; ``change`` = cash_flow + funding − fee."""

    kind: str
    currency: str
    change: Decimal
    at_ms: int
    id: str = ""
    balance: Decimal = ZERO
    instrument: Instrument | None = None
    side: str = ""
    qty: Decimal = ZERO
    size: Decimal = ZERO
    price: Decimal = ZERO
    fee: Decimal = ZERO
    fee_rate: Decimal = ZERO
    cash_flow: Decimal = ZERO
    funding: Decimal = ZERO
    order_id: str = ""
    link_id: str = ""
    trade_id: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A deposit (positive) or a withdrawal (negative) that the venue's own records show."""

    id: str
    coin: str
    amount: Decimal
    at_ms: int


@dataclass(slots=True)
class Account:
    """Everything that the one user owns and owes."""

    markets: dict[str, Market]
    wallets: dict[str, Decimal] = field(default_factory=dict)
    funding_wallets: dict[str, Decimal] = field(default_factory=dict)
    locked: dict[str, Decimal] = field(default_factory=dict)
    order_margin: dict[str, Decimal] = field(default_factory=dict)
    interest: dict[str, Decimal] = field(default_factory=dict)
    holdings: dict[tuple[str, int], Holding] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    collateral_ratio: dict[str, Decimal] = field(default_factory=dict)

    def holding(self, instrument: Instrument, index: int = 0) -> Holding:
        """The position slot of an instrument, made when first asked for."""
        return self.holdings.setdefault((instrument.key, index), Holding(instrument, index))

    def book(self, entry: Entry) -> None:
        """Apply a log entry's change to its wallet and keep the entry with the balance that it left."""
        balance = self.wallets.get(entry.currency, ZERO) + entry.change
        self.wallets[entry.currency] = balance
        self.log.append(replace(entry, id=f"log{len(self.log) + 1:08d}", balance=balance))

    def usd(self, coin: str) -> Decimal:
        """The index price of a coin; 0 for a coin that nothing trades."""
        if coin in DOLLARS:
            return ONE
        prices = [market.index for market in self.markets.values() if market.instrument.base == coin]
        return prices[0] if prices else ZERO

    def unrealised(self, coin: str) -> Decimal:
        """Unrealised profit of the positions that settle in a coin."""
        mine = [h for h in self.holdings.values() if h.instrument.settle == coin]
        return sum((h.unrealised(self.markets[h.instrument.key].mark) for h in mine), ZERO)

    def equity(self, coin: str) -> Decimal:
        """Wallet and unrealised profit, less accrued interest."""
        return self.wallets.get(coin, ZERO) + self.unrealised(coin) - self.interest.get(coin, ZERO)

    def coins_held(self) -> list[str]:
        """The coins that the venue lists: any with a wallet, a profit or a margin."""
        known = {*self.wallets, *(h.instrument.settle for h in self.holdings.values() if h.size)}
        return sorted(c for c in known if self.wallets.get(c, ZERO) or self.unrealised(c) or self.locked.get(c, ZERO))

    def position_value(self, holding: Holding) -> Decimal:
        """Worth at the mark, in the settlement coin."""
        return abs(holding.instrument.value(holding.size, self.markets[holding.instrument.key].mark))

    def position_margin(self, coin: str) -> Decimal:
        """Initial margin of the positions that settle in a coin, in that coin."""
        mine = [h for h in self.holdings.values() if h.instrument.settle == coin and h.size]
        return sum((self.position_value(h) / h.leverage for h in mine), ZERO)

    def maintenance_margin(self, coin: str) -> Decimal:
        """Maintenance margin of the positions that settle in a coin, in that coin."""
        mine = [h for h in self.holdings.values() if h.instrument.settle == coin and h.size]
        return sum((self.position_value(h) * h.instrument.maintenance_rate for h in mine), ZERO)

    def margin_balance_usd(self) -> Decimal:
        """What counts as margin: each coin's equity at its collateral ratio, debts in full."""
        total = ZERO
        for coin in self.coins_held():
            worth = self.equity(coin) * self.usd(coin)
            total += worth * self.collateral_ratio.get(coin, ONE) if worth > 0 else worth
        return total

    def initial_margin_usd(self) -> Decimal:
        """Margin bound by positions and working orders."""
        settles = {*self.wallets, *(h.instrument.settle for h in self.holdings.values())}
        margins = ((self.position_margin(c) + self.order_margin.get(c, ZERO)) * self.usd(c) for c in settles)
        return sum(margins, ZERO)

    def maintenance_margin_usd(self) -> Decimal:
        """Margin below which the account is liquidated."""
        settles = {h.instrument.settle for h in self.holdings.values()}
        return sum((self.maintenance_margin(c) * self.usd(c) for c in settles), ZERO)

    def available_usd(self) -> Decimal:
        """Margin that a new order may bind."""
        return self.margin_balance_usd() - self.initial_margin_usd()

    def spendable(self, coin: str) -> Decimal:
        """Coins that a spot order may sell or spend."""
        return self.wallets.get(coin, ZERO) - self.locked.get(coin, ZERO)

    def liquidation_price(self, holding: Holding) -> Decimal | None:
        """The mark at which the account's margin is gone if this asset alone moves; None when no price does that.

        Margin balance and maintenance margin are both straight lines in the asset's price, coin-margined profit
        included (a coin profit s·(1/P₀ − 1/P) is worth s·P/P₀ − s), so the crossing is solved, not searched.
        """
        asset = holding.instrument.base
        slope = self.wallets.get(asset, ZERO) * self.collateral_ratio.get(asset, ONE)
        margin_slope = margin_fixed = ZERO
        fixed = ZERO
        for coin in self.coins_held():
            if coin != asset:
                fixed += (self.equity(coin) if coin not in DOLLARS else self.wallets.get(coin, ZERO)) * self.usd(coin)
        for other in self.holdings.values():
            if not other.size:
                continue
            unit = other.instrument
            if unit.base != asset:
                if unit.settle in DOLLARS:
                    fixed += other.unrealised(self.markets[unit.key].mark)
                margin_fixed += self.position_value(other) * self.usd(unit.settle) * unit.maintenance_rate
            elif unit.inverse:
                slope += other.size / other.entry
                fixed -= other.size
                margin_fixed += abs(other.size) * unit.maintenance_rate
            else:
                slope += other.size
                fixed -= other.size * other.entry
                margin_slope += abs(other.size) * unit.maintenance_rate
        if slope == margin_slope:
            return None
        price = (margin_fixed - fixed) / (slope - margin_slope)
        mark = self.markets[holding.instrument.key].mark
        beyond = price > mark if holding.size < 0 else price < mark
        return price if price > 0 and beyond else None
