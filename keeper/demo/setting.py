"""What the simulated account owns at the start, the hedges on it, and the keeper configuration that fits it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from keeper.clock import Clock
from keeper.core.model import Band
from keeper.report import plain
from keeper.sim.calendar import symbol_of
from keeper.sim.defaults import default_markets, index_market
from keeper.sim.exchange import Exchange
from keeper.sim.types import ExchangeOptions, MarketKey, MarketKind, WalletKind, inverse, linear
from keeper.sim.wire.urls import CCXT_ID

VENUE = "main"
KEY_VARIABLE = "KEEPER_VENUES__MAIN__API_KEY"
SECRET_VARIABLE = "KEEPER_VENUES__MAIN__API_SECRET"  # noqa: S105  the name of a variable
BAND = Band(warn=Decimal("0.02"), act=Decimal("0.05"), halt=Decimal("0.50"))
RATE_LIMIT_MS = 2
"""What a request of weight 1 is worth. A venue that serves one client on loopback need not be asked as slowly as a
public one."""


@dataclass(frozen=True, slots=True)
class Protected:
    """One hedge of the simulated account: its name, what is protected, and with which contract.

    ``later`` are the contracts into which it may roll, ``rules`` further lines of its configuration.
    """

    name: str
    asset: str
    ratio: Decimal
    symbol: str
    market: MarketKey
    about: str
    later: tuple[MarketKey, ...] = ()
    rules: tuple[str, ...] = ()

    @property
    def markets(self) -> tuple[MarketKey, ...]:
        """Every contract that may carry it."""
        return (self.market, *self.later)

    @property
    def coin_margined(self) -> bool:
        """Whether the collateral of the contract is the asset itself."""
        return self.market.kind is MarketKind.INVERSE


HEDGES = (
    Protected("btc", "BTC", Decimal(1), "BTC/USDT:USDT", linear("BTCUSDT"), "all spot BTC"),
    Protected("eth", "ETH", Decimal("0.6"), "ETH/USDT:USDT", linear("ETHUSDT"), "60 % of the spot ETH"),
    Protected(
        "btc-coin",
        "BTC",
        Decimal(1),
        "BTC/USD:BTC",
        inverse("BTCUSD_PERP"),
        "the BTC that margins this contract: no price asks for a trade",
    ),
)

Purse = tuple[str, Decimal, WalletKind]
PURSES: tuple[Purse, ...] = (
    ("BTC", Decimal(5), WalletKind.SPOT),
    ("ETH", Decimal(40), WalletKind.SPOT),
    ("USDT", Decimal(50_000), WalletKind.SPOT),
    ("USDT", Decimal(300_000), WalletKind.USDM),
    ("BTC", Decimal(2), WalletKind.COINM),
)


QUARTERS_OF = (linear("BTCUSDT"), linear("ETHUSDT"), inverse("BTCUSD_PERP"), inverse("ETHUSD_PERP"))
INDEX = "TOP10"
_BASIS_YEARLY = Decimal("0.06")
_PRICES = {"BTC": Decimal(65_000), "ETH": Decimal(3_500), "SOL": Decimal(150), INDEX: Decimal(2_000)}


def open_exchange(clock: Clock, seed: int) -> Exchange:
    """An exchange with everything that it can list: spot, perpetuals, two quarters of each large coin, an index."""
    options = ExchangeOptions(initial_prices=_PRICES, flow_notional=Decimal(100_000), delivery_ms=60_000)
    exchange = Exchange(clock, seed, (*default_markets(), index_market(INDEX)), options)
    for like in QUARTERS_OF:
        exchange.list_quarters(like, _BASIS_YEARLY)
    return exchange


def further_markets(exchange: Exchange) -> Iterator[str]:
    """Comments for a configuration: what else is listed to hedge with, by the symbols that a configuration takes."""
    dated = [symbol_of(market) for market in exchange.markets() if market.expiry_ms is not None]
    yield "# Also listed: " + ", ".join(dated[:4]) + ","
    yield "# " + ", ".join(dated[4:]) + " (they expire at 08:00 UTC),"
    yield f"# and {INDEX}/USDT:USDT, an index of 100 USDT a point."
    yield "# Wallets: main (spot), main.linear, main.inverse, main.funding, main.earn."


def fund(exchange: Exchange, api_key: str, api_secret: str, purses: Sequence[Purse] = PURSES) -> None:
    """Open the account and pay in what it owns at the start."""
    exchange.add_account(api_key, api_secret)
    for asset, amount, wallet in purses:
        exchange.deposit(api_key, asset, amount, wallet)


def config_text(
    urls: Mapping[str, object],
    journal_url: str,
    poll_seconds: float,
    hedges: Sequence[Protected] = HEDGES,
    comments: Iterable[str] = (),
) -> str:
    """A complete keeper configuration, TOML, for the account of :func:`fund` served at ``urls``."""
    tables = _tables(f"venues.{VENUE}.ccxt.urls.api", urls)
    return "\n".join((*_head(), *tables, *comments, *_rest(journal_url, poll_seconds, hedges), ""))


def _head() -> Iterator[str]:
    yield 'mode = "testnet"                       # real orders with test money'
    yield ""
    yield f"[venues.{VENUE}]"
    yield f'exchange = "{CCXT_ID}"                   # whose protocol the simulated exchange speaks'
    yield ""
    yield f"[venues.{VENUE}.ccxt]"
    yield f"rateLimit = {RATE_LIMIT_MS}                          # milliseconds; loopback need not be asked slowly"
    yield ""


def _tables(path: str, tree: Mapping[str, object]) -> Iterator[str]:
    """A tree of texts as TOML tables: what is text first, then each branch under a heading of its own."""
    yield f"[{path}]"
    for key, value in tree.items():
        if not isinstance(value, Mapping):
            yield f'{key} = "{value}"'
    yield ""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _tables(f"{path}.{key}", value)


def _rest(journal_url: str, poll_seconds: float, hedges: Sequence[Protected]) -> Iterator[str]:
    band = f'{{ warn = "{plain(BAND.warn)}", act = "{plain(BAND.act)}", halt = "{plain(BAND.halt)}" }}'
    for hedge in hedges:
        yield f"[[hedges]]                             # {hedge.about}"
        yield f'name = "{hedge.name}"'
        yield f'asset = "{hedge.asset}"'
        if not hedge.coin_margined:
            yield f'spot = ["{VENUE}"]'
        yield f'instrument = "{VENUE}:{hedge.symbol}"'
        yield f'ratio = "{plain(hedge.ratio)}"'
        yield f"band = {band}"
        yield from hedge.rules
        yield 'max_slippage = "0.005"                 # room for a price that moves between a look and an order'
        yield ""
    yield "[limits]"
    yield 'max_order_notional = "500000"          # quote money; larger orders are sliced'
    yield 'max_short_notional = "1500000"         # quote money, over all hedges'
    yield ""
    yield "[loop]"
    yield f"poll_seconds = {poll_seconds:g}"
    yield ""
    yield "[journal]"
    yield f"url = {json.dumps(journal_url, ensure_ascii=False)}"  # a path may hold quotes
