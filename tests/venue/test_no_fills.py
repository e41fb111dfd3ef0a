"""No fill is half of the proof that an order never arrived: only a list without one says that there was none."""

from __future__ import annotations

import pytest

from keeper.core.model import InstrumentId
from keeper.venue.base import BadReadingError
from keeper.venue.trader import CcxtTrader
from tests.venue.test_payloads import Told, venue_over
from tests.venue.test_told import LINEAR
from tests.venue.venues_told import binance


@pytest.mark.parametrize("body", ["{}", '{"code": 200}', '{"data": {}}', "null", '""'])
async def test_an_answer_without_a_list_is_not_an_answer_without_fills(body: str) -> None:
    async with venue_over("binance", {**binance([], []), "/fapi/v1/userTrades": Told(200, body)}) as venue:
        trader = CcxtTrader(venue.connection)
        with pytest.raises(BadReadingError):
            await trader.fills(InstrumentId("main", LINEAR), venue.connection.clock.now_ms() - 60_000)


async def test_a_list_without_fills_is() -> None:
    async with venue_over("binance", {**binance([], []), "/fapi/v1/userTrades": []}) as venue:
        trader = CcxtTrader(venue.connection)
        assert await trader.fills(InstrumentId("main", LINEAR), venue.connection.clock.now_ms() - 60_000) == ()
