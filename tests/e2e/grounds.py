"""Two grounds to prove a keeper on: each is an exchange behind the real client, with a hand that moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from keeper.clock import SystemClock
from keeper.config import Config, parse_config
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import WalletKind, inverse, linear
from tests.support.bybit_v5 import BybitV5
from tests.support.okx_v5 import OkxV5

D = Decimal
KEY, SECRET = "test-key-0123456789", "test-secret-0123456789"


class Ground(Protocol):
    """An exchange account that a story can move, and look at as it truly is."""

    exchange_id: str
    urls: Mapping[str, Any]

    @property
    def credentials(self) -> tuple[str, ...]: ...

    def deposit(self, asset: str, amount: str) -> None: ...
    def sell(self, asset: str, amount: str) -> None: ...
    def price(self, asset: str, price: str) -> None: ...
    def contracts(self, symbol: str) -> Decimal: ...
    def orders(self) -> int: ...
    def requests(self) -> list[tuple[str, str]]: ...


class OwnGround:
    """Our own exchange, split wallets: coin collateral is a wallet of its own."""

    exchange_id = "binance"
    credentials = (KEY, SECRET)

    def __init__(self, server: SimServer) -> None:
        self.server = server
        self.exchange = server.exchange
        self.urls: Mapping[str, Any] = server.urls

    def deposit(self, asset: str, amount: str, wallet: WalletKind = WalletKind.SPOT) -> None:
        self.exchange.deposit(KEY, asset, D(amount), wallet)

    def sell(self, asset: str, amount: str) -> None:
        self.exchange.withdraw(KEY, asset, D(amount))
        self.exchange.deposit(KEY, "USDT", D(amount) * self.exchange.index_price(asset))

    def price(self, asset: str, price: str) -> None:
        self.exchange.set_price(asset, D(price))

    def contracts(self, symbol: str) -> Decimal:
        base, _, rest = symbol.partition("/")
        key = linear(f"{base}USDT") if rest.startswith("USDT") else inverse(f"{base}USD_PERP")
        return self.exchange.truth(KEY).positions.get(key, D(0))

    def orders(self) -> int:
        return len(self.exchange.truth(KEY).accepted_orders)

    def requests(self) -> list[tuple[str, str]]:
        return [(entry.method, entry.path) for entry in self.server.requests]


class OtherGround:
    """The independent venue: one unified account."""

    exchange_id = "bybit"

    def __init__(self, venue: BybitV5) -> None:
        self.venue = venue
        self.urls: Mapping[str, Any] = venue.ccxt_urls()
        config = venue.ccxt_config()
        self.credentials = (str(config["apiKey"]), str(config["secret"]))

    def deposit(self, asset: str, amount: str) -> None:
        self.venue.deposit(asset, amount)

    def sell(self, asset: str, amount: str) -> None:
        self.venue.sell_spot(asset, amount)

    def price(self, asset: str, price: str) -> None:
        self.venue.set_price(asset, price)

    def contracts(self, symbol: str) -> Decimal:
        return self.venue.position(symbol)

    def orders(self) -> int:
        return len(self.venue.accepted_orders)

    def requests(self) -> list[tuple[str, str]]:
        return [(request.method, request.path) for request in self.venue.requests]


class OkxGround:
    """A third venue: one unified account, contracts of a part of a coin, a key of three parts. Sizes here are coins."""

    exchange_id = "okx"

    def __init__(self, venue: OkxV5) -> None:
        self.venue = venue
        self.urls: Mapping[str, Any] = venue.ccxt_urls()
        self.credentials = venue.credentials()

    def deposit(self, asset: str, amount: str) -> None:
        self.venue.deposit(asset, amount)

    def sell(self, asset: str, amount: str) -> None:
        self.venue.foreign_trade(f"{asset}/USDT", -D(amount))

    def price(self, asset: str, price: str) -> None:
        self.venue.set_price(asset, price)

    def contracts(self, symbol: str) -> Decimal:
        return self.venue.position(symbol) * self.venue.market(symbol).instrument.value

    def orders(self) -> int:
        return len(self.venue.accepted_orders)

    def requests(self) -> list[tuple[str, str]]:
        return [(request.method, request.path) for request in self.venue.requests]


@asynccontextmanager
async def own_ground(coins: Mapping[str, str] | None = None) -> AsyncIterator[OwnGround]:
    clock = SystemClock()
    exchange = Exchange(clock, seed=3)
    exchange.add_account(KEY, SECRET)
    exchange.deposit(KEY, "USDT", D(5_000_000), WalletKind.USDM)
    for asset, amount in (coins if coins is not None else {"BTC": "5"}).items():
        exchange.deposit(KEY, asset, D(amount))
    async with SimServer(exchange, clock=clock) as server:
        yield OwnGround(server)


@asynccontextmanager
async def other_ground(coins: Mapping[str, str] | None = None) -> AsyncIterator[OtherGround]:
    wallet: dict[str, Decimal | int | str] = {"USDT": "5000000", **(coins if coins is not None else {"BTC": "5"})}
    async with BybitV5(wallet, prices={"BTC": 65000, "ETH": 3500, "SOL": 150}) as venue:
        yield OtherGround(venue)


@asynccontextmanager
async def okx_ground(coins: Mapping[str, str] | None = None) -> AsyncIterator[OkxGround]:
    cash: dict[str, Decimal | int | str] = {"USDT": "5000000", **(coins if coins is not None else {"BTC": "5"})}
    async with OkxV5(cash, prices={"BTC": 65000, "ETH": 3500, "SOL": 150}) as venue:
        yield OkxGround(venue)


def toml_table(table: Mapping[str, Any], name: str) -> str:
    """A nested mapping of texts as TOML tables."""
    lines = [f"[{name}]"] + [f'{key} = "{value}"' for key, value in table.items() if not isinstance(value, Mapping)]
    lines += [toml_table(value, f"{name}.{key}") for key, value in table.items() if isinstance(value, Mapping)]
    return "\n".join(lines)


def hedge_toml(
    symbol: str = "BTC/USDT:USDT", ratio: str = "1", name: str = "btc", asset: str = "BTC", more: str = "",
    venue: str = "main", spot: str = '["main"]',
) -> str:  # fmt: skip
    return f"""
