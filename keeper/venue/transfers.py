"""Moves coins between the user's own wallets of one venue: one attempt, and never a withdrawal."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from keeper.venue.base import (
    Ambiguous,
    HostRefusedError,
    RateLimitedError,
    Rejected,
    RetryLater,
    UnknownWalletError,
    UnreachableError,
    VenueError,
)
from keeper.venue.budget import Urgency, urgency
from keeper.venue.classify import order_failure
from keeper.venue.connection import Connection
from keeper.venue.figures import near
from keeper.venue.further import NotOfferedError
from keeper.venue.guard import ANSWERS, Answer
from keeper.venue.recipes import Path, TransferCall


class TransferRefusedError(VenueError):
    """The venue said no, in so many words: nothing was moved."""

    code = "transfer_refused"


async def transfer(at: Connection, asset: str, amount: Decimal, source: str, target: str) -> str | None:
    """Ask once. Raises :class:`VenueError`; after an :class:`UnreachableError` alone the coins may have moved."""
    call = at.capability.transfers
    if call is None:
        raise NotOfferedError(f"{at.name}: how this venue moves coins between wallets is not known")
    if amount <= 0:
        raise TransferRefusedError(f"{at.name}: {amount} {asset} cannot be moved")
    names = [_name(at, call, wallet) for wallet in (source, target)]
    if names[0] == names[1]:
        raise TransferRefusedError(f'{at.name}: "{source}" and "{target}" are one wallet')
    params = call.request(_asset_id(at, asset), f"{amount:f}", *names)
    answers: list[Answer] = []
    token = ANSWERS.set(answers)
    try:
        with urgency(Urgency.COVER):
            async with asyncio.timeout(at.order_seconds):
                answer = await getattr(at.client, call.method)(dict(params))
    except HostRefusedError:
        raise
    except Exception as failure:  # noqa: BLE001 - whatever was raised: what became of the coins decides
        fate = order_failure(failure, answers, at.capability.codes, at.guard.secrets)
    else:
        if _found(answer, call.status) in call.failed:
            raise TransferRefusedError(f"{at.name}: the venue says that the transfer failed")
        named = next((text for text in (_found(answer, path) for path in call.ident) if text), None)
        if named is not None:
            return named
        fate = Ambiguous("the answer names no transfer")
    finally:
        ANSWERS.reset(token)
    if isinstance(fate, Rejected):
        raise TransferRefusedError(f"{at.name} transfer: {fate.text}")
    if isinstance(fate, RetryLater):
        raise RateLimitedError(f"{at.name} transfer: {fate.text}", fate.retry_after_seconds)
    text = fate.text if isinstance(fate, Ambiguous) else str(fate)
    raise UnreachableError(f"{at.name} transfer: the coins may have moved: {text}")


def _name(at: Connection, call: TransferCall, wallet: str) -> str:
    if wallet not in call.names:
        known = ", ".join(f'"{name}"' for name in call.names)
        raise UnknownWalletError(
            f'{at.name} moves nothing in or out of "{wallet}"{near(wallet, call.names)}; it has {known}'
        )
    return call.names[wallet]


def _asset_id(at: Connection, asset: str) -> str:
    client: Any = at.client
    known = (client.currencies or {}).get(asset)
    return str(known["id"]) if known and known.get("id") else asset


def _found(answer: Any, path: Path) -> str | None:
    """The text at a place of an answer, or None where there is none."""
    part = answer
    for step in path:
        if isinstance(step, str) and isinstance(part, dict):
            part = part.get(step)
        elif isinstance(step, int) and isinstance(part, list) and len(part) > step:
            part = part[step]
        else:
            return None
    return str(part) if path and part not in (None, "") and not isinstance(part, dict | list | bool) else None
