"""A portfolio that somebody states, on the command line or in a file, as lines and accounts of the what-if."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from keeper.config.load import read_bytes
from keeper.config.values import kind_of, nearest, number, one_of, text
from keeper.core.margin import Curve, coins, money, position
from keeper.core.model import ONE, ZERO, Kind
from keeper.core.sizing import contract_value
from keeper.core.stress import Coins, Leg, Line, Pool
from keeper.errors import ConfigError, told_together

_positive = number(above="0")
_not_negative = number(at_least="0")
_any = number()
_READERS = {
    "spot": _any, "price": _positive, "ratio": number(at_least="0", at_most="1"), "contracts": _any,
    "contract_size": _positive, "asset_price": _positive, "beta": _positive, "entry": _positive, "wallet": _any,
    "collateral": _not_negative, "haircut": number(at_least="0", at_most="1"),
    "maintenance": number(at_least="0", below="1"), "value": _any, "index": _positive, "multiplier": _positive,
}  # fmt: skip
_COIN_WORDS = ("spot", "price", "contract_size", "asset_price", "collateral", "haircut")
_INDEX_WORDS = ("value", "index", "multiplier")
_LEG_WORDS = ("kind", "price", "index", "contracts", "contract_size", "multiplier", "entry", "maintenance")
_FILE_WORDS = ("name", "account", "kind", *_READERS, "futures")
_MAX_BYTES = 1024 * 1024
EXAMPLE = "keeper stress --kind linear --spot 5 --price 65000 --ratio 0.5"


@dataclass(frozen=True, slots=True)
class StatedHedge:
    """One hedge as it was stated: its line, the signed contracts of it, and its part of an account.

    ``curve`` is None where a maintenance rate is missing, ``backed`` says that money or coins behind it were stated;
    ``price`` is that of the contract now.
    """

    line: Line
    account: str
    contracts: Fraction
    price: Decimal
    curve: Curve | None
    backed: bool


def pools(hedges: tuple[StatedHedge, ...]) -> dict[str, Pool]:
    """The accounts; one of which any part is not known is not known."""
    found: dict[str, Pool] = {}
    for account in dict.fromkeys(hedge.account for hedge in hedges):
        sharing = [hedge for hedge in hedges if hedge.account == account]
        known = [hedge.curve for hedge in sharing if hedge.curve is not None]
        whole = len(known) == len(sharing) and any(hedge.backed for hedge in sharing)
        found[account] = Pool(sum(known, Curve())) if whole else Pool()
    return found


def from_flags(flags: Mapping[str, str]) -> tuple[StatedHedge, ...]:
    """The one hedge that flags state; raises :class:`ConfigError` that names each wrong flag."""
    problems: list[str] = []

    def note(key: str, what: str) -> None:
        problems.append(f"--{key.replace('_', '-')} {what}")

    hedge = _read("stated", flags, note)
    if hedge is None:
        raise ConfigError(f"{told_together(problems, 'keeper stress')}\nfor example: {EXAMPLE}")
    return (hedge,)


def from_file(path: Path) -> tuple[StatedHedge, ...]:
    """The portfolio in ``path``; raises :class:`ConfigError` with file and key of all that is wrong."""
    problems: list[str] = []
    hedges: list[StatedHedge] = []
    for place, table in enumerate(_tables(path)):
        where = f"hedges[{place}]"
        if not isinstance(table, dict):
            problems.append(f"{path}: {where} must be a table, and is {kind_of(table)}")
            continue

        def note(key: str, what: str, where: str = where) -> None:
            problems.append(f"{path}: {where}.{key} {what}")

        for key in table.keys() - set(_FILE_WORDS):
            note(key, f"is not a known key{nearest(key, _FILE_WORDS)}; known here: {', '.join(_FILE_WORDS)}")
        hedge = _read(f"hedge {place + 1}", table, note)
        if hedge is not None:
            hedges.append(hedge)
    names = [hedge.line.name for hedge in hedges]
    if len(set(names)) != len(names):
        problems.append(f"{path}: two hedges have one name; give each a name of its own")
    if problems:
        raise ConfigError(told_together(problems, str(path)))
    return tuple(hedges)


def _tables(path: Path) -> list[Any]:
    try:
        content = read_bytes(path)
        document = tomllib.loads(content.decode("utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a readable file with --portfolio") from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}; put text in quotes, one key = value a line") from None
    tables = document.pop("hedges", [])
    if document:
        raise ConfigError(f"{path}: {min(document)} is not a known key; a portfolio has tables [[hedges]] alone")
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f"{path}: needs tables headed [[hedges]], in double brackets, with kind, spot, price, ratio")
    return tables


class _Notes:
    """Where problems of one hedge go, and whether there were any."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note
        self.count = 0

    def __call__(self, key: str, what: str) -> None:
        self.count += 1
        self._note(key, what)

    def below(self, table: str) -> _Notes:
        """Notes on a table within this one."""
        return _Notes(lambda key, what: self(f"{table}.{key}", what))


