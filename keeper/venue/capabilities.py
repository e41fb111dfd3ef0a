"""What differs from venue to venue: the one table. With the modules that it imports the only place outside the
simulator that knows a venue's name.

Everything here was read in the client's source or in the venue's own answers. Ids under which the client only loads
other markets of a venue, or asks other hosts of it, share an entry. A venue that is not in the table gets
:data:`GENERIC`: unified calls only, no coin-margined contracts, nothing assumed that could not be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keeper.venue.binance import BINANCE, BINANCE_PORTFOLIO
from keeper.venue.bybit import BYBIT
from keeper.venue.deribit import DERIBIT
from keeper.venue.lesser_venues import OTHERS
from keeper.venue.mexc import MEXC
from keeper.venue.okx import OKX
from keeper.venue.recipes import Capability
from keeper.venue.weex import WEEX

GENERIC = Capability(unified_wallets={"": {"type": "spot"}})
NAMELESS = dict.fromkeys(
    ("digifinex", "hibachi", "mudrex", "nado"), replace(GENERIC, no_orders="orders carry no id of ours")
)

TABLE: Mapping[str, Capability] = {
    "binance": BINANCE,
    "binanceusdm": BINANCE,
    "binancecoinm": BINANCE,
    "bybit": BYBIT,
    "bybitid": BYBIT,
    "okx": OKX,
    "myokx": OKX,
    "okxus": OKX,
    "deribit": DERIBIT,
    "mexc": MEXC,
    "weex": WEEX,
    # its balances name coins by numbers, which the client reads in the list of coins
    "delta": replace(GENERIC, skip_currencies=False),
    **OTHERS,
    **NAMELESS,
}

_ONE_VENUE: Mapping[str, str] = {
    **dict.fromkeys(("binanceusdm", "binancecoinm"), "binance"),
    **dict.fromkeys(("bybiteu", "bybitid"), "bybit"),
    **dict.fromkeys(("myokx", "okxus"), "okx"),
    **dict.fromkeys(("bequant", "fmfwio"), "hitbtc"),
    "gateeu": "gate",
    "kucoinfutures": "kucoin",
}
"""Ids of the client at which a key of another one may work as well."""


def same_venue(exchange_id: str) -> str:
    """One id for all those that may lead to the same account with the same key."""
    return _ONE_VENUE.get(exchange_id, exchange_id)


BY_OPTION: Mapping[tuple[str, str], Capability] = {
    ("binance", "portfolioMargin"): BINANCE_PORTFOLIO,
    ("binance", "papi"): BINANCE_PORTFOLIO,
}
"""Kinds of account that the client is told of by one of its own options."""


def capability_of(exchange_id: str, options: Mapping[str, Any] | None = None) -> Capability:
    """What is known of a venue; :data:`GENERIC` when it is not in the table."""
    told = (BY_OPTION.get((same_venue(exchange_id), name)) for name, value in (options or {}).items() if value is True)
    return next((kind for kind in told if kind is not None), TABLE.get(exchange_id, GENERIC))
