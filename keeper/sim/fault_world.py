"""The world takes its turn: other hands, forced closes, changed rules, closed markets, wrong clocks, broken streams.

All by the exchange's own means, so that what is then seen is true. What changes a rule or a condition is undone after
its time, or when the menu heals; what happened to an account has happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from keeper.sim.errors import SimError
from keeper.sim.events import StreamDisturbance
from keeper.sim.exchange import Exchange
from keeper.sim.fault_armed import Armed
from keeper.sim.fault_kinds import FaultKind
from keeper.sim.margin import floor_to, value
from keeper.sim.types import Filters, Market, MarketKey, MarketKind, MarketStatus, PositionSide

FUNDING_HOURS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Touched:
    """What a strike was about."""

    account: str | None = None
    market: MarketKey | None = None


@dataclass(frozen=True, slots=True)
class _Condition:
    """A state of things that ends, and how; ``until_ms`` None: when the menu heals."""

    kind: FaultKind
    until_ms: int | None
    undo: Callable[[], None]


_Strike: TypeAlias = Callable[[Armed], Touched | None]


class World:
    """Strikes at the exchange itself. Every strike returns None when there was nothing to strike at."""

    def __init__(self, exchange: Exchange, step_host: Callable[[int], bool]) -> None:
        self._exchange = exchange
        self._step_host = step_host
        self._conditions: list[_Condition] = []
        self._strikes: dict[FaultKind, _Strike] = {
            FaultKind.FOREIGN_TRADE: self._foreign_trade,
            FaultKind.ADL: self._adl,
            FaultKind.LIQUIDATION: self._liquidation,
            FaultKind.POSITION_MODE_FLIP: self._flip_mode,
            FaultKind.STEP_CHANGE: self._change_filters,
            FaultKind.TICK_CHANGE: self._change_filters,
            FaultKind.MINIMUM_CHANGE: self._change_filters,
            FaultKind.FUNDING_INTERVAL_CHANGE: self._change_interval,
            FaultKind.DELISTED: self._delist,
            FaultKind.EXPIRED: self._expire,
            FaultKind.VENUE_CLOCK_STEP: self._step_venue,
            FaultKind.HOST_CLOCK_STEP: self._step,
            FaultKind.STREAM_SILENT: self._silence,
            FaultKind.STREAM_CUT: self._cut,
            FaultKind.LISTEN_KEY_DIES: self._end_keys,
            FaultKind.REPLAY_BURST: self._replay,
        }

    def check(self, armed: Armed) -> None:
        """Raise ValueError for a parameter that the world does not know."""
        if armed.kind is FaultKind.DELISTED:
            known = [status.value for status in MarketStatus if status is not MarketStatus.TRADING]
            if armed.text("status") not in known:
                raise ValueError(f"delisted status: {armed.text('status')!r} is not one of {', '.join(known)}")
        if armed.kind is FaultKind.FUNDING_INTERVAL_CHANGE and armed.integer("hours") not in (0, *FUNDING_HOURS):
            raise ValueError(f"funding_interval_change hours: {armed.integer('hours')} is not one of {FUNDING_HOURS}")
        if "factor" in armed.parameters and armed.integer("factor") < 2:
            raise ValueError(f"{armed.kind.value} factor: {armed.integer('factor')} is not above 1")

    def strike(self, armed: Armed) -> Touched | None:
        """Let a fault strike; None when nothing was there to strike at, or the exchange would not have it."""
        try:
            return self._strikes[armed.kind](armed)
        except SimError:  # no such position, not enough money: then nothing has happened
            return None

    def ends_ms(self) -> list[int]:
        """When the conditions end that end by themselves."""
        return [condition.until_ms for condition in self._conditions if condition.until_ms is not None]

    def undo_due(self) -> None:
        """End what was for a time."""
        now_ms = self._exchange.clock.now_ms()
        for condition in tuple(self._conditions):
            if condition.until_ms is not None and condition.until_ms <= now_ms:
                self._conditions.remove(condition)
                condition.undo()

    def undo_all(self) -> None:
        """End everything, the latest first."""
        while self._conditions:
            self._conditions.pop().undo()

    def _lasting(self, armed: Armed, undo: Callable[[], None]) -> None:
        length_ms = armed.integer("for_ms")
        until_ms = self._exchange.clock.now_ms() + length_ms if length_ms else None
        self._conditions.append(_Condition(armed.kind, until_ms, undo))

    def _is_on(self, kind: FaultKind) -> bool:
        return any(condition.kind is kind for condition in self._conditions)

    # --- whom it strikes --------------------------------------------------------------------------------------------

    def _account(self, armed: Armed) -> str | None:
        keys = self._exchange.account_keys()
        return armed.rng.choice(keys) if keys else None

    def _contracts(self, *, dated: bool | None = None) -> list[Market]:
        markets = [
            market for kind in (MarketKind.LINEAR, MarketKind.INVERSE) for market in self._exchange.markets(kind)
        ]
        return [
            market
            for market in markets
            if market.status is MarketStatus.TRADING and dated in (None, market.expiry_ms is not None)
        ]

    def _market(self, armed: Armed, *, dated: bool | None = None) -> Market | None:
        """The market that was asked for; else one in which somebody has a position; else any contract."""
        if armed.trigger.market is not None:
            return self._exchange.market(armed.trigger.market)
        markets = self._contracts(dated=dated)
        held = [key for account in self._exchange.account_keys() for key in self._exchange.truth(account).positions]
        used = [market for market in markets if market.key in held]
        chosen = used or markets
        return armed.rng.choice(chosen) if chosen else None

    def _position(self, armed: Armed) -> tuple[str, MarketKey, PositionSide, Decimal] | None:
        """An open position (account, market, side, signed quantity)."""
        wanted = armed.trigger.market
        found = [
            (account, row.market, row.side, row.quantity)
            for account in self._exchange.account_keys()
            for kind in (MarketKind.LINEAR, MarketKind.INVERSE)
            for row in self._exchange.positions(account, kind, include_flat=False)
            if wanted in (None, row.market)
        ]
        return armed.rng.choice(found) if found else None

    # --- accounts ---------------------------------------------------------------------------------------------------

    def _foreign_trade(self, armed: Armed) -> Touched | None:
        account, market = self._account(armed), self._market(armed)
        if account is None or market is None:
            return None
        quantity = armed.decimal("quantity") or self._some_quantity(armed, market)
        if not quantity:
            return None
        self._exchange.foreign_trade(account, market.key, quantity)
        return Touched(account, market.key)

    def _some_quantity(self, armed: Armed, market: Market) -> Decimal:
        """A signed quantity worth up to ``max_notional``, in whole steps."""
        mark = self._exchange.mark_price(market.key)
        per_unit = abs(value(market, Decimal(1), mark)) * (mark if market.kind is MarketKind.INVERSE else 1)
        most = armed.decimal("max_notional") / per_unit
        quantity = floor_to(most * armed.rng.randint(1, 100) / 100, market.filters.step)
        return quantity * armed.rng.choice((1, -1))

    def _adl(self, armed: Armed) -> Touched | None:
        found = self._position(armed)
        if found is None:
            return None
        account, key, side, held = found
        step = self._exchange.market(key).filters.step
        quantity = max(step, floor_to(abs(held) * armed.decimal("ratio"), step))
        self._exchange.auto_deleverage(account, key, quantity, side)
        return Touched(account, key)

    def _liquidation(self, armed: Armed) -> Touched | None:
        found = self._position(armed)
        if found is None:
            return None
        account, key, _, _ = found
        self._exchange.liquidate(account, key)
        return Touched(account, key)

    def _flip_mode(self, armed: Armed) -> Touched | None:
        account, market = self._account(armed), self._market(armed)
        if account is None or market is None or self._exchange.position_mode(account, market.kind):
            return None
        kind = market.kind
        if armed.parameters["flatten"]:
            self._flatten(account, kind)
        self._exchange.set_position_mode(account, kind, True)

        def undo() -> None:
            if self._exchange.position_mode(account, kind):
                self._flatten(account, kind)
                self._exchange.set_position_mode(account, kind, False)

        self._lasting(armed, undo)
        return Touched(account, None)

    def _flatten(self, account: str, kind: MarketKind) -> None:
        """Close everything of a product by hand: the mode cannot be changed otherwise."""
        for order in self._exchange.open_orders(account, kind):
            self._exchange.cancel_order(account, order.market, order_id=order.order_id)
        for row in self._exchange.positions(account, kind, include_flat=False):
            self._exchange.foreign_trade(account, row.market, -row.quantity, row.side)

    # --- rules ------------------------------------------------------------------------------------------------------

    def _change_filters(self, armed: Armed) -> Touched | None:
        market = self._market(armed)
        if market is None or any(
            condition.kind is armed.kind for condition in self._conditions
        ):  # one change of a kind at a time: a step a thousand times as big is another story
            return None
        key, kind, factor = market.key, armed.kind, armed.integer("factor")
        before = market
        self._exchange.update_market(_coarser(market, kind, factor))

        def undo() -> None:
            now = self._exchange.market(key)
            self._exchange.update_market(_restored(now, before, kind))

        self._lasting(armed, undo)
        return Touched(None, key)

    def _change_interval(self, armed: Armed) -> Touched | None:
        market = self._market(armed, dated=False)
        if market is None or not market.is_perpetual or self._is_on(armed.kind):
            return None
        key, before = market.key, market.funding_interval_hours
        hours = armed.integer("hours") or armed.rng.choice([each for each in FUNDING_HOURS if each != before])
        if hours == before:
            return None
        self._exchange.set_funding_interval(key, hours)
        self._lasting(armed, lambda: self._exchange.set_funding_interval(key, before))
        return Touched(None, key)

    def _delist(self, armed: Armed) -> Touched | None:
        market = self._market(armed)
        if market is None or market.status is not MarketStatus.TRADING:
            return None
        key = market.key
        self._exchange.set_status(key, MarketStatus(armed.text("status")))

        def undo() -> None:
            if self._exchange.market(key).status is not MarketStatus.DELIVERED:
                self._exchange.set_status(key, MarketStatus.TRADING)

        self._lasting(armed, undo)
        return Touched(None, key)

    def _expire(self, armed: Armed) -> Touched | None:
        """Move a dated contract's expiry to now; the exchange delivers what is due right after."""
        market = self._market(armed, dated=True)
        if market is None or market.expiry_ms is None or market.status is not MarketStatus.TRADING:
            return None
        self._exchange.update_market(replace(market, expiry_ms=self._exchange.clock.now_ms()))
        return Touched(None, market.key)

    # --- clocks and streams -----------------------------------------------------------------------------------------

    def _some_step(self, armed: Armed) -> int:
        most = armed.integer("max_step_ms")
        return armed.integer("step_ms") or armed.rng.randint(1, most) * armed.rng.choice((1, -1))

    def _step_venue(self, armed: Armed) -> Touched | None:
        if self._is_on(armed.kind):
            return None
        step_ms = self._some_step(armed)
        self._exchange.door.clock_skew_ms += step_ms

        def undo() -> None:
            self._exchange.door.clock_skew_ms -= step_ms

        self._lasting(armed, undo)
        return Touched()

    def _step(self, armed: Armed) -> Touched | None:
        return Touched() if self._step_host(self._some_step(armed)) else None

    def _silence(self, armed: Armed) -> Touched | None:
        if self._is_on(armed.kind):
            return None
        self._exchange.door.disturb_streams(StreamDisturbance.SILENCE)
        self._lasting(armed, lambda: self._exchange.door.disturb_streams(StreamDisturbance.SPEAK))
        return Touched()

    def _cut(self, _armed: Armed) -> Touched:
        self._exchange.door.disturb_streams(StreamDisturbance.CUT)
        return Touched()

    def _end_keys(self, _armed: Armed) -> Touched:
        self._exchange.door.disturb_streams(StreamDisturbance.END_KEYS)
        return Touched()

    def _replay(self, armed: Armed) -> Touched:
        self._exchange.door.disturb_streams(StreamDisturbance.REPLAY, armed.integer("events"))
        return Touched()


