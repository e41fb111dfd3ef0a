"""Venues to talk to, and orders to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from keeper.clock import Clock, SystemClock
from keeper.core.model import Base, Contracts, Instrument, Kind, PlannedOrder, Quote, Side
from keeper.venue.base import Accepted, OrderReport
from keeper.venue.ccxt_venue import CcxtVenue, Credentials, VenuePolicy, make_venue
from tests.support.bybit_v5 import BybitV5
from tests.support.okx_v5 import OkxV5

API_KEY, API_SECRET, PASSPHRASE = "planted-key-4711", "planted-secret-0815", "planted-passphrase-42"
PLANTED = Credentials(API_KEY, API_SECRET, PASSPHRASE)
TESTNET, DRY_RUN, LIVE = VenuePolicy(True, "testnet"), VenuePolicy(False, "live"), VenuePolicy(True, "live")
D = Decimal


def venue_of(
    exchange: str,
    options: Mapping[str, Any] | None = None,
    policy: VenuePolicy = TESTNET,
    credentials: Credentials = PLANTED,
    clock: Clock | None = None,
    seconds: float = 5.0,
) -> CcxtVenue:
    """A venue named "main"; nothing is sent yet. Closing it does not linger."""
    made = make_venue("main", exchange, policy, credentials, options or {}, clock or SystemClock(), seconds, seconds)
    raw(made).timeout_on_exit = 1
    return made


def raw(venue: CcxtVenue) -> Any:
    """The client inside, for looking at."""
    return venue.connection.client


def stand_in_venue(stand_in: BybitV5, **more: Any) -> CcxtVenue:
    """A venue that leads to the stand-in, and nowhere else."""
    config = stand_in.ccxt_config()
    keys = more.pop("credentials", Credentials(config["apiKey"], config["secret"]))
    return venue_of("bybit", {"urls": config["urls"]}, credentials=keys, **more)


def okx_venue(stand_in: OkxV5, **more: Any) -> CcxtVenue:
    """A venue that leads to the stand-in for OKX, and nowhere else."""
    keys = more.pop("credentials", Credentials(*stand_in.credentials()))
    options = {"urls": {"api": stand_in.ccxt_urls()}, **more.pop("options", {})}
    return venue_of("okx", options, credentials=keys, **more)


def asked(stand_in: BybitV5 | OkxV5, path: str) -> int:
    """How often the stand-in was asked this."""
    return sum(1 for request in stand_in.requests if request.path.endswith(path))


@asynccontextmanager
async def opened(venue: CcxtVenue) -> AsyncIterator[CcxtVenue]:
    """The venue with its markets loaded, closed at the end."""
    try:
        await venue.open()
        yield venue
    finally:
        await venue.close()


def order(
    instrument: Instrument, contracts: str, price: Decimal, number: int = 1, side: Side = Side.SELL, cover: bool = False
) -> PlannedOrder:
    """A planned order with a canonical id made from ``number``."""
    size = Contracts(D(contracts))
    return PlannedOrder(
        client_id=f"{number:028x}",
        hedge="btc",
        instrument=instrument.id,
        side=side,
        contracts=size,
        amount_base=Base(abs(instrument.delta(size, price))),
        notional=Quote(abs(instrument.notional(size, price))),
        price=price,
        reduce_only=cover,
    )


async def marketable(venue: CcxtVenue, symbol: str, contracts: str, number: int = 1, **more: Any) -> PlannedOrder:
    """An order that crosses the book."""
    instrument = venue.observer.instrument(symbol)
    mark = (await venue.observer.marks([instrument]))[instrument.id]
    buy = more.get("side") is Side.BUY
    touch = mark.ask if buy else mark.bid
    assert touch is not None
    price = touch * (D("1.001") if buy else D("0.999"))
    return order(instrument, contracts, price.quantize(instrument.tick), number, **more)


async def report_of(venue: CcxtVenue, sent: PlannedOrder) -> OrderReport:
    """What the venue says of an order that it accepted."""
    outcome = await venue.trader.submit(sent)
    assert isinstance(outcome, Accepted), outcome
    found = outcome.report or await venue.trader.lookup(sent.instrument, sent.client_id, outcome.venue_order_id)
    assert isinstance(found, OrderReport), found
    return found


def coin_market(**changes: Any) -> dict[str, Any]:
    """A market dict as the client makes them: a linear perpetual unless told."""
    market: dict[str, Any] = {
        "id": "BTCUSDT",
        "symbol": "BTC/USDT:USDT",
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "contract": True,
        "swap": True,
        "future": False,
        "option": False,
        "linear": True,
        "inverse": False,
        "contractSize": "1",
        "precision": {"amount": "0.001", "price": "0.1"},
        "limits": {"amount": {"min": "0.001", "max": "1000"}, "market": {"max": "120"}, "cost": {"min": "5"}},
    }
    return market | changes


COIN_MARGINED = {
    "id": "BTCUSD", "symbol": "BTC/USD:BTC", "quote": "USD", "settle": "BTC", "linear": False, "inverse": True,
    "contractSize": "100", "precision": {"amount": "1", "price": "0.1"},
}  # fmt: skip
KINDS = {Kind.LINEAR: {}, Kind.INVERSE: COIN_MARGINED}
