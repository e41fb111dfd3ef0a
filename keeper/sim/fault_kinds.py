"""The fault menu as names: what can go wrong, where it can strike, what it takes, and when it is to strike.

The F-numbers are those of the failure catalogue: things that have happened to somebody's bot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from random import Random
from typing import TypeAlias

from keeper.sim.types import MarketKey

Parameter: TypeAlias = int | str | Decimal | bool


class Site(Enum):
    """Where a fault has its opportunities: each passing of that place is one."""

    ORDER = "order"  # an order is sent
    CANCEL = "cancel"  # an order is taken back
    TRANSFER = "transfer"  # money is moved between wallets
    READ = "read"  # an answer to a question leaves
    REQUEST = "request"  # any request arrives
    TICK = "tick"  # the exchange does what is due by the clock


class FaultKind(Enum):
    """One entry of the menu."""

    # orders
    REPLY_LOST_BEFORE = "reply_lost_before"  # F01: the order never arrives, and no answer comes
    REPLY_LOST_AFTER = "reply_lost_after"  # F01: the order is taken in, and no answer comes
    UNKNOWN_503_BEFORE = "unknown_503_before"  # F02: 503 "unknown error", nothing was done
    UNKNOWN_503_AFTER = "unknown_503_after"  # F02: 503 "unknown error", the order is in
    TIMEOUT_1007_AFTER = "timeout_1007_after"  # F02: -1007 "execution status unknown", the order is in
    GATEWAY_504_AFTER = "gateway_504_after"  # F02: a gateway's 504 page, the order is in
    OVERLOADED = "overloaded"  # F31: -1008, nothing was done
    ANSWER_MALFORMED = "answer_malformed"  # F02: the order is in, the answer cannot be read
    LATE_ORDER = "late_order"  # F01, F03: no answer; the order arrives later, if still within its window
    NOT_FOUND_THEN_FOUND = "not_found_then_found"  # F09, F03: lookups deny an order that is in
    PARTIAL_FILL = "partial_fill"  # F11: part is filled, the rest expires
    FILLS_DELAYED = "fills_delayed"  # F06: order, fills, positions and account show the fill later, each for itself
    MIN_NOTIONAL_REFUSAL = "min_notional_refusal"  # F33: refused as worth too little
    PRICE_BAND_REFUSAL = "price_band_refusal"  # F35: refused as outside the price band
    # cancels
    CANCEL_FILL_RACE = "cancel_fill_race"  # F05: the order fills just before its cancel arrives
    CANCEL_LOST_BEFORE = "cancel_lost_before"  # F05, F10: the cancel never arrives, and no answer comes
    CANCEL_LOST_AFTER = "cancel_lost_after"  # F05, F10: the order is cancelled, and no answer comes
    # readings
    READ_LOST = "read_lost"  # F04, F18: no answer
    READ_503 = "read_503"  # F04, F18: 503
    READ_MALFORMED = "read_malformed"  # F18: a body that is no JSON, or ends in the middle
    EMPTY = "empty"  # F14, F18: balances or positions without any rows
    TRUNCATED = "truncated"  # F14: the last rows are missing
    STALE = "stale"  # F06, F18: an older answer is given again
    WRONG_SIGN = "wrong_sign"  # F15, F16: shorts look long, balances negative
    NONE_FILLED = "none_filled"  # F22: numbers are null
    ZEROED = "zeroed"  # F15, F18: one coin or one position reads zero
    FILLS_DUPLICATED = "fills_duplicated"  # F07: executions appear twice
    FILLS_REORDERED = "fills_reordered"  # F07: executions out of order
    # the whole venue
    RATE_LIMITED = "rate_limited"  # F30: 429 with a time to wait, to everything until then
    BANNED = "banned"  # F30: 418 with a time to wait, to everything until then
    MAINTENANCE = "maintenance"  # F02, F04: every request gets a 503 page for a while
    # the world
    FOREIGN_TRADE = "foreign_trade"  # F19: somebody with another key trades on the account
    ADL = "adl"  # F19: the exchange closes part of a position
    LIQUIDATION = "liquidation"  # F19: the exchange closes all of a position
    POSITION_MODE_FLIP = "position_mode_flip"  # F15, F36: one-way becomes hedge mode
    STEP_CHANGE = "step_change"  # F32: the lot step grows
    TICK_CHANGE = "tick_change"  # F32: the price tick grows
    MINIMUM_CHANGE = "minimum_change"  # F32, F33: minimum quantity and value grow
    FUNDING_INTERVAL_CHANGE = "funding_interval_change"  # F39: another settlement grid
    DELISTED = "delisted"  # F42: a contract stops trading, for a while or for good
    EXPIRED = "expired"  # F42: a dated contract is delivered
    VENUE_CLOCK_STEP = "venue_clock_step"  # F28: the venue's clock jumps
    HOST_CLOCK_STEP = "host_clock_step"  # F28: the host's clock jumps: the harness does it (``FaultMenu.on_host_step``)
    # streams (over sockets only)
    STREAM_SILENT = "stream_silent"  # F24, F26: subscriptions are acknowledged, and nothing comes
    STREAM_CUT = "stream_cut"  # F24: all sockets break
    LISTEN_KEY_DIES = "listen_key_dies"  # F25: user streams end, whatever was kept alive
    REPLAY_BURST = "replay_burst"  # F27: sockets break, and after reconnecting old events come again
    # transfers
    TRANSFER_LOST_BEFORE = "transfer_lost_before"  # F01: the transfer never arrives, and no answer comes
    TRANSFER_LOST_AFTER = "transfer_lost_after"  # F01: the money has moved, and no answer comes
    TRANSFER_REFUSED = "transfer_refused"  # F30: refused for now, nothing was moved
    # views of an order, again: added to the end, so that what was drawn before keeps its place
    ANSWER_CONTRADICTS = "answer_contradicts"  # F02, F11: the order's answer tells less, or another price, than is so
    POSITION_GOES_BACK = "position_goes_back"  # F06: a fill that had shown is gone again from positions for a while

    @property
    def site(self) -> Site:
        """Where it strikes."""
        return _SITES[self]

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What :meth:`FaultMenu.arm` takes for it, with the defaults. Times in ms; 0 in ``for_ms``: until healed."""
        return _PARAMETERS.get(self, {})


