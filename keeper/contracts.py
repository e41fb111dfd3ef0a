"""The contracts that a hedge's configuration names, with their venues' facts, judged together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import structlog

from keeper.config import HedgeConfig
from keeper.config.instruments import Choice
from keeper.core.model import HedgeMemory, Instrument, InstrumentId, Kind, Leg
from keeper.errors import ConfigError, UnsafeError, VenueStartError
from keeper.venue.away import by_its_name
from keeper.venue.base import HostRefusedError, Observer, UnknownSymbolError, UnreadMarketError, VenueError

SO_MANY = re.compile(r"10+|1M|k")
"""What venues write before or after a coin of which a contract counts many as one: 1000PEPE, SHIB1000, 1MBABYDOGE."""

log = structlog.get_logger(__name__)


def build_legs(
    entry: HedgeConfig, observers: Mapping[str, Observer], memory: HedgeMemory, *, to_look: bool = False
) -> tuple[Leg, ...]:
    """The hedge's legs in the config's order; raises :class:`ConfigError` whose text begins with the key, and
    :class:`VenueStartError` with such a text where what the venue lists of a contract makes no sense.

    ``to_look``: a contract of which the venue's list could not be read is taken by its name, so that the rest is shown.

    A contract that its venue does not list any more is left out while another one can carry the hedge: one of the list,
    or the one that the hedge was rolled to. It has expired, and that must not keep a keeper from starting.
    """
    legs: list[Leg] = []
    gone: list[VenueError] = []
    for place, choice in enumerate(entry.carriers):
        try:
            legs.append(_leg(choice, observers, to_look=to_look))
        except UnknownSymbolError as error:
            if not _had_expiry(choice.instrument):
                raise ConfigError(f"{_key(entry, place)}: {error}") from error
            gone.append(error)
            then = None if choice.share is None else memory.successors.get(choice.instrument)
            named = {each.instrument for each in entry.carriers}
            legs += [] if then is None or then in named else _carrier(then, observers, choice.share)
        except HostRefusedError as error:
            raise UnsafeError(f"{_key(entry, place)}: {error}") from error
        except VenueError as error:
            # What a venue says that makes no sense is no fault of the file, and may pass.
            raise VenueStartError(f"{_key(entry, place)}: {error}") from error
    if gone and not legs and memory.carrier is not None and memory.carrier_for == entry.instrument:
        legs = [*_carrier(memory.carrier, observers)]
    if not legs:
        raise ConfigError(f"{_key(entry, 0)}: {gone[0]}") from gone[0]
    for fault in gone:
        log.warning("contract_gone", hedge=entry.name, text=str(fault), carried_by=str(legs[0].instrument.id))
    _judge(entry, legs)
    _know_its_coins(entry, legs[0].instrument)
    return tuple(legs)


def _leg(choice: Choice, observers: Mapping[str, Observer], *, to_look: bool = False) -> Leg:
    observer = observers[choice.instrument.venue]
    try:
        instrument = observer.instrument(choice.instrument.symbol)
    except UnreadMarketError:
        named = by_its_name(choice.instrument) if to_look else None
        if named is None:
            raise
        instrument = named
    collateral = observer.collateral(instrument)
    if collateral is None:
        return Leg(instrument, choice.share)
    return Leg(instrument, choice.share, collateral[0], collateral[1])


def _carrier(ident: InstrumentId, observers: Mapping[str, Observer], share: Decimal | None = None) -> list[Leg]:
    """What the hedge, or a share of it, was rolled to, if its venue still lists it."""
    try:
        return [_leg(Choice(ident, share), observers)]
    except (VenueError, KeyError):
        return []


def _judge(entry: HedgeConfig, legs: list[Leg]) -> None:
    """What the legs of one hedge have to have in common, and what tailing asks of them."""
    first = legs[0].instrument
    for place, leg in enumerate(legs):
        other = leg.instrument
        if (other.base, other.kind is Kind.INDEX) != (first.base, first.kind is Kind.INDEX):
            raise ConfigError(
                f"{_key(entry, place)}: {other.id.symbol} is on {other.base} and {first.id.symbol} on {first.base}; "
                "the contracts of one hedge have to be on the same asset: make two hedges of them"
            )
        if not entry.tailing:
            continue
        if other.kind is Kind.INVERSE:
            raise ConfigError(
                f"tailing: {other.id.symbol} is coin-margined: sized at its own mark it is neutral as it is; "
                "tailing is for linear dated contracts, leave it out"
            )
    if entry.tailing and first.expires_at_ms is None:
        raise ConfigError(f"tailing: {first.id.symbol} does not expire; tailing is for dated contracts: leave it out")


def _know_its_coins(entry: HedgeConfig, instrument: Instrument) -> None:
    """Refuse a contract on another coin whose beta nobody stated."""
    foreign = next((asset for asset in entry.assets if asset != instrument.base), None)
    if foreign is None or "beta" in entry.model_fields_set:
        return
    advice = f"name a contract on {foreign}, or state its beta to {instrument.base} for a cross hedge"
    if SO_MANY.fullmatch(instrument.base.replace(foreign, "", 1)):
        # A beta is of returns: somebody who thinks of coins would write 0.001.
        advice = f'{instrument.base} counts many {foreign} as one, and moves as {foreign} does: state beta = "1"'
    raise ConfigError(
        f"asset: {foreign} is not what {instrument.id.symbol} hedges (that is {instrument.base}); {advice}"
    )


def _had_expiry(ident: InstrumentId) -> bool:
    """Whether a unified symbol is one of a dated contract: BASE/QUOTE:SETTLE-YYMMDD."""
    return "-" in ident.symbol.rpartition(":")[2]


def _key(entry: HedgeConfig, place: int) -> str:
    return f"instruments[{place}]" if entry.instruments else "instrument"
