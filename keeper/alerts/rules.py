"""What a cycle is worth telling people. Pure: no I/O, no clock, memory in and memory out.

:func:`alerts_for` is level-triggered like the loop: a condition that lasts is stated by every cycle, under the same key
and title, and :class:`Throttle` lets through what is new. So a lost message, or a restart in the middle of a condition,
heals at the next repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from keeper.core.margin_duty import told, worst
from keeper.core.margins import Level
from keeper.core.model import (
    ZERO,
    CycleRecord,
    Halt,
    HedgeCycle,
    Hold,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Reason,
    Rebalance,
    Side,
)
from keeper.report import all_reasons, plain, rounded

_CALM = frozenset(
    {
        "within_band",
        "below_minimum",
        "nothing_to_protect",
        "nothing_to_send",
        "target_bounded",
        "target_moving",
        "target_set",
        "awaiting_position",
        "paused",
        "halted",
        "order_refused",
        "order_resolved",
        "unresolved_order",
        "order_resting",
        "order_withdrawn",
        "waiting_for_slice",
        "programme",
        "drift_above_act",
    }
)
"""Codes of holds that are the keeper's normal course, or that have an alert or an operator of their own."""

_PAGED = frozenset({"credentials_refused", "expired", "no_usable_leg"})
"""Codes that leave a hedge blind until a person acts, so that a warning would be too little."""

_MARGIN_MEANS = {
    Level.WARN: "Add margin, or lower the target.",
    Level.BLOCK: "There is no new short until it is below block; covers go on. Add margin, or lower the target.",
    Level.REDUCE: "The short is bought back until it is below block, where it may be. Add margin, or lower the target.",
}

_BELOW_MINIMUM = "below_minimum"
_UNRESOLVED = "unresolved_order"
_RESOLVED = "order_resolved"
_ROLL_STUCK = "roll_stuck"


class Severity(StrEnum):
    """How loud: info is for the record, warning wants a look, critical wakes somebody up."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


_CHOICES = {
    "roll_cheapest": Severity.INFO,
    "roll_to_perpetual": Severity.INFO,
    "roll_too_dear": Severity.WARNING,
    "roll_unpriced": Severity.WARNING,
    "roll_at_last_moment": Severity.CRITICAL,
    "roll_ratio_lowered": Severity.CRITICAL,
    "roll_fallback": Severity.CRITICAL,
    "roll_nowhere": Severity.CRITICAL,
    "roll_refused": Severity.CRITICAL,
    "roll_late": Severity.CRITICAL,
}
"""What is chosen about a contract that expires, and how loud that is; the latest in this order is told."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell. ``key`` names the condition; severity and title are its state, ``text`` carries the figures.

    ``resolved`` says that the condition of this key is over. ``at_ms`` is the end of the cycle that noticed.
    """

    key: str
    severity: Severity
    title: str
    text: str
    hedge: str | None
    at_ms: int
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What was last told under one key. ``open`` waits for its resolution."""

    severity: Severity
    title: str
    at_ms: int
    open: bool


@dataclass(frozen=True, slots=True)
class ThrottleMemory:
    """What was told last, by key."""

    told: Mapping[str, Told] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Throttle:
    """Tells a key again only when its state (severity, title) changed or ``repeat_seconds`` have passed.

    A resolution passes only where the trouble itself was told. At most ``max_keys`` are remembered, the latest ones.
    """

    repeat_seconds: float = 3600.0
    max_keys: int = 1024

    def admit(
        self, memory: ThrottleMemory, alerts: Iterable[Alert], now_ms: int
    ) -> tuple[tuple[Alert, ...], ThrottleMemory]:
        """The alerts that are worth delivering, and the memory for the next call."""
        told = dict(memory.told)
        passed = []
        for alert in alerts:
            last = told.pop(alert.key, None)
            if not self._is_news(alert, last, now_ms):
                if last is not None:
                    told[alert.key] = last
                continue
            passed.append(alert)
            is_open = not alert.resolved and alert.severity is not Severity.INFO
            told[alert.key] = Told(alert.severity, alert.title, now_ms, is_open)
        # Events have keys of their own and never come back: beyond the repeat time they are only weight.
        kept = {key: last for key, last in told.items() if last.open or not self._has_aged(last, now_ms)}
        excess = max(0, len(kept) - self.max_keys)
        return tuple(passed), ThrottleMemory(dict(list(kept.items())[excess:]))

    def _is_news(self, alert: Alert, last: Told | None, now_ms: int) -> bool:
        if alert.resolved:
            return last is not None and last.open
        if last is None or (last.severity, last.title) != (alert.severity, alert.title):
            return True
        return self._has_aged(last, now_ms)

    def _has_aged(self, last: Told, now_ms: int) -> bool:
        # The absolute value: a wall clock that was set back must not silence anything for longer.
        return abs(now_ms - last.at_ms) >= self.repeat_seconds * 1000