def _read(name: str, given: Mapping[str, Any], note: Callable[[str, str], None]) -> StatedHedge | None:
    """One hedge from words and their values; None after what is wrong was noted."""
    notes = _Notes(note)
    kind = _kind(given, notes)
    values = _numbers(given, notes)
    named = _name(given, "name", name, notes)
    account = _name(given, "account", named, notes)
    legs = _legs(given, notes)
    if kind is None or notes.count or not _is_complete(kind, values, notes, has_legs=bool(legs)):
        return None
    return _with_legs(named, account, kind, values, legs)


def _kind(given: Mapping[str, Any], notes: _Notes) -> Kind | None:
    try:
        return Kind(one_of(*Kind)(given.get("kind", "linear")))
    except ValueError as error:
        notes("kind", str(error))
        return None


def _numbers(given: Mapping[str, Any], notes: _Notes) -> dict[str, Decimal]:
    values: dict[str, Decimal] = {}
    for key, read in _READERS.items():
        if key in given:
            try:
                values[key] = read(given[key])
            except ValueError as error:
                notes(key, str(error))
    return values


def _name(given: Mapping[str, Any], key: str, default: str, notes: _Notes) -> str:
    if key not in given:
        return default
    try:
        return text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", "btc")(given[key])
    except ValueError as error:
        notes(key, str(error))
        return default


def _is_complete(kind: Kind, values: Mapping[str, Decimal], notes: _Notes, *, has_legs: bool) -> bool:
    """Note what is missing or does not belong to the kind; whether nothing had to be noted."""
    needed, foreign = (("value", "index"), _COIN_WORDS) if kind is Kind.INDEX else (("price",), _INDEX_WORDS)
    for key in needed:
        if key not in values:
            notes(key, f"is missing, and kind {kind} needs it")
    for key in foreign:
        if key in values:
            notes(key, f"does not belong to kind {kind}; remove it, or choose another kind")
    if kind is not Kind.INDEX and not {"spot", "collateral"} & values.keys():
        notes("spot", "is missing: there is nothing to protect; state the coins held")
    sizes = [key for key in ("ratio", "contracts") if key in values]
    if len(sizes) + has_legs != 1:
        notes("ratio", "or contracts: give exactly one of them" + (", or futures" if has_legs else ""))
    return not notes.count


@dataclass(frozen=True, slots=True)
class _LegWords:
    kind: Kind
    contracts: Fraction
    values: Mapping[str, Decimal]


