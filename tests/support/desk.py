"""One account and its orders over loopback: what a small stand-in of any venue's order routes is made of.

A stand-in names its routes and says things in its venue's words; the desk takes the orders, matches them at one price,
writes down every request, and loses or refuses what it is told to.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from aiohttp import web

from keeper.clock import SystemClock

D = Decimal
CLOCK = SystemClock()
ZERO, ONE, CENT = D(0), D(1), D("0.01")
BID, ASK, WEALTH = D(59990), D(60010), D(1_000_000)
Params = dict[str, Any]
Route = Callable[[Params], Any]


@dataclass(frozen=True)
class Asked:
    """A request that arrived; parameters of the address and of the body together."""

    method: str
    path: str
    params: Params
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """An answer with a status of its own."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Order:
    """An order that was taken in. ``state`` is open, filled, cancelled or rejected."""

    number: str
    client_id: str
    symbol: str
    side: str
    amount: Decimal
    price: Decimal
    reduce_only: bool
    at_ms: int
    filled: Decimal = ZERO
    state: str = "open"
    average: Decimal = ZERO


@dataclass
class Fault:
    """What happens to requests whose path ends so, for so many of them: no answer, late, or another answer."""

    path: str
    times: int | None = 1
    accepted: bool = True
    seconds: float = 0.0
    told: Told | None = None
    cut: bool = False
    method: str = ""

    def fits(self, method: str, path: str) -> bool:
        return path.endswith(self.path) and self.method in ("", method)


@dataclass
class Desk(ABC):
    """The account. ``create`` is the end of the path by which orders come in."""

    create: tuple[str, ...]
    method: str = "POST"
    """How orders come in."""
    bid: Decimal = BID
    ask: Decimal = ASK
    step: Decimal = ONE
    coins: dict[str, Decimal] = field(default_factory=lambda: {"BTC": D(5), "USDT": D(1_000_000)})
    positions: dict[str, Decimal] = field(default_factory=dict)
    margin: Decimal = WEALTH
    """What is in the account of contracts, in USDT."""
    account_told: Params = field(default_factory=dict)
    position_told: Params = field(default_factory=dict)
    """What is told otherwise in the rows of the account and of positions; None: not at all."""
    orders: list[Order] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    forgets: bool = False
    """Closed orders are shown no more where only recent ones are."""
    blind: bool = False
    """No order and no execution is shown anywhere; positions are."""
    worst: Decimal = ZERO
    url: str = ""
    keys: tuple[str, ...] = ()
    """The keys of the account, where a client takes none that are made up."""

    @abstractmethod
    def routes(self) -> Mapping[str, Route]:
        """The routes, by "METHOD /path"."""

    # -- the server

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        params: Params = dict(request.query)
        text = await request.text()
        if text.startswith(("{", "[")):
            body = json.loads(text)
            params |= body if isinstance(body, dict) else {"body": body}
        elif text:
            params |= dict(await request.post())
        self.asked.append(Asked(request.method, request.path, params, dict(request.headers)))
        route = self.routes().get(f"{request.method} {request.path}")
        if route is None:
            self.strange.append(f"{request.method} {request.path}")
            return web.json_response({"code": 404, "msg": "not found"}, status=404)
        fault = next((each for each in self.faults if each.fits(request.method, request.path)), None)
        if fault is None:
            return _response(route(params))
        if fault.times is not None:
            fault.times -= 1
            self.faults = [each for each in self.faults if each.times != 0]
        found = route(params) if fault.accepted else None
        await CLOCK.sleep(fault.seconds)
        if fault.cut:
            assert request.transport is not None
            request.transport.close()
        return _response(fault.told or found or route(params))

    # -- things go wrong

    def _arm(self, paths: tuple[str, ...], **how: Any) -> None:
        self.faults += [Fault(path, **how) for path in paths]

    def lose_answers(self, times: int | None = 1) -> None:
        """Orders are taken in, and the connection breaks before the answer."""
        self._arm(self.create, times=times, cut=True, method=self.method)

    def lose_orders(self, times: int | None = 1) -> None:
        """The connection breaks before an order is taken in."""
        self._arm(self.create, times=times, cut=True, accepted=False, told=Told(500, {}), method=self.method)

    def answer(self, told: Told, *, accepted: bool = False, path: str = "", times: int | None = 1) -> None:
        """Answer so, whether or not the order is taken in."""
        method = "" if path else self.method
        self._arm((path,) if path else self.create, told=told, accepted=accepted, times=times, method=method)

    def heal(self) -> None:
        self.faults.clear()
        self.blind = False

    @property
    def shown(self) -> list[Order]:
        """What the venue tells of its orders."""
        return [] if self.blind else self.orders

    # -- orders

    def sent(self) -> list[Asked]:
        """The orders that arrived, taken in or not."""
        return [each for each in self.asked if each.path.endswith(self.create) and each.method == self.method]

    def place(
        self, client_id: str, symbol: str, side: str, amount: Any, price: Any, *, ioc: bool, reduce_only: bool = False,
        post_only: bool = False,
    ) -> Order:  # fmt: skip
        """Take an order in, and match it at the touch if its price allows; a post-only one ends there."""
        size, limit, held = D(str(amount)), D(str(price)), self.positions.get(symbol, ZERO)
        number = str(7_000_001 + len(self.orders))
        order = Order(number, client_id, symbol, side, size, limit, reduce_only, CLOCK.now_ms())
        assert size > 0
        assert size % self.step == 0
        touch = self.bid if side == "sell" else self.ask
        wants = limit <= touch if side == "sell" else limit >= touch
        sign = -1 if side == "sell" else 1
        most = max(-sign * held, ZERO) if reduce_only else size
        if wants and most > 0 and not post_only:
            order.filled, order.average = min(size, most), touch
            self.positions[symbol] = held + sign * order.filled
            self.worst = min(self.worst, self.positions[symbol])
        ends = ioc or (post_only and wants)
        order.state = "filled" if order.filled == size else "cancelled" if ends else "open"
        self.orders.append(order)
        return order

    def found(self, **wanted: str) -> list[Order]:
        """Orders with these attributes, the newest first; closed ones only while they are remembered."""
        return [
            order
            for order in reversed(self.shown)
            if all(getattr(order, name) == value for name, value in wanted.items())
            and not (self.forgets and order.state != "open")
        ]


def retold(row: Params, otherwise: Params) -> Params:
    """A row with what is told otherwise in it."""
    return {name: value for name, value in (row | otherwise).items() if value is not None or name not in otherwise}


def _response(found: Any) -> web.Response:
    if isinstance(found, Told):
        return web.json_response(found.body, status=found.status, headers=found.headers)
    return web.json_response(found)
