"""What time brings to a paper account: funding on what was held at each settlement, and contracts that end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from keeper.core.model import Instrument, Side
from keeper.core.quotes import FundingRate
from keeper.sim.types import inverse, linear
from keeper.venue.base import UnreachableError
from tests.paper.bench import COIN, HOUR, PERP, Bench, bench

D = Decimal
MARK = D(65_000)


async def entries(house: Bench, symbol: str = PERP) -> list[Decimal]:
    return [each.amount for each in await house.paper.funding(house.instrument(symbol), 0)]


async def sell(house: Bench, contracts: str, symbol: str = PERP) -> None:
    assert (await house.done(house.order(Side.SELL, contracts, "64500", symbol))).filled == D(contracts)


async def test_each_settlement_pays_what_was_held_at_its_moment(tmp_path: Path) -> None:
    """F41: the position changes between the settlements, and all of them are noticed after the last change."""
    async with bench(tmp_path) as house:
        house.rate("0.0001")
        await sell(house, "2")
        house.until_hour(16)
        house.later(1)  # the settlement of 16:00, which nobody asks about yet
        house.later(1)
        await sell(house, "1")
        house.until_hour(0)
        house.later(1)
        house.later(1)
        assert (await house.done(house.order(Side.BUY, "3", "65500", reduce_only=True))).filled == 3
        house.until_hour(8)
        house.later(2)
        assert await entries(house) == [2 * MARK * D("0.0001"), 3 * MARK * D("0.0001")]


async def test_a_settlement_is_paid_once_however_often_it_is_asked_for_and_over_a_crash(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        house.rate("-0.0002")
        await sell(house, "2")
        before = await house.wallet()
        house.until_hour(16)
        house.later(30)
        assert await entries(house) == [-2 * MARK * D("0.0002")]
        for _ in range(3):
            house.later(90)
            await house.restart()
            assert len(await entries(house)) == 1
        assert await house.wallet() == before - 2 * MARK * D("0.0002")


async def test_what_was_missed_while_nobody_ran_is_made_up_for(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        house.rate("0.0001")
        await sell(house, "2")
        await house.paper.close()
        for _ in range(9):
            house.later(8 * HOUR)
        started_ms = house.clock.now_ms()
        await house.restart()
        assert len(await entries(house)) == 9
        recent = await house.paper.funding(house.instrument(), started_ms)
        assert len(recent) == 9, "booked since then, so the journal gets them, however old they are"
        assert len({each.entry_id for each in recent}) == 9
        assert await house.wallet() > 5_000_000


async def test_a_rate_that_is_published_after_the_position_was_closed_is_paid_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as house:
        real, dark = house.source.funding_rates, True

        async def late(instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
            return () if dark else await real(instrument, since_ms)

        monkeypatch.setattr(house.source, "funding_rates", late)
        house.rate("0.0001")
        await sell(house, "2")
        house.until_hour(16)
        house.later(2)
        assert await entries(house) == []
        assert (await house.done(house.order(Side.BUY, "2", "65500", reduce_only=True))).filled == 2
        dark = False
        house.later(61)
        assert await entries(house) == [2 * MARK * D("0.0001")]


async def test_a_history_that_cannot_be_read_hides_nothing_and_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as house:
        house.rate("0.0001")
        await sell(house, "2")
        house.until_hour(16)
        house.later(2)
        with monkeypatch.context() as patch:

            async def down(*_: object) -> tuple[FundingRate, ...]:
                raise UnreachableError("no answer")

            patch.setattr(house.source, "funding_rates", down)
            assert (await house.held()).contracts == -2
        assert len(await entries(house)) == 1


async def test_coin_margined_funding_is_paid_in_coins(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        house.rate("0.0001")
        await sell(house, "650", COIN)
        house.until_hour(16)
        house.later(2)
        (amount,) = await entries(house, COIN)
        assert amount == D("0.0001")  # 65,000 USD of 65,000 each


@pytest.mark.parametrize(("like", "wallet", "asset"), [(linear("BTCUSDT"), "linear", "USDT"),
                                                       (inverse("BTCUSD_PERP"), "inverse", "BTC")])  # fmt: skip
@pytest.mark.parametrize("stopped", [False, True])
async def test_a_contract_that_ends_is_settled_whether_or_not_a_keeper_runs(
    tmp_path: Path, like: object, wallet: str, asset: str, stopped: bool
) -> None:
    async with bench(tmp_path) as house:
        for exchange in house.exchanges:
            exchange.list_quarters(like, D(0))  # type: ignore[arg-type]
        await house.paper.open()
        await house.twin.open()
        listed = [each for each in house.source.listed("BTC") if each.expires_at_ms and each.settle == asset]
        near = min(listed, key=lambda each: each.expires_at_ms or 0)
        assert near.expires_at_ms is not None
        contracts = "2" if asset == "USDT" else "650"
        order = house.order(Side.SELL, contracts, "64500", near.id.symbol)
        assert (await house.done(order)).filled == D(contracts)
        await house.twin.submit(order)
        left = (near.expires_at_ms - house.clock.now_ms()) / 1000
        house.later(left - 30)
        house.price("60000")
        await house.paper.marks([near])
        await house.paper.positions()
        if stopped:
            await house.paper.close()
        house.later(120)
        await house.restart()
        assert not (await house.paper.positions()).positions
        assert (await house.held(near.id.symbol)).contracts == 0
        truth = house.exchanges[1].truth("key")
        own = truth.usdm if wallet == "linear" else truth.coinm
        assert await house.wallet(wallet, asset) == own[asset]
        refused = await house.paper.submit(house.order(Side.SELL, contracts, "64500", near.id.symbol))
        assert getattr(refused, "code", None) in ("market_closed", "unknown_symbol")


async def test_rates_are_asked_for_from_the_first_trade_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from the account's beginning: a venue that gives a hundred an answer would be asked for years of them."""
    async with bench(tmp_path) as house:
        house.clock.advance(400 * 24 * HOUR)
        opened_ms, asked = house.clock.now_ms(), []
        real = house.source.funding_rates

        async def noted(instrument: Instrument, since_ms: int) -> tuple[FundingRate, ...]:
            asked.append(since_ms)
            return await real(instrument, since_ms)

        monkeypatch.setattr(house.source, "funding_rates", noted)
        await sell(house, "2")
        await house.held()
        assert asked == [opened_ms + 1]


async def test_an_order_that_rests_costs_no_write_while_nothing_happens(tmp_path: Path) -> None:
    async with bench(tmp_path) as house:
        await house.done(house.order(Side.SELL, "2", "65100", force="PO"))
        await house.paper.positions()
        before = house.file.stat().st_mtime_ns
        for _ in range(3):
            house.later(5)
            await house.paper.positions()
        assert house.file.stat().st_mtime_ns == before
        house.price("65300")
        assert not (await house.paper.positions()).working
        assert house.file.stat().st_mtime_ns > before
