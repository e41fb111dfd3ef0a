"""Betas that are estimated: a target that moves at a refresh alone, refusals, restarts, and what is told of them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from keeper.alerts.rules import alerts_for
from keeper.betas import KIND, Betas, WantedSlope
from keeper.chores import Chores
from keeper.core.beta import Method, Terms
from keeper.core.model import CycleRecord, Hold, Rebalance
from keeper.core.quotes import Candle
from keeper.report import hedge_json
from keeper.venue.base import UnknownSymbolError, UnreachableError
from tests.loop.house import D, House, linear_key

HOUR = 3_600_000
TERMS = Terms(lookback=240)


class Charts:
    """Candles of a venue: whatever the story says they are, ending now."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.beta, self.noise, self.down = 1.2, 0.002, False
        self.asked: list[str] = []

    async def candles(self, symbol: str, timeframe: str, since_ms: int, until_ms: int) -> tuple[Candle, ...]:
        assert timeframe == "1h"
        self.asked.append(symbol)
        if self.down:
            raise UnreachableError("no answer")
        if symbol not in ("SOL/USDT", "BTC/USDT:USDT"):
            raise UnknownSymbolError(f"there is no market {symbol}")
        count = (until_ms - since_ms) // HOUR
        random = Random(7)
        moves = []
        for _ in range(count - 1):
            move, own = random.gauss(0, 0.01), random.gauss(0, self.noise)
            moves.append(move if symbol.startswith("BTC") else self.beta * move + own)
        closes = accumulate(moves, lambda price, move: price * (1 + move), initial=100.0)
        return tuple(Candle(since_ms + place * HOUR, Decimal(repr(close))) for place, close in enumerate(closes))


