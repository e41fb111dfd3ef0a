"""What ``keeper check --connect`` says of a rally: which hedges it liquidates, and at about which price."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keeper.config.margin import MarginConfig
from keeper.core.model import AccountId
from keeper.core.orders import Epoch
from keeper.journal.base import Remembered
from keeper.judging import LookOnly, Pace, judge
from keeper.observe import Observatory
from keeper.preflight import Finding
from keeper.rally import rally_findings
from keeper.sim.types import MarginMode, WalletKind, linear
from keeper.venue.base import Observer
from tests.loop.house import KEY, D, House
from tests.loop.legs_house import MAIN_PERP, NEAR_LINEAR, OTHER_PERP, PERP, LegsHouse

REDUCES = MarginConfig.model_validate({"reduce": "0.85"})


async def told(
    house: House, margin: MarginConfig | None = None, observers: Mapping[str, Observer] | None = None
) -> list[Finding]:
    observatory = Observatory(house.hedges, observers or {"main": house.venue}, house.clock)
    observatory.reads_margins = True
    snapshot, _ = await observatory.observe(Remembered({}, {}, None), {})
    judged = judge(LookOnly(house.hedges, house.clock, house.limits, Pace(), {}), snapshot, Epoch("000000", 0, 0), {})
    return rally_findings([judgement.exposure for judgement in judged], snapshot, margin or MarginConfig())


async def linear_house(folder: Path, money: str) -> House:
    house = House(folder, coins={"BTC": "1"})
    house.exchange.set_price("BTC", D(60000))
    house.exchange.withdraw(KEY, "USDT", D(5_000_000) - D(money), WalletKind.USDM)
    await house.hedge()
    return house


def price_in(text: str) -> float:
    return float(text.split("at about ")[1].split(":", maxsplit=1)[0])


async def test_a_linear_hedge_is_told_the_price_before_and_after_it_is_built(tmp_path: Path) -> None:
    house = await linear_house(tmp_path, "30000")
    [before] = await told(house)
    assert (before.subject, before.ok) == ("hedges.btc: main:BTC/USDT:USDT", None)
    ends = "keeper will warn and open no new short before that; to have it buy back, set [margin] reduce"
    assert before.text.endswith(f"; {ends}")
    [unguarded] = await told(house, MarginConfig.model_validate({"warn": "off", "block": "off"}))
    assert "keeper will do nothing before that" in unguarded.text
    # 90,000 / 1.005, at the rate that is taken for a contract in which nothing is open.
    assert abs(price_in(before.text) - 89_552) < 20
    await house.open()
    await house.turn(3)
    assert house.position() == -1
    [after] = await told(house, REDUCES)
    assert "keeper will" not in after.text
    [row] = [each for each in house.exchange.futures_account(KEY, linear("BTCUSDT").kind).positions if each.quantity]
    assert row.liquidation_price is not None
    assert abs(price_in(after.text) - float(row.liquidation_price)) < 20
    await house.close()


async def test_money_that_does_not_carry_the_hedge_is_told_before_it_is_built(tmp_path: Path) -> None:
    house = await linear_house(tmp_path, "100")
    [finding] = await told(house)
    assert finding.ok is None
    assert "does not margin the whole hedge" in finding.text


async def test_coins_that_carry_their_short_cannot_be_liquidated_by_a_rally(tmp_path: Path) -> None:
    house = House(tmp_path, coins={})
    house.exchange.deposit(KEY, "BTC", D(5), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC", spot=())
    [finding] = await told(house)
    assert finding.ok is True
    assert "no rally liquidates it" in finding.text
    await house.open()
    await house.turn(3)
    [finding] = await told(house)
    assert finding.ok is True
    assert "short of 10 times the price" in finding.text, "the fee was paid in coin"
    await house.close()


async def test_more_dollars_short_than_coins_behind_it_are_told_where_it_ends(tmp_path: Path) -> None:
    """1 coin of collateral and one elsewhere, 120,000 USD short at 60,000."""
    house = House(tmp_path, coins={"BTC": "1"})
    house.exchange.set_price("BTC", D(60000))
    house.exchange.deposit(KEY, "BTC", D(1), WalletKind.COINM)
    await house.hedge("BTC/USD:BTC", spot=(AccountId("main"),))
    [finding] = await told(house)
    assert finding.ok is None
    assert abs(price_in(finding.text) - 119_400) < 20


async def test_a_split_hedge_is_reckoned_by_the_share_of_each_contract(tmp_path: Path) -> None:
    """Half of one coin at 60,000 is short on each venue: 20,000 bears a rise of 40,000, and 100 none at all."""
    house = LegsHouse(tmp_path, coins={"BTC": "1"})
    for exchange, money in ((house.exchange, "20000"), (house.other, "100")):
        exchange.set_price("BTC", D(60000))
        exchange.withdraw(KEY, "USDT", D(5_000_000) - D(money), WalletKind.USDM)
    await house.carry(PERP, f"other:{PERP}", shares=("0.5", "0.5"))
    observers = {"main": house.venue, "other": house.second}
    main, other = await told(house, observers=observers)
    assert (main.subject, other.subject) == (f"hedges.btc: main:{PERP}", f"hedges.btc: other:{PERP}")
    # (20,000 + 30,000) / 1.005 on half a coin, at the rate that is taken where nothing is open.
    assert abs(price_in(main.text) - 99_502) < 20
    assert "does not margin the whole hedge" in other.text, "its part is not none because another contract is the first"
    house.other.deposit(KEY, "USDT", D(20_000), WalletKind.USDM)
    await house.open()
    await house.turn(4)
    assert (house.held(MAIN_PERP), house.held(OTHER_PERP, house.other)) == (D("-0.5"), D("-0.5"))
    main, other = await told(house, observers=observers)
    assert abs(price_in(main.text) - 99_502) < 300
    assert abs(price_in(other.text) - 99_700) < 300
    await house.close()


async def test_a_split_hedge_on_one_account_is_reckoned_as_the_sum_of_its_parts(tmp_path: Path) -> None:
    house = LegsHouse(tmp_path, coins={"BTC": "1"})
    house.exchange.set_price("BTC", D(60000))
    house.exchange.withdraw(KEY, "USDT", D(4_970_000), WalletKind.USDM)
    await house.venue.open()
    await house.carry(PERP, house.symbol(NEAR_LINEAR), shares=("0.5", "0.5"))
    prices = [price_in(each.text) for each in await told(house, observers={"main": house.venue})]
    assert len(prices) == 2
    assert all(abs(price - 89_552) < 200 for price in prices), (
        "30,000 behind one coin, as where one contract carries it"
    )


async def test_an_isolated_position_bears_its_own_margin(tmp_path: Path) -> None:
    house = House(tmp_path, coins={"BTC": "1"})
    house.exchange.set_margin_mode(KEY, linear("BTCUSDT"), MarginMode.ISOLATED)
    await house.hedge()
    await house.open()
    await house.turn(3)
    [finding] = await told(house)
    assert "isolated" in finding.text
    await house.close()
