"""The table names only what the client has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keeper.errors import UnsafeError
from keeper.venue.capabilities import TABLE, capability_of
from keeper.venue.ccxt_venue import known_exchanges
from keeper.venue.recipes import Capability, Read
from tests.venue.helpers import LIVE, TESTNET, raw, venue_of


def reads_of(capability: Capability) -> Iterator[Read]:
    for wallet in capability.wallets.values():
        yield from wallet.reads
        if wallet.open_pnl is not None:
            yield wallet.open_pnl[0]
    for product in capability.products:
        yield from (*product.positions, *product.orders, product.position, *(read for read, _ in product.marks))
        if product.mode is not None:
            yield product.mode
    yield from (read for read, _ in capability.lookups.reads)
    yield from (outflow.read for outflow in capability.outflows)
    if capability.fill_rows is not None:
        yield capability.fill_rows[0]
    if capability.funding_read is not None:
        yield capability.funding_read[0]
    if capability.permissions is not None:
        yield capability.permissions
    if capability.account_margin_mode is not None:
        yield capability.account_margin_mode[0]


@pytest.mark.parametrize("exchange", sorted(TABLE))
async def test_every_reading_is_an_endpoint_of_the_client_and_changes_nothing(exchange: str) -> None:
    venue = venue_of(exchange, policy=LIVE)
    client, capability = raw(venue), capability_of(exchange)
    for read in reads_of(capability):
        assert callable(getattr(client, read.method, None)), f"{exchange} has no {read.method}"
        if "Get" not in read.method:
            assert read.method == "sapiPostAssetGetFundingAsset"
    assert capability.collateral is None or capability.collateral in capability.wallets
    await venue.close()


def test_an_exchange_that_is_not_in_the_table_gets_the_careful_default() -> None:
    assert "kraken" not in TABLE
    capability = capability_of("kraken")
    assert capability.collateral is None
    assert capability.min_notional_on_covers
    assert not capability.always_one_way


@pytest.mark.parametrize("exchange", ["kraken", "krakenfutures", "phemex", "htx", "woo"])
async def test_any_exchange_can_be_built_without_a_request(exchange: str) -> None:
    assert exchange in known_exchanges()
    venue = venue_of(exchange, policy=LIVE)
    assert venue.hosts
    await venue.close()


@pytest.mark.parametrize("exchange", ["kraken", "htx", "bitfinex", "mexc"])
def test_a_venue_without_a_test_environment_is_refused_as_unsafe(exchange: str) -> None:
    with pytest.raises(UnsafeError, match=r"no test environment.*urls\.api"):
        venue_of(exchange, policy=TESTNET)
