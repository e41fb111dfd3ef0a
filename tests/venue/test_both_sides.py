"""A long and a short of one coin-margined contract: what they have gained stays, also where they cancel out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.venue.test_payloads import near, seen
from tests.venue.test_told import INVERSE, hedge
from tests.venue.venues_told import binance, binance_position, bybit, bybit_position

# gained by both together: 10,000·(1/50,000 - 1/65,000) - n·100·(1/64,000 - 1/65,000)
PAIRS = [("100", "0", "0.04375"), ("110", "-0.015385", "0.043510"), ("90", "0.015385", "0.043990")]


def _of_binance(side: str, contracts: str, entry: str, pnl: str) -> dict[str, Any]:
    signed = contracts if side == "LONG" else f"-{contracts}"
    worth = f"{int(signed) * 100 / 65000:.8f}"
    more = {"notionalValue": worth, "unRealizedProfit": pnl, "marginAsset": "BTC"}
    return binance_position("BTCUSD_PERP", signed, entry, side, **more)


@pytest.mark.parametrize(("short", "futures", "gained"), PAIRS)
async def test_binance(tmp_path: Path, short: str, futures: str, gained: str) -> None:
    lost = f"{-int(short) * 100 * (1 / 64000 - 1 / 65000):.8f}"
    rows = [_of_binance("LONG", "100", "50000", "0.04615385"), _of_binance("SHORT", short, "64000", lost)]
    cycle = await seen("binance", binance([], rows), tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.futures_base, futures), cycle.exposure.blockers
    assert near(cycle.exposure.collateral_base, f"{1.5 + float(gained):.6f}"), cycle.exposure.collateral_base
    assert "position_mode" in {reason.code for reason in cycle.exposure.blockers}


async def test_bybit(tmp_path: Path) -> None:
    rows = [
        bybit_position("BTCUSD", side, "10000", entry, positionIdx=index, positionValue=value, unrealisedPnl=pnl)
        for side, entry, index, value, pnl in (
            ("Buy", "50000", 1, "0.2", "0.04615385"),
            ("Sell", "64000", 2, "0.15625", "-0.00240385"),
        )
    ]
    cycle = await seen("bybit", bybit([], rows), tmp_path, hedge(INVERSE))
    assert near(cycle.exposure.futures_base, "0"), cycle.exposure.blockers
    assert near(cycle.exposure.collateral_base, "0.04375"), cycle.exposure.collateral_base
