"""Private endpoints that do not trade: account, user, asset, position."""

from __future__ import annotations

from decimal import Decimal

from tests.support.bybit_v5.exchange import Exchange
from tests.support.bybit_v5.instruments import Instrument
from tests.support.bybit_v5.ledger import Entry, Holding, Transfer
from tests.support.bybit_v5.rows import account_row, log_row, position_row
from tests.support.bybit_v5.wire import ZERO, Json, Refusal, number, page, text, word

API_KEY = "loopback-key"
WEEK_MS = 7 * 86_400_000


def wallet_balance(exchange: Exchange, params: Json) -> Json:
    """Nonzero coins only; ``coin`` narrows and lists the named coins even at zero."""
    if word(params, "accountType") != "UNIFIED":
        raise Refusal(10001, "accountType only support UNIFIED.")
    named = [coin for coin in word(params, "coin").split(",") if coin]
    return {"list": [account_row(exchange, named or exchange.account.coins_held())]}


def account_info(exchange: Exchange, _params: Json) -> Json:
    return {
        "marginMode": exchange.margin_mode,
        "updatedTime": str(exchange.now_ms()),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def query_api(exchange: Exchange, _params: Json) -> Json:
    trades = [] if exchange.read_only else ["Order", "Position"]
    return {
        "id": "13770661",
        "note": "loopback",
        "apiKey": API_KEY,
        "readOnly": int(exchange.read_only),
        "secret": "",
        "permissions": {
            "ContractTrade": trades,
            "Spot": [] if exchange.read_only else ["SpotTrade"],
            "Wallet": ["AccountTransfer", *(["Withdraw"] if exchange.can_withdraw else [])],
            "Options": [],
            "Derivatives": [] if exchange.read_only else ["DerivativesTrade"],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
            "Earn": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 83,
        "expiredAt": "2035-05-15T03:21:05Z",
        "createdAt": "2022-10-16T02:24:40Z",
        "unified": 0,
        "uta": 1,
        "userID": 24600000,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def fee_rate(exchange: Exchange, params: Json) -> Json:
    category, symbol = word(params, "category") or "linear", word(params, "symbol")
    units = [market.instrument for market in exchange.markets.values() if market.instrument.category == category]
    rows = [
        {"symbol": u.symbol, "takerFeeRate": text(u.taker_fee), "makerFeeRate": text(u.maker_fee), "baseCoin": ""}
        for u in units
        if not symbol or u.symbol == symbol
    ]
    return {"category": category, "list": rows}


def set_margin_mode(exchange: Exchange, params: Json) -> Json:
    wanted = word(params, "setMarginMode")
    if wanted not in {"REGULAR_MARGIN", "ISOLATED_MARGIN", "PORTFOLIO_MARGIN"}:
        raise Refusal(10001, "params error: setMarginMode invalid")
    exchange.margin_mode = wanted
    return {"reasons": []}


def transaction_log(exchange: Exchange, params: Json) -> Json:
    """Newest first; a week by default and at most."""
    since, until = window(exchange, params)
    category, kind, currency = word(params, "category"), word(params, "type"), word(params, "currency")
    rows = [
        entry
        for entry in reversed(exchange.account.log)
        if since <= entry.at_ms <= until
        and (not category or (entry.instrument is not None and entry.instrument.category == category))
        and (not kind or entry.kind == kind)
        and (not currency or entry.currency == currency)
    ]
    shown, cursor = page(rows, params, _entry_id, 20, 50)
    return {"list": [log_row(entry) for entry in shown], "nextPageCursor": cursor}


def _entry_id(entry: Entry) -> str:
    return entry.id


def window(exchange: Exchange, params: Json) -> tuple[int, int]:
    """Start and end of a history request: seven days at most."""
    start, end = number(params, "startTime"), number(params, "endTime")
    if start is None and end is None:
        return exchange.now_ms() - WEEK_MS, exchange.now_ms()
    since = int(start) if start is not None else int(end or 0) - WEEK_MS
    until = int(end) if end is not None else since + WEEK_MS
    if until - since > WEEK_MS:
        raise Refusal(10001, "The time range between startTime and endTime cannot exceed 7 days")
    return since, until


def coin_info(exchange: Exchange, params: Json) -> Json:
    named = word(params, "coin")
    known = sorted({c for m in exchange.markets.values() for c in (m.instrument.base, "USDT", "USDC")})
    rows = [
        {
            "name": coin,
            "coin": coin,
            "remainAmount": "1000000",
            "chains": [
                {
                    "chainType": coin,
                    "confirmation": "6",
                    "withdrawFee": "0.0005",
                    "depositMin": "0.0005",
                    "withdrawMin": "0.001",
                    "chain": coin,
                    "chainDeposit": "1",
                    "chainWithdraw": "1",
                    "minAccuracy": "8",
                    "withdrawPercentageFee": "0",
                    "contractAddress": "",
                }
            ],
        }
        for coin in known
        if not named or coin == named
    ]
    return {"rows": rows}


def coins_balance(exchange: Exchange, params: Json) -> Json:
    """The funding wallet (FUND), or what the unified one could move."""
    kind = word(params, "accountType")
    if kind not in {"FUND", "UNIFIED"}:
        raise Refusal(10001, "params error: accountType invalid")
    wallets = exchange.account.funding_wallets if kind == "FUND" else exchange.account.wallets
    named = [coin for coin in word(params, "coin").split(",") if coin]
    rows = [
        {"coin": c, "transferBalance": text(max(ZERO, amount)), "walletBalance": text(amount), "bonus": ""}
        for c, amount in sorted(wallets.items())
        if amount and (not named or c in named)
    ]
    return {"memberId": "24600000", "accountType": kind, "balance": rows}


def deposit_records(exchange: Exchange, params: Json) -> Json:
    rows = [
        {
            "coin": t.coin,
            "chain": t.coin,
            "amount": text(t.amount),
            "txID": t.id,
            "status": 3,
            "toAddress": "",
            "tag": "",
            "depositFee": "",
            "successAt": str(t.at_ms),
            "confirmations": "6",
            "txIndex": "0",
            "blockHash": "",
        }
        for t in _transfers(exchange, params)
        if t.amount > 0
    ]
    return {"rows": rows, "nextPageCursor": ""}


def withdraw_records(exchange: Exchange, params: Json) -> Json:
    rows = [
        {
            "coin": t.coin,
            "chain": t.coin,
            "amount": text(-t.amount),
            "txID": t.id,
            "status": "success",
            "toAddress": "",
            "tag": "",
            "withdrawFee": "0",
            "createTime": str(t.at_ms),
            "updateTime": str(t.at_ms),
            "withdrawId": t.id,
            "withdrawType": 0,
        }
        for t in _transfers(exchange, params)
        if t.amount < 0
    ]
    return {"rows": rows, "nextPageCursor": ""}


def no_records(_exchange: Exchange, _params: Json) -> Json:
    """Listings of things that never happen here: moves between wallets, closed-position summaries."""
    return {"list": [], "nextPageCursor": ""}


def _transfers(exchange: Exchange, params: Json) -> list[Transfer]:
    named = word(params, "coin")
    return [t for t in reversed(exchange.transfers) if not named or t.coin == named]


def position_list(exchange: Exchange, params: Json) -> Json:
    """By symbol a row even when flat; otherwise open positions only, and linear needs the settlement coin."""
    category, symbol = word(params, "category"), word(params, "symbol")
    if category not in {"linear", "inverse", "option"}:
        raise Refusal(10001, "params error: category invalid")
    settle, base = word(params, "settleCoin"), word(params, "baseCoin")
    if symbol:
        unit = exchange.market(category, symbol).instrument
        slots = [exchange.account.holding(unit, index) for index in _indices(exchange, unit)]
        rows = [position_row(exchange, slot, exchange.hidden_size(slot)) for slot in slots]
    else:
        if category == "linear" and not (settle or base):
            raise Refusal(10001, "Missing some parameters that must be filled in, symbol or settleCoin")
        rows = [
            position_row(exchange, slot, exchange.hidden_size(slot))
            for slot in sorted(exchange.account.holdings.values(), key=_order_of)
            if slot.instrument.category == category
            and (not settle or slot.instrument.settle == settle)
            and (not base or slot.instrument.base == base)
        ]
        rows = [row for row in rows if row["size"] != "0"]
    shown, cursor = page(rows, params, lambda row: f"{row['symbol']},{row['positionIdx']}", 20, 200)
    return {"category": category, "list": shown, "nextPageCursor": cursor}


def _order_of(holding: Holding) -> tuple[str, int]:
    return holding.instrument.symbol, holding.index


def _indices(exchange: Exchange, unit: Instrument) -> tuple[int, ...]:
    return (1, 2) if unit.key in exchange.hedge_mode else (0,)


def set_leverage(exchange: Exchange, params: Json) -> Json:
    unit = exchange.market(word(params, "category"), word(params, "symbol")).instrument
    leverage = _leverage(params)
    if leverage > unit.max_leverage:
        raise Refusal(110013, "cannot set leverage due to risk limit")
    slots = [exchange.account.holding(unit, index) for index in _indices(exchange, unit)]
    if all(slot.leverage == leverage for slot in slots):
        raise Refusal(110043, "Set leverage not modified")
    for slot in slots:
        slot.leverage = leverage
    return {}


def _leverage(params: Json) -> Decimal:
    """The one leverage of a set-leverage request; both sides have to agree outside hedge mode."""
    buy, sell = number(params, "buyLeverage"), number(params, "sellLeverage")
    if buy is None or sell is None or buy <= 0:
        raise Refusal(10001, "params error: leverage invalid")
    if buy != sell:
        raise Refusal(10001, f"buy leverage {text(buy)} and sell leverage {text(sell)} must be equal")
    return buy


def switch_mode(exchange: Exchange, params: Json) -> Json:
    """0 one-way, 3 hedge, for a symbol or for all of a settlement coin."""
    category, symbol, coin = word(params, "category"), word(params, "symbol"), word(params, "coin")
    mode = word(params, "mode")
    if category not in {"linear", "inverse"} or mode not in {"0", "3"} or not (symbol or coin):
        raise Refusal(10001, "params error: mode, symbol or coin invalid")
    if symbol:
        units = [exchange.market(category, symbol).instrument]
    else:
        units = [m.instrument for m in exchange.markets.values() if m.instrument.contract]
        units = [unit for unit in units if unit.category == category and unit.settle == coin]
    hedged = mode == "3"
    if all((unit.key in exchange.hedge_mode) == hedged for unit in units):
        raise Refusal(110025, "Position mode is not modified")
    keys = {unit.key for unit in units}
    if any(h.size for h in exchange.account.holdings.values() if h.instrument.key in keys):
        raise Refusal(110024, "You have an existing position, so position mode cannot be switched")
    if any(order.open for order in exchange.orders if order.instrument.key in keys):
        raise Refusal(110028, "Open orders exist, so you cannot change position mode")
    if hedged:
        exchange.hedge_mode |= keys
    else:
        exchange.hedge_mode -= keys
    return {}


def switch_isolated(_exchange: Exchange, _params: Json) -> Json:
    raise Refusal(100028, "The API cannot be accessed by unified account users.")


PRIVATE_ACCOUNT = {
    ("GET", "/v5/account/wallet-balance"): wallet_balance,
    ("GET", "/v5/account/info"): account_info,
    ("GET", "/v5/account/fee-rate"): fee_rate,
    ("GET", "/v5/account/transaction-log"): transaction_log,
    ("POST", "/v5/account/set-margin-mode"): set_margin_mode,
    ("GET", "/v5/user/query-api"): query_api,
    ("GET", "/v5/asset/coin/query-info"): coin_info,
    ("GET", "/v5/asset/transfer/query-account-coins-balance"): coins_balance,
    ("GET", "/v5/asset/deposit/query-record"): deposit_records,
    ("GET", "/v5/asset/withdraw/query-record"): withdraw_records,
    ("GET", "/v5/asset/transfer/query-inter-transfer-list"): no_records,
    ("GET", "/v5/position/list"): position_list,
    ("GET", "/v5/position/closed-pnl"): no_records,
    ("POST", "/v5/position/set-leverage"): set_leverage,
    ("POST", "/v5/position/switch-mode"): switch_mode,
    ("POST", "/v5/position/switch-isolated"): switch_isolated,
}