def alerts_for(
    previous: Mapping[str, HedgeCycle] | None, record: CycleRecord, *, orders_are_sent: bool = False
) -> tuple[Alert, ...]:
    """What this cycle is worth telling, before throttling: that also drops the end of a trouble that was never told.

    ``previous`` maps names of hedges to their last cycle; None at the first cycle of a run. ``orders_are_sent`` says
    that the mode has a trader: a planned order that was not sent is then a warning, and else the plan of a dry run.
    """
    found = [_of_venue(venue, reason, record.ended_at_ms) for venue, reason in record.snapshot.notes]
    for cycle in record.hedges:
        before = previous.get(cycle.exposure.hedge.name) if previous is not None else None
        found.extend(_Teller(cycle, before, record.ended_at_ms, orders_are_sent).tell())
    return tuple(found)


def _of_venue(venue: str, reason: Reason, at_ms: int) -> Alert:
    """What was moved between wallets of a venue, or could not be."""
    done = reason.code in ("transfer_moved", "transfer_pending")
    severity = Severity.INFO if done else Severity.WARNING
    if reason.code == "transfer_unexplained":
        severity = Severity.CRITICAL
    title = f"{venue}: {reason.code.replace('_', ' ')}"
    return Alert(f"{venue}/top-up", severity, title, reason.text, None, at_ms)


