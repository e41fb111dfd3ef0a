"""What holding a future costs or earns: funding, basis, fees. A flow to us is positive, a flow from us negative.

Formulas. Funding of a position: ``payment = -side·notional·rate`` (side +1 long, -1 short), in quote money for a linear
contract and in coins for a coin-margined one; a year has 8,760 hours. Basis ``b = F/S - 1`` over d days, annualised
simple ``b·365/d``, continuous ``ln(F/S)·365/d``, compound ``(F/S)^(365/d) - 1``: whoever shows one says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from statistics import median

from keeper.core.model import NO_BASE, NO_QUOTE, ONE, ZERO, Base, Contracts, Instrument, Kind, Quote
from keeper.core.orders import contracts_to_sell
from keeper.core.quotes import FundingRate

DAY_MS = 86_400_000
YEAR_DAYS = Decimal(365)
HOUR_MS = 3_600_000
_YEAR_HOURS = Decimal(8_760)

_MINUTE_MS = 60_000
_FEWEST_RATES = 3
"""Fewer settled rates than these are an anecdote and no history."""
_LATEST_GAPS = 5
"""From how many of the latest settlements the present interval is read: venues shorten it in wild markets."""


# -- funding ---------------------------------------------------------------------------------------------------------


def funding_payment(instrument: Instrument, contracts: Contracts, mark: Decimal, rate: Decimal) -> Decimal:
    """What one funding event pays us for ``contracts`` (short < 0) at ``rate`` (positive: longs pay shorts).

    In quote money; for a coin-margined contract in coins, and there it changes the exposure.
    """
    if instrument.kind is Kind.INVERSE:
        return -instrument.delta(contracts, mark) * rate + ZERO
    return -instrument.notional(contracts, mark) * rate + ZERO


def funding_per_year(rate: Decimal, interval_hours: Decimal) -> Decimal:
    """A rate per interval as a simple fraction a year; raises :class:`ValueError` on an interval that is not one."""
    if interval_hours <= 0:
        raise ValueError(f"a funding interval of {interval_hours} hours is none")
    return rate * _YEAR_HOURS / interval_hours


@dataclass(frozen=True, slots=True)
class FundingMean:
    """What funding has been: mean rate per interval (positive: a short receives) over ``sample`` settlements."""

    rate: Decimal
    interval_ms: int
    sample: int

    @property
    def interval_hours(self) -> Decimal:
        """Hours between two settlements."""
        return Decimal(self.interval_ms) / HOUR_MS

    @property
    def annual(self) -> Decimal:
        """The mean as a simple fraction a year."""
        return funding_per_year(self.rate, self.interval_hours)

    def intervals(self, days: Decimal) -> Decimal:
        """How many settlements fall into so many days, in fractions."""
        return days * DAY_MS / self.interval_ms


def funding_mean(rates: Sequence[FundingRate]) -> FundingMean | None:
    """The mean of a history over its real interval, read from the settlements' own times; None when that is not known.

    Only the latest stretch of one interval counts: a rate for four hours and one for eight are not the same thing. A
    settlement that the history left out is no change of the interval; two odd distances in a row are.
    """
    ordered = sorted({round(rate.at_ms / _MINUTE_MS): rate.rate for rate in rates}.items())
    minutes = [at for at, _ in ordered]
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    if len(ordered) < _FEWEST_RATES:
        return None
    interval = int(median(gaps[-_LATEST_GAPS:]))
    first = _start_of_stretch(gaps, interval)
    stretch = [rate for _, rate in ordered[first:]]
    if len(stretch) < _FEWEST_RATES:
        return None
    return FundingMean(sum(stretch, ZERO) / len(stretch), interval * _MINUTE_MS, len(stretch))


def _start_of_stretch(gaps: Sequence[int], interval: int) -> int:
    """Where the latest run of rates at ``interval`` begins."""
    place = len(gaps)
    while place > 0:
        if gaps[place - 1] != interval:
            missed = gaps[place - 1] % interval == 0 and (place < 2 or gaps[place - 2] == interval)
            if not missed:
                break
        place -= 1
    return place


# -- basis -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Basis:
    """A future against spot over the days to its expiry; positive in contango, which a short earns."""

    future: Decimal
    spot: Decimal
    days: Decimal

    def __post_init__(self) -> None:
        """Refuse what has no basis: raises :class:`ValueError`."""
        if self.future <= 0 or self.spot <= 0 or self.days <= 0:
            raise ValueError(f"no basis of {self.future} over {self.spot} in {self.days} days")

    @property
    def ratio(self) -> Decimal:
        """F/S - 1, not annualised."""
        return self.future / self.spot - 1

    @property
    def simple(self) -> Decimal:
        """Annualised without interest on interest: what every comparison here uses."""
        return self.ratio * YEAR_DAYS / self.days

    @property
    def continuous(self) -> Decimal:
        """Annualised as a continuous rate."""
        return (self.future / self.spot).ln() * YEAR_DAYS / self.days

    @property
    def compound(self) -> Decimal:
        """Annualised as if it were earned again and again."""
        return (self.future / self.spot) ** (YEAR_DAYS / self.days) - 1


# -- rolling a short -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RollCredit:
    """What moving a short from a near contract to a far one pays, in quote money per coin."""

    per_coin: Quote
    annual_simple: Decimal


def roll_credit(
    near: Decimal, far: Decimal, days: Decimal, *, fees: Quote = NO_QUOTE, half_spreads: Quote = NO_QUOTE
) -> RollCredit:
    """F_far - F_near less fees and half spreads (quote money per coin, positive), and the same a year on F_near."""
    if near <= 0 or days <= 0:
        raise ValueError(f"no roll from {near} over {days} days")
    credit = Quote(far - near - fees - half_spreads)
    return RollCredit(credit, credit / near * YEAR_DAYS / days)


def contracts_after_roll(
    instrument: Instrument,
    far_mark: Decimal,
    delta: Base,
    *,
    ratio: Decimal = ONE,
    close_fee_base: Base = NO_BASE,
    fee_rate: Decimal = ZERO,
) -> Contracts:
    """How many contracts (positive, rounded down to the step) carry on a short of ``delta`` coins (negative) there.

    Fees of a coin-margined contract are paid out of the coins that it hedges, so that ``ratio`` of them needs no hedge
    any more: N' solves ``N'·size/F = |delta| - ratio·(close_fee + fee_rate·N'·size/F)``. Without fees that is
    N·F_far/F_near. Fees of other contracts are quote money and change no count.
    """
    coins = max(ZERO, -delta)
    if instrument.kind is Kind.INVERSE:
        coins = max(ZERO, (coins - ratio * close_fee_base) / (ONE + ratio * fee_rate))
    return contracts_to_sell(Base(coins), instrument, far_mark)
