"""From the venue's rows to core types, strictly: what cannot be understood is an error that names the field.

Amounts arrive as the venue's own text and become Decimal without passing through float. A size of zero is flat whatever
the derived fields beside it say, and no derived field ever makes a position.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal, DivisionByZero, InvalidOperation
from typing import Any

from keeper.core.model import (
    NO_QUOTE,
    ZERO,
    Contracts,
    Instrument,
    InstrumentId,
    Kind,
    Mark,
    Position,
    Quote,
)
from keeper.venue.base import BadReadingError, EmptyReadingError, UnknownSymbolError
from keeper.venue.figures import Row, decimal_of, shown, stated, step_of
from keeper.venue.recipes import Capability, Fields, Path

USD_LIKE = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "USDE", "TUSD", "DAI"})
NOTIONAL_TOLERANCE = Decimal("0.1")
PROFIT_TOLERANCE = Decimal("0.05")
"""Of what the position is worth in coins."""
WHOLE = Context(prec=25)
"""Leaves off the last digits of two divisions, so that 60,000 comes back as that."""


def at(answer: Any, path: Path, what: str) -> Any:
    """What an answer holds at ``path``; raises when any step of it is not there."""
    part = answer
    for step in path:
        if isinstance(step, tuple):
            part = _row_that_says(part, *step, what)
            continue
        inside = step in part if isinstance(part, Mapping) else isinstance(part, list) and step in range(len(part))
        if inside:
            part = part[step]
        elif isinstance(step, int) and part == []:
            raise EmptyReadingError(f"{what}: {'.'.join(map(str, path))} is an empty list")
        else:
            raise BadReadingError(f"{what}: the answer has no {'.'.join(map(str, path))}")
    return part


def _row_that_says(part: Any, field: str, text: str, what: str) -> Any:
    """The one row whose field has this text; one that does not say may be it, one that says otherwise is not."""
    if part == []:
        raise EmptyReadingError(f"{what}: the list is empty")
    rows = [row for row in part if isinstance(row, Mapping)] if isinstance(part, list) else []
    found = [row for row in rows if row.get(field) in (text, None, "")]
    if len(found) != 1:
        raise BadReadingError(f"{what}: {len(found)} rows have {field} {text}")
    return found[0]


def rows_at(answer: Any, path: Path, what: str, *, single: bool = False, blank_is_empty: bool = False) -> list[Row]:
    """The rows of an answer; anything that is not a list of objects is an error, never an empty list."""
    found = at(answer, path, what)
    if found is None and blank_is_empty:
        return []
    if single:
        found = [found]
    if not isinstance(found, list):
        raise BadReadingError(f"{what}: {'.'.join(map(str, path)) or 'the answer'} is not a list")
    for row in found:
        if not isinstance(row, Mapping):
            raise BadReadingError(f"{what}: a row is {row!r:.40}, not an object")
    return found


def positive(row: Row, name: str, what: str) -> Decimal:
    """A number above zero."""
    number = decimal_of(row.get(name), f"{what} {name}")
    if number <= 0:
        raise BadReadingError(f"{what} {name} is {number}, not above zero")
    return number


def optional_positive(row: Row, name: str, what: str) -> Decimal | None:
    """A number above zero, or None where the venue left it blank or wrote zero for "none"."""
    if not stated(row, name):
        return None
    number = decimal_of(row[name], f"{what} {name}")
    if number < 0:
        raise BadReadingError(f"{what} {name} is {number}, negative")
    return number or None


# Instruments


def _limit(market: Row, group: str, side: str) -> Decimal | None:
    limits = market.get("limits") or {}
    value = (limits.get(group) or {}).get(side)
    return None if value is None else decimal_of(value, f"{market.get('symbol')} limits.{group}.{side}")


def contract_size_of(market: Row, capability: Capability) -> Decimal:
    """Base units (linear) or quote units (inverse) of one contract."""
    if market.get("inverse") and capability.inverse_contract_size is not None:
        return capability.inverse_contract_size
    told_as, told = capability.inverse_size_told_as, market.get("info")
    if market.get("inverse") and told_as is not None and isinstance(told, Mapping) and not stated(told, told_as):
        raise BadReadingError(f"{market.get('symbol')} {told_as} is not told")
    return positive(market, "contractSize", str(market.get("symbol")))


def unit_of(market: Row, capability: Capability) -> Decimal:
    """What one contract is in the amount of an order: 1 where the venue counts contracts, else the contract's size."""
    return contract_size_of(market, capability) if capability.amount_is_size else Decimal(1)


