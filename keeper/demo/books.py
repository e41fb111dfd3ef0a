"""What is really so on the simulated account: money and drift, from the exchange itself and not from the keeper.

Amounts are quote units (USDT) unless named otherwise; a gain is positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from keeper.demo.setting import Protected
from keeper.sim.calendar import symbol_of
from keeper.sim.exchange import Exchange
from keeper.sim.margin import value
from keeper.sim.types import IncomeKind, Position, WalletKind

ZERO = Decimal(0)
QUOTE = "USDT"
_MOVES = (IncomeKind.REALIZED_PNL, IncomeKind.DELIVERED_SETTELMENT)


@dataclass(frozen=True, slots=True)
class Result:
    """What one hedge's contract has brought: price moves (realised and not), funding, and fees (positive: paid)."""

    moves: Decimal
    funding: Decimal
    fees: Decimal

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.moves + self.funding - self.fees


@dataclass(frozen=True, slots=True)
class Held:
    """One contract that may carry a hedge: its mark, contracts and coins (short < 0), time to its expiry, if any."""

    symbol: str
    mark: Decimal
    contracts: Decimal
    coins: Decimal
    left_ms: int | None


@dataclass(frozen=True, slots=True)
class Money:
    """How the value of everything owned has changed since the start, money that came in or left apart."""

    unhedged: Decimal
    """What it would have done without futures."""
    futures: Decimal
    """What the hedges brought, after fees and funding."""

    @property
    def hedged(self) -> Decimal:
        """What it did."""
        return self.unhedged + self.futures


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a hedge really stands: coins owned, futures delta (short < 0), drift ratio (None: nothing is owned)."""

    exposure: Decimal
    futures: Decimal
    drift: Decimal | None


class Books:
    """Reads one account; the start is the moment at which it is made."""

    def __init__(self, exchange: Exchange, api_key: str, hedges: Sequence[Protected]) -> None:
        self._exchange = exchange
        self._key = api_key
        self.hedges = tuple(hedges)
        self._assets = tuple(dict.fromkeys(hedge.asset for hedge in hedges))
        # The coins behind coin-margined contracts are owned whether they are hedged or not.
        self._margin = {asset: exchange.truth(api_key).coinm.get(asset, ZERO) for asset in self._assets}
        self._start = self._holdings()
        self._came_in = ZERO

    def deposit(self, asset: str, amount: Decimal, wallet: WalletKind = WalletKind.SPOT) -> None:
        """Coins arrive in a wallet, as a coin-margined contract's margin or to be held."""
        self._exchange.deposit(self._key, asset, amount, wallet)
        if wallet is WalletKind.COINM:
            self._margin[asset] += amount
        self._came_in += amount * self._exchange.index_price(asset)

    def price(self, hedge: Protected) -> Decimal:
        """The index price of what a hedge protects: it is the same whichever contract carries it."""
        return self._exchange.index_price(hedge.asset)

    def contracts(self, hedge: Protected) -> tuple[Held, ...]:
        """What is held of each contract that may carry a hedge."""
        held = []
        for key in hedge.markets:
            market, mark = self._exchange.market(key), self._exchange.mark_price(key)
            quantity = sum((row.quantity for row in self._exchange.positions(self._key, key.kind, key)), ZERO)
            coins = value(market, quantity, mark) if hedge.coin_margined else quantity * market.contract_size
            left_ms = None if market.expiry_ms is None else market.expiry_ms - self._exchange.clock.now_ms()
            held.append(Held(symbol_of(market), mark, quantity, coins, left_ms))
        return tuple(held)

    def money(self) -> Money:
        """The change of value since the start."""
        futures = sum((self.result(hedge).total for hedge in self.hedges), ZERO)
        return Money(self._holdings() - self._start - self._came_in, futures)

    def result(self, hedge: Protected) -> Result:
        """What a hedge has brought so far."""
        amounts: dict[IncomeKind, Decimal] = {}
        for key in hedge.markets:
            for income in self._exchange.income(self._key, key.kind, key=key):
                amounts[income.kind] = amounts.get(income.kind, ZERO) + income.amount
        unrealised = sum((row.unrealised_pnl for row in self._positions(hedge)), ZERO)
        worth = self._exchange.index_price(hedge.asset) if hedge.coin_margined else Decimal(1)
        return Result(
            moves=(sum((amounts.get(kind, ZERO) for kind in _MOVES), ZERO) + unrealised) * worth,
            funding=amounts.get(IncomeKind.FUNDING_FEE, ZERO) * worth,
            fees=-amounts.get(IncomeKind.COMMISSION, ZERO) * worth,
        )

    def standing(self, hedge: Protected) -> Standing:
        """Where a hedge really stands."""
        truth = self._exchange.truth(self._key)
        rows = self._positions(hedge)
        futures = sum((each.coins for each in self.contracts(hedge)), ZERO)
        if hedge.coin_margined:
            exposure = truth.coinm.get(hedge.asset, ZERO) + sum((row.unrealised_pnl for row in rows), ZERO)
        else:
            exposure = truth.spot.get(hedge.asset, ZERO)
        drift = hedge.ratio + futures / exposure if exposure > 0 else None
        return Standing(exposure, futures, drift)

    def _positions(self, hedge: Protected) -> tuple[Position, ...]:
        return tuple(row for key in hedge.markets for row in self._exchange.positions(self._key, key.kind, key))

    def _holdings(self) -> Decimal:
        """What the coins are worth, and the quote money that came from selling some."""
        spot = self._exchange.truth(self._key).spot
        coins = sum(
            (
                (spot.get(asset, ZERO) + self._margin[asset]) * self._exchange.index_price(asset)
                for asset in self._assets
            ),
            ZERO,
        )
        return coins + spot.get(QUOTE, ZERO)
