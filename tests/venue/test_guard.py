"""Nothing leaves for a host, or does a thing, that the mode does not allow; and nothing is signed on the way there."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest
from aiohttp import web

from keeper.errors import ConfigError, UnsafeError
from keeper.venue.base import HostRefusedError, Rejected, UnreachableError
from keeper.venue.capabilities import capability_of
from keeper.venue.ccxt_venue import CcxtVenue, VenuePolicy, check_exchange, known_exchanges
from keeper.venue.client import GuardMixin
from keeper.venue.guard import host_of, hosts_in, pin_loggers, redact
from tests.support.bybit_v5 import BybitV5
from tests.venue.helpers import (
    API_KEY,
    API_SECRET,
    DRY_RUN,
    LIVE,
    PASSPHRASE,
    PLANTED,
    opened,
    order,
    raw,
    venue_of,
)
from tests.venue.helpers import coin_market as market_of

LOOPBACK = "http://127.0.0.1:9"


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every request that the venue's own class was asked to sign."""
    seen: list[tuple[str, str]] = []
    for exchange in ("bybit", "binance", "okx", "deribit"):
        own = getattr(ccxt.pro, exchange)
        real = own.sign

        def spy(self: Any, path: str, *rest: Any, _real: Any = real, **named: Any) -> Any:
            seen.append((type(self).__name__, path))
            return _real(self, path, *rest, **named)

        monkeypatch.setattr(own, "sign", spy)
    return seen


async def refused(venue: CcxtVenue, method: str, params: dict[str, Any] | None = None) -> str:
    """The text with which the guard refuses an endpoint."""
    try:
        with pytest.raises(HostRefusedError) as caught:
            await getattr(raw(venue), method)(params or {})
    finally:
        await venue.close()
    return str(caught.value)


# Hosts


async def test_a_partial_override_leaves_the_other_hosts_refused_and_unsigned(signed: list[Any]) -> None:
    venue = venue_of("bybit", {"urls": {"api": {"public": LOOPBACK}}})
    assert venue.hosts == {"127.0.0.1:9"}
    text = await refused(venue, "privateGetV5AccountWalletBalance")
    assert "api.bybit.com" in text
    assert signed == []


async def test_a_testnet_client_cannot_sign_for_a_live_host_however_it_came_there(signed: list[Any]) -> None:
    venue = venue_of("bybit")
    raw(venue).urls["api"] = {"private": "https://api.bybit.com", "public": "https://api.bybit.com"}
    assert "api.bybit.com" in await refused(venue, "privatePostV5OrderCreate")
    assert signed == []


async def test_the_address_is_judged_again_after_signing() -> None:
    venue = venue_of("bybit", {"urls": {"api": {"private": LOOPBACK}}})
    with pytest.raises(HostRefusedError):
        await raw(venue).fetch("https://api.bybit.com/v5/order/create", "POST")
    with pytest.raises(HostRefusedError):
        raw(venue).client("wss://stream.bybit.com/v5/private")
    await venue.close()


@pytest.mark.parametrize(
    ("exchange", "override"),
    [
        ("bybit", {"private": "https://api.bybit.com"}),
        ("binance", {"fapiPrivate": "https://fapi.binance.com/fapi/v1"}),
        ("binance", {"private": "https://api1.binance.com/api/v3"}),
        ("okx", {"rest": "https://www.okx.com"}),
        ("deribit", {"ws": "wss://www.deribit.com/ws/api/v2"}),
    ],
)
def test_a_live_host_configured_for_a_testnet_is_exit_4(exchange: str, override: dict[str, str]) -> None:
    with pytest.raises(UnsafeError, match="live host") as caught:
        venue_of(exchange, {"urls": {"api": override}})
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("exchange", "host", "live"),
    [
        ("bybit", "api-testnet.bybit.com", "api.bybit.com"),
        ("binance", "demo-fapi.binance.com", "fapi.binance.com"),
        ("deribit", "test.deribit.com", "www.deribit.com"),
        ("gate", "api-testnet.gateapi.io", "api.gateio.ws"),
        ("bingx", "open-api-vst.bingx.com", "open-api.bingx.com"),
        ("hyperliquid", "api.hyperliquid-testnet.xyz", "api.hyperliquid.xyz"),
    ],
)
async def test_a_testnet_is_the_test_hosts_and_no_live_one(exchange: str, host: str, live: str) -> None:
    venue = venue_of(exchange)
    assert host in venue.hosts
    assert live not in venue.hosts
    await venue.close()
    venue = venue_of(exchange, policy=LIVE)
    assert live in venue.hosts
    assert host not in venue.hosts
    await venue.close()


