"""``/sapi/v1/simple-earn``: coins lent out at call. One flexible product a coin; nothing is ever locked."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.exchange import Exchange
from keeper.sim.types import Movement, MovementKind, WalletKind
from keeper.sim.wire import errors
from keeper.sim.wire.request import Call, Routes, signed
from keeper.sim.wire.text import Json, fixed8, plain

_PREFIX = "/sapi/v1/simple-earn"
_SUFFIX = "001"
YEARLY_RATE = "0.01000000"
_ACCOUNTS = {"SPOT": WalletKind.SPOT, "FUND": WalletKind.FUNDING}
_NAMES = {wallet: name for name, wallet in _ACCOUNTS.items()}
PAGE_DEFAULT, PAGE_MAX = 10, 100


class SimpleEarn:
    """The earn wallet's routes."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> Routes:
        """The routes."""
        return {
            ("GET", f"{_PREFIX}/flexible/list"): signed(self.products, 150),
            ("GET", f"{_PREFIX}/flexible/position"): signed(self.positions, 150),
            ("GET", f"{_PREFIX}/locked/position"): signed(lambda _: {"rows": [], "total": 0}, 150),
            ("POST", f"{_PREFIX}/flexible/subscribe"): signed(self.subscribe),
            ("POST", f"{_PREFIX}/flexible/redeem"): signed(self.redeem),
            ("GET", f"{_PREFIX}/flexible/history/subscriptionRecord"): signed(self.subscriptions, 150),
            ("GET", f"{_PREFIX}/flexible/history/redemptionRecord"): signed(self.redemptions, 150),
        }

    def products(self, call: Call) -> Json:
        """Every asset can be lent."""
        asked = call.optional("asset")
        assets = dict.fromkeys(asset for each in self._exchange.markets() for asset in (each.base, each.settle))
        rows: list[Json] = [
            {
                "asset": asset,
                "latestAnnualPercentageRate": YEARLY_RATE,
                "canPurchase": True,
                "canRedeem": True,
                "isSoldOut": False,
                "hot": False,
                "minPurchaseAmount": "0.00000001",
                "productId": asset + _SUFFIX,
                "subscriptionStartTime": 1_646_182_276_000,
                "status": "PURCHASING",
            }
            for asset in assets
            if asked in (None, asset)
        ]
        return _page(call, rows)

    def positions(self, call: Call) -> Json:
        """What is lent out."""
        asked = call.optional("asset")
        rows: list[Json] = [
            {
                "totalAmount": fixed8(row.total),
                "latestAnnualPercentageRate": YEARLY_RATE,
                "yesterdayAirdropPercentageRate": "0.00000000",
                "asset": row.asset,
                "canRedeem": True,
                "collateralAmount": "0",
                "productId": row.asset + _SUFFIX,
                "yesterdayRealTimeRewards": "0",
                "cumulativeBonusRewards": "0",
                "cumulativeRealTimeRewards": "0",
                "cumulativeTotalRewards": "0",
                "autoSubscribe": False,
            }
            for row in self._exchange.earn_wallet(call.api_key)
            if row.total and asked in (None, row.asset)
        ]
        return _page(call, rows)

    def subscribe(self, call: Call) -> Json:
        """Lend coins of the spot or the funding wallet."""
        source = _account(call, "sourceAccount")
        done = self._move(call, source, WalletKind.EARN, call.decimal("amount"))
        return {"purchaseId": done.movement_id, "success": True}

    def redeem(self, call: Call) -> Json:
        """Take lent coins back, some or all."""
        target = _account(call, "destAccount")
        if call.flag("redeemAll"):
            held = {row.asset: row.total for row in self._exchange.earn_wallet(call.api_key)}
            amount = held.get(_asset(call), Decimal(0))
        else:
            amount = call.decimal("amount")
        done = self._move(call, WalletKind.EARN, target, amount)
        return {"redeemId": done.movement_id, "success": True}

    def _move(self, call: Call, source: WalletKind, target: WalletKind, amount: Decimal) -> Movement:
        try:
            return self._exchange.ask_transfer(call.api_key, _asset(call), amount, source, target)
        except SimError as refusal:
            back = source is WalletKind.EARN
            if refusal.kind is ErrorKind.INSUFFICIENT_BALANCE and back:
                raise errors.WireError(-6006, "Redeem amount error.") from refusal
            if refusal.kind is ErrorKind.INSUFFICIENT_BALANCE:
                raise errors.WireError(-5002, "You have insufficient balance.") from refusal
            if refusal.kind is ErrorKind.TRANSFER_REFUSED and back:
                raise errors.WireError(-6008, "Product not in redeem status.") from refusal
            if refusal.kind is ErrorKind.TRANSFER_REFUSED:
                raise errors.WireError(-6004, "Product not in purchase status.") from refusal
            raise

    def subscriptions(self, call: Call) -> Json:
        """What was lent, newest first."""
        return _page(call, [
            {
                "amount": plain(move.amount),
                "asset": move.asset,
                "time": move.time_ms,
                "purchaseId": move.movement_id,
                "productId": move.asset + _SUFFIX,
                "type": "NORMAL",
                "sourceAccount": _name(move.source),
                "status": "SUCCESS",
            }
            for move in self._moved(call)
            if move.target is WalletKind.EARN
        ])  # fmt: skip

    def redemptions(self, call: Call) -> Json:
        """What came back, newest first."""
        return _page(call, [
            {
                "amount": plain(move.amount),
                "asset": move.asset,
                "time": move.time_ms,
                "productId": move.asset + _SUFFIX,
                "redeemId": move.movement_id,
                "destAccount": _name(move.target),
                "status": "SUCCESS",
            }
            for move in self._moved(call)
            if move.source is WalletKind.EARN
        ])  # fmt: skip

    def _moved(self, call: Call) -> list[Movement]:
        asked, start_ms = call.optional("asset"), call.optional_integer("startTime") or 0
        end_ms = call.optional_integer("endTime")
        moves = self._exchange.movements(call.api_key, MovementKind.TRANSFER)
        return [
            move
            for move in reversed(moves)
            if asked in (None, move.asset) and start_ms <= move.time_ms and (end_ms is None or move.time_ms <= end_ms)
        ]


def _asset(call: Call) -> str:
    product = call.text("productId")
    if not product.endswith(_SUFFIX):
        raise errors.WireError(-6001, "Daily product not exists.")
    return product.removesuffix(_SUFFIX)


def _account(call: Call, name: str) -> WalletKind:
    found = _ACCOUNTS.get(call.optional(name) or "SPOT")
    if found is None:
        raise errors.invalid_data(name)
    return found


def _name(wallet: WalletKind | None) -> str:
    return "SPOT" if wallet is None else _NAMES.get(wallet, "SPOT")


def _page(call: Call, rows: Sequence[Json]) -> Json:
    """Pages are numbered from one."""
    number, size = call.optional_integer("current") or 1, call.optional_integer("size") or PAGE_DEFAULT
    if number < 1 or not 1 <= size <= PAGE_MAX:
        raise errors.invalid_data("size")
    return {"rows": list(rows[(number - 1) * size : number * size]), "total": len(rows)}
