"""What the loop asks of its journal: an append-only record that is durable when the call returns.

A journal belongs to one keeper at a time. Replaying it sends nothing: it is what prevents a second send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from keeper.core.model import (
    AccountId,
    Base,
    Contracts,
    CycleRecord,
    HedgeMemory,
    InstrumentId,
    Intent,
    Outcome,
)
from keeper.venue.base import Fill, FundingEntry

__all__ = ["Event", "Fill", "FundingEntry", "Journal", "JournalError", "Remembered", "Run"]


class JournalError(Exception):
    """The journal could not be read or written; nothing may be sent while that lasts."""


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a keeper. ``tag`` is six hexadecimal digits that name the journal for ever; ``number`` counts."""

    number: int
    tag: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last readings that were acted upon, against which the next ones are judged for unexplained jumps."""

    holdings: Mapping[tuple[AccountId, str], Base]
    positions: Mapping[InstrumentId, Contracts]
    taken_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was chosen or done beside orders: a roll, an estimate, a transition, a transfer.

    ``subject`` is the hedge or the account that it is about. ``detail`` is a JSON object, decimals as strings in it.
    """

    kind: str
    subject: str
    at_ms: int
    detail: str


class Journal(Protocol):
    """The record of cycles, intents, orders, fills and funding. Every method raises :class:`JournalError`."""

    async def start_run(self, mode: str, config_digest: str, at_ms: int) -> Run:
        """Write down that a keeper starts."""
        ...

    async def memories(self) -> Mapping[str, HedgeMemory]:
        """What each hedge remembered last."""
        ...

    async def remembered(self) -> Remembered:
        """The last accepted readings."""
        ...

    async def unresolved(self) -> Sequence[Intent]:
        """Intents whose outcome is unknown, or which rest, oldest first: a restart asks after them before it trades."""
        ...

    async def intents_since(self, at_ms: int) -> Sequence[Intent]:
        """Intents that were created, or of which something became known, at or after then, oldest first."""
        ...

    async def intent(self, intent: Intent) -> None:
        """Write an intent; it has survived a crash when this returns. Its client id must be new."""
        ...

    async def outcome(self, outcome: Outcome, at_ms: int) -> None:
        """Write what became of an intent."""
        ...

    async def not_found(self, client_id: str, count: int, since_ms: int) -> None:
        """Write how often the venue has said, with authority, that it knows no such order."""
        ...

    async def fills(self, fills: Sequence[Fill]) -> int:
        """Write executions; one whose venue, symbol and trade id are known already is left alone. Yields the new."""
        ...

    async def funding(self, entries: Sequence[FundingEntry]) -> int:
        """Write funding payments; one whose venue, symbol and entry id are known is left alone. Yields the new."""
        ...

    async def funding_total(self, since_ms: int = 0) -> Mapping[tuple[InstrumentId, str], Decimal]:
        """Funding received (negative: paid) at or after then, by instrument and by the asset it was paid in."""
        ...

    async def cycle(self, record: CycleRecord, remembered: Remembered) -> None:
        """Write a finished cycle, every hedge's memory and the accepted readings, in one transaction."""
        ...

    async def memory(self, hedge: str, memory: HedgeMemory) -> None:
        """Write one hedge's memory outside a cycle, as an operator's command does."""
        ...

    async def event(self, event: Event) -> None:
        """Write an event; it has survived a crash when this returns."""
        ...

    async def events(self, kind: str, subject: str, limit: int = 1) -> Sequence[Event]:
        """The last ``limit`` events of a kind about one subject, oldest first."""
        ...

    async def back_offs(self) -> Mapping[str, int]:
        """Until when each venue asked us to stay away, wall milliseconds."""
        ...

    async def back_off(self, venue: str, until_ms: int) -> None:
        """Write until when a venue asked us to stay away, so that a restart honours it."""
        ...

    async def prune(self, before_ms: int) -> int:
        """Delete hold cycles that ended before then, never intents, outcomes, fills or funding; how many went."""
        ...

    async def close(self) -> None:
        """Flush and let go."""
        ...
