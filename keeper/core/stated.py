"""Coins that no venue shows: stated in the configuration, or in a file that another program keeps.

They stand beside the wallets as accounts of their own. What is too old, or dated in the future, is shown and not acted
upon: nobody knows whether the coins are still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from keeper.core.model import AccountId, Hedge, Reason, Snapshot, Statement

DECLARED = "declared"
FILE = "file"
RESERVED = (DECLARED, FILE)
"""Places of statements among the accounts; no venue may have such a name."""

DAY_MS = 86_400_000
CLOCKS_APART_MS = 300_000
"""How far the clock of whoever states a time may be ahead of ours."""


def declared_account(label: str) -> AccountId:
    """The account of a holding in the configuration."""
    return AccountId(DECLARED, label)


def file_account(path: str) -> AccountId:
    """The account of a file, by its path as the configuration has it."""
    return AccountId(FILE, path)


def files_of(hedge: Hedge, asset: str | None = None) -> tuple[AccountId, ...]:
    """The files that state coins of this hedge, each once; with ``asset``, those that state that one."""
    if not hedge.statements:
        return ()
    wanted = (each for each in hedge.statements if asset is None or each.asset == asset)
    return tuple(dict.fromkeys(each.account for each in wanted if each.account.venue == FILE))


def as_read(hedge: Hedge, snapshot: Snapshot) -> tuple[Statement, ...]:
    """The hedge's statements with what the files say in this look; an amount that was not read is None."""
    return tuple(_as_read(each, snapshot) if each.account.venue == FILE else each for each in hedge.statements)


def _as_read(statement: Statement, snapshot: Snapshot) -> Statement:
    key = (statement.account, statement.asset)
    return replace(statement, amount=snapshot.holdings.get(key), as_of_ms=snapshot.stated_at_ms.get(key))


def doubts(statements: Sequence[Statement], now_ms: int) -> list[Reason]:
    """What is too old to act upon, or not true yet. ``now_ms`` is the wall time of the look."""
    found: list[Reason] = []
    for each in statements:
        if each.as_of_ms is None:
            continue
        age_ms, what = now_ms - each.as_of_ms, f"{each.account}: {each.asset}"
        if lies_ahead(each.as_of_ms, now_ms):
            found.append(Reason("future_holding", f"{what} is stated as of {span(-age_ms)} from now; correct its date"))
        elif each.max_age_ms is not None and age_ms > each.max_age_ms:
            text = f"{what} was stated {span(age_ms)} ago, and may be {span(each.max_age_ms)} old; state it anew"
            found.append(Reason("stale_holding", text))
    return found


def lies_ahead(as_of_ms: int, now_ms: int) -> bool:
    """Whether a time has not come yet. A bare date may be tomorrow's: the day has begun for whoever wrote it."""
    return as_of_ms - now_ms > (DAY_MS if as_of_ms % DAY_MS == 0 else CLOCKS_APART_MS)


def span(milliseconds: int) -> str:
    """A length of time for people, rounded down."""
    for unit, name in ((DAY_MS, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if milliseconds >= 2 * unit:
            return f"{milliseconds // unit} {name}"
    return f"{milliseconds // 1000} s"
