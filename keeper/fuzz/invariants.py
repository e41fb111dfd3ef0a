"""What must hold after every event, whatever the keeper was told.

The numbers are those of the failure catalogue's list. Each check runs when something happened that could break it; what
it judges by is the exchange's own truth, the history, and what the journal holds, never what the keeper believes. A
violation is kept and ends the run; it is not raised, since the keeper under test might catch it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from keeper.core.hedge import accounts_of
from keeper.core.model import (
    CycleRecord,
    Hedge,
    Instrument,
    InstrumentId,
    Intent,
    Mark,
    OutcomeState,
    PlannedOrder,
    Rebalance,
    Side,
)
from keeper.fuzz.history import Note
from keeper.fuzz.levers import Levers
from keeper.fuzz.model import Model, canonical
from keeper.fuzz.promises import Promises
from keeper.fuzz.told import Told
from keeper.fuzz.truth import Bounds, GroundTruth, least_order, one_step, size_of, widest
from keeper.sim.events import (
    ExecutionType,
    FundingSettled,
    MoneyMoved,
    OrderUpdated,
    PositionForced,
    PriceChanged,
)
from keeper.sim.types import MarketKey, Order, OrderStatus, Origin, Truth
from keeper.sim.types import Side as SimSide

ZERO = Decimal(0)
FEES = Decimal("0.01")
"""Of an order's own size: fees, the slippage that the config allows, and the spread."""
STALE_SECONDS = 60.0
"""A price may be read late, and stands in the order for as long as the order travels."""
MISSENT = Decimal("0.05")
"""How far beyond any recent true price an order may be limited: the touch, the slippage, an old reading."""
LOOKS_BACK = 12
COARSE_STEPS = 10
"""A cover is rounded up to the step, which the menu makes so many times as large."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold."""

    name: str
    text: str
    at_ms: int


@dataclass(slots=True)
class Epoch:
    """One look of the keeper: when it began, and which of its readings failed."""

    began: float = -1.0
    failed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Sent:
    """An order as it left, and the look that it stands on."""

    order: PlannedOrder
    epoch_began: float
    after: float
    """Our own last write on the symbol before it."""
    lies: int
    """Wrong answers in that look: it may travel for so long that the next look has begun when it arrives."""


