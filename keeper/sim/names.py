"""The words of the simulated exchange: kinds, sides, states, and how a market is named."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import NamedTuple

ZERO = Decimal(0)
ONE = Decimal(1)


class _Name(Enum):
    """A word that is often a key: hashed by identity, which members have for life; Enum's own way hashes its text."""

    __hash__ = object.__hash__


class MarketKind(_Name):
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
    EARN = "earn"  # coins lent out at call: they earn, and come back when asked for


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


class Side(_Name):
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


class PositionSide(_Name):
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


class OrderStatus(_Name):
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


class MarginMode(Enum):
    """Whose money stands behind a position."""

    CROSS = "cross"
    ISOLATED = "isolated"


class IncomeKind(Enum):
    """Binance's income types."""

    TRANSFER = "TRANSFER"
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING_FEE = "FUNDING_FEE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    DELIVERED_SETTELMENT = "DELIVERED_SETTELMENT"  # the venue's own spelling


class MovementKind(Enum):
    """Money that crosses the account's border, or moves between its wallets."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