@pytest.mark.parametrize("exchange", ["mexc", "kucoin"])
def test_a_venue_without_a_test_environment_says_so(exchange: str) -> None:
    with pytest.raises(UnsafeError, match=r"urls\.api"):
        venue_of(exchange)


async def test_an_override_is_not_switched_to_a_sandbox() -> None:
    venue = venue_of("okx", {"urls": {"api": {"rest": LOOPBACK}}})
    assert raw(venue).urls["api"]["rest"] == LOOPBACK
    assert not raw(venue).isSandboxModeEnabled
    await venue.close()


async def test_a_demo_told_by_a_header_is_refused_without_the_header() -> None:
    venue = venue_of("okx")
    assert raw(venue).headers["x-simulated-trading"] == "1"
    raw(venue).headers = {}
    text = await refused(venue, "privateGetAccountBalance")
    assert "x-simulated-trading" in text


async def test_a_demo_request_that_carries_no_key_needs_no_header() -> None:
    venue = venue_of("bitget")
    guard = venue.connection.guard
    guard.check_url("https://api.bitget.com/api/v2/public/time", {}, own_headers=True)
    with pytest.raises(HostRefusedError, match="PAPTRADING"):
        guard.check_url("https://api.bitget.com/api/v2/mix/order", {"ACCESS-KEY": API_KEY}, own_headers=True)
    guard.check_url(
        "https://api.bitget.com/api/v2/mix/order", {"ACCESS-KEY": API_KEY, "PAPTRADING": "1"}, own_headers=True
    )
    await venue.close()


async def test_a_demo_told_by_its_path_takes_orders_there_alone() -> None:
    venue = venue_of("weex")
    assert "capi/v3/sim/" in await refused(venue, "contractPrivatePostCapiV3Order")


# What a client that may not trade may do


@pytest.mark.parametrize(
    ("exchange", "method"),
    [
        ("bybit", "privatePostV5OrderCreate"),
        ("bybit", "privatePostV5PositionSetLeverage"),
        ("binance", "fapiPrivatePostOrder"),
        ("binance", "fapiPrivateDeleteOrder"),
        ("binance", "dapiPrivatePostMarginType"),
        ("okx", "privatePostTradeOrder"),
        ("deribit", "privateGetBuy"),
        ("deribit", "privateGetSell"),
        ("deribit", "privateGetCancelAll"),
        ("deribit", "privateGetWithdraw"),
    ],
)
async def test_a_dry_run_refuses_what_changes_anything_before_it_is_signed(
    exchange: str, method: str, signed: list[Any]
) -> None:
    assert "nothing but reads" in await refused(venue_of(exchange, policy=DRY_RUN), method)
    assert signed == []


TRANSFERRING = VenuePolicy(True, "live", transfers=True)


@pytest.mark.parametrize("method", ["privatePostV5AssetWithdrawCreate", "privatePostV5AssetTransferInterTransfer"])
async def test_no_mode_moves_money_by_itself(method: str, signed: list[Any]) -> None:
    assert "nothing allows keeper to move money" in await refused(venue_of("bybit", policy=LIVE), method)
    assert signed == []


