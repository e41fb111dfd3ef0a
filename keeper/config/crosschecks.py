"""What only several keys together can get wrong."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from keeper.config.client_options import endpoints
from keeper.config.instruments import VENUE_NAME
from keeper.config.models import HedgeConfig, Mode, VenueConfig
from keeper.config.paper import EXAMPLE
from keeper.config.problems import Path, Problems
from keeper.config.values import nearest, shown
from keeper.core.model import ONE, ExposureMode
from keeper.core.orders import plain
from keeper.core.stated import RESERVED

Hedges = Sequence[tuple[int, HedgeConfig]]
"""The hedges that could be read, each with its place in the file."""


def cross_check(
    mode: Mode | None, venue_names: Sequence[str], venues: Mapping[str, VenueConfig], hedges: Hedges, problems: Problems
) -> tuple[str, ...]:
    """Note contradictions; returns what is allowed and worth a warning."""
    _references(venue_names, problems)
    for name in set(venue_names) & set(RESERVED):
        problems.add(("venues", name), "is a name that keeper uses for holdings outside of venues; choose another")
    _duplicates(hedges, problems)
    shared = list(_ratios(hedges))
    if mode is not Mode.DRY_RUN:
        for path, text in shared:
            problems.add(path, text)
        shared = []
    _exposures(hedges, problems)
    _keys(venues, problems)
    _top_ups(venues, problems)
    if mode is Mode.PAPER:
        _paper(venues, problems)
    if mode is Mode.LIVE:
        _clear_text(venues, problems)
    _candidates(hedges, problems)
    told = (f"hedges[{path[1]}].{path[2]}: {text}" for path, text in shared)
    return (*_unused(venue_names, hedges), *told, *_spot_on_coin_margin(hedges), *_rolls_of_nothing(hedges))


def _references(venue_names: Sequence[str], problems: Problems) -> None:
    """Over the document, so that a venue's name is judged in a hedge that has other faults too."""
    tables = problems.document.get("hedges")
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        if not isinstance(table, dict):
            continue
        spot = table.get("spot")
        used: list[tuple[Path, object, str]] = [(("hedges", index, "instrument"), table.get("instrument"), ":")]
        several = table.get("instruments")
        for place, entry in enumerate(several if isinstance(several, list) else ()):
            if isinstance(entry, dict):
                used.append((("hedges", index, "instruments", place, "instrument"), entry.get("instrument"), ":"))
            else:
                used.append((("hedges", index, "instruments", place), entry, ":"))
        used += [
            (("hedges", index, "spot", place), account, ".")
            for place, account in enumerate(spot if isinstance(spot, list) else ())
        ]
        for path, reference, separator in used:
            venue = reference.partition(separator)[0] if isinstance(reference, str) else ""
            if re.fullmatch(VENUE_NAME, venue) and venue not in venue_names:
                known = ", ".join(venue_names) or "none"
                problems.add(
                    path,
                    f"names the venue {shown(venue)}, which is not in this file"
                    f"{nearest(venue, venue_names)}; the file has: {known}",
                )


def _duplicates(hedges: Hedges, problems: Problems) -> None:
    names: dict[str, int] = {}
    instruments: dict[str, HedgeConfig] = {}
    for index, hedge in hedges:
        # Environment variables have no case and no dashes: names have to differ beyond those.
        folded = hedge.name.lower().replace("-", "_")
        if folded in names:
            problems.add(
                ("hedges", index, "name"),
                f"is the name of hedges[{names[folded]}] too; give each hedge its "
                "own, differing in more than case and dashes",
            )
        names.setdefault(folded, index)
        for choice in hedge.carriers:
            other = instruments.setdefault(str(choice.instrument), hedge)
            if other is hedge:
                continue
            what = f"names {choice.instrument}, which " if hedge.instruments else ""
            problems.add(
                ("hedges", index, "instruments" if hedge.instruments else "instrument"),
                f'{what}carries the hedge "{other.name}" already; two hedges cannot share one position: use assets '
                "= [...] for a basket, or another contract",
            )


def _sources(hedge: HedgeConfig) -> Iterator[tuple[str, str]]:
    """What the hedge protects, as (asset, where it is)."""
    for asset in hedge.assets:
        for account in hedge.spot:
            yield asset, str(account)
        for label in hedge.holdings.get(asset, {}):
            yield asset, f"holdings.{label}"
        for file in hedge.holdings_file:
            if asset in file.assets:
                yield asset, file.path


def _ratios(hedges: Hedges) -> Iterator[tuple[Path, str]]:
    """The same coins must not be sold more than once over; where nothing is sold, whoever looks is told of it."""
    shares: dict[tuple[str, str], list[tuple[int, HedgeConfig]]] = defaultdict(list)
    for index, hedge in hedges:
        for source in _sources(hedge):
            shares[source].append((index, hedge))
    for (asset, where), sharing in shares.items():
        # What coins or money come to is known at run time alone; the review of every order holds the same sum then.
        total = sum((hedge.ratio or Decimal(0) for _, hedge in sharing), Decimal(0))
        if len(sharing) > 1 and total > ONE:
            others = ", ".join(f'"{hedge.name}"' for _, hedge in sharing[:-1])
            text = (
                f"adds up to {plain(total)} with {others} over the same {asset} in {where}; lower the ratios "
                "until they add up to 1 or less, or let each hedge count other accounts"
            )
            yield ("hedges", sharing[-1][0], "ratio"), text


