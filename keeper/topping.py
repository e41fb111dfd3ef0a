"""Moves money between the user's own wallets when a margin account runs short; strict as an order is.

Durable before it is asked for, one attempt, and nothing more on that venue until both wallets explain what became of
it. It runs at the end of a turn, on the margin which that turn has read; the next turn begins with the explanation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from keeper.clock import Clock
from keeper.core.hedge import accounts_of
from keeper.core.model import ZERO, Hedge, Reason, Snapshot
from keeper.core.orders import plain
from keeper.core.topup import (
    IN_DOUBT,
    TopUp,
    Transfer,
    TransferState,
    account_of,
    amount_to_move,
    explained,
    is_due,
    moved_within_a_day,
)
from keeper.journal import codec
from keeper.journal.base import Event, Journal
from keeper.venue.base import CredentialsRefusedError, Observer, RateLimitedError, UnreachableError, VenueError
from keeper.venue.further import Transfers

log = structlog.get_logger(__name__)

KIND = "transfer"
REMEMBERED = 500
"""Transfers of the past that are read at a start: more than any day's cap allows to be useful."""


@dataclass(frozen=True, slots=True)
class Calm:
    """How long is waited, in milliseconds: until what does not show was not done, and after a refusal."""

    settle_ms: int = 60_000
    refused_ms: int = 300_000


@dataclass(slots=True)
class _Venue:
    """One venue's top-up and what is known of its transfers, by id."""

    policy: TopUp
    known: dict[str, Transfer] = field(default_factory=dict)
    notes: list[Reason] = field(default_factory=list)
    wait_until_ms: int = 0
    forbidden: str = ""

    @property
    def in_doubt(self) -> Transfer | None:
        """The transfer of which it is not known what became of it."""
        return next((each for each in self.known.values() if each.state in IN_DOUBT), None)


