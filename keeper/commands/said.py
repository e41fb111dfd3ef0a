"""What was chosen and done beside orders, as the journal tells it, in a sentence for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from keeper.journal.base import Event
from keeper.report import plain, rounded

_Detail = Mapping[str, Any]


def said_of(event: Event) -> str:
    """What a choice came to, and why; of what there are no words for all that is known of it."""
    detail = json.loads(event.detail)
    for keys, words in _WORDS:
        if isinstance(detail, dict) and keys <= detail.keys():
            # Another version, or a damaged disk, may have put something else behind the same keys.
            with suppress(ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                return words(detail)
    return event.detail


def _roll(detail: _Detail) -> str:
    target = f" to {detail['target']}" if detail.get("target") else ""
    reasons = "; ".join(f"{reason['text']} ({reason['code']})" for reason in detail["reasons"])
    return f"{detail['decision']}{target}: {reasons}"


def _betas(detail: _Detail) -> str:
    return "; ".join(_beta(slope) for slope in detail["slopes"])


def _beta(slope: _Detail) -> str:
    worth, estimate = [slope["method"]], slope.get("estimate") or {}
    if estimate.get("r2") is not None:
        worth.append(f"R² {estimate['r2']:.3f}")
    if estimate.get("outside") is not None:
        worth.append(f"{estimate['outside']['ratio']:.3f} out of sample")
    refused = "" if slope.get("refused") is None else f", refused: {slope['refused']}"
    return f"{slope['asset']} {rounded(slope['beta'], 4)} ({', '.join(worth)}){refused}"


def _paper(detail: _Detail) -> str:
    held = [
        f"{asset} {_plain(amount)}{f' in {wallet}' if wallet else ''}"
        for wallet, coins in detail["wallets"].items()
        for asset, amount in coins.items()
    ]
    held += [f"{symbol} {_plain(each['contracts'])} at {_plain(each['entry'])}" for symbol, each in _positions(detail)]
    read = "" if detail.get("read") is None else ", read of the real account"
    return f"began with {', '.join(held) or 'nothing'}{read}"


def _positions(detail: _Detail) -> Iterable[tuple[str, _Detail]]:
    positions: Mapping[str, _Detail] = detail["positions"]
    return positions.items()


def _transfer(detail: _Detail) -> str:
    source, target = (".".join(each for each in detail[end].values() if each) for end in ("source", "target"))
    text = f": {detail['text']}" if detail.get("text") else ""
    return f"{_plain(detail['amount'])} {detail['asset']} from {source} to {target}: {detail['state']}{text}"


def _account(detail: _Detail) -> str:
    return f"an account at {detail['exchange']} ({detail['at']})"


def _plain(figure: str) -> str:
    return plain(Decimal(figure))


_WORDS: tuple[tuple[frozenset[str], Callable[[_Detail], str]], ...] = (
    (frozenset({"decision", "reasons"}), _roll),
    (frozenset({"slopes"}), _betas),
    (frozenset({"wallets", "positions"}), _paper),
    (frozenset({"exchange", "at"}), _account),
    (frozenset({"amount", "asset", "source", "target", "state"}), _transfer),
)
"""By what a detail consists of: an older journal may know less, and is then shown as it is."""
