"""What a look is measured by: when a reading is doubted, and what stands in the way of orders whatever is read."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from keeper.core.model import Reason


@dataclass(frozen=True, slots=True)
class Doubt:
    """When a reading is doubted. Ratios are shares of the last accepted reading, times are milliseconds."""

    confirm_jump_ratio: Decimal = Decimal("0.2")
    unexplained_zero_ms: int = 600_000
    stale_price_ms: int = 30_000
    max_clock_offset_ms: int = 2_500
    clock_check_every_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Facts that a look does not read anew: what stops every order, and what stops new shorts. (source, reason)."""

    blocks: tuple[tuple[str, Reason], ...] = ()
    sell_blocks: tuple[tuple[str, Reason], ...] = ()
