"""The messages of the user-data streams, field by field."""

from __future__ import annotations

from decimal import Decimal

from keeper.sim.events import (
    ExecutionType,
    FuturesAccountUpdated,
    MoneyMoved,
    OrderUpdated,
    SettingsChanged,
    SpotAccountUpdated,
)
from keeper.sim.types import MarginMode, Market, MarketKind, Origin, Position
from keeper.sim.wire.order_params import order_type, time_in_force
from keeper.sim.wire.position_rows import entry_price
from keeper.sim.wire.text import Json, at_lot, at_step, fixed8, plain

ZERO = Decimal(0)


def spot_order(event: OrderUpdated, _market: Market) -> Json:
    """``executionReport``."""
    order, fill = event.order, event.fill
    return {
        "e": "executionReport",
        "E": event.time_ms,
        "s": order.market.symbol,
        "c": order.client_order_id,
        "S": order.side.value,
        "o": order_type(MarketKind.SPOT, order.type, order.time_in_force),
        "f": time_in_force(MarketKind.SPOT, order.time_in_force),
        "q": fixed8(order.quantity),
        "p": fixed8(order.price),
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": order.client_order_id if event.execution is ExecutionType.CANCELED else "",
        "x": event.execution.value,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "l": fixed8(fill.quantity if fill else ZERO),
        "z": fixed8(order.executed_quantity),
        "L": fixed8(fill.price if fill else ZERO),
        "n": fixed8(fill.commission) if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": event.time_ms,
        "t": fill.trade_id if fill else -1,
        "I": order.order_id * 2,
        "w": order.is_open,
        "m": fill.maker if fill else False,
        "M": False,
        "O": order.created_ms,
        "Z": fixed8(order.executed_value),
        "Y": fixed8(fill.quote_quantity if fill else ZERO),
        "Q": fixed8(order.quote_quantity),
        "W": order.created_ms,
        "V": "EXPIRE_MAKER",
    }


def spot_account(event: SpotAccountUpdated) -> Json:
    """``outboundAccountPosition``."""
    return {
        "e": "outboundAccountPosition",
        "E": event.time_ms,
        "u": event.time_ms,
        "B": [{"a": row.asset, "f": fixed8(row.free), "l": fixed8(row.locked)} for row in event.balances],
    }


def spot_movement(event: MoneyMoved, delta: Decimal) -> Json:
    """``balanceUpdate``: ``delta`` > 0 arrived."""
    return {
        "e": "balanceUpdate",
        "E": event.time_ms,
        "a": event.movement.asset,
        "d": fixed8(delta),
        "T": event.time_ms,
    }


def futures_order(event: OrderUpdated, market: Market) -> Json:
    """``ORDER_TRADE_UPDATE``."""
    order, fill = event.order, event.fill
    tick, step = market.filters.tick, market.filters.step
    forced = order.origin in (Origin.LIQUIDATION, Origin.ADL)
    row: dict[str, Json] = {
        "s": market.symbol,
        "c": order.client_order_id,
        "S": order.side.value,
        "o": "LIQUIDATION" if order.origin is Origin.LIQUIDATION else order.type.value,
        "f": order.time_in_force.value,
        "q": at_lot(order.quantity, step),
        "p": at_step(order.price, tick),
        "ap": plain(round(order.average_price, 8)),
        "sp": "0",
        "x": "CALCULATED" if forced and fill else event.execution.value,
        "X": "NEW_ADL" if order.origin is Origin.ADL and order.status.value == "NEW" else order.status.value,
        "i": order.order_id,
        "l": at_lot(fill.quantity if fill else ZERO, step),
        "z": at_lot(order.executed_quantity, step),
        "L": plain(fill.price) if fill else "0",
        "T": event.time_ms,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type.value,
        "ps": order.position_side.value,
        "cp": False,
        "AP": "0",
        "cr": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": fixed8(fill.realised_pnl) if fill else "0",
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
    }
    if fill is not None:
        row |= {"N": fill.commission_asset, "n": fixed8(fill.commission)}
    if market.kind is MarketKind.INVERSE:
        row |= {"ma": market.settle}
    return {"e": "ORDER_TRADE_UPDATE", "T": event.time_ms, "E": event.time_ms, "o": row}


def futures_account(event: FuturesAccountUpdated) -> Json:
    """``ACCOUNT_UPDATE``: only what changed."""
    return {
        "e": "ACCOUNT_UPDATE",
        "T": event.time_ms,
        "E": event.time_ms,
        "a": {
            "m": event.reason.value,
            "B": [
                {
                    "a": row.asset,
                    "wb": fixed8(row.wallet_balance),
                    "cw": fixed8(row.cross_wallet_balance),
                    "bc": plain(row.change),
                }
                for row in event.balances
            ],
            "P": [_position(position) for position in event.positions],
        },
    }


def _position(position: Position) -> Json:
    return {
        "s": position.market.symbol,
        "pa": plain(position.quantity),
        "ep": entry_price(position.entry_price),
        "bep": entry_price(position.break_even_price),
        "cr": "0",
        "up": fixed8(position.unrealised_pnl),
        "mt": "isolated" if position.margin_mode is MarginMode.ISOLATED else "cross",
        "iw": plain(position.isolated_wallet),
        "ps": position.side.value,
        "ma": position.settle,
    }


def settings(event: SettingsChanged) -> Json:
    """``ACCOUNT_CONFIG_UPDATE``."""
    return {
        "e": "ACCOUNT_CONFIG_UPDATE",
        "E": event.time_ms,
        "T": event.time_ms,
        "ac": {"s": event.settings.market.symbol, "l": event.settings.leverage},
    }
