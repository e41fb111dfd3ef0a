"""The same orders on the same book: the paper account and the exchange's own come to the same, to the last digit."""

from __future__ import annotations

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeper.core.model import Side
from keeper.venue.base import Accepted
from tests.paper.bench import COIN, HOUR, PERP, bench

D = Decimal
SETTLES = {PERP: ("linear", "USDT"), COIN: ("inverse", "BTC")}

order = st.tuples(
    st.just("order"),
    st.sampled_from([PERP, COIN]),
    st.sampled_from(list(Side)),
    st.integers(1, 300),
    st.booleans(),
)
move = st.tuples(st.just("price"), st.integers(40_000, 90_000))
wait = st.tuples(st.just("wait"), st.integers(1, 30))


@settings(max_examples=25, deadline=None)
@example([("wait", 4), ("order", PERP, Side.SELL, 1, False)])  # at the very moment of a settlement, which comes first
@given(st.lists(st.one_of(order, order, move, wait), min_size=1, max_size=12))
def test_paper_and_exchange_agree(steps: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), steps))


async def play(folder: Path, steps: list[tuple[object, ...]]) -> None:
    async with bench(folder) as house:
        house.rate("0.0003")
        price = 65_000
        for step in steps:
            if step[0] == "price":
                price = int(str(step[1]))
                house.price(str(price))
            elif step[0] == "wait":
                for _ in range(int(str(step[1]))):
                    house.later(HOUR)
                    # the exchange pays at the mark of the moment; a keeper that looks has seen it
                    await house.paper.marks([house.instrument(PERP), house.instrument(COIN)])
                    await house.paper.positions()
            else:
                _, symbol, side, size, reduce_only = step
                contracts = D(str(size)) / 100 if symbol == PERP else D(str(size))
                limit = D(price) * (D("0.999") if side is Side.SELL else D("1.001"))
                limit -= limit % house.instrument(str(symbol)).tick
                placed = house.order(Side(str(side)), contracts, limit, str(symbol), reduce_only=bool(reduce_only))
                both = await house.paper.submit(placed), await house.twin.submit(placed)
                assert type(both[0]) is type(both[1]), both
                if isinstance(both[0], Accepted) and isinstance(both[1], Accepted):
                    assert both[0].report is not None
                    assert both[1].report is not None
                    assert both[0].report.filled == both[1].report.filled
                # what we took has come back at the exchange when the next price is there; on paper it is a new level
                price += 700 if price < 80_000 else -20_000
                house.price(str(price))
        truth = house.exchanges[1].truth("key")
        for symbol, (wallet, asset) in SETTLES.items():
            mine = await house.held(symbol)
            theirs = await house.twin.position(house.instrument(symbol))
            assert mine.contracts == theirs.contracts
            if mine.contracts:
                assert mine.entry_price is not None
                assert theirs.entry_price is not None
                assert abs(mine.entry_price - theirs.entry_price) < D("0.000001")
            own = truth.usdm if wallet == "linear" else truth.coinm
            assert await house.wallet(wallet, asset) == own[asset]
