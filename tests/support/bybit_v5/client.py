"""The real client, pointed at the stand-in and at nothing else."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.bybit_v5.venue import BybitV5

Client = Any  # the client's library has no types
errors = importlib.import_module("ccxt.base.errors")


@asynccontextmanager
async def client_of(venue: BybitV5, **config: Any) -> AsyncIterator[Client]:
    """An unmodified client, closed at the end; no throttle and no wait on exit unless asked for."""
    quick = {"enableRateLimit": False, "timeout_on_exit": 0}
    client: Client = importlib.import_module("ccxt.pro").bybit({**venue.ccxt_config(), **quick, **config})
    try:
        yield client
    finally:
        await client.close()
