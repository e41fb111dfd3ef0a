"""WEEX: sizes in coins, a long and a short side of each contract, positions through the client."""

from __future__ import annotations

from keeper.venue.recipes import (
    Capability,
    Codes,
    Fields,
    Product,
    Read,
    is_contract,
)

_WEEX_MARK = {"mark": "markPrice", "index": "indexPrice", "funding_rate": "lastFundingRate", "at_ms": "time"}

WEEX = Capability(
    markets_in_parts=True,
    post_only=False,
    book_depths=(15, 200),
    candle_params=lambda market: None if market.get("spot") else {"historical": True},
    unified_wallets={"": {"type": "spot"}, "linear": {"type": "swap"}},
    amount_is_size=True,  # sizes are in coins, whatever contractVal says
    position_from_list=True,
    # the client's tickers of the day cost as much as forty other questions
    prices=Product(
        covers=is_contract,
        positions=(),
        orders=(),
        position=Read("contractPrivateGetCapiV3AccountPositionAllPosition"),
        fields=Fields(),
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