class Invariants:
    """Watches one run."""

    def __init__(
        self,
        model: Model,
        account: str,
        monotonic: Callable[[], float],
        lag_seconds: float,
    ) -> None:
        self.violations: list[Violation] = []
        self.on_violation: Callable[[], None] = lambda: None
        self.checked = 0
        self.epoch = Epoch()
        self.unresolved: Callable[[], tuple[Intent, ...]] = lambda: ()
        self.canaries: tuple[str, ...] = ()
        self.strays: set[str] = set()
        """Orders that the run itself has left on the venue in the keeper's name."""
        self.levers: Levers
        self.ground: GroundTruth
        self.promises: Promises
        self.told: Told
        self._model = model
        self._symbols: dict[MarketKey, InstrumentId] = {}
        self._account = account
        self._monotonic = monotonic
        self._lag = lag_seconds
        self._answered: dict[str, deque[float]] = {what: deque(maxlen=LOOKS_BACK) for what in ("wallet", "positions")}
        self._intents: dict[str, Intent] = {}
        self._sent: dict[str, Sent] = {}
        self._last_write: dict[InstrumentId, float] = {}
        self._accepted: dict[str, int] = {}
        self._marks: dict[MarketKey, deque[tuple[float, Decimal]]] = {}
        self._taken_back: set[str] = set()
        self._lied = -math.inf

    def name(self, keys: Mapping[InstrumentId, MarketKey], marks: Mapping[MarketKey, Decimal]) -> None:
        """Say which of the exchange's markets the hedges stand on, and at what prices they begin."""
        self._symbols = {key: ident for ident, key in keys.items()}
        for key, mark in marks.items():
            self._keep_mark(key, mark)

    def violate(self, name: str, text: str, at_ms: int) -> None:
        """Keep it, and let the run end."""
        self.violations.append(Violation(name, text, at_ms))
        self.on_violation()

    # --- what the keeper does ---------------------------------------------------------------------------------------

    def on_look(self) -> None:
        """A look begins; the one before has been answered, but for what failed in it."""
        for what, looks in self._answered.items():
            if not any(source.startswith(what) for source in self.epoch.failed):
                looks.append(self.epoch.began)
        if self.told.lies():
            self._lied = self.epoch.began
        self.epoch = Epoch(self._monotonic())
        self._taken_back.clear()
        self.told.look()
        self.ground.look(self.epoch.began)

    def on_failed_read(self, source: str) -> None:
        """A reading of the present look failed."""
        self.epoch.failed.add(source)

    def on_marks(self, marks: Mapping[InstrumentId, Mark]) -> None:
        """Prices were read."""
        self.told.marks(marks)

    def on_intent(self, intent: Intent) -> None:
        """An intent has been written."""
        self._intents[intent.client_id] = intent

    def on_send(self, order: PlannedOrder) -> None:
        """An order is about to leave: is there an intent of it, is nothing unknown, is the look whole and new?"""
        self.checked += 1
        now, ident = self._monotonic(), order.instrument
        who = f"{order.client_id} on {ident}"
        if order.client_id not in self._intents:
            self._fail("send_without_intent", f"{who} leaves, and no intent of it is written down")
        if order.client_id in self._sent:
            self._fail("sent_twice", f"{who} leaves a second time")
        for intent in self.unresolved():
            if intent.order.instrument == ident and intent.client_id != order.client_id:
                self._fail("sent_while_unknown", f"{who} leaves while {intent.client_id} is unknown")
        last = self._last_write.get(ident, -1.0)
        if self.epoch.began < last:
            text = f"{who} stands on a look begun at {self.epoch.began:.3f} s; our last write was at {last:.3f} s"
            self._fail("old_epoch", text)
        self._check_whole(order, who)
        self._check_price(order, who, now)
        for name, text in (
            *self.told.against(order, self.ground.watched(order.hedge, order.instrument)),
            *self.levers.against(order),
        ):
            self._fail(name, text)
        self._sent[order.client_id] = Sent(order, self.epoch.began, last, self.told.lies())
        self._last_write[ident] = now

    def on_turn(self, record: CycleRecord) -> None:
        """A turn was written: does the model agree with the exchange, and does nothing told hold a secret?"""
        self.checked += 1
        self.told.turn()
        truth = self.ground.truth()
        for text in self._model.disagreements(truth):
            self._fail("model", text)
        self._check_resting(truth)
        for hedge in record.hedges:
            if isinstance(hedge.decision, Rebalance) and hedge.exposure.blockers:
                self._fail("decided_on_a_gap", f"{hedge.exposure.hedge.name} trades past {hedge.exposure.blockers}")
        for gap in record.snapshot.gaps:
            self.on_text(gap.text)

    def on_text(self, text: str) -> None:
        """Something that people or programs may read."""
        for canary in self.canaries:
            if canary in text:
                self._fail("secret", f"a secret shows in: {text.replace(canary, '<the secret>')[:300]}")

    # --- what the venue does ----------------------------------------------------------------------------------------

    def on_note(self, note: Note) -> None:
        """One more line of the history; here only the venue's events are looked at."""
        self.told.take(note)
        if note.what == "cancel":
            self._taken_back.add(str(note.facts[0]))
        event = note.event
        if event is None:
            return
        now = self._monotonic()
        if isinstance(event, OrderUpdated):
            self._order(event, now)
        elif isinstance(event, PriceChanged):
            self._keep_mark(event.market, event.mark)
            if event.market in self._symbols:
                self.ground.look(now)
        elif isinstance(event, MoneyMoved | FundingSettled | PositionForced):
            if isinstance(event, PositionForced):
                for name, text in self.promises.delivered(event):
                    self._fail(name, text)
            self.ground.look(now)

    def _keep_mark(self, market: MarketKey, mark: Decimal) -> None:
        self._marks.setdefault(market, deque(maxlen=400)).append((self._monotonic(), mark))

    def _order(self, event: OrderUpdated, now: float) -> None:
        order = event.order
        self.checked += 1
        if order.origin is Origin.API and order.client_order_id not in self.strays:
            if event.execution is ExecutionType.NEW:
                self._accept(order, now)
            ident = self._symbols.get(order.market)
            if ident is not None:
                self._last_write[ident] = now
        if event.fill is not None:
            have, said = self.ground.truth().positions.get(order.market, ZERO), self._model.position(order.market)
            if have != said:
                self._fail("model", f"{order.market.symbol}: the history gives {said}, the exchange holds {have}")
            if order.origin is Origin.API and order.side is SimSide.BUY and have > 0 and order.reduce_only:
                self._fail("net_long", f"{order.market.symbol} stands at {have} after a cover of ours")
        sent = self._sent.get(canonical(order.client_order_id))
        if event.fill is not None and sent is not None and sent.order.hedge not in self.told.flattened:
            for name, text in self.promises.filled(sent.order, sent.epoch_began, now):
                self._fail(name, text)
        if event.fill is not None or order.status is not OrderStatus.NEW:
            self.ground.look(now)

    def _accept(self, order: Order, now: float) -> None:
        """An order of ours was taken in: once only, written down before, and within what is really held."""
        client_id = canonical(order.client_order_id)
        self._accepted[client_id] = self._accepted.get(client_id, 0) + 1
        if self._accepted[client_id] > 1:
            self._fail("accepted_twice", f"{client_id} was taken in {self._accepted[client_id]} times")
        sent = self._sent.get(client_id)
        if sent is None or client_id not in self._intents:
            self._fail("accepted_unknown", f"{client_id} was taken in, and nothing like it was sent")
            return
        hedge, instrument = self.ground.hedges[sent.order.hedge], self.ground.instruments[sent.order.instrument]
        # What the look may have read: anything since our last write, or since the oldest answer it can have been given.
        began = min(sent.epoch_began, now)
        after = max(self._oldest(began, "positions"), sent.after)
        seen = [*self.ground.since(hedge.name, after), self.ground.now(hedge.name, now)]
        # Nothing says of a balance that it is older than our last write, as a position's size does.
        lies = max(sent.lies, self.told.lies())
        held = [*seen, *self.ground.since(hedge.name, self._oldest(began, "wallet"))] if lies else ()
        if order.side is SimSide.SELL:
            self._check_room(order, hedge, instrument, widest(seen, held))
            return
        if not order.reduce_only:
            self._fail("cover_can_open", f"{client_id} buys and is not reduce-only")
        if hedge.name not in self.told.flattened and lies <= 1:
            self._check_cover(order, hedge, instrument, widest(seen, held))

    def _check_cover(self, order: Order, hedge: Hedge, instrument: Instrument, bounds: Bounds) -> None:
        """No cover without a cause: one wrong answer alone must not open the hedge."""
        size = size_of(instrument, order.quantity, max(order.price, self._highest(hedge, instrument, bounds)))
        slack = size * (FEES + hedge.max_slippage) + COARSE_STEPS * one_step(instrument, order.price)
        slack += self._moved_at_once(hedge, bounds)
        if size > bounds.over + slack:
            text = f"{order.client_order_id} buys {size} back; the target asks for {bounds.over} at most"
            self._fail("cover_without_cause", text)

    def _oldest(self, began: float, what: str) -> float:
        """The oldest moment that a reading then can be of: the eighth answer before it, which may be from before a time
        when nobody asked, or nobody was answered.
        """
        return min(began - self._lag, next(iter(self._answered[what]), began))

    def _highest(self, hedge: Hedge, instrument: Instrument, bounds: Bounds) -> Decimal:
        """The highest price of one of the hedge's contracts within the bounds."""
        return bounds.marks[[*self.ground.carriers[hedge.name]].index(instrument.id)]

    def _moved_at_once(self, hedge: Hedge, bounds: Bounds) -> Decimal:
        """What is covered to be sold on another contract: a slice inside the band, or the least that both take."""
        if hedge.share is None and not self.ground.rolls:
            return ZERO
        least = max(
            least_order(instrument, mark) for instrument, mark in zip(hedge.instruments, bounds.marks, strict=True)
        )
        # A minimum that grows on top of a step that has grown is so many times as large again.
        coarse = COARSE_STEPS ** (2 if self.told.coarsened_twice() else 1)
        return max(hedge.band.act * bounds.protected, coarse * 2 * least)

    def _check_room(self, order: Order, hedge: Hedge, instrument: Instrument, bounds: Bounds) -> None:
        """Never short of more than is owned, nor of more than the target asks for, over all contracts together."""
        size = size_of(instrument, order.quantity, max(order.price, self._highest(hedge, instrument, bounds)))
        own = {key: self.ground.instruments[ident] for ident, key in self.ground.carriers[hedge.name].items()}
        working = sum(
            (size_of(own[other.market], other.remaining, other.price) for other in self.ground.truth().accepted_orders
             if other.is_open and other.market in own and other.side is SimSide.SELL
             and other.order_id != order.order_id),
            ZERO,
        )  # fmt: skip
        slack = size * (FEES + hedge.max_slippage) + one_step(instrument, order.price)
        if size + working > bounds.room + slack:
            text = f"{order.client_order_id} shorts {size} more ({working} work); there is room for {bounds.room}"
            self._fail("net_short", text)
        elif size + working > bounds.drift + slack:
            text = f"{order.client_order_id} shorts {size} more ({working} work); the target lacks {bounds.drift}"
            self._fail("over_hedged", text)

    def _check_resting(self, truth: Truth) -> None:
        """What rests after a turn is within what is owned, or was tried to be taken back in that very turn.

        An order that no answer has shown yet is not known to rest.
        """
        resting = [order for order in truth.accepted_orders if order.is_open and order.side is SimSide.SELL]
        if not resting:
            return
        unseen = {intent.client_id for intent in self.unresolved() if intent.outcome.state is OutcomeState.UNKNOWN}
        now = self._monotonic()
        for order in resting:
            client_id = canonical(order.client_order_id)
            sent = self._sent.get(client_id)
            if sent is None or client_id in unseen or client_id in self._taken_back:
                continue
            hedge, instrument = self.ground.hedges[sent.order.hedge], self.ground.instruments[sent.order.instrument]
            size = size_of(instrument, order.remaining, order.price)
            began = min(self.epoch.began, now)
            oldest = min(self._oldest(began, what) for what in self._answered)
            stands = [*self.ground.since(hedge.name, oldest), self.ground.now(hedge.name, now)]
            # A stale answer pairs what was owned then with what is short now; it rests on while nobody is answered.
            lied = self.told.lies() or self._lied >= oldest
            room = widest(stands, stands if lied else ()).room
            if size > room + size * (FEES + hedge.max_slippage) + one_step(instrument, order.price):
                text = f"{client_id} rests with {size} to short; there has long been room for {room} at most"
                self._fail("rests_beyond_holdings", text)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _check_whole(self, order: PlannedOrder, who: str) -> None:
        hedge = self.ground.hedges[order.hedge]
        needs = {f"wallet {account.wallet}" for account in accounts_of(hedge)}
        needs |= {"positions", "marks", "clock"}
        # A contract that is gone has no row to be shown by name.
        needs |= {f"position {each.id.symbol}" for each in hedge.instruments if not self.told.is_over(each)}
        broken = sorted(needs & self.epoch.failed)
        if broken:
            self._fail("sent_on_a_gap", f"{who} leaves although these readings failed: {', '.join(broken)}")

    def _check_price(self, order: PlannedOrder, who: str, now: float) -> None:
        key = next(key for key, ident in self._symbols.items() if ident == order.instrument)
        known = self._marks.get(key, ())
        recent = [mark for at, mark in known if at >= now - STALE_SECONDS]
        before = [mark for at, mark in known if at < now - STALE_SECONDS][-1:]
        marks = recent + before
        if not marks:
            return
        if order.side is Side.SELL and order.price < min(marks) * (1 - MISSENT):
            self._fail("no_price", f"{who} sells down to {order.price}; the lowest recent mark is {min(marks)}")
        if order.side is Side.BUY and order.price > max(marks) * (1 + MISSENT):
            self._fail("no_price", f"{who} buys up to {order.price}; the highest recent mark is {max(marks)}")

    def _fail(self, name: str, text: str) -> None:
        self.violate(name, text, int(self._monotonic() * 1000))
