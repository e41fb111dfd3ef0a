"""A comparison of contracts as one JSON object, and as a table for people. Pure; rounding happens for the eye alone.

Numbers leave as decimal strings. Every flow is in quote money over the horizon, positive to us; what is not known is
null, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from keeper.candidates import Carried
from keeper.core.carry import contracts_after_roll, funding_payment
from keeper.core.model import Base, Kind, Reason
from keeper.core.roll import Candidate, Choice, Comparison, break_even_rate
from keeper.core.roll_rules import RollRules
from keeper.report import iso_utc, plain, rounded

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_FLOWS = ("basis", "funding", "close_present", "open_new", "rolls_between", "close_at_end", "gross", "costs", "net")
_PLACES = Decimal("1e-12")
"""Figures of statistics are cut here: a mean or a year's share has no end, and nobody needs it."""


def roll_json(hedge: str, carried: Carried, comparison: Comparison, choice: Choice, rules: RollRules) -> dict[str, Any]:
    """One hedge's comparison with all its parts and the choice, as it is printed, journalled and served."""
    return {
        "name": hedge,
        "instrument": str(carried.instrument.id),
        "held_base": plain(carried.held_base),
        "notional": _figure(comparison.notional),
        "spot": _figure(comparison.spot),
        "horizon_days": plain(comparison.horizon_days),
        "window_days": plain(rules.window_days),
        "latest_days": plain(rules.latest_days),
        "funding_days": plain(rules.funding_days),
        "max_cost_annual": plain(rules.max_cost_annual),
        "decision": choice.act.value,
        "target": None if choice.target is None else str(choice.target.id),
        "ratio": _figure(choice.ratio),
        "page": choice.page,
        "reasons": [_reason(choice.reason)],
        "candidates": [_candidate(each, carried, comparison) for each in comparison.candidates],
    }


def _candidate(candidate: Candidate, carried: Carried, comparison: Comparison) -> dict[str, Any]:
    terms, flows = candidate.terms, candidate.flows
    funding, mark = terms.funding, terms.mark
    expires = terms.instrument.expires_at_ms
    return {
        "instrument": str(candidate.id),
        "stays": candidate.stays,
        "expires_at": None if expires is None else iso_utc(expires),
        "days_left": _figure(candidate.days),
        "mark": None if mark is None else plain(mark.mark),
        "half_spread": _figure(terms.half_spread),
        "taker_fee": _figure(terms.taker_fee),
        "basis_annual_simple": None if candidate.basis is None else _figure(candidate.basis.simple),
        "funding_mean": None if funding is None else _figure(funding.rate),
        "funding_interval_hours": None if funding is None else _figure(funding.interval_hours),
        "funding_annual_simple": None if funding is None else _figure(funding.annual),
        "funding_sample": None if funding is None else funding.sample,
        "funding_now": None if mark is None else _figure(mark.funding_rate),
        "funding_next": _next_funding(candidate, carried),
        "break_even_funding": _figure(_break_even(candidate, comparison)),
        "rolls": candidate.rolls,
        "flows": None if flows is None else {name: _figure(getattr(flows, name)) for name in _FLOWS},
        "net_annual": _figure(candidate.net_annual),
        "contracts": _figure(_contracts(candidate, carried)),
        "reasons": [_reason(each) for each in (*candidate.unpriced, *_known(candidate.barred))],
    }


def _contracts(candidate: Candidate, carried: Carried) -> Decimal | None:
    """Contracts that the present short would become there, after fees that are paid in coin."""
    terms = candidate.terms
    if candidate.stays or terms.mark is None or carried.held_base <= 0:
        return None
    fee = terms.taker_fee or Decimal(0)
    coin = terms.instrument.kind is Kind.INVERSE
    closing = Base(carried.held_base * fee) if coin else Base(Decimal(0))
    short = Base(-carried.held_base)
    return contracts_after_roll(terms.instrument, terms.mark.mark, short, close_fee_base=closing, fee_rate=fee)


def _next_funding(candidate: Candidate, carried: Carried) -> dict[str, str] | None:
    """What the next event pays on what is held, at the rate that the venue shows now."""
    mark, instrument = candidate.terms.mark, candidate.terms.instrument
    if not candidate.stays or mark is None or mark.funding_rate is None or instrument.expires_at_ms is not None:
        return None
    contracts = instrument.contracts_for(Base(-carried.held_base), mark.mark)
    amount = funding_payment(instrument, contracts, mark.mark, mark.funding_rate)
    return {"amount": plain(amount), "asset": instrument.settle}


