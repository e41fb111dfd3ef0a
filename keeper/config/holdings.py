"""The two keys of a hedge that take several shapes: ``holdings`` and ``beta``.

``holdings`` is label -> quantity for one asset. For a basket each entry says which asset it is, in whichever way is
shortest: ``ledger = { asset = "BTC", amount = "2" }``, ``ledger = { BTC = "2", SOL = "40" }``, ``BTC = "2"`` or
``BTC = { ledger = "2" }``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from keeper.config.values import SeveralError, kind_of, nearest, number, shown
from keeper.core.model import ONE

Holdings = Mapping[str, Mapping[str, Decimal]]
"""Asset -> label -> coins."""

_quantity = number(at_least="0", unit="(coins)")
_beta = number(above="0", at_most="100")


def read_betas(value: object, assets: Sequence[str]) -> dict[str, Decimal]:
    """Asset -> beta out of a number for all, or a table; raises :class:`ValueError`."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(assets, _beta(value))
    betas = dict.fromkeys(assets, ONE)
    for asset, entry in value.items():
        if asset not in betas:
            raise SeveralError([((asset,), _not_hedged(asset, assets))])
        betas[asset] = _at((asset,), _beta, entry)
    return betas


def read_holdings(value: object, assets: Sequence[str]) -> Holdings:
    """The holdings in their one inner shape; raises :class:`ValueError`."""
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a table, such as {{ ledger = "2.5" }}, and is {kind_of(value)}')
    found: dict[str, dict[str, Decimal]] = {}
    for key, entry in value.items():
        for asset, label, quantity in _entries(key, entry, assets):
            labels = found.setdefault(asset, {})
            if label in labels:
                raise SeveralError([((key,), f"counts {asset} of {label} a second time; keep one entry")])
            labels[label] = quantity
    return found


def _entries(key: str, entry: object, assets: Sequence[str]) -> Iterator[tuple[str, str, Decimal]]:
    if not isinstance(entry, Mapping):
        if len(assets) > 1 and key not in assets:
            remedy = f'write {key} = {{ asset = "{assets[0]}", amount = "2.5" }}'
            raise SeveralError([((key,), f"does not say of which asset of the basket it is; {remedy}")])
        yield (assets[0] if len(assets) == 1 else key), key, _at((key,), _quantity, entry)
    elif set(entry) == {"asset", "amount"}:
        amount = _at((key, "amount"), _quantity, entry["amount"])
        yield _known(entry["asset"], assets, (key, "asset")), key, amount
    elif key in assets and not set(entry) & set(assets):
        for label, quantity in entry.items():
            yield key, label, _at((key, label), _quantity, quantity)
    else:
        for asset, quantity in entry.items():
            yield _known(asset, assets, (key, asset)), key, _at((key, asset), _quantity, quantity)


def _known(asset: object, assets: Sequence[str], path: tuple[str, ...]) -> str:
    if isinstance(asset, str) and asset in assets:
        return asset
    raise SeveralError([(path, _not_hedged(asset, assets))])


def _not_hedged(asset: object, assets: Sequence[str]) -> str:
    name = asset if isinstance(asset, str) else kind_of(asset)
    return f"names {shown(name)}, which this hedge does not protect{nearest(name, assets)}; it has {', '.join(assets)}"


def _at(path: tuple[str, ...], reader: Callable[[object], Decimal], value: object) -> Decimal:
    try:
        return reader(value)
    except ValueError as error:
        raise SeveralError([(path, str(error))]) from None
