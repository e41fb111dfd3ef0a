"""A venue that serves only what everybody asks for: the hedge is held, and what cannot be asked is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keeper.core.model import Hold
from keeper.cycle import turn
from keeper.look import check_connect, look_once
from keeper.wiring import open_house
from tests.e2e.grounds import D, config_of, hedge_toml, okx_ground, other_ground
from tests.venue.tamper import Tamper, Twist, as_it_is, tampering
from tests.venue.test_hostile import settle

SYMBOL = "BTC/USDT:USDT"
DISPENSABLE = (
    *("/v5/user/query-api", "/v5/account/info", "/v5/account/transaction-log", "/v5/market/time"),
    *("/v5/asset/coin/query-info", "/v5/position/switch-mode", "/v5/execution/list", "/v5/order/history"),
)
HTML = {"Content-Type": "text/html"}


OKX_DISPENSABLE = (
    *("/api/v5/account/config", "/api/v5/account/bills", "/api/v5/account/bills-archive", "/api/v5/public/time"),
    *("/api/v5/account/leverage-info", "/api/v5/account/trade-fee", "/api/v5/asset/balances", "/api/v5/asset/bills"),
    *("/api/v5/public/funding-rate", "/api/v5/system/status", "/api/v5/trade/fills", "/api/v5/trade/fills-history"),
    *("/api/v5/trade/orders-history", "/api/v5/trade/orders-history-archive"),
)


def refusing(code: int, text: str) -> Twist:
    return as_it_is(json.dumps({"retCode": code, "retMsg": text, "result": {}}).encode())


def okx_refusing(code: str, text: str, status: int = 200) -> Twist:
    return as_it_is(json.dumps({"code": code, "msg": text, "data": []}).encode(), status=status)


ABSENT: dict[str, Twist] = {
    "404 as text": as_it_is(b"404: Not Found", status=404, headers={"Content-Type": "text/plain"}),
    "404 as a page": as_it_is(b"<html>Not Found</html>", status=404, headers=HTML),
    "404 as data": as_it_is(b'{"detail":"Not Found"}', status=404),
    "404 with a code": as_it_is(b'{"retCode":10017,"retMsg":"request path not found"}', status=404),
    "405": as_it_is(b"405: Method Not Allowed", status=405),
    "501": as_it_is(b"", status=501),
    "no such path": refusing(10017, "request path not found or request method is invalid"),
    "a wrong parameter": refusing(10001, "params error"),
    "not allowed": refusing(10005, "Permission denied, please check your API key permissions."),
    "not for this account": refusing(10028, "The API can only be accessed by unified account users."),
    "nothing in it": refusing(0, "OK"),
}


OKX_ABSENT: dict[str, Twist] = {name: twist for name, twist in ABSENT.items() if name[0] in "45"} | {
    "404 with a code": okx_refusing("404", "Not Found", 404),
    "404 with a code of the venue": okx_refusing("50404", "", 404),
    "no such path": okx_refusing("51000", "Parameter error", 400),
    "a code that nobody knows": okx_refusing("59999", "unknown request"),
    "not allowed": okx_refusing("50030", "No permission to use this API endpoint", 401),
    "nothing in it": okx_refusing("0", ""),
}


def blot_out(tamper: Tamper, absent: Twist, paths: tuple[str, ...] = DISPENSABLE) -> None:
    tamper.twists = dict.fromkeys(paths, absent)


@pytest.mark.parametrize("how", sorted(ABSENT))
async def test_the_common_questions_are_enough(how: str, tmp_path: Path) -> None:
    async with other_ground() as ground, tampering(ground.venue.base_url) as tamper:
        blot_out(tamper, ABSENT[how])
        ground.urls = tamper.urls(ground.urls)
        config = config_of(ground, tmp_path, hedge_toml())
        findings = await check_connect(config)
        assert any(finding.ok is None and "may not withdraw" in finding.text for finding in findings)
        assert (await look_once(config)).hedges[0].exposure.spot_base == 5
        async with open_house(config, live=False) as house:
            await settle(house.desk)
            assert ground.contracts(SYMBOL) == -5
            ground.sell("BTC", "2")
            await settle(house.desk)
            assert ground.contracts(SYMBOL) == -3
            ground.sell("BTC", "3")
            await settle(house.desk)
            assert ground.contracts(SYMBOL) == 0
            ground.deposit("BTC", "1")
            record = await turn(house.desk)
            assert not isinstance(record.hedges[0].decision, Hold)
            assert ground.contracts(SYMBOL) == -1


@pytest.mark.parametrize("how", sorted(OKX_ABSENT))
async def test_the_common_questions_are_enough_on_a_third_venue(how: str, tmp_path: Path) -> None:
    async with okx_ground() as ground, tampering(ground.urls["rest"]) as tamper:
        blot_out(tamper, OKX_ABSENT[how], OKX_DISPENSABLE)
        ground.urls = tamper.urls(ground.urls)
        config = config_of(ground, tmp_path, hedge_toml())
        findings = await check_connect(config)
        assert any(finding.ok is None and "may not withdraw" in finding.text for finding in findings)
        assert (await look_once(config)).hedges[0].exposure.spot_base == 5
        async with open_house(config, live=False) as house:
            for coins in ("0", "2", "3"):
                if coins != "0":
                    ground.sell("BTC", coins)
                await settle(house.desk)
                assert -ground.contracts(SYMBOL) == {"0": D(5), "2": D(3), "3": D(0)}[coins]


async def test_what_is_asked_from_the_start_to_the_first_order(tmp_path: Path) -> None:
    """The whole list: whoever serves these serves keeper."""
    async with other_ground() as ground, open_house(config_of(ground, tmp_path, hedge_toml()), live=False) as house:
        started = {path for _, path in ground.requests()}
        ground.venue.requests.clear()
        await settle(house.desk)
        traded = {path for _, path in ground.requests()}
        ground.venue.requests.clear()
        await turn(house.desk)
        held = [path for _, path in ground.requests()]
    assert started == {
        *("/v5/market/instruments-info", "/v5/account/wallet-balance", "/v5/position/list"),
        *("/v5/user/query-api", "/v5/account/info"),
    }
    assert traded == {
        *("/v5/account/wallet-balance", "/v5/position/list", "/v5/order/realtime", "/v5/market/tickers"),
        *("/v5/market/time", "/v5/market/orderbook", "/v5/order/create", "/v5/execution/list"),
    }
    assert set(held) == {"/v5/account/wallet-balance", "/v5/position/list", "/v5/order/realtime", "/v5/market/tickers"}
    assert len(held) <= 11, "the margin of the account is one of them"
    assert D(5) == -ground.contracts(SYMBOL)
