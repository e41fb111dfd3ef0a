"""Real venues through ccxt: one connection, an observer and, where the mode may trade, a trader over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keeper.clock import Clock
from keeper.errors import UnsafeError
from keeper.venue.budget import Budget, Start
from keeper.venue.capabilities import capability_of
from keeper.venue.client import build_client, check_exchange, known_exchanges, pristine_rate_limit
from keeper.venue.connection import Connection
from keeper.venue.findable import unresolvable
from keeper.venue.guard import Credentials, VenuePolicy
from keeper.venue.observer import CcxtObserver
from keeper.venue.trader import CcxtTrader

__all__ = [
    "CcxtObserver",
    "CcxtTrader",
    "CcxtVenue",
    "Credentials",
    "VenuePolicy",
    "check_exchange",
    "known_exchanges",
    "make_venue",
]


@dataclass(slots=True)
class CcxtVenue:
    """One venue: its shared connection, its observer, and the trader that exists only where orders may leave."""

    name: str
    policy: VenuePolicy
    connection: Connection = field(repr=False)
    observer: CcxtObserver = field(repr=False)
    _trader: CcxtTrader | None = field(repr=False, default=None)

    @property
    def trader(self) -> CcxtTrader:
        """The trader; raises :class:`UnsafeError` in a mode that has none."""
        if self._trader is None:
            raise UnsafeError(f"venue {self.name}: this mode has no trader, so no order can leave")
        return self._trader

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that requests may go to, and no others."""
        return self.connection.guard.allowed

    def back_off_seconds(self) -> float:
        """For how long the venue asked us to stay away; 0 when it did not. Worth keeping across a restart."""
        return self.connection.budget.back_off_seconds()

    def resume_back_off(self, seconds: float, *, asks_to_start: bool = True) -> None:
        """Honour a back-off that was still running when the keeper stopped; see :meth:`Budget.resume`."""
        self.connection.budget.resume(seconds, asks_to_start=asks_to_start)

    def started(self) -> None:
        """The start is over: from now on only what a cover stands on is read while the venue wants us away."""
        self.connection.budget.started()

    def refused_to_start(self) -> bool:
        """Whether the wait was asked for while we started."""
        return self.connection.budget.start is Start.REFUSED

    def hide(self, secret: str) -> None:
        """Mask one more text in whatever the venue answers from now on."""
        self.connection.guard.secrets = (*self.connection.guard.secrets, secret)

    async def open(self) -> None:
        """Load the markets; raises :class:`~keeper.venue.base.VenueError`."""
        await self.connection.open()

    async def close(self) -> None:
        """Give back every socket."""
        await self.connection.close()


def make_venue(
    name: str,
    exchange_id: str,
    mode_policy: VenuePolicy,
    credentials: Credentials,
    ccxt_options: Mapping[str, Any],
    clock: Clock,
    read_timeout_seconds: float,
    order_timeout_seconds: float,
) -> CcxtVenue:
    """A venue by its name in the config and its ccxt id; nothing is sent yet.

    Raises :class:`~keeper.errors.ConfigError` for an unknown exchange or option and :class:`~keeper.errors.UnsafeError`
    for what would weaken a safety rule or reach a live host from a test.
    """
    check_exchange(exchange_id)
    capability = capability_of(exchange_id, ccxt_options.get("options"))
    budget = Budget(name, clock, unit_seconds=1.0)
    client, guard = build_client(
        name,
        exchange_id,
        mode_policy,
        credentials,
        ccxt_options,
        capability,
        budget,
        timeout_seconds=max(read_timeout_seconds, order_timeout_seconds),
    )
    faster = pristine_rate_limit(exchange_id) / client.rateLimit if client.rateLimit > 0 else 1.0
    guard.budget = budget = Budget(
        name,
        clock,
        unit_seconds=client.rateLimit / 1000,
        rates={section: rate * faster for section, rate in capability.pace.items()},
        credit_seconds=capability.credit_seconds,
        limit_codes=capability.codes.limits,
        limit_statuses=capability.codes.limit_statuses,
    )
    connection = Connection(
        name=name,
        exchange_id=exchange_id,
        client=client,
        guard=guard,
        capability=capability,
        budget=budget,
        clock=clock,
        read_seconds=read_timeout_seconds,
        order_seconds=order_timeout_seconds,
    )
    trader = CcxtTrader(connection) if mode_policy.trading else None
    lost = unresolvable(capability, client.has) if mode_policy.trading else None
    why = None if lost is None else f"{lost}, and one whose answer is lost could never be found again"
    return CcxtVenue(name, mode_policy, connection, CcxtObserver(connection, no_orders=why), trader)
