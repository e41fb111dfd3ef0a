"""The keys of a hedge that take several shapes: ``holdings``, ``holdings_file`` and ``beta``.

``holdings`` is label -> quantity for one asset. For a basket each entry says which asset it is, in whichever way is
shortest: ``ledger = { asset = "BTC", amount = "2" }``, ``ledger = { BTC = "2", SOL = "40" }``, ``BTC = "2"`` or
``BTC = { ledger = "2" }``. A quantity with an age is ``{ amount = "2", as_of = 2026-11-01, max_age_days = 90 }``.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from keeper.config.estimates import Estimated, read_estimate
from keeper.config.values import (
    SeveralError,
    file_name,
    kind_of,
    moment_of,
    nearest,
    number,
    shown,
    table_of,
    truth,
    whole,
)
from keeper.core.model import ONE
from keeper.core.orders import plain

T = TypeVar("T")
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Declared:
    """Coins that the configuration states; ``as_of_ms`` and ``max_age_ms`` are None where it gives them no age."""

    amount: Decimal
    as_of_ms: int | None = None
    max_age_ms: int | None = None

    def __str__(self) -> str:
        if self.as_of_ms is None:
            return plain(self.amount)
        when = datetime.fromtimestamp(self.as_of_ms // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        limit = "" if self.max_age_ms is None else f", for {self.max_age_ms // DAY_MS} days"
        return f"{plain(self.amount)} as of {when}{limit}"


@dataclass(frozen=True, slots=True)
class HoldingsFile:
    """A file in which another program states coins. ``path`` is as in the configuration; ``assets`` have to be in it.

    ``borrowed`` allows negative amounts.
    """

    path: str
    assets: tuple[str, ...]
    max_age_ms: int
    borrowed: bool = False

    def __str__(self) -> str:
        debts = ", debts allowed" if self.borrowed else ""
        return f"{self.path} ({', '.join(self.assets)}, at most {self.max_age_ms // 1000} s old{debts})"


Holdings = Mapping[str, Mapping[str, Declared]]
"""Asset -> label -> coins."""

_quantity = number(at_least="0", unit="(coins)")
_AGED = {
    "amount": _quantity,
    "as_of": moment_of,
    "max_age_days": whole(at_least=1, at_most=3650, unit="days"),
}
_AGED_EXAMPLE = '{ amount = "2.5", as_of = 2026-11-01, max_age_days = 90 }'
_FILE_EXAMPLE = '{ path = "cold.json", max_age_seconds = 86400 }'
_FILE_AGE_SECONDS = 86_400
_MAX_FILES = 20
_beta = number(above="0", at_most="100")


def read_betas(value: object, assets: Sequence[str]) -> dict[str, Decimal | Estimated]:
    """Asset -> beta out of a number or an estimate for all, or a table of them; raises :class:`ValueError`."""
    if not isinstance(value, Mapping) or (value.keys() & {"method", "lookback"} and not value.keys() & set(assets)):
        return dict.fromkeys(assets, _beta_or_estimate(value))
    betas: dict[str, Decimal | Estimated] = dict.fromkeys(assets, ONE)
    for asset, entry in value.items():
        if asset not in betas:
            raise SeveralError([((asset,), _not_hedged(asset, assets))])
        betas[asset] = _at((asset,), _beta_or_estimate, entry)
    return betas


def _beta_or_estimate(value: object) -> Decimal | Estimated:
    return read_estimate(value) if isinstance(value, Mapping) else _beta(value)


def read_holdings(value: object, assets: Sequence[str]) -> Holdings:
    """The holdings in their one inner shape; raises :class:`ValueError`."""
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a table, such as {{ ledger = "2.5" }}, and is {kind_of(value)}')
    found: dict[str, dict[str, Declared]] = {}
    for key, entry in value.items():
        for asset, label, quantity in _entries(key, entry, assets):
            labels = found.setdefault(asset, {})
            if label in labels:
                raise SeveralError([((key,), f"counts {asset} of {label} a second time; keep one entry")])
            labels[label] = quantity
    return found


def read_files(value: object, assets: Sequence[str]) -> tuple[HoldingsFile, ...]:
    """The files of one hedge out of a table, or a list of tables; raises :class:`ValueError`."""
    if isinstance(value, list | tuple):
        if len(value) > _MAX_FILES:
            raise ValueError(f"lists more than {_MAX_FILES} files; let the other programs write into fewer")
        files = tuple(_at((place,), lambda entry: _file(entry, assets), entry) for place, entry in enumerate(value))
    else:
        files = (_file(value, assets),)
    paths = [each.path for each in files]
    if len(set(paths)) != len(paths):
        raise ValueError("names one file twice; keep it once, its assets = [...] can name several coins")
    return files


def _file(value: object, assets: Sequence[str]) -> HoldingsFile:
    def named(entry: object) -> tuple[str, ...]:
        if not isinstance(entry, list | tuple) or not entry:
            raise ValueError(f'must be a list of coins, such as ["{assets[0]}"], and is {kind_of(entry)}')
        return tuple(dict.fromkeys(_known(asset, assets, (place,)) for place, asset in enumerate(entry)))

    found = table_of(
        value,
        {
            "path": file_name("cold.json"),
            "assets": named,
            "max_age_seconds": whole(at_least=1, at_most=31_536_000, unit="seconds"),
            "borrowed": truth,
        },
        _FILE_EXAMPLE,
    )
    if "path" not in found:
        raise ValueError(f"names no path; write it as in {_FILE_EXAMPLE}")
    return HoldingsFile(
        os.path.normpath(found["path"]),
        found.get("assets", tuple(assets)),
        found.get("max_age_seconds", _FILE_AGE_SECONDS) * 1000,
        found.get("borrowed", False),
    )


def _entries(key: str, entry: object, assets: Sequence[str]) -> Iterator[tuple[str, str, Declared]]:
    if not isinstance(entry, Mapping):
        if len(assets) > 1 and key not in assets:
            remedy = f'write {key} = {{ asset = "{assets[0]}", amount = "2.5" }}'
            raise SeveralError([((key,), f"does not say of which asset of the basket it is; {remedy}")])
        yield (assets[0] if len(assets) == 1 else key), key, _at((key,), _declared, entry)
    elif "amount" in entry and ("asset" in entry or len(assets) == 1 or key in assets):
        own = key if key in assets else assets[0]
        asset = _known(entry["asset"], assets, (key, "asset")) if "asset" in entry else own
        rest = {name: value for name, value in entry.items() if name != "asset"}
        yield asset, key, _at((key,), _declared, rest)
    elif key in assets and not set(entry) & set(assets):
        for label, quantity in entry.items():
            yield key, label, _at((key, label), _declared, quantity)
    else:
        for asset, quantity in entry.items():
            yield _known(asset, assets, (key, asset)), key, _at((key, asset), _declared, quantity)


def _declared(value: object) -> Declared:
    """A quantity, or a table of one with its age."""
    if not isinstance(value, Mapping):
        return Declared(_quantity(value))
    found = table_of(value, _AGED, _AGED_EXAMPLE)
    if "amount" not in found:
        raise ValueError(f"states no amount; write it as in {_AGED_EXAMPLE}")
    if "max_age_days" in found and "as_of" not in found:
        raise ValueError(f"has a max_age_days and no as_of to count from; write it as in {_AGED_EXAMPLE}")
    days = found.get("max_age_days")
    return Declared(found["amount"], found.get("as_of"), None if days is None else days * DAY_MS)


def _known(asset: object, assets: Sequence[str], path: tuple[str | int, ...]) -> str:
    if isinstance(asset, str) and asset in assets:
        return asset
    raise SeveralError([(path, _not_hedged(asset, assets))])


def _not_hedged(asset: object, assets: Sequence[str]) -> str:
    name = asset if isinstance(asset, str) else kind_of(asset)
    return f"names {shown(name)}, which this hedge does not protect{nearest(name, assets)}; it has {', '.join(assets)}"


def _at(path: tuple[str | int, ...], reader: Callable[[object], T], value: object) -> T:
    try:
        return reader(value)
    except SeveralError as error:
        raise SeveralError([((*path, *below), words) for below, words in error.problems]) from None
    except ValueError as error:
        raise SeveralError([(path, str(error))]) from None
