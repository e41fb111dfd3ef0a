"""Delta names the coins of a balance by numbers: each is the coin that it stands for, or the wallet is not read."""

from __future__ import annotations

from typing import Any

import pytest

from keeper.venue.base import BadReadingError
from keeper.venue.wallets import check_names
from tests.venue.helpers import D
from tests.venue.test_payloads import Routes, venue_over

USD, BTC = {"id": 3, "symbol": "USD", "precision": 8}, {"id": 2, "symbol": "BTC", "precision": 8}
PRODUCT = {
    "id": 27, "symbol": "BTCUSD", "description": "BTC perpetual", "contract_type": "perpetual_futures",
    "contract_value": "0.001", "contract_unit_currency": "BTC", "quoting_asset": USD, "settling_asset": USD,
    "underlying_asset": BTC, "tick_size": "0.5", "state": "live", "trading_status": "operational",
    "position_size_limit": 229167, "min_size": 1, "taker_commission_rate": "0.0005", "maker_commission_rate": "0.0002",
    "product_specs": {}, "created_at": "2023-01-01T00:00:00Z", "settlement_time": None,
    "launch_time": "2023-01-01T00:00:00Z",
}  # fmt: skip


def _balance(number: int, amount: str) -> dict[str, Any]:
    return {"asset_id": number, "asset_symbol": "?", "balance": amount, "available_balance": amount}


def delta(*balances: dict[str, Any]) -> Routes:
    def told(result: Any) -> dict[str, Any]:
        return {"success": True, "result": result}

    return {
        "/v2/assets": told([{**each, "deposit_status": "enabled", "networks": []} for each in (USD, BTC)]),
        "/v2/products": told([PRODUCT]),
        "/v2/wallet/balances": told(list(balances)),
    }


async def test_a_coin_has_its_own_name() -> None:
    async with venue_over("delta", delta(_balance(2, "5"), _balance(3, "900"))) as venue:
        assert (await venue.observer.wallet("")).totals == {"BTC": D(5), "USD": D(900)}


async def test_a_coin_of_which_only_the_number_is_known_is_a_wallet_that_is_not_read() -> None:
    async with venue_over("delta", delta(_balance(44, "7"))) as venue:
        with pytest.raises(BadReadingError, match="main: a balance is of a coin called 44"):
            await venue.observer.wallet("")
    async with venue_over("delta", delta(_balance(2, "5"), _balance(44, "7"))) as venue:
        assert (await venue.observer.wallet("")).totals["BTC"] == D(5)


def test_a_number_is_a_name_where_a_market_knows_it() -> None:
    markets = [{"base": "42", "quote": "USDT", "settle": None}]
    check_names(["42", "1INCH", "BTC"], markets)
    check_names(["7", "BTC"], markets)
    check_names([], markets)
    with pytest.raises(BadReadingError, match="called 7"):
        check_names(["42", "7"], markets)
