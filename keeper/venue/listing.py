"""Whether a list of markets can be believed where a contract is not in it.

A name that a sound list does not have is a mistake of whoever wrote it. A list that is plainly nonsense says nothing of
the contract: that passes, and is waited out as an outage is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from keeper.venue.figures import Row, shown
from keeper.venue.guard import Answer

COIN_LENGTH_MAX = 30
"""No coin and no index is called by more letters."""
ROWS_DEPTH = 5


def kinds(markets: Mapping[str, Row] | None) -> Counter[str]:
    """How many markets there are of each kind."""
    names = ("spot", "linear", "inverse")
    return Counter(kind for market in (markets or {}).values() for kind in names if market.get(kind))


def barren(answers: Iterable[Answer], markets: Mapping[str, Row]) -> str | None:
    """The path of a list of which not one row became a market, or None."""
    told: dict[str, list[Any]] = {}
    for market in markets.values():
        told.setdefault(str(market.get("id")), []).append(market.get("info"))
    for answer in answers:
        rows = _rows(answer.body)
        if not any(row in told[value] for row in rows for value in row.values() if _in(value, told)):
            return answer.path
    return None


def _in(value: Any, names: Mapping[str, Any]) -> bool:
    return isinstance(value, str) and value in names


def _rows(part: Any, depth: int = ROWS_DEPTH) -> list[Row]:
    """The objects in every list of an answer."""
    if depth == 0:
        return []
    if isinstance(part, Mapping):
        return [row for each in part.values() for row in _rows(each, depth - 1)]
    if not isinstance(part, list):
        return []
    rows = [row for row in part if isinstance(row, Mapping)]
    return rows + [row for each in rows for row in _rows(each, depth - 1)]


def doubt(symbol: str, markets: Mapping[str, Row], nothing_in: str | None) -> str | None:
    """Why the lists do not tell that there is no such contract; None where they do.

    ``nothing_in`` is the list that no market came out of, if there was one.
    """
    name, _, day = symbol.partition("-")
    pair, _, settle = name.partition(":")
    base, _, quote = pair.partition("/")
    if nothing_in is not None and not kinds(markets)["inverse" if settle == base else "linear"]:
        return f"{nothing_in} lists no market at all"
    called = re.compile(rf"{re.escape(base)}[-_/:]?{re.escape(quote)}([-_/:][^\d]*)?", re.IGNORECASE)
    for market in markets.values():
        if not market.get("contract") or market.get("option"):
            continue
        coins = {name: str(market.get(name)) for name in ("base", "quote", "settle")}
        strange = next((coin for coin in coins.values() if _is_strange(coin)), None)
        if strange is not None:
            return f"a row of them calls a coin {shown(strange)}"
        if (
            quote
            and called.fullmatch(str(market.get("id")))
            and not _agrees(market, base, quote, "" if day else settle)
        ):
            return f"the row of {market['id']} says that it is {shown(market.get('symbol'))}"
    return None


def _is_strange(coin: str) -> bool:
    return not coin or coin == "None" or len(coin) > COIN_LENGTH_MAX or not coin.isprintable()


def _agrees(market: Row, base: str, quote: str, settle: str) -> bool:
    """Whether a row with the contract's name is another contract of the same coins, by the venue's names or by ours.

    Beside a dated one that is the perpetual; beside a perpetual (``settle``) only one that settles in something else.
    """
    same = base in (market.get("base"), market.get("baseId")) and quote in (market.get("quote"), market.get("quoteId"))
    return same and settle not in (market.get("settle"), market.get("settleId"))
