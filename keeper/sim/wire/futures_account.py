"""Balances, positions and settings of one futures product."""

from __future__ import annotations

from decimal import Decimal

from keeper.clock import Clock
from keeper.sim.exchange import Exchange
from keeper.sim.types import (
    FuturesAccount,
    FuturesBalance,
    MarginMode,
    Market,
    MarketKey,
    MarketKind,
    MarketStatus,
    Position,
)
from keeper.sim.wire import errors
from keeper.sim.wire.order_params import position_side
from keeper.sim.wire.position_rows import account_position_row, max_notional, risk_row, risk_row_v3
from keeper.sim.wire.request import Call, Routes, signed
from keeper.sim.wire.text import Json, fixed8, plain

UNBOUNDED = 9_223_372_036_854_775_807
STABLE = "USDT"


class FuturesAccounts:
    """The account routes of USDⓈ-M or COIN-M."""

    def __init__(self, exchange: Exchange, clock: Clock, kind: MarketKind) -> None:
        self._exchange = exchange
        self._clock = clock
        self._kind = kind
        self._linear = kind is MarketKind.LINEAR

    def routes(self) -> Routes:
        """The routes, under the product's prefixes."""
        base = "/fapi" if self._linear else "/dapi"
        routes: Routes = {
            ("GET", f"{base}/v1/balance"): signed(self.balances, 5),
            ("GET", f"{base}/v1/account"): signed(self.account, 5),
            ("GET", f"{base}/v1/positionRisk"): signed(self.position_risk, 5),
            ("GET", f"{base}/v1/positionSide/dual"): signed(self.position_mode, 30),
            ("POST", f"{base}/v1/positionSide/dual"): signed(self.set_position_mode),
            ("POST", f"{base}/v1/leverage"): signed(self.set_leverage),
            ("POST", f"{base}/v1/marginType"): signed(self.set_margin_mode),
            ("POST", f"{base}/v1/positionMargin"): signed(self.adjust_margin),
            ("GET", f"{base}/v1/leverageBracket"): signed(self.leverage_brackets),
            ("GET", f"{base}/v2/leverageBracket"): signed(self.leverage_brackets),
            ("GET", f"{base}/v1/adlQuantile"): signed(self.adl_quantiles, 5),
            ("GET", f"{base}/v1/commissionRate"): signed(self.commission_rate, 20),
        }
        if self._linear:
            routes |= {
                ("GET", f"{base}/v2/balance"): signed(self.balances, 5),
                ("GET", f"{base}/v3/balance"): signed(self.balances, 5),
                ("GET", f"{base}/v2/account"): signed(self.account, 5),
                ("GET", f"{base}/v3/account"): signed(self.account_v3, 5),
                ("GET", f"{base}/v2/positionRisk"): signed(self.position_risk, 5),
                ("GET", f"{base}/v3/positionRisk"): signed(self.position_risk_v3, 5),
                ("GET", f"{base}/v1/multiAssetsMargin"): signed(lambda _: {"multiAssetsMargin": False}, 30),
                ("POST", f"{base}/v1/multiAssetsMargin"): signed(self.set_multi_assets),
                ("GET", f"{base}/v1/symbolConfig"): signed(self.symbol_config, 5),
                ("GET", f"{base}/v1/accountConfig"): signed(self.account_config, 5),
            }
        return routes

    # --- balances ---------------------------------------------------------------------------------------------------

    def _read(self, call: Call) -> FuturesAccount:
        return self._exchange.futures_account(call.api_key, self._kind)

    def balances(self, call: Call) -> Json:
        """One row a margin asset."""
        return [self._balance_row(call, row) for row in self._read(call).balances]

    def _balance_row(self, call: Call, row: FuturesBalance) -> Json:
        shown: dict[str, Json] = {
            "accountAlias": f"sim{self._exchange.user_id(call.api_key)}",
            "asset": row.asset,
            "balance": fixed8(row.wallet_balance),
            "crossWalletBalance": fixed8(row.cross_wallet_balance),
            "crossUnPnl": fixed8(row.cross_unrealised_pnl),
            "availableBalance": fixed8(row.available_balance),
            "updateTime": row.updated_ms,
        }
        if self._linear:
            return shown | {"maxWithdrawAmount": fixed8(row.max_withdraw_amount), "marginAvailable": True}
        return shown | {"withdrawAvailable": fixed8(row.max_withdraw_amount)}

    def account(self, call: Call) -> Json:
        """Assets and every position, flat ones included."""
        account = self._read(call)
        facts: dict[str, Json] = {
            "feeTier": 0,
            "canTrade": self._exchange.permissions(call.api_key).futures,
            "canDeposit": True,
            "canWithdraw": self._exchange.permissions(call.api_key).withdrawals,
            "updateTime": 0,
            "assets": [_asset_row(row) | self._margin_available() for row in account.balances],
            "positions": [account_position_row(position, self._market(position)) for position in account.positions],
        }
        if not self._linear:
            return facts
        return facts | {"multiAssetsMargin": False, "tradeGroupId": -1} | _totals(account)

    def _margin_available(self) -> dict[str, Json]:
        return {"marginAvailable": True} if self._linear else {}

    def account_v3(self, call: Call) -> Json:
        """Assets, and only those positions that are open or have open orders."""
        account = self._read(call)
        positions: list[Json] = []
        for position in account.positions:
            if not _in_use(position):
                continue
            positions.append(
                {
                    "symbol": position.market.symbol,
                    "positionSide": position.side.value,
                    "positionAmt": plain(position.quantity),
                    "unrealizedProfit": fixed8(position.unrealised_pnl),
                    "isolatedMargin": fixed8(position.isolated_margin),
                    "notional": fixed8(position.notional),
                    "isolatedWallet": fixed8(position.isolated_wallet),
                    "initialMargin": fixed8(position.initial_margin),
                    "maintMargin": fixed8(position.maintenance_margin),
                    "updateTime": position.updated_ms,
                }
            )
        return _totals(account) | {
            "assets": [_asset_row(row) for row in account.balances],
            "positions": positions,
        }

    # --- positions --------------------------------------------------------------------------------------------------

    def position_risk(self, call: Call) -> Json:
        """One row a contract, flat ones included: entry price and amount are zero there."""
        return [risk_row(position, self._market(position)) for position in self._positions(call)]

    def position_risk_v3(self, call: Call) -> Json:
        """Only those positions that are open or have open orders."""
        return [
            risk_row_v3(position, self._market(position)) for position in self._positions(call) if _in_use(position)
        ]

    def adl_quantiles(self, call: Call) -> Json:
        """Where each open position stands in the queue of auto-deleveraging."""
        return [
            {"symbol": position.market.symbol, "adlQuantile": {position.side.value: position.adl_quantile}}
            for position in self._positions(call)
            if position.quantity
        ]

    def _positions(self, call: Call) -> list[Position]:
        symbol = call.optional("symbol") if self._linear else None
        key = MarketKey(self._kind, symbol) if symbol is not None else None
        if key is not None:
            self._exchange.market(key)
        pair, asset = call.optional("pair"), call.optional("marginAsset")
        return [
            position
            for position in self._exchange.positions(call.api_key, self._kind, key)
            if (self._linear or pair in (None, self._market(position).pair)) and asset in (None, position.settle)
        ]

    # --- settings ---------------------------------------------------------------------------------------------------

    def position_mode(self, call: Call) -> Json:
        """One-way (false) or hedge mode (true)."""
        return {"dualSidePosition": self._exchange.position_mode(call.api_key, self._kind)}

    def set_position_mode(self, call: Call) -> Json:
        """Switch between one-way and hedge mode."""
        call.text("dualSidePosition")
        self._exchange.set_position_mode(call.api_key, self._kind, call.flag("dualSidePosition"))
        return {"code": 200, "msg": "success"}

    def set_multi_assets(self, call: Call) -> Json:
        """Multi-assets mode is not offered: it is off, and stays so."""
        call.text("multiAssetsMargin")
        if call.flag("multiAssetsMargin"):
            raise errors.futures(-4167)
        raise errors.futures(-4171)

    def set_leverage(self, call: Call) -> Json:
        """Set a symbol's leverage; the same value again is no error."""
        market = self._named(call)
        done = self._exchange.set_leverage(call.api_key, market.key, call.integer("leverage"))
        shown: dict[str, Json] = {"symbol": market.symbol, "leverage": done.leverage}
        return shown | {"maxNotionalValue" if self._linear else "maxQty": max_notional(market)}

    def set_margin_mode(self, call: Call) -> Json:
        """Set a symbol's margin to CROSSED or ISOLATED."""
        market = self._named(call)
        modes = {"CROSSED": MarginMode.CROSS, "ISOLATED": MarginMode.ISOLATED}
        mode = modes.get(call.text("marginType"))
        if mode is None:
            raise errors.invalid_data("marginType")
        self._exchange.set_margin_mode(call.api_key, market.key, mode)
        return {"code": 200, "msg": "success"}

    def adjust_margin(self, call: Call) -> Json:
        """Add (1) to or take (2) from an isolated position's margin."""
        market = self._named(call)
        amount, way = call.decimal("amount"), call.integer("type")
        if way not in (1, 2):
            raise errors.invalid_data("type")
        signed_amount = amount if way == 1 else -amount
        self._exchange.adjust_isolated_margin(call.api_key, market.key, signed_amount, position_side(call))
        return {"amount": float(amount), "code": 200, "msg": "Successfully modify position margin.", "type": way}

    def leverage_brackets(self, call: Call) -> Json:
        """One bracket a contract: the simulated exchange has no tiers."""
        markets = [self._named(call)] if call.optional("symbol") is not None else self._listed()
        floor, cap = ("notionalFloor", "notionalCap") if self._linear else ("qtyFloor", "qtyCap")
        coefficient: dict[str, Json] = {"notionalCoef": 1.0} if self._linear else {}
        rows: list[Json] = []
        for market in markets:
            bracket: dict[str, Json] = {
                "bracket": 1,
                "initialLeverage": market.max_leverage,
                cap: UNBOUNDED,
                floor: 0,
                "maintMarginRatio": float(market.maintenance_rate),
                "cum": 0.0,
            }
            row: dict[str, Json] = {"symbol": market.symbol, "brackets": [bracket]}
            rows.append(row | coefficient)
        return rows

    def symbol_config(self, call: Call) -> Json:
        """Margin mode and leverage of one symbol or of all."""
        markets = [self._named(call)] if call.optional("symbol") is not None else self._listed()
        rows: list[Json] = []
        for market in markets:
            settings = self._exchange.settings(call.api_key, market.key)
            rows.append(
                {
                    "symbol": market.symbol,
                    "marginType": "CROSSED" if settings.margin_mode is MarginMode.CROSS else "ISOLATED",
                    "isAutoAddMargin": False,
                    "leverage": settings.leverage,
                    "maxNotionalValue": max_notional(market),
                }
            )
        return rows

    def account_config(self, call: Call) -> Json:
        """What the account may do, and its modes."""
        permissions = self._exchange.permissions(call.api_key)
        return {
            "feeTier": 0,
            "canTrade": permissions.futures,
            "canDeposit": True,
            "canWithdraw": permissions.withdrawals,
            "dualSidePosition": self._exchange.position_mode(call.api_key, self._kind),
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def commission_rate(self, call: Call) -> Json:
        """Fees of one symbol, as fractions of notional."""
        market = self._named(call)
        return {
            "symbol": market.symbol,
            "makerCommissionRate": plain(market.maker_fee),
            "takerCommissionRate": plain(market.taker_fee),
        }

    # --- markets ----------------------------------------------------------------------------------------------------

    def _named(self, call: Call) -> Market:
        return self._exchange.market(MarketKey(self._kind, call.text("symbol")))

    def _market(self, position: Position) -> Market:
        return self._exchange.market(position.market)

    def _listed(self) -> list[Market]:
        return [market for market in self._exchange.markets(self._kind) if market.status is not MarketStatus.DELISTED]


def _in_use(position: Position) -> bool:
    return bool(
        position.quantity or position.open_order_initial_margin or position.bid_notional or position.ask_notional
    )


def _asset_row(row: FuturesBalance) -> dict[str, Json]:
    return {
        "asset": row.asset,
        "walletBalance": fixed8(row.wallet_balance),
        "unrealizedProfit": fixed8(row.unrealised_pnl),
        "marginBalance": fixed8(row.margin_balance),
        "maintMargin": fixed8(row.maintenance_margin),
        "initialMargin": fixed8(row.initial_margin),
        "positionInitialMargin": fixed8(row.position_initial_margin),
        "openOrderInitialMargin": fixed8(row.open_order_initial_margin),
        "crossWalletBalance": fixed8(row.cross_wallet_balance),
        "crossUnPnl": fixed8(row.cross_unrealised_pnl),
        "availableBalance": fixed8(row.available_balance),
        "maxWithdrawAmount": fixed8(row.max_withdraw_amount),
        "updateTime": row.updated_ms,
    }


def _totals(account: FuturesAccount) -> dict[str, Json]:
    """The account's sums: in single-asset mode Binance counts USDT alone."""
    rows = [row for row in account.balances if row.asset == STABLE]

    def total(values: list[Decimal]) -> str:
        return fixed8(sum(values, Decimal(0)))

    return {
        "totalInitialMargin": total([row.initial_margin for row in rows]),
        "totalMaintMargin": total([row.maintenance_margin for row in rows]),
        "totalWalletBalance": total([row.wallet_balance for row in rows]),
        "totalUnrealizedProfit": total([row.unrealised_pnl for row in rows]),
        "totalMarginBalance": total([row.margin_balance for row in rows]),
        "totalPositionInitialMargin": total([row.position_initial_margin for row in rows]),
        "totalOpenOrderInitialMargin": total([row.open_order_initial_margin for row in rows]),
        "totalCrossWalletBalance": total([row.cross_wallet_balance for row in rows]),
        "totalCrossUnPnl": total([row.cross_unrealised_pnl for row in rows]),
        "availableBalance": total([row.available_balance for row in rows]),
        "maxWithdrawAmount": total([row.max_withdraw_amount for row in rows]),
    }
