"""What a user may set on futures, and when the exchange refuses: position mode, leverage, margin mode."""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.account import Account, ContractSettings
from keeper.sim.errors import ErrorKind, SimError
from keeper.sim.events import PositionModeChanged, SettingsChanged, UpdateReason
from keeper.sim.margin import booked
from keeper.sim.settlement import Settlement
from keeper.sim.state import State
from keeper.sim.types import (
    ZERO,
    MarginMode,
    Market,
    MarketKind,
    Position,
    PositionSide,
    SymbolSettings,
)
from keeper.sim.valuation import Valuation


class SettingsDesk:
    """Changes settings where nothing stands in the way."""

    def __init__(self, state: State, valuation: Valuation, settlement: Settlement) -> None:
        self._state = state
        self._valuation = valuation
        self._settlement = settlement

    def set_position_mode(self, account: Account, kind: MarketKind, dual_side: bool) -> None:
        """One-way or hedge mode for a whole product."""
        wallet = account.futures[kind]
        if wallet.dual_side == dual_side:
            raise SimError(ErrorKind.POSITION_MODE_UNCHANGED, "no need to change position side")
        if account.orders.all_open(kind):
            raise SimError(ErrorKind.POSITION_MODE_HAS_ORDERS, "position side cannot be changed with open orders")
        if wallet.has_position():
            raise SimError(ErrorKind.POSITION_MODE_HAS_POSITION, "position side cannot be changed with a position")
        wallet.dual_side = dual_side
        self._state.publish(PositionModeChanged(self._state.now, account.api_key, kind, dual_side))

    def set_leverage(self, account: Account, market: Market, leverage: int) -> SymbolSettings:
        """Leverage of a contract; the margin that it needs must be there."""
        if not 1 <= leverage <= market.max_leverage:
            raise SimError(
                ErrorKind.BAD_LEVERAGE,
                f"leverage {leverage} is not within 1 … {market.max_leverage}",
                limit=Decimal(market.max_leverage),
            )
        before = self._valuation.settings(account, market)
        wallet = account.futures[market.kind]
        isolated = before.margin_mode is MarginMode.ISOLATED
        if isolated and leverage < before.leverage and wallet.has_position(market.key):
            raise SimError(
                ErrorKind.LEVERAGE_REDUCTION_REFUSED, "leverage cannot go down with an isolated position open"
            )
        wallet.settings[market.key] = ContractSettings(leverage, before.margin_mode)
        if leverage < before.leverage and self._valuation.cross(account, market.kind, market.settle).available < 0:
            wallet.settings[market.key] = before
            raise SimError(ErrorKind.INSUFFICIENT_MARGIN, f"leverage {leverage} needs more margin than is there")
        return self._changed(account, market)

    def set_margin_mode(self, account: Account, market: Market, mode: MarginMode) -> SymbolSettings:
        """Cross or isolated for a contract."""
        before = self._valuation.settings(account, market)
        wallet = account.futures[market.kind]
        if before.margin_mode is mode:
            raise SimError(ErrorKind.MARGIN_MODE_UNCHANGED, "no need to change margin type")
        if account.orders.opened(market.key):
            raise SimError(ErrorKind.MARGIN_MODE_HAS_ORDERS, "margin type cannot be changed with open orders")
        if wallet.has_position(market.key):
            raise SimError(ErrorKind.MARGIN_MODE_HAS_POSITION, "margin type cannot be changed with a position")
        wallet.settings[market.key] = ContractSettings(before.leverage, mode)
        return self._changed(account, market)

    def adjust_isolated_margin(self, account: Account, market: Market, amount: Decimal, side: PositionSide) -> Position:
        """Move money between the cross wallet and an isolated position (> 0 adds)."""
        settings = self._valuation.settings(account, market)
        held = account.futures[market.kind].positions.get((market.key, side))
        if settings.margin_mode is not MarginMode.ISOLATED or held is None or not held.quantity:
            raise SimError(ErrorKind.BAD_PARAMETER, f"{market.symbol} has no isolated {side.value} position")
        if amount > 0:
            spendable = self._valuation.balance(account, market.kind, market.settle).max_withdraw_amount
        else:
            needed, _ = self._valuation.initial_margin(account, market, side)
            balance, _ = self._valuation.isolated(market, held)
            spendable = booked(max(ZERO, min(balance, held.isolated_wallet) - needed))
        if abs(amount) > spendable:
            raise SimError(ErrorKind.INSUFFICIENT_BALANCE, f"{amount} asked for, {spendable} movable", limit=spendable)
        held.isolated_wallet += amount
        self._settlement.tell_futures(account, market, UpdateReason.MARGIN_TRANSFER, ZERO, side)
        return self._valuation.position(account, market, side)

    def _changed(self, account: Account, market: Market) -> SymbolSettings:
        settings = self._valuation.symbol_settings(account, market)
        self._state.publish(SettingsChanged(self._state.now, account.api_key, settings))
        return settings
