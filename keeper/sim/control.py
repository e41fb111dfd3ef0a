"""The hand that moves the simulated world: prices, money, other people's trades, funding. JSON on a port of its own.

It is no part of the venue that a client sees. ``GET /`` lists what it takes; ``GET /state`` tells what is really so,
whatever the exchange's answers are made to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType

from aiohttp import web

from keeper.clock import Clock, SystemClock
from keeper.sim import control_bodies as bodies
from keeper.sim.control_faults import FaultDesk
from keeper.sim.control_http import MalformedError, Route, answering, explain, read
from keeper.sim.errors import SimError
from keeper.sim.exchange import Exchange
from keeper.sim.faults import FaultMenu
from keeper.sim.market import Keyframe, Tick, Walk, drive, keyframes, merge, rally_and_sell_off, random_walk
from keeper.sim.market import recorded_candles as candles
from keeper.sim.types import MarketKey, MarketKind, Movement, Order
from keeper.sim.wire.text import Json, plain

_log = logging.getLogger("keeper.sim.control")

STEPS_PER_PLAY = 400
BODY_MAX_BYTES = 1_000_000


class ControlServer:
    """Serves the control API; ``port`` 0 takes a free one. ``account`` is the key whose money and trades are moved.

    ``faults`` is the menu that it arms, one of its own by default; it is put in place when the first fault is armed.
    """

    def __init__(
        self,
        exchange: Exchange,
        account: str,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: FaultMenu | None = None,
    ) -> None:
        self.faults = faults or FaultMenu(exchange)
        self._desk = FaultDesk(exchange, self.faults)
        self._exchange = exchange
        self._account = account
        self._clock = clock or SystemClock()
        self.host = host
        self.port = port
        self._runner: web.AppRunner | None = None
        self._playing: asyncio.Task[None] | None = None
        self.routes = self._all_routes()

    @property
    def base_url(self) -> str:
        """The address, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> ControlServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind the port and begin to serve."""
        app = web.Application(middlewares=[explain], client_max_size=BODY_MAX_BYTES)
        for route in self.routes:
            app.router.add_route(route.method, route.path, answering(route.action))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError:  # the port is taken: leave nothing half open
            await self._runner.cleanup()
            self._runner = None
            raise
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop playing and serving."""
        await self._stop_playing()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _all_routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/", self._help, "this list", {}),
            Route("GET", "/state", self._state, "what is really so: prices, balances, positions, orders", {}),
            Route("POST", "/price", self._price, "set an asset's price", {"asset": "BTC", "price": "70000"}),
            Route(
                "POST",
                "/prices/play",
                self._play,
                "play a path over some seconds: keyframes (fraction of the time, price), 'rally_and_sell_off', "
                "'random_walk', or a CSV file of candles; replaces what is playing",
                {"asset": "BTC", "keyframes": [[0, "65000"], [0.5, "75000"], [1, "60000"]], "seconds": 60},
            ),
            Route("POST", "/prices/stop", self._stop_prices, "stop what is playing", {}),
            Route("POST", "/deposit", self._deposit, "money arrives", {"asset": "BTC", "amount": "1"}),
            Route(
                "POST", "/withdraw", self._withdraw, "money leaves", {"asset": "BTC", "amount": "1", "wallet": "spot"}
            ),
            Route(
                "POST",
                "/transfer",
                self._transfer,
                "money moves between wallets: spot, usdm, coinm, funding, earn",
                {"asset": "USDT", "amount": "500", "source": "spot", "target": "usdm"},
            ),
            Route(
                "POST",
                "/spot-trade",
                self._spot_trade,
                "the account's owner trades spot by hand",
                {"side": "sell", "asset": "BTC", "amount": "1"},
            ),
            Route(
                "POST",
                "/funding",
                self._funding,
                "set a contract's funding rate and, unless settle is false, settle now",
                {"symbol": "BTCUSDT", "rate": "0.0003"},
            ),
            Route(
                "POST",
                "/basis",
                self._basis,
                "set a contract's premium over the index; a dated one's shrinks from there to nothing",
                {"symbol": "BTCUSD_PERP", "ratio": "0.01"},
            ),
            *self._desk.routes(),
        )

    # --- actions ----------------------------------------------------------------------------------------------------

    async def _help(self, _request: web.Request) -> Json:
        return {
            "routes": [
                {"method": route.method, "path": route.path, "does": route.does, "example": dict(route.example)}
                for route in self.routes
            ]
        }

    async def _price(self, request: web.Request) -> Json:
        asked = await read(request, bodies.Price)
        self._check_asset(asked.asset)
        self._exchange.set_price(asked.asset, asked.price)
        self._exchange.advance()
        return {"asset": asked.asset, "price": plain(self._exchange.index_price(asked.asset))}

    async def _play(self, request: web.Request) -> Json:
        asked = await read(request, bodies.Play)
        path = self._path(asked)
        await self._stop_playing()
        self._playing = asyncio.create_task(self._drive(path))
        return {"asset": asked.asset, "seconds": asked.seconds, "playing": True}

    async def _stop_prices(self, _request: web.Request) -> Json:
        return {"stopped": await self._stop_playing()}

    async def _deposit(self, request: web.Request) -> Json:
        asked = await read(request, bodies.Money)
        return _movement(self._exchange.deposit(self._account, asked.asset, asked.amount, asked.wallet))

    async def _withdraw(self, request: web.Request) -> Json:
        asked = await read(request, bodies.Money)
        return _movement(self._exchange.withdraw(self._account, asked.asset, asked.amount, asked.wallet))

    async def _transfer(self, request: web.Request) -> Json:
        asked = await read(request, bodies.Transfer)
        return _movement(self._exchange.transfer(self._account, asked.asset, asked.amount, asked.source, asked.target))

    async def _spot_trade(self, request: web.Request) -> Json:
        asked = await read(request, bodies.SpotTrade)
        key = MarketKey(MarketKind.SPOT, asked.asset + asked.quote)
        signed = asked.amount if asked.side == "buy" else -asked.amount
        return _order(self._exchange.foreign_trade(self._account, key, signed).order)

    async def _funding(self, request: web.Request) -> Json:
        asked = await read(request, bodies.Funding)
        key = self._contract(asked.symbol)
        self._exchange.set_funding_rate(key, asked.rate)
        if asked.settle:
            self._exchange.apply_funding(key)
        return {"symbol": asked.symbol, "rate": plain(asked.rate), "settled": asked.settle}

    async def _basis(self, request: web.Request) -> Json:
        asked = await read(request, bodies.Basis)
        key = self._contract(asked.symbol)
        self._exchange.set_basis(key, asked.ratio)
        return {"symbol": asked.symbol, "mark": plain(self._exchange.mark_price(key))}

    async def _state(self, _request: web.Request) -> Json:
        with self.faults.aside():
            return self._truth()

    def _truth(self) -> Json:
        truth = self._exchange.truth(self._account)
        contracts: dict[str, Json] = {}
        for kind in (MarketKind.LINEAR, MarketKind.INVERSE):
            for market in self._exchange.markets(kind):
                premium = self._exchange.premium(market.key)
                contracts[market.symbol] = {
                    "mark": plain(premium.mark_price),
                    "funding_rate": None if premium.funding_rate is None else plain(premium.funding_rate),
                }
        return {
            "time_ms": self._clock.now_ms(),
            "playing": self._playing is not None and not self._playing.done(),
            "prices": _plain_all(self._exchange.true_prices()),
            "contracts": contracts,
            "balances": {
                "spot": _plain_all(truth.spot),
                "usdm": _plain_all(truth.usdm),
                "coinm": _plain_all(truth.coinm),
                "funding": {row.asset: plain(row.total) for row in self._exchange.funding_wallet(self._account)},
                "earn": {row.asset: plain(row.total) for row in self._exchange.earn_wallet(self._account)},
            },
            "positions": {key.symbol: plain(quantity) for key, quantity in truth.positions.items()},
            "orders": [_order(each) for each in truth.accepted_orders],
            "other_orders": [_order(each) for each in truth.other_orders],
        }

    # --- shared -----------------------------------------------------------------------------------------------------

    def _check_asset(self, asset: str) -> None:
        known = list(self._exchange.true_prices())
        if asset not in known:
            raise MalformedError(f"asset: {asset!r} is not traded here; known are {', '.join(known)}")

    def _contract(self, symbol: str) -> MarketKey:
        with self.faults.aside():
            markets = [
                market for kind in (MarketKind.LINEAR, MarketKind.INVERSE) for market in self._exchange.markets(kind)
            ]
        for market in markets:
            if market.symbol == symbol:
                return market.key
        raise MalformedError(f"symbol: there is no contract {symbol!r}")

    def _path(self, asked: bodies.Play) -> Iterator[Tick]:
        length_ms = max(1, round(asked.seconds * 1000))
        step_ms = max(1, length_ms // STEPS_PER_PLAY)
        self._check_asset(asked.asset)
        start = self._exchange.index_price(asked.asset)
        if asked.keyframes is not None:
            frames = [Keyframe(round(length_ms * at), price) for at, price in asked.keyframes]
            try:
                return iter(list(keyframes(asked.asset, frames, step_ms)))
            except ValueError as error:
                raise MalformedError(f"keyframes: {error}") from error
        if asked.path == "rally_and_sell_off":
            return rally_and_sell_off(asked.asset, start, length_ms)
        if asked.path == "random_walk":
            walk = random_walk(Walk(asked.asset, start, step_ms=step_ms), seed=self._clock.now_ms())
            return _until(walk, length_ms)
        if asked.path is None:
            raise MalformedError("path: give a path or keyframes")
        try:
            ticks = list(candles(asked.asset, Path(asked.path)))
        except (OSError, ValueError) as error:
            raise MalformedError(f"path: {error}") from error
        total_ms = max(1, ticks[-1].offset_ms)
        return (Tick(tick.offset_ms * length_ms // total_ms, tick.asset, tick.price) for tick in ticks)

    async def _drive(self, path: Iterator[Tick]) -> None:
        try:
            await drive(self._exchange, self._clock, merge([path]))
        except SimError:
            _log.exception("the exchange refused a price of the path that was playing")

    async def _stop_playing(self) -> bool:
        playing, self._playing = self._playing, None
        if playing is None or playing.done():
            return False
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        return True


def _until(path: Iterator[Tick], length_ms: int) -> Iterator[Tick]:
    for tick in path:
        if tick.offset_ms > length_ms:
            return
        yield tick


def _plain_all(amounts: Mapping[str, Decimal]) -> dict[str, Json]:
    return {name: plain(amount) for name, amount in amounts.items()}


def _movement(done: Movement) -> Json:
    return {
        "id": done.movement_id,
        "kind": done.kind.value,
        "asset": done.asset,
        "amount": plain(done.amount),
        "source": None if done.source is None else done.source.value,
        "target": None if done.target is None else done.target.value,
    }


def _order(each: Order) -> Json:
    return {
        "id": each.order_id,
        "client_id": each.client_order_id,
        "product": each.market.kind.value,
        "symbol": each.market.symbol,
        "side": each.side.value.lower(),
        "type": each.type.value.lower(),
        "price": plain(each.price),
        "quantity": plain(each.quantity),
        "executed": plain(each.executed_quantity),
        "average_price": plain(each.average_price),
        "status": each.status.value.lower(),
        "reduce_only": each.reduce_only,
        "origin": each.origin.value,
        "created_ms": each.created_ms,
    }
