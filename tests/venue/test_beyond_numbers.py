"""Numbers and texts that nothing could be done with: an answer that holds them must not hold the process."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from ccxt.base.precise import Precise

from keeper.cycle import turn
from keeper.report import plan_document
from keeper.venue.base import BadReadingError
from keeper.venue.client import _strict_json
from keeper.venue.numbers import bound
from keeper.venue.order_rows import order_report
from tests.venue.tamper import Reply, Twist
from tests.venue.test_hostile import ORDERS, READS, D, settle, staged

VAST = ("1E-999999999", "-1e999999999", "1e+0099999")


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
