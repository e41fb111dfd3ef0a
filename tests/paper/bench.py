"""A paper account on the simulated exchange's prices, and beside it the same exchange with an account of its own.

Both exchanges have one clock, one seed and one hand that moves them, so both show the same book; on the first nobody
trades but on paper, on the second the same orders are really placed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from keeper.core.model import Base, Contracts, Instrument, PlannedOrder, Position, Quote, Side
from keeper.sim.exchange import Exchange
from keeper.sim.local import LocalVenue
from keeper.sim.types import WalletKind, inverse, linear
from keeper.venue.base import Accepted, OrderReport
from keeper.venue.paper.terms import Premises, Terms
from keeper.venue.paper.venue import PaperVenue
from tests.loop.house import KEY, D, SkippingClock

SPLIT = Premises(frozenset({"", "funding", "linear", "inverse"}), "inverse")
MONEY = Terms(wallets={"": {"BTC": D(5)}, "linear": {"USDT": D(5_000_000)}, "inverse": {"BTC": D(50)}}, leverage=D(20))
PERP, COIN = "BTC/USDT:USDT", "BTC/USD:BTC"
HOUR = 3_600


class Bench:
    """Made by :func:`bench`."""

    def __init__(self, folder: Path, terms: Terms = MONEY, premises: Premises = SPLIT) -> None:
        self.clock = SkippingClock()
        self.terms, self.premises, self.file = terms, premises, folder / "paper.db"
        self.exchanges = tuple(Exchange(self.clock, seed=7) for _ in range(2))
        for exchange in self.exchanges:
            exchange.add_account(KEY, "secret")
            exchange.deposit(KEY, "USDT", D(5_000_000), WalletKind.USDM)
            exchange.deposit(KEY, "BTC", D(50), WalletKind.COINM)
            exchange.deposit(KEY, "BTC", D(5))
        self.source, self.twin = (LocalVenue("main", exchange, KEY, self.clock) for exchange in self.exchanges)
        self.paper = self.made()
        self.sent = 0

    def made(self, *, durable: bool = True) -> PaperVenue:
        """Another keeper's view of the same account."""
        return PaperVenue(self.source, self.terms, self.premises, self.file, self.clock, durable=durable)

    async def restart(self) -> None:
        """As after a kill: what is on the disk is all there is."""
        self.paper = self.made()
        await self.paper.open()

    def price(self, price: str | Decimal, asset: str = "BTC") -> None:
        for exchange in self.exchanges:
            exchange.set_price(asset, D(price))

    def rate(self, rate: str) -> None:
        for exchange in self.exchanges:
            for key in (linear("BTCUSDT"), inverse("BTCUSD_PERP")):
                exchange.set_funding_rate(key, D(rate))

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for exchange in self.exchanges:
            exchange.advance()

    def until_hour(self, hour: int) -> None:
        """Let time pass to a moment a second before the next such hour, UTC, of the day."""
        day, now = 24 * HOUR * 1000, self.clock.now_ms()
        wait_ms = (hour * HOUR * 1000 - now) % day
        self.later((wait_ms - 1000) / 1000 if wait_ms > 1000 else (wait_ms + day - 1000) / 1000)

    def order(
        self, side: Side, contracts: str | Decimal, price: str | Decimal, symbol: str = PERP, *,
        reduce_only: bool = False, force: str = "IOC",
    ) -> PlannedOrder:  # fmt: skip
        self.sent += 1
        instrument = self.paper.instrument(symbol)
        return PlannedOrder(
            f"{self.sent:028x}", "btc", instrument.id, side, Contracts(D(contracts)), Base(D(0)), Quote(D(0)),
            D(price), reduce_only, time_in_force=force,
        )  # fmt: skip

    async def done(self, order: PlannedOrder) -> OrderReport:
        """What became of an order that has to be taken in."""
        answer = await self.paper.submit(order)
        assert isinstance(answer, Accepted), answer
        report = await self.paper.lookup(order.instrument, order.client_id, None)
        assert isinstance(report, OrderReport)
        return report

    async def held(self, symbol: str = PERP) -> Position:
        return await self.paper.position(self.paper.instrument(symbol))

    async def wallet(self, name: str = "linear", asset: str = "USDT") -> Decimal:
        return (await self.paper.wallet(name)).totals[asset]

    def instrument(self, symbol: str = PERP) -> Instrument:
        return self.paper.instrument(symbol)


@asynccontextmanager
async def bench(folder: Path, terms: Terms = MONEY, premises: Premises = SPLIT) -> AsyncIterator[Bench]:
    made = Bench(folder, terms, premises)
    await made.paper.open()
    await made.twin.open()
    try:
        yield made
    finally:
        await made.paper.close()


def begins(**more: object) -> Terms:
    return replace(MONEY, **more)  # type: ignore[arg-type]  # keys of the dataclass
