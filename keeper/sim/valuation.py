"""What an account's futures are worth, need and leave free, at this moment's marks. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from keeper.sim.account import Account, ContractSettings, HeldPosition
from keeper.sim.margin import booked, liquidation_price, pnl, value
from keeper.sim.state import State
from keeper.sim.types import (
    ONE,
    ZERO,
    FuturesAccount,
    FuturesBalance,
    MarginMode,
    Market,
    MarketKey,
    MarketKind,
    Position,
    PositionSide,
    Side,
    SymbolSettings,
)

_SIDES = {False: (PositionSide.BOTH,), True: (PositionSide.LONG, PositionSide.SHORT)}


@dataclass(frozen=True, slots=True)
class Extra:
    """An order that is being considered: its absolute worth in the settle currency."""

    market: MarketKey
    side: Side
    position_side: PositionSide
    worth: Decimal


@dataclass(frozen=True, slots=True)
class Backing:
    """What the cross positions of one margin asset stand on."""

    wallet: Decimal  # realised, isolated wallets apart
    unrealised: Decimal
    maintenance: Decimal

    @property
    def margin_balance(self) -> Decimal:
        """Wallet and unrealised PnL together."""
        return self.wallet + self.unrealised


@dataclass(frozen=True, slots=True)
class CrossMargin:
    """The cross pool of one margin asset."""

    backing: Backing
    initial: Decimal  # cross positions and all open orders

    @property
    def available(self) -> Decimal:
        """What is free for new positions, may be negative."""
        return self.backing.margin_balance - self.initial


class Valuation:
    """Reads the state; every answer is of this moment."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._flat: dict[tuple[MarketKey, PositionSide], Position] = {}

    # --- settings ---------------------------------------------------------------------------------------------------

    def settings(self, account: Account, market: Market) -> ContractSettings:
        """The user's settings, or the defaults (leverage within the market's cap) when none were made."""
        known = account.futures[market.kind].settings.get(market.key)
        if known is not None:
            return known
        options = self._state.options
        return _default_settings(min(options.default_leverage, market.max_leverage), options.default_margin_mode)

    def symbol_settings(self, account: Account, market: Market) -> SymbolSettings:
        """The same as a frozen value."""
        known = self.settings(account, market)
        return SymbolSettings(market.key, known.leverage, known.margin_mode)

    # --- margin -----------------------------------------------------------------------------------------------------

    def order_worth(
        self, account: Account, market: Market, side: PositionSide, extra: Extra | None = None
    ) -> tuple[Decimal, Decimal]:
        """What resting orders that may open (buys, sells) are worth, absolute, settle currency."""
        opened = account.orders.opened(market.key)
        if extra is None and not opened:
            return ZERO, ZERO
        worth = {Side.BUY: ZERO, Side.SELL: ZERO}
        for order in opened:
            if order.can_rest and not order.reduce_only and order.position_side is side:
                worth[order.side] += abs(value(market, order.remaining, order.price))
        if extra is not None and extra.market == market.key and extra.position_side is side:
            worth[extra.side] += extra.worth
        return worth[Side.BUY], worth[Side.SELL]

    def initial_margin(
        self, account: Account, market: Market, side: PositionSide, extra: Extra | None = None
    ) -> tuple[Decimal, Decimal]:
        """(of the position, of its open orders): the worse of both directions counts, over leverage."""
        held = account.futures[market.kind].positions.get((market.key, side))
        worth = value(market, held.quantity, self._state.mark(market)) if held is not None else ZERO
        bids, asks = self.order_worth(account, market, side, extra)
        if not (worth or bids or asks):
            return ZERO, ZERO
        leverage = self.settings(account, market).leverage
        if side is PositionSide.LONG:
            asks = ZERO  # in hedge mode these only close
        elif side is PositionSide.SHORT:
            bids = ZERO
        total = max(abs(worth), abs(worth + bids), abs(worth - asks)) / leverage
        position = abs(worth) / leverage
        return position, total - position

    def cross(self, account: Account, kind: MarketKind, asset: str, extra: Extra | None = None) -> CrossMargin:
        """The cross pool of a margin asset, with an order that is being considered."""
        product = account.futures[kind]
        initial = ZERO
        considered = None if extra is None else extra.market
        used = {key for key, _ in product.positions}
        for market in self._markets(kind, asset):
            if market.key not in used and market.key != considered and not account.orders.has_opened(market.key):
                continue  # most markets of an account that hedges a coin or two
            isolated = self.settings(account, market).margin_mode is MarginMode.ISOLATED
            for side in _SIDES[product.dual_side]:
                position, orders = self.initial_margin(account, market, side, extra)
                initial += orders
                if not isolated:
                    initial += position
        return CrossMargin(self.backing(account, kind, asset), initial)

    def backing(self, account: Account, kind: MarketKind, asset: str) -> Backing:
        """What the cross positions of a margin asset stand on, without a look at what they have bound: asked often."""
        product = account.futures[kind]
        wallet = product.balances.get(asset, ZERO)
        unrealised = maintenance = ZERO
        used = {key for key, _ in product.positions}
        for market in self._markets(kind, asset):
            if market.key not in used:
                continue
            isolated = self.settings(account, market).margin_mode is MarginMode.ISOLATED
            mark = self._state.mark(market)
            for side in _SIDES[product.dual_side]:
                held = product.positions.get((market.key, side), _FLAT)
                if isolated:
                    wallet -= held.isolated_wallet
                elif held.quantity:
                    unrealised += pnl(market, held.quantity, held.entry, mark)
                    maintenance += abs(value(market, held.quantity, mark)) * market.maintenance_rate
        return Backing(wallet, unrealised, maintenance)

    def isolated(self, market: Market, held: HeldPosition) -> tuple[Decimal, Decimal]:
        """(margin balance, maintenance) of an isolated position."""
        mark = self._state.mark(market)
        balance = held.isolated_wallet + pnl(market, held.quantity, held.entry, mark)
        return balance, abs(value(market, held.quantity, mark)) * market.maintenance_rate

    # --- what the account is shown ----------------------------------------------------------------------------------

    def position(self, account: Account, market: Market, side: PositionSide) -> Position:
        """One position, flat or not, valued now."""
        settings = self.settings(account, market)
        held = account.futures[market.kind].positions.get((market.key, side), _FLAT)
        mark = self._state.mark(market)
        if held is _FLAT and not account.orders.opened(market.key):
            return self._never_opened(market, side, settings, mark)
        unrealised = pnl(market, held.quantity, held.entry, mark)
        worth = value(market, held.quantity, mark)
        initial, orders = self.initial_margin(account, market, side)
        bids, asks = self.order_worth(account, market, side)
        is_isolated = settings.margin_mode is MarginMode.ISOLATED
        maintenance = abs(worth) * market.maintenance_rate
        return Position(
            market=market.key,
            side=side,
            quantity=held.quantity,
            entry_price=booked(held.entry),
            break_even_price=booked(_break_even(market, held)),
            mark_price=mark,
            unrealised_pnl=booked(unrealised),
            notional=booked(worth),
            leverage=settings.leverage,
            margin_mode=settings.margin_mode,
            isolated_wallet=held.isolated_wallet,
            isolated_margin=booked(held.isolated_wallet + unrealised) if is_isolated and held.quantity else ZERO,
            initial_margin=booked(initial + orders),
            position_initial_margin=booked(initial),
            open_order_initial_margin=booked(orders),
            maintenance_margin=booked(maintenance),
            liquidation_price=self._liquidation_price(account, market, held, is_isolated, unrealised, maintenance),
            adl_quantile=_adl_quantile(worth, unrealised, settings.leverage),
            bid_notional=booked(bids),
            ask_notional=booked(asks),
            settle=market.settle,
            updated_ms=held.updated_ms,
        )

    def _never_opened(self, market: Market, side: PositionSide, settings: ContractSettings, mark: Decimal) -> Position:
        """The row of a contract without position and order, as most are: the one before, if it still holds."""
        known = self._flat.get((market.key, side))
        if (
            known is not None
            and known.mark_price == mark
            and known.leverage == settings.leverage
            and known.margin_mode is settings.margin_mode
        ):
            return known
        row = self._flat[market.key, side] = Position(
            market=market.key,
            side=side,
            quantity=ZERO,
            entry_price=_NOTHING,
            break_even_price=_NOTHING,
            mark_price=mark,
            unrealised_pnl=_NOTHING,
            notional=_NOTHING,
            leverage=settings.leverage,
            margin_mode=settings.margin_mode,
            isolated_wallet=ZERO,
            isolated_margin=ZERO,
            initial_margin=_NOTHING,
            position_initial_margin=_NOTHING,
            open_order_initial_margin=_NOTHING,
            maintenance_margin=_NOTHING,
            liquidation_price=None,
            adl_quantile=0,
            bid_notional=_NOTHING,
            ask_notional=_NOTHING,
            settle=market.settle,
            updated_ms=0,
        )
        return row

    def positions(
        self, account: Account, kind: MarketKind, key: MarketKey | None = None, *, include_flat: bool = True
    ) -> tuple[Position, ...]:
        """All positions of a product in the order of the markets."""
        wallet = account.futures[kind]
        sides = _SIDES[wallet.dual_side]
        markets = [market for market in self._markets(kind) if key in (None, market.key)]
        return tuple(
            self.position(account, market, side)
            for market in markets
            for side in sides
            if include_flat or wallet.positions.get((market.key, side), _FLAT).quantity
        )

    def balance(self, account: Account, kind: MarketKind, asset: str) -> FuturesBalance:
        """One margin asset of a futures wallet."""
        return self._balance(account, kind, asset, self.positions(account, kind))

    def _balance(
        self, account: Account, kind: MarketKind, asset: str, everything: tuple[Position, ...]
    ) -> FuturesBalance:
        wallet = account.futures[kind]
        positions = [position for position in everything if position.settle == asset]
        cross = self.cross(account, kind, asset)
        pool = cross.backing
        total = wallet.balances.get(asset, ZERO)
        unrealised = _total(position.unrealised_pnl for position in positions)
        spendable = min(cross.available, pool.wallet - cross.initial)  # unrealised gains cannot be taken out
        return FuturesBalance(
            asset=asset,
            wallet_balance=total,
            cross_wallet_balance=pool.wallet,
            unrealised_pnl=unrealised,
            cross_unrealised_pnl=booked(pool.unrealised),
            margin_balance=total + unrealised,
            initial_margin=_total(position.initial_margin for position in positions),
            position_initial_margin=_total(position.position_initial_margin for position in positions),
            open_order_initial_margin=_total(position.open_order_initial_margin for position in positions),
            maintenance_margin=_total(position.maintenance_margin for position in positions),
            available_balance=booked(max(ZERO, cross.available)),
            max_withdraw_amount=booked(max(ZERO, spendable)),
            updated_ms=wallet.updated_ms,
        )

    def futures_account(self, account: Account, kind: MarketKind) -> FuturesAccount:
        """A futures wallet, whole: every settle asset of the product and whatever else was put in."""
        wallet = account.futures[kind]
        assets = dict.fromkeys([market.settle for market in self._markets(kind)]) | dict.fromkeys(wallet.balances)
        positions = self.positions(account, kind)
        return FuturesAccount(
            kind=kind,
            dual_side=wallet.dual_side,
            balances=tuple(self._balance(account, kind, asset, positions) for asset in assets),
            positions=positions,
            updated_ms=wallet.updated_ms,
        )

    # --- parts ------------------------------------------------------------------------------------------------------

    def _markets(self, kind: MarketKind, asset: str | None = None) -> Iterator[Market]:
        for market in self._state.priced(kind):
            if asset is None or market.settle == asset:
                yield market

    def _liquidation_price(
        self,
        account: Account,
        market: Market,
        held: HeldPosition,
        is_isolated: bool,
        unrealised: Decimal,
        maintenance: Decimal,
    ) -> Decimal | None:
        if not held.quantity:
            return None
        if is_isolated:
            backing = held.isolated_wallet
        else:
            pool = self.backing(account, market.kind, market.settle)
            backing = pool.margin_balance - unrealised - (pool.maintenance - maintenance)
        price = liquidation_price(market, held.quantity, held.entry, backing)
        return booked(price) if price is not None else None


_FLAT = HeldPosition()
_NOTHING = booked(ZERO)


@cache
def _default_settings(leverage: int, margin_mode: MarginMode) -> ContractSettings:
    return ContractSettings(leverage, margin_mode)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _break_even(market: Market, held: HeldPosition) -> Decimal:
    if not held.quantity:
        return ZERO
    return held.entry * (ONE + market.taker_fee if held.quantity > 0 else ONE - market.taker_fee)


def _adl_quantile(worth: Decimal, unrealised: Decimal, leverage: int) -> int:
    """Place in the queue: profit and leverage move a position forward."""
    if not worth or unrealised <= 0:
        return 0
    return min(4, 1 + int(unrealised / abs(worth) * leverage))
