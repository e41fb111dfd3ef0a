"""The slopes that cross hedges go by: taken from the journal, estimated from the venue's candles, written down.

A slope moves its hedge's target when it is refreshed, and at no other time; a restart goes on with the same one. An
estimate that is refused leaves the last good one to covers alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Protocol

import structlog

from keeper.clock import Clock
from keeper.core.beta import Method, Slope, Terms, estimate, paired
from keeper.core.model import ONE, Hedge
from keeper.journal import codec
from keeper.journal.base import Event, JournalError
from keeper.venue.base import UnknownSymbolError, VenueError
from keeper.venue.further import Candles, NotOfferedError

log = structlog.get_logger(__name__)

KIND = "beta"
RETRY_MS = 3_600_000
"""How soon a history that could not be read, or was refused, is looked at again."""
OLD_REFRESHES = 2
"""An estimate that could not be refreshed for this many times its term carries no new short."""
DOLLARS = ("USDT", "USDC", "USD")
"""Quotes of the asset's candles that stand in for the contract's, where there is no market in that one."""


@dataclass(frozen=True, slots=True)
class WantedSlope:
    """What the configuration says of one asset's slope: a number, or by which terms it is estimated.

    ``symbol`` is the market of the asset's candles, None for the asset in the contract's quote money. A change by more
    than ``jump``, a share of the old slope, is told.
    """

    asset: str
    stated: Decimal | None = None
    terms: Terms = field(default_factory=Terms)
    timeframe: str = "1h"
    symbol: str | None = None
    jump: Decimal = Decimal("0.25")

    def first(self) -> Slope:
        """The slope before any history was looked at."""
        if self.stated is not None:
            return Slope(self.asset, Method.STATED, self.stated)
        return Slope(self.asset, self.terms.method, None, refused="it has not been estimated yet")


@dataclass(frozen=True, slots=True)
class _Kept:
    """The journal's form of one hedge's slopes."""

    slopes: tuple[Slope, ...]


class Kept(Protocol):
    """Where slopes are kept: a journal, or a reader of one."""

    async def events(self, kind: str, subject: str, limit: int = 1) -> Sequence[Event]:
        """The last events of a kind about one subject, oldest first."""
        ...


class Written(Protocol):
    """Where a new slope is written down."""

    async def event(self, event: Event) -> None:
        """Write an event; it has survived a crash when this returns."""
        ...


class Betas:
    """Knows the slopes of every cross hedge and when each has to be looked at again."""

    def __init__(
        self, wanted: Mapping[str, Sequence[WantedSlope]], readers: Mapping[str, Candles], clock: Clock
    ) -> None:
        self._wanted = {name: tuple(slopes) for name, slopes in wanted.items() if slopes}
        self._readers = dict(readers)
        self._clock = clock
        self._slopes = {name: tuple(each.first() for each in slopes) for name, slopes in self._wanted.items()}

    def dress(self, hedges: Sequence[Hedge]) -> tuple[Hedge, ...]:
        """The hedges with the slopes that are in force."""
        return tuple(self._dressed(hedge) for hedge in hedges)

    def _dressed(self, hedge: Hedge) -> Hedge:
        slopes = self._slopes.get(hedge.name, ())
        ours = {slope.asset: slope.beta for slope in slopes if slope.beta not in (None, ONE)}
        kept = {asset: beta for asset, beta in hedge.betas.items() if asset not in {slope.asset for slope in slopes}}
        return replace(hedge, slopes=slopes, betas=kept | {asset: beta for asset, beta in ours.items() if beta})

    async def recall(self, kept: Kept) -> None:
        """Take up the slopes that were in force; raises :class:`JournalError`."""
        for name, wanted in self._wanted.items():
            for event in await kept.events(KIND, name):
                try:
                    before = {slope.asset: slope for slope in codec.loads(_Kept, event.detail).slopes}
                except JournalError as error:
                    log.warning("beta_not_understood", hedge=name, text=str(error))
                    continue
                self._slopes[name] = tuple(_taken_up(each, before.get(each.asset)) for each in wanted)

    async def refresh(self, hedges: Sequence[Hedge], written: Written | None = None) -> tuple[Hedge, ...]:
        """Look at every history that is due, write down what came of it, and dress the hedges anew.

        Raises :class:`JournalError`; what a venue does not answer leaves the slope as it was, for a while.
        """
        now_ms = self._clock.now_ms()
        for hedge in hedges:
            wanted, before = self._wanted.get(hedge.name, ()), self._slopes.get(hedge.name, ())
            after = tuple(
                await asyncio.gather(
                    *(self._look(hedge, each, slope, now_ms) for each, slope in zip(wanted, before, strict=True))
                )
            )
            if after == before:
                continue
            if written is not None:
                detail = codec.dumps(_Kept, _Kept(after))
                await written.event(Event(KIND, hedge.name, now_ms, detail))
            self._slopes[hedge.name] = after
            for old, new in zip(before, after, strict=True):
                _tell(hedge.name, old, new)
        return self.dress(hedges)

    async def _look(self, hedge: Hedge, wanted: WantedSlope, before: Slope, now_ms: int) -> Slope:
        if not _due(wanted, before, _terms_of(hedge, wanted), now_ms):
            return before
        fresh = _kept_under(hedge, wanted, before)
        try:
            asset, contract = await self._closes(hedge, wanted, now_ms)
        except VenueError as error:
            return _unread(wanted, fresh, now_ms, str(error))
        found = estimate(wanted.terms, paired(asset, contract, wanted.terms.bar_ms), now_ms, wanted.stated)
        looked = replace(fresh, tried_ms=now_ms, estimate=found, refused=found.refused)
        if wanted.stated is not None or found.refused is not None or found.beta is None:
            return looked
        old = fresh.beta
        leapt = old is not None and abs(found.beta / old - 1) > wanted.jump
        return replace(looked, beta=found.beta, since_ms=now_ms, jumped_from=old if leapt else None)

    async def _closes(
        self, hedge: Hedge, wanted: WantedSlope, now_ms: int
    ) -> tuple[Mapping[int, float], Mapping[int, float]]:
        """Closes of both legs by the time at which each bar opened; the last bar is the last that has closed."""
        reader = self._readers.get(hedge.instrument.id.venue)
        if reader is None:
            raise NotOfferedError(f"{hedge.instrument.id.venue} has no candles to estimate from")
        bar = wanted.terms.bar_ms
        until = now_ms // bar * bar
        since = until - (wanted.terms.lookback + 1) * bar

        async def closes(*symbols: str) -> Mapping[int, float]:
            for symbol in symbols[:-1]:
                try:
                    candles = await reader.candles(symbol, wanted.timeframe, since, until)
                except UnknownSymbolError:
                    continue
                return {each.open_ms: float(each.close) for each in candles}
            candles = await reader.candles(symbols[-1], wanted.timeframe, since, until)
            return {each.open_ms: float(each.close) for each in candles}

        return await asyncio.gather(closes(*_markets(hedge, wanted)), closes(hedge.instrument.id.symbol))


def _markets(hedge: Hedge, wanted: WantedSlope) -> tuple[str, ...]:
    """Where the asset's candles are looked for: its spot market, in like money where the contract's own has none."""
    if wanted.symbol is not None:
        return (wanted.symbol,)
    quote = hedge.instrument.quote
    like = [each for each in DOLLARS if quote in DOLLARS and each != quote]
    return (*(f"{wanted.asset}/{each}" for each in (quote, *like)), f"{wanted.asset}/{quote}:{quote}")


def _terms_of(hedge: Hedge, wanted: WantedSlope) -> str:
    """What a slope was estimated on; another contract is another slope, and other terms make it due."""
    what = " ".join(f"{each.name}={getattr(wanted.terms, each.name)}" for each in fields(wanted.terms))
    what = what if wanted.stated is None else f"{wanted.stated} {what}"
    return f"{hedge.instrument.id} {what} {wanted.symbol or ''}".rstrip()


def _due(wanted: WantedSlope, slope: Slope, terms: str, now_ms: int) -> bool:
    """Whether it is time: sooner after a look that came to nothing."""
    if slope.tried_ms is None or slope.terms != terms:
        return True
    good = slope.estimate is not None if wanted.stated is not None else slope.since_ms == slope.tried_ms
    refresh_ms = wanted.terms.refresh_ms
    return now_ms - slope.tried_ms >= (refresh_ms if good else min(refresh_ms, max(RETRY_MS, wanted.terms.bar_ms)))


def _kept_under(hedge: Hedge, wanted: WantedSlope, before: Slope) -> Slope:
    """The slope as it goes into a new look; one that was for another contract is none."""
    terms = _terms_of(hedge, wanted)
    if before.terms and not before.terms.startswith(f"{hedge.instrument.id} "):
        return replace(wanted.first(), terms=terms)
    return replace(before, terms=terms, jumped_from=None)


def _taken_up(wanted: WantedSlope, before: Slope | None) -> Slope:
    """A slope out of the journal; what is stated now counts, and a stated one is no estimate."""
    if before is None or wanted.stated is not None or before.method is Method.STATED:
        first = wanted.first()
        same = before is not None and before.method is first.method and before.beta == first.beta
        return before if same and before is not None else first
    return replace(before, method=wanted.terms.method)


def _unread(wanted: WantedSlope, slope: Slope, now_ms: int, text: str) -> Slope:
    """The history could not be read: what was good stays good for a while."""
    if wanted.stated is not None:
        return replace(slope, tried_ms=now_ms, estimate=None)
    why = f"its candles cannot be read: {text}"
    since = slope.since_ms
    if slope.beta is None or since is None:
        return replace(slope, tried_ms=now_ms, refused=why)
    old = now_ms - since > OLD_REFRESHES * wanted.terms.refresh_ms
    return replace(slope, tried_ms=now_ms, refused=why if old else slope.refused)


def _tell(hedge: str, old: Slope, new: Slope) -> None:
    if new.refused is not None and new.refused != old.refused:
        log.warning("beta_refused", hedge=hedge, asset=new.asset, text=new.refused)
    if new.beta != old.beta:
        known = {"was": old.beta, "now": new.beta}  # what was not known is left out
        figures = {key: str(beta) for key, beta in known.items() if beta is not None}
        log.info("beta", hedge=hedge, asset=new.asset, **figures, method=new.method.value)
