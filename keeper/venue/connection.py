"""One venue's client, its markets, and the one way to ask it something.

Every request made through here has a deadline, an urgency, and a failure that is already one of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from keeper.clock import Clock
from keeper.core.model import Instrument
from keeper.venue.base import (
    BadReadingError,
    ClockRefusedError,
    HostRefusedError,
    RateLimitedError,
    UnreachableError,
    UnreadMarketError,
    VenueError,
)
from keeper.venue.bodies import LISTS_MARKETS
from keeper.venue.budget import Budget, Urgency, urgency
from keeper.venue.classify import reading_error, say
from keeper.venue.client import UNREAD_LISTS, CcxtClient, Unread
from keeper.venue.figures import Row
from keeper.venue.guard import ANSWERS, Answer, Guard, cleanse, redact
from keeper.venue.listing import barren, doubt, kinds
from keeper.venue.parsing import instrument_of, rows_at, unit_of, unknown_symbol
from keeper.venue.recipes import Capability, Product, Read

PAGES_MAX = 50
WINDOWS_MAX = 40
CLOCK_SLACK_MS = 60_000
"""A venue's clock may be a little ahead of ours."""
OPEN_SECONDS_MIN = 60.0
TRIPPED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What parsing raises over values of the wrong kind."""
MARKET_TABLES = (
    *("markets", "markets_by_id", "symbols", "ids", "currencies", "currencies_by_id", "codes", "baseCurrencies"),
    *("quoteCurrencies", "markets_loading"),
)
"""What the client keeps of the markets; restored when a reload fails."""
RAW_SIZES = ("positionAmt", "pos", "size", "holdVol", "currentQty", "total", "szi", "volume", "qty", "contracts")
"""What venues call the size of a position."""
T = TypeVar("T")


@dataclass(slots=True)
class Connection:
    """The client of one venue and what is needed to use it; observer and trader share one."""

    name: str
    exchange_id: str
    client: CcxtClient
    guard: Guard
    capability: Capability
    budget: Budget
    clock: Clock
    read_seconds: float
    order_seconds: float
    unlisted: tuple[VenueError, ...] = ()
    """Why lists of markets are missing: what they would show is not known, which is not the same as not there."""
    untold: VenueError | None = None
    """Why it is not known of what kind the account is: its wallets are read as if it were of the usual one."""
    missed: set[str] = field(default_factory=set)
    """Symbols that were asked for, and may be in a list that is missing."""
    margin_modes: dict[str, str] = field(default_factory=dict)
    """Cross or isolated by symbol, where an order has to say it: what was set, or what a position shows."""
    shown: dict[str, tuple[str | None, Decimal | None]] = field(default_factory=dict)
    """Margin mode and leverage by symbol, as positions show them or as they were set, where both are one setting."""
    described: Capability = field(init=False)
    """The venue as the table has it; ``capability`` is what holds for this account."""
    _nothing_in: str | None = None
    """A list of markets in which nothing was that could be understood."""
    _has_told: bool = False
    _instruments: dict[str, Instrument] = field(default_factory=dict)
    _about: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.described = self.capability

    async def open(self) -> None:
        """Load the markets, anew when they are there already; a reload that fails leaves what was known.

        Where the client loads them from several lists, a first load takes what it gets: ``unlisted`` says what failed.
        """
        client: Any = self.client
        known = {name: getattr(client, name, None) for name in MARKET_TABLES}
        in_parts = self.capability.markets_in_parts and (not known["markets"] or bool(self.unlisted))
        try:
            async with self.deadline(max(OPEN_SECONDS_MIN, self.read_seconds)):
                unlisted = await self.ask(lambda: self._load(known["markets"], in_parts), Urgency.READ, "markets")
        except VenueError:
            for name, value in known.items():
                setattr(client, name, value)
            raise
        self.unlisted = unlisted
        await self._tell_account_kind()
        self._instruments.clear()
        self._about.clear()

    async def _tell_account_kind(self) -> None:
        """Take the description of this kind of account; the usual one where the venue does not say, or shows that what
        it says is not so: some still name the kind that an account was of before.
        """
        asked = self.described.account_kinds
        if asked is None:
            return
        read, name, kinds = asked
        self.untold = None
        try:
            async with self.deadline():
                # A cover stands on what kind the account is: it goes on within a wait.
                row = (await self.rows(read, level=Urgency.POSITION))[0]
        except VenueError as failure:
            passes = isinstance(failure, UnreachableError | RateLimitedError | ClockRefusedError | BadReadingError)
            if passes and not self._has_told:
                self.untold = failure
            return
        self._has_told = True
        kind = kinds.get(str(row.get(name)), self.described)
        self.capability = kind if kind.proof is None or await self._is_answered(kind.proof) else self.described

    async def tell_again(self) -> VenueError | None:
        """Why it was not known until now of what kind the account is; asked once more where it was not."""
        before = self.untold
        if before is not None:
            await self._tell_account_kind()
        return before

    async def _is_answered(self, proof: Read) -> bool:
        """Whether the venue has an answer to a question; an outage is no sign that it has none."""
        try:
            async with self.deadline():
                await self.rows(proof, level=Urgency.POSITION)
        except VenueError as failure:
            return type(failure) not in (VenueError, BadReadingError)
        return True

    async def _load(self, known: Mapping[str, Row] | None, in_parts: bool) -> tuple[VenueError, ...]:
        """Load the markets; the failures of lists that are missing from them."""
        lists = Unread(self.capability.no_rows)
        token, long = UNREAD_LISTS.set(lists if in_parts else None), LISTS_MARKETS.set(True)
        try:
            await self.client.load_markets(bool(known))
        finally:
            UNREAD_LISTS.reset(token)
            LISTS_MARKETS.reset(long)
        unread = [(failure, answer) for failure, answer in lists.failed if not self._is_aside(answer)]
        failed = [answer for _, answer in lists.failed]
        faults = [
            reading_error(failure, [answer], self.capability.codes, self.guard.secrets) for failure, answer in unread
        ]
        faults += [
            BadReadingError(f"{answer.path} answered without a list")
            for answer in ANSWERS.get() or []
            if not any(answer is each for each in failed) and not _has_list(answer.body) and not self._is_aside(answer)
        ]
        now = kinds(self.client.markets)
        limited = next((fault for fault in faults if isinstance(fault, RateLimitedError)), None)
        if limited is not None or (faults and (not in_parts or not now.total())):
            raise limited or faults[0]
        if not faults and not now["linear"] + now["inverse"]:
            raise BadReadingError("the venue shows no contracts")
        lost = [kind for kind, count in kinds(known).items() if now[kind] < count / 2]
        if lost:
            raise BadReadingError(f"most of the {lost[0]} markets are gone from the list")
        asked = [answer for answer in ANSWERS.get() or [] if not self._is_aside(answer)]
        self._nothing_in = barren(asked, self.client.markets or {})
        return tuple(faults)

    def _is_aside(self, answer: Answer) -> bool:
        """Whether an answer is to what a client asks beside the lists, about the account: a yes or no, or a row."""
        if isinstance(answer.body, Mapping) and isinstance(answer.body.get("data"), bool):
            return True
        return any(answer.path.endswith(path) for path in self.capability.asked_aside)

    async def close(self) -> None:
        """Give back every socket."""
        await self.client.close()

    @asynccontextmanager
    async def deadline(self, seconds: float | None = None) -> AsyncIterator[None]:
        """At most so long for everything inside; the default is a reading's.

        This is also the edge at which the client's parsers, or ours, may trip over an answer that nobody foresaw: that
        is a bad reading, and never an end of the loop.
        """
        limit = self.read_seconds if seconds is None else seconds
        failure: VenueError
        try:
            async with asyncio.timeout(limit):
                yield
            return
        except TimeoutError:
            failure = UnreachableError(f"{self.name}: no answer within {limit:g} s")
        except VenueError as error:
            # What could not be understood is repeated in the error, and a venue may answer with anything.
            cleanse(error, self.guard.secrets)
            raise
        except TRIPPED as error:
            failure = BadReadingError(f"{self.name}: the answer makes no sense: {say(error, self.guard.secrets)}")
        raise failure

    def clean(self, text: str) -> str:
        """A text that repeats what the venue wrote, as it may be shown."""
        return redact(text, self.guard.secrets)

    async def ask(self, call: Callable[[], Awaitable[T]], level: Urgency, what: str) -> T:
        """One call of the client; what it raises is a :class:`VenueError` without secrets or addresses in it."""
        answers: list[Answer] = []
        token = ANSWERS.set(answers)
        try:
            with urgency(level):
                return await call()
        except Exception as raised:  # noqa: BLE001 - the client raises anything; each becomes one typed error below
            failure = reading_error(raised, answers, self.capability.codes, self.guard.secrets)
        finally:
            ANSWERS.reset(token)
        if not isinstance(failure, VenueError) or failure.args:
            failure.args = (self._named(str(failure), what), *failure.args[1:])
        raise failure

    def _named(self, text: str, what: str) -> str:
        return text if text.startswith(f"{self.name} ") else f"{self.name} {what}: {text}"

    async def unified(self, method: str, *args: Any, level: Urgency = Urgency.READ) -> Any:
        """One of the client's own unified calls.

        The client makes an empty list of an answer that it does not understand, so an empty list counts only when the
        venue's own answer has one; and no positions at all, only when no row of that answer has a size.
        """
        call = getattr(self.client, method)

        async def checked() -> Any:
            result = await call(*args)
            answers = ANSWERS.get() or []
            body = answers[-1].body if answers else None
            if result == [] and answers and not _has_list(body):
                raise BadReadingError(f"{self.name} {method}: the client says none, but the answer has no list in it")
            if method == "fetch_positions" and args[:1] == (None,) and not _is_held(result) and _has_size(body):
                raise BadReadingError(
                    f"{self.name} {method}: the client says none, but the answer has rows with a size"
                )
            return result

        return await self.ask(checked, level, method)

    async def raw(self, read: Read, params: Mapping[str, Any], level: Urgency = Urgency.READ) -> Any:
        """The venue's own answer to one request."""
        method = getattr(self.client, read.method)
        sent = {**read.params, **params}
        return await self.ask(lambda: method(sent), level, read.method)

    async def rows(
        self, read: Read, params: Mapping[str, Any] | None = None, level: Urgency = Urgency.READ
    ) -> list[Row]:
        """All rows of a reading, to the last page; asked in another way where the venue does not answer the first."""
        try:
            return await self._pages(read, params or {}, level)
        except VenueError as failure:
            # an outage, a refusal or nonsense is what it is; only a question that the venue does not have is another's
            if read.otherwise is None or type(failure) is not VenueError:
                raise
            return await self.rows(read.otherwise, params, level)

    async def _pages(self, read: Read, params: Mapping[str, Any], level: Urgency) -> list[Row]:
        sent: dict[str, Any] = dict(params)
        if read.limit is not None:
            sent[read.limit_param] = read.limit
        if read.cursor is not None and read.cursor.first is not None:
            sent[read.cursor.param] = read.cursor.first
        found: list[Row] = []
        what = f"{self.name} {read.method}"
        for _ in range(PAGES_MAX):
            answer = await self.raw(read, sent, level)
            page = rows_at(answer, read.rows, what, single=read.single, blank_is_empty=read.blank_is_empty)
            found.extend(page)
            following = _next(read, answer, page, sent)
            if following is None:
                return found
            sent[str(read.cursor.param) if read.cursor else ""] = following
        raise BadReadingError(f"{what}: the list does not end within {PAGES_MAX} pages")

    def windows(self, since_ms: int, width_ms: int) -> list[tuple[int, int]]:
        """Spans of at most ``width_ms`` from ``since_ms`` until now, the newest ones where there are too many."""
        now = self.clock.now_ms() + CLOCK_SLACK_MS
        starts = range(since_ms, max(now, since_ms + 1), width_ms + 1)
        return [(start, min(start + width_ms, now)) for start in starts][-WINDOWS_MAX:]

    # Markets

    def markets(self) -> Mapping[str, Row]:
        """Every market by its unified symbol; raises while they are not loaded."""
        if not self.client.markets:
            raise VenueError(f"{self.name}: the markets are not loaded")
        return self.client.markets

    def market(self, symbol: str) -> Row:
        """The client's market behind a symbol of a contract."""
        markets = self.markets()
        if symbol not in markets and self.unlisted:
            self.missed.add(symbol)
            refused = next((fault for fault in self.unlisted if isinstance(fault, HostRefusedError)), None)
            kind = UnreadMarketError if refused is None else HostRefusedError
            raise kind(
                f"{self.name}:{symbol} is in no list of markets that could be read, and a list is missing: "
                f"{refused or self.unlisted[0]}"
            )
        unsure = None if symbol in markets else doubt(symbol, markets, self._nothing_in)
        if unsure is not None:
            self.missed.add(symbol)
            raise UnreadMarketError(
                f"{self.name}:{symbol} is in no list of markets that makes sense: {self.clean(unsure)}"
            )
        if symbol not in markets:
            contracts = [
                name for name, market in markets.items() if market.get("contract") and not market.get("option")
            ]
            raise unknown_symbol(self.name, symbol, contracts)
        return markets[symbol]

    def is_about(self, read: Read) -> bool:
        """Whether the venue has any market that a listing is about; raises while the markets are not loaded."""
        if read.about is None:
            return True
        known = self._about.get(id(read))
        if known is None:
            known = self._about[id(read)] = any(read.about(market) for market in self.markets().values())
        return known

    def market_by_id(self, market_id: Any, product: Product) -> Row | None:
        """The contract of a product that the venue calls ``market_id``."""
        by_id = self.client.markets_by_id or {}
        found = by_id.get(str(market_id), [])
        return next((market for market in found if product.covers(market)), None)

    def instrument(self, symbol: str) -> Instrument:
        """The contract behind a unified symbol."""
        known = self._instruments.get(symbol)
        if known is None:
            known = instrument_of(self.name, self.market(symbol), self.capability, self.client.precisionMode)
            self._instruments[symbol] = known
        return known

    def seen(self, symbol: str) -> Instrument:
        """The contract behind a position that is there, also where it could not carry a hedge."""
        return instrument_of(
            self.name, self.market(symbol), self.capability, self.client.precisionMode, to_hedge_with=False
        )

    def is_missed(self, symbol: str) -> bool:
        """Whether a symbol may be in a list of markets that could not be read."""
        return symbol in self.missed and symbol not in self.markets()

    def unit(self, symbol: str) -> Decimal:
        """What one contract is in the amount of an order."""
        return unit_of(self.market(symbol), self.capability)

    def order(self, row: Row, market: Row) -> Row:
        """An order of the venue in the client's form, without the figures that the client makes up for blank ones."""
        stated = {ours: row.get(theirs) for ours, theirs in self.capability.order_figures.items()}
        if self.capability.order_sides:
            stated["side"] = self.capability.order_sides.get(str(row.get("side")))
        return self.restated({**self.client.parse_order(row, market), **stated})

    def restated(self, order: Row) -> Row:
        """An order in the client's form, its state as the venue means it."""
        info = order.get("info")
        for name, states in self.capability.order_states.items():
            said = str(info.get(name)).upper() if isinstance(info, Mapping) else ""
            if said in states:
                return {**order, "status": states[said]}
        return order

    def keys(self, market: Row, product: Product | None) -> dict[str, Any]:
        """The parameters by which the venue's raw endpoints name a market."""
        name = product.symbol_param if product is not None else "symbol"
        return {name: market["id"], **self.capability.params_by_product(market)}


