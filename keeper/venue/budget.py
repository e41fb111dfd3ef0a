"""How fast one venue may be asked, and who goes first.

Two token buckets share the venue's rate. Reads are paced by the larger one, and idle time is credit up to its depth.
Orders and lookups have a reserve of their own, so that an order never waits behind a poll; together the two never
exceed the rate by more than their depths. When the venue tells us to wait, orders that add risk and whatever no cover
stands on stop until the stated time; covers, lookups and the readings that a cover is decided by go on, because without
them a hedge cannot be made safe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from enum import Enum, IntEnum
from typing import Any

from keeper.clock import Clock
from keeper.venue.base import RateLimitedError

RESERVE_SHARE = 0.25
"""Part of the rate that only orders and lookups may use."""
CREDIT_SECONDS = 4.0
"""Idle time that counts as credit, where the venue's own window is not known to be longer."""
UNSTATED_BACK_OFF_SECONDS = 10.0
LONGEST_BACK_OFF_SECONDS = 3 * 86_400.0
TOO_MANY = frozenset({418, 429})


class Urgency(IntEnum):
    """What a call is for; the lower goes first. ``POSITION`` is every reading that a cover is decided by: wallets,
    positions, prices, the venue's clock."""

    COVER = 0
    LOOKUP = 1
    ORDER = 2
    POSITION = 3
    READ = 4


class Start(Enum):
    """Where the start of a keeper stands with a venue: ``REFUSED`` is one during which the venue asked to wait."""

    UNDER_WAY = "under_way"
    REFUSED = "refused"
    OVER = "over"


URGENCY: ContextVar[Urgency] = ContextVar("keeper_venue_urgency", default=Urgency.READ)


@contextmanager
def urgency(level: Urgency) -> Iterator[None]:
    """Everything asked inside, in this task and those it starts, has this urgency."""
    token = URGENCY.set(level)
    try:
        yield
    finally:
        URGENCY.reset(token)


class _Bucket:
    """Tokens that come back at a fixed rate; taking more than there are says how long to wait."""

    def __init__(self, rate_per_second: float, credit_seconds: float, now: float) -> None:
        self._rate = rate_per_second
        self._depth = rate_per_second * credit_seconds
        self._tokens = self._depth
        self._at = now

    def take(self, cost: float, now: float) -> float:
        """Take ``cost`` tokens; the seconds to wait before using them."""
        self._tokens = min(self._depth, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        self._tokens -= cost
        return max(0.0, -self._tokens / self._rate)


class Budget:
    """The rate budget of one venue.

    ``unit_seconds`` is the time that a call of cost 1 is worth (the client's ``rateLimit``). ``rates`` gives groups of
    endpoints that the venue counts apart a rate of their own, in cost per second, by the beginning of their section's
    name. ``credit_seconds`` is how much idle time counts; ``limit_codes`` and ``limit_statuses`` are how the venue
    says "too many requests"; ``share`` is our part of the whole.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        unit_seconds: float,
        *,
        rates: Mapping[str, float] | None = None,
        credit_seconds: float = CREDIT_SECONDS,
        limit_codes: frozenset[str] = frozenset(),
        limit_statuses: frozenset[int] = TOO_MANY,
        share: float = 1.0,
    ) -> None:
        self._name = name
        self._clock = clock
        self._limit_codes = limit_codes
        self._limit_statuses = limit_statuses
        self._closed_until = clock.monotonic()
        self.start = Start.UNDER_WAY
        whole = {"": 1 / max(unit_seconds, 1e-6), **(rates or {})}
        self._reads = {
            group: _Bucket(rate * share * (1 - RESERVE_SHARE), credit_seconds, clock.monotonic())
            for group, rate in whole.items()
        }
        self._reserve = {
            group: _Bucket(rate * share * RESERVE_SHARE, credit_seconds, clock.monotonic())
            for group, rate in whole.items()
        }

    def back_off_seconds(self) -> float:
        """Seconds for which the venue asked us to stay away; 0 when it did not."""
        return max(0.0, self._closed_until - self._clock.monotonic())

    def back_off(self, seconds: float) -> None:
        """Stay away for ``seconds``; never shortens what was asked before."""
        bounded = min(max(seconds, 0.0), LONGEST_BACK_OFF_SECONDS)
        self._closed_until = max(self._closed_until, self._clock.monotonic() + bounded)

    def resume(self, seconds: float, *, asks_to_start: bool = True) -> None:
        """Go on with a wait that was asked for before a restart.

        With ``asks_to_start`` the reads that a start stands on go out until :meth:`started`, markets and position mode
        among them: without these no position can be read and no cover made. A venue that asks again to wait is asked
        for no more of them.
        """
        self.back_off(seconds)
        if not asks_to_start:
            self.start = Start.REFUSED

    def started(self) -> None:
        """The start is over."""
        self.start = Start.OVER

    def check(self) -> None:
        """Raise :class:`RateLimitedError` when the present call may not go out now."""
        closed = self.back_off_seconds()
        level = URGENCY.get()
        if closed > 0 and (level is Urgency.ORDER or (level is Urgency.READ and self.start is not Start.UNDER_WAY)):
            text = f"{self._name}: the venue asked us to wait; {closed:.0f} s are left"
            raise RateLimitedError(text, retry_after_seconds=closed)

    async def take(self, cost: float, section: str = "") -> None:
        """Wait until a call of ``cost`` may leave; raises :class:`RateLimitedError` during a back-off."""
        self.check()
        buckets = self._reads if URGENCY.get() >= Urgency.POSITION else self._reserve
        group = next((name for name in buckets if name and section.startswith(name)), "")
        wait = buckets[group].take(cost, self._clock.monotonic())
        if wait > 0:
            await self._clock.sleep(wait)
            self.check()

    def learn(self, status: int | None, headers: Mapping[str, str], body: Any) -> None:
        """Take in what an answer says about the limits."""
        code = str(body.get("retCode", body.get("code", ""))) if isinstance(body, Mapping) else ""
        if status in self._limit_statuses or code in self._limit_codes:
            self.back_off(self._stated(headers))
            if self.start is Start.UNDER_WAY:
                self.start = Start.REFUSED

    def _stated(self, headers: Mapping[str, str]) -> float:
        """Seconds that the answer asks us to wait."""
        until = _until_date(headers, self._clock.now_ms() / 1000)
        if until is not None:
            return until
        for key in ("retry-after", "x-ratelimit-reset-after", "ratelimit-reset"):
            stated = _number(headers.get(key))
            if stated is not None:
                return stated
        reset_ms = _number(headers.get("x-bapi-limit-reset-timestamp"))
        if reset_ms is not None:
            return max(0.0, (reset_ms - self._clock.now_ms()) / 1000)
        return UNSTATED_BACK_OFF_SECONDS


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a ``Retry-After`` asks for; None where it says nothing that can be understood."""
    return _number(headers.get("retry-after"))


def _until_date(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to a ``Retry-After`` that is a date, by the answer's own clock where it tells that one."""
    until = _seconds_of(headers.get("retry-after"))
    if until is None:
        return None
    told = _seconds_of(headers.get("date"))
    return max(0.0, until - (now if told is None else told))


def _seconds_of(date: str | None) -> float | None:
    """A date of HTTP as seconds since the epoch."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e14 else None
