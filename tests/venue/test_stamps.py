"""The clock of venues that do not tell the time: the stamp on another answer of theirs tells it."""

from __future__ import annotations

import email.utils
from typing import Any

import pytest

from keeper.venue.base import BadReadingError, VenueError
from tests.support.desk import CLOCK
from tests.venue.test_payloads import Routes, Told, venue_over

LATE_MS = 3_600_000
CONTRACT = {
    "symbol": "PF_XBTUSD", "type": "flexible_futures", "tradeable": True, "tickSize": 1, "contractSize": 1,
    "contractValueTradePrecision": 4, "impactMidSize": 1, "maxPositionSize": 1000, "base": "BTC", "quote": "USD",
    "openingDate": "2022-01-01T00:00:00.000Z", "pair": "BTC:USD",
}  # fmt: skip
ROOT = "/derivatives/api/v3"


def _text(**body: Any) -> str:
    return str({"result": "success", "serverTime": "2026-01-01T00:00:00.000Z", **body}).replace("'", '"')


def kraken(book: Told) -> Routes:
    told = _text(instruments=[CONTRACT]).replace("True", "true")
    return {f"{ROOT}/instruments": Told(200, told), f"{ROOT}/orderbook": book}


def _stamped(status: int, text: str, date: str | None = None) -> Told:
    at = (CLOCK.now_ms() - LATE_MS) / 1000
    return Told(status, text, headers={"Date": email.utils.formatdate(at, usegmt=True) if date is None else date})


BOOK = _text(orderBook={"bids": [[59990, 25]], "asks": [[60010, 25]]})


@pytest.mark.parametrize("answer", [(200, BOOK), (404, _text(result="error", error="notFound"))])
async def test_the_stamp_of_another_answer_tells_the_time(answer: tuple[int, str]) -> None:
    async with venue_over("krakenfutures", kraken(_stamped(*answer))) as venue:
        offset = await venue.observer.clock_offset_ms()
        assert abs(offset + LATE_MS) < 2_000


async def test_no_answer_and_no_stamp_tell_no_time() -> None:
    async with venue_over("krakenfutures", kraken(_stamped(503, "{}"))) as venue:
        with pytest.raises(VenueError):
            await venue.observer.clock_offset_ms()
    async with venue_over("krakenfutures", kraken(_stamped(200, BOOK, "yesterday"))) as venue:
        with pytest.raises(BadReadingError):
            await venue.observer.clock_offset_ms()
