"""The fault menu: an :class:`~keeper.sim.seams.Interceptor` that goes wrong on demand, by chance, or on time.

It sits on the exchange's core, so that the wire's servers and the in-process venue show the same faults. The exchange
itself stays right throughout: only what arrives, what is answered and what is seen is bent, or the world is changed by
the exchange's own means. Same seed and same calls give the same strikes.

menu = FaultMenu(exchange, seed=7)
exchange.intercept(menu)
menu.arm(FaultKind.REPLY_LOST_AFTER, Trigger.count(1))
...
menu.heal()
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TypeVar

from keeper.sim import fault_readings, troubles
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.exchange import Exchange
from keeper.sim.fault_armed import Armed
from keeper.sim.fault_kinds import (
    STREAM_FAULTS,
    TRANSFER_FAULTS,
    FaultKind,
    Site,
    Trigger,
    draw_probabilities,
    frequent,
)
from keeper.sim.fault_lag import LateViews
from keeper.sim.fault_world import World
from keeper.sim.margin import floor_to
from keeper.sim.seams import EVERYTHING, Question, Reading
from keeper.sim.troubles import Garble, RateLimitedFaultError, ReplyLostError, TroubleError
from keeper.sim.types import MarketKey, OrderRequest, OrderResult

__all__ = [
    "STREAM_FAULTS",
    "TRANSFER_FAULTS",
    "FaultKind",
    "FaultMenu",
    "Site",
    "Strike",
    "Trigger",
    "draw_probabilities",
    "frequent",
]

T = TypeVar("T")

STRIKES_KEPT = 10_000
IN_FLIGHT_MAX = 1_000

_LOST_BEFORE: dict[FaultKind, Callable[[], Exception]] = {
    FaultKind.REPLY_LOST_BEFORE: lambda: ReplyLostError(after=False),
    FaultKind.UNKNOWN_503_BEFORE: lambda: troubles.unknown_503(after=False),
    FaultKind.OVERLOADED: troubles.overloaded_1008,
    FaultKind.MIN_NOTIONAL_REFUSAL: lambda: SimError(
        ErrorKind.BELOW_MIN_NOTIONAL, "the order is worth too little", limit=Decimal(100)
    ),
}
_LOST_AFTER: dict[FaultKind, Callable[[], TroubleError]] = {
    FaultKind.REPLY_LOST_AFTER: lambda: ReplyLostError(after=True),
    FaultKind.UNKNOWN_503_AFTER: lambda: troubles.unknown_503(after=True),
    FaultKind.TIMEOUT_1007_AFTER: lambda: troubles.timeout_1007(after=True),
    FaultKind.GATEWAY_504_AFTER: lambda: troubles.gateway_504(after=True),
}


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that struck; ``account`` and ``market`` where it belonged to one."""

    at_ms: int
    kind: FaultKind
    id: int
    account: str | None
    market: MarketKey | None


@dataclass(frozen=True, slots=True)
class _InFlight:
    """An order on its way after its sender has given up."""

    due_ms: int
    expires_ms: int
    account: str
    request: OrderRequest