@dataclass(frozen=True, slots=True)
class _Teller:
    """The alerts of one hedge in one cycle."""

    cycle: HedgeCycle
    before: HedgeCycle | None
    at_ms: int
    orders_are_sent: bool

    def tell(self) -> Iterator[Alert]:
        yield from self._halt()
        yield from self._unknown()
        yield from self._blocked()
        yield from self._rejected()
        yield from self._beta()
        yield from self._drift()
        yield from self._margin()
        yield from self._trades()
        yield from self._unsent_plan()
        yield from self._residual()
        yield from self._roll()
        yield from self._choice()
        yield from self._legs()

    def _alert(self, what: str, severity: Severity, title: str, text: str, *, resolved: bool = False) -> Alert:
        name = self.cycle.exposure.hedge.name
        return Alert(f"{name}/{what}", severity, f"{name}: {title}", text, name, self.at_ms, resolved)

    def _halt(self) -> Iterator[Alert]:
        text = _halted(self.cycle)
        if text is not None:
            remedy = "No new short until somebody resumes it; what is over-hedged is still bought back."
            yield self._alert("halt", Severity.CRITICAL, "halted", f"{text}. {remedy}")
        elif self.before is not None and _halted(self.before) is not None:
            yield self._alert("halt", Severity.INFO, "no longer halted", _standing(self.cycle), resolved=True)

    def _blocked(self) -> Iterator[Alert]:
        blocks = _blocks(self.cycle)
        if blocks:
            codes = sorted({code for code, _ in blocks})
            severity = Severity.CRITICAL if _PAGED.intersection(codes) else Severity.WARNING
            text = "; ".join(text for _, text in blocks)
            yield self._alert("blocked", severity, f"cannot trade ({', '.join(codes)})", f"{text}. {_need(self.cycle)}")
        elif self.before is not None and _blocks(self.before):
            # Paused, nothing stands in its way any more that somebody has to see to, and it does not trade.
            title = "paused" if self.cycle.memory.paused else "can trade again"
            yield self._alert("blocked", Severity.INFO, title, _standing(self.cycle), resolved=True)

    def _beta(self) -> Iterator[Alert]:
        doubted = _doubted_slopes(self.cycle)
        if doubted:
            yield self._alert("beta", Severity.WARNING, "a beta has to be looked at", "; ".join(doubted))
        elif self.before is not None and _doubted_slopes(self.before):
            yield self._alert("beta", Severity.INFO, "the betas are good again", _standing(self.cycle), resolved=True)

    def _drift(self) -> Iterator[Alert]:
        beyond = _beyond_warn(self.cycle)
        if beyond is None:
            return  # what cannot be seen is neither beyond nor back
        if beyond and self.cycle.memory.flattened:
            # Somebody ordered it: what is still to be bought back is no drift. Told again while it does not end.
            yield self._alert("drift", Severity.INFO, "being flattened", f"{_standing(self.cycle)}.")
        elif beyond:
            warn = plain(self.cycle.exposure.hedge.band.warn)
            text = f"{_standing(self.cycle)}; warn is {warn}."
            yield self._alert("drift", Severity.WARNING, "drift beyond warn", text)
        elif self.before is not None and _beyond_warn(self.before) is not False:
            yield self._alert("drift", Severity.INFO, "drift back inside", _standing(self.cycle), resolved=True)

    def _margin(self) -> Iterator[Alert]:
        seen, before = worst(self.cycle.exposure), self.before and worst(self.before.exposure)
        if seen is None:
            return  # what cannot be seen is neither in danger nor out of it
        ident, margin = seen
        if margin.level is not Level.FINE:
            severity = Severity.WARNING if margin.level is Level.WARN else Severity.CRITICAL
            text = f"{ident}: {told(margin)}. {_MARGIN_MEANS[margin.level]}"
            yield self._alert("margin", severity, f"margin beyond {margin.level.value}", text)
        elif before and before[1].level is not Level.FINE:
            yield self._alert("margin", Severity.INFO, "margin fine again", f"{ident}: {told(margin)}.", resolved=True)

    def _trades(self) -> Iterator[Alert]:
        filled = [(order, outcome) for order, outcome in self._outcomes() if outcome.filled > 0]
        known = [(order, outcome) for order, outcome in filled if order is not None]
        for side in Side:
            slices = [(order, outcome) for order, outcome in known if order.side is side]
            if slices:
                verb = "sold" if side is Side.SELL else "bought"
                text = _trade_text(self.cycle, verb, slices)
                yield self._alert(f"trade/{slices[0][1].client_id}", Severity.INFO, verb, text)
        for order, outcome in filled:
            if order is None:
                text = f"an order of an earlier cycle turned out to have filled {plain(outcome.filled)} contracts"
                yield self._alert(f"trade/{outcome.client_id}", Severity.INFO, "an earlier order filled", text)

    def _rejected(self) -> Iterator[Alert]:
        texts = dict.fromkeys(
            outcome.text or "no reason given"
            for outcome in self.cycle.outcomes
            if outcome.state is OutcomeState.REJECTED
        )
        if texts:
            yield self._alert("rejected", Severity.WARNING, "order rejected", "; ".join(texts))
        elif any(outcome.filled > 0 for outcome in self.cycle.outcomes):
            # Cycles without an order may lie between the two, so the throttle knows whether this is news, not we.
            yield self._alert("rejected", Severity.INFO, "orders are taken again", _standing(self.cycle), resolved=True)

    def _unknown(self) -> Iterator[Alert]:
        texts = self._unknown_texts()
        if texts:
            yield self._alert("unknown", Severity.CRITICAL, "outcome of an order unknown", "; ".join(texts))
            return
        ends = [reason.text for reason in all_reasons(self.cycle) if reason.code == _RESOLVED]
        if ends or (self.before is not None and _is_unknown(self.before)):
            text = "; ".join(ends) or _standing(self.cycle)
            yield self._alert("unknown", Severity.INFO, "outcome of the order known", text, resolved=True)

    def _unknown_texts(self) -> list[str]:
        sent = [
            f"{_order_text(order)} ({outcome.client_id}) may or may not exist: {outcome.text or 'no clear answer'}; "
            "nothing else is sent on this contract until it is resolved"
            for order, outcome in self._outcomes()
            if outcome.state is OutcomeState.UNKNOWN
        ]
        return sent or [reason.text for reason in all_reasons(self.cycle) if reason.code == _UNRESOLVED]

    def _unsent_plan(self) -> Iterator[Alert]:
        plan = self.cycle.plan
        if plan is None or not plan.orders or self.cycle.outcomes or not isinstance(self.cycle.decision, Rebalance):
            return
        wanted = "; ".join(_order_text(order) for order in plan.orders[:5])
        if len(plan.orders) > 5:
            wanted += f"; and {len(plan.orders) - 5} more"
        why = "; ".join(reason.text for reason in all_reasons(self.cycle))
        if self.orders_are_sent:
            yield self._alert("unsent", Severity.WARNING, "planned orders were not sent", f"{wanted}. {why}")
        else:
            yield self._alert("unsent", Severity.INFO, "planned, not sent", f"would {wanted}. {why}")

    def _residual(self) -> Iterator[Alert]:
        # Told when it begins and never repeated: it is a fact of the contract's size, and nothing to be done.
        if not _has_code(self.cycle, _BELOW_MINIMUM) or (self.before and _has_code(self.before, _BELOW_MINIMUM)):
            return
        texts = [reason.text for reason in all_reasons(self.cycle) if reason.code == _BELOW_MINIMUM]
        yield self._alert("residual", Severity.INFO, "the rest is too small to trade", "; ".join(texts))

    def _roll(self) -> Iterator[Alert]:
        roll, before = self.cycle.memory.roll, self.before.memory.roll if self.before is not None else None
        waits = [reason.text for reason in all_reasons(self.cycle) if reason.code == _ROLL_STUCK]
        if waits:
            yield self._alert("roll", Severity.CRITICAL, "roll waits", "; ".join(waits))
        elif roll is not None:
            text = f"From {roll.source} to {roll.target}. {_standing(self.cycle)}"
            yield self._alert("roll", Severity.INFO, "rolling", text)
        elif before is not None:
            text = f"From {before.source} to {before.target}. {_standing(self.cycle)}"
            yield self._alert("roll", Severity.INFO, "rolled", text)

    def _choice(self) -> Iterator[Alert]:
        """What was chosen about a contract that expires."""
        found, before = _choices(self.cycle), _choices(self.before) if self.before is not None else {}
        if found:
            code = max(found, key=list(_CHOICES).index)
            yield self._alert("choice", _CHOICES[code], code.replace("_", " "), "; ".join(found.values()))
        elif before:
            text = f"Carried by {self.cycle.exposure.hedge.instrument.id}. {_standing(self.cycle)}"
            yield self._alert("choice", Severity.INFO, "no roll is due", text, resolved=True)

    def _legs(self) -> Iterator[Alert]:
        """A contract that cannot be traded while others carry the hedge; with one contract it is the hedge that is."""
        texts = _passed_over(self.cycle)
        if texts:
            yield self._alert("legs", Severity.WARNING, "a contract cannot be traded", "; ".join(texts))
        elif self.before is not None and _passed_over(self.before):
            text = _standing(self.cycle)
            yield self._alert("legs", Severity.INFO, "every contract can be traded", text, resolved=True)

    def _outcomes(self) -> Iterator[tuple[PlannedOrder | None, Outcome]]:
        """Every outcome with its order, where this plan or the last one knows it."""
        orders = {
            order.client_id: order
            for cycle in (self.before, self.cycle)
            if cycle is not None and cycle.plan is not None
            for order in cycle.plan.orders
        }
        for outcome in self.cycle.outcomes:
            yield orders.get(outcome.client_id), outcome


