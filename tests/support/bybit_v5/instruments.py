"""The instruments and their filters, with the figures of the real venue."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tests.support.bybit_v5.wire import Json, text

D = Decimal
FUNDING_INTERVAL_MINUTES = 480
MAX_LEVERAGE = D(100)
CONTRACT_TAKER, CONTRACT_MAKER, SPOT_FEE = D("0.00055"), D("0.0002"), D("0.001")
MAINTENANCE = D("0.005")


@dataclass(frozen=True, slots=True)
class Instrument:
    """One line of instruments-info. Quantities are base coins on linear and spot, US dollars on inverse."""

    category: str
    symbol: str
    base: str
    quote: str
    settle: str
    tick: Decimal
    qty_step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    max_market_qty: Decimal
    min_notional: Decimal
    max_leverage: Decimal = MAX_LEVERAGE
    taker_fee: Decimal = CONTRACT_TAKER
    maker_fee: Decimal = CONTRACT_MAKER
    maintenance_rate: Decimal = MAINTENANCE
    delivery_time_ms: int = 0
    status: str = "Trading"

    @property
    def key(self) -> str:
        """Category and symbol: the symbol alone is not unique."""
        return f"{self.category}:{self.symbol}"

    @property
    def contract(self) -> bool:
        """Whether it has positions."""
        return self.category != "spot"

    @property
    def inverse(self) -> bool:
        """Whether its quantities are dollars and its money is the coin."""
        return self.category == "inverse"

    @property
    def unified(self) -> str:
        """The symbol that the ccxt client uses."""
        pair = f"{self.base}/{self.quote}"
        return f"{pair}:{self.settle}" if self.contract else pair

    def value(self, qty: Decimal, price: Decimal) -> Decimal:
        """Worth of a quantity at a price, in the settlement coin (quote coin on spot)."""
        return qty / price if self.inverse else qty * price

    def info(self) -> Json:
        """The row of /v5/market/instruments-info."""
        return self._contract_info() if self.contract else self._spot_info()

    def _spot_info(self) -> Json:
        return {
            "symbol": self.symbol,
            "baseCoin": self.base,
            "quoteCoin": self.quote,
            "innovation": "0",
            "status": self.status,
            "marginTrading": "utaOnly",
            "stTag": "0",
            "lotSizeFilter": {
                "basePrecision": text(self.qty_step),
                "quotePrecision": "0.0000001",
                "minOrderQty": text(self.min_qty),
                "maxOrderQty": text(self.max_qty),
                "minOrderAmt": text(self.min_notional),
                "maxOrderAmt": "8000000",
                "maxLimitOrderQty": text(self.max_qty),
                "maxMarketOrderQty": text(self.max_market_qty),
                "postOnlyMaxLimitOrderSize": text(self.max_qty),
            },
            "priceFilter": {"tickSize": text(self.tick)},
            "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        }

    def _contract_info(self) -> Json:
        kind = "Inverse" if self.inverse else "Linear"
        return {
            "symbol": self.symbol,
            "contractType": kind + ("Futures" if self.delivery_time_ms else "Perpetual"),
            "status": self.status,
            "baseCoin": self.base,
            "quoteCoin": self.quote,
            "launchTime": "1585526400000",
            "deliveryTime": str(self.delivery_time_ms),
            "deliveryFeeRate": "",
            "priceScale": str(max(0, -int(self.tick.normalize().as_tuple().exponent))),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": f"{self.max_leverage}.00", "leverageStep": "0.01"},
            "priceFilter": {"minPrice": text(self.tick), "maxPrice": "1999999.80", "tickSize": text(self.tick)},
            "lotSizeFilter": {
                "maxOrderQty": text(self.max_qty),
                "minOrderQty": text(self.min_qty),
                "qtyStep": text(self.qty_step),
                "postOnlyMaxOrderQty": text(self.max_qty),
                "maxMktOrderQty": text(self.max_market_qty),
                "minNotionalValue": text(self.min_notional),
            },
            "unifiedMarginTrade": True,
            "fundingInterval": 0 if self.delivery_time_ms else FUNDING_INTERVAL_MINUTES,
            "settleCoin": self.settle,
            "copyTrading": "both",
            "upperFundingRate": "0.005",
            "lowerFundingRate": "-0.005",
            "isPreListing": False,
            "preListingInfo": None,
            "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
            "displayName": "",
        }


def linear(base: str, tick: str, step: str, most: str, market: str) -> Instrument:
    """A perpetual margined and settled in USDT."""
    return Instrument(
        category="linear",
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        settle="USDT",
        tick=D(tick),
        qty_step=D(step),
        min_qty=D(step),
        max_qty=D(most),
        max_market_qty=D(market),
        min_notional=D(5),
    )


def inverse(base: str, tick: str, most: str, market: str, symbol: str = "", delivery_time_ms: int = 0) -> Instrument:
    """A contract of 1 USD, margined and settled in its coin; dated when a delivery time is given."""
    return Instrument(
        category="inverse",
        symbol=symbol or f"{base}USD",
        base=base,
        quote="USD",
        settle=base,
        tick=D(tick),
        qty_step=D(1),
        min_qty=D(1),
        max_qty=D(most),
        max_market_qty=D(market),
        min_notional=D(0),
        delivery_time_ms=delivery_time_ms,
    )


def spot(base: str, tick: str, step: str, least: str, most: str, market: str) -> Instrument:
    """A spot pair against USDT."""
    return Instrument(
        category="spot",
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        settle="USDT",
        tick=D(tick),
        qty_step=D(step),
        min_qty=D(least),
        max_qty=D(most),
        max_market_qty=D(market),
        min_notional=D(5),
        taker_fee=SPOT_FEE,
        maker_fee=SPOT_FEE,
    )


DEFAULT_INSTRUMENTS = (
    linear("BTC", "0.1", "0.001", "1190", "500"),
    linear("ETH", "0.01", "0.01", "7240", "724"),
    linear("SOL", "0.01", "0.1", "79770", "15950"),
    inverse("BTC", "0.1", "25000000", "5000000"),
    inverse("ETH", "0.01", "10000000", "2000000"),
    spot("BTC", "0.1", "0.000001", "0.000011", "17000", "83"),
    spot("ETH", "0.01", "0.00001", "0.0002", "20000", "1000"),
    spot("SOL", "0.01", "0.001", "0.01", "100000", "5000"),
)
DEFAULT_PRICES = {"BTC": D(60000), "ETH": D(3000), "SOL": D(150)}