def _kind(market: Row, symbol: str) -> Kind:
    settle, base, quote = (str(market.get(name)) for name in ("settle", "base", "quote"))
    if market.get("linear") and (settle == quote or {settle, quote} <= USD_LIKE):
        return Kind.LINEAR
    if market.get("inverse") and settle == base:
        return Kind.INVERSE
    raise UnknownSymbolError(
        f"{symbol} settles in {settle} and not in {quote} or {base}: quanto contracts cannot be hedged with, "
        "because their delta moves with a third price"
    )


def instrument_of(
    venue: str, market: Row, capability: Capability, precision_mode: int, *, to_hedge_with: bool = True
) -> Instrument:
    """A contract from the client's market dict; steps and limits in contracts."""
    symbol = str(market["symbol"])
    if not market.get("contract") or market.get("option"):
        raise UnknownSymbolError(f"{symbol} is not a future or a perpetual; a hedge needs one")
    kind = _kind(market, symbol)
    if kind is Kind.INVERSE and capability.collateral is None and to_hedge_with:
        raise UnknownSymbolError(
            f"{symbol} is coin-margined, and this venue's wallet figure without PnL is not known; use a linear contract"
        )
    size, unit = contract_size_of(market, capability), unit_of(market, capability)
    precision = market.get("precision") or {}
    step = precision.get("amount")
    if step is None and kind is Kind.INVERSE:
        step = _limit(market, "amount", "min")  # whole contracts, of which the least order is one
    largest = [limit for limit in (_limit(market, "amount", "max"), _limit(market, "market", "max")) if limit]
    expiry = market.get("expiry") if market.get("future") else None
    return Instrument(
        id=InstrumentId(venue, symbol),
        base=str(market["base"]),
        quote=str(market["quote"]),
        settle=str(market["settle"]),
        kind=kind,
        contract_size=size,
        step_contracts=Contracts(step_of(step, precision_mode, f"{symbol} precision.amount") / unit),
        tick=step_of(precision.get("price"), precision_mode, f"{symbol} precision.price"),
        min_contracts=Contracts((_limit(market, "amount", "min") or ZERO) / unit),
        max_contracts=Contracts(min(largest) / unit) if largest else None,
        min_notional=Quote(_limit(market, "cost", "min") or NO_QUOTE) if kind is Kind.LINEAR else NO_QUOTE,
        min_notional_on_covers=capability.min_notional_on_covers,
        expires_at_ms=int(expiry) if expiry else None,
    )


def unknown_symbol(venue: str, symbol: str, symbols: Iterable[str]) -> UnknownSymbolError:
    """The error for a symbol that the venue does not have, with the nearest ones."""
    close = difflib.get_close_matches(symbol, list(symbols), n=5, cutoff=0.5)
    hint = f"; the nearest are {', '.join(close)}" if close else ""
    return UnknownSymbolError(f'{venue} has no contract "{symbol}"{hint}', close)


