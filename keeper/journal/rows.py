"""Between the tables' rows and the words of the trade, both ways."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row

from keeper.core.execution import Style
from keeper.core.model import (
    Halt,
    HedgeCycle,
    Hold,
    InstrumentId,
    Intent,
    Outcome,
    OutcomeState,
    PlannedOrder,
    Reason,
    Side,
)
from keeper.journal import codec
from keeper.journal.base import Event, FundingEntry
from keeper.journal.schema import FIGURES
from keeper.venue.base import Fill

Values = dict[str, Any]

_ORDER_FIELDS = (
    "client_id",
    "hedge",
    "side",
    "contracts",
    "amount_base",
    "notional",
    "price",
    "reduce_only",
    "type",
    "time_in_force",
    "style",
    "arrival_mid",
    "expected_slippage",
)
_INTENT_FIELDS = ("position_before", "run", "cycle", "created_at_ms", "not_found", "not_found_since_ms")
_OUTCOME_FIELDS = ("client_id", "state", "filled", "average_price", "venue_order_id", "text")
_FILL_FIELDS = ("trade_id", "venue_order_id", "client_id", "side", "contracts", "price", "fee", "fee_asset", "at_ms")
_FUNDING_FIELDS = ("entry_id", "amount", "asset", "at_ms")


def intent_values(intent: Intent) -> Values:
    """The row of an intent, with what is known of it now."""
    return (
        _take(intent.order, _ORDER_FIELDS)
        | _take(intent, _INTENT_FIELDS)
        | outcome_values(intent.outcome)
        | instrument_values(intent.order.instrument)
        | {"updated_at_ms": intent.created_at_ms}
    )


def intent_of(row: Row[Any]) -> Intent:
    """The intent in a row of ``intents``."""
    values = row._mapping  # noqa: SLF001  SQLAlchemy's documented name for it
    order = {name: values[name] for name in _ORDER_FIELDS}
    named = {"side": Side(values["side"]), "style": Style(values["style"]), "instrument": instrument_of(row)}
    return Intent(
        order=PlannedOrder(**order | named),
        outcome=outcome_of(row),
        **{name: values[name] for name in _INTENT_FIELDS},
    )


def outcome_values(outcome: Outcome) -> Values:
    """The part of a row of ``intents`` or ``outcomes`` that says how an order ended."""
    return _take(outcome, _OUTCOME_FIELDS)


def outcome_of(row: Row[Any]) -> Outcome:
    """The outcome in a row of ``intents`` or ``outcomes``."""
    values = row._mapping  # noqa: SLF001
    return Outcome(**{name: values[name] for name in _OUTCOME_FIELDS} | {"state": OutcomeState(values["state"])})


def fill_values(fill: Fill) -> Values:
    """The row of an execution."""
    return _take(fill, _FILL_FIELDS) | instrument_values(fill.instrument)


def fill_of(row: Row[Any]) -> Fill:
    """The execution in a row of ``fills``."""
    values = row._mapping  # noqa: SLF001
    taken = {name: values[name] for name in _FILL_FIELDS}
    return Fill(**taken | {"side": Side(values["side"]), "instrument": instrument_of(row)})


def funding_values(entry: FundingEntry) -> Values:
    """The row of a funding payment."""
    return _take(entry, _FUNDING_FIELDS) | instrument_values(entry.instrument)


def instrument_values(instrument: InstrumentId) -> Values:
    """The two columns that name a contract."""
    return {"venue": instrument.venue, "symbol": instrument.symbol}


def instrument_of(row: Row[Any]) -> InstrumentId:
    """The contract that a row is about."""
    return InstrumentId(row.venue, row.symbol)


def event_of(row: Row[Any]) -> Event:
    """The event in a row of ``events``."""
    if not isinstance(json.loads(row.detail), dict):
        raise codec.ContentError(f"an event {row.kind} of {row.subject} has no details")
    return Event(row.kind, row.subject, row.at_ms, row.detail)


def hedge_cycle_values(cycle_id: int, position: int, hedge: HedgeCycle, *, in_full: bool) -> Values:
    """The row of one hedge in a cycle: its figures always, all that was known only ``in_full``."""
    exposure = hedge.exposure
    return _take(exposure, FIGURES) | {
        "cycle_id": cycle_id,
        "hedge": exposure.hedge.name,
        "position": position,
        "instrument": str(exposure.hedge.instrument.id),
        "decision": type(hedge.decision).__name__.lower(),
        "reasons": json.dumps([[reason.code, reason.text] for reason in all_reasons(hedge)]),
        "mark": exposure.mark.mark if exposure.mark else None,
        "contracts": exposure.position.contracts if exposure.position else None,
        "residual_base": hedge.plan.residual_base if hedge.plan else None,
        "detail": codec.dumps(HedgeCycle, hedge) if in_full else None,
    }


def reasons_of(text: str) -> tuple[Reason, ...]:
    """The reasons in a row of ``hedge_cycles``."""
    return tuple(Reason(code, sentence) for code, sentence in json.loads(text))


def all_reasons(hedge: HedgeCycle) -> tuple[Reason, ...]:
    """Every reason that was given, each once: the decision's own, then what the plan and the veto added."""
    decided = (hedge.decision.reason,) if isinstance(hedge.decision, Halt) else hedge.decision.reasons
    return tuple(dict.fromkeys(decided + hedge.reasons))


def is_hold(hedge: HedgeCycle) -> bool:
    """Whether nothing was sent and nothing was meant to be."""
    idle = hedge.plan is None or not (hedge.plan.orders or hedge.plan.cancels)
    return isinstance(hedge.decision, Hold) and idle and not hedge.outcomes


def _take(source: object, names: tuple[str, ...]) -> Values:
    return {name: getattr(source, name) for name in names}
