"""A hedge that is split by shares, one of whose contracts expires: that share moves on, the others stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from keeper.alerts.rules import Severity, alerts_for
from keeper.core.roll_rules import RollRules
from keeper.core.roll_state import RollRefusedError
from keeper.rolling import begin_roll
from keeper.rollover import KIND, Rollover
from keeper.sim.names import MarketKey
from keeper.sim.types import MarketStatus, WalletKind
from tests.loop.house import KEY, D
from tests.loop.legs_house import FAR, MAIN_PERP, NEAR, NEAR_LINEAR, OTHER_PERP, PERP, LegsHouse

DAY = 86_400


class Split(LegsHouse):
    """Six tenths in a contract that expires, four tenths in a perpetual at another venue."""

    async def build(self, key: MarketKey = NEAR_LINEAR, rules: RollRules | None = None) -> None:
        await self.venue.open()
        await self.carry(self.symbol(key), f"other:{PERP}", shares=("0.6", "0.4"))
        self.hedges[0] = replace(self.hedges[0], roll=rules or RollRules(taker_fee=D(0)))
        await self.open()
        await self.turn(4)

    async def decide(self) -> None:
        assert self.desk is not None
        await Rollover({"main": self.venue, "other": self.second})(self.desk)

    async def wait(self, days: float) -> None:
        for _ in range(round(days * 3)):
            self.clock.advance(DAY / 3)
            self.exchange.advance()
            self.other.advance()
        await self.turn()

    def open_base(self, *keys: MarketKey) -> Decimal:
        """What is open of five coins, by the exchanges' own truth."""
        return 5 + sum((self.held(key) for key in keys), D(0)) + self.held(OTHER_PERP, self.other)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Split]:
    made = Split(tmp_path)
    yield made
    await made.close()


async def test_the_share_of_what_expires_moves_on_inside_the_band(house: Split) -> None:
    await house.build()
    assert (house.held(NEAR_LINEAR), house.held(OTHER_PERP, house.other)) == (D(-3), D(-2))
    await house.wait(24)
    assert "roll_due" in {reason.code for reason in (await house.one()).reasons}
    await house.decide()
    assert house.desk is not None
    roll = house.desk.memories["btc"].roll
    assert roll is not None
    assert (roll.source.symbol, roll.target.symbol) == (house.symbol(NEAR_LINEAR), PERP)
    for _ in range(200):
        record = await house.one()
        assert 0 <= house.open_base(NEAR_LINEAR, MAIN_PERP) <= D("0.25")
        assert house.held(OTHER_PERP, house.other) == D(-2), "the other share is not touched"
        if record.memory.roll is None:
            break
    assert (house.held(NEAR_LINEAR), house.held(MAIN_PERP)) == (D(0), D(-3))
    record = await house.one()
    shares = {leg.id.symbol: leg.leg.share for leg in record.exposure.legs if leg.id.venue == "main"}
    assert shares == {PERP: D("0.6"), house.symbol(NEAR_LINEAR): D(0)}
    house.exchange.deposit(KEY, "BTC", D(5))
    await house.turn(8)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D(-6), D(-4)), "and goes on by share"
    assert house.held(NEAR_LINEAR) == 0


async def test_a_crash_in_its_middle_and_one_after_its_end_change_nothing(house: Split) -> None:
    await house.build()
    await house.wait(24)
    await house.decide()
    await house.turn(6)
    assert D(-3) < house.held(NEAR_LINEAR) < 0
    await house.crash()
    await house.open()
    for _ in range(200):
        record = await house.one()
        assert 0 <= house.open_base(NEAR_LINEAR, MAIN_PERP) <= D("0.25")
        if record.memory.roll is None:
            break
    await house.crash()
    await house.open()
    count = len(house.orders)
    await house.turn(10)
    assert len(house.orders) == count
    house.sell_spot("BTC", "1")
    await house.turn(4)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D("-2.4"), D("-1.6"))


