"""A position as each route shows it: the same facts under different names."""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.types import MarginMode, Market, MarketKind, Position
from keeper.sim.wire.text import Json, at_lot, fixed8, plain


def max_notional(market: Market) -> str:
    """The largest position that the leverage allows; the simulated exchange sets no bound."""
    return "1000000000" if market.kind is MarketKind.LINEAR else "10000000"


def entry_price(value: Decimal) -> str:
    """An average entry price: up to eight decimals, ``0.0`` when flat (clients look for that)."""
    return plain(round(value, 8)) if value else "0.0"


def risk_row(position: Position, market: Market) -> dict[str, Json]:
    """``positionRisk`` of USDⓈ-M v1 and v2 and of COIN-M v1."""
    row: dict[str, Json] = {
        "symbol": market.symbol,
        "positionAmt": at_lot(position.quantity, market.filters.step),
        "entryPrice": entry_price(position.entry_price),
        "breakEvenPrice": entry_price(position.break_even_price),
        "markPrice": fixed8(position.mark_price),
        "unRealizedProfit": fixed8(position.unrealised_pnl),
        "liquidationPrice": _liquidation(position),
        "leverage": str(position.leverage),
        "marginType": position.margin_mode.value,
        "isolatedMargin": fixed8(position.isolated_margin),
        "isAutoAddMargin": "false",
        "positionSide": position.side.value,
        "isolatedWallet": plain(position.isolated_wallet),
        "updateTime": position.updated_ms,
    }
    if market.kind is MarketKind.INVERSE:
        return row | {"maxQty": max_notional(market), "notionalValue": plain(round(position.notional, 8))}
    return row | {"maxNotionalValue": max_notional(market), "notional": plain(round(position.notional, 8))}


def risk_row_v3(position: Position, market: Market) -> dict[str, Json]:
    """``positionRisk`` of USDⓈ-M v3: no leverage and no margin type."""
    return {
        "symbol": market.symbol,
        "positionSide": position.side.value,
        "positionAmt": at_lot(position.quantity, market.filters.step),
        "entryPrice": entry_price(position.entry_price),
        "breakEvenPrice": entry_price(position.break_even_price),
        "markPrice": fixed8(position.mark_price),
        "unRealizedProfit": fixed8(position.unrealised_pnl),
        "liquidationPrice": _liquidation(position),
        "isolatedMargin": plain(position.isolated_margin),
        "notional": plain(round(position.notional, 8)),
        "marginAsset": position.settle,
        "isolatedWallet": plain(position.isolated_wallet),
        "initialMargin": plain(round(position.initial_margin, 8)),
        "maintMargin": plain(round(position.maintenance_margin, 8)),
        "positionInitialMargin": plain(round(position.position_initial_margin, 8)),
        "openOrderInitialMargin": plain(round(position.open_order_initial_margin, 8)),
        "adl": position.adl_quantile,
        "bidNotional": plain(round(position.bid_notional, 8)),
        "askNotional": plain(round(position.ask_notional, 8)),
        "updateTime": position.updated_ms,
    }


def account_position_row(position: Position, market: Market) -> dict[str, Json]:
    """A position inside the account of USDⓈ-M v2 and COIN-M v1."""
    row: dict[str, Json] = {
        "symbol": market.symbol,
        "initialMargin": plain(round(position.initial_margin, 8)),
        "maintMargin": plain(round(position.maintenance_margin, 8)),
        "unrealizedProfit": fixed8(position.unrealised_pnl),
        "positionInitialMargin": plain(round(position.position_initial_margin, 8)),
        "openOrderInitialMargin": plain(round(position.open_order_initial_margin, 8)),
        "leverage": str(position.leverage),
        "isolated": position.margin_mode is MarginMode.ISOLATED,
        "entryPrice": entry_price(position.entry_price),
        "breakEvenPrice": entry_price(position.break_even_price),
        "positionSide": position.side.value,
        "positionAmt": at_lot(position.quantity, market.filters.step),
        "isolatedWallet": plain(position.isolated_wallet),
        "updateTime": position.updated_ms,
    }
    if market.kind is MarketKind.INVERSE:
        return row | {"maxQty": max_notional(market), "notionalValue": plain(round(position.notional, 8))}
    return row | {
        "maxNotional": max_notional(market),
        "notional": plain(round(position.notional, 8)),
        "bidNotional": plain(round(position.bid_notional, 8)),
        "askNotional": plain(round(position.ask_notional, 8)),
    }


def _liquidation(position: Position) -> str:
    found = position.liquidation_price
    return "0" if found is None or not position.quantity else plain(round(found, 8))
