"""Margins as a venue over documented answers tells them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from keeper.venue.base import BadReadingError
from keeper.venue.further import AccountMargin
from tests.venue.test_payloads import venue_over

D = Decimal
Margins = Mapping[tuple[str, str], AccountMargin]
"""By wallet and asset."""


async def margins_of(exchange: str, routes: Mapping[str, Any]) -> Margins:
    async with venue_over(exchange, routes) as venue:
        return {(each.account.wallet, each.asset): each for each in await venue.observer.margins()}


async def unread(exchange: str, routes: Mapping[str, Any], match: str) -> None:
    with pytest.raises(BadReadingError, match=match):
        await margins_of(exchange, routes)


def without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
