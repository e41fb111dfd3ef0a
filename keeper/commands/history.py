"""``keeper history``: what was decided, sent and filled, and why not when it was not."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keeper.api.operations import UnknownHedgeError
from keeper.commands.said import said_of
from keeper.core.model import InstrumentId, Reason
from keeper.errors import ConfigError, KeeperError
from keeper.journal.base import Event, JournalError
from keeper.journal.costs import HedgeCosts
from keeper.journal.failure import DAMAGED
from keeper.journal.reader import CycleRow, JournalReader, OrderRow, Summary
from keeper.journal.url import file_of
from keeper.report import plain, rounded
from keeper.venue.base import Fill

_LOOK_BACK = 5_000
"""Cycles read for a table: holds that say the same share a line, so that a quiet hour is one line and not the page."""

_FURTHEST_BACK = 320_000

_FIGURE = re.compile(r"-?\d{1,15}(\.\d+)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_DECIMALS_SHOWN = 6
_LONG = ("why", "said", "instrument", "total")
_WORDS = 34
"""Characters that a column of words should have before it is broken into lines."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Found:
    journal: str
    summary: Summary
    cycles: tuple[CycleRow, ...]
    orders: tuple[OrderRow, ...]
    fills: tuple[Fill, ...]
    costs: tuple[HedgeCosts, ...]
    funding: dict[tuple[InstrumentId, str], Decimal]
    targets: tuple[Event, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...] = ()
    """Columns for programs, which a screen has no room for."""
    dispensable: tuple[str, ...] = ()
    """Columns that a narrow screen goes without, the first one first, so that words have room."""


def history(journal_url: str, *, hedge: str | None, limit: int, as_json: bool) -> None:
    """Print the last ``limit`` cycles, orders and fills of the journal, oldest first, of one hedge or of all.

    Tables on a terminal, tab-separated lines into a pipe, one JSON document with ``as_json``. Works while a keeper
    runs. Raises :class:`ConfigError` when there is no journal or no such hedge in it.
    """
    if limit < 1:
        raise ConfigError(f"--limit {limit}: give a number of 1 or more")
    path = file_of(journal_url)
    if path is not None and path.is_dir():
        raise ConfigError(f"{path} is a directory; name the file of the journal in it, such as {path / 'keeper.db'}")
    try:
        found = asyncio.run(_read(journal_url, hedge, limit, limit if as_json else _LOOK_BACK))
    except JournalError as error:
        raise KeeperError(str(error)) from error
    try:
        document = json.dumps(_document(found), indent=2) + "\n" if as_json else ""
        sections = () if as_json else _sections(found, limit)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise KeeperError(f"journal {found.journal}: {DAMAGED} ({type(error).__name__}: {error!s:.200})") from error
    if as_json:
        sys.stdout.write(document)
        return
    _show(_headline(found), [section for section in sections if section.lines])


def _sections(found: _Found, limit: int) -> tuple[_Section, ...]:
    return (
        _cycles(found.cycles, limit),
        _orders(found.orders),
        _fills(found.fills),
        _costs(found.costs),
        _funding(found.funding),
        _targets(found.targets),
        _events(found.events),
    )


async def _read(journal_url: str, hedge: str | None, limit: int, cycles: int) -> _Found:
    async with await JournalReader.open(journal_url) as reader:
        if not reader.exists:
            raise ConfigError(
                f"there is no journal at {reader.name}; `keeper run` makes it at its first start, "
                "or [journal] url names another place"
            )
        if hedge is not None and hedge not in (known := await reader.memories()):
            raise UnknownHedgeError(hedge, known)
        return _Found(
            journal=reader.name,
            summary=await reader.summary(),
            cycles=await _enough(reader, hedge, limit, cycles),
            orders=await reader.orders(limit, hedge),
            fills=await reader.fills(limit, hedge),
            costs=await reader.costs(hedge),
            funding=dict(await reader.funding_total()),
            targets=tuple(await reader.events("target", hedge, limit)),
            events=tuple(await reader.events(None, hedge, limit, but=("target",))),
        )


async def _enough(reader: JournalReader, hedge: str | None, limit: int, first: int) -> tuple[CycleRow, ...]:
    """The last ``first`` cycles, and as many more as it takes to fill ``limit`` lines of a table."""
    count = first
    while True:
        found = await reader.cycles(count, hedge)
        if len(found) < count or count >= _FURTHEST_BACK or first == limit or len(_cycles(found, limit).lines) >= limit:
            return found
        count *= 4


def _headline(found: _Found) -> str:
    summary = found.summary
    parts = [
        f"journal {found.journal}",
        f"{summary.runs} runs",
        f"{summary.cycles} cycles",
        f"{summary.orders} orders",
        f"{summary.fills} fills",
    ]
    if summary.unresolved:
        parts.append(f"{summary.unresolved} orders whose outcome is unknown")
    return ", ".join(parts)


