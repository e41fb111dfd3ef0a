"""A paper account put together from the configuration, what of it cannot work, and its beginning in the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from keeper.clock import Clock
from keeper.config import Config
from keeper.config.paper import PaperConfig, PaperPosition
from keeper.core.model import ZERO, Hedge, Instrument, Kind
from keeper.core.orders import plain
from keeper.errors import ConfigError, UnsafeError, told_together
from keeper.journal.base import Event, Journal
from keeper.journal.url import file_of
from keeper.venue.base import VenueError
from keeper.venue.capabilities import capability_of
from keeper.venue.figures import near
from keeper.venue.paper.terms import Opening, Premises, Source, Terms
from keeper.venue.paper.venue import PaperVenue

KIND = "paper_account"
"""The event by which a journal tells what a paper account began with."""
PAPER = "paper"
"""The word for it in the journal's list of runs."""


def paper_venue(config: Config, name: str, source: Source, clock: Clock, *, keeps: bool) -> PaperVenue:
    """The paper account of one venue, not opened yet; without ``keeps`` nothing of it is ever written.

    Raises :class:`ConfigError` for a wallet that the venue does not have.
    """
    stated, premises = _stated(config, name), _premises(config, name)
    named = {"": stated.balances, **stated.wallets}
    for wallet in stated.wallets:
        if wallet not in premises.wallets:
            known = sorted(each for each in premises.wallets if each)
            raise ConfigError(
                f"{config.path}: venues.{name}.paper.wallets.{wallet}: the venue has no such wallet"
                f"{near(wallet, known)}; there are {', '.join(known) or 'none by name'}, and balances for the spot "
                "wallet or the unified account"
            )
    counted = {account.wallet for hedge in config.hedges for account in hedge.spot if account.venue == name}
    margins = {premises.collateral or "", "linear"} & premises.wallets
    carriers = [choice.instrument for hedge in config.hedges for choice in hedge.carriers]
    terms = Terms(
        wallets={wallet: coins for wallet, coins in named.items() if coins},
        positions={symbol: Opening(each.contracts, each.entry) for symbol, each in stated.positions.items()},
        from_account=stated.seed is not None,
        read_wallets=tuple(sorted((counted | margins | {""}) & premises.wallets)),
        needed_wallets=frozenset(counted),
        named=tuple(dict.fromkeys(each.symbol for each in carriers if each.venue == name)),
        maker_fee=stated.maker_fee,
        taker_fee=stated.taker_fee,
        leverage=stated.leverage,
        maintenance_ratio=stated.maintenance_ratio,
    )
    return PaperVenue(source, terms, premises, file_for(config, name), clock, durable=keeps)


def file_for(config: Config, name: str) -> Path:
    """Where a paper account is kept: beside the journal, or beside the configuration where that is on a server."""
    journal = file_of(config.journal_url)
    if journal is None:
        return config.path.parent / f"keeper.{name}.paper.db"
    return journal.with_name(f"{journal.stem}.{name}.paper.db")


def _stated(config: Config, name: str) -> PaperConfig:
    stated = config.venues[name].paper
    assert stated is not None  # noqa: S101  # the loader has refused a venue without it
    return stated


def _premises(config: Config, name: str) -> Premises:
    venue = config.venues[name]
    capability = capability_of(venue.exchange, venue.ccxt.get("options"))
    return Premises(frozenset({*capability.wallets, *capability.unified_wallets}), capability.collateral)


async def refuse_unready(config: Config, hedges: Sequence[Hedge], venues: Mapping[str, PaperVenue]) -> None:
    """Raise :class:`ConfigError` for a contract that can never be traded on paper: without fees, or without margin."""
    faults: dict[str, None] = {}
    for instrument in (each for hedge in hedges for each in hedge.instruments if each.id.venue in venues):
        name = instrument.id.venue
        where, stated, premises = f"{config.path}: venues.{name}.paper", _stated(config, name), _premises(config, name)
        if await _has_no_fees(venues[name], instrument):
            faults[
                f'{where}: the venue tells no fees of {instrument.id.symbol}; state them: maker_fee = "0.0002", '
                'taker_fee = "0.0005"'
            ] = None
        if stated.seed is not None or premises.unified:
            continue
        wallet = premises.collateral or "" if instrument.kind is Kind.INVERSE else ""
        if instrument.kind is not Kind.INVERSE and "linear" in stated.wallets:
            wallet = "linear"
        coins = stated.wallets.get(wallet, {}) if wallet else stated.balances
        if coins.get(instrument.settle, ZERO) <= 0:
            example = (
                f'{{ {instrument.settle} = "100000" }}' if instrument.kind is not Kind.INVERSE else '{ BTC = "5" }'
            )
            example = example.replace("BTC", instrument.settle)
            remedy = f"wallets = {{ {wallet} = {example} }}" if wallet else f"balances = {example}"
            faults[
                f"{where}: {instrument.id.symbol} is margined in {instrument.settle}, and the account begins with none "
                f"for it; add it, as in {remedy}"
            ] = None
    if faults:
        raise ConfigError(told_together(list(faults), str(config.path)))


async def _has_no_fees(venue: PaperVenue, instrument: Instrument) -> bool:
    """Whether it is known that nobody tells the fees of a contract; a reading that failed is no such knowledge."""
    try:
        return await venue.fees(instrument) is None
    except VenueError:
        return False


def changed_since(config: Config, name: str, begun: str) -> str | None:
    """What to say where the configuration states another beginning than the account has had; None where it does not.

    ``begun`` is the text of :class:`~keeper.venue.paper.account.Begun`, as the journal's event has it too.
    """
    stated, then = _stated(config, name), json.loads(begun)
    wallets = {
        wallet: {asset: Decimal(amount) for asset, amount in coins.items()}
        for wallet, coins in then["wallets"].items()
        if coins
    }
    positions = {
        symbol: PaperPosition(Decimal(each["contracts"]), Decimal(each["entry"]))
        for symbol, each in then["positions"].items()
    }
    taken = then["read"] is not None
    named = {wallet: dict(coins) for wallet, coins in {"": stated.balances, **stated.wallets}.items() if coins}
    same = taken if stated.seed is not None else not taken and (wallets, positions) == (named, dict(stated.positions))
    if same:
        return None
    said = [
        f"{asset} {plain(amount)}{wallet and f' in {wallet}'}"
        for wallet, coins in wallets.items()
        for asset, amount in coins.items()
    ]
    said += [f"{symbol} {position}" for symbol, position in positions.items()]
    what = "the file's figures of today do" if stated.seed is None else "the file's seed of today does"
    return f"the account began with {', '.join(said) or 'nothing'}; {what} not change it"


def refuse_other_books(config: Config, last_mode: str | None, *, paper: bool) -> None:
    """A paper account and a real one do not share a journal: each would be held against the other's readings.

    Raises :class:`UnsafeError`.
    """
    if last_mode is None or (last_mode == PAPER) == paper:
        return
    raise UnsafeError(
        f'{config.path}: journal.url: this journal is of mode "{last_mode}", and the mode is "{config.mode.value}" '
        'now: a paper account and a real one do not share one; give this mode its own, as in url = "sqlite:///'
        f'{config.mode.value}.db"'
    )


async def note_beginnings(journal: Journal, venues: Mapping[str, PaperVenue]) -> None:
    """Write down, once, what each paper account has begun with."""
    for name, venue in venues.items():
        begun = venue.begun
        told = await journal.events(KIND, name)
        if not told or told[-1].detail != begun.text:
            await journal.event(Event(KIND, name, begun.at_ms, begun.text))