@pytest.mark.parametrize(
    ("exchange", "method"),
    [
        ("bybit", "privatePostV5AssetWithdrawCreate"),
        ("bybit", "privatePostV5AssetTransferUniversalTransfer"),
        ("binance", "sapiPostCapitalWithdrawApply"),
        ("binance", "sapiPostSubAccountUniversalTransfer"),
        ("okx", "privatePostAssetWithdrawal"),
        ("bingx", "walletsV1PrivatePostCapitalWithdrawApply"),
        ("bingx", "walletsV1PrivatePostCapitalInnerTransferApply"),
        ("mexc", "spotPrivatePostCapitalWithdraw"),
        ("mexc", "spotPrivatePostCapitalSubAccountUniversalTransfer"),
        ("weex", "privatePostApiV3AccountWithdraw"),
        ("deribit", "privateGetSubmitTransferToUser"),
    ],
)
async def test_leave_to_move_coins_between_own_wallets_is_no_leave_to_send_them_away(
    exchange: str, method: str, signed: list[Any]
) -> None:
    venue = venue_of(exchange, policy=TRANSFERRING)
    if not hasattr(raw(venue), method):
        await venue.close()
        pytest.skip("the client has no such call")
    assert "nothing allows keeper to move money" in await refused(venue, method)
    assert signed == []


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx", "bingx", "mexc"])
async def test_the_one_request_that_moves_coins_needs_leave(exchange: str) -> None:
    call = capability_of(exchange).transfers
    assert call is not None
    sections = list(call.sections)
    for policy, passes in ((LIVE, False), (DRY_RUN, False), (TRANSFERRING, True)):
        venue = venue_of(exchange, policy=policy)
        guard, urls = venue.connection.guard, raw(venue).urls["api"]
        with nullcontext() if passes else pytest.raises(HostRefusedError):
            guard.check_endpoint(call.path, sections, "POST", urls, raw(venue).hostname)
        await venue.close()


@pytest.mark.parametrize(
    ("exchange", "method", "path"),
    [
        ("binance", "POST", "asset/get-funding-asset"),
        ("binance", "POST", "listenKey"),
        ("hyperliquid", "POST", "info"),
        ("kraken", "POST", "Balance"),
        ("deribit", "GET", "get_account_summaries"),
        ("bybit", "GET", "v5/order/realtime"),
    ],
)
def test_reads_that_are_no_get_are_known(exchange: str, method: str, path: str) -> None:
    assert capability_of(exchange).is_harmless(method, path, ["private"])


async def test_a_dry_run_has_no_trader() -> None:
    venue = venue_of("bybit", policy=DRY_RUN)
    with pytest.raises(UnsafeError):
        _ = venue.trader
    await venue.close()


async def test_an_order_that_the_guard_refuses_is_rejected_and_never_signed(signed: list[Any]) -> None:
    async with BybitV5({"BTC": "5"}) as stand_in, opened(venue_of("bybit", stand_in_options(stand_in))) as venue:
        what = venue.observer.instrument("BTC/USDT:USDT")
        raw(venue).urls["api"]["private"] = "https://api.bybit.com"
        before = len(signed)
        outcome = await venue.trader.submit(order(what, "1", what.tick * 600000))
        assert isinstance(outcome, Rejected)
        assert outcome.code == "host_refused"
        assert len(signed) == before


def stand_in_options(stand_in: BybitV5) -> dict[str, Any]:
    return {"urls": {"api": stand_in.ccxt_urls()}}


# Options


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"apiKey": "x"}, ConfigError),
        ({"verbose": True}, ConfigError),
        ({"timeuot": 5}, ConfigError),
        ({"enableRateLimit": False}, ConfigError),
        ({"urls": {"test": {}}}, ConfigError),
        ({"maxRetriesOnFailure": 2}, UnsafeError),
        ({"options": {"maxRetriesOnFailure": 1}}, UnsafeError),
        ({"options": {"v5/order/create": {"maxRetriesOnFailure": 2}}}, UnsafeError),
        ({"options": {"sandbox": True}}, UnsafeError),
        ({"sandbox": True}, UnsafeError),
        ({"options": {"sandboxMode": True}}, UnsafeError),
        ({"options": {"secret": "x"}}, UnsafeError),
    ],
)
def test_options_that_weaken_a_rule_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"venues\.main\.ccxt"):
        venue_of("bybit", options, policy=LIVE)


def test_a_mistyped_option_and_a_mistyped_exchange_name_what_was_meant() -> None:
    with pytest.raises(ConfigError, match="timeout"):
        venue_of("bybit", {"timeuot": 5})
    with pytest.raises(ConfigError, match="binance"):
        check_exchange("binnance")
    assert {"bybit", "binance", "okx", "deribit"} <= set(known_exchanges())


