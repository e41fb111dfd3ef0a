"""Orders, executions, and how late the venue shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tests.support.bybit_v5.instruments import Instrument
from tests.support.bybit_v5.wire import ZERO

OPEN = frozenset({"New", "PartiallyFilled"})


@dataclass(slots=True)
class Lag:
    """For how many more reads an order, and the position that it moved, are shown as they were before it filled."""

    order_reads: int
    position_reads: int
    share_shown: Decimal = ZERO

    @property
    def over(self) -> bool:
        """Whether everything may be seen."""
        return self.order_reads <= 0 and self.position_reads <= 0


@dataclass(slots=True, eq=False)
class Order:
    """An order as the venue holds it. ``status``, ``cum_qty`` and the rest are the truth, whatever a lag shows."""

    order_id: str
    link_id: str
    instrument: Instrument
    side: str
    order_type: str
    qty: Decimal
    price: Decimal
    time_in_force: str
    reduce_only: bool
    position_index: int
    created_ms: int
    last_price_on_created: Decimal
    position_before: Decimal = ZERO
    market_unit: str = ""
    foreign: bool = False
    status: str = "New"
    updated_ms: int = 0
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    reject_reason: str = "EC_NoError"
    cancel_type: str = "UNKNOWN"
    lag: Lag | None = None

    @property
    def open(self) -> bool:
        """Whether it can still fill."""
        return self.status in OPEN

    @property
    def sign(self) -> int:
        """+1 for a buy, −1 for a sell."""
        return 1 if self.side == "Buy" else -1

    @property
    def in_quote(self) -> bool:
        """Whether ``qty`` counts quote coins (a spot market order by value)."""
        return self.market_unit == "quoteCoin"

    @property
    def left(self) -> Decimal:
        """What may still fill, in the unit of ``qty``."""
        return self.qty - (self.cum_value if self.in_quote else self.cum_qty)

    @property
    def average(self) -> Decimal:
        """Average fill price, 0 before the first fill."""
        if not self.cum_qty:
            return ZERO
        if self.instrument.inverse:
            return self.cum_qty / self.cum_value
        return self.cum_value / self.cum_qty


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill, funding payment, liquidation or deleveraging."""

    exec_id: str
    instrument: Instrument
    kind: str
    side: str
    qty: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    fee_coin: str
    at_ms: int
    maker: bool
    closed_size: Decimal
    profit: Decimal
    order: Order | None = None
    order_id: str = ""
