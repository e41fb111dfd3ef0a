"""``keeper roll`` over sockets: what the real client reads of a venue, compared, and nothing sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from keeper.commands.roll import rolls_document
from keeper.cycle import turn
from keeper.look import look_once
from keeper.roll_report import render_rolls
from keeper.rollover import Rollover
from keeper.sim.types import MarketKey, WalletKind, linear
from keeper.wiring import open_house
from tests.e2e.grounds import KEY, D, OwnGround, config_of, hedge_toml, own_ground
from tests.e2e.test_golden import settle

PERPETUAL = linear("BTCUSDT")


def with_quarters(ground: OwnGround, yearly: str) -> tuple[MarketKey, ...]:
    return ground.exchange.list_quarters(PERPETUAL, D(yearly))


def figure(text: str | None) -> Decimal:
    assert text is not None
    return D(text)


async def one(config: Any, horizon: str | None = None) -> dict[str, Any]:
    document = await rolls_document(config, ["btc"], None if horizon is None else D(horizon))
    [hedge] = document["hedges"]
    found: dict[str, Any] = hedge
    return found


async def test_a_perpetual_hedge_is_compared_with_every_quarter(tmp_path: Path) -> None:
    async with own_ground() as ground:
        quarters = with_quarters(ground, "0.08")
        config = config_of(ground, tmp_path, hedge_toml())
        async with open_house(config, live=False) as house:
            await settle(house.desk)
        sent = ground.orders()
        hedge = await one(config)
        assert ground.orders() == sent
    assert hedge["held_base"] == "5"
    assert (hedge["decision"], hedge["target"]) == ("stay", None)
    staying, *others = hedge["candidates"]
    assert [each["stays"] for each in hedge["candidates"]] == [True] + [False] * len(quarters)
    flows = staying["flows"]
    assert flows["close_present"] == flows["open_new"] == flows["basis"] == "0", "who stays pays when he leaves"
    assert figure(staying["funding_interval_hours"]) == 8
    assert staying["funding_sample"] >= 85, "a month of settlements"
    mean, notional = figure(staying["funding_mean"]), figure(hedge["notional"])
    assert abs(figure(flows["funding"]) - mean * 270 * notional) < 1
    paid = staying["funding_next"]
    assert figure(paid["amount"]) == 5 * figure(staying["mark"]) * figure(staying["funding_now"])
    assert paid["asset"] == "USDT"
    for each in others:
        assert abs(figure(each["basis_annual_simple"]) - D("0.08")) < D("0.001")
        assert figure(each["taker_fee"]) == D("0.0005")
        assert each["contracts"] == "5"
        parts = [figure(each["flows"][name]) for name in ("gross", "costs")]
        assert abs(sum(parts) - figure(each["flows"]["net"])) < D("1e-9")


async def test_another_horizon_can_be_asked_for(tmp_path: Path) -> None:
    async with own_ground() as ground:
        with_quarters(ground, "0.08")
        config = config_of(ground, tmp_path, hedge_toml())
        short, long = await one(config, "30"), await one(config, "60")
    assert (short["horizon_days"], long["horizon_days"]) == ("30", "60")
    month, both = (figure(each["candidates"][0]["flows"]["funding"]) for each in (short, long))
    assert abs(2 * month - both) < abs(both) / 100 + 1


async def test_a_fee_that_is_stated_wins_and_candidates_can_be_named(tmp_path: Path) -> None:
    async with own_ground() as ground:
        with_quarters(ground, "0.08")
        more = 'roll = { taker_fee = "0.0002", candidates = ["next"] }'
        hedge = await one(config_of(ground, tmp_path, hedge_toml(more=more)))
    assert [each["taker_fee"] for each in hedge["candidates"]] == ["0.0002", "0.0002"]


async def test_a_coin_margined_hedge_is_compared_with_its_own_kind(tmp_path: Path) -> None:
    async with own_ground({"BTC": "5"}) as ground:
        with_quarters(ground, "0.08")
        ground.exchange.list_quarters(MarketKey(PERPETUAL.kind.INVERSE, "BTCUSD_PERP"), D("0.05"))
        hedge = await one(config_of(ground, tmp_path, hedge_toml("BTC/USD:BTC")))
    names = [each["instrument"] for each in hedge["candidates"]]
    assert len(names) == 3
    assert all(name.startswith("main:BTC/USD:BTC") for name in names)
    assert abs(figure(hedge["candidates"][1]["basis_annual_simple"]) - D("0.05")) < D("0.001")


WIDE = 'band = { warn = "0.3", act = "0.3", halt = "0.9" }\nroll = { window_days = 100, max_cost_annual = "10" }'


@pytest.mark.parametrize("coin", [False, True])
async def test_a_hedge_in_a_contract_that_expires_moves_on_over_the_wire(tmp_path: Path, coin: bool) -> None:
    """Golden number 11 on sockets: shorts are paid funding, so the perpetual carries on; the same dollars or coins."""
    async with own_ground({"BTC": "5"}) as ground:
        like = MarketKey(PERPETUAL.kind.INVERSE, "BTCUSD_PERP") if coin else PERPETUAL
        if coin:
            ground.exchange.transfer(KEY, "BTC", D(5), WalletKind.SPOT, WalletKind.COINM)
        near, _ = ground.exchange.list_quarters(like, D("-0.05"))
        pair, unit = ("BTC/USD:BTC", 100) if coin else ("BTC/USDT:USDT", 1)
        day = datetime.fromtimestamp((ground.exchange.market(near).expiry_ms or 0) / 1000, UTC).strftime("%y%m%d")
        config = config_of(ground, tmp_path, hedge_toml(f"{pair}-{day}", more=WIDE))
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            held = ground.exchange.truth(KEY).positions
            assert held[near] < 0
            [cycle] = (await look_once(config)).hedges
            assert "roll_due" in [reason.code for reason in cycle.reasons]
            await Rollover(house.venues.markets)(house.desk)
            for _ in range(30):
                record = await turn(house.desk)
                assert abs(record.hedges[0].exposure.drift_ratio or D(0)) <= D("0.3")
                if house.desk.memories["btc"].roll is None:
                    break
            await settle(house.desk)
            [event] = await house.desk.journal.events("roll", "btc")
        held = ground.exchange.truth(KEY).positions
    assert json.loads(event.detail)["target"] == f"main:{pair}"
    assert not held.get(near)
    coins = held[like] * unit / (ground.exchange.index_price("BTC") if coin else 1)
    assert abs(coins + 5) < D("0.02"), "what fees took of the coins, and less than a step, is not hedged any more"


async def test_the_table_for_people_names_what_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    async with own_ground() as ground:
        with_quarters(ground, "0.08")
        config = config_of(ground, tmp_path, hedge_toml())
        document = await rolls_document(config, ["btc"], None)
    first = document["hedges"][0]["candidates"][0]
    first |= {"flows": None, "net_annual": None, "funding_annual_simple": None}
    Console(width=100).print(render_rolls(document))
    printed = capsys.readouterr().out
    assert "BTC/USDT:USDT (now)" in printed
    [line] = [line for line in printed.splitlines() if "(now)" in line]
    assert line.split()[-5:] == ["?"] * 5
    assert "roll_not_due" in printed
