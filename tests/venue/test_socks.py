"""Through a SOCKS proxy the same holds as without: allowed hosts alone, and an order leaves once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeper.venue import bodies
from keeper.venue.base import Ambiguous, BadReadingError, HostRefusedError
from keeper.venue.ccxt_venue import CcxtVenue
from tests.support.deribit import DeribitDesk
from tests.support.desk import Told
from tests.support.socks import Socks, socks
from tests.venue.helpers import marketable, opened, raw, venue_of


@pytest.fixture
async def proxy() -> AsyncIterator[Socks]:
    async with socks() as made:
        yield made


@pytest.fixture
async def desk() -> AsyncIterator[DeribitDesk]:
    async with DeribitDesk() as made:
        yield made


def over(desk: DeribitDesk, proxy: Socks, scheme: str = "socks5") -> CcxtVenue:
    # By its name, so that it shows who has looked that up.
    url = desk.url.replace("127.0.0.1", "localhost")
    return venue_of("deribit", {"urls": {"api": url}, "rateLimit": 1, "socksProxy": f"{scheme}://{proxy.address}"})


@pytest.mark.parametrize(("scheme", "named"), [("socks5", "127.0.0.1"), ("socks5h", "localhost")])
async def test_everything_goes_through_it(desk: DeribitDesk, proxy: Socks, scheme: str, named: str) -> None:
    async with opened(over(desk, proxy, scheme)) as venue:
        assert (await venue.observer.wallet("")).totals["BTC"] == 5
    assert {host for host, _ in proxy.reached} == {named}


@pytest.mark.parametrize("loss", ["lost", "sent elsewhere"])
async def test_an_order_by_get_leaves_once(desk: DeribitDesk, proxy: Socks, loss: str) -> None:
    async with opened(over(desk, proxy)) as venue:
        sent = await marketable(venue, "BTC/USD:BTC", "30")
        if loss == "lost":
            desk.lose_answers()
        else:
            desk.answer(Told(302, {}, {"Location": f"{desk.url}/api/v2/private/sell"}), accepted=True)
        assert isinstance(await venue.trader.submit(sent), Ambiguous)
        assert len(desk.sent()) == len(desk.orders) == 1


async def test_a_host_that_is_not_allowed_is_not_dialled(desk: DeribitDesk, proxy: Socks) -> None:
    async with opened(over(desk, proxy)) as venue:
        before = len(proxy.reached)
        session = raw(venue).get_socks_proxy_session(f"socks5://{proxy.address}")
        with pytest.raises(HostRefusedError):
            await session.get("http://127.0.0.2:9/api/v2/public/get_time")
        assert len(proxy.reached) == before


async def test_an_endless_body_ends(desk: DeribitDesk, proxy: Socks, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(over(desk, proxy)) as venue:
        monkeypatch.setattr(bodies, "MOST_BYTES", 10)
        with pytest.raises(BadReadingError, match="not read to its end"):
            await venue.observer.wallet("")
