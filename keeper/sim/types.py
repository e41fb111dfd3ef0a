"""The nouns of the simulated exchange: frozen, typed, with units and signs.

Quantities: spot in base units, contracts in contracts: of ``Market.contract_size`` base units (linear, mostly one: then
quantities are base units as well) or quote units (inverse) each.
Positions are signed (short < 0); orders carry a side and an absolute quantity. Times are wall milliseconds (UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from keeper.sim.marketdata import BookLevel, FundingRecord, Kline, OpenInterest, OrderBook, Premium, PublicTrade, Ticker
from keeper.sim.names import (
    ONE,
    ZERO,
    IncomeKind,
    MarginMode,
    MarketKey,
    MarketKind,
    MarketStatus,
    MovementKind,
    OrderStatus,
    OrderType,
    Origin,
    PositionSide,
    Side,
    TimeInForce,
    WalletKind,
    inverse,
    linear,
    spot,
)

__all__ = [
    "ONE",
    "ZERO",
    "BookLevel",
    "ExchangeOptions",
    "Fill",
    "Filters",
    "FundingRecord",
    "FuturesAccount",
    "FuturesBalance",
    "Income",
    "IncomeKind",
    "Kline",
    "MarginMode",
    "Market",
    "MarketKey",
    "MarketKind",
    "MarketStatus",
    "Movement",
    "MovementKind",
    "OpenInterest",
    "Order",
    "OrderBook",
    "OrderRequest",
    "OrderResult",
    "OrderStatus",
    "OrderType",
    "Origin",
    "Permissions",
    "Position",
    "PositionSide",
    "Premium",
    "PublicTrade",
    "Side",
    "SpotBalance",
    "SymbolSettings",
    "Ticker",
    "TimeInForce",
    "Truth",
    "WalletKind",
    "inverse",
    "linear",
    "spot",
]


@dataclass(frozen=True, slots=True)
class Filters:
    """What an order must look like. Quantities in order units, prices in quote, band as factors of the reference.

    The reference price is the mark for contracts and the mid for spot. Spot checks both bounds on both sides;
    contracts check the upper bound for buys and the lower for sells, as Binance does.
    """

    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_step: Decimal
    market_min_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal  # quote; zero where the product has none (COIN-M)
    min_price: Decimal
    max_price: Decimal
    band_up: Decimal
    band_down: Decimal
    market_take_bound: Decimal = Decimal("0.05")  # a contract's market order never fills further from the mark
    max_open_orders: int = 200


@dataclass(frozen=True, slots=True)
class Market:
    """One instrument. ``contract_size`` is base units for linear, quote units for inverse, 1 for spot.

    An index future is linear: its base units are points of the index, its contract is of so many quote units a point.
    """

    kind: MarketKind
    symbol: str
    base: str
    quote: str
    settle: str
    contract_size: Decimal
    price_precision: int
    quantity_precision: int
    filters: Filters
    maker_fee: Decimal  # fraction of notional
    taker_fee: Decimal
    max_leverage: int = 1
    maintenance_rate: Decimal = ZERO  # fraction of notional at mark
    funding_interval_hours: int = 8  # ignored for spot and dated contracts
    expiry_ms: int | None = None  # None: perpetual or spot
    onboard_ms: int = 1_569_398_400_000
    status: MarketStatus = MarketStatus.TRADING
    key: MarketKey = field(init=False, repr=False, compare=False)  # the market's name, made once

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", MarketKey(self.kind, self.symbol))

    @property
    def pair(self) -> str:
        """Binance's ``pair``: base and quote without contract suffix."""
        return self.base + self.quote

    @property
    def is_index(self) -> bool:
        """Whether the base is an index and not a coin: a linear contract of several quote units a point."""
        return self.kind is MarketKind.LINEAR and self.contract_size != 1

    @property
    def is_perpetual(self) -> bool:
        """Whether the market pays funding."""
        return self.kind is not MarketKind.SPOT and self.expiry_ms is None


@dataclass(frozen=True, slots=True)
class Permissions:
    """What an API key may do."""

    reading: bool = True
    spot_trading: bool = True
    futures: bool = True
    withdrawals: bool = False
    transfers: bool = True  # between the account's own wallets


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asks for.

    ``quantity`` in order units; for a spot market order ``quote_quantity`` (quote units) may be given instead.
    ``client_order_id`` is made up by the exchange when absent. ``price`` belongs to limit orders only.
    """

    market: MarketKey
    side: Side
    type: OrderType
    quantity: Decimal | None
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    position_side: PositionSide = PositionSide.BOTH
    reduce_only: bool = False
    client_order_id: str | None = None
    quote_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; all amounts but PnL are ≥ 0. ``quote_quantity``: quote (spot, linear) or base coin (inverse)."""

    trade_id: int
    order_id: int
    client_order_id: str
    account: str  # API key
    market: MarketKey
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal  # paid: > 0
    commission_asset: str
    realised_pnl: Decimal  # settle currency, fees apart; gain > 0; zero on spot
    maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands now; a new object after every change.

    ``executed_value`` is Σ price·quantity in quote (spot, linear) or Σ contracts·size/price in base (inverse).
    """

    order_id: int
    client_order_id: str
    account: str  # API key
    market: MarketKey
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    position_side: PositionSide
    reduce_only: bool
    price: Decimal  # zero for market orders
    quantity: Decimal
    executed_quantity: Decimal
    executed_value: Decimal
    average_price: Decimal  # zero while nothing is filled; the harmonic average for inverse
    status: OrderStatus
    origin: Origin
    created_ms: int
    updated_ms: int
    quote_quantity: Decimal = ZERO  # as asked for by a spot market order in quote units

    @property
    def remaining(self) -> Decimal:
        """What has not been filled, order units."""
        return self.quantity - self.executed_quantity

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self.status.is_open

    @property
    def can_rest(self) -> bool:
        """Whether what does not fill at once stays in the book."""
        return self.type is OrderType.LIMIT and self.time_in_force in (TimeInForce.GTC, TimeInForce.GTX)


@dataclass(frozen=True, slots=True)
class OrderResult:
    """The answer to an accepted order: its state after matching, and the fills it caused at once."""

    order: Order
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """An account's settings on one contract."""

    market: MarketKey
    leverage: int
    margin_mode: MarginMode


