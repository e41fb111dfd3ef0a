"""Binance: split wallets, two books of contracts with addresses of their own, and the account of portfolio margin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from keeper.venue.figures import Row, decimal_of, first_stated, flag, signed_sum
from keeper.venue.recipes import (
    Capability,
    Codes,
    Cursor,
    Fields,
    Lookups,
    MarginRead,
    Outflow,
    Product,
    RateHistory,
    Read,
    TransferCall,
    WalletRead,
    is_inverse,
    is_linear,
)

_BINANCE_FIELDS = Fields(
    size="positionAmt",
    side="positionSide",
    sides={"LONG": 1, "SHORT": -1, "BOTH": 0, "": 0},
    signed_side=True,
    pnl="unRealizedProfit",
    maintenance="maintMargin",
    isolated="isolatedMargin",
    notional="notional",
    notional_inverse="notionalValue",
    index="positionSide",
    hedge_texts=frozenset({"LONG", "SHORT"}),
    leverage="leverage",
    margin_mode="marginType",
    margin_modes={"cross": "cross", "cross margin": "cross", "isolated": "isolated"},
)
_BINANCE_MARK = {"mark": "markPrice", "index": "indexPrice", "funding_rate": "lastFundingRate", "at_ms": "time"}
_BINANCE_BOOK = {"bid": "bidPrice", "ask": "askPrice"}


_BINANCE_LINEAR = Read(
    "fapiPrivateV3GetPositionRisk",
    otherwise=Read(
        "fapiPrivateV2GetPositionRisk",
        otherwise=Read(
            "fapiPrivateV3GetAccount",
            rows=("positions",),
            otherwise=Read("fapiPrivateV2GetAccount", rows=("positions",)),
        ),
    ),
)
_BINANCE_INVERSE = Read("dapiPrivateGetPositionRisk", otherwise=Read("dapiPrivateGetAccount", rows=("positions",)))


def _binance_product(covers: Callable[[Row], bool], prefix: str, position: Read, listing: Read) -> Product:
    return Product(
        covers=covers,
        positions=(listing,),
        orders=(Read(f"{prefix}PrivateGetOpenOrders"),),
        position=position,
        fields=_BINANCE_FIELDS,
        marks=(
            (Read(f"{prefix}PublicGetPremiumIndex"), _BINANCE_MARK),
            (Read(f"{prefix}PublicGetTickerBookTicker"), _BINANCE_BOOK),
        ),
        mode=Read(f"{prefix}PrivateGetPositionSideDual", single=True),
        mode_field="dualSidePosition",
        one_way_text="false",
    )


def _binance_margins(wallet: str, read: str, covers: Callable[[Row], bool]) -> MarginRead:
    return MarginRead(
        wallet,
        Read(read, rows=("assets",)),
        equity="marginBalance",
        maintenance="maintMargin",
        available=("maxWithdrawAmount", "availableBalance"),
        asset="asset",
        covers=covers,
    )


def _binance_band(market: Row) -> tuple[Decimal, Decimal] | None:
    """The multipliers of the filter PERCENT_PRICE, which a contract's price is held to."""
    for rule in (market.get("info") or {}).get("filters") or ():
        if rule.get("filterType") == "PERCENT_PRICE":
            lowest, highest = (decimal_of(rule.get(name), name) for name in ("multiplierDown", "multiplierUp"))
            return lowest, highest
    return None


_OWN = signed_sum(("free", "locked"), minus=("borrowed", "interest"))
"""What a margin wallet owns of a coin."""