async def test_what_is_in_force_after_construction() -> None:
    venue = venue_of("bybit", {"options": {"recvWindow": 9000}, "rateLimit": 5}, policy=LIVE, seconds=7)
    client = raw(venue)
    assert client.options["maxRetriesOnFailure"] == 0
    assert client.options["recvWindow"] == 9000
    assert (client.verbose, client.enableRateLimit, client.timeout, client.rateLimit) == (False, True, 7000, 5)
    assert client.has["fetchCurrencies"] is False
    assert type(client).throttle is GuardMixin.throttle
    assert isinstance(client, ccxt.pro.bybit)
    await venue.close()


def test_loggers_never_run_below_warning() -> None:
    logger = logging.getLogger("ccxt.base.exchange")
    before = logger.level
    try:
        logger.setLevel(logging.DEBUG)
        pin_loggers()
        assert logger.getEffectiveLevel() >= logging.WARNING
    finally:
        logger.setLevel(before)


async def test_a_venue_of_wallets_takes_its_address_and_key_from_the_same_settings() -> None:
    venue = venue_of("hyperliquid", policy=LIVE)
    client = raw(venue)
    assert (client.walletAddress, client.privateKey) == (API_KEY, API_SECRET)
    assert not client.apiKey
    await venue.close()


# Secrets


def test_texts_are_redacted_by_value_and_by_shape() -> None:
    text = f"GET https://api.x.com/v3/order?symbol=B&timestamp=1&signature=abcdef {API_KEY} {API_SECRET}{PASSPHRASE}"
    shown = redact(text, PLANTED.secrets())
    assert not any(secret in shown for secret in (*PLANTED.secrets(), "abcdef", "timestamp"))
    assert "https://api.x.com/v3/order?<hidden>" in shown
    assert not any(secret in repr(PLANTED) for secret in PLANTED.secrets())


async def test_no_failure_carries_a_signed_address_or_a_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for exchange in ("binance", "bybit", "okx", "deribit"):
        everywhere = _all_to_loopback(raw(venue_of(exchange, policy=LIVE)).urls["api"])
        venue = venue_of(exchange, {"urls": {"api": everywhere}}, seconds=1)
        raw(venue).markets, raw(venue).markets_by_id = {"BTC/USDT:USDT": market_of()}, {}
        raw(venue).symbols, raw(venue).ids = ["BTC/USDT:USDT"], ["BTCUSDT"]
        with pytest.raises(UnreachableError) as caught:
            await venue.observer.wallet("")
        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        seen = " ".join(repr(link) for link in chain)
        outcome = await venue.trader.submit(order(venue.observer.instrument("BTC/USDT:USDT"), "1", Decimal(65000)))
        looked = await venue.trader.lookup(venue.observer.instrument("BTC/USDT:USDT").id, "a" * 28, None)
        await venue.close()
        everything = f"{seen} {outcome} {looked} {venue} {caplog.text}"
        assert not any(secret in everything for secret in PLANTED.secrets()), exchange
        assert "signature=" not in everything
        assert "timestamp=" not in everything


def _all_to_loopback(tree: Any) -> Any:
    if isinstance(tree, str):
        return LOOPBACK if tree.startswith("http") else "ws://127.0.0.1:9"
    return {key: _all_to_loopback(value) for key, value in tree.items()}


# The wire


@pytest.fixture
async def redirecting() -> AsyncIterator[str]:
    """A server that sends everybody on to another host."""

    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://localhost:9/v5/market/time")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", away)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_redirect_to_another_host_is_not_followed(redirecting: str) -> None:
    venue = venue_of("bybit", {"urls": {"api": {"public": redirecting}}})
    with pytest.raises(HostRefusedError, match="localhost"):
        await venue.observer.clock_offset_ms()
    await venue.close()


def test_hosts_are_read_from_any_tree() -> None:
    tree = {"a": "https://api.{hostname}/v1", "ws": {"b": ["wss://s.x.com:443/p", "http://h:81"]}}
    assert hosts_in(tree, "x.com") == {"api.x.com", "s.x.com", "h:81"}
    assert host_of("HTTPS://API.X.com:443/a") == "api.x.com"
    assert host_of("https://api.x.com@evil.com/") == "evil.com"
