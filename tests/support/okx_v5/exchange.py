"""The venue's truth: one account in net mode, orders against a book of one level, fills, bills."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from keeper.clock import Clock
from tests.support.okx_v5.instruments import MAKER, TAKER, Instrument
from tests.support.okx_v5.wire import ZERO, Json, Refusal, needed, number, text, word

D = Decimal
COIN = D("0.0000000001")
MAINTENANCE, LEVERAGE, FUNDING_RATE = D("0.004"), D(10), D("0.0001")
RESTING = frozenset({"limit", "post_only"})
ORDER_TYPES = frozenset({"market", "limit", "post_only", "fok", "ioc"})


@dataclass(slots=True)
class Market:
    """One instrument's prices; ``depth`` is what one look at the book finds on each side, endless where None."""

    instrument: Instrument
    mark: Decimal
    depth: Decimal | None = None
    funding_rate: Decimal = FUNDING_RATE

    @property
    def bid(self) -> Decimal:
        """A tick below the mark."""
        return self._on_tick(self.mark) - self.instrument.tick

    @property
    def ask(self) -> Decimal:
        """A tick above it."""
        return self._on_tick(self.mark) + self.instrument.tick

    def _on_tick(self, price: Decimal) -> Decimal:
        return (price / self.instrument.tick).to_integral_value() * self.instrument.tick


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; the venue's views show it from ``shown_ms`` on."""

    id: int
    order: Order
    size: Decimal
    price: Decimal
    fee: Decimal
    fee_coin: str
    at_ms: int
    shown_ms: int
    maker: bool


@dataclass(slots=True, eq=False)
class Order:
    """An order that was taken in. ``state`` and ``filled`` are the truth; a view may be behind."""

    id: str
    client_id: str
    instrument: Instrument
    side: str
    kind: str
    size: Decimal
    price: Decimal | None
    mode: str
    reduce_only: bool
    at_ms: int
    foreign: bool = False
    state: str = "live"
    filled: Decimal = ZERO
    cancel_source: str = ""
    updated_ms: int = 0
    fills: list[Fill] = field(default_factory=list)

    @property
    def sign(self) -> int:
        """+1 buys, -1 sells."""
        return 1 if self.side == "buy" else -1


@dataclass(slots=True)
class Holding:
    """A position: signed contracts and their average entry. One that was closed stays, at zero."""

    size: Decimal = ZERO
    entry: Decimal = ZERO
    lowest: Decimal = ZERO
    leverage: Decimal = LEVERAGE
    mode: str = "cross"
    at_ms: int = 0


