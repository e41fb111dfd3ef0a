"""The instruments, with the figures of the real venue: a contract is a part of a coin, or so many dollars."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tests.support.okx_v5.wire import Json, text

D = Decimal
TAKER, MAKER, ONE, MAX_LEVERAGE = D("0.0005"), D("0.0002"), D(1), D(100)
EXPIRY_MS = 2_113_891_200_000
"""The last Friday of a year far enough away."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of public/instruments. Sizes are contracts, on spot coins."""

    id: str
    kind: str
    base: str
    quote: str
    settle: str
    tick: Decimal
    lot: Decimal
    least: Decimal
    most: Decimal
    value: Decimal = ONE
    """Coins (linear) or dollars (inverse) of one contract."""
    expiry_ms: int | None = None
    max_leverage: Decimal = MAX_LEVERAGE

    @property
    def contract(self) -> bool:
        """Whether it has positions."""
        return self.kind != "SPOT"

    @property
    def inverse(self) -> bool:
        """Whether its contracts are dollars, and its money the coin."""
        return self.contract and self.settle == self.base

    def worth(self, size: Decimal, price: Decimal) -> Decimal:
        """The value of a size at a price, in the settlement coin (quote coin on spot)."""
        return size * self.value / price if self.inverse else size * self.value * price

    def dollars(self, size: Decimal, price: Decimal) -> Decimal:
        """The same in dollars."""
        return size * self.value if self.inverse else size * self.value * price

    def info(self) -> Json:
        """The row of /api/v5/public/instruments."""
        family = f"{self.base}-{self.quote}" if self.contract else ""
        return {
            "alias": "quarter" if self.expiry_ms else "",
            "auctionEndTime": "",
            "baseCcy": "" if self.contract else self.base,
            "category": "1",
            "contTdSwTime": "",
            "ctMult": "1" if self.contract else "",
            "ctType": ("inverse" if self.inverse else "linear") if self.contract else "",
            "ctVal": text(self.value) if self.contract else "",
            "ctValCcy": ("USD" if self.inverse else self.base) if self.contract else "",
            "expTime": str(self.expiry_ms or ""),
            "instFamily": family,
            "instId": self.id,
            "instType": self.kind,
            "lever": text(self.max_leverage),
            "listTime": "1573557408000",
            "lotSz": text(self.lot),
            "maxLmtAmt": "20000000",
            "maxLmtSz": f"{self.most}.0000000000000000",
            "maxMktAmt": "" if self.contract else "1000000",
            "maxMktSz": text(self.most),
            "minSz": text(self.least),
            "optType": "",
            "quoteCcy": "" if self.contract else self.quote,
            "ruleType": "normal",
            "settleCcy": self.settle if self.contract else "",
            "state": "live",
            "stk": "",
            "tickSz": text(self.tick),
            "uly": family,
        }


def swap(base: str, value: str, tick: str) -> Instrument:
    """A perpetual in USDT; a hundredth of a contract can be traded."""
    ident = f"{base}-USDT-SWAP"
    return Instrument(ident, "SWAP", base, "USDT", "USDT", D(tick), D("0.01"), D("0.01"), D(100_000_000), D(value))


def inverse(base: str, value: str, tick: str, day: str = "SWAP", expiry_ms: int | None = None) -> Instrument:
    """A contract of so many dollars, margined and settled in its coin."""
    kind = "FUTURES" if expiry_ms else "SWAP"
    ident = f"{base}-USD-{day}"
    return Instrument(ident, kind, base, "USD", base, D(tick), D(1), D(1), D(1_000_000), D(value), expiry_ms)


def spot(base: str, tick: str, lot: str, least: str) -> Instrument:
    """A spot pair against USDT."""
    return Instrument(f"{base}-USDT", "SPOT", base, "USDT", "", D(tick), D(lot), D(least), D(9_999_999))


DEFAULT_INSTRUMENTS = (
    swap("BTC", "0.01", "0.1"),
    swap("ETH", "0.1", "0.01"),
    swap("SOL", "1", "0.01"),
    inverse("BTC", "100", "0.1"),
    inverse("ETH", "10", "0.01"),
    inverse("BTC", "100", "0.1", "361226", EXPIRY_MS),
    spot("BTC", "0.1", "0.00000001", "0.00001"),
    spot("ETH", "0.01", "0.000001", "0.0001"),
    spot("SOL", "0.01", "0.000001", "0.01"),
)
DEFAULT_PRICES = {"BTC": D(60000), "ETH": D(3000), "SOL": D(150)}
