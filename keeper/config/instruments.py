"""The two keys of a hedge that name its contracts: ``instrument`` and ``instruments``.

``instruments`` is a list in order of preference, ``["main:BTC/USDT:USDT", "second:BTC/USDT:USDT"]``, or one that splits
the hedge by share, ``[{ instrument = "main:BTC/USDT:USDT", share = "0.7" }, …]``, where the shares add up to 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import ValidationInfo

from keeper.config.values import SeveralError, kind_of, nearest, number, shown
from keeper.core.model import ONE, InstrumentId
from keeper.core.orders import plain

VENUE_NAME = r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*"
MAX_INSTRUMENTS = 8
_NOWHERE = InstrumentId("", "")
_EXAMPLE = '["main:BTC/USDT:USDT", "second:BTC/USDT:USDT"]'
_EXAMPLE_SHARE = '{ instrument = "main:BTC/USDT:USDT", share = "0.7" }'
_KEYS = ("instrument", "share")
_share = number(above="0", at_most="1")


@dataclass(frozen=True, slots=True)
class Choice:
    """A contract that may carry the hedge, and its share of the target where the hedge is split."""

    instrument: InstrumentId
    share: Decimal | None = None

    def __str__(self) -> str:
        return str(self.instrument) if self.share is None else f"{self.instrument} (share {plain(self.share)})"


def read_instrument(value: object) -> InstrumentId:
    """``venue:symbol``; raises :class:`ValueError` with what to write instead."""
    # An address is no contract, and what it holds is not for repeating.
    if isinstance(value, str) and ":" in value and "://" not in value and not value.isspace():
        venue, _, symbol = value.partition(":")
        named = re.fullmatch(VENUE_NAME, venue, re.ASCII) is not None
        if named and symbol and symbol.isprintable() and not any(c.isspace() for c in symbol):
            if "/" in symbol and ":" not in symbol:
                raise ValueError(
                    f"is {shown(value)}, and {symbol} names a spot market; a futures contract names its "
                    f'settlement too, as in "{venue}:{symbol}:{symbol.partition("/")[2]}"'
                )
            return InstrumentId(venue, symbol)
    raise ValueError(
        f"{'is ' + shown(value) if isinstance(value, str) else 'is ' + kind_of(value)}; write the venue "
        'and the unified symbol of the contract, as in "main:BTC/USDT:USDT"'
    )


def first_instrument(value: object, info: ValidationInfo) -> InstrumentId:
    """The key ``instrument``: as it is written, or else the first of ``instruments``."""
    several = info.data.get("instruments", ())
    if value is not None and several:
        raise ValueError("stands beside instruments; keep one of the two: the list names the contract as well")
    if value is not None:
        return read_instrument(value)
    if "instruments" not in info.data:
        return _NOWHERE  # the list could not be read, which is then the one problem to report
    if not several:
        raise ValueError("is missing; add it, or instruments = [...] for several, config.example.toml shows how")
    first: InstrumentId = several[0].instrument
    return first


def read_instruments(value: object) -> tuple[Choice, ...]:
    """The key ``instruments``; raises :class:`ValueError` or :class:`SeveralError`."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise ValueError(f"must be a list, such as {_EXAMPLE}, and is {kind_of(value)}")
    if not value:
        raise ValueError(f"is empty; name at least one contract, as in {_EXAMPLE}")
    if len(value) > MAX_INSTRUMENTS:
        raise ValueError(f"names {len(value)} contracts; at most {MAX_INSTRUMENTS} can carry one hedge")
    choices = tuple(_choices(value))
    shares = [choice.share for choice in choices if choice.share is not None]
    if shares and len(shares) < len(choices):
        raise ValueError(f"gives a share to some of its contracts only; give one to each, as in {_EXAMPLE_SHARE}")
    total = sum(shares, Decimal(0))
    if shares and total != ONE:
        raise ValueError(f"has shares that add up to {plain(total)}; they have to add up to 1")
    names = [choice.instrument for choice in choices]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ValueError(f"names {twice} twice; keep it once")
    return choices


def _choices(entries: Sequence[object]) -> Iterator[Choice]:
    for place, entry in enumerate(entries):
        try:
            yield _choice(entry)
        except SeveralError as error:
            raise SeveralError([((place, *path), text) for path, text in error.problems]) from None
        except ValueError as error:
            raise SeveralError([((place,), str(error))]) from None


def _choice(entry: object) -> Choice:
    if not isinstance(entry, Mapping):
        return Choice(read_instrument(entry))
    for key in entry:
        if key not in _KEYS:
            text = f"is not a known key{nearest(str(key), _KEYS)}; known here: {', '.join(_KEYS)}"
            raise SeveralError([((str(key),), text)])
    if "instrument" not in entry:
        raise ValueError(f"names no instrument; write it as in {_EXAMPLE_SHARE}")
    try:
        share = None if "share" not in entry else _share(entry["share"])
    except ValueError as error:
        raise SeveralError([(("share",), str(error))]) from None
    try:
        return Choice(read_instrument(entry["instrument"]), share)
    except ValueError as error:
        raise SeveralError([(("instrument",), str(error))]) from None
