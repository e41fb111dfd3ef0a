"""How a paper account begins: with what the configuration names, or with what the real account holds at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import structlog

from keeper.core.model import Instrument
from keeper.venue.base import BadReadingError, EmptyReadingError
from keeper.venue.paper.account import Account, Begun
from keeper.venue.paper.market import Market
from keeper.venue.paper.terms import Opening, Terms

log = structlog.get_logger(__name__)

__all__ = ["Begun", "begin"]

Wallets = Mapping[str, Mapping[str, Decimal]]
Openings = list[tuple[Instrument, Opening]]


async def begin(account: Account, market: Market, terms: Terms) -> None:
    """Begin ``account``; raises :class:`~keeper.venue.base.VenueError`, and then it has not begun."""
    if terms.from_account:
        wallets, openings = await _of_the_real_one(market, terms)
        read: tuple[str, ...] | None = terms.read_wallets
    else:
        wallets, read = terms.wallets, None
        openings = [(market.source.instrument(symbol), each) for symbol, each in terms.positions.items()]
    with account.change():
        account.begin(wallets, openings, market.now_ms(), read)


async def _of_the_real_one(market: Market, terms: Terms) -> tuple[Wallets, Openings]:
    """What the real account holds: its wallets, net of debt and without open profit, and its positions."""
    source, wallets = market.source, dict[str, Mapping[str, Decimal]]()
    for name in terms.read_wallets:
        try:
            read = await source.wallet(name)
            wallets[name] = dict(read.told(*read.unread).totals)
        except EmptyReadingError:
            if name == "" or name in terms.needed_wallets:
                raise
            wallets[name] = {}  # a wallet for contracts, or of coins nobody counts, that has never been used
    book = await source.positions()
    if book.faults:
        raise book.faults[0]
    if book.unread:
        raise BadReadingError(f"{source.name}: the positions could not all be read, so no paper account can begin")
    openings: Openings = []
    for position in book.positions:
        entry = position.entry_price
        if entry is None:
            entry = (await market.marks_of([position.instrument]))[position.instrument.id.symbol]
            log.warning("paper_entry_unknown", instrument=str(position.instrument.id), taken_for=str(entry))
        openings.append((position.instrument, Opening(position.contracts, entry)))
    return wallets, openings