# Positions


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One row, read: signed contracts, and what stands beside them; ``fault`` where a field of it disagrees."""

    contracts: Decimal
    entry: Decimal | None
    liquidation: Decimal | None
    fault: str | None = None


def _signed_size(row: Row, fields: Fields, what: str) -> Decimal:
    size = decimal_of(row.get(fields.size), f"{what} {fields.size}")
    if fields.side is None or size == 0:
        return size
    text = row.get(fields.side)
    sign = fields.sides.get("" if text is None else str(text)) if isinstance(text, str | int | None) else None
    if sign is None:
        raise BadReadingError(f"{what} {fields.side} is {shown(text)} beside a size of {size}")
    if sign == 0 or (fields.signed_side and size < 0 and sign < 0):
        return size
    if size < 0:
        raise BadReadingError(f"{what} {fields.size} is {size}: a size with a side is never negative")
    return size * sign


def _disagreement(row: Row, fields: Fields, instrument: Instrument, contracts: Decimal, what: str) -> str | None:
    """Where a row's own value says another size: a unit mistaken is a factor, so a tenth is tolerance enough.

    Venues value a position at the mark or at its entry, so agreement with either will do.
    """
    inverse = instrument.kind is Kind.INVERSE
    name = fields.notional_inverse if inverse else fields.notional
    if name is None or not stated(row, name):
        return None
    value = abs(decimal_of(row[name], f"{what} {name}"))
    prices = [optional_positive(row, fields.mark, what), _entry_price(row, fields, what)]
    known = [price for price in prices if price is not None]
    if value == 0 or not known:
        return None
    size = abs(contracts) * instrument.contract_size
    if inverse:
        expected = [size / price for price in known] if fields.notional_inverse_in_base else [size]
    else:
        expected = [size * price for price in known]
    if all(abs(value - worth) > worth * NOTIONAL_TOLERANCE for worth in expected):
        return (
            f"{what} {name} is {value}, but {abs(contracts)} contracts are worth {expected[0].normalize():f}: "
            "size and value disagree"
        )
    return None


def _profit_disagreement(row: Row, fields: Fields, instrument: Instrument, contracts: Decimal, what: str) -> str | None:
    """Where the profit that a coin-margined row states is not the one that its entry and its mark give.

    The profit is counted as coins, so that an entry price of another contract makes a fortune or a ruin of nothing. A
    venue may reckon by the last price instead of the mark, which makes no difference of this size.
    """
    entry = _entry_price(row, fields, what)
    if instrument.kind is not Kind.INVERSE or fields.open_pnl is not None or fields.pnl is None or entry is None:
        return None
    if not stated(row, fields.pnl) or not stated(row, fields.mark):
        return None
    told, mark = decimal_of(row[fields.pnl], f"{what} {fields.pnl}"), positive(row, fields.mark, what)
    reckoned = instrument.coin_pnl(Contracts(contracts), entry, mark)
    if abs(told - reckoned) <= abs(contracts) * instrument.contract_size / mark * PROFIT_TOLERANCE:
        return None
    return (
        f"{what} {fields.pnl} is {told}, but from {entry} to {mark} it would be {reckoned:.8f}: "
        "profit and entry price disagree"
    )


def _entry_price(row: Row, fields: Fields, what: str) -> Decimal | None:
    stated_ones = (optional_positive(row, name, what) for name in (fields.entry, *fields.entry_else))
    return next((price for price in stated_ones if price is not None), None)


def _entry(row: Row, fields: Fields, instrument: Instrument, contracts: Decimal, what: str) -> Decimal | None:
    """The price from which the position's profit counts.

    Of a coin-margined one it is what gives the very profit that the row states at its mark: that one adds up to the
    equity beside it, and an average that the venue has rounded does not. An older one counts settled profit twice.
    """
    entry = _entry_price(row, fields, what)
    if instrument.kind is not Kind.INVERSE:
        return entry
    pnl = fields.open_pnl or fields.pnl
    if pnl is not None and stated(row, pnl) and stated(row, fields.mark):
        return entry_from_pnl(
            decimal_of(row[pnl], f"{what} {pnl}"),
            contracts * instrument.contract_size,
            positive(row, fields.mark, what),
            what,
        )
    if entry is None:
        raise BadReadingError(f"{what} {fields.entry} is blank, so the coin profit of the position is not known")
    return entry


def entry_from_pnl(open_pnl: Decimal, size: Decimal, mark: Decimal, what: str) -> Decimal:
    """The entry price that gives ``open_pnl = size·(1/entry - 1/mark)``.

    A venue that settles profit into the wallet every day states the open profit since then; the price that somebody
    once paid would count the settled part twice.
    """
    try:
        entry = WHOLE.plus(1 / (open_pnl / size + 1 / mark))
    except (DivisionByZero, InvalidOperation):
        entry = ZERO
    if entry <= 0:
        raise BadReadingError(f"{what}: a profit of {open_pnl} coins is impossible for {size} at {mark}")
    return entry


def is_future(row: Row, fields: Fields) -> bool:
    """Whether a row may be a future's: one that does not say its kind is told by its market, and not left out."""
    return fields.kind is None or not stated(row, fields.kind) or str(row[fields.kind]) in fields.kinds


