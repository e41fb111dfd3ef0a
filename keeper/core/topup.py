"""How much money a margin account needs from another wallet of its owner, and whether what was asked for has moved.

A top-up is asked for once. Until both wallets have been read and their change explains what became of it, no other one
is; what may have moved counts against the day's cap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from keeper.core.instruments import ZERO, AccountId
from keeper.core.margins import AccountMargin

DAY_MS = 24 * 3_600_000
CENT = Decimal("0.000001")
TOLERANCE = Decimal("0.1")
"""How much of the amount a wallet may have changed beside the transfer: fees, funding, realised profit."""


@dataclass(frozen=True, slots=True)
class TopUp:
    """When ``target``'s maintenance over equity reaches ``trigger``, ``asset`` is moved there from ``source`` until it
    is ``aim``; at most ``max_per_transfer`` at once and ``max_per_day`` within 24 hours, units of the asset.
    """

    asset: str
    source: AccountId
    target: AccountId
    trigger: Decimal
    aim: Decimal
    max_per_transfer: Decimal
    max_per_day: Decimal


class TransferState(StrEnum):
    """What is known of a transfer."""

    ASKED = "asked"
    """It may have moved: written before it is asked for, and left so when no clear answer came."""
    ACCEPTED = "accepted"
    """The venue said yes; the wallets have not shown it yet."""
    REFUSED = "refused"
    MOVED = "moved"
    """Both wallets show it."""
    ABSENT = "absent"
    """Neither wallet shows it, for long enough."""


IN_DOUBT = frozenset({TransferState.ASKED, TransferState.ACCEPTED})
COUNTED = IN_DOUBT | {TransferState.MOVED, TransferState.ABSENT}
"""What may have moved: wallets that stand still say "absent" of what has moved, and must not open the cap again."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer as it is written down. ``source_before`` and ``target_before`` are the wallets' totals before it."""

    id: str
    asset: str
    amount: Decimal
    source: AccountId
    target: AccountId
    asked_at_ms: int
    source_before: Decimal
    target_before: Decimal
    state: TransferState
    text: str = ""


def account_of(policy: TopUp, margins: Iterable[AccountMargin]) -> AccountMargin | None:
    """The account that is topped up; a unified one is kept in a unit of its own, of which the asset counts as one."""
    here = [each for each in margins if each.account == policy.target]
    return next((each for each in here if each.asset == policy.asset), here[0] if len(here) == 1 else None)


def is_due(policy: TopUp, account: AccountMargin) -> bool:
    """Whether the account's margin is at or beyond the trigger."""
    ratio = account.ratio
    return account.maintenance > 0 if ratio is None else ratio >= policy.trigger


def amount_to_move(policy: TopUp, account: AccountMargin, moved_today: Decimal, held: Decimal) -> Decimal:
    """What brings the ratio to the aim, M / (E + x) = aim, within the caps and what the source holds; not negative."""
    missing = account.maintenance / policy.aim - account.equity
    least = min(missing, policy.max_per_transfer, policy.max_per_day - moved_today, held)
    return max(ZERO, least).quantize(CENT, rounding=ROUND_DOWN)


def moved_within_a_day(transfers: Iterable[Transfer], now_ms: int) -> Decimal:
    """What was moved or may have been, against the day's cap."""
    return sum(
        (each.amount for each in transfers if each.state in COUNTED and now_ms - each.asked_at_ms < DAY_MS), ZERO
    )


def explained(transfer: Transfer, source: Decimal, target: Decimal, *, settled: bool) -> TransferState | None:
    """What the wallets' totals now say of it; None while they say neither.

    ``settled`` says that enough time has passed for a transfer that was made to show. One that the venue has accepted
    was made: wallets that do not show it are wrong, or a person has to find out.
    """
    left, came = transfer.source_before - source, target - transfer.target_before
    slack = TOLERANCE * transfer.amount
    if left >= transfer.amount - slack and came >= transfer.amount - slack:
        return TransferState.MOVED
    if settled and transfer.state is not TransferState.ACCEPTED and abs(left) <= slack and abs(came) <= slack:
        return TransferState.ABSENT
    return None