def _cycles(cycles: Sequence[CycleRow], limit: int) -> _Section:
    """The last ``limit`` lines; entries of one hedge that follow each other and say the same share one."""
    lines: list[tuple[int, tuple[str, ...]]] = []
    for hedge in dict.fromkeys(row.hedge for row in cycles):
        own = [row for row in cycles if row.hedge == hedge]
        for _, group in groupby(own, key=lambda row: (row.decision, [reason.code for reason in row.reasons])):
            alike = list(group)
            last = alike[-1]
            line = (
                _time(alike[0].taken_at_ms),
                _time(last.taken_at_ms) if len(alike) > 1 else "",
                str(len(alike)),
                hedge,
                last.decision,
                _number(last.exposure_base),
                _number(last.futures_base),
                _number(last.hedge_ratio),
                _number(last.target_ratio),
                _number(last.drift_ratio),
                "; ".join(_why(reason) for reason in last.reasons),
            )
            lines.append((last.taken_at_ms, line))
    lines.sort(key=lambda entry: entry[0])
    columns = (
        "from", "to", "cycles", "hedge", "decision", "exposure_base", "futures_base", "hedge_ratio", "target_ratio",
        "drift_ratio", "why",
    )  # fmt: skip
    return _Section(
        "Cycles", columns, tuple(line for _, line in lines[-limit:]), ("to", "target_ratio", "drift_ratio"),
        ("exposure_base", "futures_base", "hedge_ratio"),
    )  # fmt: skip


def _orders(orders: Iterable[OrderRow]) -> _Section:
    columns = (
        "sent",
        "hedge",
        "instrument",
        "side",
        "contracts",
        "price",
        "outcome",
        "filled",
        "average",
        "id",
        "said",
        "style",
        "slippage",
        "fees",
    )
    lines = tuple(
        (
            _time(intent.created_at_ms),
            intent.order.hedge,
            str(intent.order.instrument),
            intent.order.side.value,
            _number(intent.order.contracts),
            _number(intent.order.price),
            intent.outcome.state.value,
            _number(intent.outcome.filled),
            _number(intent.outcome.average_price),
            intent.client_id,
            intent.outcome.text,
            cost.style,
            _share(cost.slippage),
            _fees(cost.fees, complete=cost.fees_complete),
        )
        for intent, cost in ((row.intent, row.cost) for row in orders)
    )
    left_out = ("hedge", "id", "style", "slippage", "fees")
    return _Section("Orders", columns, lines, left_out, ("price", "contracts", "instrument", "outcome"))


def _costs(costs: Iterable[HedgeCosts]) -> _Section:
    columns = ("hedge", "orders", "filled_notional", "mean_slippage", "fees")
    lines = tuple(
        (
            each.hedge,
            str(each.orders),
            _number(each.filled_notional),
            _share(each.mean_slippage),
            _fees(each.fees, complete=each.fees_complete),
        )
        for each in costs
    )
    return _Section("Costs (slippage against the mid at each decision, positive: paid)", columns, lines)


def _fees(fees: Mapping[str, Decimal], *, complete: bool) -> str:
    known = ", ".join(f"{_number(amount)} {asset}" for asset, amount in sorted(fees.items()))
    return known if complete or not known else f"{known} and more"


def _fills(fills: Iterable[Fill]) -> _Section:
    columns = ("at", "instrument", "side", "contracts", "price", "fee", "trade", "order")
    lines = tuple(
        (
            _time(fill.at_ms),
            str(fill.instrument),
            fill.side.value,
            _number(fill.contracts),
            _number(fill.price),
            f"{_number(fill.fee)} {fill.fee_asset or ''}".strip(),
            fill.trade_id,
            fill.client_id or fill.venue_order_id or "",
        )
        for fill in fills
    )
    return _Section("Fills", columns, lines, ("trade", "order"))


def _funding(totals: dict[tuple[InstrumentId, str], Decimal]) -> _Section:
    lines = tuple((str(instrument), _number(total), asset) for (instrument, asset), total in sorted(totals.items()))
    return _Section("Funding received (negative: paid)", ("instrument", "total", "asset"), lines)


def _targets(events: Iterable[Event]) -> _Section:
    columns = ("at", "hedge", "asked", "from", "to", "hours", "steps")
    details = [(event, json.loads(event.detail)) for event in events]
    lines = tuple(
        (
            _time(event.at_ms),
            event.subject,
            detail["verb"],
            detail["from"] or "",
            detail["to"],
            _number(Decimal(detail["over_seconds"]) / 3_600),
            "" if detail["steps"] is None else str(detail["steps"]),
        )
        for event, detail in details
    )
    return _Section("Targets that were set", columns, lines)