class Exchange:
    """Everything that is true, whatever a client is told."""

    def __init__(self, clock: Clock, instruments: tuple[Instrument, ...], prices: dict[str, Decimal]) -> None:
        self.clock = clock
        self.markets = {unit.id: Market(unit, prices[unit.base]) for unit in instruments}
        self.cash: dict[str, Decimal] = {}
        self.funding_cash: dict[str, Decimal] = {}
        self.holdings: dict[str, Holding] = {}
        self.orders: list[Order] = []
        self.fills: list[Fill] = []
        self.leverages: dict[tuple[str, str], Decimal] = {}
        self.bills: list[Json] = []
        self.position_mode = "net_mode"
        self.account_level = "2"
        self.rights = "read_only,trade"
        self.skew_ms = 0
        self.late_seconds = 0.0
        self.before_order: Callable[[], object] | None = None
        """Happens once, just before the next order is judged."""
        self._ids = 600_000_000_000_000_000

    def now_ms(self) -> int:
        """The venue's own clock."""
        return self.clock.now_ms() + self.skew_ms

    def next_id(self) -> str:
        """Ids of orders, fills and bills rise."""
        self._ids += 1
        return str(self._ids)

    def market(self, ident: str) -> Market:
        """The market of a name; 51001 when there is none."""
        if ident not in self.markets:
            raise Refusal("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return self.markets[ident]

    # -- money

    def open_profit(self, ident: str) -> Decimal:
        """Unrealised profit in the settlement coin."""
        market, held = self.markets[ident], self.holdings.get(ident)
        if held is None or held.size == 0:
            return ZERO
        return _profit(market.instrument, held.size, held.entry, market.mark)

    def equity(self, coin: str) -> Decimal:
        """Cash and the open profit of what settles in it."""
        return self.cash.get(coin, ZERO) + sum((self.open_profit(ident) for ident in self._settling(coin)), ZERO)

    def margin(self, coin: str) -> Decimal:
        """What the positions that settle in a coin bind of it."""
        held = ((self.markets[ident], self.holdings[ident]) for ident in self._settling(coin))
        return sum((abs(m.instrument.worth(h.size, m.mark)) / h.leverage for m, h in held), ZERO)

    def _settling(self, coin: str) -> list[str]:
        return [ident for ident in self.holdings if self.markets[ident].instrument.settle == coin]

    def book(self, coin: str, change: Decimal, kind: str, unit: Instrument | None = None, order: str = "") -> None:
        """Change a balance, and write it down."""
        self.cash[coin] = self.cash.get(coin, ZERO) + change
        self.bills.append(
            {
                "bal": text(self.cash[coin]),
                "balChg": text(change),
                "billId": self.next_id(),
                "ccy": coin,
                "instId": unit.id if unit is not None else "",
                "instType": unit.kind if unit is not None else "",
                "mgnMode": "cross" if unit is not None and unit.contract else "",
                "ordId": order,
                "pnl": "0",
                "posBalChg": "0",
                "subType": "",
                "sz": "",
                "ts": str(self.now_ms()),
                "type": kind,
            }
        )

    # -- orders

    def place(self, params: Json) -> Order:
        """Take an order in, or refuse it; what can trade at once does."""
        item = {"clOrdId": word(params, "clOrdId")}
        happens, self.before_order = self.before_order, None
        if happens is not None:
            happens()
        try:
            order = self._understood(params)
            self._check(order)
        except Refusal as refusal:
            if refusal.code.startswith("51"):
                raise Refusal(refusal.code, refusal.message, item=item) from refusal
            raise
        self.orders.append(order)
        self.match(order)
        return order

    def _understood(self, params: Json) -> Order:
        unit = self.market(needed(params, "instId")).instrument
        kind, side, mode = (needed(params, name) for name in ("ordType", "side", "tdMode"))
        size, price, client_id = number(params, "sz"), number(params, "px"), word(params, "clOrdId")
        if client_id and not re.fullmatch(r"[A-Za-z0-9]{1,32}", client_id):
            raise Refusal("51000", "Parameter clOrdId error")
        if kind not in ORDER_TYPES:
            raise Refusal("51000", "Parameter ordType error")
        if side not in ("buy", "sell"):
            raise Refusal("51000", "Parameter side error")
        if mode not in (("cross", "isolated") if unit.contract else ("cash",)):
            raise Refusal("51000", "Parameter tdMode error")
        if size is None or size <= 0 or (kind != "market" and (price is None or price <= 0)):
            raise Refusal("51000", f"Parameter {'px' if size is not None and size > 0 else 'sz'} error")
        if unit.contract and word(params, "posSide") not in self._sides():
            raise Refusal("51000", "Parameter posSide error")
        if params.get("reduceOnly", False) not in (True, False, "true", "false"):
            raise Refusal("51000", "Parameter reduceOnly error")
        reduce_only = unit.contract and str(params.get("reduceOnly", "")).lower() == "true"
        now = self.now_ms()
        return Order(
            self.next_id(), client_id, unit, side, kind, size, price, mode, reduce_only, now, updated_ms=now
        )  # fmt: skip

    def _sides(self) -> tuple[str, ...]:
        return ("", "net") if self.position_mode == "net_mode" else ("long", "short")

    def _check(self, order: Order) -> None:
        unit = order.instrument
        if order.client_id and any(known.client_id == order.client_id for known in self.orders):
            raise Refusal("51016", "Client order ID already exists.")
        if unit.contract and self.account_level == "1":
            raise Refusal("51010", "Request unsupported under current account mode.")
        if order.size < unit.least:
            raise Refusal("51020", "Your order should meet or exceed the minimum order amount.")
        if order.size % unit.lot:
            raise Refusal("51121", "Order quantity must be a multiple of the lot size.")
        if order.size > unit.most:
            raise Refusal("51101", "Entered amount exceeds the max pending order amount (Cont) per transaction.")
        if not unit.contract:
            return
        held = self.holdings.get(unit.id, Holding())
        if order.reduce_only:
            if held.size * order.sign >= 0:
                text_ = "Order failed because you don't have any positions in this direction to reduce or close."
                raise Refusal("51169", text_)
            order.size = min(order.size, abs(held.size))
            return
        after = abs(held.size + order.sign * order.size)
        if after <= abs(held.size):
            return
        price = order.price or self.markets[unit.id].mark
        more = unit.worth(after - abs(held.size), price) / held.leverage
        if more > self.equity(unit.settle) - self.margin(unit.settle):
            raise Refusal("51008", f"Order failed. Insufficient {unit.settle} margin in account.")

    def match(self, order: Order) -> None:
        """Trade what can be traded now; what is left rests, or goes."""
        market = self.markets[order.instrument.id]
        touch = market.ask if order.side == "buy" else market.bid
        crosses = order.price is None or order.kind == "market" or (touch - order.price) * order.sign <= 0
        if crosses and order.kind == "post_only":
            self.end(order, "31")
            return
        if crosses:
            self.fill(order, min(order.size - order.filled, market.depth or order.size), touch)
        if order.filled < order.size and order.kind not in RESTING:
            self.end(order, "14")

    def end(self, order: Order, source: str) -> None:
        """The order is over with what it has."""
        order.state, order.cancel_source, order.updated_ms = "canceled", source, self.now_ms()

    def sweep(self) -> None:
        """What rests is traded with where the book has come to it."""
        for order in self.orders:
            market = self.markets[order.instrument.id]
            touch = market.ask if order.side == "buy" else market.bid
            if order.price is None or order.state not in ("live", "partially_filled"):
                continue
            if (touch - order.price) * order.sign <= 0:
                self.fill(order, order.size - order.filled, order.price, maker=True)

    def fill(self, order: Order, size: Decimal, price: Decimal, *, maker: bool = False) -> None:
        """One execution: money, position, and when its views come."""
        unit, now = order.instrument, self.now_ms()
        if size <= 0:
            return
        fee_coin = unit.settle if unit.contract else (unit.base if order.side == "buy" else unit.quote)
        paid_on = unit.worth(size, price) if unit.contract or order.side == "sell" else size
        fee = (paid_on * (MAKER if maker else TAKER)).quantize(COIN)
        shown = now + round(self.late_seconds * 1000)
        one = Fill(int(self.next_id()), order, size, price, fee, fee_coin, now, shown, maker)
        self.fills.append(one)
        order.fills.append(one)
        order.filled += size
        order.state, order.updated_ms = "filled" if order.filled == order.size else "partially_filled", now
        if unit.contract:
            self._move(unit, order.sign * size, price)
            held = self.holdings[unit.id]
            held.mode, held.leverage = order.mode, self.leverages.get((unit.id, order.mode), LEVERAGE)
        else:
            self.book(unit.base, order.sign * size, "2", unit, order.id)
            self.book(unit.quote, -order.sign * unit.worth(size, price), "2", unit, order.id)
        self.book(fee_coin, -fee, "2", unit, order.id)

    def _move(self, unit: Instrument, change: Decimal, price: Decimal) -> None:
        held = self.holdings.setdefault(unit.id, Holding())
        closed = min(abs(held.size), abs(change)) if held.size * change < 0 else ZERO
        if closed:
            gain = _profit(unit, closed.copy_sign(held.size), held.entry, price)
            self.book(unit.settle, gain.quantize(COIN), "2", unit)
        opened = abs(change) - closed
        kept = abs(held.size) - closed
        if opened:
            if unit.inverse and kept:
                held.entry = (kept + opened) / (kept / held.entry + opened / price)
            else:
                held.entry = (kept * held.entry + opened * price) / (kept + opened)
        held.size += change
        held.lowest = min(held.lowest, held.size)
        held.at_ms = self.now_ms()

    # -- the world

    def foreign(self, ident: str, change: Decimal) -> Order:
        """Somebody else with access to the account trades at the mark; signed."""
        unit, now = self.markets[ident].instrument, self.now_ms()
        side = "buy" if change > 0 else "sell"
        order = Order(
            self.next_id(), "", unit, side, "market", abs(change), None, "cross" if unit.contract else "cash", False,
            now, foreign=True, updated_ms=now,
        )  # fmt: skip
        self.orders.append(order)
        self.fill(order, order.size, self.markets[ident].mark)
        return order

    def settle_funding(self, ident: str) -> None:
        """Shorts receive a positive rate, longs pay it."""
        market, held = self.markets[ident], self.holdings[ident]
        paid = market.instrument.worth(held.size, market.mark) * market.funding_rate
        self.book(market.instrument.settle, -paid.quantize(COIN, ROUND_DOWN), "8", market.instrument)


def _profit(unit: Instrument, size: Decimal, entry: Decimal, price: Decimal) -> Decimal:
    if unit.inverse:
        return size * unit.value * (1 / entry - 1 / price)
    return size * unit.value * (price - entry)
