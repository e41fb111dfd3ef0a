"""Sends orders to one venue, one attempt a call, and finds out what became of them (``base.Trader``)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from keeper.core.model import InstrumentId, PlannedOrder, WorkingOrder
from keeper.venue.base import (
    Accepted,
    Ambiguous,
    BadReadingError,
    Fill,
    Lookup,
    LookupFailed,
    NotFound,
    OrderReport,
    OrderState,
    Rejected,
    Submission,
    UnknownSymbolError,
    VenueError,
)
from keeper.venue.budget import Urgency, urgency
from keeper.venue.classify import code_of, order_failure, say
from keeper.venue.connection import Connection
from keeper.venue.figures import Row, decimal_of
from keeper.venue.findable import CLOSED_LISTS
from keeper.venue.guard import ANSWERS, Answer, redact
from keeper.venue.order_rows import UnfilledError, client_id_of, fill_of, order_report
from keeper.venue.parsing import rows_at
from keeper.venue.transfers import transfer

FILL_PAGES_MAX = 40
GONE_CLASSES = ("OrderNotFound", "CancelPending")
POST_ONLY = "PO"
SAME_CLASSES = ("NoChange", "MarginModeAlreadySet")


class _Missing(Exception):  # noqa: N818 - not an error: the venue's authoritative "no such order"
    """The venue knows no such order."""


class CcxtTrader:
    """A :class:`~keeper.venue.base.Trader` over a shared connection."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self.name = connection.name

    # Sending

    async def submit(self, order: PlannedOrder) -> Submission:
        """Send once. Whatever is not an explicit yes or no comes back as ambiguous."""
        symbol = order.instrument.symbol
        try:
            amount = order.contracts * self._at.unit(symbol)
            problem = self._altered(symbol, amount, order.price)
        except Exception as failure:  # noqa: BLE001 - nothing has been sent: any failure here is a plain no
            return Rejected("not_sent", f"not sent: {say(failure, self._at.guard.secrets)}")
        if problem is not None:
            return Rejected("precision", problem)
        if order.time_in_force == POST_ONLY and not self._at.capability.post_only:
            return Rejected("post_only_not_offered", f"not sent: {self.name} has no post-only orders that we know of")
        level = Urgency.COVER if order.reduce_only else Urgency.ORDER
        answers: list[Answer] = []
        token = ANSWERS.set(answers)
        try:
            with urgency(level):
                self._at.budget.check()
                async with asyncio.timeout(self._at.order_seconds):
                    answer = await self._create(order, amount)
        except Exception as failure:  # noqa: BLE001 - the fate of an order is a value, whatever was raised
            return order_failure(failure, answers, self._at.capability.codes, self._at.guard.secrets)
        finally:
            ANSWERS.reset(token)
        return self._accepted(answer, order)

    def _altered(self, symbol: str, amount: Decimal, price: Decimal) -> str | None:
        """Why the client would not send these very numbers, or None."""
        client = self._at.client
        if (self._at.market(symbol).get("precision") or {}).get("amount") is None:
            # the client knows no step, and sends what it is told
            sent_amount = amount - amount % (self._at.instrument(symbol).step_contracts * self._at.unit(symbol))
        else:
            sent_amount = Decimal(client.amount_to_precision(symbol, f"{amount:f}"))
        sent_price = Decimal(client.price_to_precision(symbol, f"{price:f}"))
        if sent_amount != amount:
            return f"{symbol}: amount {amount:f} would be sent as {sent_amount:f}; not sent"
        if sent_price != price:
            return f"{symbol}: price {price:f} would be sent as {sent_price:f}; not sent"
        return None

    async def _create(self, order: PlannedOrder, amount: Decimal) -> Any:
        capability = self._at.capability
        symbol = order.instrument.symbol
        named = order.client_id if capability.client_id_bare else capability.encode(order.client_id)
        params: dict[str, Any] = {**capability.order_params, capability.client_id_param: named}
        if order.time_in_force == POST_ONLY:
            params["postOnly"] = True
        else:
            params["timeInForce"] = order.time_in_force
        if order.reduce_only:
            params["reduceOnly"] = True
        if symbol in self._at.margin_modes:
            params["marginMode"] = self._at.margin_modes[symbol]
        kind = capability.ioc_type if order.time_in_force == "IOC" else order.type
        told = int(amount) if capability.whole_amounts else f"{amount:f}"
        return await self._at.client.create_order(symbol, kind, str(order.side), told, f"{order.price:f}", params)

    def _accepted(self, answer: Any, order: PlannedOrder) -> Submission:
        """Yes, but only if the answer names an order, and it is ours."""
        if not isinstance(answer, Mapping) or not answer.get("id"):
            return Ambiguous(f"{self.name}: the answer to the order names no order")
        named = client_id_of(answer, self._at.capability)
        if named is not None and named != order.client_id:
            other = redact(named, self._at.guard.secrets)
            return Ambiguous(f"{self.name}: the answer to the order is about another one, {other}")
        try:
            report = order_report(self._at.restated(answer), order.client_id, self._at.unit(order.instrument.symbol))
        except BadReadingError:
            report = None  # some venues answer with ids alone: how it went has to be looked up
        if report is not None and report.state is OrderState.OPEN and order.time_in_force == "IOC":
            report = None  # an IOC order does not rest: the answer was written before the matching
        return Accepted(str(answer["id"]), report)

    # Finding out

    async def lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Lookup:
        """Find an order by its client id, and by the venue's where that is known.

        That a contract is listed no longer is for the list of markets to say. Venues answer a request with "no such
        contract" for passing states too, such as one that is suspended, and a lookup that fails so is a failed one.
        """
        try:
            self._at.market(instrument.symbol)
        except UnknownSymbolError as failure:
            return LookupFailed(say(failure, self._at.guard.secrets), unlisted=True)
        except VenueError as failure:
            return LookupFailed(say(failure, self._at.guard.secrets))
        try:
            async with self._at.deadline():
                return await self._lookup(instrument, client_id, venue_order_id)
        except (_Missing, UnfilledError) as answer:
            return NotFound(str(answer))  # "filled, nothing of it": it shows no order that anything could be made of
        except Exception as failure:  # noqa: BLE001 - a failed search is no evidence of anything, whatever went wrong
            return LookupFailed(say(failure, self._at.guard.secrets))

    async def _lookup(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> OrderReport:
        recipe = self._at.capability.lookups
        if recipe.reads:
            order = await self._by_raw_reads(instrument, client_id, venue_order_id)
        elif recipe.unified is not None:
            params = {recipe.unified: self._at.capability.encode(client_id)}
            order = await self._fetched(venue_order_id or "", instrument.symbol, params)
        else:
            order = await self._by_lists(instrument, client_id, venue_order_id)
        if not order.get("id"):
            raise BadReadingError(f"{instrument}: the order came back without an id")
        named = client_id_of(order, self._at.capability)
        if named is not None and named != client_id:
            raise BadReadingError(f"{instrument}: the venue answered with another order, {named}")
        return order_report(order, client_id, self._at.unit(instrument.symbol))

    async def _by_raw_reads(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Row:
        market = self._at.market(instrument.symbol)
        product = self._at.capability.product_of(market)
        text = self._at.capability.encode(client_id)
        for read, param in self._at.capability.lookups.reads:
            if read.about is not None and not read.about(market):
                continue
            params = self._at.keys(market, product)
            if param:
                params[param] = text
            for row in await self._at.rows(read, params, Urgency.LOOKUP):
                order = self._at.order(row, market)
                named = client_id_of(order, self._at.capability)
                if named == client_id or (venue_order_id is not None and order.get("id") == venue_order_id):
                    return order
        raise _Missing(f"{instrument}: no order {text} among open and closed ones")

    async def _fetched(self, order_id: str, symbol: str, params: Mapping[str, Any]) -> Row:
        """The order, or :class:`_Missing` when the venue itself said that there is no such order."""

        async def watched() -> Row | None:
            try:
                found: Row = await self._at.client.fetch_order(order_id, symbol, dict(params))
                return found
            except Exception as failure:
                if self._denied(failure):
                    return None
                raise

        order = await self._at.ask(watched, Urgency.LOOKUP, "order")
        if order is None:
            raise _Missing(f"{self.name}: the venue knows no such order on {symbol}")
        return self._at.restated(order)

    def _denied(self, failure: Exception) -> bool:
        """Whether the venue answered, with authority, that there is no such order."""
        answers = ANSWERS.get() or []
        if not answers or answers[-1].status is None or answers[-1].status >= 500:
            return False
        code = code_of(answers[-1], self._at.capability.codes)
        return code in self._at.capability.codes.not_found or _is_class(failure, ("OrderNotFound",))

    async def _by_lists(self, instrument: InstrumentId, client_id: str, venue_order_id: str | None) -> Row:
        has = self._at.client.has
        calls = ["fetch_open_orders"]
        for name, method in CLOSED_LISTS:
            if has.get(name) is True:
                calls.append(method)
        for method in calls:
            orders = await self._at.unified(method, instrument.symbol, level=Urgency.LOOKUP)
            for order in rows_at(orders, (), f"{self.name} {method}"):
                named = client_id_of(order, self._at.capability)
                if named == client_id or (venue_order_id is not None and order.get("id") == venue_order_id):
                    return self._at.restated(order)
        if len(calls) == 1:
            raise BadReadingError(f"{instrument}: closed orders cannot be listed here, so absence cannot be shown")
        raise _Missing(f"{instrument}: no such order among open and closed ones")

    async def fills(self, instrument: InstrumentId, since_ms: int) -> tuple[Fill, ...]:
        """Executions since then, oldest first, each once."""
        async with self._at.deadline():
            if self._at.capability.fill_orders:
                trades = await self._fills_of_orders(instrument, since_ms)
            elif self._at.capability.fill_rows is not None:
                trades = await self._raw_fills(instrument, since_ms)
            else:
                trades = await self._unified_fills(instrument, since_ms)
            unit = self._at.unit(instrument.symbol)
            fills = [fill_of(trade, instrument, unit, self._at.capability) for trade in trades]
        recent = {fill.trade_id: fill for fill in fills if fill.at_ms >= since_ms}
        return tuple(sorted(recent.values(), key=lambda fill: (fill.at_ms, fill.trade_id)))

    async def _fills_of_orders(self, instrument: InstrumentId, since_ms: int) -> list[Row]:
        market = self._at.market(instrument.symbol)
        keys = self._at.keys(market, self._at.capability.product_of(market))
        found: list[Row] = []
        for read, began, ended in self._at.capability.fill_orders:
            if read.about is not None and not read.about(market):
                continue
            for start, end in self._at.windows(since_ms, self._at.capability.fills_window_ms):
                rows = await self._at.rows(read, {**keys, began: start, ended: end}, Urgency.LOOKUP)
                orders = [self._at.order(row, market) for row in rows]
                found.extend(_as_fill(order) for order in orders if decimal_of(order.get("filled"), "filled") > 0)
        return found

    async def _raw_fills(self, instrument: InstrumentId, since_ms: int) -> list[Row]:
        recipe = self._at.capability.fill_rows
        assert recipe is not None  # noqa: S101 - asked only where there is one
        read, kind, kinds = recipe
        market = self._at.market(instrument.symbol)
        keys = self._at.keys(market, self._at.capability.product_of(market))
        since, until = self._at.capability.fill_span
        found: list[Row] = []
        for start, end in self._at.windows(since_ms, self._at.capability.fills_window_ms):
            rows = await self._at.rows(read, {**keys, since: start, until: end}, Urgency.LOOKUP)
            found.extend(self._at.client.parse_trade(row, market) for row in rows if row.get(kind) in kinds)
        return found

    async def _unified_fills(self, instrument: InstrumentId, since_ms: int) -> list[Row]:
        """Read forwards from the newest and backwards from the oldest until nothing new comes: venues differ in which
        end of a full page they keep.
        """
        found: dict[str, Row] = {}
        for asked in self._at.capability.fills_asked:
            for start, end in self._at.windows(since_ms, self._at.capability.fills_window_ms):
                await self._fills_between(instrument.symbol, start, end, asked, found)
        return list(found.values())

    async def _fills_between(
        self, symbol: str, start: int, end: int, asked: Mapping[str, Any], found: dict[str, Row]
    ) -> None:
        limit, named = self._at.capability.fills_limit, self._at.capability.fills_end
        span = {**asked, named: end} if named else asked
        page = await self._trades(symbol, start, span, found)
        for _ in range(FILL_PAGES_MAX if len(page) >= limit else 0):
            page = await self._trades(symbol, max(map(_stamp, page)), span, found)
            if not page:
                break
        for _ in range(FILL_PAGES_MAX if len(found) >= limit else 0):
            oldest = min(map(_stamp, found.values()))
            if not await self._trades(symbol, start, {**asked, named or "until": oldest}, found):
                break

    async def _trades(self, symbol: str, since: int, params: Mapping[str, Any], found: dict[str, Row]) -> list[Row]:
        """One page, put into ``found``; empty when nothing of it is new."""
        limit = self._at.capability.fills_limit
        answer = await self._at.unified("fetch_my_trades", symbol, since, limit, dict(params), level=Urgency.LOOKUP)
        page = rows_at(answer, (), f"{self.name} fills")
        fresh = {str(row.get("id")): row for row in page if str(row.get("id")) not in found}
        found.update(fresh)
        return page if fresh else []

    # Changing settings, taking back

    async def cancel(self, order: WorkingOrder) -> None:
        """Cancel; an order that is already gone is success."""
        call = self._at.client.cancel_order
        symbol = order.instrument.symbol
        await self._idempotent(
            lambda: call(order.venue_order_id, symbol), self._at.capability.codes.not_found, GONE_CLASSES, "cancel"
        )

    async def set_leverage(self, instrument: InstrumentId, leverage: Decimal) -> None:
        """Set the leverage; "not modified" is success."""
        call = self._at.client.set_leverage
        value: int | float = int(leverage) if leverage == leverage.to_integral_value() else float(leverage)
        # Where the margin mode is said with each order, cross and isolated have a leverage of their own.
        mode = self._at.margin_modes.get(instrument.symbol)
        if self._at.capability.mode_with_leverage:
            mode, _ = self._at.shown.get(instrument.symbol, (None, None))
            if mode is None:
                raise VenueError(
                    f"{instrument}: leverage {leverage:f} is not set: it is written with the margin mode, which is "
                    "neither stated nor shown by a position; state margin_mode too"
                )
        params = {} if mode is None else {"marginMode": mode}
        await self._idempotent(
            lambda: call(value, instrument.symbol, params),
            self._at.capability.codes.unchanged,
            SAME_CLASSES,
            "leverage",
        )

    async def set_margin_mode(
        self, instrument: InstrumentId, margin_mode: str, *, leverage: Decimal | None = None
    ) -> None:
        """Set ``cross`` or ``isolated``; "not modified" is success."""
        if self._at.capability.margin_mode_in_order:
            self._at.margin_modes[instrument.symbol] = margin_mode
            return
        call = self._at.client.set_margin_mode
        params: dict[str, Any] = {}
        if self._at.capability.mode_with_leverage:
            _, shown = self._at.shown.get(instrument.symbol, (None, None))
            leverage = leverage if shown is None else shown
            if leverage is None:
                raise VenueError(
                    f"{instrument}: margin mode {margin_mode} is not set: it is written with the leverage, which is "
                    "neither stated nor shown by a position; state leverage too"
                )
            params["leverage"] = int(leverage)
        await self._idempotent(
            lambda: call(margin_mode, instrument.symbol, params),
            self._at.capability.codes.unchanged,
            SAME_CLASSES,
            "margin mode",
        )
        if self._at.capability.margin_mode_with_orders:
            self._at.margin_modes[instrument.symbol] = margin_mode
        if self._at.capability.mode_with_leverage:
            self._at.shown[instrument.symbol] = (margin_mode, leverage)

    async def transfer(self, asset: str, amount: Decimal, source: str, target: str) -> str | None:
        """Move coins between the user's own wallets; one attempt. See :class:`~keeper.venue.further.Transfers`."""
        return await transfer(self._at, asset, amount, source, target)

    async def _idempotent(self, call: Any, codes: frozenset[str], classes: tuple[str, ...], what: str) -> None:
        """Make a call whose refusal for want of anything to do is success."""

        async def watched() -> None:
            try:
                await call()
            except Exception as failure:
                answers = ANSWERS.get() or []
                code = code_of(answers[-1] if answers else None, self._at.capability.codes)
                if code not in codes and not _is_class(failure, classes):
                    raise

        async with self._at.deadline(self._at.order_seconds):
            await self._at.ask(watched, Urgency.COVER, what)


def _is_class(failure: BaseException, names: tuple[str, ...]) -> bool:
    return any(kind.__name__ in names for kind in type(failure).__mro__)


def _as_fill(order: Row) -> Row:
    """An order as the one execution that it has come to."""
    at_ms = order.get("lastUpdateTimestamp") or order.get("timestamp")
    whole = {"order": order.get("id"), "amount": order.get("filled"), "price": order.get("average")}
    return {**order, **whole, "timestamp": at_ms}


def _stamp(row: Row) -> int:
    return int(str(row.get("timestamp") or 0))
