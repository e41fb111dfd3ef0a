"""From a venue's rows to coins per asset: what one row does not tell hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from keeper.core.model import ZERO, Base
from keeper.venue.base import BadReadingError
from keeper.venue.figures import Row, decimal_of
from keeper.venue.recipes import WalletRead


def wallet_totals(
    rows: Iterable[Row], recipe: WalletRead, code_of: Callable[[str], str], unread: dict[str, str] | None = None
) -> dict[str, Base]:
    """Coins per asset; several rows of one asset are added up where the wallet has several.

    An amount that is not one is kept in ``unread`` with what is wrong; without it, it is an error of the whole wallet.
    """
    totals: dict[str, Decimal] = {}
    seen: set[tuple[str, ...]] = set()
    for row in _coins(rows, recipe):
        name = row.get(recipe.asset)
        if name == "" and _holds_nothing(row, recipe):
            continue  # a wallet that was never used
        if not isinstance(name, str) or not name:
            raise BadReadingError(f"a balance row has no {recipe.asset}")
        code = code_of(name)
        if not recipe.holds(code):
            continue
        try:
            slot = (code, *(str(row.get(field)) for field in recipe.slot))
            if slot in seen and recipe.once:
                raise BadReadingError("it has more than one row")
            seen.add(slot)
            totals[code] = totals.get(code, ZERO) + recipe.total(row)
        except BadReadingError as failure:
            _not_told(code, f"{name}: {failure}", unread)
    return {code: Base(amount) for code, amount in totals.items() if code not in (unread or ())}


def _coins(rows: Iterable[Row], recipe: WalletRead) -> Iterable[Row]:
    """A row for each coin."""
    for row in rows:
        for part in recipe.parts:
            if not isinstance(row.get(part), Mapping):
                raise BadReadingError(f"a balance row has no {part}")
        yield from (row[part] for part in recipe.parts) if recipe.parts else (row,)


def _holds_nothing(row: Row, recipe: WalletRead) -> bool:
    try:
        return recipe.total(row) == 0
    except BadReadingError:
        return False


def unified_totals(balance: Row, unread: dict[str, str] | None = None) -> dict[str, Base]:
    """Totals of the client's unified balance, debt taken off; ``unread`` as for :func:`wallet_totals`."""
    totals = balance.get("total")
    if not isinstance(totals, Mapping):
        raise BadReadingError("the balance has no total")
    debts = balance.get("debt") or {}
    found: dict[str, Base] = {}
    for code, amount in totals.items():
        owed = debts.get(code) if isinstance(debts, Mapping) else None
        try:
            net = decimal_of(amount, f"{code} total") - (decimal_of(owed, f"{code} debt") if owed is not None else ZERO)
        except BadReadingError as failure:
            _not_told(str(code), str(failure), unread)
        else:
            found[str(code)] = Base(net)
    return found


def check_names(codes: Iterable[str], markets: Iterable[Row]) -> None:
    """Raise where every coin is called by a number that no market knows: these are the venue's keys of other names,
    under which each coin would be missed. One such coin among others is a coin of a strange name.
    """
    codes = list(codes)
    if not codes or not all(code.isdigit() for code in codes):
        return
    numbers = set(codes) - {str(market.get(part)) for market in markets for part in ("base", "quote", "settle")}
    if numbers:
        raise BadReadingError(f"a balance is of a coin called {min(numbers)}, which is no coin of any market")


def _not_told(code: str, text: str, unread: dict[str, str] | None) -> None:
    if unread is None:
        raise BadReadingError(text)
    unread[code] = text
