"""The funding timetable: rates, intervals on the UTC grid, payments, and the record of settlements.

A payment is −(signed value at mark) × rate, so with a positive rate longs pay and shorts receive; linear is paid in
quote, inverse in coin.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from keeper.sim.account import Account
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import FundingSettled, UpdateReason
from keeper.sim.history import name_seed
from keeper.sim.margin import booked, value
from keeper.sim.settlement import Settlement
from keeper.sim.state import State
from keeper.sim.types import ZERO, FundingRecord, IncomeKind, MarginMode, Market, MarketKey, PositionSide, Premium
from keeper.sim.valuation import Valuation

HOUR_MS = 3_600_000
DEFAULT_RATE = Decimal("0.0001")
_PAST_RECORDS = 1000
_CATCH_UP = 1000  # settlements made up for after a jump of the clock; beyond it the rest is skipped


class Funding:
    """Knows when funding is due and pays it."""

    def __init__(self, state: State, valuation: Valuation, settlement: Settlement) -> None:
        self._state = state
        self._valuation = valuation
        self._settlement = settlement
        self._rates: dict[MarketKey, Decimal] = {}
        self._next_ms: dict[MarketKey, int] = {}
        self._records: dict[MarketKey, list[FundingRecord]] = {}
        self._pasts: dict[tuple[MarketKey, int], list[FundingRecord]] = {}
        for market in state.markets.values():
            self.schedule(market)

    def set_rate(self, market: Market, rate: Decimal) -> None:
        """Set the rate of the coming settlements."""
        _check_perpetual(market)
        self._rates[market.key] = rate

    def set_interval(self, market: Market, hours: int) -> None:
        """Move to another grid."""
        _check_perpetual(market)
        if hours not in (1, 2, 4, 8):
            raise SimError(ErrorKind.BAD_PARAMETER, f"a funding interval of {hours} hours is not 1, 2, 4 or 8")
        changed = replace(market, funding_interval_hours=hours)
        self._state.replace_market(changed)
        self.schedule(changed)

    def rate(self, key: MarketKey) -> Decimal:
        """The rate of the coming settlement."""
        return self._rates.get(key, DEFAULT_RATE)

    def next_ms(self, market: Market) -> int:
        """When the coming settlement is due."""
        return self._next_ms[market.key]

    def schedule(self, market: Market) -> None:
        """Put a market on the timetable: the next point of its grid after now."""
        interval = market.funding_interval_hours * HOUR_MS
        self._next_ms[market.key] = (self._state.now // interval + 1) * interval

    def premium(self, market: Market) -> Premium:
        """A contract's prices and funding now."""
        perpetual = market.is_perpetual
        return Premium(
            market=market.key,
            mark_price=self._state.mark(market),
            index_price=booked(self._state.pair_index(market)),
            funding_rate=self.rate(market.key) if perpetual else None,
            next_funding_ms=self.next_ms(market) if perpetual else None,
            funding_interval_hours=market.funding_interval_hours if perpetual else None,
            time_ms=self._state.venue_now,
        )

    def settle_due(self) -> None:
        """Settle whatever the clock has passed, each at its own time."""
        now = self._state.now
        for market in [each for each in self._state.markets.values() if each.is_perpetual]:
            if not self._state.has_price(market):
                continue
            interval = market.funding_interval_hours * HOUR_MS
            due = self.next_ms(market)
            for _ in range(_CATCH_UP):
                if due > now:
                    break
                self.settle(market, due)
                due += interval
            if due <= now:
                due = (now // interval + 1) * interval
            self._next_ms[market.key] = due

    def settle(self, market: Market, at_ms: int) -> FundingRecord:
        """Pay funding to and from every position at this moment's mark."""
        _check_perpetual(market)
        record = FundingRecord(market.key, self.rate(market.key), self._state.mark(market), at_ms)
        self._records.setdefault(market.key, []).append(record)
        payments = []
        for account in self._state.accounts.values():
            paid = self._pay(account, market, record)
            if paid is not None:
                payments.append((account.api_key, paid))
        self._state.publish(FundingSettled(self._state.now, record, tuple(payments)))
        return record

    def history(
        self, market: Market, limit: int, start_ms: int | None, end_ms: int | None
    ) -> tuple[FundingRecord, ...]:
        """Settlements, oldest first; from ``start_ms`` on if given, else the last ones."""
        _check_perpetual(market)
        records = [
            record
            for record in (*self._past(market), *self._records.get(market.key, ()))
            if (start_ms is None or record.time_ms >= start_ms) and (end_ms is None or record.time_ms <= end_ms)
        ]
        return tuple(records[:limit] if start_ms is not None else records[-limit:])

    def _pay(self, account: Account, market: Market, record: FundingRecord) -> Decimal | None:
        wallet = account.futures[market.kind]
        total, sides = ZERO, []
        for side in PositionSide:
            held = wallet.positions.get((market.key, side))
            if held is None or not held.quantity:
                continue
            amount = booked(-value(market, held.quantity, record.mark_price) * record.rate)
            if self._valuation.settings(account, market).margin_mode is MarginMode.ISOLATED:
                held.isolated_wallet += amount
            self._settlement.book_income(account, market, IncomeKind.FUNDING_FEE, amount)
            total += amount
            sides.append(side)
        if not sides:
            return None
        self._settlement.tell_futures(account, market, UpdateReason.FUNDING_FEE, total, *sides)
        return total

    def _past(self, market: Market) -> list[FundingRecord]:
        """A made-up record of settlements before the exchange began; the same for the same seed."""
        interval = market.funding_interval_hours * HOUR_MS
        tape = self._state.tapes.get(market.key)
        if tape is None:
            return []
        known = self._pasts.get((market.key, interval))
        if known is not None:
            return known
        last = self._state.start_ms // interval
        seed = name_seed(self._state.seed, market.symbol)
        records = []
        for slot in range(last - _PAST_RECORDS + 1, last + 1):
            wobble = (seed ^ slot * 0x9E3779B97F4A7C15) % 100  # most settlements are at the default rate, as at Binance
            rate = DEFAULT_RATE if wobble < 60 else DEFAULT_RATE * wobble / 100 - Decimal("0.00004")
            at_ms = slot * interval
            records.append(FundingRecord(market.key, rate, tape.past_price(min(at_ms, self._state.start_ms)), at_ms))
        self._pasts[market.key, interval] = records
        return records


def _check_perpetual(market: Market) -> None:
    if not market.is_perpetual:
        raise SimError(ErrorKind.BAD_PARAMETER, f"{market.symbol} pays no funding")
