"""The paper account itself: wallets, positions, orders, trades, funding. The only room here that moves money.

What changes something has to be called inside :meth:`Account.change`, and every wallet change goes through ``_pay``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from keeper.core.model import ZERO, Contracts, Instrument, InstrumentId, Kind, PlannedOrder, Quote, Side
from keeper.venue.paper.store import Store
from keeper.venue.paper.sums import booked, funding, step, value
from keeper.venue.paper.terms import Opening

TRADE, OPENING, DELIVERY = "trade", "opening", "delivery"
"""What changed a position: an order of ours, the account's beginning, a contract's end."""


@dataclass(frozen=True, slots=True)
class Begun:
    """When the account began, which real wallets it was taken from (None: from none), and all of it as JSON."""

    at_ms: int
    read: frozenset[str] | None
    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """A position; ``realised`` is all that trades in it have brought, without fees and funding."""

    instrument: Instrument
    contracts: Decimal
    entry: Decimal
    realised: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was taken in. ``filled`` is positive contracts."""

    id: int
    client_id: str
    symbol: str
    side: Side
    contracts: Decimal
    price: Decimal
    reduce_only: bool
    is_open: bool
    filled: Decimal
    text: str

    @property
    def remaining(self) -> Decimal:
        """Contracts that have not filled."""
        return self.contracts - self.filled


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution; ``fee`` is what was paid, in ``asset``."""

    id: int
    order_id: int | None
    client_id: str | None
    side: Side
    contracts: Decimal
    price: Decimal
    fee: Decimal
    asset: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Payment:
    """One funding settlement; a positive ``amount`` was received."""

    at_ms: int
    amount: Decimal
    asset: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The last prices seen of a contract that is held: its mark, what it would be settled at, and when that was."""

    mark: Decimal
    settle: Decimal
    at_ms: int