@dataclass(frozen=True, slots=True)
class Position:
    """A position valued now. Money is in the settle currency: quote for linear, coin for inverse."""

    market: MarketKey
    side: PositionSide
    quantity: Decimal  # signed: short < 0; base units (linear) or contracts (inverse)
    entry_price: Decimal  # zero when flat
    break_even_price: Decimal  # entry moved by the opening taker fee; zero when flat
    mark_price: Decimal
    unrealised_pnl: Decimal
    notional: Decimal  # signed: quote (linear) or base coin (inverse)
    leverage: int
    margin_mode: MarginMode
    isolated_wallet: Decimal  # zero when cross
    isolated_margin: Decimal  # isolated wallet + unrealised PnL; zero when cross
    initial_margin: Decimal  # of position and open orders together
    position_initial_margin: Decimal
    open_order_initial_margin: Decimal
    maintenance_margin: Decimal
    liquidation_price: Decimal | None  # None: it cannot be liquidated by price alone
    adl_quantile: int  # 0 (last in the queue) … 4
    bid_notional: Decimal  # of resting, not reduce-only buys
    ask_notional: Decimal
    settle: str
    updated_ms: int


@dataclass(frozen=True, slots=True)
class SpotBalance:
    """One asset of the spot (or funding) wallet, asset units, both ≥ 0."""

    asset: str
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class FuturesBalance:
    """One margin asset of a futures wallet, asset units."""

    asset: str
    wallet_balance: Decimal  # realised only
    cross_wallet_balance: Decimal
    unrealised_pnl: Decimal
    cross_unrealised_pnl: Decimal
    margin_balance: Decimal  # wallet + unrealised
    initial_margin: Decimal
    position_initial_margin: Decimal
    open_order_initial_margin: Decimal
    maintenance_margin: Decimal
    available_balance: Decimal  # for new positions, ≥ 0
    max_withdraw_amount: Decimal
    updated_ms: int


@dataclass(frozen=True, slots=True)
class FuturesAccount:
    """One futures wallet, whole: every margin asset and every position (flat ones too)."""

    kind: MarketKind
    dual_side: bool  # True: hedge mode
    balances: tuple[FuturesBalance, ...]
    positions: tuple[Position, ...]
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Income:
    """A change of a futures wallet: amount > 0 was received. Their sum is the wallet balance."""

    tran_id: int
    kind: IncomeKind
    product: MarketKind
    symbol: str  # empty for transfers
    asset: str
    amount: Decimal
    trade_id: int | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class Movement:
    """A deposit (``source`` None), a withdrawal (``target`` None) or a transfer; amount > 0, asset units."""

    movement_id: int
    kind: MovementKind
    asset: str
    amount: Decimal
    source: WalletKind | None
    target: WalletKind | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What is really so on one account, whatever any answer said. Balances are totals (free and locked)."""

    spot: Mapping[str, Decimal]
    usdm: Mapping[str, Decimal]
    coinm: Mapping[str, Decimal]
    positions: Mapping[MarketKey, Decimal]  # net over both sides, signed; flat ones absent
    accepted_orders: tuple[Order, ...]  # in the order of acceptance, in their present state; API orders only
    other_orders: tuple[Order, ...]  # foreign, ADL, liquidation, settlement
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """How the synthetic market behaves. Spread and spacing in basis points of the mid."""

    half_spread_bps: Decimal = Decimal("0.5")
    level_gap_bps: Decimal = Decimal("1")
    levels: int = 20
    first_level_notional: Decimal = Decimal(250_000)  # quote units offered at the best price
    level_growth: Decimal = Decimal("1.25")  # each level is this many times the one before
    flow_notional: Decimal = ZERO  # quote units of others' trades that meet what rests at the touch, at each new price
    refill_ms: int = 1_000  # what our fills took comes back after this, or at the next price
    delivery_ms: int = 0  # from a dated contract's last trade to its delivery; it is SETTLING meanwhile
    default_leverage: int = 20
    default_margin_mode: MarginMode = MarginMode.CROSS
    initial_prices: Mapping[str, Decimal] = field(
        default_factory=lambda: {"BTC": Decimal(65_000), "ETH": Decimal(3_500), "SOL": Decimal(150)}
    )