def _halted(cycle: HedgeCycle) -> str | None:
    if cycle.memory.halted is not None:
        return cycle.memory.halted
    return cycle.decision.reason.text if isinstance(cycle.decision, Halt) else None


def _blocks(cycle: HedgeCycle) -> Sequence[tuple[str, str]]:
    """Codes and texts of what keeps a needed trade from being made; empty while none is needed, or it is intended."""
    if not isinstance(cycle.decision, Hold) or cycle.memory.paused or _halted(cycle) is not None:
        return ()
    exposure = cycle.exposure
    if exposure.drift_ratio is not None:
        needed = abs(exposure.drift_ratio) > exposure.hedge.band.act
    else:
        needed = exposure.drift_base is None or exposure.drift_base != 0
    if not needed:
        return ()
    return tuple((reason.code, reason.text) for reason in all_reasons(cycle) if reason.code not in _CALM)


def _choices(cycle: HedgeCycle) -> dict[str, str]:
    return {reason.code: reason.text for reason in all_reasons(cycle) if reason.code in _CHOICES}


def _passed_over(cycle: HedgeCycle) -> list[str]:
    """Why some leg of several cannot be traded; one that has expired with nothing in it is no news."""
    legs = cycle.exposure.legs
    if len(legs) < 2:
        return []
    told = [leg for leg in legs if not (leg.expired and leg.position is not None and leg.position.contracts == 0)]
    return list(dict.fromkeys(reason.text for leg in told for reason in leg.blockers))


