"""Money across the account's border and between its wallets."""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.account import Account, Purse
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import FuturesAccountUpdated, MoneyMoved, UpdateReason
from keeper.sim.settlement import Settlement
from keeper.sim.state import State
from keeper.sim.types import IncomeKind, MarketKey, MarketKind, Movement, MovementKind, WalletKind
from keeper.sim.valuation import Valuation

_PRODUCT = {WalletKind.USDM: MarketKind.LINEAR, WalletKind.COINM: MarketKind.INVERSE}
_REASON = {
    MovementKind.DEPOSIT: UpdateReason.DEPOSIT,
    MovementKind.WITHDRAWAL: UpdateReason.WITHDRAW,
    MovementKind.TRANSFER: UpdateReason.MARGIN_TRANSFER,
}


class Treasury:
    """Books deposits, withdrawals and transfers."""

    def __init__(self, state: State, valuation: Valuation, settlement: Settlement) -> None:
        self._state = state
        self._valuation = valuation
        self._settlement = settlement

    def deposit(self, account: Account, asset: str, amount: Decimal, wallet: WalletKind) -> Movement:
        """Money from outside."""
        return self._move(account, asset, amount, MovementKind.DEPOSIT, None, wallet)

    def withdraw(self, account: Account, asset: str, amount: Decimal, wallet: WalletKind) -> Movement:
        """Money to the outside."""
        return self._move(account, asset, amount, MovementKind.WITHDRAWAL, wallet, None)

    def transfer(
        self, account: Account, asset: str, amount: Decimal, source: WalletKind, target: WalletKind
    ) -> Movement:
        """Money from one wallet to another."""
        if source is target:
            raise SimError(ErrorKind.BAD_PARAMETER, f"a transfer from {source.value} to itself")
        if WalletKind.EARN in (source, target) and _PRODUCT.keys() & {source, target}:
            raise SimError(ErrorKind.BAD_PARAMETER, "only the spot and the funding wallet lend, and are paid back")
        return self._move(account, asset, amount, MovementKind.TRANSFER, source, target)

    def _move(
        self,
        account: Account,
        asset: str,
        amount: Decimal,
        kind: MovementKind,
        source: WalletKind | None,
        target: WalletKind | None,
    ) -> Movement:
        if not (amount.is_finite() and amount > 0):
            raise SimError(ErrorKind.BAD_PARAMETER, f"{amount} {asset} is not an amount above zero")
        if source is not None:
            self._check_spendable(account, asset, amount, source)
        movement = Movement(self._state.next_tran_id(), kind, asset, amount, source, target, self._state.now)
        account.movements.append(movement)
        for wallet, signed in ((source, -amount), (target, amount)):
            if wallet is not None:
                self._change(account, asset, signed, wallet, kind)
        self._state.publish(MoneyMoved(self._state.now, account.api_key, movement))
        return movement

    def _check_spendable(self, account: Account, asset: str, amount: Decimal, source: WalletKind) -> None:
        if source in _PRODUCT:
            spendable = self._valuation.balance(account, _PRODUCT[source], asset).max_withdraw_amount
        else:
            spendable = _purse(account, source).free(asset)
        if amount > spendable:
            raise SimError(
                ErrorKind.INSUFFICIENT_BALANCE,
                f"{amount} {asset} asked of the {source.value} wallet, {spendable} can leave it",
                limit=spendable,
            )

    def _change(self, account: Account, asset: str, signed: Decimal, wallet: WalletKind, kind: MovementKind) -> None:
        if wallet not in _PRODUCT:
            _purse(account, wallet).add(asset, signed)
            if wallet is WalletKind.SPOT:
                self._settlement.tell_spot(account, asset)
            return
        product = _PRODUCT[wallet]
        self._settlement.book_wallet(account, MarketKey(product, ""), asset, IncomeKind.TRANSFER, signed)
        change = self._settlement.wallet_change(account, product, asset, signed)
        self._state.publish(
            FuturesAccountUpdated(self._state.now, account.api_key, product, _REASON[kind], (change,), ())
        )


def _purse(account: Account, wallet: WalletKind) -> Purse:
    if wallet is WalletKind.SPOT:
        return account.spot
    return account.funding if wallet is WalletKind.FUNDING else account.earn