_ORDER_FAULTS = (
    FaultKind.REPLY_LOST_BEFORE,
    FaultKind.REPLY_LOST_AFTER,
    FaultKind.UNKNOWN_503_BEFORE,
    FaultKind.UNKNOWN_503_AFTER,
    FaultKind.TIMEOUT_1007_AFTER,
    FaultKind.GATEWAY_504_AFTER,
    FaultKind.OVERLOADED,
    FaultKind.ANSWER_MALFORMED,
    FaultKind.LATE_ORDER,
    FaultKind.NOT_FOUND_THEN_FOUND,
    FaultKind.PARTIAL_FILL,
    FaultKind.FILLS_DELAYED,
    FaultKind.MIN_NOTIONAL_REFUSAL,
    FaultKind.PRICE_BAND_REFUSAL,
    FaultKind.ANSWER_CONTRADICTS,
    FaultKind.POSITION_GOES_BACK,
)
_CANCEL_FAULTS = (FaultKind.CANCEL_FILL_RACE, FaultKind.CANCEL_LOST_BEFORE, FaultKind.CANCEL_LOST_AFTER)
TRANSFER_FAULTS = (FaultKind.TRANSFER_LOST_BEFORE, FaultKind.TRANSFER_LOST_AFTER, FaultKind.TRANSFER_REFUSED)
_READ_FAULTS = (
    FaultKind.READ_LOST,
    FaultKind.READ_503,
    FaultKind.READ_MALFORMED,
    FaultKind.EMPTY,
    FaultKind.TRUNCATED,
    FaultKind.STALE,
    FaultKind.WRONG_SIGN,
    FaultKind.NONE_FILLED,
    FaultKind.ZEROED,
    FaultKind.FILLS_DUPLICATED,
    FaultKind.FILLS_REORDERED,
)
_REQUEST_FAULTS = (FaultKind.RATE_LIMITED, FaultKind.BANNED, FaultKind.MAINTENANCE)
STREAM_FAULTS = (
    FaultKind.STREAM_SILENT,
    FaultKind.STREAM_CUT,
    FaultKind.LISTEN_KEY_DIES,
    FaultKind.REPLAY_BURST,
)
"""Faults that only a transport with streams can show."""