async def test_a_target_that_halts_leaves_the_source_alone(house: Split) -> None:
    await house.build()
    await house.wait(24)
    await house.decide()
    await house.turn(6)
    house.exchange.set_status(MAIN_PERP, MarketStatus.HALT)
    await house.turn(20)
    held = house.held(NEAR_LINEAR)
    assert held < 0
    assert 0 <= house.open_base(NEAR_LINEAR, MAIN_PERP) <= D("0.25")
    await house.turn(20)
    assert house.held(NEAR_LINEAR) == held
    house.exchange.set_status(MAIN_PERP, MarketStatus.TRADING)
    await house.turn(200)
    assert (house.held(NEAR_LINEAR), house.held(MAIN_PERP)) == (D(0), D(-3))


async def test_a_coin_margined_share_rolls_from_quarter_to_quarter_and_on_again(tmp_path: Path) -> None:
    house = Split(tmp_path, coins={"BTC": "2"})
    house.exchange.deposit(KEY, "BTC", D(3), WalletKind.COINM)
    await house.build(NEAR)
    assert house.held(NEAR) == D(-1950)
    assert house.desk is not None
    for source, target in ((NEAR, FAR), (FAR, NEAR)):
        await begin_roll(house.desk, "btc", house.venue.instrument(house.symbol(target)))
        for _ in range(200):
            record = await house.one()
            assert record.exposure.drift_ratio is not None
            assert abs(record.exposure.drift_ratio) <= D("0.05")
            if record.memory.roll is None:
                break
        assert house.held(source) == 0
        assert house.held(target) == pytest.approx(D(-1950), abs=D(4))
        await house.crash()
        await house.open()
    await house.close()


async def test_what_makes_no_sense_is_refused(house: Split) -> None:
    await house.build()
    assert house.desk is not None
    with pytest.raises(RollRefusedError, match="carried by"):
        await begin_roll(house.desk, "btc", house.second.instrument(PERP))
    perpetual = house.venue.instrument(PERP)
    with pytest.raises(RollRefusedError, match="not carried by"):
        await begin_roll(house.desk, "btc", perpetual, perpetual.id)


async def test_each_choice_is_written_once_for_its_own_contract(tmp_path: Path) -> None:
    house = Split(tmp_path, coins={"BTC": "2"})
    house.exchange.deposit(KEY, "BTC", D(3), WalletKind.COINM)
    await house.venue.open()
    await house.carry(house.symbol(NEAR), house.symbol(NEAR_LINEAR), shares=("0.5", "0.5"))
    house.hedges[0] = replace(house.hedges[0], roll=RollRules(taker_fee=D(0), max_cost_annual=D("-1000")))
    await house.open()
    await house.turn(4)
    await house.wait(24)
    for _ in range(3):
        await house.decide()
    assert house.desk is not None
    assert len(await house.desk.journal.events(KIND, "btc", 9)) == 2, "both expire, and each is too dear to roll"
    await house.close()


async def test_a_contract_with_nowhere_to_go_is_named_whatever_becomes_of_the_other(house: Split) -> None:
    """The dated contracts at two venues are called alike; only at the second is nothing else listed."""
    await house.venue.open()
    dated = house.symbol(NEAR_LINEAR)
    await house.carry(dated, f"other:{dated}", shares=("0.6", "0.4"))
    house.hedges[0] = replace(house.hedges[0], roll=RollRules(taker_fee=D(0), candidates=("perpetual",)))
    desk = await house.open()
    await house.turn(4)
    await house.wait(24)
    house.other.set_status(OTHER_PERP, MarketStatus.HALT)
    await house.second.open()
    await house.decide()
    memory = desk.memories["btc"]
    assert memory.roll is not None
    assert memory.roll.source.venue == "main"
    assert memory.roll_note is not None
    assert memory.roll_note.code == "roll_nowhere"
    first, then = memory.roll_note.text.split("; ", maxsplit=1)
    assert first.startswith(f"other:{dated} expires in ")
    assert first.endswith("nothing is listed that could carry its share of the hedge on")
    assert then.startswith(f"cheapest to hold is {PERP}")
    [page] = [each for each in alerts_for(None, await house.turn()) if each.key == "btc/choice"]
    assert (page.severity, page.title) == (Severity.CRITICAL, "btc: roll nowhere")
    assert first in page.text
