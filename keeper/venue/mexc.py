"""MEXC: one wallet for contracts of every kind, sides that open or close, orders by an outside id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from keeper.core.model import ZERO, Contracts
from keeper.venue.base import BadReadingError
from keeper.venue.figures import Row, decimal_of, equity_less, shown, signed_sum, stated
from keeper.venue.recipes import (
    Capability,
    Codes,
    Cursor,
    Fields,
    Lookups,
    MarginRead,
    Product,
    RateHistory,
    Read,
    TransferCall,
    WalletRead,
    is_contract,
)
from keeper.venue.stakes import Reckoned, Stake, summed

_MEXC_FIELDS = Fields(
    size="holdVol",
    side="positionType",
    sides={"1": 1, "2": -1},
    entry="holdAvgPrice",
    entry_else=("openAvgPrice",),
    liquidation="liquidatePrice",
    slot=("positionId", "positionType"),
    leverage="leverage",
    margin_mode="openType",
    margin_modes={"1": "isolated", "2": "cross"},
)
"""``markPrice`` is in none of its rows: what needs a mark asks for one."""
_MEXC_MARK = {
    "mark": "fairPrice",
    "bid": "bid1",
    "ask": "ask1",
    "index": "indexPrice",
    "funding_rate": "fundingRate",
    "at_ms": "timestamp",
}


_MEXC_OPEN, _MEXC_CLOSED = (
    Read(
        f"contractPrivateGetOrderList{name}Orders",
        rows=("data",),
        cursor=Cursor("page_num", first=1),
        limit=100,
        limit_param="page_size",
        blank_is_empty=True,
    )
    for name in ("Open", "History")
)
_MEXC_CONTRACTS = WalletRead(
    (Read("contractPrivateGetAccountAssets", rows=("data",)),),
    "currency",
    # ``cashBalance`` is what may be withdrawn: the margin of positions is missing from it
    equity_less("equity", "unrealized"),
)
"""One wallet margins contracts of every kind; what settles contracts in money is told apart from the coins."""


def _is_money(code: str) -> bool:
    return code.startswith("USD")


def _figure(row: Row, name: str) -> Decimal:
    """A number that has to be told and is not negative."""
    number = decimal_of(row.get(name), name)
    if number < 0:
        raise BadReadingError(f"{name} is {number}, negative")
    return number


def _custom_rate(tiers: object, size: Decimal) -> Decimal:
    """The rate of the first tier that takes ``size``; beyond the last one, the highest of all."""
    if not isinstance(tiers, list) or not tiers or not all(isinstance(tier, dict) for tier in tiers):
        raise BadReadingError(f"riskLimitCustom is {shown(tiers)}, no list of tiers")
    fitting = [_figure(tier, "mmr") for tier in tiers if _figure(tier, "maxVol") >= size]
    return min(fitting) if fitting else max(_figure(tier, "mmr") for tier in tiers)


def maintenance_rate(info: Row, contracts: Decimal, notional: Decimal) -> Decimal:
    """Maintenance and liquidation fee as a share of a position's value, from the venue's list of contracts.

    The tier of the whole size counts for all of it, nothing is taken off for the lower ones. A size is so many
    contracts, or quote money where ``riskLimitType`` is BY_VALUE. Tiers are listed (``riskLimitMode`` CUSTOM), or begin
    above ``riskBaseVol`` and rise by ``riskIncrMmr`` with each begun ``riskIncrVol``, up to ``riskLevelLimit`` of them.
    The venue liquidates where equity is down to maintenance and the fee of the liquidation; where a contract does not
    state that fee, a taker's stands in.
    """
    kind = info.get("riskLimitType", "BY_VOLUME")
    if kind not in ("BY_VOLUME", "BY_VALUE"):
        raise BadReadingError(f"riskLimitType is {shown(kind)}, so the tier of a position is not known")
    size = notional if kind == "BY_VALUE" else contracts
    rate = _figure(info, "maintenanceMarginRate")
    if rate == 0:
        raise BadReadingError("maintenanceMarginRate is 0, at which nothing would ever be liquidated")
    if info.get("riskLimitMode") == "CUSTOM":
        rate = max(rate, _custom_rate(info.get("riskLimitCustom"), size))
    else:
        beyond, step = size - _figure(info, "riskBaseVol"), _figure(info, "riskIncrVol")
        if beyond > 0 and step > 0:
            most = max(_figure(info, "riskLevelLimit") - 1, ZERO)
            rate += min((beyond / step).to_integral_value(ROUND_CEILING), most) * _figure(info, "riskIncrMmr")
    return rate + _figure(info, "liquidationFeeRate" if stated(info, "liquidationFeeRate") else "takerFeeRate")


def _needs(stakes: Sequence[Stake]) -> Iterable[Decimal]:
    """What each position needs, in units of what its contract settles in; both sides of one are one size."""
    for stake in stakes:
        same = [each for each in stakes if each.instrument.id == stake.instrument.id]
        contracts = sum((abs(each.contracts) for each in same), ZERO)
        notional = Decimal(stake.instrument.notional(Contracts(contracts), stake.price))
        yield stake.value * maintenance_rate(stake.info, contracts, notional)


def _reckon(row: Row, stakes: Sequence[Stake]) -> Reckoned:
    """The margin of cross positions, which the venue does not state: it liquidates them where the equity, without what
    isolated positions have (``im`` and their profit) and without the margin of orders, is down to what they need.

    ``marginRatio`` of a position is left alone: what it is a ratio of is nowhere said.
    """
    apart = sum((_figure(stake.row, "im") + stake.profit for stake in stakes if stake.isolated), ZERO)
    equity = decimal_of(row.get("equity"), "equity") - _figure(row, "frozenBalance") - apart
    return summed(equity, stakes, _needs(stakes))


MEXC = Capability(
    flat_has_no_row=True,
    markets_in_parts=True,
    margins=(
        (
            MarginRead(
                "linear",
                Read("contractPrivateGetAccountAssets", rows=("data",)),
                equity="equity",
                maintenance=None,
                available=("availableCash", "cashBalance"),
                asset="currency",
                covers=is_contract,
                reckon=_reckon,
                wallet_of=lambda code: "linear" if _is_money(code) else "inverse",
            ),
        ),
    ),
    credit_seconds=8.0,  # the venue counts over ten seconds, and the list of contracts alone is worth five of them
    transfers=TransferCall(
        "spotPrivatePostCapitalTransfer",
        ("spot", "private"),
        "capital/transfer",
        {"": "SPOT", "linear": "FUTURES", "inverse": "FUTURES"},
        lambda asset, amount, source, target: {
            "fromAccountType": source,
            "toAccountType": target,
            "asset": asset,
            "amount": amount,
        },
        ((0, "tranId"), ("tranId",)),
    ),
    candles_a_page=500,
    rates=RateHistory(
        read=Read(
            "contractPublicGetFundingRateHistory",
            {},
            ("data", "resultList"),
            Cursor("page_num", first=1),
            1000,
            "page_size",
        ),
        at="settleTime",
    ),
    wallets={
        "": WalletRead((Read("spotPrivateGetAccount", rows=("balances",)),), "asset", signed_sum(("free", "locked"))),
        "linear": replace(_MEXC_CONTRACTS, holds=_is_money),
        "inverse": replace(_MEXC_CONTRACTS, holds=lambda code: not _is_money(code)),
    },
    collateral="inverse",
    products=(
        Product(
            covers=is_contract,
            positions=(Read("contractPrivateGetPositionOpenPositions", rows=("data",)),),
            orders=(_MEXC_OPEN,),
            position=Read("contractPrivateGetPositionOpenPositions", rows=("data",)),
            fields=_MEXC_FIELDS,
            marks=((Read("contractPublicGetTicker", rows=("data",)), _MEXC_MARK),),
            mark_alone=(Read("contractPublicGetFairPriceSymbol", rows=("data",), single=True), "fairPrice"),
        ),
    ),
    order_sides={
        "1": "buy",
        "2": "buy",
        "3": "sell",
        "4": "sell",
    },  # open long, close short, open short, close long
    client_id_fields=("clientOrderId", "externalOid"),
    order_states={"state": {"5": "rejected"}},
    ioc_type=3,
    lookups=Lookups(
        reads=(
            (
                Read(
                    "contractPrivateGetOrderExternalSymbolExternalOid",
                    rows=("data",),
                    single=True,
                    blank_is_empty=True,
                    otherwise=_MEXC_OPEN,
                ),
                "external_oid",
            ),
            (_MEXC_OPEN, ""),
            (_MEXC_CLOSED, ""),
        )
    ),
    fill_orders=((_MEXC_CLOSED, "start_time", "end_time"),),  # the client takes the sides of executions for others
    fills_window_ms=89 * 86_400_000,
    codes=Codes(
        where=(("code",), ("data", 0, "errorCode")),
        ambiguous=frozenset({"500", "501", "503", "504", "506", "603", "604", "801", "9999"}),
        retry_later=frozenset({"429", "510"}),
        not_found=frozenset({"2040", "2041"}),
        rejected=r"600|602|100[1-4]|20(0\d|1\d|2\d|3[0-68])|600[125]",
        limits=frozenset({"429", "510"}),
    ),
    demo="none",
)