def _legs(given: Mapping[str, Any], notes: _Notes) -> tuple[_LegWords, ...]:
    """Positions of one hedge in a list of their own."""
    listed = given.get("futures", [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        notes("futures", 'must be a list of tables, such as [{ kind = "linear", contracts = "-1.2" }]')
        return ()
    found: list[_LegWords] = []
    for place, entry in enumerate(listed):
        inner = notes.below(f"futures[{place}]")
        for key in entry.keys() - set(_LEG_WORDS):
            inner(key, f"is not a known key{nearest(key, _LEG_WORDS)}; known here: {', '.join(_LEG_WORDS)}")
        kind, values = _kind(entry, inner), _numbers(entry, inner)
        if "contracts" not in entry:
            inner("contracts", "is missing; a short position is negative")
        if kind is not None and not inner.count:
            found.append(_LegWords(kind, Fraction(values["contracts"]), values))
    return tuple(found)


def _with_legs(
    name: str, account: str, kind: Kind, values: Mapping[str, Decimal], listed: tuple[_LegWords, ...]
) -> StatedHedge:
    """Put coins, positions and the account's margin together."""
    beta = values.get("beta", ONE)
    price = values["index"] if kind is Kind.INDEX else values["price"]
    if kind is Kind.INDEX:
        held, collateral, asset_price = Fraction(values["value"]), ZERO, ONE
    else:
        asset_price = values.get("asset_price", price)
        held = Fraction(values.get("spot", ZERO)) * Fraction(asset_price)
        collateral = values.get("collateral", ZERO)
    collateral_price, collateral_beta = (price, ONE) if kind is Kind.INVERSE else (asset_price, beta)
    behind = Fraction(collateral) * Fraction(collateral_price)
    entered = listed or (_LegWords(kind, _sized(kind, values, held * Fraction(beta), behind), values),)
    positions = [_entered(leg, price) for leg in entered]
    gained = sum((each.gain for each in positions if each.kind is Kind.INVERSE), Fraction(0))
    line = Line(
        name,
        (Coins(held, beta), Coins(behind, collateral_beta), Coins(gained)),
        tuple(Leg(each.kind, each.notional, account) for each in positions),
    )
    contracts = sum((each.contracts for each in positions), Fraction(0))
    rates = [leg.values.get("maintenance", values.get("maintenance")) for leg in entered]
    backed = bool({"wallet", "collateral"} & values.keys())
    if None in rates:
        return StatedHedge(line, account, contracts, price, None, backed)
    haircut = values.get("haircut", ONE)
    curve = money(values.get("wallet", ZERO)) + coins(collateral, collateral_price, haircut, collateral_beta)
    for each, rate in zip(positions, rates, strict=True):
        share = haircut if each.kind is Kind.INVERSE else ONE
        gain = coins(each.gain, ONE, haircut) if each.kind is Kind.INVERSE else money(each.gain)
        curve += gain + position(each.kind, each.notional, rate or ZERO, share)
    return StatedHedge(line, account, contracts, price, curve, backed)


@dataclass(frozen=True, slots=True)
class _Position:
    kind: Kind
    contracts: Fraction
    notional: Fraction
    gain: Fraction
    """Quote money gained since the entry, at the price now."""


def _unit(kind: Kind, values: Mapping[str, Decimal], price: Decimal) -> Fraction:
    size = values.get("multiplier" if kind is Kind.INDEX else "contract_size", ONE)
    return contract_value(kind, size, price)


def _entered(leg: _LegWords, price: Decimal) -> _Position:
    """A position at its price now; a leg without a price of its own is at the hedge's."""
    now = leg.values.get("index" if leg.kind is Kind.INDEX else "price", price)
    contracts = leg.contracts
    notional = contracts * _unit(leg.kind, leg.values, now)
    start = Fraction(leg.values.get("entry", now))
    if leg.kind is Kind.INVERSE:
        gain = notional * (Fraction(now) / start - 1)
    else:
        gain = notional * (1 - start / Fraction(now))
    return _Position(leg.kind, contracts, notional, gain)


def _sized(kind: Kind, values: Mapping[str, Decimal], held: Fraction, behind: Fraction) -> Fraction:
    """Signed contracts: those stated, or the short that makes the ratio.

    What a coin-margined short has gained since its entry is hedged as well: N = H·(V + N·(1 - P/P₀)).
    """
    if "contracts" in values:
        return Fraction(values["contracts"])
    ratio = Fraction(values["ratio"])
    if kind is Kind.INVERSE:
        price = Fraction(values["price"])
        short = ratio * (held + behind) / (1 - ratio * (1 - price / Fraction(values.get("entry", values["price"]))))
    else:
        short = ratio * (held + behind * Fraction(values.get("beta", ONE)))
    now = values["index"] if kind is Kind.INDEX else values["price"]
    return -max(short, Fraction(0)) / _unit(kind, values, now)
