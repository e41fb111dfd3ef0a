"""The third ground with a hand that breaks it: see :class:`tests.process.venues.Shaky`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal

from tests.e2e.grounds import D, OkxGround, okx_ground
from tests.process.venues import SYMBOL, Shaky
from tests.support.okx_v5 import venue as okx_v5


class OkxShaky:
    """A third venue, whose contracts are hundredths of a coin: this speaks of coins."""

    def __init__(self, ground: OkxGround) -> None:
        self.ground = ground
        self.venue = ground.venue
        self._size = self.venue.market(SYMBOL).instrument.value

    # -- the truth

    def contracts(self) -> Decimal:
        return self.ground.contracts(SYMBOL)

    def peak_short(self) -> Decimal:
        return self.venue.worst_short(SYMBOL) * self._size

    def client_ids(self) -> list[str]:
        return [order.client_id for order in self.venue.accepted_orders]

    def orders_arrived(self) -> int:
        return sum(1 for request in self.venue.requests if f"{request.method} {request.path}" == okx_v5.ORDER)

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.ground.requests() if method != "GET"]

    # -- somebody else moves

    def short_already(self, contracts: str) -> None:
        self.foreign(f"-{contracts}")

    def foreign(self, contracts: str) -> None:
        self.venue.foreign_trade(SYMBOL, D(contracts) / self._size)

    # -- orders go wrong

    def lose_replies(self, times: int | None = 1) -> None:
        self.venue.drop(times=times)

    def lose_orders(self, times: int = 1) -> None:
        self.venue.drop(accepted=False, times=times)

    def answer_503_after_accept(self, times: int = 1) -> None:
        self.venue.code(50001, 503, times=times)

    def hold_order(self, seconds: float, *, accept_first: bool) -> None:
        self.venue.delay(seconds, accepted=accept_first)

    def limit_orders(self, times: int = 1) -> None:
        self.venue.rate_limit(times=times)

    def blind_lookups(self) -> None:
        self.venue.lose_lookups()

    def fills_come_late(self, seconds: float) -> None:
        self.venue.late_fills(seconds)

    # -- readings go wrong

    def fail_reads(self, status: int = 502) -> None:
        self.venue.http_error(status, "", accepted=False, times=None)

    def limit_reads(self) -> None:
        self.venue.rate_limit("", times=None)

    def empty_account(self) -> None:
        self.venue.edit(okx_v5.BALANCE, lambda account: account.update(details=[]))

    def hide_coin(self) -> None:
        self.venue.hide_coin("BTC")

    def zero_coin(self) -> None:
        self.venue.zero_coin("BTC")

    def hide_positions(self) -> None:
        self.venue.without_rows(okx_v5.POSITIONS)

    def garble(self) -> None:
        for path in (okx_v5.BALANCE, okx_v5.POSITIONS, okx_v5.PENDING, "/market/tickers"):
            self.venue.malformed(path)

    def lie_about_time(self, milliseconds: int) -> None:
        self.venue.server.told_skew_ms = milliseconds

    def skew_clock(self, milliseconds: int) -> None:
        self.venue.skew_clock(milliseconds)

    async def die(self) -> None:
        await self.venue.kill()

    async def revive(self) -> None:
        await self.venue.revive()

    def heal(self) -> None:
        self.venue.clear_faults()


@asynccontextmanager
async def okx(coins: Mapping[str, str] | None = None) -> AsyncIterator[Shaky]:
    async with okx_ground(coins) as ground:
        yield OkxShaky(ground)