def _events(events: Iterable[Event]) -> _Section:
    lines = tuple((_time(event.at_ms), event.kind, event.subject, said_of(event)) for event in events)
    return _Section("Chosen and done beside orders", ("at", "what", "about", "said"), lines)


def _show(headline: str, sections: Sequence[_Section]) -> None:
    if not sys.stdout.isatty():
        # One line for each entry, whatever its width: this is for grep and cut.
        for section in sections:
            lines = ["# " + section.title.lower(), "\t".join(section.columns)]
            lines += ["\t".join(" ".join(cell.split()) for cell in line) for line in section.lines]
            sys.stdout.write("\n".join(lines) + "\n")
        return
    console = Console(file=sys.stdout)
    console.print(Text(f"{headline}; times are UTC"))
    for section in sections:
        table = Table(
            title=section.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
        )
        shown = _shown(section, console.width)
        for place in shown:
            numbers = all(_FIGURE.fullmatch(line[place]) or not line[place] for line in section.lines)
            heading = _heading(section.columns[place])
            table.add_column(
                heading, overflow="fold", justify="right" if numbers else "left", no_wrap=heading not in _LONG
            )
        for line in section.lines:
            # As Text: what a venue said may hold brackets, which Rich would read as its own markup.
            table.add_row(*(Text(_for_the_eye(line[place])) for place in shown))
        console.print(table)


def _shown(section: _Section, width: int) -> list[int]:
    """The places of the columns that a screen of that width shows: what it goes without makes room for the words."""
    shown = [place for place, column in enumerate(section.columns) if column not in section.left_out]
    takes = {place: max(len(_for_the_eye(line[place])) for line in section.lines) for place in shown}
    for column in section.dispensable:
        needs = sum(min(_WORDS, takes[at]) if section.columns[at] in _LONG else takes[at] for at in shown)
        headings = sum(max(0, len(_heading(section.columns[at])) - takes[at]) for at in shown)
        if needs + headings + len(shown) <= width:
            break
        shown.remove(section.columns.index(column))
    return shown


def _heading(column: str) -> str:
    return column.removesuffix("_base").replace("_", " ")


def _for_the_eye(cell: str) -> str:
    """Six decimals of a figure, the day and the second of a time; anything else as it is."""
    if _FIGURE.fullmatch(cell):
        return rounded(cell, _DECIMALS_SHOWN)
    return f"{cell[5:10]} {cell[11:19]}" if _TIME.fullmatch(cell) else cell


def _document(found: _Found) -> dict[str, Any]:
    return {
        "journal": found.journal,
        "summary": _plain(asdict(found.summary)),
        "cycles": [_plain(asdict(row)) for row in found.cycles],
        "orders": [
            _plain(
                asdict(row.intent.order)
                | {"instrument": str(row.intent.order.instrument), "run": row.intent.run, "cycle": row.intent.cycle}
                | {"created_at_ms": row.intent.created_at_ms, "updated_at_ms": row.updated_at_ms}
                | {"position_before": row.intent.position_before, "outcome": asdict(row.intent.outcome)}
                | {"cost": asdict(row.cost)}
            )
            for row in found.orders
        ],
        "fills": [_plain(asdict(fill) | {"instrument": str(fill.instrument)}) for fill in found.fills],
        "funding": [
            {"instrument": str(instrument), "asset": asset, "total": str(total)}
            for (instrument, asset), total in sorted(found.funding.items())
        ],
        "costs": [_plain(asdict(each)) for each in found.costs],
        "targets": [
            {"at": _time(event.at_ms), "hedge": event.subject, **json.loads(event.detail)} for event in found.targets
        ],
        "events": [
            {"kind": each.kind, "subject": each.subject, "at": _time(each.at_ms), "detail": json.loads(each.detail)}
            for each in found.events
        ],
    }


def _plain(value: Any, name: str = "") -> Any:
    """JSON data: decimals as text, and each time in milliseconds as ISO-8601 under its name without the unit."""
    if isinstance(value, dict):
        return {key.removesuffix("_ms"): _plain(item, key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if name.endswith("_ms") and value is not None:
        return _time(value)
    return f"{value:f}" if isinstance(value, Decimal) else value


def _time(at_ms: int) -> str:
    """ISO-8601 in UTC, to the millisecond."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: Decimal | None) -> str:
    """At most 12 decimals without trailing zeros; nothing for what was not known. The JSON document has all digits."""
    if value is None:
        return ""
    # A figure too small to be cut must not read as zero.
    return plain(Decimal(f"{value:.12f}") or value)


def _share(value: Decimal | None) -> str:
    """A share of the price, to ten thousandths of a basis point; the JSON document has all digits."""
    return "" if value is None else _number(round(value, 8))


def _why(reason: Reason) -> str:
    return f"{reason.text} ({reason.code})"