def _has_list(body: Any, depth: int = 3) -> bool:
    """Whether an answer holds a list, or a null where one would be, not too deep down."""
    if isinstance(body, list):
        return True
    if not isinstance(body, Mapping) or depth == 0:
        return False
    return any(_has_list(part, depth - 1) or (part is None and depth < 3) for part in body.values())


def _has_size(body: Any, depth: int = 4) -> bool:
    """Whether some row of a list in an answer, not too deep down, has a size that is not zero."""
    if depth == 0 or not isinstance(body, list | Mapping):
        return False
    parts = body if isinstance(body, list) else list(body.values())
    rows = [part for part in body if isinstance(part, Mapping)] if isinstance(body, list) else []
    return any(_is_some(row.get(name)) for row in rows for name in RAW_SIZES) or any(
        _has_size(part, depth - 1) for part in parts
    )


def _is_held(rows: Any) -> bool:
    """Whether one of the client's positions has a size."""
    return isinstance(rows, list) and any(_is_some(row.get("contracts")) for row in rows if isinstance(row, Mapping))


def _is_some(value: Any) -> bool:
    """Whether a field of an answer is a number other than zero."""
    try:
        return isinstance(value, str | int | float) and not isinstance(value, bool) and float(value) != 0
    except ValueError:
        return False


