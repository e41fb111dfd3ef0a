"""What a configuration says of coins that no venue shows and of betas, in the loop's own terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from keeper.betas import Betas, WantedSlope
from keeper.clock import Clock
from keeper.config import Config, HedgeConfig
from keeper.config.estimates import Estimated
from keeper.core.model import Base, Hedge, Instrument, Statement
from keeper.core.stated import declared_account, file_account
from keeper.holdings_files import HoldingsFiles, WantedFile
from keeper.venue.base import Observer
from keeper.venue.further import Candles


def statements_of(entry: HedgeConfig) -> tuple[Statement, ...]:
    """The coins that no venue shows, by who states them."""
    declared = (
        Statement(declared_account(label), asset, Base(held.amount), held.as_of_ms, held.max_age_ms)
        for asset, labels in entry.holdings.items()
        for label, held in labels.items()
    )
    files = (
        Statement(file_account(file.path), asset, max_age_ms=file.max_age_ms)
        for file in entry.holdings_file
        for asset in file.assets
    )
    return (*declared, *files)


def files_of(config: Config, clock: Clock) -> HoldingsFiles:
    """The reader of every file that some hedge names."""
    wanted: dict[str, WantedFile] = {}
    for file in (file for hedge in config.hedges for file in hedge.holdings_file):
        before = wanted.get(file.path, WantedFile(config.beside(file.path), ()))
        assets = tuple(dict.fromkeys((*before.assets, *file.assets)))
        wanted[file.path] = WantedFile(before.path, assets, before.borrowed or file.borrowed)
    return HoldingsFiles(wanted, clock)


def wanted_slopes(entry: HedgeConfig, instrument: Instrument) -> tuple[WantedSlope, ...]:
    """The slopes of a cross hedge; the contract's own asset moves with it one for one and needs none."""
    found: list[WantedSlope] = []
    for asset, beta in entry.beta.items():
        if asset == instrument.base:
            continue
        if isinstance(beta, Estimated):
            found.append(WantedSlope(asset, None, beta.terms, beta.timeframe, beta.symbol, beta.jump))
        else:
            found.append(WantedSlope(asset, beta))
    return tuple(found)


def betas_of(config: Config, hedges: Sequence[Hedge], observers: Mapping[str, Observer], clock: Clock) -> Betas:
    """The slopes of every hedge, with no history looked at yet; ``hedges`` are the config's, as they were built."""
    carriers = {hedge.name: hedge.instrument for hedge in hedges}
    wanted = {entry.name: wanted_slopes(entry, carriers[entry.name]) for entry in config.hedges}
    # What an observer does not offer it says itself; a simulated one may not have the reading at all.
    readers = {name: cast("Candles", each) for name, each in observers.items() if hasattr(each, "candles")}
    return Betas(wanted, readers, clock)
