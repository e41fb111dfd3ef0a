"""Listens to the keeper's loop: what it saw last, what it did, and what it left alone on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from keeper.core.model import CycleRecord, Halt, HedgeCycle, Hold, Outcome, OutcomeState, PlannedOrder, Roll, Side
from keeper.demo import words
from keeper.demo.view import Trade, Voice

Say = Callable[[Voice, str], None]
_TRADED = (OutcomeState.FILLED, OutcomeState.PARTIAL)
_UNFILLED = {
    OutcomeState.NONE: "the price ran away from the order",
    OutcomeState.REJECTED: "the order was refused",
    OutcomeState.ABSENT: "the order never arrived",
    OutcomeState.UNKNOWN: "what became of the order is not known yet",
}


@dataclass(slots=True)
class _Rolling:
    """A roll that is under way: of so many contracts (``whole``), and how far it is."""

    roll: Roll
    whole: Decimal
    contracts: Decimal = Decimal(0)
    steps: int = 0
    quarter: int = 0


class Feed:
    """A listener of the daemon; ``say`` is told what is worth an event."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.last: CycleRecord | None = None
        self.trades: list[Trade] = []
        self.on_trade: Callable[[Trade], None] = lambda _trade: None
        self._asked: dict[str, float] = {}
        self._halted: set[str] = set()
        self._rolls: dict[str, _Rolling] = {}
        self._notes: dict[str, str] = {}

    def expect(self, hedges: Iterable[str], now: float) -> None:
        """The owner has moved coins of these hedges at ``now`` (monotonic): the next looks answer that."""
        self._asked.update(dict.fromkeys(hedges, now))

    def on_turn(self, record: CycleRecord) -> None:
        """A turn has ended."""
        self.last = record
        for cycle in record.hedges:
            name = cycle.exposure.hedge.name
            self._tell_roll(name, cycle)
            for outcome in cycle.outcomes:
                self._tell_order(cycle, outcome)
            self._tell_rolled(name, cycle)
            self._tell_halt(name, cycle)
            if record.snapshot.began >= self._asked.get(name, float("inf")):
                self._answer(name, cycle)

    def on_failure(self, text: str) -> None:
        """A turn broke off."""
        self._say(Voice.TROUBLE, f"a turn broke off: {text}")

    def of(self, name: str) -> HedgeCycle | None:
        """What the last turn was about one hedge."""
        cycles = () if self.last is None else self.last.hedges
        return next((cycle for cycle in cycles if cycle.exposure.hedge.name == name), None)

    def quiet_since(self, moment: float) -> bool:
        """Whether a look that began after ``moment`` (monotonic) found every hedge inside its act band."""
        if self.last is None or self.last.snapshot.began < moment:
            return False
        return all(inside(cycle) for cycle in self.last.hedges)

    def _tell_order(self, cycle: HedgeCycle, outcome: Outcome) -> None:
        orders = () if cycle.plan is None else cycle.plan.orders
        order = next((each for each in orders if each.client_id == outcome.client_id), None)
        if order is None:
            return
        if outcome.state not in _TRADED:
            self._say(Voice.TROUBLE, f"{order.hedge}: {_UNFILLED[outcome.state]}; the keeper looks again")
            return
        rolling = self._rolls.get(order.hedge)
        trade = _trade(cycle, order, outcome, None if rolling is None else rolling.roll)
        self.trades.append(trade)
        self.on_trade(trade)
        left = "" if outcome.state is OutcomeState.FILLED else ", in part"
        if rolling is not None and trade.verb == "rolled":
            self._tell_step(rolling, cycle, order, outcome)
            return
        self._say(Voice.KEEPER, f"{order.hedge}: {trade.did} @ {trade.price}{left}; hedge {trade.verb}")

    def _tell_step(self, rolling: _Rolling, cycle: HedgeCycle, order: PlannedOrder, outcome: Outcome) -> None:
        """A word at the first step, and at each quarter of the way: there are many, each inside the band."""
        rolling.steps += 1
        moved = order.instrument == rolling.roll.target
        rolling.contracts += outcome.filled if moved else 0
        share = rolling.contracts / rolling.whole if rolling.whole else Decimal(1)
        if rolling.steps > 1 and share * 4 < rolling.quarter:
            return
        rolling.quarter = int(share * 4) + 1
        drift = words.percent(cycle.exposure.drift_ratio)
        done = f"{min(share, Decimal(1)) * 100:.0f} %"
        self._say(Voice.KEEPER, f"{order.hedge}: step {rolling.steps} of the roll, {done} of it done, drift {drift}")

    def _tell_roll(self, name: str, cycle: HedgeCycle) -> None:
        """Why it is to roll, that it begins to, and that it has: the last one once its orders are told."""
        memory, known = cycle.memory, self._rolls.get(name)
        if memory.roll_note is not None and memory.roll_note.code != self._notes.get(name):
            self._notes[name] = memory.roll_note.code
            self._say(Voice.KEEPER, f"{name}: {memory.roll_note.text}")
        if memory.roll is not None and (known is None or known.roll != memory.roll):
            held = [each.contracts for each in (cycle.exposure.position,) if each is not None]
            self._rolls[name] = _Rolling(memory.roll, abs(sum(held, Decimal(0))))
            self._say(Voice.KEEPER, f"{name}: rolls from {memory.roll.source.symbol} to {memory.roll.target.symbol}")

    def _tell_rolled(self, name: str, cycle: HedgeCycle) -> None:
        if cycle.memory.roll is None and name in self._rolls:
            rolled = self._rolls.pop(name)
            told = f"rolled in {rolled.steps} steps, {rolled.roll.target.symbol} carries it"
            self._say(Voice.KEEPER, f"{name}: {told}")

    def _tell_halt(self, name: str, cycle: HedgeCycle) -> None:
        if isinstance(cycle.decision, Halt) and name not in self._halted:
            self._halted.add(name)
            self._say(Voice.TROUBLE, f"{name}: halted, {cycle.decision.reason.text}")

    def _answer(self, name: str, cycle: HedgeCycle) -> None:
        """The first look after the owner's deed: where it asks for no trade, that is worth a word as well."""
        del self._asked[name]
        drift = cycle.exposure.drift_ratio
        if isinstance(cycle.decision, Hold) and drift is not None and inside(cycle):
            act = words.percent(cycle.exposure.hedge.band.act).lstrip("+")
            self._say(Voice.KEEPER, f"{name}: drift {words.percent(drift)} is inside the band of {act}; no trade")


def inside(cycle: HedgeCycle) -> bool:
    """Whether the drift is known and not beyond what is acted upon."""
    drift = cycle.exposure.drift_ratio
    return drift is not None and abs(drift) <= cycle.exposure.hedge.band.act


def _trade(cycle: HedgeCycle, order: PlannedOrder, outcome: Outcome, roll: Roll | None) -> Trade:
    hedge, mark = cycle.exposure.hedge, cycle.exposure.mark
    instrument = next((each for each in hedge.instruments if each.id == order.instrument), hedge.instrument)
    at = outcome.average_price or order.price
    amount = instrument.delta(outcome.filled, mark.mark if mark is not None else at)
    did = "sold" if order.side is Side.SELL else "bought"
    adding = "enlarged" if cycle.exposure.futures_base else "opened"
    verb = "covered" if order.side is Side.BUY else adding
    if roll is not None and order.instrument in (roll.source, roll.target):
        verb = "rolled"
    return Trade(order.hedge, verb, f"{did} {words.coins(abs(amount))}", words.price(at))
