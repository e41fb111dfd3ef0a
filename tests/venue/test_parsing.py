"""What is read is what the venue wrote; what makes no sense is an error that names the field."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.model import AccountId, Contracts, InstrumentId, Kind, Position, Side
from keeper.venue.base import BadReadingError, EmptyReadingError, OrderState, UnknownSymbolError
from keeper.venue.binance import BINANCE
from keeper.venue.bybit import BYBIT
from keeper.venue.capabilities import GENERIC, TABLE, capability_of
from keeper.venue.deribit import DERIBIT
from keeper.venue.figures import decimal_of
from keeper.venue.mexc import MEXC
from keeper.venue.okx import OKX
from keeper.venue.order_rows import order_report, working_order
from keeper.venue.parsing import (
    UNIFIED_FIELDS,
    PositionRow,
    at,
    entry_from_pnl,
    instrument_of,
    mark_of,
    merged,
    position_row,
    rows_at,
    unknown_symbol,
)
from keeper.venue.recipes import WalletRead
from keeper.venue.wallets import unified_totals, wallet_totals
from tests.venue.helpers import COIN_MARGINED, KINDS, coin_market

D = Decimal
TICKS = 4
ONE = D(1)
amounts = st.decimals(min_value="0.001", max_value="1e6", places=3, allow_nan=False)
prices = st.decimals(min_value="0.5", max_value="1e6", places=2, allow_nan=False)


def instrument(kind: Kind = Kind.LINEAR, **changes: Any) -> Any:
    return instrument_of("main", coin_market(**KINDS[kind], **changes), BINANCE, TICKS)


@given(st.decimals(min_value="-1e15", max_value="1e15", allow_nan=False, allow_infinity=False))
def test_a_number_that_was_written_is_read_exactly(number: Decimal) -> None:
    assert decimal_of(str(number), "x") == number
    assert decimal_of(number, "x") == number


NONSENSE: list[Any] = [
    None,
    True,
    "",
    " ",
    "NaN",
    "inf",
    "-Infinity",
    "1,5",
    "0x10",
    "1_000",
    "abc",
    [],
    {},
    "1e400",
    "9" * 40,
]


@pytest.mark.parametrize("value", [*NONSENSE, float("nan"), float("inf"), D("NaN")])
def test_what_is_no_number_is_refused_by_the_name_of_its_field(value: Any) -> None:
    with pytest.raises(BadReadingError, match="positionAmt"):
        decimal_of(value, "positionAmt")


@given(st.one_of(st.none(), st.booleans(), st.text(max_size=8), st.lists(st.integers(), max_size=2)))
def test_nothing_but_a_number_becomes_a_size(value: Any) -> None:
    row = {"symbol": "BTCUSDT", "positionAmt": value, "entryPrice": "100", "markPrice": "100"}
    try:
        read = position_row(row, BINANCE.products[0].fields, instrument(), ONE)
    except BadReadingError:
        return
    assert isinstance(value, str)
    assert read.contracts == D(value.strip())


@given(amounts, prices, st.booleans(), st.sampled_from(list(Kind)[:2]))
def test_side_and_size_give_the_sign(size: Decimal, price: Decimal, short: bool, kind: Kind) -> None:
    what = instrument(kind)
    worth = size * what.contract_size / price if kind is Kind.INVERSE else size * price
    sign = -1 if short else 1
    bybit = {
        "size": str(size * what.contract_size) if kind is Kind.INVERSE else str(size),
        "side": "Sell" if short else "Buy",
        "avgPrice": str(price),
        "markPrice": str(price),
        "positionValue": str(worth),
    }
    fields = BYBIT.products[0].fields
    inverse_unit = what.contract_size if kind is Kind.INVERSE else ONE
    assert position_row(bybit, fields, what, inverse_unit).contracts == sign * size
    binance = {
        "positionAmt": str(sign * size),
        "entryPrice": str(price),
        "markPrice": str(price),
        ("notionalValue" if kind is Kind.INVERSE else "notional"): str(sign * worth),
    }
    assert position_row(binance, BINANCE.products[0].fields, what, ONE).contracts == sign * size
    unified = {"contracts": str(size), "side": "short" if short else "long", "entryPrice": str(price)}
    assert position_row(unified, UNIFIED_FIELDS, what, ONE).contracts == sign * size


@given(st.sampled_from(["", "None", "both", "BUY", "sideways", None, 1]), amounts)
def test_a_size_without_a_known_side_is_refused(side: Any, size: Decimal) -> None:
    with pytest.raises(BadReadingError, match="side"):
        position_row({"size": str(size), "side": side, "avgPrice": "1"}, BYBIT.products[0].fields, instrument(), ONE)


def test_a_negative_size_that_contradicts_its_side_is_refused() -> None:
    with pytest.raises(BadReadingError, match="never negative"):
        position_row({"contracts": "-3", "side": "long", "entryPrice": "100"}, UNIFIED_FIELDS, instrument(), ONE)
    with pytest.raises(BadReadingError, match="never negative"):
        position_row({"size": "-3", "side": "Sell", "avgPrice": "100"}, BYBIT.products[0].fields, instrument(), ONE)
    both_say_short = {"contracts": "-3", "side": "short", "entryPrice": "100"}
    assert position_row(both_say_short, UNIFIED_FIELDS, instrument(), ONE).contracts == -3


@pytest.mark.parametrize("zero", ["0", "0.000", "-0", 0, "0E-8"])
def test_a_raw_size_of_zero_is_flat_whatever_stands_beside_it(zero: Any) -> None:
    row = {
        "positionAmt": zero,
        "entryPrice": "nonsense",
        "notional": "650000",
        "markPrice": None,
        "positionSide": "LONG",
    }
    assert position_row(row, BINANCE.products[0].fields, instrument(), ONE) == PositionRow(D(0), None, None)


@given(amounts, prices, st.sampled_from([D("0.01"), D("0.1"), D(10), D(100), D("0.5"), D(2)]))
def test_a_value_that_says_another_size_is_a_fault_of_the_row(size: Decimal, price: Decimal, factor: Decimal) -> None:
    row = {"positionAmt": str(-size), "entryPrice": str(price), "markPrice": str(price)}
    row["notional"] = str(-size * price * factor)
    read = position_row(row, BINANCE.products[0].fields, instrument(), ONE)
    assert read.contracts == -size
    assert read.fault is not None
    assert "disagree" in read.fault


def test_a_venue_that_values_at_the_entry_agrees_as_well() -> None:
    row = {"instId": "x", "pos": "1", "posSide": "long", "avgPx": "34131.1", "markPx": "4786.4", "notionalUsd": "341.5"}
    what = instrument(contractSize="0.01")
    assert position_row(row, OKX.products[0].fields, what, ONE).contracts == 1


def test_an_inverse_position_without_an_entry_is_refused_since_its_coin_profit_is_not_known() -> None:
    row = {"positionAmt": "-10", "entryPrice": "0", "markPrice": "65000", "notionalValue": "-0.0153846"}
    with pytest.raises(BadReadingError, match="entryPrice"):
        position_row(row, BINANCE.products[1].fields, instrument(Kind.INVERSE), ONE)


@pytest.mark.parametrize("entry", ["158.63", "100"])
def test_an_entry_that_contradicts_the_stated_profit_is_doubted(entry: str) -> None:
    row = {"positionAmt": "-10", "entryPrice": entry, "markPrice": "65000", "unRealizedProfit": "0.00002"}
    read = position_row(row, BINANCE.products[1].fields, instrument(Kind.INVERSE), ONE)
    assert read.fault is not None
    assert "profit and entry price disagree" in read.fault


@pytest.mark.parametrize("profit", ["0.00024", "-0.0003", "0.0007"])
def test_a_profit_by_another_price_than_the_mark_is_no_contradiction_and_counts_as_it_is_told(profit: str) -> None:
    """1,000 USD short from 66,000 are 0.0002 coins up at 65,000; a hundredth of their worth is 0.00015."""
    row = {"positionAmt": "-10", "entryPrice": "66000", "markPrice": "65000", "unRealizedProfit": profit}
    what = instrument(Kind.INVERSE)
    read = position_row(row, BINANCE.products[1].fields, what, ONE)
    assert read.fault is None
    assert read.entry is not None
    assert abs(what.coin_pnl(Contracts(read.contracts), read.entry, D(65000)) - D(profit)) < D("1e-20")


@pytest.mark.parametrize("profit", ["", None])
def test_a_profit_that_is_not_told_is_reckoned_from_the_entry(profit: str | None) -> None:
    row = {"positionAmt": "-10", "entryPrice": "66000", "markPrice": "65000", "unRealizedProfit": profit}
    read = position_row(row, BINANCE.products[1].fields, instrument(Kind.INVERSE), ONE)
    assert (read.fault, read.entry) == (None, D(66000))


@given(amounts, prices, prices)
def test_the_entry_made_from_an_open_profit_gives_that_profit_back(
    size: Decimal, entry: Decimal, mark: Decimal
) -> None:
    what = instrument(Kind.INVERSE)
    profit = what.coin_pnl(Contracts(-size), entry, mark)
    made = entry_from_pnl(profit, -size * what.contract_size, mark, "x")
    assert abs(what.coin_pnl(Contracts(-size), made, mark) - profit) <= abs(profit) * D("1e-12") + D("1e-18")


def test_a_profit_that_no_price_could_give_is_refused() -> None:
    with pytest.raises(BadReadingError, match="impossible"):
        entry_from_pnl(D(10), D(-100), D(100), "x")


@given(st.lists(st.tuples(st.sampled_from([-1, 1]), amounts, prices), min_size=1, max_size=4), prices)
def test_rows_of_both_sides_add_up_and_keep_their_profit(
    rows: list[tuple[int, Decimal, Decimal]], mark: Decimal
) -> None:
    what = instrument(Kind.INVERSE)
    read = [PositionRow(sign * size, entry, None) for sign, size, entry in rows]
    position = merged(what, read)
    assert position.contracts == sum((row.contracts for row in read), D(0))
    if position.entry_price is not None and len(read) > 1:
        kept = what.coin_pnl(position.contracts, position.entry_price, mark)
        parts = sum((what.coin_pnl(Contracts(r.contracts), r.entry, mark) for r in read if r.entry), D(0))
        assert abs(kept - parts) <= abs(parts) * D("1e-9") + D("1e-9")


def test_a_hedged_short_is_never_read_as_flat() -> None:
    rows = [PositionRow(D(0), None, None), PositionRow(D("-1.5"), D(65000), D(90000))]
    assert merged(instrument(), rows) == Position(instrument(), Contracts(D("-1.5")), D(65000), D(90000))


def test_an_answer_that_is_not_a_list_of_rows_is_never_an_empty_list() -> None:
    answers: tuple[Any, ...] = (
        {},
        {"result": {}},
        {"result": {"list": None}},
        {"result": {"list": {}}},
        {"result": {"list": ["x"]}},
    )
    for answer in answers:
        with pytest.raises(BadReadingError):
            rows_at(answer, ("result", "list"), "x")
    with pytest.raises(EmptyReadingError):
        at({"result": {"list": []}}, ("result", "list", 0, "coin"), "x")
    assert rows_at({"result": {"list": []}}, ("result", "list"), "x") == []


# Instruments


def test_a_linear_contract_with_its_limits() -> None:
    what = instrument()
    assert (what.kind, what.contract_size, what.step_contracts, what.tick) == (Kind.LINEAR, 1, D("0.001"), D("0.1"))
    assert (what.min_contracts, what.max_contracts, what.min_notional) == (D("0.001"), D(120), D(5))
    assert not what.min_notional_on_covers


def test_one_inverse_contract_is_what_the_venue_says() -> None:
    market = coin_market(**COIN_MARGINED)
    assert instrument_of("main", market, BINANCE, TICKS).contract_size == 100
    assert instrument_of("main", market | {"contractSize": "7"}, BYBIT, TICKS).contract_size == 1
    deribit = market | {"contractSize": "10.0", "precision": {"amount": "10.0", "price": "0.5"}}
    deribit["limits"] = {"amount": {"min": "10.0", "max": None}}
    read = instrument_of("main", deribit, DERIBIT, TICKS)
    assert (read.contract_size, read.step_contracts, read.min_contracts) == (D(10), D(1), D(1))
    assert read.notional(Contracts(D(25000)), D(92000)) == 250000


def test_a_perpetual_does_not_expire_and_a_future_does() -> None:
    assert instrument(expiry=1735300800000).expires_at_ms is None
    assert instrument(expiry=1735300800000, future=True, swap=False).expires_at_ms == 1735300800000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"settle": "BTC", "linear": False, "inverse": False, "base": "ETH", "quote": "USD"}, "quanto"),
        ({"contract": False}, "not a future"),
        ({"option": True}, "not a future"),
    ],
)
def test_what_cannot_be_hedged_with_is_refused_with_the_reason(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UnknownSymbolError, match=says):
        instrument(**changes)


def test_coin_margined_contracts_need_a_known_wallet() -> None:
    with pytest.raises(UnknownSymbolError, match="coin-margined"):
        instrument_of("main", coin_market(**COIN_MARGINED), GENERIC, TICKS)


def test_steps_come_in_three_modes() -> None:
    market = coin_market(precision={"amount": "3", "price": "1"})
    assert instrument_of("main", market, GENERIC, 2).step_contracts == D("0.001")
    with pytest.raises(BadReadingError, match="significant"):
        instrument_of("main", market, GENERIC, 3)


def test_an_unknown_symbol_names_its_neighbours() -> None:
    error = unknown_symbol("main", "BTC/USDT", ["BTC/USDT:USDT", "BTC/USD:BTC", "XRP/USDT:USDT"])
    assert "BTC/USDT:USDT" in error.near
    assert "BTC/USDT:USDT" in str(error)


# Wallets


BORROWED = {"coin": "BTC", "spotBorrow": "2", "borrowAmount": "2", "unrealisedPnl": "1"}


def totals(exchange: str, wallet: str, rows: list[dict[str, Any]]) -> dict[str, Decimal]:
    return dict(wallet_totals(rows, capability_of(exchange).wallets[wallet], str.upper))


def test_what_a_coin_earns_in_several_products_is_added_up_each_once() -> None:
    """One flexible product and two locked positions, as Binance and Bybit list them."""
    flexible: dict[str, Any] = {"asset": "BTC", "productId": "BTC001", "totalAmount": "0.75"}
    locked: list[dict[str, Any]] = [
        {"asset": "BTC", "projectId": "Btc*120", "positionId": number, "amount": "0.125"} for number in (123123, 123124)
    ]
    assert totals("binance", "earn", [flexible, *locked]) == {"BTC": D(1)}
    products: list[dict[str, Any]] = [
        {"coin": "BTC", "productId": number, "amount": "0.5"} for number in ("430", "431")
    ]
    assert totals("bybit", "earn", products) == {"BTC": D(1)}
    for exchange, rows in (("binance", [flexible, *locked, locked[0]]), ("bybit", [*products, products[1]])):
        with pytest.raises(BadReadingError, match="more than one row"):
            totals(exchange, "earn", rows)


@pytest.mark.parametrize(
    ("exchange", "wallet", "row", "total"),
    [
        ("binance", "", {"asset": "BTC", "free": "1.5", "locked": "0.5"}, "2"),
        (
            "binance",
            "inverse",
            {"asset": "BTC", "walletBalance": "5", "unrealizedProfit": "1.25", "marginBalance": "6.25"},
            "5",
        ),
        (
            "binance",
            "funding",
            {"asset": "BTC", "free": "1", "locked": "0", "freeze": "0.25", "withdrawing": "2"},
            "3.25",
        ),
        ("binance", "margin", {"asset": "BTC", "free": "1", "locked": "0", "borrowed": "3", "interest": "0.1"}, "-2.1"),
        ("bybit", "", {"coin": "BTC", "walletBalance": "5", "equity": "6", "spotBorrow": "", "borrowAmount": "0"}, "5"),
        ("bybit", "", {"coin": "BTC", "walletBalance": "5", "spotBorrow": "2", "borrowAmount": "2"}, "3"),
        ("bybit", "", {"coin": "BTC", "walletBalance": "-2", "borrowAmount": "2"}, "-2"),
        ("bybit", "", BORROWED | {"walletBalance": "0", "equity": "-1"}, "-2"),
        ("bybit", "", BORROWED | {"walletBalance": "-2", "equity": "-1"}, "-2"),
        ("bybit", "", {"coin": "BTC", "walletBalance": "3", "borrowAmount": "1"}, "2"),
        ("bybit", "", BORROWED | {"walletBalance": "0", "equity": "0", "unrealisedPnl": "0", "usdValue": "-9"}, "-2"),
        ("bybit", "", BORROWED | {"walletBalance": "3", "equity": "3", "unrealisedPnl": "0", "usdValue": "9"}, "3"),
        ("okx", "", {"ccy": "ETH", "cashBal": "5", "eq": "5.0125", "upl": "0.0125", "liab": "0"}, "5"),
        ("okx", "", {"ccy": "ETH", "cashBal": "5", "eq": "", "upl": "", "liab": ""}, "5"),
        ("okx", "", {"ccy": "ETH", "cashBal": "-1", "eq": "-1", "upl": "0", "liab": "1"}, "-1"),
        ("deribit", "", {"currency": "BTC", "equity": "6.25", "balance": "5"}, "6.25"),
    ],
)
def test_a_wallet_is_net_of_debt_and_without_open_profit(
    exchange: str, wallet: str, row: dict[str, str], total: str
) -> None:
    assert list(totals(exchange, wallet, [row]).values()) == [D(total)]


def test_a_wallet_row_with_a_missing_field_names_coin_and_field() -> None:
    with pytest.raises(BadReadingError, match=r"BTC.*walletBalance"):
        totals("bybit", "", [{"coin": "BTC", "equity": "5"}])
    with pytest.raises(BadReadingError, match="no coin"):
        totals("bybit", "", [{"walletBalance": "5"}])


def test_zero_rows_stay_and_absent_coins_stay_absent() -> None:
    rows = [{"asset": "BTC", "free": "0", "locked": "0"}]
    assert totals("binance", "", rows) == {"BTC": D(0)}
    assert unified_totals({"total": {"BTC": "3"}, "debt": {"BTC": "1"}}) == {"BTC": D(2)}
    with pytest.raises(BadReadingError):
        unified_totals({"total": {"BTC": None}})


# Orders, marks, ids


@given(st.integers(min_value=0, max_value=16**28 - 1), st.sampled_from(sorted(TABLE)))
def test_client_ids_are_read_back_in_every_grammar(number: int, exchange: str) -> None:
    capability = capability_of(exchange)
    canonical = f"{number:028x}"
    written = capability.encode(canonical)
    assert capability.decode(written) == canonical
    assert capability.decode("user-" + canonical) == "user-" + canonical
    grammar = {
        "okx": r"[0-9A-Za-z]{1,32}",
        "gate": r"t-[0-9A-Za-z._-]{1,28}",
        "hyperliquid": r"0x[0-9a-f]{32}",
        "binance": r"[\.A-Z\:/a-z0-9_-]{1,36}",
    }.get(exchange, r"[0-9A-Za-z]{1,36}")
    assert re.fullmatch(grammar, written)


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("open", "0", OrderState.OPEN),
        ("closed", "5", OrderState.FILLED),
        ("canceled", "2", OrderState.PARTIAL),
        ("expired", "0", OrderState.NONE),
        ("rejected", "0", OrderState.NONE),
        ("closed", "2", OrderState.PARTIAL),
    ],
)
def test_where_an_order_stands(status: str, filled: str, state: OrderState) -> None:
    order = {"id": "7", "amount": "50", "filled": str(D(filled) * 10), "status": status, "average": "0"}
    report = order_report(order, "c", D(10))
    assert (report.state, report.contracts, report.filled, report.average_price) == (state, D(5), D(filled), None)


@pytest.mark.parametrize(
    "changes", [{"status": None}, {"status": "odd"}, {"filled": None}, {"filled": "60"}, {"amount": None}]
)
def test_an_order_that_does_not_say_is_no_report(changes: dict[str, Any]) -> None:
    with pytest.raises(BadReadingError):
        order_report({"id": "7", "amount": "50", "filled": "0", "status": "open"} | changes, "c", ONE)


def test_a_working_order_with_the_raw_words_where_the_client_has_none() -> None:
    order = {
        "id": 5,
        "side": "sell",
        "amount": "30",
        "filled": None,
        "info": {"label": "kp" + "a" * 28, "reduce_only": "true"},
    }
    read = working_order(order, InstrumentId("main", "X"), D(10), DERIBIT)
    assert (read.client_id, read.reduce_only, read.contracts, read.side) == ("a" * 28, True, D(3), Side.SELL)


def test_a_price_that_is_not_there_is_no_mark_and_a_senseless_one_is_an_error() -> None:
    assert mark_of({"mark": None}, "x") is None
    assert mark_of({"mark": "0"}, "x") is None
    with pytest.raises(BadReadingError, match="mark"):
        mark_of({"mark": "-1"}, "x")
    with pytest.raises(BadReadingError, match="bid"):
        mark_of({"mark": "1", "bid": "NaN"}, "x")


def test_which_wallet_margins_coin_contracts() -> None:
    assert {name: capability_of(name).collateral for name in ("binance", "bybit", "okx", "deribit")} == {
        "binance": "inverse", "bybit": "", "okx": "", "deribit": "",
    }  # fmt: skip
    assert str(AccountId("main", "inverse")) == "main.inverse"


@pytest.mark.parametrize(
    ("wallet", "row"),
    [
        (OKX.wallets[""], {"ccy": "BTC", "eq": "0", "upl": "-0.2", "cashBal": "5"}),
        (MEXC.wallets["inverse"], {"currency": "BTC", "equity": 0, "unrealized": "-0.2"}),
    ],
)
def test_equity_of_zero_is_zero_whatever_profit_stands_beside_it(wallet: WalletRead, row: dict[str, Any]) -> None:
    assert wallet_totals([row], wallet, str) == {"BTC": 0}
    name = "eq" if "eq" in row else "equity"
    assert wallet_totals([row | {name: "5"}], wallet, str) == {"BTC": D("5.2")}


def test_equity_without_the_profit_in_it_is_no_total() -> None:
    """Whoever values a position adds its profit: one of unknown size inside a total would be counted twice."""
    row = {"currency": "BTC", "equity": 1.01, "cashBalance": 0.9}
    told: dict[str, str] = {}
    assert wallet_totals([row], MEXC.wallets["inverse"], str, told) == {}
    assert "unrealized is None" in told["BTC"]
    assert wallet_totals([row | {"unrealized": 0.01}], MEXC.wallets["inverse"], str) == {"BTC": D(1)}
    assert wallet_totals([row | {"equity": 0}], MEXC.wallets["inverse"], str) == {"BTC": D(0)}
