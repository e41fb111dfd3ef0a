"""A contract that is about to expire: what the keeper says, compares, chooses and does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from keeper.alerts.rules import Alert, Severity, alerts_for
from keeper.core.carry import DAY_MS
from keeper.core.model import Hold, Instrument, InstrumentId, Mark
from keeper.core.roll_rules import RollRules, WhenTooDear
from keeper.rollover import KIND, Rollover
from keeper.sim.defaults import linear_market
from keeper.sim.types import linear
from keeper.venue.base import UnreachableError
from tests.loop.house import D, House

MOVE = 110
"""Turns enough to move a whole short, a fiftieth of it covered and opened again at a time."""

NEAR, FAR, PERPETUAL = "BTCUSDT_NEAR", "BTCUSDT_FAR", "BTCUSDT"


class Ten(House):
    """A full hedge in a contract that expires in ten days; a quarter and the perpetual are listed beside it."""

    near: str
    far: str

    async def build(
        self,
        rules: RollRules | None = None,
        *,
        basis: str = "0.02",
        funding: str = "0.0001",
        first: str | None = None,
    ) -> None:
        now = self.clock.now_ms()
        near, far = now + 10 * DAY_MS, now + 100 * DAY_MS
        for suffix, expiry in (("_NEAR", near), ("_FAR", far)):
            lots = ("0.001", "1000", "120")
            self.exchange.add_market(linear_market("BTC", "0.1", lots, "5", suffix=suffix, expiry_ms=expiry))
        self.exchange.set_basis(linear(FAR), D(basis))
        self.funding(funding)
        await self.venue.open()
        listed = {each.expires_at_ms: each.id.symbol for each in self.venue.listed("BTC") if each.quote == "USDT"}
        self.near, self.far = listed[near], listed[far]
        await self.hedge(first or self.near)
        if rules is not None:
            self.hedges[0] = replace(self.hedges[0], roll=rules)
        await self.open()
        await self.turn(3)
        assert self.position(PERPETUAL if first else NEAR) == -5

    def funding(self, rate: str) -> None:
        """Settle the perpetual at this rate from now on, and as often as it takes to be its mean."""
        self.exchange.set_funding_rate(linear(PERPETUAL), D(rate))

    async def days(self, days: float) -> None:
        """Time passes, a third of a day at a time, so that funding settles when it is due."""
        for _ in range(round(days * 3)):
            self.clock.advance(8 * 3600)
            self.exchange.advance()

    async def decide(self, markets: Any = None) -> None:
        """What the chore does between two turns."""
        assert self.desk is not None
        await Rollover({"main": markets or self.venue})(self.desk)

    async def chosen(self) -> dict[str, Any]:
        assert self.desk is not None
        [event] = await self.desk.journal.events(KIND, "btc")
        found: dict[str, Any] = json.loads(event.detail)
        return found

    def held(self) -> list[int]:
        """Contracts near, far and perpetual; of whole coins."""
        return [int(self.position(symbol)) for symbol in (NEAR, FAR, PERPETUAL)]

    def reasons(self, cycle: Any) -> dict[str, str]:
        return {reason.code: reason.text for reason in cycle.reasons}


@pytest_asyncio.fixture
async def ten(tmp_path: Path) -> AsyncIterator[Ten]:
    made = Ten(tmp_path)
    yield made
    await made.close()


async def test_the_plan_says_that_a_roll_is_due(ten: Ten) -> None:
    await ten.build()
    held = await ten.one()
    assert isinstance(held.decision, Hold)
    assert "roll_due" not in ten.reasons(held)
    await ten.days(3)
    assert "expires in 7 days" in ten.reasons(await ten.one())["roll_due"]
    ten.hedges[0] = replace(ten.hedges[0], roll=replace(ten.hedges[0].roll, window_days=D(3)))
    await ten.crash()
    await ten.open()
    assert "roll_due" not in ten.reasons(await ten.one())


async def test_nothing_is_chosen_before_the_window(ten: Ten) -> None:
    await ten.build()
    await ten.decide()
    assert ten.desk is not None
    assert await ten.desk.journal.events(KIND, "btc") == ()
    assert ten.desk.memories["btc"].roll is None


async def test_the_hedge_moves_to_the_cheapest_and_stays_inside_its_band(ten: Ten) -> None:
    """The quarter at 2 % over 100 days earns less than the funding of the perpetual."""
    await ten.build(funding="0.0003")
    await ten.days(4)
    await ten.turn()
    await ten.decide()
    choice = await ten.chosen()
    assert (choice["decision"], choice["target"]) == ("roll", "main:BTC/USDT:USDT")
    assert choice["reasons"][0]["code"] == "roll_cheapest"
    assert [each["stays"] for each in choice["candidates"]] == [True, False, False]
    assert all(each["flows"] is not None for each in choice["candidates"][1:])
    for _ in range(MOVE):
        held = await ten.one()
        assert held.exposure.drift_ratio is not None
        assert abs(held.exposure.drift_ratio) <= D("0.05")
        assert ten.position(NEAR) + ten.position(PERPETUAL) >= -5, "never short of more than is owned"
        if ten.position(NEAR) == 0:
            break
    await ten.turn(2)
    assert ten.held() == [0, 0, -5]
    await ten.decide()
    held = await ten.one()
    assert held.exposure.hedge.instrument.id.symbol == "BTC/USDT:USDT"
    assert not {"roll_due", "roll_cheapest"} & set(ten.reasons(held))


async def test_the_quarter_is_taken_when_shorts_pay_funding(ten: Ten) -> None:
    await ten.build(funding="-0.0002")
    await ten.days(4)
    await ten.turn()
    await ten.decide()
    assert (await ten.chosen())["target"] == f"main:{ten.far}"
    await ten.turn(MOVE)
    assert ten.held() == [0, -5, 0]


async def test_a_choice_survives_a_crash_and_is_carried_out(ten: Ten) -> None:
    await ten.build(funding="0.0003")
    await ten.days(4)
    await ten.turn()
    await ten.decide()
    await ten.turn(4)
    assert -5 < ten.position(NEAR) < 0
    await ten.crash()
    await ten.open()
    await ten.decide(Blind(ten))
    assert ten.desk is not None
    assert len(await ten.desk.journal.events(KIND, "btc", 9)) == 1, "a roll that is under way is not chosen again"
    await ten.turn(MOVE)
    assert ten.held() == [0, 0, -5]


DEAR = RollRules(max_cost_annual=D("0.01"), funding_days=D(3))


async def too_dear(ten: Ten, rules: RollRules) -> None:
    await ten.build(rules, basis="-0.05", funding="-0.0003")
    await ten.days(4)
    await ten.turn()
    await ten.decide()


async def test_too_dear_keeps_the_contract_until_the_last_moment_and_tells(ten: Ten) -> None:
    await too_dear(ten, DEAR)
    assert (await ten.chosen())["decision"] == "hold"
    held = await ten.turn()
    [told] = choices(alerts_for(None, held))
    assert (told.severity, told.title) == (Severity.WARNING, "btc: roll too dear")
    assert ten.position(NEAR) == -5
    await ten.days(5.1)
    await ten.turn()
    await ten.decide()
    choice = await ten.chosen()
    assert (choice["decision"], choice["page"]) == ("roll", True)
    await ten.turn(MOVE)
    assert ten.position(NEAR) == 0
    assert ten.position(FAR) + ten.position(PERPETUAL) == -5, "dear, and not unhedged"


async def test_too_dear_can_hedge_less_until_somebody_resumes_it(ten: Ten) -> None:
    await too_dear(ten, replace(DEAR, when_too_dear=WhenTooDear.LOWER_RATIO, lower_ratio_to=D("0.4")))
    await ten.turn(MOVE)
    assert ten.position(NEAR) == 0
    assert ten.position(FAR) + ten.position(PERPETUAL) == -2
    assert ten.desk is not None
    ten.desk.memories["btc"] = replace(ten.desk.memories["btc"], ratio_cap=None, established=False)
    await ten.turn(3)
    assert ten.position(FAR) + ten.position(PERPETUAL) == -5


class Blind:
    """A venue that shows no price of its contracts between turns."""

    def __init__(self, ten: Ten) -> None:
        self._venue = ten.venue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def marks(self, _: Sequence[Instrument]) -> dict[InstrumentId, Mark]:
        raise UnreachableError("connection refused")

    async def asset_prices(self, _: Sequence[str], __: str) -> dict[str, Decimal]:
        raise UnreachableError("connection refused")


async def test_what_cannot_be_compared_waits_and_at_the_last_moment_falls_back(ten: Ten) -> None:
    await ten.build(funding="0.0003")
    await ten.days(4)
    await ten.turn()
    blind = Blind(ten)
    await ten.decide(blind)
    assert (await ten.chosen())["reasons"][0]["code"] == "roll_unpriced"
    assert "connection refused" in ten.reasons(await ten.one())["roll_unpriced"]
    assert ten.position(NEAR) == -5
    await ten.days(5.1)
    await ten.turn()
    await ten.decide(blind)
    [told] = choices(alerts_for(None, await ten.turn()))
    assert (told.severity, told.title) == (Severity.CRITICAL, "btc: roll fallback")
    await ten.turn(MOVE)
    assert ten.held() == [0, 0, -5]


async def test_a_paused_hedge_that_nears_its_expiry_pages(ten: Ten) -> None:
    await ten.build(funding="0.0003")
    assert ten.desk is not None
    await ten.days(4)
    await ten.turn()
    ten.desk.memories["btc"] = replace(ten.desk.memories["btc"], paused=True)
    await ten.decide()
    await ten.turn(3)
    assert ten.position(NEAR) == -5
    await ten.days(5.7)
    [told] = choices(alerts_for(None, await ten.turn()))
    assert (told.severity, told.title) == (Severity.CRITICAL, "btc: roll late")


async def test_the_same_choice_is_written_once_and_told_once(ten: Ten) -> None:
    await too_dear(ten, DEAR)
    assert ten.desk is not None
    await ten.decide()
    await ten.decide()
    assert len(await ten.desk.journal.events(KIND, "btc", 9)) == 1
    ten.clock.advance(7 * 3600)
    await ten.turn()
    await ten.decide()
    assert len(await ten.desk.journal.events(KIND, "btc", 9)) == 2, "its figures have moved meanwhile"


def choices(alerts: Sequence[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.key == "btc/choice"]


@pytest.mark.parametrize("listed", [0, 1])
async def test_a_contract_with_nowhere_to_go_pages(ten: Ten, listed: int) -> None:
    await ten.build(RollRules(candidates=("main:BTC/USDT:USDT-1",) if listed == 0 else ("second",)))
    await ten.days(4)
    await ten.turn()
    await ten.decide()
    [told] = choices(alerts_for(None, await ten.turn()))
    assert (told.severity, told.title) == (Severity.CRITICAL, "btc: roll nowhere")
    await ten.days(5.1)
    await ten.turn()
    await ten.decide()
    assert (await ten.chosen())["decision"] == "roll", "at the last moment to what is listed, wished for or not"
