"""The two grounds of the end-to-end tests with a second hand: one that breaks them, in the same words on both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from keeper.clock import SystemClock
from keeper.sim.types import Side, linear
from keeper.sim.wire.dispatch import Proceed, Reply
from keeper.sim.wire.request import Call
from tests.e2e.grounds import KEY, D, Ground, OtherGround, OwnGround, other_ground, own_ground
from tests.support.bybit_v5 import Fault, Kind
from tests.support.bybit_v5.venue import CREATE, HISTORY, POSITIONS, REALTIME, WALLET

SYMBOL = "BTC/USDT:USDT"
CLOCK = SystemClock()


class Shaky(Protocol):
    """A ground with switches. Faults last until :meth:`heal`, unless they say how many requests they spoil."""

    @property
    def ground(self) -> Ground: ...

    # the truth
    def contracts(self) -> Decimal: ...
    def peak_short(self) -> Decimal: ...
    def client_ids(self) -> list[str]: ...
    def orders_arrived(self) -> int: ...
    def writes(self) -> list[tuple[str, str]]: ...

    # somebody else moves
    def short_already(self, contracts: str) -> None: ...
    def foreign(self, contracts: str) -> None: ...

    # orders go wrong
    def lose_replies(self, times: int | None = 1) -> None: ...
    def lose_orders(self, times: int = 1) -> None: ...
    def answer_503_after_accept(self, times: int = 1) -> None: ...
    def hold_order(self, seconds: float, *, accept_first: bool) -> None: ...
    def limit_orders(self, times: int = 1) -> None: ...
    def blind_lookups(self) -> None: ...
    def fills_come_late(self, seconds: float) -> None: ...

    # readings go wrong
    def fail_reads(self, status: int = 502) -> None: ...
    def limit_reads(self) -> None: ...
    def empty_account(self) -> None: ...
    def hide_coin(self) -> None: ...
    def zero_coin(self) -> None: ...
    def hide_positions(self) -> None: ...
    def garble(self) -> None: ...
    def lie_about_time(self, milliseconds: int) -> None: ...
    def skew_clock(self, milliseconds: int) -> None: ...
    async def die(self) -> None: ...
    async def revive(self) -> None: ...
    def heal(self) -> None: ...


Act = Callable[[Call, Proceed], Awaitable[Reply]]


@dataclass(slots=True)
class _Rule:
    """What happens to requests of some paths, for so many of them."""

    method: str
    path: str
    act: Act
    times: int | None = None

    def fits(self, call: Call) -> bool:
        alive = self.times is None or self.times > 0
        return alive and call.method == self.method and call.path.endswith(self.path)


class OwnShaky:
    """Our own exchange, broken at its gate."""

    def __init__(self, ground: OwnGround) -> None:
        self.ground = ground
        self._rules: list[_Rule] = []
        self._shown: dict[str, Reply] = {}
        self._arrived = 0
        self._keeps_old = False
        ground.server.gate = self._gate

    async def _gate(self, call: Call, proceed: Proceed) -> Reply:
        if (call.method, call.path) == ("POST", "/fapi/v1/order"):
            self._arrived += 1
        for rule in self._rules:
            if rule.fits(call):
                if rule.times is not None:
                    rule.times -= 1
                return await rule.act(call, proceed)
        reply = await proceed()
        if call.path.endswith("/positionRisk"):
            self._shown[call.path] = reply
        return reply

    def _arm(self, method: str, path: str, act: Act, times: int | None = None) -> None:
        self._rules.append(_Rule(method, path, act, times))

    def _edit(self, path: str, edit: Callable[[Any], Any]) -> None:
        async def act(_call: Call, proceed: Proceed) -> Reply:
            reply = await proceed()
            return replace(reply, text=json.dumps(edit(json.loads(reply.text)))) if reply.status == 200 else reply

        self._arm("GET", path, act)

    # -- the truth

    def contracts(self) -> Decimal:
        return self.ground.contracts(SYMBOL)

    def peak_short(self) -> Decimal:
        held = lowest = D(0)
        for fill in self.ground.exchange.truth(KEY).fills:
            if fill.market == linear("BTCUSDT"):
                held += fill.quantity if fill.side is Side.BUY else -fill.quantity
                lowest = min(lowest, held)
        return lowest

    def client_ids(self) -> list[str]:
        return [order.client_order_id for order in self.ground.exchange.truth(KEY).accepted_orders]

    def orders_arrived(self) -> int:
        return self._arrived

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.ground.requests() if method != "GET"]

    # -- somebody else moves

    def short_already(self, contracts: str) -> None:
        self.foreign(f"-{contracts}")

    def foreign(self, contracts: str) -> None:
        self.ground.exchange.foreign_trade(KEY, linear("BTCUSDT"), D(contracts))

    # -- orders go wrong

    def _arm_order(self, act: Act, times: int | None) -> None:
        self._arm("POST", "/fapi/v1/order", act, times)

    def lose_replies(self, times: int | None = 1) -> None:
        async def act(_call: Call, proceed: Proceed) -> Reply:
            return replace(await proceed(), dropped=True)

        self._arm_order(act, times)

    def lose_orders(self, times: int = 1) -> None:
        async def act(_call: Call, _proceed: Proceed) -> Reply:
            return Reply(0, "", dropped=True)

        self._arm_order(act, times)

    def answer_503_after_accept(self, times: int = 1) -> None:
        async def act(_call: Call, proceed: Proceed) -> Reply:
            await proceed()
            return Reply(503, '{"code":-1000,"msg":"Unknown error, please check your request or try again later."}')

        self._arm_order(act, times)

    def hold_order(self, seconds: float, *, accept_first: bool) -> None:
        async def act(_call: Call, proceed: Proceed) -> Reply:
            reply = await proceed() if accept_first else None
            await CLOCK.sleep(seconds)
            return await proceed() if reply is None else reply

        self._arm_order(act, 1)

    def limit_orders(self, times: int = 1) -> None:
        self._arm_order(_too_many, times)

    def blind_lookups(self) -> None:
        async def act(_call: Call, _proceed: Proceed) -> Reply:
            return Reply(400, '{"code":-2013,"msg":"Order does not exist."}')

        self._arm("GET", "/fapi/v1/order", act)
        self._edit("/fapi/v1/userTrades", lambda _rows: [])

    def fills_come_late(self, seconds: float) -> None:
        """Orders are taken and fill; the answer, the lookups, the fills and the position show it only later."""

        async def as_new(_call: Call, proceed: Proceed) -> Reply:
            reply = await proceed()
            shown = json.loads(reply.text) | {"status": "NEW", "executedQty": "0", "cumQuote": "0", "avgPrice": "0"}
            return replace(reply, text=json.dumps(shown))

        async def as_before(call: Call, proceed: Proceed) -> Reply:
            return self._shown.get(call.path) or await proceed()

        async def first(call: Call, proceed: Proceed) -> Reply:
            asyncio.get_running_loop().call_later(seconds, self.heal)
            self._arm("GET", "/fapi/v1/order", as_new)
            self._arm("GET", "/positionRisk", as_before)
            self._edit("/fapi/v1/userTrades", lambda _rows: [])
            return await as_new(call, proceed)

        self._arm_order(first, 1)

    # -- readings go wrong

    def fail_reads(self, status: int = 502) -> None:
        async def act(_call: Call, _proceed: Proceed) -> Reply:
            return Reply(status, f"<html><body>{status} Bad Gateway</body></html>")

        self._arm("GET", "", act)

    def limit_reads(self, seconds: int = 1) -> None:
        async def act(_call: Call, _proceed: Proceed) -> Reply:
            return Reply(429, '{"code":-1003,"msg":"Too many requests."}', {"Retry-After": str(seconds)})

        self._arm("GET", "", act)

    def empty_account(self) -> None:
        self._edit("/api/v3/account", lambda account: account | {"balances": []})

    def hide_coin(self) -> None:
        def edit(account: Any) -> Any:
            return account | {"balances": [row for row in account["balances"] if row["asset"] != "BTC"]}

        self.ground.deposit("USDT", "1")  # so that the account is not empty without it
        self._edit("/api/v3/account", edit)

    def zero_coin(self) -> None:
        def edit(account: Any) -> Any:
            rows = [
                row | ({"free": "0", "locked": "0"} if row["asset"] == "BTC" else {}) for row in account["balances"]
            ]
            return account | {"balances": rows}

        self._edit("/api/v3/account", edit)

    def hide_positions(self) -> None:
        self._edit("/positionRisk", lambda _rows: [])

    def garble(self) -> None:
        async def act(_call: Call, proceed: Proceed) -> Reply:
            reply = await proceed()
            return replace(reply, text=reply.text[:-9])

        self._arm("GET", "", act)

    def lie_about_time(self, milliseconds: int) -> None:
        self._edit("/api/v3/time", lambda told: {"serverTime": told["serverTime"] + milliseconds})

    def skew_clock(self, milliseconds: int) -> None:
        async def act(_call: Call, _proceed: Proceed) -> Reply:
            text = "Timestamp for this request is outside of the recvWindow."
            return Reply(400, json.dumps({"code": -1021, "msg": text}))

        for path in ("/account", "/positionRisk", "/openOrders", "/order"):
            self._arm("GET", path, act)
        self._arm("POST", "/order", act)
        self.lie_about_time(milliseconds)

    async def die(self) -> None:
        await self.ground.server.stop()

    async def revive(self) -> None:
        await self.ground.server.start()

    def heal(self) -> None:
        self._rules.clear()


async def _too_many(_call: Call, _proceed: Proceed) -> Reply:
    return Reply(429, '{"code":-1003,"msg":"Too many requests."}', {"Retry-After": "1"})


class OtherShaky:
    """The independent venue, broken by its own switches."""

    def __init__(self, ground: OtherGround) -> None:
        self.ground = ground
        self.venue = ground.venue

    # -- the truth

    def contracts(self) -> Decimal:
        return self.venue.position(SYMBOL)

    def peak_short(self) -> Decimal:
        return self.venue.worst_short(SYMBOL)

    def client_ids(self) -> list[str]:
        return [order.link_id for order in self.venue.accepted_orders]

    def orders_arrived(self) -> int:
        return sum(1 for request in self.venue.requests if request.path == CREATE)

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.ground.requests() if method != "GET"]

    # -- somebody else moves

    def short_already(self, contracts: str) -> None:
        self.foreign(f"-{contracts}")

    def foreign(self, contracts: str) -> None:
        self.venue.foreign_trade(SYMBOL, contracts)

    # -- orders go wrong

    def lose_replies(self, times: int | None = 1) -> None:
        self.venue.drop(times=times)

    def lose_orders(self, times: int = 1) -> None:
        self.venue.drop(accepted=False, times=times)

    def answer_503_after_accept(self, times: int = 1) -> None:
        self.venue.http_error(503, times=times)

    def hold_order(self, seconds: float, *, accept_first: bool) -> None:
        self.venue.delay(seconds, accepted=accept_first)

    def limit_orders(self, times: int = 1) -> None:
        self.venue.rate_limit("10006", CREATE, times=times)

    def blind_lookups(self) -> None:
        for path in (REALTIME, HISTORY, "/v5/execution/list"):
            self.venue.arm(Fault(path, Kind.EDIT, None, edit=_no_rows))

    def fills_come_late(self, seconds: float) -> None:
        """As many reads of the order and of the position as this keeper makes in about that time."""
        reads = round(seconds * 3)
        self.venue.delay_fills(reads, position_queries=reads)

    # -- readings go wrong

    def fail_reads(self, status: int = 502) -> None:
        self.venue.http_error(status, "", accepted=False, times=None)

    def limit_reads(self) -> None:
        self.venue.rate_limit("10006", "", times=None)

    def empty_account(self) -> None:
        self.venue.empty_wallet(None)

    def hide_coin(self) -> None:
        self.venue.hide_coin("BTC", None)

    def zero_coin(self) -> None:
        self.venue.misread_coin("BTC", "0", None)

    def hide_positions(self) -> None:
        self.venue.empty_positions(None)

    def garble(self) -> None:
        for path in (WALLET, POSITIONS, REALTIME, "/v5/market/tickers"):
            self.venue.malformed(path, times=None)

    def lie_about_time(self, milliseconds: int) -> None:
        self.venue.lie_about_time(milliseconds)

    def skew_clock(self, milliseconds: int) -> None:
        self.venue.skew_clock(milliseconds)

    async def die(self) -> None:
        await self.venue.kill()

    async def revive(self) -> None:
        await self.venue.revive()

    def heal(self) -> None:
        self.venue.clear_faults()


def _no_rows(result: dict[str, Any]) -> None:
    result["list"] = []


@asynccontextmanager
async def own(coins: Mapping[str, str] | None = None) -> AsyncIterator[Shaky]:
    async with own_ground(coins) as ground:
        yield OwnShaky(ground)


@asynccontextmanager
async def other(coins: Mapping[str, str] | None = None) -> AsyncIterator[Shaky]:
    async with other_ground(coins) as ground:
        yield OtherShaky(ground)
