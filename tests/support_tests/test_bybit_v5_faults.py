"""What the real client makes of the stand-in's faults; the truth at the venue stands beside it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.bybit_v5 import BybitV5
from tests.support.bybit_v5.client import Client, client_of, errors
from tests.support.bybit_v5.venue import POSITIONS, WALLET

D = Decimal
LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"


async def sell(client: Client, link_id: str = "k") -> Any:
    params = {"timeInForce": "IOC", "clientOrderId": link_id}
    return await client.create_order(LINEAR, "limit", "sell", 1, 59_700, params)


async def by_link(client: Client, link_id: str = "k") -> Any:
    found = await client.fetch_open_orders(LINEAR, params={"orderLinkId": link_id})
    return found[0] if found else None


class TestTheOutcomeIsOpen:
    @pytest.mark.parametrize("accepted", [True, False])
    async def test_dropped(self, venue: BybitV5, client: Client, accepted: bool) -> None:
        venue.drop(accepted=accepted)
        with pytest.raises(errors.ExchangeNotAvailable):
            await sell(client)
        assert len(venue.accepted_orders) == int(accepted)
        assert (await by_link(client) is not None) is accepted

    async def test_unavailable(self, venue: BybitV5, client: Client) -> None:
        venue.http_error(503)
        with pytest.raises(errors.ExchangeNotAvailable):
            await sell(client)
        assert venue.position(LINEAR) == -1

    @pytest.mark.parametrize("code", [10000, 10016])
    async def test_system_errors(self, venue: BybitV5, client: Client, code: int) -> None:
        venue.ret_code(code)
        with pytest.raises(errors.ExchangeError) as caught:
            await sell(client)
        assert type(caught.value) is errors.ExchangeError  # neither a network error nor a refusal
        assert venue.position(LINEAR) == -1

    async def test_cut_in_the_body(self, venue: BybitV5, client: Client) -> None:
        venue.truncated()
        with pytest.raises(errors.BaseError):
            await sell(client)
        assert venue.position(LINEAR) == -1

    async def test_late(self, venue: BybitV5) -> None:
        async with client_of(venue, timeout=10_000) as client:
            await client.load_markets()
            client.timeout = 50
            venue.delay(0.15, accepted=False)
            with pytest.raises(errors.RequestTimeout):
                await sell(client)
            client.timeout = 10_000
            assert venue.position(LINEAR) == 0
            venue.delay(0.15, "/v5/market/time")
            await client.fetch_time()
            assert venue.position(LINEAR) == -1  # accepted after the client had given up

    async def test_broken_json_raises_nothing(self, venue: BybitV5, client: Client) -> None:
        venue.malformed()
        assert (await sell(client))["id"] is None
        assert venue.position(LINEAR) == -1
        venue.malformed(WALLET)
        assert (await client.fetch_balance())["total"] == {"USDC": None}  # an account that it made up
        venue.malformed(POSITIONS)
        assert await client.fetch_positions([LINEAR]) == []

    async def test_killed_and_revived(self, venue: BybitV5, client: Client) -> None:
        await sell(client)
        await venue.kill()
        with pytest.raises(errors.ExchangeNotAvailable):
            await client.fetch_balance()
        await venue.revive()
        assert (await client.fetch_balance())["BTC"]["total"] == 5
        assert await by_link(client) is None  # the memory of closed orders is gone, history is not
        assert await client.fetch_canceled_and_closed_orders(LINEAR, params={"orderLinkId": "k"})


class TestLateViews:
    async def test_fills_show_late(self, venue: BybitV5, client: Client) -> None:
        venue.delay_fills(2, position_queries=3, share_shown="0.25")
        await sell(client)
        assert venue.position(LINEAR) == -1
        seen = [await by_link(client) for _ in range(3)]
        assert [(row["status"], row["filled"]) for row in seen] == [("open", 0.25), ("open", 0.25), ("closed", 1.0)]
        assert seen[0]["remaining"] == 0.75
        sizes = [(await client.fetch_positions([LINEAR]))[0]["contracts"] for _ in range(4)]
        assert sizes == [0, 0, 0, 1]

    async def test_an_unseen_fill_is_absent_everywhere(self, venue: BybitV5, client: Client) -> None:
        venue.delay_fills(3, position_queries=1)
        await sell(client)
        assert await client.fetch_my_trades(LINEAR) == []
        assert await client.fetch_canceled_and_closed_orders(LINEAR, params={"orderLinkId": "k"}) == []
        assert [row["status"] for row in await client.fetch_open_orders(LINEAR)] == ["open"]
        assert await client.fetch_positions() == []
        assert len(await client.fetch_positions()) == 1

    async def test_lookups_that_find_nothing(self, venue: BybitV5, client: Client) -> None:
        venue.lose_lookups(1)
        await sell(client)
        past = {"orderLinkId": "k"}
        assert await by_link(client) is None
        assert await client.fetch_canceled_and_closed_orders(LINEAR, params=past) == []
        assert await by_link(client) is not None
        assert len(await client.fetch_canceled_and_closed_orders(LINEAR, params=past)) == 1


class TestMissingIsNotZero:
    async def test_wallets(self, venue: BybitV5, client: Client) -> None:
        venue.empty_wallet()
        assert (await client.fetch_balance())["total"] == {}
        venue.coinless_wallet()
        assert (await client.fetch_balance())["total"] == {}
        venue.hide_coin("BTC", 2)
        for _ in range(2):
            assert (await client.fetch_balance())["total"] == {"USDT": 100_000}
        venue.misread_coin("BTC")
        assert (await client.fetch_balance())["total"] == {"BTC": 0, "USDT": 100_000}
        assert (await client.fetch_balance())["BTC"]["total"] == 5

    async def test_positions(self, venue: BybitV5, client: Client) -> None:
        venue.set_position(LINEAR, -1)
        venue.empty_positions()
        assert await client.fetch_positions([LINEAR]) == []
        venue.misread_positions("side", "")
        assert (await client.fetch_positions([LINEAR]))[0]["side"] is None
        venue.misread_positions("size", "")
        assert (await client.fetch_positions([LINEAR]))[0]["contracts"] == 1  # made up from the worth and the price


class TestTooManyRequests:
    @pytest.mark.parametrize("kind", ["10006", "403", "429"])
    async def test_refused(self, venue: BybitV5, client: Client, kind: Any) -> None:
        venue.rate_limit(kind)
        with pytest.raises(errors.RateLimitExceeded):
            await sell(client)
        assert venue.accepted_orders == []

    async def test_published_limits(self, venue: BybitV5, client: Client) -> None:
        venue.enforce_limits({"/v5/position/list": 2})
        await client.fetch_positions([LINEAR])
        await client.fetch_positions([LINEAR])
        with pytest.raises(errors.RateLimitExceeded, match="10006"):
            await client.fetch_positions([LINEAR])
        assert await client.fetch_balance()


class TestTheClientsOwnTraps:
    async def test_inverse_orders_without_a_symbol_are_looked_for_under_another_coin(self, client: Client) -> None:
        await client.create_order(INVERSE, "limit", "sell", 100, 61_000)
        inverse = {"subType": "inverse"}
        assert await client.fetch_open_orders(None, params=inverse) == []  # it asks for settleCoin USDT
        assert await client.cancel_all_orders(None, inverse) == []
        assert len(await client.fetch_open_orders(None, params={**inverse, "settleCoin": "BTC"})) == 1
        assert len(await client.fetch_open_orders(INVERSE)) == 1

    async def test_twenty_working_orders_are_a_page(self, client: Client) -> None:
        for number in range(21):
            await client.create_order(LINEAR, "limit", "sell", 0.01, 61_000 + number)
        assert len(await client.fetch_open_orders(LINEAR)) == 20
        assert len(await client.fetch_open_orders(LINEAR, params={"paginate": True})) == 21

    async def test_a_broken_reload_forgets_every_market(self, venue: BybitV5, client: Client) -> None:
        venue.malformed("/v5/market/instruments-info", times=None)
        assert await client.load_markets(True) == {}
        with pytest.raises(errors.BadSymbol):
            await sell(client)

    async def test_a_broken_account_query_is_remembered(self, venue: BybitV5, client: Client) -> None:
        venue.malformed("/v5/user/query-api")
        with pytest.raises(errors.BadRequest, match="UNIFIED"):
            await client.fetch_balance()
        with pytest.raises(errors.BadRequest, match="UNIFIED"):
            await client.fetch_balance()

    async def test_an_unknown_time_in_force_is_dropped(self, venue: BybitV5, client: Client) -> None:
        await client.create_order(LINEAR, "limit", "sell", 1, 61_000, {"timeInForce": "DAY"})
        assert venue.accepted_orders[0].time_in_force == "GTC"

    async def test_the_worst_short_is_remembered(self, venue: BybitV5, client: Client) -> None:
        await sell(client)
        venue.foreign_trade(LINEAR, "0.7")
        assert (venue.position(LINEAR), venue.worst_short(LINEAR)) == (D("-0.3"), D(-1))


class TestTime:
    async def test_a_clock_that_lies(self, venue: BybitV5, client: Client) -> None:
        venue.lie_about_time(-3_600_000)
        assert client.milliseconds() - await client.fetch_time() > 3_500_000
        assert await client.fetch_balance()
        venue.clear_faults()
        assert client.milliseconds() - await client.fetch_time() < 5_000

    async def test_requests_are_on_record_in_order(self, venue: BybitV5, client: Client) -> None:
        venue.requests.clear()
        await client.is_unified_enabled()
        assert [asked.path for asked in venue.requests] == ["/v5/user/query-api", "/v5/account/info"]
        venue.requests.clear()
        await sell(client)
        await client.fetch_positions([INVERSE])
        made, asked = venue.requests
        assert (made.method, made.path, made.signed) == ("POST", "/v5/order/create", True)
        assert made.params["orderLinkId"] == "k"
        assert asked.params == {"category": "inverse", "symbol": "BTCUSD", "limit": "200"}
