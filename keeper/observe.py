"""One look at everything: concurrent reads, each of them a value or a gap.

Missing is not zero. A reading that failed, is empty or stale is a gap; one that jumped without a cause that we know is
looked at a second time within the same look, and what is then still in doubt is a gap. A gap holds the hedges that
stand on it, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import structlog

from keeper.clock import Clock, SteadyTime
from keeper.core.coins import same_coins
from keeper.core.hedge import accounts_of
from keeper.core.legs import futures_source
from keeper.core.model import (
    NO_CONTRACTS,
    Contracts,
    Gap,
    Hedge,
    Instrument,
    InstrumentId,
    Kind,
    Position,
    Reason,
    Snapshot,
    Unlisted,
)
from keeper.core.orders import plain
from keeper.core.stated import FILE
from keeper.doubt import Doubt, Gathered, Standing, accepted, said
from keeper.journal.base import Remembered
from keeper.late_wallets import LateWallets
from keeper.margining import read_margins
from keeper.pricing import Pricing
from keeper.seating import has_gone
from keeper.venue.base import (
    BackOff,
    BadReadingError,
    EmptyReadingError,
    NoRowError,
    Observer,
    PositionBook,
    RateLimitedError,
    UnknownSymbolError,
    VenueError,
    Wallets,
)
from keeper.wallet_reading import WalletReading

log = structlog.get_logger(__name__)

T = TypeVar("T")
HOST_STEP_MS = 1_000
ENTRY_ROUNDING = Decimal("0.0001")
"""How far two readings of one entry price may differ: a list may round it, or have it worked out from a value."""


class Observatory:
    """Looks at all venues of all hedges, and remembers what it has begun to doubt."""

    def __init__(
        self,
        hedges: Sequence[Hedge],
        observers: Mapping[str, Observer],
        clock: Clock,
        doubt: Doubt | None = None,
        files: Wallets | None = None,
    ) -> None:
        self.hedges = tuple(hedges)
        self.observers = dict(observers)
        self.standing = Standing()
        self.also_watched: tuple[str, ...] = ()
        self.brakes: Callable[[], Standing] = Standing
        self.back_offs: Mapping[str, BackOff] = {}
        """Venues that may ask us to wait: while one does, what a cover stands on is read, and no new short opened."""
        self.reach: Mapping[InstrumentId, tuple[Contracts, Contracts]] = {}
        """The lowest and the highest position that an order of ours in the book explains."""
        self.reads_margins = False
        self._clock = clock
        self._doubt = doubt or Doubt()
        self._steady = SteadyTime(clock)
        self._shown_nothing: set[InstrumentId] = set()
        self._went: set[InstrumentId] = set()
        self._nowhere_since: dict[InstrumentId, float] = {}
        self._jumped_once: set[InstrumentId] = set()
        """Positions that no hedge names, and that jumped in the last look."""
        self._late = LateWallets(lambda: self.hedges, clock, self._doubt.wallet_lag_ms)
        self._pricing = Pricing(clock, self._doubt, self._try)
        places: dict[str, Wallets] = {**observers, **({} if files is None else {FILE: files})}
        self._wallets = WalletReading(lambda: self.hedges, places, clock, self._doubt, self._pricing, self._try)

    async def observe(
        self, remembered: Remembered, expected: Mapping[InstrumentId, Contracts]
    ) -> tuple[Snapshot, Remembered]:
        """Look once at everything.

        ``expected`` is, per instrument, the position that our own fills imply and the venue has not shown yet.
        Returns the snapshot, and what of it has been accepted and may be remembered.
        """
        began, taken_at_ms = self._clock.monotonic(), self._clock.now_ms()
        stepped_ms = self._steady.stepped_ms()
        if abs(stepped_ms) > HOST_STEP_MS:
            # What was measured of the venues' clocks was measured against the old time.
            log.warning("host_clock_stepped", milliseconds=stepped_ms)
            self._pricing.forget_clocks()
        look = Gathered()
        venues = {instrument.id.venue for instrument in self._instruments()}
        accounts = dict.fromkeys(account for hedge in self.hedges for account in accounts_of(hedge))
        await asyncio.gather(
            *(self._wallets.read(look, account, remembered) for account in accounts),
            *(self._read_positions(look, venue, remembered, expected) for venue in sorted(venues)),
            *(
                self._read_other_positions(look, venue, remembered)
                for venue in self.also_watched
                if venue not in venues
            ),
            *(self._pricing.read_marks(look, self.observers[venue], self._listed(venue)) for venue in sorted(venues)),
            *(self._pricing.read_asset_prices(look, self.observers, hedge) for hedge in self.hedges),
            *(
                self._pricing.check_clock(look, self.observers[venue])
                for venue in sorted(venues | {account.venue for account in accounts} - {FILE})
            ),
            *(read_margins(look, venue, self.observers[venue]) for venue in sorted(venues) if self.reads_margins),
        )
        await self._pricing.price_counted(look, self.observers, self.hedges)
        await self._wallets.read_sums_twice(look, remembered)
        await self._read_settled_positions(look, remembered)
        self._wallets.doubt_first_zeros(look, remembered)
        brakes = self.brakes()
        snapshot = Snapshot(
            taken_at_ms,
            began,
            self._clock.monotonic(),
            look.holdings,
            look.positions,
            tuple(look.working),
            look.marks,
            look.prices,
            tuple(look.gaps),
            (*brakes.blocks, *self.standing.blocks, *look.blocks),
            (*brakes.sell_blocks, *self.standing.sell_blocks, *self._waits()),
            look.foreign,
            look.stated_at_ms,
            tuple(look.margins),
        )
        snapshot = self._late.look(snapshot, remembered)
        return snapshot, accepted(snapshot, remembered, self._late.open_changes(look.foreign) | self._jumped_once)

    def look_again(self, snapshot: Snapshot, remembered: Remembered) -> Snapshot:
        """The snapshot with what follows from what others did while an order of ours rested; it tells that by now.

        ``remembered`` is what was accepted before this look.
        """
        return self._late.look_again(snapshot, remembered)

    def _waits(self) -> Iterator[tuple[str, Reason]]:
        """What stops new shorts at venues that asked us to wait."""
        for venue, asked in self.back_offs.items():
            left = asked.back_off_seconds()
            if left > 0:
                text = f"{venue} asked us to wait, {left:.0f} s are left; covers go on, new shorts do not"
                yield futures_source(venue), Reason(RateLimitedError.code, text)

    async def _try(self, look: Gathered, source: str, read: Callable[[], Awaitable[T]]) -> T | None:
        """The value, or None and a gap that names ``source``."""
        try:
            return await read()
        except VenueError as error:
            look.gaps.append(Gap(source, error.code, str(error)))
            return None

    def _instruments(self) -> Iterator[Instrument]:
        return (instrument for hedge in self.hedges for instrument in hedge.instruments)

    def _is_gone(self, instrument: Instrument) -> bool:
        return has_gone(instrument, self.observers[instrument.id.venue], self._clock.now_ms())

    def _jumped(self, value: Decimal, before: Decimal | None) -> bool:
        return self._doubt.jumped(value, before)

    # -- positions -------------------------------------------------------------------------------------------------

    async def _read_positions(
        self,
        look: Gathered,
        venue: str,
        remembered: Remembered,
        expected: Mapping[InstrumentId, Contracts],
    ) -> None:
        observer = self.observers[venue]
        book = await self._try(look, futures_source(venue), observer.positions)
        if book is None:
            return
        look.working += book.working
        look.gaps += [Gap(futures_source(venue), fault.code, str(fault)) for fault in book.faults]
        listed = {position.instrument.id: position for position in book.positions}
        unread = {InstrumentId(venue, symbol) for symbol in book.unread}
        for ident in listed:
            self._nowhere_since.pop(ident, None)
        own = {instrument.id: instrument for instrument in self._own(venue)}
        others = {ident: position for ident, position in listed.items() if ident not in own}
        await asyncio.gather(
            self._accept_others(look, observer, venue, others, remembered, unread),
            *(
                self._accept_position(look, observer, instrument, book, remembered, expected.get(ident))
                for ident, instrument in own.items()
            ),
        )

    def _own(self, venue: str) -> tuple[Instrument, ...]:
        """The hedges' own contracts at a venue, each once."""
        own = (instrument for instrument in self._instruments() if instrument.id.venue == venue)
        return tuple({instrument.id: instrument for instrument in own}.values())

    def _listed(self, venue: str) -> tuple[Instrument, ...]:
        """Of those, the ones that still trade: what has gone has no price."""
        return tuple(instrument for instrument in self._own(venue) if not self._is_gone(instrument))

    async def _read_other_positions(self, look: Gathered, venue: str, remembered: Remembered) -> None:
        """Positions at a venue that only holds spot: none of them is a hedge's own."""
        book = await self._try(look, futures_source(venue), self.observers[venue].positions)
        if book is not None:
            look.gaps += [Gap(futures_source(venue), fault.code, str(fault)) for fault in book.faults]
            listed = {position.instrument.id: position for position in book.positions}
            unread = {InstrumentId(venue, symbol) for symbol in book.unread}
            await self._accept_others(look, self.observers[venue], venue, listed, remembered, unread)

    async def _accept_others(
        self,
        look: Gathered,
        observer: Observer,
        venue: str,
        listed: Mapping[InstrumentId, Position],
        remembered: Remembered,
        unread: Collection[InstrumentId],
    ) -> None:
        """Positions that no hedge names, in coins that one protects: one that is gone, or has jumped, is asked for, and
        is not remembered before the next look has asked for it too.
        """
        watched = {asset for hedge in self.hedges if hedge.unlisted is not Unlisted.IGNORE for asset in hedge.assets}
        own = {instrument.id for instrument in self._instruments()}
        known = {
            ident: before
            for ident, before in remembered.positions.items()
            if ident.venue == venue and ident not in own and ident not in unread and (before != 0 or ident in listed)
        }
        look.positions.update({ident: position for ident, position in listed.items() if ident not in known})
        jumped: set[InstrumentId] = set()
        for ident, before in known.items():
            row = listed.get(ident)
            value = row.contracts if row is not None else NO_CONTRACTS
            if row is not None and (row.instrument.base not in watched or not self._jumped(value, before)):
                look.positions[ident] = row
                continue
            try:
                instrument = row.instrument if row is not None else observer.instrument(ident.symbol)
                second = await observer.position(instrument)
            except EmptyReadingError:
                second = Position(instrument, NO_CONTRACTS)  # neither the list nor the question by name shows it
            except VenueError as error:
                if row is None and isinstance(error, UnknownSymbolError):
                    continue  # not listed any more, and in no list of positions: it was settled with its contract
                look.gaps.append(
                    Gap(futures_source(venue), error.code, f"{ident} was {plain(before)} contracts: {error}")
                )
                continue
            if second.contracts == value or row is None:
                look.positions[ident] = second
                if second.contracts != before and ident not in self._jumped_once:
                    look.foreign[ident] = Contracts(second.contracts - before)
                    jumped.add(ident)
            else:
                text = f"{ident} read {plain(value)} contracts and then {plain(second.contracts)}"
                look.gaps.append(Gap(futures_source(venue), "unconfirmed_reading", text))
        self._jumped_once = {ident for ident in self._jumped_once if ident.venue != venue} | jumped

    async def _accept_position(
        self,
        look: Gathered,
        observer: Observer,
        instrument: Instrument,
        book: PositionBook,
        remembered: Remembered,
        expected: Contracts | None,
    ) -> None:
        """Take the listed position, after a second look where it is absent or has changed without a fill of ours.

        However small the change: an answer from before our last fill would have that fill made a second time. While an
        order of ours rests it moves the position within its reach; what is beyond that is told by the order's fills.
        """
        if instrument.id.symbol in book.unread:
            # the list that it would be in could not be read: by name it may be seen all the same
            named = await self._try(look, str(instrument.id), lambda: observer.position(instrument))
            if named is not None:
                look.positions[instrument.id] = named
            return
        rows = [position for position in book.positions if position.instrument.id == instrument.id]
        row = rows[0] if rows else None
        before = remembered.positions.get(instrument.id)
        value = row.contracts if row is not None else NO_CONTRACTS
        first = before is None and expected is None
        # Nothing speaks for a position that is seen for the first time, not even for its sign: it is asked for by name
        # too. Where a venue shows no row by name either, the list alone may say "flat".
        reach = self.reach.get(instrument.id)
        known = value in (before, expected) or (first and row is None)
        known = known or (row is not None and reach is not None and reach[0] <= value <= reach[1])
        # A position that just went without a row is asked for by name at the next look too: that is what bears it out.
        known = known and not (row is None and instrument.id in self._went)
        if row is None and known:
            flat = await self._first_position(look, observer, instrument) if first else None
            if flat is not None or not first:
                look.positions[instrument.id] = flat or Position(instrument, NO_CONTRACTS)
            return
        if not known and expected is None and before is not None and reach is None:
            look.foreign[instrument.id] = Contracts(value - before)
        if row is not None and known:
            look.positions[instrument.id] = row
            return
        second = await self._try(look, str(instrument.id), lambda: self._by_name(observer, instrument, row))
        if second is None:
            look.foreign.pop(instrument.id, None)
            if first and row is not None:
                look.positions[instrument.id] = row  # shown as the list has it, and neither traded on nor remembered
                text = f"{plain(value)} contracts, seen for the first time, could not be read by name"
                look.gaps.append(Gap(str(instrument.id), "unconfirmed_position", text))
            return
        if row is None and second.contracts == 0 and before != 0:
            self._went.add(instrument.id)
        else:
            self._went.discard(instrument.id)
        if second.contracts == value or row is None:
            look.positions[instrument.id] = second
            if instrument.id in look.foreign and before is not None:
                look.foreign[instrument.id] = Contracts(second.contracts - before)
            return
        look.foreign.pop(instrument.id, None)
        text = f"read {plain(value)} contracts and then {plain(second.contracts)} where it was {said(before)}"
        look.gaps.append(Gap(str(instrument.id), "unconfirmed_reading", text))

    async def _read_settled_positions(self, look: Gathered, remembered: Remembered) -> None:
        """Where a wallet that margins contracts in coins has changed, ask for their positions again, behind the wallet.

        What was settled between the two readings (somebody deleveraged us, or liquidated) stands in the wallet and
        would still count as open profit of the position that was read before it. A position that differs is a gap.
        """
        settled = {
            (leg.collateral.venue, leg.instrument.settle)
            for hedge in self.hedges
            for leg in hedge.legs
            if leg.collateral is not None
            and (key := (leg.collateral, leg.instrument.settle)) in look.holdings
            and not same_coins(look.holdings[key], remembered.holdings.get(key, look.holdings[key]))
        }
        held = [
            position
            for position in look.positions.values()
            if position.contracts != 0
            and position.instrument.kind is Kind.INVERSE
            and (position.instrument.id.venue, position.instrument.settle) in settled
        ]
        await asyncio.gather(*(self._still_so(look, position) for position in held))

    async def _still_so(self, look: Gathered, position: Position) -> None:
        instrument = position.instrument
        observer = self.observers[instrument.id.venue]
        # No hedge stands on a contract of nobody's by its name: what is not known of it holds all that count it.
        is_own = any(own.id == instrument.id for own in self._instruments())
        source = str(instrument.id) if is_own else futures_source(instrument.id.venue)
        again = await self._try(look, source, lambda: self._by_name(observer, instrument, None))
        if again is not None and again.contracts == position.contracts and _same_entry(again, position):
            return
        del look.positions[instrument.id]
        look.foreign.pop(instrument.id, None)
        if again is not None:
            text = f"read {plain(position.contracts)} contracts and, once the wallet behind them had changed, "
            text += f"{plain(again.contracts)}"
            look.gaps.append(Gap(source, "unconfirmed_reading", f"{instrument.id} {text}"))

    async def _by_name(self, observer: Observer, instrument: Instrument, row: Position | None) -> Position:
        """The position asked for by name. A contract that is gone has no row any more: what was held was settled.

        Where no flat contract has a row, one that is in no answer for as long as a wallet may read zero is flat.
        """
        try:
            return await observer.position(instrument)
        except (EmptyReadingError, UnknownSymbolError) as error:
            if row is None and (self._is_gone(instrument) or self._is_nowhere(instrument.id, error)):
                return Position(instrument, NO_CONTRACTS)
            raise

    def _is_nowhere(self, ident: InstrumentId, error: VenueError) -> bool:
        if not isinstance(error, NoRowError):
            return False
        now = self._clock.monotonic()
        return (now - self._nowhere_since.setdefault(ident, now)) * 1000 >= self._doubt.unexplained_zero_ms

    async def _first_position(self, look: Gathered, observer: Observer, instrument: Instrument) -> Position | None:
        """The very first look at a contract that the list does not show: asked for by name before it counts as flat.

        A venue that answers with no row for a flat contract leaves the list's word, from the second such look on; an
        answer that cannot be understood is no such word.
        """
        try:
            return await observer.position(instrument)
        except EmptyReadingError as error:
            if instrument.id in self._shown_nothing:
                return Position(instrument, NO_CONTRACTS)
            self._shown_nothing.add(instrument.id)
            look.gaps.append(Gap(str(instrument.id), error.code, f"{error}; not taken for flat at the first look"))
            return Position(instrument, NO_CONTRACTS)  # shown as the list has it; the gap keeps it from being traded on
        except BadReadingError as error:
            look.gaps.append(Gap(str(instrument.id), error.code, str(error)))
            return None
        except VenueError as error:
            text = f"the list shows no position, and it could not be asked for by name: {error}"
            look.gaps.append(Gap(str(instrument.id), "unconfirmed_position", text))
            return Position(instrument, NO_CONTRACTS)  # the same: the list was read whole


def _same_entry(one: Position, other: Position) -> bool:
    """Whether two readings tell one entry price; where either tells none, they do not disagree."""
    if one.entry_price is None or other.entry_price is None:
        return True
    return abs(one.entry_price - other.entry_price) <= ENTRY_ROUNDING * abs(other.entry_price)