class Account:
    """One paper account in a :class:`~keeper.venue.paper.store.Store`."""

    def __init__(self, venue: str, store: Store, collateral: str | None) -> None:
        self._venue = venue
        self._store = store
        self._collateral = collateral
        self._begun: Begun | None = None

    def change(self) -> AbstractContextManager[None]:
        """Everything inside is kept, or nothing is."""
        return self._store.change()

    # The beginning

    @property
    def begun(self) -> Begun | None:
        """How the account began; None before that."""
        told = self._fact("begun") if self._begun is None else None
        if told is not None:
            facts = json.loads(told)
            self._begun = Begun(facts["at_ms"], None if facts["read"] is None else frozenset(facts["read"]), told)
        return self._begun

    def named(self, number: int) -> str:
        """The id of something of this account: no other account that ever begins in its place has the same."""
        begun = self.begun
        return f"paper-{0 if begun is None else begun.at_ms}-{number}"

    def begin(
        self,
        wallets: Mapping[str, Mapping[str, Decimal]],
        openings: Sequence[tuple[Instrument, Opening]],
        at_ms: int,
        read: Sequence[str] | None = None,
    ) -> None:
        """Put in what the account begins with; ``read`` are the real wallets that it was taken from, if it was."""
        for wallet, coins in wallets.items():
            for asset, amount in coins.items():
                self._store.put("wallets", wallet=wallet, asset=asset, amount=amount)
        for instrument, opening in openings:
            self._keep(Held(instrument, opening.contracts, opening.entry, ZERO))
            self._note(OPENING, None, instrument, opening.contracts, opening.entry, at_ms=at_ms)
        # Where no wallet for contracts alone was named, the money beside the coins margins them.
        self._store.put("facts", name="linear_wallet", value="linear" if "linear" in wallets else "")
        told = {
            "at_ms": at_ms,
            "read": None if read is None else list(read),
            "wallets": {name: {asset: str(amount) for asset, amount in has.items()} for name, has in wallets.items()},
            "positions": {
                instrument.id.symbol: {"contracts": str(opening.contracts), "entry": str(opening.entry)}
                for instrument, opening in openings
            },
        }
        self._store.put("facts", name="begun", value=json.dumps(told))

    def _fact(self, name: str) -> str | None:
        row = self._store.row("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else str(row["value"])

    # Wallets

    def margin_wallet(self, instrument: Instrument) -> str:
        """The wallet that a contract is margined by, and that its profit, fees and funding go through."""
        if instrument.kind is Kind.INVERSE:
            return self._collateral or ""
        return self._fact("linear_wallet") or ""

    def wallet(self, wallet: str) -> dict[str, Decimal]:
        """Coins by asset."""
        rows = self._store.rows("SELECT asset, amount FROM wallets WHERE wallet = ? ORDER BY asset", wallet)
        return {row["asset"]: Decimal(row["amount"]) for row in rows}

    def wallets(self) -> dict[str, dict[str, Decimal]]:
        """Every wallet that has ever held something."""
        names = [row["wallet"] for row in self._store.rows("SELECT DISTINCT wallet FROM wallets ORDER BY wallet")]
        return {name: self.wallet(name) for name in names}

    def _pay(self, wallet: str, asset: str, amount: Decimal) -> None:
        if amount:
            held = self.wallet(wallet).get(asset, ZERO)
            self._store.put("wallets", wallet=wallet, asset=asset, amount=held + amount)

    def transfer(self, asset: str, amount: Decimal, source: str, target: str, at_ms: int) -> str:
        """Move coins between two wallets; the number of the transfer."""
        self._pay(source, asset, -amount)
        self._pay(target, asset, amount)
        number = self._store.put("transfers", asset=asset, amount=amount, source=source, target=target, at_ms=at_ms)
        return str(number)

    def moved_out(self, wallet: str, asset: str, since_ms: int) -> Decimal:
        """Coins that transfers have taken from a wallet since then."""
        query = "SELECT amount FROM transfers WHERE source = ? AND asset = ? AND at_ms >= ?"
        return sum((Decimal(row["amount"]) for row in self._store.rows(query, wallet, asset, since_ms)), ZERO)

    # Positions

    def held(self, symbol: str) -> Held | None:
        """The position in a contract that was ever held, flat or not."""
        row = self._store.row("SELECT * FROM positions WHERE symbol = ?", symbol)
        return None if row is None else self._held(row)

    def positions(self) -> tuple[Held, ...]:
        """Positions that are not flat."""
        rows = self._store.rows("SELECT * FROM positions ORDER BY symbol")
        return tuple(held for held in map(self._held, rows) if held.contracts)

    def ever_held(self) -> tuple[Held, ...]:
        """Positions that are or were there."""
        return tuple(map(self._held, self._store.rows("SELECT * FROM positions ORDER BY symbol")))

    def contracts_at(self, symbol: str, at_ms: int) -> Decimal:
        """What was held when a moment came, by the record of what changed it: a trade of that moment is after it."""
        rows = self._store.rows("SELECT side, contracts FROM trades WHERE symbol = ? AND at_ms < ?", symbol, at_ms)
        return sum((_signed(Side(row["side"]), Decimal(row["contracts"])) for row in rows), ZERO)

    def changed_at_ms(self, symbol: str) -> int:
        """When a position was last changed; 0 for never."""
        row = self._store.row("SELECT MAX(at_ms) AS at_ms FROM trades WHERE symbol = ?", symbol)
        return 0 if row is None or row["at_ms"] is None else int(row["at_ms"])

    def _held(self, row: Any) -> Held:
        return Held(
            _instrument(self._venue, row["instrument"]),
            *(Decimal(row[name]) for name in ("contracts", "entry", "realised")),
        )

    def _keep(self, held: Held) -> None:
        self._store.put(
            "positions",
            symbol=held.instrument.id.symbol, contracts=held.contracts, entry=held.entry, realised=held.realised,
            instrument=_spelled(held.instrument),
        )  # fmt: skip

    # Orders

    def open_orders(self, symbol: str | None = None) -> tuple[Order, ...]:
        """Orders that rest, oldest first."""
        rows = self._store.rows("SELECT * FROM orders WHERE is_open = 1 ORDER BY id")
        return tuple(_order(row) for row in rows if symbol in (None, row["symbol"]))

    def order(self, client_id: str) -> Order | None:
        """The order of that client id, open or closed."""
        row = self._store.row("SELECT * FROM orders WHERE client_id = ?", client_id)
        return None if row is None else _order(row)

    def accept(self, order: PlannedOrder, contracts: Decimal, at_ms: int) -> Order:
        """Take an order in, of so many contracts."""
        self._store.put(
            "orders",
            client_id=order.client_id, symbol=order.instrument.symbol, side=order.side.value, contracts=contracts,
            price=order.price, reduce_only=int(order.reduce_only), time_in_force=order.time_in_force, is_open=1,
            filled=ZERO, text="", at_ms=at_ms,
        )  # fmt: skip
        taken_in = self.order(order.client_id)
        assert taken_in is not None  # noqa: S101  # it was written in the line before
        return taken_in

    def end(self, order: Order, text: str) -> None:
        """Close an order with whatever it has filled."""
        self._store.run("UPDATE orders SET is_open = 0, text = ? WHERE id = ?", text, order.id)

    def fill(
        self, order: Order, instrument: Instrument, contracts: Decimal, price: Decimal, rate: Decimal, at_ms: int
    ) -> Order:
        """Execute a part of an order: position, realised profit and fee in one."""
        change = _signed(order.side, contracts)
        fee = booked(abs(value(instrument, contracts, price)) * rate)
        self._move(instrument, change, price)
        self._pay(self.margin_wallet(instrument), instrument.settle, -fee)
        self._note(TRADE, order, instrument, change, price, fee=fee, at_ms=at_ms)
        filled = order.filled + contracts
        done = filled >= order.contracts
        self._store.run("UPDATE orders SET filled = ?, is_open = ? WHERE id = ?", str(filled), int(not done), order.id)
        after = self.order(order.client_id)
        assert after is not None  # noqa: S101  # an order that was taken in is never deleted
        return after

    def deliver(self, held: Held, price: Decimal, at_ms: int) -> Decimal:
        """Settle a contract that has expired at ``price``: the position ends, its orders with it. What it brought."""
        for order in self.open_orders(held.instrument.id.symbol):
            self.end(order, "the contract has expired")
        self._note(DELIVERY, None, held.instrument, -held.contracts, price, at_ms=at_ms)
        return self._move(held.instrument, -held.contracts, price)

    def _move(self, instrument: Instrument, change: Decimal, price: Decimal) -> Decimal:
        before = self.held(instrument.id.symbol) or Held(instrument, ZERO, ZERO, ZERO)
        after = step(instrument, before.contracts, before.entry, change, price)
        self._keep(Held(instrument, after.contracts, after.entry, before.realised + after.realised))
        self._pay(self.margin_wallet(instrument), instrument.settle, after.realised)
        return after.realised

    def _note(
        self, kind: str, order: Order | None, instrument: Instrument, change: Decimal, price: Decimal, *,
        fee: Decimal = ZERO, at_ms: int,
    ) -> None:  # fmt: skip
        self._store.put(
            "trades",
            kind=kind, order_id=order.id if order else None, client_id=order.client_id if order else None,
            symbol=instrument.id.symbol, side=(Side.BUY if change > 0 else Side.SELL).value, contracts=abs(change),
            price=price, fee=fee, asset=instrument.settle, at_ms=at_ms,
        )  # fmt: skip

    def trades(self, symbol: str, since_ms: int) -> tuple[Trade, ...]:
        """Executions of orders, and deliveries, since then, oldest first."""
        query = "SELECT * FROM trades WHERE symbol = ? AND at_ms >= ? AND kind != ? ORDER BY id"
        return tuple(_trade(row) for row in self._store.rows(query, symbol, since_ms, OPENING))

    def trades_of(self, order: Order) -> tuple[Trade, ...]:
        """Executions of one order."""
        return tuple(_trade(row) for row in self._store.rows("SELECT * FROM trades WHERE order_id = ?", order.id))

    # Funding

    def settle(self, held: Held, at_ms: int, rate: Decimal, mark: Decimal, booked_at_ms: int) -> Decimal | None:
        """Pay one settlement on what was held at its moment; None where it was paid before, or nothing was held."""
        symbol, instrument = held.instrument.id.symbol, held.instrument
        if self._store.row("SELECT 1 FROM funding WHERE symbol = ? AND at_ms = ?", symbol, at_ms) is not None:
            return None
        contracts = self.contracts_at(symbol, at_ms)
        if not contracts:
            return None
        amount = funding(instrument, contracts, mark, rate)
        self._pay(self.margin_wallet(instrument), instrument.settle, amount)
        self._store.put(
            "funding",
            symbol=symbol, at_ms=at_ms, rate=rate, mark=mark, contracts=contracts, amount=amount,
            asset=instrument.settle, booked_at_ms=booked_at_ms,
        )  # fmt: skip
        return amount

    def payments(self, symbol: str, since_ms: int) -> tuple[Payment, ...]:
        """Settlements since then, oldest first; those of before too that were only made up for since then."""
        query = "SELECT * FROM funding WHERE symbol = ? AND (at_ms >= ? OR booked_at_ms >= ?) ORDER BY at_ms"
        rows = self._store.rows(query, symbol, since_ms, since_ms)
        return tuple(Payment(row["at_ms"], Decimal(row["amount"]), row["asset"]) for row in rows)

    def funded_until_ms(self, symbol: str) -> int:
        """Until when settlements have been asked for; there is nothing to ask for before the first trade."""
        row = self._store.row("SELECT MIN(at_ms) AS at_ms FROM trades WHERE symbol = ?", symbol)
        first = 0 if row is None or row["at_ms"] is None else int(row["at_ms"])
        return max(first, int(self._fact(f"funded {symbol}") or 0))

    def funded(self, symbol: str, until_ms: int) -> None:
        """Keep until when settlements have been asked for; it never goes back."""
        if until_ms > self.funded_until_ms(symbol):
            self._store.put("facts", name=f"funded {symbol}", value=str(until_ms))

    # What was seen of the market

    def taken(self, symbol: str, side: Side) -> dict[Decimal, Decimal]:
        """What our fills have taken from one side of a book (``Side.BUY``: the bids), by price."""
        rows = self._store.rows("SELECT price, contracts FROM taken WHERE symbol = ? AND side = ?", symbol, side.value)
        return {Decimal(row["price"]): Decimal(row["contracts"]) for row in rows}

    def keep_taken(self, symbol: str, side: Side, taken: Mapping[Decimal, Decimal]) -> None:
        """Remember that in place of what was remembered."""
        self._store.run("DELETE FROM taken WHERE symbol = ? AND side = ?", symbol, side.value)
        for price, contracts in taken.items():
            self._store.put("taken", symbol=symbol, side=side.value, price=price, contracts=contracts)

    def seen(self, symbol: str) -> Seen | None:
        """The last prices that were kept of a contract."""
        row = self._store.row("SELECT * FROM prices WHERE symbol = ?", symbol)
        return None if row is None else Seen(Decimal(row["mark"]), Decimal(row["settle"]), row["at_ms"])

    def keep_seen(self, symbol: str, seen: Seen) -> None:
        """Keep prices, so that a contract that ends while nobody looks can be settled."""
        self._store.put("prices", symbol=symbol, mark=seen.mark, settle=seen.settle, at_ms=seen.at_ms)

    # Settings

    def leverage(self, symbol: str) -> Decimal | None:
        """The leverage that was set for a contract."""
        row = self._store.row("SELECT leverage FROM leverages WHERE symbol = ?", symbol)
        return None if row is None else Decimal(row["leverage"])

    def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Set the leverage of a contract."""
        self._store.put("leverages", symbol=symbol, leverage=leverage)


def _signed(side: Side, contracts: Decimal) -> Decimal:
    return -contracts if side is Side.SELL else contracts


def _order(row: Any) -> Order:
    return Order(
        row["id"],
        row["client_id"],
        row["symbol"],
        Side(row["side"]),
        Decimal(row["contracts"]),
        Decimal(row["price"]),
        bool(row["reduce_only"]),
        bool(row["is_open"]),
        Decimal(row["filled"]),
        row["text"],
    )


def _trade(row: Any) -> Trade:
    return Trade(
        row["id"],
        row["order_id"],
        row["client_id"],
        Side(row["side"]),
        Decimal(row["contracts"]),
        Decimal(row["price"]),
        Decimal(row["fee"]),
        row["asset"],
        row["at_ms"],
    )


def _spelled(instrument: Instrument) -> str:
    """A contract as text: what is held has to be known even when the venue does not list it any more."""
    facts = {**asdict(instrument), "id": instrument.id.symbol}
    return json.dumps({name: str(fact) if isinstance(fact, Decimal) else fact for name, fact in facts.items()})


def _instrument(venue: str, text: str) -> Instrument:
    facts = json.loads(text)
    most = facts["max_contracts"]
    return Instrument(
        InstrumentId(venue, facts["id"]),
        facts["base"],
        facts["quote"],
        facts["settle"],
        Kind(facts["kind"]),
        Decimal(facts["contract_size"]),
        Contracts(Decimal(facts["step_contracts"])),
        Decimal(facts["tick"]),
        Contracts(Decimal(facts["min_contracts"])),
        None if most is None else Contracts(Decimal(most)),
        Quote(Decimal(facts["min_notional"])),
        facts["min_notional_on_covers"],
        facts["expires_at_ms"],
    )
