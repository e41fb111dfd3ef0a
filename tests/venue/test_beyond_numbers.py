"""Numbers and texts that nothing could be done with: an answer that holds them must not hold the process."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ccxt.base.errors import BadResponse
from ccxt.base.precise import Precise

from keeper.cycle import turn
from keeper.report import plan_document
from keeper.venue.base import BadReadingError
from keeper.venue.client import _strict_json
from keeper.venue.figures import step_of
from keeper.venue.numbers import bound
from keeper.venue.order_rows import order_report
from tests.venue.helpers import DRY_RUN, opened, raw, venue_of
from tests.venue.tamper import Reply, Twist
from tests.venue.test_hostile import ORDERS, READS, D, settle, staged
from tests.venue.test_payloads import serving
from tests.venue.venues_told import binance

VAST = ("1E-999999999", "-1e999999999", "1e+0099999")
PLACES: tuple[Any, ...] = (int("9" * 400), -int("9" * 400), 10**8, "9" * 400, "1e9", "8.5", "eight")


def every_figure(text: str) -> Twist:
    return lambda body: Reply(re.sub(rb'"-?[0-9]+(\.[0-9]+)?"', f'"{text}"'.encode(), body))


@pytest.mark.parametrize("text", VAST)
def test_the_client_writes_out_no_such_power(text: str) -> None:
    bound()
    bound()
    with pytest.raises(ValueError, match="no number that a venue has to tell"):
        Precise.string_add("1", text)
    assert Precise.string_add("1", "1e-8") == "1.00000001"
    assert Precise.string_mul("1.5e0003", "2") == "3000"


@pytest.mark.parametrize("places", PLACES)
async def test_no_step_of_so_many_places_is_written_out(places: Any) -> None:
    """The client's own loops would run once for each place, and no deadline fires meanwhile."""
    venue = venue_of("binance", {}, DRY_RUN)
    try:
        client = raw(venue)
        for loop in (client.parse_precision, client.parsePrecision, client.integer_precision_to_amount):
            with pytest.raises((ValueError, BadResponse)):
                loop(str(places))
        assert [client.parse_precision(each) for each in ("2", "0", "-2", None)] == ["0.01", "1", "100", None]
        assert [client.integer_precision_to_amount(each) for each in ("2", "-2")] == ["0.01", "100"]
    finally:
        await venue.close()


@pytest.mark.parametrize("text", VAST)
async def test_no_helper_of_the_client_writes_such_a_number_out(text: str) -> None:
    venue = venue_of("binance", {}, DRY_RUN)
    try:
        client = raw(venue)
        calls: tuple[tuple[Any, ...], ...] = (
            (client.number_to_string, text),
            (client.decimal_to_precision, text, 1, 8, 2),
            (client.parse_to_numeric, D(text)),
        )
        for call, *args in calls:
            with pytest.raises(ValueError, match="no number that a venue has to tell"):
                call(*args)
        assert client.number_to_string("1e-8") == "0.00000001"
    finally:
        await venue.close()
    with pytest.raises(BadResponse):
        client.precision_from_string("1e-999999999")


@pytest.mark.parametrize("path", ["/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo", "/api/v3/exchangeInfo"])
@pytest.mark.parametrize("places", PLACES[:3])
async def test_a_list_of_markets_with_such_places_is_a_bad_answer(path: str, places: int) -> None:
    """At the start there is nothing to fall back on; a reload leaves what was known."""
    told = binance([], [])
    whole = told[path]
    absurd = {"pricePrecision": places, "quantityPrecision": places, "quotePrecision": places}
    nonsense = {**whole, "symbols": [{**row, **absurd, "baseAssetPrecision": places} for row in whole["symbols"]]}
    async with asyncio.timeout(20), serving(told) as (url, _):
        told[path] = nonsense
        venue = venue_of("binance", {"urls": {"api": url}}, DRY_RUN)
        with pytest.raises(BadReadingError, match="no number of decimal places"):
            async with opened(venue):
                pass
        told[path] = whole
        async with opened(venue_of("binance", {"urls": {"api": url}}, DRY_RUN)) as venue:
            told[path] = nonsense
            with pytest.raises(BadReadingError, match="no number of decimal places"):
                await venue.open()
            assert venue.observer.instrument("BTC/USD:BTC").contract_size == 100


@pytest.mark.parametrize(("value", "mode"), [("1e-999", 4), ("1e-41", 4), ("41", 2), (10**19, 2), (-(10**19), 2)])
def test_no_step_is_so_small(value: Any, mode: int) -> None:
    with pytest.raises(BadReadingError, match="no step above zero"):
        step_of(value, mode, "the tick")
    assert step_of("1e-18", 4, "the tick") == step_of(18, 2, "the tick") == D("1e-18")


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
async def test_no_answer_with_such_numbers_holds_the_loop(exchange: str, tmp_path: Path) -> None:
    async with asyncio.timeout(60), staged(exchange, tmp_path) as stage:
        for number, path in enumerate((*READS[exchange], ORDERS[exchange])):
            stage.tamper.twists = {path: every_figure(VAST[number % len(VAST)])}
            before = stage.coins
            stage.move(number)
            await turn(stage.house.desk)
            assert D(0) < stage.short <= max(before, stage.coins), path
            stage.tamper.twists = {}
            await settle(stage.house.desk)
            assert stage.short == stage.coins, path


@pytest.mark.parametrize("text", [r'{"a": "\ud800"}', r'{"\uDFFF": 1}', r'["\ud83d", "\ude00"]'])
def test_half_a_letter_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        _strict_json(text)
    assert _strict_json(r'["\ud83d\ude00", "\\ud800"]') == ["😀", "\\ud800"]


async def test_a_coin_that_nobody_could_write_down_is_a_gap_and_is_shown(tmp_path: Path) -> None:
    async with staged("binance", tmp_path) as stage:
        stage.tamper.twists = {"/api/v3/account": lambda body: Reply(body.replace(b'"BTC"', rb'"\ud800"'))}
        record = await turn(stage.house.desk)
        assert record.hedges[0].exposure.blockers
        assert json.dumps(
            plan_document("testnet", record.snapshot.taken_at_ms, record.hedges), ensure_ascii=False
        ).encode()
        stage.tamper.twists = {}
        await settle(stage.house.desk)


@pytest.mark.parametrize(("amount", "filled"), [("-0", "-0"), ("0", "0"), ("0", "1"), ("1", "-1")])
def test_an_order_over_nothing_is_no_report(amount: str, filled: str) -> None:
    with pytest.raises(BadReadingError):
        order_report({"id": "1", "amount": amount, "filled": filled, "status": "closed"}, "c", D(1))
