"""The stand-in as tests use it: an address, the truth, hands that move the world, switches that break it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import TracebackType

from keeper.clock import Clock, SystemClock
from tests.support.bybit_v5.faults import Fault, FaultPlan, Kind
from tests.support.bybit_v5.server import Recorded
from tests.support.okx_v5.exchange import Exchange, Holding, Market, Order
from tests.support.okx_v5.instruments import DEFAULT_INSTRUMENTS, DEFAULT_PRICES, Instrument
from tests.support.okx_v5.server import API_KEY, LOOPBACK, PASSPHRASE, SECRET, Server
from tests.support.okx_v5.wire import Json, Number

ORDER, LOOKUP = "POST /api/v5/trade/order", "GET /api/v5/trade/order"
BALANCE, POSITIONS = "GET /api/v5/account/balance", "GET /api/v5/account/positions"
PENDING, FILLS, CANCEL = (
    "GET /api/v5/trade/orders-pending",
    "GET /api/v5/trade/fills-history",
    "POST /api/v5/trade/cancel-order",
)
MESSAGES = {
    50001: "Service temporarily unavailable. Try again later.",
    50004: "API endpoint request timeout (does not mean that the request was successful or failed).",
    50011: "Too Many Requests",
    50013: "Systems are busy. Please try again later.",
    50026: "System error. Try again later.",
    50061: "Sub-account rate limit exceeded.",
}


class OkxV5:
    """One venue with one account in net mode, on a free loopback port.

    Sizes are the venue's own: contracts, and coins on spot. Contracts are named by the venue's names
    ("BTC-USDT-SWAP") or the client's ("BTC/USDT:USDT"). Faults are named by the end of "METHOD path".
    """

    def __init__(
        self,
        cash: dict[str, Number] | None = None,
        *,
        clock: Clock | None = None,
        prices: dict[str, Number] | None = None,
        instruments: tuple[Instrument, ...] = DEFAULT_INSTRUMENTS,
        demo: bool = False,
    ) -> None:
        known = {**DEFAULT_PRICES, **{asset: Decimal(price) for asset, price in (prices or {}).items()}}
        self.exchange = Exchange(clock or SystemClock(), instruments, known)
        self.faults = FaultPlan()
        self.server = Server(self.exchange, self.faults, demo=demo)
        self.exchange.cash.update({asset: Decimal(amount) for asset, amount in (cash or {}).items()})

    async def __aenter__(self) -> OkxV5:
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.stop()

    # -- where it is

    def ccxt_urls(self) -> Json:
        """A complete ``urls.api``: no host of the real venue is left in it."""
        address = f"{LOOPBACK}:{self.server.port}"
        return {"rest": f"http://{address}", "ws": f"ws://{address}/ws/v5"}

    def credentials(self) -> tuple[str, str, str]:
        """Key, secret, passphrase."""
        return API_KEY, SECRET, PASSPHRASE

    async def kill(self) -> None:
        """Refuse connections; those that stand are cut."""
        await self.server.kill()

    async def revive(self) -> None:
        """Listen again, on the same port."""
        await self.server.start()

    # -- the truth

    @property
    def requests(self) -> list[Recorded]:
        """Every HTTP request in order of arrival."""
        return self.server.requests

    @property
    def unknown_paths(self) -> list[str]:
        """What was asked for and is not served here: should be empty."""
        return self.server.unknown

    @property
    def accepted_orders(self) -> list[Order]:
        """Every order that a client's request has brought into being, whatever the client was told."""
        return [order for order in self.exchange.orders if not order.foreign]

    def market(self, symbol: str) -> Market:
        """A market by either name."""
        base, _, rest = symbol.partition("/")
        quote, _, settle = rest.partition(":")
        ident = f"{base}-{quote}{'-SWAP' if settle else ''}" if rest else symbol
        return self.exchange.markets[ident]

    def position(self, symbol: str) -> Decimal:
        """Signed contracts, short below zero."""
        return self.exchange.holdings.get(self.market(symbol).instrument.id, Holding()).size

    def worst_short(self, symbol: str) -> Decimal:
        """The lowest that trading has ever left, 0 when it was never short."""
        return self.exchange.holdings.get(self.market(symbol).instrument.id, Holding()).lowest

    def cash(self, asset: str) -> Decimal:
        """Coins without open profit."""
        return self.exchange.cash.get(asset, Decimal(0))

    # -- the world moves

    def set_price(self, asset: str, price: Number) -> None:
        """Every market of an asset goes there, and trades with what rests on the way."""
        for market in self.exchange.markets.values():
            if market.instrument.base == asset:
                market.mark = Decimal(price)
        self.exchange.sweep()

    def deposit(self, asset: str, amount: Number) -> None:
        """Coins arrive."""
        self.exchange.book(asset, Decimal(amount), "1")

    def foreign_trade(self, symbol: str, delta: Number) -> Order:
        """Somebody else with access to the account trades; signed."""
        return self.exchange.foreign(self.market(symbol).instrument.id, Decimal(delta))

    def settle_funding(self, symbol: str) -> None:
        """Settle funding now."""
        self.exchange.settle_funding(self.market(symbol).instrument.id)

    # -- things go wrong

    def drop(self, path: str = ORDER, *, accepted: bool = True, times: int | None = 1) -> None:
        """Cut the connection without an answer, after the request was carried out or before."""
        self.faults.arm(Fault(path, Kind.DROP, times, accepted=accepted))

    def http_error(self, status: int = 503, path: str = ORDER, *, accepted: bool = True, times: int | None = 1) -> None:
        """A page of the gate in front of the venue."""
        self.faults.arm(Fault(path, Kind.HTTP, times, accepted=accepted, status=status, message="error"))

    def code(
        self,
        code: int,
        status: int = 200,
        path: str = ORDER,
        *,
        accepted: bool = True,
        times: int | None = 1,
        where: Callable[[Json], bool] | None = None,
    ) -> None:
        """The venue's own code, whatever became of the request."""
        said = MESSAGES.get(code, "Operation failed.")
        self.faults.arm(Fault(path, Kind.CODE, times, 0, accepted, status, code, said, where=where))

    def rate_limit(self, path: str = ORDER, *, times: int | None = 1) -> None:
        """Refuse, unprocessed, for too many requests."""
        self.code(50011, 429, path, accepted=False, times=times)

    def delay(self, seconds: float, path: str = ORDER, *, accepted: bool = True, times: int | None = 1) -> None:
        """Hold the answer, or (not ``accepted``) the request."""
        self.faults.arm(Fault(path, Kind.DELAY, times, accepted=accepted, seconds=seconds))

    def malformed(self, path: str = ORDER, *, times: int | None = None) -> None:
        """HTTP 200, and JSON that breaks off."""
        self.faults.arm(Fault(path, Kind.MALFORMED, times))

    def edit(self, path: str, change: Callable[[Json], object], times: int | None = None) -> None:
        """Change the rows of good answers in place."""

        def each(answer: Json) -> None:
            for row in answer["data"]:
                change(row)

        self.faults.arm(Fault(path, Kind.EDIT, times, edit=each))

    def without_rows(self, path: str, times: int | None = None) -> None:
        """Good answers with nothing in them."""
        self.faults.arm(Fault(path, Kind.EDIT, times, edit=lambda answer: answer["data"].clear()))

    def lose_lookups(self, times: int | None = None) -> None:
        """An order is not found, and no fill tells of it."""
        self.code(51603, 200, LOOKUP, times=times)
        self.without_rows(FILLS, times)

    def late_fills(self, seconds: float) -> None:
        """What fills from now on is shown so much later: in the order, in the fills, in the position."""
        self.exchange.late_seconds = seconds

    def hide_coin(self, asset: str) -> None:
        """The balance lacks one coin."""

        def without(account: Json) -> None:
            account["details"] = [row for row in account["details"] if row["ccy"] != asset]

        self.edit(BALANCE, without)

    def zero_coin(self, asset: str) -> None:
        """The balance shows one coin at zero."""

        def zeroed(account: Json) -> None:
            for row in account["details"]:
                if row["ccy"] == asset:
                    row.update(eq="0", cashBal="0", availBal="0", availEq="0", upl="0")

        self.edit(BALANCE, zeroed)

    def skew_clock(self, milliseconds: int) -> None:
        """The venue's clock runs apart from ours: signed requests are judged by it."""
        self.exchange.skew_ms = milliseconds

    def clear_faults(self) -> None:
        """Everything works again; fills that are late stay late."""
        self.faults.clear()
        self.exchange.late_seconds = 0.0
        self.exchange.skew_ms = self.server.told_skew_ms = 0