def _exposures(hedges: Hedges, problems: Problems) -> None:
    for index, hedge in hedges:
        if hedge.spot or hedge.holdings_file or any(hedge.declared.values()):
            continue
        if hedge.exposure is ExposureMode.SPOT:
            problems.add(
                ("hedges", index, "exposure"),
                'is "spot", and neither spot nor holdings states a quantity to protect; add spot = ["VENUE"] '
                'or holdings = { ledger = "2.5" }',
            )
        elif not hedge.looks_coin_margined:
            problems.add(
                ("hedges", index, "spot"),
                'is missing, and so are holdings: there is nothing to protect; add spot = ["VENUE"] or '
                'holdings = { ledger = "2.5" }',
            )


def _candidates(hedges: Hedges, problems: Problems) -> None:
    """A roll stays on its venue: elsewhere other collateral would be needed."""
    for index, hedge in hedges:
        for place, word in enumerate(hedge.roll.candidates):
            venue = word.partition(":")[0] if ":" in word else hedge.instrument.venue
            if venue != hedge.instrument.venue:
                problems.add(
                    ("hedges", index, "roll", "candidates", place),
                    f"is on the venue {shown(venue)}, and a roll stays on {shown(hedge.instrument.venue)}; name a "
                    "contract there",
                )


def _top_ups(venues: Mapping[str, VenueConfig], problems: Problems) -> None:
    """Money is moved within one venue, and its key is the one that asks."""
    for name, venue in venues.items():
        if venue.top_up is None:
            continue
        for key in ("source", "to"):
            account = getattr(venue.top_up, key)
            if account.venue != name:
                problems.add(
                    ("venues", name, "top_up", key),
                    f'is "{account}", a wallet of another venue; money is moved within one, as in "{name}"',
                )


def _paper(venues: Mapping[str, VenueConfig], problems: Problems) -> None:
    """A venue that is traded on paper has to say what its account begins with; there is no default for money."""
    for name, venue in venues.items():
        if venue.paper is None:
            problems.add(
                ("venues", name, "paper"),
                f'is missing, and mode is "paper"; say what the account begins with, in [venues.{name}.paper]: '
                f"{EXAMPLE}",
            )


def _keys(venues: Mapping[str, VenueConfig], problems: Problems) -> None:
    """One key under two names would count one account twice and race for nonces."""
    seen: dict[tuple[str, str], str] = {}
    for name, venue in venues.items():
        key = venue.api_key.get_secret_value()
        other = seen.setdefault((venue.exchange, key), name)
        if other != name and len(key) > 1:
            problems.add(
                ("venues", name),
                f"has the same exchange and API key as venues.{other}; one account is one "
                "venue: name it once, and its wallets as in spot = "
                f'["{other}", "{other}.funding"]',
            )


def _clear_text(venues: Mapping[str, VenueConfig], problems: Problems) -> None:
    for name, venue in venues.items():
        for url in endpoints(venue.ccxt):
            parts = urlsplit(url)
            loopback = parts.hostname in ("localhost", "::1") or (parts.hostname or "").startswith("127.")
            if parts.scheme in ("http", "ws") and not loopback:
                problems.add(
                    ("venues", name, "ccxt", "urls", "api"),
                    "would send live credentials in clear text; use https and wss, or another mode",
                )


def _unused(venue_names: Sequence[str], hedges: Hedges) -> Iterator[str]:
    used = {account.venue for _, hedge in hedges for account in hedge.spot}
    used |= {choice.instrument.venue for _, hedge in hedges for choice in hedge.carriers}
    for name in venue_names:
        if name not in used:
            yield f"venues.{name}: no hedge uses this venue"


def _spot_on_coin_margin(hedges: Hedges) -> Iterator[str]:
    for index, hedge in hedges:
        if hedge.exposure is ExposureMode.SPOT and hedge.looks_coin_margined:
            yield (
                f'hedges[{index}].exposure (hedge "{hedge.name}"): "spot" on a coin-margined contract is neutral '
                "only if the contract's coin profit and loss is swept out; on a unified account state the quantity "
                'in holdings, or use "equity"'
            )


def _rolls_of_nothing(hedges: Hedges) -> Iterator[str]:
    for index, hedge in hedges:
        if "roll" in hedge.model_fields_set and not hedge.looks_dated:
            yield (
                f'hedges[{index}].roll (hedge "{hedge.name}"): {hedge.instrument.symbol} does not expire, so nothing '
                "is rolled; only what `keeper roll` shows follows it"
            )