class CrossHouse(House):
    """A thousand SOL hedged with BTC, by a beta that is estimated."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, coins={"SOL": "1000"})
        self.charts = Charts(self)
        self.exchange.set_price("SOL", D(200))
        self.exchange.set_price("BTC", D(65_000))
        self.wanted = WantedSlope("SOL", terms=TERMS)

    async def start(self) -> None:
        if not self.hedges:
            await self.hedge(ratio="1")
            self.hedges = [replace(self.hedges[0], assets=("SOL",), slopes=(self.wanted.first(),))]
        desk = await self.open()
        self.betas = Betas({"btc": (self.wanted,)}, {"main": self.charts}, self.clock)
        await self.betas.recall(desk.journal)
        await self.refresh()
        self.chores = Chores({}, {}, lambda: (), self.clock, betas=self.betas)

    async def refresh(self) -> None:
        assert self.desk is not None
        self.desk.hedges = await self.betas.refresh(self.desk.hedges, self.desk.journal)
        self.desk.observatory.hedges = tuple(self.desk.hedges)

    async def days(self, days: float) -> None:
        """Time passes, and the chore is done as it falls due."""
        assert self.desk is not None
        self.clock.advance(days * 86_400)
        self.chores._due = {"betas": None}
        await self.chores(self.desk)

    async def looks(self, times: int = 2) -> CycleRecord:
        return await self.turn(times)

    @property
    def beta(self) -> Decimal:
        assert self.desk is not None
        return self.desk.hedges[0].beta("SOL")


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[CrossHouse]:
    made = CrossHouse(tmp_path)
    yield made
    await made.close()


async def test_no_journal_and_no_log_tells_of_it_in_python(house: CrossHouse) -> None:
    with capture_logs() as logs:
        await house.start()
    [told] = [entry for entry in logs if entry["event"] == "beta"]
    assert "was" not in told, "nothing was known before"
    assert told["now"] == str(house.beta)
    assert house.desk is not None
    [event] = await house.desk.journal.events(KIND, "btc")
    terms = json.loads(event.detail)["slopes"][0]["terms"]
    assert terms.startswith("main:BTC/USDT:USDT method=ols bar_ms=3600000 lookback=240 ")
    assert not re.search(r"[<>(']", event.detail)


async def test_the_short_follows_from_the_estimate(house: CrossHouse) -> None:
    await house.start()
    assert abs(house.beta - D("1.2")) < D("0.03")
    record = await house.looks()
    assert isinstance(record.hedges[0].decision, Hold)
    wanted = D(1000) * 200 * house.beta / 65_000
    assert 0 <= wanted + house.position() < D("0.001")


async def test_a_refresh_moves_the_target_and_nothing_else_does(house: CrossHouse) -> None:
    await house.start()
    await house.looks()
    before, sent = house.beta, len(house.orders)
    house.charts.beta = 1.5
    await house.days(0.9)
    await house.looks()
    assert (house.beta, len(house.orders)) == (before, sent)
    await house.days(0.2)
    assert abs(house.beta - D("1.5")) < D("0.03")
    await house.looks()
    wanted = D(1000) * 200 * house.beta / 65_000
    assert 0 <= wanted + house.position() < D("0.001")


async def test_a_restart_goes_on_with_the_same_slope(house: CrossHouse) -> None:
    await house.start()
    await house.looks()
    before, asked = house.beta, len(house.charts.asked)
    await house.crash()
    house.charts.beta = 2.0
    house.clock.advance(3_600)
    await house.start()
    assert (house.beta, len(house.charts.asked)) == (before, asked)
    assert house.desk is not None
    [event] = await house.desk.journal.events(KIND, "btc")
    assert str(before) in event.detail
    await house.crash()
    house.wanted = replace(house.wanted, terms=replace(TERMS, shrink=False))
    await house.start()
    assert abs(house.beta - D(2)) < D("0.03"), "other terms are another estimate"


@pytest.mark.parametrize("why", ["R²", "bounds"])
async def test_a_refused_estimate_keeps_the_short_and_lets_covers_follow_the_last_good_one(
    house: CrossHouse, why: str
) -> None:
    await house.start()
    await house.looks()
    before, position = house.beta, house.position()
    if why == "R²":
        house.charts.noise = 0.05
    else:
        house.charts.beta = 5.0
    await house.days(1.1)
    record = await house.looks()
    assert house.position() == position
    assert house.beta == before
    house.exchange.deposit("key", "SOL", D(500))
    record = await house.looks(3)
    decision = record.hedges[0].decision
    assert isinstance(decision, Hold)
    assert [reason.code for reason in decision.reasons][-1] == "beta_refused"
    assert why in decision.reasons[-1].text
    assert (house.position(), record.hedges[0].exposure.exposure_base) == (position, D(1500))
    house.sell_spot("SOL", "1000")
    await house.looks(3)
    wanted = D(500) * 200 * before / 65_000
    assert abs(wanted + house.position()) < D("0.001"), "bought back by the last good slope"
    house.charts.noise, house.charts.beta = 0.002, 1.2
    house.exchange.deposit("key", "SOL", D(500))
    await house.days(0.1)
    await house.looks(3)
    assert abs(D(1000) * 200 * house.beta / 65_000 + house.position()) < D("0.001")


async def test_without_a_first_good_estimate_nothing_is_hedged_and_what_is_short_stays(house: CrossHouse) -> None:
    house.charts.noise = 0.05
    house.exchange.foreign_trade("key", linear_key("BTCUSDT"), D(-1))
    await house.start()
    record = await house.looks(3)
    seen = record.hedges[0]
    assert isinstance(seen.decision, Hold)
    assert {reason.code for reason in seen.decision.reasons} == {"beta_refused"}
    assert "R² is 0." in seen.decision.reasons[0].text
    assert seen.exposure.futures_base == D(-1)
    assert seen.exposure.weighted_base is None
    assert house.position() == D(-1)
    assert house.orders == ()


async def test_candles_that_cannot_be_read_leave_a_good_slope_good_for_a_while(house: CrossHouse) -> None:
    await house.start()
    await house.looks()
    before, sent = house.beta, len(house.orders)
    house.charts.down = True
    await house.days(1.5)
    house.exchange.deposit("key", "SOL", D(100))
    await house.looks(3)
    assert (house.beta, len(house.orders)) == (before, sent + 1)
    await house.days(1)
    house.exchange.deposit("key", "SOL", D(100))
    record = await house.looks(3)
    assert [reason.code for reason in record.hedges[0].exposure.sell_blockers] == ["beta_refused"]
    assert len(house.orders) == sent + 1
    house.charts.down = False
    await house.days(0.1)
    await house.looks(3)
    assert len(house.orders) == sent + 2


async def test_a_stated_slope_is_measured_where_it_can_be(house: CrossHouse) -> None:
    house.wanted = WantedSlope("SOL", D("1.2"), TERMS)
    house.charts.noise = 0.05
    await house.start()
    record = await house.turn()
    assert isinstance(record.hedges[0].decision, Rebalance)
    [told] = hedge_json(record.hedges[0])["betas"]
    assert (told["method"], told["beta"], told["refused"]) == ("stated", "1.2", None)
    assert 0 < Decimal(told["effectiveness"]) < Decimal("0.3")
    assert Decimal(told["effectiveness_low"]) < Decimal(told["effectiveness_out_of_sample"])
    await house.crash()
    house.charts.down = True
    house.wanted = WantedSlope("SOL", D("1.1"), TERMS)
    await house.start()
    record = await house.looks()
    [told] = hedge_json(record.hedges[0])["betas"]
    assert (told["beta"], told["effectiveness"], told["r2"]) == ("1.1", None, None)
    assert house.position() == D("-3.384"), "1,000 SOL at 200 by 1.1: the number needs no candles"


async def test_the_figures_stand_beside_the_hedge_and_large_changes_are_told(house: CrossHouse) -> None:
    await house.start()
    record = await house.looks()
    [told] = hedge_json(record.hedges[0])["betas"]
    assert told["method"] == "ols"
    assert Decimal(told["beta"]) == Decimal(told["latest_beta"]) == house.beta
    assert Decimal("0.95") < Decimal(told["r2"]) < 1
    assert Decimal(told["effective_sample"]) == 240
    assert alerts_of(record) == []
    house.charts.beta = 1.3
    await house.days(1.1)
    assert alerts_of(await house.looks()) == []
    house.charts.beta = 2.0
    await house.days(1.1)
    [text] = alerts_of(await house.looks())
    assert text.startswith("the beta of SOL went from 1.31")
    house.charts.noise = 0.2
    await house.days(1.1)
    [text] = alerts_of(await house.looks())
    assert "cannot be relied on: R² is" in text


def alerts_of(record: CycleRecord) -> list[str]:
    return [alert.text for alert in alerts_for(None, record) if alert.key == "btc/beta"]


async def test_exponential_weights_follow_sooner(house: CrossHouse) -> None:
    house.wanted = WantedSlope("SOL", terms=replace(TERMS, method=Method.EWMA, min_sample=30))
    await house.start()
    [told] = hedge_json((await house.turn()).hedges[0])["betas"]
    assert told["method"] == "ewma"
    assert 32 < Decimal(told["effective_sample"]) < Decimal("32.4")


async def test_the_usual_market_of_an_asset_is_looked_for_in_like_money(house: CrossHouse) -> None:
    await house.start()
    assert set(house.charts.asked) == {"SOL/USDT", "BTC/USDT:USDT"}
    assert house.desk is not None
    [hedge] = house.desk.hedges
    there = replace(hedge, instrument=replace(hedge.instrument, quote="USD"))
    elsewhere = Betas({"btc": (house.wanted,)}, {"main": house.charts}, house.clock)
    [dressed] = await elsewhere.refresh([there])
    assert abs(dressed.beta("SOL") - D("1.2")) < D("0.03")
    assert "SOL/USD" in house.charts.asked
