"""What is really so about each hedge, read from the exchange behind the keeper's back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from keeper.core.model import ZERO, Contracts, ExposureMode, Hedge, Instrument, InstrumentId, Kind, Unlisted
from keeper.core.roll_rules import RollRules
from keeper.fuzz.model import Model
from keeper.sim.exchange import Exchange
from keeper.sim.types import MarketKey, MarketKind, Truth

KEPT = 4_000


@dataclass(frozen=True, slots=True)
class Stand:
    """One hedge at one moment, coins and signed coins. ``room`` is what may still be shorted before it is net short.

    ``drift`` is what is left to short (positive) by the target; ``protected`` is what the target is a share of.
    ``marks`` are those of the hedge's contracts, in its order.
    """

    at: float
    marks: tuple[Decimal, ...]
    delta: Decimal
    room: Decimal
    drift: Decimal
    protected: Decimal


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that any of several stands allows: to short before it is net short, to short, and to buy back.

    ``marks`` are the highest of each contract's prices: an order is sized at one of them, and on a coin-margined
    contract the same dollars are the fewest coins there.
    """

    room: Decimal
    drift: Decimal
    over: Decimal
    protected: Decimal
    marks: tuple[Decimal, ...]


def widest(seen: Sequence[Stand], held: Sequence[Stand] = ()) -> Bounds:
    """Bounds over ``seen``; with ``held`` the holdings may be those of any of these, beside any position seen."""
    both = (*seen, *held)
    marks = tuple(max(prices) for prices in zip(*(stand.marks for stand in both), strict=True))
    protected = max(stand.protected for stand in both)
    if not held:
        drifts = [stand.drift for stand in seen]
        return Bounds(max(stand.room for stand in seen), max(drifts), most_over(seen, seen), protected, marks)
    delta = max(stand.delta for stand in seen)
    owned = max(stand.room - stand.delta for stand in held)
    lacking = delta - min(stand.delta - stand.drift for stand in held)
    return Bounds(delta + owned, lacking, most_over(seen, held), protected, marks)


def most_over(seen: Sequence[Stand], held: Sequence[Stand]) -> Decimal:
    """How far the target can have been over-fulfilled: a look reads coins at one moment and the position at another."""
    return max(stand.delta - stand.drift for stand in held) - min(stand.delta for stand in seen)


class GroundTruth:
    """Keeps the recent stands of every hedge."""

    def __init__(
        self, exchange: Exchange, account: str, hedges: Sequence[Hedge], keys: Mapping[InstrumentId, MarketKey],
        model: Model,
    ) -> None:  # fmt: skip
        self._exchange = exchange
        self._account = account
        self._keys = keys
        self._model = model
        self._listed = {keys[each.id] for hedge in hedges for each in hedge.instruments}
        self.hedges = {hedge.name: hedge for hedge in hedges}
        self.carriers = {hedge.name: {each.id: keys[each.id] for each in hedge.instruments} for hedge in hedges}
        self.rolls = any(hedge.roll != RollRules() for hedge in hedges)
        self.instruments = {each.id: each for hedge in hedges for each in hedge.instruments}
        self.stands: dict[str, deque[Stand]] = {hedge.name: deque(maxlen=KEPT) for hedge in hedges}

    def watched(self, name: str, ident: InstrumentId) -> tuple[MarketKey, ...]:
        """The contracts that a hedge certainly has while an order of it goes to ``ident``."""
        if not self.rolls:
            return tuple(self.carriers[name].values())
        return tuple(dict.fromkeys((self._keys[self.hedges[name].instrument.id], self._keys[ident])))

    def truth(self) -> Truth:
        """The account, whole."""
        return self._exchange.truth(self._account)

    def look(self, at: float) -> None:
        """Take down where every hedge stands now."""
        truth = self.truth()
        for name, hedge in self.hedges.items():
            self.stands[name].append(self._stand(hedge, truth, at))

    def now(self, name: str, at: float) -> Stand:
        """Where one hedge stands."""
        return self._stand(self.hedges[name], self.truth(), at)

    def last(self, name: str) -> Stand | None:
        """Where one hedge stood when it was last taken down."""
        return self.stands[name][-1] if self.stands[name] else None

    def since(self, name: str, at: float) -> list[Stand]:
        """The stands of a hedge at or after then."""
        found = []
        for stand in reversed(self.stands[name]):
            if stand.at < at:
                break
            found.append(stand)
        return found

    def _stand(self, hedge: Hedge, truth: Truth, at: float) -> Stand:
        own = self.carriers[hedge.name].values()
        marks = tuple(self._exchange.mark_price(key) for key in own)
        asset = hedge.instrument.base
        coins = hedge.declared.get(asset, ZERO) + (truth.spot.get(asset, ZERO) if hedge.spot else ZERO)
        counted = [*own]
        if hedge.unlisted is Unlisted.COUNT:
            counted += [
                other
                for other in truth.positions
                if other not in self._listed and self._exchange.market(other).base == asset
            ]
        delta = sum((self._delta(other, truth.positions.get(other, ZERO)) for other in counted), ZERO)
        equity = coins + sum((self._coin_pnl(other, truth) for other in counted), ZERO)
        if any(leg.collateral is not None for leg in hedge.legs):
            equity += truth.coinm.get(asset, ZERO)
        protected = coins if hedge.exposure is ExposureMode.SPOT else equity
        # Every drawn hedge has a share for its target.
        target = -hedge.target.value * protected if protected > 0 else ZERO
        # Coins that are owed are no short by our hand: a long that others opened may still be sold down to nothing.
        return Stand(at, marks, delta, max(equity, ZERO) + delta, delta - target, protected)

    def _delta(self, key: MarketKey, quantity: Decimal) -> Decimal:
        market = self._exchange.market(key)
        if market.kind is MarketKind.LINEAR:
            return quantity * market.contract_size
        return quantity * market.contract_size / self._exchange.mark_price(key)

    def _coin_pnl(self, key: MarketKey, truth: Truth) -> Decimal:
        """Unrealised profit in the coin, of a counted position that no hedge names too."""
        quantity, entry = truth.positions.get(key, ZERO), self._model.entry(key)
        if quantity == 0 or entry == 0 or key.kind is not MarketKind.INVERSE:
            return ZERO
        return quantity * self._exchange.market(key).contract_size * (1 / entry - 1 / self._exchange.mark_price(key))


def size_of(instrument: Instrument, contracts: Decimal, price: Decimal) -> Decimal:
    """Coins that so many contracts stand for at a price; positive."""
    size = abs(contracts) * instrument.contract_size
    return size if instrument.kind is Kind.LINEAR else size / price


def one_step(instrument: Instrument, price: Decimal) -> Decimal:
    """Coins of one step of the contract."""
    return size_of(instrument, Contracts(instrument.step_contracts), price)


def least_order(instrument: Instrument, price: Decimal) -> Decimal:
    """Coins of the smallest order that its market takes, or a step more."""
    return one_step(instrument, price) + instrument.min_notional / price