def _break_even(candidate: Candidate, comparison: Comparison) -> Decimal | None:
    """For a perpetual: the mean rate at which it is worth as much as the best contract that expires."""
    if candidate.days is not None:
        return None
    dated = [each for each in comparison.candidates if each.days is not None and each.is_open]
    best = max(dated, key=lambda each: each.flows.net if each.flows is not None else Decimal(0), default=None)
    if best is None:
        return None
    return break_even_rate(best, candidate, comparison.notional, comparison.horizon_days)


def _figure(value: Decimal | None) -> str | None:
    if value is None:
        return None
    exponent = value.as_tuple().exponent
    cut = isinstance(exponent, int) and exponent < _PLACES.as_tuple().exponent  # type: ignore[operator]
    return plain(value.quantize(_PLACES) if cut else value)


def _reason(reason: Reason) -> dict[str, str]:
    return {"code": reason.code, "text": reason.text}


def _known(reason: Reason | None) -> tuple[Reason, ...]:
    return () if reason is None else (reason,)


# -- for people ------------------------------------------------------------------------------------------------------


def render_rolls(document: Mapping[str, Any]) -> RenderableType:
    """The document of ``keeper roll --json`` for people: for each hedge a table, what is chosen, and why."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(f"mode {document['mode']} · {document['taken_at']}", style="bold")]
    for hedge in document["hedges"]:
        parts += _story(hedge)
    return Group(*parts)


def _story(hedge: Mapping[str, Any]) -> Iterable[RenderableType]:
    from rich.text import Text

    base, quote = _words(hedge["instrument"])
    yield Text(
        f"\n{hedge['name']}: short {rounded(hedge['held_base'], 6)} {base} in {hedge['instrument']}", style="bold"
    )
    if hedge["notional"] is not None:
        worth = f"{rounded(hedge['notional'], 2)} {quote}"
        yield Text(f"holding {worth} short for {hedge['horizon_days']} days, in {quote}; positive is paid to you")
    yield _table(hedge["candidates"])
    for candidate in hedge["candidates"]:
        name = candidate["instrument"].partition(":")[2]
        if candidate["break_even_funding"] is not None:
            yield Text(
                f"  {name}: as dear as the best dated contract where funding is "
                f"{_percent(candidate['break_even_funding'], 5)} % per {candidate['funding_interval_hours']} h"
            )
        if candidate["funding_next"] is not None:
            paid = candidate["funding_next"]
            yield Text(f"  {name}: the next funding pays {rounded(paid['amount'], 8)} {paid['asset']} as it stands now")
        for reason in candidate["reasons"]:
            yield Text(f"  {name}: {reason['code']}: {reason['text'].removeprefix(name + ': ')}", style="dim")
    target = "" if hedge["target"] is None else f" to {hedge['target']}"
    style = {"stay": "green", "roll": "yellow", "hold": "bold red"}[hedge["decision"]]
    yield Text(f"  {hedge['decision']}{target}", style=style)
    for reason in hedge["reasons"]:
        yield Text(f"  {reason['code']}: {reason['text']}", style="dim")


def _table(candidates: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("contract", overflow="fold")
    for heading in ("days", "% a year", "carry", "trades", "net", "net % a year"):
        table.add_column(heading, justify="right", overflow="fold")
    for each in candidates:
        flows = each["flows"] or {}
        yearly = each["basis_annual_simple"] if each["days_left"] is not None else each["funding_annual_simple"]
        name = each["instrument"].partition(":")[2] + (" (now)" if each["stays"] else "")
        table.add_row(
            Text(name),
            Text("-" if each["days_left"] is None else rounded(each["days_left"], 1)),
            Text(_percent(yearly, 2)),
            *(Text(rounded(flows.get(key), 2)) for key in ("gross", "costs", "net")),
            Text(_percent(each["net_annual"], 2)),
        )
    return table


def _percent(fraction: str | None, places: int) -> str:
    return rounded(None if fraction is None else plain(Decimal(fraction) * 100), places)


def _words(instrument: str) -> tuple[str, str]:
    """Base and quote of venue:BASE/QUOTE:SETTLE-EXPIRY."""
    pair = instrument.partition(":")[2].partition(":")[0]
    base, _, quote = pair.partition("/")
    return base, quote
