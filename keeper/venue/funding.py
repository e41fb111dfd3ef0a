"""Funding as the venue's own ledger has it: positive was received, in what the contract settles in."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from keeper.core.model import Instrument
from keeper.venue.base import FundingEntry
from keeper.venue.budget import Urgency
from keeper.venue.connection import Connection
from keeper.venue.figures import Row, decimal_of
from keeper.venue.parsing import rows_at

PAGE = 100
PAGES_MAX = 30


async def funding_entries(at: Connection, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
    """Payments since then, oldest first; empty where the sign of the venue's figures is not known."""
    sign = at.capability.funding_sign
    if sign == 0 or at.client.has.get("fetchFundingHistory") is not True:
        return ()
    if at.capability.funding_read is not None:
        return await _raw_entries(at, instrument, since_ms)
    width = at.capability.funding_window_ms
    spans: Sequence[tuple[int, int | None]] = [(since_ms, None)] if width is None else at.windows(since_ms, width)
    found: dict[str, FundingEntry] = {}
    for begin, end in spans:
        start = begin
        for _ in range(PAGES_MAX):
            page = await _page(at, instrument, start, end)
            entries = [_entry(row, instrument, sign) for row in page]
            fresh = [entry for entry in entries if entry.entry_id not in found]
            found.update({entry.entry_id: entry for entry in fresh})
            if not fresh or len(page) < PAGE:
                break
            start = max(entry.at_ms for entry in fresh)
    recent = (entry for entry in found.values() if entry.at_ms >= since_ms)
    return tuple(sorted(recent, key=lambda entry: (entry.at_ms, entry.entry_id)))


async def _raw_entries(at: Connection, instrument: Instrument, since_ms: int) -> tuple[FundingEntry, ...]:
    recipe = at.capability.funding_read
    assert recipe is not None  # noqa: S101 - asked only where there is one
    read, since, paid = recipe
    market = at.market(instrument.id.symbol)
    product = at.capability.product_of(market)
    name = product.fields.symbol if product is not None else "symbol"
    found: dict[str, FundingEntry] = {}
    async with at.deadline():
        rows = await at.rows(read, {**at.keys(market, product), since: since_ms}, Urgency.READ)
        for row in rows:
            if row.get(name) == market["id"]:
                at_ms, amount = int(decimal_of(row.get("ts"), "funding ts")), paid(row) * at.capability.funding_sign
                ident = str(row["billId"])
                found[ident] = FundingEntry(ident, instrument.id, amount, instrument.settle, at_ms)
    recent = (entry for entry in found.values() if entry.at_ms >= since_ms)
    return tuple(sorted(recent, key=lambda entry: (entry.at_ms, entry.entry_id)))


async def _page(at: Connection, instrument: Instrument, start: int, end: int | None) -> list[Row]:
    call = at.client.fetch_funding_history
    symbol = instrument.id.symbol
    params = {"limit": PAGE} if end is None else {"limit": PAGE, "until": end}
    async with at.deadline():
        answer = await at.ask(lambda: call(symbol, start, PAGE, params), Urgency.READ, "funding")
        return rows_at(answer, (), f"{at.name} funding")


def _entry(row: Row, instrument: Instrument, sign: int) -> FundingEntry:
    """One payment; the currency that the client names is wrong for coin-margined contracts on some venues."""
    at_ms = int(decimal_of(row.get("timestamp"), "funding timestamp"))
    amount = decimal_of(row.get("amount"), "funding amount")
    name = str(row.get("id") or at_ms)
    return FundingEntry(name, instrument.id, amount * Decimal(sign), instrument.settle, at_ms)
