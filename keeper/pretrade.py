"""The last look before an order leaves: the visible book, read only when an order has been approved.

The book is newer than everything that the decision stands on, and than our own last write on the symbol: nothing is
sent between the look and it. It only ever makes an order smaller, or keeps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from keeper.core.limits import Limits, RefusedPlan, as_approved, fit_to_book
from keeper.core.model import NO_BASE, Exposure, Hold, Rebalance
from keeper.core.quotes import Book
from keeper.venue.base import VenueError
from keeper.venue.further import Books

if TYPE_CHECKING:
    from keeper.judging import Judgement

log = structlog.get_logger(__name__)

LEVELS = 50


async def fit_all(judged: Sequence[Judgement], books: Mapping[str, Books], limits: Limits) -> tuple[Judgement, ...]:
    """Each approved order cut to its visible book, or refused; as it is where the venue has no book to read."""
    if all(judgement.approved is None for judgement in judged):
        return tuple(judged)
    return tuple(await asyncio.gather(*(_fit(judgement, books, limits) for judgement in judged)))


async def _fit(judgement: Judgement, books: Mapping[str, Books], limits: Limits) -> Judgement:
    approved, decision = judgement.approved, judgement.decision
    if approved is None or judgement.plan is None or not isinstance(decision, Rebalance):
        return judgement
    venue = books.get(approved.next.instrument.venue)
    if venue is None or approved.next.rests:
        return judgement
    exposure = judgement.at or judgement.exposure
    verdict = fit_to_book(approved, exposure, limits, await _book(venue, exposure))
    if isinstance(verdict, RefusedPlan):
        return replace(judgement, decision=Hold(verdict.reasons), approved=None)
    news = tuple(reason for reason in verdict.reasons if reason not in approved.reasons)
    drift = exposure.drift_base or NO_BASE
    placed = as_approved(judgement.plan, verdict, drift, judgement.worth, judgement.elsewhere)
    return replace(judgement, plan=placed, approved=verdict, reasons=(*judgement.reasons, *news))


async def _book(books: Books, exposure: Exposure) -> Book | None:
    """The book, or None: a reading that fails here stops nothing, because the limit price caps the slippage as well."""
    try:
        return await books.book(exposure.hedge.instrument, LEVELS)
    except VenueError as error:
        log.warning("book_not_read", instrument=str(exposure.hedge.instrument.id), code=error.code, text=str(error))
        return None
