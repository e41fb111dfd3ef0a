"""The nouns of the simulated exchange: frozen, typed, with units and signs.

Quantities: spot and linear in base units, inverse in contracts (of ``Market.contract_size`` quote units each).
Positions are signed (short < 0); orders carry a side and an absolute quantity. Times are wall milliseconds (UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

ZERO = Decimal(0)
ONE = Decimal(1)


class MarketKind(Enum):
    """Which of the three order-taking products a market belongs to."""

    SPOT = "spot"
    LINEAR = "linear"  # USDⓈ-M: margined and paid in the quote currency
    INVERSE = "inverse"  # COIN-M: margined and paid in the base coin

    @property
    def wallet(self) -> WalletKind:
        """The wallet that orders of this product spend from."""
        return _WALLET_OF[self]


class WalletKind(Enum):
    """The wallets of one account; money moves between them only by transfer."""

    SPOT = "spot"
    USDM = "usdm"
    COINM = "coinm"
    FUNDING = "funding"


_WALLET_OF = {
    MarketKind.SPOT: WalletKind.SPOT,
    MarketKind.LINEAR: WalletKind.USDM,
    MarketKind.INVERSE: WalletKind.COINM,
}


class MarketStatus(Enum):
    """Whether a market takes orders; only TRADING does."""

    TRADING = "TRADING"
    BREAK = "BREAK"
    HALT = "HALT"
    SETTLING = "SETTLING"
    DELIVERED = "DELIVERED"  # dated contract past its expiry
    DELISTED = "DELISTED"


class MarketKey(NamedTuple):
    """A market's name; spot and linear share symbols, so the kind belongs to it."""

    kind: MarketKind
    symbol: str


def spot(symbol: str) -> MarketKey:
    """Key of a spot market, e.g. ``spot("BTCUSDT")``."""
    return MarketKey(MarketKind.SPOT, symbol)


def linear(symbol: str) -> MarketKey:
    """Key of a USDⓈ-M contract, e.g. ``linear("BTCUSDT")``."""
    return MarketKey(MarketKind.LINEAR, symbol)


def inverse(symbol: str) -> MarketKey:
    """Key of a COIN-M contract, e.g. ``inverse("BTCUSD_PERP")``."""
    return MarketKey(MarketKind.INVERSE, symbol)


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
    """One instrument. ``contract_size`` is base units for linear, quote units for inverse, 1 for spot."""

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

    @property
    def key(self) -> MarketKey:
        """The market's name."""
        return MarketKey(self.kind, self.symbol)

    @property
    def pair(self) -> str:
        """Binance's ``pair``: base and quote without contract suffix."""
        return self.base + self.quote

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


class Side(Enum):
    """Direction of an order."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, −1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other direction."""
        return Side.SELL if self is Side.BUY else Side.BUY


class PositionSide(Enum):
    """BOTH in one-way mode; LONG or SHORT in hedge (dual) mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


class OrderType(Enum):
    """The order types that are modelled."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(Enum):
    """How long an order lives. GTX is post-only (spot: LIMIT_MAKER)."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class OrderStatus(Enum):
    """Binance's order states."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class Origin(Enum):
    """Who caused an order: the API key, somebody else on the account, or the exchange itself."""

    API = "api"
    FOREIGN = "foreign"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"


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
    """One execution. ``quote_quantity`` is quote for spot and linear, base coin for inverse; all amounts ≥ 0 but PnL."""

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


@dataclass(frozen=True, slots=True)
class OrderResult:
    """The answer to an accepted order: its state after matching, and the fills it caused at once."""

    order: Order
    fills: tuple[Fill, ...]


class MarginMode(Enum):
    """Whose money stands behind a position."""

    CROSS = "cross"
    ISOLATED = "isolated"


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


class IncomeKind(Enum):
    """Binance's income types."""

    TRANSFER = "TRANSFER"
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING_FEE = "FUNDING_FEE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    DELIVERED_SETTELMENT = "DELIVERED_SETTELMENT"  # the venue's own spelling


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


class MovementKind(Enum):
    """Money that crosses the account's border, or moves between its wallets."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"


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


class BookLevel(NamedTuple):
    """One price level; quantity in order units."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderBook:
    """A book seen now: bids from the best down, asks from the best up. ``update_id`` grows with every change."""

    market: MarketKey
    update_id: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    time_ms: int


@dataclass(frozen=True, slots=True)
class Kline:
    """One bar. Prices in quote; ``volume`` in order units, ``quote_volume`` in quote (base coin for inverse)."""

    open_ms: int
    close_ms: int  # the bar's last millisecond
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True)
class Ticker:
    """24-hour statistics."""

    market: MarketKey
    last: Decimal
    last_quantity: Decimal
    bid: BookLevel
    ask: BookLevel
    open: Decimal
    high: Decimal
    low: Decimal
    change: Decimal
    change_ratio: Decimal  # 0.01 = one per cent
    volume: Decimal
    quote_volume: Decimal
    weighted_average: Decimal
    open_ms: int
    close_ms: int
    first_trade_id: int
    last_trade_id: int
    trades: int


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """A print on the tape."""

    trade_id: int
    market: MarketKey
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    buyer_is_maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Premium:
    """A contract's prices and funding now. ``funding_rate`` > 0: longs pay shorts; None for dated contracts."""

    market: MarketKey
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal | None
    next_funding_ms: int | None
    funding_interval_hours: int | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class FundingRecord:
    """A settlement that happened: rate as a fraction of notional, > 0 when longs paid."""

    market: MarketKey
    rate: Decimal
    mark_price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Open positions of the whole market: order units, and their value in quote (coin for inverse)."""

    market: MarketKey
    quantity: Decimal
    value: Decimal
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
    refill_ms: int = 1_000  # what our fills took comes back after this, or at the next price
    default_leverage: int = 20
    default_margin_mode: MarginMode = MarginMode.CROSS
    initial_prices: Mapping[str, Decimal] = field(
        default_factory=lambda: {"BTC": Decimal(65_000), "ETH": Decimal(3_500), "SOL": Decimal(150)}
    )
