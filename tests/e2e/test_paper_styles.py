"""Coin-margined hedges and the other styles on paper, through the real client."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.config import Config
from keeper.core.model import Hold, OutcomeState
from keeper.cycle import turn
from keeper.journal.reader import JournalReader
from keeper.sim.types import ExchangeOptions
from keeper.wiring import open_house
from tests.e2e.grounds import D, OwnGround, hedge_toml, other_ground, own_ground
from tests.e2e.test_golden import settle
from tests.e2e.test_paper import paper_config, private, settled, short

PASSIVE = 'execution = { style = "passive" }\nmax_slippage = "0.01"'
TWAP = 'execution = { style = "twap", over_seconds = 4, slices = 4 }'


@pytest.mark.parametrize("made", [own_ground, other_ground])
async def test_an_inverse_hedge_at_one_never_trades_for_a_price(tmp_path: Path, made: object) -> None:
    async with made({}) as ground:  # type: ignore[operator]
        split = isinstance(ground, OwnGround)
        begins = 'wallets = { inverse = { BTC = "5" } }' if split else 'balances = { BTC = "5" }'
        hedge = hedge_toml("BTC/USD:BTC", spot="[]" if split else '["main"]')
        async with open_house(paper_config(ground, tmp_path, hedge, begins), live=False) as house:
            await settle(house.desk)
            venue = house.venues.papers["main"]
            dollars = D(100) if split else D(1)
            sold = (await venue.position(venue.instrument("BTC/USD:BTC"))).contracts
            assert D(-325000) <= sold * dollars < D(-324600), "the fee was paid in coin"
            for price in ("52000", "58000", "75000", "100000", "130000", "65000"):
                ground.price("BTC", price)
                record = await turn(house.desk)
                assert isinstance(record.hedges[0].decision, Hold), record.hedges[0].decision
            assert (await venue.position(venue.instrument("BTC/USD:BTC"))).contracts == sold
        assert not private(ground)


async def test_a_passive_order_rests_on_paper_and_fills_as_maker(tmp_path: Path) -> None:
    async with own_ground({}) as ground:
        ground.exchange.set_options(ExchangeOptions(half_spread_bps=D(2), level_gap_bps=D(2)))
        config: Config = paper_config(ground, tmp_path, hedge_toml(more=PASSIVE))
        async with open_house(config, live=False) as house:
            placed = (await turn(house.desk)).hedges[0]
            assert placed.outcomes[0].state is OutcomeState.WORKING
        async with open_house(config, live=False) as house:
            kept = (await turn(house.desk)).hedges[0]
            assert isinstance(kept.decision, Hold)
            assert kept.decision.reasons[0].code == "order_resting"
            for price in ("65100", "65200"):
                ground.price("BTC", price)
                for _ in range(3):
                    await turn(house.desk)
            assert await short(house) == -5
        async with await JournalReader.open(config.journal_url) as reader:
            [costs] = await reader.costs()
            fills = await reader.fills(100)
        assert costs.mean_slippage is not None
        assert costs.mean_slippage < 0, "the spread was earned"
        worth = sum((fill.contracts * fill.price for fill in fills), D(0))
        assert sum((fill.fee or D(0) for fill in fills), D(0)) == pytest.approx(worth * D("0.0002"))
        assert not private(ground)


async def test_a_twap_on_paper_arrives(tmp_path: Path) -> None:
    async with own_ground({}) as ground:
        config = paper_config(ground, tmp_path, hedge_toml(more=TWAP))
        async with open_house(config, live=False) as house:
            for _ in range(60):
                await turn(house.desk)
                if await short(house) == -5:
                    break
                await house.clock.sleep(0.2)
            await settled(house, -5)
        async with await JournalReader.open(config.journal_url) as reader:
            assert len(await reader.orders(100)) >= 2
        assert not private(ground)
