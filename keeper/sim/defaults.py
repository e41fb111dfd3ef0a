"""The markets that the exchange lists when nothing else is asked for, with Binance's filter values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from keeper.sim.types import Filters, Market, MarketKind

STABLE_ASSETS = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "DAI"})
"""Assets whose index price is always 1."""


@dataclass(frozen=True, slots=True)
class _Lots:
    """Quantity rules of one market: step and minimum are one number at Binance."""

    step: str
    maximum: str
    market_maximum: str


def _filters(tick: str, lots: _Lots, min_notional: str, prices: tuple[str, str], band: tuple[str, str]) -> Filters:
    return Filters(
        tick=Decimal(tick),
        step=Decimal(lots.step),
        min_qty=Decimal(lots.step),
        max_qty=Decimal(lots.maximum),
        market_step=Decimal(lots.step),
        market_min_qty=Decimal(lots.step),
        market_max_qty=Decimal(lots.market_maximum),
        min_notional=Decimal(min_notional),
        min_price=Decimal(prices[0]),
        max_price=Decimal(prices[1]),
        band_down=Decimal(band[0]),
        band_up=Decimal(band[1]),
    )


def spot_market(base: str, tick: str, lots: tuple[str, str, str], quote: str = "USDT") -> Market:
    """A spot market; ``lots`` is (step, max quantity, max market quantity) in base units."""
    return Market(
        kind=MarketKind.SPOT,
        symbol=base + quote,
        base=base,
        quote=quote,
        settle=quote,
        contract_size=Decimal(1),
        price_precision=8,
        quantity_precision=8,
        filters=_filters(tick, _Lots(*lots), "5", (tick, "1000000"), ("0.2", "5")),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        onboard_ms=1_502_942_400_000,
    )


def linear_market(
    base: str,
    tick: str,
    lots: tuple[str, str, str],
    min_notional: str,
    *,
    maintenance_rate: str = "0.005",
    max_leverage: int = 100,
    expiry_ms: int | None = None,
    suffix: str = "",
) -> Market:
    """A USDT-margined contract; dated ones take a ``suffix`` such as ``"_260327"`` and their expiry."""
    return Market(
        kind=MarketKind.LINEAR,
        symbol=base + "USDT" + suffix,
        base=base,
        quote="USDT",
        settle="USDT",
        contract_size=Decimal(1),
        price_precision=_decimals(tick),
        quantity_precision=_decimals(lots[0]),
        filters=_filters(tick, _Lots(*lots), min_notional, (tick, "4529764"), ("0.95", "1.05")),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.0005"),
        max_leverage=max_leverage,
        maintenance_rate=Decimal(maintenance_rate),
        expiry_ms=expiry_ms,
    )


def inverse_market(
    base: str,
    tick: str,
    contract_size: str,
    lots: tuple[str, str, str] = ("1", "1000000", "60000"),
    *,
    maintenance_rate: str = "0.005",
    max_leverage: int = 100,
    expiry_ms: int | None = None,
    suffix: str = "_PERP",
) -> Market:
    """A coin-margined contract of ``contract_size`` USD; lots are whole contracts."""
    return Market(
        kind=MarketKind.INVERSE,
        symbol=base + "USD" + suffix,
        base=base,
        quote="USD",
        settle=base,
        contract_size=Decimal(contract_size),
        price_precision=_decimals(tick),
        quantity_precision=0,
        filters=_filters(tick, _Lots(*lots), "0", (tick, "4520958"), ("0.95", "1.05")),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.0005"),
        max_leverage=max_leverage,
        maintenance_rate=Decimal(maintenance_rate),
        expiry_ms=expiry_ms,
        onboard_ms=1_597_042_800_000,
    )


def index_market(base: str, points: str = "100", tick: str = "0.1") -> Market:
    """A USDT-margined perpetual on an index, of ``points`` quote units a point; its price has to be set."""
    lots = ("0.01", "100000", "5000")
    made = linear_market(base, tick, lots, "5", maintenance_rate="0.01", max_leverage=25)
    return replace(made, contract_size=Decimal(points))


def default_markets() -> tuple[Market, ...]:
    """BTC, ETH and SOL: spot in USDT, USDT-margined and coin-margined perpetuals."""
    return (
        spot_market("BTC", "0.01", ("0.00001", "9000", "120")),
        spot_market("ETH", "0.01", ("0.0001", "9000", "3000")),
        spot_market("SOL", "0.01", ("0.001", "90000", "20000")),
        linear_market("BTC", "0.1", ("0.001", "1000", "120"), "100", maintenance_rate="0.004", max_leverage=125),
        linear_market("ETH", "0.01", ("0.001", "10000", "2000"), "20", maintenance_rate="0.004", max_leverage=125),
        linear_market("SOL", "0.01", ("0.01", "1000000", "80000"), "5"),
        inverse_market("BTC", "0.1", "100", maintenance_rate="0.004", max_leverage=125),
        inverse_market("ETH", "0.01", "10"),
        inverse_market("SOL", "0.001", "10"),
    )


def _decimals(step: str) -> int:
    return len(step.partition(".")[2])
