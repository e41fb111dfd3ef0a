"""Whatever a venue answers, a turn ends with a hold or with the right order, and afterwards the hedge comes right.

Both venues stand behind a proxy that twists what they say about one thing at a time. The truth is asked of the venues
themselves: the short is never larger than the coins, and is exactly as large once the answers are true again.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from keeper.core.model import Hold
from keeper.cycle import Desk, turn
from keeper.execute import OrderExecutor, Patience
from keeper.wiring import House, open_house
from tests.e2e.grounds import Ground, OtherGround, OwnGround, config_of, hedge_toml, other_ground, own_ground
from tests.venue.tamper import BODIES, FIELD_VALUES, ROWS, Tamper, Twist, as_it_is, edited, rows_of, tampering

D = Decimal
SYMBOL = "BTC/USDT:USDT"
READS = {
    "bybit": (
        *("/v5/account/wallet-balance", "/v5/position/list", "/v5/order/realtime", "/v5/market/tickers"),
        *("/v5/market/time", "/v5/order/history", "/v5/execution/list"),
    ),
    "binance": (
        *("/api/v3/account", "/fapi/v2/positionRisk", "/fapi/v3/positionRisk", "/fapi/v1/openOrders"),
        *("/fapi/v1/premiumIndex", "/fapi/v1/ticker/bookTicker", "/dapi/v1/positionRisk", "/dapi/v1/openOrders"),
        *("/api/v3/time", "/fapi/v1/userTrades"),
    ),
}
ORDERS = {"bybit": "/v5/order/create", "binance": "/fapi/v1/order"}
ENDPOINTS = [(venue, path) for venue, paths in READS.items() for path in paths] + list(ORDERS.items())
RANDOM_FIELDS = 20
EVERY = 5
"""Each endpoint gets every fifth twist, each twist meets every fifth endpoint; orders get every second one."""


@dataclass(slots=True)
class Stage:
    """A keeper that runs, the ground under it, the proxy between, and how many coins there are."""

    ground: Ground
    tamper: Tamper
    house: House
    coins: Decimal

    @property
    def short(self) -> Decimal:
        return -self.ground.contracts(SYMBOL)

    def move(self, number: int) -> None:
        """A coin comes or goes, so that there is an order to be sent; money comes in for it."""
        if number % 2:
            self.ground.sell("BTC", "0.5")
            self.coins -= D("0.5")
        else:
            self.ground.deposit("BTC", "0.5")
            self.coins += D("0.5")


@asynccontextmanager
async def staged(exchange: str, folder: Path) -> AsyncIterator[Stage]:
    async with own_ground() if exchange == "binance" else other_ground() as ground:
        base = ground.server.base_url if isinstance(ground, OwnGround) else ground.venue.base_url
        async with tampering(base) as tamper:
            ground.urls = tamper.urls(ground.urls)
            async with open_house(config_of(ground, folder, hedge_toml()), live=False) as house:
                quick = Patience(settle_delays_seconds=(0.0, 0.0), visibility_ms=0, position_lag_ms=0)
                house.desk.executor = OrderExecutor(house.venues.traders, house.desk.journal, house.clock, quick)
                stage = Stage(ground, tamper, house, D(5))
                await settle(house.desk)
                assert stage.short == 5
                yield stage


async def settle(desk: Desk) -> None:
    """Turns until one holds for want of anything to do; what was refused is not waited out."""
    for _ in range(12):
        desk.refusals.clear()
        record = await turn(desk)
        if all(isinstance(each.decision, Hold) and not each.exposure.blockers for each in record.hedges):
            return
    raise AssertionError([(each.decision, each.exposure.blockers) for each in record.hedges])


async def suffer(stage: Stage, path: str, name: str, twist: Twist, number: int) -> None:
    """One twist: the coins move, two turns see it under the twist, and more see it without."""
    stage.tamper.twists = {path: twist}
    before = stage.coins
    stage.move(number)
    for _ in range(2):
        stage.house.desk.refusals.clear()
        await turn(stage.house.desk)
        assert D(0) < stage.short <= max(before, stage.coins), name
    stage.tamper.twists = {}
    await settle(stage.house.desk)
    assert stage.short == stage.coins, name


@pytest.mark.parametrize(("exchange", "path"), ENDPOINTS, ids=[f"{venue}{path}" for venue, path in ENDPOINTS])
async def test_no_answer_makes_a_wrong_order_or_ends_the_loop(exchange: str, path: str, tmp_path: Path) -> None:
    async with staged(exchange, tmp_path) as stage:
        if path.endswith("history") and isinstance(stage.ground, OtherGround):
            stage.ground.venue.exchange.recent_closed = deque(maxlen=0)  # closed orders are in the history alone
        twists = list({**BODIES, **ROWS, **one_field_each(path)}.items())
        step = EVERY // 2 if path in ORDERS.values() else EVERY
        for number, (name, twist) in enumerate(twists[ENDPOINTS.index((exchange, path)) % step :: step]):
            await suffer(stage, path, name, twist, number)
        assert any(asked.endswith(path) for _, asked in stage.tamper.asked), "the loop never asks this"


def one_field_each(seed: str) -> dict[str, Twist]:
    """One field of the rows with one senseless value, drawn at random and always the same way."""
    dice = random.Random(seed)
    return {f"field {n}": one_field(dice.random(), dice.choice(FIELD_VALUES)) for n in range(RANDOM_FIELDS)}


def one_field(where: float, value: Any) -> Twist:
    def change(answer: Any) -> None:
        for rows in rows_of(answer) or [[answer.get("result") if "result" in answer else answer]]:
            names = sorted(rows[0])
            for row in rows:
                row[names[int(where * len(names))]] = value

    return edited(change)


async def test_coins_that_turn_into_a_debt_are_not_believed_at_once(tmp_path: Path) -> None:
    async with staged("bybit", tmp_path) as stage:
        assert isinstance(stage.ground, OtherGround)
        stage.ground.venue.misread_coin("BTC", "-5", times=None)
        for _ in range(3):
            record = await turn(stage.house.desk)
        assert stage.short == 5
        assert [reason.code for reason in record.hedges[0].exposure.blockers] == ["unexplained_zero"]
        stage.ground.venue.clear_faults()
        await settle(stage.house.desk)
        assert stage.short == 5


async def test_an_order_is_not_sent_after_a_redirect(tmp_path: Path) -> None:
    async with staged("bybit", tmp_path) as stage:
        path = ORDERS["bybit"]
        again = as_it_is(b"", status=307, headers={"Location": stage.tamper.address + path})
        await suffer(stage, path, "to itself", again, 0)
        sent = [order.link_id for order in stage.ground.venue.accepted_orders]  # type: ignore[attr-defined]
        asked = [path for _, path in stage.tamper.asked if path == ORDERS["bybit"]]
        assert len(asked) == len(sent) == len(set(sent))
