"""``/sapi``: the wallet side of an account: coins, key permissions, deposits, withdrawals, transfers, funding."""

from __future__ import annotations

from datetime import UTC, datetime

from keeper.clock import Clock
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.exchange import Exchange
from keeper.sim.types import Market, MarketKey, MarketKind, Movement, MovementKind, WalletKind
from keeper.sim.wire import errors
from keeper.sim.wire.paging import page
from keeper.sim.wire.request import Call, Routes, keyed, public, signed
from keeper.sim.wire.text import Json, fixed8, plain

_TRANSFER_NAMES = {
    WalletKind.SPOT: "MAIN",
    WalletKind.USDM: "UMFUTURE",
    WalletKind.COINM: "CMFUTURE",
    WalletKind.FUNDING: "FUNDING",
}


class Wallets:
    """The routes that the wallet service has on its own."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    def routes(self) -> Routes:
        """The routes."""
        return {
            ("GET", "/sapi/v1/system/status"): public(lambda _: {"status": 0, "msg": "normal"}),
            ("GET", "/sapi/v1/capital/config/getall"): signed(self.coins, 10),
            ("GET", "/sapi/v1/margin/allPairs"): keyed(lambda _: []),
            ("GET", "/sapi/v1/margin/isolated/allPairs"): keyed(lambda _: []),
            ("GET", "/sapi/v1/account/apiRestrictions"): signed(self.permissions),
            ("GET", "/sapi/v1/asset/tradeFee"): signed(self.fees),
            ("GET", "/sapi/v1/margin/account"): signed(self.margin_account, 10),
            ("GET", "/sapi/v1/lending/union/account"): signed(self.earn_account),
            ("POST", "/sapi/v1/asset/get-funding-asset"): signed(self.funding_wallet),
            ("POST", "/sapi/v1/asset/transfer"): signed(self.transfer, 900),
            ("GET", "/sapi/v1/asset/transfer"): signed(self.transfers),
            ("GET", "/sapi/v1/capital/deposit/hisrec"): signed(self.deposits),
            ("GET", "/sapi/v1/capital/withdraw/history"): signed(self.withdrawals),
            ("POST", "/sapi/v1/capital/withdraw/apply"): signed(self.withdraw, 600),
        }

    def coins(self, call: Call) -> Json:
        """Every asset with its one network."""
        held = {row.asset: row for row in self._exchange.spot_balances(call.api_key)}
        listed: dict[str, None] = {}
        for market in self._exchange.markets():
            for asset in (market.base, market.quote):
                if asset != "USD":
                    listed[asset] = None
        rows: list[Json] = []
        for asset in listed | dict.fromkeys(held):
            row = held.get(asset)
            rows.append(
                {
                    "coin": asset,
                    "depositAllEnable": True,
                    "withdrawAllEnable": True,
                    "name": asset,
                    "free": fixed8(row.free) if row else "0",
                    "locked": fixed8(row.locked) if row else "0",
                    "freeze": "0",
                    "withdrawing": "0",
                    "ipoing": "0",
                    "ipoable": "0",
                    "storage": "0",
                    "isLegalMoney": False,
                    "trading": True,
                    "networkList": [_network(asset)],
                }
            )
        return rows

    def permissions(self, call: Call) -> Json:
        """What the key may do."""
        allowed = self._exchange.permissions(call.api_key)
        return {
            "ipRestrict": False,
            "createTime": 1_700_000_000_000,
            "enableReading": allowed.reading,
            "enableWithdrawals": allowed.withdrawals,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": allowed.futures,
            "permitsUniversalTransfer": allowed.transfers,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": allowed.spot_trading,
            "enablePortfolioMarginTrading": False,
        }

    def fees(self, call: Call) -> Json:
        """Spot fees of one symbol or of all, as fractions of notional."""
        if call.optional("symbol") is not None:
            markets: tuple[Market, ...] = (self._exchange.market(MarketKey(MarketKind.SPOT, call.text("symbol"))),)
        else:
            markets = self._exchange.markets(MarketKind.SPOT)
        return [
            {
                "symbol": market.symbol,
                "makerCommission": plain(market.maker_fee),
                "takerCommission": plain(market.taker_fee),
            }
            for market in markets
        ]

    def margin_account(self, _call: Call) -> Json:
        """The margin wallet, which nobody uses here: open, and empty."""
        return {
            "created": True,
            "borrowEnabled": False,
            "marginLevel": "999.00000000",
            "totalAssetOfBtc": "0.00000000",
            "totalLiabilityOfBtc": "0.00000000",
            "totalNetAssetOfBtc": "0.00000000",
            "tradeEnabled": False,
            "transferInEnabled": False,
            "transferOutEnabled": False,
            "accountType": "MARGIN_1",
            "userAssets": [],
        }

    def earn_account(self, call: Call) -> Json:
        """The earn wallet as the service before simple-earn shows it."""
        rows: list[Json] = [
            {"asset": row.asset, "amount": fixed8(row.total), "amountInBTC": "0", "amountInUSDT": "0"}
            for row in self._exchange.earn_wallet(call.api_key)
            if row.total
        ]
        return {"totalAmountInBTC": "0", "totalAmountInUSDT": "0", "positionAmountVos": rows}

    def funding_wallet(self, call: Call) -> Json:
        """Assets of the funding wallet that are not empty."""
        asset = call.optional("asset")
        return [
            {
                "asset": row.asset,
                "free": fixed8(row.free),
                "locked": fixed8(row.locked),
                "freeze": "0",
                "withdrawing": "0",
                "btcValuation": "0",
            }
            for row in self._exchange.funding_wallet(call.api_key)
            if row.total and asset in (None, row.asset)
        ]

    # --- money that moves -------------------------------------------------------------------------------------------

    def deposits(self, call: Call) -> Json:
        """Deposits that arrived, newest first."""
        rows = page(call, self._moved(call, MovementKind.DEPOSIT), lambda move: move.time_ms, default=1000)
        return [
            {
                "id": str(move.movement_id),
                "amount": plain(move.amount),
                "coin": move.asset,
                "network": _network_name(move.asset),
                "status": 1,
                "address": "sim",
                "addressTag": "",
                "txId": f"sim-{move.movement_id}",
                "insertTime": move.time_ms,
                "completeTime": move.time_ms,
                "transferType": 0,
                "confirmTimes": "1/1",
                "unlockConfirm": 0,
                "walletType": 1 if move.target is WalletKind.FUNDING else 0,
            }
            for move in reversed(rows)
        ]

    def withdrawals(self, call: Call) -> Json:
        """Withdrawals that left, newest first."""
        rows = page(call, self._moved(call, MovementKind.WITHDRAWAL), lambda move: move.time_ms, default=1000)
        return [
            {
                "id": str(move.movement_id),
                "amount": plain(move.amount),
                "transactionFee": "0",
                "coin": move.asset,
                "status": 6,
                "address": "sim",
                "txId": f"sim-{move.movement_id}",
                "applyTime": _stamp(move.time_ms),
                "completeTime": _stamp(move.time_ms),
                "network": _network_name(move.asset),
                "transferType": 0,
                "info": "",
                "confirmNo": 1,
                "walletType": 1 if move.source is WalletKind.FUNDING else 0,
                "txKey": "",
            }
            for move in reversed(rows)
        ]

    def withdraw(self, call: Call) -> Json:
        """Take money out, if the key may."""
        if not self._exchange.permissions(call.api_key).withdrawals:
            raise errors.WireError(-1002, "You are not authorized to execute this request.", 401)
        try:
            done = self._exchange.withdraw(call.api_key, call.text("coin"), call.decimal("amount"))
        except SimError as refusal:
            if refusal.kind is ErrorKind.INSUFFICIENT_BALANCE:
                raise errors.WireError(-4026, "User has insufficient balance") from refusal
            raise
        return {"id": str(done.movement_id)}

    def transfer(self, call: Call) -> Json:
        """Move money between the account's wallets: ``type`` is like ``MAIN_UMFUTURE``."""
        source, target = self._wallets(call.text("type"))
        try:
            done = self._exchange.ask_transfer(call.api_key, call.text("asset"), call.decimal("amount"), source, target)
        except SimError as refusal:
            if refusal.kind is ErrorKind.INSUFFICIENT_BALANCE:
                raise errors.WireError(-5013, "Asset transfer failed: insufficient balance") from refusal
            if refusal.kind is ErrorKind.TRANSFER_REFUSED:
                raise errors.WireError(-5010, "Asset transfer fail.") from refusal
            if refusal.kind is ErrorKind.PERMISSION_DENIED:
                raise errors.WireError(-1002, "You are not authorized to execute this request.", 401) from refusal
            raise
        return {"tranId": done.movement_id}

    def transfers(self, call: Call) -> Json:
        """Transfers of one ``type``, newest first."""
        source, target = self._wallets(call.text("type"))
        rows = [
            move
            for move in self._exchange.movements(call.api_key, MovementKind.TRANSFER)
            if (move.source, move.target) == (source, target)
        ]
        return {
            "total": len(rows),
            "rows": [
                {
                    "asset": move.asset,
                    "amount": plain(move.amount),
                    "type": call.text("type"),
                    "status": "CONFIRMED",
                    "tranId": move.movement_id,
                    "timestamp": move.time_ms,
                }
                for move in reversed(rows)
            ],
        }

    def _moved(self, call: Call, kind: MovementKind) -> list[Movement]:
        coin = call.optional("coin")
        return [move for move in self._exchange.movements(call.api_key, kind) if coin in (None, move.asset)]

    def _wallets(self, name: str) -> tuple[WalletKind, WalletKind]:
        for source, first in _TRANSFER_NAMES.items():
            for target, second in _TRANSFER_NAMES.items():
                if source is not target and name == f"{first}_{second}":
                    return source, target
        raise errors.invalid_data("type")


def _network_name(asset: str) -> str:
    return asset if asset in {"BTC", "SOL"} else "ETH"


def _network(asset: str) -> Json:
    return {
        "network": _network_name(asset),
        "coin": asset,
        "withdrawIntegerMultiple": "0.00000001",
        "isDefault": True,
        "depositEnable": True,
        "withdrawEnable": True,
        "depositDesc": "",
        "withdrawDesc": "",
        "name": _network_name(asset),
        "resetAddressStatus": False,
        "withdrawFee": "0.0001",
        "withdrawMin": "0.001",
        "withdrawMax": "9999999",
        "minConfirm": 1,
        "unLockConfirm": 0,
        "sameAddress": False,
        "estimatedArrivalTime": 5,
        "busy": False,
    }


def _stamp(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
