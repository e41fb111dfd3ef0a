"""Venues whose every answer leaves out a contract that is flat say so, and no other venue's missing row is taken so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keeper.venue.base import EmptyReadingError, NoRowError
from keeper.venue.capabilities import TABLE
from tests.support.bingx import BingxDesk
from tests.support.bitget import BitgetDesk
from tests.support.desk import Desk
from tests.support.mexc import MexcDesk
from tests.support.weex import WeexDesk
from tests.venue.helpers import opened
from tests.venue.order_stories import over

DESKS: list[Callable[[], Desk]] = [BingxDesk, BitgetDesk, MexcDesk, WeexDesk]


@pytest.mark.parametrize("kind", DESKS)
async def test_a_flat_contract_has_no_row(kind: Callable[[], Desk]) -> None:
    async with kind() as desk, opened(over(desk)) as venue:
        for name in list(desk.positions):
            del desk.positions[name]
        instrument = venue.observer.instrument("BTC/USDT:USDT")
        with pytest.raises(EmptyReadingError) as caught:
            await venue.observer.position(instrument)
        await venue.observer.facts([instrument])  # its settings are not known then, and that is no fault
    assert type(caught.value) is NoRowError


def test_where_a_flat_contract_can_be_asked_for_a_missing_row_is_no_answer() -> None:
    without = {name for name, capability in TABLE.items() if capability.flat_has_no_row}
    assert without == {"bingx", "bitget", "mexc", "weex"}
