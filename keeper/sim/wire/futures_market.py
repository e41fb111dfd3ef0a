"""What only contracts have in public: mark and index prices, funding, open interest."""

from __future__ import annotations

from keeper.clock import Clock
from keeper.sim.exchange import Exchange
from keeper.sim.types import Market, MarketKey, MarketKind, MarketStatus, Premium
from keeper.sim.wire import errors
from keeper.sim.wire.exchange_info import contract_type
from keeper.sim.wire.market_data import interval_ms
from keeper.sim.wire.request import Call, Routes, public
from keeper.sim.wire.text import Json, at_step, fixed8, plain

INTEREST_RATE = "0.00010000"


class FuturesMarket:
    """One futures product's prices and funding."""

    def __init__(self, exchange: Exchange, clock: Clock, kind: MarketKind) -> None:
        self._exchange = exchange
        self._clock = clock
        self._kind = kind

    def routes(self) -> Routes:
        """The routes, under the product's prefix."""
        prefix = "/fapi/v1" if self._kind is MarketKind.LINEAR else "/dapi/v1"
        return {
            ("GET", f"{prefix}/premiumIndex"): public(self.premium_index),
            ("GET", f"{prefix}/fundingRate"): public(self.funding_rates),
            ("GET", f"{prefix}/fundingInfo"): public(self.funding_info),
            ("GET", f"{prefix}/openInterest"): public(self.open_interest),
            ("GET", f"{prefix}/markPriceKlines"): public(self.price_klines, 2),
            ("GET", f"{prefix}/indexPriceKlines"): public(self.price_klines, 2),
        }

    def _market(self, call: Call) -> Market:
        return self._exchange.market(MarketKey(self._kind, call.text("symbol")))

    def _asked(self, call: Call) -> list[Market]:
        if call.optional("symbol") is not None:
            return [self._market(call)]
        pair = call.optional("pair")
        return [
            market
            for market in self._exchange.markets(self._kind)
            if market.status is not MarketStatus.DELISTED and pair in (None, market.pair)
        ]

    def premium_index(self, call: Call) -> Json:
        """Mark price, index price and the coming funding."""
        rows = [premium_row(market, self._exchange.premium(market.key)) for market in self._asked(call)]
        if self._kind is MarketKind.LINEAR and call.optional("symbol") is not None:
            return rows[0]
        return list(rows)

    def funding_rates(self, call: Call) -> Json:
        """Settlements that happened, oldest first."""
        perpetuals = [market for market in self._asked(call) if market.is_perpetual]
        limit = call.limit(100)
        records = [
            (record, market)
            for market in perpetuals
            for record in self._exchange.funding_history(
                market.key,
                limit=limit,
                start_ms=call.optional_integer("startTime"),
                end_ms=call.optional_integer("endTime"),
            )
        ]
        records.sort(key=lambda pair: pair[0].time_ms)
        return [
            {
                "symbol": market.symbol,
                "fundingTime": record.time_ms,
                "fundingRate": fixed8(record.rate),
                "markPrice": fixed8(record.mark_price),
            }
            for record, market in records[-limit:]
        ]

    def funding_info(self, _call: Call) -> Json:
        """How often each perpetual settles."""
        return [
            {
                "symbol": market.symbol,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": market.funding_interval_hours,
                "disclaimer": False,
            }
            for market in self._exchange.markets(self._kind)
            if market.is_perpetual
        ]

    def open_interest(self, call: Call) -> Json:
        """Open contracts of one market."""
        market = self._market(call)
        interest = self._exchange.open_interest(market.key)
        row: dict[str, Json] = {
            "symbol": market.symbol,
            "openInterest": at_step(interest.quantity, market.filters.step),
            "time": interest.time_ms,
        }
        if self._kind is MarketKind.INVERSE:
            row |= {"pair": market.pair, "contractType": contract_type(market, self._clock.now_ms())}
        return row

    def price_klines(self, call: Call) -> Json:
        """Bars of the mark or index price: volumes are zero, as on the venue."""
        name = call.optional("pair") or call.text("symbol")
        found = [market for market in self._exchange.markets(self._kind) if name in (market.symbol, market.pair)]
        if not found:
            raise errors.unknown_symbol()
        market = found[0]
        bars = self._exchange.klines(
            market.key,
            interval_ms(call.text("interval")),
            limit=call.limit(500, 1_500),
            start_ms=call.optional_integer("startTime"),
            end_ms=call.optional_integer("endTime"),
        )
        return [
            [
                bar.open_ms,
                *(at_step(price, market.filters.tick) for price in (bar.open, bar.high, bar.low, bar.close)),
                "0",
                bar.close_ms,
                "0",
                bar.trades,
                "0",
                "0",
                "0",
            ]
            for bar in bars
        ]


class FuturesData:
    """``/futures/data``, which both products share: USDⓈ-M asks by symbol, COIN-M by pair and contract type."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    def routes(self) -> Routes:
        """The one route that is served."""
        return {("GET", "/futures/data/openInterestHist"): public(self.open_interest_history)}

    def open_interest_history(self, call: Call) -> Json:
        """Open interest on a grid, oldest first."""
        period_ms = interval_ms(call.text("period"))
        market = self._market(call)
        rows = self._exchange.open_interest_history(market.key, period_ms, call.limit(30, 500))
        named: dict[str, Json] = (
            {"symbol": market.symbol, "CMCCirculatingSupply": "0.00000000"}
            if market.kind is MarketKind.LINEAR
            else {"pair": market.pair, "contractType": contract_type(market, self._clock.now_ms())}
        )
        return [
            named
            | {
                "sumOpenInterest": plain(row.quantity),
                "sumOpenInterestValue": fixed8(row.value),
                "timestamp": row.time_ms,
            }
            for row in rows
        ]

    def _market(self, call: Call) -> Market:
        pair = call.optional("pair")
        if pair is None:
            return self._exchange.market(MarketKey(MarketKind.LINEAR, call.text("symbol")))
        kind = call.text("contractType")
        for market in self._exchange.markets(MarketKind.INVERSE):
            if market.pair == pair and contract_type(market, self._clock.now_ms()) == kind:
                return market
        raise errors.unknown_symbol()


def premium_row(market: Market, premium: Premium) -> dict[str, Json]:
    """One row of ``premiumIndex``; a dated contract has no funding."""
    row: dict[str, Json] = {
        "symbol": market.symbol,
        "markPrice": fixed8(premium.mark_price),
        "indexPrice": fixed8(premium.index_price),
        "estimatedSettlePrice": fixed8(premium.index_price),
        "lastFundingRate": "" if premium.funding_rate is None else fixed8(premium.funding_rate),
        "interestRate": "" if premium.funding_rate is None else INTEREST_RATE,
        "nextFundingTime": premium.next_funding_ms or 0,
        "time": premium.time_ms,
    }
    return row | {"pair": market.pair} if market.kind is MarketKind.INVERSE else row