class TopUps:
    """All top-ups of one keeper that trades."""

    def __init__(
        self,
        policies: Mapping[str, TopUp],
        observers: Mapping[str, Observer],
        movers: Mapping[str, Transfers],
        journal: Journal,
        clock: Clock,
        calm: Calm | None = None,
    ) -> None:
        self._venues = {name: _Venue(policy) for name, policy in policies.items()}
        self._observers = observers
        self._movers = movers
        self._journal = journal
        self._clock = clock
        self._calm = calm or Calm()

    async def restore(self) -> None:
        """Take up what the journal knows of transfers; raises :class:`~keeper.journal.base.JournalError`."""
        for name, venue in self._venues.items():
            for event in await self._journal.events(KIND, name, REMEMBERED):
                transfer = codec.loads(Transfer, event.detail)
                venue.known[transfer.id] = transfer

    async def begin(self, snapshot: Snapshot, hedges: Sequence[Hedge], *, vouched: bool = False) -> Snapshot:
        """The snapshot with what is to be said of transfers, and what one in doubt stops.

        Coins on their way between two wallets that count may show in both or in neither: while they are, and for the
        look in which they are explained, the hedges that count them hold. ``vouched`` says that a person has looked:
        a transfer that the wallets do not explain by now is then taken for one that has moved.
        """
        notes = list(snapshot.notes)
        blocks = list(snapshot.blocks)
        for name, venue in self._venues.items():
            notes += [(name, note) for note in venue.notes]
            venue.notes.clear()
            doubted = venue.in_doubt
            if doubted is None:
                continue
            text = f"{_told(doubted)} is on its way"
            counted = {account for hedge in hedges if doubted.asset in hedge.assets for account in accounts_of(hedge)}
            pending = Reason("transfer_pending", text)
            blocks += [(str(at), pending) for at in (doubted.source, doubted.target) if at in counted]
            told = await self._explain(venue, doubted, vouched=vouched)
            if told is not None:
                notes.append((name, told))
        return replace(snapshot, notes=tuple(notes), blocks=tuple(blocks))

    async def end(self, snapshot: Snapshot, epoch: str) -> None:
        """Ask for what is needed now, at most one transfer a venue; ``epoch`` makes its id."""
        if any(source == "*" for source, _ in snapshot.blocks):
            return  # a brake on everything is one on this too
        for name, venue in self._venues.items():
            note = await self._top_up(name, venue, snapshot, f"{epoch}-{name}")
            if note is not None:
                venue.notes.append(note)

    async def _top_up(self, name: str, venue: _Venue, snapshot: Snapshot, ident: str) -> Reason | None:
        policy, now = venue.policy, self._clock.now_ms()
        account = account_of(policy, snapshot.margins)
        if account is None or not is_due(policy, account) or venue.in_doubt is not None:
            return None
        if venue.forbidden:
            return Reason("transfer_refused", venue.forbidden)
        if now < venue.wait_until_ms:
            return None
        spent = moved_within_a_day(venue.known.values(), now)
        if spent >= policy.max_per_day:
            text = f"{plain(spent)} {policy.asset} were moved within a day; max_per_day is {plain(policy.max_per_day)}"
            return Reason("top_up_capped", f"{policy.target} needs margin, and {text}")
        try:
            ends = (policy.source, policy.target)
            wallets = [(await self._observers[name].wallet(at.wallet)).told(policy.asset) for at in ends]
        except VenueError as error:
            return Reason("top_up_unread", f"{policy.target} needs margin, and a wallet cannot be read: {error}")
        source, target = (wallet.totals.get(policy.asset, ZERO) for wallet in wallets)
        amount = amount_to_move(policy, account, spent, source)
        if amount <= 0:
            return Reason("top_up_short", f"{policy.target} needs margin, and {policy.source} holds no {policy.asset}")
        asked = Transfer(
            ident, policy.asset, amount, policy.source, policy.target, now, source, target, TransferState.ASKED
        )
        await self._write(name, venue, asked)
        return await self._ask(name, venue, asked)

    async def _ask(self, name: str, venue: _Venue, asked: Transfer) -> Reason | None:
        """One attempt. Whatever is neither yes nor no leaves it in doubt."""
        try:
            answer = await self._movers[name].transfer(
                asked.asset, asked.amount, asked.source.wallet, asked.target.wallet
            )
        except UnreachableError as error:
            log.warning("transfer_in_doubt", transfer=_told(asked), text=str(error))
            return Reason("transfer_pending", f"{_told(asked)} may have moved: {error}")
        except VenueError as error:
            await self._write(name, venue, replace(asked, state=TransferState.REFUSED, text=str(error)))
            venue.wait_until_ms = self._clock.now_ms() + self._calm.refused_ms
            if isinstance(error, CredentialsRefusedError):
                venue.forbidden = f"the key may not move money: {error}; allow transfers, or remove top_up"
            if isinstance(error, RateLimitedError) and error.retry_after_seconds is not None:
                venue.wait_until_ms = self._clock.now_ms() + round(error.retry_after_seconds * 1000)
            log.warning("transfer_refused", transfer=_told(asked), text=str(error))
            return Reason("transfer_refused", f"{_told(asked)} was refused: {error}")
        log.info("transfer", transfer=_told(asked), venue_id=answer)
        await self._write(name, venue, replace(asked, state=TransferState.ACCEPTED, text=answer or ""))
        return None

    async def _explain(self, venue: _Venue, doubted: Transfer, *, vouched: bool) -> Reason | None:
        """Read both wallets and conclude, or say why not yet."""
        name = doubted.source.venue
        try:
            ends = (doubted.source, doubted.target)
            wallets = [(await self._observers[name].wallet(at.wallet)).told(doubted.asset) for at in ends]
        except VenueError as error:
            return Reason("transfer_pending", f"{_told(doubted)}: a wallet cannot be read: {error}")
        source, target = (wallet.totals.get(doubted.asset, ZERO) for wallet in wallets)
        waited = abs(self._clock.now_ms() - doubted.asked_at_ms)
        state = explained(doubted, source, target, settled=waited >= self._calm.settle_ms)
        late = waited >= self._calm.settle_ms
        if state is None and late and vouched:
            state = TransferState.MOVED
        if state is None:
            text = (
                f"{doubted.source} held {plain(doubted.source_before)} and holds {plain(source)}, "
                f"{doubted.target} held {plain(doubted.target_before)} and holds {plain(target)}"
            )
            text = f"{_told(doubted)}: {text}; nothing else is moved until both show it, or neither"
            return Reason("transfer_unexplained", text) if late else Reason("transfer_pending", text)
        await self._write(name, venue, replace(doubted, state=state))
        if state is TransferState.MOVED:
            return Reason("transfer_moved", f"{_told(doubted)} has moved")
        return Reason("transfer_absent", f"{_told(doubted)} has not moved: neither wallet shows it")

    async def _write(self, name: str, venue: _Venue, transfer: Transfer) -> None:
        """Durable first, then known."""
        detail = codec.dumps(Transfer, transfer)
        await self._journal.event(Event(KIND, name, self._clock.now_ms(), detail))
        venue.known[transfer.id] = transfer


def _told(transfer: Transfer) -> str:
    return f"{plain(transfer.amount)} {transfer.asset} from {transfer.source} to {transfer.target}"