[[hedges]]
name = "{name}"
asset = "{asset}"
spot = {spot}
instrument = "{venue}:{symbol}"
ratio = "{ratio}"
{more}
"""


def venue_toml(ground: Ground, name: str = "main") -> str:
    urls = toml_table(ground.urls, f"venues.{name}.ccxt.urls.api")
    # The simulated venues answer at once: the pace of the real ones is proved elsewhere, not waited for here.
    pace = f"[venues.{name}.ccxt]\nrateLimit = 1\n"
    return f'[venues.{name}]\nexchange = "{ground.exchange_id}"\n{pace}{urls}\n'


def config_text(ground: Ground, folder: Path, hedges: str, *, head: str = 'mode = "testnet"', tail: str = "") -> str:
    return f"""{head}
[loop]
poll_seconds = 0.2
start_patience_seconds = 1
[journal]
url = "sqlite:///{folder / "keeper.db"}"
[api]
bind = "127.0.0.1:0"
{tail}
{venue_toml(ground)}
{hedges}
"""


def environment(ground: Ground, name: str = "main") -> dict[str, str]:
    parts = ("API_KEY", "API_SECRET", "PASSWORD")
    given = zip(parts, ground.credentials, strict=False)
    return {f"KEEPER_VENUES__{name.upper()}__{part}": value for part, value in given}


def config_of(ground: Ground, folder: Path, hedges: str, **more: str) -> Config:
    path = folder / "keeper.toml"
    return parse_config(config_text(ground, folder, hedges, **more), "keeper.toml", path, environment(ground))
