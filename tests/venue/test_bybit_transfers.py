"""Coins moved between the wallets of a Bybit account, over sockets; and what becomes of it where the answer is bad."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from keeper.venue.base import UnreachableError, VenueError
from keeper.venue.ccxt_venue import CcxtVenue, VenuePolicy
from keeper.venue.further import NotOfferedError
from keeper.venue.transfers import TransferRefusedError
from tests.venue.helpers import opened, venue_of
from tests.venue.test_other_ways import _classic
from tests.venue.venues_told import bybit

D = Decimal


@asynccontextmanager
async def moving(answers: dict[str, Any], told: Any) -> AsyncIterator[tuple[CcxtVenue, list[dict[str, Any]]]]:
    """A Bybit that answers these questions, and each wish to move coins with ``told``."""
    wishes: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            assert request.path == "/v5/asset/transfer/inter-transfer"
            wishes.append(await request.json())
            if told is None:
                return web.Response(status=502, text="<html>bad gateway</html>")
            return web.json_response(told(wishes[-1]))
        found = answers[request.path]
        return web.json_response(found(request.query) if callable(found) else found)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        options = {"urls": {"api": f"http://127.0.0.1:{runner.addresses[0][1]}"}}
        async with opened(venue_of("bybit", options, VenuePolicy(True, "testnet", transfers=True))) as venue:
            yield venue, wishes
    finally:
        await runner.cleanup()


def _moved(status: str) -> Any:
    return lambda wish: {
        "retCode": 0, "retMsg": "success", "result": {"transferId": wish["transferId"], "status": status},
    }  # fmt: skip


async def test_bybit_moves_coins_once_under_an_id_of_our_own() -> None:
    async with moving(bybit([], []), _moved("SUCCESS")) as (venue, wishes):
        ident = await venue.trader.transfer("USDT", D("12.5"), "funding", "")
        (wish,) = wishes
        assert ident == wish["transferId"]
        assert (wish["coin"], wish["amount"]) == ("USDT", "12.5")
        assert (wish["fromAccountType"], wish["toAccountType"]) == ("FUND", "UNIFIED")
        await venue.trader.transfer("USDT", D(1), "", "funding")
        assert wishes[1]["transferId"] != ident


async def test_bybit_says_that_nothing_moved_or_says_nothing() -> None:
    async with moving(bybit([], []), _moved("FAILED")) as (venue, wishes):
        with pytest.raises(TransferRefusedError):
            await venue.trader.transfer("USDT", D(1), "funding", "")
        assert len(wishes) == 1
    refused = {"retCode": 131212, "retMsg": "user insufficient balance", "result": {}}
    async with moving(bybit([], []), lambda _: refused) as (venue, _):
        with pytest.raises(VenueError, match="insufficient balance"):
            await venue.trader.transfer("USDT", D(1), "funding", "")
    async with moving(bybit([], []), None) as (venue, wishes):
        with pytest.raises(UnreachableError, match="may have moved"):
            await venue.trader.transfer("USDT", D(1), "funding", "")
        assert len(wishes) == 1


async def test_what_is_not_known_of_a_classic_account_is_not_moved() -> None:
    routes = _classic(1, {"SPOT": "4", "CONTRACT": "1.5"}, [], [])
    async with moving(routes, _moved("SUCCESS")) as (venue, wishes):
        with pytest.raises(NotOfferedError):
            await venue.trader.transfer("USDT", D(1), "funding", "")
        assert wishes == []
