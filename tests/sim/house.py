"""A small exchange to tell stories with: one account, manual clock, round prices, no spread unless asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from keeper.clock import ManualClock
from keeper.sim.defaults import default_markets, inverse_market
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import Event
from keeper.sim.exchange import Exchange
from keeper.sim.types import (
    ExchangeOptions,
    Market,
    MarketKey,
    MarketKind,
    OrderRequest,
    OrderResult,
    OrderType,
    Position,
    PositionSide,
    Side,
    SpotBalance,
    TimeInForce,
    WalletKind,
    inverse,
    linear,
    spot,
)

KEY = "key"
BTC_SPOT = spot("BTCUSDT")
BTC_PERP = linear("BTCUSDT")
BTC_COIN = inverse("BTCUSD_PERP")
DEEP = ExchangeOptions(half_spread_bps=Decimal(0), first_level_notional=Decimal(1_000_000_000))
D = Decimal


def free_of_fees(markets: tuple[Market, ...], maintenance_rate: str = "0.005") -> tuple[Market, ...]:
    """The same markets without fees, with one maintenance rate: for formulas."""
    zero = Decimal(0)
    return tuple(
        replace(market, maker_fee=zero, taker_fee=zero, maintenance_rate=Decimal(maintenance_rate))
        for market in markets
    )


@dataclass
class House:
    """An exchange with its clock and everything it has published."""

    exchange: Exchange
    clock: ManualClock
    events: list[Event]

    def put(self, key: MarketKey, side: Side, quantity: str, price: str | None = None, **more: object) -> OrderResult:
        """Place an order: at market, or limit when a price is given."""
        request = OrderRequest(
            market=key,
            side=side,
            type=OrderType.LIMIT if price else OrderType.MARKET,
            quantity=Decimal(quantity),
            price=Decimal(price) if price else None,
        )
        return self.exchange.place_order(KEY, replace(request, **more))  # type: ignore[arg-type]

    def buy(self, key: MarketKey, quantity: str, price: str | None = None, **more: object) -> OrderResult:
        return self.put(key, Side.BUY, quantity, price, **more)

    def sell(self, key: MarketKey, quantity: str, price: str | None = None, **more: object) -> OrderResult:
        return self.put(key, Side.SELL, quantity, price, **more)

    def price(self, price: str | int | Decimal, asset: str = "BTC") -> None:
        self.exchange.set_price(asset, Decimal(price))

    def position(self, key: MarketKey, side: PositionSide = PositionSide.BOTH) -> Position:
        rows = self.exchange.positions(KEY, key.kind, key)
        return next(row for row in rows if row.side is side)

    def spot(self, asset: str) -> SpotBalance:
        return next(row for row in self.exchange.spot_balances(KEY) if row.asset == asset)

    def wallet(self, kind: MarketKind, asset: str) -> Decimal:
        truth = self.exchange.truth(KEY)
        return (truth.usdm if kind is MarketKind.LINEAR else truth.coinm)[asset]


def build(
    *,
    options: ExchangeOptions = DEEP,
    markets: tuple[Market, ...] | None = None,
    usdt: str | None = None,
    usdm: str | None = None,
    btc: str | None = None,
    coinm: str | None = None,
    price: str = "65000",
    seed: int = 1,
) -> House:
    """An exchange at one BTC price, its account funded as said."""
    clock = ManualClock()
    exchange = Exchange(clock, seed, markets, options)
    house = House(exchange, clock, [])
    house.price(price)
    exchange.add_account(KEY, "secret")
    purses = (
        ("USDT", usdt, WalletKind.SPOT),
        ("USDT", usdm, WalletKind.USDM),
        ("BTC", btc, WalletKind.SPOT),
        ("BTC", coinm, WalletKind.COINM),
    )
    for asset, amount, wallet in purses:
        if amount is not None:
            exchange.deposit(KEY, asset, Decimal(amount), wallet)
    exchange.subscribe(house.events.append)
    return house


def feeless(**more: object) -> House:
    """A house without fees, maintenance 0.5 %."""
    return build(markets=free_of_fees(default_markets()), **more)  # type: ignore[arg-type]


@contextmanager
def refused(kind: ErrorKind) -> Iterator[None]:
    """What happens inside must be refused for this reason."""
    with pytest.raises(SimError) as caught:
        yield
    assert caught.value.kind is kind, caught.value


__all__ = [
    "BTC_COIN", "BTC_PERP", "BTC_SPOT", "DEEP", "KEY", "D", "ErrorKind", "House", "Side", "TimeInForce",
    "build", "feeless", "free_of_fees", "inverse_market", "refused",
]  # fmt: skip
