"""Listens to the keeper's loop: what it saw last, what it did, and what it left alone on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from keeper.core.model import CycleRecord, Halt, HedgeCycle, Hold, Outcome, OutcomeState, PlannedOrder, Side
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


class Feed:
    """A listener of the daemon; ``say`` is told what is worth an event."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.last: CycleRecord | None = None
        self.trades: list[Trade] = []
        self.on_trade: Callable[[Trade], None] = lambda _trade: None
        self._asked: dict[str, float] = {}
        self._halted: set[str] = set()

    def expect(self, hedges: Iterable[str], now: float) -> None:
        """The owner has moved coins of these hedges at ``now`` (monotonic): the next looks answer that."""
        self._asked.update(dict.fromkeys(hedges, now))

    def on_turn(self, record: CycleRecord) -> None:
        """A turn has ended."""
        self.last = record
        for cycle in record.hedges:
            name = cycle.exposure.hedge.name
            for outcome in cycle.outcomes:
                self._tell_order(cycle, outcome)
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
        trade = _trade(cycle, order, outcome)
        self.trades.append(trade)
        self.on_trade(trade)
        left = "" if outcome.state is OutcomeState.FILLED else ", in part"
        self._say(Voice.KEEPER, f"{order.hedge}: {trade.did} @ {trade.price}{left}; hedge {trade.verb}")

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


def _trade(cycle: HedgeCycle, order: PlannedOrder, outcome: Outcome) -> Trade:
    instrument, mark = cycle.exposure.hedge.instrument, cycle.exposure.mark
    at = outcome.average_price or order.price
    amount = instrument.delta(outcome.filled, mark.mark if mark is not None else at)
    did = "sold" if order.side is Side.SELL else "bought"
    adding = "enlarged" if cycle.exposure.futures_base else "opened"
    verb = "covered" if order.side is Side.BUY else adding
    return Trade(order.hedge, verb, f"{did} {words.coins(abs(amount))}", words.price(at))