def _next(read: Read, answer: Any, page: list[Row], sent: Mapping[str, Any]) -> Any:
    """The cursor of the page after this one, or None at the end."""
    cursor = read.cursor
    if cursor is None or not page:
        return None
    if cursor.first is not None:
        return sent[cursor.param] + 1 if read.limit is not None and len(page) >= read.limit else None
    if cursor.last_row is not None:
        return page[-1].get(cursor.last_row) if read.limit is not None and len(page) >= read.limit else None
    part = answer
    for step in cursor.path:
        part = part.get(step) if isinstance(part, Mapping) else None
    return part if part and part != sent.get(cursor.param) else None


async def settled(*calls: Coroutine[Any, Any, T]) -> list[T | VenueError]:
    """Run calls at once and wait for all of them; a venue's failure is a value, any other is raised."""
    results: Iterable[T | BaseException] = await asyncio.gather(*calls, return_exceptions=True)
    done: list[T | VenueError] = []
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, VenueError):
            raise result
        done.append(result)
    return done


async def together(*calls: Coroutine[Any, Any, T]) -> list[T]:
    """Run calls at once, wait for all of them, and raise the first failure; none is left running or unread."""
    results: Iterable[T | BaseException] = await asyncio.gather(*calls, return_exceptions=True)
    done: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done
