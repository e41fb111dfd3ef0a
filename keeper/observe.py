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
from keeper.core.hedge import accounts_of
from keeper.core.legs import futures_source
from keeper.core.model import (
    NO_BASE,
    NO_CONTRACTS,
    AccountId,
    Base,
    Contracts,
    Gap,
    Hedge,
    Instrument,
    InstrumentId,
    Position,
    Snapshot,
    Unlisted,
)
from keeper.core.orders import plain
from keeper.core.stated import FILE, files_of
from keeper.doubt import Doubt, Gathered, Standing, accepted, said
from keeper.journal.base import Remembered
from keeper.margining import read_margins
from keeper.pricing import Pricing
from keeper.seating import has_gone
from keeper.venue.base import (
    BadReadingError,
    EmptyReadingError,
    Observer,
    PositionBook,
    UnknownSymbolError,
    VenueError,
    Wallet,
    Wallets,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")
HOST_STEP_MS = 1_000
EXPLAINED_SHARE = Decimal("0.9")
"""What the records have to show of a fall before it is believed: fees and dust are not all recorded alike."""
RECORDS_MARGIN_MS = 5_000
"""A record made while the last believed reading was on its way is newer than that reading."""


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
        # Where each account is read: its venue, or for a holdings file the reader of files.
        self._places: dict[str, Wallets] = {**observers, **({} if files is None else {FILE: files})}
        self.standing = Standing()
        self.also_watched: tuple[str, ...] = ()
        self.brakes: Callable[[], Standing] = Standing
        self.reach: Mapping[InstrumentId, tuple[Contracts, Contracts]] = {}
        """The lowest and the highest position that an order of ours in the book explains."""
        self.reads_margins = False
        self._clock = clock
        self._doubt = doubt or Doubt()
        self._steady = SteadyTime(clock)
        self._zero_since_ms: dict[tuple[AccountId, str], float] = {}
        self._shown_nothing: set[InstrumentId] = set()
        self._went: set[InstrumentId] = set()
        self._accepted_at_ms: dict[AccountId, int] = {}
        self._pricing = Pricing(clock, self._doubt, self._try)

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
            *(self._read_wallet(look, account, remembered) for account in accounts),
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
        await self._read_sums_twice(look, remembered)
        self._doubt_first_zeros(look, remembered)
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
            (*brakes.sell_blocks, *self.standing.sell_blocks),
            look.foreign,
            look.stated_at_ms,
            tuple(look.margins),
        )
        return snapshot, accepted(snapshot, remembered)

    async def _try(self, look: Gathered, source: str, read: Callable[[], Awaitable[T]]) -> T | None:
        """The value, or None and a gap that names ``source``."""
        try:
            return await read()
        except VenueError as error:
            look.gaps.append(Gap(source, error.code, str(error)))
            return None

    # -- wallets ---------------------------------------------------------------------------------------------------

    async def _read_wallet(self, look: Gathered, account: AccountId, remembered: Remembered) -> None:
        first = await self._try(look, str(account), lambda: self._wallet(account))
        if first is None:
            return
        assets = self._assets_in(account)
        doubted = [
            asset
            for asset in assets
            if self._jumped(first.totals.get(asset, NO_BASE), remembered.holdings.get((account, asset)))
        ]
        second: Wallet | None = None
        if doubted:
            second = await self._try(look, str(account), lambda: self._wallet(account))
            if second is None:
                return
        look.stated_at_ms.update({(account, asset): at_ms for asset, at_ms in first.stated_at_ms.items()})
        believed, read_at_ms = True, self._clock.now_ms()
        for asset in assets:
            value = first.totals.get(asset, NO_BASE)
            fault = None
            if asset in doubted and second is not None:
                fault = await self._unconfirmed(account, asset, value, first, second, remembered)
            if fault is not None:
                look.gaps.append(fault)
                believed = False
            else:
                look.holdings[(account, asset)] = value
                if value > 0:
                    self._zero_since_ms.pop((account, asset), None)
        for asset in first.totals.keys() - set(assets):
            # The other coins are kept as well: a sale shows as money that came in.
            look.holdings[(account, asset)] = first.totals[asset]
        if believed:
            self._accepted_at_ms[account] = read_at_ms

    async def _read_sums_twice(self, look: Gathered, remembered: Remembered) -> None:
        """Where several wallets count and one has changed, read all of them once more; what then differs is a gap.

        Coins that move between two wallets while these are read show in both or in neither. Two rounds that agree
        held at one moment between them.
        """
        moving: dict[AccountId, None] = {}
        for hedge in self.hedges:
            accounts = accounts_of(hedge)
            if len(accounts) < 2:
                continue
            keys = [(account, asset) for account in accounts for asset in self._assets_in(account)]
            changed = any(
                look.holdings.get(key) != remembered.holdings.get(key, look.holdings.get(key)) for key in keys
            )
            if changed:
                moving.update(dict.fromkeys(accounts))
        if not moving:
            return
        for account, again in zip(moving, await asyncio.gather(*(self._again(look, a) for a in moving)), strict=True):
            for asset in self._assets_in(account):
                first = look.holdings.get((account, asset))
                if first is None or (again is not None and again.totals.get(asset, NO_BASE) == first):
                    continue
                del look.holdings[(account, asset)]
                if again is not None:
                    text = (
                        f"{asset} read {plain(first)} and then {plain(again.totals.get(asset, NO_BASE))}: it is moving"
                    )
                    look.gaps.append(Gap(str(account), "unconfirmed_reading", text))

    async def _again(self, look: Gathered, account: AccountId) -> Wallet | None:
        return await self._try(look, str(account), lambda: self._wallet(account))

    async def _wallet(self, account: AccountId) -> Wallet:
        """The wallet; a coin that nobody counts may be one that cannot be understood."""
        return (await self._places[account.venue].wallet(account.wallet)).told(*self._assets_in(account))

    async def _unconfirmed(
        self, account: AccountId, asset: str, value: Base, first: Wallet, second: Wallet, remembered: Remembered
    ) -> Gap | None:
        """Why a doubted balance is not accepted, or None when the second reading and the records bear it out."""
        again = second.totals.get(asset, NO_BASE)
        before = remembered.holdings[(account, asset)]
        if again != value:
            text = f"{asset} read {plain(value)} and then {plain(again)} where it was {plain(before)}"
            return Gap(str(account), "unconfirmed_reading", text)
        if value > 0 or before <= 0:
            return None
        now = self._clock.monotonic() * 1000
        since = self._zero_since_ms.setdefault((account, asset), now)
        if now - since >= self._doubt.unexplained_zero_ms or self._sold(account, asset, before, first, remembered):
            return None
        since_ms = self._accepted_at_ms.get(account, remembered.taken_at_ms or self._clock.now_ms()) - RECORDS_MARGIN_MS
        try:
            left = await self._places[account.venue].outflow(account, asset, since_ms)
        except VenueError as error:
            left, failure = NO_BASE, f" ({error})"
        else:
            failure = f" (recorded: {plain(left)})" if left else ""
        if left >= EXPLAINED_SHARE * (before - value):
            return None
        shown = "zero" if value == 0 else plain(value)
        text = f"{asset} reads {shown} where it was {plain(before)}, and no trade or transfer explains it{failure}"
        return Gap(str(account), "unexplained_zero", text)

    def _sold(self, account: AccountId, asset: str, before: Base, now: Wallet, remembered: Remembered) -> bool:
        """Whether quote money of about the coins' worth came into the same account."""
        for hedge in self.hedges:
            marks = self._pricing.last_marks
            price = next((marks[i.id] for i in hedge.instruments if i.id in marks), None)
            if asset != hedge.instrument.base or price is None:
                continue
            for coin in {name for i in hedge.instruments for name in (i.quote, i.settle)} - {asset}:
                came = now.totals.get(coin, NO_BASE) - remembered.holdings.get((account, coin), NO_BASE)
                if came >= before * price / 2:
                    return True
        return False

    def _doubt_first_zeros(self, look: Gathered, remembered: Remembered) -> None:
        """A coin that reads zero, or less, the first time ever under a short that is there is more likely not shown:
        the figure stays to be looked at, holds the hedges that count it, and is not what the next one is judged by."""
        now = self._clock.monotonic() * 1000
        doubted: set[tuple[AccountId, str]] = set()
        for hedge in self.hedges:
            held = (look.positions.get(instrument.id) for instrument in hedge.instruments)
            short = next((position for position in held if position is not None and position.contracts < 0), None)
            if short is None:
                continue
            # Its own coins alone: those of another hedge in the same wallet say nothing about these.
            coins = {*hedge.assets, *(leg.instrument.settle for leg in hedge.legs if leg.collateral is not None)}
            keys = [(account, asset) for account in accounts_of(hedge) for asset in coins]
            fresh = [key for key in keys if key in look.holdings and key not in remembered.holdings]
            owned = any(look.holdings.get(key, NO_BASE) > 0 for key in keys)
            # Coins in another wallet, or held elsewhere, explain an empty wallet, and no debt in it.
            owes = any(look.holdings[key] < 0 for key in fresh)
            if not fresh or ((owned or any(hedge.declared.values())) and not owes):
                continue
            for account, asset in (key for key in fresh if look.holdings[key] <= 0 and key not in doubted):
                since = self._zero_since_ms.setdefault((account, asset), now)
                if now - since < self._doubt.unexplained_zero_ms:
                    doubted.add((account, asset))
                    value = look.holdings[account, asset]
                    shown = "zero" if value == 0 else plain(value)
                    text = f"{asset} reads {shown} at the first look while {short.instrument.id} is short"
                    look.gaps.append(Gap(str(account), "unexplained_zero", text))

    def _assets_in(self, account: AccountId) -> tuple[str, ...]:
        """Assets of which a hedge counts this account's coins."""
        wanted: list[str] = []
        for hedge in self.hedges:
            if account in hedge.spot:
                wanted += hedge.assets
            wanted += (leg.instrument.settle for leg in hedge.legs if leg.collateral == account)
            if account.venue == FILE:
                wanted += [asset for asset in hedge.assets if account in files_of(hedge, asset)]
        return tuple(dict.fromkeys(wanted))

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
        """Positions that no hedge names, in coins that one protects: one that is gone, or has jumped, is asked for."""
        watched = {asset for hedge in self.hedges if hedge.unlisted is not Unlisted.IGNORE for asset in hedge.assets}
        own = {instrument.id for instrument in self._instruments()}
        known = {
            ident: before
            for ident, before in remembered.positions.items()
            if ident.venue == venue and ident not in own and ident not in unread and (before != 0 or ident in listed)
        }
        look.positions.update({ident: position for ident, position in listed.items() if ident not in known})
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
            else:
                text = f"{ident} read {plain(value)} contracts and then {plain(second.contracts)}"
                look.gaps.append(Gap(futures_source(venue), "unconfirmed_reading", text))

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

    async def _by_name(self, observer: Observer, instrument: Instrument, row: Position | None) -> Position:
        """The position asked for by name. A contract that is gone has no row any more: what was held was settled."""
        try:
            return await observer.position(instrument)
        except (EmptyReadingError, UnknownSymbolError):
            if row is None and self._is_gone(instrument):
                return Position(instrument, NO_CONTRACTS)
            raise

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
