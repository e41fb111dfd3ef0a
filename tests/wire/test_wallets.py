"""Wallets behind the real client: transfers, lent coins, and the margin of both futures products."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from keeper.sim.fault_kinds import FaultKind
from keeper.sim.faults import FaultMenu
from keeper.sim.types import MarginMode, Permissions, WalletKind, inverse, linear
from keeper.venue.ccxt_venue import Credentials, VenuePolicy, make_venue
from tests.wire.conftest import KEY, SECRET, Venue

D = Decimal


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        ("spot", "linear", (WalletKind.SPOT, WalletKind.USDM)),
        ("linear", "spot", (WalletKind.USDM, WalletKind.SPOT)),
        ("spot", "funding", (WalletKind.SPOT, WalletKind.FUNDING)),
        ("funding", "linear", (WalletKind.FUNDING, WalletKind.USDM)),
        ("linear", "inverse", (WalletKind.USDM, WalletKind.COINM)),
    ],
)
async def test_money_moves_between_wallets_as_the_client_names_them(
    venue: Venue, client: Any, source: str, target: str, kind: tuple[WalletKind, WalletKind]
) -> None:
    venue.exchange.deposit(KEY, "USDT", D(500), WalletKind.FUNDING)
    done = await client.transfer("USDT", 400, source, target)
    moved = venue.exchange.movements(KEY)[-1]
    assert (moved.source, moved.target, moved.amount) == (*kind, D(400))
    assert done["id"] == str(moved.movement_id)
    (row,) = await client.fetch_transfers("USDT", None, None, {"fromAccount": source, "toAccount": target})
    assert (row["id"], row["amount"], row["status"]) == (done["id"], 400, "ok")


async def test_a_transfer_that_is_refused_moves_nothing(venue: Venue, client: Any) -> None:
    menu = FaultMenu(venue.exchange, seed=3)
    venue.exchange.intercept(menu)
    before = venue.exchange.truth(KEY).spot["USDT"]
    menu.arm(FaultKind.TRANSFER_REFUSED)
    with pytest.raises(ccxt.ExchangeError, match="-5010"):
        await client.transfer("USDT", 400, "spot", "linear")
    with pytest.raises(ccxt.ExchangeError, match="-5013"):
        await client.transfer("USDT", 400_000, "spot", "linear")
    assert (await client.sapiGetAccountApiRestrictions())["permitsUniversalTransfer"] is True
    venue.exchange.set_permissions(KEY, Permissions(transfers=False))
    assert (await client.sapiGetAccountApiRestrictions())["permitsUniversalTransfer"] is False
    with pytest.raises(ccxt.ExchangeError, match="-1002"):
        await client.transfer("USDT", 400, "spot", "linear")
    assert venue.exchange.truth(KEY).spot["USDT"] == before


async def test_a_transfer_whose_answer_is_lost_has_been_done(venue: Venue, client: Any) -> None:
    menu = FaultMenu(venue.exchange, seed=3)
    venue.exchange.intercept(menu)
    before = venue.exchange.truth(KEY).spot["USDT"]
    for kind, moved in ((FaultKind.TRANSFER_LOST_BEFORE, 0), (FaultKind.TRANSFER_LOST_AFTER, 400)):
        menu.arm(kind)
        with pytest.raises(ccxt.NetworkError):
            await client.transfer("USDT", 400, "spot", "linear")
        assert venue.exchange.truth(KEY).spot["USDT"] == before - moved


async def test_coins_are_lent_and_taken_back(venue: Venue, client: Any) -> None:
    (product,) = (await client.sapiGetSimpleEarnFlexibleList({"asset": "BTC"}))["rows"]
    lent = await client.sapiPostSimpleEarnFlexibleSubscribe({"productId": product["productId"], "amount": "1.5"})
    assert lent["success"] is True
    (row,) = (await client.sapiGetSimpleEarnFlexiblePosition())["rows"]
    assert (row["asset"], row["totalAmount"]) == ("BTC", "1.50000000")
    assert (await client.sapiGetSimpleEarnLockedPosition())["rows"] == []
    (record,) = (await client.sapiGetSimpleEarnFlexibleHistorySubscriptionRecord({"asset": "BTC"}))["rows"]
    assert (record["amount"], record["sourceAccount"]) == ("1.5", "SPOT")
    with pytest.raises(ccxt.ExchangeError, match="-5002"):
        await client.sapiPostSimpleEarnFlexibleSubscribe({"productId": product["productId"], "amount": "100"})
    with pytest.raises(ccxt.ExchangeError, match="-6006"):
        await client.sapiPostSimpleEarnFlexibleRedeem({"productId": product["productId"], "amount": "2"})
    await client.sapiPostSimpleEarnFlexibleRedeem({"productId": "BTC001", "amount": "0.5", "destAccount": "FUND"})
    await client.sapiPostSimpleEarnFlexibleRedeem({"productId": "BTC001", "redeemAll": "true"})
    assert venue.exchange.truth(KEY).spot["BTC"] == D("4.5")
    back = (await client.sapiGetSimpleEarnFlexibleHistoryRedemptionRecord())["rows"]
    assert [(each["amount"], each["destAccount"]) for each in back] == [("1", "SPOT"), ("0.5", "FUND")]
    assert (await client.sapiGetSimpleEarnFlexiblePosition())["rows"] == []


async def test_lent_coins_are_read_page_by_page(venue: Venue, client: Any) -> None:
    for number in range(12):
        venue.exchange.deposit(KEY, f"COIN{number:02}", D(1), WalletKind.EARN)
    first = await client.sapiGetSimpleEarnFlexiblePosition()
    second = await client.sapiGetSimpleEarnFlexiblePosition({"current": 2})
    assert (len(first["rows"]), len(second["rows"])) == (10, 2)
    assert {row["asset"] for row in first["rows"] + second["rows"]} == {f"COIN{number:02}" for number in range(12)}


async def test_keeper_reads_every_wallet(venue: Venue) -> None:
    policy, credentials = VenuePolicy(True, "testnet"), Credentials(KEY, SECRET)
    urls: dict[str, Any] = {"urls": {"api": venue.server.urls}}
    made = make_venue("main", "binance", policy, credentials, urls, venue.server.clock, 5.0, 5.0)
    await made.open()
    try:
        assert (await made.observer.wallet("earn")).totals == {}, "who never earned has nothing there"
        venue.exchange.transfer(KEY, "BTC", D(2), WalletKind.SPOT, WalletKind.EARN)
        venue.exchange.deposit(KEY, "USDT", D(30), WalletKind.EARN)
        assert (await made.observer.wallet("earn")).totals == {"BTC": D(2), "USDT": D(30)}
        assert (await made.observer.wallet("")).totals["BTC"] == 3
        assert (await made.observer.wallet("funding")).totals == {"ETH": D(3)}
        assert (await made.observer.wallet("inverse")).totals["BTC"] == 2
    finally:
        await made.close()


async def test_the_margin_of_both_products_is_shown(venue: Venue, client: Any) -> None:
    exchange = venue.exchange
    exchange.set_price("BTC", D(60_000))
    exchange.foreign_trade(KEY, linear("BTCUSDT"), D(-2))
    exchange.foreign_trade(KEY, inverse("BTCUSD_PERP"), D(-1_500))
    exchange.set_price("BTC", D(50_000))
    account = await client.fapiPrivateV3GetAccount()
    wallet = D(100_000) - 120_000 * D("0.0005")
    assert D(account["totalMaintMargin"]) == 2 * 50_000 * D("0.004")
    assert D(account["totalMarginBalance"]) == wallet + 20_000
    (usdt,) = [row for row in account["assets"] if row["asset"] == "USDT"]
    assert D(usdt["maxWithdrawAmount"]) == wallet - 5_000  # open profit stays; 20-fold leverage on 100,000
    assert D(usdt["availableBalance"]) == wallet + 20_000 - 5_000
    coin = await client.dapiPrivateGetAccount()
    (btc,) = [row for row in coin["assets"] if row["asset"] == "BTC"]
    fee = D(150_000) / 60_000 * D("0.0005")
    assert D(btc["marginBalance"]) == 2 - fee + D("0.5")
    assert D(btc["maintMargin"]) == 3 * D("0.004")
    assert D(btc["maxWithdrawAmount"]) == 2 - fee - 3 / D(20)
    (row,) = [row for row in coin["positions"] if row["positionAmt"] != "0"]
    assert D(row["maintMargin"]) == 3 * D("0.004")
    (risk,) = [row for row in await client.dapiPrivateGetPositionRisk() if row["positionAmt"] != "0"]
    wanted = exchange.positions(KEY, inverse("BTCUSD_PERP").kind, include_flat=False)[0].liquidation_price
    assert wanted is not None
    assert D(risk["liquidationPrice"]) == wanted


async def test_an_isolated_position_shows_a_margin_of_its_own(venue: Venue, client: Any) -> None:
    exchange, key = venue.exchange, linear("BTCUSDT")
    exchange.set_price("BTC", D(60_000))
    exchange.set_margin_mode(KEY, key, MarginMode.ISOLATED)
    exchange.foreign_trade(KEY, key, D(-1))
    (row,) = (await client.fapiPrivateV3GetAccount())["positions"]
    assert (D(row["isolatedWallet"]), D(row["maintMargin"])) == (D(3_000), D(240))
