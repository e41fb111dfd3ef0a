"""A whole keeper in one process: simulated exchange, real journal, a clock that sleeping moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from keeper.clock import ManualClock
from keeper.core.limits import Limits
from keeper.core.model import AccountId, Band, Base, CycleRecord, ExposureMode, Hedge, HedgeCycle, Quote, Unlisted
from keeper.core.targets import Target
from keeper.cycle import Desk, restore, turn
from keeper.daemon import Daemon, Rhythm
from keeper.execute import OrderExecutor
from keeper.journal.sql import SqlJournal
from keeper.observe import Observatory
from keeper.sim.exchange import Exchange
from keeper.sim.local import LocalVenue
from keeper.sim.types import Order, WalletKind
from keeper.sim.types import Side as SimSide
from keeper.sim.types import linear as linear_key
from keeper.venue.base import Observer, Trader

D = Decimal
KEY = "key"
TAG = "5eed0f"
"""Of every journal here: jitter and client ids are drawn from it, and a story is the same each time it is told."""
BAND = Band(D("0.02"), D("0.05"), D("0.50"))


class SkippingClock(ManualClock):
    """Time passes at once for whoever sleeps: nothing in these stories has to wait."""

    async def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))
        await super().sleep(0)


class House:
    """One exchange account, one keeper on it, one journal; crash it and open it again."""

    def __init__(self, folder: Path, *, coins: dict[str, str] | None = None) -> None:
        self.clock = SkippingClock()
        self.exchange = Exchange(self.clock, seed=7)
        self.exchange.add_account(KEY, "secret")
        self.exchange.deposit(KEY, "USDT", D(5_000_000), WalletKind.USDM)
        for asset, amount in (coins or {"BTC": "5"}).items():
            self.exchange.deposit(KEY, asset, D(amount))
        self.venue = LocalVenue("main", self.exchange, KEY, self.clock)
        self.hedges: list[Hedge] = []
        self.limits = Limits(Quote(D(100_000_000)))
        self.wrap: Callable[[LocalVenue], tuple[Observer, Trader]] = lambda venue: (venue, venue)
        self._url = f"sqlite:///{folder / 'keeper.db'}"
        self.desk: Desk | None = None

    async def hedge(
        self,
        symbol: str = "BTC/USDT:USDT",
        ratio: str = "1",
        *,
        exposure: ExposureMode = ExposureMode.EQUITY,
        spot: tuple[AccountId, ...] = (AccountId("main"),),
        name: str = "btc",
        declared: dict[str, Base] | None = None,
        unlisted: Unlisted = Unlisted.HOLD,
        target: Target | None = None,
    ) -> None:
        await self.venue.open()
        instrument = self.venue.instrument(symbol)
        collateral = self.venue.collateral(instrument)
        self.hedges.append(
            Hedge(
                name, (instrument.base,), spot, declared or {}, instrument, target or Target.ratio(D(ratio)), BAND,
                exposure, unlisted, collateral=None if collateral is None else collateral[0],
            )
        )  # fmt: skip

    async def open(self) -> Desk:
        """Start, or start again after a crash, on the same journal."""
        journal = await SqlJournal.open(self._url, new_tag=lambda: TAG)
        run = await journal.start_run("testnet", "digest", self.clock.now_ms())
        observer, trader = self.wrap(self.venue)
        self.desk = Desk(
            tuple(self.hedges),
            Observatory(self.hedges, {"main": observer}, self.clock),
            OrderExecutor({"main": trader}, journal, self.clock),
            journal,
            self.clock,
            self.limits,
            run.tag,
            run.number,
        )
        await restore(self.desk)
        return self.desk

    async def close(self) -> None:
        if self.desk is not None:
            await self.desk.journal.close()
            self.desk = None

    async def crash(self) -> None:
        """Forget everything that is not on the disk."""
        await self.close()

    async def turn(self, times: int = 1) -> CycleRecord:
        """Turns of the loop, a poll apart."""
        assert self.desk is not None
        for _ in range(times):
            self.clock.advance(5)
            record = await turn(self.desk)
        return record

    async def one(self) -> HedgeCycle:
        return (await self.turn()).hedges[0]

    async def told(self, change: str, hedge: str = "btc") -> None:
        """Give the daemon an operator's command and let it be obeyed, as it is between two turns."""
        assert self.desk is not None
        daemon = Daemon(self.desk, self.clock, Rhythm())
        task = asyncio.ensure_future(getattr(daemon, change)(hedge))
        await self.clock.sleep(0)
        await daemon._obey()
        await task

    # -- the truth ---------------------------------------------------------------------------------------------------

    def position(self, symbol: str = "BTCUSDT") -> Decimal:
        held = self.exchange.truth(KEY).positions
        return sum((amount for key, amount in held.items() if key.symbol == symbol), D(0))

    @property
    def orders(self) -> tuple[Order, ...]:
        return self.exchange.truth(KEY).accepted_orders

    def sell_spot(self, asset: str, amount: str) -> None:
        """The owner sells coins for USDT, by hand."""
        self.exchange.withdraw(KEY, asset, D(amount))
        self.exchange.deposit(KEY, "USDT", D(amount) * self.exchange.index_price(asset))


__all__ = ["KEY", "D", "House", "SimSide", "linear_key"]
