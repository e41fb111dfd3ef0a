"""A small account on the simulated exchange, and the fault menu before it."""

from __future__ import annotations

import pytest

from keeper.sim.faults import FaultMenu
from tests.sim.house import House, build


@pytest.fixture
def house() -> House:
    return build(usdm="1000000", btc="5", usdt="100000")


@pytest.fixture
def menu(house: House) -> FaultMenu:
    made = FaultMenu(house.exchange, seed=7)
    house.exchange.intercept(made)
    return made
