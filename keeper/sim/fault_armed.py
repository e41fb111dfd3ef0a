"""One armed fault: when it strikes, and the random numbers that are its own."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from random import Random

from keeper.sim.fault_kinds import FaultKind, Parameter, Trigger
from keeper.sim.types import MarketKey

CHANCE_BITS = 32


class Armed:
    """A fault that waits for its opportunities.

    Its random numbers depend on the seed, its kind and its number alone: arming or striking another changes nothing.
    """

    def __init__(
        self, number: int, kind: FaultKind, trigger: Trigger, given: Mapping[str, object], seed: int | str
    ) -> None:
        self.id = number
        self.kind = kind
        self.trigger = trigger
        self.parameters = checked(kind, given)
        self.rng = Random(f"{seed}/{kind.value}/{number}")  # noqa: S311 (faults must repeat with the seed)
        self.opportunities = 0
        self.strikes = 0
        self._times_used = 0
        chance = trigger.probability
        self._denominator = 0 if chance is None else chance.denominator
        self._bound = 0 if chance is None else chance.numerator << CHANCE_BITS
        self._by_chance_alone = chance is not None and trigger == Trigger(probability=chance)

    @property
    def spent(self) -> bool:
        """Whether it can never strike again."""
        trigger = self.trigger
        if trigger.times is not None and self.strikes >= trigger.times:
            return True
        if trigger.at_ms:
            return self._times_used >= len(trigger.at_ms)
        return bool(trigger.at_event) and self.opportunities >= trigger.at_event[-1]

    def is_due(self, now_ms: int, market: MarketKey | None) -> bool:
        """Count an opportunity, and tell whether it is one to strike at; :meth:`struck` tells that it did."""
        if self._by_chance_alone:  # a swarm run arms nothing else: this is its hot path
            self.opportunities += 1
            return self._chance_strikes()
        trigger = self.trigger
        if trigger.market is not None and market is not None and market != trigger.market:
            return False
        if self.spent or (trigger.from_ms is not None and now_ms < trigger.from_ms):
            return False
        if trigger.until_ms is not None and now_ms >= trigger.until_ms:
            return False
        self.opportunities += 1
        if self.opportunities <= trigger.skip:
            return False
        if trigger.at_ms:
            return trigger.at_ms[self._times_used] <= now_ms
        if trigger.at_event:
            return self.opportunities in trigger.at_event
        return not self._denominator or self._chance_strikes()

    def _chance_strikes(self) -> bool:
        """The probability, exact to one part in 2^32, in whole numbers."""
        return self.rng.getrandbits(CHANCE_BITS) * self._denominator < self._bound

    def struck(self, now_ms: int) -> None:
        """It has struck."""
        self.strikes += 1
        due = self.trigger.at_ms
        while self._times_used < len(due) and due[self._times_used] <= now_ms:
            self._times_used += 1

    # --- parameters -------------------------------------------------------------------------------------------------

    def integer(self, name: str) -> int:
        """A whole-number parameter."""
        value = self.parameters[name]
        assert isinstance(value, int)  # noqa: S101 (checked when armed)
        return value

    def decimal(self, name: str) -> Decimal:
        """A decimal parameter."""
        value = self.parameters[name]
        assert isinstance(value, Decimal)  # noqa: S101 (checked when armed)
        return value

    def text(self, name: str) -> str:
        """A text parameter."""
        return str(self.parameters[name])


def checked(kind: FaultKind, given: Mapping[str, object]) -> dict[str, Parameter]:
    """The parameters of ``kind`` with what was ``given``; raises ValueError for names and values that mean nothing."""
    known = dict(kind.parameters)
    for name, value in given.items():
        if name not in known:
            takes = ", ".join(known) or "no parameters"
            raise ValueError(f"{kind.value} has no parameter {name!r}: it takes {takes}")
        known[name] = _like(known[name], value, f"{kind.value} {name}")
    return known


def _like(default: Parameter, value: object, what: str) -> Parameter:
    """``value`` in the type of the default."""
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ValueError(f"{what}: {value!r} is neither true nor false")
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        raise ValueError(f"{what}: {value!r} is not a text")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{what}: {value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{what}: {value!r} is not a finite number")
    if isinstance(default, Decimal):
        return number
    if number != number.to_integral_value():
        raise ValueError(f"{what}: {value!r} is not a whole number")
    return int(number)
