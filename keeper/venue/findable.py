"""Whether an order whose answer is lost could be found again at a venue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keeper.venue.recipes import Capability

CLOSED_LISTS = (
    ("fetchCanceledAndClosedOrders", "fetch_canceled_and_closed_orders"),
    ("fetchClosedOrders", "fetch_closed_orders"),
    ("fetchCanceledOrders", "fetch_canceled_orders"),
)
"""What the client may be asked for orders that are open no more, and what that is called."""


def unresolvable(capability: Capability, has: Mapping[str, Any]) -> str | None:
    """Why an order whose answer was lost could never be found again, or None; ``has`` is what the client can do."""
    closed = any(has.get(name) is True for name, _ in CLOSED_LISTS)
    lookups = capability.lookups
    if capability.no_orders:
        return capability.no_orders
    if not lookups.reads and lookups.unified is None and not (has.get("fetchOpenOrders") and closed):
        return "open and closed orders cannot be listed"
    if not capability.fill_orders and capability.fill_rows is None and has.get("fetchMyTrades") is not True:
        return "executions cannot be listed"
    return None
