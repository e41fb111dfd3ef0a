"""Mutants that a story notices: wires and parsing, guards, locks, loggers, the rate budget, settings, sizes."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from keeper import chores, cycle, execute, judging, preflight, sending
from keeper.core import foreign, limits, orders
from keeper.core.model import NO_QUOTE, ZERO, Contracts, Instrument, Intent, Outcome, OutcomeState, Position
from keeper.core.sizing import steps_up
from keeper.execute import OrderExecutor
from keeper.venue import classify, client, funding, guard, parsing, positions, wallets
from keeper.venue.base import Fill, FundingEntry, Rejected, Submission, Trader
from keeper.venue.budget import Budget
from keeper.venue.connection import Connection
from keeper.venue.figures import Row, decimal_of
from keeper.venue.paper.account import Account
from keeper.venue.parsing import PositionRow
from keeper.venue.recipes import Fields
from tests.mutants import stories
from tests.mutants.model import Mutant, Told

D = Decimal


# --- orders -------------------------------------------------------------------------------------------------------


def a_cover_s_wallet_need_not_show(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judging, "behind", lambda _exposure, _memory: frozenset())
    patch.setattr(foreign, "old_wallets", lambda _exposure, _memory: ())


def a_cancel_makes_an_order_absent(patch: pytest.MonkeyPatch) -> None:
    async def end(_self: OrderExecutor, _trader: Trader, intent: Intent, _outcome: Outcome) -> Outcome:
        return Outcome(intent.client_id, OutcomeState.ABSENT, text="cancelled")

    patch.setattr(OrderExecutor, "_end_open_order", end)


def executions_are_added_up_as_they_come(patch: pytest.MonkeyPatch) -> None:
    def filled_of(fills: Iterable[Fill], intent: Intent) -> Contracts:
        return Contracts(sum((fill.contracts for fill in fills if fill.client_id == intent.client_id), ZERO))

    patch.setattr(execute, "filled_of", filled_of)


def a_taken_id_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    real = classify._by_answer

    def by_answer(failure: BaseException, answer: Any, codes: Any, text: str) -> Submission:
        taken = classify.code_of(answer, codes) in codes.duplicate
        return Rejected("duplicate", text) if taken else real(failure, answer, codes, text)

    patch.setattr(classify, "_by_answer", by_answer)


def the_client_retries(patch: pytest.MonkeyPatch) -> None:
    real = client._settings

    def settings(*args: Any) -> dict[str, Any]:
        made = real(*args)
        made["options"] |= {"maxRetriesOnFailure": 2, "maxRetriesOnFailureDelay": 1}
        return made

    patch.setattr(client, "_settings", settings)
    patch.setattr(client, "_retries", lambda _options: False)


# --- rows, sizes, signs -------------------------------------------------------------------------------------------


def the_first_row_is_the_position(patch: pytest.MonkeyPatch) -> None:
    def first(instrument: Instrument, rows: list[PositionRow]) -> Position:
        return Position(instrument, Contracts(rows[0].contracts), rows[0].entry)

    patch.setattr(positions, "merged", first)


def a_side_is_not_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(parsing, "_signed_size", lambda row, fields, what: decimal_of(row.get(fields.size), what))


def a_value_makes_a_size(patch: pytest.MonkeyPatch) -> None:
    real = parsing._signed_size

    def derived(row: Row, fields: Fields, what: str) -> Decimal:
        size = real(row, fields, what)
        return size or decimal_of(row[str(fields.notional)], what) / decimal_of(row[str(fields.mark)], what)

    patch.setattr(parsing, "_signed_size", derived)


def no_value_is_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(parsing, "_disagreement", lambda *_: None)


def a_blank_is_zero(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wallets, "decimal_of", lambda value, name: ZERO if value is None else decimal_of(value, name))


def the_minimum_value_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    real = orders.below_minimum

    def by_size(contracts: Contracts, instrument: Instrument, price: Decimal, *, reduces: bool) -> str | None:
        return real(contracts, replace(instrument, min_notional=NO_QUOTE), price, reduces=reduces)

    patch.setattr(orders, "below_minimum", by_size)


def sells_round_up(patch: pytest.MonkeyPatch) -> None:
    def up(contracts: Decimal, step: Decimal) -> Contracts:
        return Contracts(steps_up(contracts, step) * step)

    patch.setattr(orders, "floor_to_step", up)
    # The review would cut it to what is held: this keeper has none of that either.
    patch.setattr(limits, "floor_to_step", up)
    patch.setattr(limits, "_order_fault", lambda _order, _exposure: None)


# --- the venue's rules, asked again -------------------------------------------------------------------------------


def a_ban_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Budget, "back_off", lambda _self, _seconds: None)


def markets_are_read_once(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        return

    patch.setattr(chores.Chores, "_markets", nothing)


def settings_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(preflight, "_judge_settings", lambda *_: None)


def funding_is_turned_round(patch: pytest.MonkeyPatch) -> None:
    real = funding._entry

    def entry(row: Row, instrument: Instrument, sign: int) -> FundingEntry:
        return real(row, instrument, -sign)

    patch.setattr(funding, "_entry", entry)


def funding_on_what_is_held_now(patch: pytest.MonkeyPatch) -> None:
    def contracts_at(self: Account, symbol: str, _at_ms: int) -> Decimal:
        held = self.held(symbol)
        return ZERO if held is None else held.contracts

    patch.setattr(Account, "contracts_at", contracts_at)


def one_sign_for_all_venues(patch: pytest.MonkeyPatch) -> None:
    real = funding._entry

    def entry(row: Row, instrument: Instrument, _sign: int) -> FundingEntry:
        return real(row, instrument, 1)

    patch.setattr(funding, "_entry", entry)


def one_refusal_stops_all(patch: pytest.MonkeyPatch) -> None:
    real = judging._with_questions

    def with_questions(bench: Any, exposure: Any, questions: Any) -> Any:
        own = bench.refusals
        latest = max(own.values(), key=lambda refusal: refusal.until_ms, default=None)
        bench.refusals = {} if latest is None else {exposure.hedge.instrument.id: latest}
        judged = real(bench, exposure, questions)
        bench.refusals = own
        return judged

    patch.setattr(judging, "_with_questions", with_questions)
    patch.setattr(cycle, "_carry_out_all", _one_after_the_other)


async def _one_after_the_other(desk: Any, judged: Any) -> list[Outcome | None]:
    """Send in order, and no further once one was refused."""
    outcomes: list[Outcome | None] = []
    for judgement in judged:
        refused = any(each is not None and each.state is OutcomeState.REJECTED for each in outcomes)
        outcomes.append(None if refused else await sending.carry_out(desk, judgement))
    return outcomes


# --- the process and its surroundings -----------------------------------------------------------------------------


def a_lock_that_locks_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fcntl, "flock", lambda *_: None)


def no_host_is_judged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard.Guard, "check_endpoint", lambda *_: None)


def a_deadline_that_never_comes(patch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def deadline(_self: Connection, _seconds: float | None = None) -> AsyncIterator[None]:
        yield

    patch.setattr(Connection, "deadline", deadline)


def no_logger_is_pinned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard, "LOUD_LOGGERS", ())


def addresses_are_quoted(patch: pytest.MonkeyPatch) -> None:
    for module in (guard, classify):
        patch.setattr(module, "redact", lambda text, _secrets: text)


TOLD: tuple[Mutant, ...] = (
    Mutant("F05", "takes a cancelled order for one that never filled", a_cancel_makes_an_order_absent,
           Told(stories.a_cancel_that_comes_too_late)),
    Mutant("F06", "trades on a wallet from before its own cover", a_cover_s_wallet_need_not_show,
           Told(stories.a_wallet_from_before_our_cover)),
    Mutant("F07", "adds executions up as they come", executions_are_added_up_as_they_come,
           Told(stories.a_fill_that_is_told_twice)),
    Mutant("F12", "takes a taken client id for a refusal", a_taken_id_is_a_refusal,
           Told(stories.a_client_id_that_is_taken)),
    Mutant("F13", "lets the client library retry", the_client_retries, Told(stories.one_request_for_an_order)),
    Mutant("F15", "takes the first row for the position", the_first_row_is_the_position,
           Told(stories.two_sides_are_added_up)),
    Mutant("F16", "does not read the side", a_side_is_not_read, Told(stories.a_side_gives_the_sign)),
    Mutant("F17", "makes a size of a value", a_value_makes_a_size, Told(stories.a_raw_zero_is_flat)),
    Mutant("F20", "compares no value with its size", no_value_is_compared,
           Told(stories.a_value_that_contradicts_the_size)),
    Mutant("F22", "reads a blank as zero", a_blank_is_zero, Told(stories.a_blank_is_no_zero)),
    Mutant("F29", "locks nothing", a_lock_that_locks_nothing, Told(stories.a_second_keeper_is_refused)),
    Mutant("F30", "forgets that it was told to wait", a_ban_is_not_kept, Told(stories.a_ban_is_waited_out)),
    Mutant("F32", "reads the markets once and for all", markets_are_read_once, Told(stories.a_step_that_changed)),
    Mutant("F33", "does not know the minimum value", the_minimum_value_is_not_looked_at,
           Told(stories.a_rest_below_the_minimum)),
    Mutant("F34", "rounds sells up, and has no veto", sells_round_up, Told(stories.sells_round_down)),
    Mutant("F37", "compares no settings", settings_are_not_compared, Told(stories.a_leverage_other_than_stated)),
    Mutant("F38", "turns the sign of funding round", funding_is_turned_round,
           Told(stories.funding_received_is_positive)),
    Mutant("F40", "has one sign for all venues", one_sign_for_all_venues,
           Told(stories.funding_is_the_change_of_the_wallet)),
    Mutant("F41", "pays paper funding on what is held when it looks", funding_on_what_is_held_now,
           Told(stories.funding_on_what_was_held)),
    Mutant("F42", "sends nothing more once one order was refused", one_refusal_stops_all,
           Told(stories.a_dead_symbol_stops_no_other)),
    Mutant("F43", "judges no host", no_host_is_judged, Told(stories.a_live_host_is_refused)),
    Mutant("F45", "waits without end", a_deadline_that_never_comes, Told(stories.nothing_is_waited_for_without_end)),
    Mutant("F46", "pins no logger", no_logger_is_pinned, Told(stories.loud_loggers_are_pinned)),
    Mutant("F46", "quotes addresses as they are", addresses_are_quoted,
           Told(stories.no_error_quotes_a_signed_address)),
)  # fmt: skip
