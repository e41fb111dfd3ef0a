"""The rows that the venue writes: orders, executions, positions, wallets, log."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from tests.support.bybit_v5.exchange import Exchange
from tests.support.bybit_v5.ledger import Entry, Holding
from tests.support.bybit_v5.orders import Execution, Order
from tests.support.bybit_v5.wire import ONE, ZERO, Json, coins, text

AVERAGE = Decimal("0.00000001")


def order_row(order: Order, share: Decimal | None = None) -> Json:
    """An order; ``share`` of its fills is shown (None: the truth)."""
    unit = order.instrument
    status, filled, value = order.status, order.cum_qty, order.cum_value
    if share is not None:
        filled = (filled * share / unit.qty_step).to_integral_value(ROUND_FLOOR) * unit.qty_step
        value = order.cum_value * filled / order.cum_qty if order.cum_qty else ZERO
        status = "PartiallyFilled" if filled else "New"
    part = filled / order.cum_qty if order.cum_qty else ZERO
    fees = {coin: text(coins(fee * part)) for coin, fee in order.fees.items()} if filled else {}
    waiting = status in {"New", "PartiallyFilled"}
    done = value if order.in_quote else filled
    row: Json = {
        "orderId": order.order_id,
        "orderLinkId": order.link_id,
        "blockTradeId": "",
        "symbol": unit.symbol,
        "price": text(order.price),
        "qty": text(order.qty),
        "side": order.side,
        "isLeverage": "",
        "positionIdx": order.position_index,
        "orderStatus": status,
        "createType": "CreateByUser",
        "cancelType": "UNKNOWN" if waiting else order.cancel_type,
        "rejectReason": "EC_NoError" if waiting else order.reject_reason,
        "avgPrice": text(order.average.quantize(AVERAGE)) if filled else ("" if unit.contract else "0"),
        "leavesQty": text(order.qty - done) if waiting else "0",
        "leavesValue": text(coins(unit.value(order.qty - filled, order.price))) if waiting else "0",
        "cumExecQty": text(filled),
        "cumExecValue": text(coins(value)),
        "cumExecFee": text(coins(sum(order.fees.values(), ZERO) * part)),
        "cumFeeDetail": fees,
        "timeInForce": order.time_in_force,
        "orderType": order.order_type,
        "stopOrderType": "",
        "orderIv": "",
        "marketUnit": order.market_unit,
        "triggerPrice": "",
        "takeProfit": "",
        "stopLoss": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "triggerDirection": 0,
        "triggerBy": "",
        "lastPriceOnCreated": text(order.last_price_on_created),
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": False,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "slippageToleranceType": "UNKNOWN",
        "slippageTolerance": "0",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms or order.created_ms),
    }
    if unit.contract:
        row |= {"tpslMode": "", "tpLimitPrice": "", "slLimitPrice": "", "extraFees": ""}
    return row


def execution_row(execution: Execution) -> Json:
    """A fill, or a funding payment."""
    order = execution.order
    return {
        "symbol": execution.instrument.symbol,
        "orderType": order.order_type if order else "UNKNOWN",
        "underlyingPrice": "",
        "orderLinkId": order.link_id if order else "",
        "orderId": execution.order_id,
        "stopOrderType": "UNKNOWN",
        "execTime": str(execution.at_ms),
        "feeCurrency": "" if execution.instrument.contract else execution.fee_coin,
        "feeCoin": execution.fee_coin,
        "createType": "CreateByUser" if order else "",
        "feeRate": text(execution.fee_rate),
        "tradeIv": "",
        "blockTradeId": "",
        "markPrice": text(execution.price),
        "execPrice": text(execution.price),
        "markIv": "",
        "orderQty": text(order.qty) if order else "0",
        "orderPrice": text(order.price) if order else "0",
        "execValue": text(coins(execution.value)),
        "closedSize": text(execution.closed_size),
        "execType": execution.kind,
        "execPnl": text(execution.profit),
        "seq": execution.at_ms,
        "side": execution.side,
        "indexPrice": "",
        "leavesQty": text(order.left) if order else "0",
        "isMaker": execution.maker,
        "execFee": text(execution.fee),
        "execId": execution.exec_id,
        "marketUnit": order.market_unit if order else "",
        "execQty": text(execution.qty),
        "extraFees": "",
    }


def position_row(exchange: Exchange, holding: Holding, hidden: Decimal = ZERO) -> Json:
    """A position slot; ``hidden`` is the signed size that a late view does not show yet."""
    unit, account = holding.instrument, exchange.account
    market = exchange.markets[unit.key]
    shown = Holding(unit, holding.index, holding.size - hidden, holding.entry or market.mark, holding.leverage)
    flat = shown.size == 0
    value = abs(unit.value(shown.size, shown.entry))
    at_mark = account.position_value(shown)
    liquidation = None if flat else account.liquidation_price(shown)
    return {
        "positionIdx": holding.index,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": unit.symbol,
        "side": "" if flat else ("Buy" if shown.size > 0 else "Sell"),
        "size": text(abs(shown.size)),
        "avgPrice": "0" if flat else text(shown.entry.quantize(AVERAGE)),
        "positionValue": "" if flat else text(coins(value)),
        "tradeMode": 0,
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": text(holding.leverage),
        "markPrice": text(market.mark),
        "liqPrice": "" if liquidation is None else text(round(liquidation / unit.tick) * unit.tick),
        "bustPrice": "",
        "positionIM": "" if flat else text(coins(at_mark / holding.leverage)),
        "positionMM": "" if flat else text(coins(at_mark * unit.maintenance_rate)),
        "positionIMByMp": "",
        "positionMMByMp": "",
        "positionBalance": "0",
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "sessionAvgPrice": "",
        "unrealisedPnl": "" if flat else text(coins(shown.unrealised(market.mark))),
        "curRealisedPnl": text(holding.realised_now),
        "cumRealisedPnl": text(holding.realised),
        "adlRankIndicator": 0 if flat else 2,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": str(holding.created_ms),
        "updatedTime": str(holding.updated_ms),
        "seq": holding.updated_ms,
    }


def coin_row(exchange: Exchange, coin: str) -> Json:
    """One coin of the unified wallet. A debt is a negative wallet with a positive borrowAmount."""
    account = exchange.account
    wallet, equity = account.wallets.get(coin, ZERO), account.equity(coin)
    margin = account.position_margin(coin)
    return {
        "coin": coin,
        "equity": text(coins(equity)),
        "usdValue": text(coins(equity * account.usd(coin))),
        "walletBalance": text(coins(wallet)),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": text(coins(max(ZERO, -min(wallet, equity)))),
        "spotBorrow": text(coins(max(ZERO, -wallet))),
        "accruedInterest": text(account.interest.get(coin, ZERO)),
        "totalOrderIM": text(coins(account.order_margin.get(coin, ZERO))),
        "totalPositionIM": text(coins(margin)),
        "totalPositionMM": text(coins(account.maintenance_margin(coin))),
        "unrealisedPnl": text(coins(account.unrealised(coin))),
        "cumRealisedPnl": text(_realised(exchange, coin)),
        "bonus": "0",
        "locked": text(account.locked.get(coin, ZERO)),
        "spotHedgingQty": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
    }


def _realised(exchange: Exchange, coin: str) -> Decimal:
    mine = [h.realised for h in exchange.account.holdings.values() if h.instrument.settle == coin]
    return sum(mine, ZERO)


def account_row(exchange: Exchange, chosen: list[str]) -> Json:
    """The unified account with the chosen coins."""
    account = exchange.account
    held = account.coins_held()
    equity = sum((account.equity(c) * account.usd(c) for c in held), ZERO)
    wallet = sum((account.wallets.get(c, ZERO) * account.usd(c) for c in held), ZERO)
    profit = sum((account.unrealised(c) * account.usd(c) for c in held), ZERO)
    balance, initial = account.margin_balance_usd(), account.initial_margin_usd()
    maintenance = account.maintenance_margin_usd()
    whole = balance if balance > 0 else ONE
    return {
        "accountType": "UNIFIED",
        "totalEquity": text(coins(equity)),
        "accountIMRate": text(round(initial / whole, 4)),
        "accountMMRate": text(round(maintenance / whole, 4)),
        "accountLTV": "0",
        "totalWalletBalance": text(coins(wallet)),
        "totalMarginBalance": text(coins(balance)),
        "totalAvailableBalance": text(coins(max(ZERO, balance - initial))),
        "totalPerpUPL": text(coins(profit)),
        "totalInitialMargin": text(coins(initial)),
        "totalMaintenanceMargin": text(coins(maintenance)),
        "accountIMRateByMp": "",
        "accountMMRateByMp": "",
        "totalInitialMarginByMp": "",
        "totalMaintenanceMarginByMp": "",
        "coin": [coin_row(exchange, coin) for coin in chosen],
    }


def log_row(entry: Entry) -> Json:
    """A line of the transaction log; ``funding`` is positive when received."""
    unit = entry.instrument
    return {
        "id": entry.id,
        "symbol": unit.symbol if unit else "",
        "category": unit.category if unit else "",
        "side": entry.side or "None",
        "transactionTime": str(entry.at_ms),
        "type": entry.kind,
        "transSubType": "",
        "qty": text(entry.qty),
        "size": text(entry.size),
        "currency": entry.currency,
        "tradePrice": text(entry.price) if unit else "",
        "funding": text(entry.funding) if entry.kind == "SETTLEMENT" else "",
        "fee": text(entry.fee),
        "cashFlow": text(entry.cash_flow),
        "change": text(entry.change),
        "cashBalance": text(coins(entry.balance)),
        "feeRate": text(entry.fee_rate),
        "bonusChange": "",
        "tradeId": entry.trade_id,
        "orderId": entry.order_id,
        "orderLinkId": entry.link_id,
        "extraFees": "",
    }