class FaultMenu:
    """What goes wrong, and how often it has. Put it in place with ``exchange.intercept(menu)``."""

    def __init__(self, exchange: Exchange, seed: int | str = 0) -> None:
        self.fired: Counter[FaultKind] = Counter()
        self.strikes: deque[Strike] = deque(maxlen=STRIKES_KEPT)
        self.late_accepted = 0
        self.late_refused = 0
        self.on_host_step: Callable[[int], None] | None = None
        """Steps the host's wall clock by so many ms; without it HOST_CLOCK_STEP never strikes."""
        self._exchange = exchange
        self._seed = seed
        self._armed: dict[int, Armed] = {}
        self._by_site: dict[Site, list[Armed]] = {site: [] for site in Site}
        self._by_reading: dict[Reading, tuple[Armed, ...]] = {}
        self._next_id = 1
        self._busy = False
        self._garble: Garble | None = None
        self._in_flight: list[_InFlight] = []
        self._views = LateViews(exchange)
        self._world = World(exchange, self._step_host)
        self._memory = fault_readings.Memory()
        self._blocked: tuple[int, FaultKind] | None = None

    # --- the menu ---------------------------------------------------------------------------------------------------

    def arm(self, kind: FaultKind, trigger: Trigger | None = None, **parameters: object) -> int:
        """Let ``kind`` strike as ``trigger`` says (None: at the next opportunity); returns its number.

        Raises ValueError for a parameter that the kind does not have (see :attr:`FaultKind.parameters`).
        """
        armed = Armed(self._next_id, kind, trigger or Trigger.count(), parameters, self._seed)
        fault_readings.check_parameters(armed)
        self._world.check(armed)
        self._next_id += 1
        self._armed[armed.id] = armed
        self._by_site[kind.site].append(armed)
        self._by_reading.clear()
        return armed.id

    def disarm(self, number: int) -> bool:
        """Take one fault off; what it has already caused runs its course. False when there is none such."""
        armed = self._armed.pop(number, None)
        if armed is None:
            return False
        self._by_site[armed.kind.site].remove(armed)
        self._by_reading.clear()
        return True

    def clear(self) -> None:
        """Take all faults off; what they have already caused runs its course."""
        self._armed.clear()
        self._by_reading.clear()
        for armed in self._by_site.values():
            armed.clear()

    def armed(self) -> tuple[Armed, ...]:
        """What is armed, in the order of arming; spent ones too."""
        return tuple(self._armed.values())

    def draw(self, rng: Random, kinds: Iterable[FaultKind] | None = None) -> dict[FaultKind, Fraction]:
        """Draw the probabilities of a swarm run and arm them: some kinds off, some rare, some frequent.

        ``kinds`` None: all of the menu. Returns what was drawn; the rest is off.
        """
        drawn = draw_probabilities(rng, FaultKind if kinds is None else kinds)
        for kind, probability in drawn.items():
            self.arm(kind, Trigger(probability=probability))
        return drawn

    def heal(self) -> None:
        """Everything off and undone: views catch up, orders in flight arrive, markets, modes and clocks are as before.

        What the world did to an account (a foreign trade, a liquidation, a delivery) has happened and stays.
        """
        self.clear()
        self._blocked = None
        self._garble = None
        self._views.clear()
        self._memory.clear()
        with self.aside():
            self._world.undo_all()
            self._deliver(all_of_them=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens inside passes unharmed: the menu's own deeds, and whoever must see what is so."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    def next_due_ms(self) -> int | None:
        """When the next thing happens by itself, exchange time: an order arrives, a condition ends; None: nothing does.

        For a harness on virtual time, which has to call ``exchange.advance()`` then.
        """
        times = [each.due_ms for each in self._in_flight] + self._world.ends_ms()
        return min(times, default=None)

    # --- the seams --------------------------------------------------------------------------------------------------

    def before_request(self, account: str | None) -> None:
        """Refuse everything while the venue is down or has banned us."""
        now_ms = self._exchange.clock.now_ms()
        if self._blocked is None or self._blocked[0] <= now_ms:
            self._blocked = None
            for armed in self._due(Site.REQUEST, None):
                if armed.kind is FaultKind.MAINTENANCE:
                    length_ms = armed.integer("for_ms")
                else:
                    length_ms = 1_000 * armed.integer("retry_after_seconds")
                self._blocked = (now_ms + max(1, length_ms), armed.kind)
                self._record(armed, account, None)
                break
        if self._blocked is not None:
            raise self._closed(now_ms, *self._blocked)

    def _closed(self, now_ms: int, until_ms: int, kind: FaultKind) -> TroubleError:
        if kind is FaultKind.MAINTENANCE:
            return troubles.MaintenanceError()
        return RateLimitedFaultError(418 if kind is FaultKind.BANNED else 429, -(-(until_ms - now_ms) // 1_000))

    def on_advance(self) -> None:
        """Let what is on its way arrive, what was for a time end, and the world take its turn."""
        if self._busy:
            return
        with self.aside():
            self._deliver()
            self._world.undo_due()
            for armed in self._due(Site.TICK, None):
                touched = self._world.strike(armed)
                if touched is not None:
                    self._record(armed, touched.account, touched.market)

    def garble(self) -> Garble | None:
        """What is to be done to the body of the answer that leaves now."""
        garble, self._garble = self._garble, None
        return garble

    def liquidity(self, account: str, request: OrderRequest) -> Decimal | None:
        """A part of the order, where it is to fill in part only."""
        if self._busy or request.quantity is None:
            return None
        for armed in self._due(Site.ORDER, request.market, FaultKind.PARTIAL_FILL):
            self._record(armed, account, request.market)
            step = self._exchange.market(request.market).filters.step
            return floor_to(request.quantity * armed.decimal("ratio"), step)
        return None

    def before_order(self, account: str, request: OrderRequest) -> None:
        """Lose or refuse the order before it is seen."""
        self._garble = None
        if self._busy:
            return
        if self._wants_snapshot():
            with self.aside():
                self._views.prepare(account, request.market)
        for armed in self._due(Site.ORDER, request.market, *_LOST_BEFORE):
            self._record(armed, account, request.market)
            trouble = _LOST_BEFORE[armed.kind]()
            raise trouble
        for armed in self._due(Site.ORDER, request.market, FaultKind.PRICE_BAND_REFUSAL):
            self._record(armed, account, request.market)
            above = request.side.sign > 0
            kind = ErrorKind.PRICE_ABOVE_BAND if above else ErrorKind.PRICE_BELOW_BAND
            raise SimError(kind, f"the price is {'above' if above else 'below'} the band", limit=request.price)
        for armed in self._due(Site.ORDER, request.market, FaultKind.LATE_ORDER):
            if len(self._in_flight) < IN_FLIGHT_MAX:
                self._record(armed, account, request.market)
                self._send_late(armed, account, request)
                raise ReplyLostError(after=False)

    def after_order(self, account: str, result: OrderResult) -> None:
        """Hide the order or its fills, lose its answer."""
        if self._busy:
            return
        market = result.order.market
        for armed in self._due(Site.ORDER, market, FaultKind.NOT_FOUND_THEN_FOUND):
            self._record(armed, account, market)
            self._views.hide_order(armed, result.order)
        if result.fills:
            for armed in self._due(Site.ORDER, market, FaultKind.FILLS_DELAYED):
                self._record(armed, account, market)
                self._views.hide_fills(armed, result)
            for armed in self._due(Site.ORDER, market, FaultKind.POSITION_GOES_BACK):
                self._record(armed, account, market)
                self._views.hide_again(armed, result)
        for armed in self._due(Site.ORDER, market, *_LOST_AFTER):
            self._record(armed, account, market)
            lost = _LOST_AFTER[armed.kind]()
            raise lost
        for armed in self._due(Site.ORDER, market, FaultKind.ANSWER_MALFORMED):
            self._record(armed, account, market)
            self._garble = armed.rng.choice((Garble.NOT_JSON, Garble.CUT_SHORT))

    def before_cancel(self, account: str, market: MarketKey) -> None:
        """Fill the order just before its cancel arrives, or lose the cancel."""
        self._garble = None
        if self._busy:
            return
        for armed in self._due(Site.CANCEL, market, FaultKind.CANCEL_LOST_BEFORE):
            self._record(armed, account, market)
            raise ReplyLostError(after=False)
        for armed in self._due(Site.CANCEL, market, FaultKind.CANCEL_FILL_RACE):
            if self._exchange.fill_resting(account, market):
                self._record(armed, account, market)

    def before_transfer(self, account: str) -> None:
        """Lose or refuse a transfer before it is seen."""
        self._garble = None
        if self._busy:
            return
        for armed in self._due(Site.TRANSFER, None, FaultKind.TRANSFER_LOST_BEFORE):
            self._record(armed, account, None)
            raise ReplyLostError(after=False)
        for armed in self._due(Site.TRANSFER, None, FaultKind.TRANSFER_REFUSED):
            self._record(armed, account, None)
            raise SimError(ErrorKind.TRANSFER_REFUSED, "transfers are not possible at present")

    def read(self, reading: Reading, account: str | None, answer: T, question: Question = EVERYTHING) -> T:
        """Answer late, wrongly, or not at all."""
        if self._busy:
            return answer
        if reading is Reading.PLACED:
            return self._contradicted(account, self._views.shown(reading, account, answer))
        if reading is Reading.CANCELLED:
            for armed in self._due(Site.CANCEL, fault_readings.market_of(answer), FaultKind.CANCEL_LOST_AFTER):
                self._record(armed, account, fault_readings.market_of(answer))
                raise ReplyLostError(after=True)
            return answer
        if reading is Reading.TRANSFERRED:
            for armed in self._due(Site.TRANSFER, None, FaultKind.TRANSFER_LOST_AFTER):
                self._record(armed, account, None)
                raise ReplyLostError(after=True)
            return answer
        if self._views:
            answer = self._views.shown(reading, account, answer, question)
        if self._by_site[Site.READ]:
            answer = self._bent(reading, account, answer, question)
        return answer

    # --- parts ------------------------------------------------------------------------------------------------------

    def _bent(self, reading: Reading, account: str | None, answer: T, question: Question) -> T:
        """The answer as the armed faults leave it."""
        striking = self._by_reading.get(reading)
        if striking is None:
            striking = tuple(each for each in self._by_site[Site.READ] if fault_readings.applies(each, reading))
            self._by_reading[reading] = striking
        if not striking:
            return answer
        market = question.market or fault_readings.market_of(answer)
        now_ms = self._exchange.clock.now_ms()
        asked = (reading, account, question)
        if any(armed.kind is FaultKind.STALE for armed in striking):
            self._memory.see(asked, answer)
        for armed in striking:
            if not armed.is_due(now_ms, market):
                continue
            if armed.kind is FaultKind.READ_LOST:
                self._record(armed, account, market)
                raise ReplyLostError(after=True)
            if armed.kind is FaultKind.READ_503:
                self._record(armed, account, market)
                raise troubles.unknown_503(after=True)
            if armed.kind is FaultKind.READ_MALFORMED:
                self._record(armed, account, market)
                self._garble = armed.rng.choice((Garble.NOT_JSON, Garble.CUT_SHORT))
                continue
            if armed.kind is FaultKind.NONE_FILLED:
                self._record(armed, account, market)
                self._garble = Garble.NULLS
                continue
            if armed.kind is FaultKind.STALE:
                bent = self._memory.older(armed.rng, asked, answer)
            else:
                bent = fault_readings.bend(armed, answer)
            if bent is not answer and bent != answer:
                self._record(armed, account, market)
                answer = bent
        return answer

    def _contradicted(self, account: str | None, answer: T) -> T:
        """The answer to an order, telling something else than is so."""
        if not isinstance(answer, OrderResult):
            return answer
        bent: OrderResult = answer
        market = answer.order.market
        for armed in self._due(Site.ORDER, market, FaultKind.ANSWER_CONTRADICTS):
            told = fault_readings.contradict(armed, bent, self._exchange.market(market).filters.step)
            if told != bent:
                self._record(armed, account, market)
                bent = told
        return bent  # type: ignore[return-value]  # rebuilt in the same type

    def _due(self, site: Site, market: MarketKey | None, *kinds: FaultKind) -> Iterator[Armed]:
        """The armed faults of a site (of these kinds) whose time has come; each counts an opportunity."""
        if not self._by_site[site]:
            return
        now_ms = self._exchange.clock.now_ms()
        for armed in tuple(self._by_site[site]):
            if (not kinds or armed.kind in kinds) and armed.is_due(now_ms, market):
                yield armed

    def _record(self, armed: Armed, account: str | None, market: MarketKey | None) -> None:
        now_ms = self._exchange.clock.now_ms()
        armed.struck(now_ms)
        self.fired[armed.kind] += 1
        self.strikes.append(Strike(now_ms, armed.kind, armed.id, account, market))

    def _wants_snapshot(self) -> bool:
        kinds = (FaultKind.FILLS_DELAYED, FaultKind.POSITION_GOES_BACK)
        return any(armed.kind in kinds for armed in self._by_site[Site.ORDER])

    def _send_late(self, armed: Armed, account: str, request: OrderRequest) -> None:
        now_ms = self._exchange.clock.now_ms()
        shortest, longest = armed.integer("min_delay_ms"), armed.integer("max_delay_ms")
        due_ms = now_ms + armed.rng.randint(shortest, max(shortest, longest))
        self._in_flight.append(_InFlight(due_ms, now_ms + armed.integer("recv_window_ms"), account, request))

    def _deliver(self, *, all_of_them: bool = False) -> None:
        """Orders in flight arrive; one that is older than its window is refused, as a venue does."""
        now_ms = self._exchange.clock.now_ms()
        due = [each for each in self._in_flight if all_of_them or each.due_ms <= now_ms]
        self._in_flight = [each for each in self._in_flight if each not in due]
        for late in sorted(due, key=lambda each: each.due_ms):
            if late.due_ms > late.expires_ms:
                self.late_refused += 1
                continue
            try:
                self._exchange.place_order(late.account, late.request)
                self.late_accepted += 1
            except SimError:  # refused by the exchange; nobody is there to be told
                self.late_refused += 1

    def _step_host(self, step_ms: int) -> bool:
        if self.on_host_step is None:
            return False
        self.on_host_step(step_ms)
        return True