def position_row(row: Row, fields: Fields, instrument: Instrument, unit: Decimal) -> PositionRow:
    """One row. Zero is flat, and nothing else of that row is even looked at."""
    what = str(instrument.id)
    contracts = _signed_size(row, fields, what) / unit
    if contracts == 0:
        return PositionRow(ZERO, None, None)
    fault = _disagreement(row, fields, instrument, contracts, what)
    contradicted = _profit_disagreement(row, fields, instrument, contracts, what)
    entry = _entry_price(row, fields, what) if contradicted else _entry(row, fields, instrument, contracts, what)
    liquidation = optional_positive(row, fields.liquidation, what) if stated(row, fields.liquidation) else None
    return PositionRow(contracts, entry, liquidation, fault or contradicted)


class Once:
    """Rows of positions, each slot once: a page that overlaps another repeats rows, and must not change them."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._seen: dict[tuple[str, ...], tuple[Decimal, str]] = {}

    def is_new(self, row: Row, what: str) -> bool:
        """Whether the row's slot was not seen yet; raises when it was, with another size or side."""
        fields = self._fields
        names = (fields.symbol, fields.index, fields.margin_mode, *fields.slot)
        slot = (what, *(str(row.get(name)) for name in names if name is not None))
        size = decimal_of(row.get(fields.size), f"{what} {fields.size}")
        held = (size, str(row.get(fields.side)) if fields.side is not None and size else "")
        if self._seen.setdefault(slot, held) != held:
            raise BadReadingError(f"{what} has two rows that contradict each other")
        return self._seen[slot] is held


def merged(instrument: Instrument, rows: list[PositionRow]) -> Position:
    """One position from the rows of both sides: sizes added with their signs, the entry such that profit is kept."""
    total = sum((row.contracts for row in rows), ZERO)
    held = [row for row in rows if row.contracts != 0]
    if len(held) == 1:
        return Position(instrument, Contracts(total), held[0].entry, held[0].liquidation)
    if not held or any(row.entry is None for row in held) or (total == 0 and instrument.kind is not Kind.INVERSE):
        return Position(instrument, Contracts(total))
    if instrument.kind is Kind.INVERSE:
        weight = sum((row.contracts / row.entry for row in held if row.entry), ZERO)
        if total * weight <= 0:
            return Position(instrument, Contracts(total), over_entries=weight)
        entry = total / weight
    else:
        entry = sum((row.contracts * row.entry for row in held if row.entry), ZERO) / total
    return Position(instrument, Contracts(total), entry if entry > 0 else None)


UNIFIED_FIELDS = Fields(
    size="contracts",
    side="side",
    sides={"long": 1, "short": -1},
    signed_side=True,
    leverage="leverage",
    margin_mode="marginMode",
    margin_modes={"cross": "cross", "isolated": "isolated"},
)
"""The client's own position dict."""
UNIFIED_SLOTS = replace(UNIFIED_FIELDS, index="side", slot=("id",))
"""The same, where each side is a position of its own."""


# Orders, fills, marks


def mark_of(values: Mapping[str, Any], what: str) -> Mark | None:
    """A mark from collected fields; None when there is no price, an error when there is a senseless one."""
    mark = optional_positive(values, "mark", what)
    if mark is None:
        return None
    stamp = values.get("at_ms")
    funding = values.get("funding_rate")
    return Mark(
        mark=mark,
        bid=optional_positive(values, "bid", what),
        ask=optional_positive(values, "ask", what),
        index=optional_positive(values, "index", what),
        funding_rate=decimal_of(funding, f"{what} funding_rate") if funding not in (None, "") else None,
        at_ms=int(decimal_of(stamp, f"{what} time")) if stamp not in (None, "") else None,
        fault=values.get("fault"),
    )
