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
from keeper.sim.types import Market, MarketKey, MarketKind, Truth

KEPT = 4_000


@dataclass(frozen=True, slots=True)
class Stand:
    """One hedge at one moment, coins and signed coins. ``room`` is what may still be shorted before it is net short.

    ``drift`` is what is left to short (positive) by the target; ``protected`` is what the target is a share of.
    ``marks`` are those of the hedge's contracts, in its order. ``gain`` is the open profit in what is owned, and
    ``wanted_gain`` the target's share of it.
    """

    at: float
    marks: tuple[Decimal, ...]
    delta: Decimal
    room: Decimal
    drift: Decimal
    protected: Decimal
    gain: Decimal
    wanted_gain: Decimal


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
    """Bounds over ``seen``; with ``held`` the holdings may be those of any of these, beside any position seen.

    Coins and positions are answers of their own: coins of then may stand beside the open profit of a position seen.
    """
    both = (*seen, *held)
    marks = tuple(max(prices) for prices in zip(*(stand.marks for stand in both), strict=True))
    protected = max(stand.protected for stand in both)
    if not held:
        drifts = [stand.drift for stand in seen]
        return Bounds(max(stand.room for stand in seen), max(drifts), most_over(seen, seen), protected, marks)
    delta = max(stand.delta for stand in seen)
    gains, wanted = [stand.gain for stand in seen], [stand.wanted_gain for stand in seen]
    owned = max(stand.room - stand.delta + max(max(gains) - stand.gain, ZERO) for stand in held)
    least = min(stand.delta - stand.drift - max(max(wanted) - stand.wanted_gain, ZERO) for stand in held)
    over = most_over(seen, held) + max(max(stand.wanted_gain for stand in held) - min(wanted), ZERO)
    return Bounds(delta + owned, delta - least, over, protected, marks)


def most_over(seen: Sequence[Stand], held: Sequence[Stand]) -> Decimal:
    """How far the target can have been over-fulfilled: a look reads coins at one moment and the position at another."""
    return max(stand.delta - stand.drift for stand in held) - min(stand.delta for stand in seen)


@dataclass(frozen=True, slots=True)
class _Scene:
    """Everything that the stands of one moment follow from; they are reckoned when asked for, which is seldom."""

    at: float
    truth: Truth
    marks: Mapping[MarketKey, Decimal]
    entries: Mapping[MarketKey, Decimal]
    stands: dict[str, Stand]


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
        self._markets: dict[MarketKey, Market] = {}
        self.hedges = {hedge.name: hedge for hedge in hedges}
        self.carriers = {hedge.name: {each.id: keys[each.id] for each in hedge.instruments} for hedge in hedges}
        self.rolls = any(hedge.roll != RollRules() for hedge in hedges)
        self.instruments = {each.id: each for hedge in hedges for each in hedge.instruments}
        self._scenes: deque[_Scene] = deque(maxlen=KEPT)

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
        self._scenes.append(self._scene(at))

    def now(self, name: str, at: float) -> Stand:
        """Where one hedge stands."""
        return self._stand(name, self._scene(at))

    def last(self, name: str) -> Stand | None:
        """Where one hedge stood when it was last taken down."""
        return self._stand(name, self._scenes[-1]) if self._scenes else None

    def since(self, name: str, at: float) -> list[Stand]:
        """The stands of a hedge at or after then."""
        found = []
        for scene in reversed(self._scenes):
            if scene.at < at:
                break
            found.append(self._stand(name, scene))
        return found

    def _scene(self, at: float) -> _Scene:
        truth = self.truth()
        marks = {key: self._exchange.mark_price(key) for key in self._listed.union(truth.positions)}
        entries = {key: self._model.entry(key) for key in truth.positions if key.kind is MarketKind.INVERSE}
        return _Scene(at, truth, marks, entries, {})

    def _market(self, key: MarketKey) -> Market:
        """A contract, as far as it never changes."""
        known = self._markets.get(key)
        if known is None:
            known = self._markets[key] = self._exchange.market(key)
        return known

    def _stand(self, name: str, scene: _Scene) -> Stand:
        known = scene.stands.get(name)
        if known is None:
            known = scene.stands[name] = self._reckoned(self.hedges[name], scene)
        return known

    def _reckoned(self, hedge: Hedge, scene: _Scene) -> Stand:
        truth, own = scene.truth, self.carriers[hedge.name].values()
        asset = hedge.instrument.base
        coins = hedge.declared.get(asset, ZERO) + (truth.spot.get(asset, ZERO) if hedge.spot else ZERO)
        counted = [*own]
        if hedge.unlisted is Unlisted.COUNT:
            counted += [
                other for other in truth.positions if other not in self._listed and self._market(other).base == asset
            ]
        delta = sum((self._delta(other, scene) for other in counted), ZERO)
        gain = sum((self._coin_pnl(other, scene) for other in counted), ZERO)
        equity = coins + gain
        if any(leg.collateral is not None for leg in hedge.legs):
            equity += truth.coinm.get(asset, ZERO)
        protected = coins if hedge.exposure is ExposureMode.SPOT else equity
        # Every drawn hedge has a share for its target.
        target = -hedge.target.value * protected if protected > 0 else ZERO
        wanted_gain = ZERO if hedge.exposure is ExposureMode.SPOT else hedge.target.value * gain
        # Coins that are owed are no short by our hand: a long that others opened may still be sold down to nothing.
        marks = tuple(scene.marks[key] for key in own)
        room = max(equity, ZERO) + delta
        return Stand(scene.at, marks, delta, room, delta - target, protected, gain, wanted_gain)

    def _delta(self, key: MarketKey, scene: _Scene) -> Decimal:
        market, quantity = self._market(key), scene.truth.positions.get(key, ZERO)
        if market.kind is MarketKind.LINEAR:
            return quantity * market.contract_size
        return quantity * market.contract_size / scene.marks[key]

    def _coin_pnl(self, key: MarketKey, scene: _Scene) -> Decimal:
        """Unrealised profit in the coin, of a counted position that no hedge names too."""
        quantity, entry = scene.truth.positions.get(key, ZERO), scene.entries.get(key, ZERO)
        if quantity == 0 or entry == 0:
            return ZERO
        return quantity * self._market(key).contract_size * (1 / entry - 1 / scene.marks[key])


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