BINANCE = Capability(
    markets_in_parts=True,
    inverse_size_told_as="contractSize",
    margins=(
        (
            MarginRead(
                "linear",
                Read("fapiPrivateV2GetAccount", single=True),
                equity="totalMarginBalance",
                maintenance="totalMaintMargin",
                available=("maxWithdrawAmount", "availableBalance"),
                covers=is_linear,
                when=lambda row: flag(row, "multiAssetsMargin") is True,
            ),
            _binance_margins("linear", "fapiPrivateV2GetAccount", is_linear),
        ),
        (_binance_margins("inverse", "dapiPrivateGetAccount", is_inverse),),
    ),
    transfers=TransferCall(
        "sapiPostAssetTransfer",
        ("sapi",),
        "asset/transfer",
        {"": "MAIN", "funding": "FUNDING", "margin": "MARGIN", "linear": "UMFUTURE", "inverse": "CMFUTURE"},
        lambda asset, amount, source, target: {"type": f"{source}_{target}", "asset": asset, "amount": amount},
        (("tranId",),),
    ),
    funding_sign=1,
    book_depths=(5, 10, 20, 50, 100, 500, 1000),
    candles_a_page=1000,
    rates=RateHistory(1000),
    options={
        "fetchMarkets": {"types": ["spot", "linear", "inverse"]},
        "fetchMargins": False,
        "warnOnFetchOpenOrdersWithoutSymbol": False,
        "defaultType": "spot",
        "recvWindow": 5000,
    },
    wallets={
        "": WalletRead((Read("privateGetAccount", rows=("balances",)),), "asset", signed_sum(("free", "locked"))),
        "funding": WalletRead(
            (Read("sapiPostAssetGetFundingAsset"),),
            "asset",
            signed_sum(("free", "locked"), optional=("freeze", "withdrawing")),
        ),
        "earn": WalletRead(
            tuple(
                Read(f"sapiGetSimpleEarn{term}Position", {}, ("rows",), Cursor("current", first=1), 100, "size")
                for term in ("Flexible", "Locked")
            ),
            "asset",
            lambda row: decimal_of(row.get("totalAmount", row.get("amount")), "totalAmount"),
            slot=("productId", "positionId", "projectId"),
        ),
        "margin": WalletRead(
            (Read("sapiGetMarginAccount", rows=("userAssets",)),),
            "asset",
            _OWN,
        ),
        "isolated": WalletRead(
            (Read("sapiGetMarginIsolatedAccount", rows=("assets",)),),
            "asset",
            _OWN,
            once=False,
            parts=("baseAsset", "quoteAsset"),
        ),
        "linear": WalletRead(
            (
                Read(
                    "fapiPrivateV3GetAccount",
                    rows=("assets",),
                    otherwise=Read(
                        "fapiPrivateV2GetAccount",
                        rows=("assets",),
                        otherwise=Read("fapiPrivateV3GetBalance", otherwise=Read("fapiPrivateV2GetBalance")),
                    ),
                ),
            ),
            "asset",
            first_stated("walletBalance", "balance"),
        ),
        "inverse": WalletRead(
            (Read("dapiPrivateGetAccount", rows=("assets",), otherwise=Read("dapiPrivateGetBalance")),),
            "asset",
            first_stated("walletBalance", "balance"),
        ),
    },
    collateral="inverse",
    products=(
        # by name the older question: it shows a row of zero for a contract that is flat
        _binance_product(
            is_linear, "fapi", Read("fapiPrivateV2GetPositionRisk", otherwise=_BINANCE_LINEAR), _BINANCE_LINEAR
        ),
        _binance_product(is_inverse, "dapi", _BINANCE_INVERSE, _BINANCE_INVERSE),
    ),
    min_notional_on_covers=False,
    price_band=_binance_band,
    pace={"fapi": 40.0, "dapi": 40.0},  # 2400 a minute each; the spot side's 6000 are what rateLimit is about
    credit_seconds=20.0,
    lookups=Lookups(unified="origClientOrderId"),
    fills_window_ms=7 * 86_400_000 - 1,
    fills_limit=1000,
    outflows=(
        *(
            Outflow(
                Read("sapiGetAssetTransfer", {"type": f"MAIN_{target}", "size": 100}, ("rows",)),
                None,
                "startTime",
                "amount",
                "timestamp",
                "type",
                sign=-1,
                asset_field="asset",
            )
            for target in ("UMFUTURE", "CMFUTURE", "FUNDING", "MARGIN")
        ),
        Outflow(
            Read("sapiGetCapitalWithdrawHistory"), "coin", "startTime", "amount", "applyTime", "withdrawal", sign=-1
        ),
        Outflow(
            Read("dapiPrivateGetIncome", {"incomeType": "TRANSFER"}),
            None,
            "startTime",
            "income",
            "time",
            "transfer",
            wallets=frozenset({"inverse"}),
            asset_field="asset",
        ),
    ),
    permissions=Read("sapiGetAccountApiRestrictions", single=True),
    can_withdraw=lambda row: flag(row, "enableWithdrawals"),
    can_trade=lambda row: flag(row, "enableFutures"),
    harmless=frozenset(
        {"asset/get-funding-asset", "asset/getUserAsset", "userDataStream", "listenKey", "userListenToken"}
    ),
    demo="demo_trading",
    codes=Codes(
        ambiguous=frozenset({"-1000", "-1001", "-1006", "-1007", "-1016", "-1034"}),
        retry_later=frozenset({"-1003", "-1008", "-1015"}),
        duplicate=frozenset({"-4111", "-4116"}),
        would_cross=frozenset({"-5022"}),
        not_found=frozenset({"-2013"}),
        unchanged=frozenset({"-4046", "-4059"}),
        clock=frozenset({"-1021"}),
        credentials=frozenset({"-1002", "-1022", "-2008", "-2014", "-2015"}),
        rejected=r"-(11\d\d|1010|1013|1014|1020|1021|1022|2010|2014|2015|2018|2019|202\d|40\d\d|41\d\d|42\d\d|44\d\d|50\d\d)",
        limits=frozenset({"-1003"}),
    ),
)


def _portfolio_product(own: Product, section: str) -> Product:
    """A book of contracts of the portfolio margin account; its prices are those of everybody."""
    read = Read(f"papiGet{section}PositionRisk", otherwise=Read(f"papiGet{section}Account", rows=("positions",)))
    return replace(
        own,
        positions=(read,),
        position=read,
        orders=(Read(f"papiGet{section}OpenOrders"),),
        mode=Read(f"papiGet{section}PositionSideDual", single=True),
    )


_ACCOUNT = Read("papiGetBalance")
BINANCE_PORTFOLIO = replace(
    BINANCE,
    margins=(
        (
            MarginRead(
                "",
                Read("papiGetAccount", single=True),
                equity="accountEquity",
                maintenance="accountMaintMargin",
                available=("virtualMaxWithdrawAmount", "totalAvailableBalance"),
            ),
        ),
    ),
    transfers=None,
    wallets={
        # the coins of the cross margin wallet and of both futures wallets, in which a debt is still contained
        "": WalletRead(
            (_ACCOUNT,), "asset", signed_sum(("totalWalletBalance",), ("crossMarginBorrowed", "crossMarginInterest"))
        ),
        "spot": BINANCE.wallets[""],
        **{name: BINANCE.wallets[name] for name in ("funding", "earn", "isolated")},
    },
    collateral="",
    products=tuple(
        _portfolio_product(own, section) for own, section in zip(BINANCE.products, ("Um", "Cm"), strict=True)
    ),
    outflows=(),
    can_trade=lambda row: flag(row, "enablePortfolioMarginTrading"),
)
"""One account margins everything; ``options.portfolioMargin = true`` says that it is of this kind."""