def _coarser(market: Market, kind: FaultKind, factor: int) -> Market:
    """The market with bigger steps, ticks or minimums; what it publishes as its precision follows."""
    filters = market.filters
    if kind is FaultKind.STEP_CHANGE:
        step, market_step = filters.step * factor, filters.market_step * factor
        changed = replace(
            filters,
            step=step,
            market_step=market_step,
            min_qty=max(filters.min_qty, step),
            market_min_qty=max(filters.market_min_qty, market_step),
        )
        return replace(market, filters=changed, quantity_precision=_places(step))
    if kind is FaultKind.TICK_CHANGE:
        tick = filters.tick * factor
        changed = replace(filters, tick=tick, min_price=max(filters.min_price, tick))
        return replace(market, filters=changed, price_precision=_places(tick))
    changed = replace(
        filters,
        min_qty=filters.min_qty * factor,
        market_min_qty=filters.market_min_qty * factor,
        min_notional=filters.min_notional * factor,
    )
    return replace(market, filters=changed)


def _restored(market: Market, before: Market, kind: FaultKind) -> Market:
    """The market with what this kind of change had touched put back."""
    old, now = before.filters, market.filters
    changed: Filters
    if kind is FaultKind.STEP_CHANGE:
        changed = replace(
            now, step=old.step, market_step=old.market_step, min_qty=old.min_qty, market_min_qty=old.market_min_qty
        )
        return replace(market, filters=changed, quantity_precision=before.quantity_precision)
    if kind is FaultKind.TICK_CHANGE:
        changed = replace(now, tick=old.tick, min_price=old.min_price)
        return replace(market, filters=changed, price_precision=before.price_precision)
    changed = replace(now, min_qty=old.min_qty, market_min_qty=old.market_min_qty, min_notional=old.min_notional)
    return replace(market, filters=changed)


def _places(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