_SITES = (
    dict.fromkeys(FaultKind, Site.TICK)
    | dict.fromkeys(_ORDER_FAULTS, Site.ORDER)
    | dict.fromkeys(_CANCEL_FAULTS, Site.CANCEL)
    | dict.fromkeys(TRANSFER_FAULTS, Site.TRANSFER)
    | dict.fromkeys(_READ_FAULTS, Site.READ)
    | dict.fromkeys(_REQUEST_FAULTS, Site.REQUEST)
)

# Lags: every view that ``views`` names (values of Reading, by commas; empty: all) lags for a drawn number of readings
# and time up to these, or for exactly these with ``exact``; ``after_ms``: up to so long each shows the truth before.
# ``reading`` names one of keeper.sim.seams.Reading's values; empty: all that the fault can bend.
_PARAMETERS: dict[FaultKind, dict[str, Parameter]] = {
    FaultKind.LATE_ORDER: {"min_delay_ms": 200, "max_delay_ms": 7_000, "recv_window_ms": 5_000},
    FaultKind.NOT_FOUND_THEN_FOUND: {"readings": 2, "for_ms": 10_000, "views": "", "exact": False},
    FaultKind.PARTIAL_FILL: {"ratio": Decimal("0.5")},
    FaultKind.FILLS_DELAYED: {"readings": 3, "for_ms": 15_000, "views": "", "exact": False},
    FaultKind.POSITION_GOES_BACK: {"readings": 12, "for_ms": 18_000, "views": "", "exact": False, "after_ms": 8_000},
    FaultKind.READ_LOST: {"reading": ""},
    FaultKind.READ_503: {"reading": ""},
    FaultKind.READ_MALFORMED: {"reading": ""},
    FaultKind.EMPTY: {"reading": ""},
    FaultKind.TRUNCATED: {"reading": "", "rows": 1},
    FaultKind.STALE: {"reading": ""},
    FaultKind.WRONG_SIGN: {"reading": ""},
    FaultKind.NONE_FILLED: {"reading": ""},
    FaultKind.ZEROED: {"reading": "", "name": ""},
    FaultKind.RATE_LIMITED: {"retry_after_seconds": 5},
    FaultKind.BANNED: {"retry_after_seconds": 120},
    FaultKind.MAINTENANCE: {"for_ms": 30_000},
    FaultKind.FOREIGN_TRADE: {"quantity": Decimal(0), "max_notional": Decimal(20_000)},
    FaultKind.ADL: {"ratio": Decimal("0.5")},
    FaultKind.POSITION_MODE_FLIP: {"flatten": True, "for_ms": 60_000},
    FaultKind.STEP_CHANGE: {"factor": 10, "for_ms": 0},
    FaultKind.TICK_CHANGE: {"factor": 10, "for_ms": 0},
    FaultKind.MINIMUM_CHANGE: {"factor": 10, "for_ms": 0},
    FaultKind.FUNDING_INTERVAL_CHANGE: {"hours": 0, "for_ms": 0},
    FaultKind.DELISTED: {"status": "BREAK", "for_ms": 60_000},
    FaultKind.VENUE_CLOCK_STEP: {"step_ms": 0, "max_step_ms": 4_000, "for_ms": 60_000},
    FaultKind.HOST_CLOCK_STEP: {"step_ms": 0, "max_step_ms": 4_000},
    FaultKind.STREAM_SILENT: {"for_ms": 60_000},
    FaultKind.REPLAY_BURST: {"events": 20},
}


