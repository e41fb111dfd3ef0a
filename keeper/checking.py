"""What one look, with the journal behind it, tells ``keeper check --connect`` of each hedge."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from keeper.candidates import Markets
from keeper.core.model import Halt, Hedge, HedgeMemory, Hold
from keeper.core.roll_state import carrier_of, is_split, named_first, successor_of
from keeper.judging import Judgement
from keeper.preflight import Finding

TOLD = frozenset(
    {"clock_offset", "beta_refused", "stale_holding", "future_holding", "file_unreadable", "file_malformed"}
)
"""Codes of what has a finding of its own."""
PASSING = frozenset(
    {
        *("unreachable", "rate_limited", "stale_price", "no_price", "bad_price", "bad_reading", "venue_error"),
        *("unconfirmed_reading", "unconfirmed_position", "unexplained_zero", "market_unread"),
        *("awaiting_position", "unresolved_order", "own_order_working", "transfer_pending", "wallet_lags"),
    }
)
"""Codes of what holds orders now and may be over at the next look."""
HELD = frozenset({"paused", "halted"})
LIMITED = frozenset(
    {
        *("clipped_to_max_short", "clipped_to_turnover", "clipped_to_holdings", "limit_orders_per_hour"),
        *("shared_coins", "slippage", "bad_price"),
    }
)
"""Codes of a review that cut new shorts, or refused them all."""


def rolls_told(hedges: Sequence[Hedge], memories: Mapping[str, HedgeMemory]) -> Iterator[Finding]:
    """Which hedges are carried by a contract that they were rolled to, or are rolling."""
    for hedge in hedges:
        subject, memory = f"hedges.{hedge.name}", memories.get(hedge.name, HedgeMemory())
        named = [leg.instrument.id for leg in hedge.legs if leg.share] if is_split(hedge) else [named_first(hedge)]
        for ident in named:
            now = successor_of(hedge, memory, ident) if is_split(hedge) else carrier_of(hedge, memory)
            if now != ident:
                yield Finding(subject, True, f"rolled to {now}; the file still names {ident}")
        if memory.roll is not None:
            yield Finding(subject, True, f"rolling from {memory.roll.source} to {memory.roll.target}")


def hindrances(judged: Sequence[Judgement], told: Collection[Finding]) -> Iterator[Finding]:
    """What holds every order of a hedge: a failure, or a warning where it may pass by itself or a person wants it so.

    What ``told`` has said already is not said again.
    """
    said = [finding.text for finding in told if finding.ok is False]
    for judgement in judged:
        subject = f"hedges.{judgement.exposure.hedge.name}"
        # That no contract can be traded is told by what stands in the way of each.
        for reason in (each for each in judgement.exposure.blockers if each.code != "no_usable_leg"):
            if reason.code not in TOLD and not any(text in reason.text for text in said):
                yield Finding(subject, None if reason.code in PASSING else False, f"every order waits: {reason.text}")
        decision = judgement.decision
        reasons = (decision.reason,) if isinstance(decision, Halt) else decision.reasons
        for reason in reasons:
            if isinstance(decision, Halt) or reason.code in HELD:
                yield Finding(subject, None, reason.text)


def shorts_held(judged: Sequence[Judgement]) -> Iterator[Finding]:
    """What holds new shorts alone, or cuts them: covers go on, so a hedge that stands needs nothing. All warnings."""
    for judgement in judged:
        exposure, subject = judgement.exposure, f"hedges.{judgement.exposure.hedge.name}"
        held = (*exposure.sell_blockers, *(reason for leg in exposure.legs for reason in leg.sell_blockers))
        for reason in dict.fromkeys(held):
            if reason.code not in TOLD:
                yield Finding(subject, None, f"new shorts wait: {reason.text}")
        refused = judgement.decision.reasons if isinstance(judgement.decision, Hold) else ()
        for reason in dict.fromkeys((*refused, *judgement.reasons)):
            if reason.code in LIMITED:
                yield Finding(subject, None, f"new shorts are limited: {reason.text}")


def closed_contracts(hedges: Sequence[Hedge], markets: Mapping[str, Markets]) -> Iterator[Finding]:
    """Contracts that a venue knows and does not list as open: it may take what reduces a position, or nothing."""
    for instrument in {each.id: each for hedge in hedges for each in hedge.instruments}.values():
        open_now = {each.id for each in markets[instrument.id.venue].listed(instrument.base)}
        if instrument.id not in open_now and instrument.expires_at_ms is None:
            text = "the venue does not list it as open for trading: new shorts, and maybe covers, will be refused"
            yield Finding(str(instrument.id), None, text)