def _beyond_warn(cycle: HedgeCycle) -> bool | None:
    ratio, band = cycle.exposure.drift_ratio, cycle.exposure.hedge.band
    # What a step of a roll leaves open until the next is no news while it is inside the band.
    warn = band.warn if cycle.memory.roll is None else max(band.warn, band.act)
    return None if ratio is None else abs(ratio) > warn


def _is_unknown(cycle: HedgeCycle) -> bool:
    return _has_code(cycle, _UNRESOLVED) or any(outcome.state is OutcomeState.UNKNOWN for outcome in cycle.outcomes)


def _has_code(cycle: HedgeCycle, code: str) -> bool:
    return any(reason.code == code for reason in all_reasons(cycle))


def _eye(value: Decimal | None, places: int) -> str:
    return rounded(None if value is None else plain(value), places)


def _standing(cycle: HedgeCycle) -> str:
    exposure = cycle.exposure
    ratio, target, drift = exposure.hedge_ratio, exposure.target_ratio, exposure.drift_ratio
    return f"Hedge ratio {_eye(ratio, 4)}, target {_eye(target, 4)}, drift {_eye(drift, 4)}"


def _need(cycle: HedgeCycle) -> str:
    drift = cycle.exposure.drift_base
    if drift is None:
        return "The drift is not known."
    verb = "sell" if drift > 0 else "buy back"
    return f"Waiting to {verb} {_eye(abs(drift), 6)} {cycle.exposure.hedge.instrument.base}."


def _order_text(order: PlannedOrder | None) -> str:
    if order is None:
        return "An order of an earlier cycle"
    return f"{order.side.value} {_eye(order.contracts, 8)} {order.instrument.symbol} at {plain(order.price)}"


def _trade_text(cycle: HedgeCycle, verb: str, slices: Sequence[tuple[PlannedOrder, Outcome]]) -> str:
    exposure = cycle.exposure
    contracts = sum((outcome.filled for _, outcome in slices), ZERO)
    wanted = sum((order.contracts for order, _ in slices), ZERO)
    coins = sum((order.amount_base * outcome.filled / order.contracts for order, outcome in slices), ZERO)
    text = f"{verb} {_eye(coins, 6)} {exposure.hedge.instrument.base} ({_eye(contracts, 8)} contracts"
    if contracts < wanted:
        text += f" of {_eye(wanted, 8)}"
    text += ")"
    price = _average_price(slices)
    if price is not None:
        text += f" at {_eye(price, 8)}"
    after = _ratio_after(cycle, coins if verb == "sold" else -coins)
    arrow = "" if after is None else f" → about {_eye(after, 4)}"
    return f"{text}; hedge ratio {_eye(exposure.hedge_ratio, 4)}{arrow}, target {_eye(exposure.target_ratio, 4)}"


def _average_price(slices: Sequence[tuple[PlannedOrder, Outcome]]) -> Decimal | None:
    priced = [(outcome.average_price, outcome.filled) for _, outcome in slices if outcome.average_price is not None]
    filled = sum((contracts for _, contracts in priced), ZERO)
    if len(priced) < len(slices) or filled == 0:
        return None  # an average over some of the slices would pass for all of them
    return sum((price * contracts for price, contracts in priced), ZERO) / filled


def _ratio_after(cycle: HedgeCycle, sold_base: Decimal) -> Decimal | None:
    """The ratio that the fills leave, at the prices of this cycle: one base unit moves it by drift ratio over drift."""
    exposure = cycle.exposure
    if exposure.hedge_ratio is None or exposure.drift_ratio is None or not exposure.drift_base:
        return None
    return exposure.hedge_ratio + sold_base * exposure.drift_ratio / exposure.drift_base


def _doubted_slopes(cycle: HedgeCycle) -> list[str]:
    """Betas that were refused, or that have moved far at their last refresh."""
    found: list[str] = []
    for slope in cycle.exposure.hedge.slopes:
        if slope.refused is not None:
            found.append(f"the beta of {slope.asset} cannot be relied on: {slope.refused}")
        elif slope.jumped_from is not None and slope.beta is not None:
            found.append(f"the beta of {slope.asset} went from {plain(slope.jumped_from)} to {plain(slope.beta)}")
    return found
