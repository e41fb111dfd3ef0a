"""What a client reads over HTTP: markets, money, positions, prices, funding."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import ccxt.pro
import pytest

from keeper.sim.types import MarketKind, Permissions, inverse, linear
from tests.wire.conftest import INVERSE, KEY, LINEAR, SECRET, SPOT, Venue

CONTRACTS = [LINEAR, INVERSE]
ALL = [SPOT, LINEAR, INVERSE]


def hosts(urls: Any) -> list[str]:
    if isinstance(urls, str):
        return [urlsplit(urls).netloc]
    return [host for value in urls.values() for host in hosts(value)]


async def test_an_unmodified_client_needs_nothing_but_urls(venue: Venue) -> None:
    async with ccxt.pro.binance({"apiKey": KEY, "secret": SECRET, "urls": {"api": venue.server.urls}}) as plain:
        markets = await plain.load_markets()
        assert set(ALL) <= set(markets)
        assert (await plain.fetch_balance())["BTC"]["total"] == 5
        assert set(hosts(plain.urls["api"])) == {f"127.0.0.1:{venue.server.port}"}


async def test_the_url_override_names_every_entry_of_the_client(venue: Venue) -> None:
    def keys(tree: Any, prefix: str = "") -> set[str]:
        if isinstance(tree, str):
            return {prefix}
        return {found for name, value in tree.items() for found in keys(value, f"{prefix}/{name}")}

    assert keys(venue.server.urls) == keys(ccxt.pro.binance().urls["api"])


async def test_markets_carry_their_filters(client: Any, venue: Venue) -> None:
    for symbol, key in ((LINEAR, linear("BTCUSDT")), (INVERSE, inverse("BTCUSD_PERP"))):
        market, rules = client.market(symbol), venue.exchange.market(key).filters
        assert Decimal(str(market["precision"]["amount"])) == rules.step
        assert Decimal(str(market["precision"]["price"])) == rules.tick
        assert Decimal(str(market["limits"]["amount"]["max"])) == rules.max_qty
        assert Decimal(str(market["limits"]["market"]["max"])) == rules.market_max_qty
        assert market["active"]
    assert client.market(LINEAR)["limits"]["cost"]["min"] == float(
        venue.exchange.market(linear("BTCUSDT")).filters.min_notional
    )
    assert client.market(INVERSE)["contractSize"] == 100
    assert client.market(SPOT)["limits"]["cost"]["min"] == 5


@pytest.mark.parametrize(
    ("params", "asset", "amount"),
    [
        ({"type": "spot"}, "BTC", 5),
        ({"type": "swap"}, "USDT", 100_000),
        ({"type": "swap", "useV2": True}, "USDT", 100_000),
        ({"type": "swap", "subType": "inverse"}, "BTC", 2),
        ({"type": "funding"}, "ETH", 3),
    ],
)
async def test_balances_of_each_wallet(client: Any, params: dict[str, Any], asset: str, amount: float) -> None:
    balance = await client.fetch_balance(params)
    assert balance[asset]["total"] == balance[asset]["free"] == amount


async def test_positions_linear(client: Any, venue: Venue) -> None:
    assert await client.fetch_positions() == []
    await client.create_order(LINEAR, "market", "sell", 0.5)
    for params in ({}, {"useV2": True}, {"method": "account"}):
        (position,) = [row for row in await client.fetch_positions([LINEAR], params) if row["contracts"]]
        assert (position["side"], position["contracts"], position["hedged"]) == ("short", 0.5, False)
    rows = await client.fapiPrivateV2GetPositionRisk()
    assert len(rows) == len(venue.exchange.markets(MarketKind.LINEAR))
    assert [row["symbol"] for row in await client.fapiPrivateV3GetPositionRisk()] == ["BTCUSDT"]


async def test_positions_inverse(client: Any, venue: Venue) -> None:
    params = {"subType": "inverse"}
    assert await client.fetch_positions(None, params) == []
    await client.create_order(INVERSE, "market", "sell", 100)
    (position,) = await client.fetch_positions(None, params)
    assert (position["symbol"], position["side"], position["contracts"]) == (INVERSE, "short", 100)
    assert position["notional"] == pytest.approx(100 * 100 / position["markPrice"], rel=1e-6)
    assert len(await client.dapiPrivateGetPositionRisk()) == len(venue.exchange.markets(MarketKind.INVERSE))


@pytest.mark.parametrize("symbol", ALL)
async def test_prices(client: Any, symbol: str) -> None:
    ticker = await client.fetch_ticker(symbol)
    assert (ticker["symbol"], ticker["last"]) == (symbol, pytest.approx(65_000, rel=1e-3))
    assert (await client.fetch_tickers([symbol]))[symbol]["last"] == ticker["last"]
    best = (await client.fetch_bids_asks([symbol]))[symbol]
    assert best["bid"] < best["ask"]
    book = await client.fetch_order_book(symbol, 5)
    assert (len(book["bids"]), len(book["asks"])) == (5, 5)
    assert book["bids"][0][0] == best["bid"]
    assert book["nonce"] > 0
    assert (await client.fetch_last_prices([symbol]))[symbol]["price"] == ticker["last"]
    assert isinstance(await client.fetch_trades(symbol), list)


@pytest.mark.parametrize("symbol", ALL)
async def test_bars_are_on_their_grid_and_end_now(client: Any, venue: Venue, symbol: str) -> None:
    bars = await client.fetch_ohlcv(symbol, "1h", limit=24)
    assert len(bars) == 24
    assert all(bar[0] % 3_600_000 == 0 for bar in bars)
    assert venue.server.clock.now_ms() - bars[-1][0] < 3_600_000
    assert all(low <= min(start, end) and max(start, end) <= high for _, start, high, low, end, _ in bars)
    since = bars[3][0]
    assert (await client.fetch_ohlcv(symbol, "1h", since=since, limit=2))[0][0] == since


@pytest.mark.parametrize("symbol", CONTRACTS)
async def test_funding_and_marks(client: Any, venue: Venue, symbol: str) -> None:
    key = linear("BTCUSDT") if symbol == LINEAR else inverse("BTCUSD_PERP")
    venue.exchange.set_funding_rate(key, Decimal("0.0003"))
    rate = await client.fetch_funding_rate(symbol)
    assert rate["fundingRate"] == 0.0003
    assert rate["fundingTimestamp"] > venue.server.clock.now_ms()
    assert (await client.fetch_mark_price(symbol))["markPrice"] == rate["markPrice"]
    params = {} if symbol == LINEAR else {"subType": "inverse"}
    assert symbol in await client.fetch_funding_rates(None, params)
    assert (await client.fetch_funding_intervals([symbol], params))[symbol]["interval"] == "8h"
    history = await client.fetch_funding_rate_history(symbol, limit=10)
    assert len(history) == 10
    assert history == sorted(history, key=lambda row: row["timestamp"])
    venue.exchange.apply_funding(key)
    assert (await client.fetch_funding_rate_history(symbol, limit=1))[0]["fundingRate"] == 0.0003


@pytest.mark.parametrize("symbol", CONTRACTS)
async def test_open_interest(client: Any, symbol: str) -> None:
    assert (await client.fetch_open_interest(symbol))["openInterestAmount"] > 0
    rows = await client.fetch_open_interest_history(symbol, "1h", limit=5)
    assert len(rows) == 5


@pytest.mark.parametrize("symbol", CONTRACTS)
async def test_settings(client: Any, symbol: str) -> None:
    sub_type = "linear" if symbol == LINEAR else "inverse"
    params = {"subType": sub_type}
    assert (await client.fetch_position_mode(symbol))["hedged"] is False
    assert (await client.set_leverage(5, symbol))["leverage"] in (5, "5")
    assert (await client.fetch_leverages([symbol], params))[symbol]["shortLeverage"] == 5
    assert (await client.fetch_margin_modes([symbol], params))[symbol]["marginMode"] == "cross"
    await client.set_margin_mode("isolated", symbol)
    assert (await client.fetch_margin_modes([symbol], params))[symbol]["marginMode"] == "isolated"
    with pytest.raises(ccxt.pro.MarginModeAlreadySet):
        await client.set_margin_mode("isolated", symbol)
    await client.set_position_mode(True, symbol, params)
    assert (await client.fetch_position_mode(symbol))["hedged"] is True
    tiers = await client.fetch_leverage_tiers([symbol], params | {"type": "swap"})
    assert tiers[symbol][0]["maxLeverage"] > 1


async def test_fees_and_times(client: Any, venue: Venue) -> None:
    for params in ({}, {"type": "swap"}, {"type": "swap", "subType": "inverse"}):
        assert abs(await client.fetch_time(params) - venue.server.clock.now_ms()) < 1_000
    for symbol in ALL:
        fee = await client.fetch_trading_fee(symbol)
        assert fee["taker"] >= fee["maker"] > 0
    assert SPOT in await client.fetch_trading_fees()
    assert LINEAR in await client.fetch_trading_fees({"type": "swap"})
    assert INVERSE in await client.fetch_trading_fees({"type": "swap", "subType": "inverse"})
    assert (await client.fetch_status())["status"] == "ok"


async def test_permissions_are_those_of_the_key(client: Any, venue: Venue) -> None:
    facts = await client.sapiGetAccountApiRestrictions()
    assert (facts["enableWithdrawals"], facts["enableFutures"]) == (False, True)
    venue.exchange.set_permissions(KEY, Permissions(withdrawals=True))
    assert (await client.sapiGetAccountApiRestrictions())["enableWithdrawals"] is True
    assert (await client.fapiPrivateGetAccountConfig())["dualSidePosition"] is False
    assert (await client.fapiPrivateGetMultiAssetsMargin())["multiAssetsMargin"] is False


async def test_money_that_moves_is_on_record(client: Any, venue: Venue) -> None:
    venue.exchange.withdraw(KEY, "BTC", Decimal(1))
    (gone,) = await client.fetch_withdrawals("BTC")
    assert (gone["amount"], gone["status"]) == (1, "ok")
    assert sum(row["amount"] for row in await client.fetch_deposits("BTC")) == 7
    moved = await client.transfer("USDT", 500, "spot", "linear")
    assert moved["id"] is not None
    assert (await client.fetch_balance({"type": "swap"}))["USDT"]["total"] == 100_500
    (row,) = await client.fetch_transfers("USDT", None, None, {"fromAccount": "spot", "toAccount": "linear"})
    assert row["amount"] == 500
    with pytest.raises(ccxt.pro.ExchangeError, match="-5013"):
        await client.transfer("USDT", 500_000_000, "spot", "linear")