@dataclass(frozen=True, slots=True)
class Trigger:
    """When an armed fault strikes. Opportunities are counted from 1, for each armed fault apart.

    With ``at_ms`` it strikes at the first opportunity at or after each of these exchange times; with ``at_event`` at
    those opportunities; with ``probability`` by chance; with none of them always. ``times`` bounds the strikes,
    ``skip`` lets the first opportunities pass, ``from_ms`` and ``until_ms`` (exclusive) bound the time, ``market``
    leaves the others alone where an opportunity belongs to a market at all.
    """

    times: int | None = None
    skip: int = 0
    probability: Fraction | None = None
    at_ms: tuple[int, ...] = ()
    at_event: tuple[int, ...] = ()
    from_ms: int | None = None
    until_ms: int | None = None
    market: MarketKey | None = None

    def __post_init__(self) -> None:
        """Refuse what could never be meant."""
        if self.times is not None and self.times < 1:
            raise ValueError(f"times: {self.times} is not above zero")
        if self.skip < 0:
            raise ValueError(f"skip: {self.skip} is below zero")
        if self.probability is not None and not 0 < self.probability <= 1:
            raise ValueError(f"probability: {self.probability} is not above 0 and at most 1")
        ways = [bool(self.at_ms), bool(self.at_event), self.probability is not None]
        if sum(ways) > 1:
            raise ValueError("give one of probability, at_ms and at_event")

    @classmethod
    def count(cls, times: int = 1, *, skip: int = 0, market: MarketKey | None = None) -> Trigger:
        """The next ``times`` opportunities after ``skip`` of them."""
        return cls(times=times, skip=skip, market=market)

    @classmethod
    def chance(
        cls, numerator: int, denominator: int, *, times: int | None = None, market: MarketKey | None = None
    ) -> Trigger:
        """Each opportunity with this probability."""
        return cls(times=times, probability=Fraction(numerator, denominator), market=market)

    @classmethod
    def schedule(
        cls, *, at_ms: Iterable[int] = (), at_event: Iterable[int] = (), market: MarketKey | None = None
    ) -> Trigger:
        """At these exchange times, or at these opportunities."""
        return cls(at_ms=tuple(sorted(at_ms)), at_event=tuple(sorted(at_event)), market=market)


# (rare, frequent): chance of one opportunity. A turn of the loop has a few orders at most, tens of readings, one tick.
_CHANCES = {
    Site.ORDER: (Fraction(1, 20), Fraction(1, 4)),
    Site.CANCEL: (Fraction(1, 20), Fraction(1, 4)),
    Site.TRANSFER: (Fraction(1, 20), Fraction(1, 4)),
    Site.READ: (Fraction(1, 1000), Fraction(1, 60)),
    Site.REQUEST: (Fraction(1, 4000), Fraction(1, 400)),
    Site.TICK: (Fraction(1, 1000), Fraction(1, 100)),
}
_NEVER_BY_CHANCE = frozenset({FaultKind.EXPIRED})  # it cannot be undone: only who asks for it gets it


def frequent(kind: FaultKind) -> Fraction:
    """The chance of one opportunity for a fault that is to strike often."""
    return _CHANCES[kind.site][1]


def draw_probabilities(rng: Random, kinds: Iterable[FaultKind]) -> dict[FaultKind, Fraction]:
    """The probabilities of a swarm run, drawn before it: about a half of the kinds off, the rest rare or frequent."""
    drawn: dict[FaultKind, Fraction] = {}
    for kind in kinds:
        rare, frequent = _CHANCES[kind.site]
        chosen = rng.choice((None, None, rare, frequent))
        if chosen is not None and kind not in _NEVER_BY_CHANCE:
            drawn[kind] = chosen * Fraction(rng.randint(1, 4), 4)
    return drawn
