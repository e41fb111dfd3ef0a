"""Two venues that go wrong on command, served from a thread of their own, so that whole commands can meet them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from keeper.clock import SystemClock
from keeper.sim.exchange import Exchange
from keeper.sim.server import SimServer
from keeper.sim.types import MarketKind, Permissions, WalletKind, linear
from keeper.sim.wire.dispatch import Proceed, Reply, open_gate
from keeper.sim.wire.request import Call
from tests.e2e.grounds import KEY, SECRET, Ground, OtherGround, OwnGround
from tests.support.bybit_v5 import BybitV5
from tests.support.bybit_v5.faults import Fault, Kind

D = Decimal
T = TypeVar("T")
LINEAR = "BTC/USDT:USDT"
COINS = {"BTC": "5", "ETH": "40"}


class ShiftedClock(SystemClock):
    """The venue's own clock, which may run apart from ours."""

    offset_ms = 0

    def now_ms(self) -> int:
        """Wall time of the venue."""
        return super().now_ms() + self.offset_ms


class Trouble(Protocol):
    """A venue, and what can be wrong with it; every call is made on the venue's own thread."""

    ground: Ground

    def well(self) -> None: ...
    def skew(self, milliseconds: int) -> None: ...
    def answer(self, status: int, body: str) -> None: ...
    def read_only(self) -> None: ...
    def may_withdraw(self) -> None: ...
    def two_sided(self) -> None: ...
    def leverage(self) -> Decimal: ...
    def orders_asked(self) -> int: ...


class OwnTrouble:
    """Our own exchange, by the protocol of the venue that it speaks."""

    def __init__(self, server: SimServer, clock: ShiftedClock) -> None:
        self.ground: Ground = OwnGround(server)
        self._server = server
        self._clock = clock

    def well(self) -> None:
        self._clock.offset_ms = 0
        self._server.gate = open_gate
        self._server.requests.clear()
        self._server.exchange.set_permissions(KEY, Permissions())
        for kind in (MarketKind.LINEAR, MarketKind.INVERSE):
            self._mode(kind, two_sided=False)

    def _mode(self, kind: MarketKind, *, two_sided: bool) -> None:
        if self._server.exchange.position_mode(KEY, kind) != two_sided:
            self._server.exchange.set_position_mode(KEY, kind, two_sided)

    def skew(self, milliseconds: int) -> None:
        self._clock.offset_ms = milliseconds

    def answer(self, status: int, body: str) -> None:
        async def gate(_call: Call, _proceed: Proceed) -> Reply:
            return Reply(status, body)

        self._server.gate = gate

    def read_only(self) -> None:
        self._server.exchange.set_permissions(KEY, Permissions(spot_trading=False, futures=False))

    def may_withdraw(self) -> None:
        self._server.exchange.set_permissions(KEY, Permissions(withdrawals=True))

    def two_sided(self) -> None:
        self._mode(MarketKind.LINEAR, two_sided=True)

    def leverage(self) -> Decimal:
        return D(self._server.exchange.settings(KEY, linear("BTCUSDT")).leverage)

    def orders_asked(self) -> int:
        asked = [entry for entry in self._server.requests if entry.method != "GET"]
        return sum(1 for entry in asked if entry.path.rpartition("/")[2] in ("order", "batchOrders"))


class OtherTrouble:
    """The independent venue."""

    def __init__(self, venue: BybitV5) -> None:
        self.ground: Ground = OtherGround(venue)
        self._venue = venue

    def well(self) -> None:
        venue = self._venue
        venue.clear_faults()
        venue.requests.clear()
        venue.exchange.read_only = venue.exchange.can_withdraw = False
        venue.exchange.hedge_mode.clear()

    def skew(self, milliseconds: int) -> None:
        self._venue.skew_clock(milliseconds)

    def answer(self, status: int, body: str) -> None:
        kind = Kind.MALFORMED if status == 200 else Kind.HTTP
        self._venue.arm(Fault("", kind, None, status=status, message=body))

    def read_only(self) -> None:
        self._venue.exchange.read_only = True

    def may_withdraw(self) -> None:
        self._venue.exchange.can_withdraw = True

    def two_sided(self) -> None:
        self._venue.exchange.hedge_mode.add("linear:BTCUSDT")

    def leverage(self) -> Decimal:
        unit = self._venue.exchange.market("linear", "BTCUSDT").instrument
        return self._venue.exchange.account.holding(unit).leverage

    def orders_asked(self) -> int:
        return sum(1 for request in self._venue.requests if request.path.startswith("/v5/order/create"))


@asynccontextmanager
async def _own() -> AsyncIterator[OwnTrouble]:
    clock = ShiftedClock()
    exchange = Exchange(clock, seed=3)
    exchange.add_account(KEY, SECRET)
    exchange.deposit(KEY, "USDT", D(5_000_000), WalletKind.USDM)
    for asset, amount in COINS.items():
        exchange.deposit(KEY, asset, D(amount))
    async with SimServer(exchange, clock=clock) as server:
        yield OwnTrouble(server, clock)


@asynccontextmanager
async def _other() -> AsyncIterator[OtherTrouble]:
    prices: dict[str, Decimal | int | str] = {"BTC": 65000, "ETH": 3500, "SOL": 150}
    async with BybitV5({"USDT": "5000000", **COINS}, prices=prices) as venue:
        yield OtherTrouble(venue)


OPENERS: dict[str, Callable[[], AbstractAsyncContextManager[Trouble]]] = {"own": _own, "other": _other}


@dataclass(slots=True)
class Stage:
    """A venue on its thread. ``now`` runs something there and waits for it."""

    trouble: Trouble
    _loop: asyncio.AbstractEventLoop = field(repr=False)

    @property
    def ground(self) -> Ground:
        """Its address and its credentials."""
        return self.trouble.ground

    def now(self, act: Callable[[], T]) -> T:
        """The result of ``act`` on the venue's thread."""

        async def there() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(10)


@contextmanager
def staged(name: str) -> Iterator[Stage]:
    """The venue of that name, open while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"venue {name}", daemon=True)
    thread.start()

    def wait(work: Awaitable[T]) -> T:
        async def there() -> T:
            return await work

        coroutine: Coroutine[Any, Any, T] = there()
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    opened = OPENERS[name]()
    try:
        yield Stage(wait(opened.__aenter__()), loop)
        wait(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
