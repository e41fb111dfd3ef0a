"""The margins of Bitget, Gate and KuCoin: equity from the account's row, maintenance from the rows of its positions.

Each row states the rate of its own tier, which counts for the whole position; where the account states a maintenance or
a risk of its own that is higher, that counts. A rate of zero beside a position is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from keeper.core.model import ZERO
from keeper.venue.base import BadReadingError
from keeper.venue.figures import Row, decimal_of, flag, stated
from keeper.venue.recipes import MarginRead, Read, is_linear
from keeper.venue.stakes import Reckoned, Stake, summed


def _rate(row: Row, name: str) -> Decimal:
    rate = decimal_of(row.get(name), name)
    if rate <= 0:
        raise BadReadingError(f"{name} is {rate} beside a position")
    return rate


def _apart(stakes: Sequence[Stake], *names: str) -> Decimal:
    """What isolated positions have of the account's equity: the sum of these fields of their rows."""
    rows = [stake.row for stake in stakes if stake.isolated]
    return sum((decimal_of(row.get(name), name) for row in rows for name in names), ZERO)


def _at_least(row: Row, name: str) -> Decimal:
    """A figure of the account that is not negative; where it is left out, the positions tell all there is."""
    number = decimal_of(row[name], name) if stated(row, name) else ZERO
    if number < 0:
        raise BadReadingError(f"{name} is {number}, negative")
    return number


def _settles_in(coin: str) -> Callable[[Row], bool]:
    return lambda market: is_linear(market) and market.get("settle") == coin


def _bitget(row: Row, stakes: Sequence[Stake]) -> Reckoned:
    equity = decimal_of(row.get("accountEquity"), "accountEquity") - _apart(stakes, "marginSize", "unrealizedPL")
    needs = [stake.value * _rate(stake.row, "keepMarginRate") for stake in stakes]
    return summed(equity, stakes, needs, _at_least(row, "crossedRiskRate") * max(equity, ZERO))


def _bitget_margin(kind: str, settle: str, *, held_only: bool) -> MarginRead:
    return MarginRead(
        "linear",
        Read("privateMixGetV2MixAccountAccounts", {"productType": kind}, ("data",)),
        equity="accountEquity",
        maintenance=None,
        available=("maxTransferOut",),
        asset="marginCoin",
        covers=_settles_in(settle),
        # several coins margin one account in the other mode, whose figures were not seen
        when=lambda row: row.get("assetMode") != "union",
        reckon=_bitget,
        held_only=held_only,
    )


BITGET_MARGINS = (
    (_bitget_margin("USDT-FUTURES", "USDT", held_only=False),),
    (_bitget_margin("USDC-FUTURES", "USDC", held_only=True),),
)


def _gate_need(stake: Stake) -> Decimal:
    """The maintenance that the row states, fee of the liquidation included; else its rate, and a taker's fee."""
    own = _at_least(stake.row, "maintenance_margin")
    return own or stake.value * (_rate(stake.row, "maintenance_rate") + _at_least(stake.info, "taker_fee_rate"))


def _gate(row: Row, stakes: Sequence[Stake]) -> Reckoned:
    """``total`` is without open profit. An older account states a maintenance of zero whatever is held."""
    whole = decimal_of(row.get("total"), "total") + decimal_of(row.get("unrealised_pnl"), "unrealised_pnl")
    equity = whole - _apart(stakes, "margin", "unrealised_pnl")
    return summed(equity, stakes, map(_gate_need, stakes), _at_least(row, "cross_maintenance_margin"))


def _is_classic(row: Row) -> bool:
    """Whether the account of contracts is the margin: in the other modes one of all coins is, which is not read."""
    mode = row.get("margin_mode")
    return flag(row, "enable_credit") is not True and (mode in (None, "") or str(mode) == "0")


def _gate_margin(wallet: str, settle: str, kind: str, *, held_only: bool) -> MarginRead:
    return MarginRead(
        wallet,
        Read("privateFuturesGetSettleAccounts", {"settle": settle}, single=True),
        equity="total",
        maintenance=None,
        available=("available",),
        asset="currency",
        covers=lambda market: bool(market.get(kind) and market.get("swap")),
        when=_is_classic,
        reckon=_gate,
        held_only=held_only,
    )


GATE_MARGINS = (
    (_gate_margin("linear", "usdt", "linear", held_only=False),),
    (_gate_margin("inverse", "btc", "inverse", held_only=True),),
)


def _kucoin(row: Row, stakes: Sequence[Stake]) -> Reckoned:
    equity = decimal_of(row.get("accountEquity"), "accountEquity") - _apart(stakes, "posMargin", "unrealisedPnl")
    needs = [stake.value * _rate(stake.row, "maintMarginReq") for stake in stakes]
    return summed(equity, stakes, needs, _at_least(row, "riskRatio") * max(equity, ZERO))


def kucoin_margins(wallet: str) -> tuple[tuple[MarginRead, ...], ...]:
    """One account for each coin that contracts settle in; the second one is asked for while it is needed."""
    return tuple(
        (
            MarginRead(
                wallet,
                Read("futuresPrivateGetAccountOverview", {"currency": coin}, ("data",), single=True),
                equity="accountEquity",
                maintenance=None,
                available=("maxWithdrawAmount", "availableBalance"),
                asset="currency",
                covers=_settles_in(coin),
                reckon=_kucoin,
                held_only=coin != "USDT",
            ),
        )
        for coin in ("USDT", "USDC")
    )
