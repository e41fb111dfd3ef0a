"""A keeper that may not trade: it looks, plans and says so, for as long as it likes, with a key that may only read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from keeper.core.model import Rebalance
from keeper.execute import NullExecutor
from keeper.preflight import preflight
from keeper.sim.types import Permissions
from tests.loop.house import KEY, House


async def test_a_dry_run_plans_on_and_on_and_sends_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.limits = replace(house.limits, max_orders_per_hour=3)
    await house.hedge()
    desk = await house.open()
    desk.executor = NullExecutor()
    for _ in range(12):
        record = await house.one()
        assert isinstance(record.decision, Rebalance)
        assert record.plan is not None
        assert record.plan.orders
    assert house.orders == ()
    await house.close()


async def test_a_read_only_key_is_right_for_a_look_and_wrong_for_trading(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.hedge()
    house.exchange.set_permissions(KEY, Permissions(futures=False, withdrawals=True))
    looking = await preflight(house.hedges, {}, {"main": house.venue}, {}, will_trade=False)
    assert looking.standing.blocks == ()
    trading = await preflight(house.hedges, {}, {"main": house.venue}, {})
    assert {reason.code for _, reason in trading.standing.blocks} == {"no_trade_permission", "withdrawal_permission"}
    assert trading.can_withdraw == ("main",)
