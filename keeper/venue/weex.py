"""WEEX: sizes in coins, a long and a short side of each contract, positions through the client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from keeper.core.model import ZERO, Contracts
from keeper.venue.base import BadReadingError
from keeper.venue.figures import Row, decimal_of, stated
from keeper.venue.further import NotOfferedError
from keeper.venue.recipes import Capability, Codes, Fields, MarginRead, Product, Read, is_contract, is_linear
from keeper.venue.stakes import Reckoned, Stake

_WEEX_MARK = {"mark": "markPrice", "index": "indexPrice", "funding_rate": "lastFundingRate", "at_ms": "time"}

_POSITIONS = Read("contractPrivateGetCapiV3AccountPositionAllPosition")


def _initial(stake: Stake, price: Decimal) -> Decimal:
    """Money that opening the position at ``price`` would take, with a taker's fee: no maintenance is beyond that."""
    leverage = decimal_of(stake.row.get("leverage"), f"{stake.instrument.id} leverage")
    if leverage <= 0:
        raise BadReadingError(f"{stake.instrument.id} leverage is {leverage}, not above zero")
    fee = decimal_of(stake.info["takerFeeRate"], "takerFeeRate") if stated(stake.info, "takerFeeRate") else ZERO
    notional = abs(Decimal(stake.instrument.notional(Contracts(stake.contracts), price)))
    return notional * (1 / leverage + fee)


def _ends(stakes: Sequence[Stake]) -> Iterator[tuple[Decimal, Decimal, Decimal]]:
    """Of each contract that is short on the whole and whose price of liquidation is told: the loss from the mark to
    there, the most that the account may then need, and that price over the mark.
    """
    for ident in dict.fromkeys(stake.instrument.id for stake in stakes):
        same = [stake for stake in stakes if stake.instrument.id == ident]
        short = -sum((stake.contracts * stake.instrument.contract_size for stake in same), ZERO)
        told = [decimal_of(stake.row.get("liquidatePrice"), f"{ident} liquidatePrice") for stake in same]
        if min(told) < 0:
            raise BadReadingError(f"{ident} liquidatePrice is {min(told)}, negative")
        end = min((price for price in told if price > 0), default=ZERO)
        if short > 0 and end > 0:
            prices = ((stake, end if stake.instrument.id == ident else stake.price) for stake in stakes)
            most = sum((_initial(stake, price) for stake, price in prices), ZERO)
            yield (end - same[0].price) * short, most, end / same[0].price


def _reckon(row: Row, stakes: Sequence[Stake]) -> Reckoned:
    """The margin of cross positions from the price at which the venue says that it liquidates them.

    It states no maintenance and no rate of it, and liquidates where equity is down to maintenance: that is what is left
    of the equity E after the loss on the way there, E - q·(L - P) for a short of q coins at the mark P. The venue's own
    formula, L = P + (E - M)/(q·(1 + m)), gives for the only position M = (E - q·(L - P))·P/L at the mark; of several,
    all that is left at the nearest price is taken, which is a little more than is needed now.

    Whether ``balance`` contains the open profit is nowhere said. Of the two equities the one holds by which the account
    needs more than nothing and no more than the initial margin; where both do, the larger: it makes the ratio higher.

    Positions with margin of their own are told their price of liquidation and nothing else. Beside others, what of the
    balance is behind which cannot be told.
    """
    crossed = [stake for stake in stakes if not stake.isolated]
    balance = decimal_of(row.get("balance"), "balance")
    if not crossed:
        return Reckoned(balance, ZERO, (None,) * len(stakes))
    if len(crossed) < len(stakes):
        raise NotOfferedError(
            "what margins isolated positions is not told from what margins the cross ones beside them"
        )
    nearest = min(_ends(crossed), default=None)
    if nearest is None:
        raise NotOfferedError("the venue states no maintenance margin, and no price of liquidation of a short")
    loss, most, rise = nearest
    equities = (balance, balance + decimal_of(row.get("unrealizePnl"), "unrealizePnl"))
    equity = max((each for each in equities if ZERO < each - loss <= most), default=None)
    if equity is None:
        raise BadReadingError(f"a balance of {balance} disagrees with a loss of {loss} up to the price of liquidation")
    alone = len(stakes) == 1
    left = (equity - loss) / rise if alone else equity - loss
    return Reckoned(equity, left, (left,) if alone else (None,) * len(stakes))


WEEX = Capability(
    flat_has_no_row=True,
    markets_in_parts=True,
    margins=(
        (
            MarginRead(
                "linear",
                Read("contractPrivateGetCapiV3AccountBalance"),
                equity="balance",
                maintenance=None,
                available=("availableBalance",),
                asset="asset",
                covers=is_linear,
                reckon=_reckon,
            ),
        ),
    ),
    post_only=False,
    book_depths=(15, 200),
    candle_params=lambda market: None if market.get("spot") else {"historical": True},
    unified_wallets={"": {"type": "spot"}, "linear": {"type": "swap"}},
    amount_is_size=True,  # sizes are in coins, whatever contractVal says
    inverse_worth_unknown=True,
    position_from_list=True,
    # the client's tickers of the day cost as much as forty other questions
    prices=Product(
        covers=is_contract,
        positions=(_POSITIONS,),
        orders=(),
        position=_POSITIONS,
        fields=Fields(
            size="size",
            side="side",
            sides={"LONG": 1, "SHORT": -1},
            liquidation="liquidatePrice",
            leverage="leverage",
            margin_mode="marginType",
            margin_modes={"crossed": "cross", "isolated": "isolated"},
        ),
        marks=(
            (Read("contractGetCapiV3MarketPremiumIndex"), _WEEX_MARK),
            (Read("contractGetCapiV3MarketTickerBookTicker"), {"bid": "bidPrice", "ask": "askPrice"}),
        ),
    ),
    order_states={"status": {"PARTIAL_FILL": "open", "PARTIALLY_FILLED": "open"}},
    codes=Codes(
        ambiguous=frozenset({"-1000", "-1054"}),  # something went wrong, which may be after the order was taken in
        not_found=frozenset({"-2200", "-3200"}),
    ),
    demo_path="capi/v3/sim/",
)
